//! The checks' SQL, and nothing else.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{CheckRow, OpenCheck};

const INSERT: &str = include_str!("sql/insert.sql");
const FIND: &str = include_str!("sql/find.sql");
const LOCK: &str = include_str!("sql/lock.sql");
const LIST: &str = include_str!("sql/list.sql");
const OVERDUE: &str = include_str!("sql/overdue.sql");
const OPEN_IN: &str = include_str!("sql/open_in.sql");
const CLOSE_OF: &str = include_str!("sql/close_of.sql");
const CLOSE_ABOUT: &str = include_str!("sql/close_about.sql");
const FOLLOW: &str = include_str!("sql/follow.sql");
const GO_BACK: &str = include_str!("sql/go_back.sql");
const CLOSE_HOUSEHOLD: &str = include_str!("sql/close_household.sql");
const ANSWERS: &str = include_str!("sql/answers.sql");
const STATUSES: &str = "SELECT status FROM checks WHERE conflict_id = $1";
const END: &str =
    "UPDATE checks SET status = $2, ended_at = $3, answer = $4, answered_by = $5 WHERE id = $1";
const ESCALATE: &str = "UPDATE checks SET escalated_at = $2 WHERE id = $1";
const NOTE_ANSWER: &str =
    "INSERT INTO check_answers (event_id, outcome, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// A check to be written.
#[derive(Clone, Debug)]
pub(super) struct NewCheck {
    pub(super) id: Uuid,
    pub(super) kind: &'static str,
    pub(super) area: String,
    pub(super) resident: Uuid,
    pub(super) residence: Option<Uuid>,
    pub(super) conflict: Option<Uuid>,
    pub(super) other: Option<Uuid>,
    pub(super) household: Option<i64>,
    pub(super) opened_at: DateTime<Utc>,
    pub(super) due_at: DateTime<Utc>,
}

/// Writes a check; gives none where the same is open already.
pub(super) async fn insert(
    tx: &mut PgConnection,
    new: &NewCheck,
) -> sqlx::Result<Option<CheckRow>> {
    sqlx::query_as(INSERT)
        .bind(new.id)
        .bind(new.kind)
        .bind(&new.area)
        .bind(new.resident)
        .bind(new.residence)
        .bind(new.conflict)
        .bind(new.other)
        .bind(new.household)
        .bind(new.opened_at)
        .bind(new.due_at)
        .fetch_optional(tx)
        .await
}

pub(super) async fn find(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<CheckRow>> {
    sqlx::query_as(FIND).bind(id).fetch_optional(tx).await
}

pub(super) async fn lock(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<CheckRow>> {
    sqlx::query_as(LOCK).bind(id).fetch_optional(tx).await
}

/// Which checks.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) area_pattern: Option<String>,
    pub(super) resident: Option<Uuid>,
    pub(super) kind: Option<&'static str>,
    pub(super) status: Option<String>,
    pub(super) due_before: Option<DateTime<Utc>>,
    pub(super) after: Option<(DateTime<Utc>, Uuid)>,
    pub(super) rows: i64,
}

pub(super) async fn list(tx: &mut PgConnection, filter: &Filter) -> sqlx::Result<Vec<CheckRow>> {
    sqlx::query_as(LIST)
        .bind(&filter.area_pattern)
        .bind(filter.resident)
        .bind(filter.kind)
        .bind(&filter.status)
        .bind(filter.due_before)
        .bind(filter.after.map(|after| after.0))
        .bind(filter.after.map(|after| after.1))
        .bind(filter.rows)
        .fetch_all(tx)
        .await
}

/// What the open checks of an area are about.
pub(super) async fn open_in(tx: &mut PgConnection, area: &str) -> sqlx::Result<Vec<OpenCheck>> {
    sqlx::query_as(OPEN_IN).bind(area).fetch_all(tx).await
}

/// The first check that nobody answered in time, locked, unless another node has it.
pub(super) async fn overdue(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<CheckRow>> {
    sqlx::query_as(OVERDUE).bind(now).fetch_optional(tx).await
}

pub(super) async fn escalate(
    tx: &mut PgConnection,
    id: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(ESCALATE).bind(id).bind(at).execute(tx).await?;
    Ok(())
}

/// How a check ends.
#[derive(Debug)]
pub(super) struct End {
    pub(super) id: Uuid,
    pub(super) status: &'static str,
    pub(super) at: DateTime<Utc>,
    pub(super) answer: Option<Uuid>,
    pub(super) by: Option<Uuid>,
}

pub(super) async fn end(tx: &mut PgConnection, end: &End) -> sqlx::Result<()> {
    sqlx::query(END)
        .bind(end.id)
        .bind(end.status)
        .bind(end.at)
        .bind(end.answer)
        .bind(end.by)
        .execute(tx)
        .await?;
    Ok(())
}

/// Ends the open checks of items of the conflict queue.
pub(super) async fn close_of(
    tx: &mut PgConnection,
    items: &[Uuid],
    at: DateTime<Utc>,
) -> sqlx::Result<Vec<CheckRow>> {
    sqlx::query_as(CLOSE_OF)
        .bind(items)
        .bind(at)
        .fetch_all(tx)
        .await
}

/// Ends the open checks about records that were erased.
pub(super) async fn close_about(
    tx: &mut PgConnection,
    records: &[Uuid],
    at: DateTime<Utc>,
) -> sqlx::Result<Vec<CheckRow>> {
    sqlx::query_as(CLOSE_ABOUT)
        .bind(records)
        .bind(at)
        .fetch_all(tx)
        .await
}

/// Makes the open checks about a record that was merged away those of the survivor, and ends what is needless then.
pub(super) async fn follow(
    tx: &mut PgConnection,
    other: Uuid,
    survivor: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<Vec<CheckRow>> {
    sqlx::query_as(FOLLOW)
        .bind(other)
        .bind(survivor)
        .bind(at)
        .fetch_all(tx)
        .await
}

/// Makes checks that followed a merge those of the record that was merged away, as far as they are unanswered.
pub(super) async fn go_back(
    tx: &mut PgConnection,
    checks: &[Uuid],
    other: Uuid,
) -> sqlx::Result<Vec<CheckRow>> {
    sqlx::query_as(GO_BACK)
        .bind(checks)
        .bind(other)
        .fetch_all(tx)
        .await
}

/// Ends the open check of a household that has a head again, or nobody left.
pub(super) async fn close_household(
    tx: &mut PgConnection,
    token: i64,
    at: DateTime<Utc>,
) -> sqlx::Result<Vec<CheckRow>> {
    sqlx::query_as(CLOSE_HOUSEHOLD)
        .bind(token)
        .bind(at)
        .fetch_all(tx)
        .await
}

/// How the checks of a claim stand.
pub(super) async fn statuses(tx: &mut PgConnection, item: Uuid) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(STATUSES).bind(item).fetch_all(tx).await
}

/// Answers that nothing was done about yet: the event, who noted it.
pub(super) async fn answers(
    tx: &mut PgConnection,
    since: DateTime<Utc>,
    most: i64,
) -> sqlx::Result<Vec<(Uuid, Uuid)>> {
    sqlx::query_as(ANSWERS)
        .bind(since)
        .bind(most)
        .fetch_all(tx)
        .await
}

/// Notes what became of an answer; gives whether it is new.
pub(super) async fn note_answer(
    tx: &mut PgConnection,
    event: Uuid,
    outcome: &str,
    at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(NOTE_ANSWER)
        .bind(event)
        .bind(outcome)
        .bind(at)
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

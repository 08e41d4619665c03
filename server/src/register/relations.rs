//! Whose change may leave others without a head of household or a guardian. Noted in the change's transaction, looked
//! at after it: who is in a household stands in sealed values of other records. Knows no check and no reader.

use chrono::{DateTime, Utc};
use doorstep_core::ids::RecordId;
use doorstep_core::projection::Projection;
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::filters;
use super::judging::AcceptedChange;
use super::ledger::Commit;
use crate::error::ApiResult;
use crate::state::AppState;

/// The code of 户主 in `relation_to_head`.
pub const HEAD: &str = "02";
const INSERT: &str = "INSERT INTO relation_reviews (resident, household_token, cancelled, at) \
    SELECT new.*, $4 FROM unnest($1::uuid[], $2::bigint[], $3::bool[]) AS new";
const TAKE: &str = include_str!("sql/take_relation_review.sql");

/// A resident whose change may concern others.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct RelationReview {
    /// The resident.
    pub resident: Uuid,
    /// The household that the resident headed or heads.
    pub household_token: Option<i64>,
    /// Whether the resident's file was cancelled.
    pub cancelled: bool,
}

/// The blind token of a household number.
#[must_use]
pub fn household_token(state: &AppState, number: &str) -> Option<i64> {
    let fields = Fields::from([("household_number".to_owned(), number.into())]);
    let tokens = doorstep_core::search::tokens("resident", &fields);
    tokens.first().map(|token| state.keys.blind(token))
}

/// The blind token of those whose files name a resident as guardian or linked person.
#[must_use]
pub fn linked_token(state: &AppState, resident: RecordId) -> i64 {
    state.keys.blind(&filters::linked_token(resident))
}

/// Takes the next review away; gone for good only with the commit.
///
/// # Errors
/// When the database fails.
pub async fn take_relation_review(tx: &mut PgConnection) -> ApiResult<Option<RelationReview>> {
    Ok(sqlx::query_as(TAKE).fetch_optional(tx).await?)
}

/// Notes what is to be looked at; gives whether there is anything.
pub(super) async fn note(tx: &mut PgConnection, commit: &Commit<'_>) -> ApiResult<bool> {
    let mut rows: (Vec<Uuid>, Vec<Option<i64>>, Vec<bool>) = Default::default();
    for change in commit.changes {
        let Some(now) = commit.projections.get(&change.record) else {
            continue;
        };
        let is_resident = commit
            .records
            .get(&change.record)
            .is_some_and(|locked| locked.hold.record_type == "resident");
        if !is_resident {
            continue;
        }
        let cancelled = now.cancelled && moved(change, "status").is_some();
        let households = households(change, now);
        let tokens = households
            .iter()
            .map(|number| household_token(commit.state, number));
        let mut tokens: Vec<Option<i64>> = tokens.filter(Option::is_some).collect();
        if tokens.is_empty() && cancelled {
            tokens.push(None);
        }
        for token in tokens {
            rows.0.push(change.record.0);
            rows.1.push(token);
            rows.2.push(cancelled);
        }
    }
    if rows.0.is_empty() {
        return Ok(false);
    }
    let now: DateTime<Utc> = commit.now;
    sqlx::query(INSERT)
        .bind(rows.0)
        .bind(rows.1)
        .bind(rows.2)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(true)
}

/// The households that a change of one who is or was head may concern: the one left and the present one.
fn households<'a>(change: &'a AcceptedChange, now: &'a Projection) -> Vec<&'a str> {
    let text = |key: &str| now.fields.get(key).and_then(Value::as_text);
    let relation = moved(change, "relation_to_head");
    let number = moved(change, "household_number");
    // A new file leaves no household; a register that comes in from a file must not be looked at person by person.
    let concerns = relation.is_some() || number.is_some() || moved(change, "status").is_some();
    let is_head = text("relation_to_head") == Some(HEAD);
    let was_head = relation.map_or(is_head, |before| before.as_text() == Some(HEAD));
    if !concerns || !(is_head || was_head) {
        return Vec::new();
    }
    let before = number.and_then(Value::as_text);
    before.into_iter().chain(text("household_number")).collect()
}

/// What a field held before the change moved it.
fn moved<'a>(change: &'a AcceptedChange, field: &str) -> Option<&'a Value> {
    change
        .moved
        .iter()
        .find(|moved| moved.field == field)
        .map(|moved| &moved.before)
}

//! The registry's SQL, and nothing else.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{RecordRow, TieRow};

const LIST: &str = include_str!("sql/list.sql");
const COUNT: &str = include_str!("sql/count.sql");
const ALIASES: &str = include_str!("sql/aliases.sql");
const CHAIN: &str = include_str!("sql/chain.sql");
const LOCK_ALL: &str = "SELECT FROM records WHERE id = ANY($1) ORDER BY id FOR UPDATE";
const FIND: &str = include_str!("sql/find.sql");
const FIND_COUNTS: &str = include_str!("sql/find_counts.sql");
const TIES: &str = include_str!("sql/ties.sql");
const RECORDS: &str = include_str!("sql/records.sql");
/// Until the transaction ends nobody else makes a record of this id on the console.
const CLAIM: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0))";
/// Erased ones too: their ids are not given again. Nor are those of events: see `register_ids`.
const EXISTS: &str = "SELECT EXISTS (SELECT FROM records WHERE id = $1) \
    OR EXISTS (SELECT FROM events WHERE id = $1)";
const NOT_ERASED: &str = "SELECT id FROM records WHERE id = ANY($1) AND erased_at IS NULL";
const LOCK: &str = include_str!("sql/lock.sql");
const PEOPLE: &str = include_str!("sql/people.sql");
const VISITS: &str = include_str!("sql/visits.sql");
const OPEN_CONFLICTS: &str =
    "SELECT count(*) FROM conflicts WHERE (record_id = $1 OR other_id = $1) AND status = 'open'";
const CONFLICTS: &str = include_str!("sql/conflicts.sql");
const BUILDINGS: &str = include_str!("sql/buildings.sql");
const HOUSES_OF: &str = include_str!("sql/houses_of.sql");
const ROOMS: &str = include_str!("sql/rooms.sql");
const FORMER: &str = include_str!("sql/former.sql");
const HOUSEHOLDERS: &str = include_str!("sql/householders.sql");
const FIELD_CHANGES: &str = include_str!("sql/field_changes.sql");
const POPULATION_CHANGES: &str = include_str!("sql/population_changes.sql");
const POPULATION_COUNTS: &str = include_str!("sql/population_counts.sql");
const ADDRESS_CHANGES: &str = include_str!("sql/address_changes.sql");
const TIES_OF_HOUSE: &str = include_str!("sql/ties_of_house.sql");
const MAKERS: &str =
    "SELECT hash, user_id, device_id, made_at, accepted_at FROM changes WHERE hash = ANY($1)";
const REMINDED: &str = "SELECT scope, key FROM states \
    WHERE key = ANY($1) AND key LIKE 'reminder/%' AND json <> '' ORDER BY scope, key";
const REMINDERS: &str = "SELECT DISTINCT key, json FROM states \
    WHERE key LIKE 'reminder/%' AND json <> '' AND starts_with(key, $1) AND (key, json) > ($2, $3) \
    ORDER BY key, json LIMIT $4";
const OPEN_CLAIMS: &str = "SELECT id, subject FROM conflicts \
    WHERE record_id = $1 AND kind = 'main_residence' AND status = 'open' ORDER BY id";

/// A search is planned for what it looks for: one plan for all of them could use no index of what may be left out.
const PLANNED_ONCE: bool = false;

/// Which records a list takes; `None` leaves a condition out.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) record_type: &'static str,
    /// Found by what was typed.
    pub(super) ids: Option<Vec<Uuid>>,
    /// In any of these areas or below.
    pub(super) areas: Option<Vec<String>>,
    /// With all of these blind tokens.
    pub(super) tokens: Option<Vec<i64>>,
    pub(super) cancelled: Option<bool>,
    /// With these values in clear.
    pub(super) facets: Option<serde_json::Value>,
    /// Without these fields in clear.
    pub(super) lacking: Option<Vec<String>>,
    pub(super) unverified_since: Option<NaiveDate>,
    pub(super) after: Option<Uuid>,
    pub(super) rows: i64,
}

pub(super) async fn list(tx: &mut PgConnection, filter: &Filter) -> sqlx::Result<Vec<RecordRow>> {
    sqlx::query_as(LIST)
        .persistent(PLANNED_ONCE)
        .bind(filter.record_type)
        .bind(&filter.ids)
        .bind(&filter.areas)
        .bind(&filter.tokens)
        .bind(filter.cancelled)
        .bind(&filter.facets)
        .bind(filter.unverified_since)
        .bind(filter.after)
        .bind(filter.rows)
        .bind(&filter.lacking)
        .fetch_all(tx)
        .await
}

pub(super) async fn count(tx: &mut PgConnection, filter: &Filter, most: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(COUNT)
        .persistent(PLANNED_ONCE)
        .bind(filter.record_type)
        .bind(&filter.ids)
        .bind(&filter.areas)
        .bind(&filter.tokens)
        .bind(filter.cancelled)
        .bind(&filter.facets)
        .bind(filter.unverified_since)
        .bind(most)
        .bind(&filter.lacking)
        .fetch_one(tx)
        .await
}

/// The number under which [`find_counts`] tells how many records carry the whole address.
pub(super) const ADDRESS: i32 = -1;

/// How many records carry each term (its number with each of its blind tokens), and all of `address`, counted up to
/// `most`: number, count.
pub(super) async fn find_counts(
    tx: &mut PgConnection,
    terms: &[(i32, i64)],
    address: &[i64],
    areas: Option<&[String]>,
    most: i64,
) -> sqlx::Result<Vec<(i32, i64)>> {
    let (numbers, tokens): (Vec<i32>, Vec<i64>) = terms.iter().copied().unzip();
    sqlx::query_as(FIND_COUNTS)
        .persistent(PLANNED_ONCE)
        .bind(numbers)
        .bind(tokens)
        .bind(areas)
        .bind(most)
        .bind(address)
        .fetch_all(tx)
        .await
}

/// What a search by words looks for.
#[derive(Debug)]
pub(super) struct Words<'a> {
    /// What is looked for: `resident`, `house` or `residence`.
    pub(super) record_type: &'static str,
    /// The terms: each by its number with each of its blind tokens.
    pub(super) terms: &'a [(i32, i64)],
    /// How many terms.
    pub(super) count: i64,
    /// To begin with what carries any of these.
    pub(super) any_of: Option<Vec<i64>>,
    /// To begin with what carries all of these.
    pub(super) all_of: Option<&'a [i64]>,
    /// Begin with what carries all terms by itself.
    pub(super) whole: bool,
    /// In any of these areas or below.
    pub(super) areas: Option<&'a [String]>,
}

/// The records that all terms find, `most` at most.
pub(super) async fn find(
    tx: &mut PgConnection,
    words: &Words<'_>,
    most: i64,
) -> sqlx::Result<Vec<Uuid>> {
    let (numbers, tokens): (Vec<i32>, Vec<i64>) = words.terms.iter().copied().unzip();
    sqlx::query_scalar(FIND)
        .persistent(PLANNED_ONCE)
        .bind(numbers)
        .bind(tokens)
        .bind(words.areas)
        .bind(words.count)
        .bind(most)
        .bind(&words.any_of)
        .bind(words.whole)
        .bind(words.record_type)
        .bind(words.all_of)
        .fetch_all(tx)
        .await
}

pub(super) async fn ties(
    tx: &mut PgConnection,
    residents: &[Uuid],
    ended: bool,
) -> sqlx::Result<Vec<TieRow>> {
    sqlx::query_as(TIES)
        .bind(residents)
        .bind(ended)
        .fetch_all(tx)
        .await
}

/// The residences in force in a house.
pub(super) async fn ties_of_house(tx: &mut PgConnection, house: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(TIES_OF_HOUSE)
        .bind(house)
        .fetch_all(tx)
        .await
}

pub(super) async fn records(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<RecordRow>> {
    sqlx::query_as(RECORDS).bind(ids).fetch_all(tx).await
}

/// Those of the records that are there and not erased.
pub(super) async fn not_erased(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(NOT_ERASED).bind(ids).fetch_all(tx).await
}

pub(super) async fn record(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<RecordRow>> {
    sqlx::query_as(RECORDS)
        .bind([id].as_slice())
        .fetch_optional(tx)
        .await
}

/// The records that were merged into these, and into those.
pub(super) async fn aliases(tx: &mut PgConnection, records: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(ALIASES)
        .bind(records)
        .fetch_all(tx)
        .await
}

/// Whose scopes hold a reminder of one of these keys: scope, key.
pub(super) async fn reminded(
    tx: &mut PgConnection,
    keys: &[String],
) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as(REMINDED).bind(keys).fetch_all(tx).await
}

/// Reminders that stand, by key and text, from after one on.
pub(super) async fn reminders(
    tx: &mut PgConnection,
    prefix: &str,
    (key, json): &(String, String),
    most: i64,
) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as(REMINDERS)
        .bind(prefix)
        .bind(key)
        .bind(json)
        .bind(most)
        .fetch_all(tx)
        .await
}

/// A record with all that are one with it by merging: those merged into it, and what it was merged into.
pub(super) async fn chain(tx: &mut PgConnection, record: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(CHAIN).bind(record).fetch_all(tx).await
}

/// Locks these records, aliases and erased ones too, in the order of their ids.
pub(super) async fn lock_all(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query(LOCK_ALL).bind(ids).execute(tx).await?;
    Ok(())
}

/// Claims an id for a new record; whether there is or was a record of it, or is an event. Who sends the same again at the same time
/// waits, and finds it.
pub(super) async fn is_taken(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query(CLAIM).bind(id).execute(&mut *tx).await?;
    sqlx::query_scalar(EXISTS).bind(id).fetch_one(tx).await
}

/// As [`records`], locked in the order of ids as the register locks them; without aliases.
pub(super) async fn lock(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<RecordRow>> {
    sqlx::query_as(LOCK).bind(ids).fetch_all(tx).await
}

/// A person with a residence in one of the houses asked for, still sealed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct PersonRow {
    #[sqlx(flatten)]
    pub(super) row: RecordRow,
    pub(super) houses: Vec<Uuid>,
    pub(super) kinds: Vec<String>,
    pub(super) main: bool,
}

/// The people of houses, and those who carry a token (a household number).
pub(super) async fn people(
    tx: &mut PgConnection,
    houses: &[Uuid],
    token: Option<i64>,
) -> sqlx::Result<Vec<PersonRow>> {
    sqlx::query_as(PEOPLE)
        .bind(houses)
        .bind(token)
        .fetch_all(tx)
        .await
}

/// The latest visits about a record: id and when.
pub(super) async fn visits(
    tx: &mut PgConnection,
    record: Uuid,
    most: i64,
) -> sqlx::Result<Vec<(Uuid, DateTime<Utc>)>> {
    sqlx::query_as(VISITS)
        .bind(record)
        .bind(most)
        .fetch_all(tx)
        .await
}

pub(super) async fn open_conflicts(tx: &mut PgConnection, record: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar(OPEN_CONFLICTS)
        .bind(record)
        .fetch_one(tx)
        .await
}

/// An item of the conflict queue about a record.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct ConflictRow {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) status: String,
    pub(super) opened_at: DateTime<Utc>,
    pub(super) decided_at: Option<DateTime<Utc>>,
    pub(super) decided_by: Option<Uuid>,
    pub(super) decision: Option<String>,
}

pub(super) async fn conflicts(
    tx: &mut PgConnection,
    record: Uuid,
) -> sqlx::Result<Vec<ConflictRow>> {
    sqlx::query_as(CONFLICTS).bind(record).fetch_all(tx).await
}

/// The open claims to a resident's main residence: item and residence claimed.
pub(super) async fn open_claims(
    tx: &mut PgConnection,
    resident: Uuid,
) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as(OPEN_CLAIMS)
        .bind(resident)
        .fetch_all(tx)
        .await
}

/// Who made a change.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct MakerRow {
    pub(super) hash: Vec<u8>,
    pub(super) user_id: Option<Uuid>,
    pub(super) device_id: Uuid,
    pub(super) made_at: DateTime<Utc>,
    pub(super) accepted_at: DateTime<Utc>,
}

pub(super) async fn makers(
    tx: &mut PgConnection,
    hashes: &[Vec<u8>],
) -> sqlx::Result<Vec<MakerRow>> {
    sqlx::query_as(MAKERS).bind(hashes).fetch_all(tx).await
}

/// A building with its counts.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct BuildingRow {
    pub(super) building: String,
    pub(super) area: String,
    pub(super) estate: Option<String>,
    pub(super) address: Option<String>,
    pub(super) houses: i64,
    pub(super) vacant: i64,
    pub(super) rented: i64,
    pub(super) unverified: i64,
}

pub(super) async fn buildings(
    tx: &mut PgConnection,
    areas: &[String],
    since: NaiveDate,
) -> sqlx::Result<Vec<BuildingRow>> {
    sqlx::query_as(BUILDINGS)
        .bind(areas)
        .bind(since)
        .fetch_all(tx)
        .await
}

/// A house of a building, with how many people of each class it has.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct RoomRow {
    pub(super) id: Uuid,
    pub(super) version: i32,
    pub(super) area_code: String,
    pub(super) facets: serde_json::Value,
    pub(super) verified_at: Option<DateTime<Utc>>,
    pub(super) here_both: i64,
    pub(super) lives_only: i64,
    pub(super) register_only: i64,
    pub(super) owner_only: i64,
    pub(super) renting: i64,
}

/// The houses of an area; of one building, where its token is given.
pub(super) async fn rooms(
    tx: &mut PgConnection,
    areas: &[String],
    building: Option<i64>,
    unnumbered: bool,
) -> sqlx::Result<Vec<RoomRow>> {
    sqlx::query_as(ROOMS)
        .bind(areas)
        .bind(building)
        .bind(unnumbered)
        .fetch_all(tx)
        .await
}

/// The houses that questions about residents and residences concern: each question's place, counted from 1, with a house.
pub(super) async fn houses_of(
    tx: &mut PgConnection,
    residents: &[Uuid],
    residences: &[Option<Uuid>],
) -> sqlx::Result<Vec<(i64, Uuid)>> {
    sqlx::query_as(HOUSES_OF)
        .bind(residents)
        .bind(residences)
        .fetch_all(tx)
        .await
}

/// A residence that ended, still sealed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct FormerRow {
    #[sqlx(flatten)]
    pub(super) tie: TieRow,
}

pub(super) async fn former(
    tx: &mut PgConnection,
    areas: Option<&[String]>,
    house: Option<Uuid>,
    after: Option<Uuid>,
    rows: i64,
) -> sqlx::Result<Vec<FormerRow>> {
    sqlx::query_as(FORMER)
        .persistent(PLANNED_ONCE)
        .bind(areas)
        .bind(house)
        .bind(after)
        .bind(rows)
        .fetch_all(tx)
        .await
}

/// A person of the household register, still sealed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct HouseholderRow {
    #[sqlx(flatten)]
    pub(super) row: RecordRow,
    /// Lives where registered.
    pub(super) here: bool,
    /// Lives in another place that is known.
    pub(super) elsewhere: bool,
}

pub(super) async fn householders(
    tx: &mut PgConnection,
    ids: Option<&[Uuid]>,
    areas: Option<&[String]>,
    after: Option<Uuid>,
    rows: i64,
) -> sqlx::Result<Vec<HouseholderRow>> {
    sqlx::query_as(HOUSEHOLDERS)
        .persistent(PLANNED_ONCE)
        .bind(ids)
        .bind(areas)
        .bind(after)
        .bind(rows)
        .fetch_all(tx)
        .await
}

/// What a list of the ledger takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Period {
    /// Beginning of the area's code.
    pub(super) area: Option<String>,
    pub(super) record: Option<Uuid>,
    /// A field's key, or a kind of change.
    pub(super) what: Option<String>,
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) until: Option<DateTime<Utc>>,
    pub(super) rows: i64,
}

/// A key field that took another value, sealed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct FieldChangeRow {
    pub(super) id: Uuid,
    pub(super) record_id: Uuid,
    pub(super) area: String,
    pub(super) field: String,
    pub(super) user_id: Uuid,
    pub(super) device_id: Uuid,
    pub(super) made_at: DateTime<Utc>,
    pub(super) accepted_at: DateTime<Utc>,
    pub(super) body: Vec<u8>,
}

pub(super) async fn field_changes(
    tx: &mut PgConnection,
    period: &Period,
    before: Option<(DateTime<Utc>, Uuid)>,
) -> sqlx::Result<Vec<FieldChangeRow>> {
    sqlx::query_as(FIELD_CHANGES)
        .bind(&period.area)
        .bind(period.record)
        .bind(&period.what)
        .bind(period.from)
        .bind(period.until)
        .bind(before.map(|(at, _)| at))
        .bind(before.map(|(_, id)| id))
        .bind(period.rows)
        .fetch_all(tx)
        .await
}

/// A resident who began or ceased to count in an area.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct PopulationChangeRow {
    pub(super) id: i64,
    pub(super) resident: Uuid,
    pub(super) area: String,
    pub(super) kind: String,
    pub(super) residence: Option<Uuid>,
    pub(super) other_area: Option<String>,
    pub(super) user_id: Uuid,
    pub(super) device_id: Uuid,
    pub(super) accepted_at: DateTime<Utc>,
}

pub(super) async fn population_changes(
    tx: &mut PgConnection,
    period: &Period,
    before: Option<i64>,
) -> sqlx::Result<Vec<PopulationChangeRow>> {
    sqlx::query_as(POPULATION_CHANGES)
        .bind(&period.area)
        .bind(period.record)
        .bind(&period.what)
        .bind(period.from)
        .bind(period.until)
        .bind(before)
        .bind(period.rows)
        .fetch_all(tx)
        .await
}

pub(super) async fn population_counts(
    tx: &mut PgConnection,
    period: &Period,
) -> sqlx::Result<Vec<(String, String, i64)>> {
    sqlx::query_as(POPULATION_COUNTS)
        .bind(&period.area)
        .bind(period.from)
        .bind(period.until)
        .fetch_all(tx)
        .await
}

/// A main residence that became another.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct AddressChangeRow {
    pub(super) id: i64,
    pub(super) resident: Uuid,
    pub(super) areas: Vec<String>,
    pub(super) from_residence: Option<Uuid>,
    pub(super) to_residence: Option<Uuid>,
    pub(super) user_id: Uuid,
    pub(super) device_id: Uuid,
    pub(super) made_at: DateTime<Utc>,
    pub(super) accepted_at: DateTime<Utc>,
}

pub(super) async fn address_changes(
    tx: &mut PgConnection,
    period: &Period,
    before: Option<i64>,
) -> sqlx::Result<Vec<AddressChangeRow>> {
    sqlx::query_as(ADDRESS_CHANGES)
        .bind(&period.area)
        .bind(period.record)
        .bind(period.from)
        .bind(period.until)
        .bind(before)
        .bind(period.rows)
        .fetch_all(tx)
        .await
}

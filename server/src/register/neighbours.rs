//! Order between groups that are committed at the same time but concern each other beyond the records they change:
//! the same certificate number made twice, two residences of one resident. Whoever takes an order first commits first,
//! and the other then sees what it wrote. Knows no judging; takes locks, and reads only where those whom it locks lie.
//!
//! Locks are always taken in this sequence, so that no two groups wait for each other: records by id (residents of
//! residences among them), stripes by number, scopes by name, the head of the audit log.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::projection::Projection;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::judging::AcceptedChange;
use super::load::Locked;
use super::model::{Areas, Prepared};
use crate::error::{ApiError, ApiResult};
use crate::keys::KeyRing;

const LOCK_RESIDENTS: &str = include_str!("sql/lock_residents.sql");
const TAKE_STRIPES: &str =
    "SELECT pg_advisory_xact_lock($1, stripe) FROM unnest($2::int[]) AS stripe";

/// The advisory locks' first half, as hexadecimal letters would have it: "d005".
const CLASS: i32 = 0xd005;
/// How many stripes there are. Few, because each that is held has a place in the database's table of locks.
const STRIPES: u64 = 128;

/// Locks these records, which `items` change or name, with the residents of the residences among them and the survivors
/// of those merged away, in the order of their ids, and gives where each lies. Does nothing when no residence is changed:
/// then whoever loads the records locks all there is to lock.
///
/// # Errors
/// When the database fails.
pub(super) async fn lock_residents<'a>(
    tx: &mut PgConnection,
    ids: impl Iterator<Item = &'a RecordId>,
    mut items: impl Iterator<Item = &'a Prepared>,
) -> ApiResult<BTreeMap<RecordId, Vec<AreaCode>>> {
    if !items.any(|item| item.record_type() == Some("residence")) {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<Uuid> = ids.map(|id| id.0).collect();
    let rows: Vec<(Uuid, Vec<String>)> = sqlx::query_as(LOCK_RESIDENTS)
        .bind(ids)
        .fetch_all(tx)
        .await?;
    let lies = |(id, areas): (Uuid, Vec<String>)| {
        let areas = Areas::try_from(areas).map_err(ApiError::internal)?;
        Ok((RecordId(id), areas.0))
    };
    rows.into_iter().map(lies).collect()
}

/// Takes the stripes of certificate numbers and residents that these changes concern.
///
/// # Errors
/// When the database fails.
pub(super) async fn take(
    tx: &mut PgConnection,
    keys: &KeyRing,
    records: &BTreeMap<RecordId, Locked>,
    projections: &BTreeMap<RecordId, Projection>,
    changes: &[AcceptedChange],
) -> ApiResult<()> {
    let mut stripes = BTreeSet::new();
    for change in changes {
        let (Some(locked), Some(projection)) =
            (records.get(&change.record), projections.get(&change.record))
        else {
            continue;
        };
        match locked.hold.record_type.as_str() {
            "resident" => {
                let numbers = projection
                    .tokens
                    .iter()
                    .filter(|token| token.starts_with("id:"));
                stripes.extend(numbers.map(|token| stripe(keys.blind(token).cast_unsigned())));
                if change.new {
                    stripes.insert(of_record(change.record));
                }
            }
            "residence" => {
                let residents = projection
                    .links
                    .iter()
                    .filter(|(field, _)| field == "resident");
                stripes.extend(residents.map(|(_, resident)| of_record(*resident)));
            }
            _ => {}
        }
    }
    if stripes.is_empty() {
        return Ok(());
    }
    let stripes: Vec<i32> = stripes.into_iter().collect();
    sqlx::query(TAKE_STRIPES)
        .bind(CLASS)
        .bind(stripes)
        .execute(tx)
        .await?;
    Ok(())
}

fn of_record(id: RecordId) -> i32 {
    stripe(id.0.as_u64_pair().1)
}

fn stripe(hash: u64) -> i32 {
    i32::try_from(hash % STRIPES).unwrap_or_default()
}

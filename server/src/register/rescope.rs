//! Whose phones a resident reaches: the areas of the houses and residences that tie the resident to them.
//! A move puts the record into one scope's log and a LEAVE into another's.

use std::collections::BTreeSet;

use doorstep_core::ids::{AreaCode, ChangeHash, RecordId, ScopeId};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::load::heads;
use super::log::{Draft, LogKind, ScopeWrites};
use super::model::Areas;
use crate::error::ApiResult;

const RESIDENCE_AREAS: &str = include_str!("sql/residence_areas.sql");
const SET_AREAS: &str = include_str!("sql/set_areas.sql");

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    #[sqlx(try_from = "Vec<String>")]
    areas: Areas,
    heads: Vec<u8>,
    #[sqlx(try_from = "Vec<String>")]
    lives_in: Areas,
}

/// Moves these residents into the scopes of their residences, as they stand after this transaction's writes.
pub(super) async fn residents(
    tx: &mut PgConnection,
    residents: &BTreeSet<RecordId>,
    writes: &mut ScopeWrites,
) -> ApiResult<()> {
    let ids: Vec<Uuid> = residents.iter().map(|id| id.0).collect();
    let rows: Vec<Row> = sqlx::query_as(RESIDENCE_AREAS)
        .bind(&ids)
        .fetch_all(&mut *tx)
        .await?;
    for row in rows {
        if row.lives_in.0.is_empty() {
            continue; // nobody knows where: it stays with those who have it
        }
        let lives_in: Vec<String> = row.lives_in.0.iter().map(ToString::to_string).collect();
        let before: BTreeSet<AreaCode> = row.areas.0.into_iter().collect();
        let after: BTreeSet<AreaCode> = row.lives_in.0.into_iter().collect();
        if before == after {
            continue;
        }
        let record = RecordId(row.id);
        let heads = heads(&row.heads);
        for area in after.difference(&before) {
            enter(writes, ScopeId::Area(*area), record, &heads);
        }
        for area in before.difference(&after) {
            leave(writes, ScopeId::Area(*area), record, &heads);
        }
        sqlx::query(SET_AREAS)
            .bind(row.id)
            .bind(lives_in)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// A record comes into a scope, whole.
pub(super) fn enter(
    writes: &mut ScopeWrites,
    scope: ScopeId,
    record: RecordId,
    heads: &[ChangeHash],
) {
    writes.push(scope, draft(LogKind::Whole, record));
    writes.move_digest(scope, record, &[], heads);
}

/// A record leaves a scope: devices purge it.
pub(super) fn leave(
    writes: &mut ScopeWrites,
    scope: ScopeId,
    record: RecordId,
    heads: &[ChangeHash],
) {
    writes.push(scope, draft(LogKind::Leave, record));
    writes.move_digest(scope, record, heads, &[]);
}

fn draft(kind: LogKind, record: RecordId) -> Draft {
    let entry =
        (kind == LogKind::Leave).then_some(doorstep_core::protocol::frames::Entry::Leave(record));
    Draft {
        kind,
        record: Some(record),
        hash: None,
        device: None,
        state_key: None,
        entry,
    }
}

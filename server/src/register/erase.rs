//! Erasing records for good: key, values, changes and links are destroyed, every device that held them is told to
//! purge, and what is left is the id with the next epoch. Knows no right and no reason: the caller checks and records
//! them.

use std::collections::BTreeSet;

use doorstep_core::ids::{AreaCode, ConflictId, EventId, RecordId, ScopeId};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::Entry;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::load::heads;
use super::log::{Draft, LogKind, ScopeWrites, Told};
use super::model::Areas;
use super::sealing::{self, ConflictBody};
use crate::error::{ApiError, ApiResult};
use crate::state::AppState;

const LOCK: &str = include_str!("sql/lock_erased.sql");
const ERASE_RECORDS: &str = include_str!("sql/erase_records.sql");
const ERASE_TRACES: &str = include_str!("sql/erase_traces.sql");
const ERASE_REFUSED: &str = include_str!("sql/erase_refused.sql");
const ERASE_EVENTS: &str = include_str!("sql/erase_events.sql");
const CONFLICTS: &str = include_str!("sql/erased_conflicts.sql");
const LEFT_OPEN: &str = "UPDATE conflicts SET version = version + 1 WHERE id = ANY($1)";
const EMPTY_CONFLICT: &str = include_str!("sql/empty_conflict.sql");

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    #[sqlx(try_from = "Vec<String>")]
    areas: Areas,
    heads: Vec<u8>,
    merged: bool,
}

/// What an erasure did.
#[derive(Debug)]
pub struct Erasure {
    /// The events that went with the records.
    pub events: Vec<EventId>,
    /// What goes to those online.
    pub told: Told,
}

/// Erases records, with the events about them. What was refused is to be read before ([`super::read_refused`]).
///
/// # Errors
/// When the database fails; the transaction must then be dropped.
pub async fn erase(
    tx: &mut PgConnection,
    state: &AppState,
    records: &[RecordId],
) -> ApiResult<Erasure> {
    let now = state.clock.now();
    let ids: Vec<Uuid> = records.iter().map(|id| id.0).collect();
    let mut writes = ScopeWrites::default();
    let rows: Vec<Row> = sqlx::query_as(LOCK).bind(&ids).fetch_all(&mut *tx).await?;
    for row in rows {
        let record = RecordId(row.id);
        let held = heads(&row.heads);
        for area in row.areas.0 {
            let scope = ScopeId::Area(area);
            writes.push(scope, draft(record));
            // What was merged into another left the scope then.
            if !row.merged {
                writes.move_digest(scope, record, &held, &[]);
            }
        }
    }
    let events: Vec<(Uuid, String)> = sqlx::query_as(ERASE_EVENTS)
        .bind(&ids)
        .fetch_all(&mut *tx)
        .await?;
    for (event, area) in &events {
        let area: AreaCode = area.parse().map_err(ApiError::internal)?;
        writes.push(ScopeId::Area(area), draft(EventId(*event).into()));
    }
    sqlx::query(ERASE_TRACES)
        .bind(&ids)
        .execute(&mut *tx)
        .await?;
    let refused: Vec<Uuid> = sqlx::query_scalar(ERASE_REFUSED)
        .bind(&ids)
        .fetch_all(&mut *tx)
        .await?;
    let conflicts: Vec<(Uuid, String)> = sqlx::query_as(CONFLICTS)
        .bind(&ids)
        .bind(&refused)
        .fetch_all(&mut *tx)
        .await?;
    let emptied: BTreeSet<Uuid> = conflicts.iter().map(|(id, _)| *id).collect();
    let mut left = refused;
    left.retain(|id| !emptied.contains(id));
    sqlx::query(LEFT_OPEN).bind(&left).execute(&mut *tx).await?;
    for (id, area) in conflicts {
        let id = ConflictId(id);
        let area = area.parse().map_err(ApiError::internal)?;
        let (key, wrapped) = state.keys.new_record_key(RecordId(id.0), area).await?;
        let plain = codec::to_bytes(&ConflictBody::default());
        let body = sealing::seal_row(&key, "conflicts", id.as_bytes(), &plain)?;
        sqlx::query(EMPTY_CONFLICT)
            .bind(id.0)
            .bind(wrapped.sealed)
            .bind(wrapped.version)
            .bind(body)
            .bind(now)
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query(ERASE_RECORDS)
        .bind(&ids)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    Ok(Erasure {
        events: events.into_iter().map(|(id, _)| EventId(id)).collect(),
        told: writes.write(tx).await?,
    })
}

fn draft(record: RecordId) -> Draft {
    Draft {
        kind: LogKind::Erase,
        record: Some(record),
        hash: None,
        device: None,
        state_key: None,
        entry: Some(Entry::Erase(record)),
    }
}

//! Whom a refused item tells of. A visit is kept for the supervisor under its own id, and so is a residence that never
//! came to be: when a person is erased, what tells of the person is found by this. Knows no queue and no decision.

use doorstep_core::crdt::chunk;
use doorstep_core::envelope::Item;
use doorstep_core::ids::RecordId;
use doorstep_core::projection;
use doorstep_core::protocol::codec;
use sqlx::types::Uuid;

use super::sealing;
use crate::database::system_tx;
use crate::error::{ApiError, ApiResult};
use crate::keys::WrappedKey;
use crate::state::AppState;

const UNREAD: &str = include_str!("sql/unread_refused.sql");
const READ: &str = "UPDATE refused_items SET subjects = $2::text::uuid[] WHERE id = $1";

/// Items opened at a time.
const STEP: i64 = 500;

/// The records that an item tells of: those an event refers to, the resident of a residence.
pub(super) fn subjects(item: &Item) -> Vec<RecordId> {
    match item {
        Item::Event(event) => projection::subjects(&event.event_type, &event.fields).collect(),
        Item::Change(change) if change.record_type == "residence" => {
            let ops = chunk::decode(&change.bytes).map(|(change, _)| change.ops);
            let ops = ops.unwrap_or_default().into_iter();
            ops.filter(|op| op.key == "resident")
                .filter_map(|op| op.value.as_text()?.parse().ok())
                .collect()
        }
        Item::Change(_) => Vec::new(),
    }
}

/// As an array's literal.
pub(super) fn literal(subjects: &[RecordId]) -> String {
    let ids: Vec<String> = subjects.iter().map(ToString::to_string).collect();
    format!("{{{}}}", ids.join(","))
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    conflict_id: Uuid,
    body: Vec<u8>,
    #[sqlx(flatten)]
    wrapped: WrappedKey,
}

/// Reads whom those items tell of that were refused before it was noted: before anything is erased. There are none
/// after the first time, which may take long: each step is kept, so that who asks again goes on from there.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn read_refused(state: &AppState) -> ApiResult<()> {
    let mut after = Uuid::nil();
    loop {
        let mut tx = system_tx(&state.pool).await?;
        let rows: Vec<Row> = sqlx::query_as(UNREAD)
            .bind(after)
            .bind(STEP)
            .fetch_all(&mut *tx)
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            after = row.id;
            let conflict = RecordId(row.conflict_id);
            let key = state.keys.record_key(conflict, &row.wrapped).await?;
            // The key of an item that an erasure emptied is another one: what was refused can't be opened any more.
            let found = sealing::open_row(&key, "refused_items", row.id.as_bytes(), &row.body)
                .and_then(|plain| codec::from_bytes(&plain).map_err(ApiError::internal))
                .map(|item| subjects(&item))
                .unwrap_or_default();
            sqlx::query(READ)
                .bind(row.id)
                .bind(literal(&found))
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
    }
}

//! Taking an import back: what it made is cancelled, what it changed gets its former values, the last row first. What
//! someone edited since stays as it is, and is said so.

use std::collections::BTreeMap;

use doorstep_core::ids::{RecordId, UserId};
use doorstep_core::value::Fields;
use serde_json::json;

use super::model::{ImportRow, Written};
use super::rows::Sealer;
use super::store;
use super::work::{LEASE, end, hold};
use crate::domains::audit::{self, Action, Entry};
use crate::domains::registry::service::{cancelled, reason};
use crate::error::ApiResult;
use crate::register::{self, Opened, Put, Submission, Submitter};
use crate::state::AppState;

const BATCH: i64 = 200;

/// Takes back what is left to take back.
pub(super) async fn take_back(state: &AppState, import: &mut ImportRow) -> ApiResult<()> {
    let sealer = Sealer::of(state, import).await?;
    let by = UserId(import.created_by);
    let mut counts = import.counts.0;
    loop {
        let Some(mut tx) = hold(state, import).await? else {
            return Ok(());
        };
        let rows = store::written_rows(&mut tx, import.id, BATCH).await?;
        let Some(last) = rows.last() else { break };
        let at_row = last.row;
        let mut bodies = Vec::with_capacity(rows.len());
        for row in &rows {
            bodies.push((row.row, sealer.open_row(row)?.writes));
        }
        let ids: Vec<RecordId> = bodies
            .iter()
            .flat_map(|(_, writes)| writes.iter().map(|write| write.record))
            .collect();
        let records = register::lock(&mut tx, &state.keys, &ids).await?;
        let mut puts = Vec::new();
        let mut marks = Vec::new();
        for (row, writes) in bodies {
            let kept = writes.iter().any(|write| !stands(&records, write));
            counts.kept += i64::from(kept);
            counts.undone += i64::from(!kept);
            marks.push((row, if kept { "kept" } else { "undone" }));
            // A row goes back whole or not at all: no resident is left without a place.
            let back = writes.into_iter().rev().filter(|_| !kept);
            puts.extend(back.map(|write| Put {
                record: write.record,
                record_type: write.record_type.clone(),
                fields: former(state, write),
            }));
        }
        let submission = Submission::puts(Submitter::server(state, by), puts);
        let mut applied = register::apply(&mut tx, state, vec![submission]).await?;
        store::mark_rows(&mut tx, import.id, &marks).await?;
        store::progress(
            &mut tx,
            import.id,
            at_row,
            counts,
            state.clock.now() + LEASE,
        )
        .await?;
        let entry = Entry::by_server(state.clock.now(), Action::UndoImportBatch)
            .user(by)
            .subject("import", import.id)
            .area(import.area())
            .detail(json!({ "rows": marks.len(), "changes": applied.changes }));
        audit::record(&mut tx, entry).await?;
        tx.commit().await?;
        import.version += 1;
        applied.tell(state);
    }
    let text = format!(
        "导入已撤销：{} 行已恢复原状，{} 行之后被他人修改，保留现状。",
        counts.undone, counts.kept
    );
    end(state, import, "undone", "import_undone", &text).await
}

/// Whether a record still holds what was written.
fn stands(records: &BTreeMap<RecordId, Opened>, write: &Written) -> bool {
    records.get(&write.record).is_some_and(|record| {
        let untouched = !write.created || record.registers.change_count() == 1;
        untouched && record.holds(&write.after)
    })
}

fn former(state: &AppState, write: Written) -> Fields {
    if !write.created {
        return write.before;
    }
    cancelled(reason::IN_ERROR, state.clock.today())
}

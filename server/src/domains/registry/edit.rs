//! Changing records on the console: judged by the register like a phone's changes, with the user's own rights, and
//! wholly or not at all. What every other write here shares: locking, putting, finishing.

use std::collections::BTreeSet;

use doorstep_core::ids::RecordId;
use doorstep_core::records;
use doorstep_core::rights::Permission;
use serde_json::json;
use sqlx::PgConnection;

use super::checks::{problems, references, written};
use super::model::{EditRecord, RecordView, Written};
use super::standing::has_own_operation;
use super::view::{self, Open};
use super::{file, store};
use crate::database::{Tx, system_tx};
use crate::domains::audit::{self, Action, Entry};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Problems};
use crate::register::{self, Applied, Put, Submission, Submitter};
use crate::state::AppState;

/// Puts values through the register, in the caller's transaction. What the register refuses is refused whole: on the
/// console the person is there to mend it, so nothing goes to the queue.
pub(super) async fn put(
    tx: &mut PgConnection,
    state: &AppState,
    who: Submitter,
    puts: Vec<Put>,
) -> ApiResult<Applied> {
    let applied = register::apply(tx, state, vec![Submission::puts(who, puts)]).await?;
    applied.require_all(|refusal| {
        let message = match refusal.code.as_str() {
            "out_of_scope" => return ApiError::forbidden(),
            "resident_elsewhere" => {
                "这位居民登记在其他区划，居住关系没有生效；如此人确已迁来，请按新居民登记，由主管合并"
            }
            _ => &refusal.message,
        };
        let path = refusal.field.as_deref().unwrap_or("fields");
        ApiError::field(path, &refusal.code, message)
    })?;
    Ok(applied)
}

/// A record under its lock that the actor may write; 'not found' where the actor can't even read it.
pub(super) async fn lock(
    tx: &mut PgConnection,
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    record_type: Option<&str>,
) -> ApiResult<Open> {
    actor.trail.note_subject("record", id);
    let rows = store::lock(tx, &[id.0]).await?;
    let row = rows
        .into_iter()
        .find(|row| record_type.is_none_or(|wanted| row.sealed.record_type == wanted));
    let row = row.ok_or_else(|| ApiError::not_found("这份档案"))?;
    let areas = row.sealed.areas();
    if !areas
        .iter()
        .any(|area| actor.why(Permission::ReadRegister, area).is_some())
    {
        return Err(ApiError::not_found("这份档案"));
    }
    actor.trail.note_area(row.sealed.area());
    if !areas
        .iter()
        .any(|area| actor.why(Permission::WriteRegister, area).is_some())
    {
        return Err(ApiError::forbidden());
    }
    Open::new(state, row).await
}

/// What a write leaves, after its audit entry and the commit.
pub(super) async fn finish(
    state: &AppState,
    actor: &Actor,
    mut tx: Tx,
    mut applied: Applied,
    subject: RecordId,
    action: Action,
    detail: serde_json::Value,
) -> ApiResult<RecordView> {
    // Read before the audit entry, whose lock all writers share.
    let row = store::record(&mut tx, subject.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这份档案"))?;
    let area = row.sealed.area();
    let view = file::as_view(state, &mut tx, row).await?;
    let entry = Entry::by(actor, state.clock.now(), action)
        .subject("record", subject)
        .area(area);
    audit::record(&mut tx, entry.detail(detail)).await?;
    tx.commit().await?;
    applied.tell(state);
    Ok(view)
}

/// Changes a record's fields.
pub(super) async fn update(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    input: EditRecord,
    unchanged: impl Fn(&str) -> ApiResult<()>,
) -> ApiResult<Written> {
    let mut tx = system_tx(&state.pool).await?;
    let open = lock(&mut tx, state, actor, id, None).await?;
    unchanged(&open.row.sealed.version.to_string())?;
    let declared = view::declared(&open.row.sealed.record_type)?;
    if let Some(key) = input.fields.keys().find(|key| has_own_operation(key)) {
        return Err(ApiError::field(
            key,
            "own_operation",
            "注销和恢复请用各自的操作办理",
        ));
    }
    if open.row.sealed.cancelled {
        return Err(ApiError::conflict(
            "cancelled",
            "这份档案已注销，请先恢复再修改",
        ));
    }
    let edits = written(declared, input.fields);
    let refers = references(&mut tx, declared, &edits).await?;
    let (mut errors, warnings) = problems(declared, &open.fields, &edits, state.clock.today());
    errors.extend(refers.problems(actor));
    Problems::from(errors).finish()?;
    let names: BTreeSet<String> = edits
        .keys()
        .map(|key| records::split_key(key).0.to_owned())
        .collect();
    let applied = put(
        &mut tx,
        state,
        Submitter::user(state, actor),
        vec![open.put(edits)],
    )
    .await?;
    let conflicts_opened = applied.conflicts;
    let detail = json!({ "fields": names, "changed": applied.changes > 0 });
    let record = finish(state, actor, tx, applied, id, Action::UpdateRecord, detail).await?;
    Ok(Written {
        record,
        warnings,
        conflicts_opened,
    })
}

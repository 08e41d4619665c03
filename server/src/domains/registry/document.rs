//! A record as its Automerge document: every change that was accepted, for a purpose that is named, in the audit log.
//! Knows no masks: whoever may have this sees everything the record ever held.

use doorstep_core::ids::RecordId;
use doorstep_core::rights::Permission;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::file;
use super::reveal::Purpose;
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::ApiResult;
use crate::register;
use crate::state::AppState;

/// Why someone takes a record's whole history away.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportDocument {
    /// Why.
    pub purpose: Purpose,
}

/// The record's change chunks, one after another, each after those it builds on: what `Automerge.load` reads.
pub(super) async fn export(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    input: &ExportDocument,
) -> ApiResult<Vec<u8>> {
    let mut tx = scoped_tx(&state.pool, actor, Permission::RevealSecrets).await?;
    let row = file::find(&mut tx, actor, id, None).await?;
    let past = register::history(&mut tx, &state.keys, &row.sealed).await?;
    actor
        .trail
        .note_detail(json!({ "purpose": input.purpose, "changes": past.len() }));
    Ok(past.into_iter().flat_map(|change| change.bytes).collect())
}

//! A record's history: every change with who made it, when, on which device, and each value before and after; and
//! what had to be decided. Values are masked, unless a purpose is named.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use doorstep_core::accept::ConflictKind;
use doorstep_core::crdt::Registers;
use doorstep_core::ids::{DeviceId, RecordId, UserId};
use doorstep_core::mask;
use doorstep_core::records::RecordType;
use doorstep_core::rights::Permission;
use doorstep_core::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::reveal::Purpose;
use super::{file, store, view};
use crate::database::system_tx;
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::{devices, users};
use crate::error::{ApiError, ApiResult};
use crate::register::{self, PastChange, SERVER_DEVICE};
use crate::state::AppState;

/// How a history is shown.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Why its values are to be seen in clear: `verification`, `service`, `correction`, `emergency` or
    /// `investigation`. It is written to the audit log. Masked, unless told.
    #[param(inline)]
    pub purpose: Option<Purpose>,
}

/// A record's history.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct History {
    /// Every change, in the order of acceptance; those of records that were merged into this one among them.
    pub changes: Vec<ChangeView>,
    /// What had or has to be decided about it.
    pub conflicts: Vec<ConflictNote>,
}

/// One change.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChangeView {
    /// Names it, and tells nothing of what it says.
    pub id: String,
    /// SHA-256 of its Automerge chunk, hexadecimal: its name on devices. Only where a purpose was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The record it was made to, where that is another, which was merged into this one.
    pub merged_from: Option<Uuid>,
    /// Who made it.
    pub user: Option<Uuid>,
    /// That person's name.
    pub user_name: Option<String>,
    /// On which device; none: on the console, by a decision or from a file.
    pub device: Option<Uuid>,
    /// What that device is called.
    pub device_name: Option<String>,
    /// The device's clock then.
    pub made_at: DateTime<Utc>,
    /// When the server took it.
    pub accepted_at: DateTime<Utc>,
    /// Whether it was made without knowing of the change before it.
    pub concurrent: bool,
    /// What it put.
    pub fields: Vec<FieldMove>,
}

/// A value before and after; personal ones masked, unless a purpose was named.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldMove {
    /// The key.
    pub field: String,
    /// Its Chinese label.
    pub label: String,
    /// Before the change.
    #[schema(value_type = serde_json::Value)]
    pub before: Value,
    /// What the change put.
    #[schema(value_type = serde_json::Value)]
    pub put: Value,
    /// What the record held then: another value than `put`, where a concurrent one won.
    #[schema(value_type = serde_json::Value)]
    pub after: Value,
}

/// Something that had to be decided.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConflictNote {
    /// The item.
    pub id: Uuid,
    /// Its kind's code.
    pub kind: String,
    /// Its kind's name.
    pub kind_label: String,
    /// The field in dispute, where it is one.
    pub field: Option<String>,
    /// `open`, `decided` or `dismissed`.
    pub status: String,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// By whom.
    pub decided_by: Option<Uuid>,
    /// That person's name.
    pub decided_by_name: Option<String>,
    /// How.
    pub decision: Option<String>,
}

pub(super) async fn show(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    purpose: Option<Purpose>,
) -> ApiResult<History> {
    let needed = match purpose {
        Some(_) => Permission::RevealSecrets,
        None => Permission::ReadRegister,
    };
    if !actor.may_somewhere(needed) {
        return Err(ApiError::forbidden());
    }
    let mut tx = scoped_tx(&state.pool, actor, needed).await?;
    let row = file::find(&mut tx, actor, id, None).await?;
    let declared = view::declared(&row.sealed.record_type)?;
    let mut past = vec![(
        None,
        register::history(&mut tx, &state.keys, &row.sealed).await?,
    )];
    let aliases = store::aliases(&mut tx, &[id.0]).await?;
    for alias in store::records(&mut tx, &aliases).await? {
        let of_alias = register::history(&mut tx, &state.keys, &alias.sealed).await?;
        past.push((Some(alias.sealed.id), of_alias));
    }
    let conflicts = store::conflicts(&mut tx, id.0).await?;
    drop(tx);
    let users: BTreeSet<UserId> = past
        .iter()
        .flat_map(|(_, past)| past)
        .filter_map(|change| change.user)
        .chain(
            conflicts
                .iter()
                .filter_map(|conflict| conflict.decided_by.map(UserId)),
        )
        .collect();
    let names = users::service::names(state, &users.into_iter().collect::<Vec<_>>()).await?;
    let used: BTreeSet<DeviceId> = past
        .iter()
        .flat_map(|(_, past)| past)
        .map(|change| change.device)
        .collect();
    let mut tx = system_tx(&state.pool).await?;
    let devices = devices::service::names(&mut tx, &used.into_iter().collect::<Vec<_>>()).await?;
    drop(tx);
    let name = |user: Option<Uuid>| user.and_then(|user| names.get(&UserId(user)).cloned());
    let mut changes = Vec::new();
    for (merged_from, past) in past {
        let mut registers = Registers::default();
        for change in past {
            let id = state.keys.change_name(change.hash);
            let mut change = replay(&mut registers, declared, id, change);
            if purpose.is_none() {
                change.mask(declared);
            }
            change.user_name = name(change.user);
            change.device_name = change
                .device
                .and_then(|id| devices.get(&DeviceId(id)).cloned());
            change.merged_from = merged_from;
            changes.push(change);
        }
    }
    changes.sort_by_key(|change| change.accepted_at);
    if let Some(purpose) = purpose {
        actor
            .trail
            .note_detail(json!({ "purpose": purpose, "revealed": true }));
    }
    let conflicts = conflicts.into_iter().map(|row| ConflictNote {
        kind_label: kind_label(&row.kind),
        field: declared.field(&row.subject).map(|_| row.subject),
        decided_by_name: name(row.decided_by),
        id: row.id,
        kind: row.kind,
        status: row.status,
        opened_at: row.opened_at,
        decided_at: row.decided_at,
        decided_by: row.decided_by,
        decision: row.decision,
    });
    Ok(History {
        changes,
        conflicts: conflicts.collect(),
    })
}

/// Applies a change that was accepted once, and tells what it moved.
fn replay(
    registers: &mut Registers,
    declared: &RecordType,
    id: String,
    past: PastChange,
) -> ChangeView {
    let concurrent = past.change.deps != registers.heads();
    let value = |registers: &Registers, key: &str| registers.get(key).cloned().unwrap_or_default();
    let before: Vec<Value> = past
        .change
        .ops
        .iter()
        .map(|op| value(registers, &op.key))
        .collect();
    // It was accepted, so what it replaces was known; an order that can't be replayed shows what the change put.
    let applied = registers.apply(&past.change, past.hash).is_ok();
    let moves = past
        .change
        .ops
        .iter()
        .zip(before)
        .filter(|(op, _)| !op.key.starts_with('_'));
    let fields = moves.map(|(op, before)| {
        let after = if applied {
            value(registers, &op.key)
        } else {
            op.value.clone()
        };
        FieldMove {
            field: op.key.clone(),
            label: declared
                .field(&op.key)
                .map_or_else(|| op.key.clone(), |field| field.label.clone()),
            before,
            put: op.value.clone(),
            after,
        }
    });
    ChangeView {
        id,
        hash: Some(past.hash.to_string()),
        merged_from: None,
        user: past.user.map(|user| user.0),
        user_name: None,
        device_name: None,
        device: (past.device != SERVER_DEVICE).then_some(past.device.0),
        made_at: past.made_at,
        accepted_at: past.accepted_at,
        concurrent,
        fields: fields.collect(),
    }
}

impl ChangeView {
    /// Puts every value under the mask of its field, and leaves out the hash, by which it would be found.
    fn mask(&mut self, declared: &RecordType) {
        self.hash = None;
        for moved in &mut self.fields {
            for value in [&mut moved.before, &mut moved.put, &mut moved.after] {
                *value = masked(declared, &moved.field, value);
            }
            if let Some(field) = declared.field(&moved.field) {
                moved.field = mask::mask_key(field, &moved.field);
            }
        }
    }
}

/// A value under the mask of its field.
pub(super) fn masked(declared: &RecordType, key: &str, value: &Value) -> Value {
    match declared.field(key) {
        Some(field) => mask::mask_value(field, value),
        None if value.is_null() => Value::Null,
        None => mask::HIDDEN.into(),
    }
}

fn kind_label(code: &str) -> String {
    let kind = ConflictKind::ALL.iter().find(|kind| kind.code() == code);
    kind.map_or(code, |kind| kind.label()).to_owned()
}

//! Creating a resident, a house or a residence on the console.

use doorstep_core::ids::{AreaCode, AreaLevel, RecordId};
use doorstep_core::records;
use doorstep_core::rights::Permission;
use doorstep_core::value::Fields;
use serde_json::json;

use super::checks::{References, problems, references, written};
use super::edit::{finish, put};
use super::model::{CreateRecord, Written};
use super::{store, view};
use crate::database::system_tx;
use crate::domains::audit::Action;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Problems};
use crate::random;
use crate::register::{Put, Submitter};
use crate::state::AppState;

/// Creates a record in a village.
pub(super) async fn create(
    state: &AppState,
    actor: &Actor,
    record_type: &'static str,
    input: CreateRecord,
) -> ApiResult<Written> {
    let declared = view::declared(record_type)?;
    let action = match record_type {
        "house" => Action::CreateHouse,
        "residence" => Action::CreateResidence,
        _ => Action::CreateResident,
    };
    let id = match input.id {
        Some(id) => RecordId(id),
        None => random::id(state.clock.timestamp(), RecordId::new)?,
    };
    actor.trail.note_subject("record", id);
    let mut fields = written(declared, input.fields);
    fields
        .entry("status".to_owned())
        .or_insert_with(|| "active".into());
    fields.retain(|_, value| !value.is_null());
    let mut tx = system_tx(&state.pool).await?;
    let refers = references(&mut tx, declared, &fields).await?;
    let area = village(input.area.as_deref(), &refers)?;
    actor.require(Permission::WriteRegister, &area)?;
    actor.trail.note_area(area);
    let (errors, warnings) = problems(declared, &Fields::new(), &fields, state.clock.today());
    let mut errors = errors;
    errors.extend(refers.problems(actor));
    Problems::from(errors).finish()?;
    if store::is_taken(&mut tx, id.0).await? {
        return Err(ApiError::conflict(
            "already_there",
            "这份档案已经登记过，请刷新后查看",
        ));
    }
    let put_all = vec![Put {
        record: id,
        record_type: declared.name.clone(),
        fields: records::begin(declared, area, fields),
    }];
    let applied = put(&mut tx, state, Submitter::user(state, actor), put_all).await?;
    let conflicts_opened = applied.conflicts;
    let detail = json!({ "type": record_type });
    let record = finish(state, actor, tx, applied, id, action, detail).await?;
    Ok(Written {
        record,
        warnings,
        conflicts_opened,
    })
}

/// The village a new record is made in: the one told, else the house's.
fn village(told: Option<&str>, refers: &References) -> ApiResult<AreaCode> {
    let area = match told {
        Some(text) => text.parse().ok(),
        None => refers.house_area(),
    };
    area.filter(|area: &AreaCode| area.level() == AreaLevel::Village)
        .ok_or_else(|| {
            ApiError::field("area", "village_form", "请选择居村委，区划代码为 12 位数字")
        })
}

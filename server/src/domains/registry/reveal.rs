//! Seeing masked values in clear: for a purpose that is named, in the audit log.

use std::collections::BTreeMap;

use doorstep_core::ids::RecordId;
use doorstep_core::records::Sensitivity;
use doorstep_core::rights::Permission;
use doorstep_core::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::view::{self, Open};
use super::{file, store};
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::{ApiError, ApiResult, Problems};
use crate::state::AppState;

/// Why someone looks at masked values.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// 上门核实
    Verification,
    /// 办理服务事项
    Service,
    /// 裁决或更正信息
    Correction,
    /// 紧急联系
    Emergency,
    /// 依法协助调查
    Investigation,
}

/// What to see, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevealFields {
    /// Why.
    pub purpose: Purpose,
    /// Keys or names of fields; `addresses`: a resident's addresses and their periods. All masked ones unless told.
    pub fields: Option<Vec<String>>,
}

/// Values in clear.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Revealed {
    /// By key.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub fields: BTreeMap<String, Value>,
    /// A resident's addresses, by residence.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<String, String>,
    /// From when until when these held, by residence.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub periods: BTreeMap<String, Period>,
}

/// The days of a residence, as far as they are written.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Period {
    /// From when.
    pub from: Option<String>,
    /// Until when: as told, else the day on which it was cancelled.
    pub until: Option<String>,
}

/// The name of the police's photo of a resident, for one who may see secret values where the resident is; none where
/// the police gave none.
///
/// # Errors
/// `not_found` when there is no such resident in the actor's areas; when the database fails.
pub async fn police_photo_file(
    state: &AppState,
    actor: &Actor,
    resident: RecordId,
) -> ApiResult<Option<String>> {
    let mut tx = scoped_tx(&state.pool, actor, Permission::RevealSecrets).await?;
    let row = file::find(&mut tx, actor, resident, Some("resident")).await?;
    let open = Open::new(state, row).await?;
    Ok(open.text("photo_file").map(str::to_owned))
}

pub(super) async fn reveal(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    input: RevealFields,
) -> ApiResult<Revealed> {
    let mut tx = scoped_tx(&state.pool, actor, Permission::RevealSecrets).await?;
    let row = file::find(&mut tx, actor, id, None).await?;
    let declared = view::declared(&row.sealed.record_type)?;
    let wanted = input.fields.unwrap_or_else(|| {
        let closed = declared
            .fields
            .iter()
            .filter(|field| field.sensitivity != Sensitivity::Open);
        closed
            .map(|field| field.name.clone())
            .chain(["addresses".to_owned()])
            .collect()
    });
    let mut problems = Problems::default();
    for name in wanted.iter().filter(|name| *name != "addresses") {
        let known = declared.field(name).is_some() || declared.named(name).is_some();
        problems.require(known, "fields", "unknown_field", "没有这个项目，请检查名称");
    }
    problems.finish()?;
    let (mut addresses, mut periods) = (BTreeMap::new(), BTreeMap::new());
    if row.sealed.record_type == "resident" && wanted.iter().any(|name| name == "addresses") {
        for tie in store::ties(&mut tx, &[id.0], true).await? {
            let fields = tie.sealed.fields(&state.keys).await?;
            let written = |key: &str| fields.get(key).and_then(Value::as_text).map(str::to_owned);
            let (from, until) = (written("from"), written(view::ends_by(&fields)));
            if from.is_some() || until.is_some() {
                periods.insert(tie.sealed.id.to_string(), Period { from, until });
            }
            if let Some(address) = tie.house_address.clone().or_else(|| written("address")) {
                addresses.insert(tie.sealed.id.to_string(), address);
            }
        }
    }
    let open = Open::new(state, row).await?;
    let asked = |key: &String| {
        let name = doorstep_core::records::split_key(key).0;
        wanted.iter().any(|wanted| wanted == key || wanted == name)
    };
    let fields: BTreeMap<String, Value> = open
        .fields
        .into_iter()
        .filter(|(key, _)| asked(key))
        .collect();
    if fields.is_empty() && addresses.is_empty() && periods.is_empty() {
        return Err(ApiError::not_found("要查看的内容"));
    }
    // The fields' names, not the keys of their elements: those may tell of the person.
    let mut shown: Vec<&str> = fields
        .keys()
        .map(|key| doorstep_core::records::split_key(key).0)
        .collect();
    shown.dedup();
    actor.trail.note_detail(
        json!({ "purpose": input.purpose, "fields": shown, "addresses": addresses.len() }),
    );
    Ok(Revealed {
        fields,
        addresses,
        periods,
    })
}

//! One item with both sides, who made them, and what speaks for them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, ChangeHash, ConflictId, DeviceId, RecordId, UserId};
use doorstep_core::projection;
use doorstep_core::records::{self, FieldKind, SetOf};
use doorstep_core::rights::Permission;
use doorstep_core::value::{Fields, Value};
use serde_json::json;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::case::{self, Case, Refused};
use super::decisions::{Outcome, actions_of};
use super::model::{
    ConflictDetail, DecisionView, Evidence, PhotosOf, RecordView, RefusedView, ShowQuery, Shown,
    ValueView, VisitView,
};
use super::values::{self, Sight};
use super::{list, reach, undo};
use crate::database::system_tx;
use crate::domains::auth::Actor;
use crate::domains::registry::service::Purpose;
use crate::domains::{devices, users};
use crate::error::ApiResult;
use crate::keys::KeyRing;
use crate::register::{self, EventAbout, Maker, Opened};
use crate::state::AppState;

const VISITS: i64 = 5;
/// How much of what was refused is listed: a phone that lies may leave ten thousand, and a screen is to open on them.
const REFUSED: usize = 200;

/// One item.
pub(super) async fn show(
    state: &AppState,
    actor: &Actor,
    id: ConflictId,
    query: ShowQuery,
) -> ApiResult<ConflictDetail> {
    let mut tx = system_tx(&state.pool).await?;
    let row = case::find(&mut tx, actor, id).await?;
    let sight = sight(actor, &row.area(), query.purpose)?;
    let case = Case::open(&mut tx, state, row).await?;
    let visits = register::events_about(&mut tx, &state.keys, case.record, VISITS).await?;
    let hashes: Vec<ChangeHash> = case.body.values.iter().map(|value| value.change).collect();
    let mut makers = register::makers(&mut tx, case.record, &hashes).await?;
    if let Some(claim) = claim(&case) {
        makers.extend(register::makers(&mut tx, claim, &hashes).await?);
    }
    let item = list::views(state, &mut tx, std::slice::from_ref(&case.row)).await?;
    let outcome = outcome(&mut tx, state, actor, &case).await?;
    let concerned: Vec<DeviceId> = makers
        .values()
        .map(|maker| maker.device)
        .chain(case.refused.iter().map(|one| DeviceId(one.row.device_id)))
        .collect();
    let devices = devices::service::names(&mut tx, &concerned).await?;
    drop(tx);
    let names = names(state, &case, &makers, &visits).await?;
    let viewer = Viewer {
        actor,
        keys: &state.keys,
        sight,
        names,
        devices,
    };
    let item = item
        .into_iter()
        .next()
        .ok_or_else(|| crate::error::ApiError::not_found("这个待裁决事项"))?;
    let other = case
        .row
        .other_id
        .and_then(|id| case.records.get(&RecordId(id)));
    Ok(ConflictDetail {
        differs: case
            .opened()
            .zip(other)
            .map(|(one, other)| viewer.differing(one, other))
            .unwrap_or_default(),
        values: viewer.values(&case, &makers),
        base: case
            .body
            .base
            .as_ref()
            .map(|base| viewer.subject(&case, base)),
        present: viewer.present(&case),
        record_now: case.opened().map(|record| viewer.record(record)),
        other_now: other.map(|record| viewer.record(record)),
        refused: case
            .refused
            .iter()
            .take(REFUSED)
            .map(|refused| viewer.refused(&case, refused))
            .collect(),
        refused_more: case.refused.len().saturating_sub(REFUSED),
        evidence: Evidence {
            visits: visits.iter().map(|visit| viewer.visit(visit)).collect(),
            photos: photos(&case, &visits),
        },
        actions: match case.row.status.as_str() {
            "open" => actions_of(&case.row.kind).to_vec(),
            _ => Vec::new(),
        },
        decision: outcome
            .as_ref()
            .map(|outcome| viewer.decision(&case, outcome, state.clock.now())),
        item,
    })
}

/// How much the reader sees: personal values by their part in it, secret ones only for a stated purpose, by right, noted.
fn sight(actor: &Actor, area: &AreaCode, purpose: Option<Purpose>) -> ApiResult<Sight> {
    let Some(purpose) = purpose else {
        return Ok(case::sight_in(actor, area));
    };
    actor.require(Permission::RevealSecrets, area)?;
    actor
        .trail
        .note_detail(json!({ "revealed": true, "purpose": purpose }));
    Ok(Sight::All)
}

async fn outcome(
    tx: &mut PgConnection,
    state: &AppState,
    actor: &Actor,
    case: &Case,
) -> ApiResult<Option<Outcome>> {
    let Some(sealed) = &case.row.outcome else {
        return Ok(None);
    };
    let outcome = undo::open_outcome(state, &case.row, sealed).await?;
    // What can't be put back any more, or not by this reader, isn't offered.
    let possible = undo::is_possible(tx, state, case, &outcome).await?
        && reach::require(actor, &reach::of_undoing(case, &outcome)).is_ok();
    Ok(Some(Outcome {
        lasting: !possible,
        ..outcome
    }))
}

async fn names(
    state: &AppState,
    case: &Case,
    makers: &BTreeMap<ChangeHash, Maker>,
    visits: &[EventAbout],
) -> ApiResult<BTreeMap<UserId, String>> {
    let mut ids: BTreeSet<UserId> = case.makers();
    ids.extend(makers.values().filter_map(|maker| maker.user));
    ids.extend(visits.iter().map(|visit| visit.user));
    ids.extend(case.row.decided_by.map(UserId));
    let ids: Vec<UserId> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(users::service::names(state, &ids)
        .await?
        .into_iter()
        .collect())
}

/// The residence that a claim is about.
fn claim(case: &Case) -> Option<RecordId> {
    (case.row.kind == "main_residence").then(|| case.row.subject.parse().ok())?
}

/// What has photos: the record, the other one, the residences that are claimed, and the visits.
fn photos(case: &Case, visits: &[EventAbout]) -> Vec<PhotosOf> {
    let other = case.row.other_id.map(RecordId);
    let claimed = case
        .body
        .values
        .iter()
        .filter(|_| case.row.kind == "main_residence")
        .filter_map(|value| value.value.as_text()?.parse().ok());
    let ids: BTreeSet<RecordId> = other.into_iter().chain(claimed).collect();
    let opened = ids.iter().filter_map(|id| case.records.get(id));
    let of_records = case
        .opened()
        .into_iter()
        .chain(opened)
        .filter_map(|record| {
            photos_of(record.id.0, &record.record_type, &record.registers.fields())
        });
    let of_visits = visits
        .iter()
        .filter_map(|visit| photos_of(visit.id.0, &visit.event_type, &visit.fields));
    of_records.chain(of_visits).collect()
}

fn photos_of(of: Uuid, record_type: &str, fields: &Fields) -> Option<PhotosOf> {
    let declared = records::record_type(record_type)?;
    let holds = |(key, value): (&String, &Value)| {
        let kind = declared.field(key).map(|field| &field.kind);
        match kind {
            Some(FieldKind::Blob) => value.as_text().is_some(),
            Some(FieldKind::Set(SetOf::Blob)) => *value == Value::Bool(true),
            _ => false,
        }
    };
    let count = fields.iter().filter(|field| holds(*field)).count();
    (count > 0).then(|| PhotosOf {
        of,
        label: declared.label.clone(),
        count,
    })
}

struct Viewer<'a> {
    actor: &'a Actor,
    keys: &'a KeyRing,
    sight: Sight,
    names: BTreeMap<UserId, String>,
    devices: BTreeMap<DeviceId, String>,
}

impl Viewer<'_> {
    fn name(&self, id: Option<UserId>) -> Option<String> {
        self.names.get(&id?).cloned()
    }

    /// A value of the disputed key. A claim's value is an id, and a duplicate's a certificate number.
    fn subject(&self, case: &Case, value: &Value) -> Shown {
        let (record_type, key) = match case.row.kind.as_str() {
            "duplicate_person" => ("resident", "id_number"),
            "main_residence" => {
                return Shown {
                    value: value.clone(),
                    meaning: value
                        .as_text()
                        .and_then(|id| case.records.get(&id.parse().ok()?))
                        .map(|residence| case.title(residence, self.sight_of(residence))),
                    masked: false,
                };
            }
            _ => (
                case.record_type().unwrap_or_default(),
                case.row.subject.as_str(),
            ),
        };
        let field = records::record_type(record_type).and_then(|declared| declared.field(key));
        values::shown(field, value, self.sight)
    }

    fn values(&self, case: &Case, makers: &BTreeMap<ChangeHash, Maker>) -> Vec<ValueView> {
        let present = case
            .opened()
            .and_then(|record| record.registers.get(&case.row.subject));
        let view = |(choice, value): (usize, &register::ConflictValue)| {
            let maker = makers.get(&value.change);
            let user = value.user.or(maker.and_then(|maker| maker.user));
            let (shown, field_label) = self.disputed(case, &value.value, value.change);
            ValueView {
                choice,
                shown,
                field_label,
                change: self.keys.change_name(value.change),
                user: user.map(|id| id.0),
                user_name: self.name(user),
                device: maker.map(|maker| maker.device.0),
                device_name: maker.and_then(|maker| self.devices.get(&maker.device).cloned()),
                made_at: maker.map(|maker| maker.made_at),
                accepted_at: maker.map(|maker| maker.accepted_at),
                present: present == Some(&value.value),
            }
        };
        case.body.values.iter().enumerate().map(view).collect()
    }

    /// Of a cancellation against an edit, the edit's value belongs to the key that it wrote; that key's label with it.
    fn disputed(&self, case: &Case, value: &Value, change: ChangeHash) -> (Shown, Option<String>) {
        let is_edit = case.row.kind == "update_cancelled" && value.as_text() != Some("cancelled");
        if !is_edit {
            return (self.subject(case, value), None);
        }
        let written = case.opened().and_then(|record| {
            let holds = |key: &&str| {
                let held = record.registers.all(key);
                held.iter()
                    .any(|held| held.change == change && held.value == *value)
            };
            let key = record.registers.keys().find(holds)?;
            let field = records::record_type(&record.record_type)?.field(key)?;
            Some((key, field))
        });
        let label = written.map(|(key, field)| values::key_label(key, Some(field), self.sight));
        let field = written.map(|(_, field)| field);
        (values::shown(field, value, self.sight), label)
    }

    fn present(&self, case: &Case) -> Option<Shown> {
        let key = case.row.field()?;
        let value = case.opened()?.registers.get(key)?;
        Some(self.subject(case, value))
    }

    /// As much of a record as the reader's right goes in its own areas.
    fn sight_of(&self, record: &Opened) -> Sight {
        self.sight_among(&record.areas)
    }

    fn sight_among(&self, areas: &[AreaCode]) -> Sight {
        match case::sight_among(self.actor, areas) {
            Sight::Masked => Sight::Masked,
            _ => self.sight,
        }
    }

    /// The keys, as this reader is shown them, of what two records do not hold alike.
    fn differing(&self, one: &Opened, other: &Opened) -> Vec<String> {
        let held = |record: &Opened| -> Fields {
            let fields = record.registers.fields().into_iter();
            fields
                .filter(|(key, value)| !key.starts_with('_') && !value.is_null())
                .collect()
        };
        let (left, right) = (held(one), held(other));
        let declared = records::record_type(&one.record_type);
        let differ = left
            .keys()
            .chain(right.keys())
            .filter(|key| left.get(*key) != right.get(*key));
        let shown = differ.flat_map(|key| {
            let field = declared.and_then(|declared| declared.field(key));
            [one, other].map(|side| values::shown_key(key, field, self.sight_of(side)))
        });
        let shown: BTreeSet<String> = shown.collect();
        shown.into_iter().collect()
    }

    /// A record: as far as the reader's right goes in its own areas.
    fn record(&self, record: &Opened) -> RecordView {
        let sight = self.sight_of(record);
        let label = records::record_type(&record.record_type)
            .map(|declared| declared.label.clone())
            .unwrap_or_default();
        RecordView {
            id: record.id.0,
            record_type: record.record_type.clone(),
            label,
            title: values::title(record, sight),
            areas: record.areas.clone(),
            cancelled: projection::project(&record.record_type, &record.registers).cancelled,
            merged_into: record.merged_into.map(|id| id.0),
            fields: values::fields(&record.record_type, &record.registers.fields(), sight),
        }
    }

    fn refused(&self, case: &Case, refused: &Refused) -> RefusedView {
        let row = &refused.row;
        let record_type = match case.opened() {
            Some(record) => record.record_type.as_str(),
            None => refused.record_type(),
        };
        let empty = Fields::new();
        let puts = refused.puts.as_ref().unwrap_or(&empty);
        let (kind, views) = match &refused.item {
            doorstep_core::envelope::Item::Change(_) => {
                ("change", values::puts(record_type, puts, self.sight))
            }
            doorstep_core::envelope::Item::Event(event) => {
                ("event", values::fields(&event.event_type, puts, self.sight))
            }
        };
        RefusedView {
            id: row.id,
            kind,
            code: row.code.clone(),
            field: row.field.clone(),
            field_label: row
                .field
                .as_deref()
                .and_then(|field| values::label(record_type, field)),
            user: row.user_id,
            user_name: self.name(Some(UserId(row.user_id))),
            device: row.device_id,
            device_name: self.devices.get(&DeviceId(row.device_id)).cloned(),
            made_at: refused.made_at.and_then(DateTime::from_timestamp_millis),
            refused_at: row.refused_at,
            record_type: refused.record_type().to_owned(),
            values: views,
            readable: refused.puts.is_some(),
        }
    }

    fn visit(&self, visit: &EventAbout) -> VisitView {
        VisitView {
            id: visit.id.0,
            event_type: visit.event_type.clone(),
            user: visit.user.0,
            user_name: self.name(Some(visit.user)),
            happened_at: visit.happened_at,
            values: values::without_photos(
                &visit.event_type,
                &visit.fields,
                self.sight_among(&[visit.area]),
            ),
        }
    }

    fn decision(&self, case: &Case, outcome: &Outcome, now: DateTime<Utc>) -> DecisionView {
        let row = &case.row;
        let until = row.decided_at.map(|at| at + undo::WITHIN);
        let decision: Option<serde_json::Value> = row
            .decision
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        let action = decision
            .and_then(|decision| decision["action"].as_str().map(str::to_owned))
            .unwrap_or_default();
        DecisionView {
            action,
            by: row.decided_by,
            by_name: self.name(row.decided_by.map(UserId)),
            at: row.decided_at,
            note: outcome.note.clone(),
            undo_until: until.filter(|until| *until > now && !outcome.lasting),
        }
    }
}

//! From sealed rows to what callers see: opened, masked, with the texts that name things.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use doorstep_core::codes;
use doorstep_core::ids::RecordId;
use doorstep_core::mask;
use doorstep_core::records::{self, FieldKind, RecordType, SetOf, split_key};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use uuid::Uuid;

use super::model::{RecordRow, RecordView, TieRow, TieView};
use crate::error::{ApiError, ApiResult};
use crate::register::Put;
use crate::state::AppState;

/// A record's declaration.
pub(super) fn declared(record_type: &str) -> ApiResult<&'static RecordType> {
    records::record_type(record_type)
        .ok_or_else(|| ApiError::internal(anyhow::anyhow!("no declaration of {record_type}")))
}

/// The day in Shanghai.
pub(super) fn day(at: DateTime<Utc>) -> NaiveDate {
    Timestamp(at.timestamp_millis())
        .date_in_shanghai()
        .unwrap_or_default()
}

/// A value that has a member of its own beside `fields`: under the same mask as there. Every such member comes through
/// here, the plain codes too, so that it follows its field's declaration.
pub(super) fn beside(record_type: &str, fields: &Fields, key: &str) -> Option<String> {
    let field = records::record_type(record_type)?.field(key)?;
    Some(mask::mask(field, fields.get(key)?.as_text()?))
}

/// The field that says until when a residence lasted: as told, else the day on which it was cancelled.
pub(super) fn ends_by(residence: &Fields) -> &'static str {
    let told = residence.get("until").and_then(Value::as_text);
    told.map_or("cancelled_on", |_| "until")
}

/// The label of a code; the code itself where the table doesn't know it.
pub(super) fn label(table: &str, code: &str) -> String {
    codes::table(table)
        .and_then(|table| table.label(code))
        .unwrap_or(code)
        .to_owned()
}

/// A row with its values in clear, for those who show a part of them.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) row: RecordRow,
    pub(super) fields: Fields,
}

impl Open {
    pub(super) async fn new(state: &AppState, row: RecordRow) -> ApiResult<Self> {
        let fields = row.sealed.fields(&state.keys).await?;
        Ok(Self { row, fields })
    }

    pub(super) async fn all(state: &AppState, rows: Vec<RecordRow>) -> ApiResult<Vec<Self>> {
        let mut open = Vec::with_capacity(rows.len());
        for row in rows {
            open.push(Self::new(state, row).await?);
        }
        Ok(open)
    }

    /// Values to be put into it.
    pub(super) fn put(&self, fields: Fields) -> Put {
        Put {
            record: RecordId(self.row.sealed.id),
            record_type: self.row.sealed.record_type.clone(),
            fields,
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.fields.get(key).and_then(Value::as_text)
    }

    pub(super) fn yes(&self, key: &str) -> bool {
        self.fields.get(key).and_then(Value::as_bool) == Some(true)
    }

    /// The name of a resident, masked.
    pub(super) fn masked_name(&self) -> String {
        self.beside("name").unwrap_or_default()
    }

    /// See [`beside`].
    pub(super) fn beside(&self, key: &str) -> Option<String> {
        beside(&self.row.sealed.record_type, &self.fields, key)
    }

    /// As callers see it.
    pub(super) fn view(&self, residences: Vec<TieView>) -> ApiResult<RecordView> {
        let sealed = &self.row.sealed;
        let declared = declared(&sealed.record_type)?;
        let registered: Option<NaiveDate> = self
            .text("last_verified")
            .and_then(|text| text.parse().ok());
        Ok(RecordView {
            id: sealed.id,
            record_type: sealed.record_type.clone(),
            title: mask::title(declared, &self.fields),
            area: sealed.wrapped.area.to_string(),
            areas: sealed.areas.0.iter().map(ToString::to_string).collect(),
            cancelled: sealed.cancelled,
            version: sealed.version,
            updated_at: sealed.updated_at,
            updated_by: sealed.updated_by,
            last_verified: registered.max(self.row.verified_at.map(day)),
            fields: mask::mask_fields(declared, &self.fields),
            residences,
        })
    }

    /// The digests of photos and files, by field.
    pub(super) fn photos(&self) -> ApiResult<BTreeMap<String, Vec<String>>> {
        let declared = declared(&self.row.sealed.record_type)?;
        let mut photos: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in &self.fields {
            let (name, element) = split_key(key);
            let digest = match (declared.field(key).map(|field| &field.kind), element, value) {
                (Some(FieldKind::Blob), _, Value::Text(digest)) => digest,
                (Some(FieldKind::Set(SetOf::Blob)), Some(digest), Value::Bool(true)) => digest,
                _ => continue,
            };
            photos
                .entry(name.to_owned())
                .or_default()
                .push(digest.to_owned());
        }
        Ok(photos)
    }
}

/// Residences by resident.
pub(super) async fn ties_by_resident(
    state: &AppState,
    rows: Vec<TieRow>,
) -> ApiResult<BTreeMap<Uuid, Vec<TieView>>> {
    let mut ties: BTreeMap<Uuid, Vec<TieView>> = BTreeMap::new();
    for row in rows {
        let resident = row.resident;
        ties.entry(resident)
            .or_default()
            .push(tie(state, row).await?);
    }
    Ok(ties)
}

/// A residence as callers see it.
pub(super) async fn tie(state: &AppState, row: TieRow) -> ApiResult<TieView> {
    let fields = row.sealed.fields(&state.keys).await?;
    let shown = |key: &str| beside("residence", &fields, key);
    // A person's address is personal, though a house's alone is not.
    let address = match &row.house_address {
        Some(house) => declared("residence")?
            .field("address")
            .map(|field| mask::mask(field, house)),
        None => shown("address"),
    };
    let kind = shown("kind").unwrap_or_default();
    let reason = shown("cancel_reason").map(|code| label("cancel_reason", &code));
    Ok(TieView {
        id: row.sealed.id,
        resident: row.resident,
        house: row.house,
        address: address.unwrap_or_default(),
        kind_label: label("residence_kind", &kind),
        kind,
        main: fields.get("main").and_then(Value::as_bool) == Some(true),
        active: row.active,
        area: row.sealed.wrapped.area.to_string(),
        version: row.sealed.version,
        from: shown("from"),
        until: shown(ends_by(&fields)),
        ended_because: reason.filter(|_| !row.active),
    })
}

//! The declarations as callers are shown them.

use doorstep_core::codes::{self, CodeTable};
use doorstep_core::records::{
    self, Authority, Field, FieldKind, Mask, RecordKind, RecordType, Sensitivity, SetOf,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domains::alarms;
use crate::domains::audit::Action;
use crate::domains::registry::service as registry;
use crate::register;

/// Every type of record, every table of codes, and everything that is audited.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Declarations {
    /// Residents, houses, residences, and the events about them.
    pub types: Vec<DeclaredType>,
    /// Tables of codes.
    pub tables: Vec<CodeList>,
    /// What stands in the audit log as done.
    pub actions: Vec<DeclaredAction>,
    /// What devices may do that raises an alarm.
    pub alarms: Vec<DeclaredAlarm>,
}

/// A type of record or event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DeclaredType {
    /// Its name, such as `resident`.
    pub name: &'static str,
    /// Its Chinese name.
    pub label: &'static str,
    /// Whether it is a fact that nobody changes.
    pub event: bool,
    /// The sections of a form, in order.
    pub groups: &'static [String],
    /// The fields, in the order of a form.
    pub fields: Vec<DeclaredField>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ValueKind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A decimal number as text.
    Decimal,
    /// A day: `YYYY-MM-DD`.
    Date,
    /// A moment: Unix milliseconds.
    DateTime,
    /// Yes or no.
    Boolean,
    /// A code of `table`.
    Code,
    /// A certificate's number.
    IdNumber,
    /// A telephone number.
    Phone,
    /// An address as written.
    Address,
    /// The id of a record of the type `record`.
    Reference,
    /// Codes of `table`: one key `name/code` with true for each.
    Codes,
    /// Short texts: one key `name/text` with true for each.
    Texts,
    /// Photos: one key `name/digest` with true for each.
    Photos,
    /// One photo: its digest.
    Photo,
    /// Items of `fields`: one key `name/key` with the item as JSON text for each.
    Items,
}

/// A field of a type, or of an item.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DeclaredField {
    /// Its name: the key, or what stands before `/` in the keys of a set or of items.
    pub name: &'static str,
    /// Its Chinese label.
    pub label: &'static str,
    /// The section of the form; empty for a field of an item.
    pub group: &'static str,
    /// What to write in it, where the label doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
    /// Why it may be held.
    pub purpose: &'static str,
    /// What a value is.
    pub kind: ValueKind,
    /// The table of its codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<&'static str>,
    /// The type of the record that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<&'static str>,
    /// The fields of its items.
    #[schema(no_recursion)]
    pub fields: Vec<DeclaredField>,
    /// A new record must have it.
    pub required: bool,
    /// Personal information, sensitive or not.
    pub personal: bool,
    /// Shown masked until it is revealed for a purpose.
    pub masked: bool,
    /// The police's register has the last word.
    pub police: bool,
    /// The roles that may write it, by code.
    pub writers: Vec<&'static str>,
    /// Most characters of a text.
    pub max_len: usize,
    /// The exact number of digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digits: Option<usize>,
    /// The least number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The greatest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// A day that can't lie in the future.
    pub past: bool,
    /// Lists of records can be narrowed by it (`facets`).
    pub narrows: bool,
    /// Changed by an operation of its own (cancelling, restoring), never by an edit.
    pub own_operation: bool,
    /// No longer offered by forms; still shown.
    pub retired: bool,
}

/// A table of codes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct CodeList {
    /// Its name.
    pub name: &'static str,
    /// Its Chinese name.
    pub label: &'static str,
    /// Its codes, in the standard's order.
    pub codes: Vec<CodeEntry>,
}

/// A code of a table.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct CodeEntry {
    /// The code.
    pub code: &'static str,
    /// What it means.
    pub label: &'static str,
    /// No longer offered; still understood.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// Something that is done and written down in the audit log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DeclaredAction {
    /// Its code in the log.
    pub code: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// Whether it changes anything: neither looking nor signing in does.
    pub changes: bool,
}

/// A kind of alarm.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DeclaredAlarm {
    /// Its code.
    pub code: &'static str,
    /// What the device did, in words.
    pub label: &'static str,
}

impl Declarations {
    /// As this build of the program knows them.
    pub(super) fn built_in() -> Self {
        Self {
            types: records::all().iter().map(DeclaredType::of).collect(),
            tables: codes::all().iter().map(CodeList::of).collect(),
            actions: Action::ALL.iter().map(DeclaredAction::of).collect(),
            alarms: alarms::Kind::ALL.iter().map(DeclaredAlarm::of).collect(),
        }
    }
}

impl DeclaredType {
    fn of(declared: &'static RecordType) -> Self {
        let fields = declared
            .fields
            .iter()
            .map(|field| DeclaredField::of(declared, field));
        Self {
            name: &declared.name,
            label: &declared.label,
            event: declared.kind == RecordKind::Event,
            groups: &declared.groups,
            fields: fields.collect(),
        }
    }
}

impl DeclaredField {
    fn of(declared: &RecordType, field: &'static Field) -> Self {
        Self {
            narrows: narrows(declared, field),
            own_operation: registry::has_own_operation(&field.name),
            ..Self::inner(field)
        }
    }

    fn inner(field: &'static Field) -> Self {
        let (kind, table, record) = kind(&field.kind);
        let fields = match &field.kind {
            FieldKind::Items(fields) => fields.iter().map(Self::inner).collect(),
            _ => Vec::new(),
        };
        Self {
            name: &field.name,
            label: &field.label,
            group: &field.group,
            hint: field.hint.as_deref(),
            purpose: &field.purpose,
            kind,
            table,
            record,
            fields,
            required: field.required,
            personal: field.sensitivity != Sensitivity::Open,
            masked: field.mask != Mask::None,
            police: field.authority == Authority::Police,
            writers: field.writers.iter().map(|role| role.code()).collect(),
            max_len: field.max_len,
            digits: field.digits,
            min: field.min,
            max: field.max,
            past: field.past,
            narrows: false,
            own_operation: false,
            retired: field.retired,
        }
    }
}

/// What lists can be narrowed by: open values that are choices, and the few that have blind tokens.
fn narrows(declared: &RecordType, field: &Field) -> bool {
    if field.sensitivity != Sensitivity::Open {
        return declared.name == "resident" && register::filter_token(&field.name, "").is_some();
    }
    matches!(
        field.kind,
        FieldKind::Code(_) | FieldKind::Boolean | FieldKind::Set(SetOf::Table(_))
    )
}

fn kind(kind: &'static FieldKind) -> (ValueKind, Option<&'static str>, Option<&'static str>) {
    let plain = |kind| (kind, None, None);
    match kind {
        FieldKind::Text => plain(ValueKind::Text),
        FieldKind::Integer => plain(ValueKind::Integer),
        FieldKind::Decimal => plain(ValueKind::Decimal),
        FieldKind::Date => plain(ValueKind::Date),
        FieldKind::DateTime => plain(ValueKind::DateTime),
        FieldKind::Boolean => plain(ValueKind::Boolean),
        FieldKind::Code(table) => (ValueKind::Code, Some(table), None),
        FieldKind::IdNumber => plain(ValueKind::IdNumber),
        FieldKind::Phone => plain(ValueKind::Phone),
        FieldKind::Address => plain(ValueKind::Address),
        FieldKind::Reference(record) => (ValueKind::Reference, None, Some(record)),
        FieldKind::Set(SetOf::Table(table)) => (ValueKind::Codes, Some(table), None),
        FieldKind::Set(SetOf::Free) => plain(ValueKind::Texts),
        FieldKind::Set(SetOf::Blob) => plain(ValueKind::Photos),
        FieldKind::Items(_) => plain(ValueKind::Items),
        FieldKind::Blob => plain(ValueKind::Photo),
    }
}

impl DeclaredAction {
    fn of(action: &Action) -> Self {
        Self {
            code: action.code(),
            label: action.label(),
            changes: action.changes(),
        }
    }
}

impl DeclaredAlarm {
    fn of(kind: &alarms::Kind) -> Self {
        Self {
            code: kind.code(),
            label: kind.label(),
        }
    }
}

impl CodeList {
    fn of(table: &'static CodeTable) -> Self {
        let codes = table.entries.iter().map(|entry| CodeEntry {
            code: &entry.code,
            label: &entry.label,
            retired: entry.retired,
        });
        Self {
            name: &table.name,
            label: &table.label,
            codes: codes.collect(),
        }
    }
}

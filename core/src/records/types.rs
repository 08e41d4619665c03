//! What a declaration says: record types, fields, kinds, merge rules, cross-field rules.
//!
//! Knows how a declaration is written (TOML, and the same shape as JSON for forms that a district designs
//! at run time), and nothing about storage, merging or a particular record type.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rights::Role;
use crate::value::Value;

/// A record type: what a record or event of that name may hold.
#[derive(Debug, Clone, Serialize)]
pub struct RecordType {
    /// Stable name, e.g. `resident`; stored under the reserved key `_type`.
    pub name: String,
    /// Chinese name, e.g. 居民.
    pub label: String,
    /// Version of the declaration; stored under the reserved key `_v`.
    pub version: u32,
    /// Whether it merges or is an immutable fact.
    pub kind: RecordKind,
    /// The fields whose values name a record to a person, in order.
    pub title: Vec<String>,
    /// The sections of a form, in order (Chinese).
    pub groups: Vec<String>,
    /// The fields, in the order of a form.
    pub fields: Vec<Field>,
    /// Rules over several fields.
    pub rules: Vec<Rule>,
    #[serde(skip)]
    by_name: BTreeMap<String, usize>,
}

/// Whether a record type merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// An Automerge document that many may edit.
    Record,
    /// An immutable fact with its own id, idempotent by that id.
    Event,
}

/// One field of a record type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Stable name, the key in the document.
    pub name: String,
    /// Chinese label.
    pub label: String,
    /// The section of the form it stands in; empty for a field of an item.
    pub group: String,
    /// What to write in it, in Chinese, where the label doesn't say.
    pub hint: Option<String>,
    /// What a value is.
    pub kind: FieldKind,
    /// A new record must have it.
    pub required: bool,
    /// How closely it is kept.
    pub sensitivity: Sensitivity,
    /// How it is masked where a reader may not see it whole.
    pub mask: Mask,
    /// What happens to concurrent different values.
    pub merge: Merge,
    /// The roles that may write it.
    pub writers: Vec<Role>,
    /// The register that has the last word.
    pub authority: Authority,
    /// Why it may be held, in Chinese.
    pub purpose: String,
    /// Most characters of a text (or of an element of a free set).
    pub max_len: usize,
    /// The exact number of digits, for a text that is a code of digits.
    pub digits: Option<usize>,
    /// Least value of a number.
    pub min: Option<i64>,
    /// Greatest value of a number.
    pub max: Option<i64>,
    /// A date that can't lie in the future.
    pub past: bool,
    /// For a certificate number: the field that holds the certificate's kind.
    pub kind_field: Option<String>,
    /// For a certificate number: its kind, where that is fixed.
    pub certificate: Option<String>,
    /// The index that finds a record by it.
    pub search: Option<SearchIndex>,
    /// Column heads of CSV files, workbooks and templates that mean this field.
    pub import: Vec<String>,
    /// Columns of the exchange with the police, as `FEED.column`.
    pub feed: Vec<String>,
    /// No longer offered by forms and templates; still understood, since old phones write it.
    pub retired: bool,
}

/// What a value is, and in which scalar it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "of")]
pub enum FieldKind {
    /// Text in one or more lines.
    Text,
    /// A whole number ([`Value::Int`]).
    Integer,
    /// A decimal number as text without exponent, e.g. `144.3`.
    Decimal,
    /// A date, `YYYY-MM-DD` text.
    Date,
    /// A point in time: Unix milliseconds UTC ([`Value::Int`]).
    DateTime,
    /// Yes or no ([`Value::Bool`]).
    Boolean,
    /// A code of the named table, as text.
    Code(String),
    /// A certificate number in normal form (GB 11643 for resident identity cards).
    IdNumber,
    /// A telephone number in normal form.
    Phone,
    /// An address as written.
    Address,
    /// The id of a record of the named type (UUID text).
    Reference(String),
    /// A set: one key `name/element` → `true` for each element.
    Set(SetOf),
    /// A keyed list: one key `name/key` → compact JSON text of an object with these fields.
    Items(Vec<Field>),
    /// The digest of a photo or file: SM3, 64 lower-case hexadecimal digits.
    Blob,
}

/// What the elements of a set are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetOf {
    /// Codes of the named table.
    Table(String),
    /// Any short text without `/`.
    Free,
    /// Digests of photos or files.
    Blob,
}

/// How closely a field is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// Says nothing about a person.
    Open,
    /// Personal information.
    Personal,
    /// Sensitive personal information (numbers of certificates, portraits): masked unless revealed for a
    /// stated purpose.
    Secret,
}

/// What happens to concurrent different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// Automerge's winner stands.
    #[default]
    Latest,
    /// Both are kept and a person decides.
    Review,
    /// A set or keyed list: elements merge one by one.
    Union,
    /// A keyed list that only grows.
    Append,
}

/// The register that has the last word on a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// The community's register (社区).
    #[default]
    Community,
    /// The police's register (公安).
    Police,
    /// The server itself.
    Server,
}

/// How a value is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Not at all.
    None,
    /// 张三丰 → 张**
    Name,
    /// 310101197004275621 → 310101********5621
    Number,
    /// 13812341234 → 138****1234
    Phone,
    /// Keeps road and lane, hides building, number and room.
    Address,
    /// 1970-04-27 → 1970-**-**
    Date,
    /// Hides everything, its length too.
    All,
}

/// The index that finds a record by a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchIndex {
    /// A person's name: characters, pinyin, initials.
    Name,
    /// A certificate number: whole, last digits.
    Number,
    /// A telephone number: whole, last digits.
    Phone,
    /// An address.
    Address,
    /// A code or number that is found only as a whole.
    Code,
    /// Words of a text.
    Text,
}

/// How grave a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The value can't be taken.
    #[default]
    Error,
    /// The value is taken and shown to someone.
    Warning,
}

/// A rule over several fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub enum Rule {
    /// A date that may not lie before another.
    NotBefore {
        /// The later date's field; the problem is reported there.
        field: String,
        /// The earlier date's field.
        other: String,
        /// Stable code of the problem.
        code: String,
        /// Chinese message.
        message: String,
        /// How grave it is.
        #[serde(default)]
        severity: Severity,
    },
    /// A field that must be there when another has a value.
    RequiredWhen {
        /// The field that must be there.
        field: String,
        /// The field that decides.
        when: String,
        /// Its deciding value.
        is: Value,
        /// Stable code of the problem.
        code: String,
        /// Chinese message.
        message: String,
        /// How grave it is.
        #[serde(default)]
        severity: Severity,
    },
    /// At least one of these fields; checked on whole records only.
    AnyOf {
        /// The fields.
        fields: Vec<String>,
        /// Stable code of the problem.
        code: String,
        /// Chinese message.
        message: String,
    },
    /// All of these fields or none.
    Together {
        /// The fields.
        fields: Vec<String>,
        /// Stable code of the problem.
        code: String,
        /// Chinese message.
        message: String,
    },
    /// A resident's ID number must agree with birth date and sex (GB 11643): warnings
    /// `id_birth_mismatch` and `id_sex_mismatch`.
    NumberMatches {
        /// The field of the number.
        number: String,
        /// The field of the birth date.
        birth_date: String,
        /// The field of the sex.
        sex: String,
    },
}

impl RecordType {
    pub(super) fn assemble(head: Head, fields: Vec<Field>) -> Self {
        let by_name = fields
            .iter()
            .enumerate()
            .map(|(i, f)| (f.name.clone(), i))
            .collect();
        Self {
            name: head.name,
            label: head.label,
            version: head.version,
            kind: head.kind,
            title: head.title,
            groups: head.groups,
            fields,
            rules: head.rules,
            by_name,
        }
    }

    /// The field of a key of the document: `name`, or `tags/elderly` for an element of a set or keyed
    /// list. `None` for reserved and undeclared keys, and for an element of a field that has none.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&Field> {
        let (name, element) = split_key(key);
        let field = self.by_name.get(name).and_then(|i| self.fields.get(*i))?;
        (field.is_many() == element.is_some()).then_some(field)
    }

    /// The field declared under this name, whatever its kind.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).and_then(|i| self.fields.get(*i))
    }

    /// The fields that forms and templates offer.
    pub fn offered(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|f| !f.retired)
    }
}

impl Field {
    /// Whether it has one key an element (a set or keyed list) and not one key in all.
    #[must_use]
    pub fn is_many(&self) -> bool {
        matches!(self.kind, FieldKind::Set(_) | FieldKind::Items(_))
    }

    /// Whether its values name photos or files.
    #[must_use]
    pub fn holds_photos(&self) -> bool {
        matches!(self.kind, FieldKind::Blob | FieldKind::Set(SetOf::Blob))
    }

    /// Whether a role may write it.
    #[must_use]
    pub fn may_write(&self, role: Role) -> bool {
        self.writers.contains(&role)
    }

    /// The code table of its values or elements.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        match &self.kind {
            FieldKind::Code(table) | FieldKind::Set(SetOf::Table(table)) => Some(table),
            _ => None,
        }
    }
}

/// Parts a key of the document into field name and element.
#[must_use]
pub fn split_key(key: &str) -> (&str, Option<&str>) {
    match key.split_once('/') {
        Some((name, element)) => (name, Some(element)),
        None => (key, None),
    }
}

/// What stands above the fields in a declaration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) version: u32,
    pub(super) kind: RecordKind,
    #[serde(default)]
    pub(super) title: Vec<String>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    pub(super) purposes: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
    pub(super) fields: Vec<super::parse::Written>,
}

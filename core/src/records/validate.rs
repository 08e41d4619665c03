//! Checks a record's fields against its declaration and says every problem at once, in Chinese, with a
//! stable code.
//!
//! Knows the declaration and what numbers and dates look like; it does not know who writes, what the
//! record held before, or (unless told) what day it is. A message never repeats a value.

mod rules;

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::types::{Field, FieldKind, RecordType, SetOf, Severity, split_key};
use super::{is_reserved, read};
use crate::codes;
use crate::identity::certificate::{self, RESIDENT_ID};
use crate::identity::phone;
use crate::value::Value;

/// Most characters of an element's key in a set or keyed list.
const ELEMENT_KEY: usize = 64;
/// Most bytes of one item's JSON text.
const ITEM_BYTES: usize = 8 * 1024;
/// Times before 1900 or after 2199 are slips.
const TIMES: std::ops::RangeInclusive<i64> = -2_208_988_800_000..=7_258_118_400_000;

/// One thing wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// The key: `name`, `tags/x`, or `guardians/<key>/phone` for a field of an item.
    pub path: String,
    /// Stable code, e.g. `required`, `unknown_field`, `check_digit`.
    pub code: Cow<'static, str>,
    /// What is wrong and what to do, in Chinese.
    pub message: String,
    /// Whether the value can be taken all the same.
    pub severity: Severity,
}

/// The codes that say a value is not even of its field's shape.
const SHAPE: [&str; 9] = [
    "wrong_type",
    "too_long",
    "unknown_field",
    "item_json",
    "element_key",
    "blob_digest",
    "reference",
    "control_character",
    "blank",
];

impl FieldProblem {
    /// Whether the value is not even of its field's shape, so that no record can keep it. Other problems are for the
    /// one who fills in the form: a server takes what a device recorded before a rule was tightened.
    #[must_use]
    pub fn is_shape(&self) -> bool {
        SHAPE.contains(&self.code.as_ref())
    }
}

/// How much of a record is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A new record: required fields must be there.
    Whole,
    /// An edit: only what it changes. A rule that an edited field sets off needs its other fields in the
    /// same edit: who cancels gives the reason with it.
    Partial,
    /// A record of another register, kept as it stands there: as [`Mode::Whole`], but numbers that fail
    /// their check are warnings, for the comparison with the police to mend.
    Imported,
}

/// Everything that is wrong with `fields`, in the order of the form. Empty: nothing is.
#[must_use]
pub fn validate(
    rt: &RecordType,
    fields: &BTreeMap<String, Value>,
    mode: Mode,
) -> Vec<FieldProblem> {
    validate_on(rt, fields, mode, None)
}

/// As [`validate`], and with today's date (in Shanghai): dates that should be past and aren't are
/// warnings `in_future`, since it may be the clock that is wrong.
#[must_use]
pub fn validate_on(
    rt: &RecordType,
    fields: &BTreeMap<String, Value>,
    mode: Mode,
    today: Option<NaiveDate>,
) -> Vec<FieldProblem> {
    let mut check = Check {
        fields,
        mode,
        today,
        prefix: String::new(),
        problems: Vec::new(),
    };
    for (key, value) in fields {
        if is_reserved(key) {
            continue;
        }
        match rt.field(key) {
            Some(field) => check.entry(field, key, value),
            None => check.undeclared(rt, key),
        }
    }
    if mode != Mode::Partial {
        check.required(&rt.fields);
    }
    for rule in &rt.rules {
        check.rule(rt, rule);
    }
    let mut problems = check.problems;
    let place = |p: &FieldProblem| {
        let name = split_key(&p.path).0;
        rt.fields
            .iter()
            .position(|f| f.name == name)
            .unwrap_or(usize::MAX)
    };
    problems.sort_by_cached_key(|p| (place(p), p.path.clone(), p.code.clone()));
    problems
}

struct Check<'a> {
    fields: &'a BTreeMap<String, Value>,
    mode: Mode,
    today: Option<NaiveDate>,
    prefix: String,
    problems: Vec<FieldProblem>,
}

impl Check<'_> {
    fn add(
        &mut self,
        severity: Severity,
        path: &str,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) {
        let path = format!("{}{path}", self.prefix);
        self.problems.push(FieldProblem {
            path,
            code: code.into(),
            message: message.into(),
            severity,
        });
    }

    fn error(&mut self, path: &str, code: &'static str, message: impl Into<String>) {
        self.add(Severity::Error, path, code, message);
    }

    /// A number that fails its check: wrong at the door, only noted in another register's record.
    fn number(&mut self, path: &str, problem: crate::identity::Problem) {
        let severity = if self.mode == Mode::Imported {
            Severity::Warning
        } else {
            Severity::Error
        };
        self.add(severity, path, problem.code, problem.message);
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields
            .get(name)
            .and_then(Value::as_text)
            .filter(|t| !t.trim().is_empty())
    }

    fn undeclared(&mut self, rt: &RecordType, key: &str) {
        let message = match rt.named(split_key(key).0) {
            Some(field) if field.is_many() => {
                format!("“{}”要逐项填写，键写成“{}/项”。", field.label, field.name)
            }
            Some(field) => format!("“{}”只有一个值，键中不能有“/”。", field.label),
            None => format!("“{}”没有这一项，请删去或升级应用后再填。", rt.label),
        };
        self.error(&shown(key), "unknown_field", message);
    }

    fn required(&mut self, declared: &[Field]) {
        for field in declared.iter().filter(|f| f.required) {
            let there = if field.is_many() {
                let mut elements = self.fields.range(format!("{}/", field.name)..);
                elements
                    .by_ref()
                    .take_while(|(k, _)| split_key(k).0 == field.name)
                    .any(|(_, v)| !v.is_null())
            } else {
                // A null or blank value has been reported where it stands.
                self.fields.contains_key(&field.name)
            };
            if !there {
                self.error(&field.name, "required", format!("请填写{}。", field.label));
            }
        }
    }

    fn entry(&mut self, field: &Field, key: &str, value: &Value) {
        if let (_, Some(element)) = split_key(key)
            && !well_formed(element)
        {
            let message = format!("“{}”的项名不能为空、过长，也不能含“/”。", field.label);
            return self.error(&shown(key), "element_key", message);
        }
        let blank = match value {
            Value::Null => true,
            Value::Text(text) => text.trim().is_empty(),
            _ => false,
        };
        match (&field.kind, value) {
            _ if blank && field.required && !field.is_many() => {
                self.error(key, "required", format!("请填写{}。", field.label));
            }
            (_, Value::Null) => {}
            (FieldKind::Set(of), Value::Bool(true)) => self.element(field, of, key),
            (FieldKind::Set(_), _) => self.wrong_type(field, key),
            (FieldKind::Items(inner), Value::Text(text)) => self.item(field, inner, key, text),
            (FieldKind::Boolean, Value::Bool(_)) => {}
            (FieldKind::Integer, Value::Int(number)) => self.range(field, key, *number, *number),
            (FieldKind::DateTime, Value::Int(ms)) if TIMES.contains(ms) => {}
            (FieldKind::DateTime, Value::Int(_)) => {
                self.error(
                    key,
                    "date_time",
                    format!("{}不是合理的时间，请重新选择。", field.label),
                );
            }
            (
                FieldKind::Boolean | FieldKind::Integer | FieldKind::DateTime | FieldKind::Items(_),
                _,
            ) => {
                self.wrong_type(field, key);
            }
            (_, Value::Text(text)) => self.scalar(field, key, text),
            _ => self.wrong_type(field, key),
        }
    }

    fn wrong_type(&mut self, field: &Field, key: &str) {
        let expected = match field.kind {
            FieldKind::Boolean => "是或否",
            FieldKind::Integer => "整数",
            FieldKind::DateTime => "时间",
            FieldKind::Set(_) => "选中或取消",
            _ => "文字",
        };
        self.error(
            key,
            "wrong_type",
            format!("{}应为{expected}，请重新填写。", field.label),
        );
    }

    fn scalar(&mut self, field: &Field, key: &str, text: &str) {
        if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
        {
            return self.error(
                key,
                "control_character",
                format!("{}里有不可见字符，请删去重填。", field.label),
            );
        }
        if text.chars().count() > field.max_len {
            let message = format!("{}最多 {} 个字，请删短。", field.label, field.max_len);
            return self.error(key, "too_long", message);
        }
        if text.trim().is_empty() {
            return self.error(
                key,
                "blank",
                format!("{}只有空格，请填写内容或清空。", field.label),
            );
        }
        match &field.kind {
            FieldKind::Text => {
                if let Some(digits) = field.digits
                    && !(text.len() == digits && text.bytes().all(|b| b.is_ascii_digit()))
                {
                    self.error(
                        key,
                        "digits",
                        format!("{}应为 {digits} 位数字，请核对。", field.label),
                    );
                }
            }
            FieldKind::Decimal => match read::decimal(text) {
                Some((low, high)) => self.range(field, key, low, high),
                None => self.error(
                    key,
                    "decimal",
                    format!("{}应为数字，例如 12.5。", field.label),
                ),
            },
            FieldKind::Date => self.date(field, key, text),
            FieldKind::Code(table) => self.code(field, table, key, text),
            FieldKind::IdNumber => {
                let kind = self.certificate_kind(field, text);
                if let Err(problem) = certificate::check(&kind, text) {
                    self.number(key, problem);
                }
            }
            FieldKind::Phone => {
                if let Err(problem) = phone::normalise(text) {
                    self.number(key, problem);
                }
            }
            FieldKind::Reference(_) if uuid::Uuid::try_parse(text).is_err() => {
                self.error(
                    key,
                    "reference",
                    format!("{}没有对应的档案，请重新选择。", field.label),
                );
            }
            FieldKind::Blob => self.digest(field, key, text),
            _ => {}
        }
    }

    /// The declared or chosen kind of a certificate; where neither is known, a number that starts with a
    /// digit is taken for a resident identity card's.
    fn certificate_kind(&self, field: &Field, number: &str) -> String {
        let chosen = field.kind_field.as_deref().and_then(|name| self.text(name));
        field
            .certificate
            .as_deref()
            .or(chosen)
            .map_or_else(|| assumed_kind(number).to_owned(), str::to_owned)
    }

    fn code(&mut self, field: &Field, table: &str, key: &str, code: &str) {
        if codes::table(table).is_some_and(|t| t.known(code)) {
            return;
        }
        let message = format!("{}的代码不在代码表中，已原样保留，请核对。", field.label);
        self.add(Severity::Warning, key, "unknown_code", message);
    }

    fn date(&mut self, field: &Field, key: &str, text: &str) {
        match read::iso_date(text) {
            None => {
                self.error(
                    key,
                    "date",
                    format!("{}不是真实的日期，请写成 2026-01-31 的样子。", field.label),
                );
            }
            Some(date) if field.past && self.today.is_some_and(|today| date > today) => {
                let message = format!("{}还没有到，请核对日期和手机时间。", field.label);
                self.add(Severity::Warning, key, "in_future", message);
            }
            Some(_) => {}
        }
    }

    fn digest(&mut self, field: &Field, key: &str, text: &str) {
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            self.error(
                key,
                "blob_digest",
                format!("{}没有正确保存，请重新拍摄或选择。", field.label),
            );
        }
    }

    fn range(&mut self, field: &Field, key: &str, low: i64, high: i64) {
        if field.min.is_some_and(|min| low < min) || field.max.is_some_and(|max| high > max) {
            let (min, max) = (field.min.unwrap_or(i64::MIN), field.max.unwrap_or(i64::MAX));
            self.error(
                key,
                "out_of_range",
                format!("{}应在 {min} 到 {max} 之间，请核对。", field.label),
            );
        }
    }

    fn element(&mut self, field: &Field, of: &SetOf, key: &str) {
        let Some(element) = split_key(key).1 else {
            return;
        };
        match of {
            SetOf::Table(table) => self.code(field, table, key, element),
            SetOf::Blob => self.digest(field, key, element),
            SetOf::Free if element.chars().count() > field.max_len => {
                self.error(
                    key,
                    "too_long",
                    format!("{}每项最多 {} 个字，请删短。", field.label, field.max_len),
                );
            }
            SetOf::Free => {}
        }
    }

    fn item(&mut self, field: &Field, inner: &[Field], key: &str, text: &str) {
        let object = (text.len() <= ITEM_BYTES)
            .then(|| serde_json::from_str::<BTreeMap<String, Value>>(text).ok())
            .flatten();
        let Some(object) = object else {
            return self.error(
                key,
                "item_json",
                format!("{}的一项没有正确保存，请重新填写。", field.label),
            );
        };
        let mut check = Check {
            fields: &object,
            mode: self.mode,
            today: self.today,
            prefix: format!("{}{key}/", self.prefix),
            problems: Vec::new(),
        };
        for (name, value) in &object {
            match inner.iter().find(|f| &f.name == name) {
                Some(field) => check.entry(field, name, value),
                None => check.error(
                    &shown(name),
                    "unknown_field",
                    format!("{}没有这一项，请删去。", field.label),
                ),
            }
        }
        check.required(inner);
        self.problems.append(&mut check.problems);
    }
}

/// The certificate's kind that a bare number suggests: a resident identity card's starts with a digit.
pub(super) fn assumed_kind(number: &str) -> &'static str {
    let first = read::narrow(number).trim().chars().next();
    if first.is_none_or(|c| c.is_ascii_digit()) {
        RESIDENT_ID
    } else {
        "990"
    }
}

fn well_formed(element: &str) -> bool {
    let long = element.chars().count();
    (1..=ELEMENT_KEY).contains(&long)
        && !element.contains('/')
        && !element.chars().any(char::is_control)
}

/// A key from outside as far as it may be shown: enough to find it, not enough to fill a log.
fn shown(key: &str) -> String {
    key.chars()
        .filter(|c| !c.is_control())
        .take(ELEMENT_KEY)
        .collect()
}

#[cfg(test)]
mod tests;

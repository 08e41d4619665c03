//! What is wrong with what someone writes: by the declaration, and by the records it refers to. Knows no transaction
//! of its own and writes nothing.

use chrono::NaiveDate;
use doorstep_core::ids::AreaCode;
use doorstep_core::records::{self, FieldKind, Mode, RecordType, Severity};
use doorstep_core::rights::Permission;
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;
use uuid::Uuid;

use super::store;
use crate::domains::auth::Actor;
use crate::error::{ApiResult, FieldProblem};

/// Values as they are kept: texts trimmed, numbers in normal form; a blank clears.
pub(super) fn written(declared: &RecordType, fields: Fields) -> Fields {
    let mut fields: Fields = fields
        .into_iter()
        .filter(|(key, _)| !key.starts_with('_'))
        .map(|(key, value)| match value {
            Value::Text(text) if text.trim().is_empty() => (key, Value::Null),
            value => (key, value),
        })
        .collect();
    records::read::normalise(declared, &mut fields);
    fields
}

/// What an edit makes wrong, or leaves wrong in what it touches; and what should be looked at. Faults that the record
/// had before, in fields that the edit leaves alone, don't stand in its way.
pub(super) fn problems(
    declared: &RecordType,
    before: &Fields,
    edits: &Fields,
    today: NaiveDate,
) -> (Vec<FieldProblem>, Vec<FieldProblem>) {
    let mut after = before.clone();
    after.extend(edits.clone());
    let cleared: Vec<String> = after
        .iter()
        .filter(|(_, value)| value.is_null())
        .map(|(key, _)| key.clone())
        .collect();
    let undeclared = cleared.iter().filter(|key| declared.field(key).is_none());
    let mut errors: Vec<FieldProblem> = undeclared
        .map(|key| FieldProblem {
            path: super::service::short(key),
            code: "unknown_field".to_owned(),
            message: "没有这个项目，请检查名称".to_owned(),
        })
        .collect();
    after.retain(|_, value| !value.is_null());
    let check = |fields: &Fields| records::validate_on(declared, fields, Mode::Whole, Some(today));
    let had = if before.is_empty() {
        Vec::new()
    } else {
        check(before)
    };
    let touched = |path: &str| {
        edits
            .keys()
            .any(|key| records::split_key(key).0 == records::split_key(path).0)
    };
    let mut warnings = Vec::new();
    for problem in check(&after) {
        let old = had
            .iter()
            .any(|held| held.path == problem.path && held.code == problem.code);
        if old && !touched(&problem.path) {
            continue;
        }
        let shown = FieldProblem {
            path: problem.path,
            code: problem.code.into_owned(),
            message: problem.message,
        };
        match problem.severity {
            Severity::Error => errors.push(shown),
            Severity::Warning => warnings.push(shown),
        }
    }
    (errors, warnings)
}

/// The records that values refer to.
#[derive(Debug, Default)]
pub(super) struct References(Vec<Reference>);

#[derive(Debug)]
struct Reference {
    field: String,
    label: String,
    areas: Vec<AreaCode>,
    area: Option<AreaCode>,
    house: bool,
}

pub(super) async fn references(
    tx: &mut PgConnection,
    declared: &RecordType,
    fields: &Fields,
) -> ApiResult<References> {
    let mut references = References::default();
    for (key, value) in fields {
        let Some(field) = declared.field(key) else {
            continue;
        };
        let FieldKind::Reference(wanted) = &field.kind else {
            continue;
        };
        let Some(id) = value.as_text().and_then(|text| text.parse::<Uuid>().ok()) else {
            continue;
        };
        let row = store::record(tx, id)
            .await?
            .filter(|row| row.sealed.record_type == *wanted && !row.sealed.cancelled);
        references.0.push(Reference {
            field: key.clone(),
            label: field.label.clone(),
            areas: row
                .as_ref()
                .map_or_else(Vec::new, |row| row.sealed.areas().to_vec()),
            area: row.as_ref().map(|row| row.sealed.area()),
            house: wanted == "house",
        });
    }
    Ok(references)
}

impl References {
    /// The area of the house referred to, if any is.
    pub(super) fn house_area(&self) -> Option<AreaCode> {
        self.0
            .iter()
            .find(|reference| reference.house)
            .and_then(|reference| reference.area)
    }

    /// Those that aren't there, or not for this actor to know.
    pub(super) fn problems(&self, actor: &Actor) -> Vec<FieldProblem> {
        let visible = |reference: &&Reference| {
            !reference
                .areas
                .iter()
                .any(|area| actor.why(Permission::ReadRegister, area).is_some())
        };
        let problem = |reference: &Reference| FieldProblem {
            path: reference.field.clone(),
            code: "no_such_record".to_owned(),
            message: format!(
                "找不到所选的{}，可能已注销，或不在您的权限范围内",
                reference.label
            ),
        };
        self.0.iter().filter(visible).map(problem).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::domains::registry::view;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
            .collect()
    }

    fn codes(before: &Fields, edits: &Fields) -> Vec<String> {
        let today = "2026-11-24".parse().unwrap();
        let (errors, _) = problems(view::declared("resident").unwrap(), before, edits, today);
        errors
            .into_iter()
            .map(|problem| format!("{}:{}", problem.path, problem.code))
            .collect()
    }

    #[test]
    fn an_edit_answers_for_what_it_touches_and_not_for_old_faults() {
        // An old record without its required sex, and with a phone that is none.
        let old = fields(&[("name", "张三"), ("phone", "12"), ("population_kind", "01")]);
        assert_eq!(
            codes(&old, &fields(&[("workplace", "某厂")])),
            Vec::<String>::new()
        );
        assert_eq!(codes(&old, &fields(&[("phone", "13")])).len(), 1);
        let cleared = Fields::from([("name".to_owned(), Value::Null)]);
        assert_eq!(codes(&old, &cleared), ["name:required"]);
        let unknown = Fields::from([("nickname".to_owned(), Value::Null)]);
        assert_eq!(codes(&old, &unknown), ["nickname:unknown_field"]);
    }

    #[test]
    fn what_is_written_is_kept_in_normal_form_and_a_blank_clears() {
        let declared = view::declared("resident").unwrap();
        let kept = written(
            declared,
            fields(&[("phone", "138 1234 1234"), ("remark", "  "), ("_area", "x")]),
        );
        assert_eq!(kept.get("phone"), Some(&"13812341234".into()));
        assert_eq!(kept.get("remark"), Some(&Value::Null));
        assert!(!kept.contains_key("_area"));
    }
}

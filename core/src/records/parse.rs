//! Reads a declaration from TOML into [`RecordType`], and says what is wrong with one that can't be used.
//!
//! Knows the written form and its defaults; not what validation or merging later do with it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::types::{
    Authority, Field, FieldKind, Head, Mask, Merge, RecordType, Rule, SearchIndex, Sensitivity,
    SetOf,
};
use crate::codes;
use crate::rights::Role;

const SHORT_TEXT: usize = 200;
const ELEMENT: usize = 64;

/// Why a declaration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// Not the written form of a declaration.
    #[error("声明无法解析：{0}")]
    Syntax(#[from] toml::de::Error),
    /// Well formed and wrong: where, and what.
    #[error("声明 {at}：{what}")]
    Wrong {
        /// Record type and field.
        at: String,
        /// What is wrong, in Chinese.
        what: String,
    },
}

/// A field as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    name: String,
    label: String,
    #[serde(default)]
    group: String,
    hint: Option<String>,
    r#type: String,
    table: Option<String>,
    record: Option<String>,
    of: Option<String>,
    #[serde(default)]
    fields: Vec<Written>,
    #[serde(default)]
    required: bool,
    sensitivity: Sensitivity,
    mask: Option<Mask>,
    #[serde(default)]
    merge: Merge,
    writers: Option<Vec<Role>>,
    #[serde(default)]
    authority: Authority,
    purpose: String,
    max_len: Option<usize>,
    digits: Option<usize>,
    min: Option<i64>,
    max: Option<i64>,
    #[serde(default)]
    past: bool,
    kind_field: Option<String>,
    certificate: Option<String>,
    search: Option<SearchIndex>,
    #[serde(default)]
    import: Vec<String>,
    #[serde(default)]
    feed: Vec<String>,
    #[serde(default)]
    retired: bool,
}

/// Reads a declaration and checks it: names, labels, purposes, code tables, merge rules, cross-field rules.
///
/// # Errors
/// The first thing that is wrong with it, with the place.
pub fn parse(text: &str) -> Result<RecordType, DeclarationError> {
    let mut head: Head = toml::from_str(text)?;
    let written = std::mem::take(&mut head.fields);
    let at = head.name.clone();
    let fields = convert_all(&at, written, &head.purposes)?;
    for field in &fields {
        if !head.groups.contains(&field.group) {
            return Err(wrong(
                &at,
                &field.name,
                format!("分组“{}”没有列在 groups 中", field.group),
            ));
        }
    }
    let record_type = RecordType::assemble(head, fields);
    check_rules(&record_type)?;
    Ok(record_type)
}

fn wrong(at: &str, field: &str, what: impl Into<String>) -> DeclarationError {
    DeclarationError::Wrong {
        at: format!("{at}.{field}"),
        what: what.into(),
    }
}

fn convert_all(
    at: &str,
    written: Vec<Written>,
    purposes: &BTreeMap<String, String>,
) -> Result<Vec<Field>, DeclarationError> {
    let mut seen = BTreeSet::new();
    let mut fields = Vec::with_capacity(written.len());
    for one in written {
        if !seen.insert(one.name.clone()) {
            return Err(wrong(at, &one.name, "字段名重复"));
        }
        fields.push(convert(at, one, purposes)?);
    }
    for field in &fields {
        if let Some(kind) = &field.kind_field
            && !seen.contains(kind)
        {
            return Err(wrong(
                at,
                &field.name,
                format!("证件种类字段 {kind} 不存在"),
            ));
        }
    }
    Ok(fields)
}

fn convert(
    at: &str,
    one: Written,
    purposes: &BTreeMap<String, String>,
) -> Result<Field, DeclarationError> {
    let fail = |what: &str| wrong(at, &one.name, what);
    let well_named = one.name.starts_with(|c: char| c.is_ascii_lowercase())
        && one
            .name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !well_named {
        return Err(fail("字段名只能用小写字母、数字和下划线，并以字母开头"));
    }
    if one.label.trim().is_empty() {
        return Err(fail("缺少中文名称"));
    }
    let purpose = purposes.get(&one.purpose).filter(|p| !p.trim().is_empty());
    let purpose = purpose
        .ok_or_else(|| fail("没有写明采集目的，或目的没有列在 purposes 中"))?
        .clone();
    let kind = kind_of(at, &one, purposes)?;
    if let FieldKind::Code(table) | FieldKind::Set(SetOf::Table(table)) = &kind
        && codes::table(table).is_none()
    {
        return Err(fail("代码表不存在"));
    }
    let many = matches!(kind, FieldKind::Set(_) | FieldKind::Items(_));
    if many != matches!(one.merge, Merge::Union | Merge::Append) && !at.contains('.') {
        return Err(fail("集合与列表按 union 或 append 合并，其他字段不能"));
    }
    if one.retired && one.required {
        return Err(fail("停用的字段不能是必填"));
    }
    let number = matches!(kind, FieldKind::IdNumber);
    if number != (one.kind_field.is_some() || one.certificate.is_some()) {
        return Err(fail(
            "证件号码要用 kind_field 或 certificate 说明证件种类，其他字段不能",
        ));
    }
    let writers = one
        .writers
        .unwrap_or_else(|| vec![Role::Collector, Role::Supervisor, Role::Server]);
    let max_len = one.max_len.unwrap_or(if matches!(kind, FieldKind::Set(_)) {
        ELEMENT
    } else {
        SHORT_TEXT
    });
    Ok(Field {
        mask: one
            .mask
            .unwrap_or_else(|| default_mask(&kind, one.sensitivity)),
        name: one.name,
        label: one.label,
        group: one.group,
        hint: one.hint,
        kind,
        required: one.required,
        sensitivity: one.sensitivity,
        merge: one.merge,
        writers,
        authority: one.authority,
        purpose,
        max_len,
        digits: one.digits,
        min: one.min,
        max: one.max,
        past: one.past,
        kind_field: one.kind_field,
        certificate: one.certificate,
        search: one.search,
        import: one.import,
        feed: one.feed,
        retired: one.retired,
    })
}

fn kind_of(
    at: &str,
    one: &Written,
    purposes: &BTreeMap<String, String>,
) -> Result<FieldKind, DeclarationError> {
    let need = |what: &Option<String>, name: &str| {
        what.clone()
            .ok_or_else(|| wrong(at, &one.name, format!("缺少 {name}")))
    };
    Ok(match one.r#type.as_str() {
        "text" => FieldKind::Text,
        "integer" => FieldKind::Integer,
        "decimal" => FieldKind::Decimal,
        "date" => FieldKind::Date,
        "date_time" => FieldKind::DateTime,
        "boolean" => FieldKind::Boolean,
        "code" => FieldKind::Code(need(&one.table, "table")?),
        "id_number" => FieldKind::IdNumber,
        "phone" => FieldKind::Phone,
        "address" => FieldKind::Address,
        "reference" => FieldKind::Reference(need(&one.record, "record")?),
        "blob" => FieldKind::Blob,
        "set" => FieldKind::Set(match (&one.table, one.of.as_deref()) {
            (Some(table), None) => SetOf::Table(table.clone()),
            (None, None) => SetOf::Free,
            (None, Some("blob")) => SetOf::Blob,
            _ => return Err(wrong(at, &one.name, "集合的元素只能是代码表、照片或短文字")),
        }),
        "items" => {
            if one.fields.is_empty() {
                return Err(wrong(at, &one.name, "列表没有声明字段"));
            }
            let inner = format!("{at}.{}", one.name);
            let fields = convert_all(&inner, one.fields.clone(), purposes)?;
            if let Some(many) = fields.iter().find(|f| f.is_many()) {
                return Err(wrong(&inner, &many.name, "列表里不能再有集合或列表"));
            }
            FieldKind::Items(fields)
        }
        other => return Err(wrong(at, &one.name, format!("类型 {other} 不存在"))),
    })
}

/// Open values are shown; of the others, what a kind has a customary mask for gets it, codes, dates and
/// numbers of little weight are shown to whoever may read the field, and secrets are hidden whole.
fn default_mask(kind: &FieldKind, sensitivity: Sensitivity) -> Mask {
    match (sensitivity, kind) {
        (Sensitivity::Open, _) => Mask::None,
        (_, FieldKind::IdNumber) => Mask::Number,
        (_, FieldKind::Phone) => Mask::Phone,
        (_, FieldKind::Address) => Mask::Address,
        (Sensitivity::Secret, _) => Mask::All,
        (Sensitivity::Personal, FieldKind::Date) => Mask::Date,
        (
            Sensitivity::Personal,
            FieldKind::Text | FieldKind::Items(_) | FieldKind::Set(SetOf::Free),
        ) => Mask::All,
        (Sensitivity::Personal, _) => Mask::None,
    }
}

fn check_rules(record_type: &RecordType) -> Result<(), DeclarationError> {
    let one = |name: &str| match record_type.named(name) {
        Some(_) => Ok(()),
        None => Err(wrong(&record_type.name, name, "规则或标题中的字段不存在")),
    };
    for name in &record_type.title {
        one(name)?;
    }
    for rule in &record_type.rules {
        match rule {
            Rule::NotBefore { field, other, .. } => one(field).and_then(|()| one(other))?,
            Rule::RequiredWhen { field, when, .. } => one(field).and_then(|()| one(when))?,
            Rule::AnyOf { fields, .. } | Rule::Together { fields, .. } => {
                fields.iter().try_for_each(|f| one(f))?;
            }
            Rule::NumberMatches {
                number,
                birth_date,
                sex,
            } => {
                [number, birth_date, sex]
                    .into_iter()
                    .try_for_each(|f| one(f))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    fn declared(field: &str) -> Result<RecordType, DeclarationError> {
        written(&format!("sensitivity = \"open\"\n{field}"))
    }

    fn written(field: &str) -> Result<RecordType, DeclarationError> {
        parse(&format!(
            "name = \"thing\"\nlabel = \"物\"\nversion = 1\nkind = \"record\"\ngroups = [\"\"]\n[purposes]\np = \"测试\"\n[[fields]]\n{field}"
        ))
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (
                "name = \"A\"\nlabel = \"甲\"\ntype = \"text\"\npurpose = \"p\"",
                "小写",
            ),
            (
                "name = \"a\"\nlabel = \" \"\ntype = \"text\"\npurpose = \"p\"",
                "中文名称",
            ),
            (
                "name = \"a\"\nlabel = \"甲\"\ntype = \"text\"\npurpose = \"q\"",
                "目的",
            ),
            (
                "name = \"a\"\nlabel = \"甲\"\ntype = \"code\"\ntable = \"none\"\npurpose = \"p\"",
                "代码表",
            ),
            (
                "name = \"a\"\nlabel = \"甲\"\ntype = \"set\"\npurpose = \"p\"",
                "union",
            ),
            (
                "name = \"a\"\nlabel = \"甲\"\ntype = \"id_number\"\npurpose = \"p\"",
                "证件种类",
            ),
            (
                "name = \"a\"\nlabel = \"甲\"\ntype = \"colour\"\npurpose = \"p\"",
                "colour",
            ),
            (
                "name = \"a\"\nlabel = \"甲\"\ntype = \"items\"\nmerge = \"union\"\npurpose = \"p\"",
                "没有声明字段",
            ),
        ];
        for (field, what) in cases {
            let error = declared(field).unwrap_err().to_string();
            assert!(error.contains(what), "{field}: {error}");
        }
        assert!(declared("name = \"a\"\nlabel = \"甲\"\ntype = \"text\"\npurpose = \"p\"").is_ok());
        assert!(matches!(
            declared("name = \"a\"\nlabel = \"甲\"\ntype = \"text\"\npurpose = \"p\"\ncolour = 1"),
            Err(DeclarationError::Syntax(_))
        ));
    }

    #[test]
    fn a_field_says_how_closely_it_is_kept() {
        let field = "name = \"a\"\nlabel = \"甲\"\ntype = \"text\"\npurpose = \"p\"";
        let error = written(field).unwrap_err();
        assert!(matches!(error, DeclarationError::Syntax(_)), "{error}");
        assert!(error.to_string().contains("sensitivity"), "{error}");
        assert!(written(&format!("{field}\nsensitivity = \"personal\"")).is_ok());
    }

    #[test]
    fn a_retired_field_is_understood_and_no_longer_offered() {
        let field =
            "name = \"a\"\nlabel = \"甲\"\ntype = \"text\"\npurpose = \"p\"\nretired = true";
        let rt = declared(field).unwrap();
        assert!(rt.field("a").is_some());
        assert_eq!(rt.offered().count(), 0);
        let error = declared(&format!("{field}\nrequired = true")).unwrap_err();
        assert!(error.to_string().contains("停用"));
    }
}

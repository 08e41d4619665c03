//! Masks values that a reader may not see whole, by what the field's declaration says.
//!
//! Knows one value at a time; who may see what, and when a mask may be lifted, is decided elsewhere.

use std::collections::BTreeMap;

use crate::records::{Field, FieldKind, Mask, RecordType, split_key};
use crate::value::{Fields, Value};

/// Stands for a value that is hidden whole; its length tells nothing.
pub const HIDDEN: &str = "******";

/// The value as it may be shown to someone who may not see it whole.
///
/// Unmasked fields come back as they are, and an empty value stays empty. An item of a keyed list (JSON
/// text) is masked field by field.
#[must_use]
pub fn mask(field: &Field, value: &str) -> String {
    if value.trim().is_empty() {
        return String::new();
    }
    if let FieldKind::Items(inner) = &field.kind {
        return item(inner, value, |_| true);
    }
    match field.mask {
        Mask::None => value.to_owned(),
        Mask::Name => name(value),
        Mask::Number => number(value),
        Mask::Phone => phone(value),
        Mask::Address => address(value),
        Mask::Date => date(value),
        Mask::All => HIDDEN.to_owned(),
    }
}

/// An item of a keyed list with those of its fields masked that `hides` names; as it is, where it holds none of them,
/// and so is any other value.
#[must_use]
pub fn mask_within(field: &Field, value: &Value, hides: impl Fn(&Field) -> bool) -> Value {
    let (FieldKind::Items(inner), Value::Text(json)) = (&field.kind, value) else {
        return value.clone();
    };
    let object: Option<BTreeMap<String, Value>> = serde_json::from_str(json).ok();
    let holds = |name: &String| object.as_ref().is_none_or(|item| item.contains_key(name));
    if inner.iter().any(|one| hides(one) && holds(&one.name)) {
        item(inner, json, hides).into()
    } else {
        value.clone()
    }
}

/// As [`mask`], of any value: numbers and yes or no are hidden only by [`Mask::All`]. What a set holds stands in its
/// keys, and is hidden there ([`mask_key`]).
#[must_use]
pub fn mask_value(field: &Field, value: &Value) -> Value {
    match value {
        Value::Text(text) => mask(field, text).into(),
        Value::Null => Value::Null,
        _ if field.mask == Mask::All && !is_set(field) => HIDDEN.into(),
        other => other.clone(),
    }
}

/// A key as it may be shown with its value masked: the element of a set that is hidden whole is hidden.
#[must_use]
pub fn mask_key(field: &Field, key: &str) -> String {
    match split_key(key) {
        (name, Some(_)) if field.mask == Mask::All && is_set(field) => format!("{name}/{HIDDEN}"),
        _ => key.to_owned(),
    }
}

fn is_set(field: &Field) -> bool {
    matches!(field.kind, FieldKind::Set(_))
}

/// A record's values with every declared mask on; undeclared keys are left out, reserved ones kept. A hidden set
/// comes back as one element.
#[must_use]
pub fn mask_fields(rt: &RecordType, fields: &Fields) -> Fields {
    let mut masked = Fields::new();
    for (key, value) in fields {
        if crate::records::RESERVED.contains(&key.as_str()) {
            masked.insert(key.clone(), value.clone());
        } else if let Some(field) = rt.field(key) {
            let held = masked.entry(mask_key(field, key)).or_default();
            if held.is_null() {
                *held = mask_value(field, value);
            }
        }
    }
    masked
}

/// What names a record to a person, masked; empty where nothing of that is written.
#[must_use]
pub fn title(rt: &RecordType, fields: &Fields) -> String {
    let parts = rt
        .title
        .iter()
        .filter_map(|name| Some(mask(rt.named(name)?, fields.get(name)?.as_text()?)));
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

fn item(inner: &[Field], json: &str, hides: impl Fn(&Field) -> bool) -> String {
    let Ok(object) = serde_json::from_str::<BTreeMap<String, Value>>(json) else {
        return HIDDEN.to_owned();
    };
    let masked: BTreeMap<_, _> = object
        .into_iter()
        .filter_map(|(key, value)| {
            let field = inner.iter().find(|f| f.name == key)?;
            let value = match value {
                value if !hides(field) => value,
                Value::Text(text) => Value::from(mask(field, &text)),
                other if field.mask == Mask::All => {
                    Value::from(if other.is_null() { "" } else { HIDDEN })
                }
                other => other,
            };
            Some((key, value))
        })
        .collect();
    serde_json::to_string(&masked).unwrap_or_else(|_| HIDDEN.to_owned())
}

/// 张三丰 → 张**, 张三 → 张*; the family name alone shows, and at most two stars.
fn name(value: &str) -> String {
    let mut characters = value.trim().chars();
    let first = characters.next();
    match (first, characters.count()) {
        (Some(first), rest @ 1..) => format!("{first}{}", "*".repeat(rest.min(2))),
        _ => "*".to_owned(),
    }
}

/// 310101197004275621 → 310101********5621; shorter numbers keep two characters at each end.
fn number(value: &str) -> String {
    match value.chars().count() {
        15.. => between(value, 6, 4),
        8..=14 => between(value, 2, 2),
        _ => HIDDEN.to_owned(),
    }
}

/// 13812341234 → 138****1234; other telephone numbers keep their last four digits.
fn phone(value: &str) -> String {
    match value.chars().count() {
        11 => between(value, 3, 4),
        8.. => between(value, 0, 4),
        _ => HIDDEN.to_owned(),
    }
}

/// Keeps what is public on a street sign: 陕西中路12弄28号1702室 → 陕西中路12弄***.
fn address(value: &str) -> String {
    let road = |c: &char| matches!(c, '路' | '街' | '道' | '巷' | '镇' | '乡' | '村');
    let characters: Vec<char> = value.trim().chars().collect();
    let lane = characters.iter().position(|c| *c == '弄');
    let keep = lane.or_else(|| {
        let digit = |c: &char| c.is_numeric() || "一二三四五六七八九十廿百".contains(*c);
        let end = characters
            .iter()
            .position(digit)
            .unwrap_or(characters.len());
        characters[..end].iter().rposition(road)
    });
    let kept: String = keep.map_or_else(String::new, |last| characters[..=last].iter().collect());
    format!("{kept}***")
}

/// 1970-04-27 → 1970-**-**
fn date(value: &str) -> String {
    match value.split_once('-') {
        Some((year, _)) => format!("{year}-**-**"),
        None => HIDDEN.to_owned(),
    }
}

fn between(value: &str, head: usize, tail: usize) -> String {
    let length = value.chars().count();
    let star = |(i, c)| {
        if i < head || i + tail >= length {
            c
        } else {
            '*'
        }
    };
    value.chars().enumerate().map(star).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;
    use crate::records::{Sensitivity, all, parse, record_type};

    fn masked(record: &str, field: &str, value: &str) -> String {
        mask(record_type(record).unwrap().named(field).unwrap(), value)
    }

    #[test]
    fn each_kind_of_mask() {
        let cases = [
            ("name", "叶海思", "叶**"),
            ("name", "黄诺", "黄*"),
            ("name", "阿依古丽·热合曼", "阿**"),
            ("name", "丁", "*"),
            ("id_number", "310101197004275621", "310101********5621"),
            ("id_number", "D74149310", "D7*****10"),
            ("id_number", "123", "******"),
            ("phone", "13329620436", "133****0436"),
            ("phone", "021-62345678", "********5678"),
            ("birth_date", "1970-04-27", "1970-**-**"),
            (
                "register_address",
                "陕西中路12弄28号1702室",
                "陕西中路12弄***",
            ),
            ("register_address", "厦门中路200-32-404", "厦门中路***"),
            ("register_address", "南京东路三百号", "南京东路***"),
            ("register_address", "某小区3号", "***"),
            ("remark", "常年在外", "******"),
            ("sex", "1", "1"),
            ("name", "", ""),
        ];
        for (field, value, expected) in cases {
            assert_eq!(
                masked("resident", field, value),
                expected,
                "{field} {value}"
            );
        }
        assert_eq!(
            masked("house", "address", "陕西中路12弄28号"),
            "陕西中路12弄28号",
            "a house alone is no one's"
        );
    }

    #[test]
    fn items_are_masked_field_by_field() {
        let json = r#"{"name":"王小二","phone":"13329620436","relation":"01","secret":"x"}"#;
        let shown = masked("resident", "guardians", json);
        assert_eq!(
            shown,
            r#"{"name":"王**","phone":"133****0436","relation":"01"}"#
        );
        assert_eq!(masked("resident", "guardians", "not json"), HIDDEN);
    }

    #[test]
    fn of_an_item_only_what_is_secret_is_masked_for_who_sees_the_rest() {
        let guardians = record_type("resident").unwrap().named("guardians").unwrap();
        let secret = |field: &Field| field.sensitivity == Sensitivity::Secret;
        let item = r#"{"id_number":"310101197004275621","name":"王小二"}"#.into();
        assert_eq!(
            mask_within(guardians, &item, secret),
            r#"{"id_number":"310101********5621","name":"王小二"}"#.into()
        );
        assert_eq!(
            mask_within(guardians, &"not json".into(), secret),
            HIDDEN.into()
        );
        let without = r#"{"relation":"01","name":"王小二"}"#.into();
        assert_eq!(mask_within(guardians, &without, secret), without);
        let phone = record_type("resident").unwrap().named("phone").unwrap();
        let value = "13329620436".into();
        assert_eq!(mask_within(phone, &value, |_| true), value, "no item");
    }

    #[test]
    fn a_masked_record_shows_no_secret() {
        let resident = record_type("resident").unwrap();
        let fields = Fields::from([
            ("_type".to_owned(), Value::from("resident")),
            ("name".to_owned(), Value::from("叶海思")),
            ("id_number".to_owned(), Value::from("310115197004275621")),
            ("photos/aa".to_owned(), Value::Bool(true)),
            ("tags/elderly".to_owned(), Value::Bool(true)),
            ("nickname".to_owned(), Value::from("小叶")),
        ]);
        let text = serde_json::to_string(&mask_fields(resident, &fields)).unwrap();
        for secret in ["叶海思", "19700427", "photos/aa", "小叶"] {
            assert!(!text.contains(secret), "{secret}");
        }
        assert!(text.contains("tags/elderly") && text.contains("resident"));
    }

    #[test]
    fn the_codes_of_a_secret_set_are_hidden_with_their_keys() {
        let declared = r#"
            name = "thing"
            label = "物"
            version = 1
            kind = "record"
            groups = [""]
            [purposes]
            p = "测试"
            [[fields]]
            name = "items"
            label = "项目"
            type = "set"
            table = "checked_item"
            merge = "union"
            sensitivity = "secret"
            purpose = "p"
        "#;
        let declared = parse(declared).unwrap();
        let set = |held: &[(&str, Value)]| -> Fields {
            let held = held.iter();
            held.map(|(element, value)| (format!("items/{element}"), value.clone()))
                .collect()
        };
        let (held, gone) = (Value::Bool(true), Value::Null);
        let hidden = set(&[(HIDDEN, held.clone())]);
        for values in [[held.clone(), gone.clone()], [gone, held]] {
            let [one, other] = values;
            let fields = set(&[("01", one), ("02", other)]);
            assert_eq!(mask_fields(&declared, &fields), hidden);
        }
    }

    proptest! {
        #[test]
        fn nothing_closed_is_shown_whole(text in "[\u{4e00}-\u{9fff}a-z0-9]{1,30}") {
            for declared in all() {
                for field in &declared.fields {
                    let (key, value) = match &field.kind {
                        FieldKind::Set(_) => (format!("{}/{text}", field.name), true.into()),
                        FieldKind::Items(_) => (format!("{}/1", field.name), text.as_str().into()),
                        _ => (field.name.clone(), text.as_str().into()),
                    };
                    let fields = Fields::from([(key, value)]);
                    if field.sensitivity == Sensitivity::Secret || field.mask != Mask::None {
                        prop_assert_ne!(mask_fields(declared, &fields), fields, "{}", field.name);
                    }
                }
            }
        }

        #[test]
        fn masking_never_panics(text in any::<String>()) {
            for field in all().iter().flat_map(|t| &t.fields) {
                let _ = mask(field, &text);
            }
        }
    }
}

//! Values as a reader may see them: labels of codes, masks by the declaration. Knows no database.

use doorstep_core::codes;
use doorstep_core::mask;
use doorstep_core::records::{self, Field, FieldKind, RecordType, Sensitivity, SetOf, split_key};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};

use super::model::{FieldView, Shown};
use crate::register::Opened;

/// How much a reader may see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sight {
    /// Every mask on.
    Masked,
    /// Personal values in clear, secret ones masked.
    Personal,
    /// Everything, for a stated purpose.
    All,
}

impl Sight {
    fn hides(self, field: &Field) -> bool {
        match self {
            Self::Masked => true,
            Self::Personal => field.sensitivity == Sensitivity::Secret,
            Self::All => false,
        }
    }
}

/// A value of a field; a key without a declared field shows nothing but that it is there.
pub(super) fn shown(field: Option<&Field>, value: &Value, sight: Sight) -> Shown {
    let Some(field) = field else {
        let value = if value.is_null() {
            Value::Null
        } else {
            mask::HIDDEN.into()
        };
        return Shown {
            masked: !value.is_null(),
            value,
            meaning: None,
        };
    };
    let meaning = meaning(field, value);
    let hidden = if sight.hides(field) {
        mask::mask_value(field, value)
    } else {
        // An item may hold what is kept more closely than the list that it stands in.
        mask::mask_within(field, value, |inner| sight.hides(inner))
    };
    let masked = hidden != *value;
    Shown {
        value: hidden,
        meaning: meaning.filter(|_| !masked),
        masked,
    }
}

/// What a value means to a reader, where it doesn't say so itself.
fn meaning(field: &Field, value: &Value) -> Option<String> {
    match (&field.kind, value) {
        (FieldKind::Boolean, Value::Bool(true)) => Some("是".to_owned()),
        (FieldKind::Boolean, Value::Bool(false)) => Some("否".to_owned()),
        (FieldKind::DateTime, Value::Int(at)) => {
            let at = Timestamp(*at).in_shanghai()?;
            Some(at.format("%Y-%m-%d %H:%M").to_string())
        }
        _ => {
            let table = codes::table(field.table()?)?;
            table.label(value.as_text()?).map(str::to_owned)
        }
    }
}

/// The fields of a record or event in the order of its form; reserved keys left out.
pub(super) fn fields(record_type: &str, fields: &Fields, sight: Sight) -> Vec<FieldView> {
    let Some(declared) = records::record_type(record_type) else {
        return Vec::new();
    };
    let order = |key: &str| {
        declared
            .fields
            .iter()
            .position(|field| field.name == split_key(key).0)
            .unwrap_or(usize::MAX)
    };
    let mut views: Vec<(usize, FieldView)> = fields
        .iter()
        .filter(|(key, value)| !key.starts_with('_') && !value.is_null())
        .map(|(key, value)| (order(key), view(key, declared.field(key), value, sight)))
        .collect();
    views.sort_by(|a, b| (a.0, &a.1.key).cmp(&(b.0, &b.1.key)));
    views.into_iter().map(|(_, view)| view).collect()
}

/// As [`fields`]; photos are shown by themselves.
pub(super) fn without_photos(record_type: &str, values: &Fields, sight: Sight) -> Vec<FieldView> {
    let declared = records::record_type(record_type);
    let is_photo = |key: &str| declared?.field(key).map(Field::holds_photos);
    let mut values = values.clone();
    values.retain(|key, _| is_photo(key) != Some(true));
    fields(record_type, &values, sight)
}

/// What a change would put, cleared values too.
pub(super) fn puts(record_type: &str, fields: &Fields, sight: Sight) -> Vec<FieldView> {
    let declared = records::record_type(record_type);
    fields
        .iter()
        .filter(|(key, _)| !key.starts_with('_'))
        .map(|(key, value)| {
            let field = declared.and_then(|declared| declared.field(key));
            view(key, field, value, sight)
        })
        .collect()
}

/// A key as it is shown: the element of a set stands in its key, and is hidden with it.
pub(super) fn shown_key(key: &str, field: Option<&Field>, sight: Sight) -> String {
    match field.filter(|field| sight.hides(field)) {
        Some(field) => mask::mask_key(field, key),
        None => key.to_owned(),
    }
}

fn view(key: &str, field: Option<&Field>, value: &Value, sight: Sight) -> FieldView {
    let mut shown = shown(field, value, sight);
    let shown_key = shown_key(key, field, sight);
    shown.masked |= shown_key != key;
    FieldView {
        label: key_label(key, field, sight),
        key: shown_key,
        shown,
    }
}

/// What a key is called: of a set's element, what it means with it, or the words that it is.
pub(super) fn key_label(key: &str, field: Option<&Field>, sight: Sight) -> String {
    let (name, element) = split_key(key);
    let Some(field) = field else {
        return name.to_owned();
    };
    let meaning = match (&field.kind, element) {
        (FieldKind::Set(_), Some(_)) if shown_key(key, Some(field), sight) != key => None,
        (FieldKind::Set(SetOf::Table(table)), Some(element)) => {
            codes::table(table).and_then(|table| table.label(element))
        }
        (FieldKind::Set(SetOf::Free), element) => element,
        _ => None,
    };
    match meaning {
        Some(meaning) => format!("{}：{meaning}", field.label),
        None => field.label.clone(),
    }
}

/// What names a record to a person.
pub(super) fn title(record: &Opened, sight: Sight) -> String {
    let Some(declared) = records::record_type(&record.record_type) else {
        return String::new();
    };
    title_of(declared, &record.registers.fields(), sight)
}

pub(super) fn title_of(declared: &RecordType, fields: &Fields, sight: Sight) -> String {
    let parts = declared.title.iter().filter_map(|key| {
        let shown = shown(declared.field(key), fields.get(key)?, sight);
        shown
            .meaning
            .or_else(|| shown.value.as_text().map(str::to_owned))
    });
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        declared.label.clone()
    } else {
        parts.join(" ")
    }
}

/// The label of a key of a record type.
pub(super) fn label(record_type: &str, key: &str) -> Option<String> {
    let declared = records::record_type(record_type)?;
    let field = declared
        .field(key)
        .or_else(|| declared.named(split_key(key).0))?;
    Some(field.label.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    fn field(name: &str) -> Option<&'static Field> {
        records::record_type("resident").unwrap().field(name)
    }

    #[test]
    fn a_secret_shows_only_to_whom_it_is_revealed() {
        let number = Value::from("310101197004275621");
        for sight in [Sight::Masked, Sight::Personal] {
            let shown = shown(field("id_number"), &number, sight);
            assert_eq!(shown.value, Value::from("310101********5621"));
            assert!(shown.masked);
        }
        assert_eq!(shown(field("id_number"), &number, Sight::All).value, number);
        let name = Value::from("叶海思");
        assert_eq!(
            shown(field("name"), &name, Sight::Masked).value,
            Value::from("叶**")
        );
        assert_eq!(shown(field("name"), &name, Sight::Personal).value, name);
    }

    #[test]
    fn codes_carry_their_meaning_and_undeclared_keys_nothing() {
        let sex = shown(field("sex"), &Value::from("2"), Sight::Personal);
        assert!(sex.meaning.is_some_and(|label| label.contains('女')));
        let updated = Value::Int(1_795_482_000_000);
        let updated = shown(field("source_updated_at"), &updated, Sight::Personal);
        assert_eq!(updated.meaning.as_deref(), Some("2026-11-24 09:00"));
        let unknown = shown(None, &Value::from("x"), Sight::All);
        assert!(unknown.masked && unknown.value == Value::from(mask::HIDDEN));
    }

    #[test]
    fn the_elements_of_a_hidden_set_are_hidden_with_their_keys() {
        let photos = Fields::from([(format!("photos/{}", "a".repeat(64)), Value::Bool(true))]);
        let views = fields("resident", &photos, Sight::Personal);
        assert!(!views[0].key.contains('a') || views[0].key == format!("photos/{}", mask::HIDDEN));
        assert!(views[0].shown.masked);
        assert!(!views[0].label.contains('a'));
    }

    #[test]
    fn an_element_of_a_set_is_named_with_its_set() {
        let house = records::record_type("house").unwrap();
        let label = |key: &str| key_label(key, house.field(key), Sight::Masked);
        assert_eq!(label("hazards/飞线充电"), "安全隐患：飞线充电");
        assert_eq!(label("tags/unheard-of"), "标签");
        assert_eq!(label("managed"), "纳管状态");
        assert_eq!(key_label("new/one", None, Sight::All), "new");
    }
}

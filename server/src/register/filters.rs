//! Blind tokens that lists are narrowed by: fields which may not stand in clear and are not what a person types.
//! Only those that a list needs: a token of few values shows how often each occurs. Knows no query.

use doorstep_core::ids::RecordId;
use doorstep_core::records;
use doorstep_core::value::{Fields, Value};

/// The fields by which residents are narrowed: 人员类别, 暂离, 标签.
const FIELDS: [&str; 3] = ["population_kind", "away", "tags"];

/// The token of a field's value (or of an element of a set), before it is blinded.
///
/// ```
/// assert_eq!(doorstep_server::register::filter_token("population_kind", "02"), Some("f:population_kind=02".to_owned()));
/// assert_eq!(doorstep_server::register::filter_token("sex", "1"), None);
/// ```
#[must_use]
pub fn filter_token(field: &str, value: &str) -> Option<String> {
    FIELDS
        .contains(&field)
        .then(|| format!("f:{field}={value}"))
}

/// Whether the filter tokens of a record may differ after a change of this key: fields of the list above, and items,
/// which may name others.
pub(super) fn feeds(record_type: &str, key: &str) -> bool {
    let (field, element) = records::split_key(key);
    record_type == "resident" && (FIELDS.contains(&field) || element.is_some())
}

/// The token of files that name a resident as guardian or linked person, before it is blinded.
pub(super) fn linked_token(resident: RecordId) -> String {
    format!("l:{resident}")
}

/// The resident whom an item of a file names: a guardian, a linked person.
#[must_use]
pub fn named_in(item: &str) -> Option<RecordId> {
    let item: serde_json::Value = serde_json::from_str(item).ok()?;
    item["resident"].as_str()?.parse().ok()
}

/// The tokens of a record.
pub(super) fn tokens<'a>(
    record_type: &str,
    fields: &'a Fields,
) -> impl Iterator<Item = String> + 'a {
    let resident = record_type == "resident";
    fields
        .iter()
        .filter(move |_| resident)
        .filter_map(|(key, value)| {
            let (field, element) = records::split_key(key);
            match (element, value) {
                (Some(element), Value::Bool(true)) => filter_token(field, element),
                (None, Value::Bool(yes)) => {
                    filter_token(field, if *yes { "true" } else { "false" })
                }
                (None, Value::Text(text)) => filter_token(field, text),
                (Some(_), Value::Text(item)) => named_in(item).map(linked_token),
                _ => None,
            }
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use doorstep_core::projection;
    use doorstep_core::search;

    use super::*;

    /// A change of a key that feeds nothing leaves every token as it was: they are not derived again then.
    #[test]
    fn keys_that_feed_no_token_move_none() {
        let item = r#"{"name":"叶海思","phone":"13800000000","resident":"01890000-0000-7000-8000-000000000001"}"#;
        let samples: [Value; 6] = [
            "叶海思".into(),
            "31010119800101001X".into(),
            "02".into(),
            item.into(),
            true.into(),
            Value::Int(3),
        ];
        let all = |kind: &str, fields: &Fields| -> Vec<String> {
            let found = search::tokens(kind, fields).into_iter();
            found.chain(tokens(kind, fields)).collect()
        };
        let mut fed = 0;
        for declared in records::all() {
            let kind = declared.name.as_str();
            for field in &declared.fields {
                let key = if field.is_many() {
                    format!("{}/1", field.name)
                } else {
                    field.name.clone()
                };
                let feeds = projection::feeds_tokens(kind, &key) || feeds(kind, &key);
                fed += usize::from(feeds);
                for value in &samples {
                    let fields = Fields::from([(key.clone(), value.clone())]);
                    assert!(
                        feeds || all(kind, &fields).is_empty(),
                        "{kind}.{key} gives tokens"
                    );
                }
            }
        }
        assert!(fed > 10, "{fed}");
    }
}

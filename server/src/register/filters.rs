//! Blind tokens that lists are narrowed by: fields which may not stand in clear and are not what a person types.
//! Only those that a list needs: a token of few values shows how often each occurs. Knows no query.

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

/// Whether the filter tokens of a record may differ after a change of this key.
pub(super) fn feeds(record_type: &str, key: &str) -> bool {
    record_type == "resident" && FIELDS.contains(&records::split_key(key).0)
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
                _ => None,
            }
        })
}

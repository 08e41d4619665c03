//! What a row's records are looked up by: the register's own search tokens. Knows no database.

use doorstep_core::address;
use doorstep_core::search;
use doorstep_core::value::{Fields, Value};

/// Digits that a certificate's number has at least.
const FEWEST_DIGITS: usize = 5;

fn of(record_type: &str, key: &str, value: &Value, kind: &str) -> Vec<String> {
    let fields = Fields::from([(key.to_owned(), value.clone())]);
    search::tokens(record_type, &fields)
        .into_iter()
        .filter(|token| token.starts_with(kind))
        .collect()
}

/// Of a code that is found whole: a register's own number.
pub(super) fn code(record_type: &str, key: &str, fields: &Fields) -> Vec<String> {
    fields
        .get(key)
        .map(|value| of(record_type, key, value, "c:"))
        .unwrap_or_default()
}

/// Of a certificate number.
pub(super) fn number(key: &str, fields: &Fields) -> Vec<String> {
    fields
        .get(key)
        .map(|value| of("resident", key, value, "id:"))
        .unwrap_or_default()
}

/// Of a cell that may be a certificate's number, whatever it stands for: most are not.
pub(super) fn number_in(cell: &str) -> Vec<String> {
    let digits = cell.chars().filter(|c| c.is_numeric()).count();
    if digits < FEWEST_DIGITS {
        return Vec::new();
    }
    of("resident", "id_number", &cell.into(), "id:")
}

/// Of a name, all of which a person of that name has: its pairs of characters, which are rarer than single ones.
pub(super) fn name(fields: &Fields) -> Vec<String> {
    let all = fields
        .get("name")
        .map(|value| of("resident", "name", value, "n:"))
        .unwrap_or_default();
    let pairs: Vec<String> = all
        .iter()
        .filter(|token| token.chars().count() > "n:叶".chars().count())
        .cloned()
        .collect();
    if pairs.is_empty() { all } else { pairs }
}

/// Of a house at this address.
pub(super) fn house_at(address: &str) -> Vec<String> {
    of("house", "address", &address.into(), "k:")
}

/// The key of a place; empty for an address that says too little.
pub(super) fn place(fields: &Fields, key: &str) -> String {
    fields
        .get(key)
        .and_then(Value::as_text)
        .map(|text| address::parse(text).key())
        .unwrap_or_default()
}

//! Which house of the register a row is: by the source's number, else by the place. Knows no database.

use doorstep_core::ids::RecordId;
use doorstep_core::value::{Fields, Value};

use super::tokens;
use crate::register::Opened;

/// What a row is, among the records that come near.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Match {
    /// Nothing comes near.
    None,
    /// It is this record.
    Same(RecordId),
    /// Its source's number was that of a record which is part of this one by now.
    Merged(RecordId),
    /// It is likely this record, and a person should look.
    Like(RecordId),
}

/// A text of fields, blanks left out.
pub(super) fn text<'a>(fields: &'a Fields, key: &str) -> Option<&'a str> {
    fields
        .get(key)
        .and_then(Value::as_text)
        .filter(|text| !text.trim().is_empty())
}

/// Whether one of the two is without a source's number, so that they can be one and the same.
pub(super) fn free(key: &str, row: &Fields, held: &Fields) -> bool {
    text(row, key).is_none() || text(held, key).is_none()
}

/// Finds the house.
pub(super) fn house(row: &Fields, near: &[(&Opened, &Fields)]) -> Match {
    let by_number = near.iter().find(|(_, held)| {
        text(row, "community_id").is_some_and(|id| text(held, "community_id") == Some(id))
    });
    if let Some((house, _)) = by_number {
        return Match::Same(house.id);
    }
    let place = tokens::place(row, "address");
    let mut at_place = near
        .iter()
        .filter(|(_, held)| !place.is_empty() && tokens::place(held, "address") == place);
    let Some((house, held)) = at_place.next() else {
        return Match::None;
    };
    if free("community_id", row, held) {
        Match::Same(house.id)
    } else {
        Match::Like(house.id)
    }
}

//! Which resident of the register a row is: by the source's number, by certificate, else by name, birth and place.
//! Knows no database.

use doorstep_core::names;
use doorstep_core::value::Fields;

use super::match_house::{Match, free, text};
use super::tokens;
use crate::register::Opened;

/// A resident that comes near, with where it lives.
#[derive(Debug)]
pub(super) struct Near<'a> {
    pub(super) record: &'a Opened,
    pub(super) fields: &'a Fields,
    /// Keys of the places it is tied to.
    pub(super) places: Vec<String>,
}

/// The fields that hold a certificate's number.
pub(super) const NUMBERS: [&str; 2] = ["id_number", "passport_number"];

/// Finds the resident. `places` are the keys of the places that the row names.
pub(super) fn resident(row: &Fields, places: &[String], near: &[Near<'_>]) -> Match {
    let same = |near: &&Near<'_>| {
        text(row, "community_id").is_some_and(|id| text(near.fields, "community_id") == Some(id))
    };
    if let Some(found) = near.iter().find(same) {
        return Match::Same(found.record.id);
    }
    let by_number = near.iter().find(|near| {
        NUMBERS
            .iter()
            .any(|key| numbers_agree(key, row, near.fields))
    });
    if let Some(found) = by_number {
        return near_or_same(row, found, names_agree(row, found.fields));
    }
    let alike = near.iter().find(|near| {
        alike(row, near.fields)
            && near
                .places
                .iter()
                .any(|place| !place.is_empty() && places.contains(place))
    });
    match alike {
        Some(found) => near_or_same(row, found, !numbers_differ(row, found.fields)),
        None => Match::None,
    }
}

fn near_or_same(row: &Fields, found: &Near<'_>, agrees: bool) -> Match {
    if agrees && free("community_id", row, found.fields) {
        Match::Same(found.record.id)
    } else {
        Match::Like(found.record.id)
    }
}

fn numbers_agree(key: &str, row: &Fields, held: &Fields) -> bool {
    let tokens = tokens::number(key, row);
    !tokens.is_empty() && tokens == tokens::number(key, held)
}

/// Both have a certificate's number, and it is not the same.
fn numbers_differ(row: &Fields, held: &Fields) -> bool {
    NUMBERS.iter().any(|key| {
        let (one, two) = (tokens::number(key, row), tokens::number(key, held));
        !one.is_empty() && !two.is_empty() && one != two
    })
}

fn names_agree(row: &Fields, held: &Fields) -> bool {
    match (text(row, "name"), text(held, "name")) {
        (Some(one), Some(two)) => names::is_variant(one, two),
        _ => false,
    }
}

/// The same name and the same birth date. Twins share the birth date and not the name.
fn alike(row: &Fields, held: &Fields) -> bool {
    let birth = text(row, "birth_date");
    birth.is_some()
        && birth == text(held, "birth_date")
        && name_key(row).is_some_and(|name| name_key(held) == Some(name))
}

/// A name with what is taken for one another made one.
pub(super) fn name_key(fields: &Fields) -> Option<String> {
    text(fields, "name").map(|name| names::fold(&names::normalise(name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use doorstep_core::crdt::Registers;
    use doorstep_core::ids::{AreaCode, RecordId};
    use doorstep_core::value::Value;
    use uuid::Uuid;

    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs
            .iter()
            .map(|(key, text)| ((*key).to_owned(), Value::from(*text)))
            .collect()
    }

    fn find(row: &[(&str, &str)], held: &[(&str, &str)], place: &str) -> Match {
        let area: AreaCode = "310101002001".parse().unwrap();
        let record = Opened {
            id: RecordId(Uuid::from_u128(1)),
            record_type: "resident".to_owned(),
            area,
            areas: vec![area],
            merged_into: None,
            registers: Registers::default(),
        };
        let held = fields(held);
        let near = Near {
            record: &record,
            fields: &held,
            places: vec!["k1".to_owned()],
        };
        resident(&fields(row), &[place.to_owned()], &[near])
    }

    const SAME: Match = Match::Same(RecordId(Uuid::from_u128(1)));
    const LIKE: Match = Match::Like(RecordId(Uuid::from_u128(1)));
    const NUMBER: (&str, &str) = ("id_number", "11010519491231002X");

    #[test]
    fn a_source_number_is_the_record_and_two_of_them_never_are() {
        assert_eq!(
            find(
                &[("community_id", "C1")],
                &[("community_id", "C1"), ("name", "改名")],
                ""
            ),
            SAME
        );
        let (one, two) = (
            [("community_id", "C1"), NUMBER, ("name", "王二")],
            [("community_id", "C2"), NUMBER, ("name", "王二")],
        );
        assert_eq!(find(&one, &two, ""), LIKE);
    }

    #[test]
    fn what_a_phone_recorded_is_found_by_number_or_by_name_birth_and_place() {
        assert_eq!(
            find(
                &[("community_id", "C1"), NUMBER, ("name", "傅二")],
                &[NUMBER, ("name", "付二")],
                ""
            ),
            SAME
        );
        assert_eq!(
            find(
                &[("community_id", "C1"), NUMBER, ("name", "傅二")],
                &[NUMBER, ("name", "张三")],
                ""
            ),
            LIKE
        );
        let child = [("name", "王小"), ("birth_date", "2025-01-02")];
        assert_eq!(find(&child, &child, "k1"), SAME);
        assert_eq!(find(&child, &child, "k2"), Match::None);
        let twin = [("name", "王大"), ("birth_date", "2025-01-02")];
        assert_eq!(find(&twin, &child, "k1"), Match::None);
        let numbered = [("name", "王小"), ("birth_date", "2025-01-02"), NUMBER];
        let other = [
            ("name", "王小"),
            ("birth_date", "2025-01-02"),
            ("id_number", "440524188001010014"),
        ];
        assert_eq!(find(&numbered, &other, "k1"), LIKE);
    }
}

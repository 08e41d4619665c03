//! Standard addresses (标准地址): the places that the city's address base knows, as the phones of an area hold them, and
//! finding the one that someone means. The server alone decides them; on a phone they are state
//! (key `address/CODE`). Knows no file they come from and no storage.

use serde::{Deserialize, Serialize};

use crate::address::{self, Address};
use crate::protocol::frames::StateEntry;

/// How the keys of their states begin.
pub const PREFIX: &str = "address/";

/// A place of the address base.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandardAddress {
    /// Its code (标准地址编码), what a house's `standard_address_code` names.
    #[serde(skip)]
    pub code: String,
    /// The address as the base writes it.
    pub address: String,
}

/// How near a standard address is to what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// The same place, however it is written.
    Same,
    /// Another door of the same building.
    SameBuilding,
    /// What was written is part of it: a road, an estate, a number.
    Contains,
}

impl Nearness {
    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::SameBuilding => "same_building",
            Self::Contains => "contains",
        }
    }

    /// What a collector reads.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Same => "同一地址",
            Self::SameBuilding => "同一楼栋",
            Self::Contains => "包含",
        }
    }
}

/// A standard address that may be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub standard: StandardAddress,
    /// How near it is.
    pub nearness: Nearness,
}

impl StandardAddress {
    /// The state that brings it to phones.
    #[must_use]
    pub fn state(&self) -> StateEntry {
        StateEntry {
            key: key(&self.code),
            json: serde_json::to_string(self).unwrap_or_default(),
        }
    }

    /// Reads a state; `None` for one of another kind, or withdrawn.
    #[must_use]
    pub fn read(state: &StateEntry) -> Option<Self> {
        let code = state.key.strip_prefix(PREFIX)?.to_owned();
        let read: Self = serde_json::from_str(&state.json).ok()?;
        Some(Self { code, ..read })
    }
}

/// The key of a code's state.
#[must_use]
pub fn key(code: &str) -> String {
    format!("{PREFIX}{code}")
}

/// The state that takes a code back.
#[must_use]
pub fn withdrawn(code: &str) -> StateEntry {
    StateEntry {
        key: key(code),
        json: String::new(),
    }
}

/// The standard addresses that `text` may mean, the nearest first and then as an address book has them; at most `limit`.
#[must_use]
pub fn find(states: &[StateEntry], text: &str, limit: usize) -> Vec<Found> {
    let meant = Meant::read(text);
    let mut found: Vec<(Nearness, Vec<u32>, StandardAddress)> = states
        .iter()
        .filter_map(StandardAddress::read)
        .filter_map(|standard| {
            let place = address::parse(&standard.address);
            let nearness = meant.nearness(&place)?;
            Some((nearness, numbers(&place), standard))
        })
        .collect();
    found.sort_by(|a, b| (a.0, &a.1, &a.2.address).cmp(&(b.0, &b.1, &b.2.address)));
    found.truncate(limit);
    let found = found.into_iter();
    found
        .map(|(nearness, _, standard)| Found { standard, nearness })
        .collect()
}

/// What was written, in the forms that it is compared in.
struct Meant {
    key: String,
    building: String,
    text: String,
}

impl Meant {
    fn read(text: &str) -> Self {
        let place = address::parse(text);
        Self {
            key: place.key(),
            building: place.building_key(),
            text: place.to_string(),
        }
    }

    fn nearness(&self, place: &Address) -> Option<Nearness> {
        if self.text.is_empty() {
            return None;
        }
        if place.key() == self.key {
            return Some(Nearness::Same);
        }
        if !self.building.is_empty() && place.building_key() == self.building {
            return Some(Nearness::SameBuilding);
        }
        let contains = place.to_string().contains(&self.text);
        contains.then_some(Nearness::Contains)
    }
}

/// Number after number, so that 9 comes before 10.
fn numbers(place: &Address) -> Vec<u32> {
    let parts = [&place.lane, &place.number, &place.room];
    let number = |part: &Option<String>| {
        let digits = part.as_deref().unwrap_or_default();
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        digits[..end].parse().unwrap_or(0)
    };
    parts.into_iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Vec<StateEntry> {
        let places = [
            "顺昌路920弄7号1101室",
            "顺昌路920弄7号203室",
            "顺昌路920弄17号203室",
            "建国东路12弄28号1702室",
        ];
        let standard = |(n, address): (usize, &&str)| StandardAddress {
            code: n.to_string(),
            address: (*address).to_owned(),
        };
        let mut states: Vec<StateEntry> = places
            .iter()
            .enumerate()
            .map(standard)
            .map(|one| one.state())
            .collect();
        states.push(withdrawn("9"));
        states
    }

    fn found(text: &str) -> Vec<(String, Nearness)> {
        let found = find(&base(), text, 10).into_iter();
        found
            .map(|found| (found.standard.code, found.nearness))
            .collect()
    }

    #[test]
    fn the_place_that_is_meant_comes_first_however_it_is_written() {
        let expected = [
            ("1".to_owned(), Nearness::Same),
            ("0".to_owned(), Nearness::SameBuilding),
        ];
        for text in [
            "顺昌路920弄7号203室",
            "上海市黄浦区顺昌路九百二十弄7号楼0203",
            "顺昌路920-7-203",
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn part_of_an_address_lists_its_places_in_the_order_of_their_numbers() {
        let codes: Vec<String> = found("顺昌路920弄")
            .into_iter()
            .map(|(code, _)| code)
            .collect();
        assert_eq!(codes, ["1", "0", "2"]);
        assert_eq!(found("顺昌路920弄8号101室"), []);
        assert_eq!(found("  "), []);
        assert_eq!(find(&base(), "顺昌路", 2).len(), 2);
    }
}

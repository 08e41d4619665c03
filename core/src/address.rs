//! Addresses as people write them, brought to one form: 陕西中路十二弄56号楼0301 is 陕西中路12弄56号301室.
//!
//! Made for Shanghai, where a place is district, street, road (路, 街), lane (弄, 支弄), number (号) and
//! room (室), and in the countryside village, group (组, 宅) and number; elements are those of
//! GB/T 39609-2020, codes those of GA/T 2000.32. In 123弄45号601室 the lane is the estate and the
//! number is the building or stairwell, never a door plate.
//!
//! Doesn't know which places exist, where they lie or which standard address code they carry.

mod assemble;
mod clean;
mod lex;
mod numeral;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;

use rules::Rules;

/// A place, taken apart. Elements that weren't written are `None`; numbers are in Arabic digits
/// without leading zeros.
///
/// `Display` gives the canonical form, without city, district and street, which the record's area
/// code tells better. Reading that form again gives an equal address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// Outside Shanghai: province, city, county and town as written (11 省 …).
    pub region: Option<String>,
    /// 黄浦区: a district of Shanghai, if written.
    pub district: Option<String>,
    /// 外滩街道 or 七宝镇, if written.
    pub street: Option<String>,
    /// 33 村: the village, 新建村.
    pub village: Option<String>,
    /// The villagers' group: 3 of 3组.
    pub group: Option<String>,
    /// The hamlet in a village: 王家宅.
    pub hamlet: Option<String>,
    /// 41 路街: 陕西中路; also the named lane 天灯弄 and the estate that stands for a road, 彭浦新村.
    pub road: Option<String>,
    /// The lane: 12 of 12弄.
    pub lane: Option<String>,
    /// The lane within the lane: 4 of 4支弄.
    pub sub_lane: Option<String>,
    /// 42 小区: an estate's name, 步高里.
    pub estate: Option<String>,
    /// A part of an estate: 东区, 2期.
    pub section: Option<String>,
    /// The number: 45 of 45号; with its marks 45甲, 临45, 45-1.
    pub number: Option<String>,
    /// Whether it is the back door (后门) of that number.
    pub back_door: bool,
    /// 50 楼栋: a building that stands beside a number of its own, 3 of 100号3幢.
    pub building: Option<String>,
    /// 61 单元
    pub unit: Option<String>,
    /// The floor, 3 of 3层; in the canonical form only where the room doesn't tell it.
    pub floor: Option<String>,
    /// 62 户室: 301 of 301室, or a room by name, 亭子间.
    pub room: Option<String>,
    /// What could not be placed, as written. Where nothing could, the whole text.
    pub rest: String,
    /// What stood in brackets; no part of the place.
    pub note: Option<String>,
}

/// Reads an address by the built-in rules. Takes any text: what can't be placed stays in
/// [`Address::rest`].
#[must_use]
pub fn parse(text: &str) -> Address {
    let rules = Rules::built_in();
    let cleaned = clean::clean(text, rules);
    let address = assemble::assemble(&cleaned, rules);
    // A form is canonical only if it reads back as itself; otherwise the text stays as it is.
    let sound = address.filter(|address| {
        let again = assemble::assemble(&clean::clean(&address.to_string(), rules), rules);
        again.is_some_and(|again| {
            again.to_string() == address.to_string() && again.key() == address.key()
        })
    });
    sound.unwrap_or_else(|| Address {
        rest: cleaned.whole,
        note: cleaned.note,
        ..Address::default()
    })
}

/// The canonical form of an address: `parse(text).to_string()`.
#[must_use]
pub fn normalise(text: &str) -> String {
    parse(text).to_string()
}

impl Address {
    /// One text for one place: equal for every way of writing it, and for no other place in the
    /// same street's area (village and estate names repeat across the city).
    #[must_use]
    pub fn key(&self) -> String {
        self.join(true)
    }

    /// As [`key`](Self::key) for the building: without unit, floor, room and what couldn't be placed.
    /// Empty where neither number nor building is known.
    #[must_use]
    pub fn building_key(&self) -> String {
        if self.number.is_some() || self.building.is_some() {
            self.join(false)
        } else {
            String::new()
        }
    }

    /// Whether enough is known to find a door: a name (road, village or estate) or lane, and a number.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let named = [
            &self.road,
            &self.village,
            &self.hamlet,
            &self.estate,
            &self.lane,
        ];
        self.number.is_some() && named.iter().any(|name| name.is_some())
    }

    /// Whether nothing was written at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to_string().is_empty()
    }

    /// The names that place the number, in order; those that say nothing more beside a road are left
    /// out, because half of the writers leave them out.
    fn names(&self) -> [Option<&str>; 4] {
        let placed = self.road.is_some() && (self.lane.is_some() || self.number.is_some());
        let country = |name: &'_ Option<String>| name.is_some() && self.road.is_none();
        [
            self.village.as_deref().filter(|_| country(&self.village)),
            self.hamlet.as_deref().filter(|_| country(&self.hamlet)),
            self.road.as_deref(),
            self.estate.as_deref().filter(|_| !placed),
        ]
    }

    /// The group, which says nothing more beside a road.
    fn group(&self) -> Option<&str> {
        self.group.as_deref().filter(|_| self.road.is_none())
    }

    /// The floor, where the room's own number doesn't tell it.
    fn floor(&self) -> Option<&str> {
        let told = self.room.as_deref().is_some_and(is_number);
        self.floor.as_deref().filter(|_| !told)
    }

    fn join(&self, whole: bool) -> String {
        let [village, hamlet, road, estate] = self.names();
        let mut parts = vec![
            self.region.as_deref(),
            village,
            self.group(),
            hamlet,
            road,
            estate,
            self.lane.as_deref(),
            self.sub_lane.as_deref(),
            self.section.as_deref(),
            self.number.as_deref(),
            self.back_door.then_some("后门"),
            self.building.as_deref(),
        ];
        if whole {
            parts.extend([
                self.unit.as_deref(),
                self.floor(),
                self.room.as_deref(),
                Some(&self.rest),
            ]);
        }
        let parts: Vec<&str> = parts.into_iter().map(Option::unwrap_or_default).collect();
        if parts.iter().all(|part| part.is_empty()) {
            String::new()
        } else {
            parts.join("|")
        }
    }
}

/// Whether a room goes by a number (301, A12) rather than by a name (亭子间).
fn is_number(room: &str) -> bool {
    room.bytes().any(|b| b.is_ascii_alphanumeric())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [village, hamlet, road, estate] = self.names();
        let room_unit = if self.room.as_deref().is_some_and(is_number) {
            "室"
        } else {
            ""
        };
        let parts = [
            (self.region.as_deref(), ""),
            (village, ""),
            (self.group(), "组"),
            (hamlet, ""),
            (road, ""),
            (estate, ""),
            (self.lane.as_deref(), "弄"),
            (self.sub_lane.as_deref(), "支弄"),
            (self.section.as_deref(), ""),
            (self.number.as_deref(), "号"),
            (self.back_door.then_some("后门"), ""),
            (self.building.as_deref(), "幢"),
            (self.unit.as_deref(), "单元"),
            (self.floor(), "层"),
            (self.room.as_deref(), room_unit),
            (Some(self.rest.as_str()), ""),
        ];
        for (part, unit) in parts {
            if let Some(part) = part {
                write!(f, "{part}{unit}")?;
            }
        }
        Ok(())
    }
}

//! From tokens to an [`Address`]: which number is the lane, the number, the room.
//!
//! Doesn't read characters. Gives nothing where the order of tokens makes no sense.

use super::Address;
use super::clean::{Cleaned, ROAD_ENDS};
use super::lex::{Measure, Token, lex};
use super::numeral;
use super::rules::Rules;

pub(super) fn assemble(cleaned: &Cleaned, rules: &Rules) -> Option<Address> {
    let mut builder = Builder {
        address: Address {
            region: cleaned.region.clone(),
            district: cleaned.district.clone(),
            street: cleaned.street.clone(),
            note: cleaned.note.clone(),
            ..Address::default()
        },
        rules,
        number_is_building: false,
        temporary: false,
    };
    let tokens = lex(&cleaned.body, rules);
    let mut at = 0;
    while at < tokens.len() {
        at += builder.take(&tokens[at..])?;
    }
    Some(builder.address)
}

struct Builder<'a> {
    address: Address,
    rules: &'a Rules,
    /// Whether `number` came from 幢 or 楼 and gives way to a 号 that follows.
    number_is_building: bool,
    /// Whether 临 stood before the number to come.
    temporary: bool,
}

impl Builder<'_> {
    /// Takes the first tokens that belong together; gives how many.
    fn take(&mut self, tokens: &[Token]) -> Option<usize> {
        match tokens {
            [] => Some(1),
            [Token::Name(name), ..] => self.name(name).map(|()| 1),
            [Token::NamedRoom(room), ..] => fill(&mut self.address.room, room.clone()).map(|()| 1),
            [Token::Section(section), ..] => {
                fill(&mut self.address.section, section.clone()).map(|()| 1)
            }
            [Token::Temporary, ..] => self.temporary().map(|()| 1),
            [Token::BackDoor, ..] => {
                self.address.back_door = true;
                Some(1)
            }
            [
                Token::Mark(mark),
                Token::Number(number),
                Token::Unit(Measure::House),
                ..,
            ] if self.address.number.is_none() => self
                .counted(format!("{number}{mark}"), Measure::House)
                .map(|()| 3),
            [Token::Mark(mark), ..] => self.late_mark(*mark).map(|()| 1),
            [
                Token::Number(number),
                Token::Mark(mark),
                Token::Unit(unit),
                ..,
            ] => self.counted(format!("{number}{mark}"), *unit).map(|()| 3),
            [
                Token::Number(number),
                Token::BackDoor,
                Token::Unit(unit),
                ..,
            ] => {
                self.address.back_door = true;
                self.counted(number.clone(), *unit).map(|()| 3)
            }
            [
                Token::Number(number),
                Token::Temporary,
                Token::Unit(Measure::House),
                ..,
            ] => {
                self.temporary = true;
                self.counted(number.clone(), Measure::House).map(|()| 3)
            }
            [Token::Number(number), Token::Unit(unit), ..] => {
                self.counted(number.clone(), *unit).map(|()| 2)
            }
            [Token::Number(_), ..] => self.chain(tokens, false),
            [Token::Hyphen, Token::Number(_), Token::Unit(_), ..] => Some(1),
            [Token::Hyphen, Token::Number(_), ..] => {
                self.chain(&tokens[1..], true).map(|taken| taken + 1)
            }
            [Token::Hyphen, ..] => Some(1),
            [Token::Unit(_), ..] => None,
        }
    }

    /// A name: its road, village, hamlet and estate, in whatever order it holds them.
    fn name(&mut self, name: &str) -> Option<()> {
        let (first, rest) = split_name(name);
        let numbered = self.address.number.is_some() || self.address.lane.is_some();
        match kind(first, self.rules) {
            NameKind::Road if self.address.road.is_none() => {
                // A road after its number is no order that anyone writes: 七号桥路 is a name of its own.
                if numbered {
                    return None;
                }
                self.address.road = Some(self.rules.road(first));
            }
            NameKind::NumberedEstate if self.address.road.is_none() && !numbered => {
                self.address.road = Some(first.to_owned());
            }
            NameKind::Village if self.address.village.is_none() && self.address.road.is_none() => {
                self.address.village = Some(first.to_owned());
            }
            NameKind::Hamlet if self.address.hamlet.is_none() && self.address.road.is_none() => {
                self.address.hamlet = Some(first.to_owned());
            }
            NameKind::NumberedEstate | NameKind::Village | NameKind::Estate
                if self.address.estate.is_none() =>
            {
                self.address.estate = Some(first.to_owned());
            }
            NameKind::Other if self.address.is_empty() => {
                self.address.estate = Some(first.to_owned())
            }
            _ => self.address.rest.push_str(first),
        }
        if rest.is_empty() {
            Some(())
        } else {
            self.name(rest)
        }
    }

    /// 临 before the number to come, or after the one just read.
    fn temporary(&mut self) -> Option<()> {
        match &mut self.address.number {
            Some(number) if !number.starts_with('临') => number.insert(0, '临'),
            Some(_) => return None,
            None => self.temporary = true,
        }
        Some(())
    }

    /// A mark after the unit: 45号甲.
    fn late_mark(&mut self, mark: char) -> Option<()> {
        let target = match (&mut self.address.room, &mut self.address.number) {
            (Some(room), _) => room,
            (None, Some(number)) => number,
            (None, None) => return None,
        };
        target.push(mark);
        Some(())
    }

    /// A number whose unit is written.
    fn counted(&mut self, number: String, unit: Measure) -> Option<()> {
        let number = if unit == Measure::House && std::mem::take(&mut self.temporary) {
            format!("临{number}")
        } else {
            number
        };
        let address = &mut self.address;
        match unit {
            Measure::Lane if address.lane.is_none() => fill(&mut address.lane, number),
            Measure::Lane | Measure::SubLane => fill(&mut address.sub_lane, number),
            Measure::Group => fill(&mut address.group, number),
            Measure::Unit => fill(&mut address.unit, number),
            Measure::Floor => fill(&mut address.floor, number),
            Measure::Room => fill(&mut address.room, number),
            Measure::House if self.number_is_building => {
                self.number_is_building = false;
                let building = address.number.replace(number)?;
                fill(&mut address.building, building)
            }
            Measure::House if address.number.is_some() => {
                let room = number.len() >= 3;
                fill(
                    if room {
                        &mut address.room
                    } else {
                        &mut address.building
                    },
                    number,
                )
            }
            Measure::House => fill(&mut address.number, number),
            Measure::Building | Measure::BuildingOrFloor if address.number.is_none() => {
                self.number_is_building = true;
                fill(&mut address.number, number)
            }
            Measure::Building => fill(&mut address.building, number),
            Measure::BuildingOrFloor => fill(&mut address.floor, number),
        }
    }

    /// Numbers that stand without their units, such as 12-56-301, perhaps with one after the last.
    /// `after_hyphen`: 45号-1. Gives how many tokens it took.
    fn chain(&mut self, tokens: &[Token], after_hyphen: bool) -> Option<usize> {
        let mut numbers: Vec<&str> = Vec::new();
        let mut taken = 0;
        while let Some(Token::Number(number)) = tokens.get(taken) {
            numbers.push(number);
            taken += 1;
            match (tokens.get(taken), tokens.get(taken + 1)) {
                (Some(Token::Hyphen), Some(Token::Number(_))) => taken += 1,
                _ => break,
            }
        }
        let unit = match tokens.get(taken) {
            Some(Token::Unit(unit)) => {
                taken += 1;
                Some(*unit)
            }
            _ => None,
        };
        let slots = self.slots(&numbers, unit, after_hyphen)?;
        for (slot, number) in slots {
            self.counted(number, slot)?;
        }
        Some(taken)
    }

    /// Which element each number of a chain is.
    fn slots(
        &mut self,
        numbers: &[&str],
        unit: Option<Measure>,
        after_hyphen: bool,
    ) -> Option<Vec<(Measure, String)>> {
        use Measure::{House, Lane, Room};
        let address = &mut self.address;
        let owned = |slots: &[Measure]| {
            slots
                .iter()
                .copied()
                .zip(numbers.iter().map(|&n| n.to_owned()))
                .collect()
        };
        let pair = |unit: Measure| vec![(unit, numbers.join("-"))];
        let long = |number: &str| number.bytes().filter(u8::is_ascii_digit).count() >= 3;
        let placed = (
            address.lane.is_some(),
            address.number.is_some(),
            address.room.is_some(),
        );
        Some(match (placed, unit, numbers) {
            // 45-1号, 12-14弄: one number with a hyphen in it.
            (_, Some(unit @ (House | Lane)), [_, _]) => pair(unit),
            ((false, false, _), Some(House), [lane, rest @ ..]) => {
                vec![(Lane, (*lane).to_owned()), (House, rest.join("-"))]
            }
            ((false, false, _), None, [_]) => owned(&[House]),
            ((false, false, _), None, [_, second]) => owned(if long(second) {
                &[House, Room]
            } else {
                &[Lane, House]
            }),
            ((false, false, _), Some(Room), [_, _]) | ((true, false, _), _, [_, _]) => {
                owned(&[House, Room])
            }
            ((false, false, _), _, [_, _, _]) => owned(&[Lane, House, Room]),
            ((false, false, _), _, [_, _, _, _]) => owned(&[Lane, House, Measure::Unit, Room]),
            ((true, false, _), _, [_]) => owned(&[House]),
            ((true, false, _), _, [_, _, _]) => owned(&[House, Measure::Unit, Room]),
            // 45号-1 is a number beside 45; 45号-601 and 45号3 are rooms.
            ((_, true, false), None, [sub]) if after_hyphen && !long(sub) => {
                let number = address.number.take()?;
                vec![(House, format!("{number}-{sub}"))]
            }
            ((_, true, false), _, [_]) => owned(&[Room]),
            ((_, true, false), _, [first, _]) if long(first) => pair(Room),
            ((_, true, false), _, [_, _]) => owned(&[Measure::Unit, Room]),
            // 601室-1
            ((_, true, true), None, [part]) if after_hyphen => {
                let room = address.room.take()?;
                vec![(Room, format!("{room}-{part}"))]
            }
            _ => return None,
        })
    }
}

/// Fills an element once; a second value makes no sense.
fn fill(slot: &mut Option<String>, value: String) -> Option<()> {
    slot.is_none().then(|| *slot = Some(value))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameKind {
    Road,
    /// 彭浦新村, 曹杨八村: an estate that stands where a road would.
    NumberedEstate,
    Village,
    Hamlet,
    Estate,
    Other,
}

fn kind(name: &str, rules: &Rules) -> NameKind {
    let village = name.strip_suffix('村');
    if ROAD_ENDS
        .iter()
        .any(|end| name.strip_suffix(end).is_some_and(|stem| !stem.is_empty()))
    {
        NameKind::Road
    } else if village
        .is_some_and(|stem| stem.ends_with('新') || stem.ends_with(numeral::is_numeral))
    {
        NameKind::NumberedEstate
    } else if village.is_some_and(|stem| !stem.is_empty()) {
        NameKind::Village
    } else if name.ends_with('宅') || name.ends_with('埭') {
        NameKind::Hamlet
    } else if rules.estates.iter().any(|end| name.ends_with(end.as_str())) {
        NameKind::Estate
    } else {
        NameKind::Other
    }
}

/// Splits a name after the first road, village or hamlet in it: 大沽路|步高里, 新建村|王家宅. Not where what
/// follows is an ending itself: 铁路新村, 公路一村, 老街路.
fn split_name(name: &str) -> (&str, &str) {
    for (at, c) in name.char_indices().skip(1) {
        let end = at + c.len_utf8();
        let (first, rest) = name.split_at(end);
        let ends_here = matches!(c, '路' | '街' | '村' | '宅') || first.ends_with("大道");
        if ends_here && !rest.is_empty() && !is_ending(rest) {
            return (first, rest);
        }
    }
    (name, "")
}

/// Whether a rest of a name is nothing but the ending of the name before it.
fn is_ending(rest: &str) -> bool {
    let direction = rest.trim_start_matches(['东', '西', '南', '北', '中', '新', '支', '大']);
    let stem = direction.trim_start_matches(numeral::is_numeral);
    ["路", "街", "村", "道", "弄", "口", "宅", "公路"]
        .iter()
        .any(|end| stem.starts_with(end))
}

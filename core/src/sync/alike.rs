//! Records on a device that are perhaps the one about to be made: shown before it is saved, so that nobody is recorded
//! twice for want of looking. Knows no screen; what is alike is for the collector to judge, and the server looks again.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::address;
use crate::ids::RecordId;
use crate::names;
use crate::records::{self, read};
use crate::store::{DeviceStore, ListQuery, Listed};
use crate::value::{Fields, Value};

/// How many records a word may find before it is no help.
const MOST: usize = 200;

/// Why a record may be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Alike {
    /// The same certificate number (证件号码相同).
    Number,
    /// The same name and date of birth (姓名和出生日期相同).
    NameAndBirth,
    /// The same address (地址相同).
    Address,
    /// The same person in the same house (同一人同一住处).
    PersonAndHouse,
}

impl Alike {
    /// What a collector reads.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Number => "证件号码相同",
            Self::NameAndBirth => "姓名和出生日期相同",
            Self::Address => "地址相同",
            Self::PersonAndHouse => "同一人同一住处",
        }
    }
}

/// The records here that may be the one these fields describe, cancelled ones too, each with the best reason.
///
/// # Errors
/// The storage's.
pub fn alike<S: DeviceStore>(
    store: &S,
    record_type: &str,
    fields: &Fields,
) -> Result<Vec<(Alike, Listed)>, S::Error> {
    let mut fields = fields.clone();
    if let Some(declared) = records::record_type(record_type) {
        read::normalise(declared, &mut fields);
    }
    let searched: &[(&str, Alike)] = match record_type {
        "resident" => &[("id_number", Alike::Number), ("name", Alike::NameAndBirth)],
        "house" => &[("address", Alike::Address)],
        "residence" => return of_residence(store, &fields),
        _ => &[],
    };
    let mut seen: BTreeSet<RecordId> = BTreeSet::new();
    let mut found = Vec::new();
    for (key, reason) in searched {
        let Some(text) = fields.get(*key).and_then(Value::as_text) else {
            continue;
        };
        let query = ListQuery {
            record_type: Some(record_type.to_owned()),
            text: match reason {
                // Searched in its one form: blanks would part it into words.
                Alike::NameAndBirth => names::normalise(text),
                _ => text.to_owned(),
            },
            cancelled: true,
            limit: MOST,
            ..ListQuery::default()
        };
        for listed in store.list(&query)? {
            if same(*reason, &fields, &listed.fields) && seen.insert(listed.id) {
                found.push((*reason, listed));
            }
        }
    }
    Ok(found)
}

fn of_residence<S: DeviceStore>(
    store: &S,
    fields: &Fields,
) -> Result<Vec<(Alike, Listed)>, S::Error> {
    let Some(house) = text(fields, "house").and_then(|house| house.parse().ok()) else {
        return Ok(Vec::new());
    };
    let query = ListQuery {
        record_type: Some("residence".to_owned()),
        linked_to: Some(house),
        limit: MOST,
        ..ListQuery::default()
    };
    let found = store.list(&query)?.into_iter();
    Ok(found
        .filter(|listed| same(Alike::PersonAndHouse, fields, &listed.fields))
        .map(|listed| (Alike::PersonAndHouse, listed))
        .collect())
}

fn text<'a>(fields: &'a Fields, key: &str) -> Option<&'a str> {
    let text = fields.get(key).and_then(Value::as_text);
    text.filter(|text| !text.trim().is_empty())
}

fn same(reason: Alike, new: &Fields, held: &Fields) -> bool {
    let equal = |key: &str| text(new, key).is_some() && text(new, key) == text(held, key);
    match reason {
        Alike::Number => equal("id_number"),
        Alike::NameAndBirth => {
            let names = (text(new, "name"), text(held, "name"));
            let key = |name: &str| names::fold(&names::normalise(name));
            equal("birth_date") && matches!(names, (Some(a), Some(b)) if key(a) == key(b))
        }
        Alike::Address => {
            let places = (text(new, "address"), text(held, "address"));
            let key = |text: &str| address::parse(text).key();
            matches!(places, (Some(a), Some(b)) if key(a) == key(b))
        }
        Alike::PersonAndHouse => {
            equal("resident") && equal("house") && text(held, "until").is_none()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::crypto::sm2::KeyPair;
    use crate::ids::{DeviceId, UserId};
    use crate::store::memory::MemoryStore;
    use crate::sync::{Identity, edit};
    use crate::time::Timestamp;

    fn texts(values: &[(&str, &str)]) -> Fields {
        let texts = values.iter();
        texts
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect()
    }

    fn store() -> MemoryStore {
        let who = Identity {
            device: DeviceId::from_bytes([1; 16]),
            user: UserId::from_bytes([1; 16]),
            key: KeyPair::from_secret(&[1; 32]).unwrap(),
        };
        let mut store = MemoryStore::default();
        let id = |n: u8| RecordId::from_bytes([n; 16]);
        let (one, two) = (id(1).to_string(), id(2).to_string());
        let resident = texts(&[
            ("name", "叶海思"),
            ("certificate_kind", "111"),
            ("id_number", "310104199505060899"),
            ("sex", "1"),
            ("birth_date", "1995-05-06"),
            ("population_kind", "01"),
        ]);
        let house = texts(&[("address", "顺昌路920弄7号203室"), ("house_use", "1")]);
        let residence = texts(&[("resident", &one), ("house", &two), ("kind", "1")]);
        for (n, kind, fields) in [
            (1, "resident", resident),
            (2, "house", house),
            (3, "residence", residence),
        ] {
            let area = "310101002001".parse().unwrap();
            edit::create(&mut store, &who, id(n), kind, area, fields, Timestamp(1)).unwrap();
        }
        store
    }

    fn found(record_type: &str, values: &[(&str, &str)]) -> Vec<Alike> {
        let found = alike(&store(), record_type, &texts(values)).unwrap();
        found.into_iter().map(|(reason, _)| reason).collect()
    }

    #[test]
    fn the_same_person_house_or_residence_is_found_however_it_is_written() {
        let number = ("id_number", "３１０１０４１９９５０５０６０８９９");
        assert_eq!(found("resident", &[number]), [Alike::Number]);
        let born = [("name", "叶 海思"), ("birth_date", "1995-05-06")];
        assert_eq!(found("resident", &born), [Alike::NameAndBirth]);
        let both = [number, born[0], born[1]];
        assert_eq!(found("resident", &both), [Alike::Number], "once");
        let place = ("address", "上海市黄浦区顺昌路九百二十弄7号楼0203");
        assert_eq!(found("house", &[place]), [Alike::Address]);
        let (one, two) = (RecordId::from_bytes([1; 16]), RecordId::from_bytes([2; 16]));
        let (one, two) = (one.to_string(), two.to_string());
        let again = [("resident", one.as_str()), ("house", two.as_str())];
        assert_eq!(found("residence", &again), [Alike::PersonAndHouse]);
    }

    #[test]
    fn others_are_not() {
        let another = [("name", "叶海思"), ("birth_date", "1995-05-07")];
        assert_eq!(found("resident", &another), []);
        assert_eq!(found("resident", &[("name", "叶海思")]), []);
        assert_eq!(found("house", &[("address", "顺昌路920弄7号204室")]), []);
        assert_eq!(found("visit", &[("note", "叶海思")]), []);
    }
}

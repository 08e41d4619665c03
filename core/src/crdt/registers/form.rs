//! How registers are kept: every change that put a value stands once in a table, and values point into it. A record's
//! first change puts most of its values; named beside each, actor and hash were half of all bytes, and every write of
//! a record seals them again.
//!
//! An array of five: heads, greatest counter, sequence numbers, origins (actor, change), values by key (origin's place,
//! counter, value). Records kept before had four, with the origins written out; both are read.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeTuple, Serializer};

use super::{Held, Registers};
use crate::crdt::change::OpId;
use crate::ids::{Actor, ChangeHash};
use crate::value::Value;

type Origin = (Actor, ChangeHash);
/// Origin's place, counter, value.
type Short = (usize, u64, Value);
type Whole = BTreeMap<String, Vec<Held>>;

impl Serialize for Registers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut origins: Vec<Origin> = Vec::new();
        let mut places: BTreeMap<ChangeHash, usize> = BTreeMap::new();
        let mut short: BTreeMap<&str, Vec<(usize, u64, &Value)>> = BTreeMap::new();
        for (key, values) in &self.held {
            let values = values.iter().map(|held| {
                let place = *places.entry(held.change).or_insert_with(|| {
                    origins.push((held.op.actor, held.change));
                    origins.len() - 1
                });
                (place, held.op.counter, &held.value)
            });
            short.insert(key, values.collect());
        }
        let mut form = serializer.serialize_tuple(5)?;
        form.serialize_element(&self.heads)?;
        form.serialize_element(&self.max_op)?;
        form.serialize_element(&self.seqs)?;
        form.serialize_element(&origins)?;
        form.serialize_element(&short)?;
        form.end()
    }
}

impl<'de> Deserialize<'de> for Registers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Form)
    }
}

struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = Registers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("registers: an array of five, or of four")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Registers, A::Error> {
        fn missing<E: Error>() -> E {
            E::custom("registers are cut short")
        }
        let heads = seq.next_element()?.ok_or_else(missing)?;
        let max_op = seq.next_element()?.ok_or_else(missing)?;
        let seqs = seq.next_element()?.ok_or_else(missing)?;
        let held = match seq.next_element()?.ok_or_else(missing)? {
            Fourth::Whole(held) => held,
            Fourth::Origins(origins) => {
                let short: BTreeMap<String, Vec<Short>> =
                    seq.next_element()?.ok_or_else(missing)?;
                written_out(&origins, short)
                    .ok_or_else(|| A::Error::custom("a value of no change"))?
            }
        };
        Ok(Registers {
            heads,
            max_op,
            seqs,
            held,
        })
    }
}

fn written_out(origins: &[Origin], short: BTreeMap<String, Vec<Short>>) -> Option<Whole> {
    let held = |(place, counter, value): Short| {
        let (actor, change) = *origins.get(place)?;
        Some(Held {
            op: OpId { counter, actor },
            value,
            change,
        })
    };
    let values = |(key, values): (String, Vec<Short>)| {
        let values: Option<Vec<Held>> = values.into_iter().map(held).collect();
        Some((key, values?))
    };
    short.into_iter().map(values).collect()
}

/// What comes fourth tells the two forms apart: a map of values, or the table.
enum Fourth {
    Whole(Whole),
    Origins(Vec<Origin>),
}

impl<'de> Deserialize<'de> for Fourth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Fourth;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("values by key, or a table of changes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fourth, A::Error> {
                let mut held = Whole::new();
                while let Some((key, values)) = map.next_entry()? {
                    held.insert(key, values);
                }
                Ok(Fourth::Whole(held))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fourth, A::Error> {
                let mut origins = Vec::new();
                while let Some(origin) = seq.next_element()? {
                    origins.push(origin);
                }
                Ok(Fourth::Origins(origins))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::protocol::codec;
    use crate::value::Fields;

    /// Two devices' changes, one of them concurrent.
    fn registers() -> Registers {
        let mut registers = Registers::default();
        let puts = |pairs: &[(&str, Value)]| -> Fields {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect()
        };
        let first = puts(&[
            ("name", "叶海思".into()),
            ("sex", "1".into()),
            ("away", true.into()),
        ]);
        let (change, _, hash) = registers.change(Actor([1; 16]), 5, &first);
        registers.apply(&change, hash).unwrap();
        let other = registers.clone();
        let (change, _, hash) =
            registers.change(Actor([1; 16]), 6, &puts(&[("name", "叶海诗".into())]));
        registers.apply(&change, hash).unwrap();
        let (change, _, hash) = other.change(
            Actor([2; 16]),
            7,
            &puts(&[("name", Value::Null), ("rooms", Value::Int(3))]),
        );
        registers.apply(&change, hash).unwrap();
        registers
    }

    #[test]
    fn what_is_kept_is_read_back_and_names_each_change_once() {
        let registers = registers();
        let bytes = codec::to_bytes(&registers);
        assert_eq!(codec::from_bytes::<Registers>(&bytes).unwrap(), registers);
        let hash = registers.winner("sex").unwrap().change.0;
        let times = bytes.windows(32).filter(|window| *window == hash).count();
        assert_eq!(times, 1);
    }

    #[test]
    fn registers_of_the_form_before_are_read() {
        let now = registers();
        let before = (&now.heads, &now.max_op, &now.seqs, &now.held);
        let bytes = codec::to_bytes(&before);
        assert_eq!(codec::from_bytes::<Registers>(&bytes).unwrap(), now);
    }

    #[test]
    fn a_value_that_points_beyond_the_table_is_refused() {
        let short: BTreeMap<&str, Vec<(usize, u64, Value)>> =
            BTreeMap::from([("name", vec![(1, 1, Value::Null)])]);
        let origins: Vec<Origin> = vec![(Actor([1; 16]), ChangeHash([2; 32]))];
        let heads: Vec<ChangeHash> = Vec::new();
        let seqs: BTreeMap<Actor, u64> = BTreeMap::new();
        let bytes = codec::to_bytes(&(heads, 1u64, seqs, origins, short));
        assert!(codec::from_bytes::<Registers>(&bytes).is_err());
    }
}

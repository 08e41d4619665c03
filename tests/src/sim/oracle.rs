//! What the automerge crate makes of a record's changes: the second opinion on registers, histories and documents.
//! Knows nothing of devices, servers or rules.

use std::collections::BTreeMap;

use anyhow::bail;
use automerge::{AutoCommit, Change, ROOT, ReadDoc, ScalarValue};
use doorstep_core::crdt::Registers;
use doorstep_core::ids::ChangeHash;
use doorstep_core::value::{Fields, Value};

/// A document made of change chunks.
pub struct Document(AutoCommit);

/// Everything that can be seen of a flat document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The hashes that nothing builds on, ascending.
    pub heads: Vec<ChangeHash>,
    /// The winning value of every key, tombstones included.
    pub winners: Fields,
    /// All values of every key, sorted.
    pub all: BTreeMap<String, Vec<Value>>,
}

impl Seen {
    /// The keys that hold several values.
    #[must_use]
    pub fn conflicts(&self) -> BTreeMap<String, Vec<Value>> {
        let several = self.all.iter().filter(|(_, values)| values.len() > 1);
        several
            .map(|(key, values)| (key.clone(), values.clone()))
            .collect()
    }
}

/// What can be seen of a record's registers.
#[must_use]
pub fn seen(registers: &Registers) -> Seen {
    let keys: Vec<String> = registers.keys().map(str::to_owned).collect();
    let winner = |key: &String| Some((key.clone(), registers.get(key)?.clone()));
    let all = |key: &String| {
        let held = registers.all(key).into_iter();
        let mut values: Vec<Value> = held.map(|held| held.value.clone()).collect();
        values.sort();
        (key.clone(), values)
    };
    Seen {
        heads: registers.heads().to_vec(),
        winners: keys.iter().filter_map(winner).collect(),
        all: keys.iter().map(all).collect(),
    }
}

impl Document {
    /// From changes, each after those it builds on.
    ///
    /// # Errors
    /// The library's, when it does not take one of them.
    pub fn from_changes<'a>(changes: impl IntoIterator<Item = &'a [u8]>) -> anyhow::Result<Self> {
        let mut doc = AutoCommit::new();
        for bytes in changes {
            let change = Change::from_bytes(bytes.to_vec())?;
            doc.apply_changes([change])?;
        }
        Ok(Self(doc))
    }

    /// From a saved document.
    ///
    /// # Errors
    /// The library's.
    pub fn load(bytes: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(AutoCommit::load(bytes)?))
    }

    /// The document's own format.
    pub fn save(&mut self) -> Vec<u8> {
        self.0.save()
    }

    /// The chunks of all its changes by hash, as written.
    pub fn changes(&mut self) -> BTreeMap<ChangeHash, Vec<u8>> {
        let changes = self.0.get_changes(&[]);
        let named = |change: &Change| (ChangeHash(change.hash().0), change.raw_bytes().to_vec());
        changes.iter().map(named).collect()
    }

    /// Everything that can be seen of it.
    ///
    /// # Errors
    /// The library's, or that it holds anything but scalars of a flat document.
    pub fn seen(&mut self) -> anyhow::Result<Seen> {
        let heads = self.0.get_heads().into_iter();
        let mut seen = Seen {
            heads: heads.map(|hash| ChangeHash(hash.0)).collect(),
            ..Seen::default()
        };
        seen.heads.sort_unstable();
        for key in self.0.keys(ROOT).collect::<Vec<_>>() {
            if let Some((winner, _)) = self.0.get(ROOT, key.as_str())? {
                seen.winners.insert(key.clone(), plain(&winner)?);
            }
            let held = self.0.get_all(ROOT, key.as_str())?;
            let mut values: Vec<Value> = held
                .iter()
                .map(|(value, _)| plain(value))
                .collect::<anyhow::Result<_>>()?;
            values.sort();
            seen.all.insert(key, values);
        }
        Ok(seen)
    }
}

fn plain(value: &automerge::Value<'_>) -> anyhow::Result<Value> {
    match value.as_scalar() {
        Some(ScalarValue::Null) => Ok(Value::Null),
        Some(ScalarValue::Boolean(yes)) => Ok(Value::Bool(*yes)),
        Some(ScalarValue::Int(number)) => Ok(Value::Int(*number)),
        Some(ScalarValue::Str(text)) => Ok(Value::Text(text.to_string())),
        other => bail!("not flat: {other:?}"),
    }
}

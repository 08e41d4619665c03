//! Reading a change chunk from a stranger: bounded, without panics, and only in its canonical form.

use super::leb::{BadNumber, Reader};
use super::{
    ACTION_SET, CHANGE_CHUNK, MAGIC, MAX_CHANGE_PREDS, MAX_CHUNK, MAX_COUNTER, MAX_KEY, MAX_OPS,
    MAX_PREDS, column, encode, kind, rle,
};
use crate::crdt::change::{FlatChange, OpId, Put};
use crate::ids::{Actor, ChangeHash};
use crate::value::Value;

/// Why bytes are not a change that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Longer than `MAX_CHUNK`, or more operations, keys or predecessors than allowed.
    #[error("change too large")]
    TooLarge,
    /// Not an uncompressed Automerge change chunk, or damaged.
    #[error("not an uncompressed Automerge change")]
    Malformed,
    /// A change, but not of a flat map of scalars.
    #[error("not a change of a flat document")]
    NotFlat,
    /// A change in a form that Automerge would not write: it would not survive a save and load.
    #[error("change not in canonical form")]
    NotCanonical,
}

impl ChunkError {
    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "change_too_large",
            Self::Malformed => "change_malformed",
            Self::NotFlat => "change_not_flat",
            Self::NotCanonical => "change_not_canonical",
        }
    }
}

impl From<BadNumber> for ChunkError {
    fn from(BadNumber: BadNumber) -> Self {
        Self::Malformed
    }
}

/// Reads one change chunk.
///
/// # Errors
/// See `ChunkError`. Work and memory are bounded by the length of the bytes, `MAX_OPS` and
/// `MAX_CHANGE_PREDS`.
pub fn decode(chunk: &[u8]) -> Result<(FlatChange, ChangeHash), ChunkError> {
    if chunk.len() > MAX_CHUNK {
        return Err(ChunkError::TooLarge);
    }
    let change = parse(chunk)?;
    let (canonical, hash) = encode(&change);
    if canonical == chunk {
        Ok((change, hash))
    } else {
        Err(ChunkError::NotCanonical)
    }
}

fn parse(chunk: &[u8]) -> Result<FlatChange, ChunkError> {
    let mut reader = Reader(chunk);
    let magic = reader.take(4).ok_or(ChunkError::Malformed)?;
    let checksum = reader.take(4).ok_or(ChunkError::Malformed)?;
    let kind = reader.take(1).ok_or(ChunkError::Malformed)?;
    let length = reader.length()?;
    if magic != MAGIC || kind != [CHANGE_CHUNK] || length != reader.0.len() {
        return Err(ChunkError::Malformed);
    }
    if super::encode::hash(reader.0).0[..4] != *checksum {
        return Err(ChunkError::Malformed);
    }
    let dep_count = bounded(reader.unsigned()?, MAX_PREDS)?;
    let mut deps = Vec::with_capacity(dep_count);
    for _ in 0..dep_count {
        let dep = reader
            .take(32)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(ChunkError::Malformed)?;
        deps.push(ChangeHash(dep));
    }
    let actor = read_actor(&mut reader)?;
    let (seq, start_op, time) = (reader.unsigned()?, reader.unsigned()?, reader.signed()?);
    if seq == 0 || start_op == 0 || start_op > MAX_COUNTER {
        return Err(ChunkError::Malformed);
    }
    if reader.length()? != 0 {
        return Err(ChunkError::NotFlat); // a message would carry text past the rights of fields
    }
    let other_count = bounded(reader.unsigned()?, MAX_PREDS)?;
    let mut actors = vec![actor];
    for _ in 0..other_count {
        actors.push(read_actor(&mut reader)?);
    }
    let columns = Columns::read(&mut reader)?;
    let ops = columns.ops(&actors)?;
    if start_op + ops.len() as u64 > MAX_COUNTER {
        return Err(ChunkError::TooLarge);
    }
    Ok(FlatChange {
        actor,
        seq,
        start_op,
        time,
        deps,
        ops,
    })
}

fn bounded(number: u64, limit: usize) -> Result<usize, ChunkError> {
    usize::try_from(number)
        .ok()
        .filter(|number| *number <= limit)
        .ok_or(ChunkError::TooLarge)
}

fn read_actor(reader: &mut Reader<'_>) -> Result<Actor, ChunkError> {
    let length = reader.length()?;
    let bytes = reader.take(length).ok_or(ChunkError::Malformed)?;
    bytes.try_into().map(Actor).map_err(|_| ChunkError::NotFlat)
}

/// The columns of a flat change; an absent one is empty.
#[derive(Default)]
struct Columns<'a> {
    key: &'a [u8],
    insert: &'a [u8],
    action: &'a [u8],
    value_meta: &'a [u8],
    value: &'a [u8],
    pred_count: &'a [u8],
    pred_actor: &'a [u8],
    pred_counter: &'a [u8],
}

impl<'a> Columns<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ChunkError> {
        let count = bounded(reader.unsigned()?, 16)?;
        let mut heads = Vec::with_capacity(count);
        for _ in 0..count {
            let number = reader.unsigned()?;
            heads.push((
                number,
                usize::try_from(reader.unsigned()?).map_err(|_| ChunkError::Malformed)?,
            ));
        }
        let mut columns = Self::default();
        for (number, length) in heads {
            let data = reader.take(length).ok_or(ChunkError::Malformed)?;
            let slot = match number {
                column::KEY => &mut columns.key,
                column::INSERT => &mut columns.insert,
                column::ACTION => &mut columns.action,
                column::VALUE_META => &mut columns.value_meta,
                column::VALUE => &mut columns.value,
                column::PRED_COUNT => &mut columns.pred_count,
                column::PRED_ACTOR => &mut columns.pred_actor,
                column::PRED_COUNTER => &mut columns.pred_counter,
                _ => return Err(ChunkError::NotFlat),
            };
            *slot = data;
        }
        if reader.is_empty() {
            Ok(columns)
        } else {
            Err(ChunkError::Malformed)
        }
    }

    fn ops(&self, actors: &[Actor]) -> Result<Vec<Put>, ChunkError> {
        let count =
            rle::count(self.action, MAX_OPS, Reader::unsigned).map_err(|_| ChunkError::TooLarge)?;
        let actions = rle::read(self.action, count, Reader::unsigned)?;
        if actions.iter().any(|action| *action != ACTION_SET) {
            return Err(ChunkError::NotFlat);
        }
        if count > 0 {
            let mut insert = Reader(self.insert);
            if insert.unsigned()? != count as u64 || !insert.is_empty() {
                return Err(ChunkError::NotFlat);
            }
        }
        let keys = rle::read(self.key, count, |reader| {
            let length = reader.length()?;
            let text = reader
                .take(length)
                .and_then(|bytes| std::str::from_utf8(bytes).ok());
            text.filter(|key| !key.is_empty() && key.len() <= MAX_KEY)
                .ok_or(BadNumber)
        })
        .map_err(|_| ChunkError::NotFlat)?;
        let metas = rle::read(self.value_meta, count, Reader::unsigned)?;
        let pred_counts = rle::read(self.pred_count, count, Reader::unsigned)?;
        let mut pred_total = 0;
        for pred_count in &pred_counts {
            pred_total += bounded(*pred_count, MAX_PREDS)?;
        }
        if pred_total > MAX_CHANGE_PREDS {
            return Err(ChunkError::TooLarge);
        }
        let pred_actors = rle::read(self.pred_actor, pred_total, Reader::unsigned)?;
        let pred_deltas = rle::read(self.pred_counter, pred_total, Reader::signed)?;
        let mut counter = 0i64;
        let mut preds = pred_actors
            .into_iter()
            .zip(pred_deltas)
            .map(|(index, delta)| {
                counter = counter.saturating_add(delta);
                let actor = usize::try_from(index)
                    .ok()
                    .and_then(|index| actors.get(index))
                    .ok_or(ChunkError::Malformed)?;
                let counter = u64::try_from(counter).map_err(|_| ChunkError::Malformed)?;
                Ok::<OpId, ChunkError>(OpId {
                    counter,
                    actor: *actor,
                })
            });
        let mut values = Reader(self.value);
        let mut ops = Vec::with_capacity(count);
        for ((key, meta), pred_count) in keys.into_iter().zip(metas).zip(pred_counts) {
            let pred = preds
                .by_ref()
                .take(usize::try_from(pred_count).unwrap_or(0))
                .collect::<Result<Vec<_>, _>>()?;
            if !pred.is_sorted_by(|one, next| one < next) {
                return Err(ChunkError::NotCanonical);
            }
            ops.push(Put {
                key: key.to_owned(),
                value: read_value(&mut values, meta)?,
                pred,
            });
        }
        if values.is_empty() {
            Ok(ops)
        } else {
            Err(ChunkError::Malformed)
        }
    }
}

fn read_value(values: &mut Reader<'_>, meta: u64) -> Result<Value, ChunkError> {
    let length = usize::try_from(meta >> 4).map_err(|_| ChunkError::Malformed)?;
    let mut bytes = Reader(values.take(length).ok_or(ChunkError::Malformed)?);
    match meta & 0xf {
        kind::NULL => Ok(Value::Null),
        kind::FALSE => Ok(Value::Bool(false)),
        kind::TRUE => Ok(Value::Bool(true)),
        kind::INT => Ok(Value::Int(bytes.signed()?)),
        kind::TEXT => std::str::from_utf8(bytes.0)
            .map(Value::from)
            .map_err(|_| ChunkError::Malformed),
        _ => Err(ChunkError::NotFlat),
    }
}

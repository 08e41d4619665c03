//! Writing a change chunk, byte for byte as Automerge writes it.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::leb::{signed_len, write_signed, write_unsigned};
use super::{ACTION_SET, CHANGE_CHUNK, MAGIC, column, kind, rle};
use crate::crdt::change::{FlatChange, OpId, Put};
use crate::ids::{Actor, ChangeHash};
use crate::value::Value;

/// The chunk of a change and its hash.
#[must_use]
pub fn encode(change: &FlatChange) -> (Vec<u8>, ChangeHash) {
    let mut body = Vec::with_capacity(256);
    write_unsigned(&mut body, change.deps.len() as u64);
    for dep in &change.deps {
        body.extend_from_slice(&dep.0);
    }
    write_bytes(&mut body, &change.actor.0);
    write_unsigned(&mut body, change.seq);
    write_unsigned(&mut body, change.start_op);
    write_signed(&mut body, change.time);
    write_unsigned(&mut body, 0); // no message
    let others = other_actors(change);
    write_unsigned(&mut body, others.len() as u64);
    for actor in &others {
        write_bytes(&mut body, &actor.0);
    }
    let columns = columns(change, &others);
    let present = || columns.iter().filter(|(_, data)| !data.is_empty());
    write_unsigned(&mut body, present().count() as u64);
    for (number, data) in present() {
        write_unsigned(&mut body, *number);
        write_unsigned(&mut body, data.len() as u64);
    }
    for (_, data) in present() {
        body.extend_from_slice(data);
    }
    frame(&body)
}

/// Puts magic, checksum, type and length in front of a chunk's body.
fn frame(body: &[u8]) -> (Vec<u8>, ChangeHash) {
    let hash = hash(body);
    let mut chunk = Vec::with_capacity(body.len() + 13);
    chunk.extend_from_slice(&MAGIC);
    chunk.extend_from_slice(&hash.0[..4]);
    chunk.push(CHANGE_CHUNK);
    write_unsigned(&mut chunk, body.len() as u64);
    chunk.extend_from_slice(body);
    (chunk, hash)
}

/// The hash of a chunk's body: SHA-256 over type, length and body.
pub(super) fn hash(body: &[u8]) -> ChangeHash {
    let mut head = vec![CHANGE_CHUNK];
    write_unsigned(&mut head, body.len() as u64);
    ChangeHash(
        Sha256::new()
            .chain_update(&head)
            .chain_update(body)
            .finalize()
            .into(),
    )
}

/// The actors that predecessors name besides the author, ascending.
fn other_actors(change: &FlatChange) -> Vec<Actor> {
    let preds = change.ops.iter().flat_map(|op| &op.pred);
    let others: BTreeSet<Actor> = preds
        .map(|pred| pred.actor)
        .filter(|actor| *actor != change.actor)
        .collect();
    others.into_iter().collect()
}

fn columns(change: &FlatChange, others: &[Actor]) -> [(u64, Vec<u8>); 8] {
    let ops = &change.ops;
    let preds: Vec<&OpId> = ops.iter().flat_map(|op| &op.pred).collect();
    let column = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    let numbers = |values: Vec<u64>| column(&|out| rle::write_numbers(out, &values));
    [
        (column::KEY, {
            let keys: Vec<&str> = ops.iter().map(|op| op.key.as_str()).collect();
            column(&|out| rle::write(out, &keys, |out, key| write_bytes(out, key.as_bytes())))
        }),
        (
            column::INSERT,
            column(&|out| {
                if !ops.is_empty() {
                    write_unsigned(out, ops.len() as u64)
                }
            }),
        ),
        (column::ACTION, numbers(vec![ACTION_SET; ops.len()])),
        (
            column::VALUE_META,
            numbers(ops.iter().map(|op| value_meta(&op.value)).collect()),
        ),
        (
            column::VALUE,
            column(&|out| ops.iter().for_each(|op| write_value(out, op))),
        ),
        (
            column::PRED_COUNT,
            numbers(ops.iter().map(|op| op.pred.len() as u64).collect()),
        ),
        (column::PRED_ACTOR, {
            let index = |actor: &Actor| others.binary_search(actor).map_or(0, |at| at as u64 + 1);
            numbers(preds.iter().map(|pred| index(&pred.actor)).collect())
        }),
        (column::PRED_COUNTER, {
            let counters = || {
                preds
                    .iter()
                    .map(|pred| i64::try_from(pred.counter).unwrap_or(i64::MAX))
            };
            column(&|out| rle::write_deltas(out, counters()))
        }),
    ]
}

fn value_meta(value: &Value) -> u64 {
    match value {
        Value::Null => kind::NULL,
        Value::Bool(false) => kind::FALSE,
        Value::Bool(true) => kind::TRUE,
        Value::Int(number) => (signed_len(*number) as u64) << 4 | kind::INT,
        Value::Text(text) => (text.len() as u64) << 4 | kind::TEXT,
    }
}

fn write_value(out: &mut Vec<u8>, op: &Put) {
    match &op.value {
        Value::Null | Value::Bool(_) => {}
        Value::Int(number) => write_signed(out, *number),
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_unsigned(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

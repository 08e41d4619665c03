//! Automerge's binary change chunk, for flat documents only.
//!
//! Written and read here, not by the automerge crate, for three reasons. A server takes these bytes from
//! strangers, and a strict reader of a small subset can neither panic nor be blown up by run lengths. It is an order
//! faster than a document's load, apply and save. And a chunk is accepted only when it is byte for byte what our
//! writer, and Automerge's, would write for the same operations: anything else would get another hash when Automerge
//! saves and loads the document again. Tests hold every byte against the automerge crate.
//!
//! Format: <https://automerge.org/automerge-binary-format-spec/>, change chunks.

mod decode;
mod encode;
mod leb;
mod rle;

pub use decode::{ChunkError, decode};
pub use encode::encode;

/// The longest change taken from a device, in bytes.
pub const MAX_CHUNK: usize = 64 * 1024;
/// The most operations in one change.
pub const MAX_OPS: usize = 2_048;
/// The longest key, in bytes.
pub const MAX_KEY: usize = 128;
/// The most predecessors of one operation.
pub const MAX_PREDS: usize = 256;
/// The most predecessors in one change: a few bytes of run lengths could say half a million.
pub const MAX_CHANGE_PREDS: usize = 8_192;
/// The greatest operation counter: Automerge keeps it in 32 bits.
pub const MAX_COUNTER: u64 = u32::MAX as u64;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE_CHUNK: u8 = 1;
/// The only action a flat document has (0 make map, 1 set, 2 make list, 3 delete, 4 make text, 5 increment).
const ACTION_SET: u64 = 1;

/// Column numbers: `id << 4 | type`.
mod column {
    pub(super) const KEY: u64 = 0x15;
    pub(super) const INSERT: u64 = 0x34;
    pub(super) const ACTION: u64 = 0x42;
    pub(super) const VALUE_META: u64 = 0x56;
    pub(super) const VALUE: u64 = 0x57;
    pub(super) const PRED_COUNT: u64 = 0x70;
    pub(super) const PRED_ACTOR: u64 = 0x71;
    pub(super) const PRED_COUNTER: u64 = 0x73;
}

/// Type codes in the low four bits of a value's metadata.
mod kind {
    pub(super) const NULL: u64 = 0;
    pub(super) const FALSE: u64 = 1;
    pub(super) const TRUE: u64 = 2;
    pub(super) const INT: u64 = 4;
    pub(super) const TEXT: u64 = 6;
}

#[cfg(test)]
mod tests;

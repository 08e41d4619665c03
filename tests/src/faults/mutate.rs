//! Bytes made wrong, in the ways that readers are known to fall for: flipped, cut, doubled, swapped with another's,
//! lengths gone wild. Checksums can be put right afterwards, so that what lies behind them is reached. Knows no format
//! but a change chunk's head.

use std::io::Read;

use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Numbers at which readers break: ends of LEB128, of MessagePack's kinds, and lengths that nothing has.
const EXTREMES: &[&[u8]] = &[
    &[0x00],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    &[0xdd, 0xff, 0xff, 0xff, 0xff],
    &[0xdf, 0xff, 0xff, 0xff, 0xff],
    &[0xc6, 0xff, 0xff, 0xff, 0xff],
    &[0xdb, 0x7f, 0xff, 0xff, 0xff],
    &[0xc1],
    &[
        0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91,
        0x91, 0x91, 0x91,
    ],
];

/// One to four changes to `bytes`; `other` is another sample of the same kind.
pub(super) fn mutate(rng: &mut ChaCha8Rng, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        once(rng, &mut out, other);
    }
    out
}

fn once(rng: &mut ChaCha8Rng, out: &mut Vec<u8>, other: &[u8]) {
    if out.is_empty() {
        out.extend_from_slice(other);
        return;
    }
    let at = rng.random_range(0..out.len());
    let to = rng.random_range(at..out.len().min(at + 40)) + 1;
    match rng.random_range(0..9) {
        0 | 1 => out[at] ^= 1 << rng.random_range(0..8),
        2 => out[at] = rng.random(),
        3 => out.truncate(at),
        4 => drop(out.drain(at..to)),
        5 => {
            let copy = out[at..to].to_vec();
            out.splice(at..at, copy);
        }
        6 => {
            let extreme = EXTREMES[rng.random_range(0..EXTREMES.len())];
            let until = out.len().min(at + extreme.len());
            out.splice(at..until, extreme.iter().copied());
        }
        7 if !other.is_empty() => {
            let from = rng.random_range(0..other.len());
            let until = other.len().min(from + 40);
            out.splice(at..to, other[from..until].iter().copied());
        }
        _ => {
            let mut random = [0; 8];
            rng.fill_bytes(&mut random);
            out.splice(at..at, random);
        }
    }
}

/// A chunk's kind, from the format's specification.
const DOCUMENT: u8 = 0;
const CHANGE: u8 = 1;
const COMPRESSED: u8 = 2;
/// What is inflated of mutated bytes at most: they may claim to be anything.
const INFLATED: u64 = 1024 * 1024;
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];

/// A change chunk whose body was mutated, with length and checksum put right.
pub(super) fn mutate_chunk(rng: &mut ChaCha8Rng, chunk: &[u8], other: &[u8]) -> Vec<u8> {
    let body = mutate(rng, body_of(chunk), body_of(other));
    // Seldom another kind: 0 a document, 2 a compressed change.
    let kind = if rng.random_ratio(1, 50) {
        rng.random_range(0..4)
    } else {
        CHANGE
    };
    framed(kind, &body)
}

/// A saved document whose body was mutated, with length and checksum put right.
pub(super) fn mutate_document(rng: &mut ChaCha8Rng, document: &[u8], other: &[u8]) -> Vec<u8> {
    framed(DOCUMENT, &mutate(rng, body_of(document), body_of(other)))
}

/// A change chunk in the format's compressed form, sound or mutated before or after it was packed. Its checksum is of
/// what it inflates to, as the format has it; of bytes that don't inflate, of what was packed.
pub(super) fn mutate_compressed(rng: &mut ChaCha8Rng, chunk: &[u8], other: &[u8]) -> Vec<u8> {
    let mut body = body_of(chunk).to_vec();
    if rng.random() {
        body = mutate(rng, &body, body_of(other));
    }
    let mut packer = DeflateEncoder::new(body.as_slice(), Compression::default());
    let mut packed = Vec::new();
    let is_packed = packer.read_to_end(&mut packed).is_ok();
    debug_assert!(is_packed, "reading from memory");
    if rng.random_ratio(1, 3) {
        packed = mutate(rng, &packed, &packed);
        let mut inflated = Vec::new();
        let inflate = DeflateDecoder::new(packed.as_slice()).take(INFLATED);
        if { inflate }.read_to_end(&mut inflated).is_ok() {
            body = inflated;
        }
    }
    let mut compressed = framed(COMPRESSED, &packed);
    let checksum = &framed(CHANGE, &body)[MAGIC.len()..MAGIC.len() + 4];
    compressed[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(checksum);
    compressed
}

/// What stands behind a chunk's head: magic, checksum, kind, length.
pub(super) fn body_of(chunk: &[u8]) -> &[u8] {
    let length = chunk
        .get(9..)
        .and_then(|rest| rest.iter().position(|byte| byte & 0x80 == 0));
    length
        .and_then(|length| chunk.get(10 + length..))
        .unwrap_or_default()
}

/// A chunk with a right head.
pub(super) fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut head = vec![kind];
    let mut length = body.len();
    while length >= 0x80 {
        head.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    head.push(length as u8);
    let hash = Sha256::new()
        .chain_update(&head)
        .chain_update(body)
        .finalize();
    let mut chunk = MAGIC.to_vec();
    chunk.extend_from_slice(&hash[..4]);
    chunk.extend_from_slice(&head);
    chunk.extend_from_slice(body);
    chunk
}

#[cfg(test)]
mod tests {
    use automerge::Change;
    use rand::SeedableRng;

    use super::*;
    use crate::faults::corpus::Corpus;

    #[test]
    fn a_compressed_chunk_that_nothing_was_done_to_is_one_that_automerge_reads()
    -> anyhow::Result<()> {
        let corpus = Corpus::new()?;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (sound, _, hash) = &corpus.changes[0];
        let read = (0..40)
            .filter(|_| {
                let bytes = mutate_compressed(&mut rng, sound, sound);
                Change::from_bytes(bytes).is_ok_and(|change| change.hash().0 == hash.0)
            })
            .count();
        // Half are mutated before they are packed, a third after.
        assert!(read > 4, "{read} of 40");
        Ok(())
    }

    #[test]
    fn a_documents_head_is_put_right() -> anyhow::Result<()> {
        let corpus = Corpus::new()?;
        for document in &corpus.documents {
            assert_eq!(framed(DOCUMENT, body_of(document)), *document);
        }
        Ok(())
    }
}

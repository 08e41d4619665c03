//! Malformed bytes: mutated changes, documents, envelopes and frames, with checksums put right, read by the decoders
//! themselves, where a panic and grown memory are seen at once. Knows no connection (`malformed_live`).

use std::panic::{AssertUnwindSafe, catch_unwind};

use doorstep_core::accept::{Author, Hold, Judged, judge};
use doorstep_core::crdt::{Registers, chunk};
use doorstep_core::envelope::{Envelope, Item};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::{Down, Entry, Up};
use doorstep_core::rights::Role;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::corpus::Corpus;
use super::crashers;
use super::ground::{self, Ground};
use super::mutate::{mutate, mutate_chunk, mutate_compressed, mutate_document};
use super::{Figures, Options};
use crate::sim::oracle::{self, Document};

/// How much memory the decoders may need at most, over all of a run.
const DECODERS_GROW: u64 = 64 * 1024 * 1024;
/// How much the server may have grown at most, at any moment of a run.
const SERVER_GROWS: u64 = 256 * 1024 * 1024;

/// How much the server grew at most since `begin_peak` gave `before`, in bytes; a fault when that is too much.
pub(super) fn grown(ground: &Ground, before: u64, figures: &mut Figures) -> anyhow::Result<u64> {
    let grown = ground.peak()?.saturating_sub(before);
    figures.fault(if grown <= SERVER_GROWS {
        Ok(())
    } else {
        Err(format!("the server grew by {} MiB", grown >> 20))
    });
    Ok(grown)
}

/// The row `malformed`: everything that reads a stranger's bytes, in this process.
pub(super) fn decoders(options: &Options) -> anyhow::Result<Figures> {
    let readers = Readers::new()?;
    let (corpus, hold) = (&readers.corpus, &readers.hold);
    let mut rng = options.chance("malformed");
    let count = options.count(200_000, 1_000_000);
    let mut figures = Figures::default();
    let mut read = 0u64;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // each is counted, and its bytes are kept
    let before = ground::resident_set("self")?;
    let mut most = before;
    let kept = crashers::kept()?;
    for (name, bytes) in &kept {
        figures.fault(
            match catch_unwind(AssertUnwindSafe(|| readers.refuse(bytes))) {
                Ok(refused) => refused.map_err(|why| format!("{name}: {why}")),
                Err(_) => Err(format!("{name} panics")),
            },
        );
    }
    for number in 0..count {
        let kind = number % 12;
        let (bytes, outcome) = match kind {
            0..5 => {
                let (sample, other) = two(&mut rng, &corpus.changes);
                let bytes = mutate_chunk(&mut rng, &sample.0, &other.0);
                let outcome = catch_unwind(AssertUnwindSafe(|| change(corpus, hold, &bytes)));
                (bytes, outcome)
            }
            5 => {
                let bytes = mutated(&mut rng, &corpus.frames_up);
                let outcome = catch_unwind(AssertUnwindSafe(|| up(corpus, &bytes)));
                (bytes, outcome)
            }
            6 => {
                let bytes = mutated(&mut rng, &corpus.frames_down);
                (bytes.clone(), catch_unwind(|| down(&bytes)))
            }
            7 => {
                // Behind the packing, where a mutation of the packed bytes seldom comes.
                let bytes = mutated(&mut rng, &corpus.entries);
                let outcome = catch_unwind(|| Ok(codec::from_bytes::<Vec<Entry>>(&bytes).is_ok()));
                (bytes, outcome)
            }
            8 => {
                let bytes = mutate(&mut rng, &corpus.registers, &corpus.registers);
                let outcome = catch_unwind(|| Ok(codec::from_bytes::<Registers>(&bytes).is_ok()));
                (bytes, outcome)
            }
            9 | 10 => {
                let bytes = if kind == 9 {
                    let (sample, other) = two(&mut rng, &corpus.documents);
                    mutate_document(&mut rng, sample, other)
                } else {
                    let (sample, other) = two(&mut rng, &corpus.changes);
                    mutate_compressed(&mut rng, &sample.0, &other.0)
                };
                (bytes.clone(), catch_unwind(|| no_change(&bytes)))
            }
            _ => {
                let bytes = mutated(&mut rng, &corpus.frames_down);
                let outcome = catch_unwind(|| Ok(codec::unpack(&bytes).is_ok()));
                (bytes, outcome)
            }
        };
        figures.fault(match outcome {
            Ok(Ok(taken)) => {
                read += u64::from(taken);
                Ok(())
            }
            Ok(Err(why)) => Err(format!("{why}: {}", hex::encode(&bytes))),
            Err(_) => Err(format!("kind {kind} panics: {}", hex::encode(&bytes))),
        });
        if number.is_multiple_of(1_000) {
            most = most.max(ground::resident_set("self")?);
        }
    }
    std::panic::set_hook(hook);
    let grown = most.saturating_sub(before);
    if grown > DECODERS_GROW {
        figures.fault(Err(format!("memory grew by {} MiB", grown >> 20)));
    }
    figures.note = format!(
        "{} kept mutants first; {read} read as sound and held against Automerge, memory +{} MiB",
        kept.len(),
        grown >> 20
    );
    Ok(figures)
}

/// Two samples by chance.
pub(super) fn two<'a, T>(rng: &mut ChaCha8Rng, samples: &'a [T]) -> (&'a T, &'a T) {
    let mut one = || &samples[rng.random_range(0..samples.len())];
    (one(), one())
}

/// One sample, mutated.
pub(super) fn mutated(rng: &mut ChaCha8Rng, samples: &[Vec<u8>]) -> Vec<u8> {
    let (sample, other) = two(rng, samples);
    mutate(rng, sample, other)
}

/// A mutated change: refused, or read exactly as written, and then Automerge makes the same of it.
fn change(corpus: &Corpus, hold: &Hold, bytes: &[u8]) -> Result<bool, String> {
    let Ok((change, hash)) = chunk::decode(bytes) else {
        return Ok(false);
    };
    let (again, same) = chunk::encode(&change);
    if again != bytes || same != hash {
        return Err("read, but not as it is written".to_owned());
    }
    let mut after = hold.clone();
    let author = Author {
        key: &corpus.key.public(),
        grants: &[(Role::Collector, corpus.area)],
    };
    let before = &corpus.changes[..corpus.changes.len() - 1];
    let history = before
        .iter()
        .map(|(_, change, hash)| (*hash, change.clone()))
        .collect::<std::collections::BTreeMap<_, _>>();
    let judged = judge(
        &mut after,
        "resident",
        0,
        &change,
        hash,
        &author,
        Some(&history),
    );
    if !matches!(judged, Judged::Accepted(_)) {
        return if after == *hold {
            Ok(false)
        } else {
            Err("not merged, and yet the record moved".to_owned())
        };
    }
    let chunks = before.iter().map(|(bytes, ..)| bytes.as_slice());
    let mut document = Document::from_changes(chunks.chain([bytes]))
        .map_err(|error| format!("merged here, but Automerge does not take it ({error:#})"))?;
    let theirs = document
        .seen()
        .map_err(|error| format!("merged here, unreadable for Automerge ({error:#})"))?;
    if theirs == oracle::seen(&after.registers) {
        Ok(true)
    } else {
        Err("Automerge makes something else of it".to_owned())
    }
}

/// Everything that reads a stranger's bytes, and what it builds on.
pub(super) struct Readers {
    corpus: Corpus,
    hold: Hold,
}

impl Readers {
    pub(super) fn new() -> anyhow::Result<Self> {
        let corpus = Corpus::new()?;
        let hold = corpus.hold()?;
        Ok(Self { corpus, hold })
    }

    /// Lets every decoder read bytes that none may take.
    pub(super) fn refuse(&self, bytes: &[u8]) -> Result<(), String> {
        let taken = change(&self.corpus, &self.hold, bytes)?
            || up(&self.corpus, bytes)?
            || down(bytes)?
            || codec::unpack(bytes).is_ok()
            || codec::from_bytes::<Vec<Entry>>(bytes).is_ok()
            || codec::from_bytes::<Registers>(bytes).is_ok();
        if taken {
            return Err("taken".to_owned());
        }
        Ok(())
    }
}

/// A document, or a compressed change: taken from nobody, whatever it holds.
fn no_change(bytes: &[u8]) -> Result<bool, String> {
    match chunk::decode(bytes) {
        Err(_) => Ok(false),
        Ok(_) => Err("read as a change".to_owned()),
    }
}

fn up(corpus: &Corpus, bytes: &[u8]) -> Result<bool, String> {
    match Up::decode(bytes) {
        Ok(Up::Push(signed)) => {
            // As mutated, the signature seldom fits: what lies behind it is read as if it did.
            let body = codec::from_bytes::<Envelope>(&signed.body);
            if let Ok(envelope) = &body {
                for item in &envelope.items {
                    if let Item::Change(change) = item {
                        let _ = chunk::decode(&change.bytes);
                    }
                }
            }
            Ok(signed.open(corpus.device, &corpus.key.public()).is_ok() || body.is_ok())
        }
        read => Ok(read.is_ok()),
    }
}

fn down(bytes: &[u8]) -> Result<bool, String> {
    match Down::decode(bytes) {
        Ok(Down::Batch(batch)) => Ok(batch.entries().is_ok()),
        read => Ok(read.is_ok()),
    }
}

//! Malformed bytes: mutated changes, documents, envelopes and frames, with checksums and signatures put right. First to
//! the decoders themselves, where a panic and grown memory are seen at once; then from a signed-in device to a running
//! server, while an honest device works beside it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::ensure;
use doorstep_client::Device;
use doorstep_core::accept::{Author, Hold, Judged, judge};
use doorstep_core::crdt::{Registers, chunk};
use doorstep_core::crypto::actor;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::{ChangeItem, Envelope, Item, MAX_ITEMS, SignedEnvelope, VERSION};
use doorstep_core::ids::RecordId;
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::{Down, Entry, Outcome, Up};
use doorstep_core::rights::Role;
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::store::{DeviceStore, ListQuery};
use doorstep_core::time::Timestamp;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::corpus::{Corpus, history, saved};
use super::ground::{self, Ground};
use super::honest::Honest;
use super::mutate::{mutate, mutate_chunk, mutate_compressed, mutate_document};
use super::{Figures, Options};
use crate::sim::oracle::{self, Document};
use crate::town::tap::{Tap, seal};

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
    let corpus = Corpus::new()?;
    let hold = corpus.hold()?;
    let mut rng = options.chance("malformed");
    let count = options.count(200_000, 1_000_000);
    let mut figures = Figures::default();
    let mut read = 0u64;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // each is counted, and its bytes are kept
    let before = ground::resident_set("self")?;
    let mut most = before;
    for number in 0..count {
        let kind = number % 12;
        let (bytes, outcome) = match kind {
            0..5 => {
                let (sample, other) = two(&mut rng, &corpus.changes);
                let bytes = mutate_chunk(&mut rng, &sample.0, &other.0);
                let outcome = catch_unwind(AssertUnwindSafe(|| change(&corpus, &hold, &bytes)));
                (bytes, outcome)
            }
            5 => {
                let bytes = mutated(&mut rng, &corpus.frames_up);
                let outcome = catch_unwind(AssertUnwindSafe(|| up(&corpus, &bytes)));
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
        "{read} read as sound and held against Automerge, memory +{} MiB",
        grown >> 20
    );
    Ok(figures)
}

fn two<'a, T>(rng: &mut ChaCha8Rng, samples: &'a [T]) -> (&'a T, &'a T) {
    let mut one = || &samples[rng.random_range(0..samples.len())];
    (one(), one())
}

fn mutated(rng: &mut ChaCha8Rng, samples: &[Vec<u8>]) -> Vec<u8> {
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

/// The row `malformed-live`.
pub(super) async fn live(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut rng = options.chance("malformed-live");
    let mut figures = Figures::default();
    let honest = Honest::begin(ground).await?;
    let collector = ground.collector.clone();
    let hostile = ground.light(&collector).await?;
    hostile.sync_once().await?;
    let corpus = Corpus::of(&hostile.who().key)?;
    let url = ground.server.url();
    let before = ground.begin_peak()?;

    let mut tap = Tap::open(&url, &hostile, Vec::new()).await?;
    let seq = tap.welcome().await?.next_envelope;
    let sent = Mutants {
        rng: &mut rng,
        hostile: &hostile,
        tap: &mut tap,
        seq,
    };
    let merged = sent.send(options, &mut figures).await?;
    tap.close().await;

    // Frames mutated as a whole: the server says goodbye, or takes what is still sound; then the next connection.
    for _ in 0..options.count(150, 20_000) {
        let mut tap = match greeted(&url, &hostile).await {
            Ok(tap) => tap,
            Err(error) => {
                figures.fault(Err(format!("greets no more: {error:#}")));
                break;
            }
        };
        for _ in 0..4 {
            let bytes = match rng.random_range(0..3) {
                0 => resealed(&mut rng, &corpus, &hostile.who().key),
                _ => mutated(&mut rng, &corpus.frames_up),
            };
            if tap.send_bytes(bytes).await.is_err() {
                break;
            }
            figures.fault(Ok(()));
        }
        tap.close().await;
    }
    let beside = honest.end(ground, &mut figures).await?;
    figures.fault(automerge_agrees(&hostile).await?);
    let grown = grown(ground, before, &mut figures)?;
    figures.note = format!(
        "{merged} merged; server at most +{} MiB; {}",
        grown >> 20,
        beside.note
    );
    Ok(figures)
}

/// A connection that the server has answered: it lives, whatever it was sent on the one before.
async fn greeted(url: &str, device: &Device<MemoryStore>) -> anyhow::Result<Tap> {
    let mut tap = Tap::open(url, device, Vec::new()).await?;
    tap.welcome().await?;
    Ok(tap)
}

/// How many records the mutated changes are of.
const STORIES: u8 = 24;

/// Signed envelopes full of mutated changes by the device that sends them, on one connection.
struct Mutants<'a> {
    rng: &'a mut ChaCha8Rng,
    hostile: &'a Device<MemoryStore>,
    tap: &'a mut Tap,
    seq: u64,
}

impl Mutants<'_> {
    async fn push(&mut self, items: Vec<Item>) -> anyhow::Result<Vec<Outcome>> {
        let count = items.len();
        self.tap.send(&seal(self.hostile, self.seq, items)).await?;
        let pushed = self.tap.pushed().await?;
        ensure!(
            pushed.refused.is_none() && pushed.outcomes.len() == count,
            "envelope {}: {pushed:?}",
            self.seq
        );
        self.seq += 1;
        Ok(pushed.outcomes)
    }

    async fn send(mut self, options: &Options, figures: &mut Figures) -> anyhow::Result<u64> {
        let key = self.hostile.who().key.clone();
        let stories = (0..STORIES)
            .map(|number| {
                let record = RecordId::from_bytes([number + 1; 16]);
                let changes = history(&key, record)?.0;
                let documents = saved(&changes)?;
                Ok((record, changes, documents))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        // Every other record is there already, so that what builds on it can be merged.
        let sound = stories.iter().step_by(2).flat_map(|(record, changes, _)| {
            changes[..3]
                .iter()
                .map(|(bytes, ..)| item(*record, bytes.clone()))
        });
        let outcomes = self.push(sound.collect()).await?;
        ensure!(
            outcomes.iter().all(|outcome| *outcome == Outcome::Accepted),
            "sound changes: {outcomes:?}"
        );
        let mut merged = 0;
        for _ in 0..options.count(8, 4_700) {
            let items: Vec<Item> = (0..MAX_ITEMS)
                .map(|_| {
                    let (record, changes, documents) = two(self.rng, &stories).0;
                    let (sample, other) = two(self.rng, changes);
                    let bytes = match self.rng.random_range(0..10) {
                        0 => {
                            let (sample, other) = two(self.rng, documents);
                            mutate_document(self.rng, sample, other)
                        }
                        1 => mutate_compressed(self.rng, &sample.0, &other.0),
                        _ => mutate_chunk(self.rng, &sample.0, &other.0),
                    };
                    item(*record, bytes)
                })
                .collect();
            let outcomes = self.push(items.clone()).await?;
            for (item, outcome) in items.iter().zip(outcomes) {
                merged += u64::from(outcome == Outcome::Accepted);
                figures.fault(match outcome {
                    Outcome::Accepted => is_its_own(item, &key),
                    _ => Ok(()),
                });
            }
        }
        Ok(merged)
    }
}

fn item(record: RecordId, bytes: Vec<u8>) -> Item {
    Item::Change(ChangeItem {
        record,
        record_type: "resident".to_owned(),
        epoch: 0,
        bytes,
    })
}

/// What may be merged of a mutated change: one that is still whole, and of the device that signed it.
fn is_its_own(item: &Item, key: &KeyPair) -> Result<(), String> {
    let Item::Change(item) = item else {
        return Err("an event was merged".to_owned());
    };
    match chunk::decode(&item.bytes) {
        Ok((change, _)) if change.actor == actor::derive(&key.public(), item.record, 0) => Ok(()),
        Ok(_) => Err("a change of another device was merged".to_owned()),
        Err(error) => Err(format!("merged, and yet {error}")),
    }
}

/// Whether Automerge makes of everything a device holds what it shows.
async fn automerge_agrees(device: &Device<MemoryStore>) -> anyhow::Result<Result<(), String>> {
    device.sync_once().await?;
    for listed in device.list(&ListQuery {
        cancelled: true,
        limit: usize::MAX >> 1,
        ..ListQuery::default()
    })? {
        let changes = device.read(|store| store.changes(listed.id))?;
        let shown = oracle::seen(&device.record(listed.id)?.registers);
        let chunks = changes.iter().map(|change| change.bytes.as_slice());
        let theirs = catch_unwind(|| Document::from_changes(chunks.collect::<Vec<_>>())?.seen());
        match theirs {
            Ok(Ok(theirs)) if theirs == shown => {}
            Ok(Ok(_)) => return Ok(Err(format!("{} differs in Automerge", listed.id))),
            Ok(Err(error)) => return Ok(Err(format!("{}: Automerge: {error:#}", listed.id))),
            Err(_) => return Ok(Err(format!("{}: Automerge panics", listed.id))),
        }
    }
    Ok(Ok(()))
}

/// A mutated envelope, signed by the device that sends it.
fn resealed(rng: &mut ChaCha8Rng, corpus: &Corpus, key: &KeyPair) -> Vec<u8> {
    let (sample, other) = two(rng, &corpus.changes);
    let envelope = Envelope {
        version: VERSION,
        device: corpus.device,
        user: corpus.user,
        seq: rng.random_range(0..4),
        time: Timestamp(rng.random()),
        items: vec![Item::Change(ChangeItem {
            record: corpus.record,
            record_type: "resident".to_owned(),
            epoch: 0,
            bytes: mutate_chunk(rng, &sample.0, &other.0),
        })],
    };
    let sound = codec::to_bytes(&envelope);
    let body = mutate(rng, &sound, &sound);
    let signature = key.sign(&body).to_vec();
    Up::Push(SignedEnvelope { body, signature }).encode()
}

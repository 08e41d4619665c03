//! Malformed bytes from a signed-in device to a running server: mutated changes in sound envelopes, and mutated frames,
//! with checksums and signatures put right, while an honest device works beside it. Knows no decoder (`malformed`).

use std::panic::catch_unwind;
use std::time::Duration;

use anyhow::ensure;
use doorstep_client::Device;
use doorstep_core::crdt::chunk;
use doorstep_core::crypto::actor;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::{Envelope, Item, MAX_ITEMS, SignedEnvelope, VERSION};
use doorstep_core::ids::{RecordId, ScopeId};
use doorstep_core::protocol::codec::{self, CodecError};
use doorstep_core::protocol::frames::{Cursor, Down, Outcome, Up};
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::store::{DeviceStore, ListQuery};
use doorstep_core::time::Timestamp;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::time::error::Elapsed;

use super::corpus::{Corpus, history, item, saved};
use super::crashers;
use super::ground::Ground;
use super::honest::Honest;
use super::malformed::{grown, mutated, two};
use super::mutate::{mutate, mutate_chunk, mutate_compressed, mutate_document};
use super::{Figures, Options};
use crate::sim::oracle::{self, Document};
use crate::town::tap::{Tap, seal};

/// How long the answer to a sound frame may take.
const SILENCE: Duration = Duration::from_secs(30);
/// Changes of a device that were merged.
const MERGED: &str = "SELECT count(*) FROM changes WHERE device_id = $1";

/// The row `malformed-live`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut rng = options.chance("malformed-live");
    let mut figures = Figures::default();
    let honest = Honest::begin(ground).await?;
    let collector = ground.collector.clone();
    let hostile = ground.light(&collector).await?;
    hostile.sync_once().await?;
    let corpus = Corpus::of(hostile.who())?;
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

    // Frames mutated as a whole, each beside a sound one: the server answers that, or says goodbye.
    let device = hostile.who().device;
    let merged_before = ground.number_of(MERGED, device).await?;
    let mut frames = Frames::begin(&mut rng, &hostile, &corpus, url).await?;
    for _ in 0..options.count(150, 20_000) {
        if let Err(error) = frames.connection(&mut figures).await {
            figures.fault(Err(format!("greets no more: {error:#}")));
            break;
        }
    }
    let (answered, judged, ended) = (frames.answered, frames.judged, frames.ended);
    figures.fault(match judged {
        0 => Err("no mutated frame's items were judged".to_owned()),
        _ => Ok(()),
    });
    let by_frames = ground.number_of(MERGED, device).await? - merged_before;
    let beside = honest.end(ground, &mut figures).await?;
    figures.fault(automerge_agrees(&hostile).await?);
    let grown = grown(ground, before, &mut figures)?;
    figures.note = format!(
        "{merged} merged; of {} frames {answered} were answered ({judged} with their items judged) and {ended} ended their \
            connection, {by_frames} changes merged by them; server at most +{} MiB; {}",
        answered + ended,
        grown >> 20,
        beside.note
    );
    Ok(figures)
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
        // Those that plain Automerge once fell over come before those of chance.
        let kept = crashers::kept()?;
        let record = RecordId::from_bytes([3; 16]);
        let items = kept.iter().map(|(_, bytes)| item(record, bytes.clone()));
        let outcomes = self.push(items.collect()).await?;
        for ((name, _), outcome) in kept.iter().zip(outcomes) {
            figures.fault(match outcome {
                Outcome::Refused(_) => Ok(()),
                other => Err(format!("{name}: {other:?}")),
            });
        }
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

/// Frames on a connection at most.
const FRAMES: usize = 4;

/// Mutated frames, each followed by a sound one, until the server says goodbye.
struct Frames<'a> {
    rng: &'a mut ChaCha8Rng,
    hostile: &'a Device<MemoryStore>,
    corpus: &'a Corpus,
    url: String,
    /// Where the logs ended when it last connected: what came before is not sent again.
    held: Vec<(ScopeId, Cursor)>,
    /// An envelope that was answered, and its number: it is answered again whenever it comes.
    sound: (Up, u64),
    /// Frames after which the sound one was answered.
    answered: u64,
    /// Frames among them that were envelopes whose items were judged.
    judged: u64,
    /// Frames after which the server ended the connection.
    ended: u64,
}

impl<'a> Frames<'a> {
    async fn begin(
        rng: &'a mut ChaCha8Rng,
        hostile: &'a Device<MemoryStore>,
        corpus: &'a Corpus,
        url: String,
    ) -> anyhow::Result<Self> {
        let mut tap = Tap::open(&url, hostile, Vec::new()).await?;
        let seq = tap.welcome().await?.next_envelope;
        let items = vec![item(corpus.record, corpus.changes[0].0.clone())];
        let sound = seal(hostile, seq, items);
        tap.send(&sound).await?;
        let pushed = tap.pushed().await?;
        ensure!(pushed.refused.is_none(), "a sound envelope: {pushed:?}");
        tap.close().await;
        Ok(Self {
            rng,
            hostile,
            corpus,
            url,
            held: Vec::new(),
            sound: (sound, seq),
            answered: 0,
            judged: 0,
            ended: 0,
        })
    }

    /// A connection's frames. Fails when the server does not greet.
    async fn connection(&mut self, figures: &mut Figures) -> anyhow::Result<()> {
        let mut tap = Tap::open(&self.url, self.hostile, self.held.clone()).await?;
        let welcome = tap.welcome().await?;
        self.held = welcome
            .scopes
            .iter()
            .map(|state| (state.scope, state.end))
            .collect();
        let mut next = welcome.next_envelope;
        for _ in 0..FRAMES {
            let bytes = match self.rng.random_range(0..3) {
                0 => self.resealed(next),
                _ => mutated(self.rng, &self.corpus.frames_up),
            };
            let shown = hex::encode(&bytes);
            let lives = match self.survives(&mut tap, bytes, &mut next).await {
                Ok(lives) => {
                    figures.fault(Ok(()));
                    lives
                }
                Err(error) => {
                    figures.fault(Err(format!("{error:#} after {shown}")));
                    false
                }
            };
            if !lives {
                break;
            }
        }
        tap.close().await;
        Ok(())
    }

    /// Sends a frame and the sound one, and waits until that is answered or the connection ends: whether it lives. `next`
    /// is the number that the server expects.
    async fn survives(
        &mut self,
        tap: &mut Tap,
        bytes: Vec<u8>,
        next: &mut u64,
    ) -> anyhow::Result<bool> {
        let (sound, seq) = &self.sound;
        // What can't be sent any more is seen below.
        if tap.send_bytes(bytes).await.is_ok() {
            tap.send(sound).await.ok();
        }
        let until = tokio::time::Instant::now() + SILENCE;
        loop {
            // What others write comes meanwhile: it is no answer.
            match tokio::time::timeout_at(until, tap.next()).await? {
                Ok(Down::Pushed(pushed)) if pushed.refused.is_none() && pushed.seq == *seq => {
                    self.answered += 1;
                    return Ok(true);
                }
                Ok(Down::Pushed(pushed)) if pushed.refused.is_none() => {
                    self.judged += 1;
                    *next = pushed.seq + 1;
                }
                Ok(Down::Batch(batch)) => {
                    tap.send(&Up::Stored(batch.scope, batch.to)).await.ok();
                }
                Ok(_) => {}
                // Silence, or something that no device reads.
                Err(error) if error.is::<Elapsed>() || error.is::<CodecError>() => {
                    return Err(error);
                }
                Err(_) => {
                    self.ended += 1;
                    return Ok(false);
                }
            }
        }
    }

    /// An envelope with a mutated change, half of the time mutated itself, signed by the device that sends it and mostly with
    /// the number that is expected.
    fn resealed(&mut self, next: u64) -> Vec<u8> {
        let who = self.hostile.who();
        let (sample, other) = two(self.rng, &self.corpus.changes);
        let bytes = mutate_chunk(self.rng, &sample.0, &other.0);
        let seq = match self.rng.random_range(0..5) {
            0 => self.rng.random_range(0..=next + 2),
            _ => next,
        };
        let envelope = Envelope {
            version: VERSION,
            device: who.device,
            user: who.user,
            seq,
            time: Timestamp(self.rng.random()),
            items: vec![item(self.corpus.record, bytes)],
        };
        let mut body = codec::to_bytes(&envelope);
        if self.rng.random() {
            body = mutate(self.rng, &body, &body);
        }
        let signature = who.key.sign(&body).to_vec();
        Up::Push(SignedEnvelope { body, signature }).encode()
    }
}

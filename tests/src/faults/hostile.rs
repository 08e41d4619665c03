//! A device with valid credentials that lies. Each kind of lie (`hostile_kinds`) is told many times; none of it may be
//! merged that should not be, each that no honest device does must leave a trace (an alarm, an item with the supervisor),
//! and the honest device beside it notices nothing.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use doorstep_core::envelope::{Item, MAX_UNANSWERED};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::{Down, Outcome, Pushed, Up};

use super::ground::Ground;
use super::honest::Honest;
use super::hostile_kinds::{KINDS, Kind, Lie, Must, Scene};
use super::malformed::grown;
use super::{Figures, Options};
use crate::town::tap::{Tap, seal};

/// What a lie may leave behind, counted together: alarms about the device, and its items with the supervisor.
const TRACES: &str = "SELECT ((SELECT coalesce(sum(times), 0) FROM alarms WHERE device_id = $1)
    + (SELECT count(*) FROM refused_items WHERE device_id = $1))::bigint";
const MERGED: &str = "SELECT (SELECT count(*) FROM changes WHERE device_id = $1)
    + (SELECT count(*) FROM events WHERE device_id = $1)";
/// Lies in an envelope, where they are told many at a time.
const TOGETHER: usize = 100;
/// One that is longer is told alone: an envelope has an end.
const LONGEST: usize = 2_048;

/// The row `hostile`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let mut scene = Scene::set(ground, options.chance("hostile")).await?;
    let before = ground.begin_peak()?;
    let times = options.count(2, 100);
    for kind in KINDS {
        // Two hundred frames each.
        let times = match kind.must {
            Must::Replayed => times.div_ceil(20),
            _ => times,
        };
        for _ in 0..times {
            figures.fault(tell(ground, &mut scene, kind).await?);
        }
    }
    // Beside an honest device, as fast as they go through: it is to notice nothing.
    let honest = Honest::begin(ground).await?;
    let together = many(options, ground, &mut scene, &mut figures).await?;
    let beside = honest.end(ground, &mut figures).await?;
    let grown = grown(ground, before, &mut figures)?;
    figures.note = format!(
        "{} kinds, {together} lies in envelopes of a hundred; server at most +{} MiB; {}",
        KINDS.len(),
        grown >> 20,
        beside.note
    );
    Ok(figures)
}

/// Tells one lie on a connection of its own, and looks at what came of it.
async fn tell(
    ground: &mut Ground,
    scene: &mut Scene,
    kind: &Kind,
) -> anyhow::Result<Result<(), String>> {
    let device = scene.liar.who().device;
    let before = (
        ground.number_of(MERGED, device).await?,
        ground.number_of(TRACES, device).await?,
    );
    let mut tap = Tap::open(&ground.server.url(), &scene.liar, Vec::new()).await?;
    scene.next = tap.welcome().await?.next_envelope;
    let lie = (kind.tell)(scene)?;
    let said = match lie {
        Lie::Items(items) => {
            let frame = seal(&scene.liar, scene.next, items);
            scene.last = Some(frame.clone());
            tap.send(&frame).await?;
            answer(&mut tap).await
        }
        Lie::Frame(frame) => {
            tap.send(&frame).await?;
            answer(&mut tap).await
        }
        Lie::Frames(frame, times) => {
            let mut said = Said::Ended("nothing was sent".to_owned());
            for _ in 0..times {
                tap.send(&frame).await?;
                said = answer(&mut tap).await;
            }
            said
        }
        Lie::Bytes(bytes) => match tap.send_bytes(bytes).await {
            Ok(()) => answer(&mut tap).await,
            Err(error) => Said::Ended(format!("{error:#}")),
        },
    };
    tap.close().await;
    let merged = ground.number_of(MERGED, device).await? - before.0;
    let mut traces = ground.number_of(TRACES, device).await? - before.1;
    // A connection may end before its alarm is kept.
    let patience = Instant::now() + Duration::from_secs(2);
    while kind.must.leaves_a_trace() && traces == 0 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
        traces = ground.number_of(TRACES, device).await? - before.1;
    }
    let wrong = |why: String| Ok(Err(format!("{}: {why}", kind.name)));
    if merged != kind.must.merged() {
        return wrong(format!("{merged} merged, {said:?}"));
    }
    if kind.must.leaves_a_trace() && traces == 0 {
        return wrong(format!("no trace, {said:?}"));
    }
    match (&kind.must, &said) {
        (Must::Refuse(code), Said::Pushed(pushed)) => match pushed.outcomes.last() {
            Some(Outcome::Refused(refusal)) if refusal.code == *code => Ok(Ok(())),
            other => wrong(format!("{other:?} {:?}", pushed.refused)),
        },
        (Must::RefuseEnvelope(code), Said::Pushed(pushed)) => match &pushed.refused {
            Some(refusal) if refusal.code == *code => Ok(Ok(())),
            other => wrong(format!("{other:?}")),
        },
        (Must::Again | Must::Replayed, Said::Pushed(pushed)) => {
            let same = pushed.refused.is_none()
                && pushed
                    .outcomes
                    .iter()
                    .all(|outcome| !matches!(outcome, Outcome::Waiting));
            if same {
                Ok(Ok(()))
            } else {
                wrong(format!("{pushed:?}"))
            }
        }
        (Must::Wait, Said::Pushed(pushed)) if pushed.outcomes == [Outcome::Waiting] => Ok(Ok(())),
        (Must::Take, Said::Pushed(pushed)) if pushed.outcomes == [Outcome::Accepted] => Ok(Ok(())),
        (Must::End(code), Said::Ended(why)) if why.contains(code) => Ok(Ok(())),
        _ => wrong(format!("{said:?}")),
    }
}

/// What came back.
#[derive(Debug)]
enum Said {
    Pushed(Pushed),
    /// The connection ended, with these words.
    Ended(String),
}

async fn answer(tap: &mut Tap) -> Said {
    loop {
        match tap.next().await {
            Ok(Down::Pushed(pushed)) => return Said::Pushed(pushed),
            Ok(Down::Batch(batch)) => {
                if let Err(error) = tap.send(&Up::Stored(batch.scope, batch.to)).await {
                    return Said::Ended(format!("{error:#}"));
                }
            }
            Ok(_) => {}
            Err(error) => return Said::Ended(format!("{error:#}")),
        }
    }
}

/// Lies of all kinds that are one item and refused, a hundred to an envelope, with as many envelopes under way as a device
/// may have. Each must be refused with its own code, none merged, each left with the supervisor or in an alarm. Gives how many
/// were told.
async fn many(
    options: &Options,
    ground: &Ground,
    scene: &mut Scene,
    figures: &mut Figures,
) -> anyhow::Result<usize> {
    let device = scene.liar.who().device;
    let (merged, traces) = (
        ground.number_of(MERGED, device).await?,
        ground.number_of(TRACES, device).await?,
    );
    let envelopes = options.count(20, 1_000);
    let mut tap = Tap::open(&ground.server.url(), &scene.liar, Vec::new()).await?;
    let first = tap.welcome().await?.next_envelope;
    let mut waiting = VecDeque::new();
    let mut told = HashSet::new();
    let mut seq = first;
    while seq < first + envelopes || !waiting.is_empty() {
        if seq < first + envelopes && waiting.len() < MAX_UNANSWERED {
            let (items, codes) = refusable(scene)?;
            told.extend(items.iter().map(codec::to_bytes));
            tap.send(&seal(&scene.liar, seq, items)).await?;
            waiting.push_back(codes);
            seq += 1;
            continue;
        }
        let pushed = tap.pushed().await?;
        ensure!(pushed.refused.is_none(), "{:?}", pushed.refused);
        let codes = waiting.pop_front().context("an answer to nothing")?;
        ensure!(pushed.outcomes.len() == codes.len(), "{pushed:?}");
        for (code, outcome) in codes.into_iter().zip(pushed.outcomes) {
            figures.fault(match outcome {
                Outcome::Refused(refusal) if refusal.code == code => Ok(()),
                other => Err(format!("instead of {code}: {other:?}")),
            });
        }
    }
    tap.close().await;
    let merged = ground.number_of(MERGED, device).await? - merged;
    figures.fault(match merged {
        0 => Ok(()),
        merged => Err(format!("{merged} lies were merged")),
    });
    let left = ground.number_of(TRACES, device).await? - traces;
    figures.fault(if left >= i64::try_from(told.len())? {
        Ok(())
    } else {
        Err(format!("{} lies left {left} traces", told.len()))
    });
    Ok(told.len())
}

/// An envelope's items, and the code that each must be refused with.
fn refusable(scene: &mut Scene) -> anyhow::Result<(Vec<Item>, Vec<&'static str>)> {
    let (mut items, mut codes) = (Vec::new(), Vec::new());
    while items.len() < TOGETHER {
        let kind = &KINDS[scene.any(KINDS.len())];
        let Must::Refuse(code) = kind.must else {
            continue;
        };
        if let Lie::Items(told) = (kind.tell)(scene)?
            && let [one] = told.as_slice()
            && codec::to_bytes(one).len() <= LONGEST
        {
            items.push(one.clone());
            codes.push(code);
        }
    }
    Ok((items, codes))
}

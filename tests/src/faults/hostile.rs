//! A device with valid credentials that lies. Each kind of lie (`hostile_kinds`) is told many times; none of it may be
//! merged that should not be, each that no honest device does must leave a trace (an alarm, an item with the supervisor),
//! and the honest device beside it notices nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use doorstep_core::protocol::frames::{Down, Outcome, Pushed, Up};

use super::ground::Ground;
use super::honest::Honest;
use super::hostile_kinds::{KINDS, Kind, Lie, Must, Scene};
use super::malformed::grown;
use super::{Figures, Options};
use crate::town::tap::{Tap, seal};

/// What a lie may leave behind, counted together.
const TRACES: &str = "SELECT ((SELECT coalesce(sum(times), 0) FROM alarms) + (SELECT count(*) FROM refused_items))::bigint";
const MERGED: &str = "SELECT (SELECT count(*) FROM changes) + (SELECT count(*) FROM events)";

/// The row `hostile`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let mut scene = Scene::set(ground, options.chance("hostile")).await?;
    let before = ground.begin_peak()?;
    let times = options.count(2, 20_000 / KINDS.len() as u64);
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
    // The same again, fast, beside an honest device: only the time it takes is looked at.
    let honest = Honest::begin(ground).await?;
    flood(options, ground, &mut scene, &mut figures).await?;
    let beside = honest.end(ground).await?;
    figures.beside(&beside);
    figures.fault(ground.is_sound().await);
    let grown = grown(ground, before, &mut figures)?;
    figures.note = format!(
        "{} kinds; server at most +{} MiB; {}",
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
    let before = (ground.number(MERGED).await?, ground.number(TRACES).await?);
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
    let merged = ground.number(MERGED).await? - before.0;
    let mut traces = ground.number(TRACES).await? - before.1;
    // A connection may end before its alarm is kept.
    let patience = Instant::now() + Duration::from_secs(2);
    while kind.must.leaves_a_trace() && traces == 0 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
        traces = ground.number(TRACES).await? - before.1;
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

/// As many envelopes of forged changes as go through, without waiting for answers.
async fn flood(
    options: &Options,
    ground: &mut Ground,
    scene: &mut Scene,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let envelopes = options.count(20, 400);
    let mut tap = Tap::open(&ground.server.url(), &scene.liar, Vec::new()).await?;
    let first = tap.welcome().await?.next_envelope;
    let forged = KINDS
        .iter()
        .find(|kind| kind.name == "forged actor")
        .context("the kind is there")?;
    let mut answered = 0;
    for seq in first..first + envelopes {
        let mut items = Vec::new();
        while items.len() < 200 {
            if let Lie::Items(more) = (forged.tell)(scene)? {
                items.extend(more);
            }
        }
        items.truncate(200);
        tap.send(&seal(&scene.liar, seq, items)).await?;
    }
    while answered < envelopes {
        let pushed = tap.pushed().await?;
        ensure!(pushed.refused.is_none(), "{:?}", pushed.refused);
        answered += 1;
        for outcome in pushed.outcomes {
            figures.fault(match outcome {
                Outcome::Refused(refusal) if refusal.code == "forged_actor" => Ok(()),
                other => Err(format!("flood: {other:?}")),
            });
        }
    }
    tap.close().await;
    Ok(())
}

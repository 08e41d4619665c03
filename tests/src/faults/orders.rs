//! The simulator's rows: what the network does to frames, clocks that are years off, and many devices cut off for days.
//! Nothing here touches a disk or a socket; a seed replays each.

use anyhow::{Context, ensure};
use doorstep_core::rights::Role;
use doorstep_core::value::Value;
use rand::RngExt;

use super::{Figures, Options};
use crate::sim::checks;
use crate::sim::world::{World, collects, street, village};

const HOUR: i64 = 3_600_000;
const YEAR: i64 = 365 * 24 * HOUR;

/// The row `orders`: each seed is a world of a few phones whose frames are doubled, swapped with their neighbours, delayed
/// and lost with their line, in both directions, and whose server and phones stop at any commit. A world that holds has
/// lost and doubled nothing.
pub(super) fn any_order(options: &Options) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let (mut edits, mut doubled, mut swapped) = (0, 0, 0);
    // Apart from those that the simulator's own tests run.
    let first = 1_000_000 * (1 + options.seed);
    for seed in first..first + options.count(14, 10_000) {
        let mut world = World::stirred(seed);
        let lived = world.live(2 + (seed % 4) as usize, 250);
        edits += world.ledger.edits.len();
        let times = |what: &str| world.tally.get(what).copied().unwrap_or(0);
        doubled += times("doubled up") + times("doubled down");
        swapped += times("swapped up") + times("swapped down");
        figures.fault(lived.map_err(|error| format!("seed {seed}: {error:#}")));
    }
    figures.note = format!(
        "worlds of 250 steps, {edits} edits in all; {doubled} frames doubled, {swapped} swapped"
    );
    Ok(figures)
}

/// The row `clocks`: whoever writes last, having seen what was there, wins, whatever the clocks say.
pub(super) fn clocks(options: &Options) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let mut rng = options.chance("clocks");
    let worlds = options.count(4, 400);
    for number in 0..worlds {
        let mut world = World::new(rng.random());
        for skew in [-10 * YEAR, 0, 10 * YEAR] {
            world.add_phone(collects(&[1]), skew);
        }
        for phone in 0..3 {
            world.sync(phone)?;
        }
        let id = world.create(
            1,
            "resident",
            village(1),
            &[
                ("name", "王五".into()),
                ("sex", "1".into()),
                ("population_kind", "01".into()),
            ],
        )?;
        world.sync(1)?;
        for round in 0..12 {
            let writer = rng.random_range(0..3);
            let text = format!("写于第{round}次");
            world.sync(writer)?;
            // Without a mark of its own: the ledger's is written beside it.
            world.update(writer, id, &[("occupation", Value::from(text.as_str()))])?;
            world.sync(writer)?;
            world.wait(rng.random_range(0..10_000));
            let held = &world.server.register.records[&id].hold.registers;
            let stands = held.get("occupation").and_then(Value::as_text);
            figures.fault(if stands == Some(text.as_str()) {
                Ok(())
            } else {
                Err(format!("world {number}, round {round}: {stands:?} stands"))
            });
        }
        let rested = world.rest().and_then(|()| checks::all(&mut world));
        figures.fault(rested.map_err(|error| format!("world {number}: {error:#}")));
    }
    figures.note = "writers ten years behind, right, and ten years ahead".to_owned();
    Ok(figures)
}

/// The row `partition`: most phones see no server for hours to days, while everyone works; then all come back at once.
pub(super) fn partition(options: &Options) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let mut rng = options.chance("partition");
    let phones = usize::try_from(options.count(16, 200))?;
    let hours = i64::try_from(options.count(12, 72))?;
    let mut world = World::new(rng.random());
    world.import();
    for number in 0..phones {
        let grants = match number % 20 {
            0 => vec![(Role::Supervisor, street())],
            _ => collects(&[1 + (number % 3) as u8]),
        };
        world.add_phone(grants, 0);
        world.sync(number)?;
    }
    let mut cut_off: Vec<bool> = Vec::new();
    for hour in 0..hours {
        if hour % 6 == 0 {
            // Another part of the city is cut off: mostly more than half.
            let share = rng.random_range(30..95);
            cut_off = (0..phones)
                .map(|_| rng.random_range(0..100) < share)
                .collect();
            for (number, off) in cut_off.iter().enumerate() {
                if *off {
                    world.cut(number, true);
                }
            }
        }
        for (number, off) in cut_off.iter().enumerate() {
            if rng.random_ratio(1, 3) {
                world.some_work(number)?;
            }
            if !off && rng.random_ratio(1, 2) {
                world
                    .sync(number)
                    .with_context(|| format!("hour {hour}, phone {number}"))?;
            }
        }
        world.wait(HOUR);
    }
    ensure!(!world.ledger.edits.is_empty(), "nobody worked");
    let rested = world.rest().and_then(|()| checks::all(&mut world));
    let merged = world.server.register.accepted.len();
    figures.tried = phones as u64;
    match rested {
        Ok(()) => figures.survived = phones as u64,
        Err(error) => figures.failures.push(format!("{error:#}")),
    }
    figures.note = format!(
        "{hours} hours, {} edits, {merged} merged",
        world.ledger.edits.len()
    );
    Ok(figures)
}

//! Many devices and a server from a seed: whatever the network, the batteries and the people do, nothing is lost,
//! nothing doubled, nothing out of scope sent, and everyone ends up with the same.
//!
//! `DOORSTEP_SEEDS=n` runs n seeds instead of a few hundred; a failing one prints how to replay it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_tests::sim::world::World;

/// Runs one seed. A failure is run again with its story.
fn run(seed: u64) {
    let size = |world: &mut World| {
        let phones = 2 + (seed % 4) as usize;
        world.live(phones, 250)
    };
    let mut world = World::new(seed);
    if let Err(error) = size(&mut world) {
        let mut again = World::new(seed);
        again.tell_the_story();
        let _ = size(&mut again);
        let story = again.story();
        let lines: Vec<&str> = story.lines().collect();
        let last = lines[lines.len().saturating_sub(400)..].join("\n");
        panic!(
            "{last}\n\nseed {seed}: {error:#}\nreplay: DOORSTEP_SEED={seed} cargo test -p doorstep-tests --test simulation seeds"
        );
    }
}

/// The seeds of this run that fall to one of `of` tests.
fn seeds(part: u64, of: u64) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    match number("DOORSTEP_SEED") {
        Some(seed) if part == 0 => run(seed),
        Some(_) => {}
        None => (0..number("DOORSTEP_SEEDS").unwrap_or(300))
            .filter(|seed| seed % of == part)
            .for_each(run),
    }
}

#[test]
fn seeds_even() {
    seeds(0, 2);
}

#[test]
fn seeds_odd() {
    seeds(1, 2);
}

//! Frames that come twice or in another order within a connection, each by hand: what the random seeds seldom bring
//! together.

use anyhow::{Context, ensure};
use doorstep_core::ids::{RecordId, ScopeId};
use doorstep_tests::sim::stir::{Stir, Way};
use doorstep_tests::sim::world::{World, collects, village};

use super::{codes, held, known_to, phones, play, put, value};

/// A resident of whom phone 0 has two edits on the wire, an envelope each: the first is refused, the second builds on it.
/// Gives the wire too.
fn two_envelopes(world: &mut World) -> anyhow::Result<(RecordId, u64)> {
    let both = phones(world, 2)?;
    let id = known_to(world, &both, "张三")?;
    let line = world.phones[0].line.context("it is connected")?;
    world.update(0, id, &[("police_person_id", "P1".into())])?;
    ensure!(world.push(0)?, "the first envelope");
    put(world, 0, id, "phone", "13812345678")?;
    ensure!(world.push(0)?, "the second envelope");
    Ok((id, line))
}

/// The second comes before the first and is not judged; behind the first comes its copy, and is. Made again meanwhile, its
/// edit would be there twice.
#[test]
fn envelopes_that_change_places_and_come_twice_are_there_once() {
    let world = play(|world| {
        let (_, line) = two_envelopes(world)?;
        ensure!(world.stir(line, Way::Up, 1, Stir::Double));
        ensure!(world.stir(line, Way::Up, 0, Stir::Swap));
        for _ in 0..3 {
            ensure!(world.carry_up(line)?);
        }
        ensure!(world.carry_down(line)?);
        Ok(())
    });
    assert_eq!(world.tally["hung up"], 1);
    let both = ["builds_on_refused", "field_not_writable"];
    assert_eq!(codes(&world, 0), both);
    assert_eq!(world.server.register.refused.len(), 2);
}

#[test]
fn answers_that_change_places_leave_each_edit_there_once() {
    let mut about = None;
    let world = play(|world| {
        let (id, line) = two_envelopes(world)?;
        about = Some(id);
        put(world, 0, id, "workplace", "某厂")?; // not sent yet: made again without what was refused
        for _ in 0..2 {
            ensure!(world.carry_up(line)?);
        }
        ensure!(world.stir(line, Way::Down, 0, Stir::Swap));
        for _ in 0..2 {
            ensure!(world.carry_down(line)?);
        }
        Ok(())
    });
    assert!(!world.tally.contains_key("hung up"), "{:?}", world.tally);
    let both = ["field_not_writable", "builds_on_refused"];
    assert_eq!(codes(&world, 0), both);
    let workplace = value(&world, about.unwrap(), "workplace");
    assert_eq!(workplace, Some("某厂".into()));
}

#[test]
fn a_welcome_that_comes_twice_fetches_a_bundle_once() {
    let world = play(|world| {
        let both = phones(world, 2)?;
        known_to(world, &both, "张三")?;
        world.server.make_bundle(ScopeId::Area(village(1)), 5);
        let new = world.add_phone(collects(&[1]), 0);
        world.connect(new)?;
        let line = world.phones[new].line.context("it is connected")?;
        ensure!(world.carry_up(line)?);
        ensure!(world.stir(line, Way::Down, 0, Stir::Double));
        for _ in 0..2 {
            ensure!(world.carry_down(line)?);
        }
        Ok(())
    });
    assert_eq!(world.tally["bundle fetched"], 1);
    assert_eq!(held(&world, 2).len(), 1);
}

/// The Welcome says where the log ends; what came before it would reach beyond that, as if the server had been restored.
#[test]
fn entries_that_come_before_the_welcome_are_no_sign_of_a_restored_server() {
    let world = play(|world| {
        let both = phones(world, 2)?;
        let id = known_to(world, &both, "张三")?;
        world.cut(0, true);
        put(world, 1, id, "occupation", "教师")?;
        world.sync(1)?;
        world.connect(0)?;
        let line = world.phones[0].line.context("it is connected")?;
        ensure!(world.carry_up(line)?);
        put(world, 1, id, "occupation", "医生")?;
        world.sync(1)?;
        ensure!(world.feed(line, 50)?);
        ensure!(world.stir(line, Way::Down, 0, Stir::Swap));
        ensure!(world.carry_down(line)?);
        Ok(())
    });
    assert_eq!(world.tally["hung up"], 1);
    assert!(!world.phones[0].began_anew);
}

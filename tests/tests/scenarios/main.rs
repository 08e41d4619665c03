//! What field workers of such apps complain of, each as a story of its own beside the random seeds: after it, and after
//! everyone has come to rest, no acknowledged edit is lost or doubled, nothing out of scope was sent, all replicas are
//! equal, and each contradiction is in the queue once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod disorder;
mod restored;

use anyhow::ensure;
use doorstep_core::accept::ConflictKind;
use doorstep_core::envelope::Item;
use doorstep_core::ids::{EventId, RecordId, ScopeId};
use doorstep_core::store::{DeviceStore, ListQuery};
use doorstep_core::value::{Fields, Value};
use doorstep_tests::sim::checks;
use doorstep_tests::sim::disk::Fuse;
use doorstep_tests::sim::server::register::Conflict;
use doorstep_tests::sim::work::Job;
use doorstep_tests::sim::world::{World, collects, village};

const DAY: i64 = 86_400_000;
const YEAR: i64 = 365 * DAY;
const NUMBER: &str = "11010519491231002X";

/// Plays a story, lets everyone come to rest, and checks. A failure shows the story.
fn play(story: impl FnOnce(&mut World) -> anyhow::Result<()>) -> World {
    let mut world = World::new(7);
    world.tell_the_story();
    let played = story(&mut world).and_then(|()| rest(&mut world));
    if let Err(error) = played {
        panic!("{}\n\n{error:#}", world.story());
    }
    world
}

fn rest(world: &mut World) -> anyhow::Result<()> {
    world.rest()?;
    checks::all(world)
}

/// So many phones, each of a collector of its own, in village 1, online once.
fn phones(world: &mut World, count: usize) -> anyhow::Result<Vec<usize>> {
    let numbers = (0..count).map(|_| world.add_phone(collects(&[1]), 0));
    let numbers: Vec<usize> = numbers.collect();
    for number in &numbers {
        world.sync(*number)?;
    }
    Ok(numbers)
}

fn resident(world: &mut World, phone: usize, name: &str) -> anyhow::Result<RecordId> {
    let fields = [
        ("name", name.into()),
        ("sex", "1".into()),
        ("population_kind", "01".into()),
    ];
    world.create(phone, "resident", village(1), &fields)
}

/// A resident whom all of these phones hold.
fn known_to(world: &mut World, phones: &[usize], name: &str) -> anyhow::Result<RecordId> {
    let id = resident(world, phones[0], name)?;
    for phone in phones {
        world.sync(*phone)?;
    }
    Ok(id)
}

fn put(
    world: &mut World,
    phone: usize,
    id: RecordId,
    key: &str,
    value: &str,
) -> anyhow::Result<()> {
    let kept = world.update(phone, id, &[(key, value.into())])?;
    ensure!(kept.is_some(), "the edit was kept");
    Ok(())
}

fn value(world: &World, id: RecordId, key: &str) -> Option<Value> {
    world.server.register.records[&id]
        .hold
        .registers
        .get(key)
        .cloned()
}

fn items(world: &World, kind: ConflictKind) -> Vec<&Conflict> {
    let all = world.server.register.conflicts.iter();
    all.filter(|item| item.kind == kind).collect()
}

fn codes(world: &World, phone: usize) -> Vec<String> {
    let refused = world.phones[phone].disk.refused().unwrap();
    refused.into_iter().map(|item| item.refusal.code).collect()
}

fn held(world: &World, phone: usize) -> Vec<RecordId> {
    let everything = ListQuery {
        cancelled: true,
        limit: usize::MAX,
        ..ListQuery::default()
    };
    let rows = world.phones[phone].disk.list(&everything).unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

#[test]
fn a_phone_offline_for_thirty_days_comes_back_after_its_area_was_split() {
    let mut moved = None;
    let world = play(|world| {
        let away = world.add_phone(collects(&[1, 2]), 0);
        let colleague = world.add_phone(collects(&[1]), 0);
        world.sync(away)?;
        world.sync(colleague)?;
        let stays = known_to(world, &[away, colleague], "张三")?;
        let fields = [
            ("address", "南京东路12弄3号101室".into()),
            ("house_use", "1".into()),
        ];
        let house = world.create(away, "house", village(2), &fields)?;
        let goes = known_to(world, &[away, colleague], "李四")?;
        world.sync(away)?;

        // A month without a signal, and not without work.
        world.cut(away, true);
        put(world, away, stays, "name", "张珊")?;
        put(world, away, goes, "phone", "13812345678")?;
        put(world, away, house, "house_use", "4")?;
        world.wait(30 * DAY);
        for round in 0..400 {
            let name = ["张三", "张叁"][round % 2];
            put(world, colleague, stays, "name", name)?;
            put(
                world,
                colleague,
                stays,
                "occupation",
                &format!("职业{round}"),
            )?;
        }
        world.sync(colleague)?;
        // The area was split: one person now lives in a village of its own number; the rights shrank to village 1.
        world.server.villages.push(village(4));
        let home = [
            ("_type", "residence".into()),
            ("_v", 1.into()),
            ("_area", village(4).as_str().into()),
            ("resident", goes.to_string().into()),
            ("kind", "living".into()),
            ("address", "南京东路12弄3号102室".into()),
        ];
        let home: Fields = home
            .map(|(key, value): (&str, Value)| (key.to_owned(), value))
            .into();
        let id = RecordId::new(world.now, [9; 10]);
        world.server.put(id, "residence", &home, world.now);
        world.server.make_bundle(ScopeId::Area(village(1)), 5);
        world.regrant(away, collects(&[1]));
        world.sync(away)?;
        moved = Some((stays, goes, house));
        ensure!(held(world, away) == [stays], "{:?}", held(world, away));
        Ok(())
    });
    let (stays, goes, house) = moved.unwrap();
    // What was in its area is merged or to be decided; what was not is with the supervisor, whole.
    let names = items(&world, ConflictKind::Field);
    assert_eq!((names.len(), names[0].record), (1, stays));
    assert_eq!(codes(&world, 0), ["out_of_scope", "out_of_scope"]);
    let kept: Vec<RecordId> = items(&world, ConflictKind::Quarantined)
        .iter()
        .map(|item| item.record)
        .collect();
    assert!(kept.contains(&goes) && kept.contains(&house), "{kept:?}");
    assert!(world.server.register.accepted.len() > 800);
}

#[test]
fn a_phone_reported_lost_in_the_middle_of_an_upload_is_wiped_and_what_was_answered_stays() {
    let mut before = 0;
    let world = play(|world| {
        let both = phones(world, 2)?;
        let id = known_to(world, &both, "张三")?;
        for number in 0..450 {
            put(world, 0, id, "occupation", &format!("职业{number}"))?;
        }
        before = world.server.register.accepted.len();
        world.cut(0, true);
        world.connect(0)?;
        let line = world.phones[0].line.unwrap();
        world.carry_up(line)?;
        world.carry_down(line)?;
        for _ in 0..3 {
            ensure!(world.push(0)?, "three envelopes");
        }
        world.carry_up(line)?; // one of them is committed
        world.lose_phone(0);
        Ok(())
    });
    assert!(world.phones[0].wiped && held(&world, 0).is_empty());
    assert_eq!(world.server.register.accepted.len(), before + 200);
    assert_eq!(held(&world, 1).len(), 1);
    let texts = &world.server.register.records[&held(&world, 1)[0]];
    assert_eq!(
        texts.hold.registers.get("occupation"),
        Some(&"职业199".into())
    );
}

#[test]
fn clocks_that_are_a_year_off_order_nothing() {
    for skews in [[YEAR, 0, -YEAR], [-YEAR, YEAR, 0], [0, -YEAR, YEAR]] {
        let world = play(|world| {
            for skew in skews {
                let number = world.add_phone(collects(&[1]), skew);
                world.sync(number)?;
            }
            let id = known_to(world, &[0, 1, 2], "张三")?;
            // One after the other, each knowing the one before: the last stands, whatever the clocks say.
            for (phone, text) in [(0, "教师"), (1, "护士"), (2, "司机"), (0, "厨师")] {
                put(world, phone, id, "occupation", text)?;
                for phone in [phone, 0, 1, 2] {
                    world.sync(phone)?;
                }
            }
            ensure!(value(world, id, "occupation") == Some("厨师".into()));
            // Not knowing each other: a contradiction, whatever the clocks say. And the clocks are put right meanwhile.
            put(world, 0, id, "name", "张珊")?;
            put(world, 1, id, "name", "张叁")?;
            world.phones[0].skew = 0;
            world.phones[1].skew = 2 * YEAR;
            put(world, 0, id, "phone", "13812345678")?;
            put(world, 2, id, "remark", "晚上在家")?;
            Ok(())
        });
        let names = items(&world, ConflictKind::Field);
        assert_eq!((names.len(), names[0].values.len()), (1, 2), "{names:?}");
        assert!(names[0].open);
    }
}

#[test]
fn one_person_recorded_on_two_phones_is_merged_and_later_edits_land_on_the_survivor() {
    let mut made = None;
    let world = play(|world| {
        phones(world, 3)?;
        let twins = [("张三", 0), ("张叁", 1)].map(|(name, phone)| {
            let fields = [
                ("name", name.into()),
                ("sex", "1".into()),
                ("population_kind", "01".into()),
                ("id_number", NUMBER.into()),
            ];
            world.create(phone, "resident", village(1), &fields)
        });
        let [survivor, other] = twins;
        let (survivor, other) = (survivor?, other?);
        put(world, 1, other, "phone", "13812345678")?;
        for phone in 0..3 {
            world.sync(phone)?;
        }
        world.sync(0)?;
        let double = items(world, ConflictKind::DuplicatePerson);
        ensure!(double.len() == 1 && double[0].open, "{double:?}");

        // Merged while phones 1 and 2 are out: one edits the record that is gone, one records where it lives and visits it.
        world.cut(1, true);
        world.cut(2, true);
        world.server.merge(survivor, other, world.now);
        world.sync(0)?;
        ensure!(held(world, 0) == [survivor], "the other is gone");
        put(world, 1, other, "workplace", "某厂")?;
        put(world, 1, other, "occupation", "钳工")?;
        let home = [
            ("resident", other.to_string().into()),
            ("kind", "living".into()),
            ("address", "南京东路12弄3号101室".into()),
        ];
        let home = world.create(2, "residence", village(1), &home)?;
        made = Some((survivor, other, home));
        Ok(())
    });
    let (survivor, other, home) = made.unwrap();
    assert_eq!(value(&world, survivor, "phone"), Some("13812345678".into()));
    assert_eq!(
        value(&world, home, "resident"),
        Some(survivor.to_string().into())
    );
    for phone in 0..3 {
        assert!(held(&world, phone).contains(&survivor));
        assert!(!held(&world, phone).contains(&other), "phone {phone}");
    }
    // The edits are proposals, filed under the survivor; taken over, they are in it.
    let proposals = items(&world, ConflictKind::RefusedChange);
    assert_eq!((proposals.len(), proposals[0].record), (1, survivor));
    assert_eq!(codes(&world, 1).len(), 2);
    let mut world = world;
    for refused in 0..world.server.register.refused.len() {
        world.server.adopt(refused, world.now);
    }
    rest(&mut world).unwrap();
    assert_eq!(value(&world, survivor, "workplace"), Some("某厂".into()));
    assert_eq!(value(&world, survivor, "occupation"), Some("钳工".into()));
}

#[test]
fn a_decision_is_not_undone_by_an_older_edit_that_comes_later() {
    let mut about = None;
    let world = play(|world| {
        let all = phones(world, 3)?;
        let id = known_to(world, &all, "张三")?;
        about = Some(id);
        for (phone, name) in [(0, "张珊"), (1, "张叁"), (2, "章三")] {
            put(world, phone, id, "name", name)?;
        }
        world.sync(0)?;
        world.sync(1)?;
        world.decide(0);
        world.sync(0)?;
        world.sync(1)?;
        Ok(())
    });
    let names = items(&world, ConflictKind::Field);
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!names[0].open && names[1].open);
    assert!(
        names[1]
            .values
            .values()
            .any(|value| *value == "章三".into())
    );
    // Both stand, on every phone, until someone decides again.
    let registers = &world.server.register.records[&about.unwrap()]
        .hold
        .registers;
    assert_eq!(registers.all("name").len(), 2);
    let mut world = world;
    world.decide(1);
    rest(&mut world).unwrap();
    let registers = &world.server.register.records[&about.unwrap()]
        .hold
        .registers;
    assert_eq!(registers.all("name").len(), 1);
}

/// What two phones do in one morning: new records, edits of each other's, a contradiction, a visit, one refusal.
fn morning(world: &mut World) -> anyhow::Result<()> {
    let id = resident(world, 0, "张三")?;
    world.sync(0)?;
    world.sync(1)?;
    let edits = [
        (0, "name", "张珊"),
        (1, "name", "张叁"),
        (0, "phone", "13812345678"),
        (0, "police_person_id", "P1"), // the server's alone: refused
    ];
    for (phone, key, value) in edits {
        // It may have stopped before it had kept the record.
        if world.phones[phone].disk.record(id)?.is_some() {
            world.update(phone, id, &[(key, value.into())])?;
        }
    }
    let fields = [
        ("resident", id.to_string().into()),
        ("at", 1_767_225_600_000_i64.into()),
        ("mode", "01".into()),
        ("purpose", "07".into()),
        ("result", "06".into()),
    ];
    let fields = fields.map(|(key, value): (&str, Value)| (key.to_owned(), value));
    let visit = Job::Visit {
        id: EventId::new(world.now, [3; 10]),
        area: village(1),
        fields: fields.into(),
    };
    world.work(1, visit)?;
    world.sync(1)?;
    world.sync(0)
}

#[test]
fn a_phone_may_stop_at_any_of_its_commits() {
    let mut stops = 0;
    for phone in [0, 1] {
        for kept in [false, true] {
            for commits in 0.. {
                let world = play(|world| {
                    phones(world, 2)?;
                    world.phones[phone].disk.fuse = Some(Fuse { commits, kept });
                    morning(world)
                });
                if !world.tally.contains_key("phone stopped") {
                    break; // it has no more commits than these
                }
                stops += 1;
                let refused = codes(&world, 0).len();
                assert!(refused <= 1, "phone {phone}, commit {commits}");
            }
        }
    }
    assert!(stops > 30, "{stops} commits were tried");
}

/// Plays the morning's frames by hand, and stops the server at the frame `at`: before it is taken, or when it is
/// committed and not answered. `false` when there are not so many frames.
fn stop_server_at(world: &mut World, at: usize, committed: bool) -> anyhow::Result<bool> {
    phones(world, 2)?;
    let id = known_to(world, &[0, 1], "张三")?;
    put(world, 0, id, "name", "张珊")?;
    put(world, 1, id, "name", "张叁")?;
    put(world, 0, id, "phone", "13812345678")?;
    world.update(0, id, &[("police_person_id", "P1".into())])?;
    world.cut(0, true);
    world.cut(1, true);
    let mut frames = 0;
    for _ in 0..12 {
        for phone in [0, 1] {
            world.connect(phone)?;
            let line = world.phones[phone].line.unwrap();
            world.push(phone)?;
            frames += 1;
            if frames == at {
                if committed {
                    world.carry_up(line)?;
                    world.lose_down(line);
                } else {
                    world.lose_next_up(line);
                }
                world.crash_server();
                return Ok(true);
            }
            world.carry_up(line)?;
            world.feed(line, 2)?;
            world.carry_down(line)?;
        }
    }
    Ok(false)
}

#[test]
fn the_server_may_stop_before_and_after_any_of_its_commits() {
    let mut stops = 0;
    for committed in [false, true] {
        for at in 1..=24 {
            let world = play(|world| {
                let stopped = stop_server_at(world, at, committed)?;
                ensure!(stopped, "frame {at}");
                Ok(())
            });
            stops += world.tally["server stopped"];
            assert_eq!(items(&world, ConflictKind::Field).len(), 1, "frame {at}");
            assert_eq!(codes(&world, 0), ["field_not_writable"], "frame {at}");
        }
    }
    assert_eq!(stops, 48);
}

#[test]
fn a_batch_sent_again_after_a_lost_answer_changes_nothing() {
    let mut merged = 0;
    let world = play(|world| {
        let both = phones(world, 2)?;
        let id = known_to(world, &both, "张三")?;
        for number in 0..50 {
            put(world, 0, id, "occupation", &format!("职业{number}"))?;
        }
        for _ in 0..3 {
            world.cut(0, true);
            world.connect(0)?;
            let line = world.phones[0].line.unwrap();
            world.carry_up(line)?;
            world.carry_down(line)?;
            world.push(0)?;
            while world.carry_up(line)? {}
            merged = world.server.register.accepted.len();
            world.cut(0, false); // and with it the answer
        }
        Ok(())
    });
    assert_eq!(world.server.register.accepted.len(), merged);
    assert!(!world.tally.contains_key("duplicate"), "{:?}", world.tally);
    assert_eq!(world.phones[0].disk.outbox().unwrap(), []);
}

#[test]
fn a_lost_outbox_takes_nothing_with_it_that_the_records_show() {
    let mut about = None;
    let world = play(|world| {
        let both = phones(world, 2)?;
        let id = known_to(world, &both, "张三")?;
        about = Some(id);
        world.cut(0, true);
        put(world, 0, id, "name", "张珊")?;
        put(world, 1, id, "name", "张叁")?;
        world.sync(1)?;
        put(world, 0, id, "phone", "13812345678")?;
        world.update(0, id, &[("police_person_id", "P1".into())])?;
        // Committed, and the answer lost; then the outbox, with the number that was used.
        world.connect(0)?;
        let line = world.phones[0].line.unwrap();
        world.carry_up(line)?;
        world.carry_down(line)?;
        world.push(0)?;
        while world.carry_up(line)? {}
        world.lose_outbox(0)?;
        world.sync(0)
    });
    let id = about.unwrap();
    assert_eq!(codes(&world, 0), ["field_not_writable"]);
    assert_eq!(value(&world, id, "phone"), Some("13812345678".into()));
    assert_eq!(items(&world, ConflictKind::Field).len(), 1);
    assert_eq!(items(&world, ConflictKind::RefusedChange).len(), 1);
}

#[test]
fn a_user_with_two_phones_is_one_user_and_two_writers() {
    let world = play(|world| {
        let phone = world.add_phone(collects(&[1]), 0);
        let tablet = world.add_phone_of(phone, -YEAR);
        let colleague = world.add_phone(collects(&[1]), 0);
        for number in [phone, tablet, colleague] {
            world.sync(number)?;
        }
        let id = known_to(world, &[phone, tablet, colleague], "张三")?;
        put(world, phone, id, "phone", "13812345678")?;
        put(world, tablet, id, "occupation", "教师")?;
        put(world, phone, id, "name", "张珊")?;
        put(world, tablet, id, "name", "张叁")?;
        Ok(())
    });
    let id = held(&world, 2)[0];
    assert_eq!(value(&world, id, "phone"), Some("13812345678".into()));
    assert_eq!(value(&world, id, "occupation"), Some("教师".into()));
    // Contradicting oneself is a contradiction, and is told on both phones.
    let names = items(&world, ConflictKind::Field);
    assert_eq!((names.len(), names[0].makers.len()), (1, 1), "{names:?}");
    for number in [0, 1] {
        let told = world.phones[number]
            .disk
            .states("message/conflict/")
            .unwrap();
        assert_eq!(told.len(), 1, "phone {number}");
    }
}

/// Each user of a phone has a device id, a key and a store of their own on it; they are never online at once.
#[test]
fn two_users_of_one_phone_leave_each_other_nothing() {
    let world = play(|world| {
        let morning = world.add_phone(collects(&[1]), 0);
        let evening = world.add_phone(collects(&[2]), 0);
        world.sync(morning)?;
        let id = known_to(world, &[morning], "张三")?;
        world.cut(morning, true);
        put(world, morning, id, "name", "张珊")?; // and signs out without a signal
        world.sync(evening)?;
        ensure!(held(world, evening).is_empty(), "nothing of the other's");
        ensure!(world.phones[evening].disk.outbox()?.is_empty());
        let fields = [
            ("address", "南京东路12弄3号101室".into()),
            ("house_use", "1".into()),
        ];
        world.create(evening, "house", village(2), &fields)?;
        world.sync(evening)?;
        world.cut(evening, true);
        let unsent = world.phones[morning].disk.outbox()?;
        ensure!(unsent.len() == 1, "what was not sent waits for its author");
        ensure!(matches!(&unsent[0].item, Item::Change(change) if change.record == id));
        world.sync(morning)?;
        ensure!(held(world, morning) == [id]);
        Ok(())
    });
    let makers = &world.server.register.records[&held(&world, 0)[0]].order;
    let users: Vec<_> = makers.iter().map(|change| change.user).collect();
    assert_eq!(users, [world.phones[0].who.user; 2]);
}

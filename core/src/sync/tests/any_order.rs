//! Phones edit, push, lose their line, answers or whole register, and read late; in the end all hold the same, and no
//! edit is lost or doubled.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::double::{Line, Server};
use super::{area, at, record_id, resident, scope, values};
use crate::crdt::FlatChange;
use crate::envelope::Item;
use crate::store::{DeviceStore, WriteBatch};
use crate::sync::{DeviceError, edit};
use crate::value::Value;

const PHONES: usize = 3;
const RECORDS: u8 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Makes the record, or edits it: a field's number, and a value's.
    Edit(usize, u8, usize, usize),
    Push(usize),
    /// The server sends so many entries.
    Send(usize, usize),
    Deliver(usize),
    /// The line is cut and comes back.
    Reconnect(usize),
    /// The register's file is lost, the outbox stays.
    LoseRegister(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let phone = 0..PHONES;
    prop_oneof![
        6 => (phone.clone(), 1..=RECORDS, 0_usize..5, 0_usize..3)
            .prop_map(|(phone, record, field, value)| Step::Edit(phone, record, field, value)),
        3 => phone.clone().prop_map(Step::Push),
        3 => (phone.clone(), 1_usize..5).prop_map(|(phone, most)| Step::Send(phone, most)),
        6 => phone.clone().prop_map(Step::Deliver),
        1 => phone.clone().prop_map(Step::Reconnect),
        1 => phone.prop_map(Step::LoseRegister),
    ]
}

/// Which edits, by number, a change or item carries.
fn numbers(change: &FlatChange) -> Vec<u32> {
    let keys = change.ops.iter();
    keys.filter_map(|op| op.key.strip_prefix("tags/n")?.parse().ok())
        .collect()
}

struct World {
    server: Server,
    lines: Vec<Line>,
    now: i64,
    made: u32,
}

impl World {
    fn new() -> Self {
        let lines = (1..=PHONES).map(|n| Line::new(u8::try_from(n).unwrap()));
        let mut world = Self {
            server: Server::default(),
            lines: lines.collect(),
            now: 0,
            made: 0,
        };
        for n in 0..PHONES {
            world.take(&Step::Reconnect(n));
        }
        world
    }

    fn take(&mut self, step: &Step) {
        self.now += 20_000;
        let server = &mut self.server;
        match step {
            Step::Edit(phone, record, field, value) => self.edit(*phone, *record, *field, *value),
            Step::Push(phone) => server.push(&mut self.lines[*phone], self.now),
            Step::Send(phone, most) => server.send(&mut self.lines[*phone], *most),
            Step::Deliver(phone) => server.deliver(&mut self.lines[*phone]),
            Step::Reconnect(phone) => {
                server.connect(&mut self.lines[*phone]);
                server.deliver(&mut self.lines[*phone]);
            }
            Step::LoseRegister(phone) => self.lose_register(*phone),
        }
    }

    /// Every edit puts a key of its own besides what it edits. One field in five is none that a collector may write.
    fn edit(&mut self, phone: usize, record: u8, field: usize, value: usize) {
        let phone = &mut self.lines[phone].phone;
        let key = ["name", "phone", "occupation", "workplace", "community_id"][field];
        let value = ["13800000001", "13800000002", "13800000003"][value];
        let mut fields = values(&[(key, value)]);
        fields.insert(format!("tags/n{}", self.made), Value::Bool(true));
        // A record is made by the phone of its number; the others edit it once they have it.
        let (store, who, id) = (&mut phone.store, &phone.who, record_id(record));
        let outcome =
            if phone.who.device.as_bytes()[0] == record && !self.server.records.contains_key(&id) {
                let mut all = resident("王小明");
                all.extend(fields.clone());
                all.remove("community_id");
                match edit::create(store, who, id, "resident", area(), all, at(self.now)) {
                    Err(DeviceError::Exists) => edit::update(store, who, id, &fields, at(self.now)),
                    made => made.map(Some),
                }
            } else {
                edit::update(store, who, id, &fields, at(self.now))
            };
        match outcome {
            Ok(Some(_)) => self.made += 1,
            Err(DeviceError::NoSuchRecord | DeviceError::Loading) => {}
            other => panic!("{other:?}"),
        }
    }

    fn lose_register(&mut self, phone: usize) {
        let line = &mut self.lines[phone];
        let store = &mut line.phone.store;
        let listed = store.list(&super::everything()).unwrap();
        let scopes = store.scopes().unwrap();
        let batch = WriteBatch {
            purge: listed.into_iter().map(|listed| listed.id).collect(),
            drop_scopes: scopes.into_iter().map(|(scope, _)| scope).collect(),
            ..WriteBatch::default()
        };
        store.commit(batch).unwrap();
        edit::recover(store, &line.phone.who).unwrap();
        self.take(&Step::Reconnect(phone));
    }

    fn settle(&mut self) {
        for _ in 0..60 {
            for n in 0..PHONES {
                for step in [Step::Push(n), Step::Send(n, 3)] {
                    self.take(&step);
                }
                while !self.lines[n].inbox.is_empty() {
                    self.take(&Step::Deliver(n));
                }
            }
            let settled = |line: &Line| line.phone.session.settled(&line.phone.store).unwrap();
            let end = self.server.end();
            let complete = |line: &Line| line.phone.cursor(scope()) == end;
            if self
                .lines
                .iter()
                .all(|line| settled(line) && complete(line))
            {
                return;
            }
        }
        panic!("does not come to rest");
    }

    fn check(&self) {
        let mut found: BTreeMap<u32, u32> = BTreeMap::new();
        for (id, kept) in &self.server.records {
            for change in kept.history.values() {
                for number in numbers(change) {
                    *found.entry(number).or_default() += 1;
                }
            }
            if kept.hold.registers.is_empty() {
                continue;
            }
            for line in &self.lines {
                let held = line.phone.store.record(*id).unwrap().expect("every record");
                assert_eq!(held.registers, kept.hold.registers);
                assert_eq!(held.confirmed, kept.hold.registers.heads());
                let changes = line.phone.store.changes(*id).unwrap();
                assert!(changes.iter().all(|change| change.confirmed));
                assert_eq!(changes.len(), kept.history.len());
            }
        }
        let mut refused = BTreeSet::new();
        for line in &self.lines {
            assert_eq!(line.phone.store.unsent().unwrap().items, 0);
            for kept in line.phone.store.refused().unwrap() {
                let Item::Change(item) = kept.item else {
                    panic!("no events here")
                };
                refused.extend(numbers(&crate::crdt::chunk::decode(&item.bytes).unwrap().0));
            }
        }
        for number in 0..self.made {
            let times = found.get(&number).copied().unwrap_or(0);
            assert!(times <= 1, "edit {number} is there {times} times");
            assert!(
                times == 1 || refused.contains(&number),
                "edit {number} is lost"
            );
            assert!(
                times == 0 || !refused.contains(&number),
                "edit {number} is both"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn everyone_ends_up_with_the_same_and_no_edit_is_lost(
        steps in prop::collection::vec(step(), 1..90),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.settle();
        world.check();
    }
}

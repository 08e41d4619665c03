//! The lies that `hostile` tells, one function each: what is sent, and what must come of it. Knows no connection.

use anyhow::Context;
use doorstep_client::Device;
use doorstep_core::crdt::{FlatChange, OpId, Put, Registers, chunk};
use doorstep_core::crypto::actor;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::{
    ChangeItem, Envelope, EventItem, Item, MAX_ITEMS, MAX_UNANSWERED, SignedEnvelope, VERSION,
};
use doorstep_core::ids::{Actor, AreaCode, ChangeHash, DeviceId, EventId, RecordId, UserId};
use doorstep_core::protocol::MAX_FRAME_UP;
use doorstep_core::protocol::frames::Up;
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use super::ground::{Ground, resident};
use super::mutate::{body_of, framed};
use crate::town::tap::seal;

/// Envelopes answered before that raise an alarm (`server/src/sync/quotas.rs`).
const REPLAYS: usize = 200;

/// What is sent.
pub(super) enum Lie {
    /// In an envelope as the device would seal it.
    Items(Vec<Item>),
    /// As it is.
    Frame(Up),
    /// As it is, so many times, each after the answer to the one before.
    Frames(Up, usize),
    /// As it is.
    Bytes(Vec<u8>),
}

/// What must come of it.
pub(super) enum Must {
    /// The last item is refused with this code.
    Refuse(&'static str),
    /// The envelope is not judged, with this code.
    RefuseEnvelope(&'static str),
    /// The connection ends, saying this.
    End(&'static str),
    /// What was answered before is answered again; nothing is merged. An honest device whose line lost an answer does the
    /// same, and one whose files were lost sends all its changes again: nothing is left of it.
    Again,
    /// The same more often than any line loses answers: it leaves an alarm.
    Replayed,
    /// The change waits for what it builds on, on the device. After a restore of the server honest ones wait too: nothing
    /// is left of it, and how many may wait in an hour is the quota's matter (row `floods`).
    Wait,
    /// It is no lie to the rules: it is merged, and orders nothing; a clock that is years off leaves an alarm.
    Take,
}

impl Must {
    /// How many changes and events are merged.
    pub(super) fn merged(&self) -> i64 {
        i64::from(matches!(self, Self::Take))
    }

    /// Whether something must be left for those who look after devices.
    pub(super) fn leaves_a_trace(&self) -> bool {
        !matches!(self, Self::Again | Self::Wait)
    }
}

/// One kind of lie.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) must: Must,
    pub(super) tell: fn(&mut Scene) -> anyhow::Result<Lie>,
}

/// What the liar has to lie about.
pub(super) struct Scene {
    pub(super) liar: Device<MemoryStore>,
    /// The number that the server expects next.
    pub(super) next: u64,
    /// The last envelope that was answered.
    pub(super) last: Option<Up>,
    rng: ChaCha8Rng,
    area: AreaCode,
    elsewhere: AreaCode,
    /// A record that the liar may write.
    near: RecordId,
    /// A visit of the honest device's.
    visited: EventId,
    /// A record of the other village, and another device's key.
    far: RecordId,
    far_registers: Registers,
    honest: KeyPair,
}

impl Scene {
    pub(super) async fn set(ground: &mut Ground, rng: ChaCha8Rng) -> anyhow::Result<Self> {
        let (collector, neighbour) = (ground.collector.clone(), ground.neighbour.clone());
        let liar = ground.light(&collector).await?;
        let near = liar.create("resident", ground.area, resident())?;
        liar.sync_once().await?;
        let other = ground.light(&neighbour).await?;
        let far = other.create("resident", ground.elsewhere, resident())?;
        let mut fields = Fields::from([("at".to_owned(), Value::Int(other.now().0))]);
        for (key, value) in [("mode", "01"), ("purpose", "01"), ("result", "01")] {
            fields.insert(key.to_owned(), value.into());
        }
        fields.insert("resident".to_owned(), far.to_string().into());
        let visited = other.record_event("visit", ground.elsewhere, fields)?;
        other.sync_once().await?;
        Ok(Self {
            next: 0,
            last: None,
            rng,
            area: ground.area,
            elsewhere: ground.elsewhere,
            near,
            visited,
            far,
            far_registers: other.record(far)?.registers,
            honest: other.who().key.clone(),
            liar,
        })
    }

    /// A number below `end`.
    pub(super) fn any(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    fn actor(&self, record: RecordId) -> Actor {
        actor::derive(&self.liar.who().key.public(), record, 0)
    }

    /// The registers of the near record, as the liar knows them.
    fn registers(&self) -> anyhow::Result<Registers> {
        Ok(self.liar.record(self.near)?.registers)
    }

    /// An honest next change of the near record, to be bent; nothing of it is kept.
    fn honest_change(&mut self, key: &str, value: impl Into<Value>) -> anyhow::Result<FlatChange> {
        let fields = Fields::from([(key.to_owned(), value.into())]);
        let registers = self.registers()?;
        let (change, ..) = registers.change(self.actor(self.near), self.time(), &fields);
        Ok(change)
    }

    fn time(&self) -> i64 {
        self.liar.now().0
    }

    fn new_id(&mut self) -> RecordId {
        let mut random = [0; 10];
        self.rng.fill_bytes(&mut random);
        RecordId::new(self.liar.now(), random)
    }

    fn text(&mut self) -> String {
        format!("第{}次", self.rng.random::<u32>())
    }

    fn event(&mut self, fields: Fields, area: AreaCode) -> EventItem {
        let id = self.new_id();
        EventItem {
            id: EventId(id.0),
            event_type: "visit".to_owned(),
            area,
            fields,
        }
    }

    /// A beginning of a record of the liar's.
    fn beginning(&mut self, area: AreaCode, fields: Fields) -> (RecordId, Item) {
        let record = self.new_id();
        (record, self.beginning_as(record, area, fields))
    }

    fn beginning_as(&self, record: RecordId, area: AreaCode, mut fields: Fields) -> Item {
        fields.insert("_type".to_owned(), "resident".into());
        fields.insert("_v".to_owned(), Value::Int(1));
        fields.insert("_area".to_owned(), area.to_string().into());
        let (_, bytes, _) = Registers::default().change(self.actor(record), self.time(), &fields);
        change(record, bytes)
    }
}

fn change(record: RecordId, bytes: Vec<u8>) -> Item {
    Item::Change(ChangeItem {
        record,
        record_type: "resident".to_owned(),
        epoch: 0,
        bytes,
    })
}

fn bent(scene: &Scene, change_: &FlatChange) -> Lie {
    Lie::Items(vec![change(scene.near, chunk::encode(change_).0)])
}

/// An event that would be taken.
fn one(scene: &mut Scene) -> Item {
    let (fields, area) = (visit(scene), scene.area);
    Item::Event(scene.event(fields, area))
}

fn visit(scene: &Scene) -> Fields {
    let mut fields: Fields = [("mode", "01"), ("result", "01")]
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .into();
    fields.insert("resident".to_owned(), scene.near.to_string().into());
    fields
}

/// Every kind.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "frame too long",
        must: Must::End(""),
        tell: |_| Ok(Lie::Bytes(vec![2; MAX_FRAME_UP + 1])),
    },
    Kind {
        name: "envelope too long",
        must: Must::End("envelope_too_large"),
        tell: |scene| {
            let mut body = vec![0; 600 * 1024];
            scene.rng.fill_bytes(&mut body);
            let signature = scene.liar.who().key.sign(&body).to_vec();
            Ok(Lie::Frame(Up::Push(SignedEnvelope { body, signature })))
        },
    },
    Kind {
        name: "too many items",
        must: Must::End("envelope_too_large"),
        tell: |scene| {
            let fields = visit(scene);
            let items = (0..=MAX_ITEMS)
                .map(|_| Item::Event(scene.event(fields.clone(), scene.area)))
                .collect();
            Ok(Lie::Frame(seal(&scene.liar, scene.next, items)))
        },
    },
    Kind {
        name: "signature of another device",
        must: Must::End("envelope_signature"),
        tell: |scene| {
            let Up::Push(signed) = seal(&scene.liar, scene.next, vec![]) else {
                anyhow::bail!("a push")
            };
            let signature = scene.honest.sign(&signed.body).to_vec();
            Ok(Lie::Frame(Up::Push(SignedEnvelope {
                signature,
                ..signed
            })))
        },
    },
    Kind {
        name: "envelope in another device's name",
        must: Must::End("envelope_wrong_device"),
        tell: |scene| {
            let who = scene.liar.who();
            let envelope = Envelope {
                version: VERSION,
                device: DeviceId::from_bytes([6; 16]),
                user: who.user,
                seq: scene.next,
                time: scene.liar.now(),
                items: vec![],
            };
            Ok(Lie::Frame(Up::Push(envelope.seal(&who.key))))
        },
    },
    Kind {
        name: "envelope in another user's name",
        must: Must::End("envelope_wrong_device"),
        tell: |scene| {
            let items = vec![one(scene)];
            let who = scene.liar.who();
            let envelope = Envelope {
                version: VERSION,
                device: who.device,
                user: UserId::from_bytes([6; 16]),
                seq: scene.next,
                time: scene.liar.now(),
                items,
            };
            Ok(Lie::Frame(Up::Push(envelope.seal(&who.key))))
        },
    },
    Kind {
        name: "gap between envelopes",
        must: Must::RefuseEnvelope("envelope_gap"),
        tell: |scene| {
            let ahead = scene.next + scene.rng.random_range(MAX_UNANSWERED as u64..1_000);
            let items = vec![one(scene)];
            Ok(Lie::Frame(seal(&scene.liar, ahead, items)))
        },
    },
    Kind {
        name: "envelope's number at the end of numbers",
        must: Must::RefuseEnvelope("envelope_gap"),
        tell: |scene| {
            let items = vec![one(scene)];
            Ok(Lie::Frame(seal(&scene.liar, u64::MAX, items)))
        },
    },
    Kind {
        name: "envelope of nothing",
        must: Must::End("envelope_malformed"),
        tell: |scene| Ok(Lie::Frame(seal(&scene.liar, scene.next, vec![]))),
    },
    Kind {
        name: "envelope's number used twice",
        must: Must::RefuseEnvelope("envelope_reused"),
        tell: |scene| {
            let fields = visit(scene);
            let item = Item::Event(scene.event(fields, scene.area));
            Ok(Lie::Frame(seal(&scene.liar, scene.next - 1, vec![item])))
        },
    },
    Kind {
        name: "change too long",
        must: Must::Refuse("change_too_large"),
        tell: |scene| {
            let text = "长".repeat(chunk::MAX_CHUNK / 3 + 10);
            let change = scene.honest_change("remark", text.as_str())?;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "forged actor",
        must: Must::Refuse("forged_actor"),
        tell: |scene| {
            let text = scene.text();
            let mut change = scene.honest_change("remark", text.as_str())?;
            change.actor = actor::derive(&scene.honest.public(), scene.near, 0);
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "actor of another record",
        must: Must::Refuse("forged_actor"),
        tell: |scene| {
            let text = scene.text();
            let mut change = scene.honest_change("remark", text.as_str())?;
            change.actor = scene.actor(scene.far);
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "forged actor, on top of one's own refused change",
        must: Must::Refuse("forged_actor"),
        tell: |scene| {
            let text = scene.text();
            let refused = scene.honest_change("nickname", text.as_str())?;
            let (refused, hash) = chunk::encode(&refused);
            let mut forged = scene.honest_change("remark", text.as_str())?;
            forged.actor = actor::derive(&scene.honest.public(), scene.near, 0);
            forged.deps = vec![hash];
            let items = [refused, chunk::encode(&forged).0];
            let items = items.map(|bytes| change(scene.near, bytes));
            Ok(Lie::Items(items.into()))
        },
    },
    Kind {
        name: "record of another village",
        must: Must::Refuse("out_of_scope"),
        tell: |scene| {
            let text = scene.text();
            let fields = Fields::from([("remark".to_owned(), text.as_str().into())]);
            let (_, bytes, _) =
                scene
                    .far_registers
                    .change(scene.actor(scene.far), scene.time(), &fields);
            Ok(Lie::Items(vec![change(scene.far, bytes)]))
        },
    },
    Kind {
        name: "new record in another village",
        must: Must::Refuse("out_of_scope"),
        tell: |scene| {
            Ok(Lie::Items(vec![
                scene.beginning(scene.elsewhere, resident()).1,
            ]))
        },
    },
    Kind {
        name: "visit in another village",
        must: Must::Refuse("out_of_scope"),
        tell: |scene| {
            let fields = visit(scene);
            Ok(Lie::Items(vec![Item::Event(
                scene.event(fields, scene.elsewhere),
            )]))
        },
    },
    Kind {
        name: "visit with a record's id",
        must: Must::Refuse("id_taken"),
        tell: |scene| {
            let fields = visit(scene);
            let mut event = scene.event(fields, scene.area);
            event.id = EventId([scene.near, scene.far][scene.any(2)].0);
            Ok(Lie::Items(vec![Item::Event(event)]))
        },
    },
    Kind {
        name: "new record with a visit's id",
        must: Must::Refuse("id_taken"),
        tell: |scene| {
            let mut fields = resident();
            fields.insert("remark".to_owned(), scene.text().into());
            let record = scene.visited.into();
            Ok(Lie::Items(vec![
                scene.beginning_as(record, scene.area, fields),
            ]))
        },
    },
    Kind {
        name: "field of the server's",
        must: Must::Refuse("field_not_writable"),
        tell: |scene| {
            let text = scene.text();
            let change = scene.honest_change("police_person_id", text.as_str())?;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "field of the server's in a new record",
        must: Must::Refuse("field_not_writable"),
        tell: |scene| {
            let mut fields = resident();
            fields.insert("photo_file".to_owned(), "x.jpg".into());
            Ok(Lie::Items(vec![scene.beginning(scene.area, fields).1]))
        },
    },
    Kind {
        name: "field that nobody declared",
        must: Must::Refuse("unknown_field"),
        tell: |scene| {
            let text = scene.text();
            let change = scene.honest_change("nickname", text.as_str())?;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "key with a zero byte",
        must: Must::Refuse("unknown_field"),
        tell: |scene| {
            let text = scene.text();
            let change = scene.honest_change("na\0me", text.as_str())?;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "set's element with a zero byte",
        must: Must::Refuse("element_key"),
        tell: |scene| {
            let key = format!("tags/a\0{}", scene.rng.random::<u32>());
            let change = scene.honest_change(&key, true)?;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "text with a zero byte",
        must: Must::Refuse("control_character"),
        tell: |scene| {
            let text = format!("零\0{}", scene.rng.random::<u32>());
            let change = scene.honest_change("remark", text.as_str())?;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "code with a zero byte",
        must: Must::Refuse("control_character"),
        tell: |scene| {
            let text = format!("\0{}", scene.rng.random::<u16>());
            let change = scene.honest_change("certificate_kind", text.as_str())?;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "open code with a zero byte in a new record",
        must: Must::Refuse("control_character"),
        tell: |scene| {
            let mut fields = resident();
            fields.insert("population_kind".to_owned(), "\0".into());
            Ok(Lie::Items(vec![scene.beginning(scene.area, fields).1]))
        },
    },
    Kind {
        name: "visit with a zero byte",
        must: Must::Refuse("control_character"),
        tell: |scene| {
            let mut fields = visit(scene);
            fields.insert("mode".to_owned(), "0\0".into());
            Ok(Lie::Items(vec![Item::Event(
                scene.event(fields, scene.area),
            )]))
        },
    },
    Kind {
        name: "event of no type",
        must: Must::Refuse("unknown_type"),
        tell: |scene| {
            let fields = visit(scene);
            let mut event = scene.event(fields, scene.area);
            event.event_type = "vis\0it".to_owned();
            Ok(Lie::Items(vec![Item::Event(event)]))
        },
    },
    Kind {
        name: "record of no type",
        must: Must::Refuse("unknown_type"),
        tell: |scene| {
            let (record, mut item) = scene.beginning(scene.area, resident());
            if let Item::Change(change) = &mut item {
                change.record_type = "\0".to_owned();
                change.record = record;
            }
            Ok(Lie::Items(vec![item]))
        },
    },
    Kind {
        name: "number where text belongs",
        must: Must::Refuse("wrong_type"),
        tell: |scene| {
            let number = scene.rng.random::<i64>();
            let change = scene.honest_change("remark", number)?;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "record's area moved by an edit",
        must: Must::Refuse("reserved_field"),
        tell: |scene| {
            let to = scene.elsewhere.to_string();
            let mut change = scene.honest_change("_area", to.as_str())?;
            change.time = scene.time() + scene.rng.random_range(0..1_000_000);
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "put and deleted, to hide it in the history",
        must: Must::Refuse("change_not_flat"),
        tell: |scene| {
            let change_ = scene.honest_change("remark", "")?;
            let (bytes, _) = chunk::encode(&change_);
            let mut body = body_of(&bytes).to_vec();
            // The column of actions holds a run of one 1 (set); 3 deletes.
            let action = body.windows(2).rposition(|pair| pair == [0x7f, 1]);
            let at = action.context("the column of actions")?;
            body[at + 1] = 3;
            Ok(Lie::Items(vec![change(scene.near, framed(1, &body))]))
        },
    },
    Kind {
        name: "one key put twice, to hide the first value",
        must: Must::Refuse("key_twice"),
        tell: |scene| {
            let text = scene.text();
            let mut change = scene.honest_change("remark", text.as_str())?;
            let first = change.op_id(0);
            change.ops.push(Put {
                key: "remark".to_owned(),
                value: "".into(),
                pred: vec![first],
            });
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "value cleared that is the server's",
        must: Must::Refuse("field_not_writable"),
        tell: |scene| {
            let mut change = scene.honest_change("police_updated_at", Value::Null)?;
            change.time = scene.rng.random_range(0..1_000_000_000_000);
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "compressed change",
        must: Must::Refuse("change_malformed"),
        tell: |scene| {
            let mut body = vec![0; 60];
            scene.rng.fill_bytes(&mut body);
            Ok(Lie::Items(vec![change(scene.near, framed(2, &body))]))
        },
    },
    Kind {
        name: "whole document",
        must: Must::Refuse("change_malformed"),
        tell: |scene| {
            let mut body = vec![0; 60];
            scene.rng.fill_bytes(&mut body);
            Ok(Lie::Items(vec![change(scene.near, framed(0, &body))]))
        },
    },
    Kind {
        name: "gap in an author's numbers",
        must: Must::Refuse("sequence_gap"),
        tell: |scene| {
            let text = scene.text();
            let mut change = scene.honest_change("remark", text.as_str())?;
            change.seq += 5;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "an author's number used twice",
        must: Must::Refuse("sequence_reused"),
        tell: |scene| {
            let text = scene.text();
            let mut change = scene.honest_change("remark", text.as_str())?;
            change.seq = 1;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "operation's counter jumps, to win for ever",
        must: Must::Refuse("counter_out_of_order"),
        tell: |scene| {
            let text = scene.text();
            let mut change = scene.honest_change("remark", text.as_str())?;
            change.start_op = chunk::MAX_COUNTER - 10;
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "replaces a value that never was",
        must: Must::Refuse("unknown_predecessor"),
        tell: |scene| {
            let text = scene.text();
            let mut change = scene.honest_change("remark", text.as_str())?;
            change.ops[0].pred = vec![OpId {
                counter: 1,
                actor: scene.actor(scene.far),
            }];
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "builds on what never came",
        must: Must::Wait,
        tell: |scene| {
            let text = scene.text();
            let mut change = scene.honest_change("remark", text.as_str())?;
            let mut dep = [0; 32];
            scene.rng.fill_bytes(&mut dep);
            change.deps = vec![ChangeHash(dep)];
            Ok(bent(scene, &change))
        },
    },
    Kind {
        name: "an epoch that never was",
        must: Must::Refuse("old_epoch"),
        tell: |scene| {
            let text = scene.text();
            let mut change_ = scene.honest_change("remark", text.as_str())?;
            change_.actor = actor::derive(&scene.liar.who().key.public(), scene.near, u32::MAX);
            let mut item = change(scene.near, chunk::encode(&change_).0);
            if let Item::Change(item) = &mut item {
                item.epoch = u32::MAX;
            }
            Ok(Lie::Items(vec![item]))
        },
    },
    Kind {
        name: "replayed envelope",
        must: Must::Again,
        tell: |scene| {
            let last = scene.last.clone();
            last.map(Lie::Frame)
                .ok_or_else(|| anyhow::anyhow!("nothing was sent yet"))
        },
    },
    Kind {
        name: "envelope replayed on and on",
        must: Must::Replayed,
        tell: |scene| {
            let last = scene.last.clone();
            last.map(|last| Lie::Frames(last, REPLAYS))
                .ok_or_else(|| anyhow::anyhow!("nothing was sent yet"))
        },
    },
    Kind {
        name: "replayed change in a new envelope",
        must: Must::Again,
        tell: |scene| {
            use doorstep_core::store::DeviceStore;
            let near = scene.near;
            let changes = scene.liar.read(|store| store.changes(near))?;
            let items = changes
                .into_iter()
                .map(|held| change(near, held.bytes))
                .collect();
            Ok(Lie::Items(items))
        },
    },
    Kind {
        name: "visit at the end of time",
        must: Must::Take,
        tell: |scene| {
            let mut fields = visit(scene);
            let ends = [
                i64::MAX,
                i64::MIN,
                253_402_300_800_000,
                -210_866_803_200_001,
            ];
            let at = ends[scene.rng.random_range(0..ends.len())];
            fields.insert("at".to_owned(), Value::Int(at));
            Ok(Lie::Items(vec![Item::Event(
                scene.event(fields, scene.area),
            )]))
        },
    },
    Kind {
        name: "new record at the end of time",
        must: Must::Take,
        tell: |scene| {
            let (record, item) = scene.beginning(scene.area, resident());
            let Item::Change(item) = item else {
                anyhow::bail!("a change")
            };
            let (mut change_, _) = chunk::decode(&item.bytes)?;
            let ends = [
                i64::MAX,
                i64::MIN,
                8_210_266_876_799_999,
                -8_334_601_228_800_000,
            ];
            change_.time = ends[scene.rng.random_range(0..ends.len())];
            Ok(Lie::Items(vec![change(record, chunk::encode(&change_).0)]))
        },
    },
    Kind {
        name: "envelope sealed at the end of time",
        must: Must::Take,
        tell: |scene| {
            let who = scene.liar.who().clone();
            let fields = visit(scene);
            let item = Item::Event(scene.event(fields, scene.area));
            let envelope = Envelope {
                version: VERSION,
                device: who.device,
                user: who.user,
                seq: scene.next,
                time: Timestamp(i64::MAX),
                items: vec![item],
            };
            Ok(Lie::Frame(Up::Push(envelope.seal(&who.key))))
        },
    },
];

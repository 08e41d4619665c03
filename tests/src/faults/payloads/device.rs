//! Payloads as a device writes them that checks nothing itself: one record of each type for each payload, and the
//! payload in one field after another. What is accepted must come to another device to the byte, be shown to a
//! supervisor to the byte where it isn't masked, and be looked for without an error or a find that does not fit.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use doorstep_client::Device;
use doorstep_core::codes;
use doorstep_core::crdt::Registers;
use doorstep_core::crypto::actor;
use doorstep_core::envelope::{ChangeItem, EventItem, Item};
use doorstep_core::ids::{EventId, RecordId};
use doorstep_core::mask::mask_value;
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::records::{self, Field, FieldKind, RecordKind, RecordType};
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::value::{Fields, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::json;

use super::super::ground::{Ground, resident};
use super::super::{Figures, Options};
use super::sound;
use crate::town::Phone;
use crate::town::tap::{Tap, seal};

/// Items of an envelope: 256 at most, and 512 KiB together.
const TOGETHER: usize = 60;
/// Someone whose record holds no payload: no search for one finds it.
const BYSTANDER: [(&str, &str); 4] = [
    ("name", "龘龘龘"),
    ("sex", "2"),
    ("population_kind", "01"),
    ("phone", "13917029999"),
];

/// A key and value that carry a payload.
type Slot = Box<dyn Fn(&str) -> (String, Value)>;

/// A record of the liar's, as the liar knows it.
struct Own {
    id: RecordId,
    record_type: &'static RecordType,
    registers: Registers,
}

/// What was accepted: record, key, value.
type Kept = Vec<(RecordId, String, Value)>;

/// Whoever sends.
struct Liar<'a> {
    ground: &'a Ground,
    device: Device<MemoryStore>,
    tap: Tap,
    next: u64,
    rng: ChaCha8Rng,
    accepted: u64,
    refused: u64,
}

/// Gives what was done in words.
pub(super) async fn play(
    options: &Options,
    ground: &mut Ground,
    payloads: &[String],
    figures: &mut Figures,
) -> anyhow::Result<String> {
    let (collector, supervisor) = (ground.collector.clone(), ground.supervisor.clone());
    let device = ground.light(&collector).await?;
    let bystander = device.create("resident", ground.area, fields(&BYSTANDER))?;
    device.sync_once().await?;
    let reader = ground.phone(&supervisor).await?;
    let mut tap = Tap::open(&ground.server.url(), &device, Vec::new()).await?;
    let next = tap.welcome().await?.next_envelope;
    let mut liar = Liar {
        ground,
        device,
        tap,
        next,
        rng: options.chance("payloads"),
        accepted: 0,
        refused: 0,
    };
    let mut kept = Kept::new();
    let mut residents: Vec<RecordId> = Vec::new();
    let first = usize::try_from(options.seed)?;
    // The others name a resident.
    let mut types: Vec<&'static RecordType> = records::all().iter().collect();
    types.sort_by_key(|record_type| record_type.name != "resident");
    for (turn, record_type) in types.into_iter().enumerate() {
        let turn = first + turn;
        let slots = slots(record_type);
        // In the short form each payload is in one field of each type.
        let wanted = |at: usize, slot: usize| !options.short || (at + turn) % slots.len() == slot;
        if record_type.kind == RecordKind::Event {
            liar.events(record_type, &residents, &slots, payloads, wanted, figures)
                .await?;
        } else {
            let mut own = liar.begin(record_type, payloads.len(), &residents).await?;
            for (slot, put) in slots.iter().enumerate() {
                let here: Vec<usize> = (0..payloads.len()).filter(|at| wanted(*at, slot)).collect();
                for some in here.chunks(TOGETHER) {
                    liar.write(&mut own, some, put, payloads, &mut kept, figures)
                        .await?;
                }
            }
            if record_type.name == "resident" {
                residents = own.iter().map(|own| own.id).collect();
            }
        }
    }
    let done = format!(
        "{} values accepted, {} refused",
        liar.accepted, liar.refused
    );
    ensure!(liar.accepted > 0 && liar.refused > 0, "{done}");
    liar.tap.close().await;
    read_back(liar.ground, &reader, &kept, figures).await?;
    search(options, liar.ground, &reader, bystander, payloads, figures).await?;
    Ok(done)
}

impl Liar<'_> {
    /// A right record of a type for each payload.
    async fn begin(
        &mut self,
        record_type: &'static RecordType,
        count: usize,
        residents: &[RecordId],
    ) -> anyhow::Result<Vec<Own>> {
        let mut own = Vec::new();
        let mut items = Vec::new();
        for at in 0..count {
            let mut fields = right(record_type, residents.get(at))?;
            fields.insert("_type".to_owned(), record_type.name.as_str().into());
            fields.insert("_v".to_owned(), i64::from(record_type.version).into());
            fields.insert("_area".to_owned(), self.ground.area.to_string().into());
            let mut new = Own {
                id: self.new_id(),
                record_type,
                registers: Registers::default(),
            };
            items.push(self.change(&mut new, &fields)?);
            own.push(new);
        }
        for some in items.chunks(TOGETHER) {
            for outcome in self.send(some.to_vec()).await? {
                ensure!(
                    outcome == Outcome::Accepted,
                    "{}: {outcome:?}",
                    record_type.name
                );
            }
        }
        Ok(own)
    }

    /// The payloads of some records, each in the same field of its own.
    async fn write(
        &mut self,
        own: &mut [Own],
        some: &[usize],
        put: &Slot,
        payloads: &[String],
        kept: &mut Kept,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let mut items = Vec::new();
        let mut tried = Vec::new();
        for at in some {
            let (key, value) = put(&payloads[*at]);
            let before = own[*at].registers.clone();
            items.push(self.change(&mut own[*at], &[(key.clone(), value.clone())].into())?);
            tried.push((*at, key, value, before));
        }
        let outcomes = self.send(items).await?;
        for ((at, key, value, before), outcome) in tried.into_iter().zip(outcomes) {
            let own = &mut own[at];
            if outcome == Outcome::Accepted {
                kept.push((own.id, key.clone(), value));
            } else {
                own.registers = before;
            }
            let what = format!("{}.{key:?}", own.record_type.name);
            figures.fault(self.judged(&what, &outcome));
        }
        Ok(())
    }

    async fn events(
        &mut self,
        record_type: &'static RecordType,
        residents: &[RecordId],
        slots: &[Slot],
        payloads: &[String],
        wanted: impl Fn(usize, usize) -> bool,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        for (slot, put) in slots.iter().enumerate() {
            let here: Vec<usize> = (0..payloads.len()).filter(|at| wanted(*at, slot)).collect();
            for some in here.chunks(TOGETHER) {
                let mut items = Vec::new();
                let mut keys = Vec::new();
                for at in some {
                    let (key, value) = put(&payloads[*at]);
                    let mut fields = right(record_type, residents.get(*at))?;
                    fields.insert("at".to_owned(), self.device.now().0.into());
                    fields.insert(key.clone(), value);
                    items.push(Item::Event(EventItem {
                        id: EventId(self.new_id().0),
                        event_type: record_type.name.clone(),
                        area: self.ground.area,
                        fields,
                    }));
                    keys.push(key);
                }
                for (key, outcome) in keys.into_iter().zip(self.send(items).await?) {
                    let what = format!("{}.{key:?}", record_type.name);
                    figures.fault(self.judged(&what, &outcome));
                }
            }
        }
        Ok(())
    }

    fn judged(&mut self, what: &str, outcome: &Outcome) -> Result<(), String> {
        match outcome {
            Outcome::Accepted => {
                self.accepted += 1;
                Ok(())
            }
            Outcome::Refused(refusal)
                if !refusal.code.is_empty() && !refusal.message.is_empty() =>
            {
                self.refused += 1;
                Ok(())
            }
            other => Err(format!("{what}: {other:?}")),
        }
    }

    fn change(&self, own: &mut Own, fields: &Fields) -> anyhow::Result<Item> {
        let by = actor::derive(&self.device.who().key.public(), own.id, 0);
        let (change, bytes, hash) = own.registers.change(by, self.device.now().0, fields);
        own.registers.apply(&change, hash)?;
        Ok(Item::Change(ChangeItem {
            record: own.id,
            record_type: own.record_type.name.clone(),
            epoch: 0,
            bytes,
        }))
    }

    async fn send(&mut self, items: Vec<Item>) -> anyhow::Result<Vec<Outcome>> {
        let count = items.len();
        self.tap.send(&seal(&self.device, self.next, items)).await?;
        self.next += 1;
        let pushed = self.tap.pushed().await?;
        ensure!(pushed.refused.is_none(), "{:?}", pushed.refused);
        ensure!(pushed.outcomes.len() == count, "an item without an answer");
        Ok(pushed.outcomes)
    }

    fn new_id(&mut self) -> RecordId {
        let mut random = [0; 10];
        self.rng.fill_bytes(&mut random);
        RecordId::new(self.device.now(), random)
    }
}

/// Where a type takes a value: every field, and a key that nobody declared.
fn slots(record_type: &RecordType) -> Vec<Slot> {
    let mut slots: Vec<Slot> = vec![Box::new(|payload| (payload.to_owned(), "x".into()))];
    for field in &record_type.fields {
        slots.extend(of_field(field));
    }
    slots
}

fn of_field(field: &Field) -> Vec<Slot> {
    let name = field.name.clone();
    match &field.kind {
        FieldKind::Set(_) => vec![Box::new(move |payload| {
            (format!("{name}/{payload}"), Value::Bool(true))
        })],
        FieldKind::Items(inner) => {
            let of_inner = |inner: &Field| -> Slot {
                let (name, inner) = (name.clone(), inner.name.clone());
                Box::new(move |payload| {
                    let item = BTreeMap::from([(inner.as_str(), payload)]);
                    // An element of its own for each: a later one would stand in its place.
                    let key = format!("{name}/{inner}");
                    (key, json!(item).to_string().into())
                })
            };
            inner.iter().map(of_inner).collect()
        }
        _ => vec![Box::new(move |payload| (name.clone(), payload.into()))],
    }
}

/// What a record or event of a type must have.
fn right(record_type: &RecordType, resident_id: Option<&RecordId>) -> anyhow::Result<Fields> {
    let about = |mut all: Fields| {
        let told = |id: &RecordId| ("resident".to_owned(), id.to_string().into());
        all.extend(resident_id.map(told));
        all
    };
    let address = ("address", "陕西中路12弄28号1702室");
    Ok(match record_type.name.as_str() {
        "resident" => resident(),
        "house" => fields(&[address, ("house_use", "1")]),
        "residence" => about(fields(&[address, ("kind", "living")])),
        _ => {
            let mut least = Fields::new();
            for field in record_type.fields.iter().filter(|field| field.required) {
                let value = match &field.kind {
                    FieldKind::Code(table) => {
                        let table = codes::table(table).context("a table")?;
                        table.entries.first().context("a code")?.code.as_str()
                    }
                    _ => "x",
                };
                least.insert(field.name.clone(), value.into());
            }
            about(least)
        }
    })
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    let owned = |(key, text): &(&str, &str)| ((*key).to_owned(), Value::from(*text));
    pairs.iter().map(owned).collect()
}

/// What was accepted, on another device and in the console.
async fn read_back(
    ground: &Ground,
    reader: &Phone,
    kept: &Kept,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    reader.device.sync_once().await?;
    let mut records: BTreeMap<RecordId, Vec<(&String, &Value)>> = BTreeMap::new();
    for (record, key, value) in kept {
        let held = reader.value(*record, key)?;
        figures.fault(if held == *value {
            Ok(())
        } else {
            Err(format!("{key:?}: {value:?} came back as {held:?}"))
        });
        records.entry(*record).or_default().push((key, value));
    }
    for (record, values) in records {
        let shown = ground
            .supervisor
            .api
            .get(&format!("/api/records/{record}"))
            .await?;
        for (key, value) in values {
            let wanted = serde_json::to_value(value)?;
            let field = shown["record_type"].as_str();
            let field = field.and_then(|name| records::record_type(name)?.field(key));
            let masked = field.map(|field| serde_json::to_value(mask_value(field, value)));
            let masked = masked.transpose()?;
            let shown = &shown["fields"][key];
            // As it is, or masked as its field says; an element that is masked by its key is not under that key.
            let element = shown.is_null() && key.contains('/');
            let right = element || *shown == wanted || Some(shown) == masked.as_ref();
            figures.fault(if right {
                Ok(())
            } else {
                Err(format!("{key:?}: {wanted} is shown as {shown}"))
            });
        }
    }
    Ok(())
}

/// Each payload looked for, on a device and in the console.
async fn search(
    options: &Options,
    ground: &Ground,
    reader: &Phone,
    bystander: RecordId,
    payloads: &[String],
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let lists: &[&str] = if options.short {
        &["residents"]
    } else {
        &["residents", "houses", "residences"]
    };
    let bystander = bystander.to_string();
    let whole = reader.list("resident", "龘龘龘", 5)?;
    ensure!(
        whole.iter().any(|found| found.id.to_string() == bystander),
        "the bystander is not found by name"
    );
    for payload in payloads {
        // One or two letters may begin a name's pinyin, and nothing at all finds everyone.
        let says_little = payload.chars().filter(|c| c.is_alphanumeric()).count() < 3;
        for record_type in ["resident", "house", "residence"] {
            let found = reader.list(record_type, payload, 500);
            figures.fault(match found {
                Err(error) => Err(format!("looking for {payload:?}: {error:#}")),
                Ok(found)
                    if !says_little && found.iter().any(|one| one.id.to_string() == bystander) =>
                {
                    Err(format!("a device finds a bystander by {payload:?}"))
                }
                Ok(_) => Ok(()),
            });
        }
        for list in lists {
            let query = [("text", payload.as_str()), ("limit", "500")];
            let (status, body) = ground
                .supervisor
                .api
                .ask(Method::GET, &format!("/api/{list}"), |ask| {
                    ask.query(&query)
                })
                .await?;
            let mut said = sound(payload, status, &body);
            if said.is_ok() && status == 200 && !says_little && body.contains(&bystander) {
                said = Err("finds a bystander".to_owned());
            }
            figures.fault(said.map_err(|why| format!("{list}?text={payload:?}: {why}")));
        }
    }
    Ok(())
}

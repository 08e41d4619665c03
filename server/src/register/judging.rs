//! Judging a group of submissions against the locked records: pure, in memory, in order.

mod before;
mod bounds;
mod events;
mod ids;
mod places;

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::accept::{self, Author, ConflictDraft, Judged};
use doorstep_core::crdt::FlatChange;
use doorstep_core::crdt::chunk::ChunkError;
use doorstep_core::crypto::actor;
use doorstep_core::envelope::{ChangeItem, EventItem, Item};
use doorstep_core::ids::{AreaCode, ChangeHash, DeviceId, EventId, RecordId, UserId};
use doorstep_core::projection::{references, subjects};
use doorstep_core::protocol::frames::{Outcome, Refusal};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use sqlx::types::Uuid;

pub(super) use self::before::refused_names;
pub(super) use self::bounds::to_weigh;
use self::bounds::too_large;
pub(super) use self::events::{event_time, event_verifies};
pub(super) use self::ids::KnownIds;
pub(super) use self::places::areas_named;
use self::places::{made_in, unknown_area};
use super::ledger::{Moved, Watch};
use super::load::{Gone, Locked};
use super::model::{Prepared, Submitter};
use crate::clock;
use crate::domains::alarms;

/// What a group of submissions comes to.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    pub(super) changes: Vec<AcceptedChange>,
    pub(super) events: Vec<AcceptedEvent>,
    pub(super) conflicts: Vec<(RecordId, ConflictDraft)>,
    pub(super) refused: Vec<RefusedItem>,
    pub(super) alarms: alarms::Noticed,
    /// How many items came too late: refused, and not kept, since they tell of someone erased.
    pub(super) too_late: usize,
    /// Records that would have begun with such an item: id, type, area.
    pub(super) tombs: Vec<(Uuid, String, AreaCode)>,
    gone: Gone,
    /// Of the areas that were named, those that there are.
    tree: BTreeSet<AreaCode>,
    known: KnownIds,
    seen_events: BTreeSet<EventId>,
}

/// A change that was merged.
#[derive(Debug)]
pub(super) struct AcceptedChange {
    pub(super) record: RecordId,
    pub(super) hash: ChangeHash,
    pub(super) change: FlatChange,
    pub(super) bytes: Vec<u8>,
    pub(super) epoch: u32,
    pub(super) device: DeviceId,
    pub(super) user: UserId,
    /// Whether it began the record.
    pub(super) new: bool,
    /// The key fields to which it gave other values.
    pub(super) moved: Vec<Moved>,
}

/// An event that was taken.
#[derive(Debug)]
pub(super) struct AcceptedEvent {
    pub(super) item: EventItem,
    pub(super) device: DeviceId,
    pub(super) user: UserId,
}

/// An item that goes to a supervisor.
#[derive(Debug)]
pub(super) struct RefusedItem {
    pub(super) record: RecordId,
    /// The record that the item is filed under: the survivor, for what was sent for an alias.
    pub(super) about: RecordId,
    pub(super) hash: Vec<u8>,
    pub(super) item: Item,
    pub(super) refusal: Refusal,
    pub(super) area: AreaCode,
    pub(super) device: DeviceId,
    pub(super) user: UserId,
}

/// The records that a group's changes, values and events refer to.
pub(super) fn referred_to<'a>(items: impl Iterator<Item = &'a Prepared>) -> BTreeSet<RecordId> {
    let mut found = BTreeSet::new();
    for item in items {
        match item {
            Prepared::Change {
                item,
                decoded: Ok((change, _)),
            } => {
                let puts = change.ops.iter().map(|op| (&op.key, &op.value));
                found.extend(references(&item.record_type, puts).map(|(_, id)| id));
            }
            Prepared::Put {
                record_type,
                fields,
                ..
            } => found.extend(references(record_type, fields).map(|(_, id)| id)),
            Prepared::Event(item) | Prepared::Taken(item) => {
                found.extend(subjects(&item.event_type, &item.fields));
            }
            Prepared::Change { .. } => {}
        }
    }
    found
}

/// The records whose histories must be loaded before the group can be judged: a first look at each change.
pub(super) fn wants_history<'a>(
    records: &BTreeMap<RecordId, Locked>,
    items: impl Iterator<Item = &'a Prepared>,
) -> BTreeSet<RecordId> {
    let mut heads: BTreeMap<RecordId, Vec<ChangeHash>> = BTreeMap::new();
    let mut wanted = BTreeSet::new();
    for item in items {
        let Prepared::Change {
            item,
            decoded: Ok((change, hash)),
        } = item
        else {
            continue;
        };
        let at = heads.entry(item.record).or_insert_with(|| {
            records
                .get(&item.record)
                .map(|locked| locked.hold.registers.heads().to_vec())
                .unwrap_or_default()
        });
        if *at == change.deps {
            *at = vec![*hash];
        } else if !at.contains(hash) {
            wanted.insert(item.record);
        }
    }
    wanted
}

impl Judgement {
    /// One that knows what is known of the records that are referred to, which of the areas named there are, and whose
    /// the ids are.
    pub(super) fn knowing(gone: Gone, tree: BTreeSet<AreaCode>, known: KnownIds) -> Self {
        Self {
            gone,
            tree,
            known,
            ..Self::default()
        }
    }

    /// Judges one submission's items; gives their outcomes in order.
    pub(super) fn submit(
        &mut self,
        who: &Submitter,
        items: Vec<Prepared>,
        records: &mut BTreeMap<RecordId, Locked>,
        now: Timestamp,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(items.len());
        for item in items {
            let outcome = match item {
                Prepared::Change { item, decoded } => self.change(who, item, decoded, records, now),
                Prepared::Put {
                    record,
                    record_type,
                    fields,
                } => self.put(who, record, record_type, fields, records, now),
                Prepared::Event(item) => self.event(who, item, false, now),
                Prepared::Taken(item) => self.event(who, item, true, now),
            };
            outcomes.push(outcome);
        }
        outcomes
    }

    fn change(
        &mut self,
        who: &Submitter,
        item: ChangeItem,
        decoded: Result<(FlatChange, ChangeHash), ChunkError>,
        records: &mut BTreeMap<RecordId, Locked>,
        now: Timestamp,
    ) -> Outcome {
        let Some(locked) = records.get_mut(&item.record) else {
            return Outcome::Waiting;
        };
        let (change, hash) = match decoded {
            Ok(decoded) => decoded,
            Err(_) if locked.erased => return self.too_late(),
            Err(error) => {
                let refusal = Refusal::new(
                    error.code(),
                    "这条修改的数据已损坏或格式不受支持，已转给主管核对。",
                );
                let hash = before::unread(&item.bytes);
                if let Some(before) = locked.refused.get(&hash) {
                    return Outcome::Refused(before.clone());
                }
                locked.refused.insert(hash, refusal.clone());
                let area = self.area_of(locked, None, who);
                return self.refuse(who, area, hash.0.to_vec(), Item::Change(item), refusal);
            }
        };
        // The supervisor has it: judged anew, it could be there and in the record.
        if let Some(before) = locked.refused.get(&hash) {
            return Outcome::Refused(before.clone());
        }
        // Whatever epoch it claims: a record that was erased doesn't begin again. A change by another than it says
        // goes on to be found forged.
        if locked.erased && change.actor == actor::derive(&who.key, item.record, item.epoch) {
            return self.too_late();
        }
        if let Some((survivor, area)) = locked.survivor
            && change.actor == actor::derive(&who.key, item.record, item.epoch)
            && !locked.holds(&hash)
        {
            let refusal = Refusal::new(
                "merged_away",
                "这份档案已并入另一份档案，您的修改已作为建议转给主管核对。",
            );
            locked.refused.insert(hash, refusal.clone());
            let outcome = self.refuse(who, area, hash.0.to_vec(), Item::Change(item), refusal);
            if let Some(refused) = self.refused.last_mut() {
                refused.about = survivor;
            }
            return outcome;
        }
        if locked.stored.is_none()
            && locked.hold.registers.is_empty()
            && self.is_event(EventId(item.record.0))
            && change.actor == actor::derive(&who.key, item.record, item.epoch)
        {
            return self.id_taken(who, item.record, &item.record_type);
        }
        if change
            .deps
            .iter()
            .any(|dep| locked.refused.contains_key(dep))
            && change.actor == actor::derive(&who.key, item.record, item.epoch)
        {
            let refusal = Refusal::new(
                "builds_on_refused",
                "它前面的一条修改没有被接受，这条修改已完整保留，一并转给主管处理。",
            );
            locked.refused.insert(hash, refusal.clone());
            let area = self.area_of(locked, Some(&change), who);
            return self.refuse(who, area, hash.0.to_vec(), Item::Change(item), refusal);
        }
        if self.tells_of_erased(&item.record_type, &change)
            && change.actor == actor::derive(&who.key, item.record, item.epoch)
            && !locked.holds(&hash)
        {
            let area = self.area_of(locked, Some(&change), who);
            if locked.stored.is_some() || !locked.hold.registers.is_empty() {
                // What stands there tells of someone else, and whoever wrote this may have meant that person.
                let refusal = Refusal::new(
                    "old_epoch",
                    "所填的居民档案已按规定彻底删除，这条修改已转给主管核对。",
                );
                locked.refused.insert(hash, refusal.clone());
                return self.refuse(who, area, hash.0.to_vec(), Item::Change(item), refusal);
            }
            // What builds on it must come too late as well.
            locked.erased = true;
            locked.hold.areas = vec![area];
            self.tombs.push((item.record.0, item.record_type, area));
            return self.too_late();
        }
        if let Some(area) =
            self.claims_elsewhere(who, &item.record_type, &change, &locked.hold.registers)
            && change.actor == actor::derive(&who.key, item.record, item.epoch)
            && !locked.holds(&hash)
        {
            let refusal = Refusal::new(
                "resident_elsewhere",
                "这位居民登记在其他区划，居住关系没有直接生效，已转给当地主管，由两地共同的上级主管采纳。如此人确已迁来，请按新居民登记，由主管合并。",
            );
            locked.refused.insert(hash, refusal.clone());
            return self.refuse(who, area, hash.0.to_vec(), Item::Change(item), refusal);
        }
        if locked.hold.registers.is_empty()
            && made_in(&change).is_some_and(|area| self.is_made_up(who, &area))
            && change.actor == actor::derive(&who.key, item.record, item.epoch)
        {
            let refusal = unknown_area();
            locked.refused.insert(hash, refusal.clone());
            let area = self.area_of(locked, Some(&change), who);
            return self.refuse(who, area, hash.0.to_vec(), Item::Change(item), refusal);
        }
        let authentic = change.actor == actor::derive(&who.key, item.record, item.epoch);
        if authentic
            && !locked.holds(&hash)
            && let Some(refusal) = too_large(who, locked, &change, item.bytes.len())
        {
            locked.refused.insert(hash, refusal.clone());
            let area = self.area_of(locked, Some(&change), who);
            return self.refuse(who, area, hash.0.to_vec(), Item::Change(item), refusal);
        }
        let author = Author {
            key: &who.key,
            grants: &who.grants,
        };
        let hold = &mut locked.hold;
        let watch = Watch::begin(hold, &change);
        let (kind, epoch) = (item.record_type.as_str(), item.epoch);
        let history = locked.history.as_ref();
        match accept::judge(hold, kind, epoch, &change, hash, &author, history) {
            Judged::Accepted(conflicts) => {
                let record = item.record;
                if clock::is_off(Timestamp(change.time), now) {
                    let kind = alarms::Kind::ClockOff;
                    let about = (record, item.record_type.as_str());
                    self.alarms.note_record(kind, who.device, who.user, about);
                }
                self.conflicts
                    .extend(conflicts.into_iter().map(|draft| (record, draft)));
                let (new, moved) = watch.end(&locked.hold);
                locked.weight = locked.weight.saturating_add(item.bytes.len());
                if new {
                    self.gone.areas.insert(record, locked.hold.areas.clone());
                }
                if let Some(history) = &mut locked.history {
                    history.insert(hash, change.clone());
                }
                self.changes.push(AcceptedChange {
                    record,
                    hash,
                    change,
                    bytes: item.bytes,
                    epoch,
                    device: who.device,
                    user: who.user,
                    new,
                    moved,
                });
                Outcome::Accepted
            }
            Judged::Duplicate => Outcome::Duplicate,
            // A history was loaded for every record that could need one; without it nothing is lost by waiting.
            Judged::Waiting | Judged::NeedsHistory => Outcome::Waiting,
            Judged::Refused(refusal) => {
                if refusal.code == "sequence_reused" {
                    let about = (item.record, kind);
                    let kind = alarms::Kind::SequenceReused;
                    self.alarms.note_record(kind, who.device, who.user, about);
                }
                locked.refused.insert(hash, refusal.clone());
                let area = self.area_of(locked, Some(&change), who);
                self.refuse(who, area, hash.0.to_vec(), Item::Change(item), refusal)
            }
            Judged::Forged => {
                let about = (item.record, kind);
                let kind = alarms::Kind::ForgedActor;
                self.alarms.note_record(kind, who.device, who.user, about);
                Outcome::Refused(Refusal::new(
                    "forged_actor",
                    "这条修改的签名身份与设备不符，未被接受。",
                ))
            }
        }
    }

    /// Values put by the server: the change is made here, on top of everything the record holds.
    fn put(
        &mut self,
        who: &Submitter,
        record: RecordId,
        record_type: String,
        mut fields: Fields,
        records: &mut BTreeMap<RecordId, Locked>,
        now: Timestamp,
    ) -> Outcome {
        let Some(locked) = records.get_mut(&record) else {
            return Outcome::Waiting;
        };
        let registers = &locked.hold.registers;
        fields.retain(|key, value| match registers.all(key).as_slice() {
            [] => !value.is_null(),
            [held] => held.value != *value,
            _ => true,
        });
        if fields.is_empty() {
            return Outcome::Duplicate;
        }
        let epoch = locked.hold.epoch;
        let (change, bytes, hash) =
            registers.change(actor::derive(&who.key, record, epoch), now.0, &fields);
        let item = ChangeItem {
            record,
            record_type,
            epoch,
            bytes,
        };
        self.change(who, item, Ok((change, hash)), records, now)
    }

    /// Ties that were made to a record which was merged into another are tied to that other, by a change of the server's
    /// own on top: whoever made them could not know.
    pub(super) fn follow(
        &mut self,
        server: impl Fn(UserId) -> Submitter,
        records: &mut BTreeMap<RecordId, Locked>,
        now: Timestamp,
    ) {
        let mut moved: BTreeMap<RecordId, (UserId, String, Fields)> = BTreeMap::new();
        for change in &self.changes {
            let Some(locked) = records.get(&change.record) else {
                continue;
            };
            let hold = &locked.hold;
            let puts = change.change.ops.iter().map(|op| (&op.key, &op.value));
            for (key, target) in references(&hold.record_type, puts) {
                let stands = hold.registers.get(key).and_then(Value::as_text);
                if let Some(survivor) = self.gone.survivors.get(&target)
                    && stands.is_some_and(|text| text.parse() == Ok(target))
                {
                    let kind = hold.record_type.clone();
                    let entry = moved.entry(change.record);
                    let (_, _, fields) =
                        entry.or_insert_with(|| (change.user, kind, Fields::new()));
                    fields.insert(key.clone(), survivor.to_string().into());
                }
            }
        }
        for (record, (user, record_type, fields)) in moved {
            self.put(&server(user), record, record_type, fields, records, now);
        }
    }

    /// Whether a change ties a residence to a resident who was erased.
    fn tells_of_erased(&self, record_type: &str, change: &FlatChange) -> bool {
        let puts = change.ops.iter().map(|op| (&op.key, &op.value));
        record_type == "residence"
            && references(record_type, puts)
                .any(|(key, id)| key == "resident" && self.gone.erased.contains(&id))
    }

    /// The answer to what tells of someone erased. It is all that is kept of it: what was to be forgotten must not come
    /// in again, not even into the queue.
    fn too_late(&mut self) -> Outcome {
        self.too_late += 1;
        metrics::counter!("doorstep_too_late_total").increment(1);
        Outcome::Refused(Refusal::new(
            Refusal::ERASED,
            "所涉及的档案已按规定彻底删除，这条内容没有保存，不用重新填写。",
        ))
    }

    fn refuse(
        &mut self,
        who: &Submitter,
        area: AreaCode,
        hash: Vec<u8>,
        item: Item,
        refusal: Refusal,
    ) -> Outcome {
        let record = match &item {
            Item::Change(change) => change.record,
            Item::Event(event) => event.id.into(),
        };
        self.refused.push(RefusedItem {
            record,
            about: record,
            hash,
            item,
            refusal: refusal.clone(),
            area,
            device: who.device,
            user: who.user,
        });
        Outcome::Refused(refusal)
    }
}

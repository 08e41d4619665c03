//! The register in memory: judging with core's rules, records, events, refused items, conflict items, scopes.
//! The model of server/src/register: one call of `apply` is one transaction. Knows no connection.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::accept::{Author, ConflictDraft, ConflictKind, Hold, Judged, judge};
use doorstep_core::crdt::{FlatChange, Registers, chunk};
use doorstep_core::crypto::actor;
use doorstep_core::crypto::sm2::PublicKey;
use doorstep_core::envelope::{ChangeItem, EventItem, Item, MAX_UNANSWERED};
use doorstep_core::ids::{AreaCode, ChangeHash, DeviceId, EventId, RecordId, ScopeId, UserId};
use doorstep_core::projection::{Projection, project};
use doorstep_core::protocol::frames::{
    Entry, EventEntry, Outcome, Pushed, PutEntry, Refusal, StateEntry, WholeEntry,
};
use doorstep_core::rights::Role;
use doorstep_core::value::{Fields, Value};
use serde_bytes::ByteBuf;

use super::log::{Log, Logged};

/// Who submits, as authenticated.
#[derive(Clone, Debug)]
pub struct Submitter {
    /// The device; the server has one of its own.
    pub device: DeviceId,
    /// The user.
    pub user: UserId,
    /// The device's key.
    pub key: PublicKey,
    /// The user's roles now, and where.
    pub grants: Vec<(Role, AreaCode)>,
}

/// A record as the server keeps it.
#[derive(Clone, Debug)]
pub struct Record {
    /// What changes are judged against.
    pub hold: Hold,
    /// Its changes by hash.
    pub history: BTreeMap<ChangeHash, FlatChange>,
    /// Its changes in the order of acceptance.
    pub order: Vec<Accepted>,
}

/// A change that was merged.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its name.
    pub hash: ChangeHash,
    /// The chunk.
    pub bytes: Vec<u8>,
    /// Who made it.
    pub user: UserId,
}

/// An item kept for a supervisor.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What was sent.
    pub item: Item,
    /// Whose.
    pub device: DeviceId,
    /// Why.
    pub refusal: Refusal,
    /// The conflict item that holds it.
    pub conflict: usize,
}

/// One thing a person must decide.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// What kind.
    pub kind: ConflictKind,
    /// Which record.
    pub record: RecordId,
    /// The disputed key, the device whose changes were refused, or the other record.
    pub subject: String,
    /// The changes that put the values, and the values.
    pub values: BTreeMap<ChangeHash, Value>,
    /// What both built on.
    pub base: Option<Value>,
    /// Who is told.
    pub makers: BTreeSet<UserId>,
    /// Whether it waits for a decision.
    pub open: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Register {
    /// Every record.
    pub records: BTreeMap<RecordId, Record>,
    /// Every event, and the device that made it.
    pub events: BTreeMap<EventId, (EventEntry, DeviceId)>,
    /// Every scope's log.
    pub logs: BTreeMap<ScopeId, Log>,
    /// Items that were not merged.
    pub refused: Vec<Refused>,
    /// Everything that was or is to be decided, in the order it was opened.
    pub conflicts: Vec<Conflict>,
    /// What an honest device never does.
    pub alarms: Vec<(String, DeviceId)>,
    /// Every merged change in the order of acceptance.
    pub accepted: Vec<(RecordId, ChangeHash)>,
    /// Records that were merged away, and into which.
    pub aliases: BTreeMap<RecordId, RecordId>,
    refused_changes: BTreeMap<(RecordId, ChangeHash), Refusal>,
    refused_events: BTreeMap<EventId, Refusal>,
    envelopes: BTreeMap<(DeviceId, UserId, u64), ([u8; 32], Pushed)>,
}

/// What one transaction touched.
#[derive(Default)]
struct Touched {
    /// Heads of records before.
    heads: BTreeMap<RecordId, Vec<ChangeHash>>,
    /// Entries in the order they came about.
    changes: Vec<(RecordId, ChangeHash, DeviceId)>,
    events: Vec<(EventId, AreaCode)>,
    drafts: Vec<(RecordId, ConflictDraft)>,
    refused: Vec<(Item, Refusal)>,
}

impl Register {
    /// The number of the envelope that is expected next.
    #[must_use]
    pub fn next_envelope(&self, device: DeviceId, user: UserId) -> u64 {
        let held = self
            .envelopes
            .range((device, user, 0)..=(device, user, u64::MAX));
        held.map(|((_, _, seq), _)| seq + 1)
            .next_back()
            .unwrap_or(1)
    }

    /// Applies an envelope's items; one that was answered before gets the same answer.
    pub fn apply(
        &mut self,
        who: &Submitter,
        seq: u64,
        digest: [u8; 32],
        items: Vec<Item>,
    ) -> Pushed {
        let name = (who.device, who.user, seq);
        match self.envelopes.get(&name) {
            Some((held, answer)) if *held == digest => return answer.clone(),
            Some(_) => {
                let alarm = ("envelope_reused".to_owned(), who.device);
                self.alarms.push(alarm);
                return unanswerable(seq, "envelope_reused");
            }
            None => {}
        }
        let next = self.next_envelope(who.device, who.user);
        if seq != next {
            // No wider than what may be under way, it is an honest device's.
            if !(next..next + MAX_UNANSWERED as u64).contains(&seq) {
                self.alarms.push((Refusal::GAP.to_owned(), who.device));
            }
            return unanswerable(seq, Refusal::GAP);
        }
        let mut touched = Touched::default();
        let outcomes = items
            .into_iter()
            .map(|item| match item {
                Item::Change(item) => self.change(who, item, &mut touched),
                Item::Event(item) => self.event(who, item, &mut touched),
            })
            .collect();
        self.write(who, touched);
        let answer = Pushed {
            seq,
            outcomes,
            refused: None,
        };
        self.envelopes.insert(name, (digest, answer.clone()));
        answer
    }

    /// Puts values for the server or a user on the console, on top of everything the record holds.
    pub fn put(
        &mut self,
        who: &Submitter,
        record: RecordId,
        record_type: &str,
        fields: &Fields,
        now: i64,
    ) -> Outcome {
        let hold = self.records.get(&record).map(|record| &record.hold);
        let (registers, epoch) = hold.map_or_else(Default::default, |hold| {
            (hold.registers.clone(), hold.epoch)
        });
        let author = actor::derive(&who.key, record, epoch);
        let (_, bytes, _) = registers.change(author, now, fields);
        let item = ChangeItem {
            record,
            record_type: record_type.to_owned(),
            epoch,
            bytes,
        };
        let mut touched = Touched::default();
        let outcome = self.change(who, item, &mut touched);
        self.write(who, touched);
        outcome
    }

    fn change(&mut self, who: &Submitter, item: ChangeItem, touched: &mut Touched) -> Outcome {
        let id = item.record;
        let (change, hash) = match chunk::decode(&item.bytes) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.alarms.push((error.code().to_owned(), who.device));
                return Outcome::Refused(refusal(error.code()));
            }
        };
        if let Some(before) = self.refused_changes.get(&(id, hash)) {
            return Outcome::Refused(before.clone());
        }
        let holds = |record: &Record| record.history.contains_key(&hash);
        let held = self.records.get(&id).is_some_and(holds);
        let on_refused = |dep: &ChangeHash| self.refused_changes.contains_key(&(id, *dep));
        let code = if self.aliases.contains_key(&id) && !held {
            Some("merged_away")
        } else if change.deps.iter().any(on_refused) {
            Some("builds_on_refused")
        } else {
            None
        };
        if let Some(code) = code {
            self.refused_changes.insert((id, hash), refusal(code));
            return touched.refuse(Item::Change(item), refusal(code));
        }
        let mut record = self.records.remove(&id).unwrap_or_else(|| Record::new(id));
        let before = record.hold.registers.heads().to_vec();
        let judged = record.judge(who, &item, &change, hash);
        let outcome = match judged {
            Judged::Accepted(conflicts) => {
                touched.heads.entry(id).or_insert(before);
                touched.changes.push((id, hash, who.device));
                let drafts = conflicts.into_iter().map(|draft| (id, draft));
                touched.drafts.extend(drafts);
                record.history.insert(hash, change);
                record.order.push(Accepted {
                    hash,
                    bytes: item.bytes,
                    user: who.user,
                });
                self.accepted.push((id, hash));
                Outcome::Accepted
            }
            Judged::Duplicate => Outcome::Duplicate,
            Judged::Waiting | Judged::NeedsHistory => Outcome::Waiting,
            Judged::Refused(why) => {
                if why.code == "sequence_reused" {
                    self.alarms.push((why.code.clone(), who.device));
                }
                self.refused_changes.insert((id, hash), why.clone());
                touched.refuse(Item::Change(item), why)
            }
            Judged::Forged => {
                self.alarms.push(("forged".to_owned(), who.device));
                Outcome::Refused(refusal("forged_actor"))
            }
        };
        if !record.order.is_empty() {
            self.records.insert(id, record);
        }
        outcome
    }

    fn event(&mut self, who: &Submitter, item: EventItem, touched: &mut Touched) -> Outcome {
        if self.events.contains_key(&item.id) {
            return Outcome::Duplicate;
        }
        if let Some(before) = self.refused_events.get(&item.id) {
            return Outcome::Refused(before.clone());
        }
        if !who.grants.iter().any(|(_, area)| area.contains(&item.area)) {
            self.refused_events.insert(item.id, refusal("out_of_scope"));
            return touched.refuse(Item::Event(item), refusal("out_of_scope"));
        }
        touched.events.push((item.id, item.area));
        let entry = EventEntry {
            id: item.id,
            event_type: item.event_type,
            area: item.area,
            user: who.user,
            fields: item.fields,
        };
        self.events.insert(item.id, (entry, who.device));
        Outcome::Accepted
    }

    /// Logs, digests, scopes and conflict items of what a transaction touched.
    fn write(&mut self, who: &Submitter, touched: Touched) {
        for (id, hash, device) in &touched.changes {
            for area in &self.records[id].hold.areas {
                let log = self.logs.entry(ScopeId::Area(*area)).or_default();
                log.append(Logged::Change(*id, *hash, *device));
            }
        }
        let mut residents = BTreeSet::new();
        let mut projections: BTreeMap<RecordId, Projection> = BTreeMap::new();
        for (id, before) in &touched.heads {
            let record = &self.records[id];
            let after = record.hold.registers.heads();
            for area in &record.hold.areas {
                let log = self.logs.entry(ScopeId::Area(*area)).or_default();
                log.move_digest(*id, before, after);
            }
            let projection = project(&record.hold.record_type, &record.hold.registers);
            match record.hold.record_type.as_str() {
                "residence" => residents.extend(resident_of(&projection)),
                "resident" if before.is_empty() => residents.extend([*id]),
                _ => {}
            }
            projections.insert(*id, projection);
        }
        for id in residents {
            self.rescope(id);
        }
        for (id, area) in &touched.events {
            let log = self.logs.entry(ScopeId::Area(*area)).or_default();
            log.append(Logged::Event(*id));
        }
        for (record, draft) in touched.drafts {
            let values = draft.values.iter();
            let values = values.map(|held| (held.change, held.value.clone()));
            self.open(record, draft.kind, draft.key, values.collect(), draft.base);
        }
        for (item, refusal) in touched.refused {
            let kind = match refusal.code.as_str() {
                "old_epoch" | "out_of_scope" | "builds_on_refused" => ConflictKind::Quarantined,
                _ => ConflictKind::RefusedChange,
            };
            let record = match &item {
                Item::Change(item) => {
                    let survivor = self.aliases.get(&item.record);
                    survivor.copied().unwrap_or(item.record)
                }
                Item::Event(item) => item.id.into(),
            };
            let device = who.device.to_string();
            let conflict = self.open(record, kind, device, BTreeMap::new(), None);
            self.tell(who.user, conflict, "opened");
            self.refused.push(Refused {
                item,
                device: who.device,
                refusal,
                conflict,
            });
        }
        for (id, hash, _) in &touched.changes {
            let projection = &projections[id];
            if self.records[id].history[hash]
                .ops
                .iter()
                .any(|op| op.key == "id_number")
            {
                self.same_number(*id, *hash, projection);
            }
        }
    }

    /// Another resident with the same certificate number.
    fn same_number(&mut self, id: RecordId, hash: ChangeHash, projection: &Projection) {
        let number = projection
            .tokens
            .iter()
            .find(|token| token.starts_with("id:"));
        let Some(number) = number.filter(|_| !projection.cancelled) else {
            return;
        };
        let same = self.records.iter().filter(|(other, record)| {
            **other != id && record.hold.record_type == "resident" && {
                let theirs = project("resident", &record.hold.registers);
                !theirs.cancelled && theirs.tokens.contains(number)
            }
        });
        let same: Vec<RecordId> = same.map(|(other, _)| *other).collect();
        let value = projection.fields.get("id_number").cloned();
        for other in same {
            let values = BTreeMap::from([(hash, value.clone().unwrap_or_default())]);
            let kind = ConflictKind::DuplicatePerson;
            self.open(id, kind, other.to_string(), values, None);
        }
    }

    /// Opens a conflict item, or adds to the one that is open for the same record, kind and subject.
    fn open(
        &mut self,
        record: RecordId,
        kind: ConflictKind,
        subject: String,
        values: BTreeMap<ChangeHash, Value>,
        base: Option<Value>,
    ) -> usize {
        let maker = |hash: &ChangeHash| {
            let order = &self.records.get(&record)?.order;
            order
                .iter()
                .find(|accepted| accepted.hash == *hash)
                .map(|accepted| accepted.user)
        };
        let makers: BTreeSet<UserId> = values.keys().filter_map(maker).collect();
        let same = |item: &Conflict| {
            item.open && item.record == record && item.kind == kind && item.subject == subject
        };
        let (at, told) = match self.conflicts.iter().position(same) {
            Some(at) => {
                let item = &mut self.conflicts[at];
                item.values.extend(values);
                let new = makers.difference(&item.makers).copied().collect();
                item.makers.extend(makers);
                (at, new)
            }
            None => {
                self.conflicts.push(Conflict {
                    kind,
                    record,
                    subject,
                    values,
                    base,
                    makers: makers.clone(),
                    open: true,
                });
                (self.conflicts.len() - 1, makers)
            }
        };
        for user in told {
            self.tell(user, at, "opened");
        }
        at
    }

    /// A message on a user's phone about a conflict item.
    pub fn tell(&mut self, user: UserId, conflict: usize, what: &str) {
        let log = self.logs.entry(ScopeId::User(user)).or_default();
        log.put_state(StateEntry {
            key: format!("message/conflict/{conflict}"),
            json: format!("\"{what}\""),
        });
    }

    /// Moves a resident into the scopes of its active residences.
    fn rescope(&mut self, id: RecordId) {
        let after = self.lives_in(id);
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        if after.is_empty()
            || record.hold.record_type != "resident"
            || self.aliases.contains_key(&id)
        {
            return; // nobody knows where: it stays with those who have it
        }
        let before: BTreeSet<AreaCode> = record.hold.areas.iter().copied().collect();
        let heads = record.hold.registers.heads();
        for area in after.difference(&before) {
            let log = self.logs.entry(ScopeId::Area(*area)).or_default();
            log.append(Logged::Whole(id));
            log.move_digest(id, &[], heads);
        }
        for area in before.difference(&after) {
            let log = self.logs.entry(ScopeId::Area(*area)).or_default();
            log.append(Logged::Leave(id));
            log.move_digest(id, heads, &[]);
        }
        record.hold.areas = after.into_iter().collect();
    }

    /// Two records of one person become one: the survivor takes over residences and what it lacks; the other is
    /// cancelled, leaves every phone and is an alias from now on. The model of server/src/domains/conflicts/persons.rs.
    pub fn merge(&mut self, me: &Submitter, survivor: RecordId, other: RecordId, now: i64) {
        let held = self.records[&survivor].hold.registers.fields();
        let gained: Fields = self.records[&other]
            .hold
            .registers
            .fields()
            .into_iter()
            .filter(|(key, _)| !key.starts_with('_') && !held.contains_key(key))
            .filter(|(key, _)| !key.starts_with("tags/e")) // an edit's mark stays with the edit
            .collect();
        if !gained.is_empty() {
            self.put(me, survivor, "resident", &gained, now);
        }
        let ended = Fields::from([
            ("status".to_owned(), "cancelled".into()),
            ("cancel_reason".to_owned(), "72".into()),
        ]);
        self.put(me, other, "resident", &ended, now);
        self.aliases.insert(other, survivor);
        self.follow(me, now);
        let Some(record) = self.records.get_mut(&other) else {
            return;
        };
        let heads = record.hold.registers.heads();
        for area in &record.hold.areas {
            let log = self.logs.entry(ScopeId::Area(*area)).or_default();
            log.append(Logged::Leave(other));
            log.move_digest(other, heads, &[]);
        }
        record.hold.areas.clear();
        let pair = [survivor, other];
        for item in &mut self.conflicts {
            let other = item.subject.parse().ok();
            if item.kind == ConflictKind::DuplicatePerson
                && pair.contains(&item.record)
                && other.is_some_and(|other| pair.contains(&other))
            {
                item.open = false;
            }
        }
    }

    /// Residences tied to a record that was merged away are tied to its survivor.
    pub fn follow(&mut self, me: &Submitter, now: i64) {
        let tied = self.records.iter().filter_map(|(id, record)| {
            if record.hold.record_type != "residence" {
                return None;
            }
            let resident: RecordId = record
                .hold
                .registers
                .get("resident")?
                .as_text()?
                .parse()
                .ok()?;
            Some((*id, *self.aliases.get(&resident)?))
        });
        for (residence, survivor) in tied.collect::<Vec<_>>() {
            let fields = Fields::from([("resident".to_owned(), survivor.to_string().into())]);
            self.put(me, residence, "residence", &fields, now);
        }
    }

    fn lives_in(&self, resident: RecordId) -> BTreeSet<AreaCode> {
        let residences = self.records.values().filter(|record| {
            record.hold.record_type == "residence" && {
                let projection = project("residence", &record.hold.registers);
                !projection.cancelled && resident_of(&projection) == Some(resident)
            }
        });
        residences
            .flat_map(|record| record.hold.areas.iter().copied())
            .collect()
    }

    /// What an entry stands for in a scope now, as it is told: of its `own` changes a device is told the hash only. `None`
    /// when it is in the scope no longer.
    #[must_use]
    pub fn entry(&self, scope: ScopeId, logged: &Logged, own: Option<DeviceId>) -> Option<Entry> {
        match logged {
            Logged::Change(record, hash, device) if own == Some(*device) => {
                Some(Entry::Own(*record, *hash))
            }
            Logged::Change(id, hash, _) => {
                let record = self.in_scope(scope, *id)?;
                let accepted = record
                    .order
                    .iter()
                    .find(|accepted| accepted.hash == *hash)?;
                Some(Entry::Put(PutEntry {
                    record: *id,
                    record_type: record.hold.record_type.clone(),
                    epoch: record.hold.epoch,
                    bytes: accepted.bytes.clone(),
                }))
            }
            Logged::Whole(id) => self.whole(scope, *id),
            Logged::Leave(id) => Some(Entry::Leave(*id)),
            Logged::Event(id) => Some(Entry::Event(self.events.get(id)?.0.clone())),
            Logged::State(key) => self.logs.get(&scope)?.state(key).map(Entry::State),
        }
    }

    /// A whole record, while it is in the scope.
    #[must_use]
    pub fn whole(&self, scope: ScopeId, id: RecordId) -> Option<Entry> {
        let record = self.in_scope(scope, id)?;
        let changes = record.order.iter();
        Some(Entry::Whole(WholeEntry {
            record: id,
            record_type: record.hold.record_type.clone(),
            epoch: record.hold.epoch,
            changes: changes
                .map(|accepted| ByteBuf::from(accepted.bytes.clone()))
                .collect(),
        }))
    }

    fn in_scope(&self, scope: ScopeId, id: RecordId) -> Option<&Record> {
        let record = self.records.get(&id)?;
        let ScopeId::Area(area) = scope else {
            return None;
        };
        record.hold.areas.contains(&area).then_some(record)
    }

    /// A scope's records.
    pub fn members(&self, scope: ScopeId) -> impl Iterator<Item = (&RecordId, &Record)> {
        self.records.iter().filter(move |(_, record)| {
            let held = |area: &AreaCode| ScopeId::Area(*area) == scope;
            record.hold.areas.iter().any(held)
        })
    }
}

impl Record {
    fn new(id: RecordId) -> Self {
        Self {
            hold: Hold {
                id,
                record_type: String::new(),
                epoch: 0,
                areas: Vec::new(),
                registers: Registers::default(),
            },
            history: BTreeMap::new(),
            order: Vec::new(),
        }
    }

    /// Judges first without the history, as the server does, and with it where that is asked for.
    fn judge(
        &mut self,
        who: &Submitter,
        item: &ChangeItem,
        change: &FlatChange,
        hash: ChangeHash,
    ) -> Judged {
        let author = Author {
            key: &who.key,
            grants: &who.grants,
        };
        let (kind, epoch) = (item.record_type.as_str(), item.epoch);
        let hold = &mut self.hold;
        match judge(hold, kind, epoch, change, hash, &author, None) {
            Judged::NeedsHistory => {
                let history = Some(&self.history);
                judge(hold, kind, epoch, change, hash, &author, history)
            }
            judged => judged,
        }
    }
}

impl Touched {
    fn refuse(&mut self, item: Item, refusal: Refusal) -> Outcome {
        self.refused.push((item, refusal.clone()));
        Outcome::Refused(refusal)
    }
}

/// The whole city.
pub(super) fn city() -> AreaCode {
    "310000000000".parse().expect("twelve digits")
}

fn resident_of(projection: &Projection) -> Option<RecordId> {
    let link = projection
        .links
        .iter()
        .find(|(field, _)| field == "resident");
    link.map(|(_, resident)| *resident)
}

/// The answer to an envelope that is not judged: its number is wrong.
fn unanswerable(seq: u64, code: &str) -> Pushed {
    Pushed {
        seq,
        outcomes: Vec::new(),
        refused: Some(refusal(code)),
    }
}

fn refusal(code: &str) -> Refusal {
    Refusal {
        code: code.to_owned(),
        field: None,
        message: "已转给主管核对。".to_owned(),
    }
}

//! What a device does when the server was restored from a backup: what it acknowledged since lies on devices only.
//! Each gives back what it made itself, refused items among it, and takes everything again. Knows no backup: it goes
//! by numbers that are lower than they were.

use std::collections::{BTreeMap, BTreeSet};

use crate::crdt::chunk;
use crate::crypto::actor;
use crate::envelope::{ChangeItem, EventItem, Item};
use crate::ids::{ChangeHash, EventId, RecordId, ScopeId};
use crate::protocol::frames::{
    Batch, Bye, Cursor, Entry, EventEntry, Refusal, StateEntry, Welcome,
};
use crate::store::{DeviceStore, OutboxItem, RecordWrite, StoredChange, StoredRecord, WriteBatch};
use crate::sync::{ANSWERED, DeviceError, Identity, SET_BACK, given_back_key};
use crate::time::Timestamp;

/// The note of an envelope that was judged, when none with a greater number was before.
pub(super) fn answered<S: DeviceStore>(
    store: &S,
    who: &Identity,
    seq: u64,
) -> Result<Option<(ScopeId, StateEntry)>, S::Error> {
    let news = last_answered(store)? < seq;
    Ok(news.then(|| note_answered(who, seq)))
}

fn last_answered<S: DeviceStore>(store: &S) -> Result<u64, S::Error> {
    let json = store.state(ANSWERED)?;
    Ok(json.and_then(|json| json.parse().ok()).unwrap_or(0))
}

fn note_answered(who: &Identity, seq: u64) -> (ScopeId, StateEntry) {
    let (key, json) = (ANSWERED.to_owned(), seq.to_string());
    (ScopeId::User(who.user), StateEntry { key, json })
}

/// Whether the server has less than it had: it expects an envelope that it has answered before, or a log ends before
/// what is held of it.
pub(super) fn is_set_back<S: DeviceStore>(store: &S, welcome: &Welcome) -> Result<bool, S::Error> {
    if welcome.next_envelope <= last_answered(store)? || store.state(SET_BACK)?.is_some() {
        return Ok(true);
    }
    let held: BTreeMap<ScopeId, Cursor> = store.scopes()?.into_iter().collect();
    let mut told = welcome.scopes.iter();
    Ok(told.any(|state| {
        held.get(&state.scope)
            .is_some_and(|at| at.seq > state.end.seq)
    }))
}

/// Whether a repair lacks a change which the server had confirmed. The logs have grown as far again as this device had
/// come, and it had nothing answered since the backup.
pub(super) fn lacks_confirmed<S: DeviceStore>(
    store: &S,
    repair: &Batch,
) -> Result<bool, DeviceError<S::Error>> {
    let entries = repair
        .entries()
        .map_err(|_| DeviceError::Protocol("batch can't be read"))?;
    for entry in entries {
        let Entry::Whole(whole) = entry else { continue };
        let epoch = store.record(whole.record)?.map(|record| record.epoch);
        if epoch != Some(whole.epoch) {
            continue;
        }
        let decode = |bytes: &serde_bytes::ByteBuf| Some(chunk::decode(bytes).ok()?.1);
        let there: BTreeSet<ChangeHash> = whole.changes.iter().filter_map(decode).collect();
        let held = store.changes(whole.record)?;
        if held
            .iter()
            .any(|held| held.confirmed && !there.contains(&held.hash))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Notes that a repair lacked one: the next connection begins anew.
pub(super) fn doubt<S: DeviceStore>(store: &mut S, who: &Identity) -> Result<(), S::Error> {
    let (key, json) = (SET_BACK.to_owned(), "true".to_owned());
    store.commit(WriteBatch {
        states: vec![(ScopeId::User(who.user), StateEntry { key, json })],
        ..WriteBatch::default()
    })
}

/// Ends a connection that began with cursors of a history that is gone. After a second: a server that is set back again
/// and again must not be met by devices that never wait.
pub(super) fn begin_anew() -> Bye {
    Bye {
        code: "set_back".to_owned(),
        message: "服务器刚从备份恢复：手机会重新连接，把之后的工作再上传一遍，请保持联网。"
            .to_owned(),
        retry_after_ms: Some(1_000),
    }
}

/// Takes nothing for confirmed any more, puts every cursor to the beginning, and queues everything that this device
/// made: what it holds, what was refused and not dismissed, what was not answered. What the server still has it answers
/// as a duplicate, or with the refusal of before. Gives the records.
pub(super) fn set_back<S: DeviceStore>(
    store: &mut S,
    who: &Identity,
    next_envelope: u64,
    now: Timestamp,
) -> Result<Vec<RecordId>, DeviceError<S::Error>> {
    let mut give = Give::new(who);
    let mut batch = WriteBatch::default();
    // Envelopes that the server has are answered as they are; what the others hold goes up anew.
    let envelopes = store.envelopes()?.into_iter();
    let (lost, kept): (Vec<_>, Vec<_>) = envelopes.partition(|saved| saved.seq >= next_envelope);
    batch.answered = lost.into_iter().map(|saved| saved.seq).collect();
    let kept: BTreeSet<u64> = kept.into_iter().flat_map(|saved| saved.items).collect();
    for queued in store.outbox()? {
        if kept.contains(&queued.id) {
            give.know(&queued);
        } else {
            batch.unqueue.push(queued.id);
            give.put(queued.item, Rank::Made, Some(queued.made_at));
        }
    }
    for refused in store.refused()? {
        // Of what is forged the server keeps nothing, and it alarms each time; of someone erased nothing is left here.
        if !["forged_actor", Refusal::ERASED].contains(&refused.refusal.code.as_str()) {
            batch.dismiss.push(refused.id);
            give.put(refused.item, Rank::Refused, None);
        }
    }
    let mut records: BTreeSet<RecordId> = BTreeSet::new();
    for (scope, _) in store.scopes()? {
        records.extend(store.members(&scope)?.into_iter().map(|(id, _)| id));
        batch.cursors.push((scope, Cursor::default()));
        let (key, json) = (given_back_key(scope), now.0.to_string());
        batch.states.push((scope, StateEntry { key, json }));
    }
    for id in &records {
        let Some(record) = store.record(*id)? else {
            continue;
        };
        let changes = store.changes(*id)?;
        give.changes(&record, &changes);
        batch.records.push(unconfirmed(record, changes));
    }
    give.events(store.events()?);
    batch.queue = give.queue();
    batch.states.extend(outdated(store, who)?);
    let last = next_envelope.saturating_sub(1);
    batch.states.push(note_answered(who, last));
    let (key, json) = (SET_BACK.to_owned(), String::new());
    batch
        .states
        .push((ScopeId::User(who.user), StateEntry { key, json }));
    store.commit(batch)?;
    Ok(records.into_iter().collect())
}

/// Withdraws what the server said of its own work: some of that is lost, and the rest comes again. What is needed to
/// work offline meanwhile stays.
fn outdated<S: DeviceStore>(
    store: &S,
    who: &Identity,
) -> Result<Vec<(ScopeId, StateEntry)>, S::Error> {
    let stays = ["_", "rights", "address/"];
    let states = store.states("")?.into_iter();
    let outdated = states.filter(|state| stays.iter().all(|begin| !state.key.starts_with(begin)));
    let withdrawn = outdated.map(|state| {
        let json = String::new();
        (ScopeId::User(who.user), StateEntry { json, ..state })
    });
    Ok(withdrawn.collect())
}

/// The write after which a record holds what it held, and the server has confirmed nothing of it.
fn unconfirmed(record: StoredRecord, changes: Vec<StoredChange>) -> RecordWrite {
    let again = |change: &StoredChange| StoredChange {
        confirmed: false,
        ..change.clone()
    };
    let record = StoredRecord {
        confirmed: Vec::new(),
        ..record
    };
    RecordWrite {
        add: changes.iter().map(again).collect(),
        remove: changes.iter().map(|change| change.hash).collect(),
        ..RecordWrite::of(record, true)
    }
}

/// What was refused goes up after what its author made in its place, which has the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Made,
    Refused,
}

/// An item's place: records in the order they were made, the changes of each by their numbers, then events.
type Place = (bool, RecordId, u32, u64, Rank);

/// What a batch queues.
type Queued = (Item, Option<ChangeHash>, Timestamp);

/// What goes up again, each once.
struct Give<'a> {
    who: &'a Identity,
    changes: BTreeSet<ChangeHash>,
    events: BTreeSet<EventId>,
    items: Vec<(Place, Queued)>,
}

impl<'a> Give<'a> {
    fn new(who: &'a Identity) -> Self {
        Self {
            who,
            changes: BTreeSet::new(),
            events: BTreeSet::new(),
            items: Vec::new(),
        }
    }

    /// What goes up without being queued anew.
    fn know(&mut self, queued: &OutboxItem) {
        self.changes.extend(queued.hash);
        if let Item::Event(event) = &queued.item {
            self.events.insert(event.id);
        }
    }

    fn put(&mut self, item: Item, rank: Rank, made_at: Option<Timestamp>) {
        match &item {
            Item::Change(sent) => {
                let decoded = chunk::decode(&sent.bytes).ok();
                let (seq, time) = decoded
                    .as_ref()
                    .map_or((u64::MAX, 0), |(change, _)| (change.seq, change.time));
                let hash = decoded.map(|(_, hash)| hash);
                if hash.is_some_and(|hash| !self.changes.insert(hash)) {
                    return;
                }
                let place = (false, sent.record, sent.epoch, seq, rank);
                let made_at = made_at.unwrap_or(Timestamp(time));
                self.items.push((place, (item, hash, made_at)));
            }
            Item::Event(event) => {
                if !self.events.insert(event.id) {
                    return;
                }
                let place = (true, event.id.into(), 0, 0, rank);
                let made_at = made_at.unwrap_or_else(|| event.id.made_at());
                self.items.push((place, (item, None, made_at)));
            }
        }
    }

    /// A record's changes by this device. Another's would be refused as forged.
    fn changes(&mut self, record: &StoredRecord, changes: &[StoredChange]) {
        let own = actor::derive(&self.who.key.public(), record.id, record.epoch);
        for kept in changes {
            if !chunk::decode(&kept.bytes).is_ok_and(|(change, _)| change.actor == own) {
                continue;
            }
            let item = Item::Change(ChangeItem {
                record: record.id,
                record_type: record.record_type.clone(),
                epoch: record.epoch,
                bytes: kept.bytes.clone(),
            });
            self.put(item, Rank::Made, None);
        }
    }

    fn events(&mut self, events: Vec<EventEntry>) {
        let own = events
            .into_iter()
            .filter(|event| event.user == self.who.user);
        for event in own.collect::<Vec<_>>() {
            let item = Item::Event(EventItem {
                id: event.id,
                event_type: event.event_type,
                area: event.area,
                fields: event.fields,
            });
            self.put(item, Rank::Made, None);
        }
    }

    fn queue(mut self) -> Vec<Queued> {
        self.items.sort_by_key(|(place, _)| *place);
        self.items.into_iter().map(|(_, item)| item).collect()
    }
}

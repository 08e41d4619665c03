//! What must hold: of every frame when it is sent, and of the whole world when it has come to rest.
//! Draws its conclusions from the ledger, the grants and Automerge, never from the judgements it checks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};
use doorstep_core::accept::ConflictKind;
use doorstep_core::ids::{AreaCode, ChangeHash, EventId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::protocol::frames::{Down, Entry};
use doorstep_core::records::{self, Merge};
use doorstep_core::rights::{Permission, Role};
use doorstep_core::store::{DeviceStore, ListQuery};
use doorstep_core::value::Value;

use super::ledger::{Ledger, Mark};
use super::oracle::{self, Document};
use super::server::Server;
use super::server::register::{Record, Register};
use super::world::World;

/// Nothing leaves the server that its reader may not hold at this moment.
///
/// # Errors
/// Names what should not have been sent.
pub fn may_be_sent(server: &Server, user: UserId, frame: &Down) -> anyhow::Result<()> {
    let Down::Batch(batch) = frame else {
        return Ok(());
    };
    let grants = &server.users[&user];
    let covered = |area: &AreaCode| {
        let covers = |(role, granted): &(Role, AreaCode)| {
            role.may(Permission::Sync) && granted.contains(area)
        };
        grants.iter().any(covers)
    };
    let own_scope = match batch.scope {
        ScopeId::Area(area) => covered(&area),
        ScopeId::User(whose) => whose == user,
        ScopeId::Common => true,
    };
    ensure!(own_scope, "{} was sent to {user}", batch.scope);
    for entry in batch.entries()? {
        let record = match &entry {
            Entry::Put(put) => put.record,
            Entry::Whole(whole) => whole.record,
            Entry::Event(event) => {
                ensure!(covered(&event.area), "event {} was sent", event.id);
                continue;
            }
            Entry::Own(..) | Entry::State(_) | Entry::Leave(_) | Entry::Erase(_) => continue,
        };
        let areas = areas_of(&server.register, record);
        ensure!(
            areas.iter().any(covered),
            "record {record} of {areas:?} was sent to {user}"
        );
    }
    Ok(())
}

/// Where a record belongs, worked out from the records alone: where its people live, else where it was made; one that
/// was merged away, nowhere.
fn areas_of(register: &Register, id: RecordId) -> BTreeSet<AreaCode> {
    if register.aliases.contains_key(&id) {
        return BTreeSet::new();
    }
    let made_in = |record: &Record| -> Option<AreaCode> {
        record.hold.registers.get("_area")?.as_text()?.parse().ok()
    };
    let is = |record: &Record, key: &str, value: &str| {
        record.hold.registers.get(key).and_then(Value::as_text) == Some(value)
    };
    let homes = register.records.values().filter(|record| {
        is(record, "_type", "residence")
            && is(record, "resident", &id.to_string())
            && !is(record, "status", "cancelled")
    });
    let homes: BTreeSet<AreaCode> = homes.filter_map(made_in).collect();
    let record = &register.records[&id];
    if is(record, "_type", "resident") && !homes.is_empty() {
        homes
    } else if is(record, "_type", "resident") {
        record.hold.areas.iter().copied().collect() // nobody lives anywhere: it stays where it was
    } else {
        made_in(record).into_iter().collect()
    }
}

/// Everything that must hold when the world has come to rest.
///
/// # Errors
/// Says what does not.
pub fn all(world: &mut World) -> anyhow::Result<()> {
    copies(world)?;
    conflicts_are_queued_once(world)
}

/// Everything but what is to be decided.
///
/// # Errors
/// Says what does not hold.
pub fn copies(world: &World) -> anyhow::Result<()> {
    honest_devices_raise_no_alarm(world)?;
    nothing_is_lost_or_doubled(world)?;
    documents_agree(&world.server.register)?;
    for number in 0..world.phones.len() {
        replica_is_equal(world, number).with_context(|| format!("phone {number}"))?;
    }
    Ok(())
}

/// One exception: a phone that lost its records, sent the edits it had left before the records came back, and was cut
/// off, may number another edit as one of those. The server keeps both.
fn honest_devices_raise_no_alarm(world: &World) -> anyhow::Result<()> {
    for (code, device) in &world.server.register.alarms {
        let phone = world
            .phones
            .iter()
            .find(|phone| phone.who.device == *device);
        let excused = phone.is_some_and(|phone| phone.lost_records) && code == "sequence_reused";
        ensure!(excused, "an honest device raised {code}");
    }
    Ok(())
}

/// Every edit that a phone kept is merged once or with the supervisor once; no phone has anything unsent.
fn nothing_is_lost_or_doubled(world: &World) -> anyhow::Result<()> {
    let register = &world.server.register;
    let mut places: BTreeMap<Mark, Vec<String>> = BTreeMap::new();
    for (id, record) in &register.records {
        for (hash, change) in &record.history {
            for mark in change
                .ops
                .iter()
                .filter_map(|op| mark_of(&op.key, &op.value))
            {
                let place = format!("merged in {id} as {hash:?}");
                places.entry(mark).or_default().push(place);
            }
        }
    }
    for refused in &register.refused {
        if let Some(mark) = Ledger::mark_of_item(&refused.item) {
            let place = format!("refused: {}", refused.refusal.code);
            places.entry(mark).or_default().push(place);
        }
    }
    for (mark, edit) in &world.ledger.edits {
        let found = places.get(mark).map(Vec::as_slice).unwrap_or_default();
        let phone = &world.phones[edit.phone];
        if phone.wiped {
            ensure!(found.len() <= 1, "e{mark} is doubled: {found:?}");
        } else {
            ensure!(found.len() == 1, "e{mark} of {edit:?} is in {found:?}");
        }
    }
    let mut events: BTreeMap<EventId, usize> = BTreeMap::new();
    for id in register.events.keys() {
        *events.entry(*id).or_default() += 1;
    }
    for refused in &register.refused {
        if let doorstep_core::envelope::Item::Event(event) = &refused.item {
            *events.entry(event.id).or_default() += 1;
        }
    }
    for (id, number) in &world.ledger.events {
        let found = events.get(id).copied().unwrap_or(0);
        let wiped = world.phones[*number].wiped;
        ensure!(found == 1 || (wiped && found == 0), "event {id}: {found}");
    }
    for (number, phone) in world.phones.iter().enumerate() {
        let left = phone.disk.outbox()?;
        ensure!(left.is_empty(), "phone {number} still has {left:?}");
    }
    Ok(())
}

fn mark_of(key: &str, value: &Value) -> Option<Mark> {
    let text = match key {
        "remark" => value.as_text()?.strip_prefix('e')?,
        key => key.strip_prefix("tags/e")?,
    };
    text.parse().ok()
}

/// Automerge makes of the same changes what the registers hold; logs' digests are their records'.
fn documents_agree(register: &Register) -> anyhow::Result<()> {
    for (id, record) in &register.records {
        let chunks = record.order.iter().map(|change| change.bytes.as_slice());
        let mut document = Document::from_changes(chunks)?;
        let theirs = document.seen()?;
        let ours = oracle::seen(&record.hold.registers);
        ensure!(theirs == ours, "{id}: Automerge {theirs:?}, ours {ours:?}");
        let areas: BTreeSet<AreaCode> = record.hold.areas.iter().copied().collect();
        let right = areas_of(register, *id);
        ensure!(areas == right, "{id} is in {areas:?}, not in {right:?}");
    }
    for (scope, log) in &register.logs {
        let digest = digest_of(register, *scope);
        ensure!(log.end().digest == digest, "the digest of {scope}");
    }
    Ok(())
}

fn digest_of(register: &Register, scope: ScopeId) -> ScopeDigest {
    let parts = register.members(scope);
    parts.fold(ScopeDigest::default(), |sum, (id, record)| {
        sum.plus(ScopeDigest::of_record(*id, record.hold.registers.heads()))
    })
}

/// A phone holds exactly what it may, and what it holds is what the server holds. One exception: a phone that had no
/// reason to notice that the server was restored, since nothing of its own was lost and the logs had grown as far again,
/// may miss messages and others' visits.
fn replica_is_equal(world: &World, number: usize) -> anyhow::Result<()> {
    let phone = &world.phones[number];
    let register = &world.server.register;
    let scopes: BTreeSet<ScopeId> = if phone.wiped {
        BTreeSet::new()
    } else {
        world.server.scopes_of(phone.who.user)
    };
    let mut wanted: BTreeMap<RecordId, BTreeSet<ScopeId>> = BTreeMap::new();
    for (id, record) in &register.records {
        let of = record.hold.areas.iter().map(|area| ScopeId::Area(*area));
        let of: BTreeSet<ScopeId> = of.filter(|scope| scopes.contains(scope)).collect();
        if !of.is_empty() {
            wanted.insert(*id, of);
        }
    }
    let query = ListQuery {
        cancelled: true,
        limit: usize::MAX,
        ..ListQuery::default()
    };
    let held: BTreeSet<RecordId> = phone.disk.list(&query)?.iter().map(|row| row.id).collect();
    let right: BTreeSet<RecordId> = wanted.keys().copied().collect();
    ensure!(
        held == right,
        "holds {:?} too much and {:?} too little",
        held.difference(&right).collect::<Vec<_>>(),
        right.difference(&held).collect::<Vec<_>>()
    );
    for (id, of) in &wanted {
        let record = &register.records[id];
        let Some(stored) = phone.disk.record(*id)? else {
            bail!("{id} is not held");
        };
        let ours: Vec<ScopeId> = phone.disk.scopes_of(*id)?;
        ensure!(
            ours.iter().copied().eq(of.iter().copied()),
            "{id} in {ours:?}, not {of:?}"
        );
        ensure!(
            stored.registers == record.hold.registers,
            "{id} holds\n{:?}\nthe server\n{:?}",
            oracle::seen(&stored.registers),
            oracle::seen(&record.hold.registers)
        );
        ensure!(
            stored.confirmed == record.hold.registers.heads(),
            "{id}: confirmed {:?}",
            stored.confirmed
        );
        let changes = phone.disk.changes(*id)?;
        ensure!(
            changes.iter().all(|change| change.confirmed),
            "{id}: all is confirmed"
        );
        let hashes: BTreeSet<ChangeHash> = changes.iter().map(|change| change.hash).collect();
        ensure!(
            hashes.len() == changes.len() && hashes.iter().eq(record.history.keys()),
            "{id}: the same changes"
        );
    }
    for (scope, cursor) in phone.disk.scopes()? {
        let end = register.logs.get(&scope).map(|log| log.end());
        ensure!(Some(cursor) == end, "{scope}: at {cursor:?} of {end:?}");
    }
    let unaware = world.server.restored && !phone.began_anew;
    let messages = register.logs.get(&ScopeId::User(phone.who.user));
    for state in messages.into_iter().flat_map(|log| log.states()) {
        let here = phone.disk.state(&state.key)?;
        ensure!(
            phone.wiped || unaware || here == Some(state.json),
            "{} did not come",
            state.key
        );
    }
    for (event, _) in register.events.values() {
        let here = phone.disk.event(event.id)?.as_ref() == Some(event);
        let right = scopes.contains(&ScopeId::Area(event.area));
        ensure!(
            here == right || (unaware && right && event.user != phone.who.user),
            "event {} here: {here}, by right: {right}",
            event.id
        );
    }
    Ok(())
}

/// One writer of a reviewed field, in the order of acceptance.
struct Write {
    mark: Mark,
    hash: ChangeHash,
    value: Value,
}

/// An item that should have been opened.
#[derive(Default)]
struct Wanted {
    values: BTreeMap<ChangeHash, Value>,
    open: bool,
}

/// Edits of one reviewed field with different values, whose authors could not see each other's, are in one item each,
/// and there is no other item.
fn conflicts_are_queued_once(world: &mut World) -> anyhow::Result<()> {
    let mut standing: BTreeMap<(RecordId, String), Vec<Write>> = BTreeMap::new();
    let mut wanted: BTreeMap<(RecordId, String), Vec<Wanted>> = BTreeMap::new();
    let mut before: BTreeMap<RecordId, BTreeSet<Mark>> = BTreeMap::new();
    let register = &world.server.register;
    for (id, hash) in &register.accepted {
        let record = &register.records[id];
        let bytes = record.order.iter().find(|change| change.hash == *hash);
        let bytes = &bytes.context("an accepted change")?.bytes;
        let mark = world.ledger.mark_of(*hash, bytes);
        let earlier = before.entry(*id).or_default();
        // A change of the server's own sees everything, and decides what is open.
        let edit = world.ledger.edits.get(&mark);
        let seen = edit.map_or_else(|| earlier.clone(), |edit| edit.seen.clone());
        earlier.insert(mark);
        let declared = records::record_type(&record.hold.record_type);
        for op in &record.history[hash].ops {
            let field = declared.and_then(|declared| declared.field(&op.key));
            if op.key == "status" || field.is_none_or(|field| field.merge != Merge::Review) {
                continue;
            }
            let name = (*id, op.key.clone());
            let writes = standing.entry(name.clone()).or_default();
            writes.retain(|write| !seen.contains(&write.mark));
            writes.push(Write {
                mark,
                hash: *hash,
                value: op.value.clone(),
            });
            let items = wanted.entry(name).or_default();
            if edit.is_none() {
                items.iter_mut().for_each(|item| item.open = false);
            }
            if writes.iter().any(|write| write.value != op.value) {
                if !items.last().is_some_and(|item| item.open) {
                    items.push(Wanted {
                        open: true,
                        ..Wanted::default()
                    });
                }
                if let Some(item) = items.last_mut() {
                    let values = writes.iter().map(|write| (write.hash, write.value.clone()));
                    item.values.extend(values);
                }
            }
        }
    }
    let of = |name: &(RecordId, String)| {
        let items = register.conflicts.iter();
        items
            .filter(|item| item.kind == ConflictKind::Field)
            .filter(|item| item.record == name.0 && item.subject == name.1)
            .collect::<Vec<_>>()
    };
    for (name, wanted) in &wanted {
        let found = of(name);
        ensure!(
            found.len() == wanted.len(),
            "{name:?}: {} items, not {}: {found:?}",
            found.len(),
            wanted.len()
        );
        for (found, wanted) in found.iter().zip(wanted) {
            ensure!(
                found.values == wanted.values && found.open == wanted.open,
                "{name:?}: {found:?}, not {:?}, open {}",
                wanted.values,
                wanted.open
            );
        }
    }
    let fields = register.conflicts.iter();
    for item in fields.filter(|item| item.kind == ConflictKind::Field) {
        let name = (item.record, item.subject.clone());
        ensure!(wanted.contains_key(&name), "{item:?} out of nothing");
    }
    cancellations_are_queued_once(world)
}

/// A record that one cancelled while another, not knowing, edited it, is in one item; one that is cancelled by those
/// who know everything of it is in none.
fn cancellations_are_queued_once(world: &mut World) -> anyhow::Result<()> {
    let register = &world.server.register;
    for (id, record) in &register.records {
        // The cancellations in force, and everything merged so far.
        let mut standing: Vec<(Mark, bool)> = Vec::new();
        let mut before: BTreeSet<Mark> = BTreeSet::new();
        let (mut must, mut may) = (false, false);
        for accepted in &record.order {
            let mark = world.ledger.mark_of(accepted.hash, &accepted.bytes);
            let edit = world.ledger.edits.get(&mark);
            let seen = edit.map_or_else(|| before.clone(), |edit| edit.seen.clone());
            let ops = &record.history[&accepted.hash].ops;
            let status = ops.iter().find(|op| op.key == "status");
            let cancels = status.is_some_and(|op| op.value == "cancelled".into());
            let in_force: Vec<Mark> = standing
                .iter()
                .filter(|(_, cancels)| *cancels)
                .map(|(mark, _)| *mark)
                .collect();
            if in_force.is_empty() {
                let unknown = cancels && !before.is_subset(&seen);
                (must, may) = (must || unknown, may || unknown);
            } else if !cancels {
                must |= in_force.iter().all(|cancel| !seen.contains(cancel));
                may |= in_force.iter().any(|cancel| !seen.contains(cancel));
            }
            if status.is_some() {
                standing.retain(|(mark, _)| !seen.contains(mark));
                standing.push((mark, cancels));
            }
            before.insert(mark);
        }
        let items = register
            .conflicts
            .iter()
            .filter(|item| item.record == *id && item.kind == ConflictKind::UpdateCancelled);
        let items = items.count();
        ensure!(
            items <= 1 && items >= usize::from(must) && items <= usize::from(may),
            "{id}: {items} items about its cancellation; must {must}, may {may}"
        );
    }
    Ok(())
}

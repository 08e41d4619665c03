//! What became of the edits that phones made: each is looked for by its mark on another phone of the village, which is
//! sent all that the register has; and what that phone then holds is counted beside the server's digest. Knows no node.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use doorstep_core::crdt::chunk;
use doorstep_core::envelope::Item;
use doorstep_core::ids::ScopeId;
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::store::DeviceStore;
use doorstep_server::testing::Member;

use super::phone::{FIELD, Phone};
use super::tally::Fleet;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// How many edits were looked for.
    pub(super) edits: u64,
    /// Acknowledged ones that are nowhere.
    pub(super) lost: u64,
    /// How often any is there once more.
    pub(super) doubled: u64,
    /// Villages of which a phone holds something else than the writer, or than the server's digest says.
    pub(super) differing: u64,
}

/// Looks for all edits of all writers. Nobody writes meanwhile.
pub(super) async fn look(
    fleet: &Fleet,
    members: &[Member],
    writers: &[Phone],
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for (number, writer) in writers.iter().enumerate() {
        let (area, own) = (writer.area(), writer.who.device);
        let other = members
            .iter()
            .find(|one| one.area == area && one.device != own)
            .with_context(|| format!("no other phone in {area}"))?;
        let mut reader = Phone::new(other, number)?;
        let scope = ScopeId::Area(area);
        let ends = reader.settle(fleet).await?;
        let end = ends.iter().find(|state| state.scope == scope);
        let end = end.with_context(|| format!("no log of {area}"))?.end;
        let id = writer.made.context("a writer without a record")?;
        let equal = reader.value_of(id)? == writer.value_of(id)?;
        if !equal || digest(&reader, scope)? != end.digest {
            found.differing += 1;
        }

        let mut times: BTreeMap<String, u64> = BTreeMap::new();
        for change in reader.store.changes(id)? {
            for mark in marks(&change.bytes)? {
                *times.entry(mark).or_default() += 1;
            }
        }
        let mut unsent = BTreeSet::new();
        for waiting in writer.store.outbox()? {
            if let Item::Change(item) = waiting.item {
                unsent.extend(marks(&item.bytes)?);
            }
        }
        for mark in &writer.marks {
            found.edits += 1;
            match times.remove(mark) {
                Some(times) => found.doubled += times - 1,
                None if unsent.contains(mark) => {}
                None => found.lost += 1,
            }
        }
        ensure!(times.is_empty(), "{id}: nobody wrote {times:?}");
    }
    Ok(found)
}

/// The digest of what a phone holds of a scope, counted from its records.
fn digest(phone: &Phone, scope: ScopeId) -> anyhow::Result<ScopeDigest> {
    let members = phone.store.members(&scope)?.into_iter();
    let confirmed = members.filter(|(_, heads)| !heads.is_empty());
    Ok(confirmed.fold(ScopeDigest::default(), |sum, (id, heads)| {
        sum.plus(ScopeDigest::of_record(id, &heads))
    }))
}

/// The marks that a change puts.
fn marks(change: &[u8]) -> anyhow::Result<Vec<String>> {
    let (change, _) = chunk::decode(change)?;
    let puts = change.ops.into_iter().filter(|put| put.key == FIELD);
    Ok(puts
        .filter_map(|put| put.value.as_text().map(str::to_owned))
        .collect())
}

//! What is asked after a row on a real server: every edit that a device acknowledged is there once, all devices and the
//! server hold the same, the audit log is whole, and the server has not panicked. Knows no fault.

use std::collections::BTreeMap;

use doorstep_client::Device;
use doorstep_core::crdt::chunk;
use doorstep_core::ids::{AreaCode, RecordId, ScopeId};
use doorstep_core::store::{DeviceStore, ListQuery};

use super::Figures;
use super::ground::{Ground, Marks, key_of};
use crate::sim::oracle::{Seen, seen};
use crate::town::tap;

/// What a device holds of an area.
pub(super) struct Holding {
    /// What the server refused of its work.
    refused: u64,
    /// By id: the type, and every value that stands or is disputed.
    records: BTreeMap<RecordId, (String, Seen)>,
}

impl Holding {
    /// Of a device, which is brought level first. The others have sent what they have.
    pub(super) async fn of<S: DeviceStore + Send + 'static>(
        device: &Device<S>,
        area: AreaCode,
    ) -> anyhow::Result<Self> {
        device.sync_once().await?;
        Self::here(device, area)
    }

    /// Of a device as it is.
    pub(super) fn here<S: DeviceStore + Send + 'static>(
        device: &Device<S>,
        area: AreaCode,
    ) -> anyhow::Result<Self> {
        let listed = device.list(&ListQuery {
            cancelled: true,
            limit: usize::MAX >> 1,
            ..ListQuery::default()
        })?;
        let mut records = BTreeMap::new();
        for listed in listed {
            let record = device.record(listed.id)?;
            if record.area == area {
                records.insert(record.id, (record.record_type, seen(&record.registers)));
            }
        }
        Ok(Self {
            refused: device.refused()?.len() as u64,
            records,
        })
    }

    /// How many records.
    pub(super) fn records(&self) -> usize {
        self.records.len()
    }

    /// Whether another holds the same.
    pub(super) fn agrees(&self, other: &Self) -> Result<(), String> {
        let ids = self.records.keys().chain(other.records.keys());
        let differing = ids.filter(|id| self.records.get(id) != other.records.get(id));
        match differing.min() {
            None if self.records.is_empty() => Err("nothing is held".to_owned()),
            None => Ok(()),
            Some(id) => Err(format!(
                "{id} is not the same on two devices of {} and {} records",
                self.records.len(),
                other.records.len()
            )),
        }
    }
}

/// Asks all of it. `marks` are the edits that devices acknowledged to their users, `holdings` what the devices hold in
/// the end; a new device of the supervisor's, which is sent everything there is, is what they are held against.
pub(super) async fn ask(
    ground: &mut Ground,
    marks: &Marks,
    holdings: &[Holding],
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let supervisor = ground.supervisor.clone();
    let reader = ground.light(&supervisor).await?;
    let read = Holding::of(&reader, ground.area).await?;
    for held in holdings {
        figures.lost += held.refused;
        figures.fault(held.agrees(&read));
    }
    figures.fault(stands_at_the_end(ground, &reader).await?);
    for (record, marks) in marks {
        let mut times: BTreeMap<String, u64> = BTreeMap::new();
        for change in reader.read(|store| store.changes(*record))? {
            let (decoded, _) = chunk::decode(&change.bytes)?;
            for op in decoded.ops {
                *times.entry(op.key).or_default() += 1;
            }
        }
        for mark in marks {
            match times.get(&key_of(mark)).copied().unwrap_or(0) {
                0 => figures.lost += 1,
                1 => {}
                more => figures.doubled += more - 1,
            }
        }
    }
    figures.fault(ground.is_sound().await);
    Ok(())
}

/// Whether a device's digest of the area is the server's, once it has followed what the server itself still wrote.
async fn stands_at_the_end<S: DeviceStore + Send + 'static>(
    ground: &Ground,
    device: &Device<S>,
) -> anyhow::Result<Result<(), String>> {
    let scope = ScopeId::Area(ground.area);
    let mut differing = String::new();
    for _ in 0..3 {
        device.sync_once().await?;
        let end = tap::end_of(&ground.server.url(), device, scope).await?;
        let scopes = device.read(DeviceStore::scopes)?;
        let held = scopes.into_iter().find(|(held, _)| *held == scope);
        if held.is_some_and(|(_, cursor)| cursor == end) {
            return Ok(Ok(()));
        }
        differing = format!("the device stands at {held:?}, the server at {end:?}");
    }
    Ok(Err(differing))
}

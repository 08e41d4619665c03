//! A server with the work's records in it, and people with phones. Knows no figure.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use doorstep_client::Device;
use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::rights::Role;
use doorstep_core::store::memory::MemoryStore;

use super::work::Work;
use crate::town::{Administrators, Person, Phone, Server, office, phone, routes};

/// Where the work's records live.
const AREA: &str = "310101002001";

/// See the module.
pub(super) struct Scene<'a> {
    pub(super) server: Server,
    pub(super) area: AreaCode,
    pub(super) supervisor: Person,
    pub(super) collector: Person,
    pub(super) auditor: Person,
    pub(super) work: &'a Work,
    /// The records of the work, in its order.
    pub(super) ids: Vec<RecordId>,
    folder: tempfile::TempDir,
    phones: usize,
}

impl<'a> Scene<'a> {
    /// Starts a server and brings the work's records in, by a supervisor's device.
    pub(super) async fn open(program: &Path, work: &'a Work) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("doorstep-bench-")
            .tempdir()?;
        let mut server = Server::new(program, &folder.path().join("server"))?;
        let Administrators {
            areas: giver,
            auditor,
            ..
        } = office::found(&mut server).await?;
        let supervisor = giver
            .appoint("supervisor", "主管", Role::Supervisor, AREA)
            .await?;
        let collector = giver
            .appoint("collector", "采集员", Role::Collector, AREA)
            .await?;
        let mut scene = Self {
            server,
            area: AREA.parse()?,
            supervisor,
            collector,
            auditor,
            work,
            ids: Vec::new(),
            folder,
            phones: 0,
        };
        scene.fill().await?;
        Ok(scene)
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        let place = self.place();
        let writer = phone::light(&self.server.url(), &self.supervisor, &place).await?;
        for record in &self.work.records {
            self.ids
                .push(writer.create(&record.r#type, self.area, record.fields.clone())?);
        }
        let report = writer.sync_once().await?;
        ensure!(
            report.accepted == self.ids.len() as u64,
            "the work was not accepted: {report:?}"
        );
        Ok(())
    }

    /// A new place on the disk, where nothing is yet.
    pub(super) fn place(&mut self) -> PathBuf {
        self.phones += 1;
        self.folder.path().join(format!("phone-{}", self.phones))
    }

    /// A collector's new phone, with nothing on it yet.
    pub(super) async fn phone(&mut self) -> anyhow::Result<Phone> {
        let place = self.place();
        let name = format!("phone-{}", self.phones);
        Phone::enrol(&self.server.url(), &self.collector, &name, &place).await
    }

    /// A collector's device that keeps everything in memory.
    pub(super) async fn light(&mut self) -> anyhow::Result<Device<MemoryStore>> {
        let place = self.place();
        phone::light(&self.server.url(), &self.collector, &place).await
    }

    /// How many disputes are in the queue.
    pub(super) async fn queued(&self) -> anyhow::Result<u64> {
        let path = format!("{}?area={}&limit=1", routes::CONFLICTS, self.area);
        let page = self.supervisor.api.get(&path).await?;
        let counts = page["counts"].as_array().cloned().unwrap_or_default();
        Ok(counts
            .iter()
            .filter_map(|count| count["count"].as_u64())
            .sum())
    }

    pub(super) fn close(mut self) -> anyhow::Result<()> {
        self.server.stop()
    }
}

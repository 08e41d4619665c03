//! The ground that live rows share: one real server with its own database, two villages, people and their devices. What
//! devices were told is held against the database itself. Knows no fault.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use doorstep_client::Device;
use doorstep_core::ids::{AreaCode, DeviceId, RecordId};
use doorstep_core::rights::Role;
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::value::{Fields, Value};
use sqlx::Connection;

use crate::town::office::database_of;
use crate::town::{Office, Person, Phone, phone, routes};

/// Where the others may not work.
const ELSEWHERE: &str = "310101002002";

/// See the module.
pub(super) struct Ground {
    office: Office,
    pub(super) elsewhere: AreaCode,
    /// A collector of the other village.
    pub(super) neighbour: Person,
}

impl std::ops::Deref for Ground {
    type Target = Office;

    fn deref(&self) -> &Office {
        &self.office
    }
}

impl std::ops::DerefMut for Ground {
    fn deref_mut(&mut self) -> &mut Office {
        &mut self.office
    }
}

/// Marks that devices were told are kept, by record: each is a tag that nobody else writes.
pub(super) type Marks = BTreeMap<RecordId, Vec<String>>;

impl Ground {
    /// Where a device may send as much as it likes: rows send a million mutants from one.
    pub(super) async fn open(program: &Path) -> anyhow::Result<Self> {
        Self::with_quota(program, u32::MAX).await
    }

    /// Where a device may send so many items an hour.
    pub(super) async fn with_quota(program: &Path, items: u32) -> anyhow::Result<Self> {
        let options = vec!["--device-items".to_owned(), items.to_string()];
        let office = Office::open_with(program, options).await?;
        let giver = &office.administrators.areas;
        let role = Role::Collector;
        let neighbour = giver.appoint("neighbour", "陈晨", role, ELSEWHERE).await?;
        Ok(Self {
            office,
            elsewhere: ELSEWHERE.parse()?,
            neighbour,
        })
    }

    /// A device that keeps everything in memory.
    pub(super) async fn light(&mut self, owner: &Person) -> anyhow::Result<Device<MemoryStore>> {
        let place = self.place();
        phone::light(&self.server.url(), owner, &place).await
    }

    /// A phone with its files on the disk.
    pub(super) async fn phone(&mut self, owner: &Person) -> anyhow::Result<Phone> {
        let place = self.place();
        Phone::enrol(&self.server.url(), owner, "phone", &place).await
    }

    /// One number that the database gives.
    pub(super) async fn number(&self, sql: &'static str) -> anyhow::Result<i64> {
        let mut database = database_of(&self.server).await?;
        let number = sqlx::query_scalar(sql).fetch_one(&mut database).await?;
        database.close().await?;
        Ok(number)
    }

    /// One number that the database gives of a device.
    pub(super) async fn number_of(
        &self,
        sql: &'static str,
        device: DeviceId,
    ) -> anyhow::Result<i64> {
        let mut database = database_of(&self.server).await?;
        let number = sqlx::query_scalar(sql)
            .bind(device.0)
            .fetch_one(&mut database)
            .await?;
        database.close().await?;
        Ok(number)
    }

    /// Whether the audit log is whole, and the server has not panicked.
    pub(super) async fn is_sound(&self) -> Result<(), String> {
        let auditor = &self.administrators.auditor.api;
        let said = auditor
            .get(routes::AUDIT_VERIFY)
            .await
            .map_err(|error| format!("the audit log can't be verified: {error:#}"))?;
        if !said["fault"].is_null() {
            return Err(format!("the audit log is broken: {said}"));
        }
        let log = std::fs::read_to_string(self.server.log()).unwrap_or_default();
        match log.lines().find(|line| line.contains("panicked")) {
            Some(line) => Err(format!("the server panicked: {line}")),
            None => Ok(()),
        }
    }

    pub(super) fn close(mut self) -> anyhow::Result<()> {
        self.office.server.stop()
    }

    /// Forgets how much memory the server's process held at most; gives what it holds now, in bytes.
    pub(super) fn begin_peak(&self) -> anyhow::Result<u64> {
        let pid = self.server.pid().context("the server does not run")?;
        // proc(5): 5 resets the peak.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        self.memory()
    }

    /// Memory that it held at most since then.
    pub(super) fn peak(&self) -> anyhow::Result<u64> {
        let pid = self.server.pid().context("the server does not run")?;
        status(&pid.to_string(), "VmHWM:")
    }

    /// Memory that the server's process holds now, in bytes.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        let pid = self.server.pid().context("the server does not run")?;
        resident_set(&pid.to_string())
    }
}

/// The document's key that a mark is written under.
pub(super) fn key_of(mark: &str) -> String {
    format!("tags/{mark}")
}

/// The edit that writes a mark.
pub(super) fn marking(mark: &str) -> Fields {
    Fields::from([(key_of(mark), Value::Bool(true))])
}

/// A resident with nothing remarkable.
pub(super) fn resident() -> Fields {
    [("name", "何晓梅"), ("sex", "2"), ("population_kind", "01")]
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .into()
}

/// Memory that a process holds (`self` for this one), in bytes.
pub(crate) fn resident_set(process: &str) -> anyhow::Result<u64> {
    status(process, "VmRSS:")
}

/// A line of a process's status that tells memory, in bytes.
fn status(process: &str, name: &'static str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes: u64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context(name)?
        .trim()
        .parse()?;
    ensure!(kilobytes > 0, "a process without memory");
    Ok(kilobytes * 1024)
}

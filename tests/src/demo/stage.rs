//! The stage: a server with the city's areas, a committee's register and people, and their phones after a first sync.
//! Knows nothing of what happens on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use doorstep_client::Event;
use doorstep_core::ids::AreaCode;
use doorstep_core::protocol::frames::Cursor;
use doorstep_core::rights::Role;
use serde_json::Value;

use super::{Options, Report, Say, imports};
use crate::repository;
use crate::town::{Administrators, Api, Person, Phone, Server, phone};

/// 云南中路居委会, whose register is bundled
const COMMITTEE: &str = "310101002001";

/// See the module.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) area: AreaCode,
    pub(super) administrators: Administrators,
    pub(super) supervisor: Person,
    /// 李静的手机, 李静的平板, 王强的手机, 陈晨的手机
    pub(super) phones: Vec<Phone>,
    pub(super) report: Report,
    accepted: Arc<AtomicU64>,
}

impl Stage {
    /// Sets it up.
    pub(super) async fn set(
        options: &Options,
        folder: &Path,
        say: &mut Say<'_>,
    ) -> anyhow::Result<Self> {
        say.step("服务器、区划与人员", "server, areas, people")?;
        let mut server = Server::new(&options.program, &folder.join("server"))?;
        let areas = server.command(&[
            "areas",
            "import",
            &fixture("shanghai-areas.csv").to_string_lossy(),
            "--json",
        ])?;
        let areas: Value = serde_json::from_str(&areas)?;
        say.timed(&format!("导入全市区划 {} 个", number(&areas, "/added")))?;
        let created = Administrators::create(&server)?;
        server.start().await?;
        say.timed("doorstep serve 已启动，自带的 PostgreSQL 在数据目录里")?;
        let administrators = Administrators::sign_in(&Api::new(server.url()), &created).await?;
        let giver = &administrators.areas;
        let supervisor = giver
            .appoint("zhou.min", "周敏", Role::Supervisor, COMMITTEE)
            .await?;
        let mut collectors = Vec::new();
        for (login, name) in [
            ("li.jing", "李静"),
            ("wang.qiang", "王强"),
            ("chen.chen", "陈晨"),
        ] {
            collectors.push(
                giver
                    .appoint(login, name, Role::Collector, COMMITTEE)
                    .await?,
            );
        }
        say.line("云南中路居委会：主管周敏，采集员李静、王强、陈晨")?;

        let mut stage = Self {
            server,
            area: COMMITTEE.parse()?,
            administrators,
            supervisor,
            phones: Vec::new(),
            report: Report::default(),
            accepted: Arc::default(),
        };
        stage.import(options, say).await?;
        stage.enrol(&collectors, folder, say).await?;
        Ok(stage)
    }

    /// Imports the committee's register.
    async fn import(&mut self, options: &Options, say: &mut Say<'_>) -> anyhow::Result<()> {
        say.step("导入居委会的人房登记", "the committee's register")?;
        for (record_type, file) in [("house", "houses.csv"), ("resident", "residents.csv")] {
            let file = fixture("community").join(file);
            self.report.rows_imported += imports::import(
                &self.supervisor,
                self.area,
                record_type,
                &file,
                options.rows,
                say,
            )
            .await?;
        }
        Ok(())
    }

    async fn enrol(
        &mut self,
        collectors: &[Person],
        folder: &Path,
        say: &mut Say<'_>,
    ) -> anyhow::Result<()> {
        say.step("登记设备，首次同步", "enrol, first sync")?;
        for (owner, name) in [
            (0, "李静的手机"),
            (0, "李静的平板"),
            (1, "王强的手机"),
            (2, "陈晨的手机"),
        ] {
            let place = folder.join(format!("phone-{}", self.phones.len() + 1));
            let phone = self.phone(&collectors[owner], name, &place).await?;
            phone.device.sync_once().await?;
            let down = phone.device.counters();
            let (residents, houses, ties) = (
                phone.count(Some("resident"))?,
                phone.count(Some("house"))?,
                phone.count(Some("residence"))?,
            );
            say.timed(&format!(
                "{name}：居民 {residents}，房屋 {houses}，居住关系 {ties}，下行 {:.1} MB",
                (down.socket_bytes_down + down.http_bytes_down) as f64 / 1e6
            ))?;
            self.phones.push(phone);
        }
        self.report.devices = self.phones.len();
        Ok(())
    }

    /// Enrols a phone whose answers are counted.
    pub(super) async fn phone(
        &self,
        owner: &Person,
        name: &str,
        folder: &Path,
    ) -> anyhow::Result<Phone> {
        let phone = Phone::enrol(&self.server.url(), owner, name, folder).await?;
        let (mut events, accepted) = (phone.device.events(), self.accepted.clone());
        tokio::spawn(async move {
            while let Ok(event) = events.recv().await {
                if let Event::Answered { accepted: more, .. } = event {
                    accepted.fetch_add(more as u64, Ordering::Relaxed);
                }
            }
        });
        Ok(phone)
    }

    /// How many items the server has accepted from all phones so far.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Waits until every phone stands where the server does; gives where that is. Nobody edits meanwhile.
    pub(super) async fn level(&mut self) -> anyhow::Result<Cursor> {
        phone::level(&self.server.url(), &mut self.phones, self.area).await
    }

    /// All phones get a signal.
    pub(super) fn all_online(&mut self) {
        for phone in &mut self.phones {
            phone.go_online();
        }
    }

    /// All phones lose it.
    pub(super) async fn all_offline(&mut self) -> anyhow::Result<()> {
        for phone in &mut self.phones {
            phone.go_offline().await?;
        }
        Ok(())
    }

    /// Ends everything.
    pub(super) async fn close(mut self) -> anyhow::Result<()> {
        self.all_offline().await?;
        self.server.stop()
    }

    /// Leaves the server up and says where.
    pub(super) fn keep(mut self, folder: PathBuf, say: &mut Say<'_>) -> anyhow::Result<()> {
        say.step("服务器继续运行", "the server stays up")?;
        let pid = self.server.stay().context("the server does not run")?;
        say.line(&format!(
            "地址 {}，数据 {}",
            self.server.url(),
            folder.display()
        ))?;
        for person in [
            &self.supervisor,
            &self.administrators.areas,
            &self.administrators.auditor,
        ] {
            say.line(&format!(
                "{}：{} / {}",
                person.name, person.login, person.password
            ))?;
        }
        say.line(&format!("停止 (to stop): kill {pid}"))
    }
}

fn fixture(file: &str) -> PathBuf {
    repository::root().join("tests/fixtures").join(file)
}

/// A number in an answer; 0 when there is none.
pub(super) fn number(answer: &Value, pointer: &str) -> u64 {
    answer
        .pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

//! A server with the city's areas, one village full of records, and people with phones in all the others.

use std::sync::Arc;

use anyhow::{Context, ensure};
use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::value::Value;
use doorstep_server::app::App;
use doorstep_server::clock::SystemClock;
use doorstep_server::config::Config;
use doorstep_server::database::Ownership;
use doorstep_server::testing::{Member, crowd};

use super::{Options, VILLAGE};
use crate::bench::scene::Scene;
use crate::bench::work::Work;
use crate::faults::resident_set;
use crate::town::{Api, Person, Phone, Server, routes};

const VILLAGES: &str =
    "SELECT code::text FROM areas WHERE level = 'village' AND retired_in IS NULL ORDER BY code";

/// See the module.
pub(super) struct Ground<'a> {
    pub(super) server: Server,
    scene: Scene<'a>,
}

/// Who has a phone.
pub(super) struct Members {
    /// Four to a village as far as the first go, then wherever there are villages.
    pub(super) crowd: Vec<Member>,
    /// Two of a village, for each time that they are asked.
    pub(super) pairs: Vec<Member>,
    /// Four to a village.
    pub(super) nodes: Vec<Member>,
}

impl<'a> Ground<'a> {
    pub(super) async fn open(options: &Options, work: &'a Work) -> anyhow::Result<(Self, Members)> {
        let mut scene = Scene::open(&options.program, work).await?;
        let members = members(&scene, options).await?;
        let placeholder = Server::new(&options.program, scene.server.data())?;
        let mut server = std::mem::replace(&mut scene.server, placeholder);
        // What filling it took is no phone's memory.
        server.stop()?;
        server.start().await?;
        Ok((Self { server, scene }, members))
    }

    /// Memory that the server's process holds, in bytes.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        let pid = self.server.pid().unwrap_or_default();
        resident_set(&pid.to_string())
    }

    /// A place for another node's data.
    pub(super) fn place(&mut self) -> std::path::PathBuf {
        self.scene.place()
    }

    /// A collector's new phone in the full village: a whole client, signed in, with nothing in its store on disk yet.
    pub(super) async fn phone(&mut self) -> anyhow::Result<Phone> {
        let place = self.scene.place();
        Phone::enrol(&self.server.url(), &self.scene.collector, "phone", &place).await
    }

    /// A resident of the full village, by any number, and the name to search for.
    pub(super) fn resident(&self, number: usize) -> anyhow::Result<(RecordId, String)> {
        let all = self.scene.work.records.iter().zip(&self.scene.ids);
        let residents: Vec<_> = all
            .filter(|(record, _)| record.r#type == "resident")
            .collect();
        let (record, id) = residents[number % residents.len()];
        let name = record.fields.get("name").and_then(Value::as_text);
        Ok((*id, name.context("a resident without a name")?.to_owned()))
    }

    /// How many records the full village has.
    pub(super) fn records(&self) -> u64 {
        self.scene.ids.len() as u64
    }

    /// Verifies the audit log over HTTP; gives how many entries it has.
    pub(super) async fn verify_audit(&self) -> anyhow::Result<u64> {
        let Person {
            name,
            login,
            password,
            ..
        } = &self.scene.auditor;
        // The first session may have ended: the steps before take longer than one may be idle.
        let auditor = Person::sign_in(&Api::new(self.server.url()), name, login, password).await?;
        let verdict = auditor.api.get(routes::AUDIT_VERIFY).await?;
        ensure!(
            verdict["fault"].is_null(),
            "the audit log is broken: {verdict}"
        );
        verdict["entries"].as_u64().context("no entries")
    }

    pub(super) fn close(mut self) -> anyhow::Result<()> {
        self.server.stop()
    }
}

async fn members(scene: &Scene<'_>, options: &Options) -> anyhow::Result<Members> {
    let config = Config::new(scene.server.data().to_owned());
    let app = App::open(config, Arc::new(SystemClock), Ownership::Share).await?;
    let mut tx = doorstep_server::database::system_tx(&app.state.pool).await?;
    let codes: Vec<String> = sqlx::query_scalar(VILLAGES).fetch_all(&mut *tx).await?;
    drop(tx);
    let mut villages = Vec::with_capacity(codes.len());
    for code in codes {
        let village: AreaCode = code.parse()?;
        if village != scene.area {
            villages.push(village);
        }
    }
    let size = options.size;
    let four = |number: usize| villages[number / VILLAGE % villages.len()];
    let mut places: Vec<AreaCode> = (0..size.online).map(four).collect();
    places.extend((size.online..size.all).map(|number| villages[number % villages.len()]));
    let last = |number: usize| villages[villages.len() - 1 - number / VILLAGE % villages.len()];
    let nodes: Vec<AreaCode> = (0..size.nodes).map(last).collect();
    let members = Members {
        crowd: crowd(&app.state, &places).await?,
        pairs: crowd(
            &app.state,
            &[last(0), last(0), last(VILLAGE), last(VILLAGE)],
        )
        .await?,
        nodes: crowd(&app.state, &nodes).await?,
    };
    app.close().await?;
    Ok(members)
}

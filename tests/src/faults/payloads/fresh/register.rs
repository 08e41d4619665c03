//! What stands in the register: records, items, checks, imports, photos, areas. Knows no password.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use doorstep_client::Device;
use doorstep_core::blob;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::{Envelope, VERSION};
use doorstep_core::identity::id_number::check_digit;
use doorstep_core::ids::RecordId;
use doorstep_core::protocol::frames::{Up, Welcome};
use doorstep_core::store::memory::MemoryStore;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::super::furnished::picture;
use super::super::super::ground::resident;
use super::{Fresh, Kind, PATIENCE, Thing, id_of, post, send};
use crate::repository;
use crate::town::routes;
use crate::town::tap::Tap;

/// Things of a kind that are made at a time, where that is cheaper.
const AT_ONCE: usize = 8;
const ADDRESSES: &str = "tests/fixtures/police/DZ_310101002001_20261120_0001.txt";
const AREAS: &str = "tests/fixtures/shanghai-areas.csv";

impl Fresh<'_> {
    /// Has two of whatever lists list, so that each has a second page; gives an import whose rows were checked.
    pub(in super::super) async fn live(&self) -> anyhow::Result<String> {
        let ground = &self.furnished.ground;
        let collector = &ground.collector.api;
        for _ in 0..2 {
            drop(self.take(Kind::Away).await?);
            let lodger = self.take(Kind::Lodger).await?;
            let path = format!("{}/{}/cancel", routes::RECORDS, lodger.values["residence"]);
            post(collector, &path, &json!({ "reason": "83" })).await?;
            let resident = self.resident().await?;
            let fields =
                json!({ "resident": resident, "address": "永嘉路5弄6号201室", "kind": "register" });
            self.create("residences", fields).await?;
            let device = self.device.lock().await;
            device.sync_once().await?;
            let now = device.now();
            let visit = [
                ("at", now.0.into()),
                ("resident", resident.into()),
                ("mode", "01".into()),
                ("purpose", "02".into()),
                ("result", "01".into()),
                (
                    "next_on",
                    now.date_in_shanghai().context("no day")?.to_string().into(),
                ),
            ];
            let visit = visit.map(|(key, value)| (key.to_owned(), value));
            device.record_event("visit", ground.area, visit.into())?;
            device.sync_once().await?;
        }
        self.alarm().await?;
        let addresses = repository::root().join(ADDRESSES);
        let import = ["addresses", "import", &addresses.to_string_lossy()];
        ground.server.command(&import)?;
        self.import(Kind::Checked).await
    }

    /// Has a device do two things that no honest device does.
    async fn alarm(&self) -> anyhow::Result<()> {
        let device = self.device.lock().await;
        let who = device.who();
        for (ahead, key) in [(5, &who.key), (0, &KeyPair::from_secret(&rand::random())?)] {
            let (mut tap, welcome) = self.tap(&device).await?;
            let envelope = Envelope {
                version: VERSION,
                device: who.device,
                user: who.user,
                seq: welcome.next_envelope + ahead,
                time: device.now(),
                items: Vec::new(),
            };
            tap.send(&Up::Push(envelope.seal(key))).await?;
            // Refused, or goodbye.
            tap.pushed().await.ok();
            tap.close().await;
        }
        let started = Instant::now();
        let ground = &self.furnished.ground;
        while ground.number("SELECT count(*) FROM alarms").await? < 2 {
            ensure!(started.elapsed() < PATIENCE, "no alarm was raised");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn tap(&self, device: &Device<MemoryStore>) -> anyhow::Result<(Tap, Welcome)> {
        let url = self.furnished.ground.server.url();
        let mut tap = Tap::open(&url, device, Vec::new()).await?;
        let welcome = tap.welcome().await?;
        Ok((tap, welcome))
    }

    /// One of a kind that is made one by one.
    pub(super) async fn one(&self, kind: Kind) -> anyhow::Result<Vec<Thing>> {
        let ground = &self.furnished.ground;
        let (collector, supervisor) = (&ground.collector.api, &ground.supervisor.api);
        let values: Vec<(&'static str, String)> = match kind {
            Kind::Decided => {
                let dispute = Box::pin(self.take(Kind::Dispute)).await?;
                let id = dispute.values["conflict_id"].clone();
                let path = format!("{}/{id}/decision", routes::CONFLICTS);
                let decision = json!({ "action": "take", "choice": 0 });
                supervisor.post(&path, &decision).await?;
                vec![("conflict_id", id)]
            }
            Kind::Pair => {
                let number = self.number();
                let body = format!(
                    "3101011980{:02}{:02}{:03}",
                    number / 336 % 12 + 1,
                    number / 12 % 28 + 1,
                    2 * (number % 12) + 1
                );
                let check = check_digit(&body).context("no check digit")?;
                let fields = json!({
                    "name": "叶海思", "sex": "1", "population_kind": "01", "certificate_kind": "111",
                    "id_number": format!("{body}{check}"),
                });
                self.create("residents", fields.clone()).await?;
                let other = self.create("residents", fields).await?;
                vec![
                    ("conflict_id", self.item(&other).await?),
                    ("survivor", other),
                ]
            }
            Kind::Refused => {
                let record = self.resident().await?;
                let device = self.device.lock().await;
                device.sync_once().await?;
                device.update(
                    record.parse()?,
                    &[("community_id".to_owned(), "A-1".into())].into(),
                )?;
                device.sync_once().await?;
                let id = self.item(&record).await?;
                let path = format!("{}/{id}", routes::CONFLICTS);
                let shown = supervisor.get(&path).await?;
                vec![("conflict_id", id), ("item", id_of(&shown["refused"][0])?)]
            }
            Kind::Resident => {
                let id = self.resident().await?;
                vec![("record_id", id.clone()), ("confirm", id)]
            }
            Kind::Away => {
                let id = self.resident().await?;
                let path = format!("/api/residents/{id}/away");
                let body = json!({ "reason": "01" });
                send(collector, Method::PUT, &path, &body).await?;
                vec![("resident_id", id)]
            }
            Kind::Lodger => {
                let resident = self.resident().await?;
                let fields = json!({ "resident": resident, "address": "永嘉路5弄6号201室", "kind": "living" });
                let residence = self.create("residences", fields).await?;
                vec![("resident_id", resident), ("residence", residence)]
            }
            Kind::House => {
                let address = format!("永嘉路{}弄6号", 1000 + self.number());
                let id = self
                    .create("houses", json!({ "address": address, "house_use": "1" }))
                    .await?;
                let resident = self.resident().await?;
                let fields = json!({ "resident": resident, "house": id, "kind": "living" });
                self.create("residences", fields).await?;
                vec![("record_id", id.clone()), ("house_id", id)]
            }
            Kind::Cancelled => {
                let id = self.resident().await?;
                let path = format!("{}/{id}/cancel", routes::RECORDS);
                post(collector, &path, &json!({ "reason": "99" })).await?;
                vec![("record_id", id)]
            }
            Kind::Id => vec![(
                "id",
                RecordId::new(self.device.lock().await.now(), rand::random()).to_string(),
            )],
            Kind::Bundle => {
                let device = self.device.lock().await;
                let (tap, welcome) = self.tap(&device).await?;
                tap.close().await;
                let mut offers = welcome.scopes.into_iter().filter_map(|state| state.bundle);
                let offer = offers.next().context("no bundle was offered")?;
                vec![("digest", hex::encode(offer.digest))]
            }
            Kind::Areas => {
                // Its last village is called otherwise each time.
                let tree = std::fs::read_to_string(repository::root().join(AREAS))?;
                let (all, last) = tree.trim_end().rsplit_once('\n').context("no areas")?;
                let last = last.replacen(',', &format!(",{}", self.number()), 1);
                vec![("file", format!("{all}\n{last}\n"))]
            }
            Kind::Uploaded | Kind::Checked | Kind::Done => {
                vec![("import_id", self.import(kind).await?)]
            }
            Kind::Upload => {
                let address = format!("永嘉路{}弄7号", 1000 + self.number());
                let house = self
                    .create("houses", json!({ "address": address, "house_use": "1" }))
                    .await?;
                let bytes = picture()?;
                let opening = json!({
                    "digest": blob::digest(&bytes), "size": bytes.len(), "type": "image/jpeg",
                    "record": house, "field": "photos",
                });
                let upload = collector.post(routes::PHOTOS, &opening).await?;
                vec![(
                    "upload",
                    upload["upload"].as_str().context("no upload")?.to_owned(),
                )]
            }
            _ => bail!("not made one by one"),
        };
        Ok(vec![Thing::of(values)])
    }

    async fn create(&self, path: &str, fields: Value) -> anyhow::Result<String> {
        let ground = &self.furnished.ground;
        let body = json!({ "area": ground.area.to_string(), "fields": fields });
        let said = ground
            .collector
            .api
            .post(&format!("/api/{path}"), &body)
            .await?;
        id_of(&said["record"])
    }

    async fn resident(&self) -> anyhow::Result<String> {
        self.create("residents", serde_json::to_value(resident())?)
            .await
    }

    /// The open item about a record.
    async fn item(&self, record: &str) -> anyhow::Result<String> {
        let path = format!("{}?status=open&record={record}", routes::CONFLICTS);
        let list = self.furnished.ground.supervisor.api.get(&path).await?;
        id_of(&list["items"][0]).with_context(|| format!("no item about {record}"))
    }

    /// Residents whose names a supervisor and a device that had not heard of it changed both.
    pub(super) async fn disputes(&self) -> anyhow::Result<Vec<Thing>> {
        let mut records = Vec::new();
        for _ in 0..AT_ONCE {
            let resident = self.resident().await?;
            let fields =
                json!({ "resident": resident, "address": "永嘉路5弄6号201室", "kind": "living" });
            let residence = self.create("residences", fields).await?;
            records.push((resident, residence));
        }
        let device = self.device.lock().await;
        device.sync_once().await?;
        for (record, _) in &records {
            let path = format!("{}/{record}", routes::RECORDS);
            let edit = json!({ "fields": { "name": "何静" } });
            let api = &self.furnished.ground.supervisor.api;
            send(api, Method::PATCH, &path, &edit).await?;
            device.update(
                record.parse()?,
                &[("name".to_owned(), "何靜".into())].into(),
            )?;
        }
        device.sync_once().await?;
        let mut things = Vec::new();
        for (record, residence) in records {
            let item = self.item(&record).await?;
            let path = format!("{}/{item}", routes::CONFLICTS);
            let shown = self.furnished.ground.supervisor.api.get(&path).await?;
            let own = shown["values"].as_array().into_iter().flatten();
            let own = own
                .clone()
                .find(|one| one["device"] == device.who().device.to_string());
            let values = [
                ("conflict_id", item.clone()),
                ("id", item),
                ("residence", residence),
                ("device", device.who().device.to_string()),
                (
                    "choice",
                    own.context("no value of the device's")?["choice"].to_string(),
                ),
            ];
            things.push(Thing::of(values));
        }
        Ok(things)
    }

    /// Residents of two main residences: an item for a supervisor, and a check for those responsible.
    pub(super) async fn claims(&self) -> anyhow::Result<Vec<Thing>> {
        let mut residents = Vec::new();
        for _ in 0..AT_ONCE {
            let resident = self.resident().await?;
            for address in ["陕西中路12弄28号1702室", "永嘉路5弄6号201室"] {
                let fields = json!({ "resident": resident, "address": address, "kind": "living", "main": true });
                self.create("residences", fields).await?;
            }
            residents.push(resident);
        }
        let mut things = Vec::new();
        let started = Instant::now();
        for resident in residents {
            let path = format!("/api/checks?resident={resident}");
            let check = loop {
                let list = self.furnished.ground.collector.api.get(&path).await?;
                if list["items"][0]["id"].is_string() {
                    break id_of(&list["items"][0])?;
                }
                ensure!(started.elapsed() < PATIENCE, "no check was opened");
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            let values = [
                ("check_id", check),
                ("conflict_id", self.item(&resident).await?),
            ];
            things.push(Thing::of(values));
        }
        Ok(things)
    }

    async fn import(&self, kind: Kind) -> anyhow::Result<String> {
        let ground = &self.furnished.ground;
        let file = format!(
            "姓名,性别,人员类别\r\n叶海思{0},男,流动人口\r\n叶海思{0},,\r\n",
            self.number()
        );
        let path = format!(
            "{}?type=resident&area={}&name=fresh",
            routes::IMPORTS,
            ground.area
        );
        let api = &ground.supervisor.api;
        let import = id_of(&api.post_file(&path, "text/csv", file.into_bytes()).await?)?;
        let path = format!("{}/{import}", routes::IMPORTS);
        let steps: &[(&str, &str)] = match kind {
            Kind::Checked => &[("check", "checked")],
            Kind::Done => &[("check", "checked"), ("run", "done")],
            _ => &[],
        };
        for (step, wanted) in steps {
            post(api, &format!("{path}/{step}"), &json!({})).await?;
            let started = Instant::now();
            while api.get(&path).await?["status"] != *wanted {
                ensure!(started.elapsed() < PATIENCE, "the import is not {wanted}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(import)
    }
}

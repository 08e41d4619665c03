//! A village with people, houses and those who work there.

use std::sync::atomic::{AtomicU64, Ordering};

use doorstep_core::crdt::{Registers, chunk};
use doorstep_core::crypto::actor;
use doorstep_core::envelope::{ChangeItem, EventItem, Item};
use doorstep_core::ids::{DeviceId, EventId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::rights::Role;
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value as Scalar};
use doorstep_server::random;
use doorstep_server::register::{self, Prepared, Submission, Submitter};
use doorstep_server::testing::city::{NEXT_VILLAGE, OTHER_VILLAGE, STREET, VILLAGE};
use doorstep_server::testing::{Person, Reply, TestDevice, TestServer};
use serde_json::{Value, json};

/// The server with a collector in each of three villages, a supervisor of the street of the first two, and an
/// administrator of that street.
pub(crate) struct Kit {
    pub(crate) server: TestServer,
    pub(crate) collector: Person,
    pub(crate) next: Person,
    pub(crate) stranger: Person,
    pub(crate) supervisor: Person,
    pub(crate) administrator: Person,
}

impl Kit {
    pub(crate) async fn new() -> Self {
        let server = TestServer::open_city().await.unwrap();
        let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
        let next = server.person(Role::Collector, NEXT_VILLAGE).await.unwrap();
        let stranger = server.person(Role::Collector, OTHER_VILLAGE).await.unwrap();
        let supervisor = server.person(Role::Supervisor, STREET).await.unwrap();
        let administrator = server
            .person(Role::AreaAdministrator, STREET)
            .await
            .unwrap();
        Self {
            server,
            collector,
            next,
            stranger,
            supervisor,
            administrator,
        }
    }

    pub(crate) async fn send(&self, who: &Person, method: &str, path: &str, body: Value) -> Reply {
        let body = (!body.is_null()).then_some(body);
        self.server
            .send(method, path, Some(&who.token), body)
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, who: &Person, path: &str) -> Value {
        self.server.get(who, path).await.unwrap()
    }

    /// A write on the version that stands now.
    pub(crate) async fn write(
        &self,
        who: &Person,
        method: &str,
        path: &str,
        record: &str,
        body: Value,
    ) -> Reply {
        let reply = self
            .send(who, "GET", &format!("/api/records/{record}"), Value::Null)
            .await;
        let tag = reply
            .headers
            .get("etag")
            .map(|tag| tag.to_str().unwrap().to_owned());
        let body = (!body.is_null()).then_some(body);
        let version = tag.as_deref().or(Some("\"0\""));
        self.server
            .send_if(method, path, Some(&who.token), version, body)
            .await
            .unwrap()
    }

    pub(crate) async fn edit(&self, who: &Person, record: &str, fields: Value) -> Value {
        let reply = self
            .write(
                who,
                "PATCH",
                &format!("/api/records/{record}"),
                record,
                json!({ "fields": fields }),
            )
            .await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    pub(crate) async fn create(
        &self,
        who: &Person,
        kind: &str,
        area: &str,
        fields: Value,
    ) -> String {
        let body = json!({ "id": next_id(), "area": area, "fields": fields });
        let reply = self.send(who, "POST", &format!("/api/{kind}s"), body).await;
        assert_eq!(reply.status, 201, "{kind} {fields}: {}", reply.body);
        reply.body["record"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn resident(&self, name: &str, birth: &str, more: Value) -> String {
        let mut fields = json!({
            "name": name, "sex": "1", "birth_date": birth, "population_kind": "01",
            "certificate_kind": "111", "id_number": id_number(birth, name.len()),
        });
        for (key, value) in more.as_object().cloned().unwrap_or_default() {
            fields[key] = value;
        }
        self.create(&self.collector, "resident", VILLAGE, fields)
            .await
    }

    pub(crate) async fn house(&self, address: &str, more: Value) -> String {
        let mut fields = json!({ "address": address, "house_use": "1" });
        for (key, value) in more.as_object().cloned().unwrap_or_default() {
            fields[key] = value;
        }
        self.create(&self.collector, "house", VILLAGE, fields).await
    }

    pub(crate) async fn tie(&self, resident: &str, house: &str, kind: &str, main: bool) -> String {
        let fields = json!({ "resident": resident, "house": house, "kind": kind, "main": main });
        let body = json!({ "id": next_id(), "fields": fields });
        let reply = self
            .send(&self.collector, "POST", "/api/residences", body)
            .await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.body["record"]["id"].as_str().unwrap().to_owned()
    }

    /// Values that a person's device puts.
    pub(crate) async fn put_from(
        &self,
        device: &TestDevice,
        who: &Person,
        area: &str,
        record: &str,
        kind: &str,
        fields: &[(&str, Scalar)],
    ) {
        let item = Prepared::Put {
            record: record.parse().unwrap(),
            record_type: kind.to_owned(),
            fields: fields
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        };
        assert_eq!(
            self.submit(device, who, area, item).await,
            Outcome::Accepted
        );
    }

    /// A visit that a person's device recorded; gives its id.
    pub(crate) async fn visit(
        &self,
        device: &TestDevice,
        who: &Person,
        at: Timestamp,
        fields: &[(&str, Scalar)],
    ) -> String {
        let id = random::id(at, EventId::new).unwrap();
        let mut all = Fields::from([
            ("at".to_owned(), at.0.into()),
            ("mode".to_owned(), "01".into()),
            ("purpose".to_owned(), "02".into()),
            ("result".to_owned(), "01".into()),
        ]);
        all.extend(
            fields
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone())),
        );
        let event = EventItem {
            id,
            event_type: "visit".into(),
            area: VILLAGE.parse().unwrap(),
            fields: all,
        };
        assert_eq!(
            self.submit(device, who, VILLAGE, Prepared::Event(event))
                .await,
            Outcome::Accepted
        );
        id.to_string()
    }

    async fn submit(
        &self,
        device: &TestDevice,
        who: &Person,
        area: &str,
        item: Prepared,
    ) -> Outcome {
        let who = Submitter {
            device: DeviceId(device.id),
            user: UserId(who.id),
            key: device.key.public(),
            grants: vec![(Role::Collector, area.parse().unwrap())],
        };
        let submission = Submission {
            who,
            envelope: None,
            items: vec![item],
        };
        let applied = register::commit(&self.server.state, vec![submission], |_| Vec::new())
            .await
            .unwrap();
        applied.receipts[0].outcomes[0].clone()
    }

    /// The last change that a device made of a record, as the device would send it again with one more after it.
    pub(crate) async fn change_of(&self, record: &str, device: &TestDevice) -> Prepared {
        let id: RecordId = record.parse().unwrap();
        let mut tx = doorstep_server::database::system_tx(&self.server.state.pool)
            .await
            .unwrap();
        let scope = ScopeId::Area(VILLAGE.parse().unwrap());
        let wholes = register::read::wholes(&mut tx, &self.server.state.keys, scope, &[id])
            .await
            .unwrap();
        let mut registers = Registers::default();
        for bytes in &wholes[0].changes {
            let (change, hash) = chunk::decode(bytes).unwrap();
            registers.apply(&change, hash).unwrap();
        }
        let puts = Fields::from([("remark".to_owned(), "离线修改".into())]);
        let (_, bytes, _) = registers.change(actor::derive(&device.key.public(), id, 0), 0, &puts);
        Prepared::from_item(Item::Change(ChangeItem {
            record: id,
            record_type: "resident".into(),
            epoch: 0,
            bytes,
        }))
    }

    /// A device's change that begins the record in an epoch.
    pub(crate) fn beginning(&self, record: &str, device: &TestDevice, epoch: u32) -> Prepared {
        let id: RecordId = record.parse().unwrap();
        let puts = Fields::from([
            ("_type".to_owned(), "resident".into()),
            ("_v".to_owned(), 1.into()),
            ("_area".to_owned(), VILLAGE.into()),
            ("name".to_owned(), "叶海思".into()),
        ]);
        let actor = actor::derive(&device.key.public(), id, epoch);
        let (_, bytes, _) = Registers::default().change(actor, 0, &puts);
        Prepared::from_item(Item::Change(ChangeItem {
            record: id,
            record_type: "resident".into(),
            epoch,
            bytes,
        }))
    }

    /// What a person's device sends, and what becomes of it.
    pub(crate) async fn resend(
        &self,
        device: &TestDevice,
        who: &Person,
        item: Prepared,
    ) -> Outcome {
        self.submit(device, who, VILLAGE, item).await
    }

    /// Houses of thirty buildings, most with two people, put in one go.
    pub(crate) async fn fill_village(&self, houses: usize) {
        let who = Submitter::server(&self.server.state, UserId(self.supervisor.id));
        let mut items = Vec::new();
        for number in 0..houses {
            let address = format!(
                "陕西中路12弄{}号{}{:02}室",
                number % 30 + 1,
                number / 30 / 4 + 1,
                number / 30 % 4 + 1
            );
            let house = self.item(
                "house",
                &[("address", address.into()), ("house_use", "1".into())],
            );
            for person in 0..2 {
                let name = format!("王{}{person}", number);
                let resident = self.item(
                    "resident",
                    &[
                        ("name", name.into()),
                        ("sex", "1".into()),
                        ("population_kind", "01".into()),
                    ],
                );
                let ids = (resident.record().to_string(), house.record().to_string());
                let kind = if person == 0 { "register" } else { "living" };
                items.push(self.item(
                    "residence",
                    &[
                        ("resident", ids.0.into()),
                        ("house", ids.1.into()),
                        ("kind", kind.into()),
                    ],
                ));
                items.push(resident);
            }
            items.push(house);
        }
        for chunk in items.chunks(2_000) {
            let submission = Submission {
                who: who.clone(),
                envelope: None,
                items: chunk.to_vec(),
            };
            register::commit(&self.server.state, vec![submission], |_| Vec::new())
                .await
                .unwrap();
        }
    }

    fn item(&self, kind: &str, fields: &[(&str, Scalar)]) -> Prepared {
        let mut all: Fields = fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        all.insert("_type".to_owned(), kind.into());
        all.insert("_v".to_owned(), 1.into());
        all.insert("_area".to_owned(), VILLAGE.into());
        let record = random::id(self.server.state.clock.timestamp(), RecordId::new).unwrap();
        Prepared::Put {
            record,
            record_type: kind.to_owned(),
            fields: all,
        }
    }

    /// How many messages of a kind a person has.
    pub(crate) async fn messages(&self, who: &Person, code: &str) -> i64 {
        let mut tx = doorstep_server::database::system_tx(&self.server.state.pool)
            .await
            .unwrap();
        sqlx::query_scalar("SELECT count(*) FROM states WHERE scope = $1 AND json LIKE $2")
            .bind(format!("user:{}", who.id))
            .bind(format!("%\"{code}\"%"))
            .fetch_one(&mut *tx)
            .await
            .unwrap()
    }

    /// The ids that a list gives.
    pub(crate) async fn found(&self, who: &Person, path: &str) -> Vec<String> {
        let body = self.get(who, path).await;
        let ids = body["items"].as_array().unwrap().iter();
        ids.map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Ids in the order of creation: the test's clock stands still, so the server's own would be in any.
fn next_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!(
        "0190a0a0-0000-7000-8000-{:012x}",
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A number with its check digit (GB 11643): district, birth, an odd sequence.
pub(crate) fn id_number(birth: &str, sequence: usize) -> String {
    let digits = format!(
        "310101{}{:03}",
        birth.replace('-', ""),
        (sequence * 2 + 1) % 1_000
    );
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits
        .bytes()
        .zip(weights)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    format!(
        "{digits}{}",
        char::from(b"10X98765432"[(sum % 11) as usize])
    )
}

/// An id as records have it.
pub(crate) fn record(id: &str) -> RecordId {
    id.parse().unwrap()
}

/// Text as a query's parameter.
pub(crate) fn quoted(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

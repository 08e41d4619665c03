//! Phones for tests that need what phones send but no websocket: changes are made by core on what the phone holds and
//! go through the register as if they had come over a socket.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::Utc;
use doorstep_core::crdt::{Registers, chunk};
use doorstep_core::crypto::actor;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::{ChangeItem, EventItem};
use doorstep_core::ids::{AreaCode, DeviceId, EventId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::rights::Role;
use doorstep_core::value::{Fields, Value};

use super::{Person, TestServer};
use crate::domains::audit::{Action, Entry};
use crate::random;
use crate::register::{self, Prepared, Submission, Submitter};

/// A collector's phone.
pub struct Phone {
    /// As the server knows it.
    pub who: Submitter,
    /// Its user.
    pub person: Person,
    area: AreaCode,
    held: BTreeMap<RecordId, (String, Registers)>,
    clock: i64,
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Phone({})", self.who.device)
    }
}

/// Fields from pairs of key and text.
#[must_use]
pub fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs
        .iter()
        .map(|(key, text)| ((*key).to_owned(), Value::from(*text)))
        .collect()
}

impl TestServer {
    /// The phone of a new collector in an area.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn phone(&self, area: &str) -> anyhow::Result<Phone> {
        let person = self.person(Role::Collector, area).await?;
        let device = self.device(&person).await?;
        let area: AreaCode = area.parse()?;
        let clock = self.state.clock.timestamp().0 + i64::from(random::bytes::<1>()?[0]);
        Ok(Phone {
            who: Submitter {
                device: DeviceId(device.id),
                user: UserId(person.id),
                key: public(&device.key),
                grants: vec![(Role::Collector, area)],
            },
            person,
            area,
            held: BTreeMap::new(),
            clock,
        })
    }

    /// Two phones in an area that wrote different names for one resident: the item, the resident and the phones.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn dispute(
        &self,
        area: &str,
    ) -> anyhow::Result<(uuid::Uuid, RecordId, Phone, Phone)> {
        let (mut one, mut two) = (self.phone(area).await?, self.phone(area).await?);
        let (resident, item) = one.resident("叶海思", "")?;
        one.send(self, vec![item]).await?;
        two.learn(resident, &one);
        let first = one.edit(resident, &fields(&[("name", "叶海斯")]))?;
        let second = two.edit(resident, &fields(&[("name", "叶海诗")]))?;
        one.send(self, vec![first]).await?;
        two.send(self, vec![second]).await?;
        Ok((self.conflict_of(resident).await?, resident, one, two))
    }

    /// The open conflict item of a record.
    ///
    /// # Errors
    /// When there is none.
    pub async fn conflict_of(&self, record: RecordId) -> anyhow::Result<uuid::Uuid> {
        let mut tx = crate::database::system_tx(&self.state.pool).await?;
        let id: Option<uuid::Uuid> = sqlx::query_scalar(OPEN_ITEM)
            .bind(record.0)
            .fetch_optional(&mut *tx)
            .await?;
        id.context("no open conflict item")
    }

    /// The server ties a resident to an address of an area, as a file brought in or someone with rights in both would:
    /// from then on phones there have the resident. Not the main residence.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn lives_at(
        &self,
        resident: RecordId,
        area: &str,
        address: &str,
    ) -> anyhow::Result<RecordId> {
        let record = random::id(self.state.clock.timestamp(), RecordId::new)?;
        let mut values = fields(&[
            ("_type", "residence"),
            ("_area", area),
            ("kind", "living"),
            ("address", address),
        ]);
        values.insert("_v".to_owned(), Value::Int(1));
        values.insert("resident".to_owned(), resident.to_string().into());
        values.insert("main".to_owned(), Value::Bool(false));
        let user = UserId(self.administrator(Role::AreaAdministrator)?.id);
        let submission = Submission {
            who: Submitter::server(&self.state, user),
            envelope: None,
            items: vec![Prepared::Put {
                record,
                record_type: "residence".to_owned(),
                fields: values,
            }],
        };
        let mut applied = register::commit(&self.state, vec![submission], |_| Vec::new()).await?;
        let outcome = applied
            .receipts
            .pop()
            .and_then(|one| one.outcomes.into_iter().next());
        anyhow::ensure!(outcome == Some(Outcome::Accepted), "{outcome:?}");
        Ok(record)
    }

    /// The register's present value of a field.
    ///
    /// # Errors
    /// When there is no such record.
    pub async fn value_of(&self, record: RecordId, key: &str) -> anyhow::Result<Option<Value>> {
        let mut tx = crate::database::system_tx(&self.state.pool).await?;
        let records = register::open(&mut tx, &self.state.keys, &[record]).await?;
        let opened = records.get(&record).context("no such record")?;
        Ok(opened.registers.get(key).cloned())
    }

    /// Whether the devices of an area hold a record.
    ///
    /// # Errors
    /// When the area's digest is not that of the records in it.
    pub async fn is_in(&self, area: &str, record: RecordId) -> anyhow::Result<bool> {
        let area = area.parse()?;
        let mut tx = crate::database::system_tx(&self.state.pool).await?;
        let members = register::read::members(&mut tx, area).await?;
        let mut sum = ScopeDigest::default();
        for (_, part) in &members {
            sum = sum.plus(*part);
        }
        let end = register::read::scope_end(&mut tx, ScopeId::Area(area)).await?;
        anyhow::ensure!(
            sum == end.digest,
            "the digest of {area} is not of its members"
        );
        Ok(members.iter().any(|(id, _)| *id == record))
    }

    /// What a user was told, by code.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages(&self, user: uuid::Uuid, code: &str) -> anyhow::Result<Vec<String>> {
        let mut tx = crate::database::system_tx(&self.state.pool).await?;
        let all: Vec<String> = sqlx::query_scalar(MESSAGES)
            .bind(format!("user:{user}"))
            .fetch_all(&mut *tx)
            .await?;
        let mark = format!("\"code\":\"{code}\"");
        Ok(all
            .into_iter()
            .filter(|json| json.contains(&mark))
            .collect())
    }
}

const OPEN_ITEM: &str = "SELECT id FROM conflicts WHERE record_id = $1 AND status = 'open' ORDER BY opened_at DESC LIMIT 1";
const MESSAGES: &str =
    "SELECT json FROM states WHERE scope = $1 AND key LIKE 'message/%' ORDER BY key";

fn public(key: &KeyPair) -> doorstep_core::crypto::sm2::PublicKey {
    key.public()
}

impl Phone {
    /// Puts its clock forward, as the clocks of phones are: by milliseconds.
    pub fn put_clock_forward(&mut self, by: i64) {
        self.clock += by;
    }

    fn tick(&mut self) -> i64 {
        self.clock += 1_000;
        self.clock
    }

    /// A new record, with what its type, version and area say.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn create(
        &mut self,
        record_type: &str,
        fields: &Fields,
    ) -> anyhow::Result<(RecordId, Prepared)> {
        let id = random::id(doorstep_core::time::Timestamp(self.clock), RecordId::new)?;
        Ok((id, self.create_as(id, record_type, fields)?))
    }

    /// The same with an id that no honest phone would choose.
    ///
    /// # Errors
    /// As [`Self::edit`].
    pub fn create_as(
        &mut self,
        id: RecordId,
        record_type: &str,
        fields: &Fields,
    ) -> anyhow::Result<Prepared> {
        let mut fields = fields.clone();
        fields.insert("_type".to_owned(), record_type.into());
        fields.insert("_v".to_owned(), Value::Int(1));
        fields
            .entry("_area".to_owned())
            .or_insert_with(|| self.area.to_string().into());
        self.held
            .insert(id, (record_type.to_owned(), Registers::default()));
        self.edit(id, &fields)
    }

    /// A new resident; without a number, one that has none.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn resident(&mut self, name: &str, number: &str) -> anyhow::Result<(RecordId, Prepared)> {
        let mut values = fields(&[("name", name), ("sex", "1"), ("population_kind", "01")]);
        if !number.is_empty() {
            values.insert("certificate_kind".to_owned(), "111".into());
            values.insert("id_number".to_owned(), number.into());
        }
        self.create("resident", &values)
    }

    /// A residence of a resident in this phone's area.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn residence(
        &mut self,
        resident: RecordId,
        address: &str,
        main: bool,
    ) -> anyhow::Result<(RecordId, Prepared)> {
        let mut values = fields(&[("kind", "living"), ("address", address)]);
        values.insert("resident".to_owned(), resident.to_string().into());
        values.insert("main".to_owned(), Value::Bool(main));
        self.create("residence", &values)
    }

    /// An edit on what the phone holds.
    ///
    /// # Errors
    /// When it holds no such record.
    pub fn edit(&mut self, record: RecordId, fields: &Fields) -> anyhow::Result<Prepared> {
        let now = self.tick();
        let (record_type, registers) = self.held.get_mut(&record).context("not held")?;
        let actor = actor::derive(&self.who.key, record, 0);
        let (change, bytes, hash) = registers.change(actor, now, fields);
        registers.apply(&change, hash)?;
        let item = ChangeItem {
            record,
            record_type: record_type.clone(),
            epoch: 0,
            bytes,
        };
        let decoded = chunk::decode(&item.bytes);
        Ok(Prepared::Change { item, decoded })
    }

    /// A visit.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn visit(&mut self, resident: RecordId, area: &str) -> anyhow::Result<(EventId, Prepared)> {
        let now = self.tick();
        let id = random::id(doorstep_core::time::Timestamp(now), EventId::new)?;
        let mut values = fields(&[("mode", "01"), ("result", "1")]);
        values.insert("resident".to_owned(), resident.to_string().into());
        values.insert("at".to_owned(), Value::Int(now));
        let item = EventItem {
            id,
            event_type: "visit".to_owned(),
            area: area.parse()?,
            fields: values,
        };
        Ok((id, Prepared::Event(item)))
    }

    /// Takes over what another phone holds of a record.
    pub fn learn(&mut self, record: RecordId, other: &Self) {
        if let Some(held) = other.held.get(&record) {
            self.held.insert(record, held.clone());
        }
    }

    /// Takes over what the register holds of a record.
    ///
    /// # Errors
    /// When there is no such record.
    pub async fn pull(&mut self, server: &TestServer, record: RecordId) -> anyhow::Result<()> {
        let mut tx = crate::database::system_tx(&server.state.pool).await?;
        let records = register::open(&mut tx, &server.state.keys, &[record]).await?;
        let opened = records.get(&record).context("no such record")?;
        self.held.insert(
            record,
            (opened.record_type.clone(), opened.registers.clone()),
        );
        Ok(())
    }

    /// Sends items to the register.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn send(
        &self,
        server: &TestServer,
        items: Vec<Prepared>,
    ) -> anyhow::Result<Vec<Outcome>> {
        let submission = Submission {
            who: self.who.clone(),
            envelope: None,
            items,
        };
        let at: chrono::DateTime<Utc> = server.state.clock.now();
        let entry = |_: &register::Applied| vec![Entry::by_server(at, Action::SyncPush)];
        let applied = register::commit(&server.state, vec![submission], entry).await?;
        Ok(applied
            .receipts
            .into_iter()
            .flat_map(|receipt| receipt.outcomes)
            .collect())
    }
}

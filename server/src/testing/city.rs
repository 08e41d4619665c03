//! A small city for tests: two districts with their streets and villages, the three first administrators, and
//! people and devices made the way real ones are: over HTTP.

use anyhow::{Context, ensure};
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::{AreaCode, AreaLevel};
use doorstep_core::rights::Role;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;

use super::{Reply, TestServer};
use crate::config::Config;
use crate::domains::areas;
use crate::domains::users::service::{NewAdministrator, create_first_administrator};

/// 上海市
pub const CITY: &str = "310000000000";
/// 黄浦区
pub const DISTRICT: &str = "310101000000";
/// 南京东路街道, in the district
pub const STREET: &str = "310101002000";
/// A village of the street
pub const VILLAGE: &str = "310101002001";
/// Another village of the street
pub const NEXT_VILLAGE: &str = "310101002002";
/// 徐汇区: another district
pub const OTHER_DISTRICT: &str = "310104000000";
/// A street of the other district
pub const OTHER_STREET: &str = "310104003000";
/// A village of the other district
pub const OTHER_VILLAGE: &str = "310104003001";

/// The tree of the areas above, as a file.
pub const TREE: &str = "code,name,level,parent
310000000000,上海市,city,
310101000000,黄浦区,district,310000000000
310101002000,南京东路街道,street,310101000000
310101002001,云南中路居委会,village,310101002000
310101002002,贵州居委会,village,310101002000
310104000000,徐汇区,district,310000000000
310104003000,天平路街道,street,310104000000
310104003001,永嘉新村居委会,village,310104003000
";

/// A user who is signed in at the console.
#[derive(Clone, Debug)]
pub struct Person {
    /// The user.
    pub id: Uuid,
    /// What they sign in with.
    pub login: String,
    /// Their present password.
    pub password: String,
    /// Their session.
    pub token: String,
}

/// A device of a person, signed in.
#[derive(Clone)]
pub struct TestDevice {
    /// The device.
    pub id: Uuid,
    /// Its key.
    pub key: KeyPair,
    /// Its session.
    pub token: String,
}

impl std::fmt::Debug for TestDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TestDevice({})", self.id)
    }
}

impl TestServer {
    /// Starts a server whose city has its areas and its three first administrators.
    ///
    /// # Errors
    /// When it doesn't start.
    pub async fn open_city() -> anyhow::Result<Self> {
        Self::open_city_with(|_| {}).await
    }

    /// The same with settings of the test's.
    ///
    /// # Errors
    /// When it doesn't start.
    pub async fn open_city_with(adjust: impl FnOnce(&mut Config)) -> anyhow::Result<Self> {
        let mut server = Self::start_with(adjust).await?;
        let options = serde_json::from_value(json!({ "effective_on": null }))?;
        areas::service::import(&server.state, None, TREE.as_bytes(), &options).await?;
        for role in [
            Role::AreaAdministrator,
            Role::SecurityAdministrator,
            Role::Auditor,
        ] {
            let login = format!("first-{}", role.code().replace('_', "-"));
            let password = "Initial-Pass-73".to_owned();
            let new = NewAdministrator {
                login: login.clone(),
                name: "管理员".into(),
                password: password.clone(),
                role,
            };
            let id = create_first_administrator(&server.state, new).await?;
            let person = server.first_sign_in(id.0, login, password).await?;
            server.administrators.insert(role, person);
        }
        Ok(server)
    }

    /// A person with a role in an area. At the city's level, administrators are the first ones.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn person(&self, role: Role, area: &str) -> anyhow::Result<Person> {
        let level = area.parse::<AreaCode>()?.level();
        if role.is_administrator() && level == AreaLevel::City {
            return self.administrator(role).cloned();
        }
        let giver = if Role::AreaAdministrator.may_grant(role) {
            Role::AreaAdministrator
        } else {
            Role::SecurityAdministrator
        };
        let giver = self.administrator(giver)?.clone();
        let person = self.person_without_role(area, &giver).await?;
        let grant = json!({ "role": role, "area": area });
        let path = format!("/api/users/{}/grants", person.id);
        let reply = self
            .send("POST", &path, Some(&giver.token), Some(grant))
            .await?;
        ensure!(
            reply.status == 201,
            "granting {role} in {area}: {}",
            reply.body
        );
        Ok(person)
    }

    /// A person who belongs to an area and may do nothing.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn person_without_role(&self, area: &str, giver: &Person) -> anyhow::Result<Person> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let login = format!("user{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let input = json!({ "login": login, "name": format!("测试{login}"), "area": area });
        let reply = self
            .send("POST", "/api/users", Some(&giver.token), Some(input))
            .await?;
        ensure!(reply.status == 201, "creating a user: {}", reply.body);
        let id = reply.body["user"]["id"]
            .as_str()
            .context("no id")?
            .parse()?;
        let temporary = reply.body["temporary_password"]
            .as_str()
            .context("no password")?
            .to_owned();
        self.first_sign_in(id, login, temporary).await
    }

    /// The city's first administrator of a kind.
    ///
    /// # Errors
    /// When the server was not started as a city.
    pub fn administrator(&self, role: Role) -> anyhow::Result<&Person> {
        self.administrators
            .get(&role)
            .with_context(|| format!("no first {role}"))
    }

    /// Signs in at the console.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn sign_in(&self, login: &str, password: &str) -> anyhow::Result<Reply> {
        self.send(
            "POST",
            "/api/auth/sign-in",
            None,
            Some(json!({ "login": login, "password": password })),
        )
        .await
    }

    async fn first_sign_in(
        &self,
        id: Uuid,
        login: String,
        temporary: String,
    ) -> anyhow::Result<Person> {
        let password = format!("Steady-Lamp-{}", id.simple());
        let token = token_of(&self.sign_in(&login, &temporary).await?)?;
        let change = json!({ "current": temporary, "new": password });
        let reply = self
            .send("POST", "/api/auth/password", Some(&token), Some(change))
            .await?;
        ensure!(
            reply.status == 204,
            "changing the first password: {}",
            reply.body
        );
        Ok(Person {
            id,
            login,
            password,
            token,
        })
    }

    /// Enrols a device for a person.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn device(&self, person: &Person) -> anyhow::Result<TestDevice> {
        let key = KeyPair::from_secret(&crate::random::bytes()?)?;
        let reply = self.enrol(person, &key).await?;
        ensure!(reply.status == 201, "enrolling a device: {}", reply.body);
        let id = reply.body["device"]
            .as_str()
            .context("no device")?
            .parse()?;
        Ok(TestDevice {
            id,
            key,
            token: token_of(&reply)?,
        })
    }

    /// Asks for the enrolment of a key.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn enrol(&self, person: &Person, key: &KeyPair) -> anyhow::Result<Reply> {
        let nonce = self.nonce().await?;
        let public = *key.public().as_bytes();
        let signature = key.sign(&[b"doorstep-enrol-v1", &nonce[..], &public[..]].concat());
        let input = json!({
            "login": person.login, "password": person.password, "public_key": hex::encode(public),
            "nonce": hex::encode(nonce), "signature": hex::encode(signature), "name": "测试机", "platform": "cli",
        });
        self.send("POST", "/api/devices", None, Some(input)).await
    }

    /// What a device sends to sign in, with `proof` (its password or token) added.
    ///
    /// # Errors
    /// When the server gives no nonce.
    pub async fn device_sign_in(&self, device: &TestDevice, proof: Value) -> anyhow::Result<Value> {
        let mut input = self.device_says(device, b"doorstep-sign-in-v1").await?;
        if let (Some(input), Some(proof)) = (input.as_object_mut(), proof.as_object()) {
            input.extend(proof.clone());
        }
        Ok(input)
    }

    /// What a device sends that signs a label with its key.
    ///
    /// # Errors
    /// When the server gives no nonce.
    pub async fn device_says(&self, device: &TestDevice, label: &[u8]) -> anyhow::Result<Value> {
        let nonce = self.nonce().await?;
        let signature = device
            .key
            .sign(&[label, &nonce[..], device.id.as_bytes()].concat());
        Ok(json!({
            "device": device.id, "nonce": hex::encode(nonce), "signature": hex::encode(signature),
        }))
    }

    async fn nonce(&self) -> anyhow::Result<Vec<u8>> {
        let reply = self
            .send("POST", "/api/auth/challenges", None, None)
            .await?;
        Ok(hex::decode(
            reply.body["nonce"].as_str().context("no nonce")?,
        )?)
    }
}

fn token_of(reply: &Reply) -> anyhow::Result<String> {
    Ok(reply.body["token"]
        .as_str()
        .with_context(|| format!("no token: {}", reply.body))?
        .to_owned())
}

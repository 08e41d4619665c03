//! People with their passwords, second factors, sessions and devices. Knows no record.

use anyhow::Context;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::rights::Role;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::json;

use super::{Fresh, Kind, Thing, id_of, post};
use crate::town::{Api, Person, routes};

/// Devices that somebody may have.
const DEVICES: usize = 10;

impl Fresh<'_> {
    /// An account, or what one is made or left with.
    pub(super) async fn account(&self, kind: Kind) -> anyhow::Result<Vec<Thing>> {
        let ground = &self.furnished.ground;
        let collector = &ground.collector.api;
        let values = match kind {
            Kind::Login => vec![("login", format!("fresh{}", self.number()))],
            Kind::Account => {
                let areas = &ground.administrators.areas.api;
                let new = json!({ "login": format!("fresh{}", self.number()), "name": "王强", "area": ground.area.to_string() });
                let id = id_of(&areas.post(routes::USERS, &new).await?["user"])?;
                let grant = json!({ "role": "collector", "area": ground.area.to_string() });
                let path = format!("{}/{id}/grants", routes::USERS);
                let grant = areas.post(&path, &grant).await?;
                vec![("user_id", id), ("grant_id", id_of(&grant)?)]
            }
            _ => {
                let who = &ground.collector;
                let secrets = json!({ "login": who.login, "password": who.password });
                let opened = collector.post(routes::SIGN_IN, &secrets).await?;
                let token = opened["token"].as_str().context("no token")?;
                let sessions = collector
                    .with_token(token)
                    .get("/api/auth/sessions")
                    .await?;
                let own = sessions
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|one| one["current"] == true);
                vec![("session_id", id_of(own.context("no session")?)?)]
            }
        };
        Ok(vec![Thing::of(values)])
    }

    /// What devices are enrolled with.
    pub(super) async fn keys(&self) -> anyhow::Result<Vec<Thing>> {
        let person = self.person().await?;
        (0..DEVICES).map(|_| key(&person)).collect()
    }

    async fn person(&self) -> anyhow::Result<Person> {
        let ground = &self.furnished.ground;
        let login = format!("fresh{}", self.number());
        let area = ground.area.to_string();
        let giver = &ground.administrators.areas;
        giver.appoint(&login, "王强", Role::Collector, &area).await
    }

    pub(super) async fn someone(&self) -> anyhow::Result<Thing> {
        let person = self.person().await?;
        let values = [
            ("login", person.login),
            ("current", person.password.clone()),
            ("password", person.password),
            ("user_id", person.id),
        ];
        Ok(Thing {
            values: values.into(),
            api: Some(person.api),
            ..Thing::default()
        })
    }

    /// Somebody who began with a second factor, or has one.
    pub(super) async fn factor(&self, kind: Kind) -> anyhow::Result<Thing> {
        let before = if kind == Kind::Factor {
            Kind::FactorBegun
        } else {
            Kind::Person
        };
        let mut thing = self.take(before).await?;
        thing.turn = None;
        let api = thing.api.clone().context("nobody")?;
        if kind == Kind::Factor {
            let code = json!({ "code": thing.values["code"] });
            api.post("/api/auth/second-factor/confirm", &code).await?;
            thing.steps.1 = thing.steps.0;
        } else {
            let begin = json!({ "password": thing.values["password"] });
            let begun = api.post("/api/auth/second-factor", &begin).await?;
            thing.factor = Some(decoded(begun["secret"].as_str().context("no secret")?));
        }
        Ok(thing)
    }

    /// Devices of somebody's: who had one stopped enrols no other.
    pub(super) async fn enrolled(&self) -> anyhow::Result<Vec<Thing>> {
        let person = self.person().await?;
        let mut things = Vec::new();
        for _ in 0..DEVICES {
            let mut thing = key(&person)?;
            self.renew(&mut thing).await?;
            let mut body = json!({ "name": "fresh", "platform": "cli" });
            for (name, value) in &thing.values {
                body[*name] = value.as_str().into();
            }
            let enrolled = person.api.post("/api/devices", &body).await?;
            let text = |name: &'static str| enrolled[name].as_str().context(name);
            let (id, token) = (text("device")?.to_owned(), text("token")?.to_owned());
            thing
                .values
                .extend([("device", id.clone()), ("device_id", id), ("token", token)]);
            thing.key = thing.key.map(|(secret, _)| (secret, "doorstep-sign-in-v1"));
            things.push(thing);
        }
        Ok(things)
    }

    /// A device that was told to wipe.
    pub(super) async fn wipe_ordered(&self) -> anyhow::Result<Thing> {
        let mut thing = Box::pin(self.take(Kind::Enrolled)).await?;
        thing.turn = None;
        let path = format!("/api/devices/{}/wipe", thing.values["device"]);
        let areas = &self.furnished.ground.administrators.areas.api;
        post(areas, &path, &json!({ "reason": "lost" })).await?;
        thing.key = thing.key.map(|(secret, _)| (secret, "doorstep-wiped-v1"));
        Ok(thing)
    }

    /// What is good but once: a nonce with what the device signs, a code.
    pub(super) async fn renew(&self, thing: &mut Thing) -> anyhow::Result<()> {
        if let Some((secret, label)) = thing.key {
            let key = KeyPair::from_secret(&secret)?;
            let nobody = Api::new(self.furnished.ground.server.url());
            let challenge = nobody.post("/api/auth/challenges", &json!({})).await?;
            let nonce = challenge["nonce"].as_str().context("no nonce")?.to_owned();
            let subject = match thing.values.get("device") {
                Some(device) => device.parse::<uuid::Uuid>()?.as_bytes().to_vec(),
                None => key.public().as_bytes().to_vec(),
            };
            let signed = key.sign(&[label.as_bytes(), &hex::decode(&nonce)?, &subject].concat());
            thing
                .values
                .extend([("nonce", nonce), ("signature", hex::encode(signed))]);
        }
        if let Some(secret) = &thing.factor {
            let (_, taken) = thing.steps;
            let step = (chrono::Utc::now().timestamp() / 30).max(taken + 1);
            thing.steps = (step, taken);
            thing.values.insert("code", code(secret, step)?);
        }
        Ok(())
    }
}

/// What somebody enrols a device with.
fn key(person: &Person) -> anyhow::Result<Thing> {
    let secret: [u8; 32] = rand::random();
    let public = KeyPair::from_secret(&secret)?.public();
    let values = [
        ("login", person.login.clone()),
        ("password", person.password.clone()),
        ("public_key", hex::encode(public.as_bytes())),
    ];
    Ok(Thing {
        values: values.into(),
        key: Some((secret, "doorstep-enrol-v1")),
        ..Thing::default()
    })
}

/// The one-time code of a step (RFC 6238).
fn code(secret: &[u8], step: i64) -> anyhow::Result<String> {
    let mut signer = Signer::new(MessageDigest::sha1(), &*PKey::hmac(secret)?)?;
    signer.update(&step.to_be_bytes())?;
    let digest = signer.sign_to_vec()?;
    let at = usize::from(digest[19] & 0x0f);
    let word = u32::from_be_bytes([
        digest[at] & 0x7f,
        digest[at + 1],
        digest[at + 2],
        digest[at + 3],
    ]);
    Ok(format!("{:06}", word % 1_000_000))
}

/// Base32 (RFC 4648) without padding.
fn decoded(text: &str) -> Vec<u8> {
    let mut bits: u64 = 0;
    let mut count = 0;
    let mut bytes = Vec::new();
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            _ => letter.wrapping_sub(b'2') + 26,
        };
        bits = (bits << 5 | u64::from(value)) & 0xffff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

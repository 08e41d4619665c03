//! Things for requests that use theirs up: a decision its item, an erasure its record, a sign-in its nonce. Each is made as
//! people and devices make it, and taken by one request; one that was refused leaves it to the next.

mod people;
mod register;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use doorstep_client::Device;
use doorstep_core::store::memory::MemoryStore;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::super::furnished::Furnished;
use crate::town::Api;
use crate::town::office::database_of;

/// How long the server may take to do what it does by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Account,
    Areas,
    Away,
    Bundle,
    Cancelled,
    Checked,
    Claim,
    Decided,
    Dispute,
    Done,
    Enrolled,
    Factor,
    FactorBegun,
    House,
    Id,
    Key,
    Lodger,
    Login,
    Pair,
    Person,
    Refused,
    Resident,
    Session,
    Upload,
    Uploaded,
    WipeOrdered,
}

/// By the names of requests, or of operations: what they use up, and the names of parameters and properties that say so.
const ANEW: [(&str, Kind, &[&str]); 44] = [
    ("answer_check", Kind::Claim, &["check_id"]),
    ("begin_second_factor", Kind::Person, &["password"]),
    ("cancel_record", Kind::House, &["record_id"]),
    ("change_password", Kind::Person, &["current"]),
    ("check_import", Kind::Uploaded, &["import_id"]),
    (
        "claim_main_residence",
        Kind::Lodger,
        &["resident_id", "residence"],
    ),
    ("clear_second_factor", Kind::Factor, &["user_id"]),
    ("confirm_second_factor", Kind::FactorBegun, &["code"]),
    (
        "confirm_wipe",
        Kind::WipeOrdered,
        &["device", "nonce", "signature"],
    ),
    ("create_house", Kind::Id, &["id"]),
    ("create_residence", Kind::Id, &["id"]),
    ("create_resident", Kind::Id, &["id"]),
    ("create_user", Kind::Login, &["login"]),
    ("decide_conflict", Kind::Dispute, &["conflict_id"]),
    ("decide_conflict accept", Kind::Refused, &["conflict_id"]),
    ("decide_conflict confirm", Kind::Claim, &["conflict_id"]),
    ("decide_conflict deny", Kind::Claim, &["conflict_id"]),
    ("decide_conflict merge", Kind::Pair, &["survivor"]),
    ("decide_conflict refuse", Kind::Refused, &["conflict_id"]),
    ("decide_conflicts", Kind::Dispute, &["id", "device"]),
    ("end_away", Kind::Away, &["resident_id"]),
    ("end_session", Kind::Session, &["session_id"]),
    (
        "enrol_device",
        Kind::Key,
        &["login", "password", "public_key", "nonce", "signature"],
    ),
    ("erase_record", Kind::Resident, &["record_id", "confirm"]),
    ("fetch_bundle", Kind::Bundle, &["digest"]),
    ("grant_role", Kind::Account, &["user_id"]),
    ("manage_house", Kind::House, &["house_id"]),
    ("import_areas", Kind::Areas, &["file"]),
    ("map_import", Kind::Uploaded, &["import_id"]),
    (
        "move_main_residence",
        Kind::Lodger,
        &["resident_id", "residence"],
    ),
    ("order_wipe", Kind::Enrolled, &["device_id"]),
    ("remove_second_factor", Kind::Factor, &["password", "code"]),
    ("reset_password", Kind::Account, &["user_id"]),
    ("restore_record", Kind::Cancelled, &["record_id"]),
    ("revoke_device", Kind::Enrolled, &["device_id"]),
    ("revoke_grant", Kind::Account, &["grant_id"]),
    ("run_import", Kind::Checked, &["import_id"]),
    ("send_photo_chunk", Kind::Upload, &["upload"]),
    ("sign_in", Kind::Person, &["login", "password"]),
    (
        "sign_in_device",
        Kind::Enrolled,
        &["device", "nonce", "signature", "password", "token"],
    ),
    ("undo_conflict", Kind::Decided, &["conflict_id"]),
    ("undo_import", Kind::Done, &["import_id"]),
    ("unlock_user", Kind::Account, &["user_id"]),
    ("update_user", Kind::Account, &["user_id"]),
];

/// Of these one does for all that don't use it up, one after another: each costs several passwords.
const SHARED: [Kind; 6] = [
    Kind::Enrolled,
    Kind::Factor,
    Kind::FactorBegun,
    Kind::Key,
    Kind::Person,
    Kind::WipeOrdered,
];

/// One of them.
#[derive(Default)]
pub(super) struct Thing {
    /// What stands for `{name}`.
    values: BTreeMap<&'static str, String>,
    /// Who asks, where it is nobody else's to do.
    pub(super) api: Option<Api>,
    /// A device's key, and what it signs its next nonce as.
    key: Option<([u8; 32], &'static str)>,
    /// What an authenticator app makes codes of.
    factor: Option<Vec<u8>>,
    /// The step of the present code, and of the last that was taken: each is good once.
    steps: (i64, i64),
    /// Held while another that wants one waits.
    turn: Option<OwnedMutexGuard<()>>,
}

impl Thing {
    fn of(values: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self {
            values: values.into_iter().collect(),
            ..Self::default()
        }
    }

    /// A text, or what stands for it.
    pub(super) fn fill<'a>(&'a self, text: &'a str) -> &'a str {
        let name = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        let value = name.and_then(|name| self.values.get(name));
        value.map_or(text, String::as_str)
    }

    /// The same of a value: a number where a number stands for it.
    pub(super) fn value(&self, text: &str) -> Value {
        match (text, self.values.get("choice")) {
            ("{choice}", Some(number)) => number.parse::<u64>().unwrap_or_default().into(),
            _ => self.fill(text).into(),
        }
    }

    /// What is sent as a file, where it is that.
    pub(super) fn file(&self) -> Option<Vec<u8>> {
        Some(self.values.get("file")?.clone().into_bytes())
    }

    /// Takes a text as what some names stand for from now on.
    fn learn(&mut self, from: &Value, name: &str, names: &[&'static str]) {
        for (name, text) in names.iter().zip(from[name].as_str().into_iter().cycle()) {
            self.values.insert(name, text.to_owned());
        }
    }
}

/// Whether a parameter or property of an operation says which of its things is meant.
pub(super) fn is_anew(operation: &str, name: &str) -> bool {
    ANEW.iter().any(|(request, _, names)| {
        request.split(' ').next() == Some(operation) && names.contains(&name)
    })
}

/// Whether a request of such a thing has the server work on passwords, which takes long by design.
pub(super) fn costs_passwords(kind: Kind) -> bool {
    SHARED.contains(&kind)
}

/// What a request uses up.
pub(super) fn kind(request: &str) -> Option<Kind> {
    let operation = request.split(' ').next().unwrap_or_default();
    [request, operation].into_iter().find_map(|wanted| {
        let (_, kind, _) = ANEW.iter().find(|(name, ..)| *name == wanted)?;
        Some(*kind)
    })
}

/// See the module.
pub(super) struct Fresh<'a> {
    furnished: &'a Furnished,
    /// Is behind whenever someone in the console changed something.
    device: Mutex<Device<MemoryStore>>,
    left: Mutex<BTreeMap<Kind, Vec<Thing>>>,
    turns: Mutex<BTreeMap<Kind, Arc<Mutex<()>>>>,
    made: AtomicU64,
}

impl<'a> Fresh<'a> {
    /// `device` is one of a collector of the village.
    pub(super) fn new(furnished: &'a Furnished, device: Device<MemoryStore>) -> Self {
        Self {
            furnished,
            device: Mutex::new(device),
            left: Mutex::default(),
            turns: Mutex::default(),
            made: AtomicU64::new(0),
        }
    }

    /// One that nobody used yet.
    pub(super) async fn take(&self, kind: Kind) -> anyhow::Result<Thing> {
        let turn = self.turns.lock().await.entry(kind).or_default().clone();
        let turn = turn.lock_owned().await;
        let left = self.left.lock().await.get_mut(&kind).and_then(Vec::pop);
        let mut thing = match left {
            Some(thing) => thing,
            None => {
                let made = Box::pin(self.make(kind)).await;
                let mut made = made.with_context(|| format!("{kind:?}"))?;
                let thing = made.pop().context("nothing was made")?;
                self.left
                    .lock()
                    .await
                    .entry(kind)
                    .or_default()
                    .append(&mut made);
                thing
            }
        };
        if costs_passwords(kind) {
            self.forgive().await?;
            thing.turn = Some(turn);
        }
        self.renew(&mut thing).await?;
        Ok(thing)
    }

    /// Gives back what a request left as it was, or known to be otherwise. A used thing is answered 409.
    pub(super) async fn leave(
        &self,
        kind: Kind,
        mut thing: Thing,
        operation: &str,
        status: u16,
        sent: &Value,
        answer: &str,
    ) {
        let _turn = thing.turn.take();
        let opened = || serde_json::from_str(answer).unwrap_or_default();
        // What it is from now on.
        let kind = match (status, operation) {
            (409, _) => None,
            (400..500, _) => Some(kind),
            (200..300, "confirm_second_factor") => {
                thing.steps.1 = thing.steps.0;
                Some(Kind::Factor)
            }
            (200..300, "remove_second_factor") => Some(Kind::Person),
            (200..300, "change_password") => {
                thing.learn(sent, "new", &["current", "password"]);
                Some(kind)
            }
            (200..300, "sign_in_device") => {
                thing.learn(&opened(), "token", &["token"]);
                Some(kind)
            }
            (200..300, "begin_second_factor" | "fetch_bundle" | "reset_password" | "sign_in")
            | (200..300, "unlock_user" | "update_user") => Some(kind),
            _ => None,
        };
        if let Some(kind) = kind {
            self.left.lock().await.entry(kind).or_default().push(thing);
        }
    }

    /// Forgets that passwords were guessed: whoever guesses is shut out, and nothing after that would be judged.
    async fn forgive(&self) -> anyhow::Result<()> {
        let mut database = database_of(&self.furnished.ground.server).await?;
        for table in ["failed_sign_ins", "sign_in_guards"] {
            let all = AssertSqlSafe(format!("DELETE FROM {table}"));
            sqlx::query(all).execute(&mut database).await?;
        }
        Ok(database.close().await?)
    }

    fn number(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    async fn make(&self, kind: Kind) -> anyhow::Result<Vec<Thing>> {
        match kind {
            Kind::Account | Kind::Login | Kind::Session => self.account(kind).await,
            Kind::Person => Ok(vec![self.someone().await?]),
            Kind::FactorBegun | Kind::Factor => Ok(vec![self.factor(kind).await?]),
            Kind::Key => self.keys().await,
            Kind::Enrolled => self.enrolled().await,
            Kind::WipeOrdered => Ok(vec![self.wipe_ordered().await?]),
            Kind::Dispute => self.disputes().await,
            Kind::Claim => self.claims().await,
            _ => self.one(kind).await,
        }
    }
}

/// Sends JSON, whatever the version of what it changes.
async fn send(api: &Api, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
    let with = |ask: RequestBuilder| ask.header("if-match", "*").json(body);
    let (status, text) = api.ask(method, path, with).await?;
    ensure!(status < 300, "{path}: {status} {text}");
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

async fn post(api: &Api, path: &str, body: &Value) -> anyhow::Result<Value> {
    send(api, Method::POST, path, body).await
}

fn id_of(thing: &Value) -> anyhow::Result<String> {
    let id = thing["id"].as_str();
    Ok(id.with_context(|| format!("no id in {thing}"))?.to_owned())
}

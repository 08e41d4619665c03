//! What one operator does at the console: asks, edits a file, registers a resident, decides an item of the queue. Every
//! request is timed, and what is refused fails, but for a write that another was faster with. Knows no figure.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use doorstep_core::ids::AreaCode;
use reqwest::Method;
use serde_json::{Value, json};

use super::ask::{self, QUEUE};
use super::{WHOLE, answers, invented};
use crate::town::{Api, routes};

/// So many people are there to be registered, beside the city's.
const NEW: usize = 1_000_000;

/// What all operators work on.
pub(super) struct Office {
    /// A street's supervisor.
    pub(super) street: Api,
    /// The city's.
    pub(super) city: Api,
    /// Residents whose files are opened and edited.
    pub(super) files: Vec<String>,
    /// The addresses of buildings' views.
    pub(super) views: Vec<String>,
    /// Where new residents are registered.
    pub(super) villages: Vec<AreaCode>,
    /// How many people there are.
    pub(super) residents: usize,
    /// How many of a village.
    pub(super) village: usize,
}

/// What requests took, in ms, and what came of the writes.
#[derive(Default)]
pub(super) struct Done {
    /// Simple questions.
    pub(super) simple: Vec<f64>,
    /// Writes.
    pub(super) writes: Vec<f64>,
    /// Complex questions.
    pub(super) complex: Vec<f64>,
    pub(super) edited: usize,
    pub(super) registered: usize,
    pub(super) decided: usize,
    /// Writes on what another had written, or decided, since it was read.
    pub(super) late: usize,
}

impl Done {
    /// With what another did.
    pub(super) fn add(&mut self, other: Self) {
        self.simple.extend(other.simple);
        self.writes.extend(other.writes);
        self.complex.extend(other.complex);
        self.edited += other.edited;
        self.registered += other.registered;
        self.decided += other.decided;
        self.late += other.late;
    }
}

/// One of what supervisors do all day, by how often they do it.
pub(super) async fn work(office: &Office, done: &mut Done) -> anyhow::Result<()> {
    match rand::random_range(0..100) {
        0..10 => edit(office, done).await,
        10..12 => register(office, done).await,
        12..15 => decide(office, done).await,
        drawn => question(office, done, drawn).await,
    }
}

async fn question(office: &Office, done: &mut Done, drawn: i32) -> anyhow::Result<()> {
    let (street, city) = (&office.street, &office.city);
    let someone = rand::random_range(0..office.residents);
    let neighbour = rand::random_range(0..office.village);
    let (times, api, path, fits): (_, _, _, fn(&Value, &str) -> bool) = match drawn {
        ..35 => {
            let path = format!("/api/residents/{}", any(&office.files));
            (&mut done.simple, city, path, answers::file)
        }
        35..53 => {
            let path = ask::residents(&invented::name(neighbour));
            (&mut done.simple, street, path, answers::page)
        }
        53..63 => {
            let path = ask::residents(&invented::id_number(someone));
            (&mut done.simple, city, path, answers::page)
        }
        // Others decide meanwhile: it may hold fewer than it counted.
        63..70 => (&mut done.simple, street, QUEUE.to_owned(), |queue, _| {
            queue["items"].is_array()
        }),
        70..78 => {
            let path = ask::residents(&invented::name(someone));
            (&mut done.complex, city, path, answers::page)
        }
        78..86 => {
            let path = "/api/residents?limit=50&count=true".to_owned();
            (&mut done.complex, street, path, answers::page)
        }
        86..93 => {
            let path = any(&office.views).clone();
            (&mut done.complex, street, path, answers::view)
        }
        _ => {
            let path = format!("/api/records/{}/history", any(&office.files));
            (&mut done.complex, city, path, answers::history)
        }
    };
    let answer = timed(times, api.get(&path)).await?;
    ensure!(fits(&answer, &path), "no answer to {path}");
    Ok(())
}

/// Opens a file and writes a remark.
async fn edit(office: &Office, done: &mut Done) -> anyhow::Result<()> {
    let (city, id) = (&office.city, any(&office.files));
    let path = format!("/api/residents/{id}");
    let file = timed(&mut done.simple, city.get(&path)).await?;
    ensure!(answers::file(&file, &path), "no answer to {path}");
    let remark = format!("已核对：{}", rand::random::<u32>());
    let body = json!({ "fields": { "remark": remark } });
    let path = format!("{}/{id}", routes::RECORDS);
    if write(city, done, Method::PATCH, &path, &file["resident"], &body).await? {
        done.edited += 1;
    }
    Ok(())
}

/// Registers someone who is new in the city.
async fn register(office: &Office, done: &mut Done) -> anyhow::Result<()> {
    let area = *any(&office.villages);
    let mut fields = invented::resident(WHOLE + rand::random_range(0..NEW), area);
    fields.retain(|key, _| !key.starts_with('_'));
    let body = json!({ "area": area.to_string(), "fields": fields });
    let asked = office.city.post("/api/residents", &body);
    timed(&mut done.writes, asked).await?;
    done.registered += 1;
    Ok(())
}

/// Opens the queue and one of its items, as far as there are any, and takes a value or finds nothing to decide.
async fn decide(office: &Office, done: &mut Done) -> anyhow::Result<()> {
    let street = &office.street;
    let queue = timed(&mut done.simple, street.get(QUEUE)).await?;
    let items = queue["items"].as_array().context("no queue")?;
    if items.is_empty() {
        return Ok(());
    }
    let id = any(items)["id"].as_str().context("no id")?;
    let path = format!("{}/{id}", routes::CONFLICTS);
    let item = timed(&mut done.simple, street.get(&path)).await?;
    let body = if item["kind"] == "field" {
        json!({ "action": "take", "choice": 0 })
    } else {
        json!({ "action": "dismiss" })
    };
    let path = format!("{path}/decision");
    if write(street, done, Method::POST, &path, &item, &body).await? {
        done.decided += 1;
    }
    Ok(())
}

/// Writes on the version that was read; `false` when another was faster, which is an answer too.
async fn write(
    api: &Api,
    done: &mut Done,
    method: Method,
    path: &str,
    read: &Value,
    body: &Value,
) -> anyhow::Result<bool> {
    let version = read["version"].as_i64().context("no version")?;
    let asked = api.ask(method, path, |request| {
        request
            .header("if-match", format!("\"{version}\""))
            .json(body)
    });
    let (status, text) = timed(&mut done.writes, asked).await?;
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    match (status, said["error"]["code"].as_str()) {
        (200, _) => Ok(true),
        (409, Some("already_decided")) | (412, Some("stale")) => {
            done.late += 1;
            Ok(false)
        }
        _ => bail!("{path}: {status} {text}"),
    }
}

async fn timed<T>(
    times: &mut Vec<f64>,
    answer: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let asked = Instant::now();
    let answer = answer.await?;
    times.push(asked.elapsed().as_secs_f64() * 1e3);
    Ok(answer)
}

fn any<T>(list: &[T]) -> &T {
    &list[rand::random_range(0..list.len())]
}

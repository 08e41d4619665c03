//! Payloads in every parameter of every route, and in every text of every JSON body, found in the API's own description.
//! Each request is asked as it stands first, and must be done: else what refuses a payload may be something else. What a
//! request uses up is made anew. Reading with payloads changes no row anywhere; writing with them loses none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::ensure;
use doorstep_client::Device;
use doorstep_core::store::memory::MemoryStore;
use futures_util::{StreamExt, stream};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::super::furnished::Furnished;
use super::super::ground::Ground;
use super::super::{Figures, Options};
use super::described::{self, Body, Place, Request};
use super::fresh::{self, Fresh, Thing};
use super::right::{self, NEVER, Right};
use super::{counts, sound};

/// Requests under way at a time.
const TOGETHER: usize = 6;
/// Payloads of a place in the short form.
const SOME: usize = 5;
/// The same where passwords are worked on.
const FEW: usize = 2;
/// The parameter that says where a page begins.
const CURSOR: &str = "cursor";
/// How long the server may do by itself what requests left it to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing changed for so long: it is done.
const STILL: Duration = Duration::from_secs(1);

/// What was answered, and whether the request was done.
struct Answer {
    status: u16,
    text: String,
    done: bool,
}

/// Gives what was done in words.
pub(super) async fn play(
    options: &Options,
    furnished: &Furnished,
    device: Device<MemoryStore>,
    payloads: &[String],
    figures: &mut Figures,
) -> anyhow::Result<String> {
    let ground = &furnished.ground;
    let fresh = Fresh::new(furnished, device);
    let right = Right::of(furnished, fresh.live().await?).await?;
    let requests = described::requests(furnished, &right).await?;
    let (mut reads, writes): (Vec<_>, Vec<_>) = requests
        .into_iter()
        .partition(|one| one.method == Method::GET);
    // What the writes make is what the lists turn pages of.
    as_they_stand(&writes, &fresh, figures).await;
    for request in &mut reads {
        turn_page(request).await?;
    }
    as_they_stand(&reads, &fresh, figures).await;
    for (name, why) in NEVER {
        let known = reads.iter().chain(&writes).any(|one| one.name == name);
        ensure!(
            known,
            "there is no {name}, which is said to be never done: {why}"
        );
    }
    let before = settled(ground).await?;
    let (mut requests, mut takers) = all(options, &reads, payloads, &fresh, figures).await;
    let after = counts(ground).await?;
    figures.fault(if before == after {
        Ok(())
    } else {
        Err(format!("reading changed rows: {before:?} {after:?}"))
    });
    let (more, others) = all(options, &writes, payloads, &fresh, figures).await;
    requests += more;
    takers.extend(others);
    let last = counts(ground).await?;
    for (table, rows) in &after {
        let left = last.get(table).copied();
        // What waited to be done may be done by now.
        let passes =
            ["photo_removals", "photo_uploads", "relation_reviews"].contains(&table.as_str());
        figures.fault(if passes || left >= Some(*rows) {
            Ok(())
        } else {
            Err(format!("{table} had {rows} rows, and has {left:?}"))
        });
    }
    let places: usize = reads
        .iter()
        .chain(&writes)
        .map(|one| one.places.len())
        .sum();
    let (taken, refused) = (takers.len(), places - takers.len());
    ensure!(taken > 0 && refused > 0, "{taken} places took payloads");
    Ok(format!(
        "{requests} requests to {places} places of the API, where right ones are done: \
         {taken} took payloads, {refused} refused all of theirs"
    ))
}

/// Asks each without a payload: it is done, or stands in the list of those that can't be.
async fn as_they_stand(requests: &[Request], fresh: &Fresh<'_>, figures: &mut Figures) {
    let asked = stream::iter(requests).map(|request| async move {
        let never = NEVER.iter().find(|(name, _)| *name == request.name);
        let answer = ask(request, None, fresh)
            .await
            .map_err(|error| format!("{error:#}"));
        match (answer, never) {
            (Err(why), _) => Err(why),
            (Ok(answer), Some((_, why))) if answer.done => Err(format!("is done after all: {why}")),
            (Ok(answer), None) if !answer.done => Err(format!(
                "isn't done as it stands: {} {}",
                answer.status, answer.text
            )),
            _ => Ok(()),
        }
        .map_err(|why| format!("{}: {why}", request.name))
    });
    let mut asked = asked.buffer_unordered(TOGETHER);
    while let Some(said) = asked.next().await {
        figures.fault(said);
    }
}

/// Every place with every payload; in the short form each payload is in some places and each place has some payloads.
/// Gives how many requests that were, and the places where one was taken.
async fn all(
    options: &Options,
    requests: &[Request],
    payloads: &[String],
    fresh: &Fresh<'_>,
    figures: &mut Figures,
) -> (u64, BTreeSet<String>) {
    let places = requests
        .iter()
        .flat_map(|one| one.places.iter().map(move |place| (one, place)));
    let mut work = Vec::new();
    let mut next = payloads.iter().cycle();
    for (request, place) in places {
        let each = match fresh::kind(&request.name) {
            _ if !options.short => payloads.len(),
            Some(kind) if fresh::costs_passwords(kind) => {
                // A payload is no secret: one shows that.
                if request.is_anew(place) { 1 } else { FEW }
            }
            _ => SOME,
        };
        work.extend(
            next.by_ref()
                .take(each)
                .map(|payload| (request, place, payload)),
        );
    }
    let count = work.len() as u64;
    let asked = stream::iter(work).map(|(request, place, payload)| async move {
        let what = format!("{} {place:?}", request.name);
        let said = match ask(request, Some((place, payload)), fresh).await {
            Err(error) => Err(format!("{error:#}")),
            Ok(answer) => judged(payload, &answer).map(|()| answer.done),
        };
        (what, payload, said)
    });
    let mut asked = asked.buffer_unordered(TOGETHER);
    let mut takers = BTreeSet::new();
    while let Some((what, payload, said)) = asked.next().await {
        figures.fault(match said {
            Ok(done) => {
                if done {
                    takers.insert(what);
                }
                Ok(())
            }
            Err(why) => Err(format!("{what} {payload:?}: {why}")),
        });
    }
    (count, takers)
}

fn judged(payload: &str, answer: &Answer) -> Result<(), String> {
    if answer.status == 429 {
        return Err(format!("the payload was not looked at: {}", answer.text));
    }
    sound(payload, answer.status, &answer.text)
}

/// Rows, once the server has done what it does by itself.
async fn settled(ground: &Ground) -> anyhow::Result<BTreeMap<String, i64>> {
    let started = Instant::now();
    let mut before = counts(ground).await?;
    loop {
        tokio::time::sleep(STILL).await;
        let now = counts(ground).await?;
        if now == before {
            return Ok(now);
        }
        ensure!(started.elapsed() < PATIENCE, "rows change by themselves");
        before = now;
    }
}

/// Gives a request for a further page the place where the first ends.
async fn turn_page(request: &mut Request) -> anyhow::Result<()> {
    let Some(at) = request.query.iter().position(|(name, _)| name == CURSOR) else {
        return Ok(());
    };
    let mut query = request.query.clone();
    query[at] = ("limit".to_owned(), "1".to_owned());
    let mut path = request.path.clone();
    for (name, id) in &request.ids {
        path = path.replace(&format!("{{{name}}}"), id);
    }
    let with = |asked: RequestBuilder| asked.query(&query);
    let (_, text) = request.api.ask(Method::GET, &path, with).await?;
    let page: Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(next) = page["next"].as_str() {
        next.clone_into(&mut request.query[at].1);
    }
    Ok(())
}

/// Asks as it stands, or with a payload in one of its places.
async fn ask(
    request: &Request,
    with: Option<(&Place, &str)>,
    fresh: &Fresh<'_>,
) -> anyhow::Result<Answer> {
    let kind = fresh::kind(&request.name);
    let thing = match kind {
        Some(kind) => fresh.take(kind).await?,
        None => Thing::default(),
    };
    let mut path = request.path.clone();
    for (name, value) in &request.ids {
        let value = match with {
            Some((Place::Path(at), payload)) if at == name => payload,
            _ => thing.fill(value),
        };
        path = path.replace(&format!("{{{name}}}"), &escaped(value));
    }
    let value_of = |(name, value): &(String, String)| match with {
        Some((Place::Query(at), payload)) if at == name => (name.clone(), payload.to_owned()),
        _ => (name.clone(), thing.fill(value).to_owned()),
    };
    let query: Vec<(String, String)> = request.query.iter().map(value_of).collect();
    let mut body = request.body.clone();
    match &mut body {
        Some(Body::Json(body)) => {
            fill(body, &thing);
            if let Some((Place::Body(pointer), payload)) = with
                && let Some(text) = body.pointer_mut(pointer)
            {
                *text = payload.into();
            }
        }
        Some(Body::File(bytes)) => {
            if let Some(file) = thing.file() {
                *bytes = file;
            }
        }
        None => {}
    }
    let own = thing.api.as_ref().filter(|_| request.own);
    let answer = own
        .unwrap_or(&request.api)
        .ask(request.method.clone(), &path, |mut asked| {
            if request.method != Method::GET {
                asked = asked.header("if-match", "*");
            }
            asked = match &body {
                Some(Body::Json(body)) => asked.json(body),
                Some(Body::File(bytes)) => asked.body(bytes.clone()),
                None => asked,
            };
            asked.query(&query)
        });
    let (status, text) = answer.await?;
    let done = right::is_done(&request.operation, status, &text);
    if let Some(kind) = kind {
        let sent = match &body {
            Some(Body::Json(body)) => body,
            _ => &Value::Null,
        };
        fresh
            .leave(kind, thing, &request.operation, status, sent, &text)
            .await;
    }
    Ok(Answer { status, text, done })
}

/// Puts things where they are named.
fn fill(value: &mut Value, thing: &Thing) {
    match value {
        Value::String(text) => *value = thing.value(text),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, thing)),
        Value::Object(map) => map.values_mut().for_each(|inner| fill(inner, thing)),
        _ => {}
    }
}

/// As one segment of a path, dots too: `..` would be a way, not a name.
fn escaped(text: &str) -> String {
    let hex = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(hex).collect()
}

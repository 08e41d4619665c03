//! Payloads in every parameter of every route, and in every text of every JSON body, found in the API's own description.
//! Each place is given right company, so that the payload is what is judged. Reading with them changes no row anywhere;
//! writing with them loses none.

use anyhow::Context;
use doorstep_core::rights::Permission;
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::super::furnished::Furnished;
use super::super::{Figures, Options};
use super::{counts, sound};
use crate::town::Api;

/// Requests under way at a time.
const TOGETHER: usize = 6;
/// Endless, or the end of the session that asks.
const LEFT_OUT: [&str; 2] = ["stream_notices", "sign_out"];

/// Where a payload goes.
#[derive(Clone, Debug)]
enum Place {
    Path(String),
    Query(String),
    /// A text of the body, by its pointer (RFC 6901); the whole body with it in place of the text.
    Body(String),
}

/// One request that waits for a payload.
#[derive(Clone, Debug)]
struct Ask {
    name: String,
    method: Method,
    path: String,
    api: Api,
    query: Vec<(String, String)>,
    body: Option<Value>,
    place: Place,
}

/// Gives what was done in words.
pub(super) async fn play(
    options: &Options,
    furnished: &Furnished,
    payloads: &[String],
    figures: &mut Figures,
) -> anyhow::Result<String> {
    let asks = asks(furnished).await?;
    let places = asks.len();
    let (reads, writes): (Vec<Ask>, Vec<Ask>) =
        asks.into_iter().partition(|ask| ask.method == Method::GET);
    let before = counts(&furnished.ground).await?;
    let mut requests = all(options, &reads, payloads, figures).await;
    let after = counts(&furnished.ground).await?;
    figures.fault(if before == after {
        Ok(())
    } else {
        Err(format!("reading changed rows: {before:?} {after:?}"))
    });
    requests += all(options, &writes, payloads, figures).await;
    let last = counts(&furnished.ground).await?;
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
    Ok(format!("{requests} requests to {places} places of the API"))
}

/// Every place with every payload; in the short form each payload is in some places and each place has some payloads.
async fn all(options: &Options, asks: &[Ask], payloads: &[String], figures: &mut Figures) -> u64 {
    let each = if options.short { 5 } else { payloads.len() };
    let mut work = Vec::new();
    for (at, ask) in asks.iter().enumerate() {
        for turn in 0..each {
            work.push((ask, &payloads[(at * each + turn) % payloads.len()]));
        }
    }
    let requests = work.len() as u64;
    let said = stream::iter(work).map(|(ask, payload)| async move {
        one(ask, payload)
            .await
            .map_err(|why| format!("{} {:?} {payload:?}: {why}", ask.name, ask.place))
    });
    let mut said = said.buffer_unordered(TOGETHER);
    while let Some(said) = said.next().await {
        figures.fault(said);
    }
    requests
}

async fn one(ask: &Ask, payload: &str) -> Result<(), String> {
    let (mut path, mut query, mut body) = (ask.path.clone(), ask.query.clone(), ask.body.clone());
    match &ask.place {
        Place::Path(name) => path = path.replace(&format!("{{{name}}}"), &escaped(payload)),
        Place::Query(name) => query.push((name.clone(), payload.to_owned())),
        Place::Body(pointer) => {
            if let Some(text) = body.as_mut().and_then(|body| body.pointer_mut(pointer)) {
                *text = payload.into();
            }
        }
    }
    let answer = ask.api.ask(ask.method.clone(), &path, |mut request| {
        if ask.method != Method::GET {
            request = request.header("if-match", "*");
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        request.query(&query)
    });
    let (status, text) = answer.await.map_err(|error| format!("{error:#}"))?;
    sound(payload, status, &text)
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

/// Every place of the description, each asked by who may.
async fn asks(furnished: &Furnished) -> anyhow::Result<Vec<Ask>> {
    let nobody = Api::new(furnished.ground.server.url());
    let document = nobody.get("/api/openapi.json").await?;
    let describe = Described {
        document: &document,
        furnished,
    };
    let mut asks = Vec::new();
    for (path, item) in document["paths"].as_object().context("no paths")? {
        for (method, operation) in item.as_object().context("no operations")? {
            let name = operation["operationId"].as_str().unwrap_or_default();
            if LEFT_OUT.contains(&name) {
                continue;
            }
            let access = operation["x-access"].as_str().unwrap_or_default();
            let api = match (access, access.parse::<Permission>()) {
                ("public", _) => nobody.clone(),
                (_, Ok(permission)) => furnished
                    .people
                    .iter()
                    .find(|(role, _)| role.may(permission))
                    .with_context(|| format!("nobody may {name}"))?
                    .1
                    .api
                    .clone(),
                _ => furnished.ground.collector.api.clone(),
            };
            let method: Method = method.to_uppercase().parse()?;
            asks.extend(describe.places(name, method, path, operation, &api));
        }
    }
    Ok(asks)
}

struct Described<'a> {
    document: &'a Value,
    furnished: &'a Furnished,
}

impl Described<'_> {
    fn places(
        &self,
        name: &str,
        method: Method,
        path: &str,
        operation: &Value,
        api: &Api,
    ) -> Vec<Ask> {
        let parameters = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let named = |at: &str| {
            let at = at.to_owned();
            let here = parameters
                .iter()
                .filter(move |one| one["in"] == at.as_str());
            here.map(|one| {
                (
                    one["name"].as_str().unwrap_or_default().to_owned(),
                    one.clone(),
                )
            })
            .collect::<Vec<_>>()
        };
        let text = |name: &str, parameter: &Value| match self.sample(name, &parameter["schema"]) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let content = &operation["requestBody"]["content"];
        let schema = &content["application/json"]["schema"];
        let bodies = if schema.is_object() {
            self.samples("", schema)
        } else {
            Vec::new()
        };
        let ask = |place: Place, body: Option<&Value>| {
            let mut full = path.to_owned();
            for (name, parameter) in named("path") {
                if !matches!(&place, Place::Path(here) if *here == name) {
                    full = full.replace(&format!("{{{name}}}"), &text(&name, &parameter));
                }
            }
            let company = named("query")
                .into_iter()
                .filter(|(name, parameter)| {
                    parameter["required"] == true
                        && !matches!(&place, Place::Query(here) if here == name)
                })
                .map(|(name, parameter)| (name.clone(), text(&name, &parameter)))
                .collect();
            Ask {
                name: name.to_owned(),
                method: method.clone(),
                path: full,
                api: api.clone(),
                query: company,
                body: body.cloned(),
                place,
            }
        };
        let first = bodies.first();
        let mut asks = Vec::new();
        for (name, _) in named("path") {
            asks.push(ask(Place::Path(name), first));
        }
        for (name, _) in named("query") {
            asks.push(ask(Place::Query(name), first));
        }
        for body in &bodies {
            let mut texts = Vec::new();
            pointers(body, "", &mut texts);
            asks.extend(
                texts
                    .into_iter()
                    .map(|text| ask(Place::Body(text), Some(body))),
            );
        }
        asks
    }

    /// A value of a schema, with real ids where the name says whose.
    fn sample(&self, name: &str, schema: &Value) -> Value {
        let mut all = self.samples(name, schema);
        if all.is_empty() {
            Value::Null
        } else {
            all.swap_remove(0)
        }
    }

    /// The same, one for each alternative.
    fn samples(&self, name: &str, schema: &Value) -> Vec<Value> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.document.pointer(reference.trim_start_matches('#'));
            return target.map_or_else(Vec::new, |target| self.samples(name, target));
        }
        if name == "fields" {
            // A record's, by key: these are residents'; of another type they are refused by name.
            return vec![json!({
                "name": "林朝霞", "sex": "2", "population_kind": "01", "remark": "x", "address": "永嘉路5弄6号",
            })];
        }
        if let Some(real) = self.furnished.things.get(name) {
            return real
                .iter()
                .take(1)
                .map(|real| real.as_str().into())
                .collect();
        }
        if let Some(listed) = schema["enum"].as_array() {
            return listed.iter().take(1).cloned().collect();
        }
        for either in ["oneOf", "anyOf"] {
            if let Some(parts) = schema[either].as_array() {
                return parts
                    .iter()
                    .filter(|part| part["type"] != "null")
                    .flat_map(|part| self.samples(name, part))
                    .collect();
            }
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let mut all = vec![Map::new()];
            for part in parts {
                let more = self.samples(name, part);
                all = all
                    .iter()
                    .flat_map(|one| {
                        more.iter().filter_map(Value::as_object).map(|more| {
                            one.iter()
                                .chain(more)
                                .map(|(k, v)| (k.clone(), v.clone()))
                                .collect()
                        })
                    })
                    .collect();
            }
            return all.into_iter().map(Value::Object).collect();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds
                .iter()
                .find(|kind| *kind != "null")
                .and_then(Value::as_str),
            kind => kind.as_str(),
        };
        vec![match kind {
            Some("object") => {
                let properties = schema["properties"].as_object().into_iter().flatten();
                let filled =
                    properties.map(|(name, inner)| (name.clone(), self.sample(name, inner)));
                Value::Object(filled.collect())
            }
            Some("array") => json!([self.sample(name, &schema["items"])]),
            Some("integer" | "number") => 1.into(),
            Some("boolean") => false.into(),
            _ => match schema["format"].as_str() {
                Some("uuid") => "01900000-0000-7000-8000-000000000000".into(),
                Some("date") => "2026-11-28".into(),
                Some("date-time") => "2026-12-28T00:00:00Z".into(),
                _ => "x".into(),
            },
        }]
    }
}

/// Where the texts of a value are.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{number}"), found);
            }
        }
        Value::Object(map) => {
            for (key, inner) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(inner, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

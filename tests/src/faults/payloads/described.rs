//! The API's requests, found in its own description: each with right company, so that a payload in one of its places is
//! what is judged. Knows no payload, and no answer.

use std::collections::BTreeMap;

use anyhow::Context;
use doorstep_core::rights::Permission;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::super::furnished::Furnished;
use super::right::{self, Right};
use crate::town::Api;

/// Endless, or the end of the session that asks.
const LEFT_OUT: [&str; 2] = ["stream_notices", "sign_out"];
/// What names an alternative of a body.
const TAGS: [&str; 2] = ["action", "rule"];

/// Where a payload goes.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Path(String),
    Query(String),
    /// A text of the body, by its pointer (RFC 6901).
    Body(String),
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Json(Value),
    File(Vec<u8>),
}

/// A request that is right as it stands, but for the things that are made anew for each: they stand as `{name}`.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) operation: String,
    /// The operation; of one that may be asked in several ways, with the parameter or the alternative.
    pub(super) name: String,
    pub(super) method: Method,
    /// With its parameters still named.
    pub(super) path: String,
    pub(super) api: Api,
    /// Whether anybody may ask it about themselves alone.
    pub(super) own: bool,
    pub(super) ids: BTreeMap<String, String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Body>,
    /// Where payloads go.
    pub(super) places: Vec<Place>,
}

impl Request {
    /// Whether what stands in a place is made anew for each.
    pub(super) fn is_anew(&self, place: &Place) -> bool {
        let text = match (place, &self.body) {
            (Place::Path(name), _) => self.ids.get(name).map(String::as_str),
            (Place::Body(pointer), Some(Body::Json(body))) => {
                body.pointer(pointer).and_then(Value::as_str)
            }
            _ => None,
        };
        text.is_some_and(|text| text.starts_with('{'))
    }
}

/// Every request of the description, each asked by who may.
pub(super) async fn requests(furnished: &Furnished, right: &Right) -> anyhow::Result<Vec<Request>> {
    let nobody = Api::new(furnished.ground.server.url());
    let document = nobody.get("/api/openapi.json").await?;
    let described = Described {
        document: &document,
        right,
    };
    let mut requests = Vec::new();
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
            requests.extend(described.of(name, &method, path, operation, &api));
        }
    }
    Ok(requests)
}

struct Described<'a> {
    document: &'a Value,
    right: &'a Right,
}

impl Described<'_> {
    /// Of one operation: one for each alternative of its body, and one for each parameter that may be left out.
    fn of(
        &self,
        operation: &str,
        method: &Method,
        path: &str,
        described: &Value,
        api: &Api,
    ) -> Vec<Request> {
        let parameters: Vec<(&str, &str, bool, String)> = described["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| {
                let name = one["name"].as_str().unwrap_or_default();
                let text = match self.sample(operation, name, &one["schema"]) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                let place = one["in"].as_str().unwrap_or_default();
                (place, name, one["required"] == true, text)
            })
            .collect();
        let of = |wanted: &'static str| parameters.iter().filter(move |(at, ..)| *at == wanted);
        let plain = Request {
            operation: operation.to_owned(),
            name: operation.to_owned(),
            method: method.clone(),
            path: path.to_owned(),
            api: api.clone(),
            own: described["x-access"] == "signed_in",
            ids: of("path")
                .map(|(_, name, _, text)| ((*name).to_owned(), text.clone()))
                .collect(),
            query: of("query")
                .filter(|(_, _, required, _)| *required)
                .map(|(_, name, _, text)| ((*name).to_owned(), text.clone()))
                .collect(),
            body: None,
            places: Vec::new(),
        };
        let mut first = plain.clone();
        first.places = plain.ids.keys().cloned().map(Place::Path).collect();
        let required = plain.query.iter().map(|(name, _)| name.clone());
        first.places.extend(required.map(Place::Query));
        let with = self.right.beside(operation, "");
        first
            .query
            .extend(with.map(|(name, text)| (name.to_owned(), text)));
        let content = &described["requestBody"]["content"];
        let mut requests = Vec::new();
        if let Some(schema) = content.pointer("/application~1json/schema") {
            for (without, mut body) in self.bodies(operation, schema) {
                let mut request = std::mem::replace(&mut first, plain.clone());
                let mut texts = Vec::new();
                pointers(&body, "", &mut texts);
                let tags = texts.iter().filter_map(|(pointer, text)| {
                    let last = pointer.rsplit('/').next()?;
                    TAGS.contains(&last).then_some(text.as_str())
                });
                let words = [operation].into_iter().chain(tags);
                request.name = words.chain(without).collect::<Vec<_>>().join(" ");
                Right::mend(&request.name, &mut body);
                request.places.extend(
                    texts
                        .iter()
                        .map(|(pointer, _)| Place::Body(pointer.clone())),
                );
                request.body = Some(Body::Json(body));
                requests.push(request);
            }
        } else {
            first.body = content
                .is_object()
                .then(|| Body::File(self.right.file(operation)));
            requests.push(first);
        }
        let alone = requests[0].body.clone();
        for (_, name, _, text) in of("query").filter(|(_, _, required, _)| !required) {
            let mut request = plain.clone();
            request.name = format!("{operation} {name}");
            request.body.clone_from(&alone);
            request.query.push(((*name).to_owned(), text.clone()));
            let with = self.right.beside(operation, name);
            request
                .query
                .extend(with.map(|(name, text)| (name.to_owned(), text)));
            request.places.push(Place::Query((*name).to_owned()));
            requests.push(request);
        }
        requests
    }

    /// One for each alternative, with what it goes without.
    fn bodies(&self, operation: &str, schema: &Value) -> Vec<(Option<&'static str>, Value)> {
        let all = self.samples(operation, "", schema);
        let apart = right::one_of(operation);
        if apart.is_empty() {
            return all.into_iter().map(|body| (None, body)).collect();
        }
        let without = |body: &Value, name: &str| {
            let mut body = body.clone();
            if let Some(body) = body.as_object_mut() {
                body.remove(name);
            }
            body
        };
        let of = |body: Value| {
            apart
                .iter()
                .map(move |name| (Some(*name), without(&body, name)))
        };
        all.into_iter().flat_map(of).collect()
    }

    /// A value of a schema, with real ids where the name says whose.
    fn sample(&self, operation: &str, name: &str, schema: &Value) -> Value {
        let mut all = self.samples(operation, name, schema);
        if all.is_empty() {
            Value::Null
        } else {
            all.swap_remove(0)
        }
    }

    /// The same, one for each alternative.
    fn samples(&self, operation: &str, name: &str, schema: &Value) -> Vec<Value> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.document.pointer(reference.trim_start_matches('#'));
            return target.map_or_else(Vec::new, |target| self.samples(operation, name, target));
        }
        if let Some(real) = self.right.value(operation, name) {
            return vec![real];
        }
        if let Some(listed) = schema["enum"].as_array() {
            return listed.iter().take(1).cloned().collect();
        }
        for either in ["oneOf", "anyOf"] {
            if let Some(parts) = schema[either].as_array() {
                return parts
                    .iter()
                    .filter(|part| part["type"] != "null")
                    .flat_map(|part| self.samples(operation, name, part))
                    .collect();
            }
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let mut all = vec![Map::new()];
            for part in parts {
                let more = self.samples(operation, name, part);
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
            Some("object") => return self.objects(operation, schema),
            Some("array") => json!([self.sample(operation, name, &schema["items"])]),
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

    /// One with the first alternative of each property, and one for each further alternative of a property.
    fn objects(&self, operation: &str, schema: &Value) -> Vec<Value> {
        let mut first = Map::new();
        let mut others = Vec::new();
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let mut all = self.samples(operation, name, inner).into_iter();
            first.insert(name.clone(), all.next().unwrap_or_default());
            others.extend(all.map(|other| (name.clone(), other)));
        }
        let with = |(name, other)| {
            let mut object = first.clone();
            object.insert(name, other);
            Value::Object(object)
        };
        let others: Vec<Value> = others.into_iter().map(with).collect();
        [Value::Object(first)].into_iter().chain(others).collect()
    }
}

/// Where the texts of a value are, and what they say.
fn pointers(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((at.to_owned(), text.clone())),
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

//! The fake server's photos: uploads in chunks, one for each record and digest, which can lose an answer or refuse a
//! photo.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Fake;

#[derive(Default)]
pub(crate) struct Uploads {
    /// By digest and record: the size told, and what has come.
    pub(crate) held: BTreeMap<String, (u64, Vec<u8>)>,
    pub(crate) requests: u32,
    /// This chunk is stored and its answer lost.
    pub(crate) lose_answer_of: Option<u32>,
    /// Digests that are refused, and with which code.
    pub(crate) refuse: Vec<(String, StatusCode, &'static str)>,
}

impl Uploads {
    /// What is here of a photo, each record's.
    pub(crate) fn of(&self, digest: &str) -> Vec<&[u8]> {
        let held = self.held.iter();
        let held = held.filter(|(upload, _)| upload.starts_with(digest));
        held.map(|(_, (_, bytes))| bytes.as_slice()).collect()
    }
}

fn view(upload: &str, size: u64, bytes: &[u8]) -> Json<Value> {
    Json(json!({ "upload": upload, "offset": bytes.len(), "complete": bytes.len() as u64 == size }))
}

pub(crate) async fn open(State(fake): State<Arc<Fake>>, Json(body): Json<Value>) -> Response {
    let mut uploads = fake.uploads.lock().unwrap();
    let digest = body["digest"].as_str().unwrap().to_owned();
    let size = body["size"].as_u64().unwrap();
    let refused = uploads
        .refuse
        .iter()
        .find(|(refused, ..)| *refused == digest);
    if let Some((_, status, code)) = refused {
        let error = json!({ "error": { "code": code, "message": "不收", "request_id": "1" } });
        return (*status, Json(error)).into_response();
    }
    let upload = format!("{digest}.{}", body["record"].as_str().unwrap());
    let held = uploads.held.entry(upload.clone());
    let (size, bytes) = held.or_insert((size, Vec::new()));
    view(&upload, *size, bytes).into_response()
}

pub(crate) async fn chunk(
    State(fake): State<Arc<Fake>>,
    Path((upload, offset)): Path<(String, usize)>,
    body: Bytes,
) -> Response {
    let mut uploads = fake.uploads.lock().unwrap();
    uploads.requests += 1;
    let lost = uploads.lose_answer_of == Some(uploads.requests);
    let (size, bytes) = uploads.held.get_mut(&upload).unwrap();
    if offset != bytes.len() {
        let error =
            json!({ "error": { "code": "offset", "message": "位置不对", "request_id": "1" } });
        return (StatusCode::CONFLICT, Json(error)).into_response();
    }
    bytes.extend_from_slice(&body);
    if lost {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    view(&upload, *size, bytes).into_response()
}

pub(crate) async fn download(
    State(fake): State<Arc<Fake>>,
    Path(digest): Path<String>,
) -> Response {
    let uploads = fake.uploads.lock().unwrap();
    match uploads.of(&digest).first() {
        Some(bytes) => bytes.to_vec().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

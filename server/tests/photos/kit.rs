//! A village with those who work there, and a phone that sends photos by hand.

use std::io::Cursor;
use std::time::Duration;

use doorstep_core::blob;
use doorstep_core::rights::Role;
use doorstep_server::config::Config;
use doorstep_server::database::system_tx;
use doorstep_server::domains::photos;
use doorstep_server::testing::city::{NEXT_VILLAGE, OTHER_VILLAGE, STREET, VILLAGE};
use doorstep_server::testing::{Person, Reply, TestServer};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, RgbImage};
use reqwest::header::{HeaderMap, HeaderName};
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
    client: reqwest::Client,
}

/// What came back that is no JSON.
pub(crate) struct Bytes {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Bytes {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }
}

/// A photo with so much noise that a side of 600 makes several chunks.
pub(crate) fn photo(side: u32, seed: u32) -> Vec<u8> {
    let mut grain = seed + 1;
    let picture = RgbImage::from_fn(side, side, |_, _| {
        grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgb([(grain >> 24) as u8, (grain >> 16) as u8, (grain >> 8) as u8])
    });
    let mut out = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut out, 100);
    picture.write_with_encoder(encoder).unwrap();
    out
}

pub(crate) fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// What opens a photo's upload.
pub(crate) fn opening(record: &str, field: &str, bytes: &[u8]) -> Value {
    json!({
        "digest": blob::digest(bytes), "size": bytes.len(), "type": "image/jpeg",
        "record": record, "field": field,
    })
}

impl Kit {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let server = TestServer::open_city_with(adjust).await.unwrap();
        let person = async |role, area| server.person(role, area).await.unwrap();
        Self {
            collector: person(Role::Collector, VILLAGE).await,
            next: person(Role::Collector, NEXT_VILLAGE).await,
            stranger: person(Role::Collector, OTHER_VILLAGE).await,
            supervisor: person(Role::Supervisor, STREET).await,
            administrator: person(Role::AreaAdministrator, STREET).await,
            server,
            client: reqwest::Client::new(),
        }
    }

    pub(crate) async fn send(&self, who: &Person, method: &str, path: &str, body: Value) -> Reply {
        let body = (!body.is_null()).then_some(body);
        let token = Some(who.token.as_str());
        self.server.send(method, path, token, body).await.unwrap()
    }

    async fn create(&self, who: &Person, kind: &str, area: &str, fields: Value) -> String {
        let body = json!({ "area": area, "fields": fields });
        let reply = self.send(who, "POST", &format!("/api/{kind}"), body).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.body["record"]["id"].as_str().unwrap().to_owned()
    }

    /// A resident of the village whose portrait these bytes are.
    pub(crate) async fn resident(&self, portrait: &[u8]) -> String {
        let fields = json!({
            "name": "叶海思", "sex": "1", "population_kind": "01", "portrait": blob::digest(portrait),
        });
        self.create(&self.collector, "residents", VILLAGE, fields)
            .await
    }

    /// A house of the village with photos.
    pub(crate) async fn house(&self, photos: &[&[u8]]) -> String {
        let mut fields = json!({ "address": "陕西中路12弄28号1702室", "house_use": "1" });
        for bytes in photos {
            fields[format!("photos/{}", blob::digest(bytes))] = true.into();
        }
        self.create(&self.collector, "houses", VILLAGE, fields)
            .await
    }

    /// The resident lives in a house of the next village too.
    pub(crate) async fn also_next_door(&self, resident: &str) {
        let house = json!({ "address": "贵州路1弄2号3室", "house_use": "1" });
        let house = self
            .create(&self.supervisor, "houses", NEXT_VILLAGE, house)
            .await;
        let tie = json!({ "resident": resident, "house": house, "kind": "living" });
        self.create(&self.supervisor, "residences", NEXT_VILLAGE, tie)
            .await;
    }

    pub(crate) async fn open(
        &self,
        who: &Person,
        record: &str,
        field: &str,
        bytes: &[u8],
    ) -> Reply {
        let body = opening(record, field, bytes);
        self.send(who, "POST", "/api/photos", body).await
    }

    /// One chunk, as a device sends it.
    pub(crate) async fn put(&self, token: &str, upload: &str, at: usize, bytes: &[u8]) -> Reply {
        let address = self.server.address;
        self.put_at(&address.to_string(), token, upload, at, bytes)
            .await
    }

    pub(crate) async fn put_at(
        &self,
        address: &str,
        token: &str,
        upload: &str,
        at: usize,
        bytes: &[u8],
    ) -> Reply {
        let url = format!("http://{address}/api/photos/{upload}/{at}");
        let request = self.client.put(url).bearer_auth(token);
        let request = request.header("content-type", "application/octet-stream");
        let response = request.body(bytes.to_vec()).send().await.unwrap();
        Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.json().await.unwrap(),
        }
    }

    /// Sends what is left of a photo.
    pub(crate) async fn put_rest(&self, token: &str, opened: &Value, bytes: &[u8]) -> Reply {
        let upload = opened["upload"].as_str().unwrap();
        let mut at = usize::try_from(opened["offset"].as_u64().unwrap()).unwrap();
        loop {
            let end = bytes.len().min(at + blob::CHUNK);
            let reply = self.put(token, upload, at, &bytes[at..end]).await;
            if reply.status != 200 || reply.body["complete"] == true {
                return reply;
            }
            at = end;
        }
    }

    /// The whole way up.
    pub(crate) async fn upload(&self, who: &Person, record: &str, field: &str, bytes: &[u8]) {
        let opened = self.open(who, record, field, bytes).await;
        assert_eq!(opened.status, 200, "{}", opened.body);
        let reply = self.put_rest(&who.token, &opened.body, bytes).await;
        assert_eq!(
            (reply.status, &reply.body["complete"]),
            (200, &true.into()),
            "{}",
            reply.body
        );
    }

    pub(crate) async fn bytes(&self, token: &str, path: &str, headers: &[(&str, &str)]) -> Bytes {
        let url = format!("http://{}{path}", self.server.address);
        let mut request = self.client.get(url).bearer_auth(token);
        for (name, value) in headers {
            request = request.header(name.parse::<HeaderName>().unwrap(), *value);
        }
        let response = request.send().await.unwrap();
        Bytes {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            bytes: response.bytes().await.unwrap().to_vec(),
        }
    }

    /// How a photo is answered: status and code.
    pub(crate) async fn shown(&self, token: &str, path: &str) -> (u16, String) {
        let reply = self.server.send("GET", path, Some(token), None).await;
        let reply = reply.unwrap();
        (reply.status, reply.code().to_owned())
    }

    /// The states of a record's photos, by digest.
    pub(crate) async fn states(&self, who: &Person, record: &str) -> Vec<(String, String)> {
        let path = format!("/api/records/{record}/photos");
        let reply = self.send(who, "GET", &path, Value::Null).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let photos = reply.body.as_array().unwrap().iter();
        photos
            .map(|photo| (text(&photo["digest"]), text(&photo["state"])))
            .collect()
    }

    /// Every file of the photos' folder.
    pub(crate) fn files(&self) -> Vec<std::path::PathBuf> {
        fn walk(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.server.data().join("photos"), &mut found);
        found
    }

    /// Runs the job until nothing is left over: a removal that began by itself is passed over by it.
    pub(crate) async fn tidy(&self) {
        for _ in 0..200 {
            photos::service::tidy(&self.server.state).await.unwrap();
            if self.removals().await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("what was noted is not removed");
    }

    async fn removals(&self) -> i64 {
        let mut tx = system_tx(&self.server.state.pool).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM photo_removals")
            .fetch_one(&mut *tx)
            .await
            .unwrap()
    }
}

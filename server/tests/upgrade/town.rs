//! A town with something of every kind that the steps of the schema touch: an item of each kind in the queue, what was
//! refused, a photo, an import, a check, an alarm. Knows no step.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::time::Duration;

use doorstep_core::accept::ConflictKind;
use doorstep_core::blob;
use doorstep_core::ids::RecordId;
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::rights::Role;
use doorstep_server::domains::checks;
use doorstep_server::register::Prepared;
use doorstep_server::testing::city::{DISTRICT, NEXT_VILLAGE, VILLAGE};
use doorstep_server::testing::phone::fields;
use doorstep_server::testing::{Person, Phone, TestServer};
use image::{ImageFormat, RgbImage};
use reqwest::Method;
use serde_json::{Value, json};

const NUMBER: &str = "11010519491231002X";
/// In the area of the device that it is about.
const ALARM: &str = "INSERT INTO alarms (id, at, code, device_id, user_id, area_code) \
    SELECT gen_random_uuid(), enrolled_at, 'forged_actor', id, user_id, area_code FROM devices";

/// See the module.
pub(crate) struct Town {
    pub(crate) server: TestServer,
    supervisor: Person,
    /// Whose name is disputed, and who has a photo.
    resident: RecordId,
    photo: String,
}

/// What the API says of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    file: Value,
    changes: Value,
    queue: BTreeSet<(String, String)>,
    /// The status of the photo's answer.
    photo: u16,
}

impl Town {
    pub(crate) async fn new() -> Self {
        let server = TestServer::open_city().await.unwrap();
        let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
        let (_, resident, mut one, mut two) = server.dispute(VILLAGE).await.unwrap();
        let bytes = picture();
        let photo = blob::digest(&bytes);
        live(&server, &mut one, resident, &photo).await;
        upload(&server, &one.person, resident, &bytes).await;
        cancel_and_edit(&server, &mut one, &mut two).await;
        record_twice(&server, &mut one, &mut two).await;
        claim(&server, &mut one).await;
        be_refused(&server, &mut one, resident).await;
        bring_in(&server, &supervisor).await;
        server.database.as_owner(ALARM).await.unwrap();
        let town = Self {
            server,
            supervisor,
            resident,
            photo,
        };
        let said = town.said().await;
        let kinds: BTreeSet<&str> = said.queue.iter().map(|(_, kind)| kind.as_str()).collect();
        let all: BTreeSet<&str> = ConflictKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(kinds, all, "an item of each kind");
        assert_eq!(said.photo, 200);
        town
    }

    /// Reads a file, its history, the queue and the photo as its supervisor.
    pub(crate) async fn said(&self) -> Said {
        let (server, who, id) = (&self.server, &self.supervisor, self.resident);
        let get = async |path: String| server.get(who, &path).await.unwrap();
        let file = get(format!("/api/residents/{id}")).await;
        let history = get(format!("/api/records/{id}/history")).await;
        let queue = get("/api/conflicts".to_owned()).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let items = queue["items"].as_array().unwrap().iter();
        let path = format!("/api/photos/{}?purpose=verification", self.photo);
        let photo = server.send("GET", &path, Some(&who.token), None).await;
        Said {
            file: file["resident"]["fields"].clone(),
            changes: history["changes"].clone(),
            queue: items
                .map(|item| (text(&item["id"]), text(&item["kind"])))
                .collect(),
            photo: photo.unwrap().status,
        }
    }
}

impl Said {
    /// The same, or what is said where no photo is kept.
    pub(crate) fn without_photo(&self, without: bool) -> Self {
        let photo = if without { 404 } else { self.photo };
        Self {
            photo,
            ..self.clone()
        }
    }
}

/// Sends what the server takes.
async fn sends(server: &TestServer, phone: &Phone, items: Vec<Prepared>) {
    let outcomes = phone.send(server, items).await.unwrap();
    let taken = outcomes.iter().all(|outcome| *outcome == Outcome::Accepted);
    assert!(taken, "{outcomes:?}");
}

/// A residence, a visit and the name of a photo.
async fn live(server: &TestServer, one: &mut Phone, resident: RecordId, photo: &str) {
    one.pull(server, resident).await.unwrap();
    let (_, stay) = one.residence(resident, "思南路1号101室", true).unwrap();
    let (_, visit) = one.visit(resident, VILLAGE).unwrap();
    let portrait = fields(&[("portrait", photo)]);
    let portrait = one.edit(resident, &portrait).unwrap();
    sends(server, one, vec![stay, visit, portrait]).await;
}

async fn upload(server: &TestServer, who: &Person, resident: RecordId, bytes: &[u8]) {
    let opening = json!({
        "digest": blob::digest(bytes), "size": bytes.len(), "type": "image/png",
        "record": resident, "field": "portrait",
    });
    let token = Some(who.token.as_str());
    let opened = server.send("POST", "/api/photos", token, Some(opening));
    let opened = opened.await.unwrap().body;
    let upload = opened["upload"]
        .as_str()
        .unwrap_or_else(|| panic!("{opened}"));
    let path = format!("/api/photos/{upload}/0");
    let done = give(server, who, Method::PUT, &path, bytes.to_vec()).await;
    assert_eq!(done["complete"], true, "{done}");
}

/// One phone cancels whom the other edits.
async fn cancel_and_edit(server: &TestServer, one: &mut Phone, two: &mut Phone) {
    let (resident, item) = one.resident("王小二", "").unwrap();
    sends(server, one, vec![item]).await;
    two.learn(resident, one);
    let cancel = fields(&[
        ("status", "cancelled"),
        ("cancel_reason", "3"),
        ("cancelled_on", "2026-11-20"),
    ]);
    let cancel = one.edit(resident, &cancel).unwrap();
    let edit = fields(&[("phone", "13812341234")]);
    let edit = two.edit(resident, &edit).unwrap();
    sends(server, one, vec![cancel]).await;
    two.send(server, vec![edit]).await.unwrap();
}

/// Two records of one person.
async fn record_twice(server: &TestServer, one: &mut Phone, two: &mut Phone) {
    for (phone, name) in [(one, "张三丰"), (two, "张山丰")] {
        let (_, item) = phone.resident(name, NUMBER).unwrap();
        sends(server, phone, vec![item]).await;
    }
}

/// The next village claims someone's main residence, and those of the address are asked.
async fn claim(server: &TestServer, one: &mut Phone) {
    let mut two = server.phone(NEXT_VILLAGE).await.unwrap();
    let (resident, item) = one.resident("何晓梅", "").unwrap();
    let (_, home) = one
        .residence(resident, "陕西中路12弄28号1702室", true)
        .unwrap();
    sends(server, one, vec![item, home]).await;
    let there = "厦门中路66弄1号1302室";
    let tied = server.lives_at(resident, NEXT_VILLAGE, there).await;
    tied.unwrap();
    let (_, claimed) = two
        .residence(resident, "厦门中路66弄1号1301室", true)
        .unwrap();
    two.send(server, vec![claimed]).await.unwrap();
    checks::service::work(&server.state).await.unwrap();
}

/// A field that no collector writes, a record and a visit of another's village.
async fn be_refused(server: &TestServer, one: &mut Phone, resident: RecordId) {
    one.pull(server, resident).await.unwrap();
    let forbidden = fields(&[("police_person_id", "P1")]);
    let forbidden = one.edit(resident, &forbidden).unwrap();
    let strange = fields(&[
        ("name", "李四"),
        ("sex", "1"),
        ("population_kind", "01"),
        ("_area", NEXT_VILLAGE),
    ]);
    let (_, strange) = one.create("resident", &strange).unwrap();
    let (_, visit) = one.visit(resident, NEXT_VILLAGE).unwrap();
    let sent = vec![forbidden, strange, visit];
    let outcomes = one.send(server, sent).await.unwrap();
    let refused = outcomes
        .iter()
        .all(|outcome| matches!(outcome, Outcome::Refused(_)));
    assert!(refused, "{outcomes:?}");
}

async fn bring_in(server: &TestServer, supervisor: &Person) {
    let file = "姓名,性别,人员类别\n叶晓,女,户籍人口\n".as_bytes();
    let path = format!("/api/imports?type=resident&area={VILLAGE}&name=sample&then=run");
    let import = give(server, supervisor, Method::POST, &path, file.to_vec()).await;
    let path = format!("/api/imports/{}", import["id"].as_str().unwrap());
    for _ in 0..200 {
        let view = server.get(supervisor, &path).await.unwrap();
        if view["status"] == "done" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the import is not done");
}

/// Sends bytes, and gives what is said.
async fn give(
    server: &TestServer,
    who: &Person,
    method: Method,
    path: &str,
    bytes: Vec<u8>,
) -> Value {
    let url = format!("http://{}{path}", server.address);
    let request = reqwest::Client::new().request(method, url);
    let request = request
        .bearer_auth(&who.token)
        .header("content-type", "application/octet-stream")
        .body(bytes);
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

fn picture() -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let picture = RgbImage::from_pixel(40, 30, image::Rgb([9, 99, 199]));
    picture.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

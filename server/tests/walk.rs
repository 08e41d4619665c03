//! The whole matrix route × role × area, made from the API's own description, so that a new route is in it
//! at once: without a session 401, without the permission 403, in another area nothing but 403 or 404.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::blob;
use doorstep_core::rights::{Permission, Role};
use doorstep_server::router;
use doorstep_server::testing::city::{DISTRICT, OTHER_DISTRICT, OTHER_VILLAGE, VILLAGE};
use doorstep_server::testing::{Person, TestDevice, TestServer};
use serde_json::{Value, json};

const ROLES: [Role; 6] = [
    Role::Collector,
    Role::Supervisor,
    Role::PoliceLiaison,
    Role::AreaAdministrator,
    Role::SecurityAdministrator,
    Role::Auditor,
];

/// One operation of the description.
#[derive(Clone, Debug)]
struct Operation {
    id: String,
    method: String,
    path: String,
    access: String,
    /// `x-scope: whole`: what everybody with the permission sees whole, such as the tree of areas.
    whole: bool,
    has_body: bool,
    takes_area: bool,
}

impl Operation {
    fn permission(&self) -> Option<Permission> {
        self.access.parse().ok()
    }

    /// Adds what the query must name besides the area.
    fn with_parameters(&self, path: String) -> String {
        let wanted = match self.id.as_str() {
            "upload_import" | "show_import_template" | "list_import_fields" => "type=house",
            "show_police_photo" => "purpose=service",
            _ => return path,
        };
        let mark = if path.contains('?') { '&' } else { '?' };
        format!("{path}{mark}{wanted}")
    }

    fn has_path_parameters(&self) -> bool {
        self.path.contains('{')
    }
}

/// A check in a village: two main residences of one person are claimed there.
async fn check(server: &TestServer, person: &Person, village: &str, resident: &str) -> String {
    for address in ["陕西中路12弄28号1702室", "永嘉路5弄6号201室"] {
        let fields =
            json!({ "resident": resident, "address": address, "kind": "living", "main": true });
        create(server, person, "residences", village, fields).await;
    }
    doorstep_server::domains::checks::service::work(&server.state)
        .await
        .unwrap();
    let path = format!("/api/checks?resident={resident}");
    let list = server
        .send("GET", &path, Some(&person.token), None)
        .await
        .unwrap()
        .body;
    list["items"][0]["id"].as_str().unwrap().to_owned()
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(router::description()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            found.push(Operation {
                id: operation["operationId"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                access: operation["x-access"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                whole: operation["x-scope"] == "whole",
                has_body: operation["requestBody"].is_object(),
                takes_area: parameters
                    .iter()
                    .any(|p| p["in"] == "query" && p["name"] == "area"),
            });
        }
    }
    found
}

/// Things of one area that paths name. A route with a new kind of thing in its path adds it here.
struct Things {
    ids: BTreeMap<&'static str, String>,
    area: &'static str,
}

impl Things {
    async fn of(server: &TestServer, village: &'static str) -> Self {
        let person = server.person(Role::Collector, village).await.unwrap();
        let device: TestDevice = server.device(&person).await.unwrap();
        let administrator = server.administrator(Role::AreaAdministrator).unwrap();
        let path = format!("/api/users/{}/grants", person.id);
        let grants = server
            .send("GET", &path, Some(&administrator.token), None)
            .await
            .unwrap()
            .body;
        let sessions = server
            .send("GET", "/api/auth/sessions", Some(&person.token), None)
            .await
            .unwrap()
            .body;
        let text = |value: &Value| value["id"].as_str().unwrap().to_owned();
        let resident = json!({ "name": "张三", "sex": "1", "population_kind": "01" });
        let resident = create(server, &person, "residents", village, resident).await;
        let bytes = picture();
        let digest = blob::digest(&bytes);
        let house = json!({
            "address": "陕西中路12弄28号1702室", "house_use": "1", format!("photos/{digest}"): true,
        });
        let house = create(server, &person, "houses", village, house).await;
        let residence = json!({ "resident": resident, "house": house, "kind": "living" });
        let residence = create(server, &person, "residences", village, residence).await;
        let upload = upload(server, &person, &house, &bytes).await;
        let (conflict, ..) = server.dispute(village).await.unwrap();
        let check = check(server, &person, village, &resident).await;
        let supervisor = server.person(Role::Supervisor, village).await.unwrap();
        let address = server.address;
        let url = format!("http://{address}/api/imports?type=house&area={village}");
        let file = "房屋地址,房屋用途\n某路1号1室,自用\n";
        let request = reqwest::Client::new().post(url).body(file);
        let reply = request.bearer_auth(&supervisor.token).send().await.unwrap();
        let import = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        Self {
            ids: BTreeMap::from([
                ("user_id", person.id.to_string()),
                ("device_id", device.id.to_string()),
                ("grant_id", text(&grants[0])),
                ("session_id", text(&sessions[0])),
                ("conflict_id", conflict.to_string()),
                ("check_id", check),
                ("import_id", text(&import)),
                ("area_code", village.to_owned()),
                // Of a photo. No bundle has it; that a real one is kept from others is shown in tests/sync.rs.
                ("digest", digest),
                ("upload", upload),
                ("offset", "0".to_owned()),
                ("resident_id", resident),
                ("house_id", house),
                ("record_id", residence),
            ]),
            area: village,
        }
    }

    fn path(&self, operation: &Operation) -> String {
        let mut path = operation.path.clone();
        for (name, id) in &self.ids {
            path = path.replace(&format!("{{{name}}}"), id);
        }
        assert!(
            !path.contains('{'),
            "{}: teach `Things` what {path} names",
            operation.id
        );
        if operation.takes_area {
            path = format!("{path}?area={}", self.area);
        }
        operation.with_parameters(path)
    }

    /// A body that would be right, were the area the caller's.
    fn body(&self, operation: &Operation) -> Option<Value> {
        let area = self.area;
        operation.has_body.then(|| match operation.id.as_str() {
            "create_user" => json!({ "login": "walker", "name": "张三", "area": area }),
            "update_user" => json!({ "name": "张三", "area": area }),
            "grant_role" => json!({ "role": "collector", "area": area }),
            "revoke_device" | "order_wipe" => json!({ "reason": "遗失" }),
            "create_resident" | "create_house" | "create_residence" => {
                json!({ "area": area, "fields": {} })
            }
            "update_record" => json!({ "fields": { "remark": "x" } }),
            "reveal_record" | "export_document" => json!({ "purpose": "service" }),
            "cancel_record" => json!({ "reason": "99" }),
            "restore_record" => json!({ "note": "x" }),
            "erase_record" => json!({ "ground": "order", "confirm": self.ids["record_id"] }),
            "claim_main_residence" | "move_main_residence" => {
                json!({ "residence": self.ids["record_id"] })
            }
            "set_away" => json!({}),
            "manage_house" => json!({ "step": "claim" }),
            "decide_conflict" => json!({ "action": "take", "choice": 0 }),
            "decide_conflicts" => {
                json!({ "area": area, "kind": "field", "field": "name", "rule": "newest" })
            }
            "open_photo" => json!({
                "digest": "5a".repeat(32), "size": 9, "type": "image/png",
                "record": self.ids["house_id"], "field": "photos",
            }),
            "send_photo_chunk" => json!("x"),
            "upload_import" => json!("房屋地址,房屋用途\n某路1号1室,自用"),
            "map_import" => json!({ "columns": [] }),
            "answer_check" => json!({ "answer": "02" }),
            "assign_conflict" => json!({ "assignee": null }),
            // Read as a file of areas; who may not change the city's tree is refused before.
            "import_areas" => json!("code,name,level,parent"),
            // About the caller alone: no area in it.
            "sign_in"
            | "enrol_device"
            | "sign_in_device"
            | "confirm_wipe"
            | "change_password"
            | "confirm_second_factor"
            | "remove_second_factor" => json!({}),
            other => panic!("{other}: teach `Things` a right body of it"),
        })
    }
}

/// A record of a village; gives its id.
async fn create(server: &TestServer, by: &Person, path: &str, area: &str, fields: Value) -> String {
    let body = json!({ "area": area, "fields": fields });
    let path = format!("/api/{path}");
    let reply = server
        .send("POST", &path, Some(&by.token), Some(body))
        .await
        .unwrap();
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.body["record"]["id"].as_str().unwrap().to_owned()
}

/// A picture, whole in one chunk.
fn picture() -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(40, 30, image::Rgb([9, 99, 199]));
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

/// Sends a photo of a house, and begins with another; gives the upload under way.
async fn upload(server: &TestServer, by: &Person, house: &str, bytes: &[u8]) -> String {
    let open = async |digest: String| {
        let body = json!({
            "digest": digest, "size": bytes.len(), "type": "image/png", "record": house, "field": "photos",
        });
        let token = Some(by.token.as_str());
        let reply = server
            .send("POST", "/api/photos", token, Some(body))
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body["upload"].as_str().unwrap().to_owned()
    };
    let upload = open(blob::digest(bytes)).await;
    let url = format!("http://{}/api/photos/{upload}/0", server.address);
    let request = reqwest::Client::new().put(url).bearer_auth(&by.token);
    let reply = request.body(bytes.to_vec()).send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 200);
    open("6b".repeat(32)).await
}

#[test]
fn every_route_declares_who_may_call_it() {
    let operations = operations();
    assert!(operations.len() > 30);
    let mut ids = BTreeSet::new();
    for operation in &operations {
        let known = ["public", "signed_in"].contains(&operation.access.as_str())
            || operation.permission().is_some();
        assert!(
            known,
            "{} {} declares no x-access",
            operation.method, operation.path
        );
        assert!(
            ids.insert(operation.id.clone()),
            "two routes are called {:?}",
            operation.id
        );
    }
}

#[tokio::test]
async fn without_a_session_every_route_but_the_public_ones_is_closed() {
    let server = TestServer::open_city().await.unwrap();
    let things = Things::of(&server, VILLAGE).await;
    for operation in operations() {
        for token in [None, Some("made-up")] {
            let reply = server
                .send(
                    &operation.method,
                    &things.path(&operation),
                    token,
                    things.body(&operation),
                )
                .await
                .unwrap();
            if operation.access == "public" {
                assert_ne!(reply.code(), "unauthenticated", "{}", operation.id);
            } else {
                assert_eq!(
                    (reply.status, reply.code()),
                    (401, "unauthenticated"),
                    "{}",
                    operation.id
                );
            }
        }
    }
}

#[tokio::test]
async fn no_role_passes_without_the_permission_nor_into_another_area() {
    let server = TestServer::open_city().await.unwrap();
    let theirs = Things::of(&server, OTHER_VILLAGE).await;
    for role in ROLES {
        let caller: Person = server.person(role, DISTRICT).await.unwrap();
        for operation in operations() {
            let Some(permission) = operation.permission() else {
                continue;
            };
            let (path, body) = (theirs.path(&operation), theirs.body(&operation));
            let reply = server
                .send(&operation.method, &path, Some(&caller.token), body)
                .await
                .unwrap();
            let what = format!(
                "{role}: {} {path}: {} {}",
                operation.method, reply.status, reply.body
            );
            if !role.may(permission) {
                assert_eq!((reply.status, reply.code()), (403, "forbidden"), "{what}");
            } else if !operation.whole && !matches!(reply.status, 403 | 404) {
                assert_eq!(
                    (reply.status, operation.has_path_parameters()),
                    (200, false),
                    "{what}"
                );
                let shown = reply.body.to_string();
                for (name, id) in &theirs.ids {
                    // Who of the own area asked in vain for something elsewhere is in the own area's log.
                    let asked_for = permission == Permission::ReadAudit && *name != "area_code";
                    assert!(
                        asked_for || !shown.contains(id),
                        "{role}: {path} shows {name} {id}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn each_role_reads_what_it_may_in_its_own_area() {
    let server = TestServer::open_city().await.unwrap();
    let own = Things::of(&server, VILLAGE).await;
    let mut read = BTreeSet::new();
    for role in ROLES {
        let caller = server.person(role, DISTRICT).await.unwrap();
        for operation in operations()
            .into_iter()
            .filter(|operation| operation.method == "GET")
        {
            let Some(permission) = operation.permission() else {
                continue;
            };
            let mut path = own.path(&operation);
            if operation.id == "diff_areas" {
                path += "?from=0&to=1";
            }
            let reply = server
                .send("GET", &path, Some(&caller.token), None)
                .await
                .unwrap();
            // The log as a whole is for who audits the whole city.
            let whole_city =
                ["verify_audit", "list_audit_signatures"].contains(&operation.id.as_str());
            let expected = match role.may(permission) && !whole_city {
                true if ["fetch_bundle", "show_police_photo"].contains(&operation.id.as_str()) => {
                    404
                }
                true => 200,
                false => 403,
            };
            assert_eq!(reply.status, expected, "{role}: {path}: {}", reply.body);
            if expected == 200 {
                read.insert(operation.id);
            }
        }
    }
    assert!(read.len() > 10, "{read:?}");
}

#[tokio::test]
async fn nobody_lists_a_neighbouring_district() {
    let server = TestServer::open_city().await.unwrap();
    for role in ROLES {
        let caller = server.person(role, OTHER_DISTRICT).await.unwrap();
        for operation in operations()
            .iter()
            .filter(|operation| operation.takes_area && operation.permission().is_some())
        {
            let path = operation.with_parameters(format!("{}?area={DISTRICT}", operation.path));
            let reply = server
                .send(&operation.method, &path, Some(&caller.token), None)
                .await
                .unwrap();
            assert_eq!(reply.status, 403, "{role}: {path}");
        }
    }
}

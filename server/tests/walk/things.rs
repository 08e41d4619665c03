//! The routes as the API's description names them, and real things of a village that their paths and bodies name.

use std::collections::BTreeMap;

use doorstep_core::blob;
use doorstep_core::rights::{Permission, Role};
use doorstep_server::router;
use doorstep_server::testing::{Person, TestDevice, TestServer};
use serde_json::{Value, json};

/// The village's resident.
pub(crate) const NAME: &str = "欧阳知遥";

/// One operation of the description.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) access: String,
    /// `x-scope: whole`: what everybody with the permission sees whole, such as the tree of areas.
    pub(crate) whole: bool,
    pub(crate) has_body: bool,
    pub(crate) takes_area: bool,
    /// Its query's parameters.
    pub(crate) queries: Vec<String>,
    /// Those that must be there.
    pub(crate) required: Vec<String>,
    /// Those that are ids by their form.
    pub(crate) ids_in_query: Vec<String>,
}

impl Operation {
    pub(crate) fn permission(&self) -> Option<Permission> {
        self.access.parse().ok()
    }

    /// Adds what the query must name besides the area.
    pub(crate) fn with_parameters(&self, path: String) -> String {
        let wanted = match self.id.as_str() {
            "upload_import" | "show_import_template" | "list_import_fields" => "type=house",
            "show_police_photo" => "purpose=service",
            _ => return path,
        };
        let mark = if path.contains('?') { '&' } else { '?' };
        format!("{path}{mark}{wanted}")
    }

    pub(crate) fn has_path_parameters(&self) -> bool {
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

pub(crate) fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(router::description()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let queries = |wanted: &dyn Fn(&Value) -> bool| -> Vec<String> {
                let fit = parameters
                    .iter()
                    .filter(|p| p["in"] == "query" && wanted(p));
                fit.map(|p| p["name"].as_str().unwrap().to_owned())
                    .collect()
            };
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
                takes_area: !queries(&|p| p["name"] == "area").is_empty(),
                queries: queries(&|_| true),
                required: queries(&|p| p["required"] == true),
                ids_in_query: queries(&|p| p["schema"]["format"] == "uuid"),
            });
        }
    }
    found
}

/// Things of one area that paths name. A route with a new kind of thing in its path adds it here.
pub(crate) struct Things {
    pub(crate) ids: BTreeMap<&'static str, String>,
    pub(crate) area: &'static str,
}

impl Things {
    pub(crate) async fn of(server: &TestServer, village: &'static str) -> Self {
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
        let resident = json!({ "name": NAME, "sex": "1", "population_kind": "01" });
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

    pub(crate) fn path(&self, operation: &Operation) -> String {
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
    pub(crate) fn body(&self, operation: &Operation) -> Option<Value> {
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
                json!({ "area": area, "kind": "field", "field": "name", "rule": "newest",
                    "items": [{ "id": self.ids["conflict_id"], "version": 1, "choice": 0 }] })
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
            | "begin_second_factor"
            | "confirm_second_factor"
            | "remove_second_factor" => json!({}),
            other => panic!("{other}: teach `Things` a right body of it"),
        })
    }
}

/// A record of a village; gives its id.
pub(crate) async fn create(
    server: &TestServer,
    by: &Person,
    path: &str,
    area: &str,
    fields: Value,
) -> String {
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

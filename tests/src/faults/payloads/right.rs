//! What the description does not tell of right company: values that only the operation knows, and which operations can't
//! be done here at all. Knows no payload.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::{Days, Utc};
use serde_json::{Value, json};

use super::super::furnished::{Furnished, picture};
use super::fresh;
use crate::town::routes;

/// What is never done here, by the request's name, and why. One that is done all the same fails.
pub(super) const NEVER: [(&str, &str); 2] = [
    (
        "open_sync",
        "another protocol is spoken from its answer on, which is no 2xx",
    ),
    (
        "show_police_photo",
        "no photo of the police's was ever brought into this register",
    ),
];

/// See the module.
pub(super) struct Right {
    things: BTreeMap<&'static str, Vec<String>>,
    supervisor: String,
    picture: Vec<u8>,
    /// Whose rows were checked.
    import: String,
    /// Of the audit log's first entry, hexadecimal.
    first_hash: String,
}

/// Properties of a body that exclude each other: it is asked without each in turn.
pub(super) fn one_of(operation: &str) -> &'static [&'static str] {
    match operation {
        "sign_in_device" => &["token", "password"],
        _ => &[],
    }
}

/// Whether a request was done. Many decisions at once are answered 200 whatever became of each.
pub(super) fn is_done(operation: &str, status: u16, text: &str) -> bool {
    let none = || {
        let answer: Value = serde_json::from_str(text).unwrap_or_default();
        operation == "decide_conflicts" && answer["decided"] == 0
    };
    (200..300).contains(&status) && !none()
}

impl Right {
    /// `import`: one whose rows were checked.
    pub(super) async fn of(furnished: &Furnished, import: String) -> anyhow::Result<Self> {
        let ground = &furnished.ground;
        let first = format!("{}?most=1", routes::AUDIT_VERIFY);
        let first = ground.administrators.auditor.api.get(&first).await?;
        Ok(Self {
            things: furnished.things.clone(),
            supervisor: ground.supervisor.id.clone(),
            picture: picture()?,
            import,
            first_hash: first["hash"].as_str().context("no hash")?.to_owned(),
        })
    }

    /// The right value of a parameter or property of an operation; of a thing that is made anew each time, `{its name}`.
    pub(super) fn value(&self, operation: &str, name: &str) -> Option<Value> {
        if fresh::is_anew(operation, name) {
            return Some(format!("{{{name}}}").into());
        }
        let day = |ahead: u64| {
            let day = Utc::now().checked_add_days(Days::new(ahead));
            json!(day.map(|day| day.date_naive()))
        };
        let things = |name: &str| json!(self.things.get(name).and_then(|all| all.first()));
        let last = |name: &str| json!(self.things.get(name).and_then(|all| all.last()));
        let resident =
            || json!({ "name": "林朝霞", "sex": "2", "population_kind": "01", "remark": "x" });
        let own = match (operation, name) {
            ("list_import_rows" | "export_import_result", "import_id") => {
                Some(self.import.as_str().into())
            }
            ("list_alarms", "code") => Some("replayed".into()),
            ("search_audit" | "export_audit", "from" | "until") => {
                Some("2026-11-24T09:00:00+08:00".into())
            }
            ("verify_audit", "after") => Some(1.into()),
            ("verify_audit", "hash") => Some(self.first_hash.as_str().into()),
            ("change_password", "new") => Some("Steady-Lamp-778899".into()),
            ("explain_right", "permission") => Some("register.read".into()),
            ("list_checks", "kind") => Some("main_residence".into()),
            ("list_checks" | "list_conflicts", "status") => Some("open".into()),
            ("answer_check", "answer") => Some("02".into()),
            ("answer_check", "photos") | ("cancel_record" | "claim_main_residence", "evidence") => {
                Some(json!([things("digest")]))
            }
            ("list_conflicts" | "decide_conflicts", "kind") => Some("field".into()),
            ("list_conflicts" | "decide_conflicts", "field") => Some("name".into()),
            ("assign_conflict", "assignee") => Some(self.supervisor.as_str().into()),
            (_, "due_at") => Some(json!(
                day(30).as_str().map(|day| format!("{day}T00:00:00Z"))
            )),
            ("decide_conflict", "value") => Some("何晓梅".into()),
            ("decide_conflict", "fields") => Some(json!({ "name": "何小梅", "remark": "x" })),
            ("decide_conflict", "residences") => Some(json!(["{residence}"])),
            ("decide_conflict", "take_from_other") => Some(json!(["name"])),
            ("decide_conflict", "items") => Some(json!(["{item}"])),
            ("list_residents", "facets") => Some("population_kind:01".into()),
            ("list_houses", "facets") => Some("house_use:1".into()),
            ("list_residences", "facets") => Some("kind:living".into()),
            (_, "cancelled") => Some("any".into()),
            ("show_house", "class") => Some("here_both".into()),
            ("upload_import", "then") => Some("check".into()),
            ("map_import", "field") => Some("name".into()),
            (_, "verdict") => Some("error".into()),
            ("open_photo", "type") => Some("image/png".into()),
            ("open_photo", "field") => Some("photos".into()),
            ("open_photo", "record") => Some(things("house")),
            ("cancel_record", "reason") => Some("99".into()),
            ("set_away", "reason") => Some("01".into()),
            ("set_away", "expected_return") | ("grant_role", "ends_on") => Some(day(30)),
            ("reveal_record", "fields") => Some(json!(["phone"])),
            ("create_resident", "fields") => Some(resident()),
            ("update_record", "fields") => Some(json!({ "name": "林朝霞", "remark": "x" })),
            ("create_house", "fields") => {
                Some(json!({ "address": "永嘉路5弄6号", "house_use": "1", "remark": "x" }))
            }
            ("create_residence", "fields") => Some(json!({
                "resident": things("resident"), "address": "永嘉路5弄8号", "kind": "living", "remark": "x",
            })),
            ("grant_role", "role") | ("list_users", "role") => Some("collector".into()),
            ("grant_role", "area") => Some(last("area")),
            _ => None,
        };
        own.or_else(|| Some(self.things.get(name)?.first()?.as_str().into()))
    }

    /// What else a query names beside a parameter.
    pub(super) fn beside(
        &self,
        operation: &str,
        parameter: &str,
    ) -> Option<(&'static str, String)> {
        match (operation, parameter) {
            ("verify_audit", "after") => Some(("hash", self.first_hash.clone())),
            ("verify_audit", "hash") => Some(("after", "1".to_owned())),
            ("show_photo" | "show_photo_thumbnail", "") => Some(("purpose", "service".to_owned())),
            _ => None,
        }
    }

    /// Numbers that an alternative wants otherwise than the others.
    pub(super) fn mend(request: &str, body: &mut Value) {
        match request {
            // What the device wrote, which wrote last.
            "decide_conflicts device" | "decide_conflicts newest" => {
                body["items"][0]["choice"] = "{choice}".into();
            }
            "decide_conflicts equal_normalised" => body["items"][0]["choice"] = 0.into(),
            _ => {}
        }
    }

    /// What is sent where no JSON is.
    pub(super) fn file(&self, operation: &str) -> Vec<u8> {
        match operation {
            "send_photo_chunk" => self.picture.clone(),
            "import_areas" => "{file}".into(),
            _ => "姓名,性别,人员类别\r\n叶海思,男,流动人口\r\n".into(),
        }
    }
}

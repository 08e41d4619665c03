//! Personal data planted through every door of the real program is in clear nowhere: in no file of it (the database, its
//! write-ahead log, the server's log, a backup, the keys beside it), not on the phone, and not on the line between them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod canary;
mod transit;

use doorstep_core::rights::Role;
use doorstep_core::value::Value as Field;
use doorstep_tests::repository;
use doorstep_tests::town::{Office, Phone, routes};
use serde_json::{Value, json};

use canary::{canary, files, found_in};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_personal_lies_in_clear_nowhere() {
    let program = repository::program().unwrap();
    let mut office = Office::open(&program).await.unwrap();
    let canaries = canary::all();
    let url = office.server.url();
    let folder = office.place();
    let phone = Phone::enrol(&url, &office.collector, "phone", &folder)
        .await
        .unwrap();
    let area = office.area.to_string();
    let device = &phone.device;
    let record = device
        .create("resident", office.area, canary::resident())
        .unwrap();
    let residence = canary::residence(&record.to_string());
    for (kind, fields) in [("house", canary::house()), ("residence", residence)] {
        device.create(kind, office.area, fields).unwrap();
    }
    let visit = canary::visit(&record.to_string(), device.now().0);
    device.record_event("visit", office.area, visit).unwrap();
    device
        .add_photo(record, "portrait", &canary::photo())
        .unwrap();
    let report = device.sync_once().await.unwrap();
    assert_eq!((report.refused, report.photos_sent), (0, 1), "{report:?}");

    let api = &office.supervisor.api;
    let made = json!({ "area": area, "fields": {
        "name": canary("a name on the console"), "sex": "1", "population_kind": "01" } });
    api.post("/api/residents", &made).await.unwrap();
    // A value that is refused is named in the answer by its field only.
    let wrong = json!({ "area": area, "fields": {
        "name": "何", "sex": "1", "population_kind": "01",
        "birth_date": canary("a refused value") } });
    let refused = api.post("/api/residents", &wrong).await.unwrap_err();
    assert!(format!("{refused:#}").contains("422"), "{refused:#}");
    let file = format!(
        "姓名,性别,人员类别\n{},女,户籍人口\n",
        canary("a row of a file")
    );
    let path = format!(
        "{}?type=resident&area={area}&name={}&then=run",
        routes::IMPORTS,
        "%E5%B1%85%E6%B0%91.csv"
    );
    let import = api
        .post_file(&path, "text/csv", file.into_bytes())
        .await
        .unwrap();
    let import = format!("{}/{}", routes::IMPORTS, import["id"].as_str().unwrap());
    let mut status = Value::Null;
    for _ in 0..200 {
        status = api.get(&import).await.unwrap()["status"].clone();
        if status == "done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status, "done");
    let sought = canary("a search");
    let sought: String = sought.bytes().map(|byte| format!("%{byte:02X}")).collect();
    api.get(&format!("/api/residents?text={sought}"))
        .await
        .unwrap();
    office
        .administrators
        .areas
        .appoint(
            "canary",
            canary("a colleague's name"),
            Role::Collector,
            &area,
        )
        .await
        .unwrap();
    // They are there, for those who may see them.
    let held = phone.device.record(record).unwrap();
    let name = held
        .registers
        .get("name")
        .and_then(Field::as_text)
        .unwrap()
        .to_owned();
    assert_eq!(name, canary("a name by a phone"));

    let (to, keys) = (office.place(), office.place());
    let (to_text, keys_text) = (to.to_string_lossy(), keys.to_string_lossy());
    let arguments = ["backup", "--to", &to_text, "--keys", &keys_text, "--json"];
    office.server.command(&arguments).unwrap();
    // The server still runs: its log, the database's files and write-ahead log, what is open on the phone.
    for place in [office.server.data(), &folder, &to, &keys] {
        assert!(!files(place).is_empty(), "{}", place.display());
        assert_eq!(found_in(place, &canaries), Vec::<String>::new());
    }
    // And once everything is written out and closed.
    drop(phone);
    office.server.stop().unwrap();
    for place in [office.server.data(), &folder] {
        assert_eq!(found_in(place, &canaries), Vec::<String>::new());
    }
}

//! Personal data planted through every door of the real program is in clear in no file of it: not in the database, its
//! write-ahead log, the server's log, a backup, the keys beside it, nor on the phone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorstep_core::rights::Role;
use doorstep_core::value::{Fields, Value as Field};
use doorstep_tests::repository;
use doorstep_tests::town::{Office, Phone, routes};
use memchr::memmem;
use serde_json::{Value, json};

/// Words that stand nowhere else, one for each door.
const CANARIES: [(&str, &str); 9] = [
    ("a name by a phone", "鸞鳳和鳴"),
    ("a remark by a phone", "麒麟踏雪"),
    ("a visit's note", "龜蛇銜珠"),
    ("a name on the console", "驊騮綠耳"),
    ("a row of a file", "鷓鴣啼晚"),
    ("a colleague's name", "鯤鵬扶搖"),
    ("a search", "麝蘭馥鬱"),
    ("a refused value", "鸚鵡學舌"),
    ("a telephone number", "13817264593"),
];

/// The ways in which a text could lie in a file.
fn writings(text: &str) -> Vec<Vec<u8>> {
    let utf16: Vec<u16> = text.encode_utf16().collect();
    let url: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let escaped: String = utf16.iter().map(|unit| format!("\\u{unit:04x}")).collect();
    let mut ways = vec![
        text.as_bytes().to_vec(),
        utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        hex::encode(text).into_bytes(),
        hex::encode_upper(text).into_bytes(),
    ];
    if !text.is_ascii() {
        ways.extend([url.into_bytes(), escaped.into_bytes()]);
    }
    // Base64 shows a text in one of three ways, by where it stands; the ends mix with what is beside it.
    for before in 0..3 {
        let padded = [vec![0; before], text.as_bytes().to_vec()].concat();
        let encoded = STANDARD.encode(padded);
        let end = encoded.len() - 4;
        ways.push(encoded.as_bytes()[4.min(end)..end].to_vec());
    }
    ways
}

/// What was found, and in which file.
fn found_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(folder) {
        let Ok(mut bytes) = std::fs::read(&path) else {
            continue; // gone meanwhile
        };
        if path.extension().is_some_and(|end| end == "zst") {
            bytes = zstd::decode_all(bytes.as_slice()).unwrap();
        }
        for (door, canary) in CANARIES {
            let hit = |way: Vec<u8>| memmem::find(&bytes, &way).is_some();
            if writings(canary).into_iter().any(hit) || path.to_string_lossy().contains(canary) {
                found.push(format!("{door}: {}", path.display()));
            }
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let kind = std::fs::metadata(entry.path());
            match kind {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

fn resident(name: &str, remark: &str, phone: &str) -> Fields {
    [
        ("name", name),
        ("sex", "2"),
        ("population_kind", "01"),
        ("remark", remark),
        ("phone", phone),
    ]
    .map(|(key, value)| (key.to_owned(), Field::from(value)))
    .into()
}

fn canary(door: &str) -> &'static str {
    CANARIES.iter().find(|(name, _)| *name == door).unwrap().1
}

/// A search that finds nothing proves nothing: each canary is found where it lies in clear.
#[test]
fn the_search_finds_what_is_in_clear() {
    for (door, text) in CANARIES {
        for way in writings(text) {
            let folder = tempfile::tempdir().unwrap();
            let bytes = [b"before".to_vec(), way, b"after".to_vec()].concat();
            std::fs::write(folder.path().join("file"), &bytes).unwrap();
            assert_eq!(found_in(folder.path()).len(), 1, "{door}");
            let packed = zstd::encode_all(bytes.as_slice(), 3).unwrap();
            std::fs::write(folder.path().join("file"), b"").unwrap();
            std::fs::write(folder.path().join("file.zst"), packed).unwrap();
            assert_eq!(found_in(folder.path()).len(), 1, "{door}, packed");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_personal_lies_in_clear_nowhere() {
    let program = repository::program().unwrap();
    let mut office = Office::open(&program).await.unwrap();
    let url = office.server.url();
    let folder = office.place();
    let phone = Phone::enrol(&url, &office.collector, "phone", &folder)
        .await
        .unwrap();
    let person = resident(
        canary("a name by a phone"),
        canary("a remark by a phone"),
        canary("a telephone number"),
    );
    let area = office.area.to_string();
    let record = phone
        .device
        .create("resident", office.area, person)
        .unwrap();
    let visit: Fields = [
        ("mode", "01"),
        ("purpose", "01"),
        ("result", "01"),
        ("note", canary("a visit's note")),
        ("resident", &record.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), Field::from(value)))
    .into_iter()
    .chain([("at".to_owned(), Field::Int(phone.device.now().0))])
    .collect();
    phone
        .device
        .record_event("visit", office.area, visit)
        .unwrap();
    phone.device.sync_once().await.unwrap();

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
        assert_eq!(found_in(place), Vec::<String>::new());
    }
    // And once everything is written out and closed.
    drop(phone);
    office.server.stop().unwrap();
    for place in [office.server.data(), &folder] {
        assert_eq!(found_in(place), Vec::<String>::new());
    }
}

//! Backup and restore as an operator does them, with the real program: nothing is missing, digests are equal, and who
//! was erased stays unreadable even from the oldest backup.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod erased;
mod photos;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use doorstep_core::ids::RecordId;
use doorstep_core::value::{Fields, Value as Field};
use doorstep_tests::repository;
use doorstep_tests::town::office::database_of;
use doorstep_tests::town::{Office, Server, phone, routes};
use serde_json::{Value, json};

const WRAPPED: &str = "SELECT wrapped_key FROM records WHERE id = $1";

fn program() -> PathBuf {
    repository::program().unwrap()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn backup(server: &Server, to: &Path, keys: &Path) -> Value {
    let (to, keys) = (text(to), text(keys));
    let said = server
        .command(&["backup", "--to", &to, "--keys", &keys, "--json"])
        .unwrap();
    serde_json::from_str(&said).unwrap()
}

/// Restores into a new data folder, which is given the server's own keys first.
fn restore(office: &mut Office, from: &Path, keys: &Path) -> (Server, Value) {
    let data = office.place();
    let server = Server::new(&program(), &data).unwrap();
    restore_into(server, office, from, keys)
}

fn restore_into(server: Server, office: &Office, from: &Path, keys: &Path) -> (Server, Value) {
    let own = server.data().join("keys");
    copy_folder(&office.server.data().join("keys"), &own);
    let (from, keys) = (text(from), text(keys));
    let said = server.command(&["restore", "--from", &from, "--keys", &keys, "--json"]);
    (server, serde_json::from_str(&said.unwrap()).unwrap())
}

/// What a restore says that must not begin.
fn refusal(office: &mut Office, from: &Path, keys: &Path) -> String {
    let data = office.place();
    copy_folder(&office.server.data().join("keys"), &data.join("keys"));
    let server = Server::new(&program(), &data).unwrap();
    let (from, keys) = (text(from), text(keys));
    let said = server.command(&["restore", "--from", &from, "--keys", &keys]);
    assert!(!data.join("postgres").exists(), "it began");
    format!("{:#}", said.unwrap_err())
}

fn copy_folder(from: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A resident's fields, with a remark of its own.
fn person(number: usize) -> Fields {
    let remark = format!("第{number}位");
    [
        ("name", "何晓梅"),
        ("sex", "2"),
        ("population_kind", "01"),
        ("remark", &remark),
    ]
    .map(|(key, value)| (key.to_owned(), Field::from(value)))
    .into()
}

/// The tables of a backup by name: rows and digest.
fn tables(folder: &Path) -> BTreeMap<String, (u64, String)> {
    let bytes = std::fs::read(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let tables = manifest["tables"].as_array().unwrap().iter();
    tables
        .map(|table| {
            let digest = table["digest"].as_str().unwrap().to_owned();
            let name = table["name"].as_str().unwrap().to_owned();
            (name, (table["rows"].as_u64().unwrap(), digest))
        })
        .collect()
}

/// Whether the unpacked text of any file of a folder holds these bytes, as COPY writes them.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let sought = hex::encode(bytes);
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|end| end == "zst") && {
            let packed = std::fs::read(&path).unwrap();
            let plain = zstd::decode_all(packed.as_slice()).unwrap();
            String::from_utf8_lossy(&plain).contains(&sought)
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_is_whole_and_who_was_erased_stays_so() {
    let mut office = Office::open(&program()).await.unwrap();
    let url = office.server.url();
    let place = office.place();
    let writer = phone::light(&url, &office.collector, &place).await.unwrap();
    let records: Vec<RecordId> = (0..20)
        .map(|number| {
            writer
                .create("resident", office.area, person(number))
                .unwrap()
        })
        .collect();
    let visit: Fields = [
        ("mode", "01".into()),
        ("purpose", "01".into()),
        ("result", "01".into()),
        ("resident", records[1].to_string().into()),
        ("at", Field::Int(writer.now().0)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    writer.record_event("visit", office.area, visit).unwrap();
    writer.sync_once().await.unwrap();
    let erased = records[7];
    let mut database = database_of(&office.server).await.unwrap();
    let wrapped: Vec<u8> = sqlx::query_scalar(WRAPPED)
        .bind(erased.0)
        .fetch_one(&mut database)
        .await
        .unwrap();

    // The oldest backup, while the server runs; its keys are what an operator must not keep.
    let (oldest, newer, keys) = (office.place(), office.place(), office.place());
    let taken = backup(&office.server, &oldest, &keys);
    assert!(taken["taken"]["rows"].as_u64().unwrap() > 1_000, "{taken}");
    assert_eq!(taken["taken"]["erased"], 0);
    let first_keys = office.place();
    copy_folder(&keys, &first_keys);
    assert!(!holds(&oldest, &wrapped), "a key lies in the backup");
    assert!(holds(&first_keys, &wrapped));

    let erase = json!({ "ground": "request", "confirm": erased.0 });
    let path = format!("{}/{erased}/erase", routes::RECORDS);
    office
        .administrators
        .areas
        .api
        .post(&path, &erase)
        .await
        .unwrap();
    let taken = backup(&office.server, &newer, &keys);
    assert_eq!(taken["taken"]["erased"], 1, "{taken}");
    assert!(
        !holds(&keys, &wrapped),
        "a destroyed key is still among the keys"
    );

    // The newest: restored, and backed up again, every table is as it was.
    let (server, said) = restore(&mut office, &newer, &keys);
    assert_eq!(said["restored"]["audit"]["fault"], Value::Null, "{said}");
    assert_eq!(said["restored"]["erased_again"], 0);
    let (again, again_keys) = (office.place(), office.place());
    backup(&server, &again, &again_keys);
    let (before, after) = (tables(&newer), tables(&again));
    // Backing up and restoring are themselves audited.
    let audited = |name: &str| name.starts_with("audit_");
    for (name, rows) in &before {
        if !audited(name) {
            assert_eq!(Some(rows), after.get(name), "{name}");
        }
    }
    assert_eq!(before.len(), after.len());
    assert_eq!(tables(&keys), tables(&again_keys));

    // The oldest, with the newest keys: all but the one who was erased since.
    let (mut server, said) = restore(&mut office, &oldest, &keys);
    assert_eq!(said["restored"]["erased_again"], 1, "{said}");
    server.start().await.unwrap();
    let place = office.place();
    let reader = phone::light(&server.url(), &office.collector, &place)
        .await
        .unwrap();
    reader.sync_once().await.unwrap();
    for (number, record) in records.iter().enumerate() {
        if *record == erased {
            assert!(
                reader.record(*record).is_err(),
                "an erased record came back"
            );
            continue;
        }
        let held = reader.record(*record).unwrap().registers;
        let remark = held
            .get("remark")
            .and_then(Field::as_text)
            .unwrap()
            .to_owned();
        assert_eq!(remark, format!("第{number}位"));
    }
    assert_eq!(reader.events_about(records[1]).unwrap().len(), 1);
    assert!(!holds(&oldest, &wrapped) && !holds(&keys, &wrapped));
    server.stop().unwrap();

    // What does not fit is refused, and says why.
    let said = refusal(&mut office, &newer, &first_keys);
    assert!(said.contains("密钥目录比备份旧"), "{said}");
    let file = oldest.join("changes.copy.zst");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let said = refusal(&mut office, &oldest, &keys);
    assert!(said.contains("已损坏"), "{said}");
    let manifest = newer.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"rows\": 20,", "\"rows\": 19,")).unwrap();
    let said = refusal(&mut office, &newer, &keys);
    assert!(said.contains("签名不符"), "{said}");
}

/// What a phone was told is safe after the backup comes again once its user has signed in, each thing once: records,
/// edits, a visit, and what was refused. A phone that was never there then sees all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_phones_did_after_the_backup_comes_again() {
    let mut office = Office::open(&program()).await.unwrap();
    let url = office.server.url();
    let place = office.place();
    let writer = phone::light(&url, &office.collector, &place).await.unwrap();
    let area = office.area;
    let create = |number| writer.create("resident", area, person(number)).unwrap();
    let mut records: Vec<RecordId> = (0..5).map(create).collect();
    let forbidden = |record: RecordId, value: &str| {
        let fields = Fields::from([("police_person_id".to_owned(), Field::from(value))]);
        writer.update(record, &fields).unwrap();
    };
    forbidden(records[1], "P1");
    writer.sync_once().await.unwrap();
    let (to, keys) = (office.place(), office.place());
    backup(&office.server, &to, &keys);

    records.extend((5..8).map(create));
    let remark = Fields::from([("remark".to_owned(), Field::from("白天在家"))]);
    writer.update(records[0], &remark).unwrap();
    forbidden(records[2], "P2");
    let visit: Fields = [
        ("mode", "01".into()),
        ("purpose", "01".into()),
        ("result", "01".into()),
        ("resident", records[0].to_string().into()),
        ("at", Field::Int(writer.now().0)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    writer.record_event("visit", office.area, visit).unwrap();
    writer.sync_once().await.unwrap();
    assert_eq!(writer.unsent().unwrap().items, 0, "all is acknowledged");
    assert_eq!(writer.refused().unwrap().len(), 2);

    office.server.stop().unwrap();
    let data = office.place();
    let server = Server::instead_of(&office.server, &data);
    let (mut server, _) = restore_into(server, &office, &to, &keys);
    server.start().await.unwrap();
    // No session is in a backup, and without one the password is asked for.
    let asked = writer.sync_once().await.unwrap_err();
    assert_eq!(asked.code, "password_required");
    let password = &office.collector.password;
    writer.login().sign_in(password, None).await.unwrap();
    writer.sync_once().await.unwrap();
    assert_eq!(writer.unsent().unwrap().items, 0);
    assert_eq!(writer.refused().unwrap().len(), 2);

    let place = office.place();
    let reader = phone::light(&url, &office.collector, &place).await.unwrap();
    reader.sync_once().await.unwrap();
    for (number, record) in records.iter().enumerate() {
        let held = reader.record(*record).unwrap().registers;
        let wanted = match number {
            0 => "白天在家".to_owned(),
            number => format!("第{number}位"),
        };
        assert_eq!(held.get("remark"), Some(&Field::from(wanted.as_str())));
        assert_eq!(held.get("police_person_id"), None);
    }
    assert_eq!(reader.events_about(records[0]).unwrap().len(), 1);
    let mut database = database_of(&server).await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM refused_items")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(kept, 2);
    let alarms: i64 = sqlx::query_scalar("SELECT count(*) FROM alarms")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(alarms, 0);
    server.stop().unwrap();
}

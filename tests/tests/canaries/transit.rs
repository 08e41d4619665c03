//! Between a device and the TLS end before the server: what is recorded there shows nothing, and a bit that is turned
//! there ends the connection, with nothing merged and nothing lost.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use doorstep_client::{
    Counters, Device, Home, Http, Kind, Options, Secrets, ServerAddress, SqliteStore,
};
use doorstep_core::ids::RecordId;
use doorstep_core::rights::Role;
use doorstep_core::value::{Fields, Value as Field};
use doorstep_server::testing::city::VILLAGE;
use doorstep_server::testing::{Person, TestServer};
use doorstep_tests::repository;
use doorstep_tests::town::Wire;
use doorstep_tests::town::cutter::Way;
use doorstep_tests::town::wire::Flip;
use serde_json::Value;

use crate::canary::{self, Canary, canary};

/// The server with the TLS end before it, and the wire between.
struct Line {
    server: TestServer,
    wire: Wire,
}

/// A device that does not try again by itself.
struct Phone {
    device: Device<SqliteStore>,
    token: String,
    _home: Home,
    _folder: tempfile::TempDir,
}

impl Line {
    async fn open() -> Self {
        let server = TestServer::open_city().await.unwrap();
        let wire = Wire::to(server.address).await.unwrap();
        Self { server, wire }
    }

    fn address(&self) -> ServerAddress {
        let address = ServerAddress::parse(&self.wire.url()).unwrap();
        address.trusting(self.wire.authority()).unwrap()
    }

    async fn collector(&self) -> Person {
        let person = self.server.person(Role::Collector, VILLAGE).await;
        person.unwrap()
    }

    async fn phone(&self, person: &Person) -> Phone {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path(), [7; 32]).unwrap();
        let secrets = secrets(person);
        let session = home
            .enrol(&self.address(), &secrets, "phone", "cli")
            .await
            .unwrap();
        let once = Options {
            tries: 1,
            ..Options::default()
        };
        Phone {
            device: home.device(session.user, once).unwrap(),
            token: session.token,
            _home: home,
            _folder: folder,
        }
    }

    /// What the server holds of a record's field.
    async fn held(&self, record: RecordId, key: &str) -> Option<Field> {
        self.server.value_of(record, key).await.unwrap()
    }

    /// How many changes the server took of a record, and how many photos of it are whole.
    async fn taken(&self, who: &Person, record: RecordId) -> (usize, usize) {
        let path = format!("/api/records/{record}");
        let history = self.server.get(who, &format!("{path}/history")).await;
        let photos = self.server.get(who, &format!("{path}/photos")).await;
        let arrived = photos.unwrap().as_array().unwrap().clone();
        let arrived = arrived.iter().filter(|photo| photo["state"] == "arrived");
        let changes = history.unwrap()["changes"].as_array().unwrap().len();
        (changes, arrived.count())
    }
}

fn secrets(person: &Person) -> Secrets {
    Secrets {
        login: person.login.clone(),
        password: person.password.clone(),
        code: None,
    }
}

fn remark(text: &str) -> Fields {
    [("remark".to_owned(), text.into())].into()
}

/// A remark that no packing makes short: no character of it comes twice.
fn long_remark(first: u32) -> String {
    (first..first + 400)
        .filter_map(|at| char::from_u32(0x4e00 + at * 37 % 20_000))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_of_the_line_shows_nothing_personal() {
    let line = Line::open().await;
    let (person, other) = (line.collector().await, line.collector().await);
    let phone = line.phone(&person).await;
    let area = VILLAGE.parse().unwrap();
    let device = &phone.device;
    let record = device.create("resident", area, canary::resident()).unwrap();
    device.create("house", area, canary::house()).unwrap();
    let residence = canary::residence(&record.to_string());
    device.create("residence", area, residence).unwrap();
    let visit = canary::visit(&record.to_string(), device.now().0);
    device.record_event("visit", area, visit).unwrap();
    let photo = canary::photo();
    let digest = device.add_photo(record, "portrait", &photo).unwrap();
    let report = device.sync_once().await.unwrap();
    assert_eq!((report.refused, report.photos_sent), (0, 1), "{report:?}");
    // Down again to a colleague, the photo with it.
    let colleague = line.phone(&other).await;
    colleague.device.sync_once().await.unwrap();
    assert_eq!(colleague.device.photo(&digest).await.unwrap(), photo);
    let held = colleague.device.record(record).unwrap().registers;
    let name = held.get("name").and_then(Field::as_text);
    assert_eq!(name, Some(canary("a name by a phone")));
    // What is typed into a search stands in the address.
    let http = Http::new(line.address(), Arc::<Counters>::default()).unwrap();
    let sought = [("text", canary("a search"))];
    let request = http
        .request(reqwest::Method::GET, "/api/residents", Some(&phone.token))
        .query(&sought);
    http.json::<Value>(request).await.unwrap();

    let mut canaries = canary::all();
    canaries.push(Canary::of("a password", person.password.as_bytes()));
    canaries.push(Canary::of("a session", phone.token.as_bytes()));
    let (outside, inside) = (line.wire.outside(), line.wire.inside());
    let seen = |bytes: &[u8]| -> Vec<String> {
        let hits = canaries.iter().filter(|canary| canary.is_in(bytes));
        hits.map(|canary| canary.door.clone()).collect()
    };
    assert_eq!(seen(&outside), Vec::<String>::new());
    // The recording is whole, and behind the TLS end the same search finds what is not packed or masked besides.
    assert!(outside.len() > inside.len() && inside.len() > 2 * photo.len());
    for door in ["a photo", "a password", "a session", "a search"] {
        assert!(seen(&inside).contains(&door.to_owned()), "{door}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_turned_on_the_way_ends_the_connection_with_nothing_merged_and_nothing_lost() {
    let line = Line::open().await;
    let (person, other) = (line.collector().await, line.collector().await);
    let (one, two) = (line.phone(&person).await, line.phone(&other).await);
    let area = VILLAGE.parse().unwrap();
    let fields = [("name", "叶海思"), ("sex", "1"), ("population_kind", "01")];
    let fields = fields.map(|(key, value)| (key.to_owned(), value.into()));
    let record = one.device.create("resident", area, fields.into()).unwrap();
    one.device.sync_once().await.unwrap();
    two.device.sync_once().await.unwrap();

    // On the way up: what was pushed is not merged, and is still on the phone.
    let text = long_remark(0);
    one.device.update(record, &remark(&text)).unwrap();
    let turned = |way, least, record| {
        line.wire.plan(Flip { way, least, record });
    };
    turned(Way::Up, 1_000, 1);
    let failed = one.device.sync_once().await.unwrap_err();
    assert_eq!(failed.kind, Kind::Offline, "{failed:?}");
    assert!(!line.wire.forget(), "the bit was turned");
    assert_eq!(line.held(record, "remark").await, None, "nothing merged");
    assert_eq!(one.device.unsent().unwrap().items, 1, "nothing lost");
    let report = one.device.sync_once().await.unwrap();
    assert_eq!((report.accepted, report.refused), (1, 0), "{report:?}");
    assert_eq!(
        line.held(record, "remark").await,
        Some(text.as_str().into())
    );

    // On the way down: nothing of it is on the phone.
    turned(Way::Down, 700, 1);
    assert!(two.device.sync_once().await.is_err());
    assert!(!line.wire.forget(), "the bit was turned");
    let of_two = |key: &str| {
        two.device
            .record(record)
            .unwrap()
            .registers
            .get(key)
            .cloned()
    };
    assert_eq!(of_two("remark"), None);
    two.device.sync_once().await.unwrap();
    assert_eq!(of_two("remark"), Some(text.as_str().into()));

    // A photo's piece: it is not taken, and goes up whole the next time.
    let photo = canary::photo();
    let digest = one.device.add_photo(record, "portrait", &photo).unwrap();
    turned(Way::Up, 8_000, 1);
    let report = one.device.sync_once().await.unwrap();
    assert!(!line.wire.forget(), "the bit was turned");
    assert_eq!(
        (report.photos_sent, report.photos_waiting),
        (0, 1),
        "{report:?}"
    );
    assert_eq!(line.taken(&other, record).await, (3, 0));
    assert_eq!(one.device.sync_once().await.unwrap().photos_sent, 1);
    two.device.sync_once().await.unwrap();
    assert_eq!(two.device.photo(&digest).await.unwrap(), photo);

    // And in each record of a connection, whatever it carries: it ends, or the record was the last word of it.
    let mut changes = 3;
    for way in [Way::Up, Way::Down] {
        for at in 1..=8 {
            let text = format!("第{changes}次");
            one.device.update(record, &remark(&text)).unwrap();
            changes += 1;
            turned(way, 0, at);
            let ended = one.device.sync_once().await;
            if line.wire.forget() {
                assert!(ended.is_ok(), "{way:?} {at}: {ended:?}");
            }
            let merged = line.held(record, "remark").await == Some(text.as_str().into());
            let waits = one.device.unsent().unwrap().items == 1;
            assert!(merged || waits, "{way:?} {at}: lost");
            one.device.sync_once().await.unwrap();
            assert_eq!(
                line.held(record, "remark").await,
                Some(text.as_str().into())
            );
            assert_eq!(one.device.unsent().unwrap().items, 0);
        }
    }
    two.device.sync_once().await.unwrap();
    assert_eq!(line.taken(&other, record).await, (changes, 1), "each once");
    let contents = |phone: &Phone| phone.device.record(record).unwrap().registers;
    assert_eq!(contents(&one), contents(&two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_only_believed_with_the_certificate_of_the_citys_own_authority() {
    let line = Line::open().await;
    let person = line.collector().await;
    let folder = tempfile::tempdir().unwrap();
    let of_city = folder.path().join("city.pem");
    std::fs::write(&of_city, line.wire.authority()).unwrap();
    // Another city's: sound, but not this server's.
    let other = Wire::to(line.server.address).await.unwrap();
    let of_other = folder.path().join("other.pem");
    std::fs::write(&of_other, other.authority()).unwrap();
    let nobody = folder.path().join("nobody.pem");
    std::fs::write(&nobody, "no certificate").unwrap();

    let url = line.wire.url();
    let ask = |arguments: &[&str], authority: Option<&Path>| {
        let mut command = Command::new(repository::program().unwrap());
        command.args(arguments).arg("--json");
        command.env("DOORSTEP_PASSWORD", &person.password);
        command.env("DOORSTEP_SESSION", folder.path().join("session.json"));
        if let Some(authority) = authority {
            command.arg("--ca").arg(authority);
        }
        let output = command.output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = said["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (output.status.code().unwrap(), code)
    };
    let dir = folder.path().join("device");
    let dir = dir.to_str().unwrap();
    let done = (0, String::new());
    let enroll = [
        "device",
        "enroll",
        "--server",
        &url,
        "--login",
        &person.login,
        "--dir",
        dir,
    ];
    let login = ["login", "--server", &url, "--login", &person.login];
    for entering in [&login[..], &enroll] {
        for authority in [None, Some(of_other.as_path())] {
            let (exit, code) = ask(entering, authority);
            assert_eq!((exit, &*code), (4, "offline"), "{entering:?} {authority:?}");
        }
        let no_file = (2, "certificate_file".to_owned());
        assert_eq!(ask(entering, Some(&nobody)), no_file);
    }
    assert!(line.wire.inside().is_empty(), "nobody was told anything");
    // What was named once is remembered.
    let sync = ["device", "sync", "--dir", dir];
    for (entering, further) in [(&login[..], &["conflicts", "list"][..]), (&enroll, &sync)] {
        assert_eq!(ask(entering, Some(&of_city)), done);
        let (exit, code) = ask(further, None);
        assert_ne!(exit, 4, "{further:?} {code}");
    }
    // It is the same server, however its address is written.
    let slashed = format!("{url}/");
    let (exit, code) = ask(&["conflicts", "list", "--server", &slashed], None);
    assert_ne!(exit, 4, "{code}");
    // The city changes its authority: the device is told at its next sign-in.
    let again = ["device", "login", "--dir", dir];
    assert_eq!(ask(&again, Some(&of_other)).0, 4);
    assert_eq!(ask(&again, Some(&of_city)), done);
}

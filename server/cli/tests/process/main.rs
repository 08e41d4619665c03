//! The command as a person runs it: a real server process on its own database, and real devices in folders of their
//! own. Enrol, edit offline, sync, see on the other device.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod export;
mod queue;
mod stage;

use std::path::Path;

use serde_json::Value;

use stage::{AREA, Server, doorstep, refused, run};

#[test]
fn what_is_recorded_offline_is_seen_on_the_other_device() {
    let server = Server::start();
    let (one, two) = (server.device("lin.zx"), server.device("he.xm"));
    let new = [
        "new",
        "居民",
        "姓名=何晓梅",
        "性别=女",
        "人员类别=户籍人口",
        "--area",
        AREA,
    ];
    let id = server.on(&one, &new)["id"].as_str().unwrap().to_owned();
    server.on(&one, &["set", &id, "remark=二楼东侧"]);
    assert_eq!(
        server.on(&one, &["outbox"])["waiting"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let report = &server.on(&one, &["sync"])["report"];
    assert_eq!(
        (report["accepted"].as_u64(), report["refused"].as_u64()),
        (Some(2), Some(0)),
        "{report}"
    );
    server.on(&two, &["sync"]);
    let shown = server.on(&two, &["show", &id]);
    assert_eq!(shown["fields"]["name"], "何晓梅");
    assert_eq!(shown["fields"]["remark"], "二楼东侧");
    assert_eq!(
        server.on(&two, &["search", "hxm"])[0]["id"],
        id.as_str(),
        "found by initials"
    );

    // Both write offline: a field each, and one the same. Both end up equal.
    server.on(&one, &["set", &id, "remark=一楼"]);
    server.on(&two, &["set", &id, "workplace=纺织厂"]);
    server.on(&two, &["visit", "--resident", &id]);
    for dir in [&one, &two, &one] {
        server.on(dir, &["sync"]);
    }
    let (mine, theirs) = (
        server.on(&one, &["show", &id]),
        server.on(&two, &["show", &id]),
    );
    assert_eq!(mine["fields"], theirs["fields"]);
    assert_eq!(mine["heads"], theirs["heads"]);
    assert_eq!(
        (&mine["fields"]["remark"], &mine["fields"]["workplace"]),
        (&"一楼".into(), &"纺织厂".into())
    );
    assert_eq!(
        mine["events"].as_array().unwrap().len(),
        1,
        "the visit came along"
    );
    let digests = |dir: &str| server.on(dir, &["status"])["scopes"].clone();
    let area = |scopes: Value| {
        let scopes = scopes.as_array().unwrap().clone();
        scopes
            .into_iter()
            .find(|scope| scope["scope"] == format!("area:{AREA}"))
            .unwrap()
    };
    assert_eq!(area(digests(&one)), area(digests(&two)));

    // The document is Automerge's.
    let file = server.path().join("record.automerge");
    let export = [
        "record",
        "export",
        &id,
        "--automerge",
        file.to_str().unwrap(),
        "--dir",
        &one,
    ];
    run(server.path(), &export, &[]);
    let document = automerge::Automerge::load(&std::fs::read(&file).unwrap()).unwrap();
    use automerge::ReadDoc;
    let (value, _) = document.get(automerge::ROOT, "remark").unwrap().unwrap();
    assert_eq!(value.as_str(), Some("一楼"));

    // The server's is the same, for one who may see all of it and says why.
    let session = server.supervisor("he.jh");
    let file = server.path().join("of-server.automerge");
    let export = [
        "record",
        "export",
        &id,
        "--automerge",
        file.to_str().unwrap(),
        "--session",
        &session,
    ];
    assert_eq!(
        refused(server.path(), &export),
        (2, "purpose_missing".to_owned())
    );
    let export = [&export[..], &["--purpose", "correction"]].concat();
    run(server.path(), &export, &[]);
    let of_server = automerge::Automerge::load(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(of_server.get_heads(), document.get_heads());

    let verdict = run(
        server.path(),
        &["audit", "verify", "--data", &server.data()],
        &[],
    );
    assert!(
        verdict["fault"].is_null() && verdict["entries"].as_u64() > Some(5),
        "{verdict}"
    );
}

#[test]
fn what_is_wrong_is_said_with_code_and_exit() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("device").to_str().unwrap().to_owned();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["device", "status", "--dir", &dir], 2, "not_enrolled"),
        (&["device", "new", "居民", "--dir", &dir], 2, "not_enrolled"),
        (&["device", "new", "宠物", "--dir", &dir], 2, "no_such_type"),
        (&["users", "list"], 3, "signed_out"),
        (&["device", "sync"], 2, "arguments"),
    ];
    for (arguments, exit, code) in cases {
        assert_eq!(
            refused(folder.path(), arguments),
            (exit, code.to_owned()),
            "{arguments:?}"
        );
    }
    let login = ["login", "--login", "x", "--server", "http://gd.example.cn"];
    assert_eq!(
        refused(folder.path(), &login),
        (2, "insecure_address".to_owned())
    );
    let output = doorstep(
        folder.path(),
        &["login", "--login", "x", "--server", "http://127.0.0.1:9"],
        &[("DOORSTEP_PASSWORD", "x")],
    );
    assert_eq!(
        output.status.code(),
        Some(4),
        "nobody listens: try again later"
    );
}

#[test]
fn a_refusal_is_shown_and_dismissed_a_damaged_outbox_is_mended_and_a_wipe_is_confirmed() {
    let server = Server::start();
    let one = server.device("lin.zx");
    let new = [
        "new",
        "居民",
        "姓名=何晓梅",
        "性别=女",
        "人员类别=户籍人口",
        "--area",
        AREA,
    ];
    let id = server.on(&one, &new)["id"].as_str().unwrap().to_owned();
    server.on(&one, &["sync"]);
    server.on(&one, &["set", &id, "police_person_id=P1"]);
    assert_eq!(server.on(&one, &["sync"])["report"]["refused"], 1);
    let refused = server.on(&one, &["outbox"])["refused"].clone();
    let item = &refused[0];
    assert_eq!(
        (&item["code"], &item["field"], &item["record"]),
        (
            &"field_not_writable".into(),
            &"police_person_id".into(),
            &id.as_str().into()
        ),
        "{refused}"
    );
    assert_eq!(item["values"][0]["key"], "police_person_id");
    for said in [&item["message"], &item["advice"], &item["label"]] {
        assert!(!said.as_str().unwrap().is_empty(), "{refused}");
    }
    let number = item["id"].to_string();
    let left = server.on(&one, &["outbox", "--dismiss", &number]);
    assert_eq!(left["refused"], Value::Array(Vec::new()));
    let again = ["device", "outbox", "--dismiss", &number, "--dir", &one];
    let expected = (2, "no_such_refusal".to_owned());
    assert_eq!(self::refused(server.path(), &again), expected);

    // The outbox's last page can't be read: what was made is there all the same, and goes up.
    server.on(&one, &["set", &id, "remark=二楼东侧"]);
    let users = Path::new(&one).join("users");
    let user = std::fs::read_dir(users).unwrap().next().unwrap().unwrap();
    let outbox = user.path().join("outbox.db");
    let mut bytes = std::fs::read(&outbox).unwrap();
    let at = bytes.len() - 1_000;
    bytes[at] ^= 1;
    std::fs::write(&outbox, &bytes).unwrap();
    let status = server.on(&one, &["status"]);
    let aside = status["files"]["set_aside"][0].as_str().unwrap();
    assert_eq!(std::fs::read(aside).unwrap(), bytes, "kept as it was found");
    assert_eq!(status["unsent"]["items"], 1, "{status}");
    let report = &server.on(&one, &["sync"])["report"];
    assert_eq!(
        (report["accepted"].as_u64(), report["refused"].as_u64()),
        (Some(1), Some(0)),
        "{report}"
    );

    // Lost: it wipes itself at its next contact, and says so.
    let device = status["account"]["device"].as_str().unwrap();
    let path = format!("/api/devices/{device}");
    let reason = serde_json::json!({ "reason": "手机遗失" });
    let ordered = server.ask("POST", &format!("{path}/wipe"), &reason);
    assert_eq!(ordered["status"], "wipe_ordered", "{ordered}");
    let sync = ["device", "sync", "--dir", &one];
    assert_eq!(self::refused(server.path(), &sync), (1, "wiped".to_owned()));
    assert!(!user.path().exists(), "nothing of the user's is left");
    let shown = server.ask("GET", &path, &Value::Null);
    assert_eq!(shown["status"], "wiped", "{shown}");
    assert_eq!(shown["status_reason"], "手机遗失");
    assert_eq!(
        self::refused(server.path(), &sync),
        (2, "not_enrolled".to_owned())
    );
}

/// Whoever is signed out makes no contact but signing in: that is the one at which the phone is wiped.
#[test]
fn a_phone_that_is_signed_out_is_wiped_when_its_user_signs_in() {
    let server = Server::start();
    let one = server.device("one");
    let user = || {
        let users = std::fs::read_dir(Path::new(&one).join("users"));
        users.map_or(0, Iterator::count)
    };
    let new = ["new", "居民", "name=何晓梅", "sex=2", "population_kind=01"];
    server.on(&one, &[&new[..], &["--area", AREA]].concat());
    server.on(&one, &["logout"]);
    let status = server.on(&one, &["status"]);
    assert_eq!(user(), 1);
    let device = status["account"]["device"].as_str().unwrap();
    let path = format!("/api/devices/{device}");
    let reason = serde_json::json!({ "reason": "手机遗失" });
    server.ask("POST", &format!("{path}/wipe"), &reason);
    let login = doorstep(
        server.path(),
        &["device", "login", "--dir", &one],
        &[("DOORSTEP_PASSWORD", stage::PASSWORD)],
    );
    let said: Value = serde_json::from_slice(&login.stdout).unwrap();
    assert_eq!(said["error"]["code"], "wiped", "{said}");
    assert_eq!(user(), 0, "nothing of the user's is left");
    let shown = server.ask("GET", &path, &Value::Null);
    assert_eq!(shown["status"], "wiped", "{shown}");
}

#[test]
fn what_is_here_already_is_shown_before_another_is_made_and_a_house_takes_its_standard_address() {
    let server = Server::start();
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/police/DZ_310101002001_20261120_0001.txt"
    );
    let data = server.data();
    let import = ["addresses", "import", file, "--data", &data];
    // Half a file, before its control file has come and after.
    let half = server.path().join("DZ_half.txt");
    let bytes = std::fs::read(file).unwrap();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    std::fs::write(&half, &bytes[..=end]).unwrap();
    let of_half = [
        "addresses",
        "import",
        half.to_str().unwrap(),
        "--data",
        &data,
    ];
    let missing = (1, "control_missing".to_owned());
    assert_eq!(self::refused(server.path(), &of_half), missing);
    let control = std::path::Path::new(file).with_extension("ok");
    std::fs::copy(control, half.with_extension("ok")).unwrap();
    let differs = (2, "invalid_fields".to_owned());
    assert_eq!(self::refused(server.path(), &of_half), differs);
    let (imported, again) = (
        run(server.path(), &import, &[]),
        run(server.path(), &import, &[]),
    );
    assert_eq!(
        (&imported["rows"], &imported["added"]),
        (&1413.into(), &1413.into())
    );
    assert_eq!(again["added"], 0);
    let one = server.device("lin.zx");
    server.on(&one, &["sync"]);

    // An address of the base, written otherwise, gets its code; one that is not there is proposed, with what is near.
    let known = server.on(&one, &["addresses", "12弄28号", "--limit", "2"]);
    assert_eq!(known.as_array().unwrap().len(), 2);
    let address = known[0]["address"].as_str().unwrap();
    let written = format!("房屋地址=上海市黄浦区{}", address.replace("28号", "28号楼"));
    let new = |address: &str| {
        server.on(
            &one,
            &["new", "房屋", address, "房屋用途=自住", "--area", AREA],
        )
    };
    let house = new(&written);
    assert_eq!(house["address"]["standard"], known[0]["code"], "{house}");
    let id = house["id"].as_str().unwrap();
    let fields = server.on(&one, &["show", id])["fields"].clone();
    assert_eq!(fields["standard_address_code"], known[0]["code"]);
    let road = address.split("12弄").next().unwrap();
    let proposed = new(&format!("房屋地址={road}12弄28号9904室"));
    assert_eq!(proposed["address"]["proposed"], true, "{proposed}");
    assert_eq!(proposed["address"]["near"][0]["nearness"], "same_building");
    // Chosen by its code, it brings its address.
    let code = format!(
        "standard_address_code={}",
        known[1]["code"].as_str().unwrap()
    );
    let chosen = new(&code);
    let id = chosen["id"].as_str().unwrap();
    assert_eq!(
        server.on(&one, &["show", id])["fields"]["address"],
        known[1]["address"]
    );
    let unknown = [
        "device",
        "new",
        "房屋",
        "standard_address_code=1",
        "--dir",
        &one,
    ];
    assert_eq!(
        refused(server.path(), &unknown),
        (2, "no_such_address".to_owned())
    );

    // The same house again, and the same person: shown, not made; made all the same when that is said.
    let count = || server.on(&one, &["list"]).as_array().unwrap().len();
    assert_eq!(count(), 3);
    let person = [
        "new",
        "居民",
        "姓名=何晓梅",
        "性别=女",
        "出生日期=1970-04-27",
        "人员类别=户籍人口",
        "--area",
        AREA,
    ];
    let first = server.on(&one, &person)["id"].clone();
    let house = ["new", "房屋", &written, "房屋用途=出租", "--area", AREA];
    for (again, reason) in [(&person[..], "name_and_birth"), (&house, "address")] {
        let arguments = [&["device"], again, &["--dir", &one]].concat();
        let output = doorstep(server.path(), &arguments, &[]);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said["error"]["code"], "already_here");
        assert_eq!(said["alike"][0]["reason"], reason, "{said}");
    }
    assert_eq!(count(), 4);
    let another = server.on(&one, &[&person[..], &["--anyway"]].concat())["id"].clone();
    assert_ne!(another, first);
    let report = &server.on(&one, &["sync"])["report"];
    assert_eq!(report["accepted"], 5, "{report}");
}

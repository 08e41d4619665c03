//! A record with its whole history as JSON, from a device's copy and from the server.

use serde_json::Value;

use crate::stage::{AREA, Server, refused, run, shown};

#[test]
fn a_record_is_written_with_its_history_as_json_and_from_the_server_only_for_a_purpose() {
    let server = Server::start();
    let one = server.device("lin.zx");
    let new = [
        "new",
        "居民",
        "姓名=何晓梅",
        "性别=女",
        "人员类别=户籍人口",
        "手机号码=13817264593",
        "证件种类=居民身份证",
        "证件号码=11010519491231002X",
        "--area",
        AREA,
    ];
    let id = server.on(&one, &new)["id"].as_str().unwrap().to_owned();
    server.on(&one, &["set", &id, "手机号码=13817264594", "备注=二楼东侧"]);
    server.on(&one, &["set", &id, "备注="]);
    server.on(&one, &["sync"]);

    let export = ["record", "export", &id];
    let of_device = run(
        server.path(),
        &[&export[..], &["--dir", &one]].concat(),
        &[],
    );
    assert_eq!(
        (
            &of_device["id"],
            &of_device["record_type"],
            &of_device["area"]
        ),
        (&id.as_str().into(), &"resident".into(), &AREA.into())
    );
    assert_eq!(of_device["fields"]["phone"], "13817264594");
    assert_eq!(of_device["fields"]["id_number"], "11010519491231002X");
    assert_eq!(of_device["fields"]["remark"], Value::Null, "cleared");
    let changes = of_device["history"]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 3, "{of_device}");
    let phone = moved(&changes[1], "phone");
    assert_eq!(
        (&phone["before"], &phone["put"], &phone["after"]),
        (
            &"13817264593".into(),
            &"13817264594".into(),
            &"13817264594".into()
        )
    );
    assert_eq!(phone["label"], "手机号码");
    assert!(changes[1]["made_at"].is_string() && changes[1]["confirmed"] == true);

    let session = server.supervisor("he.jh");
    let export = [&export[..], &["--session", &session]].concat();
    assert_eq!(
        refused(server.path(), &export),
        (2, "purpose_missing".to_owned())
    );
    let idle = [&export[..], &["--purpose", "curiosity"]].concat();
    assert_eq!(refused(server.path(), &idle), (2, "arguments".to_owned()));
    let export = [&export[..], &["--purpose", "correction"]].concat();
    let of_server = run(server.path(), &export, &[]);
    assert_eq!(
        of_server["fields"], of_device["fields"],
        "in clear, all of it"
    );
    let told = of_server["history"]["changes"].as_array().unwrap();
    let hashes = |changes: &[Value]| -> Vec<Value> {
        changes
            .iter()
            .map(|change| change["hash"].clone())
            .collect()
    };
    assert_eq!(hashes(told), hashes(changes));
    assert_eq!(told[1]["user_name"], "林朝霞");
    assert_eq!(moved(&told[1], "phone")["before"], "13817264593");

    // A person reads the same, over several lines.
    let read = shown(server.path(), &export);
    assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), of_server);
    assert!(read.lines().count() > 20, "{read}");
}

fn moved<'a>(change: &'a Value, field: &str) -> &'a Value {
    let fields = change["fields"].as_array().unwrap();
    fields.iter().find(|moved| moved["field"] == field).unwrap()
}

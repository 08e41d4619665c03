//! The conflict queue from the command line: what is shown is enough to fill in each decision.

use serde_json::Value;

use crate::stage::{AREA, Server, refused, run, shown};

/// A picture of 8 by 8.
const PNG: &str = "89504e470d0a1a0a0000000d49484452000000080000000808020000004b6d29dc000000114944415478da637068388015310c2d\
                   090062f36001094f0bdd0000000049454e44ae426082";

impl Server {
    fn resident(&self, dir: &str, name: &str, more: &[&str]) -> String {
        let name = format!("姓名={name}");
        let new = ["new", "居民", &name, "性别=女", "人员类别=户籍人口"];
        let new = [&new[..], more, &["--area", AREA]].concat();
        self.on(dir, &new)["id"].as_str().unwrap().to_owned()
    }

    fn residence(&self, dir: &str, resident: &str, address: &str) -> String {
        let (resident, address) = (format!("居民={resident}"), format!("居住地址={address}"));
        let new = [
            "new",
            "居住关系",
            &resident,
            "关系类型=居住",
            &address,
            "--area",
            AREA,
        ];
        self.on(dir, &new)["id"].as_str().unwrap().to_owned()
    }

    /// The only open item of a kind.
    fn item(&self, session: &str, kind: &str) -> String {
        let list = ["conflicts", "list", "--kind", kind, "--session", session];
        let list = run(self.path(), &list, &[]);
        let items = list["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{list}");
        items[0]["id"].as_str().unwrap().to_owned()
    }
}

#[test]
fn an_item_shows_both_records_and_their_evidence_and_is_merged_by_what_it_shows() {
    let server = Server::start();
    let (one, two) = (server.device("lin.zx"), server.device("he.xm"));
    let number = ["证件种类=居民身份证", "证件号码=11010519491231002X"];
    let first = server.resident(&one, "何晓梅", &number);
    let photo = server.path().join("photo.png");
    std::fs::write(&photo, hex::decode(PNG).unwrap()).unwrap();
    let photo = photo.to_str().unwrap();
    server.on(&one, &["photo", "add", &first, photo]);
    let second = server.resident(&two, "何小梅", &number);
    let visit = [
        "visit",
        "--resident",
        &second,
        "走访记录=家中无人",
        "--photo",
        photo,
    ];
    let visit = server.on(&two, &visit)["id"].as_str().unwrap().to_owned();
    for dir in [&one, &two, &one] {
        server.on(dir, &["sync"]);
    }

    let session = server.supervisor("he.jh");
    let item = server.item(&session, "duplicate_person");
    let show = ["conflicts", "show", &item, "--session", &session];
    let text = shown(server.path(), &show);
    for said in [
        &*first,
        &*second,
        "何晓梅",
        "何小梅",
        &*visit,
        "家中无人",
        "--merge",
        "另一份档案",
        "照片",
    ] {
        assert!(text.contains(said), "{said}:\n{text}");
    }
    let names = text.lines().find(|line| line.starts_with("姓名")).unwrap();
    assert!(
        names.contains("何晓梅") && names.contains("何小梅"),
        "side by side"
    );
    let of_photos = |id: &str| {
        let mut lines = text.lines().skip_while(|line| !line.starts_with("照片"));
        lines.any(|line| line.contains(id))
    };
    assert!(of_photos(&first) && of_photos(&visit), "{text}");
    assert!(!text.contains("11010519491231002X"), "masked:\n{text}");
    assert!(text.contains("--purpose"), "{text}");
    // One of the five purposes, and no other word.
    let idle = [&show[..], &["--purpose", "为了裁决"]].concat();
    assert_eq!(refused(server.path(), &idle), (2, "arguments".to_owned()));
    let clear = [&show[..], &["--purpose", "correction"]].concat();
    assert!(shown(server.path(), &clear).contains("11010519491231002X"));

    let merge = [
        "conflicts",
        "resolve",
        &item,
        "--merge",
        &first,
        "--session",
        &session,
    ];
    run(server.path(), &merge, &[]);
    let text = shown(server.path(), &show);
    assert!(text.contains(&format!("已并入 {first}")), "{text}");
    assert!(text.contains("已作裁决"), "{text}");
}

#[test]
fn one_file_of_two_persons_is_split_with_the_residences_and_values_that_are_named() {
    let server = Server::start();
    let (one, two) = (server.device("lin.zx"), server.device("he.xm"));
    let resident = server.resident(&one, "何晓梅", &[]);
    let home = server.residence(&one, &resident, "云南中路12弄28号101室");
    let other = server.residence(&one, &resident, "云南中路12弄28号202室");
    server.on(&one, &["sync"]);
    server.on(&two, &["sync"]);
    server.on(&one, &["set", &resident, "姓名=何晓美"]);
    server.on(&two, &["set", &resident, "姓名=贺小梅"]);
    for dir in [&one, &two] {
        server.on(dir, &["sync"]);
    }

    let session = server.supervisor("he.jh");
    let item = server.item(&session, "field");
    let show = ["conflicts", "show", &item, "--session", &session];
    let text = shown(server.path(), &show);
    for said in [&*resident, &*home, &*other, "何晓美", "贺小梅", "--split"] {
        assert!(text.contains(said), "{said}:\n{text}");
    }
    let choices = run(server.path(), &show, &[])["values"].clone();
    let mut choices = choices.as_array().unwrap().iter();
    let keep = choices.find(|value| value["value"] == "何晓美").unwrap();
    let keep = keep["choice"].to_string();

    let resolve = ["conflicts", "resolve", &item, "--session", &session];
    let alone = [&resolve[..], &["--dismiss", "--residence", &other]].concat();
    assert_eq!(
        refused(server.path(), &alone),
        (2, "only_with_split".to_owned())
    );
    let unknown = [&resolve[..], &["--split", &keep, "--field", "昵称=小梅"]].concat();
    assert_eq!(refused(server.path(), &unknown).0, 2);
    let split = [
        "--split",
        &keep,
        "--residence",
        &other,
        "--field",
        "备注=二楼的租户",
    ];
    let decided = run(server.path(), &[&resolve[..], &split].concat(), &[]);
    let created = decided["created"][0].as_str().unwrap();

    let clear = |id: &str| -> Value {
        let export = [
            "record",
            "export",
            id,
            "--session",
            &session,
            "--purpose",
            "correction",
        ];
        run(server.path(), &export, &[])["fields"].clone()
    };
    assert_eq!(clear(&resident)["name"], "何晓美");
    let person = clear(created);
    assert_eq!(
        (&person["name"], &person["remark"]),
        (&"贺小梅".into(), &"二楼的租户".into())
    );
    assert_eq!(clear(&other)["resident"], created);
    assert_eq!(clear(&home)["resident"], resident.as_str());
}

//! The files of people and houses, their histories, and what is shown in clear.

use doorstep_server::testing::city::VILLAGE;
use serde_json::{Value, json};

use crate::kit::{Kit, id_number};

#[tokio::test]
async fn a_persons_file_shows_residences_household_linked_persons_and_visits() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let guardian = kit
        .resident(
            "叶海思",
            "1970-04-27",
            json!({ "household_number": "310001234" }),
        )
        .await;
    let linked = json!({ "name": "叶海思", "relation": "01", "resident": guardian }).to_string();
    let child = kit
        .resident("叶小小", "2020-05-01", json!({ "household_number": "310001234", "guardians/a": linked, "relation_to_head": "20" }))
        .await;
    let tenant = kit.resident("张三丰", "1980-01-01", json!({})).await;
    kit.tie(&child, &house, "living", true).await;
    kit.tie(&tenant, &house, "renting", true).await;
    let device = kit.server.device(&kit.collector).await.unwrap();
    let now = kit.server.state.clock.timestamp();
    kit.visit(
        &device,
        &kit.collector,
        now,
        &[
            ("resident", child.as_str().into()),
            ("note", "家里有人".into()),
        ],
    )
    .await;

    let file = kit
        .get(&kit.collector, &format!("/api/residents/{child}"))
        .await;
    assert_eq!(file["resident"]["title"], "叶**");
    assert_eq!(
        file["resident"]["last_verified"], "2026-11-24",
        "the visit moved it"
    );
    assert_eq!(file["residences"][0]["kind_label"], "居住");
    let mut household: Vec<(String, Value, Value)> = file["household"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| {
            (
                member["resident"].as_str().unwrap().to_owned(),
                member["class"].clone(),
                member["same_household"].clone(),
            )
        })
        .collect();
    household.sort_by_key(|member| member.0.clone());
    let mut expected = vec![
        (guardian.clone(), Value::Null, true.into()),
        (tenant, "lives_only".into(), false.into()),
    ];
    expected.sort_by_key(|member| member.0.clone());
    assert_eq!(household, expected);
    assert_eq!(file["linked"][0]["resident"], json!(guardian));
    assert_eq!(file["linked"][0]["name"], "叶**");
    assert_eq!(file["visits"][0]["fields"]["result"], "01");
    assert_eq!(file["open_conflicts"], 0);
}

#[tokio::test]
async fn the_people_of_a_house_are_classed_by_their_residences() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    for (name, kinds) in [
        ("人户一致", &["register", "living"][..]),
        ("人在户不", &["renting"]),
        ("户在人不在", &["register"]),
        ("仅产权的人啊", &["owning"]),
        ("来探访的人们啊", &["visiting"]),
    ] {
        let person = kit.resident(name, "1980-01-01", json!({})).await;
        for kind in kinds {
            kit.tie(&person, &house, kind, false).await;
        }
    }
    let file = kit
        .get(&kit.collector, &format!("/api/houses/{house}"))
        .await;
    let classes = json!({
        "here_both": 1, "lives_only": 1, "register_only": 1, "owner_only": 1, "visitor": 1,
    });
    assert_eq!(file["classes"], classes);
    let labels: Vec<&str> = file["people"]
        .as_array()
        .unwrap()
        .iter()
        .map(|person| person["class_label"].as_str().unwrap())
        .collect();
    assert_eq!(
        labels,
        ["人户一致", "人在户不在", "户在人不在", "仅产权", "探访暂住"]
    );
    assert_eq!(
        file["house"]["fields"]["address"], "陕西中路12弄28号1702室",
        "a house's address is open"
    );
    let first = file["people"][0]["resident"].as_str().unwrap().to_owned();
    let path = format!("/api/residents/{first}/away");
    let reply = kit
        .write(&kit.collector, "PUT", &path, &first, json!({}))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    for (class, count) in [
        ("lives_only", 1),
        ("visitor", 1),
        ("absent", 1),
        ("here_both", 1),
    ] {
        let path = format!("/api/houses/{house}?class={class}");
        let file = kit.get(&kit.collector, &path).await;
        assert_eq!(file["people"].as_array().unwrap().len(), count, "{class}");
        assert_eq!(file["classes"]["absent"], 1);
    }
    let path = format!("/api/houses/{house}?class=nobody");
    let unknown = kit.send(&kit.collector, "GET", &path, Value::Null).await;
    assert_eq!((unknown.status, unknown.code()), (422, "invalid_fields"));
}

#[tokio::test]
async fn the_history_tells_who_changed_what_on_which_device() {
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let device = kit.server.device(&kit.collector).await.unwrap();
    kit.put_from(
        &device,
        &kit.collector,
        VILLAGE,
        &person,
        "resident",
        &[("phone", "13812345678".into())],
    )
    .await;
    kit.edit(
        &kit.supervisor,
        &person,
        json!({ "phone": "13900001111", "name": "叶海诗" }),
    )
    .await;
    let history = kit
        .get(&kit.collector, &format!("/api/records/{person}/history"))
        .await;
    let changes = history["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 3);
    assert_eq!(
        (&changes[1]["device"], &changes[1]["user"]),
        (&json!(device.id), &json!(kit.collector.id))
    );
    assert!(changes[1]["device_name"].is_string());
    assert_eq!(changes[2]["device"], Value::Null, "on the console");
    assert_eq!(changes[2]["device_name"], Value::Null);
    assert_eq!(
        changes[2]["user_name"],
        json!(format!("测试{}", kit.supervisor.login))
    );
    let moved = |change: &Value, field: &str| {
        let fields = change["fields"].as_array().unwrap();
        let moved = fields.iter().find(|moved| moved["field"] == field).unwrap();
        (
            moved["label"].clone(),
            moved["before"].clone(),
            moved["after"].clone(),
        )
    };
    assert_eq!(
        moved(&changes[1], "phone"),
        ("手机号码".into(), Value::Null, "138****5678".into())
    );
    assert_eq!(
        moved(&changes[2], "phone"),
        (
            "手机号码".into(),
            "138****5678".into(),
            "139****1111".into()
        )
    );
    assert_eq!(
        moved(&changes[2], "name"),
        ("姓名".into(), "叶**".into(), "叶**".into())
    );
    assert!(
        !serde_json::to_string(&history)
            .unwrap()
            .contains("13812345678")
    );
}

#[tokio::test]
async fn a_history_is_shown_in_clear_for_a_purpose_and_the_log_names_it() {
    let kit = Kit::new().await;
    let person = kit
        .resident("叶海思", "1970-04-27", json!({ "phone": "13812345678" }))
        .await;
    kit.edit(&kit.supervisor, &person, json!({ "phone": "13900001111" }))
        .await;
    let path = format!("/api/records/{person}/history");
    let phone = |history: &Value| {
        let fields = history["changes"][1]["fields"].as_array().unwrap();
        let moved = fields.iter().find(|moved| moved["field"] == "phone");
        moved.unwrap().clone()
    };
    let masked = kit.get(&kit.collector, &path).await;
    assert_eq!(phone(&masked)["before"], "138****5678");
    let clear = kit
        .get(&kit.collector, &format!("{path}?purpose=verification"))
        .await;
    let moved = phone(&clear);
    assert_eq!(
        (&moved["before"], &moved["put"], &moved["after"]),
        (
            &json!("13812345678"),
            &json!("13900001111"),
            &json!("13900001111")
        )
    );
    assert!(clear["changes"][0].to_string().contains("叶海思"));
    let auditor = kit
        .server
        .administrator(doorstep_core::rights::Role::Auditor)
        .unwrap()
        .clone();
    let log = kit.get(&auditor, "/api/audit?action=show_history").await;
    let details: Vec<&Value> = (0..2).map(|n| &log["items"][n]["detail"]).collect();
    assert_eq!(
        details,
        [
            &json!({ "purpose": "verification", "revealed": true }),
            &json!({})
        ]
    );
    assert_eq!(log["items"][0]["subject_id"], json!(person));
    assert!(!log.to_string().contains("13812345678"));
    // Who may read the register but not reveal it sees the history masked, and not otherwise.
    let masked = kit.get(&kit.administrator, &path).await;
    assert_eq!(phone(&masked)["before"], "138****5678");
    for (who, query, status, code) in [
        (&kit.administrator, "purpose=verification", 403, "forbidden"),
        (&kit.next, "purpose=verification", 404, "not_found"),
        (&kit.collector, "purpose=curiosity", 400, "malformed_query"),
    ] {
        let path = format!("{path}?{query}");
        let reply = kit.send(who, "GET", &path, Value::Null).await;
        assert_eq!(
            (reply.status, reply.code()),
            (status, code),
            "{}",
            reply.body
        );
    }
}

#[tokio::test]
async fn masked_values_are_shown_for_a_purpose_and_the_log_names_it() {
    let kit = Kit::new().await;
    let person = kit
        .resident("叶海思", "1970-04-27", json!({ "phone": "13812345678" }))
        .await;
    let path = format!("/api/records/{person}/reveal");
    let body = json!({ "purpose": "verification", "fields": ["id_number", "phone"] });
    let reply = kit.send(&kit.collector, "POST", &path, body.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        reply.body["fields"]["id_number"],
        json!(id_number("1970-04-27", "叶海思".len()))
    );
    assert_eq!(reply.body["fields"]["phone"], "13812345678");
    let auditor = kit
        .server
        .administrator(doorstep_core::rights::Role::Auditor)
        .unwrap()
        .clone();
    let log = kit.get(&auditor, "/api/audit?action=reveal_record").await;
    let entry = &log["items"][0];
    assert_eq!(
        (&entry["subject_id"], &entry["outcome"]),
        (&json!(person), &json!("done"))
    );
    assert_eq!(
        entry["detail"],
        json!({ "purpose": "verification", "fields": ["id_number", "phone"], "addresses": 0 })
    );
    assert!(!log.to_string().contains("13812345678"));

    for (who, body, status, code) in [
        (
            &kit.collector,
            json!({ "purpose": "curiosity" }),
            400,
            "malformed_body",
        ),
        (
            &kit.collector,
            json!({ "fields": ["phone"] }),
            400,
            "malformed_body",
        ),
        (
            &kit.collector,
            json!({ "purpose": "service", "fields": ["nickname"] }),
            422,
            "invalid_fields",
        ),
        (&kit.next, body.clone(), 404, "not_found"),
        (&kit.administrator, body, 403, "forbidden"),
    ] {
        let reply = kit.send(who, "POST", &path, body).await;
        assert_eq!(
            (reply.status, reply.code()),
            (status, code),
            "{}",
            reply.body
        );
    }
}

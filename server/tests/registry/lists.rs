//! Buildings, absences, former residents, the household register, managed houses.

use std::time::{Duration, Instant};

use doorstep_core::ids::{RecordId, ScopeId, UserId};
use doorstep_core::protocol::frames::Entry;
use doorstep_server::database::system_tx;
use doorstep_server::domains::registry;
use doorstep_server::register::read;
use doorstep_server::testing::city::{DISTRICT, STREET, VILLAGE};
use serde_json::{Value, json};

use crate::kit::{Kit, quoted};

#[tokio::test]
async fn a_building_is_shown_by_floor_with_use_occupancy_and_people() {
    let kit = Kit::new().await;
    let estate = json!({ "estate_name": "中汇小区" });
    let top = kit.house("陕西中路12弄28号1702室", estate.clone()).await;
    let low = kit
        .house(
            "陕西中路十二弄28号0301室",
            json!({ "estate_name": "中汇小区", "house_use": "4", "last_verified": "2026-11-20" }),
        )
        .await;
    let vacant = kit
        .house(
            "陕西中路12弄28号302室",
            json!({ "estate_name": "中汇小区", "house_use": "0" }),
        )
        .await;
    kit.house("陕西中路12弄30号101室", estate).await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    kit.tie(&person, &low, "renting", true).await;
    kit.tie(&person, &top, "register", false).await;

    let estates = kit
        .get(&kit.supervisor, &format!("/api/buildings?area={STREET}"))
        .await;
    assert_eq!(
        (estates.as_array().unwrap().len(), &estates[0]["estate"]),
        (1, &json!("中汇小区"))
    );
    let buildings = estates[0]["buildings"].as_array().unwrap();
    let building = buildings
        .iter()
        .find(|building| building["address"] == "陕西中路12弄28号")
        .unwrap();
    assert_eq!(
        (
            &building["houses"],
            &building["vacant"],
            &building["rented"],
            &building["unverified"]
        ),
        (&json!(3), &json!(1), &json!(1), &json!(2))
    );
    let key = quoted(building["building"].as_str().unwrap());
    let view = kit
        .get(
            &kit.collector,
            &format!("/api/buildings/floors?area={VILLAGE}&building={key}"),
        )
        .await;
    assert_eq!(view["houses"], 3);
    assert_eq!(
        view["floors"][0]["rooms"][0]["building"], building["building"],
        "a room names its building as the list does"
    );
    let floors: Vec<(Value, Vec<Value>)> = view["floors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|floor| {
            (
                floor["floor"].clone(),
                floor["rooms"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|room| room["house"].clone())
                    .collect(),
            )
        })
        .collect();
    assert_eq!(
        floors,
        [
            (json!(17), vec![json!(top)]),
            (json!(3), vec![json!(low), json!(vacant)])
        ]
    );
    let (first, second) = (
        &view["floors"][0]["rooms"][0],
        &view["floors"][1]["rooms"][0],
    );
    assert_eq!(
        (
            &first["register_only"],
            &first["occupied"],
            &first["unverified"]
        ),
        (&json!(1), &json!(false), &json!(true))
    );
    assert_eq!(
        (
            &second["lives_only"],
            &second["renting"],
            &second["occupied"]
        ),
        (&json!(1), &json!(1), &json!(true))
    );
    assert_eq!(
        (&second["house_use_label"], &second["unverified"]),
        (&json!("出租"), &json!(false))
    );
    let lone = kit.house("看护房", json!({ "house_use": "1" })).await;
    let estates = kit
        .get(&kit.supervisor, &format!("/api/buildings?area={STREET}"))
        .await;
    let nameless = estates[0]["buildings"].as_array().unwrap();
    assert_eq!(
        (nameless.len(), &nameless[0]["building"]),
        (1, &json!("")),
        "a house without a number is listed under no key"
    );
    let view = kit
        .get(
            &kit.supervisor,
            &format!("/api/buildings/floors?area={STREET}&unnumbered=true"),
        )
        .await;
    assert_eq!(
        (&view["houses"], &view["floors"][0]["rooms"][0]["house"]),
        (&json!(1), &json!(lone)),
        "and opened by that, among all others"
    );
    let wide = kit
        .send(
            &kit.supervisor,
            "GET",
            &format!("/api/buildings?area={DISTRICT}"),
            Value::Null,
        )
        .await;
    assert_eq!((wide.status, wide.code()), (422, "invalid_fields"));
}

#[tokio::test]
async fn a_village_of_1_400_houses_is_one_fast_view() {
    let kit = Kit::new().await;
    kit.fill_village(1_400).await;
    let path = format!("/api/buildings/floors?area={VILLAGE}");
    kit.get(&kit.collector, &path).await;
    let started = Instant::now();
    let view = kit.get(&kit.collector, &path).await;
    let took = started.elapsed();
    assert_eq!(view["houses"], 1_400);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn an_absence_is_set_listed_reminded_of_once_and_ended() {
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let other = kit.resident("张三丰", "1980-01-01", json!({})).await;
    let path = format!("/api/residents/{person}/away");
    let wrong = json!({ "from": "2026-11-20", "expected_return": "2026-11-01" });
    assert_eq!(
        kit.write(&kit.collector, "PUT", &path, &person, wrong)
            .await
            .status,
        422
    );
    let body = json!({ "place": "杭州", "reason": "04", "from": "2026-11-20", "expected_return": "2026-11-25" });
    assert_eq!(
        kit.write(&kit.collector, "PUT", &path, &person, body)
            .await
            .status,
        200
    );
    let open = json!({ "reason": "01" });
    assert_eq!(
        kit.write(
            &kit.collector,
            "PUT",
            &format!("/api/residents/{other}/away"),
            &other,
            open
        )
        .await
        .status,
        200
    );
    let list = kit.get(&kit.collector, "/api/away").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let due = kit
        .get(
            &kit.supervisor,
            &format!("/api/away?area={STREET}&due_by=2026-11-25"),
        )
        .await;
    assert_eq!(
        (
            due["items"].as_array().unwrap().len(),
            &due["items"][0]["expected_return"]
        ),
        (1, &json!("2026-**-**"))
    );
    assert!(
        kit.get(&kit.next, "/api/away").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    let remind = || registry::service::remind_returns(&kit.server.state);
    assert_eq!(remind().await.unwrap(), 0, "not before the day");
    kit.server.clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(remind().await.unwrap(), 1);
    assert_eq!(remind().await.unwrap(), 0, "once");
    assert_eq!(kit.messages(&kit.collector, "away_return_due").await, 1);

    let collector = kit
        .server
        .sign_in(&kit.collector.login, &kit.collector.password)
        .await
        .unwrap();
    let mut back = kit.collector.clone();
    back.token = collector.body["token"].as_str().unwrap().to_owned();
    let ended = kit
        .write(&back, "DELETE", &path, &person, Value::Null)
        .await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    assert_eq!(
        kit.get(&back, "/api/away").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let again = kit
        .write(&back, "DELETE", &path, &person, Value::Null)
        .await;
    assert_eq!((again.status, again.code()), (409, "not_away"));
}

#[tokio::test]
async fn a_reminder_goes_from_the_phones_when_there_is_nothing_to_ask_any_more() {
    let kit = Kit::new().await;
    let mut people = Vec::new();
    for (at, birth) in [
        "1970-04-27",
        "1971-04-27",
        "1972-04-27",
        "1973-04-27",
        "1974-04-27",
    ]
    .into_iter()
    .enumerate()
    {
        let person = kit.resident(&format!("叶海{at}"), birth, json!({})).await;
        let path = format!("/api/residents/{person}/away");
        let body = json!({ "from": "2026-11-20", "expected_return": "2026-11-24" });
        let reply = kit.write(&kit.collector, "PUT", &path, &person, body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        people.push(person);
    }
    let remind = || registry::service::remind_returns(&kit.server.state);
    let told = || kit.messages(&kit.collector, "away_return_due");
    assert_eq!(remind().await.unwrap(), 5);
    assert_eq!(told().await, 5);
    let [ended, extended, cancelled, erased, back] = people.try_into().unwrap();

    let path = format!("/api/residents/{extended}/away");
    for (until, left) in [("2026-11-24", 5), ("2026-12-24", 4)] {
        let body = json!({ "from": "2026-11-20", "expected_return": until });
        let reply = kit.write(&kit.collector, "PUT", &path, &extended, body);
        assert_eq!(reply.await.status, 200);
        assert_eq!(told().await, left, "{until}");
    }
    let path = format!("/api/residents/{ended}/away");
    let reply = kit.write(&kit.collector, "DELETE", &path, &ended, Value::Null);
    assert_eq!(reply.await.status, 200);
    assert_eq!(told().await, 3);
    let path = format!("/api/records/{cancelled}/cancel");
    let body = json!({ "reason": "71" });
    let reply = kit.write(&kit.collector, "POST", &path, &cancelled, body);
    assert_eq!(reply.await.status, 200);
    assert_eq!(told().await, 2);
    let path = format!("/api/records/{erased}/erase");
    let body = json!({ "ground": "request", "confirm": erased });
    let reply = kit.send(&kit.administrator, "POST", &path, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(told().await, 1);
    // A phone wrote that the person is back: the next turn of the job finds it.
    let mut phone = kit.server.phone(VILLAGE).await.unwrap();
    let id: RecordId = back.parse().unwrap();
    phone.pull(&kit.server, id).await.unwrap();
    let fields = [("away".to_owned(), false.into())].into();
    let item = phone.edit(id, &fields).unwrap();
    phone.send(&kit.server, vec![item]).await.unwrap();
    assert_eq!(remind().await.unwrap(), 0);
    assert_eq!(told().await, 0);

    let scope = ScopeId::User(UserId(kit.collector.id));
    let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
    let keys = &kit.server.state.keys;
    let (_, entries) = read::log_after(&mut tx, keys, scope, 0, 1_000, None)
        .await
        .unwrap();
    for person in [ended, extended, cancelled, erased, back] {
        let key = format!("reminder/return/{person}");
        let withdrawn = |entry: &Entry| matches!(entry, Entry::State(state) if state.key == key && state.json.is_empty());
        assert!(entries.iter().any(withdrawn), "{entries:?}");
    }
}

#[tokio::test]
async fn former_residents_are_found_by_house_and_area_with_period_and_reason() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let (person, stays) = (
        kit.resident("叶海思", "1970-04-27", json!({})).await,
        kit.resident("张三丰", "1980-01-01", json!({})).await,
    );
    let tie = kit.tie(&person, &house, "renting", true).await;
    kit.tie(&stays, &house, "living", true).await;
    kit.edit(&kit.collector, &tie, json!({ "from": "2025-01-01" }))
        .await;
    let body = json!({ "reason": "83", "on": "2026-11-01" });
    assert_eq!(
        kit.write(
            &kit.collector,
            "POST",
            &format!("/api/records/{tie}/cancel"),
            &tie,
            body
        )
        .await
        .status,
        200
    );
    for path in [
        format!("/api/former-residents?house={house}"),
        format!("/api/former-residents?area={STREET}"),
    ] {
        let list = kit.get(&kit.supervisor, &path).await;
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{path}");
        let former = &list["items"][0];
        assert_eq!(
            (&former["name"], &former["residence"]["resident"]),
            (&json!("叶**"), &json!(person))
        );
        assert_eq!(
            (&former["residence"]["from"], &former["residence"]["until"]),
            (&json!("2025-**-**"), &json!("2026-11-01")),
            "the day of cancelling is open"
        );
        assert_eq!(former["residence"]["ended_because"], "关系终止");
    }
    assert!(
        kit.get(&kit.next, "/api/former-residents").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn the_household_register_is_searched_and_its_people_classed() {
    let kit = Kit::new().await;
    let (home, flat) = (
        kit.house("陕西中路12弄28号1702室", json!({})).await,
        kit.house("永嘉路5弄6号201室", json!({})).await,
    );
    let household = json!({ "household_number": "310001234", "relation_to_head": "02" });
    let here = kit.resident("叶海思", "1970-04-27", household).await;
    let elsewhere = kit
        .resident(
            "叶小小",
            "2000-05-01",
            json!({ "household_number": "310001234" }),
        )
        .await;
    let gone = kit.resident("张三丰", "1980-01-01", json!({})).await;
    for person in [&here, &elsewhere, &gone] {
        kit.tie(person, &home, "register", false).await;
    }
    kit.tie(&here, &home, "living", true).await;
    kit.tie(&elsewhere, &flat, "renting", true).await;
    let lodger = kit.resident("李四", "1985-01-01", json!({})).await;
    kit.tie(&lodger, &home, "renting", true).await;

    let list = kit
        .get(
            &kit.supervisor,
            &format!("/api/household-register?area={VILLAGE}"),
        )
        .await;
    let classes: Vec<(&str, &str)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|person| {
            (
                person["resident"]["id"].as_str().unwrap(),
                person["class_label"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        classes,
        [
            (here.as_str(), "人户一致"),
            (&elsewhere, "户在人不在"),
            (&gone, "去向不明")
        ]
    );
    for (text, expected) in [
        ("310001234", 2),
        ("叶海思", 1),
        ("陕西中路12弄28号1702室", 3),
        ("永嘉路", 1),
    ] {
        let list = kit
            .get(
                &kit.supervisor,
                &format!("/api/household-register?text={}", quoted(text)),
            )
            .await;
        assert_eq!(list["items"].as_array().unwrap().len(), expected, "{text}");
    }
    let untraceable = kit
        .get(&kit.supervisor, "/api/household-register?class=untraceable")
        .await;
    assert_eq!(
        (
            untraceable["items"].as_array().unwrap().len(),
            &untraceable["items"][0]["resident"]["id"]
        ),
        (1, &json!(gone))
    );
}

#[tokio::test]
async fn a_house_is_claimed_managed_and_released_in_order() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let path = format!("/api/houses/{house}/management");
    for (step, status, code) in [
        ("manage", 409, "wrong_step"),
        ("claim", 200, ""),
        ("claim", 409, "wrong_step"),
        ("manage", 200, ""),
        ("release", 200, ""),
    ] {
        let reply = kit
            .write(
                &kit.collector,
                "POST",
                &path,
                &house,
                json!({ "step": step }),
            )
            .await;
        assert_eq!(
            (reply.status, reply.code()),
            (status, code),
            "{step}: {}",
            reply.body
        );
        if step == "manage" && status == 200 {
            assert_eq!(
                kit.found(&kit.collector, "/api/houses?facets=managed:managed")
                    .await,
                std::slice::from_ref(&house)
            );
        }
    }
    assert_eq!(
        kit.found(&kit.collector, "/api/houses?facets=managed:released")
            .await,
        [house]
    );
}

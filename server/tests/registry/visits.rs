//! Visits: found, counted, due, and what they move.

use doorstep_core::protocol::frames::Outcome;
use doorstep_core::time::Timestamp;
use doorstep_core::value::Fields;
use doorstep_server::testing::city::{NEXT_VILLAGE, STREET, VILLAGE};
use serde_json::{Value, json};

use crate::kit::{Kit, record};

const DAY: i64 = 24 * 3_600 * 1_000;

#[tokio::test]
async fn visits_are_found_by_area_person_house_collector_and_period_and_counted() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let device = kit.server.device(&kit.collector).await.unwrap();
    let now = kit.server.state.clock.timestamp();
    let ago = |days: i64| Timestamp(now.0 - days * DAY);
    let first = kit
        .visit(
            &device,
            &kit.collector,
            ago(10),
            &[
                ("resident", person.as_str().into()),
                ("result", "02".into()),
            ],
        )
        .await;
    let second = kit
        .visit(
            &device,
            &kit.collector,
            ago(2),
            &[
                ("resident", person.as_str().into()),
                ("house", house.as_str().into()),
                ("answered_by", "叶海诗".into()),
            ],
        )
        .await;
    let third = kit
        .visit(
            &device,
            &kit.collector,
            ago(1),
            &[("house", house.as_str().into()), ("purpose", "01".into())],
        )
        .await;
    for (query, expected) in [
        (String::new(), vec![&third, &second, &first]),
        (
            format!("area={STREET}&from=2026-11-20"),
            vec![&third, &second],
        ),
        (format!("record={person}"), vec![&second, &first]),
        (format!("record={house}&until=2026-11-22"), vec![&second]),
        (
            format!("user={}&purpose=02", kit.collector.id),
            vec![&second, &first],
        ),
        ("result=02".to_owned(), vec![&first]),
        (format!("user={}", kit.supervisor.id), vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().cloned().collect();
        assert_eq!(
            kit.found(&kit.supervisor, &format!("/api/visits?{query}"))
                .await,
            expected,
            "{query}"
        );
    }
    let page = kit
        .get(
            &kit.supervisor,
            &format!("/api/visits?record={person}&limit=1"),
        )
        .await;
    assert_eq!(page["items"][0]["fields"]["answered_by"], "叶**", "masked");
    assert_eq!(
        page["items"][0]["user_name"],
        json!(format!("测试{}", kit.collector.login))
    );
    let next = page["next"].as_str().unwrap();
    assert_eq!(
        kit.found(
            &kit.supervisor,
            &format!("/api/visits?record={person}&limit=1&cursor={next}")
        )
        .await,
        [first]
    );
    assert!(kit.found(&kit.next, "/api/visits").await.is_empty());
    let elsewhere = kit
        .send(
            &kit.collector,
            "GET",
            &format!("/api/visits?area={NEXT_VILLAGE}"),
            Value::Null,
        )
        .await;
    assert_eq!(elsewhere.status, 403);

    let counts = kit
        .get(
            &kit.supervisor,
            &format!("/api/visits/counts?area={VILLAGE}"),
        )
        .await;
    assert_eq!(counts["visits"], 3);
    assert_eq!(
        (&counts["purposes"], &counts["results"]),
        (&json!({ "01": 1, "02": 2 }), &json!({ "01": 2, "02": 1 }))
    );
    assert_eq!(counts["collectors"][kit.collector.id.to_string()], 3);
    assert_eq!(counts["verified"], 2, "the person and the house");
}

#[tokio::test]
async fn a_visit_that_met_its_people_moves_the_last_verification_and_the_next_one_falls_due() {
    let kit = Kit::new().await;
    let person = kit
        .resident(
            "叶海思",
            "1970-04-27",
            json!({ "last_verified": "2026-01-01" }),
        )
        .await;
    let device = kit.server.device(&kit.collector).await.unwrap();
    let now = kit.server.state.clock.timestamp();
    let about = |more: (&'static str, &'static str)| {
        [
            ("resident", person.as_str().into()),
            (more.0, more.1.into()),
        ]
    };
    kit.visit(
        &device,
        &kit.collector,
        Timestamp(now.0 - 3 * DAY),
        &about(("result", "02")),
    )
    .await;
    let path = format!("/api/residents/{person}");
    let verified =
        || async { kit.get(&kit.collector, &path).await["resident"]["last_verified"].clone() };
    assert_eq!(verified().await, "2026-01-01", "nobody was home");
    kit.visit(
        &device,
        &kit.collector,
        Timestamp(now.0 - 2 * DAY),
        &about(("next_on", "2026-11-24")),
    )
    .await;
    assert_eq!(verified().await, "2026-11-22");
    assert_eq!(
        kit.found(&kit.collector, "/api/residents?unverified_since=2026-11-22")
            .await,
        Vec::<String>::new()
    );
    assert_eq!(
        kit.found(&kit.collector, "/api/residents?unverified_since=2026-11-23")
            .await,
        std::slice::from_ref(&person)
    );

    let due = kit
        .get(&kit.supervisor, &format!("/api/visits/due?area={STREET}"))
        .await;
    assert_eq!(
        (&due["items"][0]["record"], &due["items"][0]["due_on"]),
        (&json!(person), &json!("2026-11-24"))
    );
    let title = due["items"][0]["title"].as_str().unwrap();
    assert!(
        title.starts_with("叶*") && !title.contains("海思"),
        "named, but masked: {title}"
    );
    assert_eq!(due["items"][0]["user"], json!(kit.collector.id));
    assert_ne!(due["items"][0]["user_name"], "", "who goes is named");
    assert_eq!(
        kit.get(&kit.supervisor, "/api/visits/due?by=2026-11-23")
            .await["items"],
        json!([])
    );
    kit.visit(&device, &kit.collector, now, &about(("result", "06")))
        .await;
    assert_eq!(
        kit.get(&kit.supervisor, "/api/visits/due").await["items"],
        json!([]),
        "it was made"
    );
}

/// The database read it as a date: one such visit, which any phone could write, took the list from everyone.
#[tokio::test]
async fn a_next_visit_on_no_day_of_the_calendar_is_never_due() {
    let kit = Kit::new().await;
    let device = kit.server.device(&kit.collector).await.unwrap();
    let now = kit.server.state.clock.timestamp();
    let mut expected = Vec::new();
    for (n, (next_on, is_day)) in (0..).zip([
        ("1", false),
        ("2026-02-29", false),
        ("2024-02-29", true),
        ("2026-11-24", true),
        ("0000-01-01", false),
        ("1900-00-10", false),
        ("2026-1-1", false),
        ("2026-11-24x", false),
    ]) {
        let house = format!("陕西中路12弄{n}号");
        let house = kit.house(&house, json!({})).await;
        let fields = [
            ("house", house.as_str().into()),
            ("next_on", next_on.into()),
        ];
        kit.visit(&device, &kit.collector, Timestamp(now.0 - n), &fields)
            .await;
        if is_day {
            expected.push((house, next_on));
        }
    }
    let path = |more: &str| format!("/api/visits/due?area={VILLAGE}&by=2026-12-01&limit=1{more}");
    let mut due = Vec::new();
    let mut page = kit.get(&kit.supervisor, &path("")).await;
    loop {
        let items = page["items"].as_array().unwrap().clone();
        due.extend(items.iter().map(|item| {
            let text = |key: &str| item[key].as_str().unwrap().to_owned();
            (text("record"), text("due_on"))
        }));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        page = kit
            .get(&kit.supervisor, &path(&format!("&cursor={next}")))
            .await;
    }
    let expected: Vec<(String, String)> = expected
        .into_iter()
        .map(|(house, day)| (house, day.to_owned()))
        .collect();
    assert_eq!(due, expected);
}

#[tokio::test]
async fn a_visit_tells_whether_it_was_made_at_the_house_within_the_area_or_elsewhere() {
    let kit = Kit::new().await;
    let at =
        |longitude: &str, latitude: &str| json!({ "longitude": longitude, "latitude": latitude });
    let house = kit
        .house("陕西中路12弄28号1702室", at("121.4737", "31.2304"))
        .await;
    kit.house("陕西中路12弄29号101室", at("121.4800", "31.2350"))
        .await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    kit.tie(&person, &house, "living", true).await;
    let device = kit.server.device(&kit.collector).await.unwrap();
    let now = kit.server.state.clock.timestamp();
    let cases = [
        (Some(("121.4738", "31.2304")), "at_house"),
        (Some(("121.4790", "31.2345")), "in_area"),
        (Some(("121.6000", "31.2304")), "outside"),
        (None, "unknown"),
    ];
    for (n, (point, _)) in (0i64..).zip(&cases) {
        let mut fields = vec![("resident", person.as_str().into())];
        if let Some((longitude, latitude)) = point {
            fields.push(("longitude", (*longitude).into()));
            fields.push(("latitude", (*latitude).into()));
        }
        let time = Timestamp(now.0 - n * 1_000);
        kit.visit(&device, &kit.collector, time, &fields).await;
    }
    let list = kit
        .get(&kit.supervisor, &format!("/api/visits?record={person}"))
        .await;
    let shown: Vec<(&str, bool)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|visit| {
            let place = &visit["place"];
            let near = place["metres_from_house"]
                .as_i64()
                .is_some_and(|metres| metres < 20);
            (place["whereabouts"].as_str().unwrap(), near)
        })
        .collect();
    let expected: Vec<(&str, bool)> = cases
        .iter()
        .map(|(_, expected)| (*expected, *expected == "at_house"))
        .collect();
    assert_eq!(shown, expected);
}

/// The database read it as a number: one such house took the list of visits, and all that looks for points, from everyone.
#[tokio::test]
async fn a_point_that_is_no_number_is_none() {
    let kit = Kit::new().await;
    let mut phone = kit.server.phone(VILLAGE).await.unwrap();
    let mut words = Fields::from([
        ("address".to_owned(), "陕西中路12弄30号".into()),
        ("house_use".to_owned(), "1".into()),
        ("latitude".to_owned(), "31.2304".into()),
    ]);
    let mut made = Vec::new();
    for longitude in ["%%20", "1e999", "121.4737"] {
        words.insert("longitude".to_owned(), longitude.into());
        let (house, change) = phone.create("house", &words).unwrap();
        let outcomes = phone.send(&kit.server, vec![change]).await.unwrap();
        assert_eq!(outcomes, [Outcome::Accepted], "{longitude}");
        made.push(house.to_string());
    }
    let device = kit.server.device(&kit.collector).await.unwrap();
    let now = kit.server.state.clock.timestamp();
    for (n, house) in (0..).zip(&made) {
        let fields = [
            ("house", house.as_str().into()),
            ("longitude", "121.4737".into()),
            ("latitude", "31.2304".into()),
        ];
        kit.visit(&device, &kit.collector, Timestamp(now.0 - n), &fields)
            .await;
    }
    let list = kit.get(&kit.supervisor, "/api/visits").await;
    let whereabouts: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|visit| visit["place"]["whereabouts"].as_str().unwrap())
        .collect();
    assert_eq!(whereabouts, ["in_area", "in_area", "at_house"]);
}

/// A visit of one's own area says nothing of people registered elsewhere, and by no clock is anyone verified for a year
/// to come.
#[tokio::test]
async fn a_visit_verifies_those_of_its_makers_areas_and_until_the_day_after_it_came() {
    let kit = Kit::new().await;
    let here = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let (here, now) = (record(&here), kit.server.state.clock.timestamp());
    let mut there = kit.server.phone(NEXT_VILLAGE).await.unwrap();
    let (_, event) = there.visit(here, NEXT_VILLAGE).unwrap();
    let outcomes = there.send(&kit.server, vec![event]).await.unwrap();
    assert!(
        matches!(&outcomes[0], Outcome::Refused(why) if why.code == "out_of_scope"),
        "{outcomes:?}"
    );
    let device = kit.server.device(&kit.collector).await.unwrap();
    let ahead = Timestamp(now.0 + 330 * DAY);
    let about = [("resident", here.to_string().as_str().into())];
    kit.visit(&device, &kit.collector, ahead, &about).await;
    let path = format!("/api/residents/{here}");
    let shown = kit.get(&kit.collector, &path).await;
    assert_eq!(
        shown["resident"]["last_verified"], "2026-11-25",
        "tomorrow, not in eleven months"
    );
}

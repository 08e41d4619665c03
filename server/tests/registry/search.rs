//! Finding people and houses, masked, within one's own areas.

use doorstep_server::testing::city::{NEXT_VILLAGE, STREET, VILLAGE};
use serde_json::json;

use crate::kit::{Kit, id_number, quoted};

#[tokio::test]
async fn a_resident_is_found_by_name_pinyin_initials_number_phone_and_living_address() {
    let kit = Kit::new().await;
    let person = kit
        .resident("叶海思", "1970-04-27", json!({ "phone": "13812345678" }))
        .await;
    let other = kit.resident("张三丰", "1980-01-01", json!({})).await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    kit.tie(&person, &house, "living", true).await;
    let number = id_number("1970-04-27", "叶海思".len());
    for text in [
        "叶海思",
        "海思",
        "yehaisi",
        "yhs",
        "haisi",
        &number,
        &number[14..],
        "13812345678",
        "5678",
        "陕西中路12弄28号1702室",
        "陕西中路十二弄28号楼",
        "叶海思 12弄",
        "1702",
    ] {
        let path = format!("/api/residents?text={}", quoted(text));
        assert_eq!(
            kit.found(&kit.collector, &path).await,
            std::slice::from_ref(&person),
            "{text}"
        );
    }
    for text in ["叶海思 13弄", "李四", "9999"] {
        let path = format!("/api/residents?text={}", quoted(text));
        assert!(kit.found(&kit.collector, &path).await.is_empty(), "{text}");
    }
    assert_eq!(
        kit.found(&kit.collector, "/api/residents").await,
        [person.clone(), other]
    );
    let houses = kit
        .found(
            &kit.collector,
            &format!("/api/houses?text={}", quoted("叶海思")),
        )
        .await;
    assert_eq!(houses, [house], "a house is found by the people in it");
}

/// What a list finds by a number tells the number, digit by digit: only to who may reveal it.
#[tokio::test]
async fn who_may_not_reveal_finds_nobody_by_numbers() {
    let kit = Kit::new().await;
    let person = kit
        .resident("叶海思", "1970-04-27", json!({ "phone": "13812345678" }))
        .await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    kit.tie(&person, &house, "living", true).await;
    let number = id_number("1970-04-27", "叶海思".len());
    for text in [
        "13812345678",
        "5678",
        "叶海思 5678",
        &number,
        &number[14..],
        &number[12..],
    ] {
        for list in ["residents", "houses"] {
            let path = format!("/api/{list}?text={}", quoted(text));
            let token = Some(kit.administrator.token.as_str());
            let reply = kit.server.send("GET", &path, token, None).await.unwrap();
            let answer = (reply.status, reply.code());
            assert_eq!(answer, (422, "numbers_not_searched"), "{list} {text}");
        }
        let path = format!("/api/residents?text={}", quoted(text));
        let found = kit.found(&kit.supervisor, &path).await;
        assert_eq!(found, std::slice::from_ref(&person), "{text}");
    }
    for text in ["叶海思", "yhs", "1702", "陕西中路12弄28号1702室"] {
        let path = format!("/api/residents?text={}", quoted(text));
        let found = kit.found(&kit.administrator, &path).await;
        assert_eq!(found, std::slice::from_ref(&person), "{text}");
    }
}

#[tokio::test]
async fn lists_show_only_the_own_areas_and_mask_what_is_personal() {
    let kit = Kit::new().await;
    let person = kit
        .resident("叶海思", "1970-04-27", json!({ "phone": "13812345678" }))
        .await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    kit.tie(&person, &house, "living", true).await;
    let body = kit.get(&kit.supervisor, "/api/residents").await;
    let view = &body["items"][0];
    assert_eq!(view["title"], "叶**");
    assert_eq!(view["fields"]["phone"], "138****5678");
    assert_eq!(
        view["fields"]["id_number"].as_str().unwrap()[6..14],
        *"********"
    );
    assert_eq!(view["residences"][0]["address"], "陕西中路12弄***");
    assert_eq!(view["residences"][0]["main"], true);
    let whole = serde_json::to_string(&body).unwrap();
    for secret in ["海思", "13812345678", &id_number("1970-04-27", 9), "1702"] {
        assert!(!whole.contains(secret), "{secret}");
    }
    assert!(kit.found(&kit.next, "/api/residents").await.is_empty());
    assert!(
        kit.found(
            &kit.next,
            &format!("/api/residents?text={}", quoted("叶海思"))
        )
        .await
        .is_empty()
    );
    for who in [&kit.next, &kit.stranger] {
        for path in [
            format!("/api/residents/{person}"),
            format!("/api/houses/{house}"),
            format!("/api/records/{person}/history"),
            format!("/api/residents/{person}/main-residence"),
        ] {
            let reply = kit.send(who, "GET", &path, serde_json::Value::Null).await;
            assert_eq!((reply.status, reply.code()), (404, "not_found"), "{path}");
        }
        let reply = kit
            .send(
                who,
                "GET",
                &format!("/api/residents?area={VILLAGE}"),
                serde_json::Value::Null,
            )
            .await;
        assert_eq!(reply.status, 403);
    }
}

#[tokio::test]
async fn lists_are_narrowed_by_area_facets_state_and_verification() {
    let kit = Kit::new().await;
    let newcomer = kit
        .resident("王一", "1990-01-01", json!({ "population_kind": "02" }))
        .await;
    let old = kit
        .resident(
            "王二二",
            "1940-01-01",
            json!({ "tags/elderly_alone": true, "last_verified": "2026-11-01" }),
        )
        .await;
    let rented = kit
        .house("陕西中路12弄28号301室", json!({ "house_use": "4" }))
        .await;
    let own = kit.house("陕西中路12弄28号302室", json!({})).await;
    for (path, expected) in [
        (
            "/api/residents?facets=population_kind:02".to_owned(),
            vec![&newcomer],
        ),
        (
            "/api/residents?facets=population_kind:01,tags:elderly_alone".to_owned(),
            vec![&old],
        ),
        (
            "/api/residents?unverified_since=2026-10-01".to_owned(),
            vec![&newcomer],
        ),
        (
            "/api/residents?unverified_since=2026-11-24".to_owned(),
            vec![&newcomer, &old],
        ),
        ("/api/houses?facets=house_use:4".to_owned(), vec![&rented]),
        (
            "/api/houses?facets=house_use:4,standard_address_code:".to_owned(),
            vec![&rented],
        ),
        ("/api/houses?facets=house_use:".to_owned(), vec![]),
        (format!("/api/houses?area={VILLAGE}"), vec![&rented, &own]),
        (
            format!("/api/houses?area={STREET}&facets=house_use:1"),
            vec![&own],
        ),
        (format!("/api/houses?area={NEXT_VILLAGE}"), vec![]),
        ("/api/houses?cancelled=true".to_owned(), vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().cloned().collect();
        assert_eq!(kit.found(&kit.supervisor, &path).await, expected, "{path}");
    }
    let reply = kit
        .send(
            &kit.supervisor,
            "GET",
            "/api/residents?facets=sex:1,x:2&area=31&cancelled=perhaps",
            serde_json::Value::Null,
        )
        .await;
    assert_eq!((reply.status, reply.code()), (422, "invalid_fields"));
    let paths: Vec<&str> = reply.body["error"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        ["area", "cancelled", "facets", "facets"],
        "all at once"
    );
}

#[tokio::test]
async fn pages_follow_one_another_and_the_whole_is_counted_when_asked() {
    let kit = Kit::new().await;
    let mut all = Vec::new();
    for number in 1..=7 {
        all.push(
            kit.house(&format!("陕西中路12弄28号{number}01室"), json!({}))
                .await,
        );
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let body = kit
            .get(
                &kit.collector,
                &format!("/api/houses?limit=3&count=true{cursor}"),
            )
            .await;
        assert_eq!(body["total"], 7);
        seen.extend(
            body["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
    let reply = kit
        .send(
            &kit.collector,
            "GET",
            "/api/houses?cursor=!!",
            serde_json::Value::Null,
        )
        .await;
    assert_eq!((reply.status, reply.code()), (400, "malformed_cursor"));
}

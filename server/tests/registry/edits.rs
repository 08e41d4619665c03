//! Creating, changing, cancelling and restoring on the console.

use doorstep_server::testing::city::{NEXT_VILLAGE, OTHER_VILLAGE, STREET, VILLAGE};
use serde_json::{Value, json};

use crate::kit::{Kit, id_number};

#[tokio::test]
async fn a_record_is_created_with_every_wrong_field_named_at_once() {
    let kit = Kit::new().await;
    let fields = json!({
        "name": "  ", "sex": "1", "id_number": "310101197004275620", "certificate_kind": "111",
        "birth_date": "1970-13-01", "nickname": "x", "population_kind": "01",
    });
    let reply = kit
        .send(
            &kit.collector,
            "POST",
            "/api/residents",
            json!({ "area": VILLAGE, "fields": fields }),
        )
        .await;
    assert_eq!((reply.status, reply.code()), (422, "invalid_fields"));
    let paths: Vec<&str> = reply.body["error"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["path"].as_str().unwrap())
        .collect();
    for path in ["name", "id_number", "birth_date", "nickname"] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    assert!(
        !reply.body.to_string().contains("310101197004275620"),
        "no personal data in errors"
    );

    let person = kit
        .resident("叶海思", "1970-04-27", json!({ "phone": "138 1234-5678" }))
        .await;
    let body = kit
        .send(
            &kit.collector,
            "POST",
            &format!("/api/records/{person}/reveal"),
            json!({ "purpose": "service" }),
        )
        .await
        .body;
    assert_eq!(
        body["fields"]["phone"], "13812345678",
        "kept in normal form"
    );
}

#[tokio::test]
async fn creation_is_for_ones_own_villages_and_happens_once() {
    let kit = Kit::new().await;
    let fields = json!({ "address": "陕西中路12弄28号1702室", "house_use": "1" });
    for (area, status, code) in [
        (Some(NEXT_VILLAGE), 403, "forbidden"),
        (Some(OTHER_VILLAGE), 403, "forbidden"),
        (Some(STREET), 422, "invalid_fields"),
        (Some("31"), 422, "invalid_fields"),
        (None, 422, "invalid_fields"),
    ] {
        let reply = kit
            .send(
                &kit.collector,
                "POST",
                "/api/houses",
                json!({ "area": area, "fields": fields }),
            )
            .await;
        assert_eq!((reply.status, reply.code()), (status, code), "{area:?}");
    }
    let id = "0190a0a0-0000-7000-9000-000000000001";
    let body = json!({ "id": id, "area": VILLAGE, "fields": fields });
    assert_eq!(
        kit.send(&kit.collector, "POST", "/api/houses", body.clone())
            .await
            .status,
        201
    );
    let again = kit.send(&kit.collector, "POST", "/api/houses", body).await;
    assert_eq!((again.status, again.code()), (409, "already_there"));
    assert_eq!(kit.found(&kit.collector, "/api/houses").await, [id]);
}

/// All looked before any of them had written, and the later ones failed on the first one's row.
#[tokio::test]
async fn a_record_that_is_sent_several_times_at_once_is_made_once() {
    let kit = Kit::new().await;
    let fields = json!({ "name": "叶海思", "sex": "1", "population_kind": "01" });
    let id = "0190a0a0-0000-7000-9000-000000000002";
    let body = json!({ "id": id, "area": VILLAGE, "fields": fields });
    let send = || kit.send(&kit.collector, "POST", "/api/residents", body.clone());
    let replies = futures_util::future::join_all((0..6).map(|_| send())).await;
    let mut said: Vec<(u16, &str)> = replies
        .iter()
        .map(|reply| (reply.status, reply.code()))
        .collect();
    said.sort_unstable();
    let mut expected = vec![(409, "already_there"); 5];
    expected.insert(0, (201, ""));
    assert_eq!(said, expected);
    assert_eq!(kit.found(&kit.collector, "/api/residents").await, [id]);
}

#[tokio::test]
async fn a_second_file_with_the_same_number_is_taken_and_goes_to_the_queue() {
    let kit = Kit::new().await;
    let number = id_number("1970-04-27", 9);
    let first = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let fields = json!({
        "name": "叶海诗", "sex": "1", "birth_date": "1970-04-27", "population_kind": "02",
        "certificate_kind": "111", "id_number": number,
    });
    let reply = kit
        .send(
            &kit.next,
            "POST",
            "/api/residents",
            json!({ "area": NEXT_VILLAGE, "fields": fields }),
        )
        .await;
    assert_eq!(
        (reply.status, &reply.body["conflicts_opened"]),
        (201, &json!(1))
    );
    assert_eq!(
        kit.get(&kit.supervisor, &format!("/api/residents/{first}"))
            .await["open_conflicts"],
        1
    );
}

#[tokio::test]
async fn an_edit_needs_the_version_that_stands() {
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let path = format!("/api/records/{person}");
    let body = json!({ "fields": { "phone": "13812345678" } });
    let read = kit.send(&kit.collector, "GET", &path, Value::Null).await;
    let tag = read.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(read.headers["cache-control"], "private, no-store");
    let without = kit.send(&kit.collector, "PATCH", &path, body.clone()).await;
    assert_eq!((without.status, without.code()), (400, "if_match_required"));
    let send = |tag: String| {
        let (kit, path, body) = (&kit, &path, body.clone());
        async move {
            kit.server
                .send_if(
                    "PATCH",
                    path,
                    Some(&kit.collector.token),
                    Some(&tag),
                    Some(body),
                )
                .await
                .unwrap()
        }
    };
    let done = send(tag.clone()).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_ne!(done.headers["etag"].to_str().unwrap(), tag);
    let stale = send(tag).await;
    assert_eq!((stale.status, stale.code()), (412, "stale"));
}

#[tokio::test]
async fn an_edit_answers_for_itself_alone_and_for_rights_field_by_field() {
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let path = format!("/api/records/{person}");
    for (fields, path_of, code) in [
        (json!({ "phone": "12" }), "phone", ""),
        (json!({ "name": null }), "name", "required"),
        (
            json!({ "police_person_id": "x" }),
            "police_person_id",
            "field_not_writable",
        ),
        (json!({ "status": "cancelled" }), "status", "own_operation"),
        (json!({ "guardians": "x" }), "guardians", ""),
    ] {
        let reply = kit
            .write(
                &kit.collector,
                "PATCH",
                &path,
                &person,
                json!({ "fields": fields }),
            )
            .await;
        assert_eq!(
            (reply.status, reply.code()),
            (422, "invalid_fields"),
            "{fields}: {}",
            reply.body
        );
        let problem = &reply.body["error"]["fields"][0];
        assert_eq!(problem["path"], path_of);
        assert!(code.is_empty() || problem["code"] == code, "{problem}");
    }
    assert!(
        kit.get(&kit.supervisor, "/api/ledger/fields").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let queue: i64 = sqlx::query_scalar("SELECT count(*) FROM refused_items")
        .fetch_one(&kit.server.state.pool)
        .await
        .unwrap();
    assert_eq!(queue, 0, "what the console refuses is not queued");
    let reply = kit
        .write(
            &kit.administrator,
            "PATCH",
            &path,
            &person,
            json!({ "fields": { "remark": "x" } }),
        )
        .await;
    assert_eq!(reply.status, 403);
    let reply = kit
        .write(
            &kit.next,
            "PATCH",
            &path,
            &person,
            json!({ "fields": { "remark": "x" } }),
        )
        .await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn a_resident_is_cancelled_with_its_reason_and_restored() {
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let cancel = format!("/api/records/{person}/cancel");
    for body in [
        json!({ "reason": "0" }),
        json!({ "reason": "1", "on": "2026-11-25" }),
        json!({ "reason": "1", "evidence": ["x"] }),
    ] {
        let reply = kit
            .write(&kit.collector, "POST", &cancel, &person, body.clone())
            .await;
        assert_eq!(
            (reply.status, reply.code()),
            (422, "invalid_fields"),
            "{body}"
        );
    }
    let body = json!({ "reason": "1", "on": "2026-11-20", "note": "家属告知", "evidence": ["ab".repeat(32)] });
    let reply = kit
        .write(&kit.collector, "POST", &cancel, &person, body.clone())
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        (
            &reply.body["cancelled"],
            &reply.body["fields"]["cancelled_on"]
        ),
        (&json!(true), &json!("2026-11-20"))
    );
    assert!(kit.found(&kit.collector, "/api/residents").await.is_empty());
    assert_eq!(
        kit.found(&kit.collector, "/api/residents?cancelled=true")
            .await,
        std::slice::from_ref(&person)
    );
    let file = kit
        .get(&kit.collector, &format!("/api/residents/{person}"))
        .await;
    assert_eq!(file["photos"]["photos"][0], "ab".repeat(32));
    let again = kit
        .write(&kit.collector, "POST", &cancel, &person, body)
        .await;
    assert_eq!((again.status, again.code()), (409, "already_cancelled"));
    let edit = kit
        .write(
            &kit.collector,
            "PATCH",
            &format!("/api/records/{person}"),
            &person,
            json!({ "fields": { "remark": "x" } }),
        )
        .await;
    assert_eq!((edit.status, edit.code()), (409, "cancelled"));

    let restore = format!("/api/records/{person}/restore");
    let reply = kit
        .write(
            &kit.collector,
            "POST",
            &restore,
            &person,
            json!({ "note": " " }),
        )
        .await;
    assert_eq!(reply.status, 422);
    let reply = kit
        .write(
            &kit.collector,
            "POST",
            &restore,
            &person,
            json!({ "note": "登记有误" }),
        )
        .await;
    assert_eq!(
        (reply.status, &reply.body["cancelled"]),
        (200, &json!(false)),
        "{}",
        reply.body
    );
    assert_eq!(reply.body["fields"]["cancel_reason"], Value::Null);
    assert_eq!(kit.found(&kit.collector, "/api/residents").await, [person]);
}

#[tokio::test]
async fn a_house_is_cancelled_with_what_becomes_of_its_people() {
    let kit = Kit::new().await;
    let (old, new) = (
        kit.house("陕西中路12弄28号1702室", json!({})).await,
        kit.house("陕西中路12弄30号101室", json!({})).await,
    );
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let tie = kit.tie(&person, &old, "living", true).await;
    let cancel = format!("/api/records/{old}/cancel");
    let reply = kit
        .write(
            &kit.collector,
            "POST",
            &cancel,
            &old,
            json!({ "reason": "81" }),
        )
        .await;
    assert_eq!((reply.status, reply.code()), (409, "house_has_people"));
    let wrong = json!({ "reason": "81", "people": { "action": "move", "house": old } });
    assert_eq!(
        kit.write(&kit.collector, "POST", &cancel, &old, wrong)
            .await
            .status,
        422
    );
    let body = json!({ "reason": "81", "people": { "action": "move", "house": new } });
    let reply = kit.write(&kit.collector, "POST", &cancel, &old, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let file = kit
        .get(&kit.collector, &format!("/api/residents/{person}"))
        .await;
    assert_eq!(
        (
            &file["residences"][0]["id"],
            &file["residences"][0]["house"]
        ),
        (&json!(tie), &json!(new))
    );

    let body = json!({ "reason": "80", "people": { "action": "end" } });
    let reply = kit
        .write(
            &kit.collector,
            "POST",
            &format!("/api/records/{new}/cancel"),
            &new,
            body,
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let file = kit
        .get(&kit.collector, &format!("/api/residents/{person}"))
        .await;
    assert_eq!(
        (
            &file["residences"][0]["active"],
            &file["residences"][0]["ended_because"]
        ),
        (&json!(false), &json!("关系终止"))
    );
}

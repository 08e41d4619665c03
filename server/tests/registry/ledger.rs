//! Population, key fields and addresses: what changed where, when, by whom.

use doorstep_server::testing::city::{NEXT_VILLAGE, STREET, VILLAGE};
use serde_json::{Value, json};

use crate::kit::{Kit, id_number};

fn kinds(page: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut kinds: Vec<(String, String)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (text(&item["area"]), text(&item["kind"])))
        .collect();
    kinds.reverse();
    kinds
}

#[tokio::test]
async fn population_changes_follow_residences_births_and_cancellations() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let of = |id: &str| format!("/api/ledger/population?record={id}");
    assert!(
        kinds(&kit.get(&kit.supervisor, &of(&person)).await).is_empty(),
        "without a residence nobody counts"
    );
    let tie = kit.tie(&person, &house, "living", true).await;
    let owner = kit.tie(&person, &house, "owning", false).await;
    // Moves out, comes back, dies, was entered in error.
    let ended = json!({ "reason": "83", "on": "2026-11-24" });
    assert_eq!(
        kit.write(
            &kit.collector,
            "POST",
            &format!("/api/records/{tie}/cancel"),
            &tie,
            ended
        )
        .await
        .status,
        200
    );
    let back = json!({ "note": "未搬离" });
    assert_eq!(
        kit.write(
            &kit.collector,
            "POST",
            &format!("/api/records/{tie}/restore"),
            &tie,
            back.clone()
        )
        .await
        .status,
        200
    );
    kit.edit(&kit.collector, &owner, json!({ "remark": "变更不计" }))
        .await;
    let dead = json!({ "reason": "1" });
    assert_eq!(
        kit.write(
            &kit.collector,
            "POST",
            &format!("/api/records/{person}/cancel"),
            &person,
            dead
        )
        .await
        .status,
        200
    );
    assert_eq!(
        kit.write(
            &kit.collector,
            "POST",
            &format!("/api/records/{person}/restore"),
            &person,
            back
        )
        .await
        .status,
        200
    );
    let here = |kind: &str| (VILLAGE.to_owned(), kind.to_owned());
    let expected = ["in", "out", "in", "death", "restored"].map(here);
    assert_eq!(
        kinds(&kit.get(&kit.supervisor, &of(&person)).await),
        expected
    );

    let fields =
        json!({ "name": "叶小", "sex": "1", "birth_date": "2026-10-01", "population_kind": "01" });
    let child = kit
        .create(&kit.collector, "resident", VILLAGE, fields)
        .await;
    let lives = json!({ "resident": child, "house": house, "kind": "living", "main": true });
    kit.create(&kit.collector, "residence", VILLAGE, lives)
        .await;
    let counts = kit
        .get(
            &kit.supervisor,
            &format!(
                "/api/ledger/population/counts?area={STREET}&from=2026-11-24&until=2026-11-24"
            ),
        )
        .await;
    assert_eq!(counts["growth"], 2, "{counts}");
    assert_eq!(counts["areas"][VILLAGE]["death"], 1);
    let before = kit
        .get(
            &kit.supervisor,
            "/api/ledger/population/counts?until=2026-11-23",
        )
        .await;
    assert_eq!(before["total"], json!({}));
    assert!(
        kit.get(&kit.next, "/api/ledger/population").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_birth_is_told_from_a_move_and_a_move_names_both_areas() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let fields =
        json!({ "name": "叶小", "sex": "1", "birth_date": "2026-10-01", "population_kind": "01" });
    let child = kit
        .create(&kit.collector, "resident", VILLAGE, fields)
        .await;
    kit.tie(&child, &house, "living", true).await;
    let page = kit
        .get(
            &kit.supervisor,
            &format!("/api/ledger/population?record={child}"),
        )
        .await;
    assert_eq!(page["items"][0]["kind_label"], "出生", "{page}");
    let other = kit
        .create(
            &kit.next,
            "house",
            NEXT_VILLAGE,
            json!({ "address": "永嘉路5弄6号201室", "house_use": "1" }),
        )
        .await;
    let lives = json!({ "resident": child, "house": other, "kind": "living" });
    kit.create(&kit.supervisor, "residence", NEXT_VILLAGE, lives)
        .await;
    let page = kit
        .get(
            &kit.supervisor,
            &format!("/api/ledger/population?record={child}&area={NEXT_VILLAGE}"),
        )
        .await;
    assert_eq!(
        (
            page["items"].as_array().unwrap().len(),
            &page["items"][0]["kind"]
        ),
        (1, &json!("in"))
    );
}

#[tokio::test]
async fn key_fields_are_recorded_with_old_and_new_value_and_others_are_not() {
    let kit = Kit::new().await;
    let person = kit
        .resident(
            "叶海思",
            "1970-04-27",
            json!({ "household_number": "310001234" }),
        )
        .await;
    kit.edit(&kit.collector, &person, json!({ "phone": "13812345678" }))
        .await;
    kit.edit(
        &kit.supervisor,
        &person,
        json!({ "id_number": id_number("1970-04-27", 11), "household_number": "310009999" }),
    )
    .await;
    let page = kit
        .get(
            &kit.collector,
            &format!("/api/ledger/fields?record={person}"),
        )
        .await;
    let mut fields: Vec<(String, Value, Value)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["field"].as_str().unwrap().to_owned(),
                item["before"].clone(),
                item["user"].clone(),
            )
        })
        .collect();
    fields.sort_by_key(|field| field.0.clone());
    let names: Vec<&str> = fields.iter().map(|field| field.0.as_str()).collect();
    assert_eq!(names, ["household_number", "id_number"]);
    assert_eq!(fields[1].1.as_str().unwrap()[6..14], *"********", "masked");
    assert_eq!(fields[0].2, json!(kit.supervisor.id));
    let only = kit
        .get(
            &kit.collector,
            "/api/ledger/fields?what=id_number&from=2026-11-24",
        )
        .await;
    assert_eq!(only["items"].as_array().unwrap().len(), 1);
    assert!(
        kit.get(&kit.next, "/api/ledger/fields").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let wrong = kit
        .send(
            &kit.collector,
            "GET",
            "/api/ledger/fields?from=2026-11-24&until=2026-11-01",
            Value::Null,
        )
        .await;
    assert_eq!((wrong.status, wrong.code()), (422, "invalid_fields"));
}

//! What lives again is looked at as if it were new: a number that another file carries since, a main residence beside
//! another.

use doorstep_core::ids::RecordId;
use doorstep_server::database::system_tx;
use doorstep_server::testing::city::{NEXT_VILLAGE, VILLAGE};
use doorstep_server::testing::phone::fields;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::{Kit, record};

async fn cancel(kit: &Kit, id: &str) {
    let path = format!("/api/records/{id}/cancel");
    let body = json!({ "reason": "71" });
    let reply = kit.write(&kit.collector, "POST", &path, id, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

async fn restore(kit: &Kit, id: &str) {
    let path = format!("/api/records/{id}/restore");
    let body = json!({ "note": "注销有误" });
    let reply = kit.write(&kit.collector, "POST", &path, id, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// The open items of a kind: record, other, subject.
async fn open_items(kit: &Kit, kind: &str) -> Vec<(Uuid, Option<Uuid>, String)> {
    let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
    sqlx::query_as(
        "SELECT record_id, other_id, subject FROM conflicts WHERE kind = $1 AND status = 'open'",
    )
    .bind(kind)
    .fetch_all(&mut *tx)
    .await
    .unwrap()
}

fn pair(one: RecordId, other: RecordId) -> Vec<(Uuid, Option<Uuid>, String)> {
    vec![(one.0, Some(other.0), other.to_string())]
}

#[tokio::test]
async fn a_restored_person_whose_number_another_carries_since_goes_to_the_queue() {
    let kit = Kit::new().await;
    let first = kit.resident("叶海思", "1970-04-27", json!({})).await;
    cancel(&kit, &first).await;
    let second = kit.resident("叶海思", "1970-04-27", json!({})).await;
    assert!(open_items(&kit, "duplicate_person").await.is_empty());
    restore(&kit, &first).await;
    let open = pair(record(&first), record(&second));
    assert_eq!(open_items(&kit, "duplicate_person").await, open);
    // Cancelled and restored while the pair is open, from either side: it stays one item.
    for id in [&first, &second] {
        cancel(&kit, id).await;
        restore(&kit, id).await;
        assert_eq!(open_items(&kit, "duplicate_person").await, open);
    }
}

#[tokio::test]
async fn a_phone_that_restores_a_person_does_not_get_past_the_number() {
    let kit = Kit::new().await;
    let first = kit.resident("叶海思", "1970-04-27", json!({})).await;
    cancel(&kit, &first).await;
    let second = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let mut phone = kit.server.phone(VILLAGE).await.unwrap();
    let first = record(&first);
    phone.pull(&kit.server, first).await.unwrap();
    let lives = phone.edit(first, &fields(&[("status", "active")])).unwrap();
    phone.send(&kit.server, vec![lives]).await.unwrap();
    let open = pair(first, record(&second));
    assert_eq!(open_items(&kit, "duplicate_person").await, open);
}

#[tokio::test]
async fn who_is_decided_to_live_does_not_get_past_the_number() {
    let kit = Kit::new().await;
    let first = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let first = record(&first);
    let (mut one, mut two) = (
        kit.server.phone(VILLAGE).await.unwrap(),
        kit.server.phone(VILLAGE).await.unwrap(),
    );
    one.pull(&kit.server, first).await.unwrap();
    two.pull(&kit.server, first).await.unwrap();
    let ended = [
        ("status", "cancelled"),
        ("cancel_reason", "3"),
        ("cancelled_on", "2026-11-20"),
    ];
    let cancel = one.edit(first, &fields(&ended)).unwrap();
    let edit = two.edit(first, &fields(&[("phone", "13812341234")]));
    one.send(&kit.server, vec![cancel]).await.unwrap();
    two.send(&kit.server, vec![edit.unwrap()]).await.unwrap();
    let item = kit.server.conflict_of(first).await.unwrap();
    let second = kit.resident("叶海思", "1970-04-27", json!({})).await;
    assert!(open_items(&kit, "duplicate_person").await.is_empty());
    let detail = kit.server.conflict(&kit.supervisor, item).await.unwrap();
    let values = detail["values"].as_array().unwrap();
    let lives = values.iter().position(|v| v["value"] != "cancelled");
    let take = json!({ "action": "take", "choice": lives.unwrap() });
    let reply = kit.server.decide(&kit.supervisor, item, take).await;
    assert_eq!(reply.unwrap().status, 200);
    let open = pair(first, record(&second));
    assert_eq!(open_items(&kit, "duplicate_person").await, open);
}

#[tokio::test]
async fn a_main_residence_that_counts_again_beside_another_is_a_claim() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let other = kit.house("陕西中路12弄28号1703室", json!({})).await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let first = kit.tie(&person, &house, "living", true).await;
    cancel(&kit, &first).await;
    let second = kit.tie(&person, &other, "living", true).await;
    assert!(open_items(&kit, "main_residence").await.is_empty());
    restore(&kit, &first).await;
    let (resident, held) = (record(&person).0, record(&second).0);
    let open = vec![(resident, Some(held), record(&first).to_string())];
    assert_eq!(open_items(&kit, "main_residence").await, open);
    for id in [&first, &second] {
        cancel(&kit, id).await;
        restore(&kit, id).await;
        assert_eq!(open_items(&kit, "main_residence").await, open);
    }
}

#[tokio::test]
async fn an_end_that_is_taken_back_makes_a_main_residence_a_claim() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let other = kit.house("陕西中路12弄28号1703室", json!({})).await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let first = kit.tie(&person, &house, "living", true).await;
    kit.edit(&kit.collector, &first, json!({ "until": "2026-11-01" }))
        .await;
    kit.tie(&person, &other, "living", true).await;
    assert!(open_items(&kit, "main_residence").await.is_empty());
    kit.edit(&kit.collector, &first, json!({ "until": Value::Null }))
        .await;
    assert_eq!(open_items(&kit, "main_residence").await.len(), 1);
}

#[tokio::test]
async fn an_old_residence_of_who_has_moved_away_is_not_brought_back_from_here() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let old = kit.tie(&person, &house, "living", true).await;
    cancel(&kit, &old).await;
    let away = kit
        .server
        .lives_at(record(&person), NEXT_VILLAGE, "永嘉路5弄6号201室");
    away.await.unwrap();
    let path = format!("/api/records/{old}/restore");
    let body = json!({ "note": "注销有误" });
    let reply = kit
        .write(&kit.collector, "POST", &path, &old, body.clone())
        .await;
    assert_eq!(reply.status, 422, "{}", reply.body);
    let problem = &reply.body["error"]["fields"][0];
    assert_eq!(problem["code"], "resident_elsewhere", "{problem}");
    // Nothing went to the queue, and whoever has a right in both places may.
    assert!(kit.server.conflict_of(record(&old)).await.is_err());
    let reply = kit.write(&kit.supervisor, "POST", &path, &old, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

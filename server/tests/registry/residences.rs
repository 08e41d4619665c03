//! A main residence is claimed, compared, and moves in one step.

use doorstep_server::domains::checks;
use doorstep_server::testing::city::{NEXT_VILLAGE, VILLAGE};
use serde_json::{Value, json};

use crate::kit::Kit;

struct Claimed {
    kit: Kit,
    person: String,
    here: String,
    there: String,
}

/// A person who lives in the village, with a residence in the next one that is not the main one yet.
async fn two_homes() -> Claimed {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let here = kit.tie(&person, &house, "living", true).await;
    let other = json!({ "address": "永嘉路5弄6号201室", "house_use": "4" });
    let other = kit.create(&kit.next, "house", NEXT_VILLAGE, other).await;
    let fields = json!({ "resident": person, "house": other, "kind": "renting" });
    let there = kit
        .create(&kit.supervisor, "residence", NEXT_VILLAGE, fields)
        .await;
    Claimed {
        kit,
        person,
        here,
        there,
    }
}

#[tokio::test]
async fn a_claim_beside_another_main_residence_is_compared_and_goes_to_the_queue() {
    let Claimed {
        kit,
        person,
        here,
        there,
    } = two_homes().await;
    let path = format!("/api/residents/{person}/main-residence");
    let evidence = "cd".repeat(32);
    let body = json!({ "residence": there, "evidence": [evidence], "note": "租赁合同" });
    for (who, body, status) in [
        (&kit.stranger, body.clone(), 404),
        (&kit.next, json!({ "residence": here }), 404),
        (&kit.next, json!({ "residence": person }), 404),
    ] {
        assert_eq!(
            kit.send(who, "POST", &path, body.clone()).await.status,
            status,
            "{body}"
        );
    }
    let reply = kit.send(&kit.next, "POST", &path, body.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let sides = reply.body["candidates"].as_array().unwrap().clone();
    assert_eq!(sides.len(), 2);
    assert_eq!(
        (&sides[0]["residence"]["id"], &sides[0]["claim"]),
        (&json!(here), &json!(false))
    );
    assert_eq!(
        (&sides[1]["residence"]["id"], &sides[1]["claim"]),
        (&json!(there), &json!(true))
    );
    assert_eq!(
        (&sides[0]["by"], &sides[1]["by"]),
        (&json!(kit.collector.id), &json!(kit.next.id))
    );
    assert_eq!(sides[1]["evidence"], json!([evidence]));
    assert!(
        sides[1]["conflict"].is_string(),
        "an item waits for a supervisor"
    );
    checks::service::work(&kit.server.state).await.unwrap();
    assert_eq!(
        kit.messages(&kit.collector, "main_residence_check").await,
        1,
        "the collector of the address is asked to check"
    );
    assert_eq!(
        kit.messages(&kit.supervisor, "main_residence_claimed")
            .await,
        1,
        "those who decide are told"
    );
    assert_eq!(kit.messages(&kit.stranger, "main_residence_check").await, 0);
    let again = kit.send(&kit.next, "POST", &path, body).await;
    assert_eq!((again.status, again.code()), (409, "already_main"));
    let moved = kit
        .send(&kit.supervisor, "PUT", &path, json!({ "residence": there }))
        .await;
    assert_eq!(
        (moved.status, moved.code()),
        (409, "claim_open"),
        "the queue decides it"
    );
    let ledger = kit.get(&kit.supervisor, "/api/ledger/addresses").await;
    assert_eq!(
        ledger["items"].as_array().unwrap().len(),
        1,
        "nothing has moved yet"
    );
}

#[tokio::test]
async fn a_main_residence_moves_in_one_step_and_both_communities_are_told() {
    let Claimed {
        kit,
        person,
        here,
        there,
    } = two_homes().await;
    let path = format!("/api/residents/{person}/main-residence");
    assert_eq!(
        kit.send(&kit.next, "PUT", &path, json!({ "residence": there }))
            .await
            .status,
        403
    );
    let reply = kit
        .send(&kit.supervisor, "PUT", &path, json!({ "residence": there }))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let sides = reply.body["candidates"].as_array().unwrap();
    assert_eq!(
        (sides.len(), &sides[0]["residence"]["id"]),
        (1, &json!(there))
    );
    assert_eq!(sides[0]["device"], Value::Null);
    let file = kit
        .get(&kit.supervisor, &format!("/api/residents/{person}"))
        .await;
    let main = |id: &str| {
        file["residences"]
            .as_array()
            .unwrap()
            .iter()
            .find(|tie| tie["id"] == id)
            .unwrap()["main"]
            .clone()
    };
    assert_eq!((main(&here), main(&there)), (json!(false), json!(true)));
    for who in [&kit.collector, &kit.next] {
        assert_eq!(kit.messages(who, "main_residence_moved").await, 1);
    }
    let queue: i64 = {
        let mut tx = doorstep_server::database::system_tx(&kit.server.state.pool)
            .await
            .unwrap();
        sqlx::query_scalar("SELECT count(*) FROM conflicts")
            .fetch_one(&mut *tx)
            .await
            .unwrap()
    };
    assert_eq!(queue, 0, "one step leaves nothing to decide");
    let ledger = kit
        .get(
            &kit.supervisor,
            &format!("/api/ledger/addresses?record={person}"),
        )
        .await;
    let last = &ledger["items"][0];
    assert_eq!(
        (&last["from"]["id"], &last["to"]["id"], &last["user"]),
        (&json!(here), &json!(there), &json!(kit.supervisor.id))
    );
    assert_eq!(ledger["items"][1]["from"], Value::Null, "the first");
}

#[tokio::test]
async fn a_claim_shows_its_photos_in_the_queue_and_its_checks_in_the_building() {
    let Claimed {
        kit,
        person,
        here,
        there,
    } = two_homes().await;
    let room = async || {
        let path = format!("/api/buildings/floors?area={VILLAGE}");
        kit.get(&kit.collector, &path).await["floors"][0]["rooms"][0].clone()
    };
    let before = room().await;
    assert_eq!(
        (&before["open_checks"], &before["overdue_checks"]),
        (&json!([]), &json!(0))
    );
    let path = format!("/api/residents/{person}/main-residence");
    let body = json!({ "residence": there, "evidence": ["cd".repeat(32), "ef".repeat(32)] });
    let claimed = kit.send(&kit.next, "POST", &path, body).await;
    let item = claimed.body["candidates"][1]["conflict"].as_str().unwrap();
    let detail = kit
        .get(&kit.supervisor, &format!("/api/conflicts/{item}"))
        .await;
    assert_eq!(
        (&detail["base"]["meaning"], &detail["values"][0]["meaning"]),
        (
            &json!("居住 陕西中路12弄28号1702室"),
            &json!("租赁 永嘉路5弄6号201室")
        ),
        "residences are named by their houses"
    );
    assert_eq!(
        detail["evidence"]["photos"],
        json!([{ "of": there, "label": "居住关系", "count": 2 }]),
        "not those of {here}, which has none"
    );

    checks::service::work(&kit.server.state).await.unwrap();
    let check = kit.get(&kit.collector, "/api/checks").await["items"][0]["id"].clone();
    let asked = room().await;
    assert_eq!(
        (&asked["open_checks"], &asked["overdue_checks"]),
        (&json!([check]), &json!(0))
    );
    let next = format!("/api/buildings/floors?area={NEXT_VILLAGE}");
    let next = kit.get(&kit.next, &next).await;
    assert_eq!(
        next["floors"][0]["rooms"][0]["open_checks"],
        json!([]),
        "only where someone is asked"
    );
    let path = format!("/api/checks/{}/answer", check.as_str().unwrap());
    let body = json!({ "answer": "01" });
    let reply = kit.send(&kit.collector, "POST", &path, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(room().await["open_checks"], json!([]));
}

//! A head of household, a guardian: what becomes of those who are tied to one whose file changes.

use doorstep_server::domains::checks;
use serde_json::{Value, json};

use crate::kit::{Kit, record};

const HOUSEHOLD: &str = "310001234";

async fn member(kit: &Kit, name: &str, birth: &str, relation: &str) -> String {
    let more = json!({ "household_number": HOUSEHOLD, "relation_to_head": relation });
    kit.resident(name, birth, more).await
}

async fn cancel(kit: &Kit, id: &str) {
    let path = format!("/api/records/{id}/cancel");
    let body = json!({ "reason": "1" });
    let reply = kit.write(&kit.collector, "POST", &path, id, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// The open checks of a kind, after the job ran.
async fn open(kit: &Kit, kind: &str) -> Vec<Value> {
    checks::service::work(&kit.server.state).await.unwrap();
    let list = kit
        .get(&kit.collector, &format!("/api/checks?kind={kind}"))
        .await;
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_household_whose_head_left_is_checked_until_it_has_a_head_again() {
    let kit = Kit::new().await;
    let head = member(&kit, "叶海思", "1950-04-27", "02").await;
    let spouse = member(&kit, "王小二", "1952-05-01", "10").await;
    member(&kit, "叶小小", "1980-05-01", "20").await;
    assert!(open(&kit, "household_head").await.is_empty());
    kit.edit(&kit.collector, &head, json!({ "phone": "13812341234" }))
        .await;
    assert!(open(&kit, "household_head").await.is_empty());
    cancel(&kit, &head).await;
    let asked = open(&kit, "household_head").await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["other"], json!(head));
    assert_ne!(
        asked[0]["resident"],
        json!(head),
        "the file of one who stayed"
    );
    assert_eq!(
        kit.messages(&kit.collector, "household_head_check").await,
        1
    );
    assert_eq!(kit.messages(&kit.stranger, "household_head_check").await, 0);
    assert_eq!(open(&kit, "household_head").await.len(), 1, "asked once");
    kit.edit(&kit.collector, &spouse, json!({ "relation_to_head": "02" }))
        .await;
    assert!(
        open(&kit, "household_head").await.is_empty(),
        "it has a head"
    );
    // The new head moves to another household; the child is left without one.
    kit.edit(
        &kit.collector,
        &spouse,
        json!({ "household_number": "310009999" }),
    )
    .await;
    let asked = open(&kit, "household_head").await;
    assert_eq!((asked.len(), &asked[0]["other"]), (1, &json!(spouse)));
}

#[tokio::test]
async fn a_ward_whose_guardians_file_ended_is_checked_and_a_merged_guardians_link_goes_to_the_survivor()
 {
    let kit = Kit::new().await;
    let guardian = kit.resident("叶海思", "1950-04-27", json!({})).await;
    let linked = json!({ "name": "叶海思", "relation": "01", "resident": guardian }).to_string();
    let ward = kit
        .resident(
            "叶小小",
            "2020-05-01",
            json!({ "guardians/a": linked, "linked_persons/b": linked }),
        )
        .await;
    // The same person a second time: the same number.
    let again = kit.resident("叶海诗", "1950-04-27", json!({})).await;
    let queue = kit
        .get(&kit.supervisor, "/api/conflicts?kind=duplicate_person")
        .await;
    let item = queue["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let merge = json!({ "action": "merge", "survivor": again, "take_from_other": [] });
    let reply = kit
        .server
        .decide(&kit.supervisor, item, merge)
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let file = kit
        .get(&kit.collector, &format!("/api/residents/{ward}"))
        .await;
    let linked = file["linked"].as_array().unwrap();
    assert_eq!(linked.len(), 2);
    assert!(
        linked
            .iter()
            .all(|person| person["resident"] == json!(again)),
        "{linked:?}"
    );
    assert!(
        open(&kit, "guardian").await.is_empty(),
        "nobody is lost by a merge"
    );
    cancel(&kit, &again).await;
    let asked = open(&kit, "guardian").await;
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (&asked[0]["resident"], &asked[0]["other"]),
        (&json!(ward), &json!(again))
    );
    let path = format!("/api/checks/{}/answer", asked[0]["id"].as_str().unwrap());
    let body = json!({ "answer": "01", "note": "由祖父监护，已更新档案" });
    let reply = kit.send(&kit.collector, "POST", &path, body).await;
    assert_eq!(
        (reply.status, &reply.body["status"]),
        (200, &json!("confirmed"))
    );
}

#[tokio::test]
async fn what_is_asked_about_a_file_that_is_merged_away_is_asked_about_the_survivor_once() {
    for both in [false, true] {
        let kit = Kit::new().await;
        let guardian = kit.resident("叶海思", "1950-04-27", json!({})).await;
        let linked = json!({ "name": "叶海思", "relation": "01", "resident": guardian });
        let guarded = json!({ "guardians/a": linked.to_string() });
        let ward = kit.resident("叶小小", "2020-05-01", guarded.clone()).await;
        let more = if both { guarded } else { json!({}) };
        let again = kit.resident("叶小晓", "2020-05-01", more).await;
        cancel(&kit, &guardian).await;
        let asked = open(&kit, "guardian").await;
        assert_eq!(asked.len(), 1 + usize::from(both), "{asked:?}");
        let item = kit.server.conflict_of(record(&again)).await.unwrap();
        let merge = json!({ "action": "merge", "survivor": again, "take_from_other": [] });
        let reply = kit.server.decide(&kit.supervisor, item, merge).await;
        let reply = reply.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        let asked = open(&kit, "guardian").await;
        assert_eq!(asked.len(), 1, "{both}: {asked:?}");
        assert_eq!(asked[0]["resident"], json!(again), "{both}: not {ward}");

        let path = format!("/api/conflicts/{item}/decision");
        let reply = kit
            .send(&kit.supervisor, "DELETE", &path, Value::Null)
            .await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let asked = open(&kit, "guardian").await;
        let mut about: Vec<&str> = asked
            .iter()
            .map(|check| check["resident"].as_str().unwrap())
            .collect();
        about.sort_unstable();
        let of_both = [ward.as_str(), again.as_str()];
        assert_eq!(about, of_both[..1 + usize::from(both)], "as before");
    }
}

//! The conflict queue over HTTP: who sees an item, what a decision does to the record and to its makers, and what can't
//! be decided twice.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::ids::RecordId;
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::rights::Role;
use doorstep_core::value::Value;
use doorstep_server::register::Prepared;
use doorstep_server::testing::city::{DISTRICT, NEXT_VILLAGE, OTHER_DISTRICT, STREET, VILLAGE};
use doorstep_server::testing::phone::{Phone, fields};
use doorstep_server::testing::{Person, Reply, TestServer};
use serde_json::{Value as Json, json};
use uuid::Uuid;

async fn get(server: &TestServer, person: &Person, path: &str) -> Reply {
    server
        .send("GET", path, Some(&person.token), None)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_dry_run_says_what_a_decision_comes_to_and_changes_nothing() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let (id, resident, one, two) = server.dispute(VILLAGE).await.unwrap();
    let before = server.conflict(&supervisor, id).await.unwrap();
    let loser = before["values"]
        .as_array()
        .unwrap()
        .iter()
        .find(|value| value["present"] == false)
        .unwrap();
    let body = json!({ "action": "take", "choice": loser["choice"], "dry_run": true });
    let reply = server.decide(&supervisor, id, body).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let writes = reply.body["writes"].as_array().unwrap();
    assert_eq!(writes.len(), 1, "{}", reply.body);
    assert_eq!(writes[0]["record"], json!(resident));
    assert_eq!(writes[0]["fields"][0]["label"], "姓名");
    assert_eq!(writes[0]["fields"][0]["value"], loser["value"]);
    let told: std::collections::BTreeSet<String> = reply.body["tells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tell| tell["user"].as_str().unwrap().to_owned())
        .collect();
    let makers = [&one, &two].map(|phone| phone.person.id.to_string());
    assert_eq!(told, makers.into_iter().collect());
    assert_eq!(reply.body["item"]["status"], "open");
    assert_eq!(
        server.conflict(&supervisor, id).await.unwrap()["values"],
        before["values"],
        "nothing changed"
    );
    for phone in [&one, &two] {
        let messages = server
            .messages(phone.person.id, "conflict_decided")
            .await
            .unwrap();
        assert!(messages.is_empty(), "nobody was told");
    }
    let wrong = json!({ "action": "take", "choice": 9, "dry_run": true });
    let reply = server.decide(&supervisor, id, wrong).await.unwrap();
    assert_eq!(reply.status, 422, "{}", reply.body);
}

#[tokio::test]
async fn a_supervisor_takes_one_of_two_names_and_both_collectors_are_told() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let (id, resident, one, two) = server.dispute(VILLAGE).await.unwrap();

    let list = get(
        &server,
        &supervisor,
        &format!("/api/conflicts?area={DISTRICT}&kind=field"),
    )
    .await
    .body;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    let item = &list["items"][0];
    assert_eq!(item["id"], json!(id));
    assert_eq!(item["field_label"], "姓名");
    assert_eq!(item["title"], "叶**", "a list shows no name whole");
    assert_eq!(
        list["counts"][0],
        json!({ "kind": "field", "label": "字段冲突", "count": 1, "overdue": 0 })
    );

    let detail = server.conflict(&supervisor, id).await.unwrap();
    let values = detail["values"].as_array().unwrap();
    assert_eq!(values.len(), 2, "{detail}");
    let mut seen: Vec<&str> = values
        .iter()
        .map(|v| v["value"].as_str().unwrap())
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, ["叶海斯", "叶海诗"]);
    assert_eq!(detail["base"]["value"], "叶海思");
    for (phone, text) in [(&one, "叶海斯"), (&two, "叶海诗")] {
        let value = values.iter().find(|v| v["value"] == text).unwrap();
        assert_eq!(value["user"], json!(phone.person.id));
        assert_eq!(value["device"], json!(phone.who.device.0));
        assert!(value["device_name"].is_string(), "{value}");
        assert!(value["user_name"].is_string() && value["made_at"].is_string());
    }
    let loser = values.iter().position(|v| v["present"] == false).unwrap();
    let wanted = values[loser]["value"].as_str().unwrap().to_owned();

    let reply = server
        .decide(
            &supervisor,
            id,
            json!({ "action": "take", "choice": loser, "note": "已上门核对" }),
        )
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        (&reply.body["changes"], &reply.body["told"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        server.value_of(resident, "name").await.unwrap(),
        Some(Value::from(wanted.clone()))
    );
    for phone in [&one, &two] {
        let told = server
            .messages(phone.person.id, "conflict_decided")
            .await
            .unwrap();
        assert_eq!(told.len(), 1);
        assert!(
            !told[0].contains("叶海"),
            "a message names no value: {}",
            told[0]
        );
        let own =
            phone.person.id == Uuid::parse_str(values[loser]["user"].as_str().unwrap()).unwrap();
        assert_eq!(told[0].contains("采用了您填写的内容"), own);
    }
    let detail = server.conflict(&supervisor, id).await.unwrap();
    assert_eq!(detail["status"], "decided");
    assert_eq!(detail["decision"]["action"], "take");
    assert_eq!(detail["decision"]["note"], "已上门核对");
    let again = server
        .decide(&supervisor, id, json!({ "action": "take", "choice": 0 }))
        .await
        .unwrap();
    assert_eq!((again.status, again.code()), (409, "already_decided"));
    assert!(
        get(&server, &supervisor, "/api/conflicts").await.body["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_later_concurrent_edit_opens_a_new_item_and_never_undoes_the_decision_silently() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let (id, resident, _, mut two) = server.dispute(VILLAGE).await.unwrap();
    let choice = json!({ "action": "value", "value": "叶海四" });
    assert_eq!(
        server.decide(&supervisor, id, choice).await.unwrap().status,
        200
    );
    // The phone has not seen the decision yet.
    let late = two.edit(resident, &fields(&[("name", "叶海丝")])).unwrap();
    assert_eq!(
        two.send(&server, vec![late]).await.unwrap(),
        [Outcome::Accepted]
    );
    let next = server.conflict_of(resident).await.unwrap();
    assert_ne!(next, id);
    let detail = server.conflict(&supervisor, next).await.unwrap();
    let values: Vec<&str> = detail["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["value"].as_str().unwrap())
        .collect();
    assert!(
        values.contains(&"叶海四") && values.contains(&"叶海丝"),
        "{values:?}"
    );
}

#[tokio::test]
async fn another_value_must_fit_the_field() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let (mut one, mut two) = (
        server.phone(VILLAGE).await.unwrap(),
        server.phone(VILLAGE).await.unwrap(),
    );
    let (resident, item) = one.resident("王小二", "11010519491231002X").unwrap();
    one.send(&server, vec![item]).await.unwrap();
    two.learn(resident, &one);
    let first = one
        .edit(resident, &fields(&[("id_number", "440524188001010014")]))
        .unwrap();
    let second = two
        .edit(resident, &fields(&[("id_number", "310101197004275621")]))
        .unwrap();
    one.send(&server, vec![first]).await.unwrap();
    two.send(&server, vec![second]).await.unwrap();
    let id = server.conflict_of(resident).await.unwrap();

    let detail = server.conflict(&supervisor, id).await.unwrap();
    assert!(
        !detail.to_string().contains("440524188001010014"),
        "a number is masked without a purpose"
    );
    let reply = get(
        &server,
        &supervisor,
        &format!("/api/conflicts/{id}?purpose=correction"),
    )
    .await;
    assert!(
        reply.body.to_string().contains("440524188001010014"),
        "{}",
        reply.body
    );

    let curious = get(
        &server,
        &supervisor,
        &format!("/api/conflicts/{id}?purpose=curiosity"),
    )
    .await;
    assert_eq!(
        (curious.status, curious.code()),
        (400, "malformed_query"),
        "{}",
        curious.body
    );

    let wrong = server
        .decide(
            &supervisor,
            id,
            json!({ "action": "value", "value": "440524188001010015" }),
        )
        .await
        .unwrap();
    assert_eq!(
        (wrong.status, wrong.code()),
        (422, "invalid_fields"),
        "{}",
        wrong.body
    );
    assert_eq!(wrong.body["error"]["fields"][0]["path"], "value");
    let unknown = server
        .decide(&supervisor, id, json!({ "action": "take", "choice": 7 }))
        .await
        .unwrap();
    assert_eq!(unknown.body["error"]["fields"][0]["code"], "unknown_choice");
    let kind = server
        .decide(&supervisor, id, json!({ "action": "confirm" }))
        .await
        .unwrap();
    assert_eq!(kind.body["error"]["fields"][0]["code"], "wrong_action");
    let right = server
        .decide(
            &supervisor,
            id,
            json!({ "action": "value", "value": "１１０１０５１９４９１２３１００２x" }),
        )
        .await
        .unwrap();
    assert_eq!(right.status, 200, "{}", right.body);
    assert_eq!(
        server.value_of(resident, "id_number").await.unwrap(),
        Some("11010519491231002X".into())
    );
}

#[tokio::test]
async fn two_supervisors_cannot_decide_one_item() {
    let server = TestServer::open_city().await.unwrap();
    let first = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let second = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let (id, ..) = server.dispute(VILLAGE).await.unwrap();
    let path = format!("/api/conflicts/{id}/decision");
    let version = server.conflict(&first, id).await.unwrap()["version"]
        .as_i64()
        .unwrap();
    let with_version = |person: Person, choice: usize| {
        let url = format!("http://{}{path}", server.address);
        async move {
            let client = reqwest::Client::new();
            let request = client.post(url).bearer_auth(&person.token);
            let request = request.header("If-Match", format!("\"{version}\""));
            let request = request.json(&json!({ "action": "take", "choice": choice }));
            request.send().await.unwrap().status().as_u16()
        }
    };
    let (one, two) = tokio::join!(with_version(first.clone(), 0), with_version(second, 1));
    let mut answers = [one, two];
    answers.sort_unstable();
    assert_eq!(answers, [200, 412]);
}

#[tokio::test]
async fn only_supervisors_of_the_area_see_and_decide() {
    let server = TestServer::open_city().await.unwrap();
    let (id, _, one, _) = server.dispute(VILLAGE).await.unwrap();
    let take = json!({ "action": "take", "choice": 0 });
    assert_eq!(
        server
            .decide(&one.person, id, take.clone())
            .await
            .unwrap()
            .status,
        403
    );
    for area in [NEXT_VILLAGE, OTHER_DISTRICT] {
        let elsewhere = server.person(Role::Supervisor, area).await.unwrap();
        assert_eq!(
            get(&server, &elsewhere, &format!("/api/conflicts/{id}"))
                .await
                .status,
            404
        );
        assert_eq!(
            server
                .decide(&elsewhere, id, take.clone())
                .await
                .unwrap()
                .status,
            404
        );
        let list = get(&server, &elsewhere, "/api/conflicts?status=any")
            .await
            .body;
        assert!(list["items"].as_array().unwrap().is_empty());
        assert_eq!(list["counts"][0]["count"], 0);
    }
    let administrator = server
        .person(Role::AreaAdministrator, DISTRICT)
        .await
        .unwrap();
    let seen = server.conflict(&administrator, id).await.unwrap();
    assert_eq!(seen["status"], "open");
    // Who neither decides nor may reveal reads it masked.
    let clear = ["叶海斯", "叶海诗"].map(|name| seen.to_string().contains(name));
    assert_eq!(clear, [false, false], "{seen}");
    assert_eq!(seen["values"][0]["value"], "叶**");
    assert_eq!(
        server
            .decide(&administrator, id, take)
            .await
            .unwrap()
            .status,
        403
    );
}

#[tokio::test]
async fn an_item_is_assigned_becomes_overdue_and_is_found_by_both() {
    let server = TestServer::open_city().await.unwrap();
    let chief = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let local = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let stranger = server
        .person(Role::Supervisor, OTHER_DISTRICT)
        .await
        .unwrap();
    let (id, ..) = server.dispute(VILLAGE).await.unwrap();
    let path = format!("/api/conflicts/{id}/assignee");
    let assign = |body: Json| server.send("PUT", &path, Some(&chief.token), Some(body));
    let refused = assign(json!({ "assignee": stranger.id })).await.unwrap();
    assert_eq!(refused.body["error"]["fields"][0]["code"], "may_not_decide");
    let reply = assign(json!({ "assignee": local.id, "due_at": "2026-11-25T09:00:00Z" }))
        .await
        .unwrap();
    assert_eq!(
        (reply.status, &reply.body["assignee"]),
        (200, &json!(local.id)),
        "{}",
        reply.body
    );
    assert_eq!(
        server
            .messages(local.id, "conflict_assigned")
            .await
            .unwrap()
            .len(),
        1
    );
    let count = |path: &'static str, person: &Person| {
        let person = person.clone();
        let server = &server;
        async move {
            get(server, &person, path).await.body["items"]
                .as_array()
                .unwrap()
                .len()
        }
    };
    assert_eq!(count("/api/conflicts?assignee=me", &local).await, 1);
    assert_eq!(count("/api/conflicts?assignee=none", &chief).await, 0);
    assert_eq!(count("/api/conflicts?overdue=true", &chief).await, 0);
    server
        .clock
        .advance(std::time::Duration::from_secs(2 * 86_400));
    // Sessions end with idleness: sign in anew.
    let again = server.sign_in(&chief.login, &chief.password).await.unwrap();
    let token = again.body["token"].as_str().unwrap().to_owned();
    let chief = Person {
        token,
        ..chief.clone()
    };
    assert_eq!(count("/api/conflicts?overdue=true", &chief).await, 1);
    assert_eq!(count("/api/conflicts?older_than_days=1", &chief).await, 1);
    assert_eq!(count("/api/conflicts?older_than_days=3", &chief).await, 0);
}

#[tokio::test]
async fn a_cancellation_against_an_edit_ends_either_way() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    for lives in [true, false] {
        let (mut one, mut two) = (
            server.phone(VILLAGE).await.unwrap(),
            server.phone(VILLAGE).await.unwrap(),
        );
        let (resident, item) = one.resident("王小二", "").unwrap();
        one.send(&server, vec![item]).await.unwrap();
        two.learn(resident, &one);
        let cancel = fields(&[
            ("status", "cancelled"),
            ("cancel_reason", "3"),
            ("cancelled_on", "2026-11-20"),
        ]);
        let cancel = one.edit(resident, &cancel).unwrap();
        let edit = two
            .edit(resident, &fields(&[("phone", "13812341234")]))
            .unwrap();
        one.send(&server, vec![cancel]).await.unwrap();
        two.send(&server, vec![edit]).await.unwrap();
        let id = server.conflict_of(resident).await.unwrap();
        let detail = server.conflict(&supervisor, id).await.unwrap();
        assert_eq!(detail["kind"], "update_cancelled");
        let values = detail["values"].as_array().unwrap();
        let cancelled = values
            .iter()
            .position(|v| v["value"] == "cancelled")
            .unwrap();
        let choice = if lives { 1 - cancelled } else { cancelled };
        let reply = server
            .decide(
                &supervisor,
                id,
                json!({ "action": "take", "choice": choice }),
            )
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        let expected = if lives { "active" } else { "cancelled" };
        assert_eq!(
            server.value_of(resident, "status").await.unwrap(),
            Some(expected.into())
        );
        let reason = server.value_of(resident, "cancel_reason").await.unwrap();
        assert_eq!(reason, Some(if lives { Value::Null } else { "3".into() }));
    }
}

/// A resident recorded in a village that is not the collector's.
fn elsewhere(phone: &mut Phone, name: &str) -> (RecordId, Prepared) {
    let mut values = fields(&[("name", name), ("sex", "1"), ("population_kind", "01")]);
    values.insert("_area".to_owned(), NEXT_VILLAGE.into());
    phone.create("resident", &values).unwrap()
}

#[tokio::test]
async fn what_was_refused_is_accepted_or_stays_refused() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    // Someone in a village that is not the collector's, and a visit there.
    let (resident, item) = elsewhere(&mut phone, "李四");
    let (visit, event) = phone.visit(resident, NEXT_VILLAGE).unwrap();
    let outcomes = phone.send(&server, vec![item, event]).await.unwrap();
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Refused(_))),
        "{outcomes:?}"
    );
    assert!(
        server.value_of(resident, "name").await.is_err(),
        "not in the register"
    );

    let id = server.conflict_of(resident).await.unwrap();
    let detail = server.conflict(&supervisor, id).await.unwrap();
    assert_eq!(detail["kind"], "quarantined");
    assert_eq!(detail["record_now"], Json::Null);
    let refused = detail["refused"].as_array().unwrap();
    assert_eq!(refused[0]["code"], "out_of_scope");
    assert_eq!(refused[0]["user"], json!(phone.person.id));
    let shown: Vec<&str> = refused[0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["key"].as_str().unwrap())
        .collect();
    assert!(shown.contains(&"name"), "{detail}");
    let reply = server
        .decide(&supervisor, id, json!({ "action": "accept" }))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        server.value_of(resident, "name").await.unwrap(),
        Some("李四".into())
    );
    let told = server
        .messages(phone.person.id, "conflict_decided")
        .await
        .unwrap();
    assert!(
        told.iter().any(|text| text.contains("已被采纳")),
        "{told:?}"
    );

    // The visit has an item of its own.
    let id = server.conflict_of(RecordId(visit.0)).await.unwrap();
    let reply = server
        .decide(&supervisor, id, json!({ "action": "accept" }))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let by: Uuid = sqlx::query_scalar("SELECT user_id FROM events WHERE id = $1")
        .bind(visit.0)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(by, phone.person.id, "the visit stays its maker's");
    drop(tx);

    let (other, item) = elsewhere(&mut phone, "赵六");
    phone.send(&server, vec![item]).await.unwrap();
    let id = server.conflict_of(other).await.unwrap();
    let reply = server
        .decide(
            &supervisor,
            id,
            json!({ "action": "refuse", "note": "不在本区" }),
        )
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(server.value_of(other, "name").await.is_err());
}

#[tokio::test]
async fn a_claim_of_the_main_residence_is_confirmed_or_denied() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let there = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let here = server.person(Role::Supervisor, NEXT_VILLAGE).await.unwrap();
    for confirms in [true, false] {
        let (mut one, mut two) = (
            server.phone(VILLAGE).await.unwrap(),
            server.phone(NEXT_VILLAGE).await.unwrap(),
        );
        let (resident, item) = one.resident("王小二", "").unwrap();
        let (held, home) = one
            .residence(resident, "陕西中路12弄28号1702室", true)
            .unwrap();
        one.send(&server, vec![item, home]).await.unwrap();
        let room = "厦门中路66弄1号1302室";
        let lent = server.lives_at(resident, NEXT_VILLAGE, room).await;
        lent.unwrap();
        let (claim, moved) = two
            .residence(resident, "厦门中路66弄1号1301室", true)
            .unwrap();
        assert_eq!(
            two.send(&server, vec![moved]).await.unwrap(),
            [Outcome::Accepted]
        );
        let id = server.conflict_of(resident).await.unwrap();
        let detail = server.conflict(&supervisor, id).await.unwrap();
        assert_eq!(detail["kind"], "main_residence", "{detail}");
        assert!(detail.to_string().contains("1702室"), "{detail}");
        // One of the two communities neither takes the resident from the other by itself, nor reads the address there.
        let detail = server.conflict(&here, id).await.unwrap();
        assert!(!detail.to_string().contains("1702室"), "{detail}");
        assert!(detail.to_string().contains("1301室"), "{detail}");
        let reply = server.decide(&here, id, json!({ "action": "confirm", "dry_run": true }));
        let reply = reply.await.unwrap();
        assert_eq!((reply.status, reply.code()), (403, "beyond_own_area"));
        let path = format!("/api/conflicts/{id}/deciders");
        let deciders = server.get(&supervisor, &path).await.unwrap().to_string();
        assert!(deciders.contains(&supervisor.id.to_string()));
        assert!(!deciders.contains(&here.id.to_string()), "{deciders}");
        let action = if confirms { "confirm" } else { "deny" };
        let reply = server
            .decide(&supervisor, id, json!({ "action": action }))
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(
            server.value_of(claim, "main").await.unwrap(),
            Some(Value::Bool(confirms))
        );
        // What both have decided for, one of them does not take back.
        let offered = async |who: &Person| {
            let detail = server.conflict(who, id).await.unwrap();
            detail["decision"]["undo_until"].is_string()
        };
        assert!(offered(&supervisor).await);
        assert_eq!(offered(&here).await, !confirms);
        if confirms {
            let path = format!("/api/conflicts/{id}/decision");
            let reply = server.send("DELETE", &path, Some(&here.token), None).await;
            let reply = reply.unwrap();
            assert_eq!((reply.status, reply.code()), (403, "beyond_own_area"));
        }
        assert_eq!(
            server.value_of(held, "main").await.unwrap(),
            Some(Value::Bool(!confirms))
        );
        assert_eq!(
            server
                .messages(two.person.id, "conflict_decided")
                .await
                .unwrap()
                .len(),
            1
        );
    }
    assert_eq!(
        server
            .messages(there.id, "conflict_decided")
            .await
            .unwrap()
            .len(),
        2,
        "the other community is told"
    );
}

/// A phone whose outbox was damaged sends again, in another envelope, what was refused: the answer is the same, not that
/// it is here already, and the supervisor has it once.
#[tokio::test]
async fn what_was_refused_is_refused_again_in_another_envelope_and_kept_once() {
    let server = TestServer::open_city().await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (resident, item) = phone.resident("王小二", "").unwrap();
    phone.send(&server, vec![item]).await.unwrap();
    let police = phone
        .edit(resident, &fields(&[("police_person_id", "P1")]))
        .unwrap();
    let (_, visit) = phone.visit(resident, NEXT_VILLAGE).unwrap();
    let items = vec![police, visit];
    let refused = |outcomes: &[Outcome]| -> Vec<(String, Option<String>)> {
        let refusals = outcomes.iter().map(|outcome| match outcome {
            Outcome::Refused(why) => (why.code.clone(), why.field.clone()),
            other => panic!("{other:?}"),
        });
        refusals.collect()
    };
    let first = phone.send(&server, items.clone()).await.unwrap();
    let expected = [
        (
            "field_not_writable".to_owned(),
            Some("police_person_id".to_owned()),
        ),
        ("out_of_scope".to_owned(), None),
    ];
    assert_eq!(refused(&first), expected);
    let kept = async || {
        let mut tx = doorstep_server::database::system_tx(&server.state.pool)
            .await
            .unwrap();
        let counts =
            "SELECT (SELECT count(*) FROM refused_items), (SELECT count(*) FROM conflicts)";
        let counts: (i64, i64) = sqlx::query_as(counts).fetch_one(&mut *tx).await.unwrap();
        counts
    };
    let before = kept().await;
    let again = phone.send(&server, items.clone()).await.unwrap();
    assert_eq!(refused(&again), expected);
    // Its user may go there now; but the supervisor has it already, and it must not be in both places.
    phone
        .who
        .grants
        .push((Role::Collector, NEXT_VILLAGE.parse().unwrap()));
    let again = phone.send(&server, items).await.unwrap();
    assert_eq!(refused(&again), expected);
    assert_eq!(kept().await, before);
}

/// What builds on something refused is refused with it, envelopes later too; and a supervisor's screen opens on it,
/// however much a phone leaves.
#[tokio::test]
async fn of_very_much_that_was_refused_the_first_is_listed_and_the_rest_is_counted() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (resident, item) = elsewhere(&mut phone, "李四");
    let mut items = vec![item];
    for number in 0..202 {
        let name = format!("李{number}");
        items.push(phone.edit(resident, &fields(&[("name", &name)])).unwrap());
    }
    let last = items.split_off(150);
    let mut codes = Vec::new();
    for items in [items, last] {
        let outcomes = phone.send(&server, items).await.unwrap();
        codes.extend(outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Refused(why) => why.code,
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(codes[0], "out_of_scope");
    assert!(codes[1..].iter().all(|code| code == "builds_on_refused"));
    let id = server.conflict_of(resident).await.unwrap();
    let detail = server.conflict(&supervisor, id).await.unwrap();
    assert_eq!(detail["refused"].as_array().unwrap().len(), 200);
    assert_eq!(detail["refused_more"], 3);
}

/// What reaches into two villages is nobody's who has a right in one of them; nor is what one sent oneself.
#[tokio::test]
async fn an_item_is_offered_to_those_only_who_may_take_all_its_decisions() {
    const NUMBER: &str = "11010519491231002X";
    let server = TestServer::open_city().await.unwrap();
    let here = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    server.person(Role::Supervisor, NEXT_VILLAGE).await.unwrap();
    let above = server.person(Role::Supervisor, STREET).await.unwrap();
    let mut one = server.phone(VILLAGE).await.unwrap();
    let mut two = server.phone(NEXT_VILLAGE).await.unwrap();
    let (resident, made) = one.resident("王小二", NUMBER).unwrap();
    let (visit, visited) = one.visit(resident, NEXT_VILLAGE).unwrap();
    one.send(&server, vec![made, visited]).await.unwrap();
    let (home, tied) = two
        .residence(resident, "厦门中路66弄1号1301室", false)
        .unwrap();
    let (twin, recorded) = two.resident("王小二", NUMBER).unwrap();
    two.send(&server, vec![tied, recorded]).await.unwrap();
    let photo = one.edit(resident, &fields(&[("photo_file", "x.jpg")]));
    one.send(&server, vec![photo.unwrap()]).await.unwrap();
    let offered = async |record: RecordId| {
        let item = server.conflict_of(record).await.unwrap();
        let path = format!("/api/conflicts/{item}/deciders");
        let listed = server.get(&above, &path).await.unwrap();
        let ids = listed.as_array().unwrap().iter();
        let ids: Vec<Uuid> = ids
            .map(|one| one["id"].as_str().unwrap().parse().unwrap())
            .collect();
        ids
    };
    for record in [home, visit.into(), twin] {
        assert_eq!(offered(record).await, [above.id], "{record}");
        let item = server.conflict_of(record).await.unwrap();
        let path = format!("/api/conflicts/{item}/assignee");
        let give = async |to: &Person| {
            let body = json!({ "assignee": to.id });
            let reply = server.send("PUT", &path, Some(&above.token), Some(body));
            reply.await.unwrap().status
        };
        assert_eq!(
            give(&here).await,
            422,
            "not to one who may take half of them"
        );
        assert_eq!(give(&above).await, 200);
    }
    let both = offered(resident).await;
    assert!(both.contains(&here.id) && both.contains(&above.id) && both.len() == 2);

    one.pull(&server, resident).await.unwrap();
    one.who.user = doorstep_core::ids::UserId(here.id);
    let photo = one.edit(resident, &fields(&[("photo_file", "y.jpg")]));
    one.send(&server, vec![photo.unwrap()]).await.unwrap();
    assert_eq!(offered(resident).await, [above.id], "not the sender");
}

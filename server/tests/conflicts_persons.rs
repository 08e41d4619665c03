//! Decisions about persons and many items at once: merging, splitting, taking back, and one rule for many.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::ids::RecordId;
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::rights::Role;
use doorstep_core::value::Value;
use doorstep_server::database::system_tx;
use doorstep_server::testing::city::{DISTRICT, NEXT_VILLAGE, OTHER_DISTRICT, VILLAGE};
use doorstep_server::testing::phone::{Phone, fields};
use doorstep_server::testing::{Person, Reply, TestServer};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const NUMBER: &str = "11010519491231002X";

async fn undo(server: &TestServer, person: &Person, id: Uuid) -> Reply {
    let path = format!("/api/conflicts/{id}/decision");
    server
        .send("DELETE", &path, Some(&person.token), None)
        .await
        .unwrap()
}

struct Pair {
    item: Uuid,
    first: RecordId,
    second: RecordId,
    home: RecordId,
    two: Phone,
}

/// Two phones recorded one person.
async fn recorded_twice(server: &TestServer, areas: [&str; 2]) -> Pair {
    let (mut one, mut two) = (
        server.phone(areas[0]).await.unwrap(),
        server.phone(areas[1]).await.unwrap(),
    );
    let (first, item) = one.resident("王小二", NUMBER).unwrap();
    one.send(server, vec![item]).await.unwrap();
    let (second, item) = two.resident("王晓二", NUMBER).unwrap();
    let (home, residence) = two
        .residence(second, "陕西中路12弄28号1702室", true)
        .unwrap();
    two.send(server, vec![item, residence]).await.unwrap();
    let edit = two
        .edit(second, &fields(&[("phone", "13812341234")]))
        .unwrap();
    two.send(server, vec![edit]).await.unwrap();
    let item = server.conflict_of(second).await.unwrap();
    Pair {
        item,
        first,
        second,
        home,
        two,
    }
}

#[tokio::test]
async fn two_records_of_one_person_become_one_and_later_changes_become_proposals() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let mut pair = recorded_twice(&server, [VILLAGE, VILLAGE]).await;
    let detail = server.conflict(&supervisor, pair.item).await.unwrap();
    assert_eq!(detail["kind"], "duplicate_person");
    assert_eq!(detail["other_now"]["id"], json!(pair.first.0));
    assert!(server.is_in(VILLAGE, pair.second).await.unwrap());

    let merge = json!({ "action": "merge", "survivor": pair.first.0, "take_from_other": ["name"] });
    let reply = server.decide(&supervisor, pair.item, merge).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        server.value_of(pair.first, "name").await.unwrap(),
        Some("王晓二".into())
    );
    assert_eq!(
        server.value_of(pair.first, "phone").await.unwrap(),
        Some("13812341234".into()),
        "what it lacked"
    );
    assert_eq!(
        server.value_of(pair.home, "resident").await.unwrap(),
        Some(pair.first.to_string().into())
    );
    assert_eq!(
        server_value(&server, pair.second, "status").await,
        Some("cancelled".into())
    );
    assert!(server.is_in(VILLAGE, pair.first).await.unwrap());
    assert!(
        !server.is_in(VILLAGE, pair.second).await.unwrap(),
        "the other leaves every phone"
    );

    // A phone that has not heard of it goes on writing.
    let late = pair
        .two
        .edit(pair.second, &fields(&[("workplace", "某厂")]))
        .unwrap();
    let later = pair
        .two
        .edit(pair.second, &fields(&[("occupation", "钳工")]))
        .unwrap();
    let outcomes = pair.two.send(&server, vec![late, later]).await.unwrap();
    for outcome in &outcomes {
        assert!(
            matches!(outcome, Outcome::Refused(refusal) if refusal.code == "merged_away"),
            "{outcome:?}"
        );
    }
    let proposal = server.conflict_of(pair.first).await.unwrap();
    let detail = server.conflict(&supervisor, proposal).await.unwrap();
    assert_eq!(detail["kind"], "refused_change");
    assert_eq!(detail["refused"].as_array().unwrap().len(), 2, "{detail}");
    let reply = server
        .decide(&supervisor, proposal, json!({ "action": "accept" }))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        server.value_of(pair.first, "workplace").await.unwrap(),
        Some("某厂".into())
    );
    assert_eq!(
        server.value_of(pair.first, "occupation").await.unwrap(),
        Some("钳工".into())
    );
}

/// The register's present value.
async fn server_value(server: &TestServer, record: RecordId, key: &str) -> Option<Value> {
    server.value_of(record, key).await.unwrap()
}

#[tokio::test]
async fn a_merge_is_taken_back_whole() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let pair = recorded_twice(&server, [VILLAGE, VILLAGE]).await;
    let merge = json!({ "action": "merge", "survivor": pair.first.0 });
    assert_eq!(
        server
            .decide(&supervisor, pair.item, merge)
            .await
            .unwrap()
            .status,
        200
    );
    let detail = server.conflict(&supervisor, pair.item).await.unwrap();
    assert!(detail["decision"]["undo_until"].is_string(), "{detail}");
    let reply = undo(&server, &supervisor, pair.item).await;
    assert_eq!(
        (reply.status, &reply.body["item"]["status"]),
        (200, &json!("open")),
        "{}",
        reply.body
    );
    assert_eq!(
        server_value(&server, pair.home, "resident").await,
        Some(pair.second.to_string().into())
    );
    assert_ne!(
        server_value(&server, pair.second, "status").await,
        Some("cancelled".into())
    );
    assert_eq!(
        server_value(&server, pair.first, "phone").await,
        Some(Value::Null)
    );
    assert!(server.is_in(VILLAGE, pair.second).await.unwrap());
    let again = undo(&server, &supervisor, pair.item).await;
    assert_eq!((again.status, again.code()), (409, "not_decided"));
}

#[tokio::test]
async fn who_decides_in_one_area_does_not_take_a_record_from_another() {
    let server = TestServer::open_city().await.unwrap();
    let local = server.person(Role::Supervisor, NEXT_VILLAGE).await.unwrap();
    let pair = recorded_twice(&server, [VILLAGE, NEXT_VILLAGE]).await;
    let merge = json!({ "action": "merge", "survivor": pair.second.0 });
    let reply = server
        .decide(&local, pair.item, merge.clone())
        .await
        .unwrap();
    assert_eq!((reply.status, reply.code()), (403, "beyond_own_area"));
    let detail = server.conflict(&local, pair.item).await.unwrap();
    let other = detail["other_now"].to_string();
    assert!(
        !other.contains("王小二") && other.contains("王**"),
        "masked where the reader has no right: {other}"
    );
    let chief = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    assert_eq!(
        server
            .decide(&chief, pair.item, merge)
            .await
            .unwrap()
            .status,
        200
    );
    let wrong = server
        .decide(&chief, pair.item, json!({ "action": "dismiss" }))
        .await
        .unwrap();
    assert_eq!(wrong.code(), "already_decided");
    // Nor does one of them part what their superior has merged.
    let reply = undo(&server, &local, pair.item).await;
    assert_eq!((reply.status, reply.code()), (403, "beyond_own_area"));
    let detail = server.conflict(&local, pair.item).await.unwrap();
    assert!(detail["decision"]["undo_until"].is_null(), "{detail}");
    assert_eq!(undo(&server, &chief, pair.item).await.status, 200);
}

#[tokio::test]
async fn two_persons_in_one_record_are_parted() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let (mut one, mut two) = (
        server.phone(VILLAGE).await.unwrap(),
        server.phone(VILLAGE).await.unwrap(),
    );
    let (resident, item) = one.resident("王小二", "").unwrap();
    let (home, residence) = one
        .residence(resident, "陕西中路12弄28号1702室", true)
        .unwrap();
    one.send(&server, vec![item, residence]).await.unwrap();
    two.learn(resident, &one);
    let first = one
        .edit(
            resident,
            &fields(&[
                ("name", "王大"),
                ("id_number", NUMBER),
                ("phone", "13800138000"),
            ]),
        )
        .unwrap();
    let second = two
        .edit(
            resident,
            &fields(&[
                ("name", "王二"),
                ("id_number", "440524188001010014"),
                ("phone", "13912341234"),
            ]),
        )
        .unwrap();
    one.send(&server, vec![first]).await.unwrap();
    two.send(&server, vec![second]).await.unwrap();
    let list = server
        .send(
            "GET",
            "/api/conflicts?field=name",
            Some(&supervisor.token),
            None,
        )
        .await
        .unwrap()
        .body;
    let id: Uuid = list["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let detail = server.conflict(&supervisor, id).await.unwrap();
    let values = detail["values"].as_array().unwrap();
    let keep = values
        .iter()
        .position(|value| value["value"] == "王大")
        .unwrap();
    let foreign = server
        .decide(
            &supervisor,
            id,
            json!({ "action": "split", "keep": keep, "residences": [resident.0] }),
        )
        .await
        .unwrap();
    assert_eq!(
        foreign.body["error"]["fields"][0]["path"], "residences/0",
        "{}",
        foreign.body
    );
    let same = json!({ "action": "split", "keep": keep, "fields": { "id_number": NUMBER } });
    let reply = server.decide(&supervisor, id, same).await.unwrap();
    assert_eq!(
        reply.body["error"]["fields"][0]["code"], "same_number",
        "{}",
        reply.body
    );
    let split = json!({ "action": "split", "keep": keep, "fields": { "sex": "女" }, "residences": [home.0] });
    let reply = server.decide(&supervisor, id, split).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let new = RecordId(reply.body["created"][0].as_str().unwrap().parse().unwrap());
    assert_eq!(
        server_value(&server, resident, "name").await,
        Some("王大".into())
    );
    assert_eq!(
        server_value(&server, new, "name").await,
        Some("王二".into())
    );
    assert_eq!(
        server_value(&server, new, "id_number").await,
        Some("440524188001010014".into()),
        "the maker's own side"
    );
    assert_eq!(
        server_value(&server, new, "phone").await,
        Some("13912341234".into())
    );
    assert_eq!(server_value(&server, new, "sex").await, Some("2".into()));
    assert_eq!(
        server_value(&server, home, "resident").await,
        Some(new.to_string().into())
    );
    assert!(server.is_in(VILLAGE, new).await.unwrap());
    assert_eq!(
        server_value(&server, resident, "id_number").await,
        Some(NUMBER.into())
    );
    let open = server
        .send("GET", "/api/conflicts", Some(&supervisor.token), None)
        .await
        .unwrap()
        .body;
    assert!(
        open["items"].as_array().unwrap().is_empty(),
        "the other fields are parted with them: {open}"
    );
}

#[tokio::test]
async fn of_two_persons_the_one_who_stays_keeps_the_number() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let (mut one, mut two) = (
        server.phone(VILLAGE).await.unwrap(),
        server.phone(VILLAGE).await.unwrap(),
    );
    let (resident, item) = one.resident("王小二", NUMBER).unwrap();
    one.send(&server, vec![item]).await.unwrap();
    two.learn(resident, &one);
    for (phone, name) in [(&mut one, "王大"), (&mut two, "王二")] {
        let edit = phone.edit(resident, &fields(&[("name", name)])).unwrap();
        phone.send(&server, vec![edit]).await.unwrap();
    }
    let id = server.conflict_of(resident).await.unwrap();
    let split = json!({ "action": "split", "keep": 0, "fields": { "birth_date": null } });
    let reply = server.decide(&supervisor, id, split).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let new = RecordId(reply.body["created"][0].as_str().unwrap().parse().unwrap());
    assert_eq!(server_value(&server, new, "id_number").await, None);
    assert_eq!(
        server_value(&server, new, "birth_date").await,
        None,
        "taken out by the decider"
    );
    assert_eq!(
        server_value(&server, resident, "id_number").await,
        Some(NUMBER.into())
    );
}

#[tokio::test]
async fn a_decision_is_taken_back_within_a_day_unless_someone_edited_since() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let (id, resident, one, mut two) = server.dispute(VILLAGE).await.unwrap();
    let before = server_value(&server, resident, "name").await;
    let value = json!({ "action": "value", "value": "叶海四" });
    assert_eq!(undo(&server, &supervisor, id).await.code(), "not_decided");
    assert_eq!(
        server
            .decide(&supervisor, id, value.clone())
            .await
            .unwrap()
            .status,
        200
    );
    let reply = undo(&server, &supervisor, id).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(server_value(&server, resident, "name").await, before);
    assert_eq!(
        server
            .messages(one.person.id, "conflict_reopened")
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        server.conflict(&supervisor, id).await.unwrap()["status"],
        "open"
    );

    assert_eq!(
        server.decide(&supervisor, id, value).await.unwrap().status,
        200
    );
    two.pull(&server, resident).await.unwrap();
    let edit = two.edit(resident, &fields(&[("name", "叶海五")])).unwrap();
    two.send(&server, vec![edit]).await.unwrap();
    let late = undo(&server, &supervisor, id).await;
    assert_eq!((late.status, late.code()), (409, "changed_since"));
    assert!(server.conflict(&supervisor, id).await.unwrap()["decision"]["undo_until"].is_null());
}

#[tokio::test]
async fn after_a_day_a_decision_stands() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let (id, ..) = server.dispute(VILLAGE).await.unwrap();
    assert_eq!(
        server
            .decide(&supervisor, id, json!({ "action": "take", "choice": 1 }))
            .await
            .unwrap()
            .status,
        200
    );
    server.clock.advance(std::time::Duration::from_secs(86_400));
    let again = server
        .sign_in(&supervisor.login, &supervisor.password)
        .await
        .unwrap();
    let token = again.body["token"].as_str().unwrap().to_owned();
    let supervisor = Person {
        token,
        ..supervisor
    };
    assert_eq!(undo(&server, &supervisor, id).await.code(), "too_late");
}

#[tokio::test]
async fn one_rule_decides_many_and_says_so_before() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let mut disputes = Vec::new();
    for _ in 0..3 {
        disputes.push(server.dispute(VILLAGE).await.unwrap());
    }
    let (_, elsewhere, ..) = server.dispute("310104003001").await.unwrap();
    let reply = bulk(
        &server,
        &supervisor,
        json!({ "rule": "equal_normalised" }),
        None,
    )
    .await;
    assert_eq!(
        (reply.status, &reply.body["decided"]),
        (200, &json!(0)),
        "{}",
        reply.body
    );
    assert!(
        reply.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|item| item["result"] == "no_match")
    );

    let rule = json!({ "rule": "device", "device": disputes[0].3.who.device.0 });
    let look = bulk(&server, &supervisor, rule.clone(), None).await.body;
    let reply = bulk(&server, &supervisor, rule, Some(&look)).await;
    assert_eq!(reply.body["decided"], 1, "{}", reply.body);
    assert_eq!(
        server_value(&server, disputes[0].1, "name").await,
        Some("叶海诗".into())
    );

    let newest = json!({ "rule": "newest" });
    let look = bulk(&server, &supervisor, newest.clone(), None).await.body;
    assert_eq!(
        (&look["decided"], &look["dry_run"]),
        (&json!(2), &json!(true)),
        "{look}"
    );
    let open = server
        .send("GET", "/api/conflicts", Some(&supervisor.token), None)
        .await
        .unwrap()
        .body;
    assert_eq!(
        open["items"].as_array().unwrap().len(),
        2,
        "a look decides nothing"
    );
    // Whoever made the values is told; the look names them for each item and in all.
    for item in look["items"].as_array().unwrap() {
        assert_eq!(item["tells"].as_array().unwrap().len(), 2, "{item}");
        assert!(item["tells"][0]["text"].as_str().unwrap().contains("姓名"));
    }
    assert_eq!(look["tells"].as_array().unwrap().len(), 4, "{look}");
    let told = disputes[1].2.person.id;
    assert!(
        server
            .messages(told, "conflict_decided")
            .await
            .unwrap()
            .is_empty()
    );
    let done = bulk(&server, &supervisor, newest, Some(&look)).await.body;
    assert_eq!(done["decided"], 2, "{done}");
    assert_eq!(
        done["tells"], look["tells"],
        "what the look said is what happened"
    );
    assert_eq!(
        server
            .messages(told, "conflict_decided")
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        server.conflict_of(elsewhere).await.is_ok(),
        "another district's item stays"
    );
    let foreign = json!({ "area": OTHER_DISTRICT, "kind": "field", "field": "name",
        "rule": "newest", "dry_run": true });
    let reply = server
        .send(
            "POST",
            "/api/conflicts/bulk-decision",
            Some(&supervisor.token),
            Some(foreign),
        )
        .await
        .unwrap();
    assert_eq!(reply.status, 403);
    let wrong = json!({ "area": DISTRICT, "kind": "main_residence", "field": "nickname", "rule": "newest" });
    let reply = server
        .send(
            "POST",
            "/api/conflicts/bulk-decision",
            Some(&supervisor.token),
            Some(wrong),
        )
        .await
        .unwrap();
    assert_eq!(
        reply.body["error"]["fields"].as_array().unwrap().len(),
        3,
        "every wrong field at once, and no look before: {}",
        reply.body
    );
}

/// Asks for a look at a rule for names of the district; or, given a look, decides what it showed.
async fn bulk(server: &TestServer, person: &Person, rule: Json, look: Option<&Json>) -> Reply {
    let mut body = json!({ "area": DISTRICT, "kind": "field", "field": "name",
        "dry_run": look.is_none() });
    let body_ = body.as_object_mut().unwrap();
    body_.extend(rule.as_object().unwrap().clone());
    if let Some(look) = look {
        let items = look["items"].as_array().unwrap().iter();
        let items: Vec<Json> = items
            .filter(|item| item["result"] == "would_decide")
            .map(|item| json!({ "id": item["id"], "version": item["version"], "choice": item["choice"] }))
            .collect();
        body_.insert("items".to_owned(), json!(items));
    }
    let path = "/api/conflicts/bulk-decision";
    server
        .send("POST", path, Some(&person.token), Some(body))
        .await
        .unwrap()
}

/// What came or moved after the look is not decided: neither an item that was not in it, nor one whose newest value is
/// another by now.
#[tokio::test]
async fn a_rule_decides_what_its_look_showed_and_nothing_else() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let (_, kept, ..) = server.dispute(VILLAGE).await.unwrap();
    let (moved, changed, mut one, _) = server.dispute(VILLAGE).await.unwrap();
    let newest = json!({ "rule": "newest" });
    let look = bulk(&server, &supervisor, newest.clone(), None).await.body;
    assert_eq!(look["decided"], 2, "{look}");

    let edit = one.edit(changed, &fields(&[("name", "叶海五")])).unwrap();
    one.send(&server, vec![edit]).await.unwrap();
    let (late, ..) = server.dispute(VILLAGE).await.unwrap();
    let done = bulk(&server, &supervisor, newest.clone(), Some(&look))
        .await
        .body;
    assert_eq!(done["decided"], 1, "{done}");
    let items = done["items"].as_array().unwrap();
    let of = |id: Uuid| items.iter().find(|item| item["id"] == json!(id));
    assert_eq!(of(moved).unwrap()["result"], "stale", "{done}");
    assert!(of(moved).unwrap()["tells"].as_array().unwrap().is_empty());
    assert!(of(late).is_none(), "{done}");
    for id in [moved, late] {
        assert_eq!(
            server.conflict(&supervisor, id).await.unwrap()["status"],
            "open"
        );
    }
    assert_eq!(
        server_value(&server, kept, "name").await,
        Some("叶海诗".into())
    );

    // The same look once more: everything in it has moved. A new one shows what stands now.
    let again = bulk(&server, &supervisor, newest.clone(), Some(&look))
        .await
        .body;
    assert_eq!(again["decided"], 0, "{again}");
    let look = bulk(&server, &supervisor, newest.clone(), None).await.body;
    let done = bulk(&server, &supervisor, newest, Some(&look)).await.body;
    assert_eq!(done["decided"], 2, "{done}");
    assert_eq!(
        server_value(&server, changed, "name").await,
        Some("叶海五".into())
    );
}

/// A phone ten years ahead does not win: the newest value is the one that the server took last.
#[tokio::test]
async fn the_newest_value_is_the_one_taken_last_whatever_the_phones_clocks_say() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let (mut ahead, mut right) = (
        server.phone(VILLAGE).await.unwrap(),
        server.phone(VILLAGE).await.unwrap(),
    );
    let (resident, item) = right.resident("叶海思", "").unwrap();
    right.send(&server, vec![item]).await.unwrap();
    ahead.learn(resident, &right);
    ahead.put_clock_forward(10 * 365 * 86_400_000);
    let first = ahead
        .edit(resident, &fields(&[("name", "叶海斯")]))
        .unwrap();
    let second = right
        .edit(resident, &fields(&[("name", "叶海诗")]))
        .unwrap();
    ahead.send(&server, vec![first]).await.unwrap();
    right.send(&server, vec![second]).await.unwrap();
    let look = bulk(&server, &supervisor, json!({ "rule": "newest" }), None)
        .await
        .body;
    assert_eq!(look["items"][0]["value"]["value"], "叶海诗", "{look}");
}

/// Two numbers that look alike under their masks are told apart, without a digit more being shown.
#[tokio::test]
async fn what_differs_between_two_records_is_said_of_hidden_values_too() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let mut pair = recorded_twice(&server, [VILLAGE, VILLAGE]).await;
    let detail = server.conflict(&supervisor, pair.item).await.unwrap();
    let number = |detail: &Json, side: &str| {
        let held = detail[side]["fields"].as_array().unwrap().iter();
        let mut shown = held.filter(|field| field["key"] == "id_number");
        shown.next().unwrap()["value"].clone()
    };
    assert_eq!(detail["differs"], json!(["name", "phone"]), "{detail}");

    // The same area code and the same last four, another day of birth.
    let other = NUMBER.replace("19491231", "19580413");
    let edit = pair
        .two
        .edit(pair.second, &fields(&[("id_number", &other)]))
        .unwrap();
    pair.two.send(&server, vec![edit]).await.unwrap();
    let detail = server.conflict(&supervisor, pair.item).await.unwrap();
    assert_eq!(number(&detail, "record_now"), number(&detail, "other_now"));
    assert_eq!(
        detail["differs"],
        json!(["id_number", "name", "phone"]),
        "{detail}"
    );
    assert!(!detail.to_string().contains("0413"), "{detail}");
}

/// Whom an item can be given to: those who may decide it, of its area and above, however many there are elsewhere.
#[tokio::test]
async fn an_item_is_given_to_one_of_those_who_may_decide_it() {
    let server = TestServer::open_city().await.unwrap();
    let here = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let above = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let closed = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let next_door = server.person(Role::Supervisor, NEXT_VILLAGE).await.unwrap();
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    sqlx::query("UPDATE users SET status = 'closed' WHERE id = $1")
        .bind(closed.id)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let (item, ..) = server.dispute(VILLAGE).await.unwrap();
    let path = format!("/api/conflicts/{item}/deciders");
    let listed = server.get(&here, &path).await.unwrap();
    let ids: Vec<&Json> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    for one in [&here, &above] {
        assert!(ids.contains(&&json!(one.id)), "{listed}");
    }
    for one in [&closed, &next_door, &collector] {
        assert!(!ids.contains(&&json!(one.id)), "{listed}");
    }
    let give = |to: &Person| {
        let path = format!("/api/conflicts/{item}/assignee");
        let body = json!({ "assignee": to.id });
        let (server, token) = (&server, here.token.clone());
        async move {
            server
                .send("PUT", &path, Some(&token), Some(body))
                .await
                .unwrap()
        }
    };
    assert_eq!(give(&closed).await.status, 422);
    assert_eq!(give(&above).await.status, 200);
    let beyond = server
        .send("GET", &path, Some(&next_door.token), None)
        .await
        .unwrap();
    assert_eq!(beyond.status, 404);
}

/// A phone that has not heard of a merge records where the person lives, and visits: both belong to the survivor.
#[tokio::test]
async fn what_is_tied_to_a_record_merged_away_lands_on_the_survivor() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let mut pair = recorded_twice(&server, [VILLAGE, VILLAGE]).await;
    let merge = json!({ "action": "merge", "survivor": pair.first.0, "take_from_other": [] });
    let reply = server.decide(&supervisor, pair.item, merge).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);

    let (late, residence) = pair
        .two
        .residence(pair.second, "陕西中路12弄28号1703室", false)
        .unwrap();
    let (visit, visited) = pair.two.visit(pair.second, VILLAGE).unwrap();
    let outcomes = pair.two.send(&server, vec![residence, visited]).await;
    assert_eq!(outcomes.unwrap(), [Outcome::Accepted, Outcome::Accepted]);
    assert_eq!(
        server.value_of(late, "resident").await.unwrap(),
        Some(pair.first.to_string().into())
    );
    assert!(server.is_in(VILLAGE, late).await.unwrap());

    let get = async |path: String| {
        let reply = server.send("GET", &path, Some(&supervisor.token), None);
        reply.await.unwrap().body
    };
    let file = get(format!("/api/residents/{}", pair.first)).await;
    let homes = file["residences"].as_array().unwrap();
    assert!(
        homes.iter().any(|home| home["id"] == json!(late.0)),
        "{homes:?}"
    );
    assert_eq!(file["visits"][0]["id"], json!(visit.0));
    let history = get(format!("/api/records/{}/history", pair.first)).await;
    let changes = history["changes"].as_array().unwrap();
    let of_other: Vec<&Json> = changes
        .iter()
        .filter(|change| change["merged_from"] == json!(pair.second.0))
        .collect();
    assert_eq!(of_other.len(), 3, "made, edited, merged away: {changes:?}");
    let put = &of_other[1]["fields"][0];
    assert_eq!(
        (&put["field"], &put["before"]),
        (&json!("phone"), &Json::Null)
    );
    assert!(changes.len() > 3 && changes[0]["merged_from"].is_null());
    let times = changes.iter().map(|change| change["accepted_at"].as_str());
    assert!(times.is_sorted());
}

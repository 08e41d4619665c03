//! Whoever holds a connection to the database asks for no second one: with one connection in all, every request is
//! answered. Else as many requests at once as there are connections wait for each other, and all others with them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use doorstep_core::rights::Role;
use doorstep_server::domains::checks;
use doorstep_server::testing::city::{DISTRICT, NEXT_VILLAGE, VILLAGE};
use doorstep_server::testing::{Person, TestServer};
use serde_json::{Value, json};

async fn ask(server: &TestServer, who: &Person, method: &str, path: &str, body: Option<Value>) {
    let reply = server
        .send(method, path, Some(&who.token), body)
        .await
        .unwrap();
    assert!(
        reply.status < 300,
        "{path}: {} {}",
        reply.status,
        reply.body
    );
}

#[tokio::test]
async fn devices_sign_in_over_one_connection() {
    let mut server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    server.narrow_to(1).await.unwrap();
    let device = server.device(&person).await.unwrap();
    for (proof, status) in [
        (json!({ "password": person.password }), 200),
        (json!({ "password": "Wrong-Guess-1" }), 401),
        (json!({ "token": device.token }), 200),
        (json!({ "token": "none" }), 401),
    ] {
        let input = server.device_sign_in(&device, proof).await.unwrap();
        let reply = server
            .send("POST", "/api/devices/sign-in", None, Some(input))
            .await
            .unwrap();
        assert_eq!(reply.status, status, "{}", reply.body);
    }
}

#[tokio::test]
async fn imports_go_over_one_connection() {
    let mut server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    server.narrow_to(1).await.unwrap();
    let file =
        "房屋编号,居住地址,居村委编码,房屋用途\nH1,陕西中路12弄28号1702室,310101002001,自用\n";
    let url = format!(
        "http://{}/api/imports?type=house&area={VILLAGE}",
        server.address
    );
    let request = reqwest::Client::new()
        .post(url)
        .bearer_auth(&supervisor.token)
        .body(file);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(status, 201, "{body}");
    let path = format!("/api/imports/{}", body["id"].as_str().unwrap());
    ask(&server, &supervisor, "POST", &format!("{path}/check"), None).await;
    let mut view = Value::Null;
    for _ in 0..200 {
        view = server.get(&supervisor, &path).await.unwrap();
        if view["status"] != "checking" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(view["status"], "checked", "{view}");
    let list = server.get(&supervisor, "/api/imports").await.unwrap();
    let name = &list["items"][0]["created_by_name"];
    assert!(name.as_str().is_some_and(|name| !name.is_empty()), "{list}");
}

#[tokio::test]
async fn what_waits_is_shown_decided_and_taken_back_over_one_connection() {
    let mut server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let (id, _, _, _) = server.dispute(VILLAGE).await.unwrap();
    // A node that has opened no key yet.
    server.narrow_to(1).await.unwrap();
    let item = format!("/api/conflicts/{id}");
    let assigned = Some(json!({ "assignee": supervisor.id }));
    let path = format!("{item}/assignee");
    ask(&server, &supervisor, "PUT", &path, assigned).await;
    server.conflict(&supervisor, id).await.unwrap();
    server.get(&supervisor, "/api/conflicts").await.unwrap();
    let path = format!("{item}/decision");
    for dry_run in [true, false] {
        let body = json!({ "action": "take", "choice": 0, "dry_run": dry_run });
        ask(&server, &supervisor, "POST", &path, Some(body)).await;
    }
    ask(&server, &supervisor, "DELETE", &path, None).await;
}

#[tokio::test]
async fn a_claim_is_checked_and_decided_over_one_connection() {
    let mut server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let mut one = server.phone(VILLAGE).await.unwrap();
    let mut two = server.phone(NEXT_VILLAGE).await.unwrap();
    server.narrow_to(1).await.unwrap();
    let mut items = Vec::new();
    for claimed in [true, false] {
        let (resident, item) = one.resident("王小二", "").unwrap();
        let (_, home) = one
            .residence(resident, "陕西中路12弄28号1702室", true)
            .unwrap();
        one.send(&server, vec![item, home]).await.unwrap();
        let there = "厦门中路66弄1号1302室";
        server
            .lives_at(resident, NEXT_VILLAGE, there)
            .await
            .unwrap();
        let (claim, moved) = two
            .residence(resident, "厦门中路66弄1号1301室", claimed)
            .unwrap();
        two.send(&server, vec![moved]).await.unwrap();
        items.push((resident, claim));
    }
    checks::service::work(&server.state).await.unwrap();
    let told = server
        .messages(one.person.id, "main_residence_check")
        .await
        .unwrap();
    assert_eq!(told.len(), 1, "whom the check asks");
    server.clock.advance(Duration::from_secs(4 * 24 * 3600));
    let opened = server
        .sign_in(&supervisor.login, &supervisor.password)
        .await
        .unwrap()
        .body;
    let supervisor = Person {
        token: opened["token"].as_str().unwrap().to_owned(),
        ..supervisor
    };
    checks::service::work(&server.state).await.unwrap();
    let told = server
        .messages(supervisor.id, "check_overdue")
        .await
        .unwrap();
    assert!(!told.is_empty(), "who is told that nobody answered");
    let id = server.conflict_of(items[0].0).await.unwrap();
    let path = format!("/api/conflicts/{id}/decision");
    let confirm = Some(json!({ "action": "confirm" }));
    ask(&server, &supervisor, "POST", &path, confirm).await;
    let (resident, other) = &items[1];
    let path = format!("/api/residents/{resident}/main-residence");
    let moves = Some(json!({ "residence": other.0 }));
    ask(&server, &supervisor, "PUT", &path, moves).await;
}

//! Devices that hold what their user may no longer: noted wherever they lie, and until they say that it is gone; and lost
//! ones, stopped where they lie.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use doorstep_core::rights::Role;
use doorstep_server::domains::users;
use doorstep_server::testing::city::{DISTRICT, OTHER_VILLAGE, STREET, VILLAGE};
use doorstep_server::testing::{Person, TestServer};
use serde_json::{Value, json};

async fn say(server: &TestServer, by: &Person, method: &str, path: &str, body: Value) -> Value {
    let body = (!body.is_null()).then_some(body);
    let sent = server.send(method, path, Some(&by.token), body).await;
    let reply = sent.unwrap();
    assert!((200..300).contains(&reply.status), "{path}: {}", reply.body);
    reply.body
}

async fn grant(server: &TestServer, to: &Person, area: &str, ends_on: Value) -> String {
    let giver = server.administrator(Role::AreaAdministrator).unwrap();
    let path = format!("/api/users/{}/grants", to.id);
    let body = json!({ "role": "collector", "area": area, "ends_on": ends_on });
    let granted = say(server, giver, "POST", &path, body).await;
    granted["id"].as_str().unwrap().to_owned()
}

/// The devices that owe a purge, as the city's administrator is shown them.
async fn owing(server: &TestServer) -> Vec<String> {
    let who = server.administrator(Role::AreaAdministrator).unwrap();
    let path = "/api/devices?purge_owed=true";
    let list = say(server, who, "GET", path, Value::Null).await;
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_right_taken_where_the_user_works_no_more_is_owed_by_the_device_elsewhere() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, OTHER_VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let there = grant(&server, &person, VILLAGE, Value::Null).await;
    let administrator = server.person(Role::AreaAdministrator, DISTRICT);
    let administrator = administrator.await.unwrap();
    let path = format!("/api/grants/{there}");
    say(&server, &administrator, "DELETE", &path, Value::Null).await;
    assert_eq!(owing(&server).await, [device.id.to_string()]);
}

#[tokio::test]
async fn a_device_that_was_stopped_is_not_waited_for() {
    let server = TestServer::open_city().await.unwrap();
    let administrator = server.person(Role::AreaAdministrator, STREET);
    let administrator = administrator.await.unwrap();
    for (deed, ends) in [("revoke", false), ("wipe", true)] {
        let person = server.person(Role::Collector, VILLAGE).await.unwrap();
        let device = server.device(&person).await.unwrap();
        let more = grant(&server, &person, OTHER_VILLAGE, Value::Null).await;
        let giver = server.administrator(Role::AreaAdministrator).unwrap();
        let path = format!("/api/grants/{more}");
        say(&server, giver, "DELETE", &path, Value::Null).await;
        assert_eq!(owing(&server).await, [device.id.to_string()]);
        let path = format!("/api/devices/{}/{deed}", device.id);
        let body = json!({ "reason": "遗失" });
        say(&server, &administrator, "POST", &path, body).await;
        if ends {
            let said = server.device_says(&device, b"doorstep-wiped-v1").await;
            let path = "/api/devices/wiped";
            let reply = server.send("POST", path, None, Some(said.unwrap())).await;
            assert_eq!(reply.unwrap().status, 204);
        }
        assert_eq!(owing(&server).await, [] as [String; 0], "{deed}");
    }
}

#[tokio::test]
async fn to_sign_in_is_not_to_purge() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let today = server.state.clock.timestamp().date_in_shanghai().unwrap();
    grant(&server, &person, OTHER_VILLAGE, json!(today)).await;
    server.clock.advance(Duration::from_secs(86_400));
    // Its right is over, and it renews its session before it syncs.
    let proof = json!({ "password": person.password });
    let input = server.device_sign_in(&device, proof).await.unwrap();
    let path = "/api/devices/sign-in";
    let reply = server.send("POST", path, None, Some(input)).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    users::service::note_ended(&server.state).await.unwrap();
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let owed = "SELECT purge_owed_since IS NOT NULL FROM devices WHERE id = $1";
    let owed: bool = sqlx::query_scalar(owed)
        .bind(device.id)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert!(owed);
}

#[tokio::test]
async fn a_lost_phone_is_stopped_by_its_own_area_whatever_its_user_does_beside_it() {
    let server = TestServer::open_city().await.unwrap();
    let administrator = server.person(Role::AreaAdministrator, STREET);
    let administrator = administrator.await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    grant(&server, &person, OTHER_VILLAGE, Value::Null).await;
    for deed in ["revoke", "wipe"] {
        let path = format!("/api/devices/{}/{deed}", device.id);
        let body = json!({ "reason": "遗失" });
        say(&server, &administrator, "POST", &path, body).await;
    }
    // Whoever is given a new password in between needs no second one.
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let moved = "SELECT status_set_at > stopped_at FROM devices WHERE id = $1";
    server.clock.advance(Duration::from_secs(60));
    let path = format!("/api/devices/{}/wipe", device.id);
    say(
        &server,
        &administrator,
        "POST",
        &path,
        json!({ "reason": "再次" }),
    )
    .await;
    let moved: bool = sqlx::query_scalar(moved)
        .bind(device.id)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert!(moved, "when it was stopped first is what counts");
}

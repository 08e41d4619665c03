//! Requests that no console makes: zero characters, years of no calendar, made-up cursors, addresses that are no text.
//! Each is refused in the API's own form, and none is taken for the server's fault.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorstep_core::rights::Role;
use doorstep_server::testing::city::VILLAGE;
use doorstep_server::testing::{Person, Reply, TestServer};
use serde_json::{Value, json};

async fn ask(server: &TestServer, who: &Person, method: &str, path: &str, body: Value) -> Reply {
    let body = (!body.is_null()).then_some(body);
    server
        .send_if(method, path, Some(&who.token), Some("*"), body)
        .await
        .unwrap()
}

async fn refused(server: &TestServer, who: &Person, path: &str) -> (u16, String) {
    let reply = ask(server, who, "GET", path, Value::Null).await;
    (reply.status, reply.code().to_owned())
}

fn malformed(code: &str) -> (u16, String) {
    (400, code.to_owned())
}

#[tokio::test]
async fn zero_characters_are_refused_wherever_they_come() {
    let server = TestServer::open_city().await.unwrap();
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    for path in [
        "/api/residents?text=%00",
        "/api/residents?text=a%00b",
        "/api/ledger/fields?what=%00",
        "/api/buildings?area=310101002001&building=%00",
    ] {
        assert_eq!(
            refused(&server, &collector, path).await,
            malformed("zero_character"),
            "{path}"
        );
    }
    let fields = json!({ "name": "张\u{0}三", "sex": "1", "population_kind": "01" });
    let body = json!({ "area": VILLAGE, "fields": fields });
    let reply = ask(&server, &collector, "POST", "/api/residents", body).await;
    assert_eq!(
        (reply.status, reply.code().to_owned()),
        malformed("zero_character")
    );
    // In a path it names nothing.
    for path in [
        "/api/photos/%00",
        "/api/residents/%00",
        "/api/sync/bundles/%00",
    ] {
        assert_eq!(refused(&server, &collector, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn years_of_no_calendar_are_refused_wherever_they_come() {
    let server = TestServer::open_city().await.unwrap();
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    for day in [
        "-262143-01-01",
        "%2B262142-12-31",
        "-5000-01-01",
        "%2B300000-01-01",
    ] {
        for path in [
            "/api/visits?from=",
            "/api/visits?until=",
            "/api/visits/due?by=",
            "/api/ledger/fields?from=",
            "/api/ledger/population/counts?until=",
            "/api/residents?unverified_since=",
            "/api/buildings?area=310101002001&unverified_since=",
            "/api/away?due_by=",
        ] {
            let path = format!("{path}{day}");
            assert_eq!(
                refused(&server, &collector, &path).await,
                malformed("malformed_query"),
                "{path}"
            );
        }
    }
    let administrator = server.administrator(Role::AreaAdministrator).unwrap();
    let path = format!("/api/users/{}/grants", collector.id);
    let grant = json!({ "role": "collector", "area": VILLAGE, "ends_on": "+262142-12-31" });
    let reply = ask(&server, administrator, "POST", &path, grant).await;
    assert_eq!(
        (reply.status, reply.code().to_owned()),
        malformed("malformed_body")
    );
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let (conflict, ..) = server.dispute(VILLAGE).await.unwrap();
    let path = format!("/api/conflicts/{conflict}/assignee");
    let due = json!({ "due_at": "+262142-12-31T00:00:00Z" });
    let reply = ask(&server, &supervisor, "PUT", &path, due).await;
    assert_eq!(
        (reply.status, reply.code().to_owned()),
        malformed("malformed_body")
    );
}

#[tokio::test]
async fn made_up_cursors_are_no_fault_of_the_servers() {
    let server = TestServer::open_city().await.unwrap();
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    let cursor = |key: Value| URL_SAFE_NO_PAD.encode(key.to_string());
    for key in [
        json!(["-5000-01-01T00:00:00Z", "a"]),
        json!(["2026-11-28T00:00:00Z", "a\u{0}"]),
    ] {
        let path = format!("/api/messages?cursor={}", cursor(key));
        assert_eq!(
            refused(&server, &collector, &path).await,
            malformed("unstorable"),
            "{path}"
        );
    }
    let path = format!("/api/messages?cursor={}", cursor(json!({ "a": 1 })));
    assert_eq!(
        refused(&server, &collector, &path).await,
        malformed("malformed_cursor")
    );
}

#[tokio::test]
async fn refusals_of_the_framework_take_the_apis_form() {
    let server = TestServer::open_city().await.unwrap();
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    assert_eq!(
        refused(&server, &collector, "/api/sync").await,
        malformed("websocket_expected")
    );
    for path in ["/api/sync/bundles/%FF", "/api/photos/%FF", "/api/areas/%FF"] {
        let (status, code) = refused(&server, &collector, path).await;
        assert_eq!((status, code.as_str()), (404, "not_found"), "{path}");
    }
}

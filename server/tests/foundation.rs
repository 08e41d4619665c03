//! The ground that every domain stands on: health, description, errors, headers, limits, the database's walls.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use doorstep_core::rights::Role;
use doorstep_server::database::testing::TestDatabase;
use doorstep_server::error::CONSTRAINTS;
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::VILLAGE;
use sqlx::{ConnectOptions, Connection};

#[tokio::test]
async fn a_fresh_server_is_live_and_ready_and_counts_requests() {
    let server = TestServer::start().await.unwrap();
    for path in ["/health/live", "/health/ready"] {
        let reply = server.send("GET", path, None, None).await.unwrap();
        assert_eq!(
            (reply.status, &reply.body["status"]),
            (200, &"ok".into()),
            "{path}"
        );
    }
    let metrics = server.send("GET", "/metrics", None, None).await.unwrap();
    assert!(
        metrics
            .body
            .as_str()
            .unwrap()
            .contains("http_requests_total")
    );
}

#[tokio::test]
async fn methods_that_callers_make_up_are_counted_as_one() {
    let server = TestServer::start().await.unwrap();
    for method in ["MADEUP-1", "MADEUP-2"] {
        let reply = server.send(method, "/health/live", None, None).await;
        assert_eq!(reply.unwrap().status, 405, "{method}");
    }
    let metrics = server.send("GET", "/metrics", None, None).await.unwrap();
    let text = metrics.body.as_str().unwrap();
    assert!(text.contains(r#"method="other""#));
    assert!(!text.contains("MADEUP"));
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_names_every_route() {
    let server = TestServer::start().await.unwrap();
    let document = server
        .send("GET", "/api/openapi.json", None, None)
        .await
        .unwrap()
        .body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/health/ready"]["get"].is_object());
}

#[tokio::test]
async fn the_description_is_compressed_once_and_not_given_again_to_who_has_it() {
    let server = TestServer::start().await.unwrap();
    let get = async |name: &str, value: &str| {
        let url = format!("http://{}/api/openapi.json", server.address);
        let request = reqwest::Client::new().get(url).header(name, value);
        request.send().await.unwrap()
    };
    let packed = get("accept-encoding", "gzip, br").await;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(packed.headers()["cache-control"], "no-cache");
    let tag = packed.headers()["etag"].to_str().unwrap().to_owned();
    let packed = packed.bytes().await.unwrap();
    // Nor is it compressed for each who takes another coding alone.
    let plain = get("accept-encoding", "br").await;
    assert_eq!(plain.headers()["content-encoding"], "identity");
    assert_eq!(plain.headers()["etag"], tag);
    assert!(packed.len() < plain.bytes().await.unwrap().len() / 2);
    assert_eq!(get("if-none-match", &tag).await.status().as_u16(), 304);
}

#[tokio::test]
async fn an_unknown_address_is_answered_in_the_error_form_with_a_request_id() {
    let server = TestServer::start().await.unwrap();
    let reply = server
        .send("GET", "/api/nowhere", None, None)
        .await
        .unwrap();
    assert_eq!((reply.status, reply.code()), (404, "not_found"));
    let id = reply.body["error"]["request_id"].as_str().unwrap();
    assert_eq!(reply.headers["x-request-id"], id);
    assert!(
        reply.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("frame-ancestors 'none'")
    );
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn what_can_not_be_read_is_refused_in_the_error_form_and_says_what_is_wrong() {
    let server = TestServer::start_with(|config| config.body_limit = 200)
        .await
        .unwrap();
    let post = async |body: &str| {
        let url = format!("http://{}/api/auth/sign-in", server.address);
        let response = reqwest::Client::new()
            .post(url)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        let body: serde_json::Value = response.json().await.unwrap();
        (
            status,
            body["error"]["code"].clone(),
            body["error"]["message"].as_str().unwrap().to_owned(),
        )
    };
    let (status, code, _) = post(&format!("{{\"login\":\"{}\"}}", "x".repeat(300))).await;
    assert_eq!((status, code), (413, "body_too_large".into()));
    let (status, code, message) = post("{\"login\":\"x\"}").await;
    assert_eq!(
        (status, code, message.as_str()),
        (400, "malformed_body".into(), "缺少字段 password")
    );
    let (_, _, message) = post("{\"login\":\"x\",\"password\":\"y\",\"role\":\"z\"}").await;
    assert_eq!(message, "没有这个字段：role");
    let (_, _, message) = post("{\"login\":").await;
    assert!(message.contains("不是有效的 JSON"));
    let wrong_method = server
        .send("PUT", "/api/auth/sign-in", None, None)
        .await
        .unwrap();
    assert_eq!(
        (wrong_method.status, wrong_method.code()),
        (405, "method_not_allowed")
    );
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended_and_still_recorded() {
    let server =
        TestServer::open_city_with(|config| config.request_timeout = Duration::from_millis(1500))
            .await
            .unwrap();
    let caller = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let mut connection = server.database.owner.connect().await.unwrap();
    let mut lock = connection.begin().await.unwrap();
    sqlx::query("LOCK TABLE imports IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let reply = server
        .send("GET", "/api/imports", Some(&caller.token), None)
        .await
        .unwrap();
    assert_eq!((reply.status, reply.code()), (503, "timed_out"));
    lock.rollback().await.unwrap();
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let last: (String, String) =
        sqlx::query_as("SELECT action, outcome FROM audit_entries ORDER BY seq DESC LIMIT 1")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    assert_eq!(last, ("list_imports".into(), "failed".into()));
}

#[tokio::test]
async fn row_level_security_shows_nothing_without_areas_and_only_the_subtree_with_them() {
    let database = TestDatabase::create().await.unwrap();
    database
        .as_owner("CREATE TABLE walled (id int, area_code area_code)")
        .await
        .unwrap();
    database
        .as_owner("CALL scope_by_area('walled', 'area_code')")
        .await
        .unwrap();
    database
        .as_owner("INSERT INTO walled VALUES (1, '310101002001'), (2, '310101002002'), (3, '310104003001')")
        .await
        .unwrap();
    const COUNT: &str = "SELECT count(*) FROM walled";
    let bare: i64 = sqlx::query_scalar(COUNT)
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(
        bare, 0,
        "a query outside of a scoped transaction sees nothing"
    );
    for (areas, expected) in [
        (vec!["310101002001"], 1),
        (vec!["310101002000"], 2),
        (vec!["310101002001", "310104000000"], 2),
        (vec!["310000000000"], 3),
        (vec![], 0),
    ] {
        let codes = areas.iter().map(|code| code.parse().unwrap());
        let mut tx = doorstep_server::database::area_tx(&database.pool, codes)
            .await
            .unwrap();
        let seen: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(seen, expected, "{areas:?}");
        let written = sqlx::query("INSERT INTO walled VALUES (9, '310115001001')")
            .execute(&mut *tx)
            .await;
        assert_eq!(
            written.is_ok(),
            areas == ["310000000000"],
            "writing outside of {areas:?}"
        );
    }
    let mut tx = doorstep_server::database::system_tx(&database.pool)
        .await
        .unwrap();
    let all: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *tx).await.unwrap();
    assert_eq!(all, 3);
}

#[tokio::test]
async fn the_application_role_owns_nothing_and_bypasses_nothing() {
    let database = TestDatabase::create().await.unwrap();
    let (role, superuser, bypass): (String, bool, bool) = sqlx::query_as(
        "SELECT rolname::text, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(
        (role.as_str(), superuser, bypass),
        ("doorstep_app", false, false)
    );
    assert!(
        sqlx::query("CREATE TABLE mine (id int)")
            .execute(&database.pool)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn every_mapped_constraint_exists() {
    let database = TestDatabase::create().await.unwrap();
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT conname::text FROM pg_constraint UNION SELECT indexrelid::regclass::text FROM pg_index WHERE indisunique",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    for constraint in CONSTRAINTS {
        assert!(
            names.iter().any(|name| name == constraint.name),
            "no constraint is named {}",
            constraint.name
        );
    }
}

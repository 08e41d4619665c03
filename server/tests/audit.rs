//! The audit log: one record a request, whole or named where it is broken, and no deed without it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::rights::Role;
use doorstep_server::domains::audit::{self, Action, Fault};
use doorstep_server::router;
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::{CITY, DISTRICT, OTHER_DISTRICT, OTHER_VILLAGE, VILLAGE};
use serde_json::{Value, json};

async fn entries(server: &TestServer) -> i64 {
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    sqlx::query_scalar("SELECT count(*) FROM audit_entries")
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn every_request_leaves_one_record() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server
        .administrator(Role::AreaAdministrator)
        .unwrap()
        .clone();
    let token = Some(admin.token.as_str());
    let new = json!({ "login": "audited", "name": "张三", "area": VILLAGE });
    let requests = [
        ("GET", "/api/users".to_owned(), None, "list_users", "done"),
        (
            "POST",
            "/api/users".to_owned(),
            Some(new.clone()),
            "create_user",
            "done",
        ),
        (
            "POST",
            "/api/users".to_owned(),
            Some(new),
            "create_user",
            "refused",
        ),
        (
            "POST",
            "/api/users".to_owned(),
            Some(json!({})),
            "create_user",
            "refused",
        ),
        (
            "GET",
            format!("/api/areas/{VILLAGE}"),
            None,
            "show_area",
            "done",
        ),
        (
            "GET",
            "/api/audit".to_owned(),
            None,
            "search_audit",
            "refused",
        ),
        (
            "GET",
            "/api/devices".to_owned(),
            None,
            "list_devices",
            "done",
        ),
    ];
    for (method, path, body, action, outcome) in requests {
        let before = entries(&server).await;
        let reply = server.send(method, &path, token, body).await.unwrap();
        assert_eq!(entries(&server).await, before + 1, "{method} {path}");
        let mut tx = doorstep_server::database::system_tx(&server.state.pool)
            .await
            .unwrap();
        let last: (String, String, Option<uuid::Uuid>, String) = sqlx::query_as(
            "SELECT action, outcome, user_id, request_id FROM audit_entries ORDER BY seq DESC LIMIT 1",
        )
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        let id = reply.headers["x-request-id"].to_str().unwrap();
        assert_eq!(
            (last.0.as_str(), last.1.as_str(), last.2, last.3.as_str()),
            (action, outcome, Some(admin.id), id)
        );
    }
    let before = entries(&server).await;
    server.sign_in("audited", "Wrong-Guess-1").await.unwrap();
    assert_eq!(entries(&server).await, before + 1, "a refused sign-in too");
    assert_eq!(audit::verify(&server.state).await.unwrap().fault, None);
}

#[tokio::test]
async fn a_deed_that_can_not_be_written_down_is_not_done() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server
        .administrator(Role::AreaAdministrator)
        .unwrap()
        .clone();
    server
        .database
        .as_owner("ALTER TABLE audit_entries RENAME COLUMN detail TO gone")
        .await
        .unwrap();
    let new = json!({ "login": "ghost", "name": "张三", "area": VILLAGE });
    let write = server
        .send("POST", "/api/users", Some(&admin.token), Some(new))
        .await
        .unwrap();
    assert_eq!(write.status, 503, "to come again for");
    let read = server
        .send("GET", "/api/users", Some(&admin.token), None)
        .await
        .unwrap();
    assert_eq!(
        read.status, 503,
        "nothing is shown that can't be written down"
    );
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let made: i64 = sqlx::query_scalar("SELECT count(*) FROM users WHERE login = 'ghost'")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(made, 0);
}

#[tokio::test]
async fn the_verifier_names_what_was_altered_deleted_reordered_or_cut() {
    let server = TestServer::open_city().await.unwrap();
    let verdict = audit::verify(&server.state).await.unwrap();
    assert!(verdict.fault.is_none() && verdict.entries >= 8);
    let last = verdict.entries;
    let tampered = async |edit: &str, undo: &str| {
        server.database.as_owner(edit).await.unwrap();
        let fault = audit::verify(&server.state).await.unwrap().fault;
        server.database.as_owner(undo).await.unwrap();
        fault
    };
    assert_eq!(
        tampered(
            "UPDATE audit_entries SET outcome = 'failed' WHERE seq = 3",
            "UPDATE audit_entries SET outcome = 'done' WHERE seq = 3"
        )
        .await,
        Some(Fault::Altered { seq: 3 })
    );
    let swap = "UPDATE audit_entries SET seq = -seq WHERE seq IN (4, 6); \
        UPDATE audit_entries SET seq = 10 + seq WHERE seq IN (-4, -6)";
    for step in swap.split("; ") {
        server.database.as_owner(step).await.unwrap();
    }
    assert_eq!(
        audit::verify(&server.state).await.unwrap().fault,
        Some(Fault::Reordered {
            seq: 4,
            written_as: 6
        })
    );
    for step in swap.split("; ") {
        server.database.as_owner(step).await.unwrap();
    }
    assert_eq!(audit::verify(&server.state).await.unwrap().fault, None);

    server
        .database
        .as_owner("CREATE TABLE saved AS SELECT * FROM audit_entries")
        .await
        .unwrap();
    assert_eq!(
        tampered(
            "DELETE FROM audit_entries WHERE seq = 5",
            "INSERT INTO audit_entries SELECT * FROM saved WHERE seq = 5"
        )
        .await,
        Some(Fault::Missing { seq: 5 })
    );
    server
        .database
        .as_owner(&format!("DELETE FROM audit_entries WHERE seq = {last}"))
        .await
        .unwrap();
    assert_eq!(
        audit::verify(&server.state).await.unwrap().fault,
        Some(Fault::Cut {
            last: last - 1,
            head: last
        })
    );
}

#[tokio::test]
async fn a_rewritten_chain_does_not_fit_the_signed_heads() {
    let server = TestServer::open_city().await.unwrap();
    let signed = audit::sign_head(&server.state).await.unwrap();
    assert!(signed > 0);
    assert_eq!(audit::verify(&server.state).await.unwrap().signatures, 1);
    // Cut the tail and move the head back, as who owns the database could.
    let cut = format!("DELETE FROM audit_entries WHERE seq = {signed}");
    server.database.as_owner(&cut).await.unwrap();
    server
        .database
        .as_owner("UPDATE audit_head SET (seq, hash) = (SELECT seq, hash FROM audit_entries ORDER BY seq DESC LIMIT 1)")
        .await
        .unwrap();
    assert_eq!(
        audit::verify(&server.state).await.unwrap().fault,
        Some(Fault::Signature { seq: signed })
    );
}

#[tokio::test]
async fn the_application_can_add_to_the_log_and_nothing_else() {
    let server = TestServer::open_city().await.unwrap();
    for statement in [
        "UPDATE audit_entries SET outcome = 'failed'",
        "DELETE FROM audit_entries",
        "DELETE FROM audit_head",
        "TRUNCATE audit_entries",
        "DELETE FROM audit_signatures",
    ] {
        assert!(
            sqlx::query(statement)
                .execute(&server.state.pool)
                .await
                .is_err(),
            "{statement}"
        );
    }
}

#[tokio::test]
async fn auditors_search_and_export_their_own_areas() {
    let server = TestServer::open_city().await.unwrap();
    let auditor = server.person(Role::Auditor, DISTRICT).await.unwrap();
    let near = server.person(Role::Collector, VILLAGE).await.unwrap();
    let far = server.person(Role::Collector, OTHER_VILLAGE).await.unwrap();
    for person in [&near, &far] {
        server
            .send("GET", "/api/auth/me", Some(&person.token), None)
            .await
            .unwrap();
    }
    let token = Some(auditor.token.as_str());
    let found = server
        .send("GET", "/api/audit?action=show_me&limit=500", token, None)
        .await
        .unwrap()
        .body;
    let users: Vec<&str> = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["user"].as_str().unwrap())
        .collect();
    assert!(
        users.contains(&near.id.to_string().as_str())
            && !users.contains(&far.id.to_string().as_str())
    );
    let areas: Vec<String> = server
        .send("GET", "/api/audit?limit=500", token, None)
        .await
        .unwrap()
        .body["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["area"].as_str().map(str::to_owned))
        .collect();
    assert!(
        !areas.is_empty() && areas.iter().all(|area| area.starts_with("310101")),
        "{areas:?}"
    );
    assert_eq!(
        server
            .send("GET", "/api/audit/verify", token, None)
            .await
            .unwrap()
            .status,
        403,
        "the whole log is the city's"
    );

    let city = server.person(Role::Auditor, CITY).await.unwrap();
    let token = Some(city.token.as_str());
    let export = server
        .send(
            "GET",
            &format!("/api/audit/export?user={}", far.id),
            token,
            None,
        )
        .await
        .unwrap();
    let text = export.body.as_str().unwrap();
    assert!(
        text.contains("序号,时间,用户")
            && text.contains(&far.id.to_string())
            && !text.contains(&near.id.to_string())
    );
    let lines = server
        .send(
            "GET",
            &format!("/api/audit/export?user={}&form=lines", far.id),
            token,
            None,
        )
        .await
        .unwrap();
    let text = lines.body.to_string();
    assert!(
        text.contains(&format!("测试{}", far.login)) && !text.contains(&near.id.to_string()),
        "{text}"
    );
    let verdict = server
        .send("GET", "/api/audit/verify", token, None)
        .await
        .unwrap()
        .body;
    assert!(verdict["fault"].is_null() && verdict["entries"].as_i64().unwrap() > 10);
    assert!(
        server
            .send("POST", "/api/audit/signatures", token, None)
            .await
            .unwrap()
            .body["seq"]
            .as_i64()
            .unwrap()
            > 10
    );
    let signatures = server
        .send("GET", "/api/audit/signatures", token, None)
        .await
        .unwrap()
        .body;
    assert_eq!(signatures.as_array().unwrap().len(), 1);
    let wrong = server
        .send("GET", "/api/audit?from=yesterday", token, None)
        .await
        .unwrap();
    assert_eq!(wrong.body["error"]["fields"][0]["path"], "from");
    let other = server.person(Role::Auditor, OTHER_DISTRICT).await.unwrap();
    let theirs = server
        .send(
            "GET",
            &format!("/api/audit?user={}", near.id),
            Some(&other.token),
            None,
        )
        .await
        .unwrap()
        .body;
    assert_eq!(theirs["items"], json!([]));
}

#[tokio::test]
async fn refusals_of_strangers_are_counted_by_minute_and_source_and_name_no_token() {
    let server = TestServer::open_city_with(|config| config.sign_in.failures_per_address = 5)
        .await
        .unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let before = entries(&server).await;
    for _ in 0..40 {
        let reply = server
            .send("GET", "/api/residents", Some("canary-token-7f3a"), None)
            .await
            .unwrap();
        assert_eq!(reply.status, 401);
    }
    assert_eq!(entries(&server).await, before + 1, "the first at once");
    for n in 0..40 {
        let reply = server
            .sign_in("nobody", &format!("Canary-Pass-{n}"))
            .await
            .unwrap();
        assert!([401, 429].contains(&reply.status));
    }
    let refused = before + 1 + 5 + 1;
    assert_eq!(
        entries(&server).await,
        refused,
        "five tries, and the first that was shut out"
    );
    let forbidden = server
        .send("GET", "/api/audit", Some(&person.token), None)
        .await
        .unwrap();
    assert_eq!(forbidden.status, 403);
    assert_eq!(
        entries(&server).await,
        refused + 1,
        "one who is known, by name"
    );
    audit::write_refusals(&server.state).await.unwrap();
    assert_eq!(
        entries(&server).await,
        refused + 1,
        "the minute is not over"
    );
    server.clock.advance(std::time::Duration::from_secs(60));
    audit::write_refusals(&server.state).await.unwrap();
    audit::write_refusals(&server.state).await.unwrap();
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let rows: Vec<(String, String, String, Option<String>)> = sqlx::query_as(
        "SELECT action, outcome, detail, address FROM audit_entries ORDER BY seq DESC LIMIT 2",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    let more: Vec<(String, i64)> = rows
        .iter()
        .map(|(action, outcome, detail, address)| {
            assert_eq!(outcome, "refused");
            assert_eq!(address.as_deref(), Some("127.0.0.1"));
            let detail: Value = serde_json::from_str(detail).unwrap();
            (action.clone(), detail["more"].as_i64().unwrap())
        })
        .collect();
    assert!(
        more.contains(&("list_residents".to_owned(), 39)),
        "{more:?}"
    );
    assert!(more.contains(&("sign_in".to_owned(), 34)), "{more:?}");
    let canaries: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_entries WHERE detail ILIKE '%canary%' OR subject_id ILIKE '%canary%'",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!(canaries, 0);
    assert_eq!(audit::verify(&server.state).await.unwrap().fault, None);
}

#[tokio::test]
async fn a_long_log_is_verified_in_steps_that_miss_nothing() {
    let server = TestServer::open_city().await.unwrap();
    let auditor = server.person(Role::Auditor, CITY).await.unwrap();
    audit::sign_head(&server.state).await.unwrap();
    let step = async |query: String| {
        let path = format!("/api/audit/verify?{query}");
        let reply = server
            .send("GET", &path, Some(&auditor.token), None)
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    };
    let first = step("most=4".into()).await;
    assert_eq!(
        (&first["entries"], &first["signatures"]),
        (&4.into(), &0.into())
    );
    let on = |verdict: &serde_json::Value| {
        format!(
            "after={}&hash={}",
            verdict["entries"],
            verdict["hash"].as_str().unwrap()
        )
    };
    let last = step(on(&first)).await;
    assert!(
        last["fault"].is_null() && last["entries"] == last["head"],
        "{last}"
    );
    assert_eq!(
        last["signatures"], 1,
        "signed heads come with the last step"
    );
    // Whoever rewrites what a step has passed breaks the link to the next.
    let forged = first["hash"].as_str().unwrap().replace(|c| c != '0', "0");
    let broken = step(format!("after=4&hash={forged}")).await;
    assert_eq!(broken["fault"]["seq"], 5, "{broken}");
    server
        .database
        .as_owner("UPDATE audit_entries SET outcome = 'failed' WHERE seq = 6")
        .await
        .unwrap();
    let altered = step(on(&first)).await;
    assert_eq!(
        (&altered["fault"]["fault"], &altered["fault"]["seq"]),
        (&"altered".into(), &6.into())
    );
    for wrong in ["after=4", "hash=00", "after=0&hash=00"] {
        let path = format!("/api/audit/verify?{wrong}");
        let reply = server
            .send("GET", &path, Some(&auditor.token), None)
            .await
            .unwrap();
        assert_eq!(reply.status, 422, "{wrong}");
    }
}

/// Operations that are sent like changes and change nothing.
const LOOKING: [Action; 6] = [
    Action::IssueChallenge,
    Action::SignIn,
    Action::SignOut,
    Action::SignInDevice,
    Action::RevealRecord,
    Action::ExportDocument,
];

#[test]
fn every_operation_is_an_action_and_what_is_got_changes_nothing() {
    let document = serde_json::to_value(router::description()).unwrap();
    let items = document["paths"].as_object().unwrap().values();
    let operations: Vec<(&String, &Value)> = items
        .flat_map(|item| item.as_object().unwrap())
        .filter(|(_, operation)| operation["operationId"].is_string())
        .collect();
    assert!(operations.len() > 90);
    for (method, operation) in operations {
        let id = operation["operationId"].as_str().unwrap();
        let action: Action = id.parse().unwrap_or_else(|_| panic!("{id} is no action"));
        let changes = method != "get" && !LOOKING.contains(&action);
        assert_eq!(action.changes(), changes, "{id}");
    }
}

#[tokio::test]
async fn what_changed_something_is_found_among_what_was_only_looked_at() {
    let server = TestServer::open_city().await.unwrap();
    let auditor = server.person(Role::Auditor, CITY).await.unwrap();
    let admin = server
        .administrator(Role::AreaAdministrator)
        .unwrap()
        .clone();
    let token = Some(admin.token.as_str());
    let new = json!({ "login": "watched", "name": "张三", "area": VILLAGE });
    for body in [new.clone(), new] {
        let made = server.send("POST", "/api/users", token, Some(body)).await;
        made.unwrap();
        server.get(&admin, "/api/users").await.unwrap();
    }
    let found = async |query: &str| {
        let path = format!("/api/audit?user={}&limit=500{query}", admin.id);
        let page = server.get(&auditor, &path).await.unwrap();
        let told = |item: &Value| {
            let text = |key: &str| item[key].as_str().unwrap().to_owned();
            (text("action"), text("outcome"))
        };
        let items = page["items"].as_array().unwrap();
        items.iter().map(told).collect::<Vec<_>>()
    };
    let of = |action: &str, outcome: &str| (action.to_owned(), outcome.to_owned());
    let all = found("").await;
    assert!(all.contains(&of("list_users", "done")), "{all:?}");
    let changing: Vec<_> = all
        .iter()
        .filter(|(action, _)| action.parse::<Action>().unwrap().changes())
        .cloned()
        .collect();
    assert_eq!(
        changing[..2],
        [of("create_user", "refused"), of("create_user", "done")]
    );
    assert_eq!(found("&changes=true").await, changing);
    assert_eq!(found("&changes=false").await, all);
    assert_eq!(
        found("&changes=true&action=create_user&outcome=done").await,
        [of("create_user", "done")]
    );
    assert_eq!(found("&changes=true&action=list_users").await, []);
    // Taken out as it was searched, in words.
    let path = format!("/api/audit/export?user={}&changes=true", admin.id);
    let text = server.get(&auditor, &path).await.unwrap().to_string();
    assert!(text.contains("新建用户,create_user"), "{text}");
    assert!(!text.contains("list_users"), "{text}");
}

#[tokio::test]
async fn an_entry_that_can_not_be_stored_takes_no_other_with_it() {
    let server = TestServer::open_city().await.unwrap();
    let mut held = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    sqlx::query("SELECT FROM audit_head FOR UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    let before = entries(&server).await;
    let write = |about: &str| {
        let now = server.state.clock.now();
        let entry = audit::Entry::by_server(now, Action::ListUsers).subject("user", about);
        let writer = server.state.audit.clone();
        tokio::spawn(async move { writer.write(entry).await.is_ok() })
    };
    // The first is being written while the others gather.
    let first = write("one");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let others = [write("one"), write("a zero\0character"), write("another")];
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    held.rollback().await.unwrap();
    let mut written = vec![first.await.unwrap()];
    for other in others {
        written.push(other.await.unwrap());
    }
    assert_eq!(written, [true, true, false, true]);
    assert_eq!(entries(&server).await, before + 3);
}

//! Whatever is asked and whatever becomes of it, it leaves exactly one record in the audit log, under its own name. What
//! leaves none, or several, is named here with a word why: a new route without its record fails.

use std::collections::BTreeSet;

use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::rights::Role;
use doorstep_server::database::system_tx;
use doorstep_server::testing::city::{DISTRICT, VILLAGE};
use doorstep_server::testing::{Person, Reply, TestServer};
use serde_json::{Value, json};

use super::ROLES;
use super::things::{Operation, Things, operations};

/// Public operations that leave no record, and why.
const UNRECORDED: [(&str, &str); 6] = [
    ("health_live", "says nothing of anyone; asked all the time"),
    ("health_ready", "says nothing of anyone; asked all the time"),
    ("metrics", "counts of the process; asked all the time"),
    ("show_description", "the same for everybody"),
    (
        "issue_challenge",
        "a number that is good once: its use is recorded",
    ),
    (
        "open_sync",
        "recorded once the first frame says who comes: sync.rs",
    ),
];

/// Operations on many things: recorded for each by the name of what is done to one, and under their own name where
/// nothing was done.
const OF_EACH: [(&str, &str); 1] = [("decide_conflicts", "decide_conflict")];

/// What a request left in the log. What the server does by itself meanwhile bears no request's name.
pub(crate) async fn records(server: &TestServer, reply: &Reply) -> Vec<String> {
    let request = reply.headers["x-request-id"].to_str().unwrap();
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    sqlx::query_scalar("SELECT action FROM audit_entries WHERE request_id = $1 ORDER BY seq")
        .bind(request)
        .fetch_all(&mut *tx)
        .await
        .unwrap()
}

pub(crate) async fn assert_recorded(server: &TestServer, operation: &Operation, reply: &Reply) {
    let records = records(server, reply).await;
    let of_one = OF_EACH
        .iter()
        .any(|(many, one)| *many == operation.id && records == [*one]);
    assert!(
        of_one || records == [operation.id.as_str()],
        "{}, answered {}, is in the log as {records:?}: it must be there once",
        operation.id,
        reply.status
    );
}

async fn ask(
    server: &TestServer,
    things: &Things,
    operation: &Operation,
    caller: &Person,
) -> Reply {
    let (path, body) = (things.path(operation), things.body(operation));
    let token = Some(caller.token.as_str());
    if operation.id != "stream_notices" {
        let reply = server
            .send_if(&operation.method, &path, token, Some("*"), body)
            .await;
        return reply.unwrap();
    }
    // Its body ends with the session only.
    let url = format!("http://{}{path}", server.address);
    let request = reqwest::Client::new().get(url).bearer_auth(&caller.token);
    let response = request.send().await.unwrap();
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: Value::Null,
    }
}

#[tokio::test]
async fn whatever_is_read_or_changed_leaves_one_record() {
    let server = TestServer::open_city().await.unwrap();
    let own = Things::of(&server, VILLAGE).await;
    let mut done = BTreeSet::new();
    for role in ROLES {
        let caller = server.person(role, DISTRICT).await.unwrap();
        let mut walked = operations();
        walked.retain(|operation| operation.access != "public");
        // With it the caller's session ends.
        walked.sort_by_key(|operation| operation.id == "sign_out");
        for operation in walked {
            let reply = ask(&server, &own, &operation, &caller).await;
            assert_recorded(&server, &operation, &reply).await;
            if reply.status < 300 {
                done.insert(operation.id);
            }
        }
    }
    assert!(done.len() > 40, "hardly anything was done: {done:?}");
}

/// Tries of a public operation that are recorded: one that is refused and one that is not.
async fn tries(server: &TestServer, operation: &Operation) -> Vec<Reply> {
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let stranger = Person {
        password: "Wrong-Guess-1".to_owned(),
        ..person.clone()
    };
    let post = async |path: &str, body: Value| {
        let reply = server.send("POST", path, None, Some(body)).await;
        reply.unwrap()
    };
    let mut replies = Vec::new();
    match operation.id.as_str() {
        "sign_in" => {
            for who in [&stranger, &person] {
                let signed_in = server.sign_in(&who.login, &who.password).await;
                replies.push(signed_in.unwrap());
            }
        }
        "enrol_device" => {
            let key = KeyPair::from_secret(&[6; 32]).unwrap();
            for who in [&stranger, &person] {
                replies.push(server.enrol(who, &key).await.unwrap());
            }
        }
        "sign_in_device" => {
            let device = server.device(&person).await.unwrap();
            for who in [&stranger, &person] {
                let password = json!({ "password": who.password });
                let input = server.device_sign_in(&device, password).await.unwrap();
                replies.push(post("/api/devices/sign-in", input).await);
            }
        }
        "confirm_wipe" => {
            let device = server.device(&person).await.unwrap();
            let path = format!("/api/devices/{}/wipe", device.id);
            let order = Some(json!({ "reason": "遗失" }));
            let administrator = server.administrator(Role::AreaAdministrator).unwrap();
            for ordered in [false, true] {
                if ordered {
                    let token = Some(administrator.token.as_str());
                    let told = server.send("POST", &path, token, order.clone()).await;
                    assert_eq!(told.unwrap().status, 200);
                }
                let said = server.device_says(&device, b"doorstep-wiped-v1").await;
                replies.push(post("/api/devices/wiped", said.unwrap()).await);
            }
        }
        other => panic!("{other}: try it here, or name it in `UNRECORDED`"),
    }
    replies
}

#[tokio::test]
async fn whoever_comes_in_or_is_refused_at_the_door_leaves_one_record() {
    let server = TestServer::open_city().await.unwrap();
    for operation in operations() {
        let known = UNRECORDED.iter().any(|(id, _)| *id == operation.id);
        if known || operation.access != "public" {
            continue;
        }
        let replies = tries(&server, &operation).await;
        let came_in = replies.iter().map(|reply| reply.status < 300);
        assert_eq!(
            came_in.collect::<Vec<_>>(),
            [false, true],
            "{}",
            operation.id
        );
        for reply in &replies {
            assert_recorded(&server, &operation, reply).await;
        }
    }
}

//! Passwords that wait to be checked: so many, strangers who failed apart, and nobody holds the database meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use doorstep_core::rights::Role;
use doorstep_server::domains::auth::service::{occupy_turns, waiting_for_turns};
use doorstep_server::testing::city::VILLAGE;
use doorstep_server::testing::{Person, Reply, TestServer};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Status, code and `Retry-After` of an answer.
type Answer = (u16, String, Option<u64>);

/// Signs in at the console from a source that the proxy names.
async fn sign_in_from(url: String, source: String, login: String, password: String) -> Answer {
    let reply = reqwest::Client::new()
        .post(url)
        .header("x-forwarded-for", source)
        .json(&json!({ "login": login, "password": password }))
        .send()
        .await
        .unwrap();
    let status = reply.status().as_u16();
    let wait = reply.headers().get("retry-after");
    let wait = wait.map(|wait| wait.to_str().unwrap().parse().unwrap());
    let body: Value = reply.json().await.unwrap();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    (status, code.to_owned(), wait)
}

async fn behind_a_proxy(failures_per_address: u32) -> TestServer {
    TestServer::open_city_with(|config| {
        config.behind_proxy = true;
        config.sign_in.failures_per_address = failures_per_address;
    })
    .await
    .unwrap()
}

fn url(server: &TestServer) -> String {
    format!("http://{}/api/auth/sign-in", server.address)
}

/// Nobody's tries, one from each of these sources.
fn flood(server: &TestServer, sources: impl Iterator<Item = String>) -> JoinSet<Answer> {
    let tries = sources.enumerate().map(|(n, source)| {
        let password = "Spring-Is-Here-1".to_owned();
        sign_in_from(url(server), source, format!("nobody{n}"), password)
    });
    tries.collect()
}

/// Waits until so many wait, and so many apart.
async fn until_waiting(wanted: (usize, usize)) {
    for _ in 0..400 {
        if waiting_for_turns() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(waiting_for_turns(), wanted);
}

/// Those of a flood that are told to come again, once they are so many.
async fn sent_away(flood: &mut JoinSet<Answer>, count: usize) {
    for _ in 0..count {
        let (status, code, wait) = flood.join_next().await.unwrap().unwrap();
        assert_eq!((status, code.as_str(), wait), (503, "busy", Some(5)));
    }
}

/// How many tries are kept as failures of sources.
async fn failures(server: &TestServer) -> u64 {
    let kept = "UPDATE failed_sign_ins SET at = at";
    server.database.as_owner(kept).await.unwrap()
}

#[tokio::test]
async fn a_flood_of_strangers_waits_in_a_bounded_line_and_phones_sign_in_beside_it() {
    let server = behind_a_proxy(50).await;
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let before = failures(&server).await;
    let turns = occupy_turns().await.unwrap();
    // Each from a network that has not failed before.
    let mut flood = flood(&server, (0..120).map(|n| format!("2001:db8:{n:x}::1")));
    sent_away(&mut flood, 120 - 48).await;
    until_waiting((48, 0)).await;
    let proof = json!({ "password": person.password });
    let input = server.device_sign_in(&device, proof).await.unwrap();
    let phone = server.send("POST", "/api/devices/sign-in", None, Some(input));
    let (phone, ()) = tokio::join!(phone, async {
        until_waiting((49, 0)).await;
        drop(turns);
    });
    let phone = phone.unwrap();
    assert_eq!(phone.status, 200, "{}", phone.body);
    while let Some(answer) = flood.join_next().await {
        let (status, code, _) = answer.unwrap();
        assert_eq!((status, code.as_str()), (401, "wrong_credentials"));
    }
    assert_eq!(waiting_for_turns(), (0, 0));
    let kept = failures(&server).await - before;
    assert_eq!(
        kept,
        2 * 48,
        "only what was tried counts, by 64 bits and by 48"
    );
}

#[tokio::test]
async fn who_failed_a_few_times_waits_apart_and_others_go_before() {
    let server = behind_a_proxy(200).await;
    let person = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let source = || std::iter::repeat("192.0.2.7".to_owned());
    let mut first = flood(&server, source().take(3));
    while let Some(answer) = first.join_next().await {
        assert_eq!(answer.unwrap().0, 401);
    }
    let before = failures(&server).await;
    let turns = occupy_turns().await.unwrap();
    let mut flood = flood(&server, source().take(100));
    sent_away(&mut flood, 100 - 48).await;
    until_waiting((0, 48)).await;
    let (login, password) = (person.login.clone(), person.password.clone());
    let source = "198.51.100.4".to_owned();
    let honest = tokio::spawn(sign_in_from(url(&server), source, login, password));
    until_waiting((1, 48)).await;
    drop(turns);
    let (status, code, _) = honest.await.unwrap();
    assert_eq!(status, 200, "{code}");
    while let Some(answer) = flood.join_next().await {
        assert_eq!(answer.unwrap().0, 401);
    }
    let kept = failures(&server).await - before;
    assert_eq!(kept, 48, "who found no room has not failed");
}

#[tokio::test]
async fn a_network_of_sites_is_a_source_too_and_an_address_has_one_form() {
    let server = behind_a_proxy(3).await;
    let mut shut_out = [0, 0];
    for n in 0..20 {
        // An IPv4 address is one source each, though a socket for both gives it as IPv6.
        let sources = [
            format!("2001:db8:7:{n:x}::1"),
            format!("::ffff:192.0.2.{n}"),
        ];
        for (shut_out, source) in shut_out.iter_mut().zip(sources) {
            let password = "Spring-Is-Here-1".to_owned();
            let login = format!("{n}-{source}");
            let (status, ..) = sign_in_from(url(&server), source, login, password).await;
            *shut_out += usize::from(status == 429);
        }
    }
    assert_eq!(shut_out, [20 - 12, 0]);
}

async fn change(server: &TestServer, person: &Person, new: &str) -> anyhow::Result<Reply> {
    let body = json!({ "current": person.password, "new": new });
    let path = "/api/auth/password";
    server
        .send("POST", path, Some(&person.token), Some(body))
        .await
}

#[tokio::test]
async fn who_changes_a_password_holds_nothing_while_it_waits() {
    let mut server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    server.narrow_to(1).await.unwrap();
    let change = |new| change(&server, &person, new);
    let first = occupy_turns().await.unwrap();
    let (reply, ()) = tokio::join!(change("Quiet-Harbour-5"), async {
        until_waiting((1, 0)).await;
        // The present password is checked, and for the new one it waits again.
        let second = occupy_turns();
        tokio::pin!(second);
        tokio::select! {
            biased;
            _ = &mut second => panic!("they are taken"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        let second = second.await.unwrap();
        until_waiting((1, 0)).await;
        let me = server.send("GET", "/api/auth/me", Some(&person.token), None);
        assert_eq!(me.await.unwrap().status, 200);
        drop(second);
    });
    let reply = reply.unwrap();
    assert_eq!(reply.status, 204, "{}", reply.body);
}

#[tokio::test]
async fn of_two_changes_of_a_password_one_is_made() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let change = |new| change(&server, &person, new);
    let turns = occupy_turns().await.unwrap();
    let (one, two, ()) = tokio::join!(
        change("Quiet-Harbour-5"),
        change("Silent-Harbour-6"),
        async {
            until_waiting((2, 0)).await;
            drop(turns);
        }
    );
    let mut answers = [one.unwrap(), two.unwrap()].map(|reply| (reply.status, reply.body));
    answers.sort_by_key(|(status, _)| *status);
    assert_eq!(answers[0].0, 204);
    assert_eq!(answers[1].0, 422, "{}", answers[1].1);
    let field = &answers[1].1["error"]["fields"][0];
    assert_eq!(
        (&field["path"], &field["code"]),
        (&json!("current"), &json!("wrong_password"))
    );
}

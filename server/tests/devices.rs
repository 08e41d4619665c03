//! Devices: enrolment, sign-in by challenge, revocation, wipe.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::rights::Role;
use doorstep_server::live::Notice;
use doorstep_server::testing::city::{CITY, DISTRICT, OTHER_VILLAGE, STREET, VILLAGE};
use doorstep_server::testing::{Person, TestDevice, TestServer};
use serde_json::json;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_device_enrols_with_password_and_key_and_signs_in_by_challenge() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let me = server
        .send("GET", "/api/auth/me", Some(&device.token), None)
        .await
        .unwrap()
        .body;
    assert_eq!(me["device"], device.id.to_string());

    let input = server
        .device_sign_in(&device, json!({ "password": person.password }))
        .await
        .unwrap();
    let signed_in = server
        .send("POST", "/api/devices/sign-in", None, Some(input.clone()))
        .await
        .unwrap();
    assert_eq!(signed_in.status, 200, "{}", signed_in.body);
    let replayed = server
        .send("POST", "/api/devices/sign-in", None, Some(input))
        .await
        .unwrap();
    assert_eq!(
        (replayed.status, replayed.code()),
        (401, "challenge_void"),
        "a nonce is good once"
    );
}

#[tokio::test]
async fn neither_password_nor_key_alone_opens_a_session() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let none = server.device_sign_in(&device, json!({})).await.unwrap();
    assert_eq!(
        server
            .send("POST", "/api/devices/sign-in", None, Some(none))
            .await
            .unwrap()
            .status,
        422
    );
    let wrong = server
        .device_sign_in(&device, json!({ "password": "Wrong-Guess-1" }))
        .await
        .unwrap();
    assert_eq!(
        server
            .send("POST", "/api/devices/sign-in", None, Some(wrong))
            .await
            .unwrap()
            .code(),
        "wrong_credentials"
    );
    let stolen = TestDevice {
        key: KeyPair::from_secret(&[5; 32]).unwrap(),
        ..device.clone()
    };
    let forged = server
        .device_sign_in(&stolen, json!({ "password": person.password }))
        .await
        .unwrap();
    assert_eq!(
        server
            .send("POST", "/api/devices/sign-in", None, Some(forged))
            .await
            .unwrap()
            .code(),
        "wrong_signature"
    );
    let late = server
        .device_sign_in(&device, json!({ "password": person.password }))
        .await
        .unwrap();
    server.clock.advance(Duration::from_secs(121));
    assert_eq!(
        server
            .send("POST", "/api/devices/sign-in", None, Some(late))
            .await
            .unwrap()
            .code(),
        "challenge_void"
    );
}

/// Refused tries in the audit log, by action and code, in order.
async fn refusals(server: &TestServer) -> Vec<(String, String)> {
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT action, detail FROM audit_entries WHERE outcome = 'refused' ORDER BY seq",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(action, detail)| {
            let detail: serde_json::Value = serde_json::from_str(&detail).unwrap();
            (action, detail["reason"].as_str().unwrap().to_owned())
        })
        .collect()
}

#[tokio::test]
async fn signatures_made_up_for_a_device_fill_no_log() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let forger = TestDevice {
        key: KeyPair::from_secret(&[5; 32]).unwrap(),
        ..device.clone()
    };
    for _ in 0..10 {
        let mut forged = server
            .device_sign_in(&forger, json!({ "password": person.password }))
            .await
            .unwrap();
        for code in ["wrong_signature", "challenge_void"] {
            let reply = server
                .send("POST", "/api/devices/sign-in", None, Some(forged.clone()))
                .await
                .unwrap();
            assert_eq!(reply.code(), code);
            forged["nonce"] = json!("ab".repeat(32));
        }
    }
    let of = |code: &str| ("sign_in_device".to_owned(), code.to_owned());
    assert_eq!(
        refusals(&server).await,
        [of("wrong_signature"), of("challenge_void")],
        "the first of each in a minute; the others are counted"
    );
}

#[tokio::test]
async fn every_refused_try_of_a_device_is_in_the_log() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let stranger = TestDevice {
        id: uuid::Uuid::from_u128(7),
        ..device.clone()
    };
    let forger = TestDevice {
        key: KeyPair::from_secret(&[5; 32]).unwrap(),
        ..device.clone()
    };
    let post = async |path: &str, body: serde_json::Value| {
        let reply = server.send("POST", path, None, Some(body)).await.unwrap();
        reply.code().to_owned()
    };
    let mut expected = Vec::new();
    let mut refused = |action: &str, code: String, wanted: &str| {
        assert_eq!(code, wanted);
        expected.push((action.to_owned(), code));
    };
    let key = KeyPair::from_secret(&[6; 32]).unwrap();
    let input = json!({
        "login": person.login, "password": person.password, "public_key": hex::encode(key.public().as_bytes()),
        "nonce": "ab".repeat(32), "signature": "cd".repeat(32), "name": "测试机", "platform": "cli",
    });
    let code = post("/api/devices", input).await;
    refused("enrol_device", code, "challenge_void");
    let password = json!({ "password": person.password });
    let input = server.device_sign_in(&stranger, password).await.unwrap();
    let code = post("/api/devices/sign-in", input).await;
    refused("sign_in_device", code, "unknown_device");
    for (device, wanted) in [
        (&stranger, "unknown_device"),
        (&forger, "wrong_signature"),
        (&device, "no_wipe_ordered"),
    ] {
        let said = server
            .device_says(device, b"doorstep-wiped-v1")
            .await
            .unwrap();
        let code = post("/api/devices/wiped", said).await;
        refused("confirm_wipe", code, wanted);
    }
    assert_eq!(refusals(&server).await, expected);
}

#[tokio::test]
async fn a_device_renews_its_session_by_key_and_former_token_for_two_weeks() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let mut device = server.device(&person).await.unwrap();
    let other = server.person(Role::Collector, VILLAGE).await.unwrap();
    let other = server.device(&other).await.unwrap();
    for day in 0..14 {
        server.clock.advance(DAY);
        assert_eq!(
            server
                .send("GET", "/api/auth/me", Some(&device.token), None)
                .await
                .unwrap()
                .status,
            401
        );
        let input = server
            .device_sign_in(&device, json!({ "token": device.token }))
            .await
            .unwrap();
        let reply = server
            .send("POST", "/api/devices/sign-in", None, Some(input))
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "day {day}: {}", reply.body);
        device.token = reply.body["token"].as_str().unwrap().into();
    }
    server.clock.advance(DAY);
    let input = server
        .device_sign_in(&device, json!({ "token": device.token }))
        .await
        .unwrap();
    assert_eq!(
        server
            .send("POST", "/api/devices/sign-in", None, Some(input))
            .await
            .unwrap()
            .code(),
        "password_required"
    );
    // Another person's token is no proof.
    let input = server
        .device_sign_in(&device, json!({ "token": other.token }))
        .await
        .unwrap();
    assert_eq!(
        server
            .send("POST", "/api/devices/sign-in", None, Some(input))
            .await
            .unwrap()
            .code(),
        "password_required"
    );
}

#[tokio::test]
async fn a_key_enrols_once_and_only_with_its_own_signature() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let again = server.enrol(&person, &device.key).await.unwrap();
    assert_eq!((again.status, again.code()), (409, "key_in_use"));
    let input = json!({
        "login": person.login, "password": person.password, "public_key": "04", "nonce": "xx", "signature": "",
        "name": "", "platform": "cli",
    });
    let wrong = server
        .send("POST", "/api/devices", None, Some(input))
        .await
        .unwrap();
    let paths: Vec<&str> = wrong.body["error"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["public_key", "nonce", "signature", "name"]);
}

#[tokio::test]
async fn a_revoked_device_is_cut_off_at_once_and_a_lost_one_is_told_to_wipe() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let (revoked, lost) = (
        server.device(&person).await.unwrap(),
        server.device(&person).await.unwrap(),
    );
    let mut heard = server.state.live.listen();
    for (device, deed, code) in [
        (&revoked, "revoke", "device_revoked"),
        (&lost, "wipe", "device_wiped"),
    ] {
        let path = format!("/api/devices/{}/{deed}", device.id);
        let unsaid = server
            .send(
                "POST",
                &path,
                Some(&admin.token),
                Some(json!({ "reason": " " })),
            )
            .await
            .unwrap();
        assert_eq!(unsaid.status, 422);
        let done = server
            .send(
                "POST",
                &path,
                Some(&admin.token),
                Some(json!({ "reason": "手机遗失" })),
            )
            .await
            .unwrap();
        assert_eq!(done.status, 200, "{}", done.body);
        assert_eq!(
            server
                .send("GET", "/api/auth/me", Some(&device.token), None)
                .await
                .unwrap()
                .status,
            401
        );
        let input = server
            .device_sign_in(device, json!({ "password": person.password }))
            .await
            .unwrap();
        assert_eq!(
            server
                .send("POST", "/api/devices/sign-in", None, Some(input))
                .await
                .unwrap()
                .code(),
            code
        );
    }
    let lost_id = doorstep_core::ids::DeviceId(lost.id);
    assert_eq!(
        heard.recv().await.unwrap(),
        Notice::DeviceChanged(doorstep_core::ids::DeviceId(revoked.id))
    );
    assert_eq!(heard.recv().await.unwrap(), Notice::DeviceChanged(lost_id));

    for (device, status, code) in [
        (&revoked, 409, "no_wipe_ordered"),
        (&lost, 204, ""),
        (&lost, 204, ""), // said again, because the answer was lost
    ] {
        let said = server
            .device_says(device, b"doorstep-wiped-v1")
            .await
            .unwrap();
        let reply = server
            .send("POST", "/api/devices/wiped", None, Some(said))
            .await
            .unwrap();
        assert_eq!((reply.status, reply.code()), (status, code));
    }
    // A signature for something else does not pass for it.
    let other = server
        .device_says(&lost, b"doorstep-sign-in-v1")
        .await
        .unwrap();
    let reply = server
        .send("POST", "/api/devices/wiped", None, Some(other))
        .await
        .unwrap();
    assert_eq!((reply.status, reply.code()), (401, "wrong_signature"));
    let shown = server
        .send(
            "GET",
            &format!("/api/devices/{}", lost.id),
            Some(&admin.token),
            None,
        )
        .await
        .unwrap()
        .body;
    assert_eq!(shown["status"], "wiped");
    assert_eq!(shown["status_reason"], "手机遗失", "why stays");
}

#[tokio::test]
async fn a_device_that_is_stopped_while_it_signs_in_gets_no_session() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    // Where the tries of a login are counted, after the device was looked at: what is held there keeps a try waiting.
    server
        .sign_in(&person.login, "Wrong-Guess-1")
        .await
        .unwrap();
    let mut held = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    sqlx::query("SELECT FROM sign_in_guards FOR UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    let input = server
        .device_sign_in(&device, json!({ "password": person.password }))
        .await
        .unwrap();
    let signing_in = server.send("POST", "/api/devices/sign-in", None, Some(input));
    let wiping = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let path = format!("/api/devices/{}/wipe", device.id);
        let why = json!({ "reason": "手机遗失" });
        let done = server
            .send("POST", &path, Some(&admin.token), Some(why))
            .await;
        held.rollback().await.unwrap();
        done
    };
    let (signed_in, wiped) = tokio::join!(signing_in, wiping);
    assert_eq!(wiped.unwrap().status, 200);
    let signed_in = signed_in.unwrap();
    assert_eq!((signed_in.status, signed_in.code()), (403, "device_wiped"));
}

#[tokio::test]
async fn a_session_of_a_stopped_device_opens_nothing_even_where_it_was_left_open() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    for (status, expected) in [("active", 200), ("revoked", 401), ("wipe_ordered", 401)] {
        let set = format!("UPDATE devices SET status = '{status}'");
        server.database.as_owner(&set).await.unwrap();
        let me = server
            .send("GET", "/api/auth/me", Some(&device.token), None)
            .await
            .unwrap();
        assert_eq!(me.status, expected, "{status}");
    }
}

#[tokio::test]
async fn an_order_to_wipe_is_not_taken_back_by_revoking() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let stop = async |deed: &str| {
        let path = format!("/api/devices/{}/{deed}", device.id);
        let why = json!({ "reason": "手机遗失" });
        server
            .send("POST", &path, Some(&admin.token), Some(why))
            .await
            .unwrap()
    };
    assert_eq!(stop("revoke").await.status, 200);
    assert_eq!(stop("wipe").await.status, 200, "more than revoking");
    let again = stop("revoke").await;
    assert_eq!((again.status, again.code()), (409, "wipe_ordered"));
    let input = server
        .device_sign_in(&device, json!({ "password": person.password }))
        .await
        .unwrap();
    let reply = server
        .send("POST", "/api/devices/sign-in", None, Some(input))
        .await
        .unwrap();
    assert_eq!(reply.code(), "device_wiped");
}

#[tokio::test]
async fn after_a_device_was_stopped_a_new_one_needs_a_password_that_was_given_since() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let later = || server.clock.advance(Duration::from_secs(60));
    let enrol = async |password: &str| {
        let key = KeyPair::from_secret(&doorstep_server::random::bytes().unwrap()).unwrap();
        let person = Person {
            password: password.to_owned(),
            ..person.clone()
        };
        server.enrol(&person, &key).await.unwrap()
    };
    later();
    let path = format!("/api/devices/{}/wipe", device.id);
    let why = json!({ "reason": "手机遗失" });
    let ordered = server
        .send("POST", &path, Some(&admin.token), Some(why))
        .await
        .unwrap();
    assert_eq!(ordered.status, 200, "{}", ordered.body);
    let refused = enrol(&person.password).await;
    assert_eq!(
        (refused.status, refused.code()),
        (403, "password_reset_required")
    );
    // Whoever has the password may change it at a console: that proves no more.
    later();
    let changed = "Quiet-Harbour-5";
    let change = json!({ "current": person.password, "new": changed });
    let reply = server
        .send(
            "POST",
            "/api/auth/password",
            Some(&person.token),
            Some(change),
        )
        .await
        .unwrap();
    assert_eq!(reply.status, 204, "{}", reply.body);
    assert_eq!(enrol(changed).await.code(), "password_reset_required");
    assert_eq!(
        refusals(&server).await,
        vec![
            (
                "enrol_device".to_owned(),
                "password_reset_required".to_owned()
            );
            2
        ]
    );

    let path = format!("/api/users/{}/password", person.id);
    let reset = server
        .send("POST", &path, Some(&admin.token), None)
        .await
        .unwrap();
    let temporary = reset.body["temporary_password"].as_str().unwrap();
    // That the old one says only now that it wiped itself changes nothing.
    later();
    let said = server
        .device_says(&device, b"doorstep-wiped-v1")
        .await
        .unwrap();
    let wiped = server
        .send("POST", "/api/devices/wiped", None, Some(said))
        .await
        .unwrap();
    assert_eq!(wiped.status, 204, "{}", wiped.body);
    let enrolled = enrol(temporary).await;
    assert_eq!(enrolled.status, 201, "{}", enrolled.body);
}

#[tokio::test]
async fn a_user_has_so_many_devices_and_hears_of_each_new_one() {
    let server = TestServer::open_city_with(|config| config.user_devices = 2)
        .await
        .unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let told = async || {
        let told = server.messages(person.id, "device_enrolled").await;
        told.unwrap().len()
    };
    server.device(&person).await.unwrap();
    assert_eq!(told().await, 0, "there is no other to be told");
    let second = server.device(&person).await.unwrap();
    assert_eq!(told().await, 1);
    let path = "/api/messages";
    let list = server
        .send("GET", path, Some(&second.token), None)
        .await
        .unwrap()
        .body;
    assert_eq!(
        list["items"][0]["about"],
        json!({ "kind": "device", "id": second.id })
    );
    let key = KeyPair::from_secret(&[6; 32]).unwrap();
    let third = server.enrol(&person, &key).await.unwrap();
    assert_eq!((third.status, third.code()), (409, "too_many_devices"));
    let other = server.person(Role::Collector, VILLAGE).await.unwrap();
    assert_eq!(server.enrol(&other, &key).await.unwrap().status, 201);
}

#[tokio::test]
async fn a_device_is_stopped_by_who_stands_above_its_owner() {
    let server = TestServer::open_city().await.unwrap();
    let street = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let district = server
        .person(Role::AreaAdministrator, DISTRICT)
        .await
        .unwrap();
    let stop = async |by: &Person, device: &TestDevice| {
        let path = format!("/api/devices/{}/revoke", device.id);
        let why = json!({ "reason": "手机遗失" });
        server
            .send("POST", &path, Some(&by.token), Some(why))
            .await
            .unwrap()
    };
    // Works in the street and is responsible for the district, too.
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let city = server.administrator(Role::AreaAdministrator).unwrap();
    let grants = format!("/api/users/{}/grants", person.id);
    let above = json!({ "role": "supervisor", "area": DISTRICT });
    let granted = server
        .send("POST", &grants, Some(&city.token), Some(above))
        .await
        .unwrap();
    assert_eq!(granted.status, 201, "{}", granted.body);
    let refused = stop(&street, &device).await;
    assert_eq!((refused.status, refused.code()), (403, "outranked"));
    let done = stop(&district, &device).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let own = server.device(&street).await.unwrap();
    let done = stop(&street, &own).await;
    assert_eq!(done.status, 200, "one's own: {}", done.body);
}

#[tokio::test]
async fn devices_are_seen_within_the_area_with_what_they_have_not_sent() {
    let server = TestServer::open_city().await.unwrap();
    let near = server.person(Role::Collector, VILLAGE).await.unwrap();
    let far = server.person(Role::Collector, OTHER_VILLAGE).await.unwrap();
    let (near, far) = (
        server.device(&near).await.unwrap(),
        server.device(&far).await.unwrap(),
    );
    let street = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let contact = doorstep_server::domains::devices::service::Contact {
        device: doorstep_core::ids::DeviceId(near.id),
        at: chrono::Utc::now(),
        unsent: 7,
    };
    doorstep_server::domains::devices::service::note_contacts(&mut tx, &[contact])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let list = server
        .send("GET", "/api/devices", Some(&street.token), None)
        .await
        .unwrap()
        .body;
    let items = list["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[0]["id"], &items[0]["unsent"]),
        (1, &json!(near.id), &json!(7))
    );
    let hidden = server
        .send(
            "GET",
            &format!("/api/devices/{}", far.id),
            Some(&street.token),
            None,
        )
        .await
        .unwrap();
    assert_eq!(hidden.status, 404);
    let city = server.person(Role::AreaAdministrator, CITY).await.unwrap();
    let all = server
        .send("GET", "/api/devices?limit=1", Some(&city.token), None)
        .await
        .unwrap()
        .body;
    let next = format!(
        "/api/devices?limit=1&cursor={}",
        all["next"].as_str().unwrap()
    );
    let rest = server
        .send("GET", &next, Some(&city.token), None)
        .await
        .unwrap()
        .body;
    assert_eq!(
        (
            rest["items"].as_array().unwrap().len(),
            rest["next"].is_null()
        ),
        (1, true)
    );
    let neighbour = server.person(Role::Collector, VILLAGE).await.unwrap();
    let done = server.device(&neighbour).await.unwrap();
    assert_ne!(done.id, near.id);
    let path = "/api/devices?unsent=true";
    let list = server
        .send("GET", path, Some(&street.token), None)
        .await
        .unwrap()
        .body;
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["id"]), (1, &json!(near.id)));
}

#[tokio::test]
async fn whose_device_has_had_something_unsent_longest_comes_first_on_every_page() {
    let server = TestServer::open_city().await.unwrap();
    let street = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let now = chrono::Utc::now();
    let mut wanted = Vec::new();
    // The longest has the newest device: the order of ids is the other way round.
    for days in 1..=3 {
        let person = server.person(Role::Collector, VILLAGE).await.unwrap();
        let device = server.device(&person).await.unwrap();
        let mut tx = doorstep_server::database::system_tx(&server.state.pool)
            .await
            .unwrap();
        let contact = doorstep_server::domains::devices::service::Contact {
            device: doorstep_core::ids::DeviceId(device.id),
            at: now - chrono::TimeDelta::days(days),
            unsent: 1,
        };
        doorstep_server::domains::devices::service::note_contacts(&mut tx, &[contact])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        wanted.insert(0, json!(device.id));
    }
    let mut seen = Vec::new();
    let mut path = "/api/devices?unsent=true&limit=1".to_owned();
    loop {
        let page = server
            .send("GET", &path, Some(&street.token), None)
            .await
            .unwrap()
            .body;
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].clone()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/devices?unsent=true&limit=1&cursor={next}");
    }
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_device_moves_with_its_user() {
    let server = TestServer::open_city().await.unwrap();
    let city = server.person(Role::AreaAdministrator, CITY).await.unwrap();
    let street = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let person = server.person(Role::Collector, OTHER_VILLAGE).await.unwrap();
    let device = server.device(&person).await.unwrap();
    let path = format!("/api/devices/{}", device.id);
    let see = async || {
        server
            .send("GET", &path, Some(&street.token), None)
            .await
            .unwrap()
            .status
    };
    assert_eq!(see().await, 404);
    let user = format!("/api/users/{}", person.id);
    let moved = server
        .send(
            "PATCH",
            &user,
            Some(&city.token),
            Some(json!({ "area": VILLAGE })),
        )
        .await
        .unwrap();
    assert_eq!(moved.status, 200);
    assert_eq!(see().await, 200);
}

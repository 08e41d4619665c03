//! A device opens a session: by password and key, or key and former token; what is refused is in the log.

use std::time::Duration;

use doorstep_core::crypto::sm2::KeyPair;
use doorstep_server::testing::city::VILLAGE;
use doorstep_server::testing::{Reply, TestDevice};
use serde_json::json;

use crate::kit::{another, forger, get, one_device, post, refusals, say_wiped, sign_in};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn neither_password_nor_key_alone_opens_a_session() {
    let (server, person, device) = one_device().await;
    let password = json!({ "password": person.password });
    let none = sign_in(&server, &device, json!({})).await;
    assert_eq!(none.status, 422);
    let wrong = json!({ "password": "Wrong-Guess-1" });
    let wrong = sign_in(&server, &device, wrong).await;
    assert_eq!(wrong.code(), "wrong_credentials");
    let forged = sign_in(&server, &forger(&device), password.clone()).await;
    assert_eq!(forged.code(), "wrong_signature");
    let late = server.device_sign_in(&device, password).await.unwrap();
    server.clock.advance(Duration::from_secs(121));
    let late = post(&server, "/api/devices/sign-in", late).await;
    assert_eq!(late.code(), "challenge_void");
}

#[tokio::test]
async fn signatures_made_up_for_a_device_fill_no_log() {
    let (server, person, device) = one_device().await;
    let forger = forger(&device);
    for _ in 0..10 {
        let mut forged = server
            .device_sign_in(&forger, json!({ "password": person.password }))
            .await
            .unwrap();
        for code in ["wrong_signature", "challenge_void"] {
            let reply = post(&server, "/api/devices/sign-in", forged.clone()).await;
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
    let (server, person, device) = one_device().await;
    let stranger = TestDevice {
        id: uuid::Uuid::from_u128(7),
        ..device.clone()
    };
    let forger = forger(&device);
    let mut expected = Vec::new();
    let mut refused = |action: &str, reply: Reply, wanted: &str| {
        assert_eq!(reply.code(), wanted);
        expected.push((action.to_owned(), wanted.to_owned()));
    };
    let key = KeyPair::from_secret(&[6; 32]).unwrap();
    let input = json!({
        "login": person.login, "password": person.password, "public_key": hex::encode(key.public().as_bytes()),
        "nonce": "ab".repeat(32), "signature": "cd".repeat(32), "name": "测试机", "platform": "cli",
    });
    let reply = post(&server, "/api/devices", input).await;
    refused("enrol_device", reply, "challenge_void");
    let password = json!({ "password": person.password });
    let reply = sign_in(&server, &stranger, password).await;
    refused("sign_in_device", reply, "unknown_device");
    for (device, wanted) in [
        (&stranger, "unknown_device"),
        (&forger, "wrong_signature"),
        (&device, "no_wipe_ordered"),
    ] {
        let reply = say_wiped(&server, device).await;
        refused("confirm_wipe", reply, wanted);
    }
    assert_eq!(refusals(&server).await, expected);
}

#[tokio::test]
async fn a_device_renews_its_session_by_key_and_former_token_for_two_weeks() {
    let (server, _, mut device) = one_device().await;
    let (_, other) = another(&server, VILLAGE).await;
    for day in 0..14 {
        server.clock.advance(DAY);
        let me = get(&server, &device.token, "/api/auth/me").await;
        assert_eq!(me.status, 401);
        let proof = json!({ "token": device.token });
        let reply = sign_in(&server, &device, proof).await;
        assert_eq!(reply.status, 200, "day {day}: {}", reply.body);
        device.token = reply.body["token"].as_str().unwrap().into();
    }
    server.clock.advance(DAY);
    let proof = json!({ "token": device.token });
    let reply = sign_in(&server, &device, proof).await;
    assert_eq!(reply.code(), "password_required");
    // Another person's token is no proof.
    let proof = json!({ "token": other.token });
    let reply = sign_in(&server, &device, proof).await;
    assert_eq!(reply.code(), "password_required");
}

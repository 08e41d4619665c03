//! Nonces: anybody may ask for one, so nothing is kept of those that nobody answered; each is good once.

use std::time::Duration;

use doorstep_core::crypto::sm2::KeyPair;
use doorstep_server::domains::auth::service::prune;
use doorstep_server::testing::city::VILLAGE;
use doorstep_server::testing::{Person, TestDevice, TestServer};
use serde_json::{Value, json};

use crate::kit::{another, one_device, post};

/// How many nonces are kept.
async fn kept(server: &TestServer) -> u64 {
    let all = "UPDATE challenges SET expires_at = expires_at";
    server.database.as_owner(all).await.unwrap()
}

/// A sign-in of a device over this nonce.
fn signed(device: &TestDevice, person: &Person, nonce: &[u8]) -> Value {
    let said = [b"doorstep-sign-in-v1", nonce, device.id.as_bytes()].concat();
    json!({
        "device": device.id, "nonce": hex::encode(nonce), "signature": hex::encode(device.key.sign(&said)),
        "password": person.password,
    })
}

#[tokio::test]
async fn a_flood_of_nonces_and_of_made_up_keys_leaves_no_rows() {
    let (server, person, device) = one_device().await;
    let before = kept(&server).await;
    for _ in 0..200 {
        let reply = server.send("POST", "/api/auth/challenges", None, None);
        assert_eq!(reply.await.unwrap().status, 200);
    }
    for n in 0..10 {
        let key = KeyPair::from_secret(&[n + 1; 32]).unwrap();
        let nobody = Person {
            login: format!("nobody{n}"),
            ..person.clone()
        };
        let reply = server.enrol(&nobody, &key).await.unwrap();
        assert_eq!(reply.code(), "wrong_credentials");
    }
    assert_eq!(kept(&server).await, before);
    let proof = json!({ "password": person.password });
    let input = server.device_sign_in(&device, proof).await.unwrap();
    assert_eq!(
        post(&server, "/api/devices/sign-in", input).await.status,
        200
    );
    assert_eq!(kept(&server).await, before + 1, "one that was answered");
    server.clock.advance(Duration::from_secs(2 * 3_600));
    prune(&server.state).await.unwrap();
    assert_eq!(kept(&server).await, 0);
}

#[tokio::test]
async fn a_nonce_is_good_as_it_was_given_for_one_device_once() {
    let (server, person, device) = one_device().await;
    let (someone, other) = another(&server, VILLAGE).await;
    let sign_in = async |input: Value| {
        let reply = post(&server, "/api/devices/sign-in", input).await;
        (reply.status, reply.code().to_owned())
    };
    let refused = |code: &str| (401, code.to_owned());
    let given = server.send("POST", "/api/auth/challenges", None, None);
    let given = given.await.unwrap().body;
    let nonce = hex::decode(given["nonce"].as_str().unwrap()).unwrap();
    for byte in 0..nonce.len() {
        let mut altered = nonce.clone();
        altered[byte] ^= 1;
        let input = signed(&device, &person, &altered);
        assert_eq!(sign_in(input).await, refused("challenge_void"), "{byte}");
    }
    let mut stolen = signed(&device, &person, &nonce);
    stolen["device"] = json!(other.id);
    assert_eq!(sign_in(stolen).await, refused("wrong_signature"));
    // Neither spoils it for the device.
    let input = signed(&device, &person, &nonce);
    assert_eq!(sign_in(input.clone()).await.0, 200);
    assert_eq!(sign_in(input).await, refused("challenge_void"));
    let input = signed(&other, &someone, &nonce);
    assert_eq!(sign_in(input).await, refused("challenge_void"));
}

#[tokio::test]
async fn an_enrolment_is_good_once_and_in_its_time() {
    let (server, person, _) = one_device().await;
    let given = async || {
        let given = server.send("POST", "/api/auth/challenges", None, None);
        let given = given.await.unwrap().body;
        hex::decode(given["nonce"].as_str().unwrap()).unwrap()
    };
    let enrolment = |secret: u8, nonce: &[u8]| {
        let key = KeyPair::from_secret(&[secret; 32]).unwrap();
        let public = *key.public().as_bytes();
        let said = [b"doorstep-enrol-v1", nonce, &public[..]].concat();
        json!({
            "login": person.login, "password": person.password, "public_key": hex::encode(public),
            "nonce": hex::encode(nonce), "signature": hex::encode(key.sign(&said)), "name": "测试机", "platform": "cli",
        })
    };
    let nonce = given().await;
    let reply = post(&server, "/api/devices", enrolment(2, &nonce)).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    for secret in [2, 3] {
        let reply = post(&server, "/api/devices", enrolment(secret, &nonce)).await;
        assert_eq!(reply.code(), "challenge_void", "{secret}");
    }
    let nonce = given().await;
    server.clock.advance(Duration::from_secs(121));
    let reply = post(&server, "/api/devices", enrolment(4, &nonce)).await;
    assert_eq!(reply.code(), "challenge_void");
}

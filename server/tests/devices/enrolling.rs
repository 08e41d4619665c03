//! A device comes in: with password and key, so many for a user, and after one was lost with a new password only.

use std::time::Duration;

use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::rights::Role;
use doorstep_server::testing::city::{STREET, VILLAGE};
use doorstep_server::testing::{Person, TestServer};
use serde_json::json;

use crate::kit::{LOST, administrator, get, one_device, post, refusals, say_wiped, stop};

#[tokio::test]
async fn a_device_enrols_with_password_and_key_and_signs_in_by_challenge() {
    let (server, person, device) = one_device().await;
    let me = get(&server, &device.token, "/api/auth/me").await.body;
    assert_eq!(me["device"], device.id.to_string());

    let input = server
        .device_sign_in(&device, json!({ "password": person.password }))
        .await
        .unwrap();
    let signed_in = post(&server, "/api/devices/sign-in", input.clone()).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.body);
    let replayed = post(&server, "/api/devices/sign-in", input).await;
    assert_eq!(
        (replayed.status, replayed.code()),
        (401, "challenge_void"),
        "a nonce is good once"
    );
}

#[tokio::test]
async fn a_key_enrols_once_and_only_with_its_own_signature() {
    let (server, person, device) = one_device().await;
    let again = server.enrol(&person, &device.key).await.unwrap();
    assert_eq!((again.status, again.code()), (409, "key_in_use"));
    let input = json!({
        "login": person.login, "password": person.password, "public_key": "04", "nonce": "xx", "signature": "",
        "name": "", "platform": "cli",
    });
    let wrong = post(&server, "/api/devices", input).await;
    let paths: Vec<&str> = wrong.body["error"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["public_key", "nonce", "signature", "name"]);
}

#[tokio::test]
async fn after_a_device_was_stopped_a_new_one_needs_a_password_that_was_given_since() {
    let (server, person, device) = one_device().await;
    let admin = administrator(&server, STREET).await;
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
    let ordered = stop(&server, &admin, &device, "wipe", LOST).await;
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
    let wiped = say_wiped(&server, &device).await;
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
    let list = get(&server, &second.token, "/api/messages").await.body;
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

//! A device is revoked or told to wipe itself, by whoever stands above its owner, and is out from then on.

use std::time::Duration;

use doorstep_core::ids::DeviceId;
use doorstep_core::rights::Role;
use doorstep_server::database::system_tx;
use doorstep_server::live::Notice;
use doorstep_server::testing::city::{DISTRICT, STREET};
use serde_json::json;

use crate::kit::{LOST, administrator, get, one_device, post, say_wiped, sign_in, stop};

#[tokio::test]
async fn a_revoked_device_is_cut_off_at_once_and_a_lost_one_is_told_to_wipe() {
    let (server, person, revoked) = one_device().await;
    let admin = administrator(&server, STREET).await;
    let lost = server.device(&person).await.unwrap();
    let mut heard = server.state.live.listen();
    for (device, deed, code) in [
        (&revoked, "revoke", "device_revoked"),
        (&lost, "wipe", "device_wiped"),
    ] {
        let unsaid = stop(&server, &admin, device, deed, " ").await;
        assert_eq!(unsaid.status, 422);
        let done = stop(&server, &admin, device, deed, LOST).await;
        assert_eq!(done.status, 200, "{}", done.body);
        let me = get(&server, &device.token, "/api/auth/me").await;
        assert_eq!(me.status, 401);
        let password = json!({ "password": person.password });
        let signed_in = sign_in(&server, device, password).await;
        assert_eq!(signed_in.code(), code);
    }
    for device in [&revoked, &lost] {
        let changed = Notice::DeviceChanged(DeviceId(device.id));
        assert_eq!(heard.recv().await.unwrap(), changed);
    }

    for (device, status, code) in [
        (&revoked, 409, "no_wipe_ordered"),
        (&lost, 204, ""),
        (&lost, 204, ""), // said again, because the answer was lost
    ] {
        let reply = say_wiped(&server, device).await;
        assert_eq!((reply.status, reply.code()), (status, code));
    }
    // A signature for something else does not pass for it.
    let other = server
        .device_says(&lost, b"doorstep-sign-in-v1")
        .await
        .unwrap();
    let reply = post(&server, "/api/devices/wiped", other).await;
    assert_eq!((reply.status, reply.code()), (401, "wrong_signature"));
    let path = format!("/api/devices/{}", lost.id);
    let shown = get(&server, &admin.token, &path).await.body;
    assert_eq!(shown["status"], "wiped");
    assert_eq!(shown["status_reason"], LOST, "why stays");
}

#[tokio::test]
async fn a_device_that_is_stopped_while_it_signs_in_gets_no_session() {
    let (server, person, device) = one_device().await;
    let admin = administrator(&server, STREET).await;
    // Where the tries of a login are counted, after the device was looked at: what is held there keeps a try waiting.
    server
        .sign_in(&person.login, "Wrong-Guess-1")
        .await
        .unwrap();
    let mut held = system_tx(&server.state.pool).await.unwrap();
    sqlx::query("SELECT FROM sign_in_guards FOR UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    let signing_in = sign_in(&server, &device, json!({ "password": person.password }));
    let wiping = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let done = stop(&server, &admin, &device, "wipe", LOST).await;
        held.rollback().await.unwrap();
        done
    };
    let (signed_in, wiped) = tokio::join!(signing_in, wiping);
    assert_eq!(wiped.status, 200);
    assert_eq!((signed_in.status, signed_in.code()), (403, "device_wiped"));
}

#[tokio::test]
async fn a_session_of_a_stopped_device_opens_nothing_even_where_it_was_left_open() {
    let (server, _, device) = one_device().await;
    for (status, expected) in [("active", 200), ("revoked", 401), ("wipe_ordered", 401)] {
        let set = format!("UPDATE devices SET status = '{status}'");
        server.database.as_owner(&set).await.unwrap();
        let me = get(&server, &device.token, "/api/auth/me").await;
        assert_eq!(me.status, expected, "{status}");
    }
}

#[tokio::test]
async fn an_order_to_wipe_is_not_taken_back_by_revoking() {
    let (server, person, device) = one_device().await;
    let admin = administrator(&server, STREET).await;
    let stop = async |deed: &str| stop(&server, &admin, &device, deed, LOST).await;
    assert_eq!(stop("revoke").await.status, 200);
    assert_eq!(stop("wipe").await.status, 200, "more than revoking");
    let again = stop("revoke").await;
    assert_eq!((again.status, again.code()), (409, "wipe_ordered"));
    let password = json!({ "password": person.password });
    let reply = sign_in(&server, &device, password).await;
    assert_eq!(reply.code(), "device_wiped");
}

#[tokio::test]
async fn a_device_is_stopped_by_who_stands_above_its_owner() {
    // Works in the street and is responsible for the district, too.
    let (server, person, device) = one_device().await;
    let street = administrator(&server, STREET).await;
    let district = administrator(&server, DISTRICT).await;
    let city = server.administrator(Role::AreaAdministrator).unwrap();
    let grants = format!("/api/users/{}/grants", person.id);
    let above = json!({ "role": "supervisor", "area": DISTRICT });
    let granted = server
        .send("POST", &grants, Some(&city.token), Some(above))
        .await
        .unwrap();
    assert_eq!(granted.status, 201, "{}", granted.body);
    let refused = stop(&server, &street, &device, "revoke", LOST).await;
    assert_eq!((refused.status, refused.code()), (403, "outranked"));
    let done = stop(&server, &district, &device, "revoke", LOST).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let own = server.device(&street).await.unwrap();
    let done = stop(&server, &street, &own, "revoke", LOST).await;
    assert_eq!(done.status, 200, "one's own: {}", done.body);
}

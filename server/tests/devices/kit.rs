//! A person with a phone, whoever stands above them, and what phones ask.

use chrono::{DateTime, Utc};
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::DeviceId;
use doorstep_core::rights::Role;
use doorstep_server::database::system_tx;
use doorstep_server::domains::devices::service::{Contact, note_contacts};
use doorstep_server::testing::city::VILLAGE;
use doorstep_server::testing::{Person, Reply, TestDevice, TestServer};
use serde_json::{Value, json};

/// A server with a collector and the collector's phone.
pub(crate) async fn one_device() -> (TestServer, Person, TestDevice) {
    let server = TestServer::open_city().await.unwrap();
    let (person, device) = another(&server, VILLAGE).await;
    (server, person, device)
}

/// A collector of an area, with a phone.
pub(crate) async fn another(server: &TestServer, area: &str) -> (Person, TestDevice) {
    let person = server.person(Role::Collector, area).await.unwrap();
    let device = server.device(&person).await.unwrap();
    (person, device)
}

pub(crate) async fn administrator(server: &TestServer, area: &str) -> Person {
    let person = server.person(Role::AreaAdministrator, area).await;
    person.unwrap()
}

/// One that says to be the device, and has another key.
pub(crate) fn forger(device: &TestDevice) -> TestDevice {
    TestDevice {
        key: KeyPair::from_secret(&[5; 32]).unwrap(),
        ..device.clone()
    }
}

/// Sends what nobody is signed in for.
pub(crate) async fn post(server: &TestServer, path: &str, body: Value) -> Reply {
    server.send("POST", path, None, Some(body)).await.unwrap()
}

pub(crate) async fn get(server: &TestServer, token: &str, path: &str) -> Reply {
    server.send("GET", path, Some(token), None).await.unwrap()
}

/// Signs a device in, with its password or former token as proof.
pub(crate) async fn sign_in(server: &TestServer, device: &TestDevice, proof: Value) -> Reply {
    let input = server.device_sign_in(device, proof).await.unwrap();
    post(server, "/api/devices/sign-in", input).await
}

/// A device says that it has wiped itself.
pub(crate) async fn say_wiped(server: &TestServer, device: &TestDevice) -> Reply {
    let said = server.device_says(device, b"doorstep-wiped-v1").await;
    post(server, "/api/devices/wiped", said.unwrap()).await
}

/// Revokes a device or orders it to wipe itself, for a reason.
pub(crate) async fn stop(
    server: &TestServer,
    by: &Person,
    device: &TestDevice,
    deed: &str,
    reason: &str,
) -> Reply {
    let path = format!("/api/devices/{}/{deed}", device.id);
    let why = json!({ "reason": reason });
    server
        .send("POST", &path, Some(&by.token), Some(why))
        .await
        .unwrap()
}

/// Why the devices of these tests are stopped.
pub(crate) const LOST: &str = "手机遗失";

/// Notes that a device synced, and what it has not sent.
pub(crate) async fn note_contact(
    server: &TestServer,
    device: &TestDevice,
    at: DateTime<Utc>,
    unsent: u32,
) {
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    let contact = Contact {
        device: DeviceId(device.id),
        at,
        unsent,
    };
    note_contacts(&mut tx, &[contact]).await.unwrap();
    tx.commit().await.unwrap();
}

/// Refused tries in the audit log, by action and code, in order.
pub(crate) async fn refusals(server: &TestServer) -> Vec<(String, String)> {
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT action, detail FROM audit_entries WHERE outcome = 'refused' ORDER BY seq",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(action, detail)| {
            let detail: Value = serde_json::from_str(&detail).unwrap();
            (action, detail["reason"].as_str().unwrap().to_owned())
        })
        .collect()
}

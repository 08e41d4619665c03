//! The address base: import, what phones hold of it, finding.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod device;

use device::SimDevice;
use doorstep_core::standard_address::{self, StandardAddress};
use doorstep_core::store::DeviceStore;
use doorstep_server::database::system_tx;
use doorstep_server::domains::addresses::{AddressReport, service};
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::{OTHER_VILLAGE, VILLAGE};

/// A file of the police's: code, village, address, state.
fn file(rows: &[(&str, &str, &str, &str)]) -> Vec<u8> {
    dated(rows, "20260105080240")
}

fn dated(rows: &[(&str, &str, &str, &str)], updated_at: &str) -> Vec<u8> {
    let rows = rows.iter().map(|(code, area, address, state)| {
        format!("{code}|{area}||||||{address}|||{state}|{updated_at}\r\n")
    });
    let text: String = rows.collect();
    encoding_rs::GB18030.encode(&text).0.into_owned()
}

#[tokio::test]
async fn the_address_base_comes_to_the_phones_of_its_areas_and_follows_the_file() {
    let server = TestServer::open_city().await.unwrap();
    let import = |rows: Vec<(&'static str, &'static str, &'static str, &'static str)>| {
        let state = server.state.clone();
        async move { service::import(&state, &file(&rows), false).await.unwrap() }
    };
    let first = vec![
        ("1", VILLAGE, "陕西中路12弄28号1702室", "1"),
        ("2", VILLAGE, "陕西中路12弄28号301室", "1"),
        ("3", VILLAGE, "陕西中路12弄30号101室", "1"),
        ("4", OTHER_VILLAGE, "永嘉路5弄6号201室", "1"),
    ];
    let added = AddressReport {
        rows: 4,
        added: 4,
        ..AddressReport::default()
    };
    let dry = service::import(&server.state, &file(&first), true)
        .await
        .unwrap();
    assert_eq!(dry, added);
    assert_eq!(import(first.clone()).await, added);
    assert_eq!(
        import(first).await,
        AddressReport {
            rows: 4,
            ..AddressReport::default()
        }
    );

    let mut device = SimDevice::new(&server, VILLAGE).await;
    device.sync().await;
    let held = |device: &SimDevice| {
        let states = device.store.states(standard_address::PREFIX).unwrap();
        let codes = states.iter().filter_map(StandardAddress::read);
        codes.map(|standard| standard.code).collect::<Vec<_>>()
    };
    assert_eq!(held(&device), ["1", "2", "3"], "those of its own village");

    let report = import(vec![
        ("1", VILLAGE, "陕西中路12弄28号1702室", "0"),
        ("2", VILLAGE, "陕西中路12弄28号302室", "1"),
        ("4", VILLAGE, "永嘉路5弄6号201室", "1"),
    ])
    .await;
    let expected = AddressReport {
        rows: 3,
        added: 0,
        changed: 1,
        moved: 1,
        withdrawn: 1,
        older: 0,
    };
    assert_eq!(report, expected);
    device.sync().await;
    assert_eq!(held(&device), ["2", "3", "4"]);

    let ask = async |query: &str| {
        let path = format!("/api/addresses?area={VILLAGE}&{query}");
        let answer = server
            .send("GET", &path, Some(&device.person.token), None)
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    let codes = |page: &serde_json::Value| {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["code"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let page = ask("limit=2").await;
    assert_eq!(codes(&page), ["2", "3"]);
    let next = format!("limit=2&cursor={}", page["next"].as_str().unwrap());
    assert_eq!(codes(&ask(&next).await), ["4"]);
    // 陕西中路十二弄28号0302
    let typed =
        "text=%E9%99%95%E8%A5%BF%E4%B8%AD%E8%B7%AF%E5%8D%81%E4%BA%8C%E5%BC%8428%E5%8F%B70302";
    let found = ask(typed).await;
    assert_eq!(codes(&found), ["2"]);
    assert_eq!(found["items"][0]["nearness"], "same");
}

/// A file that comes late: what a newer one said stays, what it alone says is taken.
#[tokio::test]
async fn an_older_file_changes_nothing_that_a_newer_one_said() {
    let server = TestServer::open_city().await.unwrap();
    let import = async |rows: &[(&str, &str, &str, &str)], month: &str| {
        let file = dated(rows, &format!("2026{month}05080240"));
        service::import(&server.state, &file, false).await.unwrap()
    };
    let old = [
        ("1", VILLAGE, "陕西中路12弄28号1702室", "1"),
        ("2", VILLAGE, "陕西中路12弄28号301室", "1"),
        ("3", VILLAGE, "陕西中路12弄30号101室", "1"),
        ("5", OTHER_VILLAGE, "永嘉路5弄6号202室", "1"),
    ];
    let new = [
        ("1", VILLAGE, "陕西中路12弄28号1702室", "0"),
        ("2", VILLAGE, "陕西中路12弄28号302室", "1"),
        ("3", OTHER_VILLAGE, "陕西中路12弄30号101室", "1"),
        ("4", OTHER_VILLAGE, "永嘉路5弄6号201室", "0"),
    ];
    import(&old[..3], "10").await;
    let report = import(&new, "11").await;
    assert_eq!((report.changed, report.moved, report.withdrawn), (1, 1, 1));
    let states = async || {
        let mut tx = system_tx(&server.state.pool).await.unwrap();
        let states = "SELECT scope, key, json FROM states WHERE key LIKE 'address/%' AND json <> '' ORDER BY key";
        let states: Vec<(String, String, String)> =
            sqlx::query_as(states).fetch_all(&mut *tx).await.unwrap();
        states
    };
    let before = states().await;

    let late = import(&old, "10").await;
    let expected = AddressReport {
        rows: 4,
        added: 1,
        older: 3,
        ..AddressReport::default()
    };
    assert_eq!(late, expected);
    let mut after = states().await;
    after.retain(|(_, key, _)| key != "address/5");
    assert_eq!(after, before);
    // What was never in force is not so by an older file.
    let late = import(&[("4", OTHER_VILLAGE, "永嘉路5弄6号201室", "1")], "10").await;
    assert_eq!((late.added, late.older), (0, 1));
}

#[tokio::test]
async fn a_file_with_an_unknown_village_changes_nothing() {
    let server = TestServer::open_city().await.unwrap();
    let bad = file(&[
        ("1", VILLAGE, "陕西中路12弄28号1702室", "1"),
        ("2", "310101999001", "陕西中路12弄28号301室", "1"),
    ]);
    let error = service::import(&server.state, &bad, false)
        .await
        .unwrap_err();
    assert_eq!(error.fields[0].code, "unknown_area");
    let good = file(&[("1", VILLAGE, "陕西中路12弄28号1702室", "1")]);
    let report = service::import(&server.state, &good, false).await.unwrap();
    assert_eq!(report.added, 1);
}

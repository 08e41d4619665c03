//! What a device does that an honest one never does reaches someone: the alarm stands in the list of the security
//! administrators of its area and of nobody else, they are told once, and the audit log names device, user and record.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod device;

use std::time::Duration;

use device::SimDevice;
use doorstep_core::crdt::Registers;
use doorstep_core::crypto::actor;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::{ChangeItem, EventItem, Item};
use doorstep_core::ids::{EventId, RecordId};
use doorstep_core::protocol::MAX_FRAME_UP;
use doorstep_core::protocol::frames::{Down, Outcome};
use doorstep_core::rights::Role;
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use doorstep_server::testing::city::{DISTRICT, OTHER_DISTRICT, VILLAGE};
use doorstep_server::testing::{Person, TestServer};
use serde_json::{Value as Json, json};

/// New residents made in another device's name.
fn forged(count: u8) -> Vec<Item> {
    let stranger = KeyPair::from_secret(&[9; 32]).unwrap().public();
    let items = (1..=count).map(|number| {
        let record = RecordId::from_bytes([number; 16]);
        let fields: Fields = [("_type", "resident"), ("_area", VILLAGE), ("name", "林晓")]
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .into();
        let actor = actor::derive(&stranger, record, 0);
        let (_, bytes, _) = Registers::default().change(actor, 1_795_482_000_000, &fields);
        let record_type = "resident".to_owned();
        Item::Change(ChangeItem {
            record,
            record_type,
            epoch: 0,
            bytes,
        })
    });
    items.collect()
}

async fn listed(server: &TestServer, who: &Person, query: &str) -> Json {
    let path = format!("/api/alarms{query}");
    let reply = server
        .send("GET", &path, Some(&who.token), None)
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

async fn tells_forged(server: &TestServer, liar: &mut SimDevice, count: u8) {
    let now = Timestamp(server.state.clock.now().timestamp_millis());
    let said = liar
        .says(|liar, seq| liar.sealed(seq, now, forged(count)))
        .await;
    let Some(Down::Pushed(pushed)) = said else {
        panic!("{said:?}")
    };
    let code = |outcome: &Outcome| match outcome {
        Outcome::Refused(refusal) => refusal.code.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        pushed.outcomes.iter().map(code).collect::<Vec<_>>(),
        vec!["forged_actor"; count.into()]
    );
}

#[tokio::test]
async fn an_alarm_reaches_the_security_administrators_of_the_devices_area() {
    let server = TestServer::open_city().await.unwrap();
    let here = server
        .person(Role::SecurityAdministrator, DISTRICT)
        .await
        .unwrap();
    let elsewhere = server
        .person(Role::SecurityAdministrator, OTHER_DISTRICT)
        .await
        .unwrap();
    let city = server
        .administrator(Role::SecurityAdministrator)
        .unwrap()
        .clone();
    let mut liar = SimDevice::new(&server, VILLAGE).await;
    tells_forged(&server, &mut liar, 30).await;

    let list = listed(&server, &here, "").await;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{list}");
    let alarm = &items[0];
    assert_eq!(alarm["code"], "forged_actor");
    assert_eq!(alarm["label"], "冒用其他设备的身份提交修改");
    assert_eq!(alarm["device"], liar.who.device.to_string());
    assert_eq!(alarm["user"], liar.person.id.to_string());
    assert_eq!(
        (&alarm["record_type"], &alarm["record_label"]),
        (&json!("resident"), &json!("居民"))
    );
    assert_eq!(
        (&alarm["times"], &alarm["area"]),
        (&json!(30), &json!(VILLAGE))
    );
    assert_eq!(listed(&server, &elsewhere, "").await["items"], json!([]));

    for told in [&here, &city] {
        let messages = server.messages(told.id, "alarm_raised").await.unwrap();
        assert_eq!(messages.len(), 1, "told once: {messages:?}");
        assert!(messages[0].contains("冒用其他设备"), "{messages:?}");
    }
    assert!(
        server
            .messages(elsewhere.id, "alarm_raised")
            .await
            .unwrap()
            .is_empty()
    );

    let auditor = server.administrator(Role::Auditor).unwrap();
    let path = "/api/audit?action=raise_alarm";
    let log = server
        .send("GET", path, Some(&auditor.token), None)
        .await
        .unwrap()
        .body;
    let entry = &log["items"][0];
    assert_eq!(entry["device"], liar.who.device.to_string());
    assert_eq!(entry["user"], liar.person.id.to_string());
    assert_eq!(entry["area"], VILLAGE);
    assert_eq!(
        (&entry["detail"]["code"], &entry["detail"]["times"]),
        (&json!("forged_actor"), &json!(30))
    );
    assert_eq!(
        entry["subject_id"],
        RecordId::from_bytes([1; 16]).to_string()
    );
    assert_eq!(entry["detail"]["records"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn an_alarm_stays_with_those_who_looked_after_its_device_then() {
    let server = TestServer::open_city().await.unwrap();
    let here = server
        .person(Role::SecurityAdministrator, DISTRICT)
        .await
        .unwrap();
    let elsewhere = server
        .person(Role::SecurityAdministrator, OTHER_DISTRICT)
        .await
        .unwrap();
    let mut liar = SimDevice::new(&server, VILLAGE).await;
    tells_forged(&server, &mut liar, 1).await;
    let city = server.administrator(Role::AreaAdministrator).unwrap();
    let path = format!("/api/users/{}", liar.person.id);
    let away = Some(json!({ "area": OTHER_DISTRICT }));
    let moved = server
        .send("PATCH", &path, Some(&city.token), away)
        .await
        .unwrap();
    assert_eq!(moved.status, 200, "{}", moved.body);
    let list = listed(&server, &here, "").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(listed(&server, &elsewhere, "").await["items"], json!([]));
}

#[tokio::test]
async fn what_repeats_within_an_hour_is_one_alarm_and_told_once() {
    let server = TestServer::open_city().await.unwrap();
    let city = server
        .administrator(Role::SecurityAdministrator)
        .unwrap()
        .clone();
    let mut liar = SimDevice::new(&server, VILLAGE).await;
    tells_forged(&server, &mut liar, 2).await;
    tells_forged(&server, &mut liar, 3).await;
    let list = listed(&server, &city, "").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["items"][0]["times"], 5);
    let told = server.messages(city.id, "alarm_raised").await.unwrap();
    assert_eq!(told.len(), 1);
}

#[tokio::test]
async fn envelopes_out_of_order_or_not_authentic_are_alarms_by_device_and_kind() {
    let server = TestServer::open_city().await.unwrap();
    let city = server
        .administrator(Role::SecurityAdministrator)
        .unwrap()
        .clone();
    let now = Timestamp(server.state.clock.now().timestamp_millis());
    let mut gaps = SimDevice::new(&server, VILLAGE).await;
    let said = gaps
        .says(|liar, seq| liar.sealed(seq + 7, now, vec![visit(now.0)]))
        .await;
    assert!(
        matches!(&said, Some(Down::Pushed(pushed)) if pushed.refused.is_some()),
        "{said:?}"
    );
    let mut unsigned = SimDevice::new(&server, VILLAGE).await;
    let stranger = KeyPair::from_secret(&[9; 32]).unwrap();
    let said = unsigned
        .says(|liar, seq| {
            let mut other = liar.who.clone();
            other.key = stranger;
            SimDevice::sealed_by(&other, seq, now, vec![])
        })
        .await;
    assert!(
        matches!(&said, Some(Down::Bye(bye)) if bye.code == "envelope_signature"),
        "{said:?}"
    );

    let all = listed(&server, &city, "").await;
    let mut codes: Vec<&str> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, ["envelope_gap", "envelope_signature"]);
    let query = format!("?device={}&area={VILLAGE}", gaps.who.device);
    let one = listed(&server, &city, &query).await;
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    assert_eq!(one["items"][0]["code"], "envelope_gap");
    let one = listed(&server, &city, "?code=envelope_signature").await;
    assert_eq!(one["items"][0]["device"], unsigned.who.device.to_string());
    let first = listed(&server, &city, "?limit=1").await;
    let next = first["next"].as_str().unwrap();
    let second = listed(&server, &city, &format!("?limit=1&cursor={next}")).await;
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);
    assert!(second["next"].is_null());
    let wrong = server
        .send("GET", "/api/alarms?code=made-up", Some(&city.token), None)
        .await
        .unwrap();
    assert_eq!(
        (
            wrong.status,
            wrong.body["error"]["fields"][0]["path"].as_str()
        ),
        (422, Some("code"))
    );

    let auditor = server.administrator(Role::Auditor).unwrap();
    let path = "/api/audit?action=sync_push&outcome=refused";
    let log = server
        .send("GET", path, Some(&auditor.token), None)
        .await
        .unwrap()
        .body;
    let codes: Vec<&Json> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["detail"]["code"])
        .collect();
    assert_eq!(
        codes,
        [&json!("envelope_signature"), &json!("envelope_gap")]
    );
}

/// The codes of all alarms with how often, in order.
async fn alarms(server: &TestServer) -> Vec<(String, i64)> {
    let city = server.administrator(Role::SecurityAdministrator).unwrap();
    let list = listed(server, city, "").await;
    let mut codes: Vec<(String, i64)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["code"].as_str().unwrap().to_owned(),
                one["times"].as_i64().unwrap(),
            )
        })
        .collect();
    codes.sort_unstable();
    codes
}

fn visit(at: i64) -> Item {
    let fields = Fields::from([
        ("mode".to_owned(), Value::from("01")),
        ("result".to_owned(), Value::from("01")),
        ("at".to_owned(), Value::Int(at)),
    ]);
    let mut id = [7; 16];
    id[..8].copy_from_slice(&at.to_be_bytes());
    Item::Event(EventItem {
        id: EventId::from_bytes(id),
        event_type: "visit".to_owned(),
        area: VILLAGE.parse().unwrap(),
        fields,
    })
}

#[tokio::test]
async fn a_clock_that_is_years_off_and_a_frame_past_the_limit_are_alarms() {
    let server = TestServer::open_city().await.unwrap();
    let now = server.state.clock.now().timestamp_millis();
    let mut late = SimDevice::new(&server, VILLAGE).await;
    // Work of three years ago that comes now is late, and nothing else.
    let ago = now - 3 * 365 * 86_400_000;
    let said = late
        .says(|late, seq| late.sealed(seq, Timestamp(ago), vec![visit(ago)]))
        .await;
    assert!(
        matches!(&said, Some(Down::Pushed(pushed)) if pushed.outcomes == [Outcome::Accepted]),
        "{said:?}"
    );
    assert_eq!(alarms(&server).await, []);

    let mut off = SimDevice::new(&server, VILLAGE).await;
    let end = Timestamp(i64::MAX);
    let said = off
        .says(|off, seq| off.sealed(seq, end, vec![visit(i64::MAX)]))
        .await;
    assert!(
        matches!(&said, Some(Down::Pushed(pushed)) if pushed.outcomes == [Outcome::Accepted]),
        "{said:?}"
    );
    assert_eq!(alarms(&server).await, [("clock_off".to_owned(), 2)]);

    let mut long = SimDevice::new(&server, VILLAGE).await;
    long.says(|_, _| vec![2; MAX_FRAME_UP + 1]).await;
    let both = [
        ("clock_off".to_owned(), 2),
        ("frame_too_long".to_owned(), 1),
    ];
    // The connection may end before the alarm is kept.
    for _ in 0..50 {
        if alarms(&server).await == both {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?}", alarms(&server).await);
}

#[tokio::test]
async fn an_envelope_that_comes_again_and_again_is_an_alarm_and_a_few_times_is_none() {
    let server = TestServer::open_city().await.unwrap();
    let now = server.state.clock.now().timestamp_millis();
    let mut liar = SimDevice::new(&server, VILLAGE).await;
    let send = |times: usize| {
        move |liar: &SimDevice, seq: u64| {
            vec![liar.sealed(seq.max(2) - 1, Timestamp(now), vec![visit(now)]); times]
        }
    };
    let said = liar.says_all(send(50)).await;
    assert_eq!(said.len(), 50);
    assert_eq!(alarms(&server).await, []);
    let said = liar.says_all(send(200)).await;
    assert_eq!(said.len(), 200, "it is answered all the same");
    assert_eq!(alarms(&server).await, [("replayed".to_owned(), 1)]);
}

/// Four envelopes, each of sixty visits.
fn four_of_sixty(device: &SimDevice, next: u64, now: i64) -> Vec<Vec<u8>> {
    let visits = |seq: u64| {
        (0..60)
            .map(|n| visit(now + 1_000 * (seq * 60 + n) as i64))
            .collect()
    };
    (next..next + 4)
        .map(|seq| device.sealed(seq, Timestamp(now), visits(seq)))
        .collect()
}

#[tokio::test]
async fn a_device_past_its_quota_is_told_to_come_later_and_the_others_go_on() {
    let server = TestServer::open_city_with(|config| config.device_items = 100)
        .await
        .unwrap();
    let now = server.state.clock.now().timestamp_millis();
    let mut floods = SimDevice::new(&server, VILLAGE).await;
    let said = floods
        .says_all(|device, next| four_of_sixty(device, next, now))
        .await;
    // The second goes past it, as one is always taken from who has room left.
    let [Down::Pushed(_), Down::Pushed(_), Down::Bye(bye)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(bye.code, "busy");
    assert!(bye.retry_after_ms.unwrap() > 60_000, "{bye:?}");
    assert_eq!(alarms(&server).await, [("quota_exceeded".to_owned(), 1)]);
    let again = floods
        .says(|device, next| device.sealed(next, Timestamp(now), vec![visit(1)]))
        .await;
    assert!(
        matches!(&again, Some(Down::Bye(bye)) if bye.code == "busy"),
        "{again:?}"
    );
    assert_eq!(
        alarms(&server).await,
        [("quota_exceeded".to_owned(), 1)],
        "not at each try"
    );

    let mut honest = SimDevice::new(&server, VILLAGE).await;
    honest.create_resident("叶海思", "310115197004275621");
    honest.sync().await;
    assert_eq!(honest.unsent(), 0);
    let mut refused = SimDevice::new(&server, VILLAGE).await;
    tells_forged(&server, &mut refused, 30).await;
    let said = refused
        .says(|device, next| device.sealed(next, Timestamp(now), forged(1)))
        .await;
    assert!(
        matches!(&said, Some(Down::Bye(bye)) if bye.code == "busy"),
        "{said:?}"
    );
    let codes: Vec<String> = alarms(&server)
        .await
        .into_iter()
        .map(|(code, _)| code)
        .collect();
    assert_eq!(codes, ["forged_actor", "quota_exceeded", "quota_refused"]);
}

#[tokio::test]
async fn past_its_quota_a_device_still_hears_what_became_of_what_was_taken() {
    let server = TestServer::open_city_with(|config| config.device_items = 100)
        .await
        .unwrap();
    let now = server.state.clock.now().timestamp_millis();
    let mut floods = SimDevice::new(&server, VILLAGE).await;
    // As many under way as a device keeps; the third is past the quota.
    let said = floods
        .says_at_once(|device, next| four_of_sixty(device, next, now))
        .await;
    assert!(
        matches!(said.as_slice(), [Down::Pushed(one), Down::Pushed(two), Down::Bye(bye), ..]
            if one.outcomes.len() == 60 && two.outcomes.len() == 60 && bye.code == "busy"),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_was_under_way_behind_an_envelope_that_could_not_be_kept_is_no_alarm() {
    let server = TestServer::open_city().await.unwrap();
    let now = server.state.clock.now().timestamp_millis();
    let mut honest = SimDevice::new(&server, VILLAGE).await;
    // The first of four failed, so the others come without it.
    let said = honest
        .says_at_once(|device, next| {
            (next + 1..next + 4)
                .map(|seq| device.sealed(seq, Timestamp(now), vec![visit(now)]))
                .collect()
        })
        .await;
    assert_eq!(said.len(), 3, "{said:?}");
    for down in said {
        let Down::Pushed(pushed) = down else {
            panic!("{down:?}")
        };
        assert_eq!(pushed.refused.unwrap().code, "envelope_gap");
    }
    assert_eq!(alarms(&server).await, []);
    honest
        .says(|device, next| device.sealed(next + 4, Timestamp(now), vec![visit(now)]))
        .await;
    assert_eq!(alarms(&server).await, [("envelope_gap".to_owned(), 1)]);
}

#[tokio::test]
async fn what_was_refused_once_is_not_counted_again_when_its_answer_was_lost() {
    let server = TestServer::open_city_with(|config| config.device_items = 100)
        .await
        .unwrap();
    let now = server.state.clock.now().timestamp_millis();
    let mut moved = SimDevice::new(&server, VILLAGE).await;
    let said = moved
        .says_all(|device, next| vec![device.sealed(next, Timestamp(now), forged(5)); 8])
        .await;
    // A fifth of a hundred may be refused: five are, and not forty.
    assert_eq!(said.len(), 8, "{said:?}");
    assert!(
        said.iter().all(|down| matches!(down, Down::Pushed(_))),
        "{said:?}"
    );
    assert_eq!(alarms(&server).await, [("forged_actor".to_owned(), 5)]);
}

#[tokio::test]
async fn honest_work_raises_none() {
    let server = TestServer::open_city().await.unwrap();
    let city = server
        .administrator(Role::SecurityAdministrator)
        .unwrap()
        .clone();
    let mut honest = SimDevice::new(&server, VILLAGE).await;
    let id = honest.create_resident("叶海思", "310115197004275621");
    honest.push_and_vanish().await;
    honest.sync().await;
    honest.set(id, "phone", "13800138000");
    honest.sync().await;
    assert_eq!(listed(&server, &city, "").await["items"], json!([]));
}

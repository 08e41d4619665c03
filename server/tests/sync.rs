//! Devices over real websockets: what one records the others hold, conflicts are queued, rights are kept. Each test is
//! played on one node, and on two that share a database and hear each other over NATS, with devices at both.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod device;
mod nodes;

use chrono::{DateTime, Utc};
use device::{SimDevice, administer};
use doorstep_core::ids::{RecordId, ScopeId};
use doorstep_core::protocol::frames::{Purged, Up};
use doorstep_core::value::Value;
use doorstep_server::database::system_tx;
use doorstep_server::domains::users;
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::{NEXT_VILLAGE, OTHER_VILLAGE, VILLAGE};
use nodes::{BOTH, city};

#[tokio::test]
async fn what_one_records_the_other_holds_and_both_digests_are_the_servers() {
    for nodes in BOTH {
        let server = city(nodes, |_| {}).await;
        let (mut one, mut two) = (
            SimDevice::new(&server, VILLAGE).await,
            SimDevice::new(&server, VILLAGE).await,
        );
        let id = one.create_resident("叶海思", "310115197004275621");
        one.sync().await;
        assert_eq!(one.unsent(), 0);
        two.sync().await;
        assert_eq!(two.field(id, "name"), Some(Value::from("叶海思")));
        two.set(id, "phone", "13800138000");
        two.sync().await;
        one.sync().await;
        assert_eq!(one.field(id, "phone"), Some(Value::from("13800138000")));
        assert_eq!(one.digest(), two.digest());
        one.reconnect_is_one_small_frame_each_way().await;
    }
}

#[tokio::test]
async fn concurrent_edits_of_a_reviewed_field_open_one_item_and_both_are_told() {
    for nodes in BOTH {
        let server = city(nodes, |_| {}).await;
        let (mut one, mut two) = (
            SimDevice::new(&server, VILLAGE).await,
            SimDevice::new(&server, VILLAGE).await,
        );
        let id = one.create_resident("叶海思", "310115197004275621");
        one.sync().await;
        two.sync().await;
        one.set(id, "name", "叶海思思");
        two.set(id, "name", "叶海诗");
        two.set(id, "phone", "13800138000");
        one.sync().await;
        two.sync().await;
        one.sync().await;
        let open: Vec<(String, String)> =
            rows(&server, "SELECT kind, subject FROM conflicts").await;
        assert_eq!(open, [("field".to_owned(), "name".to_owned())]);
        assert_eq!(
            one.field(id, "name"),
            two.field(id, "name"),
            "both show the winner until it is decided"
        );
        assert_eq!(one.messages("conflict_opened"), 1);
        two.sync().await;
        assert_eq!(two.messages("conflict_opened"), 1);
    }
}

#[tokio::test]
async fn nothing_of_another_village_is_sent_and_edits_out_of_scope_are_kept_for_the_supervisor() {
    for nodes in BOTH {
        let server = city(nodes, |_| {}).await;
        let mut one = SimDevice::new(&server, VILLAGE).await;
        let mut other = SimDevice::new(&server, OTHER_VILLAGE).await;
        let id = one.create_resident("叶海思", "310115197004275621");
        one.sync().await;
        other.sync().await;
        assert_eq!(other.field(id, "name"), None);
        let stray = other.create_resident_in("王一", "11010519491231002X", NEXT_VILLAGE);
        other.sync().await;
        assert_eq!(other.unsent(), 0);
        assert_eq!(other.refusals(), ["out_of_scope"]);
        assert_eq!(other.field(stray, "name"), None, "not merged here either");
        let kept: Vec<(String,)> = rows(&server, "SELECT code FROM refused_items").await;
        assert_eq!(kept, [("out_of_scope".to_owned(),)]);
    }
}

#[tokio::test]
async fn a_lost_answer_changes_nothing() {
    for nodes in BOTH {
        let server = city(nodes, |_| {}).await;
        let mut one = SimDevice::new(&server, VILLAGE).await;
        one.create_resident("叶海思", "310115197004275621");
        one.push_and_vanish().await;
        assert!(one.unsent() > 0);
        one.sync().await;
        assert_eq!(one.unsent(), 0);
        let changes: Vec<(i64,)> = rows(&server, "SELECT count(*) FROM changes").await;
        assert_eq!(changes, [(1,)]);
    }
}

#[tokio::test]
async fn what_happens_reaches_those_online_at_once() {
    for nodes in BOTH {
        let server = city(nodes, |_| {}).await;
        let (mut one, mut two) = (
            SimDevice::new(&server, VILLAGE).await,
            SimDevice::new(&server, VILLAGE).await,
        );
        two.sync().await;
        let mut live = two.connect().await;
        let id = one.create_resident("叶海思", "310115197004275621");
        one.sync().await;
        two.listen_until(&mut live, |device| device.field(id, "name").is_some())
            .await;
    }
}

#[tokio::test]
async fn a_far_behind_device_fetches_a_bundle() {
    for nodes in BOTH {
        let server = city(nodes, |_| {}).await;
        let mut one = SimDevice::new(&server, VILLAGE).await;
        for n in 0..150 {
            one.create_resident(&format!("王{n}"), "");
        }
        one.sync().await;
        let mut two = SimDevice::new(&server, VILLAGE).await;
        two.sync().await;
        assert_eq!(two.bundles, 1);
        let other = SimDevice::new(&server, OTHER_VILLAGE).await;
        let refused = two.fetch_bundle(&other.token).await.status();
        assert_eq!(refused, 403, "a bundle is for who follows its scope");
        assert_eq!(two.count(), 150);
        assert_eq!(one.digest(), two.digest());
    }
}

#[tokio::test]
async fn a_right_that_ends_takes_the_records_with_it() {
    for nodes in BOTH {
        let server = city(nodes, |_| {}).await;
        let mut one = SimDevice::new(&server, VILLAGE).await;
        let id = one.create_resident("叶海思", "310115197004275621");
        one.sync().await;
        one.set(id, "phone", "13800138000");
        one.lose_all_rights(&server).await;
        one.sync().await;
        assert_eq!(one.count(), 0);
        assert_eq!(one.unsent(), 0, "what was unsent went to the supervisor");
        let kept: Vec<(String,)> = rows(&server, "SELECT kind FROM conflicts").await;
        assert_eq!(kept, [("quarantined".to_owned(),)]);
    }
}

#[tokio::test]
async fn offline_edits_of_different_fields_both_stay_and_a_cancellation_beside_an_edit_is_reviewed()
{
    for nodes in BOTH {
        let server = city(nodes, |_| {}).await;
        let (mut one, mut two) = (
            SimDevice::new(&server, VILLAGE).await,
            SimDevice::new(&server, VILLAGE).await,
        );
        let resident = one.create_resident("叶海思", "310115197004275621");
        let house = one.create_house("陕西中路12弄28号1702室");
        one.sync().await;
        two.sync().await;
        one.set(resident, "phone", "13812341234");
        two.set(resident, "workplace", "某厂");
        one.set(house, "house_use", "4");
        two.set(house, "owner_name", "王一");
        one.sync().await;
        two.sync().await;
        one.sync().await;
        for device in [&one, &two] {
            assert_eq!(device.field(resident, "phone"), Some("13812341234".into()));
            assert_eq!(device.field(resident, "workplace"), Some("某厂".into()));
            assert_eq!(device.field(house, "house_use"), Some("4".into()));
            assert_eq!(device.field(house, "owner_name"), Some("王一".into()));
        }
        assert_eq!(one.digest(), two.digest());
        let open: Vec<(String,)> = rows(&server, "SELECT kind FROM conflicts").await;
        assert!(open.is_empty(), "{open:?}");
        one.cancel(house, "70");
        two.set(house, "owner_name", "王二");
        one.sync().await;
        two.sync().await;
        let open: Vec<(String,)> = rows(&server, "SELECT kind FROM conflicts").await;
        assert_eq!(open, [("update_cancelled".to_owned(),)]);
    }
}

#[tokio::test]
async fn a_role_given_or_taken_reaches_an_online_phone_within_two_seconds() {
    for nodes in BOTH {
        let server = city(nodes, |_| {}).await;
        let mut other = SimDevice::new(&server, NEXT_VILLAGE).await;
        let theirs = other.create_resident("王一", "11010519491231002X");
        other.sync().await;
        let mut one = SimDevice::new(&server, VILLAGE).await;
        let own = one.create_resident("叶海思", "310115197004275621");
        one.sync().await;
        let mut live = one.connect().await;
        one.listen_until(&mut live, |device| device.rights().contains(VILLAGE))
            .await;
        let begun = std::time::Instant::now();
        let grant = one.grant(&server, NEXT_VILLAGE, None).await;
        one.listen_until(&mut live, |device| {
            device.field(theirs, "name").is_some() && device.rights().contains(NEXT_VILLAGE)
        })
        .await;
        let given = begun.elapsed();
        let begun = std::time::Instant::now();
        one.take_back(&server, &grant).await;
        one.listen_until(&mut live, |device| {
            device.field(theirs, "name").is_none() && !device.rights().contains(NEXT_VILLAGE)
        })
        .await;
        let taken = begun.elapsed();
        assert!(
            given.as_secs_f32() < 2.0 && taken.as_secs_f32() < 2.0,
            "{given:?} {taken:?}"
        );
        assert!(one.field(own, "name").is_some(), "the other right stays");
        // One who is away learns of it before anything else is exchanged.
        drop(live);
        one.grant(&server, NEXT_VILLAGE, None).await;
        assert!(one.field(theirs, "name").is_none());
        one.sync().await;
        assert!(one.field(theirs, "name").is_some());
    }
}

#[tokio::test]
async fn a_grant_that_ends_by_its_date_and_a_closed_account_stop_an_open_connection() {
    for nodes in BOTH {
        let server = city(nodes, |config| {
            config.rights_interval = std::time::Duration::from_millis(100);
            config.sign_in.device_session_idle = std::time::Duration::from_secs(7 * 86_400);
            config.sign_in.session_idle = std::time::Duration::from_secs(7 * 86_400);
            config.sign_in.session_lifetime = std::time::Duration::from_secs(7 * 86_400);
        })
        .await;
        let mut other = SimDevice::new(&server, NEXT_VILLAGE).await;
        let theirs = other.create_resident("王一", "11010519491231002X");
        other.sync().await;
        let mut one = SimDevice::new(&server, VILLAGE).await;
        let own = one.create_resident("叶海思", "310115197004275621");
        one.grant(&server, NEXT_VILLAGE, Some("2026-11-24")).await;
        one.sync().await;
        assert!(one.field(theirs, "name").is_some());
        let mut live = one.connect().await;
        server.clock.advance(std::time::Duration::from_secs(86_400));
        one.listen_until(&mut live, |device| {
            device.field(theirs, "name").is_none() && !device.rights().contains(NEXT_VILLAGE)
        })
        .await;
        assert!(one.field(own, "name").is_some());
        one.close_account(&server).await;
        one.listen_until_closed(&mut live).await;
    }
}

#[tokio::test]
async fn a_device_owes_a_purge_until_it_says_that_it_is_done() {
    for nodes in BOTH {
        let server = city(nodes, |config| {
            config.sign_in.device_session_idle = std::time::Duration::from_secs(7 * 86_400);
            config.sign_in.session_idle = std::time::Duration::from_secs(7 * 86_400);
            config.sign_in.session_lifetime = std::time::Duration::from_secs(7 * 86_400);
        })
        .await;
        let (mut one, theirs, grant) = granted_next_door(&server).await;
        assert!(one.field(theirs, "name").is_some());
        assert_eq!(owing(&server).await, [] as [String; 0]);
        // Away: it owes from the moment the right is taken, and while it does not say that it is done.
        one.take_back(&server, &grant).await;
        let itself = [one.who.device.to_string()];
        assert_eq!(owing(&server).await, itself);
        let mut live = one.connect().await;
        one.listen_until(&mut live, |device| device.field(theirs, "name").is_none())
            .await;
        drop(live);
        assert_eq!(owing(&server).await, itself);
        // Signing in without what it was to forget is word enough.
        one.sync().await;
        owes_nothing(&server).await;
        // Told and done on one connection.
        let grant = one.grant(&server, NEXT_VILLAGE, None).await;
        one.sync().await;
        one.take_back(&server, &grant).await;
        assert_eq!(owing(&server).await, itself);
        one.sync().await;
        assert!(one.field(theirs, "name").is_none());
        owes_nothing(&server).await;
        // A right that ends by its date, while the device is away.
        one.grant(&server, NEXT_VILLAGE, Some("2026-11-24")).await;
        one.sync().await;
        users::service::note_ended(&server.state).await.unwrap();
        owes_nothing(&server).await;
        server.clock.advance(std::time::Duration::from_secs(86_400));
        users::service::note_ended(&server.state).await.unwrap();
        assert_eq!(owing(&server).await, itself);
        one.sync().await;
        owes_nothing(&server).await;
        // Whose account is closed can't come back to do it: the list says what is still out there.
        one.close_account(&server).await;
        assert_eq!(owing(&server).await, itself);
    }
}

/// Else it would be ended as idle, while its phone comes every day.
#[tokio::test]
async fn a_phone_that_comes_uses_its_session() {
    for nodes in BOTH {
        let server = city(nodes, |_| {}).await;
        let mut one = SimDevice::new(&server, VILLAGE).await;
        one.sync().await;
        server.clock.advance(std::time::Duration::from_secs(120));
        one.sync().await;
        let now = server.state.clock.now();
        let seen = "SELECT last_seen_at FROM sessions WHERE device_id IS NOT NULL";
        for tried in 0.. {
            if rows::<(DateTime<Utc>,)>(&server, seen).await == [(now,)] {
                break;
            }
            assert!(tried < 50, "the session was not used");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

/// Contacts lock devices and then the log's head. Whoever takes a right away, or hears that it was purged, the other way
/// round would wait for them while they wait for it, until the database breaks one of them off.
#[tokio::test]
async fn whatever_writes_to_a_device_takes_the_logs_head_last() {
    let server = city(1, |_| {}).await;
    let (mut one, theirs, grant) = granted_next_door(&server).await;
    let device = one.who.device;
    let contacts = async || {
        let mut tx = system_tx(&server.state.pool).await.unwrap();
        sqlx::query("UPDATE devices SET unsent = unsent WHERE id = $1")
            .bind(device.0)
            .execute(&mut *tx)
            .await
            .unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        sqlx::query("SELECT seq FROM audit_head FOR UPDATE")
            .execute(&mut *tx)
            .await
            .expect("the log's head, while others write to the device");
        tx.commit().await.unwrap();
    };
    let taking = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        one.take_back(&server, &grant).await;
    };
    tokio::join!(contacts(), taking);
    let mut live = one.connect().await;
    one.listen_until(&mut live, |device| device.field(theirs, "name").is_none())
        .await;
    let purged = Up::Purged(Purged {
        scope: ScopeId::Area(NEXT_VILLAGE.parse().unwrap()),
        records: Vec::new(),
    });
    let saying = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        live.say(&purged).await;
    };
    tokio::join!(contacts(), saying);
    owes_nothing(&server).await;
}

/// A phone that has just been granted the next village too and holds what lies there; of that a resident; the grant.
async fn granted_next_door(server: &TestServer) -> (SimDevice, RecordId, String) {
    let mut other = SimDevice::new(server, NEXT_VILLAGE).await;
    let theirs = other.create_resident("王一", "11010519491231002X");
    other.sync().await;
    let mut one = SimDevice::new(server, VILLAGE).await;
    let grant = one.grant(server, NEXT_VILLAGE, None).await;
    one.sync().await;
    (one, theirs, grant)
}

/// The devices that have not said that they purged what they may no longer hold.
async fn owing(server: &TestServer) -> Vec<String> {
    let list = administer(server, "GET", "/api/devices?purge_owed=true", None).await;
    assert_eq!(list.status, 200, "{}", list.body);
    let items = list.body["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            assert!(item["purge_owed_since"].is_string(), "{item}");
            item["id"].as_str().unwrap().to_owned()
        })
        .collect()
}

async fn owes_nothing(server: &TestServer) {
    for _ in 0..50 {
        if owing(server).await.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("a device still owes a purge");
}

async fn rows<T>(server: &TestServer, query: &'static str) -> Vec<T>
where
    T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    sqlx::query_as(query).fetch_all(&mut *tx).await.unwrap()
}

//! What one device may take up, and what it leaves in the log: one connection, so many repairs, so many words.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod device;

use std::time::{Duration, Instant};

use device::{SimDevice, administer};
use doorstep_core::envelope::{EventItem, Item};
use doorstep_core::ids::{EventId, RecordId, ScopeId};
use doorstep_core::protocol::VERSION;
use doorstep_core::protocol::frames::{Down, Heads, Hello, Outcome, Purged, Unsent, Up};
use doorstep_core::rights::Role;
use doorstep_core::value::{Fields, Value};
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::{OTHER_VILLAGE, VILLAGE};
use serde_json::{Value as Json, json};

fn village() -> ScopeId {
    ScopeId::Area(VILLAGE.parse().unwrap())
}

/// Something that is taken.
fn visit(number: u8) -> Item {
    let fields = Fields::from([
        ("mode".to_owned(), Value::from("01")),
        ("result".to_owned(), Value::from("01")),
        ("at".to_owned(), Value::Int(1_795_482_000_000)),
    ]);
    Item::Event(EventItem {
        id: EventId::from_bytes([number; 16]),
        event_type: "visit".to_owned(),
        area: VILLAGE.parse().unwrap(),
        fields,
    })
}

/// A device that says it holds nothing of the village.
fn holds_nothing() -> Vec<u8> {
    let heads = Heads {
        scope: village(),
        seq: 0,
        records: Vec::new(),
    };
    Up::Heads(heads).encode()
}

#[tokio::test]
async fn the_newer_connection_of_a_device_ends_the_older_and_goes_on() {
    let server = TestServer::open_city().await.unwrap();
    let mut one = SimDevice::new(&server, VILLAGE).await;
    let mut two = SimDevice::new(&server, VILLAGE).await;
    one.sync().await;
    let mut older = one.connect().await;
    one.sees_welcome(&mut older).await;
    let mut newer = one.connect().await;
    let bye = one.hears_goodbye(&mut older).await;
    assert_eq!(bye.code, "replaced");
    assert_eq!(
        bye.retry_after_ms, None,
        "or the two would take turns for ever"
    );
    one.listen_until_closed(&mut older).await;
    let id = two.create_resident("叶海思", "310115197004275621");
    two.sync().await;
    one.listen_until(&mut newer, |one| one.field(id, "name").is_some())
        .await;
    // Its own end takes nothing from the one after it.
    drop(newer);
    one.set(id, "phone", "13800138000");
    one.sync().await;
    assert_eq!(one.unsent(), 0);
}

#[tokio::test]
async fn a_device_is_given_so_many_repairs_a_minute_however_often_it_connects() {
    let server = TestServer::open_city().await.unwrap();
    let mut one = SimDevice::new(&server, VILLAGE).await;
    let mut two = SimDevice::new(&server, VILLAGE).await;
    one.create_resident("叶海思", "310115197004275621");
    one.sync().await;
    let began = Instant::now();
    let said = one
        .says_after(vec![holds_nothing(); 30], vec![visit(1)])
        .await;
    assert!(matches!(said, Some(Down::Pushed(_))), "{said:?}");
    let said = one
        .says_after(vec![holds_nothing(); 100], vec![visit(2)])
        .await;
    let Some(Down::Bye(bye)) = said else {
        panic!("{said:?}")
    };
    assert_eq!(bye.code, "busy");
    assert!(
        (1..=60_000).contains(&bye.retry_after_ms.unwrap()),
        "{bye:?}"
    );
    // One is forgiven every two seconds, however slow this machine is.
    let most = 31 + began.elapsed().as_secs() / 2;
    let given = log(&server, "sync_repair").await.len() as u64;
    assert!((30..=most).contains(&given), "{given} of {most}");
    // Another device has its own.
    let said = two
        .says_after(vec![holds_nothing(); 30], vec![visit(3)])
        .await;
    assert!(matches!(said, Some(Down::Pushed(_))), "{said:?}");
}

#[tokio::test]
async fn what_a_device_has_stored_costs_the_database_nothing() {
    let mut server = TestServer::open_city().await.unwrap();
    server.narrow_to(1).await.unwrap();
    let mut one = SimDevice::new(&server, VILLAGE).await;
    one.create_resident("叶海思", "310115197004275621");
    one.sync().await;
    let mut live = one.connect().await;
    one.sees_welcome(&mut live).await;
    // Whoever asks the database now waits.
    let held = server.state.pool.acquire().await.unwrap();
    for seq in (0..500).chain([u64::MAX; 500]) {
        live.say(&Up::Stored(village(), seq)).await;
    }
    let out_of_place = Hello {
        version: VERSION,
        token: Vec::new(),
        device: one.who.device,
        scopes: Vec::new(),
    };
    live.say(&Up::Hello(out_of_place)).await;
    let bye = one.hears_goodbye(&mut live).await;
    assert_eq!(bye.code, "protocol", "the frames before it were read");
    drop(held);
}

#[tokio::test]
async fn of_what_a_device_says_is_unsent_the_last_is_kept_and_little_before_it() {
    let server = TestServer::open_city().await.unwrap();
    let mut one = SimDevice::new(&server, VILLAGE).await;
    for statement in [
        "CREATE TABLE noted (unsent integer NOT NULL)",
        "CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS \
         'BEGIN INSERT INTO public.noted VALUES (NEW.unsent); RETURN NULL; END'",
        "CREATE TRIGGER note_it AFTER UPDATE ON devices FOR EACH ROW EXECUTE FUNCTION note_it()",
    ] {
        server.database.as_owner(statement).await.unwrap();
    }
    let mut live = one.connect().await;
    one.sees_welcome(&mut live).await;
    let began = Instant::now();
    for items in (1..=60).rev() {
        let unsent = Unsent {
            items: items * 7,
            ..Unsent::default()
        };
        live.say(&Up::Unsent(unsent)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let path = format!("/api/devices/{}", one.who.device);
    let mut unsent = Json::Null;
    for _ in 0..200 {
        unsent = administer(&server, "GET", &path, None).await.body["unsent"].clone();
        if unsent == 7 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(unsent, 7, "the last one counts");
    // The first and then one a second, however slow this machine is.
    let most = 2 + began.elapsed().as_secs();
    let noted = server.database.as_owner("DELETE FROM noted").await.unwrap();
    assert!(noted <= most, "{noted} of {most}");
}

#[tokio::test]
async fn who_opens_records_too_fast_is_not_followed_through_all_of_them() {
    let server = TestServer::open_city().await.unwrap();
    let mut one = SimDevice::new(&server, VILLAGE).await;
    let mut two = SimDevice::new(&server, VILLAGE).await;
    let ids = [
        one.create_resident("叶海思", "310115197004275621"),
        one.create_resident("林晓", ""),
    ];
    one.sync().await;
    two.sync().await;
    let mut there = two.connect().await;
    two.sees_welcome(&mut there).await;
    let mut here = one.connect().await;
    one.sees_welcome(&mut here).await;
    for turn in 0..40 {
        one.look_at(&mut here, Some(ids[turn % 2])).await;
    }
    let told = two.counts_presence(&mut there).await;
    assert!((1..=15).contains(&told), "told {told} times");
    // A person's own pace is followed.
    one.look_at(&mut here, Some(ids[0])).await;
    two.sees_present(&mut there, 1).await;
    one.look_at(&mut here, None).await;
    two.sees_present(&mut there, 0).await;
}

/// What the log says of an action, newest first.
async fn log(server: &TestServer, action: &str) -> Vec<Json> {
    let auditor = server.administrator(Role::Auditor).unwrap();
    let path = format!("/api/audit?action={action}&limit=500");
    let reply = server
        .send("GET", &path, Some(&auditor.token), None)
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_envelope_of_nothing_is_not_taken() {
    let server = TestServer::open_city().await.unwrap();
    let mut one = SimDevice::new(&server, VILLAGE).await;
    let said = one.says_after(vec![], vec![]).await;
    assert!(
        matches!(&said, Some(Down::Bye(bye)) if bye.code == "envelope_malformed"),
        "{said:?}"
    );
    let said = one.says_after(vec![], vec![visit(1)]).await;
    assert!(
        matches!(&said, Some(Down::Pushed(pushed)) if pushed.outcomes == [Outcome::Accepted]),
        "{said:?}"
    );
}

#[tokio::test]
async fn only_a_purge_that_was_asked_for_is_noted_and_not_without_end() {
    let server = TestServer::open_city_with(|config| config.device_items = 100)
        .await
        .unwrap();
    let mut one = SimDevice::new(&server, VILLAGE).await;
    let purged = |scope: ScopeId, records: Vec<RecordId>| {
        let purged = Purged { scope, records };
        Up::Purged(purged).encode()
    };
    let elsewhere = ScopeId::Area(OTHER_VILLAGE.parse().unwrap());
    let record = RecordId::from_bytes([7; 16]);
    let frames = vec![
        purged(elsewhere, vec![]),
        purged(elsewhere, vec![record]),
        // It follows this one, and was not told to drop it.
        purged(village(), vec![]),
        purged(village(), vec![record]),
    ];
    let said = one.says_after(frames, vec![visit(1)]).await;
    assert!(matches!(said, Some(Down::Pushed(_))), "{said:?}");
    let noted = log(&server, "sync_purged").await;
    assert_eq!(noted.len(), 1, "{noted:?}");
    assert_eq!(noted[0]["detail"]["records"], 1);
    let frames = vec![purged(village(), vec![record]); 200];
    let said = one.says_after(frames, vec![visit(2)]).await;
    assert!(
        matches!(&said, Some(Down::Bye(bye)) if bye.code == "busy"),
        "{said:?}"
    );
    assert!(log(&server, "sync_purged").await.len() <= 100);
}

/// The entries of devices that came, once there are so many: nobody waits for them.
async fn came(server: &TestServer, count: usize) -> Vec<Json> {
    for _ in 0..100 {
        let entries = log(server, "open_sync").await;
        if entries.len() == count {
            return entries;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", log(server, "open_sync").await);
}

#[tokio::test]
async fn who_signs_in_and_whose_records_are_sent_again_stands_in_the_log() {
    let server = TestServer::open_city().await.unwrap();
    let mut one = SimDevice::new(&server, VILLAGE).await;
    for name in ["叶海思", "林晓", "王一"] {
        one.create_resident(name, "");
    }
    one.sync().await;
    let came = came(&server, 1).await;
    assert_eq!(came[0]["user"], one.person.id.to_string());
    assert_eq!(came[0]["device"], one.who.device.to_string());
    assert_eq!(came[0]["detail"]["areas"], json!([VILLAGE]));
    assert!(log(&server, "sync_repair").await.is_empty());
    let said = one.says_after(vec![holds_nothing()], vec![visit(1)]).await;
    assert!(matches!(said, Some(Down::Pushed(_))), "{said:?}");
    self::came(&server, 2).await;
    let sent = log(&server, "sync_repair").await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["device"], one.who.device.to_string());
    assert_eq!(sent[0]["area"], VILLAGE);
    assert_eq!(sent[0]["detail"]["records"], 3);
}

/// A text that can't be packed.
fn noise(number: u32) -> String {
    let mut state = number.wrapping_mul(2_654_435_761) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        char::from_u32(0x4e00 + state % 20_000).unwrap()
    };
    (0..500).map(next).collect()
}

#[tokio::test]
async fn a_device_that_reads_nothing_is_cut_off_as_soon_as_it_is_stopped() {
    let server = TestServer::open_city().await.unwrap();
    let mut one = SimDevice::new(&server, VILLAGE).await;
    for number in 0..200 {
        let id = one.create_resident(&format!("王{number}"), "");
        one.set(id, "remark", &noise(number));
    }
    one.sync().await;
    // More than all buffers on the way hold: the server waits half a minute for each frame to be read.
    let _open = one.reads_nothing(vec![holds_nothing(); 25]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(server.state.hub.followers(village()) > 0);
    let path = format!("/api/devices/{}/revoke", one.who.device);
    let reason = json!({ "reason": "手机遗失" });
    let reply = administer(&server, "POST", &path, Some(reason)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let stopped = Instant::now();
    while server.state.hub.followers(village()) > 0 {
        assert!(stopped.elapsed() < Duration::from_secs(20), "still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

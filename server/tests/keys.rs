//! The key tree over the database: area keys are shared and bound to their place, record keys to their record.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_server::keys::{FileKeys, KeyRing, WrappedKey};
use doorstep_server::rotation;
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::VILLAGE;

fn record(n: u8) -> RecordId {
    RecordId::from_bytes([n; 16])
}

fn area(text: &str) -> AreaCode {
    text.parse().unwrap()
}

/// Another node: the same root key and database, nothing cached.
fn another_node(server: &TestServer) -> KeyRing {
    let provider = FileKeys::open(&server.data().join("keys")).unwrap();
    KeyRing::new(std::sync::Arc::new(provider), &server.state.pool)
}

#[tokio::test]
async fn a_record_key_opens_on_every_node_and_only_for_its_record_and_area() {
    let server = TestServer::start().await.unwrap();
    let village = area("310101002001");
    let (key, wrapped) = server
        .state
        .keys
        .new_record_key(record(1), village)
        .await
        .unwrap();
    let other = another_node(&server);
    assert_eq!(other.record_key(record(1), &wrapped).await.unwrap(), key);
    assert!(other.record_key(record(2), &wrapped).await.is_err());
    server
        .state
        .keys
        .area_key(area("310101002002"))
        .await
        .unwrap();
    let moved = WrappedKey {
        area: area("310101002002"),
        ..wrapped.clone()
    };
    assert!(other.record_key(record(1), &moved).await.is_err());
    for at in 0..wrapped.sealed.len() {
        let mut flipped = wrapped.clone();
        flipped.sealed[at] ^= 1;
        assert!(
            other.record_key(record(1), &flipped).await.is_err(),
            "byte {at}"
        );
    }
}

#[tokio::test]
async fn nodes_that_ask_at_once_get_one_key() {
    let server = TestServer::start().await.unwrap();
    let village = area("310101002001");
    let nodes: Vec<KeyRing> = (0..8).map(|_| another_node(&server)).collect();
    let keys = futures_util::future::join_all(
        nodes
            .iter()
            .map(|node| node.new_record_key(record(1), village)),
    )
    .await;
    let reader = another_node(&server);
    for made in keys {
        let (key, wrapped) = made.unwrap();
        assert_eq!(
            (
                wrapped.version,
                reader.record_key(record(1), &wrapped).await.unwrap()
            ),
            (1, key)
        );
    }
}

#[tokio::test]
async fn keys_rotate_under_load_without_one_failed_read() {
    let server = TestServer::start().await.unwrap();
    let village = area("310101002001");
    let ring = &server.state.keys;
    let (first, old) = ring.new_record_key(record(1), village).await.unwrap();
    let reads = async {
        for n in 0..60 {
            assert_eq!(ring.record_key(record(1), &old).await.unwrap(), first);
            let (key, wrapped) = ring.new_record_key(record(n), village).await.unwrap();
            assert_eq!(
                another_node(&server)
                    .record_key(record(n), &wrapped)
                    .await
                    .unwrap(),
                key
            );
        }
    };
    let rotations = async {
        for version in 2..8 {
            assert_eq!(ring.rotate(village).await.unwrap(), version);
        }
    };
    tokio::join!(reads, rotations);
    assert_eq!(
        ring.new_record_key(record(9), village)
            .await
            .unwrap()
            .1
            .version,
        7
    );
}

#[tokio::test]
async fn a_wrapped_area_key_moved_or_altered_in_the_database_does_not_open() {
    let server = TestServer::start().await.unwrap();
    let (one, two) = (area("310101002001"), area("310101002002"));
    server.state.keys.area_key(one).await.unwrap();
    server.state.keys.area_key(two).await.unwrap();
    let swap = format!(
        "UPDATE area_keys SET wrapped = (SELECT wrapped FROM area_keys WHERE area_code = '{one}') WHERE area_code = '{two}'"
    );
    server.database.as_owner(&swap).await.unwrap();
    assert!(another_node(&server).area_key(two).await.is_err());
    assert!(another_node(&server).area_key(one).await.is_ok());
}

/// Tables with keys of their own whose rows are under an old key of an area.
const BEHIND: &str =
    "SELECT (SELECT count(*) FROM records WHERE area_code = $1 AND key_version < $2)
    + (SELECT count(*) FROM events WHERE area_code = $1 AND key_version < $2)
    + (SELECT count(*) FROM conflicts WHERE area_code = $1 AND key_version < $2)";
/// Tables that hold wrapped keys without what a rotation finds them by.
const NOT_FOUND: &str = "SELECT table_name::text FROM information_schema.columns AS held
    WHERE table_schema = current_schema() AND column_name = 'wrapped_key' AND 3 <> (SELECT count(*)
        FROM information_schema.columns AS other WHERE other.table_schema = held.table_schema
        AND other.table_name = held.table_name AND other.column_name IN ('id', 'area_code', 'key_version'))";

#[tokio::test]
async fn a_rotation_wraps_all_keys_again_and_everything_stays_readable() {
    let server = TestServer::open_city().await.unwrap();
    let (conflict, resident, mut phone, other) = server.dispute(VILLAGE).await.unwrap();
    let (_, visit) = phone.visit(resident, VILLAGE).unwrap();
    phone.send(&server, vec![visit]).await.unwrap();
    let name = server.value_of(resident, "name").await.unwrap();
    let rotated = rotation::rotate(&server.state, area(VILLAGE))
        .await
        .unwrap();
    assert_eq!(rotated.version, 2);
    assert!(
        rotated.wrapped >= 3,
        "a record, an event, an item: {rotated:?}"
    );
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let behind: i64 = sqlx::query_scalar(BEHIND)
        .bind(VILLAGE)
        .bind(2)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(behind, 0);
    let not_found: Vec<String> = sqlx::query_scalar(NOT_FOUND)
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert!(
        not_found.is_empty(),
        "a rotation does not find {not_found:?}"
    );
    drop(tx);
    assert_eq!(server.value_of(resident, "name").await.unwrap(), name);
    let supervisor = server
        .person(doorstep_core::rights::Role::Supervisor, VILLAGE)
        .await
        .unwrap();
    for path in [
        format!("/api/conflicts/{conflict}"),
        format!("/api/residents/{resident}"),
        format!("/api/visits?record={resident}"),
    ] {
        let read = server
            .send("GET", &path, Some(&supervisor.token), None)
            .await
            .unwrap();
        assert_eq!(read.status, 200, "{path}: {}", read.body);
    }
    drop(other);
    let again = rotation::rotate(&server.state, area(VILLAGE))
        .await
        .unwrap();
    assert_eq!((again.version, again.wrapped), (3, rotated.wrapped));
}

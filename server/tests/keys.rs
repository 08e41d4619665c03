//! The key tree over the database: area keys are shared and bound to their place, record keys to their record.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_server::keys::{FileKeys, KeyRing, WrappedKey};
use doorstep_server::testing::TestServer;

fn record(n: u8) -> RecordId {
    RecordId::from_bytes([n; 16])
}

fn area(text: &str) -> AreaCode {
    text.parse().unwrap()
}

/// Another node: the same root key and database, nothing cached.
fn another_node(server: &TestServer) -> KeyRing {
    let provider = FileKeys::open(&server.data().join("keys")).unwrap();
    KeyRing::new(std::sync::Arc::new(provider), server.state.pool.clone())
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

//! The store against the contract that every device store passes.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;

use doorstep_core::ids::UserId;
use doorstep_core::store::contract;
use doorstep_sqlite::SqliteStore;

#[test]
fn the_store_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let users = Cell::new(0);
    contract::all(|| {
        users.set(users.get() + 1);
        SqliteStore::open(dir.path(), [7; 32], UserId::from_bytes([users.get(); 16])).unwrap()
    });
}

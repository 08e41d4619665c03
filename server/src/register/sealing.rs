//! Sealing of what the register keeps: registers, changes, events, the bodies of conflict items.
//! Each is bound to its table, row, column and version.

use doorstep_core::crdt::Registers;
use doorstep_core::crypto::seal::{self, Place, SealKey};
use doorstep_core::envelope::Item;
use doorstep_core::ids::{ChangeHash, ConflictId, EventId, RecordId, UserId};
use doorstep_core::protocol::codec;
use doorstep_core::value::Value;
use serde::{Deserialize, Serialize};

use crate::error::{ApiError, ApiResult};
use crate::keys::{KeyRing, WrappedKey};
use crate::random;

fn seal_at(key: &SealKey, place: Place<'_>, plain: &[u8]) -> ApiResult<Vec<u8>> {
    seal::seal(key, place, random::bytes()?, plain).map_err(ApiError::internal)
}

fn open_at(key: &SealKey, place: Place<'_>, sealed: &[u8]) -> ApiResult<Vec<u8>> {
    seal::open(key, place, sealed).map_err(ApiError::internal)
}

fn state_place(id: &RecordId, version: i32) -> Place<'_> {
    Place {
        table: "records",
        row: id.as_bytes(),
        column: "state",
        version: version.unsigned_abs(),
    }
}

pub(super) fn seal_state(
    key: &SealKey,
    id: RecordId,
    version: i32,
    registers: &Registers,
) -> ApiResult<Vec<u8>> {
    seal_at(key, state_place(&id, version), &codec::to_bytes(registers))
}

pub(super) fn open_state(
    key: &SealKey,
    id: RecordId,
    version: i32,
    sealed: &[u8],
) -> ApiResult<Registers> {
    codec::from_bytes(&open_at(key, state_place(&id, version), sealed)?).map_err(ApiError::internal)
}

fn change_place(hash: &ChangeHash) -> Place<'_> {
    Place {
        table: "changes",
        row: &hash.0,
        column: "body",
        version: 1,
    }
}

pub(super) fn seal_change(key: &SealKey, hash: ChangeHash, bytes: &[u8]) -> ApiResult<Vec<u8>> {
    seal_at(key, change_place(&hash), bytes)
}

pub(super) fn open_change(key: &SealKey, hash: ChangeHash, sealed: &[u8]) -> ApiResult<Vec<u8>> {
    open_at(key, change_place(&hash), sealed)
}

fn row_place<'a>(table: &'a str, row: &'a [u8; 16]) -> Place<'a> {
    Place {
        table,
        row,
        column: "body",
        version: 1,
    }
}

/// Seals the body of a row of another table under that row's key.
pub(super) fn seal_row(
    key: &SealKey,
    table: &str,
    row: &[u8; 16],
    plain: &[u8],
) -> ApiResult<Vec<u8>> {
    seal_at(key, row_place(table, row), plain)
}

/// Opens what `seal_row` made.
pub(super) fn open_row(
    key: &SealKey,
    table: &str,
    row: &[u8; 16],
    sealed: &[u8],
) -> ApiResult<Vec<u8>> {
    open_at(key, row_place(table, row), sealed)
}

/// One of the values in dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictValue {
    /// The value.
    pub value: Value,
    /// The change that put it.
    pub change: ChangeHash,
    /// Who made it; `None` for the server.
    pub user: Option<UserId>,
}

/// What a conflict item is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictBody {
    /// The values, the winner at the time first.
    pub values: Vec<ConflictValue>,
    /// What both built on.
    pub base: Option<Value>,
}

impl ConflictBody {
    /// Takes in values that came later; one and the same change counts once.
    pub(super) fn absorb(&mut self, later: Self) {
        for value in later.values {
            if self.values.iter().all(|held| held.change != value.change) {
                self.values.push(value);
            }
        }
        if self.base.is_none() {
            self.base = later.base;
        }
    }
}

/// Opens a conflict item's body.
///
/// # Errors
/// When its key or bytes were altered.
pub async fn open_conflict(
    keys: &KeyRing,
    id: ConflictId,
    wrapped: &WrappedKey,
    sealed: &[u8],
) -> ApiResult<ConflictBody> {
    let key = keys.record_key(RecordId(id.0), wrapped).await?;
    codec::from_bytes(&open_row(&key, "conflicts", id.as_bytes(), sealed)?)
        .map_err(ApiError::internal)
}

/// Opens an item that was refused, kept under its conflict item's key.
///
/// # Errors
/// When its key or bytes were altered.
pub async fn open_refused(
    keys: &KeyRing,
    conflict: ConflictId,
    wrapped: &WrappedKey,
    id: EventId,
    sealed: &[u8],
) -> ApiResult<Item> {
    let key = keys.record_key(RecordId(conflict.0), wrapped).await?;
    codec::from_bytes(&open_row(&key, "refused_items", id.as_bytes(), sealed)?)
        .map_err(ApiError::internal)
}

fn outcome_place(id: &ConflictId) -> Place<'_> {
    Place {
        table: "conflicts",
        row: id.as_bytes(),
        column: "outcome",
        version: 1,
    }
}

/// Seals what a decision left behind under the conflict item's key.
///
/// # Errors
/// When its key was altered.
pub async fn seal_outcome(
    keys: &KeyRing,
    id: ConflictId,
    wrapped: &WrappedKey,
    plain: &[u8],
) -> ApiResult<Vec<u8>> {
    let key = keys.record_key(RecordId(id.0), wrapped).await?;
    seal_at(&key, outcome_place(&id), plain)
}

/// Opens what `seal_outcome` made.
///
/// # Errors
/// When its key or bytes were altered.
pub async fn open_outcome(
    keys: &KeyRing,
    id: ConflictId,
    wrapped: &WrappedKey,
    sealed: &[u8],
) -> ApiResult<Vec<u8>> {
    let key = keys.record_key(RecordId(id.0), wrapped).await?;
    open_at(&key, outcome_place(&id), sealed)
}

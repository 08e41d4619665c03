//! Actor ids: who made a change within one document.

use crate::crypto::sm2::PublicKey;
use crate::crypto::sm3;
use crate::ids::{Actor, RecordId};

/// The actor of a device in one record and epoch: nobody else can claim it, and a new epoch gives a new one.
#[must_use]
pub fn derive(device_key: &PublicKey, record: RecordId, epoch: u32) -> Actor {
    let digest = sm3::digest(&[
        b"doorstep-actor-v1",
        device_key.as_bytes(),
        record.as_bytes(),
        &epoch.to_be_bytes(),
    ]);
    let mut actor = [0; 16];
    actor.copy_from_slice(&digest[..16]);
    Actor(actor)
}

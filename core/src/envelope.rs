//! Envelopes: the signed wrapper of a batch of changes and events from one device.
//! Knows no rights and no store: it says whose bytes these are, and nothing about what they may do.

use serde::{Deserialize, Serialize};

use crate::crypto::sm2::{KeyPair, PublicKey, SIGNATURE_LEN};
use crate::crypto::sm3;
use crate::ids::{AreaCode, DeviceId, EventId, RecordId, UserId};
use crate::protocol::codec;
use crate::time::Timestamp;
use crate::value::Fields;

/// The most items in one envelope.
pub const MAX_ITEMS: usize = 256;
/// The longest envelope body, in bytes.
pub const MAX_BODY: usize = 512 * 1024;
/// How many envelopes of a device may be under way unanswered.
pub const MAX_UNANSWERED: usize = 4;
/// The version written here.
pub const VERSION: u8 = 1;

/// What a device signs: who, which number, and the items in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// `VERSION`.
    pub version: u8,
    /// The device that signs.
    pub device: DeviceId,
    /// The user signed in when the items were made.
    pub user: UserId,
    /// The device's number of this envelope, from 1 without gaps.
    pub seq: u64,
    /// The device's clock when it sealed the envelope.
    pub time: Timestamp,
    /// At least one, at most `MAX_ITEMS`.
    pub items: Vec<Item>,
}

/// One thing a device did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item {
    /// A change of a record.
    #[serde(rename = "c")]
    Change(ChangeItem),
    /// An immutable fact.
    #[serde(rename = "e")]
    Event(EventItem),
}

/// A change of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeItem {
    /// Which record.
    pub record: RecordId,
    /// Its declared type, such as `resident`.
    pub record_type: String,
    /// The record's epoch when the change was made.
    pub epoch: u32,
    /// An uncompressed Automerge change chunk (`crdt::chunk`).
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// An immutable fact, such as a visit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventItem {
    /// Its own id: sending it twice changes nothing.
    pub id: EventId,
    /// Its declared type, such as `visit`.
    pub event_type: String,
    /// The area it belongs to.
    pub area: AreaCode,
    /// Its values by flat key.
    pub fields: Fields,
}

/// An envelope as it travels: the body's bytes and the signature over them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedEnvelope {
    /// MessagePack of `Envelope`.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// SM2 over the body, 64 bytes.
    #[serde(with = "serde_bytes")]
    pub signature: Vec<u8>,
}

/// Why an envelope is not taken at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The signature does not fit the device's key.
    #[error("envelope signature does not match")]
    Signature,
    /// The body can't be read, is of another version, or holds nothing.
    #[error("envelope can't be read")]
    Malformed,
    /// Too long, or too many items.
    #[error("envelope too large")]
    TooLarge,
    /// It names another device than the one that sends it.
    #[error("envelope of another device")]
    WrongDevice,
}

impl EnvelopeError {
    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Signature => "envelope_signature",
            Self::Malformed => "envelope_malformed",
            Self::TooLarge => "envelope_too_large",
            Self::WrongDevice => "envelope_wrong_device",
        }
    }
}

impl Envelope {
    /// Encodes and signs.
    #[must_use]
    pub fn seal(&self, key: &KeyPair) -> SignedEnvelope {
        let body = codec::to_bytes(self);
        let signature = key.sign(&body).to_vec();
        SignedEnvelope { body, signature }
    }
}

impl SignedEnvelope {
    /// Checks size, signature and shape; only then is anything of the items looked at.
    ///
    /// # Errors
    /// See `EnvelopeError`.
    pub fn open(&self, device: DeviceId, key: &PublicKey) -> Result<Envelope, EnvelopeError> {
        if self.body.len() > MAX_BODY || self.signature.len() != SIGNATURE_LEN {
            return Err(EnvelopeError::TooLarge);
        }
        key.verify(&self.body, &self.signature)
            .map_err(|_| EnvelopeError::Signature)?;
        let envelope: Envelope =
            codec::from_bytes(&self.body).map_err(|_| EnvelopeError::Malformed)?;
        if envelope.version != VERSION {
            return Err(EnvelopeError::Malformed);
        }
        if envelope.items.len() > MAX_ITEMS {
            return Err(EnvelopeError::TooLarge);
        }
        if envelope.device != device {
            return Err(EnvelopeError::WrongDevice);
        }
        // It would leave its rows for nothing, past every count of items.
        if envelope.items.is_empty() {
            return Err(EnvelopeError::Malformed);
        }
        Ok(envelope)
    }

    /// The envelope's digest: the same bytes sent again have the same.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sm3::digest(&[&self.body])
    }
}

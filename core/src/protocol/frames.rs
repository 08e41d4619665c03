//! The frames: one byte for the kind, then MessagePack. Binary websocket messages carry one frame each.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::codec::{self, CodecError};
use super::digest::ScopeDigest;
use super::{MAX_FRAME_DOWN, MAX_FRAME_UP};
use crate::envelope::SignedEnvelope;
use crate::ids::{AreaCode, ChangeHash, DeviceId, EventId, RecordId, ScopeId, UserId};
use crate::time::Timestamp;
use crate::value::Fields;

/// Where a device stands in a scope's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last entry it has; 0 for none.
    pub seq: u64,
    /// The digest of what it holds of the scope, as the server confirmed it.
    pub digest: ScopeDigest,
}

/// From device to server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Up {
    /// First frame of a connection.
    Hello(Hello),
    /// Changes and events.
    Push(SignedEnvelope),
    /// The records a LEAVE or a dropped scope named are gone from the device.
    Purged(Purged),
    /// The device's heads of a scope whose digest differed.
    Heads(Heads),
    /// Which record the user has open at the door; `None` when none.
    Presence(Option<RecordId>),
    /// What has not been sent yet: number of items and the age of the oldest, for those who look after devices.
    Unsent(Unsent),
    /// How far the device has stored a scope's log: opens the window for more.
    Stored(ScopeId, u64),
}

/// The first frame of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `protocol::VERSION`.
    pub version: u16,
    /// The session's opaque token, the bytes of its text.
    #[serde(with = "serde_bytes")]
    pub token: Vec<u8>,
    /// Which device.
    pub device: DeviceId,
    /// What it holds, scope by scope.
    pub scopes: Vec<(ScopeId, Cursor)>,
}

/// A confirmed purge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// Which scope was left.
    pub scope: ScopeId,
    /// The records purged; empty for the whole scope.
    pub records: Vec<RecordId>,
}

/// A device's heads of a scope: for each record the digest part of `ScopeDigest::of_record`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    /// Which scope.
    pub scope: ScopeId,
    /// The log entry up to which this holds.
    pub seq: u64,
    /// Record and digest part.
    pub records: Vec<(RecordId, ScopeDigest)>,
}

/// What a device has not sent yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsent {
    /// Changes and events.
    pub items: u64,
    /// Photos.
    pub blobs: u64,
    /// When the oldest was made.
    pub oldest: Option<Timestamp>,
}

/// From server to device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Down {
    /// Answer to `Hello`.
    Welcome(Welcome),
    /// Entries of a scope's log, packed: zstd of MessagePack of `Vec<Entry>`.
    Batch(Batch),
    /// The scope's digest after an entry.
    Checkpoint(ScopeId, Cursor),
    /// What became of an envelope, item by item.
    Pushed(Pushed),
    /// Who else has a record open.
    Presence(Vec<Present>),
    /// Purge everything and forget the key: the device was reported lost.
    Wipe,
    /// The server ends the connection: a stable code, Chinese words, and when to come again.
    Bye(Bye),
}

/// Answer to `Hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The server's clock.
    pub time: Timestamp,
    /// The next envelope number the server expects of this device.
    pub next_envelope: u64,
    /// The scopes the device may hold now that differ from what `Hello` said: with the log's end.
    pub scopes: Vec<ScopeState>,
    /// Scopes it holds and may no longer: purge and confirm.
    pub dropped: Vec<ScopeId>,
}

/// One scope in a `Welcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeState {
    /// Which scope.
    pub scope: ScopeId,
    /// The log's end.
    pub end: Cursor,
    /// A bundle to fetch first, when the device is far behind.
    pub bundle: Option<BundleOffer>,
}

/// An immutable file with a scope's records: length-prefixed (u32, big endian) `Down::Batch` frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleOffer {
    /// SM3 of the file: its name under `/api/sync/bundles/` and its check.
    #[serde(with = "serde_bytes")]
    pub digest: Vec<u8>,
    /// Its length.
    pub bytes: u64,
    /// How many records.
    pub records: u64,
    /// Where the log goes on after it.
    pub cursor: Cursor,
}

/// Entries of a scope's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Which scope.
    pub scope: ScopeId,
    /// The cursor's number before the entries.
    pub from: u64,
    /// And after them.
    pub to: u64,
    /// zstd of MessagePack of `Vec<Entry>`.
    #[serde(with = "serde_bytes")]
    pub packed: Vec<u8>,
}

/// One entry of a scope's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// A change of a record.
    #[serde(rename = "p")]
    Put(PutEntry),
    /// Your own change, accepted: record and hash.
    #[serde(rename = "o")]
    Own(RecordId, ChangeHash),
    /// A record that came into the scope: all its changes, each after those it builds on.
    #[serde(rename = "w")]
    Whole(WholeEntry),
    /// Something the server alone decides.
    #[serde(rename = "s")]
    State(StateEntry),
    /// An immutable fact.
    #[serde(rename = "e")]
    Event(EventEntry),
    /// The record is no longer in this scope: purge it unless another scope holds it, and confirm.
    #[serde(rename = "l")]
    Leave(RecordId),
    /// The record was erased: purge it and every trace; its epoch is over.
    #[serde(rename = "x")]
    Erase(RecordId),
}

/// A change of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutEntry {
    /// Which record.
    pub record: RecordId,
    /// Its declared type.
    pub record_type: String,
    /// Its epoch.
    pub epoch: u32,
    /// The Automerge change chunk.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// A whole record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeEntry {
    /// Which record.
    pub record: RecordId,
    /// Its declared type.
    pub record_type: String,
    /// Its epoch.
    pub epoch: u32,
    /// All its changes, each after those it builds on.
    pub changes: Vec<ByteBuf>,
}

/// Something the server alone decides: rights, tasks, messages, outcomes of conflicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateEntry {
    /// Its name, such as `rights` or `message/018f…`.
    pub key: String,
    /// JSON; empty when the entry is withdrawn.
    pub json: String,
}

/// An immutable fact made by a device or the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventEntry {
    /// Its id.
    pub id: EventId,
    /// Its declared type.
    pub event_type: String,
    /// The area it belongs to.
    pub area: AreaCode,
    /// Who made it.
    pub user: UserId,
    /// Its values.
    pub fields: Fields,
}

/// What became of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// The envelope's number.
    pub seq: u64,
    /// One outcome for each item, in order; empty when the envelope was not judged.
    pub outcomes: Vec<Outcome>,
    /// Why the envelope was not judged at all: its number was wrong. Its items go up again in another.
    pub refused: Option<Refusal>,
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Merged and committed.
    #[serde(rename = "a")]
    Accepted,
    /// It was here already.
    #[serde(rename = "d")]
    Duplicate,
    /// Changes it builds on are not here yet: send it again after them.
    #[serde(rename = "w")]
    Waiting,
    /// Not merged; kept for a supervisor. The device drops the change and makes again what it had not sent
    /// after it.
    #[serde(rename = "r")]
    Refused(Refusal),
}

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable code for programs.
    pub code: String,
    /// The field it is about, where it is about one.
    pub field: Option<String>,
    /// Chinese words that say what to do; no personal data.
    pub message: String,
}

impl Refusal {
    /// The code of what tells of someone who was erased. Neither side keeps any of it: the answer alone says that it was.
    pub const ERASED: &'static str = "erased";

    /// The code of an envelope before which a number was left out.
    pub const GAP: &'static str = "envelope_gap";

    /// One that is about no single field.
    #[must_use]
    pub fn new(code: &str, message: &str) -> Self {
        Self {
            code: code.to_owned(),
            field: None,
            message: message.to_owned(),
        }
    }
}

/// Someone who has a record open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// Which record.
    pub record: RecordId,
    /// Who.
    pub user: UserId,
    /// The name that colleagues read.
    pub name: String,
}

/// The end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {
    /// Stable code: `signed_out`, `device_revoked`, `replaced`, `version`, `too_slow`, `shutting_down`, `protocol`.
    pub code: String,
    /// Chinese words that say what to do.
    pub message: String,
    /// When to come again, in milliseconds; `None` when it makes no sense.
    pub retry_after_ms: Option<u64>,
}

/// The frame kinds, one byte each; even a reader of a capture can tell them apart.
mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const PUSH: u8 = 2;
    pub(super) const PURGED: u8 = 3;
    pub(super) const HEADS: u8 = 4;
    pub(super) const PRESENCE: u8 = 5;
    pub(super) const UNSENT: u8 = 6;
    pub(super) const STORED: u8 = 7;
    pub(super) const WELCOME: u8 = 65;
    pub(super) const BATCH: u8 = 66;
    pub(super) const CHECKPOINT: u8 = 67;
    pub(super) const PUSHED: u8 = 68;
    pub(super) const PRESENT: u8 = 69;
    pub(super) const WIPE: u8 = 70;
    pub(super) const BYE: u8 = 71;
}

fn frame<T: Serialize>(kind: u8, body: &T) -> Vec<u8> {
    let body = codec::to_bytes(body);
    let mut out = Vec::with_capacity(body.len() + 1);
    out.push(kind);
    out.extend_from_slice(&body);
    out
}

fn split(bytes: &[u8], limit: usize) -> Result<(u8, &[u8]), CodecError> {
    if bytes.len() > limit {
        return Err(CodecError);
    }
    bytes
        .split_first()
        .map(|(kind, body)| (*kind, body))
        .ok_or(CodecError)
}

impl Up {
    /// The frame's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(body) => frame(kind::HELLO, body),
            Self::Push(body) => frame(kind::PUSH, body),
            Self::Purged(body) => frame(kind::PURGED, body),
            Self::Heads(body) => frame(kind::HEADS, body),
            Self::Presence(body) => frame(kind::PRESENCE, body),
            Self::Unsent(body) => frame(kind::UNSENT, body),
            Self::Stored(scope, seq) => frame(kind::STORED, &(scope, seq)),
        }
    }

    /// Reads a frame of at most `MAX_FRAME_UP` bytes.
    ///
    /// # Errors
    /// `CodecError` for an unknown kind, a damaged body or a longer frame.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let (kind, body) = split(bytes, MAX_FRAME_UP)?;
        match kind {
            kind::HELLO => codec::from_bytes(body).map(Self::Hello),
            kind::PUSH => codec::from_bytes(body).map(Self::Push),
            kind::PURGED => codec::from_bytes(body).map(Self::Purged),
            kind::HEADS => codec::from_bytes(body).map(Self::Heads),
            kind::PRESENCE => codec::from_bytes(body).map(Self::Presence),
            kind::UNSENT => codec::from_bytes(body).map(Self::Unsent),
            kind::STORED => codec::from_bytes(body).map(|(scope, seq)| Self::Stored(scope, seq)),
            _ => Err(CodecError),
        }
    }
}

impl Down {
    /// The frame's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Welcome(body) => frame(kind::WELCOME, body),
            Self::Batch(body) => frame(kind::BATCH, body),
            Self::Checkpoint(scope, cursor) => frame(kind::CHECKPOINT, &(scope, cursor)),
            Self::Pushed(body) => frame(kind::PUSHED, body),
            Self::Presence(body) => frame(kind::PRESENT, body),
            Self::Wipe => vec![kind::WIPE],
            Self::Bye(body) => frame(kind::BYE, body),
        }
    }

    /// Reads a frame of at most `MAX_FRAME_DOWN` bytes.
    ///
    /// # Errors
    /// `CodecError` for an unknown kind, a damaged body or a longer frame.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let (kind, body) = split(bytes, MAX_FRAME_DOWN)?;
        match kind {
            kind::WELCOME => codec::from_bytes(body).map(Self::Welcome),
            kind::BATCH => codec::from_bytes(body).map(Self::Batch),
            kind::CHECKPOINT => {
                codec::from_bytes(body).map(|(scope, cursor)| Self::Checkpoint(scope, cursor))
            }
            kind::PUSHED => codec::from_bytes(body).map(Self::Pushed),
            kind::PRESENT => codec::from_bytes(body).map(Self::Presence),
            kind::WIPE if body.is_empty() => Ok(Self::Wipe),
            kind::BYE => codec::from_bytes(body).map(Self::Bye),
            _ => Err(CodecError),
        }
    }
}

impl Batch {
    /// Packs entries.
    ///
    /// # Errors
    /// `CodecError` where packing is not to be had (wasm32).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn pack(scope: ScopeId, from: u64, to: u64, entries: &[Entry]) -> Result<Self, CodecError> {
        codec::pack(&codec::to_bytes(&entries)).map(|packed| Self {
            scope,
            from,
            to,
            packed,
        })
    }

    /// Unpacks the entries, bounded.
    ///
    /// # Errors
    /// `CodecError` for damaged bytes or more than `MAX_UNPACKED`.
    pub fn entries(&self) -> Result<Vec<Entry>, CodecError> {
        codec::from_bytes(&codec::unpack(&self.packed)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reconnect_with_nothing_new_is_under_300_bytes_each_way() {
        let user = UserId::from_bytes([1; 16]);
        let scopes = [
            ScopeId::Area("310101002001".parse().unwrap()),
            ScopeId::User(user),
            ScopeId::Common,
        ];
        let cursor = Cursor {
            seq: 1_000_000,
            digest: ScopeDigest([255; 16]),
        };
        let hello = Up::Hello(Hello {
            version: 1,
            token: vec![7; 32],
            device: DeviceId::from_bytes([9; 16]),
            scopes: scopes.map(|scope| (scope, cursor)).to_vec(),
        });
        let welcome = Down::Welcome(Welcome {
            time: Timestamp(1_795_000_000_000),
            next_envelope: 12_345,
            scopes: vec![],
            dropped: vec![],
        });
        assert!(hello.encode().len() < 300, "{}", hello.encode().len());
        assert!(welcome.encode().len() < 300);
        assert_eq!(Up::decode(&hello.encode()).unwrap(), hello);
        assert_eq!(Down::decode(&welcome.encode()).unwrap(), welcome);
    }

    proptest! {
        #[test]
        fn stray_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Up::decode(&bytes);
            let _ = Down::decode(&bytes);
        }
    }
}

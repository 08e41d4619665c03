//! What is submitted to the register, and what comes back. Knows no SQL.

use doorstep_core::crdt::FlatChange;
use doorstep_core::crdt::chunk::{self, ChunkError};
use doorstep_core::crypto::sm2::PublicKey;
use doorstep_core::crypto::sm3;
use doorstep_core::envelope::{ChangeItem, Envelope, EventItem, Item};
use doorstep_core::ids::{AreaCode, ChangeHash, DeviceId, IdError, RecordId, UserId};
use doorstep_core::protocol::frames::{Outcome, Refusal};
use doorstep_core::rights::{Permission, Role};
use doorstep_core::time::Timestamp;
use doorstep_core::value::Fields;
use uuid::Uuid;

use crate::domains::auth::Actor;
use crate::state::AppState;

/// What stands for a device where the server itself made a change.
pub const SERVER_DEVICE: DeviceId = DeviceId(Uuid::nil());

/// The areas whose devices hold a record, as a column has them.
#[derive(Clone, Debug)]
pub struct Areas(pub Vec<AreaCode>);

impl TryFrom<Vec<String>> for Areas {
    type Error = IdError;

    fn try_from(codes: Vec<String>) -> Result<Self, IdError> {
        let codes = codes.into_iter().map(AreaCode::try_from);
        codes.collect::<Result<_, _>>().map(Self)
    }
}

/// Who submits, as authenticated.
#[derive(Clone, Debug)]
pub struct Submitter {
    /// The device; the server has one of its own.
    pub device: DeviceId,
    /// The user.
    pub user: UserId,
    /// The device's key.
    pub key: PublicKey,
    /// The user's roles now, and where.
    pub grants: Vec<(Role, AreaCode)>,
}

impl Submitter {
    /// The server itself, for a user: decisions, edits on the console, files brought in. It signs with its own key and
    /// may write every field, so whoever calls this has checked what the user may do.
    #[must_use]
    pub fn server(state: &AppState, user: UserId) -> Self {
        Self {
            device: SERVER_DEVICE,
            user,
            key: state.keys.provider().server_key().public(),
            grants: vec![(Role::Server, AreaCode::city())],
        }
    }

    /// A user on the console, with the user's own rights; the server's key signs.
    #[must_use]
    pub fn user(state: &AppState, actor: &Actor) -> Self {
        let may_write = |role: Role| role.may(Permission::WriteRegister);
        let grants = actor.grants.iter().filter(|grant| may_write(grant.role));
        Self {
            grants: grants.map(|grant| (grant.role, grant.area)).collect(),
            ..Self::server(state, actor.user)
        }
    }
}

/// One thing to apply.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// A device's change, decoded off the database's path.
    Change {
        /// As sent.
        item: ChangeItem,
        /// What it is, or why it is nothing.
        decoded: Result<(FlatChange, ChangeHash), ChunkError>,
    },
    /// Values put by the server, or by a user on the console: the change is made under the record's lock.
    Put {
        /// Which record.
        record: RecordId,
        /// Its declared type.
        record_type: String,
        /// The values; for a new record the reserved keys too.
        fields: Fields,
    },
    /// An event.
    Event(EventItem),
    /// An event that was refused before, and that whoever decides of it takes after all.
    Taken(EventItem),
}

impl Prepared {
    /// Decodes an item of an envelope.
    #[must_use]
    pub fn from_item(item: Item) -> Self {
        match item {
            Item::Change(item) => Self::Change {
                decoded: chunk::decode(&item.bytes),
                item,
            },
            Item::Event(item) => Self::Event(item),
        }
    }

    /// The declared type of the record that it changes; none for an event.
    #[must_use]
    pub fn record_type(&self) -> Option<&str> {
        match self {
            Self::Change { item, .. } => Some(&item.record_type),
            Self::Put { record_type, .. } => Some(record_type),
            Self::Event(_) | Self::Taken(_) => None,
        }
    }

    /// The record that it is about (an event's id, for an event).
    #[must_use]
    pub fn record(&self) -> RecordId {
        match self {
            Self::Change { item, .. } => item.record,
            Self::Put { record, .. } => *record,
            Self::Event(item) | Self::Taken(item) => item.id.into(),
        }
    }
}

/// Values to be put on one record.
#[derive(Clone, Debug)]
pub struct Put {
    /// Which record.
    pub record: RecordId,
    /// Its declared type.
    pub record_type: String,
    /// The values; for a new record the reserved keys too.
    pub fields: Fields,
}

/// What an envelope says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Sealed {
    /// Its number.
    pub seq: u64,
    /// SM3 of its body.
    pub digest: [u8; 32],
    /// When it was sealed, by the device's clock.
    pub time: Timestamp,
}

/// What one submitter submits at once.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Who.
    pub who: Submitter,
    /// The envelope, when it came in one.
    pub envelope: Option<Sealed>,
    /// What.
    pub items: Vec<Prepared>,
}

impl Submission {
    /// Values that the server puts, or a user on the console.
    #[must_use]
    pub fn puts(who: Submitter, puts: impl IntoIterator<Item = Put>) -> Self {
        let items = puts.into_iter().map(|put| Prepared::Put {
            record: put.record,
            record_type: put.record_type,
            fields: put.fields,
        });
        Self {
            who,
            envelope: None,
            items: items.collect(),
        }
    }

    /// From an opened envelope: decoding the changes costs time, so do it off the event loop.
    #[must_use]
    pub fn from_envelope(who: Submitter, envelope: Envelope, body: &[u8]) -> Self {
        let digest = sm3::digest(&[body]);
        let items = envelope
            .items
            .into_iter()
            .map(Prepared::from_item)
            .collect();
        Self {
            who,
            envelope: Some(Sealed {
                seq: envelope.seq,
                digest,
                time: envelope.time,
            }),
            items,
        }
    }
}

/// What became of a submission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// One outcome for each item; empty when the whole was refused.
    pub outcomes: Vec<Outcome>,
    /// Why the whole was refused.
    pub refused: Option<Refusal>,
    /// Whether it was answered before, and this is the same answer.
    pub again: bool,
}

impl Receipt {
    /// How many items were refused.
    #[must_use]
    pub fn refusals(&self) -> usize {
        let refused = |outcome: &&Outcome| matches!(outcome, Outcome::Refused(_));
        self.outcomes.iter().filter(refused).count()
    }

    /// How many items were refused, or wait for what they build on.
    #[must_use]
    pub fn came_to_nothing(&self) -> usize {
        let nothing =
            |outcome: &&Outcome| matches!(outcome, Outcome::Refused(_) | Outcome::Waiting);
        self.outcomes.iter().filter(nothing).count()
    }
}

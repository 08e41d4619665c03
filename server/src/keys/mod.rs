//! The server's keys as a tree: root (a provider: a file, or hardware in production) → area → record.
//! Also the keys of blind indexes and integrity tags, and the pair that the server signs with.
//! Knows no table of records: who seals a record keeps its wrapped key beside it.

mod file;
mod ring;

use doorstep_core::crypto::seal::{Place, SealError, SealKey};
use doorstep_core::crypto::sm2::KeyPair;

pub use file::FileKeys;
pub use ring::{AreaKey, KeyRing, WrappedKey};

/// A key that can't be had or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The wrapped key does not open: altered, moved, or of another root.
    #[error("a wrapped key does not open")]
    Sealed(#[from] SealError),
    /// The key store can't be read or written.
    #[error("key store: {0}")]
    Store(String),
}

/// What a keyed hash is for; each purpose has a key of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MacPurpose {
    /// Search tokens of sealed fields.
    BlindIndex,
    /// Integrity tags of grants.
    Grants,
    /// Messages between nodes.
    Bus,
    /// Nonces that devices sign.
    Nonces,
    /// What changes are called to readers.
    ChangeNames,
}

/// Holds the root of the key tree. The root itself never leaves it.
pub trait KeyProvider: Send + Sync + std::fmt::Debug {
    /// Seals a key under the root, bound to its place.
    ///
    /// # Errors
    /// When the store fails.
    fn wrap(&self, place: Place<'_>, key: &SealKey) -> Result<Vec<u8>, KeyError>;

    /// Opens what `wrap` sealed for the same place.
    ///
    /// # Errors
    /// When it was altered or moved.
    fn unwrap(&self, place: Place<'_>, wrapped: &[u8]) -> Result<SealKey, KeyError>;

    /// The HMAC-SM3 key of a purpose.
    fn mac_key(&self, purpose: MacPurpose) -> &[u8; 32];

    /// The pair that the server signs with: heads of the audit log, decisions, its own changes.
    fn server_key(&self) -> &KeyPair;
}

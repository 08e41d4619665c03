//! What travels between device and server: frames, their encoding and the digests of scopes.
//! `docs/protocol.md` says the same in words. Knows no socket, no order of talk (that is `sync`) and no store.

pub mod codec;
pub mod digest;
pub mod frames;

/// The protocol's version; both sides must speak the same.
pub const VERSION: u16 = 1;
/// The longest frame taken from a device, in bytes; a longer one is dropped before it is read.
pub const MAX_FRAME_UP: usize = 1024 * 1024;
/// The longest frame sent to a device, in bytes.
pub const MAX_FRAME_DOWN: usize = 1024 * 1024;
/// About how much a batch of entries holds before it is packed, in bytes.
pub const BATCH_TARGET: usize = 256 * 1024;
/// The most a packed batch may unpack to.
pub const MAX_UNPACKED: usize = 8 * 1024 * 1024;

//! What a device tells its host while it works.

use std::time::Duration;

use doorstep_core::ids::RecordId;
use doorstep_core::protocol::frames::Present;

use crate::bundles::Progress;
use crate::error::ClientError;

/// Something a screen may want to show.
#[derive(Clone, Debug)]
pub enum Event {
    /// The server has answered. `skew_ms`: how far this device's clock is ahead of the server's.
    Connected {
        /// Milliseconds; negative when it is behind.
        skew_ms: i64,
    },
    /// No connection; tries again after `retry_in`, or never by itself when that is `None`.
    Disconnected {
        /// Why.
        error: ClientError,
        /// When it tries again.
        retry_in: Option<Duration>,
    },
    /// A first or far-behind sync goes on.
    Progress(Progress),
    /// Lists and open forms read these records again.
    Changed(Vec<RecordId>),
    /// Messages, tasks, outcomes of conflicts, rights: read these keys of state again.
    States(Vec<String>),
    /// What was sent was answered.
    Answered {
        /// Items accepted.
        accepted: usize,
        /// Items refused: `Device::refused` says why.
        refused: usize,
    },
    /// Who else has which record open.
    Presence(Vec<Present>),
    /// Everything is sent, answered and received.
    Settled,
    /// A photo has reached the server.
    PhotoSent {
        /// Its digest.
        digest: String,
    },
    /// A photo was refused for good; the others go on.
    PhotoRefused {
        /// Its digest.
        digest: String,
        /// Why.
        error: ClientError,
    },
    /// Everything on the device was wiped on the server's order.
    Wiped,
}

//! What other parts of this process must hear at once: changed rights, revoked devices.
//! With several nodes the same notices travel over a bus; here they stay in the process.
//! Knows no socket: the sync hub listens and tells its devices.

use doorstep_core::ids::{DeviceId, UserId};
use tokio::sync::broadcast;

/// Notices kept for a listener that is behind; one that falls further behind must re-read its rights.
const CAPACITY: usize = 1024;

/// Something that sessions already open must take into account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notice {
    /// A user's grants changed, or the account was closed.
    RightsChanged(UserId),
    /// A device's key is no longer good.
    DeviceRevoked(DeviceId),
    /// A device must wipe what it holds.
    WipeOrdered(DeviceId),
    /// The city's areas changed.
    AreasChanged,
}

/// Where notices are put and heard.
#[derive(Clone, Debug)]
pub struct Live(broadcast::Sender<Notice>);

impl Default for Live {
    fn default() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }
}

impl Live {
    /// Tells all listeners; nobody listening is no failure. Call it after the commit.
    pub fn tell(&self, notice: Notice) {
        self.0.send(notice).ok();
    }

    /// Hears every notice from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.0.subscribe()
    }
}

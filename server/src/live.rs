//! What other parts of this process must hear at once: changed rights, revoked devices, changed conflict queues.
//! With several nodes the same notices travel over a bus; here they stay in the process.
//! Knows no socket: the sync hub listens and tells its devices, the console's stream its supervisors.

use doorstep_core::ids::{AreaCode, DeviceId, UserId};
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

/// Where notices are put and heard. Queues have a channel of their own: they change often, and only supervisors' few
/// connections listen.
#[derive(Clone, Debug)]
pub struct Live {
    notices: broadcast::Sender<Notice>,
    queues: broadcast::Sender<AreaCode>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            notices: broadcast::channel(CAPACITY).0,
            queues: broadcast::channel(CAPACITY).0,
        }
    }
}

impl Live {
    /// Tells all listeners; nobody listening is no failure. Call it after the commit.
    pub fn tell(&self, notice: Notice) {
        self.notices.send(notice).ok();
    }

    /// Hears every notice from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Tells that an area's conflict queue changed: items opened, given to someone, decided or taken back. Call it
    /// after the commit.
    pub fn queue_changed(&self, area: AreaCode) {
        self.queues.send(area).ok();
    }

    /// Hears from now on whose queue changed. One that falls behind must take every queue for changed.
    #[must_use]
    pub fn listen_queues(&self) -> broadcast::Receiver<AreaCode> {
        self.queues.subscribe()
    }
}

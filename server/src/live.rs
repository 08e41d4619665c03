//! What other parts of this process must hear at once: changed rights, revoked devices, changed conflict queues.
//! With several nodes the same notices go to the others over the bus.
//! Knows no socket: the sync hub listens and tells its devices, the console's stream its supervisors.

use doorstep_core::ids::{AreaCode, DeviceId, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::bus::Bus;

/// Notices kept for a listener that is behind; one that falls further behind must re-read its rights.
const CAPACITY: usize = 1024;

/// Something that sessions already open must take into account.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Notice {
    /// A user's grants changed, or the account was closed.
    RightsChanged(UserId),
    /// A device was revoked or must wipe what it holds.
    DeviceChanged(DeviceId),
    /// The city's areas changed.
    AreasChanged,
    /// Notices of other nodes were lost: any of the above may have happened.
    Missed,
}

/// Where notices are put and heard. Queues have a channel of their own: they change often, and only supervisors' few
/// connections listen.
#[derive(Clone, Debug)]
pub struct Live {
    notices: broadcast::Sender<Notice>,
    /// `None`: any of them.
    queues: broadcast::Sender<Option<AreaCode>>,
    bus: Bus,
}

impl Live {
    /// Notices of this node, which the others hear over `bus`.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self {
            notices: broadcast::channel(CAPACITY).0,
            queues: broadcast::channel(CAPACITY).0,
            bus,
        }
    }

    /// Tells all listeners here and at other nodes; nobody listening is no failure. Call it after the commit.
    pub fn tell(&self, notice: Notice) {
        self.hear(notice);
        self.bus.notice(notice);
    }

    /// Tells the listeners here what was told at another node.
    pub fn hear(&self, notice: Notice) {
        self.notices.send(notice).ok();
    }

    /// Tells the listeners here that something was missed: they look at everything anew.
    pub fn missed(&self) {
        self.hear(Notice::Missed);
        self.queues.send(None).ok();
    }

    /// Hears every notice from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Tells that an area's conflict queue changed: items opened, given to someone, decided or taken back. Call it
    /// after the commit.
    pub fn queue_changed(&self, area: AreaCode) {
        self.hear_queue(area);
        self.bus.queue_changed(area);
    }

    /// Tells the listeners here of a queue that changed at another node.
    pub fn hear_queue(&self, area: AreaCode) {
        self.queues.send(Some(area)).ok();
    }

    /// Hears from now on whose queue changed; `None` is any. One that falls behind must take every queue for changed.
    #[must_use]
    pub fn listen_queues(&self) -> broadcast::Receiver<Option<AreaCode>> {
        self.queues.subscribe()
    }
}

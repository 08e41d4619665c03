//! Sending to a device that may not read: each frame may take its time, but what concerns the device is heard meanwhile.
//! Knows no frame's content.

use axum::extract::ws::Message;
use bytes::Bytes;
use tokio::sync::broadcast::Receiver;

use super::{End, Session, SignedIn, bye, replaced};
use crate::live::Notice;

impl Session {
    /// Sends a frame. A device that has not read it yet is cut off when its rights, the device or the areas
    /// changed: it comes again, goes on from where it stands, and everything is looked at anew.
    pub(super) async fn send(&mut self, frame: Bytes) -> Result<(), End> {
        let who = self.who.as_ref();
        let notice = tokio::select! {
            biased;
            said = self.out.say(Message::Binary(frame)) => return said,
            () = self.seat.replaced() => return Err(replaced()),
            notice = told(&mut self.notices, |notice| who.is_some_and(|who| who.is_meant(notice))) => notice,
        };
        if let Some(Notice::DeviceChanged(device)) = notice {
            self.device_changed(device).await?;
        }
        Err(End::Bye(bye(
            "try_again",
            "请稍候，正在重新连接。",
            Some(1_000),
        )))
    }
}

impl SignedIn {
    /// Whether a notice concerns it.
    fn is_meant(&self, notice: Notice) -> bool {
        match notice {
            Notice::RightsChanged(user) => user == self.actor.user,
            Notice::DeviceChanged(device) => device == self.device,
            Notice::AreasChanged | Notice::Missed => true,
        }
    }
}

/// The next notice that is meant; `None` when some were lost, which may have been.
async fn told(notices: &mut Receiver<Notice>, is_meant: impl Fn(Notice) -> bool) -> Option<Notice> {
    loop {
        match notices.recv().await {
            Ok(notice) if is_meant(notice) => return Some(notice),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

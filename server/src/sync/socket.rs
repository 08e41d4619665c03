//! The websocket under a session: reading, writing, pings, time-outs. Knows no frame's content.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use doorstep_core::protocol::frames::Down;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};

use super::SyncState;
use super::session::{End, Session, bye};
use crate::domains::audit::Trail;
use crate::live::Notice;
use crate::random;
use crate::state::AppState;

/// How long a device that does not read is waited for; it comes again from its cursor.
const READING: Duration = Duration::from_secs(30);
/// How long a device may take to say hello.
const GREETING: Duration = Duration::from_secs(10);
/// How often a silent device is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long it may stay silent.
const SILENCE: Duration = Duration::from_secs(75);
/// Within this all connections look at their rights when notices of another node were lost.
const SOON: Duration = Duration::from_secs(10);
/// How long a device may take to read a goodbye, and then to hang up.
const PARTING: Duration = Duration::from_secs(1);

/// The way to a device. There is no queue before it: what one connection holds, tens of thousands hold, and the system
/// keeps more for a slow device than we would.
pub(super) struct Outbox(SplitSink<WebSocket, Message>);

impl Outbox {
    /// Says something.
    ///
    /// # Errors
    /// When the device is gone, or does not read.
    pub(super) async fn say(&mut self, message: Message) -> Result<(), End> {
        match tokio::time::timeout(READING, self.0.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }
}

/// Serves a connection until it ends. What is done about a frame is on the heap while it is done: a silent phone's task
/// is to be small, and there are tens of thousands.
pub(super) async fn serve(state: AppState, sync: SyncState, socket: WebSocket, trail: Arc<Trail>) {
    let online = Online::enter(&sync);
    let (to_device, mut from_device) = socket.split();
    let mut session = Session::new(state.clone(), sync, Outbox(to_device), trail);
    let mut tick = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rights_every = state.config.rights_interval;
    let mut rights = tokio::time::interval_at(Instant::now() + rights_every, rights_every);
    rights.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = Instant::now();
    let mut heard = Instant::now();
    let end = loop {
        let pause = session.doubt.until();
        let step = tokio::select! {
            message = from_device.next(), if session.reads() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Binary(bytes))) => Box::pin(session.receive(&bytes)).await,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    Some(Ok(Message::Text(_))) => Err(End::Bye(bye("protocol", "数据无法识别，请更新应用后重试。", None))),
                    Some(Err(error)) if is_too_long(&error) => Box::pin(session.frame_too_long()).await,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
                }
            }
            Some(answer) = session.answers.next() => Box::pin(session.answer(answer)).await,
            delivery = session.seat.next() => {
                let delivered = Box::pin(session.deliver(delivery)).await;
                if delivered.is_ok() && session.seat.fell_behind() { Box::pin(session.catch_up()).await } else { delivered }
            }
            notice = session.notices.recv() => match notice {
                // Not all at once.
                Ok(Notice::Missed) => { rights.reset_after(SOON.mul_f64(random::fraction())); Ok(()) }
                Ok(notice) => Box::pin(session.notice(notice)).await,
                // Too many notices at once: come again and everything is looked at anew.
                Err(RecvError::Lagged(_)) => Err(End::Bye(bye("try_again", "请稍候，正在重新连接。", Some(1_000)))),
                Err(RecvError::Closed) => Err(End::Gone),
            },
            _ = tick.tick() => {
                if heard.elapsed() > SILENCE || (!session.is_welcomed() && started.elapsed() > GREETING) {
                    Err(End::Gone)
                } else {
                    session.out.say(Message::Ping(Bytes::new())).await
                }
            }
            () = tokio::time::sleep_until(pause.unwrap_or(started)), if pause.is_some() => Ok(()),
            _ = rights.tick() => Box::pin(session.check_rights()).await,
            () = tokio::time::sleep_until(started + GREETING), if !session.is_welcomed() => Err(End::Gone),
            () = state.stopped() => Err(End::Bye(bye("shutting_down", "服务正在维护，请稍后自动重连。", Some(3_000)))),
        };
        if let Err(end) = step {
            break end;
        }
    };
    session.leave();
    let parting = matches!(end, End::Bye(_));
    let Session { mut out, .. } = session;
    let goodbye = async {
        if let End::Bye(bye) = end {
            out.say(Message::Binary(Down::Bye(bye).encode().into()))
                .await
                .ok();
        }
        out.0.close().await.ok();
    };
    tokio::time::timeout(PARTING, goodbye).await.ok();
    if parting {
        // What still comes is read and let go: a socket closed over unread bytes is reset, and takes the goodbye along.
        let rest = async { while let Some(Ok(_)) = from_device.next().await {} };
        tokio::time::timeout(PARTING, rest).await.ok();
    }
    drop(online);
}

/// Whether a message was not read because it is longer than any may be.
fn is_too_long(error: &axum::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(tungstenite::Error::Capacity(_)))
}

/// Counts a connection while it lasts.
struct Online(SyncState);

impl Online {
    fn enter(sync: &SyncState) -> Self {
        let now = sync.online.fetch_add(1, Ordering::Relaxed) + 1;
        metrics::gauge!("doorstep_sockets").set(now as f64);
        Self(sync.clone())
    }
}

impl Drop for Online {
    fn drop(&mut self) {
        let now = self.0.online.fetch_sub(1, Ordering::Relaxed) - 1;
        metrics::gauge!("doorstep_sockets").set(now as f64);
    }
}

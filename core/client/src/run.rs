//! Syncing once, or staying connected: tries, waits, and what each kind of end means.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use doorstep_core::store::DeviceStore;
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::device::{Device, Shared, SyncReport};
use crate::error::{ClientError, ClientResult, Kind};
use crate::events::Event;
use crate::host;
use crate::link::{self, End, Until};
use crate::photos;

/// Broken talks in a row after which reconnecting helps no more.
const PATIENCE_WITH_PROTOCOL: u32 = 5;

impl<S: DeviceStore + Send + 'static> Device<S> {
    /// Connects, sends and receives until everything is settled, sends the photos, and disconnects.
    ///
    /// # Errors
    /// Why it could not be done; what was done stays done, and the rest waits for the next time.
    pub async fn sync_once(&self) -> ClientResult<SyncReport> {
        let shared = &self.shared;
        let _one = shared.syncing.lock().await;
        let mut report = SyncReport::default();
        let mut backoff = Backoff::new(shared.options.backoff_least, shared.options.backoff_most);
        let (_never, mut stop) = watch::channel(false);
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match link::talk(shared, Until::Settled, &mut stop, &mut report).await {
                Ok(End::Settled | End::Stopped) => break,
                Ok(End::Wiped) => return Err(shared.wiped()),
                Ok(End::Bye(bye)) => ClientError::bye(bye),
                Err(error) => error,
            };
            let again = matches!(error.kind, Kind::Offline | Kind::Protocol);
            if !again || tries >= shared.options.tries {
                return Err(error);
            }
            tokio::time::sleep(wait(&error, &mut backoff)).await;
        }
        let sent = photos::send_all(shared).await?;
        report.photos_sent = sent.sent;
        report.photos_refused = sent.refused;
        report.photos_waiting = sent.waiting;
        Ok(report)
    }

    /// Stays connected until `stop`: sends each edit as it is made, receives each change as it comes, and comes back
    /// by itself when the connection is lost. `Device::events` tells what happens.
    ///
    /// # Errors
    /// What coming back can't help: signed out, revoked, wiped, too old a version, a failing storage.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) -> ClientResult<()> {
        let shared = &self.shared;
        let _one = shared.syncing.lock().await;
        let (stopping, mut stop_signal) = watch::channel(false);
        let photos = tokio::spawn(photos::send_as_they_come(
            shared.clone(),
            stopping.subscribe(),
        ));
        let live = stay_connected(shared, &mut stop_signal);
        tokio::pin!(live, stop);
        let result = tokio::select! {
            result = &mut live => result,
            () = &mut stop => {
                stopping.send_replace(true);
                live.await
            }
        };
        stopping.send_replace(true);
        photos.await.ok();
        result
    }
}

async fn stay_connected<S: DeviceStore + Send + 'static>(
    shared: &Arc<Shared<S>>,
    stop: &mut watch::Receiver<bool>,
) -> ClientResult<()> {
    let mut backoff = Backoff::new(shared.options.backoff_least, shared.options.backoff_most);
    let mut broken = 0;
    loop {
        let mut report = SyncReport::default();
        let before = shared.counters.totals().frames_down;
        let error = match link::talk(shared, Until::Stopped, stop, &mut report).await {
            Ok(End::Settled | End::Stopped) => return Ok(()),
            Ok(End::Wiped) => return Err(shared.wiped()),
            Ok(End::Bye(bye)) => ClientError::bye(bye),
            Err(error) => error,
        };
        if shared.counters.totals().frames_down > before + 1 {
            backoff.reset(); // it was a connection, and not only a door that opened and shut
        }
        broken = if error.kind == Kind::Protocol {
            broken + 1
        } else {
            0
        };
        let again = match error.kind {
            Kind::Offline => true,
            Kind::Protocol => broken < PATIENCE_WITH_PROTOCOL,
            _ => false,
        };
        let retry_in = again.then(|| wait(&error, &mut backoff));
        shared.tell(Event::Disconnected {
            error: error.clone(),
            retry_in,
        });
        let Some(retry_in) = retry_in else {
            return Err(error);
        };
        tokio::select! {
            () = tokio::time::sleep(retry_in) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

/// How long to wait: what the server asks for, or the next step.
fn wait(error: &ClientError, backoff: &mut Backoff) -> Duration {
    let chance = host::random().map_or(0, u32::from_be_bytes);
    backoff
        .next(chance)
        .max(error.retry_after.unwrap_or_default())
}

impl<S: DeviceStore> Shared<S> {
    /// The store has been wiped by the session; what lies beside it goes too.
    fn wiped(&self) -> ClientError {
        *self
            .token
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
        let cleared = crate::bundles::clear(&self.bundles).and_then(|()| self.photos.wipe());
        if let Err(error) = cleared {
            tracing::error!(code = %error.code, "wiping left files behind");
        }
        self.tell(Event::Wiped);
        ClientError::new(
            Kind::Wiped,
            "wiped",
            "管理员已要求清除这台设备：本机数据已全部删除，请联系管理员重新登记",
        )
    }
}

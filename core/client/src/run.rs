//! Syncing once, or staying connected: tries, waits, and what each kind of end means.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use doorstep_core::store::DeviceStore;
use tokio::sync::watch;

use crate::backoff::{self, Backoff};
use crate::device::{Device, Shared, SyncReport};
use crate::error::{ClientError, ClientResult, Kind};
use crate::events::Event;
use crate::host;
use crate::link::{self, End, Until};
use crate::login::WIPE_ORDERED;
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
        let (_never, mut stop) = watch::channel(false);
        let mut tries = Tries::new(shared);
        loop {
            let error = match link::talk(shared, Until::Settled, &mut stop, &mut report).await {
                Ok(End::Settled | End::Stopped) => break,
                Ok(End::Wiped) => return Err(shared.wiped().await),
                Ok(End::Bye(bye)) => ClientError::bye(bye),
                Err(error) => error,
            };
            let wait = tries.after(shared, &error).await?;
            if tries.failed >= shared.options.tries {
                return Err(error);
            }
            tokio::time::sleep(wait.ok_or(error)?).await;
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
    let mut tries = Tries::new(shared);
    loop {
        let mut report = SyncReport::default();
        let before = shared.counters.totals().frames_down;
        let error = match link::talk(shared, Until::Stopped, stop, &mut report).await {
            Ok(End::Settled | End::Stopped) => return Ok(()),
            Ok(End::Wiped) => return Err(shared.wiped().await),
            Ok(End::Bye(bye)) => ClientError::bye(bye),
            Err(error) => error,
        };
        if shared.counters.totals().frames_down > before + 1 {
            tries.went_well(); // it was a connection, and not only a door that opened and shut
        }
        let retry_in = tries.after(shared, &error).await?;
        shared.tell(Event::Disconnected {
            error: error.clone(),
            retry_in,
        });
        let retry_in = retry_in.ok_or(error)?;
        tokio::select! {
            () = tokio::time::sleep(retry_in) => {}
            () = host::told(stop) => return Ok(()),
        }
    }
}

/// What was tried, and what each kind of failure means for the next try.
struct Tries {
    backoff: Backoff,
    failed: u32,
    broken: u32,
    renewed: bool,
}

impl Tries {
    fn new<S>(shared: &Shared<S>) -> Self {
        Self {
            backoff: Backoff::new(shared.options.backoff_least, shared.options.backoff_most),
            failed: 0,
            broken: 0,
            renewed: false,
        }
    }

    fn went_well(&mut self) {
        self.backoff.reset();
        (self.failed, self.broken, self.renewed) = (0, 0, false);
    }

    /// How long to wait before the next try; `None` when trying again helps nothing. A session that has ended is
    /// renewed by the device's key, once, without asking anyone.
    async fn after<S: DeviceStore>(
        &mut self,
        shared: &Shared<S>,
        error: &ClientError,
    ) -> ClientResult<Option<Duration>> {
        match error.kind {
            Kind::Offline => self.failed += 1,
            Kind::Protocol => {
                self.failed += 1;
                self.broken += 1;
                if self.broken >= PATIENCE_WITH_PROTOCOL {
                    return Ok(None);
                }
            }
            Kind::SignIn if !self.renewed => {
                self.renewed = true;
                return match shared.login.renew().await {
                    Ok(()) => Ok(Some(Duration::ZERO)),
                    Err(error) if error.code == WIPE_ORDERED => {
                        shared.store().wipe().map_err(ClientError::storage)?;
                        Err(shared.wiped().await)
                    }
                    Err(error) => Err(error),
                };
            }
            _ => return Ok(None),
        }
        let chance = host::random().map_or(0, u32::from_be_bytes);
        let wait = self.backoff.next(chance);
        Ok(Some(
            error
                .retry_after
                .map_or(wait, |told| backoff::told(told, chance)),
        ))
    }
}

impl<S: DeviceStore> Shared<S> {
    /// The store has been wiped by the session; what lies beside it goes too, the server is told, and then the keys go.
    pub(crate) async fn wiped(&self) -> ClientError {
        let cleared = crate::bundles::clear(&self.bundles).and_then(|()| self.photos.wipe());
        if cleared.is_ok() {
            let (least, most) = (self.options.backoff_least, self.options.backoff_most);
            let mut backoff = Backoff::new(least, most);
            self.login.say_wiped(&mut backoff, self.options.tries).await;
        }
        if let Err(error) = cleared.and_then(|()| self.login.wiped()) {
            tracing::error!(code = %error.code, "wiping left files behind");
        }
        self.tell(Event::Wiped);
        ClientError::wiped()
    }
}

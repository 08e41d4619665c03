//! One connection from its Hello to its end: the session of `doorstep_core` over a websocket, bundles beside it.
//! Knows no reconnecting (`run`) and no rule.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use doorstep_core::ids::ScopeId;
use doorstep_core::protocol::frames::{BundleOffer, Bye, Down, Unsent, Up};
use doorstep_core::store::DeviceStore;
use doorstep_core::sync::{Action, DeviceError, DeviceSession};
use doorstep_core::time::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::bundles;
use crate::device::{Shared, SyncReport};
use crate::error::{ClientError, ClientResult};
use crate::events::Event;
use crate::host;
use crate::routes;
use crate::socket::{Heard, Socket};

/// How long, once settled, to wait for the log to bring back what was just accepted.
const LINGER: Duration = Duration::from_secs(1);

/// When a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Everything is sent, answered and received.
    Settled,
    /// It is told to stop.
    Stopped,
}

/// How a connection ended.
pub(crate) enum End {
    /// Everything is sent, answered and received.
    Settled,
    /// It was told to stop.
    Stopped,
    /// The server ended it.
    Bye(Bye),
    /// Everything was wiped.
    Wiped,
}

/// What one step of the session gives.
struct Step {
    actions: Vec<Action>,
    pushes: Vec<Up>,
    settled: bool,
    echoed: bool,
    unsent: u64,
}

type Fetched = (ScopeId, BundleOffer, ClientResult<Vec<u8>>);

struct Link<'a, S> {
    shared: &'a Arc<Shared<S>>,
    report: &'a mut SyncReport,
    socket: Socket,
    session: Arc<Mutex<DeviceSession>>,
    token: String,
    fetches: JoinSet<Fetched>,
    /// The files they write.
    fetching: BTreeSet<String>,
    /// Something was taken away that other files of bundles may still hold, or nobody asks for those any longer.
    stale: bool,
    heard: Instant,
    welcomed: bool,
    /// What the server was last told of what is unsent.
    told_unsent: Unsent,
    told_settled: bool,
    /// The last answer said that everything has to wait.
    stuck: bool,
    /// Settled but for the echo of what was accepted: until then we stay.
    linger_until: Option<tokio::time::Instant>,
}

/// Connects, says Hello, and goes on until there is an end. `report` counts what was done, whatever the end.
pub(crate) async fn talk<S: DeviceStore + Send + 'static>(
    shared: &Arc<Shared<S>>,
    until: Until,
    stop: &mut watch::Receiver<bool>,
    report: &mut SyncReport,
) -> ClientResult<End> {
    let token = shared.login.token()?;
    let server = shared.login.http().server();
    let patience = shared.options.connect_timeout;
    let socket = Socket::open(server, routes::SYNC, patience, shared.counters.clone()).await?;
    let session = DeviceSession::new(shared.login.who().clone(), token.as_bytes().to_vec());
    let mut link = Link {
        shared,
        report,
        socket,
        session: Arc::new(Mutex::new(session)),
        token,
        fetches: JoinSet::new(),
        fetching: BTreeSet::new(),
        stale: false,
        heard: Instant::now(),
        welcomed: false,
        told_unsent: Unsent::default(),
        told_settled: false,
        stuck: false,
        linger_until: None,
    };
    let end = link.run(until, stop).await;
    link.fetches.abort_all();
    link.socket.close().await;
    end
}

impl<S: DeviceStore + Send + 'static> Link<'_, S> {
    async fn run(&mut self, until: Until, stop: &mut watch::Receiver<bool>) -> ClientResult<End> {
        let hello = self
            .on_store(|session, store, _| session.hello(store))
            .await?;
        self.socket.send(hello.encode())?;
        let mut ticks = interval(self.shared.options.ping_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut open_record = self.shared.open_record.subscribe();
        open_record.mark_unchanged();
        loop {
            let step = tokio::select! {
                heard = self.socket.next() => {
                    self.heard = Instant::now();
                    match heard? {
                        Heard::Alive => continue,
                        Heard::Frame(bytes) => self.take_frame(&bytes).await?,
                    }
                }
                Some(fetched) = self.fetches.join_next(), if !self.fetches.is_empty() => {
                    self.take_bundle(fetched.map_err(ClientError::storage)?).await?
                }
                () = self.shared.edited.notified(), if self.welcomed => self.step(|_, _, _| Ok(Vec::new())).await?,
                changed = open_record.changed(), if self.welcomed => {
                    if changed.is_ok() {
                        let record = *open_record.borrow_and_update();
                        self.socket.send(Up::Presence(record).encode())?;
                    }
                    continue;
                }
                _ = ticks.tick() => {
                    if self.heard.elapsed() >= self.shared.options.idle_timeout {
                        return Err(ClientError::offline("nothing was heard for too long"));
                    }
                    self.socket.ping()?;
                    if !self.welcomed {
                        continue;
                    }
                    self.step(|_, _, _| Ok(Vec::new())).await?
                }
                () = tokio::time::sleep_until(self.linger_until.unwrap_or_else(tokio::time::Instant::now)),
                    if self.linger_until.is_some() => return Ok(End::Settled),
                () = host::told(stop) => return Ok(End::Stopped),
            };
            if let Some(end) = self.follow(step, until).await? {
                return Ok(end);
            }
        }
    }

    /// Runs on the store, off the runtime's own threads: a bundle takes a while.
    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut DeviceSession, &mut S, Timestamp) -> Result<T, DeviceError<S::Error>>
        + Send
        + 'static,
    ) -> ClientResult<T> {
        let (shared, session) = (self.shared.clone(), self.session.clone());
        let done = tokio::task::spawn_blocking(move || {
            let mut session = session
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            work(&mut session, &mut *shared.store(), host::now())
        });
        Ok(done.await.map_err(ClientError::storage)??)
    }

    /// One step of the session, then whatever it has to push.
    async fn step(
        &self,
        work: impl FnOnce(
            &mut DeviceSession,
            &mut S,
            Timestamp,
        ) -> Result<Vec<Action>, DeviceError<S::Error>>
        + Send
        + 'static,
    ) -> ClientResult<Step> {
        self.on_store(move |session, store, now| {
            let actions = work(session, store, now)?;
            let over = |action: &Action| matches!(action, Action::Wiped | Action::Bye(_));
            if actions.iter().any(over) {
                return Ok(Step {
                    actions,
                    pushes: Vec::new(),
                    settled: false,
                    echoed: false,
                    unsent: 0,
                });
            }
            let mut pushes = Vec::new();
            while let Some(push) = session.push(store, now)? {
                pushes.push(push);
            }
            Ok(Step {
                actions,
                pushes,
                settled: session.settled(store)?,
                echoed: session.echoed(),
                unsent: store.unsent()?.items,
            })
        })
        .await
    }

    async fn take_frame(&mut self, bytes: &[u8]) -> ClientResult<Step> {
        let frame =
            Down::decode(bytes).map_err(|_| ClientError::protocol("frame can't be read"))?;
        if let Down::Welcome(welcome) = &frame {
            self.stale |= !self.welcomed || !welcome.dropped.is_empty();
            self.welcomed = true;
            self.shared.tell(Event::Connected {
                skew_ms: host::now().0 - welcome.time.0,
            });
            self.greet()?;
        }
        self.step(move |session, store, now| session.receive(store, frame, now))
            .await
    }

    /// What the server is told unasked, right after its Welcome. A device with nothing new says nothing.
    fn greet(&mut self) -> ClientResult<()> {
        let open_record = *self.shared.open_record.borrow();
        if open_record.is_some() {
            self.socket.send(Up::Presence(open_record).encode())?;
        }
        self.tell_unsent()
    }

    fn tell_unsent(&mut self) -> ClientResult<()> {
        let unsent = self.shared.unsent()?;
        if (unsent.items, unsent.blobs) != (self.told_unsent.items, self.told_unsent.blobs) {
            self.told_unsent = unsent;
            self.socket.send(Up::Unsent(unsent).encode())?;
        }
        Ok(())
    }

    async fn take_bundle(&mut self, (scope, offer, file): Fetched) -> ClientResult<Step> {
        let file = match file {
            Ok(file) => file,
            Err(error) if self.awaits(scope, &offer) => return Err(error),
            // The right to it ended while it came.
            Err(_) => Vec::new(),
        };
        let asked = offer.clone();
        let step = self
            .step(move |session, store, now| session.bundle(store, scope, &asked, &file, now))
            .await?;
        bundles::remove(&self.shared.bundles, &offer)?;
        self.fetching.remove(&bundles::name(&offer));
        Ok(step)
    }

    fn awaits(&self, scope: ScopeId, offer: &BundleOffer) -> bool {
        let session = self.session.lock();
        session
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .awaits(scope, offer)
    }

    fn fetch(&mut self, scope: ScopeId, offer: BundleOffer) {
        let (shared, token) = (self.shared.clone(), self.token.clone());
        self.fetching.insert(bundles::name(&offer));
        self.fetches.spawn(async move {
            let tell = |progress| shared.tell(Event::Progress(progress));
            let file = bundles::fetch(
                shared.login.http(),
                &shared.bundles,
                &token,
                scope,
                &offer,
                tell,
            )
            .await;
            (scope, offer, file)
        });
    }

    /// Does what a step demands; gives the end when it is one.
    async fn follow(&mut self, step: Step, until: Until) -> ClientResult<Option<End>> {
        for action in step.actions {
            match action {
                Action::Send(up) => self.socket.send(up.encode())?,
                Action::Fetch(scope, offer) => self.fetch(scope, offer),
                Action::Changed(records) if records.is_empty() => {}
                Action::Changed(records) => {
                    self.report.changed += records.len() as u64;
                    self.shared.tell(Event::Changed(records));
                }
                Action::States(keys) if keys.is_empty() => {}
                Action::States(keys) => self.shared.tell(Event::States(keys)),
                Action::Erased(records) => {
                    self.stale = true;
                    self.shared.forget_photos_of(&records)?;
                }
                Action::Answered { accepted, refused } => {
                    self.report.accepted += accepted as u64;
                    self.report.refused += refused as u64;
                    self.stuck = accepted + refused == 0;
                    self.shared.tell(Event::Answered { accepted, refused });
                }
                Action::Present(present) => self.shared.tell(Event::Presence(present)),
                Action::Wiped => return Ok(Some(End::Wiped)),
                Action::Bye(bye) => return Ok(Some(End::Bye(bye))),
            }
        }
        if std::mem::take(&mut self.stale) {
            bundles::keep(&self.shared.bundles, &self.fetching)?;
        }
        self.shared.level.store(step.settled, Ordering::Relaxed);
        for push in step.pushes {
            self.socket.send(push.encode())?;
        }
        let stuck = self.stuck && until == Until::Settled;
        if stuck {
            self.report.waiting = step.unsent;
        }
        if step.settled || stuck {
            self.tell_unsent()?;
        }
        if until == Until::Settled {
            if stuck || (step.settled && step.echoed) {
                return Ok(Some(End::Settled));
            }
            let until = step.settled.then(|| tokio::time::Instant::now() + LINGER);
            self.linger_until = until.map(|until| self.linger_until.unwrap_or(until));
        }
        if step.settled && !self.told_settled {
            self.shared.tell(Event::Settled);
        }
        self.told_settled = step.settled;
        Ok(None)
    }
}

//! One device's connection: the frames of `core::sync::server` against the register, the hub and the committer.
//! Knows no websocket but the form of its messages: `socket` gives it frames and takes frames.

mod incoming;
mod sending;
mod welcome;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Message;
use doorstep_core::crypto::sm2::PublicKey;
use doorstep_core::ids::{DeviceId, ScopeId};
use doorstep_core::protocol::frames::{Bye, Cursor, Down, Entry, Hello, Unsent};
use doorstep_core::sync::server::{Demand, ServerSession};
use tokio::sync::broadcast;

use super::committer::Awaited;
use super::doubt::Doubt;
use super::pace::Pace;
use super::packing;
use super::socket::Outbox;
use super::{Delivery, Seat, SyncState};
use crate::database::system_tx;
use crate::domains::audit::{self, Trail};
use crate::domains::auth::{self, Actor};
use crate::domains::devices::{self, DeviceStatus};
use crate::error::{ApiError, ApiResult, Kind};
use crate::live::Notice;
use crate::register::{Receipt, read};
use crate::state::AppState;

/// How many log entries are read at a time.
const STEP: i64 = 2_000;
/// How many records a repair opens at a time.
const REPAIR_STEP: usize = 500;
/// How many records a user may open in a second: all who follow the scope hear of each.
const OPENED_A_SECOND: u32 = 4;

/// The number of an envelope and what became of it.
pub(super) type Answer = (u64, ApiResult<Receipt>);

/// Envelopes that were handed in and not answered yet, in order.
#[derive(Default)]
pub(super) struct Answers(VecDeque<(u64, Awaited)>);

impl Answers {
    /// What became of the first; `None` when there is none. Giving up waiting loses nothing.
    pub(super) async fn next(&mut self) -> Option<Answer> {
        let (seq, awaited) = self.0.front_mut()?;
        let answer = (*seq, awaited.receipt().await);
        self.0.pop_front();
        Some(answer)
    }
}

/// The connection must end.
#[derive(Debug)]
pub(super) enum End {
    /// Say goodbye and close.
    Bye(Bye),
    /// The device is gone, or its socket too slow.
    Gone,
}

impl From<ApiError> for End {
    fn from(error: ApiError) -> Self {
        let signed_out = matches!(error.kind, Kind::Unauthenticated | Kind::Forbidden);
        let code = if signed_out {
            "signed_out"
        } else {
            "try_again"
        };
        if !signed_out {
            tracing::error!(code = error.code, "a connection ends: {error:?}");
        }
        End::Bye(bye(code, &error.message, (!signed_out).then_some(5_000)))
    }
}

/// A goodbye.
pub(super) fn bye(code: &str, message: &str, retry_after_ms: Option<u64>) -> Bye {
    Bye {
        code: code.to_owned(),
        message: message.to_owned(),
        retry_after_ms,
    }
}

/// The goodbye to a device that may go on after a while.
fn later(message: &str, wait: Duration) -> End {
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    End::Bye(bye("busy", message, Some(wait)))
}

/// The goodbye to a connection whose device has a newer one. Without a time: the two would take turns for ever.
fn replaced() -> End {
    End::Bye(bye(
        "replaced",
        "这台设备已用新的连接同步，这个旧连接已停止，数据不受影响；如果不是您本人在用，请修改密码并联系管理员。",
        None,
    ))
}

/// A connection past its sign-in.
struct SignedIn {
    actor: Actor,
    device: DeviceId,
    key: PublicKey,
    /// What colleagues call the user, once it was asked for.
    name: Option<String>,
}

/// A log that is to be sent.
struct Start {
    scope: ScopeId,
    /// After this entry.
    from: u64,
    /// Where it ended when the device was greeted.
    end: Cursor,
}

/// See the module.
pub(super) struct Session {
    state: AppState,
    sync: SyncState,
    machine: ServerSession,
    pub(super) seat: Seat,
    pub(super) notices: broadcast::Receiver<Notice>,
    pub(super) answers: Answers,
    pub(super) doubt: Doubt,
    pub(super) out: Outbox,
    who: Option<SignedIn>,
    /// What it was told to purge, and has not said that it did.
    purging: BTreeSet<ScopeId>,
    opened: Pace,
    trail: Arc<Trail>,
}

impl Session {
    pub(super) fn new(state: AppState, sync: SyncState, out: Outbox, trail: Arc<Trail>) -> Self {
        let seat = state.hub.seat();
        let notices = state.live.listen();
        Self {
            state,
            sync,
            machine: ServerSession::new(),
            seat,
            notices,
            answers: Answers::default(),
            doubt: Doubt::default(),
            out,
            who: None,
            purging: BTreeSet::new(),
            opened: Pace::of(OPENED_A_SECOND, Duration::from_secs(1)),
            trail,
        }
    }

    /// Whether the device has signed in.
    pub(super) fn is_welcomed(&self) -> bool {
        self.machine.is_welcomed()
    }

    /// Whether the device's next frame is read now.
    pub(super) fn reads(&self) -> bool {
        self.doubt.reads(self.answers.0.len())
    }

    /// Takes a frame from the device.
    pub(super) async fn receive(&mut self, bytes: &[u8]) -> Result<(), End> {
        match self.machine.receive(bytes) {
            Demand::SignIn(hello) => self.sign_in(hello).await,
            Demand::Accept(envelope) => self.accept(envelope).await,
            Demand::Purged(purged) => self.purged(purged).await,
            Demand::Repair(heads) => self.repair(heads).await,
            Demand::Presence(record) => self.presence(record).await,
            Demand::Unsent(unsent) => {
                self.unsent(unsent);
                Ok(())
            }
            Demand::Resume(scope) => self.stream(scope).await,
            Demand::Noted => Ok(()),
            Demand::End(bye) => Err(End::Bye(bye)),
        }
    }

    /// Takes what the hub brings.
    pub(super) async fn deliver(&mut self, delivery: Delivery) -> Result<(), End> {
        match delivery {
            Delivery::Slice(parcel) => {
                let scope = parcel.slice.scope;
                let Some(after) = self.machine.next_after(scope) else {
                    return Ok(());
                };
                if parcel.slice.end.seq <= after {
                    return Ok(());
                }
                let device = self.device();
                match parcel
                    .frame_for(device)
                    .filter(|_| parcel.slice.from == after)
                {
                    Some(frame) => {
                        self.machine.sent(scope, parcel.slice.end.seq);
                        self.send(frame).await
                    }
                    None => self.stream(scope).await,
                }
            }
            Delivery::Presence(scope) => self.tell_presence(scope).await,
            Delivery::Replaced => Err(replaced()),
        }
    }

    /// Reads all followed logs: something was lost because the inbox was full.
    pub(super) async fn catch_up(&mut self) -> Result<(), End> {
        for scope in self.machine.scopes().collect::<Vec<_>>() {
            self.stream(scope).await?;
        }
        Ok(())
    }

    /// Takes a notice about users, devices or areas.
    pub(super) async fn notice(&mut self, notice: Notice) -> Result<(), End> {
        let Some(who) = &self.who else { return Ok(()) };
        match notice {
            Notice::RightsChanged(user) if user == who.actor.user => self.rights_changed().await,
            Notice::AreasChanged => self.rights_changed().await,
            Notice::DeviceChanged(device) if device == who.device => {
                self.device_changed(device).await
            }
            _ => Ok(()),
        }
    }

    /// What the register says of the device now: a notice alone, which may come from another node, wipes nothing.
    async fn device_changed(&mut self, device: DeviceId) -> Result<(), End> {
        let mut tx = system_tx(&self.state.pool).await.map_err(ApiError::from)?;
        let now = devices::service::find(&mut tx, device).await?;
        drop(tx);
        match now.map(|device| device.status) {
            Some(DeviceStatus::Active) => return Ok(()),
            Some(DeviceStatus::WipeOrdered) => {
                let order = Message::Binary(Down::Wipe.encode().into());
                self.out.say(order).await?;
            }
            Some(DeviceStatus::Revoked | DeviceStatus::Wiped) | None => {}
        }
        Err(End::Bye(bye(
            "device_revoked",
            "这台设备已被停用，请联系管理员。",
            None,
        )))
    }

    /// Drops what the connection showed to others.
    pub(super) fn leave(&mut self) {
        if let Some(who) = &self.who {
            for scope in self.machine.scopes() {
                self.state.hub.set_open(scope, who.actor.user, None);
            }
        }
    }

    async fn sign_in(&mut self, hello: Hello) -> Result<(), End> {
        let place = self
            .sync
            .door
            .enter()
            .await
            .map_err(|wait| later(super::routes::BUSY, wait))?;
        let token = String::from_utf8(hello.token.clone()).unwrap_or_default();
        let (state, trail) = (&self.state, &self.trail);
        let mut tx = system_tx(&state.pool).await.map_err(ApiError::from)?;
        let actor = match auth::service::actor_within(state, &mut tx, trail, &token).await {
            Ok(actor) => actor,
            Err(error) => {
                drop(tx);
                if error.kind == Kind::Unauthenticated {
                    audit::refused(&self.state, &self.trail, audit::Action::Sync, error.code)
                        .await?;
                }
                return Err(End::from(error));
            }
        };
        if actor.device != Some(hello.device) || actor.must_change_password {
            return Err(End::from(ApiError::unauthenticated()));
        }
        let device = devices::service::find(&mut tx, hello.device)
            .await?
            .ok_or_else(ApiError::unauthenticated)?;
        devices::service::require_active(&device)?;
        self.seat.claim(hello.device);
        let owes_purge = device.purge_owed_since.is_some();
        self.who = Some(SignedIn {
            actor,
            device: hello.device,
            key: device.key,
            name: None,
        });
        let (welcome, starts) = self.welcome(tx, Some(&hello), owes_purge).await?;
        // What is sent from here on may take as long as a slow device likes.
        drop(place);
        self.send(Down::Welcome(welcome).encode().into()).await?;
        for start in starts {
            let held = hello
                .scopes
                .iter()
                .find(|(held, _)| *held == start.scope)
                .map(|(_, at)| *at);
            self.start(start, held).await?;
        }
        self.unsent(Unsent::default());
        Ok(())
    }

    /// Begins to send a log. What was put into it since its end was read is in the inbox.
    async fn start(&mut self, start: Start, held: Option<Cursor>) -> Result<(), End> {
        let Start { scope, from, end } = start;
        if from < end.seq {
            return self.stream(scope).await;
        }
        // Nothing new: a word is said only when what it holds is not what it should be.
        match held {
            Some(held) if held.seq == end.seq && held.digest != end.digest => {
                self.checkpoint(scope, end).await
            }
            _ => Ok(()),
        }
    }

    /// Sends a scope's log on from where the device stands, while its window is open; a checkpoint at the end.
    async fn stream(&mut self, scope: ScopeId) -> Result<(), End> {
        let device = self.device();
        let mut sent = false;
        while let Some(after) = self.machine.next_after(scope) {
            let mut tx = system_tx(&self.state.pool).await.map_err(ApiError::from)?;
            let own = (!self.machine.begins(scope)).then_some(device);
            let (to, entries) =
                read::log_after(&mut tx, &self.state.keys, scope, after, STEP, own).await?;
            let end = read::scope_end(&mut tx, scope).await?;
            drop(tx);
            if to > after {
                self.send_entries(scope, after, to, entries).await?;
                self.machine.sent(scope, to);
                sent = true;
            }
            if to >= end.seq {
                if sent {
                    self.checkpoint(scope, Cursor { seq: to, ..end }).await?;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends entries in batches of about `BATCH_TARGET`; only the last moves the device's cursor.
    async fn send_entries(
        &mut self,
        scope: ScopeId,
        from: u64,
        to: u64,
        entries: Vec<Entry>,
    ) -> Result<(), End> {
        let parts = packing::parts(entries);
        let last = parts.len() - 1;
        for (at, entries) in parts.into_iter().enumerate() {
            let (from, to) = if at == last { (from, to) } else { (from, from) };
            for frame in packing::frames(scope, from, to, entries)? {
                self.send(frame.into()).await?;
            }
        }
        Ok(())
    }

    async fn checkpoint(&mut self, scope: ScopeId, end: Cursor) -> Result<(), End> {
        self.send(Down::Checkpoint(scope, end).encode().into())
            .await
    }

    /// Looks at the session and its rights as of now: a grant may have ended by its date, the session from above.
    pub(super) async fn check_rights(&mut self) -> Result<(), End> {
        let Some(who) = &mut self.who else {
            return Ok(());
        };
        let before = who.actor.grants.clone();
        who.actor = auth::service::refresh(&self.state, &who.actor).await?;
        if who.actor.must_change_password {
            return Err(End::from(ApiError::unauthenticated()));
        }
        if who.actor.grants == before {
            return Ok(());
        }
        self.follow_rights().await
    }

    async fn rights_changed(&mut self) -> Result<(), End> {
        let Some(who) = &mut self.who else {
            return Ok(());
        };
        who.actor = auth::service::refresh(&self.state, &who.actor).await?;
        self.follow_rights().await
    }

    /// Tells the device what it may hold from now on: what it may no longer, it purges.
    async fn follow_rights(&mut self) -> Result<(), End> {
        let tx = system_tx(&self.state.pool).await.map_err(ApiError::from)?;
        // What the device holds since a newer connection began, this one does not know: that it has nothing to purge is
        // not for it to say.
        let knows = !self.seat.is_replaced();
        let (welcome, starts) = self.welcome(tx, None, knows).await?;
        if !welcome.scopes.is_empty() || !welcome.dropped.is_empty() {
            self.send(Down::Welcome(welcome).encode().into()).await?;
        }
        for start in starts {
            self.start(start, None).await?;
        }
        Ok(())
    }

    fn device(&self) -> DeviceId {
        self.who
            .as_ref()
            .map_or(DeviceId::from_bytes([0; 16]), |who| who.device)
    }
}

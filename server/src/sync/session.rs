//! One device's connection: the frames of `core::sync::server` against the register, the hub and the committer.
//! Knows no websocket but the form of its messages: `socket` gives it frames and takes frames.

mod sending;
mod welcome;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Message;
use doorstep_core::crypto::sm2::PublicKey;
use doorstep_core::envelope::MAX_UNANSWERED;
use doorstep_core::ids::{AreaCode, DeviceId, RecordId, ScopeId};
use doorstep_core::protocol::frames::{
    Bye, Cursor, Down, Entry, Heads, Hello, Present, Purged, Pushed, Unsent,
};
use doorstep_core::rights::{Permission, Role};
use doorstep_core::sync::server::{Demand, ServerSession};
use tokio::sync::broadcast;

use super::committer::Awaited;
use super::pace::Pace;
use super::packing;
use super::quotas::Over;
use super::socket::Outbox;
use super::{Delivery, Seat, SyncState};
use crate::database::system_tx;
use crate::domains::audit::{self, Trail};
use crate::domains::auth::{self, Actor};
use crate::domains::devices::DeviceStatus;
use crate::domains::{alarms, devices, users};
use crate::error::{ApiError, ApiResult, Kind};
use crate::live::Notice;
use crate::register::{Receipt, Submission, Submitter, read};
use crate::state::AppState;

/// How many log entries are read at a time.
const STEP: i64 = 2_000;
/// How many records a repair opens at a time.
const REPAIR_STEP: usize = 500;
/// How many repairs a connection is given in a minute: each reads a whole scope.
const REPAIRS_A_MINUTE: u32 = 30;
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
    pub(super) out: Outbox,
    who: Option<SignedIn>,
    /// What it was told to purge, and has not said that it did.
    purging: BTreeSet<ScopeId>,
    repairs: Pace,
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
            out,
            who: None,
            purging: BTreeSet::new(),
            repairs: Pace::of(REPAIRS_A_MINUTE, Duration::from_secs(60)),
            opened: Pace::of(OPENED_A_SECOND, Duration::from_secs(1)),
            trail,
        }
    }

    /// Whether the device has signed in.
    pub(super) fn is_welcomed(&self) -> bool {
        self.machine.is_welcomed()
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

    async fn accept(
        &mut self,
        envelope: doorstep_core::envelope::SignedEnvelope,
    ) -> Result<(), End> {
        let Some(who) = &self.who else {
            return Err(End::from(ApiError::unauthenticated()));
        };
        let submitter = Submitter {
            device: who.device,
            user: who.actor.user,
            key: who.key.clone(),
            grants: who
                .actor
                .grants
                .iter()
                .filter(|grant| grant.role.may(Permission::Sync))
                .map(|grant| (grant.role, grant.area))
                .collect::<Vec<(Role, AreaCode)>>(),
        };
        let (device, user) = (who.device, who.actor.user);
        let bytes = envelope.body.len();
        let opened = tokio::task::spawn_blocking(move || {
            let opened = envelope.open(device, &submitter.key)?;
            if opened.user != user {
                return Err(doorstep_core::envelope::EnvelopeError::WrongDevice);
            }
            let seq = opened.seq;
            Ok((
                seq,
                Submission::from_envelope(submitter, opened, &envelope.body),
            ))
        });
        let (seq, submission) = match opened.await.map_err(ApiError::internal)? {
            Ok(opened) => opened,
            Err(error) => {
                metrics::counter!("doorstep_envelopes_refused_total", "code" => error.code())
                    .increment(1);
                let entry =
                    audit::Entry::by_server(self.state.clock.now(), audit::Action::SyncPush)
                        .user(user)
                        .device(device)
                        .outcome(audit::Outcome::Refused)
                        .detail(serde_json::json!({ "code": error.code() }));
                audit_alone(&self.state, entry).await?;
                if let Some(kind) = alarms::Kind::from_code(error.code()) {
                    self.alarm(kind).await?;
                }
                return Err(End::Bye(bye(
                    error.code(),
                    "上传的数据未通过校验，请重新登录后再试；数据仍保留在手机上。",
                    None,
                )));
            }
        };
        let items = submission.items.len();
        if let Err(over) = self.sync.quotas.spend(device, items, bytes) {
            return Err(self.over(over).await?);
        }
        // One too many at a time waits here, and with it the socket.
        while self.answers.0.len() >= MAX_UNANSWERED
            && let Some(answer) = self.answers.next().await
        {
            self.answer(answer).await?;
        }
        let awaited = self.sync.committer.hand_in(submission).await?;
        self.answers.0.push_back((seq, awaited));
        Ok(())
    }

    /// A device that has sent too much is told when to go on; what it holds stays with it.
    async fn over(&mut self, over: Over) -> Result<End, End> {
        let kind = if over.refused {
            alarms::Kind::QuotaRefused
        } else {
            alarms::Kind::QuotaExceeded
        };
        metrics::counter!("doorstep_envelopes_refused_total", "code" => kind.code()).increment(1);
        if over.alarm {
            self.alarm(kind).await?;
        }
        // What was handed in before is committed all the same: without its answer it would come again and count again.
        while let Some(answer) = self.answers.next().await {
            self.answer(answer).await?;
        }
        Ok(later(
            "这台设备短时间内上传的内容太多，其余的都保留在手机上，稍后会自动继续上传。",
            over.wait,
        ))
    }

    /// The device sent a frame past the limit, which was not read.
    pub(super) async fn frame_too_long(&self) -> Result<(), End> {
        self.alarm(alarms::Kind::FrameTooLong).await?;
        Err(End::Gone)
    }

    /// Raises an alarm about the device.
    async fn alarm(&self, kind: alarms::Kind) -> Result<(), End> {
        let Some(who) = &self.who else { return Ok(()) };
        let mut noticed = alarms::Noticed::default();
        noticed.note(kind, who.device, who.actor.user);
        Ok(alarms::raise_alone(&self.state, &noticed).await?)
    }

    /// Tells the device what became of an envelope.
    pub(super) async fn answer(&mut self, (seq, receipt): Answer) -> Result<(), End> {
        let receipt = receipt?;
        let device = self.device();
        if !receipt.again {
            self.sync.quotas.refused(device, receipt.refusals());
        } else if self.sync.quotas.replayed(device) {
            self.alarm(alarms::Kind::Replayed).await?;
        }
        let pushed = Pushed {
            seq,
            outcomes: receipt.outcomes,
            refused: receipt.refused,
        };
        self.send(Down::Pushed(pushed).encode().into()).await
    }

    async fn purged(&mut self, purged: Purged) -> Result<(), End> {
        let Some(who) = &self.who else { return Ok(()) };
        let (user, device) = (who.actor.user, who.device);
        // Each leaves an entry in the log, so it counts like an item.
        if let Err(over) = self.sync.quotas.spend(device, 1, 0) {
            return Err(self.over(over).await?);
        }
        let follows = self.machine.scopes().any(|scope| scope == purged.scope);
        let told = self.purging.contains(&purged.scope) || (follows && !purged.records.is_empty());
        // It was never told to: there is nothing to note.
        if !told {
            return Ok(());
        }
        let entry = audit::Entry::by_server(self.state.clock.now(), audit::Action::SyncPurged)
            .user(user)
            .device(device)
            .subject("scope", purged.scope)
            .detail(serde_json::json!({ "records": purged.records.len() }));
        let mut tx = system_tx(&self.state.pool).await.map_err(ApiError::from)?;
        audit::record(&mut tx, entry).await?;
        let was_owed = purged.records.is_empty() && self.purging.remove(&purged.scope);
        if was_owed && self.purging.is_empty() {
            devices::service::note_purged(&mut tx, device, self.state.clock.now()).await?;
        }
        tx.commit().await.map_err(ApiError::from)?;
        Ok(())
    }

    /// Sends what the device holds otherwise than the scope does, and names what it should not hold at all.
    async fn repair(&mut self, heads: Heads) -> Result<(), End> {
        let (ScopeId::Area(area), Some(who)) = (heads.scope, &self.who) else {
            return Ok(());
        };
        if !self.machine.scopes().any(|scope| scope == heads.scope) {
            return Ok(());
        }
        if let Err(wait) = self.repairs.take() {
            return Err(later(
                "这台设备短时间内要求核对的次数太多，稍后会自动继续，数据都保留在手机上。",
                wait,
            ));
        }
        metrics::counter!("doorstep_repairs_total").increment(1);
        let held: std::collections::BTreeMap<RecordId, _> = heads.records.into_iter().collect();
        let mut tx = system_tx(&self.state.pool).await.map_err(ApiError::from)?;
        let members = read::members(&mut tx, area).await?;
        let known: std::collections::BTreeSet<RecordId> =
            members.iter().map(|(id, _)| *id).collect();
        let differing: Vec<RecordId> = members
            .into_iter()
            .filter(|(id, part)| held.get(id) != Some(part))
            .map(|(id, _)| id)
            .collect();
        let left: Vec<Entry> = held
            .keys()
            .filter(|id| !known.contains(id))
            .map(|id| Entry::Leave(*id))
            .collect();
        let entry = audit::Entry::by(
            &who.actor,
            self.state.clock.now(),
            audit::Action::SyncRepair,
        )
        .area(area)
        .detail(serde_json::json!({ "records": differing.len(), "left": left.len() }));
        audit::record(&mut tx, entry).await?;
        tx.commit().await.map_err(ApiError::from)?;
        if !left.is_empty() || differing.is_empty() {
            self.send_entries(heads.scope, heads.seq, heads.seq, left)
                .await?;
        }
        // What one step read is sent before the next is read: a device that reads slowly is not waited for with a whole
        // village in memory.
        for step in differing.chunks(REPAIR_STEP) {
            let mut tx = system_tx(&self.state.pool).await.map_err(ApiError::from)?;
            let wholes = read::wholes(&mut tx, &self.state.keys, heads.scope, step).await?;
            drop(tx);
            let entries = wholes.into_iter().map(Entry::Whole).collect();
            self.send_entries(heads.scope, heads.seq, heads.seq, entries)
                .await?;
        }
        // Looked at last: whatever was read is in the log by then.
        let mut tx = system_tx(&self.state.pool).await.map_err(ApiError::from)?;
        let end = read::scope_end(&mut tx, heads.scope).await?;
        drop(tx);
        // Beyond what was sent a checkpoint makes no sense to the device: it follows the rest of the log.
        if self.machine.next_after(heads.scope) == Some(end.seq) {
            self.checkpoint(heads.scope, end).await
        } else {
            self.stream(heads.scope).await
        }
    }

    async fn presence(&mut self, record: Option<RecordId>) -> Result<(), End> {
        let Some(who) = &mut self.who else {
            return Ok(());
        };
        // What is opened too fast is not shown, and neither is what was open before: that it no longer is.
        let record = record.filter(|_| self.opened.take().is_ok());
        let areas = match record {
            Some(record) => read::areas_of(&self.state, record).await?,
            None => Vec::new(),
        };
        if record.is_some() && who.name.is_none() {
            let mut names = users::service::names(&self.state, &[who.actor.user]).await?;
            who.name = names.remove(&who.actor.user);
        }
        let name = who.name.clone().unwrap_or_default();
        for scope in self.machine.scopes() {
            let ScopeId::Area(area) = scope else { continue };
            let open = record
                .filter(|_| areas.contains(&area))
                .map(|record| (record, name.clone()));
            self.state.hub.set_open(scope, who.actor.user, open);
        }
        Ok(())
    }

    async fn tell_presence(&mut self, scope: ScopeId) -> Result<(), End> {
        let Some(who) = &self.who else { return Ok(()) };
        let others = self
            .state
            .hub
            .open_in(scope)
            .into_iter()
            .filter(|(user, _, _)| *user != who.actor.user);
        let present = others
            .map(|(user, record, name)| Present { record, user, name })
            .collect();
        self.send(Down::Presence(present).encode().into()).await
    }

    fn unsent(&self, unsent: Unsent) {
        if let Some(who) = &self.who {
            let count = u32::try_from(unsent.items + unsent.blobs).unwrap_or(u32::MAX);
            let now = self.state.clock.now();
            self.sync.contacts.note(who.device, now, count);
        }
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
        let (welcome, starts) = self.welcome(tx, None, true).await?;
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

async fn audit_alone(state: &AppState, entry: audit::Entry) -> ApiResult<()> {
    let mut tx = system_tx(&state.pool).await?;
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(())
}

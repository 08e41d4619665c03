//! The device's end of a connection.

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::sm2::KeyPair;
use crate::envelope::{Envelope, MAX_BODY, MAX_ITEMS, MAX_UNANSWERED, VERSION};
use crate::ids::{DeviceId, RecordId, ScopeId, UserId};
use crate::protocol::frames::{
    Batch, BundleOffer, Bye, Cursor, Down, Heads, Hello, Outcome, Present, Purged, Refusal,
    StateEntry, Up,
};
use crate::protocol::{self, digest::ScopeDigest};
use crate::store::{DeviceStore, SavedEnvelope, WriteBatch};
use crate::sync::let_go::let_go;
use crate::sync::set_back::{begin_anew, doubt, is_set_back, lacks_confirmed, set_back};
use crate::sync::{DeviceError, HOLES, edit, hole_key, incoming, loading_key, replay};
use crate::time::Timestamp;

/// How many items go into one envelope.
const ITEMS_PER_ENVELOPE: usize = 200;

/// How long a device keeps from sending again what has to wait, in milliseconds.
const PAUSE_MS: i64 = 10_000;

/// Who a device is and who is signed in on it.
#[derive(Clone)]
pub struct Identity {
    /// The device.
    pub device: DeviceId,
    /// The user.
    pub user: UserId,
    /// The device's signing key.
    pub key: KeyPair,
}

/// What the host must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send this frame.
    Send(Up),
    /// Fetch a bundle over HTTP (by ranges, resumable) and hand it to `DeviceSession::bundle`.
    Fetch(ScopeId, BundleOffer),
    /// These records changed: lists and open forms read them again.
    Changed(Vec<RecordId>),
    /// State under these keys came, changed or was withdrawn: messages, tasks, outcomes, rights.
    States(Vec<String>),
    /// Of these records and events nothing may stay beside the store: photos, half-fetched bundles.
    Erased(Vec<RecordId>),
    /// An envelope was answered: how many items were accepted (or here already) and how many refused.
    Answered {
        /// Accepted or duplicate.
        accepted: usize,
        /// Refused; the store's `refused` says why.
        refused: usize,
    },
    /// Who else has which record open.
    Present(Vec<Present>),
    /// Everything was wiped on the server's order.
    Wiped,
    /// The connection ends: the server says so, or the device must begin anew with a server that was restored.
    Bye(Bye),
}

/// One connection's state.
pub struct DeviceSession {
    who: Identity,
    token: Vec<u8>,
    welcomed: bool,
    /// Scopes whose repair was asked for and not yet checked again.
    repairing: Vec<ScopeId>,
    /// Scopes that wait for a bundle: their batches come after it.
    fetching: Vec<(ScopeId, BundleOffer)>,
    /// What came for those scopes meanwhile, in order. The server's window bounds it.
    held: Vec<(ScopeId, Down)>,
    sent: Vec<u64>,
    /// The number that the server expects next of what it was not sent yet.
    next_envelope: u64,
    /// An envelope's number was wrong: nothing is sealed until all that were numbered are answered.
    renumbering: bool,
    /// When an answer said that everything in an envelope has to wait.
    waited: Option<Timestamp>,
    /// Changes accepted on this connection whose log entries have not come back.
    unechoed: usize,
    ends: Vec<(ScopeId, Cursor)>,
}

impl DeviceSession {
    /// A session before its first frame.
    #[must_use]
    pub fn new(who: Identity, token: Vec<u8>) -> Self {
        Self {
            who,
            token,
            welcomed: false,
            repairing: Vec::new(),
            fetching: Vec::new(),
            held: Vec::new(),
            sent: Vec::new(),
            next_envelope: 1,
            renumbering: false,
            waited: None,
            unechoed: 0,
            ends: Vec::new(),
        }
    }

    /// The first frame.
    ///
    /// # Errors
    /// The storage's.
    pub fn hello<S: DeviceStore>(&self, store: &S) -> Result<Up, DeviceError<S::Error>> {
        Ok(Up::Hello(Hello {
            version: protocol::VERSION,
            token: self.token.clone(),
            device: self.who.device,
            scopes: store.scopes()?,
        }))
    }

    /// Whether the server has answered, nothing is queued or unanswered, and every scope is at the end it was told.
    ///
    /// # Errors
    /// The storage's.
    pub fn settled<S: DeviceStore>(&self, store: &S) -> Result<bool, DeviceError<S::Error>> {
        if !self.welcomed
            || !self.fetching.is_empty()
            || !self.repairing.is_empty()
            || store.unsent()?.items > 0
        {
            return Ok(false);
        }
        let scopes = store.scopes()?;
        let at = |scope: &ScopeId| {
            let held = scopes.iter().find(|(held, _)| held == scope);
            held.map_or(0, |(_, at)| at.seq)
        };
        Ok(self.ends.iter().all(|(scope, end)| at(scope) >= end.seq))
    }

    /// Whether the log has brought back what was accepted on this connection, so that nothing here waits to be
    /// confirmed. What went into no scope of ours never comes back: a host waits for this a moment only.
    #[must_use]
    pub fn echoed(&self) -> bool {
        self.unechoed == 0
    }

    /// Seals and gives the next envelope, while the window is open and something is queued. After an answer that
    /// everything has to wait, only some seconds later: the same would be said again.
    ///
    /// # Errors
    /// The storage's.
    pub fn push<S: DeviceStore>(
        &mut self,
        store: &mut S,
        now: Timestamp,
    ) -> Result<Option<Up>, DeviceError<S::Error>> {
        let pausing = self
            .waited
            .is_some_and(|since| (since.0..since.plus_ms(PAUSE_MS).0).contains(&now.0));
        if !self.welcomed || self.sent.len() >= MAX_UNANSWERED || pausing {
            return Ok(None);
        }
        let saved = store.envelopes()?;
        // The numbers are the server's to say: a device whose outbox was lost would begin at 1 again.
        let last = saved.last().map_or(0, |envelope| envelope.seq);
        let seq = self.next_envelope.max(last + 1);
        self.renumbering &= !saved.is_empty();
        if let Some(envelope) = saved
            .into_iter()
            .find(|envelope| !self.sent.contains(&envelope.seq))
        {
            self.sent.push(envelope.seq);
            return Ok(Some(Up::Push(envelope.signed)));
        }
        if self.renumbering {
            return Ok(None);
        }
        let mut queued = store.queued(ITEMS_PER_ENVELOPE.min(MAX_ITEMS))?;
        let mut bytes = 0;
        let fitting = queued.iter().take_while(|queued| {
            bytes += 64 + protocol::codec::to_bytes(&queued.item).len();
            bytes < MAX_BODY - 1024
        });
        let fitting = fitting.count().max(1);
        queued.truncate(fitting);
        if queued.is_empty() {
            return Ok(None);
        }
        let items = queued.iter().map(|queued| queued.id).collect();
        let envelope = Envelope {
            version: VERSION,
            device: self.who.device,
            user: self.who.user,
            seq,
            time: now,
            items: queued.into_iter().map(|queued| queued.item).collect(),
        };
        let signed = envelope.seal(&self.who.key);
        let saved = SavedEnvelope {
            seq,
            signed: signed.clone(),
            items,
        };
        store.commit(WriteBatch {
            envelope: Some(saved),
            ..WriteBatch::default()
        })?;
        self.sent.push(seq);
        Ok(Some(Up::Push(signed)))
    }

    /// Takes a frame. One that comes twice changes nothing; one that comes before another which it needs ends the
    /// connection.
    ///
    /// # Errors
    /// `Protocol` when the server says what makes no sense here; the storage's. Nothing of the frame is kept then.
    pub fn receive<S: DeviceStore>(
        &mut self,
        store: &mut S,
        frame: Down,
        now: Timestamp,
    ) -> Result<Vec<Action>, DeviceError<S::Error>> {
        // Entries taken before it would look like those of a log that is longer than the server's.
        let opens = matches!(frame, Down::Welcome(_) | Down::Wipe | Down::Bye(_));
        if !self.welcomed && !opens {
            return Err(DeviceError::Protocol("no welcome yet"));
        }
        let of = match &frame {
            Down::Batch(batch) => Some(batch.scope),
            Down::Checkpoint(scope, _) => Some(*scope),
            _ => None,
        };
        if let Some(scope) = of
            && self.fetching.iter().any(|(fetching, _)| *fetching == scope)
        {
            self.held.push((scope, frame));
            return Ok(Vec::new());
        }
        match frame {
            Down::Welcome(welcome) => {
                let first = !self.welcomed;
                if first && is_set_back(store, &welcome)? {
                    let changed = set_back(store, &self.who, welcome.next_envelope, now)?;
                    return Ok(vec![Action::Changed(changed), Action::Bye(begin_anew())]);
                }
                self.welcomed = true;
                // The late copy of one knows less than the answers since.
                self.next_envelope = self.next_envelope.max(welcome.next_envelope);
                let mut actions = Vec::new();
                for scope in welcome.dropped {
                    self.let_go(scope);
                    actions.extend(drop_scope(store, scope)?);
                }
                self.ends = welcome
                    .scopes
                    .iter()
                    .map(|state| (state.scope, state.end))
                    .collect();
                know_scopes(store, &self.ends)?;
                if first {
                    actions.extend(self.at_its_end(store, now)?);
                }
                for state in welcome.scopes {
                    let fetching = self.fetching.iter().any(|(of, _)| *of == state.scope);
                    let held = cursor_of(store, state.scope)?.seq;
                    if let Some(offer) = state.bundle
                        && !fetching
                        && offer.cursor.seq > held
                    {
                        self.fetching.push((state.scope, offer.clone()));
                        actions.push(Action::Fetch(state.scope, offer));
                    }
                }
                Ok(actions)
            }
            Down::Batch(batch) => self.batch(store, &batch),
            Down::Checkpoint(scope, end) => self.checkpoint(store, scope, end, now),
            Down::Pushed(pushed) => {
                if !self.sent.contains(&pushed.seq) {
                    return Ok(Vec::new()); // it came twice
                }
                self.sent.retain(|seq| *seq != pushed.seq);
                if let Some(refusal) = &pushed.refused {
                    // Nothing was left out where one before it is under way, or it is the one that is expected: they
                    // changed places. Numbered anew, what came late after all would be there twice.
                    let behind = self.sent.iter().any(|seq| *seq < pushed.seq);
                    if refusal.code == Refusal::GAP && (behind || pushed.seq == self.next_envelope)
                    {
                        return Err(DeviceError::Protocol("envelopes out of order"));
                    }
                    self.renumbering = true;
                    replay::settle(store, &self.who, pushed, now)?;
                    return Ok(Vec::new());
                }
                self.next_envelope = self.next_envelope.max(pushed.seq + 1);
                let refused = pushed
                    .outcomes
                    .iter()
                    .filter(|outcome| matches!(outcome, Outcome::Refused(_)))
                    .count();
                let accepted = pushed
                    .outcomes
                    .iter()
                    .filter(|outcome| matches!(outcome, Outcome::Accepted | Outcome::Duplicate))
                    .count();
                let waits = |outcome: &Outcome| matches!(outcome, Outcome::Waiting);
                let all_wait = !pushed.outcomes.is_empty() && pushed.outcomes.iter().all(waits);
                self.waited = all_wait.then_some(now);
                let settled = replay::settle(store, &self.who, pushed, now)?;
                self.unechoed += settled.merged;
                let mut actions = vec![
                    Action::Answered { accepted, refused },
                    Action::Changed(settled.changed),
                ];
                actions.extend(erased(settled.erased));
                Ok(actions)
            }
            Down::Presence(present) => Ok(vec![Action::Present(present)]),
            Down::Wipe => {
                store.wipe()?;
                Ok(vec![Action::Wiped])
            }
            Down::Bye(bye) => Ok(vec![Action::Bye(bye)]),
        }
    }

    /// Whether a bundle is still waited for: not, where its scope was taken away while it came.
    #[must_use]
    pub fn awaits(&self, scope: ScopeId, offer: &BundleOffer) -> bool {
        let mut fetching = self.fetching.iter();
        fetching.any(|(of, offered)| *of == scope && offered == offer)
    }

    /// Nothing of a scope that was taken away is waited for any more: what still comes of it would fill it again.
    fn let_go(&mut self, scope: ScopeId) {
        self.fetching.retain(|(of, _)| *of != scope);
        self.held.retain(|(of, _)| *of != scope);
        self.repairing.retain(|of| *of != scope);
    }

    /// Takes a fetched bundle, whose digest the host has checked, and then what came for its scope meanwhile. One that
    /// nobody awaits any more changes nothing.
    ///
    /// # Errors
    /// `Protocol` when it is not what was offered; the storage's.
    pub fn bundle<S: DeviceStore>(
        &mut self,
        store: &mut S,
        scope: ScopeId,
        offer: &BundleOffer,
        file: &[u8],
        now: Timestamp,
    ) -> Result<Vec<Action>, DeviceError<S::Error>> {
        if !self.awaits(scope, offer) {
            return Ok(Vec::new());
        }
        self.fetching.retain(|(of, _)| *of != scope);
        let mut rest = file;
        let (mut changed, mut states) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            let (length, tail) = rest
                .split_at_checked(4)
                .ok_or(DeviceError::Protocol("bundle cut short"))?;
            let length = u32::from_be_bytes(length.try_into().unwrap_or_default()) as usize;
            let (frame, tail) = tail
                .split_at_checked(length)
                .ok_or(DeviceError::Protocol("bundle cut short"))?;
            rest = tail;
            let Ok(Down::Batch(batch)) = Down::decode(frame) else {
                return Err(DeviceError::Protocol("bundle holds no batch"));
            };
            // Until the last batch is kept the cursor stays at zero: a crash fetches the bundle again.
            let to = if rest.is_empty() { offer.cursor.seq } else { 0 };
            let done = incoming::apply(store, scope, to, &batch, false, true)?;
            self.unechoed = self.unechoed.saturating_sub(done.own);
            changed.extend(done.changed);
            states.extend(done.states);
        }
        let mut actions = vec![
            Action::Changed(changed),
            Action::States(states),
            Action::Send(Up::Stored(scope, offer.cursor.seq)),
        ];
        // A checkpoint: of what was here before, something may have left the scope since.
        actions.extend(self.checkpoint(store, scope, offer.cursor, now)?);
        let held = std::mem::take(&mut self.held).into_iter();
        let (ours, others): (Vec<_>, Vec<_>) = held.partition(|(of, _)| *of == scope);
        self.held = others;
        for (_, frame) in ours {
            actions.extend(self.receive(store, frame, now)?);
        }
        Ok(actions)
    }

    /// Shows unsent edits of records that came again after the register was lost.
    fn mend<S: DeviceStore>(&self, store: &mut S) -> Result<Vec<Action>, DeviceError<S::Error>> {
        Ok(shown(edit::recover(store, &self.who)?))
    }

    fn batch<S: DeviceStore>(
        &mut self,
        store: &mut S,
        batch: &Batch,
    ) -> Result<Vec<Action>, DeviceError<S::Error>> {
        let at = cursor_of(store, batch.scope)?;
        if batch.from > at.seq {
            return Err(DeviceError::Protocol("log entries skipped"));
        }
        if batch.to <= at.seq && batch.from != batch.to {
            return Ok(Vec::new()); // delivered twice
        }
        // A repair (from = to) answers what was said before the last batches came.
        let to = batch.to.max(at.seq);
        let end = self.ends.iter().find(|(of, _)| *of == batch.scope);
        let end = end.map_or(0, |(_, end)| end.seq);
        let asked = self.repairing.contains(&batch.scope);
        // One that nobody waits for is a part of a longer step, or the copy of a repair: not the last word.
        let repair = asked && batch.from == batch.to;
        // Entries came since it was asked for. If frames changed places, they are younger than it is.
        let overtaken = batch.to < at.seq;
        if repair && lacks_confirmed(store, batch)? {
            if overtaken {
                return self.ask_for_repair(store, batch.scope);
            }
            doubt(store, &self.who)?;
            return Ok(vec![Action::Bye(begin_anew())]);
        }
        let past = at.seq < end && !asked;
        let done = incoming::apply(store, batch.scope, to, batch, repair, past)?;
        self.unechoed = self.unechoed.saturating_sub(done.own);
        let mut actions = vec![Action::Changed(done.changed), Action::States(done.states)];
        actions.extend(erased(done.erased));
        if !done.left.is_empty() {
            actions.push(Action::Send(Up::Purged(Purged {
                scope: batch.scope,
                records: done.left,
            })));
        }
        actions.push(Action::Send(Up::Stored(batch.scope, to)));
        if done.complete {
            actions.extend(self.mend(store)?);
        }
        // A copy that is late may have taken something back.
        let late = overtaken && !asked && cursor_of(store, batch.scope)?.digest != at.digest;
        // While the log is still coming, the checkpoint at its end asks.
        if (late || done.holes > 0) && to >= end {
            actions.extend(self.ask_for_repair(store, batch.scope)?);
        }
        Ok(actions)
    }

    fn checkpoint<S: DeviceStore>(
        &mut self,
        store: &mut S,
        scope: ScopeId,
        end: Cursor,
        now: Timestamp,
    ) -> Result<Vec<Action>, DeviceError<S::Error>> {
        let at = cursor_of(store, scope)?;
        if at == end || at.seq > end.seq {
            self.repairing.retain(|repairing| *repairing != scope);
            let mut actions = Vec::new();
            if at == end {
                no_holes(store, scope)?;
                actions.extend(shown(let_go(store, &self.who, scope, now)?));
            }
            actions.extend(self.mend(store)?);
            return Ok(actions);
        }
        if at.seq < end.seq {
            return Err(DeviceError::Protocol("checkpoint beyond the log"));
        }
        let counted = counted(store, scope)?;
        if counted.digest != at.digest {
            // The records are right or wrong by themselves; what was counted of them must not keep them from agreeing.
            store.commit(WriteBatch {
                cursors: vec![(scope, counted)],
                ..WriteBatch::default()
            })?;
            return self.checkpoint(store, scope, end, now);
        }
        self.ask_for_repair(store, scope)
    }

    /// What a Welcome says of scopes by not naming them: they are as the server has them. Of the others that are coming
    /// from the beginning, it says how far they go: less far than before when the server was restored.
    fn at_its_end<S: DeviceStore>(
        &self,
        store: &mut S,
        now: Timestamp,
    ) -> Result<Vec<Action>, DeviceError<S::Error>> {
        let ends: BTreeMap<ScopeId, Cursor> = self.ends.iter().copied().collect();
        let mut changed = Vec::new();
        let mut states = Vec::new();
        for (scope, _) in store.scopes()? {
            let key = loading_key(scope);
            let told = ends.get(&scope);
            let until = store.state(&key)?.and_then(|json| json.parse::<u64>().ok());
            if until.is_some_and(|until| told.is_none_or(|end| until > end.seq)) {
                let json = told.map(|end| end.seq.to_string()).unwrap_or_default();
                states.push((scope, StateEntry { key, json }));
            }
            if told.is_none() {
                no_holes(store, scope)?;
                changed.extend(let_go(store, &self.who, scope, now)?);
            }
        }
        if !states.is_empty() {
            store.commit(WriteBatch {
                states,
                ..WriteBatch::default()
            })?;
        }
        Ok(shown(changed))
    }

    fn ask_for_repair<S: DeviceStore>(
        &mut self,
        store: &S,
        scope: ScopeId,
    ) -> Result<Vec<Action>, DeviceError<S::Error>> {
        if !self.repairing.contains(&scope) {
            self.repairing.push(scope);
        }
        let seq = cursor_of(store, scope)?.seq;
        let records = parts(store, scope)?;
        let heads = Heads {
            scope,
            seq,
            records,
        };
        Ok(vec![Action::Send(Up::Heads(heads))])
    }
}

/// Lists and forms read these again, if there are any.
fn shown(changed: Vec<RecordId>) -> Vec<Action> {
    if changed.is_empty() {
        Vec::new()
    } else {
        vec![Action::Changed(changed)]
    }
}

/// What is kept of these beside the store goes, if there are any.
fn erased(records: Vec<RecordId>) -> Option<Action> {
    (!records.is_empty()).then_some(Action::Erased(records))
}

/// What each confirmed record of a scope adds to its digest.
fn parts<S: DeviceStore>(
    store: &S,
    scope: ScopeId,
) -> Result<Vec<(RecordId, ScopeDigest)>, S::Error> {
    let members = store.members(&scope)?.into_iter();
    let confirmed = members.filter(|(_, heads)| !heads.is_empty());
    Ok(confirmed
        .map(|(id, heads)| (id, ScopeDigest::of_record(id, &heads)))
        .collect())
}

/// The scope's cursor with its digest counted from the records.
fn counted<S: DeviceStore>(store: &S, scope: ScopeId) -> Result<Cursor, DeviceError<S::Error>> {
    let parts = parts(store, scope)?.into_iter();
    let digest = parts.fold(ScopeDigest::default(), |sum, (_, part)| sum.plus(part));
    Ok(Cursor {
        digest,
        ..cursor_of(store, scope)?
    })
}

/// A scope is as the server has it: no record of it misses anything.
fn no_holes<S: DeviceStore>(store: &mut S, scope: ScopeId) -> Result<(), DeviceError<S::Error>> {
    let holes = store.states(HOLES)?;
    if holes.is_empty() {
        return Ok(());
    }
    let whole: BTreeSet<String> = store
        .members(&scope)?
        .into_iter()
        .map(|(id, _)| hole_key(id))
        .collect();
    let states = holes
        .into_iter()
        .filter(|hole| whole.contains(&hole.key))
        .map(|hole| {
            let json = String::new();
            (scope, StateEntry { json, ..hole })
        });
    let states: Vec<(ScopeId, StateEntry)> = states.collect();
    if states.is_empty() {
        return Ok(());
    }
    Ok(store.commit(WriteBatch {
        states,
        ..WriteBatch::default()
    })?)
}

/// Notes scopes that are new here, and up to which entry each is still coming. One whose log is empty would else not
/// be known until something is in it.
fn know_scopes<S: DeviceStore>(
    store: &mut S,
    told: &[(ScopeId, Cursor)],
) -> Result<(), DeviceError<S::Error>> {
    let held = store.scopes()?;
    let mut batch = WriteBatch::default();
    for (scope, end) in told {
        if held.iter().any(|(held, _)| held == scope) {
            continue;
        }
        batch.cursors.push((*scope, Cursor::default()));
        if end.seq > 0 {
            let key = loading_key(*scope);
            let json = end.seq.to_string();
            batch.states.push((*scope, StateEntry { key, json }));
        }
    }
    if batch.cursors.is_empty() {
        return Ok(());
    }
    Ok(store.commit(batch)?)
}

fn cursor_of<S: DeviceStore>(store: &S, scope: ScopeId) -> Result<Cursor, DeviceError<S::Error>> {
    let found = store.scopes()?.into_iter().find(|(held, _)| *held == scope);
    Ok(found.map(|(_, cursor)| cursor).unwrap_or_default())
}

/// Forgets a scope: its records go unless another scope holds them. What was not sent stays queued and goes up; the
/// server keeps it for the supervisor.
fn drop_scope<S: DeviceStore>(
    store: &mut S,
    scope: ScopeId,
) -> Result<Vec<Action>, DeviceError<S::Error>> {
    let mut purge = Vec::new();
    let mut records = Vec::new();
    let mut changed = Vec::new();
    for (id, _) in store.members(&scope)? {
        changed.push(id);
        if store.scopes_of(id)?.iter().all(|held| *held == scope) {
            purge.push(id);
        } else if let Some(record) = store.record(id)? {
            records.push(incoming::leave(record, scope));
        }
    }
    store.commit(WriteBatch {
        records,
        purge,
        drop_scopes: vec![scope],
        ..WriteBatch::default()
    })?;
    Ok(vec![
        Action::Changed(changed),
        Action::Send(Up::Purged(Purged {
            scope,
            records: Vec::new(),
        })),
    ])
}

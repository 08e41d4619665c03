//! What a device sends once it is let in: envelopes and their answers, purges, what it holds, who has what open. Knows
//! neither sign-in nor what is streamed.

use doorstep_core::envelope::MAX_UNANSWERED;
use doorstep_core::ids::{AreaCode, RecordId, ScopeId};
use doorstep_core::protocol::frames::{Down, Entry, Heads, Present, Purged, Pushed, Unsent};
use doorstep_core::rights::{Permission, Role};

use super::{Answer, End, REPAIR_STEP, Session, bye, later};
use crate::database::system_tx;
use crate::domains::devices::service::Contact;
use crate::domains::{alarms, audit, devices, users};
use crate::error::{ApiError, ApiResult};
use crate::register::{Submission, Submitter, read};
use crate::state::AppState;
use crate::sync::quotas::Over;

impl Session {
    pub(super) async fn accept(
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
    pub(super) async fn over(&mut self, over: Over) -> Result<End, End> {
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
    pub(in crate::sync) async fn frame_too_long(&self) -> Result<(), End> {
        self.alarm(alarms::Kind::FrameTooLong).await?;
        Err(End::Gone)
    }

    /// Raises an alarm about the device.
    pub(super) async fn alarm(&self, kind: alarms::Kind) -> Result<(), End> {
        let Some(who) = &self.who else { return Ok(()) };
        let mut noticed = alarms::Noticed::default();
        noticed.note(kind, who.device, who.actor.user);
        Ok(alarms::raise_alone(&self.state, &noticed).await?)
    }

    /// Tells the device what became of an envelope.
    pub(in crate::sync) async fn answer(&mut self, (seq, receipt): Answer) -> Result<(), End> {
        let receipt = receipt?;
        let device = self.device();
        self.doubt.note(receipt.came_to_nothing());
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

    pub(super) async fn purged(&mut self, purged: Purged) -> Result<(), End> {
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
        let was_owed = purged.records.is_empty() && self.purging.remove(&purged.scope);
        if was_owed && self.purging.is_empty() {
            devices::service::note_purged(&mut tx, device, self.state.clock.now()).await?;
        }
        // The log's head last: contacts lock devices and then the head, and each would wait for the other.
        audit::record(&mut tx, entry).await?;
        tx.commit().await.map_err(ApiError::from)?;
        Ok(())
    }

    /// Sends what the device holds otherwise than the scope does, and names what it should not hold at all.
    pub(super) async fn repair(&mut self, heads: Heads) -> Result<(), End> {
        let (ScopeId::Area(area), Some(who)) = (heads.scope, &self.who) else {
            return Ok(());
        };
        if !self.machine.scopes().any(|scope| scope == heads.scope) {
            return Ok(());
        }
        let areas = self
            .machine
            .scopes()
            .filter(|scope| matches!(scope, ScopeId::Area(_)));
        if let Err(wait) = self.sync.quotas.repair(who.device, areas.count()) {
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

    pub(super) async fn presence(&mut self, record: Option<RecordId>) -> Result<(), End> {
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

    pub(super) async fn tell_presence(&mut self, scope: ScopeId) -> Result<(), End> {
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

    pub(super) fn unsent(&self, unsent: Unsent) {
        if let Some(who) = &self.who {
            let contact = Contact {
                device: who.device,
                at: self.state.clock.now(),
                unsent: u32::try_from(unsent.items + unsent.blobs).unwrap_or(u32::MAX),
            };
            self.sync.contacts.note(contact, who.actor.session);
        }
    }
}

async fn audit_alone(state: &AppState, entry: audit::Entry) -> ApiResult<()> {
    let mut tx = system_tx(&state.pool).await?;
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(())
}

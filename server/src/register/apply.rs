//! Applying submissions: load, judge, write, in one transaction; tell those online after the commit.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use doorstep_core::accept::ConflictKind;
use doorstep_core::envelope::MAX_UNANSWERED;
use doorstep_core::ids::{AreaCode, EventId, RecordId, ScopeId};
use doorstep_core::projection::{self, Projection};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::{Entry, EventEntry, Outcome, PutEntry, Refusal};
use doorstep_core::time::Timestamp;
use doorstep_core::value::Value;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::judging::{self, AcceptedChange, Judgement, KnownIds};
use super::load::{self, Locked};
use super::log::{self, Draft, LogKind, ScopeWrites, Told};
use super::model::{Prepared, Receipt, Sealed, Submission, Submitter};
use super::store::{self, ChangeColumns, EnvelopeRow, EventColumns};
use super::{conflicts, ledger, neighbours, record_rows, refused, relations, rescope, sealing};
use crate::clock;
use crate::database::system_tx;
use crate::domains::{alarms, audit};
use crate::error::{ApiError, ApiResult};
use crate::state::AppState;

/// How long a supervisor has for a conflict item.
pub const DUE: Duration = Duration::days(3);

/// What applying did; call `tell` after the commit.
#[derive(Debug, Default)]
pub struct Applied {
    /// One receipt for each submission.
    pub receipts: Vec<Receipt>,
    /// What goes to those online.
    pub told: Told,
    /// How many changes were merged.
    pub changes: usize,
    /// How many events were taken.
    pub events: usize,
    /// The conflict items opened.
    pub conflicts: usize,
    /// How many items were refused.
    pub refused: usize,
    /// Whether there is something to check, or a check was answered.
    pub checks: bool,
    /// What the audit log is to say of alarms.
    pub alarms: Vec<audit::Entry>,
    /// The areas whose queue got an item, or more of one.
    pub queues: BTreeSet<AreaCode>,
}

impl Applied {
    /// What became of each item, in order.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.receipts.iter().flat_map(|receipt| &receipt.outcomes)
    }

    /// For who submits all or nothing: an error where an item was not taken. What is put is made under the record's
    /// lock, and so never waits.
    ///
    /// # Errors
    /// What `refused` says of the first refusal; the transaction must then be dropped.
    pub fn require_all(&self, refused: impl FnOnce(&Refusal) -> ApiError) -> ApiResult<()> {
        for outcome in self.outcomes() {
            match outcome {
                Outcome::Accepted | Outcome::Duplicate => {}
                Outcome::Refused(refusal) => return Err(refused(refusal)),
                Outcome::Waiting => {
                    return Err(ApiError::internal(anyhow::anyhow!("a put can't wait")));
                }
            }
        }
        Ok(())
    }

    /// Tells those online. Call it after the commit, once.
    pub fn tell(&mut self, state: &AppState) {
        std::mem::take(&mut self.told).to(&state.hub);
        if std::mem::take(&mut self.checks) {
            state.checks_due.notify_one();
        }
        for area in std::mem::take(&mut self.queues) {
            state.live.queue_changed(area);
        }
    }
}

/// Applies submissions in a transaction of their own, with their audit entries, and tells those online.
///
/// # Errors
/// When the database fails; then nothing of it is kept.
pub async fn commit(
    state: &AppState,
    submissions: Vec<Submission>,
    entries: impl FnOnce(&Applied) -> Vec<audit::Entry>,
) -> ApiResult<Applied> {
    let mut tx = system_tx(&state.pool).await?;
    let mut applied = apply(&mut tx, state, submissions).await?;
    let mut entries = entries(&applied);
    entries.append(&mut applied.alarms);
    audit::record_all(&mut tx, &entries).await?;
    tx.commit().await?;
    applied.tell(state);
    Ok(applied)
}

/// Applies submissions, in order, in the caller's transaction (a system one: rights are judged here).
///
/// # Errors
/// When the database fails; the transaction must then be dropped.
pub async fn apply(
    tx: &mut PgConnection,
    state: &AppState,
    submissions: Vec<Submission>,
) -> ApiResult<Applied> {
    let now = state.clock.now();
    let stamp = state.clock.timestamp();
    let answered = Answered::load(tx, &submissions).await?;
    let ids: BTreeSet<RecordId> = submissions
        .iter()
        .flat_map(|submission| &submission.items)
        .filter(|item| !matches!(item, Prepared::Event(_) | Prepared::Taken(_)))
        .map(Prepared::record)
        .collect();
    let items = || submissions.iter().flat_map(|submission| &submission.items);
    let referred_to = judging::referred_to(items());
    let residents = neighbours::lock_residents(tx, ids.union(&referred_to), items()).await?;
    let (mut records, mut gone) = load::lock(tx, &state.keys, &ids, &referred_to).await?;
    gone.areas.extend(residents);
    load::load_refused(tx, &mut records, &judging::refused_names(items())).await?;
    let wanted = judging::wants_history(&records, items());
    load::load_histories(tx, &mut records, &wanted).await?;
    let heavy = judging::to_weigh(&records, items());
    load::weigh(tx, &mut records, &heavy).await?;
    let event_ids: Vec<Uuid> = items()
        .filter_map(|item| {
            if let Prepared::Event(event) | Prepared::Taken(event) = item {
                Some(event.id.0)
            } else {
                None
            }
        })
        .collect();
    let begun = records.iter().filter(|(_, locked)| locked.stored.is_none());
    let begun: Vec<Uuid> = begun.map(|(id, _)| id.0).collect();
    let known = known_ids(tx, &event_ids, begun).await?;

    let tree = store::areas_among(tx, &judging::areas_named(&submissions)).await?;
    let mut judgement = Judgement::knowing(gone, tree, known);
    let mut applied = Applied::default();
    let mut answers = Vec::new();
    let mut answered = answered;
    for submission in submissions {
        let receipt = match answered.check(&submission, &mut judgement) {
            Some(receipt) => receipt,
            None => {
                let outcomes =
                    judgement.submit(&submission.who, submission.items, &mut records, stamp);
                let receipt = Receipt {
                    outcomes,
                    ..Receipt::default()
                };
                if let Some(sealed) = submission.envelope {
                    if clock::is_off(sealed.time, stamp) {
                        let who = &submission.who;
                        let kind = alarms::Kind::ClockOff;
                        judgement.alarms.note(kind, who.device, who.user);
                    }
                    answers.push(answered.note(&submission.who, sealed, &receipt));
                }
                receipt
            }
        };
        applied.receipts.push(receipt);
    }
    let server = |user| Submitter::server(state, user);
    judgement.follow(server, &mut records, stamp);
    applied.changes = judgement.changes.len();
    applied.events = judgement.events.len();
    applied.refused = judgement.refused.len() + judgement.too_late;
    write(tx, state, records, judgement, &mut applied, now, stamp).await?;
    if !answers.is_empty() {
        store::insert_envelopes(tx, &answers, now).await?;
    }
    Ok(applied)
}

/// What is known of the ids of events, and of records that are not there yet.
async fn known_ids(
    tx: &mut PgConnection,
    events: &[Uuid],
    begun: Vec<Uuid>,
) -> ApiResult<KnownIds> {
    let mut known = KnownIds::default();
    let mut ids = begun;
    ids.extend(events);
    if ids.is_empty() {
        return Ok(known);
    }
    for (id, is_event) in store::known_ids(tx, &ids, events).await? {
        if is_event {
            known.events.insert(EventId(id));
        } else {
            known.records.insert(RecordId(id));
        }
    }
    if !events.is_empty() {
        let refused = store::refused_events(tx, events).await?.into_iter();
        let again = refused.map(|row| (EventId(row.record_id), load::again(row)));
        known.refused.extend(again);
    }
    Ok(known)
}

/// The envelopes that were answered before, so that a repeated one gets the same answer.
struct Answered {
    before: BTreeMap<(Uuid, Uuid, i64), (Vec<u8>, Receipt)>,
    last: BTreeMap<(Uuid, Uuid), i64>,
}

impl Answered {
    async fn load(tx: &mut PgConnection, submissions: &[Submission]) -> ApiResult<Self> {
        let names: Vec<(Uuid, Uuid, i64)> = submissions
            .iter()
            .filter_map(|submission| {
                let seq = submission.envelope?.seq;
                Some((
                    submission.who.device.0,
                    submission.who.user.0,
                    i64::try_from(seq).unwrap_or(i64::MAX),
                ))
            })
            .collect();
        if names.is_empty() {
            return Ok(Self {
                before: BTreeMap::new(),
                last: BTreeMap::new(),
            });
        }
        let mut before = BTreeMap::new();
        for row in store::envelopes(tx, &names).await? {
            let outcomes = codec::from_bytes(&row.outcomes).map_err(ApiError::internal)?;
            let receipt = Receipt {
                outcomes,
                ..Receipt::default()
            };
            before.insert((row.device_id, row.user_id, row.seq), (row.digest, receipt));
        }
        let pairs: Vec<(Uuid, Uuid)> = names
            .iter()
            .map(|(device, user, _)| (*device, *user))
            .collect();
        let last = store::last_envelopes(tx, &pairs).await?;
        let last = last
            .into_iter()
            .map(|(device, user, seq)| ((device, user), seq))
            .collect();
        Ok(Self { before, last })
    }

    /// The receipt of an envelope that is not judged: answered before, used twice, or with a gap before it.
    fn check(&self, submission: &Submission, judgement: &mut Judgement) -> Option<Receipt> {
        let Sealed { seq, digest, .. } = submission.envelope?;
        let who = &submission.who;
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        if let Some((held, receipt)) = self.before.get(&(who.device.0, who.user.0, seq)) {
            if *held == digest {
                return Some(Receipt {
                    again: true,
                    ..receipt.clone()
                });
            }
            let kind = alarms::Kind::EnvelopeReused;
            judgement.alarms.note(kind, who.device, who.user);
            return Some(refused(
                "envelope_reused",
                "同一批次号收到两份不同的数据，已通知安全管理员核查。",
            ));
        }
        let last = self
            .last
            .get(&(who.device.0, who.user.0))
            .copied()
            .unwrap_or(0);
        if seq != last + 1 {
            // When one could not be committed, those that were under way behind it are an honest device's.
            let gap = usize::try_from(seq.saturating_sub(last)).ok();
            if gap.is_none_or(|gap| !(1..=MAX_UNANSWERED).contains(&gap)) {
                let kind = alarms::Kind::EnvelopeGap;
                judgement.alarms.note(kind, who.device, who.user);
            }
            return Some(refused(
                "envelope_gap",
                "上传批次不连续，请重新连接后再试；数据仍保留在手机上。",
            ));
        }
        None
    }

    fn note(
        &mut self,
        who: &Submitter,
        Sealed { seq, digest, .. }: Sealed,
        receipt: &Receipt,
    ) -> EnvelopeRow {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        self.last.insert((who.device.0, who.user.0), seq);
        let name = (who.device.0, who.user.0, seq);
        self.before.insert(name, (digest.to_vec(), receipt.clone()));
        EnvelopeRow {
            device_id: who.device.0,
            user_id: who.user.0,
            seq,
            digest: digest.to_vec(),
            outcomes: codec::to_bytes(&receipt.outcomes),
        }
    }
}

fn refused(code: &str, message: &str) -> Receipt {
    Receipt {
        refused: Some(Refusal::new(code, message)),
        ..Receipt::default()
    }
}

/// Writes what the judgement came to.
async fn write(
    tx: &mut PgConnection,
    state: &AppState,
    mut records: BTreeMap<RecordId, Locked>,
    judgement: Judgement,
    applied: &mut Applied,
    now: DateTime<Utc>,
    stamp: Timestamp,
) -> ApiResult<()> {
    let mut writes = ScopeWrites::default();
    let touched = record_rows::touched(&judgement.changes, &records);
    let mut projections: BTreeMap<RecordId, Projection> = BTreeMap::new();
    if !touched.is_empty() {
        projections = record_rows::write(tx, &state.keys, &mut records, &touched, now).await?;
        neighbours::take(tx, &state.keys, &records, &projections, &judgement.changes).await?;
        write_changes(tx, &records, &judgement.changes, &mut writes, now).await?;
        for id in touched.keys() {
            let Some(locked) = records.get(id) else {
                continue;
            };
            let before = locked
                .stored
                .as_ref()
                .map(|stored| stored.heads.as_slice())
                .unwrap_or_default();
            for area in &locked.hold.areas {
                writes.move_digest(
                    ScopeId::Area(*area),
                    *id,
                    before,
                    locked.hold.registers.heads(),
                );
            }
        }
        let residents = residents_to_move(&records, &projections);
        if !residents.is_empty() {
            rescope::residents(tx, &residents, &mut writes).await?;
        }
        let commit = ledger::Commit {
            state,
            records: &records,
            projections: &projections,
            changes: &judgement.changes,
            now,
        };
        ledger::write(tx, &commit).await?;
        applied.checks |= relations::note(tx, &commit).await?;
    }
    store::insert_tombs(tx, &judgement.tombs, now).await?;
    write_events(tx, state, &judgement, &mut writes, now, stamp).await?;
    let mut drafts = conflicts::Drafts::default();
    drafts.merged(&records, &judgement.conflicts, &judgement.changes);
    drafts.refused(&judgement.refused);
    drafts
        .across(tx, state, &records, &projections, &judgement.changes)
        .await?;
    applied.checks |= drafts.claims()
        || judgement
            .events
            .iter()
            .any(|event| event.item.event_type == "check_answer");
    let written = drafts.write(tx, state, now, now + DUE).await?;
    applied.conflicts = written.opened;
    applied.queues = written.areas;
    let raised = alarms::raise(tx, state, &judgement.alarms).await?;
    applied.alarms = raised.entries;
    let told: Vec<_> = written.told.into_iter().chain(raised.told).collect();
    log::put_states(tx, &told, now).await?;
    for (scope, entry) in told {
        writes.push_state(scope, entry);
    }
    applied.told = writes.write(tx).await?;
    Ok(())
}

/// Residents whose areas may differ now: those of touched residences, and new ones whose residences came first.
fn residents_to_move(
    records: &BTreeMap<RecordId, Locked>,
    projections: &BTreeMap<RecordId, Projection>,
) -> BTreeSet<RecordId> {
    let mut residents = BTreeSet::new();
    for (id, projection) in projections {
        let Some(locked) = records.get(id) else {
            continue;
        };
        match locked.hold.record_type.as_str() {
            "residence" => {
                let links = projection
                    .links
                    .iter()
                    .filter(|(field, _)| field == "resident");
                residents.extend(links.map(|(_, resident)| *resident));
            }
            "resident" if locked.stored.is_none() => {
                residents.insert(*id);
            }
            _ => {}
        }
    }
    residents
}

async fn write_changes(
    tx: &mut PgConnection,
    records: &BTreeMap<RecordId, Locked>,
    changes: &[AcceptedChange],
    writes: &mut ScopeWrites,
    now: DateTime<Utc>,
) -> ApiResult<()> {
    let mut rows = ChangeColumns::default();
    for accepted in changes {
        let Some((locked, (key, _))) = records
            .get(&accepted.record)
            .and_then(|locked| Some((locked, locked.key.as_ref()?)))
        else {
            continue;
        };
        rows.record_id.push(accepted.record.0);
        rows.hash.push(accepted.hash.0.to_vec());
        rows.actor.push(accepted.change.actor.0.to_vec());
        rows.seq
            .push(i64::try_from(accepted.change.seq).unwrap_or(i64::MAX));
        rows.epoch
            .push(i32::try_from(accepted.epoch).unwrap_or(i32::MAX));
        rows.device_id.push(accepted.device.0);
        rows.user_id.push(accepted.user.0);
        rows.made_at
            .push(clock::storable(Timestamp(accepted.change.time)).unwrap_or(now));
        rows.body
            .push(sealing::seal_change(key, accepted.hash, &accepted.bytes)?);
        let put = PutEntry {
            record: accepted.record,
            record_type: locked.hold.record_type.clone(),
            epoch: accepted.epoch,
            bytes: accepted.bytes.clone(),
        };
        for area in &locked.hold.areas {
            writes.push(
                ScopeId::Area(*area),
                Draft {
                    kind: LogKind::Change,
                    record: Some(accepted.record),
                    hash: Some(accepted.hash),
                    device: Some(accepted.device),
                    state_key: None,
                    entry: Some(Entry::Put(put.clone())),
                },
            );
        }
    }
    store::insert_changes(tx, &rows, now).await
}

async fn write_events(
    tx: &mut PgConnection,
    state: &AppState,
    judgement: &Judgement,
    writes: &mut ScopeWrites,
    now: DateTime<Utc>,
    stamp: Timestamp,
) -> ApiResult<()> {
    if judgement.events.is_empty() {
        return Ok(());
    }
    let mut rows = EventColumns::default();
    for event in &judgement.events {
        let item = &event.item;
        let (key, wrapped) = state.keys.new_record_key(item.id.into(), item.area).await?;
        let subjects: Vec<_> = projection::subjects(&item.event_type, &item.fields).collect();
        rows.id.push(item.id.0);
        rows.event_type.push(item.event_type.clone());
        rows.area_code.push(item.area.to_string());
        rows.user_id.push(event.user.0);
        rows.device_id.push(event.device.0);
        let at = judging::event_time(item, stamp);
        rows.happened_at.push(clock::storable(at).unwrap_or(now));
        rows.subjects.push(refused::literal(&subjects));
        let facets = projection::facets(&item.event_type, &item.fields);
        rows.facets.push(facets.into());
        rows.verifies.push(judging::event_verifies(item));
        rows.wrapped_key.push(wrapped.sealed);
        rows.key_version.push(wrapped.version);
        rows.body.push(sealing::seal_row(
            &key,
            "events",
            item.id.as_bytes(),
            &codec::to_bytes(&item.fields),
        )?);
        writes.push(
            ScopeId::Area(item.area),
            Draft {
                kind: LogKind::Event,
                record: Some(item.id.into()),
                hash: None,
                device: Some(event.device),
                state_key: None,
                entry: Some(Entry::Event(EventEntry {
                    id: item.id,
                    event_type: item.event_type.clone(),
                    area: item.area,
                    user: event.user,
                    fields: item.fields.clone(),
                })),
            },
        );
    }
    store::insert_events(tx, &rows, now).await
}

/// The conflict kinds that a device's refusal falls under.
pub(super) fn refused_kind(code: &str) -> ConflictKind {
    match code {
        "old_epoch" | "out_of_scope" | "resident_elsewhere" | "builds_on_refused" => {
            ConflictKind::Quarantined
        }
        _ => ConflictKind::RefusedChange,
    }
}

/// The text of a record's field, where it is text.
pub(super) fn text_of<'a>(projection: &'a Projection, key: &str) -> Option<&'a str> {
    projection.fields.get(key).and_then(Value::as_text)
}

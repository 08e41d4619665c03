//! Scopes' logs: numbering entries under the scope's lock, moving digests, and the slice that goes to those online.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::ids::{ChangeHash, DeviceId, RecordId, ScopeId};
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::protocol::frames::{Cursor, Entry, StateEntry};
use sqlx::PgConnection;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};

use crate::error::{ApiError, ApiResult};
use crate::sync::Hub;

const MAKE_SCOPES: &str =
    "INSERT INTO scopes (scope) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING";
const LOCK_SCOPES: &str =
    "SELECT scope, seq, digest FROM scopes WHERE scope = ANY($1) ORDER BY scope FOR UPDATE";
const MOVE_SCOPES: &str = include_str!("sql/move_scopes.sql");
const APPEND: &str = include_str!("sql/append_log.sql");
const PUT_STATES: &str = include_str!("sql/put_states.sql");

/// The kinds of `scope_log.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogKind {
    Change = 1,
    Whole = 2,
    State = 3,
    Event = 4,
    Leave = 5,
    Erase = 6,
}

impl LogKind {
    /// From the column.
    pub(super) fn from_column(column: i16) -> Option<Self> {
        let all = [
            Self::Change,
            Self::Whole,
            Self::State,
            Self::Event,
            Self::Leave,
            Self::Erase,
        ];
        all.into_iter().find(|kind| *kind as i16 == column)
    }
}

/// An entry before it has a number.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) kind: LogKind,
    pub(super) record: Option<RecordId>,
    pub(super) hash: Option<ChangeHash>,
    pub(super) device: Option<DeviceId>,
    pub(super) state_key: Option<String>,
    /// What devices that are online get; `None` where it is cheaper to read it back.
    pub(super) entry: Option<Entry>,
}

/// What was appended to one scope's log in one commit.
#[derive(Clone, Debug)]
pub struct LogSlice {
    /// Which scope.
    pub scope: ScopeId,
    /// The log's end before.
    pub from: u64,
    /// The end after, with the digest.
    pub end: Cursor,
    /// Each entry with the device that made it; `None` when they must be read from the log.
    pub entries: Option<Vec<(Entry, Option<DeviceId>)>>,
}

/// What a commit has appended to logs, for those online. Whoever forgets it leaves them to hear of it late.
#[must_use = "tell those online after the commit"]
#[derive(Debug, Default)]
pub struct Told(Vec<LogSlice>);

impl Told {
    /// Tells those online. Call it after the commit.
    pub fn to(self, hub: &Hub) {
        for slice in self.0 {
            hub.publish(slice);
        }
    }

    /// Adds what was appended later, in the order in which the logs were numbered.
    pub fn add(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// How many scopes were appended to.
    #[must_use]
    pub fn scopes(&self) -> usize {
        self.0.len()
    }
}

/// What a commit adds to the scopes.
#[derive(Debug, Default)]
pub(super) struct ScopeWrites {
    pub(super) drafts: BTreeMap<ScopeId, Vec<Draft>>,
    pub(super) digests: BTreeMap<ScopeId, ScopeDigest>,
}

impl ScopeWrites {
    pub(super) fn push(&mut self, scope: ScopeId, draft: Draft) {
        self.drafts.entry(scope).or_default().push(draft);
    }

    /// A record's part of a scope's digest goes from `before` to `after` (empty: not in the scope).
    pub(super) fn move_digest(
        &mut self,
        scope: ScopeId,
        record: RecordId,
        before: &[ChangeHash],
        after: &[ChangeHash],
    ) {
        let delta = self.digests.entry(scope).or_default();
        if !before.is_empty() {
            *delta = delta.minus(ScopeDigest::of_record(record, before));
        }
        if !after.is_empty() {
            *delta = delta.plus(ScopeDigest::of_record(record, after));
        }
    }

    /// Locks the scopes, numbers the entries, writes them. The locks hold until the commit, so no reader ever passes
    /// over an entry that commits late.
    pub(super) async fn write(self, tx: &mut PgConnection) -> ApiResult<Told> {
        let scopes: BTreeSet<ScopeId> = self
            .drafts
            .keys()
            .chain(self.digests.keys())
            .copied()
            .collect();
        if scopes.is_empty() {
            return Ok(Told::default());
        }
        let names: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        sqlx::query(MAKE_SCOPES)
            .bind(&names)
            .execute(&mut *tx)
            .await?;
        let locked: Vec<(String, i64, Vec<u8>)> = sqlx::query_as(LOCK_SCOPES)
            .bind(&names)
            .fetch_all(&mut *tx)
            .await?;
        let mut drafts = self.drafts;
        let mut rows = Rows::default();
        let mut slices = Vec::with_capacity(locked.len());
        let mut moved: (Vec<String>, Vec<i64>, Vec<Vec<u8>>) = Default::default();
        for (name, seq, digest) in locked {
            let scope: ScopeId = name.parse().map_err(ApiError::internal)?;
            let held = ScopeDigest(digest.try_into().unwrap_or_default());
            let digest = held.plus(self.digests.get(&scope).copied().unwrap_or_default());
            let mut at = seq;
            let mut entries = Some(Vec::new());
            for draft in drafts.remove(&scope).unwrap_or_default() {
                at += 1;
                rows.push(&name, at, &draft);
                entries = match (entries, draft.entry) {
                    (Some(mut entries), Some(entry)) => {
                        entries.push((entry, draft.device));
                        Some(entries)
                    }
                    _ => None,
                };
            }
            moved.0.push(name);
            moved.1.push(at);
            moved.2.push(digest.0.to_vec());
            let end = Cursor {
                seq: at.unsigned_abs(),
                digest,
            };
            slices.push(LogSlice {
                scope,
                from: seq.unsigned_abs(),
                end,
                entries,
            });
        }
        rows.write(tx).await?;
        sqlx::query(MOVE_SCOPES)
            .bind(moved.0)
            .bind(moved.1)
            .bind(moved.2)
            .execute(tx)
            .await?;
        Ok(Told(slices))
    }
}

#[derive(Debug, Default)]
struct Rows {
    scope: Vec<String>,
    seq: Vec<i64>,
    kind: Vec<i16>,
    record: Vec<Option<Uuid>>,
    hash: Vec<Option<Vec<u8>>>,
    device: Vec<Option<Uuid>>,
    state_key: Vec<Option<String>>,
}

impl Rows {
    fn push(&mut self, scope: &str, seq: i64, draft: &Draft) {
        self.scope.push(scope.to_owned());
        self.seq.push(seq);
        self.kind.push(draft.kind as i16);
        self.record.push(draft.record.map(|id| id.0));
        self.hash.push(draft.hash.map(|hash| hash.0.to_vec()));
        self.device.push(draft.device.map(|id| id.0));
        self.state_key.push(draft.state_key.clone());
    }

    async fn write(self, tx: &mut PgConnection) -> ApiResult<()> {
        sqlx::query(APPEND)
            .bind(self.scope)
            .bind(self.seq)
            .bind(self.kind)
            .bind(self.record)
            .bind(self.hash)
            .bind(self.device)
            .bind(self.state_key)
            .execute(tx)
            .await?;
        Ok(())
    }
}

/// Puts state into scopes: what the server alone decides and devices only read. Empty JSON withdraws.
///
/// # Errors
/// When the database fails.
pub async fn append_states(
    tx: &mut PgConnection,
    states: Vec<(ScopeId, StateEntry)>,
    now: DateTime<Utc>,
) -> ApiResult<Told> {
    let mut writes = ScopeWrites::default();
    put_states(tx, &states, now).await?;
    for (scope, state) in states {
        writes.push_state(scope, state);
    }
    writes.write(tx).await
}

pub(super) async fn put_states(
    tx: &mut PgConnection,
    states: &[(ScopeId, StateEntry)],
    now: DateTime<Utc>,
) -> ApiResult<()> {
    if states.is_empty() {
        return Ok(());
    }
    sqlx::query(PUT_STATES)
        .bind(
            states
                .iter()
                .map(|(scope, _)| scope.to_string())
                .collect::<Vec<_>>(),
        )
        .bind(
            states
                .iter()
                .map(|(_, state)| state.key.clone())
                .collect::<Vec<_>>(),
        )
        .bind(
            states
                .iter()
                .map(|(_, state)| state.json.clone())
                .collect::<Vec<_>>(),
        )
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

impl ScopeWrites {
    pub(super) fn push_state(&mut self, scope: ScopeId, state: StateEntry) {
        let state_key = Some(state.key.clone());
        let entry = Some(Entry::State(state));
        self.push(
            scope,
            Draft {
                kind: LogKind::State,
                record: None,
                hash: None,
                device: None,
                state_key,
                entry,
            },
        );
    }
}

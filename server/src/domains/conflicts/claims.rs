//! Claims to a main residence, for the domain that has them checked at the door: the next one that nobody was asked
//! about, and its confirmation where all who were asked agree.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, ConflictId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::frames::StateEntry;
use serde_json::json;
use sqlx::PgConnection;

use super::case::Case;
use super::{decide, residence, store};
use crate::domains::audit::{self, Entry};
use crate::error::{ApiError, ApiResult};
use crate::register::{self, Applied};
use crate::state::AppState;

/// An open item of the kind `main_residence`.
#[derive(Debug)]
pub struct Claim {
    case: Case,
    residence: RecordId,
}

impl Claim {
    /// The oldest claim that no checks were opened for, its item locked unless another node has it.
    ///
    /// # Errors
    /// When the database fails, or a sealed value was altered.
    pub async fn next_unchecked(
        tx: &mut PgConnection,
        state: &AppState,
    ) -> ApiResult<Option<Self>> {
        let Some(row) = store::next_unchecked(tx).await? else {
            return Ok(None);
        };
        Self::of(Case::open(tx, state, row).await?).map(Some)
    }

    /// A claim with its records, locked; none where it is decided, or its residence ended.
    ///
    /// # Errors
    /// As [`Claim::next_unchecked`].
    pub async fn lock(
        tx: &mut PgConnection,
        state: &AppState,
        item: ConflictId,
    ) -> ApiResult<Option<Self>> {
        let Some(found) = store::find(tx, item.0).await? else {
            return Ok(None);
        };
        let case = Case::lock(tx, state, &found, &[]).await?;
        let open = case.row.status == "open";
        let claim = Self::of(case)?;
        let mut residences = claim.case.residences_of(claim.case.record);
        let stands = open && residences.any(|residence| residence.id == claim.residence);
        drop(residences);
        Ok(stands.then_some(claim))
    }

    fn of(case: Case) -> ApiResult<Self> {
        let residence = case.row.subject.parse().map_err(ApiError::internal)?;
        Ok(Self { case, residence })
    }

    /// The item.
    #[must_use]
    pub fn item(&self) -> ConflictId {
        self.case.row.id()
    }

    /// Where it is decided.
    #[must_use]
    pub fn area(&self) -> AreaCode {
        self.case.row.area()
    }

    /// Whose main residence it is about.
    #[must_use]
    pub fn resident(&self) -> RecordId {
        self.case.record
    }

    /// The residence that is claimed to be the main one.
    #[must_use]
    pub fn residence(&self) -> RecordId {
        self.residence
    }

    /// Who claimed it.
    #[must_use]
    pub fn makers(&self) -> BTreeSet<UserId> {
        self.case.makers()
    }

    /// Notes that its checks were opened.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_checked(&self, tx: &mut PgConnection, at: DateTime<Utc>) -> ApiResult<()> {
        Ok(store::note_checked(tx, self.case.row.id, at).await?)
    }

    /// What those are told who are no collectors, but concerned where the resident lives or is claimed to live: those
    /// who decide, and the police's contacts.
    #[must_use]
    pub fn tell_concerned(
        &self,
        state: &AppState,
        to: BTreeSet<UserId>,
    ) -> Vec<(ScopeId, StateEntry)> {
        let text = "有一位居民的主要居住地在两处之间认领，采集员正在核查，进展和裁决见待裁决事项。";
        let about = register::About::Conflict(self.case.record);
        let (id, at) = (self.case.row.id, state.clock.timestamp());
        to.into_iter()
            .map(|user| register::message(user, id, "main_residence_claimed", text, about, at))
            .collect()
    }

    /// The main residence moves to the claim: for one by whose word nobody disputes it any more. The caller commits
    /// and tells those online.
    ///
    /// # Errors
    /// `claim_gone` when the residence ended meanwhile; when the database fails.
    pub async fn confirm(
        self,
        tx: &mut PgConnection,
        state: &AppState,
        by: UserId,
    ) -> ApiResult<Applied> {
        let plan = residence::confirm(tx, &self.case, state).await?;
        let mut done = decide::carry_out(tx, state, by, &self.case, plan, "confirm", None).await?;
        let entry = Entry::by_server(state.clock.now(), audit::Action::DecideConflict)
            .user(by)
            .subject("conflict", self.item())
            .area(self.area())
            .detail(json!({
                "kind": self.case.row.kind, "record": self.case.record, "action": "confirm", "by_checks": true,
                "changes": done.applied.changes, "told": done.told,
            }));
        audit::record(tx, entry).await?;
        done.applied.queues.insert(self.area());
        Ok(done.applied)
    }
}

//! Telling those concerned: a message in each one's own scope, shown on phone and console. Texts name no person: the
//! record's id leads to the file, which shows what the reader's right goes to.

use std::collections::BTreeSet;

use doorstep_core::ids::{AreaCode, EventId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::frames::StateEntry;
use doorstep_core::rights::{Permission, Role};
use sqlx::PgConnection;

use crate::domains::users;
use crate::error::ApiResult;
use crate::random;
use crate::register;
use crate::state::AppState;

/// Who works in an area.
#[derive(Clone, Debug, Default)]
pub struct Concerned {
    /// Who goes to the doors there.
    pub collectors: BTreeSet<UserId>,
    /// Who decides there: concerned, though no collectors.
    pub supervisors: BTreeSet<UserId>,
    /// The police station's contacts.
    pub liaisons: BTreeSet<UserId>,
}

/// Who works in the area, through a grant on it or above; in a system transaction.
///
/// # Errors
/// When the database fails.
pub async fn concerned(
    tx: &mut PgConnection,
    state: &AppState,
    area: &AreaCode,
) -> ApiResult<Concerned> {
    let mut concerned = Concerned::default();
    let holders = users::service::holders_within(tx, state, Permission::ReadRegister, area);
    for grant in holders.await? {
        match grant.role {
            Role::Collector => concerned.collectors.insert(grant.user),
            Role::Supervisor => concerned.supervisors.insert(grant.user),
            Role::PoliceLiaison => concerned.liaisons.insert(grant.user),
            _ => false,
        };
    }
    Ok(concerned)
}

impl Concerned {
    /// All of them.
    pub fn all(self) -> impl Iterator<Item = UserId> {
        let decide = self.supervisors.into_iter().chain(self.liaisons);
        self.collectors.into_iter().chain(decide)
    }
}

/// A message for each of these users.
pub(super) fn messages(
    state: &AppState,
    to: impl IntoIterator<Item = UserId>,
    code: &str,
    text: &str,
    record: RecordId,
) -> ApiResult<Vec<(ScopeId, StateEntry)>> {
    let (about, at) = (register::About::Record(record), state.clock.timestamp());
    let message = |user| {
        let id = random::id(at, EventId::new)?.0;
        Ok(register::message(user, id, code, text, about, at))
    };
    to.into_iter().map(message).collect()
}

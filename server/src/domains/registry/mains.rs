//! The rule of main residences: a resident has at most one; and those that say to be it. Knows no right and no claim.

use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::TieRow;
use super::store;
use super::view::Open;
use crate::error::{ApiError, ApiResult};
use crate::state::AppState;

/// What becomes of a resident's main residence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MainResidence {
    /// This residence becomes the main one, and no other is.
    MovesTo(RecordId),
    /// This residence is not the main one; the others stay as they are.
    IsNot(RecordId),
}

/// What that writes, by residence, each of them locked: the one place of the rule that there is at most one.
///
/// # Errors
/// `not_the_residents` when the residence is another's or ended; when the database fails.
pub async fn main_residence_changes(
    tx: &mut PgConnection,
    state: &AppState,
    resident: RecordId,
    becomes: MainResidence,
) -> ApiResult<Vec<(RecordId, Fields)>> {
    let (MainResidence::MovesTo(named) | MainResidence::IsNot(named)) = becomes;
    let ties: Vec<Uuid> = store::ties(tx, &[resident.0], false)
        .await?
        .into_iter()
        .map(|tie| tie.sealed.id)
        .collect();
    if !ties.contains(&named.0) {
        return Err(ApiError::field(
            "residence",
            "not_the_residents",
            "请选择此人名下有效的居住关系",
        ));
    }
    let mut changes = Vec::new();
    for row in store::lock(tx, &ties).await? {
        let open = Open::new(state, row).await?;
        let id = RecordId(open.row.sealed.id);
        let main = match becomes {
            MainResidence::MovesTo(to) if id == to => true,
            MainResidence::MovesTo(_) if open.yes("main") => false,
            MainResidence::IsNot(not) if id == not => false,
            _ => continue,
        };
        changes.push((id, Fields::from([("main".to_owned(), main.into())])));
    }
    Ok(changes)
}

/// The residences in force that say to be the main one, each with the area it lies in.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn main_residences(
    tx: &mut PgConnection,
    state: &AppState,
    resident: RecordId,
) -> ApiResult<Vec<(RecordId, AreaCode)>> {
    let mains = mains(state, tx, resident).await?;
    let place = |main: Main| (RecordId(main.tie.sealed.id), main.tie.sealed.area());
    Ok(mains.into_iter().map(place).collect())
}

/// A residence that says to be the main one.
pub(super) struct Main {
    pub(super) tie: TieRow,
    pub(super) fields: Fields,
    /// The change that said so.
    pub(super) put_by: Option<Vec<u8>>,
}

/// The residences in force that say to be the main one.
pub(super) async fn mains(
    state: &AppState,
    tx: &mut PgConnection,
    resident: RecordId,
) -> ApiResult<Vec<Main>> {
    let mut mains = Vec::new();
    for tie in store::ties(tx, &[resident.0], false).await? {
        let registers = tie.sealed.open(&state.keys).await?;
        if registers.get("main").and_then(Value::as_bool) == Some(true) {
            let put_by = registers.winner("main").map(|held| held.change.0.to_vec());
            mains.push(Main {
                tie,
                fields: registers.fields(),
                put_by,
            });
        }
    }
    Ok(mains)
}

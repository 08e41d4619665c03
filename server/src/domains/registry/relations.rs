//! How people are tied to one another: who makes up a household, and who is guardian of whom or otherwise named in a
//! file. Knows no check: it tells what stands.

use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::records::split_key;
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;

use crate::error::ApiResult;
use crate::register::{self, Opened, RELATION_HEAD};
use crate::state::AppState;

/// The people of a household as they stand now.
#[derive(Clone, Debug, Default)]
pub struct Household {
    /// Its members, with the area of each.
    pub members: Vec<(RecordId, AreaCode)>,
    /// Whether one of them is its head.
    pub has_head: bool,
}

/// A household by the blind token of its number; cancelled files are no members.
///
/// # Errors
/// When the database fails, or a sealed value was altered.
pub async fn household(
    tx: &mut PgConnection,
    state: &AppState,
    token: i64,
) -> ApiResult<Household> {
    let mut household = Household::default();
    for person in carriers(tx, state, token).await? {
        let now = person.project();
        let text = |key: &str| now.fields.get(key).and_then(Value::as_text);
        // The token is blind to which field holds the number, so the field itself decides.
        let same = text("household_number")
            .and_then(|number| register::household_token(state, number))
            == Some(token);
        if same && !now.cancelled {
            household.has_head |= text("relation_to_head") == Some(RELATION_HEAD);
            let area = person.areas.first().copied().unwrap_or(person.area);
            household.members.push((person.id, area));
        }
    }
    Ok(household)
}

/// The wards of a resident, in files that are in force, with the area of each.
///
/// # Errors
/// As [`household`].
pub async fn wards(
    tx: &mut PgConnection,
    state: &AppState,
    guardian: RecordId,
) -> ApiResult<Vec<(RecordId, AreaCode)>> {
    let token = register::linked_token(state, guardian);
    let mut wards = Vec::new();
    for person in carriers(tx, state, token).await? {
        let now = person.project();
        let named = now.fields.iter().any(|(key, value)| {
            split_key(key).0 == "guardians" && named_in(value) == Some(guardian)
        });
        if named && !now.cancelled {
            let area = person.areas.first().copied().unwrap_or(person.area);
            wards.push((person.id, area));
        }
    }
    Ok(wards)
}

/// Whose files name a resident as guardian or linked person.
///
/// # Errors
/// When the database fails.
pub async fn named_by(
    tx: &mut PgConnection,
    state: &AppState,
    resident: RecordId,
) -> ApiResult<Vec<RecordId>> {
    let token = register::linked_token(state, resident);
    let found = register::find_by_tokens(tx, "resident", &[(0, token)]).await?;
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// What those files hold once `from` was merged into `to`: the same links, to the survivor. A link to oneself goes.
///
/// # Errors
/// As [`household`].
pub async fn relinked(
    tx: &mut PgConnection,
    state: &AppState,
    from: RecordId,
    to: RecordId,
) -> ApiResult<Vec<(RecordId, Fields)>> {
    let token = register::linked_token(state, from);
    let mut changes = Vec::new();
    for person in carriers(tx, state, token).await? {
        let mut fields = Fields::new();
        for (key, value) in person.registers.fields() {
            let named = ["guardians", "linked_persons"].contains(&split_key(&key).0);
            if named && named_in(&value) == Some(from) {
                let moved = (person.id != to).then(|| renamed(&value, to)).flatten();
                fields.insert(key, moved.map_or(Value::Null, Value::from));
            }
        }
        // Those of the file that is merged away go with it.
        if !fields.is_empty() && person.id != from {
            changes.push((person.id, fields));
        }
    }
    Ok(changes)
}

async fn carriers(tx: &mut PgConnection, state: &AppState, token: i64) -> ApiResult<Vec<Opened>> {
    let found = register::find_by_tokens(tx, "resident", &[(0, token)]).await?;
    let ids: Vec<RecordId> = found.into_iter().map(|(_, id)| id).collect();
    Ok(register::open(tx, &state.keys, &ids)
        .await?
        .into_values()
        .collect())
}

/// The resident that an item of a file names.
fn named_in(item: &Value) -> Option<RecordId> {
    register::named_in(item.as_text()?)
}

/// The item with another resident in it.
fn renamed(item: &Value, to: RecordId) -> Option<String> {
    let mut item: serde_json::Value = serde_json::from_str(item.as_text()?).ok()?;
    item["resident"] = to.to_string().into();
    serde_json::to_string(&item).ok()
}

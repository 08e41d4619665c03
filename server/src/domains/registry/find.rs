//! Finding records by what a person typed, beginning with the rarest word, or the address where that is rarer. Knows
//! blind tokens only.

use doorstep_core::ids::{AreaCode, AreaLevel};
use doorstep_core::rights::Permission;
use doorstep_core::search::{self, Query};
use uuid::Uuid;

use super::store::{self, Words};
use crate::database::Tx;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Kind};
use crate::state::AppState;

/// The most records that a typed text may find, and that its rarest word may fit: more can't be paged through.
const MOST_FOUND: i64 = 20_000;

/// What was typed, as the records of a type that it finds; `None` when nothing was. Others may be among them.
///
/// Numbers and phones find only for who may reveal them in the areas searched: else a list would tell them digit by digit.
///
/// Where every word fits more than [`MOST_FOUND`], only records that carry all of them are found, with those tied to
/// them: an address, but not a common name at a long road.
///
/// # Errors
/// `search_too_broad` when it finds too many, or may; `numbers_not_searched` when it finds nothing without the numbers.
pub(super) async fn typed(
    state: &AppState,
    actor: &Actor,
    tx: &mut Tx,
    record_type: &'static str,
    text: Option<&str>,
    areas: Option<&[String]>,
) -> ApiResult<Option<Vec<Uuid>>> {
    let mut query = search::query(text.unwrap_or_default());
    let left_out = !finds_by_number(actor, areas) && query.leave_out_numbers();
    let found = found(state, tx, record_type, &query, areas).await?;
    if left_out && found.as_ref().is_some_and(Vec::is_empty) {
        return Err(numbers_not_searched());
    }
    Ok(found)
}

/// Whether the actor may reveal in all that is searched; no areas are the whole city.
fn finds_by_number(actor: &Actor, areas: Option<&[String]>) -> bool {
    let may = |area: &AreaCode| actor.why(Permission::RevealSecrets, area).is_some();
    match areas {
        Some(areas) => areas
            .iter()
            .all(|area| area.parse::<AreaCode>().is_ok_and(|area| may(&area))),
        None => actor
            .areas(Permission::RevealSecrets)
            .iter()
            .any(|area| area.level() == AreaLevel::City),
    }
}

async fn found(
    state: &AppState,
    tx: &mut Tx,
    record_type: &'static str,
    query: &Query,
    areas: Option<&[String]>,
) -> ApiResult<Option<Vec<Uuid>>> {
    let terms: Vec<(i32, i64)> = (0..)
        .zip(&query.terms)
        .flat_map(|(number, term)| {
            term.iter()
                .map(move |token| (number, state.keys.blind(token)))
        })
        .collect();
    if terms.is_empty() {
        return Ok(None);
    }
    let address: Vec<i64> = query
        .address
        .iter()
        .map(|token| state.keys.blind(token))
        .collect();
    let counts = store::find_counts(tx, &terms, &address, areas, MOST_FOUND + 1).await?;
    let Some((rarest, fits)) = counts.iter().copied().min_by_key(|(_, fits)| *fits) else {
        return Ok(Some(Vec::new()));
    };
    let whole = fits > MOST_FOUND;
    if fits == 0 {
        return Ok(Some(Vec::new()));
    }
    if whole && query.terms.len() == 1 {
        return Err(too_broad());
    }
    let together = rarest == store::ADDRESS;
    let any_of = || {
        let of = terms.iter().filter(|(number, _)| *number == rarest);
        of.map(|(_, token)| *token).collect()
    };
    let words = Words {
        record_type,
        terms: &terms,
        count: i64::try_from(query.terms.len()).unwrap_or(i64::MAX),
        any_of: (!together).then(any_of),
        all_of: together.then_some(&address),
        whole,
        areas,
    };
    let found = store::find(tx, &words, MOST_FOUND + 1).await?;
    let many = i64::try_from(found.len()).unwrap_or(i64::MAX) > MOST_FOUND;
    // Found nothing whole: what the words find together in several records was not looked for.
    if many || (whole && found.is_empty()) {
        return Err(too_broad());
    }
    Ok(Some(found))
}

fn numbers_not_searched() -> ApiError {
    ApiError::new(
        Kind::Invalid,
        "numbers_not_searched",
        "没有找到。您的角色不能查看完整的证件号码和电话，所以不能按号码或尾号查找，请按姓名或住址查找，或先选择您可以查看号码的区划",
    )
}

fn too_broad() -> ApiError {
    ApiError::new(
        Kind::Invalid,
        "search_too_broad",
        "符合的档案太多，请多写几个字，或先选择区划",
    )
}

//! Finding records by what a person typed, beginning with the rarest word, or the address where that is rarer. Knows
//! blind tokens only.

use doorstep_core::search;
use uuid::Uuid;

use super::store::{self, Words};
use crate::database::Tx;
use crate::error::{ApiError, ApiResult, Kind};
use crate::state::AppState;

/// The most records that a typed text may find, and that its rarest word may fit: more can't be paged through.
const MOST_FOUND: i64 = 20_000;

/// What was typed, as the records of a type that it finds; `None` when nothing was. Others may be among them.
///
/// Where every word fits more than [`MOST_FOUND`], only records that carry all of them are found, with those tied to
/// them: an address, but not a common name at a long road.
///
/// # Errors
/// `search_too_broad` when it finds too many, or may.
pub(super) async fn typed(
    state: &AppState,
    tx: &mut Tx,
    record_type: &'static str,
    text: Option<&str>,
    areas: Option<&[String]>,
) -> ApiResult<Option<Vec<Uuid>>> {
    let query = search::query(text.unwrap_or_default());
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

fn too_broad() -> ApiError {
    ApiError::new(
        Kind::Invalid,
        "search_too_broad",
        "符合的档案太多，请多写几个字，或先选择区划",
    )
}

//! Transactions within a set of areas: the second wall. Every area-bearing table compares its rows
//! with `doorstep.areas` (migrations/0001), so a query that forgets its WHERE still sees nothing else.

use doorstep_core::ids::AreaCode;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

/// A transaction of the pool.
pub type Tx = Transaction<'static, Postgres>;

const SET_AREAS: &str = "SELECT set_config('doorstep.areas', $1, true)";

/// Begins a transaction that sees every area, in one round trip.
const BEGIN_EVERYWHERE: &str = "BEGIN; SET LOCAL doorstep.areas = '%'";

/// A transaction that sees `areas` and what lies below them.
///
/// # Errors
/// When the database is not there.
pub async fn area_tx(pool: &PgPool, areas: impl IntoIterator<Item = AreaCode>) -> sqlx::Result<Tx> {
    begin(pool, &patterns(areas)).await
}

/// Lets a transaction that began with wider sight see `areas` and what lies below them from now on.
///
/// # Errors
/// When the database is not there.
pub async fn narrow(
    tx: &mut PgConnection,
    areas: impl IntoIterator<Item = AreaCode>,
) -> sqlx::Result<()> {
    sqlx::query(SET_AREAS)
        .bind(patterns(areas))
        .execute(tx)
        .await?;
    Ok(())
}

/// Lets a transaction that was narrowed see everything again: for what follows from a deed wherever it lies, once the
/// deed is found to be the actor's to do.
///
/// # Errors
/// When the database is not there.
pub async fn widen(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(SET_AREAS).bind("%").execute(tx).await?;
    Ok(())
}

/// A transaction that sees everything: for sign-in, jobs and the sync engine, which check rights themselves.
///
/// # Errors
/// When the database is not there.
pub async fn system_tx(pool: &PgPool) -> sqlx::Result<Tx> {
    pool.begin_with(BEGIN_EVERYWHERE).await
}

/// The LIKE pattern of an area and what lies below it.
#[must_use]
pub fn below(area: AreaCode) -> String {
    format!("{}%", area.prefix())
}

/// From where to before where the codes of these areas and of all below them lie, in the order of bytes: a range that an
/// index can be asked for, as the wall's patterns can't. It may hold others' codes between them; the wall lets none of
/// them through. `None` for no area.
#[must_use]
pub fn between(areas: &[AreaCode]) -> Option<(String, String)> {
    let prefixes = areas.iter().map(|area| area.prefix());
    // A colon comes after every digit.
    let end = prefixes.clone().map(|prefix| format!("{prefix}:")).max()?;
    Some((prefixes.min()?.to_string(), end))
}

fn patterns(areas: impl IntoIterator<Item = AreaCode>) -> String {
    let patterns: Vec<String> = areas.into_iter().map(below).collect();
    patterns.join(",")
}

async fn begin(pool: &PgPool, patterns: &str) -> sqlx::Result<Tx> {
    let mut tx = pool.begin().await?;
    sqlx::query(SET_AREAS)
        .bind(patterns)
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_range_holds_the_areas_and_all_below_them() {
        let area = |code: &str| code.parse::<AreaCode>().unwrap();
        let (street, village) = (area("310101002000"), area("310101013009"));
        assert_eq!(between(&[]), None);
        let (from, to) = between(&[street]).unwrap();
        let within = |code: &str| from.as_str() <= code && code < to.as_str();
        assert!(within("310101002000") && within("310101002999"));
        assert!(!within("310101001999") && !within("310101003000"));
        let (from, to) = between(&[village, street]).unwrap();
        let within = |code: &str| from.as_str() <= code && code < to.as_str();
        assert!(within("310101002001") && within("310101013009"));
        assert!(!within("310101013010"));
    }
}

//! What goes with an erased person: the rows of files that tell of it, also those of which no record came. These are found
//! by the numbers of certificates, which each row keeps as blind tokens whatever column they stand in: a file may be read
//! otherwise later. Knows no right.

use doorstep_core::ids::RecordId;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::rows::Sealer;
use super::{store, tokens};
use crate::database::system_tx;
use crate::error::ApiResult;
use crate::keys::KeyRing;
use crate::state::AppState;

/// Rows opened at a time.
const STEP: i64 = 1_000;

/// The blind tokens of the certificates' numbers among a row's cells.
pub(super) fn numbers(keys: &KeyRing, cells: &[String]) -> Vec<i64> {
    let found = cells.iter().flat_map(|cell| tokens::number_in(cell));
    found.map(|token| keys.blind(&token)).collect()
}

/// Reads the numbers of rows that were kept without them: before anything is erased. There are none after the first time,
/// which may take long: each step is kept, so that who asks again goes on from there.
///
/// # Errors
/// When the database or the keys fail.
pub async fn read_numbers(state: &AppState) -> ApiResult<()> {
    loop {
        let mut tx = system_tx(&state.pool).await?;
        let unread = store::unread(&mut tx).await?;
        drop(tx);
        let Some(import) = unread else {
            return Ok(());
        };
        let sealer = Sealer::of(state, &import).await?;
        let mut tx = system_tx(&state.pool).await?;
        // As the work on it does: neither then waits for rows that the other has.
        store::hold(&mut tx, import.id).await?;
        let rows = store::unread_rows(&mut tx, import.id, STEP).await?;
        let read: Vec<(i32, Vec<i64>)> = rows
            .iter()
            .map(|row| {
                // A row that was altered tells of nobody: it is refused wherever it is asked for.
                let cells = sealer.open_row(row).map(|body| body.cells);
                (row.row, numbers(&state.keys, &cells.unwrap_or_default()))
            })
            .collect();
        store::set_numbers(&mut tx, import.id, &read).await?;
        tx.commit().await?;
    }
}

/// Destroys the rows that tell of erased records, whose certificates' numbers were these. What rows were kept without
/// numbers is to be read before ([`read_numbers`]). Call it when the scopes are written, as the work on imports does.
///
/// # Errors
/// When the database fails.
pub async fn forget(tx: &mut PgConnection, records: &[RecordId], numbers: &[i64]) -> ApiResult<()> {
    let ids: Vec<Uuid> = records.iter().map(|id| id.0).collect();
    Ok(store::forget(tx, &ids, numbers).await?)
}

//! Changing the keys of areas while the server runs: a new version of a key, and everything that an older one wraps
//! wrapped again by it. Tables are found in the catalogue, so a new one is not forgotten. Knows no record.

use doorstep_core::ids::{AreaCode, RecordId};
use serde::Serialize;
use serde_json::json;
use sqlx::AssertSqlSafe;
use sqlx::types::Uuid;

use crate::database::system_tx;
use crate::domains::audit;
use crate::error::ApiResult;
use crate::keys::WrappedKey;
use crate::state::AppState;

/// Tables whose rows have a key of their own, under their area's.
const TABLES: &str = "SELECT quote_ident(table_name) FROM information_schema.columns
    WHERE table_schema = current_schema() AND column_name IN ('id', 'area_code', 'wrapped_key', 'key_version')
    GROUP BY table_name HAVING count(*) = 4 ORDER BY table_name";
const AREAS: &str = "SELECT DISTINCT area_code::text FROM area_keys ORDER BY 1";

/// How many rows are wrapped in one transaction.
const STEP: i64 = 500;

/// What became of an area's key.
#[derive(Clone, Debug, Serialize)]
pub struct Rotated {
    /// The area.
    pub area: AreaCode,
    /// The key's new version.
    pub version: i32,
    /// How many keys of rows were wrapped again.
    pub wrapped: u64,
}

/// The areas that have a key.
///
/// # Errors
/// When the database fails.
pub async fn areas(state: &AppState) -> ApiResult<Vec<AreaCode>> {
    let mut tx = system_tx(&state.pool).await?;
    let codes: Vec<String> = sqlx::query_scalar(AREAS).fetch_all(&mut *tx).await?;
    Ok(codes.iter().filter_map(|code| code.parse().ok()).collect())
}

/// Gives an area a new key and wraps again what older ones wrap. Nothing that is sealed is written anew: only the keys
/// of rows are. Breaking off loses nothing, and doing it again goes on.
///
/// # Errors
/// When the database or the key store fails.
pub async fn rotate(state: &AppState, area: AreaCode) -> ApiResult<Rotated> {
    let version = state.keys.rotate(area).await?;
    let wrapped = wrap_again(state, area).await?;
    let entry = audit::Entry::by_server(state.clock.now(), audit::Action::RotateKey)
        .area(area)
        .detail(json!({ "version": version, "wrapped": wrapped }));
    let mut tx = system_tx(&state.pool).await?;
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(Rotated {
        area,
        version,
        wrapped,
    })
}

/// Wraps again what versions before the present one wrap. How many rows there were.
async fn wrap_again(state: &AppState, area: AreaCode) -> ApiResult<u64> {
    let present = state.keys.area_key(area).await?.version;
    let mut tx = system_tx(&state.pool).await?;
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *tx).await?;
    drop(tx);
    let mut count = 0;
    for table in tables {
        let select = format!(
            "SELECT id, wrapped_key, key_version FROM {table}
             WHERE area_code = $1 AND key_version < $2 AND id > $3 ORDER BY id LIMIT $4 FOR UPDATE"
        );
        let update = format!(
            "UPDATE {table} AS held SET wrapped_key = new.key, key_version = $1
             FROM unnest($2::uuid[], $3::bytea[]) AS new (id, key) WHERE held.id = new.id"
        );
        let mut after = Uuid::nil();
        loop {
            let mut tx = system_tx(&state.pool).await?;
            let rows: Vec<(Uuid, Vec<u8>, i32)> = sqlx::query_as(AssertSqlSafe(select.as_str()))
                .bind(area.as_str())
                .bind(present)
                .bind(after)
                .bind(STEP)
                .fetch_all(&mut *tx)
                .await?;
            let Some((last, ..)) = rows.last() else { break };
            after = *last;
            count += rows.len() as u64;
            let (mut ids, mut keys) = (Vec::new(), Vec::new());
            for (id, sealed, version) in rows {
                let old = WrappedKey {
                    area,
                    version,
                    sealed,
                };
                ids.push(id);
                keys.push(state.keys.wrap_again(RecordId(id), &old).await?.sealed);
            }
            sqlx::query(AssertSqlSafe(update.as_str()))
                .bind(present)
                .bind(ids)
                .bind(keys)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        }
    }
    Ok(count)
}

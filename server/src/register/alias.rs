//! Two records of one person become one: the other is an alias of the survivor and leaves every phone. What is still
//! sent for it becomes a proposal for the survivor (see `judging`).

use doorstep_core::ids::{AreaCode, RecordId, ScopeId};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::load::heads;
use super::log::{ScopeWrites, Told};
use super::model::Areas;
use super::rescope;
use crate::error::{ApiError, ApiResult};

const PLACE: &str = "SELECT areas, heads FROM records WHERE id = $1 FOR UPDATE";
const MERGE: &str = "UPDATE records SET merged_into = $2 WHERE id = $1";
const SURVIVORS: &str = include_str!("sql/survivors.sql");

/// Makes a record the alias of another, after its last change was applied in the same transaction.
///
/// # Errors
/// When the database fails.
pub async fn merge_away(
    tx: &mut PgConnection,
    other: RecordId,
    survivor: RecordId,
) -> ApiResult<Told> {
    set(tx, other, Some(survivor)).await
}

/// Makes an alias a record of its own again.
///
/// # Errors
/// When the database fails.
pub async fn bring_back(tx: &mut PgConnection, other: RecordId) -> ApiResult<Told> {
    set(tx, other, None).await
}

async fn set(
    tx: &mut PgConnection,
    record: RecordId,
    survivor: Option<RecordId>,
) -> ApiResult<Told> {
    let (areas, held): (Vec<String>, Vec<u8>) = sqlx::query_as(PLACE)
        .bind(record.0)
        .fetch_one(&mut *tx)
        .await?;
    sqlx::query(MERGE)
        .bind(record.0)
        .bind(survivor.map(|id| id.0))
        .execute(&mut *tx)
        .await?;
    let heads = heads(&held);
    let mut writes = ScopeWrites::default();
    for area in areas {
        let scope = ScopeId::Area(area.parse::<AreaCode>().map_err(ApiError::internal)?);
        if survivor.is_some() {
            rescope::leave(&mut writes, scope, record, &heads);
        } else {
            rescope::enter(&mut writes, scope, record, &heads);
        }
    }
    writes.write(tx).await
}

/// The record at the end of each alias's chain, with its areas; what is no alias is left out.
///
/// # Errors
/// When the database fails.
pub async fn survivors(
    tx: &mut PgConnection,
    ids: &[RecordId],
) -> ApiResult<Vec<(RecordId, RecordId, Areas)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, Uuid, Vec<String>)> =
        sqlx::query_as(SURVIVORS).bind(&ids).fetch_all(tx).await?;
    let named = |(alias, survivor, areas): (Uuid, Uuid, Vec<String>)| {
        let areas = Areas::try_from(areas).map_err(ApiError::internal)?;
        Ok((RecordId(alias), RecordId(survivor), areas))
    };
    rows.into_iter().map(named).collect()
}

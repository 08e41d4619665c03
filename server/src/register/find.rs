//! Finding records by their search tokens, many rows of a file at a time.

use doorstep_core::ids::{AreaCode, RecordId};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::ApiResult;

const FIND_BY_TOKENS: &str = include_str!("sql/find_by_tokens.sql");
const FIND_BY_ALL_TOKENS: &str = include_str!("sql/find_by_all_tokens.sql");
const TOKENS_OF: &str = include_str!("sql/tokens_of.sql");

/// Records of a type that carry a row's token, merged ones left out: row, record.
///
/// # Errors
/// When the database fails.
pub async fn find_by_tokens(
    tx: &mut PgConnection,
    record_type: &str,
    wanted: &[(i32, i64)],
) -> ApiResult<Vec<(i32, RecordId)>> {
    by_tokens(tx, record_type, wanted, false).await
}

/// Records of a type that carry a row's token and were merged into others: row, record. Where these chains end is what
/// [`super::survivors`] says.
///
/// # Errors
/// When the database fails.
pub async fn find_merged_by_tokens(
    tx: &mut PgConnection,
    record_type: &str,
    wanted: &[(i32, i64)],
) -> ApiResult<Vec<(i32, RecordId)>> {
    by_tokens(tx, record_type, wanted, true).await
}

async fn by_tokens(
    tx: &mut PgConnection,
    record_type: &str,
    wanted: &[(i32, i64)],
    merged: bool,
) -> ApiResult<Vec<(i32, RecordId)>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let (rows, tokens): (Vec<i32>, Vec<i64>) = wanted.iter().copied().unzip();
    let found: Vec<(i32, Uuid)> = sqlx::query_as(FIND_BY_TOKENS)
        .bind(rows)
        .bind(tokens)
        .bind(record_type)
        .bind(merged)
        .fetch_all(tx)
        .await?;
    Ok(found
        .into_iter()
        .map(|(row, id)| (row, RecordId(id)))
        .collect())
}

/// Residents within an area that carry all tokens of a row's name: row, record.
///
/// # Errors
/// When the database fails.
pub async fn find_residents_by_names(
    tx: &mut PgConnection,
    area: &AreaCode,
    wanted: &[(i32, Vec<i64>)],
) -> ApiResult<Vec<(i32, RecordId)>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let literal = |tokens: &Vec<i64>| {
        let tokens: Vec<String> = tokens.iter().map(ToString::to_string).collect();
        format!("{{{}}}", tokens.join(","))
    };
    let rows: Vec<i32> = wanted.iter().map(|(row, _)| *row).collect();
    let tokens: Vec<String> = wanted.iter().map(|(_, tokens)| literal(tokens)).collect();
    let found: Vec<(i32, Uuid)> = sqlx::query_as(FIND_BY_ALL_TOKENS)
        .bind(rows)
        .bind(tokens)
        .bind(format!("{}%", area.prefix()))
        .fetch_all(tx)
        .await?;
    Ok(found
        .into_iter()
        .map(|(row, id)| (row, RecordId(id)))
        .collect())
}

/// The blind tokens that residents among these records are found by.
///
/// # Errors
/// When the database fails.
pub async fn tokens_of_residents(
    tx: &mut PgConnection,
    records: &[RecordId],
) -> ApiResult<Vec<i64>> {
    let ids: Vec<Uuid> = records.iter().map(|id| id.0).collect();
    Ok(sqlx::query_scalar(TOKENS_OF)
        .bind(ids)
        .fetch_all(tx)
        .await?)
}

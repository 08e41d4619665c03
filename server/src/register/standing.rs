//! What a device is told when it signs in: where the logs it follows end, whether its user's scope says what is so
//! now, which envelope comes next. Asked together, because tens of thousands may sign in within a minute. Knows no
//! frames.

use doorstep_core::ids::{DeviceId, ScopeId, UserId};
use doorstep_core::protocol::frames::{Cursor, StateEntry};
use sqlx::PgConnection;

use super::read::cursor;
use crate::error::{ApiError, ApiResult};

const STANDING: &str = include_str!("sql/standing.sql");

/// See the module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Where the logs end; those that nothing was ever put in are left out.
    pub ends: Vec<(ScopeId, Cursor)>,
    /// Whether the user's scope holds the state that was asked about.
    pub told: bool,
    /// The number that the device's next envelope must have.
    pub next_envelope: u64,
}

#[derive(sqlx::FromRow)]
struct Row {
    scope: Option<String>,
    seq: Option<i64>,
    digest: Option<Vec<u8>>,
    told: bool,
    envelope: i64,
}

/// How the register stands for a device of a user's that follows `scopes`, and whether the user's own scope says
/// `state`.
///
/// # Errors
/// When the database fails.
pub async fn standing(
    tx: &mut PgConnection,
    (device, user): (DeviceId, UserId),
    scopes: &[ScopeId],
    state: &StateEntry,
) -> ApiResult<Standing> {
    let rows: Vec<Row> = sqlx::query_as(STANDING)
        .bind(scopes.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(ScopeId::User(user).to_string())
        .bind(&state.key)
        .bind(&state.json)
        .bind(device.0)
        .bind(user.0)
        .fetch_all(tx)
        .await?;
    let mut standing = Standing {
        ends: Vec::with_capacity(rows.len()),
        told: false,
        next_envelope: 1,
    };
    for row in rows {
        standing.told = row.told;
        standing.next_envelope = row.envelope.unsigned_abs() + 1;
        if let (Some(name), Some(seq), Some(digest)) = (row.scope, row.seq, row.digest) {
            let scope = name.parse().map_err(ApiError::internal)?;
            standing.ends.push((scope, cursor(seq, digest)));
        }
    }
    Ok(standing)
}

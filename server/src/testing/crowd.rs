//! Many people with a device each, signed in, written in a few statements: a city's worth of accounts over HTTP would
//! take an hour of password hashing. What they can prove and may do is as if they had been made one by one.

use chrono::Duration;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::{AreaCode, DeviceId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::database::system_tx;
use crate::domains::{auth, users};
use crate::random;
use crate::state::AppState;

const USERS: &str = "INSERT INTO users (id, login, name_sealed, name_key_version, name_token, area_code, status, created_at)
    SELECT id, login, name, version, token, area, 'active', $7
    FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::int[], $5::bigint[], $6::text[]) AS t (id, login, name, version, token, area)";
const GRANTS: &str = "INSERT INTO grants (id, user_id, role, area_code, granted_at, tag)
    SELECT id, user_id, 'collector', area, at, tag
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::timestamptz[]) AS t (id, user_id, area, tag, at)";
const CREDENTIALS: &str =
    "INSERT INTO credentials (user_id, password, password_set_at, must_change_password)
    SELECT id, 'none', $2, false FROM unnest($1::uuid[]) AS t (id)";
const DEVICES: &str = "INSERT INTO devices (id, user_id, area_code, public_key, name, platform, status, status_set_at, enrolled_at)
    SELECT id, user_id, area, key, 'crowd', 'cli', 'active', $5, $5
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[]) AS t (id, user_id, area, key)";
const SESSIONS: &str = "INSERT INTO sessions (id, token_hash, user_id, device_id, created_at, last_seen_at, expires_at, password_at)
    SELECT id, hash, user_id, device_id, $5, $5, $6, $5
    FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[]) AS t (id, hash, user_id, device_id)";

/// How many are written at a time.
const STEP: usize = 2_000;

/// A collector with a phone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// Its signing key.
    pub secret: [u8; 32],
    /// Its session.
    pub token: String,
    /// The village.
    pub area: AreaCode,
}

/// Makes a collector with a device and a session for each of these villages; a village may stand there often.
///
/// # Errors
/// When an area is unknown or the database fails.
pub async fn crowd(state: &AppState, areas: &[AreaCode]) -> anyhow::Result<Vec<Member>> {
    let mut members = Vec::with_capacity(areas.len());
    for step in areas.chunks(STEP) {
        let mut new = Vec::with_capacity(step.len());
        for area in step {
            new.push(Member {
                user: random::id(state.clock.timestamp(), UserId::new)?,
                device: random::id(state.clock.timestamp(), DeviceId::new)?,
                secret: random::bytes()?,
                token: hex::encode(random::bytes::<32>()?),
                area: *area,
            });
        }
        write(state, &new).await?;
        members.extend(new);
    }
    Ok(members)
}

async fn write(state: &AppState, members: &[Member]) -> anyhow::Result<()> {
    let now = state.clock.now();
    let each = |of: fn(&Member) -> Uuid| members.iter().map(of).collect::<Vec<_>>();
    let (ids, devices) = (each(|one| one.user.0), each(|one| one.device.0));
    let areas: Vec<String> = members.iter().map(|one| one.area.to_string()).collect();
    let logins: Vec<String> = ids
        .iter()
        .map(|id| format!("crowd-{}", id.simple()))
        .collect();
    let (mut names, mut versions, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    let mut granted = Vec::new();
    let (mut grants, mut tags, mut keys, mut hashes) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in members {
        let (name, version, token) =
            users::crowd::sealed_name(state, one.user, one.area, "采集员").await?;
        names.push(name);
        versions.push(version);
        tokens.push(token);
        let (grant, since, tag) = users::crowd::grant(state, one.user, one.area)?;
        grants.push(grant);
        granted.push(since);
        tags.push(tag);
        let key = KeyPair::from_secret(&one.secret)?;
        keys.push(key.public().as_bytes().to_vec());
        hashes.push(auth::token_hash(&one.token).to_vec());
    }
    let mut tx = system_tx(&state.pool).await?;
    sqlx::query(USERS)
        .bind(&ids)
        .bind(logins)
        .bind(names)
        .bind(versions)
        .bind(tokens)
        .bind(&areas)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    sqlx::query(GRANTS)
        .bind(grants)
        .bind(&ids)
        .bind(&areas)
        .bind(tags)
        .bind(granted)
        .execute(&mut *tx)
        .await?;
    sqlx::query(CREDENTIALS)
        .bind(&ids)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    sqlx::query(DEVICES)
        .bind(&devices)
        .bind(&ids)
        .bind(&areas)
        .bind(keys)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    let sessions: Vec<Uuid> = ids.iter().map(|_| Uuid::new_v4()).collect();
    sqlx::query(SESSIONS)
        .bind(sessions)
        .bind(hashes)
        .bind(&ids)
        .bind(&devices)
        .bind(now)
        .bind(now + Duration::hours(12))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

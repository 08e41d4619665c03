//! Area keys, wrapped by the root and shared by all nodes through the database, and the wrapping of
//! record keys by them. Destroying a record's wrapped key makes its sealed values unreadable for good.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use doorstep_core::crypto::blind::Blinder;
use doorstep_core::crypto::seal::{self, Place, SealKey};
use doorstep_core::crypto::sm3;
use doorstep_core::ids::{AreaCode, ChangeHash, RecordId};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{KeyError, KeyProvider, MacPurpose};
use crate::error::{ApiError, ApiResult};
use crate::random;

const CURRENT: &str =
    "SELECT version, wrapped FROM area_keys WHERE area_code = $1 ORDER BY version DESC LIMIT 1";
const OF_VERSION: &str =
    "SELECT version, wrapped FROM area_keys WHERE area_code = $1 AND version = $2";
const CREATE: &str = "INSERT INTO area_keys (area_code, version, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// How long the present version of a key is taken for the newest: another process may rotate it.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Connections for looking keys up: each is held for one statement.
const CONNECTIONS: u32 = 2;

/// The key of an area, in one version.
#[derive(Clone)]
pub struct AreaKey {
    /// Version; a rotation makes the next.
    pub version: i32,
    key: SealKey,
}

impl std::fmt::Debug for AreaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AreaKey(v{})", self.version)
    }
}

impl AreaKey {
    /// Seals a value that stands in `column` of a table's row.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn seal(&self, table: &str, row: &[u8], column: &str, plain: &[u8]) -> ApiResult<Vec<u8>> {
        let place = Place {
            table,
            row,
            column,
            version: self.version.unsigned_abs(),
        };
        seal::seal(&self.key, place, random::bytes()?, plain).map_err(|error| failed(error.into()))
    }

    /// Opens what `seal` made for the same place.
    ///
    /// # Errors
    /// When it was altered or moved.
    pub fn open(&self, table: &str, row: &[u8], column: &str, sealed: &[u8]) -> ApiResult<Vec<u8>> {
        let place = Place {
            table,
            row,
            column,
            version: self.version.unsigned_abs(),
        };
        seal::open(&self.key, place, sealed).map_err(|error| failed(error.into()))
    }
}

/// A record's key under its area's key, as it is stored: in every row that such a key seals (`area_code::text`).
#[derive(Clone, Debug, Eq, PartialEq, sqlx::FromRow)]
pub struct WrappedKey {
    /// The area whose key wraps it.
    #[sqlx(rename = "area_code", try_from = "String")]
    pub area: AreaCode,
    /// Version of the area's key.
    #[sqlx(rename = "key_version")]
    pub version: i32,
    /// The sealed key.
    #[sqlx(rename = "wrapped_key")]
    pub sealed: Vec<u8>,
}

/// The key tree in use: provider, and the area keys opened so far.
#[derive(Debug)]
pub struct KeyRing {
    provider: Arc<dyn KeyProvider>,
    blinder: Blinder,
    pool: PgPool,
    /// By area: every version opened, and the current one with when it was looked at.
    open: RwLock<HashMap<(AreaCode, i32), AreaKey>>,
    current: RwLock<HashMap<AreaCode, (AreaKey, Instant)>>,
}

impl KeyRing {
    /// A ring over a provider and the database that keeps the wrapped area keys. Its few connections are its own: whoever
    /// asks for a key may hold one of `pool` already, and must not wait for another.
    #[must_use]
    pub fn new(provider: Arc<dyn KeyProvider>, pool: &PgPool) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(pool.options().get_acquire_timeout())
            .connect_lazy_with(PgConnectOptions::clone(&pool.connect_options()));
        Self {
            blinder: Blinder::new(provider.mac_key(MacPurpose::BlindIndex)),
            provider,
            pool,
            open: RwLock::default(),
            current: RwLock::default(),
        }
    }

    /// The root's holder: keyed hashes and the server's signing pair.
    #[must_use]
    pub fn provider(&self) -> &dyn KeyProvider {
        self.provider.as_ref()
    }

    /// The blind form of a search token.
    #[must_use]
    pub fn blind(&self, token: &str) -> i64 {
        self.blinder.token(token)
    }

    /// What a change is called to readers: one name for it everywhere, that tells nothing of it. Its hash goes only to
    /// those who see in clear what it is of, devices among them. All else in a change that the server makes can be known
    /// or tried, so that whoever sees a value masked would find it by hashing what may stand behind the stars.
    #[must_use]
    pub fn change_name(&self, hash: ChangeHash) -> String {
        let key = self.provider.mac_key(MacPurpose::ChangeNames);
        hex::encode(&sm3::hmac(key, &[&hash.0])[..16])
    }

    /// The current key of an area, made on first use.
    ///
    /// # Errors
    /// When the database or the key store fails.
    pub async fn area_key(&self, area: AreaCode) -> ApiResult<AreaKey> {
        let known = self
            .current
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .get(&area)
            .cloned();
        if let Some((key, at)) = known
            && at.elapsed() < LOOK_AGAIN
        {
            return Ok(key);
        }
        let key = match self.stored(area, None).await? {
            Some(key) => key,
            None => {
                let fresh: SealKey = random::bytes()?;
                let wrapped = self
                    .provider
                    .wrap(place(&area, 1), &fresh)
                    .map_err(failed)?;
                sqlx::query(CREATE)
                    .bind(area.as_str())
                    .bind(1)
                    .bind(wrapped)
                    .execute(&self.pool)
                    .await?;
                // Read back: another node may have been first.
                self.stored(area, None)
                    .await?
                    .ok_or_else(|| failed(KeyError::Store("area key vanished".into())))?
            }
        };
        self.current
            .write()
            .unwrap_or_else(|e| e.into_inner())
            .insert(area, (key.clone(), Instant::now()));
        Ok(key)
    }

    /// Makes the next version of an area's key: new records are wrapped by it, older ones stay readable.
    /// Other processes go on with the version they know for a minute at most.
    ///
    /// # Errors
    /// When the database or the key store fails, or another node rotates the same key.
    pub async fn rotate(&self, area: AreaCode) -> ApiResult<i32> {
        let present = self.area_key(area).await?.version;
        let version = self
            .stored(area, None)
            .await?
            .map_or(present, |key| key.version)
            + 1;
        let fresh: SealKey = random::bytes()?;
        let wrapped = self
            .provider
            .wrap(place(&area, version), &fresh)
            .map_err(failed)?;
        let made = sqlx::query(CREATE)
            .bind(area.as_str())
            .bind(version)
            .bind(wrapped)
            .execute(&self.pool)
            .await?;
        if made.rows_affected() == 0 {
            return Err(ApiError::conflict(
                "key_exists",
                "这个区划的密钥刚由另一个节点更换，无需再换",
            ));
        }
        let key = AreaKey {
            version,
            key: fresh,
        };
        self.current
            .write()
            .unwrap_or_else(|e| e.into_inner())
            .insert(area, (key, Instant::now()));
        Ok(version)
    }

    /// The key of an area in a given version.
    ///
    /// # Errors
    /// When there is none, or it does not open.
    pub async fn area_key_version(&self, area: AreaCode, version: i32) -> ApiResult<AreaKey> {
        if let Some(key) = self
            .open
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .get(&(area, version))
        {
            return Ok(key.clone());
        }
        let key = self
            .stored(area, Some(version))
            .await?
            .ok_or_else(|| failed(KeyError::Store(format!("no key v{version} of area {area}"))))?;
        self.open
            .write()
            .unwrap_or_else(|e| e.into_inner())
            .insert((area, version), key.clone());
        Ok(key)
    }

    /// A new key for a record of `area`, in clear for use now and wrapped for keeping.
    ///
    /// # Errors
    /// As [`Self::area_key`].
    pub async fn new_record_key(
        &self,
        record: RecordId,
        area: AreaCode,
    ) -> ApiResult<(SealKey, WrappedKey)> {
        let key: SealKey = random::bytes()?;
        let wrapped = self.wrap(record, area, &key).await?;
        Ok((key, wrapped))
    }

    /// A record's key, wrapped again by the present key of its area.
    ///
    /// # Errors
    /// As [`Self::record_key`].
    pub async fn wrap_again(&self, record: RecordId, old: &WrappedKey) -> ApiResult<WrappedKey> {
        let key = self.record_key(record, old).await?;
        self.wrap(record, old.area, &key).await
    }

    async fn wrap(&self, record: RecordId, area: AreaCode, key: &SealKey) -> ApiResult<WrappedKey> {
        let parent = self.area_key(area).await?;
        let place = record_place(&record, parent.version);
        let sealed = seal::seal(&parent.key, place, random::bytes()?, key)
            .map_err(|error| failed(error.into()))?;
        Ok(WrappedKey {
            area,
            version: parent.version,
            sealed,
        })
    }

    /// Opens a record's key.
    ///
    /// # Errors
    /// When it was altered, belongs to another record, or its area's key is gone.
    pub async fn record_key(&self, record: RecordId, wrapped: &WrappedKey) -> ApiResult<SealKey> {
        let parent = self.area_key_version(wrapped.area, wrapped.version).await?;
        let plain = seal::open(
            &parent.key,
            record_place(&record, wrapped.version),
            &wrapped.sealed,
        )
        .map_err(|error| failed(error.into()))?;
        plain
            .try_into()
            .map_err(|_| failed(KeyError::Sealed(seal::SealError)))
    }

    async fn stored(&self, area: AreaCode, version: Option<i32>) -> ApiResult<Option<AreaKey>> {
        let row: Option<(i32, Vec<u8>)> = match version {
            None => {
                sqlx::query_as(CURRENT)
                    .bind(area.as_str())
                    .fetch_optional(&self.pool)
                    .await?
            }
            Some(version) => {
                sqlx::query_as(OF_VERSION)
                    .bind(area.as_str())
                    .bind(version)
                    .fetch_optional(&self.pool)
                    .await?
            }
        };
        row.map(|(version, wrapped)| {
            let key = self
                .provider
                .unwrap(place(&area, version), &wrapped)
                .map_err(failed)?;
            Ok(AreaKey { version, key })
        })
        .transpose()
    }
}

fn place(area: &AreaCode, version: i32) -> Place<'_> {
    Place {
        table: "area_keys",
        row: area.as_str().as_bytes(),
        column: "wrapped",
        version: version.unsigned_abs(),
    }
}

fn record_place(record: &RecordId, version: i32) -> Place<'_> {
    Place {
        table: "records",
        row: record.as_bytes(),
        column: "key",
        version: version.unsigned_abs(),
    }
}

fn failed(error: KeyError) -> ApiError {
    ApiError::internal(error)
}

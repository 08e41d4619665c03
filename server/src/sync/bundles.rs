//! Bundles for first sync: a scope's records as one immutable file, named by its digest and fetched by ranges.
//!
//! Kept in memory only: they hold personal data in clear, are made in well under a second from the register, and are
//! dropped by age when they take more room than allowed. A bundle that is gone is answered 404 and the device asks
//! again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use doorstep_core::crypto::sm3;
use doorstep_core::ids::{RecordId, ScopeId};
use doorstep_core::protocol::BATCH_TARGET;
use doorstep_core::protocol::frames::{BundleOffer, Cursor, Entry};
use doorstep_core::sync::server::BUNDLE_BEHIND;

use super::packing;
use crate::database::{Tx, system_tx};
use crate::error::{ApiError, ApiResult};
use crate::register::read;
use crate::state::AppState;

/// How much memory all bundles together may take.
const ROOM: usize = 256 * 1024 * 1024;
/// Scopes with fewer records are sent as log entries.
const WORTH_IT: u64 = 100;
/// How far back events go in a bundle.
const EVENTS_SINCE: chrono::Duration = chrono::Duration::days(180);
/// How many records are opened at a time.
const STEP: usize = 500;

/// A scope's records in one file.
#[derive(Debug)]
pub struct Bundle {
    /// What devices are told.
    pub offer: BundleOffer,
    /// Length-prefixed batch frames.
    pub file: Bytes,
    scope: ScopeId,
}

type Slot = Arc<tokio::sync::Mutex<Option<Arc<Bundle>>>>;

/// The bundles at hand. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Bundles {
    slots: Arc<Mutex<HashMap<ScopeId, Slot>>>,
    by_digest: Arc<Mutex<Vec<Arc<Bundle>>>>,
}

impl Bundles {
    /// A bundle of an area that is not too old, made now if need be; `None` when the scope is small.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn offer(
        &self,
        state: &AppState,
        scope: ScopeId,
        end: Cursor,
    ) -> ApiResult<Option<BundleOffer>> {
        let ScopeId::Area(_) = scope else {
            return Ok(None);
        };
        if end.seq < WORTH_IT {
            return Ok(None);
        }
        let slot = self
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(scope)
            .or_default()
            .clone();
        let mut held = slot.lock().await; // many that ask at once wait for one to make it
        if let Some(bundle) = held
            .as_ref()
            .filter(|bundle| end.seq.saturating_sub(bundle.offer.cursor.seq) < BUNDLE_BEHIND)
            && self.stands(state, bundle).await?
        {
            return Ok(Some(bundle.offer.clone()));
        }
        let bundle = Arc::new(make(state, scope).await?);
        *held = Some(bundle.clone());
        self.keep(bundle.clone());
        Ok(Some(bundle.offer.clone()))
    }

    /// The bundle of this digest, with the scope it belongs to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(
        &self,
        state: &AppState,
        digest: &[u8],
    ) -> ApiResult<Option<(Arc<Bundle>, ScopeId)>> {
        let held = {
            let held = self
                .by_digest
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            held.iter()
                .find(|bundle| bundle.offer.digest == digest)
                .cloned()
        };
        match held {
            Some(bundle) if self.stands(state, &bundle).await? => {
                let scope = bundle.scope;
                Ok(Some((bundle, scope)))
            }
            _ => Ok(None),
        }
    }

    /// Whether nothing of it was erased since it was made; else it is forgotten.
    async fn stands(&self, state: &AppState, bundle: &Arc<Bundle>) -> ApiResult<bool> {
        let mut connection = state.pool.acquire().await?;
        let erased =
            read::erased_after(&mut connection, bundle.scope, bundle.offer.cursor.seq).await?;
        if erased {
            self.by_digest
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|held| !Arc::ptr_eq(held, bundle));
        }
        Ok(!erased)
    }

    fn keep(&self, bundle: Arc<Bundle>) {
        let mut held = self
            .by_digest
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.push(bundle);
        let mut room: usize = held.iter().map(|bundle| bundle.file.len()).sum();
        while room > ROOM && held.len() > 1 {
            let oldest = held.remove(0);
            room -= oldest.file.len();
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if oldest.scope != held[held.len() - 1].scope {
                slots.remove(&oldest.scope);
            }
        }
    }
}

async fn make(state: &AppState, scope: ScopeId) -> ApiResult<Bundle> {
    let started = std::time::Instant::now();
    let mut tx = snapshot(state).await?;
    let end = read::scope_end(&mut tx, scope).await?;
    let ScopeId::Area(area) = scope else {
        return Err(ApiError::not_found("这个范围"));
    };
    let members = read::members(&mut tx, area).await?;
    let mut file = Vec::new();
    let mut pending: Vec<Entry> = Vec::new();
    let mut size = 0;
    let ids: Vec<RecordId> = members.iter().map(|(id, _)| *id).collect();
    for step in ids.chunks(STEP) {
        for whole in read::wholes(&mut tx, &state.keys, scope, step).await? {
            let entry = Entry::Whole(whole);
            size += packing::weight(&entry);
            pending.push(entry);
            if size >= BATCH_TARGET {
                append(&mut file, scope, std::mem::take(&mut pending))?;
                size = 0;
            }
        }
    }
    let since = state.clock.now() - EVENTS_SINCE;
    pending.extend(read::states_and_events(&mut tx, &state.keys, scope, since).await?);
    for part in packing::parts(pending) {
        if !part.is_empty() {
            append(&mut file, scope, part)?;
        }
    }
    let offer = BundleOffer {
        digest: sm3::digest(&[&file]).to_vec(),
        bytes: file.len() as u64,
        records: ids.len() as u64,
        cursor: end,
    };
    metrics::histogram!("doorstep_bundle_seconds").record(started.elapsed().as_secs_f64());
    Ok(Bundle {
        offer,
        file: file.into(),
        scope,
    })
}

/// One snapshot for end, records and events: nothing committed in between is in one and not in the other.
async fn snapshot(state: &AppState) -> ApiResult<Tx> {
    let mut tx = system_tx(&state.pool).await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .execute(&mut *tx)
        .await
        .ok();
    Ok(tx)
}

fn append(file: &mut Vec<u8>, scope: ScopeId, entries: Vec<Entry>) -> ApiResult<()> {
    for frame in packing::frames(scope, 0, 0, entries)? {
        let length = u32::try_from(frame.len()).map_err(ApiError::internal)?;
        file.extend_from_slice(&length.to_be_bytes());
        file.extend_from_slice(&frame);
    }
    Ok(())
}

//! Writing, signing, verifying and reading the log.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound, Utc};
use doorstep_core::crypto::sm2::PublicKey;
use doorstep_core::ids::UserId;
use doorstep_core::rights::Permission;
use sqlx::PgConnection;

use super::chain::{Checker, EntryRow, Fault, Verdict, head_message};
use super::model::Entry;
use super::store::{self, Filter, SignatureRow};
use crate::database::system_tx;
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::users;
use crate::error::{ApiError, ApiResult};
use crate::state::AppState;

/// Entries read at a time by the verification.
const CHUNK: i64 = 5_000;

/// Writes an entry in the transaction of the deed it tells of. Call it last and commit at once: it holds the lock
/// that orders the whole log.
///
/// # Errors
/// When the entry can't be written; the deed must then not be committed.
pub async fn record(tx: &mut PgConnection, entry: Entry) -> ApiResult<()> {
    record_all(tx, std::slice::from_ref(&entry)).await?;
    entry.mark_written();
    Ok(())
}

/// Writes several entries at once; see `record`.
///
/// # Errors
/// When they can't be written; the deeds must then not be committed.
pub async fn record_all(tx: &mut PgConnection, entries: &[Entry]) -> ApiResult<()> {
    let (mut seq, mut prev_hash) = store::lock_head(tx).await?;
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        seq += 1;
        let mut row = EntryRow {
            seq,
            // The database keeps microseconds; the hash must cover what is read back.
            at: entry.at.trunc_subsecs(6),
            user_id: entry.user.map(|id| id.0),
            device_id: entry.device.map(|id| id.0),
            action: entry.action.code().into(),
            outcome: entry.outcome.code().into(),
            area_code: entry.area.map(|area| area.to_string()),
            subject_kind: entry.subject_kind.clone(),
            subject_id: entry.subject_id.clone(),
            detail: entry.detail.to_string(),
            request_id: entry.request_id.clone(),
            address: entry.address.map(|address| address.to_string()),
            prev_hash,
            hash: Vec::new(),
        };
        row.hash = row.computed_hash(seq).to_vec();
        prev_hash = row.hash.clone();
        rows.push(row);
    }
    store::append(tx, &rows).await?;
    Ok(())
}

/// Signs the log's head with the server's key, unless it is signed already. Gives the number of the entry signed.
///
/// # Errors
/// When the database fails.
pub async fn sign_head(state: &AppState) -> ApiResult<i64> {
    let mut tx = system_tx(&state.pool).await?;
    let (seq, hash) = store::head(&mut tx).await?;
    if seq > 0
        && store::last_signed(&mut tx)
            .await?
            .is_none_or(|last| last < seq)
    {
        let key = state.keys.provider().server_key();
        let signed_at = state.clock.now().trunc_subsecs(6);
        let signature = key.sign(&head_message(seq, &hash, signed_at)).to_vec();
        let public_key = key.public().as_bytes().to_vec();
        store::sign(
            &mut tx,
            &SignatureRow {
                seq,
                hash,
                signed_at,
                public_key,
                signature,
            },
        )
        .await?;
    }
    tx.commit().await?;
    Ok(seq)
}

/// Checks the whole log and every signed head, on one snapshot of the database.
///
/// # Errors
/// When the database fails; a broken log is a verdict, no error.
pub async fn verify(state: &AppState) -> ApiResult<Verdict> {
    verify_step(state, Checker::default(), i64::MAX).await
}

/// Checks entries from where `checker` stands, `most` at a time and then to the end of the last batch read; with the
/// log's last entry, the signed heads too.
pub(super) async fn verify_step(
    state: &AppState,
    mut checker: Checker,
    most: i64,
) -> ApiResult<Verdict> {
    let mut tx = system_tx(&state.pool).await?;
    let (head, head_hash) = store::head(&mut tx).await?;
    let from = checker.last();
    let fault = loop {
        if checker.last() < head && checker.last() - from >= most {
            return Ok(verdict(&checker, head, 0, None));
        }
        let rows = store::after(&mut tx, checker.last(), CHUNK.min(most)).await?;
        // What was written after the head was read is not ours to check.
        let mut rows = rows.iter().take_while(|row| row.seq <= head).peekable();
        if rows.peek().is_none() {
            break checker.finish(head, &head_hash).err();
        }
        if let Some(fault) = rows.find_map(|row| checker.take(row).err()) {
            break Some(fault);
        }
    };
    let signed = store::signatures(&mut tx).await?;
    let signatures = i64::try_from(signed.len()).unwrap_or(i64::MAX);
    let fault = match fault {
        Some(fault) => Some(fault),
        None => first_bad_signature(state, &mut tx, &signed).await?,
    };
    Ok(verdict(&checker, head, signatures, fault))
}

fn verdict(checker: &Checker, head: i64, signatures: i64, fault: Option<Fault>) -> Verdict {
    Verdict {
        entries: checker.last(),
        hash: hex::encode(checker.hash()),
        head,
        signatures,
        fault,
    }
}

async fn first_bad_signature(
    state: &AppState,
    tx: &mut PgConnection,
    signed: &[SignatureRow],
) -> ApiResult<Option<Fault>> {
    let ours = state.keys.provider().server_key().public();
    for row in signed {
        let fits = PublicKey::from_bytes(&row.public_key).is_ok_and(|key| {
            key.as_bytes() == ours.as_bytes()
                && key
                    .verify(
                        &head_message(row.seq, &row.hash, row.signed_at),
                        &row.signature,
                    )
                    .is_ok()
        });
        let entry = store::hash_at(tx, row.seq).await?;
        if !fits || entry.as_deref() != Some(&row.hash[..]) {
            return Ok(Some(Fault::Signature { seq: row.seq }));
        }
    }
    Ok(None)
}

/// The names of those who did what entries tell of, and of those it was done to.
///
/// # Errors
/// When the database fails.
pub(super) async fn names(
    state: &AppState,
    rows: &[EntryRow],
) -> ApiResult<HashMap<UserId, String>> {
    let ids: Vec<UserId> = rows
        .iter()
        .flat_map(|row| [row.user_id.map(UserId), row.subject_user()])
        .flatten()
        .collect();
    users::service::names(state, &ids).await
}

/// Entries that fit, newest first, within the auditor's areas.
///
/// # Errors
/// When the database fails.
pub(super) async fn search(
    state: &AppState,
    actor: &Actor,
    filter: &Filter,
) -> ApiResult<Vec<EntryRow>> {
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadAudit).await?;
    Ok(store::search(&mut tx, filter).await?)
}

/// The public halves and times of all signed heads, oldest first.
///
/// # Errors
/// When the database fails.
pub(super) async fn signatures(state: &AppState) -> ApiResult<Vec<SignatureRow>> {
    let mut tx = system_tx(&state.pool).await?;
    Ok(store::signatures(&mut tx).await?)
}

/// Only who audits the whole city may check or sign the whole log.
///
/// # Errors
/// When the actor audits a part only.
pub(super) fn require_whole_city(actor: &Actor) -> ApiResult<()> {
    let whole = actor
        .areas(Permission::ReadAudit)
        .iter()
        .any(|area| area.level() == doorstep_core::ids::AreaLevel::City);
    if whole {
        Ok(())
    } else {
        Err(ApiError::forbidden())
    }
}

/// When a search without bounds begins.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|at| at.with_timezone(&Utc))
}

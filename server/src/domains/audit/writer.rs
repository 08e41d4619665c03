//! Writes the entries of reads. They come many at a time, so those that wait share a transaction;
//! each reader is answered only after the commit.

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use super::model::Entry;
use super::service::record_all;
use crate::database::system_tx;
use crate::error::{ApiError, ApiResult, Kind};

/// Entries that may wait; more make readers wait before they queue.
const QUEUE: usize = 1_024;
/// Entries written together at most.
const BATCH: usize = 256;

type Waiting = (Entry, oneshot::Sender<bool>);

/// Puts entries into the queue.
#[derive(Clone, Debug)]
pub struct AuditWriter(mpsc::Sender<Waiting>);

impl AuditWriter {
    /// Starts the writer; it ends when the last handle is dropped.
    #[must_use]
    pub fn start(pool: PgPool) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(pool, queue));
        Self(sender)
    }

    /// Writes an entry; returns after it is committed.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn write(&self, entry: Entry) -> ApiResult<()> {
        // Why stands in the log, once for all that waited.
        let failed = || {
            ApiError::new(
                Kind::Unavailable,
                "audit_unavailable",
                "操作记录暂时写不进去，因此没有办理，请稍后重试",
            )
        };
        let (done, written) = oneshot::channel();
        self.0.send((entry, done)).await.map_err(|_| failed())?;
        match written.await {
            Ok(true) => Ok(()),
            _ => Err(failed()),
        }
    }
}

async fn run(pool: PgPool, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut waiting, BATCH).await > 0 {
        let (entries, readers): (Vec<Entry>, Vec<_>) = waiting.drain(..).unzip();
        let written = match write_all(&pool, &entries).await {
            Ok(()) => vec![true; entries.len()],
            // One of them can't be stored: the others are not to suffer for it.
            Err(error) if entries.len() > 1 && error.kind != Kind::Unavailable => {
                let mut written = Vec::with_capacity(entries.len());
                for entry in &entries {
                    let alone = write_all(&pool, std::slice::from_ref(entry)).await;
                    written.push(told(alone, 1));
                }
                written
            }
            failed => vec![told(failed, entries.len()); entries.len()],
        };
        for (reader, written) in readers.into_iter().zip(written) {
            reader.send(written).ok();
        }
    }
}

/// Whether it was written; if not, the log says why.
fn told(result: ApiResult<()>, entries: usize) -> bool {
    if let Err(error) = &result {
        let error = error.to_string();
        tracing::error!(error, entries, "the audit log can't be written");
    }
    result.is_ok()
}

async fn write_all(pool: &PgPool, entries: &[Entry]) -> ApiResult<()> {
    let mut tx = system_tx(pool).await?;
    record_all(&mut tx, entries).await?;
    tx.commit().await?;
    Ok(())
}

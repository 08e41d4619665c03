//! What a demo came to, for programs.

use serde::Serialize;

/// The summary that `--report` writes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Phones that took part.
    pub devices: usize,
    /// Records in the committee's register at the end, by each phone's count.
    pub records: u64,
    /// Changes and events that the phones made offline or live.
    pub changes_sent: u64,
    /// Of these, accepted by the server.
    pub changes_accepted: u64,
    /// Photos taken on the phones.
    pub photos_taken: u64,
    /// Of these, seen by another phone (same digest) and by the supervisor (thumbnail).
    pub photos_seen: u64,
    /// Their bytes.
    pub photo_bytes: u64,
    /// The byte from which the photo went on whose upload was cut by the server's end.
    pub photo_resumed_at: u64,
    /// Rows of the register's files that were imported.
    pub rows_imported: u64,
    /// Fields that two phones changed and that merged without anyone's help.
    pub merged: usize,
    /// Items that the offline edits put into the queue.
    pub conflicts_opened: usize,
    /// Of these, decided.
    pub conflicts_decided: usize,
    /// From a decision's request to the last phone that shows it, in milliseconds, for each decision.
    pub decision_ms: Vec<f64>,
    /// Edits that were not answered when the server was killed.
    pub unanswered_at_kill: u64,
    /// Edits lost by it.
    pub lost: u64,
    /// Edits doubled by it.
    pub doubled: u64,
    /// Entries of the audit log, all verified.
    pub audit_entries: u64,
    /// Whether server and phones hold the same.
    pub digests_equal: bool,
    /// Who holds what.
    pub digests: Vec<Holding>,
    /// Seconds in all.
    pub seconds: f64,
    /// What was not as it should be; empty when all is well.
    pub failed: Vec<String>,
}

/// What one holder has of the committee's scope.
#[derive(Clone, Debug, Serialize)]
pub struct Holding {
    /// A phone's name, or the server.
    pub holder: String,
    /// How far it is in the scope's log.
    pub seq: u64,
    /// The scope's digest over all heads.
    pub digest: String,
    /// A digest over all values that are shown; a dash for the server, which shows none.
    pub contents: String,
    /// Records of the scope.
    pub records: Option<u64>,
}

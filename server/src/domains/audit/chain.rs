//! The chain itself: what an entry's hash covers, and how a broken chain is named. Knows no database.

use chrono::{DateTime, Utc};
use doorstep_core::crypto::sm3;
use doorstep_core::ids::UserId;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

const ENTRY_LABEL: &[u8] = b"doorstep-audit-entry-v1";
const HEAD_LABEL: &[u8] = b"doorstep-audit-head-v1";

/// How far a moved entry is looked for.
const SEARCH: i64 = 50_000;

/// An entry as it stands in the log.
#[derive(Clone, Debug, FromRow)]
pub(super) struct EntryRow {
    pub(super) seq: i64,
    pub(super) at: DateTime<Utc>,
    pub(super) user_id: Option<Uuid>,
    pub(super) device_id: Option<Uuid>,
    pub(super) action: String,
    pub(super) outcome: String,
    pub(super) area_code: Option<String>,
    pub(super) subject_kind: Option<String>,
    pub(super) subject_id: Option<String>,
    pub(super) detail: String,
    pub(super) request_id: String,
    pub(super) address: Option<String>,
    pub(super) prev_hash: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

impl EntryRow {
    /// The user whom it was done to.
    pub(super) fn subject_user(&self) -> Option<UserId> {
        let user = self.subject_kind.as_deref() == Some("user");
        self.subject_id
            .as_deref()
            .filter(|_| user)
            .and_then(|id| id.parse().ok())
            .map(UserId)
    }

    /// SM3 over the label, the place in the chain, the hash before, and each column with its length.
    pub(super) fn computed_hash(&self, seq: i64) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(320);
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(&self.at.timestamp_micros().to_be_bytes());
        let columns: [Option<&[u8]>; 11] = [
            Some(&self.prev_hash),
            self.user_id.as_ref().map(|id| &id.as_bytes()[..]),
            self.device_id.as_ref().map(|id| &id.as_bytes()[..]),
            Some(self.action.as_bytes()),
            Some(self.outcome.as_bytes()),
            self.area_code.as_deref().map(str::as_bytes),
            self.subject_kind.as_deref().map(str::as_bytes),
            self.subject_id.as_deref().map(str::as_bytes),
            Some(self.detail.as_bytes()),
            Some(self.request_id.as_bytes()),
            self.address.as_deref().map(str::as_bytes),
        ];
        for column in columns {
            // An absent column differs from an empty one.
            let length = column.map_or(u32::MAX, |value| {
                u32::try_from(value.len()).unwrap_or(u32::MAX - 1)
            });
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(column.unwrap_or_default());
        }
        sm3::digest(&[ENTRY_LABEL, &bytes])
    }

    /// The place that this entry was written at, when its content is whole but stands elsewhere.
    fn original_place(&self) -> Option<i64> {
        let from = (self.seq - SEARCH).max(1);
        (from..=self.seq + SEARCH)
            .find(|seq| *seq != self.seq && self.computed_hash(*seq)[..] == self.hash[..])
    }
}

/// What a signature over the head covers.
pub(super) fn head_message(seq: i64, hash: &[u8], signed_at: DateTime<Utc>) -> Vec<u8> {
    [
        HEAD_LABEL,
        &seq.to_be_bytes(),
        hash,
        &signed_at.timestamp_micros().to_be_bytes(),
    ]
    .concat()
}

/// The first thing wrong with the log.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The entry's content is not what was written.
    Altered {
        /// Its number.
        seq: i64,
    },
    /// The entry is gone.
    Missing {
        /// Its number.
        seq: i64,
    },
    /// The entry is whole but was written at another place.
    Reordered {
        /// Where it stands.
        seq: i64,
        /// Where it was written.
        written_as: i64,
    },
    /// The log ends before its head.
    Cut {
        /// The last entry there is.
        last: i64,
        /// The entry that the head names.
        head: i64,
    },
    /// A signed head does not fit the entry it names: the chain was rewritten, or the signature was.
    Signature {
        /// The entry that was signed.
        seq: i64,
    },
}

/// The outcome of a verification.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = AuditVerdict)]
pub struct Verdict {
    /// The last entry that was checked: with `head`, how far the check has come.
    pub entries: i64,
    /// Its hash, hexadecimal: where a check in steps goes on.
    pub hash: String,
    /// The entry that the log ended with when it was asked.
    pub head: i64,
    /// Signed heads that were checked: with the last step.
    pub signatures: i64,
    /// The first fault; none when the log is whole.
    pub fault: Option<Fault>,
}

/// Checks entries one after another.
#[derive(Debug)]
pub(super) struct Checker {
    last: i64,
    hash: Vec<u8>,
}

impl Default for Checker {
    fn default() -> Self {
        Self {
            last: 0,
            hash: vec![0; 32],
        }
    }
}

impl Checker {
    /// Goes on after an entry that was found whole before.
    pub(super) fn after(last: i64, hash: Vec<u8>) -> Self {
        Self { last, hash }
    }

    /// The hash of the last entry.
    pub(super) fn hash(&self) -> &[u8] {
        &self.hash
    }

    /// The last entry that was found whole.
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    /// Takes the next entry in the order of numbers.
    pub(super) fn take(&mut self, entry: &EntryRow) -> Result<(), Fault> {
        let place = self.last + 1;
        if entry.seq != place {
            return Err(Fault::Missing { seq: place });
        }
        if entry.computed_hash(entry.seq)[..] != entry.hash[..] {
            return Err(match entry.original_place() {
                Some(written_as) => Fault::Reordered {
                    seq: entry.seq,
                    written_as,
                },
                None => Fault::Altered { seq: entry.seq },
            });
        }
        if entry.prev_hash != self.hash {
            // Its own hash fits, so it was rewritten with a hash of its own: the chain does not lead to it.
            return Err(Fault::Altered { seq: entry.seq });
        }
        self.last = entry.seq;
        self.hash.clone_from(&entry.hash);
        Ok(())
    }

    /// The log ended: does it end where the head says?
    pub(super) fn finish(&self, head: i64, head_hash: &[u8]) -> Result<(), Fault> {
        if self.last != head {
            return Err(Fault::Cut {
                last: self.last,
                head,
            });
        }
        if self.hash != head_hash {
            return Err(Fault::Altered { seq: head });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    fn chain(length: i64) -> Vec<EntryRow> {
        let mut prev_hash = vec![0; 32];
        (1..=length)
            .map(|seq| {
                let mut row = EntryRow {
                    seq,
                    at: DateTime::from_timestamp(seq, 0).unwrap(),
                    user_id: None,
                    device_id: None,
                    action: format!("action {seq}"),
                    outcome: "done".into(),
                    area_code: None,
                    subject_kind: None,
                    subject_id: None,
                    detail: "{}".into(),
                    request_id: String::new(),
                    address: None,
                    prev_hash: prev_hash.clone(),
                    hash: vec![],
                };
                row.hash = row.computed_hash(seq).to_vec();
                prev_hash.clone_from(&row.hash);
                row
            })
            .collect()
    }

    fn first_fault(rows: &[EntryRow]) -> Option<Fault> {
        let mut checker = Checker::default();
        rows.iter().find_map(|row| checker.take(row).err())
    }

    #[test]
    fn a_whole_chain_has_no_fault() {
        assert_eq!(first_fault(&chain(20)), None);
    }

    #[test]
    fn every_column_is_covered() {
        let tampering: [fn(&mut EntryRow); 11] = [
            |row| row.at += chrono::Duration::microseconds(1),
            |row| row.user_id = Some(Uuid::nil()),
            |row| row.device_id = Some(Uuid::nil()),
            |row| row.action.push('x'),
            |row| row.outcome = "refused".into(),
            |row| row.area_code = Some(String::new()),
            |row| row.subject_kind = Some("user".into()),
            |row| row.subject_id = Some("1".into()),
            |row| row.detail = "{ }".into(),
            |row| row.request_id.push('x'),
            |row| row.address = Some(String::new()),
        ];
        for tamper in tampering {
            let mut rows = chain(5);
            tamper(&mut rows[2]);
            assert_eq!(first_fault(&rows), Some(Fault::Altered { seq: 3 }));
        }
    }

    #[test]
    fn a_rewritten_entry_with_a_fitting_hash_breaks_the_next_one() {
        let mut rows = chain(5);
        rows[2].action = "nothing".into();
        rows[2].hash = rows[2].computed_hash(3).to_vec();
        assert_eq!(first_fault(&rows), Some(Fault::Altered { seq: 4 }));
    }

    #[test]
    fn missing_and_swapped_entries_are_named() {
        let mut rows = chain(5);
        rows.remove(2);
        assert_eq!(first_fault(&rows), Some(Fault::Missing { seq: 3 }));
        let mut rows = chain(5);
        rows.swap(1, 3);
        rows[1].seq = 2;
        rows[3].seq = 4;
        assert_eq!(
            first_fault(&rows),
            Some(Fault::Reordered {
                seq: 2,
                written_as: 4
            })
        );
    }

    #[test]
    fn a_cut_tail_is_found_by_the_head() {
        let rows = chain(5);
        let mut checker = Checker::default();
        for row in &rows[..4] {
            checker.take(row).unwrap();
        }
        assert_eq!(
            checker.finish(5, &rows[4].hash),
            Err(Fault::Cut { last: 4, head: 5 })
        );
    }
}

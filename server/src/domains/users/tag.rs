//! The integrity tag of a grant: HMAC-SM3 over all its columns, by a key that is not in the database.
//! A row written or edited past the server has no fitting tag and gives no right.

use doorstep_core::crypto::sm3;
use subtle::ConstantTimeEq;

use super::model::GrantRow;

const LABEL: &[u8] = b"doorstep-grant-v1";

/// The tag of a row's other columns.
pub(super) fn compute(key: &[u8; 32], row: &GrantRow) -> [u8; 32] {
    let micros = |at: chrono::DateTime<chrono::Utc>| at.timestamp_micros().to_string();
    let id = |id: Option<uuid::Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    // No column can hold a line break, so the joined text is unambiguous.
    let text = [
        row.id.to_string(),
        row.user_id.to_string(),
        row.role.clone(),
        row.area_code.clone(),
        row.ends_on.map(|day| day.to_string()).unwrap_or_default(),
        id(row.granted_by),
        micros(row.granted_at),
        id(row.revoked_by),
        row.revoked_at.map(micros).unwrap_or_default(),
    ]
    .join("\n");
    sm3::hmac(key, &[LABEL, text.as_bytes()])
}

/// Whether the row is as the server wrote it.
pub(super) fn fits(key: &[u8; 32], row: &GrantRow) -> bool {
    compute(key, row).ct_eq(row.tag.as_slice()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;
    use chrono::{DateTime, NaiveDate};
    use uuid::Uuid;

    #[test]
    fn every_column_is_covered() {
        let key = [3; 32];
        let mut row = GrantRow {
            id: Uuid::from_u128(1),
            user_id: Uuid::from_u128(2),
            role: "collector".into(),
            area_code: "310101002001".into(),
            ends_on: None,
            granted_by: None,
            granted_at: DateTime::from_timestamp(1, 0).unwrap(),
            revoked_by: None,
            revoked_at: None,
            tag: vec![],
        };
        row.tag = compute(&key, &row).to_vec();
        assert!(fits(&key, &row) && !fits(&[4; 32], &row));
        let edits: [fn(&mut GrantRow); 9] = [
            |row| row.id = Uuid::from_u128(9),
            |row| row.user_id = Uuid::from_u128(9),
            |row| row.role = "supervisor".into(),
            |row| row.area_code = "310000000000".into(),
            |row| row.ends_on = NaiveDate::from_ymd_opt(2030, 1, 1),
            |row| row.granted_by = Some(Uuid::from_u128(9)),
            |row| row.granted_at = DateTime::from_timestamp(2, 0).unwrap(),
            |row| row.revoked_by = Some(Uuid::from_u128(9)),
            |row| row.revoked_at = DateTime::from_timestamp(2, 0),
        ];
        for edit in edits {
            let mut edited = row.clone();
            edit(&mut edited);
            assert!(!fits(&key, &edited), "{edited:?}");
        }
    }
}

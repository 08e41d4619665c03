//! A message between nodes: HMAC-SM3 of the rest, then JSON. The key derives from the root that all nodes of a system
//! share, so others on the same NATS can neither be taken for one of us nor learn our subject.

use bytes::Bytes;
use doorstep_core::crypto::sm3;
use serde::{Deserialize, Serialize};
use sqlx::types::Uuid;
use subtle::ConstantTimeEq;

use super::Words;

const TAG: usize = 32;

/// What one node says; numbered, so that others see when one is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    /// Who speaks; another one after each start.
    pub(super) node: Uuid,
    /// One more than the speaker's last.
    pub(super) number: u64,
    pub(super) words: Words,
}

/// The subject of a system: nobody without its key can name it.
pub(super) fn subject(key: &[u8; 32]) -> String {
    let name = sm3::hmac(key, &[b"doorstep-bus-subject"]);
    format!("doorstep.{}", hex::encode(&name[..8]))
}

pub(super) fn encode(key: &[u8; 32], message: &Message) -> serde_json::Result<Bytes> {
    let body = serde_json::to_vec(message)?;
    let mut whole = sm3::hmac(key, &[&body]).to_vec();
    whole.extend(body);
    Ok(whole.into())
}

/// The message; `None` when it is none of this system's.
pub(super) fn decode(key: &[u8; 32], bytes: &[u8]) -> Option<Message> {
    let (tag, body) = bytes.split_at_checked(TAG)?;
    let ours = sm3::hmac(key, &[body]);
    let is_ours: bool = ours.as_slice().ct_eq(tag).into();
    is_ours.then(|| serde_json::from_slice(body).ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use doorstep_core::ids::{DeviceId, RecordId, ScopeId, UserId};

    use super::super::Opened;
    use super::*;
    use crate::live::Notice;

    #[test]
    fn what_is_said_is_heard_and_what_was_altered_or_anothers_is_not() {
        let (user, device) = (UserId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        let mut words = Words::default();
        words.moved.insert(ScopeId::Common, 7);
        words.moved.insert(ScopeId::User(user), 8);
        words.queues.insert("310115006001".parse().unwrap());
        words.notices = vec![
            Notice::RightsChanged(user),
            Notice::DeviceChanged(device),
            Notice::AreasChanged,
        ];
        words.opened = vec![Opened {
            scope: ScopeId::Common,
            user,
            record: Some(RecordId::from_bytes([3; 16])),
        }];
        let message = Message {
            node: Uuid::from_u128(9),
            number: 3,
            words,
        };
        let key = [5; 32];
        let bytes = encode(&key, &message).unwrap();
        assert_eq!(decode(&key, &bytes), Some(message));
        assert_eq!(decode(&[6; 32], &bytes), None);
        for at in [0, TAG, bytes.len() - 1] {
            let mut altered = bytes.to_vec();
            altered[at] ^= 1;
            assert_eq!(decode(&key, &altered), None);
        }
        assert_eq!(decode(&key, b"short"), None);
        assert_ne!(subject(&key), subject(&[6; 32]));
    }
}

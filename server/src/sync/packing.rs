//! Entries into batches: about as much in each as is meant, and no frame longer than a device takes, whatever devices
//! wrote. Knows no register and no socket.

use doorstep_core::ids::ScopeId;
use doorstep_core::protocol::frames::{Batch, Down, Entry};
use doorstep_core::protocol::{BATCH_TARGET, MAX_FRAME_DOWN};
use doorstep_core::value::Value;

use crate::error::{ApiError, ApiResult};

/// About how many bytes an entry takes before it is packed.
pub(super) fn weight(entry: &Entry) -> usize {
    match entry {
        Entry::Put(put) => put.bytes.len() + 64,
        Entry::Whole(whole) => whole.changes.iter().map(|change| change.len() + 32).sum(),
        Entry::State(state) => state.json.len() + 32,
        Entry::Event(event) => {
            let text = |(key, value): (&String, &Value)| {
                key.len() + value.as_text().map_or(0, str::len) + 10
            };
            event.fields.iter().map(text).sum::<usize>() + 64
        }
        Entry::Own(..) | Entry::Leave(_) | Entry::Erase(_) => 64,
    }
}

/// Entries in parts of about `BATCH_TARGET`, in order; one part at least, the last may be empty.
pub(super) fn parts(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut parts = Vec::new();
    let mut pending = Vec::new();
    let mut size = 0;
    for entry in entries {
        size += weight(&entry);
        pending.push(entry);
        if size >= BATCH_TARGET {
            parts.push(std::mem::take(&mut pending));
            size = 0;
        }
    }
    parts.push(pending);
    parts
}

/// The frames of a part: one, or more where it would be longer than a device takes. Only the last moves the device's
/// cursor. An entry that is too long by itself is sent as it is: what the register takes from devices never is.
///
/// # Errors
/// When packing fails.
pub(super) fn frames(
    scope: ScopeId,
    from: u64,
    to: u64,
    mut entries: Vec<Entry>,
) -> ApiResult<Vec<Vec<u8>>> {
    let batch = Batch::pack(scope, from, to, &entries).map_err(ApiError::internal)?;
    let frame = Down::Batch(batch).encode();
    if frame.len() <= MAX_FRAME_DOWN || entries.len() < 2 {
        return Ok(vec![frame]);
    }
    let rest = entries.split_off(entries.len() / 2);
    let mut all = frames(scope, from, from, entries)?;
    all.extend(frames(scope, from, to, rest)?);
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use doorstep_core::ids::{EventId, RecordId, UserId};
    use doorstep_core::protocol::frames::{EventEntry, PutEntry};
    use doorstep_core::value::Fields;

    use super::*;
    use crate::random;

    fn put(number: u8, length: usize) -> Entry {
        let pieces = (0..length / 1_000).map(|_| random::bytes::<1_000>().unwrap());
        Entry::Put(PutEntry {
            record: RecordId::from_bytes([number; 16]),
            record_type: "resident".to_owned(),
            epoch: 0,
            bytes: pieces.flatten().collect(),
        })
    }

    #[test]
    fn what_does_not_fit_a_frame_is_divided_and_only_the_last_moves_the_cursor() {
        let entries: Vec<Entry> = (0..7).map(|number| put(number, 400_000)).collect();
        let frames = frames(ScopeId::Common, 3, 9, entries.clone()).unwrap();
        assert!(frames.len() > 2);
        let mut told = Vec::new();
        let mut ends = Vec::new();
        for frame in &frames {
            let Ok(Down::Batch(batch)) = Down::decode(frame) else {
                panic!("a frame that no device takes: {} bytes", frame.len())
            };
            assert_eq!(batch.from, 3);
            ends.push(batch.to);
            told.extend(batch.entries().unwrap());
        }
        assert_eq!(told, entries);
        assert_eq!(ends.pop(), Some(9));
        assert!(ends.iter().all(|end| *end == 3), "{ends:?}");
    }

    #[test]
    fn events_weigh_what_they_hold() {
        let photo = |n: usize| (format!("photos/{n:064x}"), Value::Bool(true));
        let event = |number: u8| {
            Entry::Event(EventEntry {
                id: EventId::from_bytes([number; 16]),
                event_type: "visit".to_owned(),
                area: "310101002001".parse().unwrap(),
                user: UserId::from_bytes([1; 16]),
                fields: (0..800).map(photo).collect::<Fields>(),
            })
        };
        let parts = parts((0..40).map(event).collect());
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 40);
        for part in parts {
            let bytes = doorstep_core::protocol::codec::to_bytes(&part).len();
            assert!(bytes < 2 * BATCH_TARGET, "{bytes} in a part");
        }
    }
}

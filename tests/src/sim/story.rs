//! Frames in a line each, for the story of a seed that failed. Knows nothing of who sends them.

use doorstep_core::crdt::chunk;
use doorstep_core::envelope::Envelope;
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::{Down, Entry, Outcome, Up};

use super::ledger::Ledger;

/// A frame from a phone.
pub(super) fn say_up(frame: &Up) -> String {
    match frame {
        Up::Push(signed) => match codec::from_bytes::<Envelope>(&signed.body) {
            Ok(envelope) => {
                let marks = envelope.items.iter().map(Ledger::mark_of_item);
                format!("Push {} {:?}", envelope.seq, marks.collect::<Vec<_>>())
            }
            Err(_) => "Push ?".to_owned(),
        },
        other => format!("{other:?}"),
    }
}

/// A frame from the server.
pub(super) fn say_down(frame: &Down) -> String {
    match frame {
        Down::Batch(batch) => format!(
            "Batch {} {}..{} {:?}",
            batch.scope,
            batch.from,
            batch.to,
            batch
                .entries()
                .map(|entries| entries.iter().map(say_entry).collect::<Vec<_>>())
        ),
        Down::Pushed(pushed) => {
            let outcomes = pushed.outcomes.iter().map(|outcome| match outcome {
                Outcome::Refused(why) => why.code.clone(),
                other => format!("{other:?}"),
            });
            format!("Pushed {} {:?}", pushed.seq, outcomes.collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}

/// What a frame from the server brings, for the tally.
pub(super) fn kinds(frame: &Down) -> Vec<String> {
    match frame {
        Down::Batch(batch) => {
            let repair = (batch.from == batch.to).then(|| "repair".to_owned());
            let entries = batch.entries().unwrap_or_default();
            let kind = |entry: &Entry| {
                let kind = match entry {
                    Entry::Put(_) => "put",
                    Entry::Own(..) => "own",
                    Entry::Whole(_) => "whole",
                    Entry::State(_) => "state",
                    Entry::Event(_) => "event",
                    Entry::Leave(_) => "leave",
                    Entry::Erase(_) => "erase",
                };
                kind.to_owned()
            };
            entries.iter().map(kind).chain(repair).collect()
        }
        Down::Pushed(pushed) => {
            let outcomes = pushed.outcomes.iter();
            let outcomes = outcomes.map(|outcome| match outcome {
                Outcome::Accepted => "accepted".to_owned(),
                Outcome::Duplicate => "duplicate".to_owned(),
                Outcome::Waiting => "waiting".to_owned(),
                Outcome::Refused(why) => why.code.clone(),
            });
            outcomes.collect()
        }
        Down::Wipe => vec!["wipe".to_owned()],
        _ => Vec::new(),
    }
}

fn say_entry(entry: &Entry) -> String {
    match entry {
        Entry::Put(put) => {
            let mark = chunk::decode(&put.bytes);
            format!("Put {} {:?}", put.record, mark.map(|(_, hash)| hash))
        }
        Entry::Whole(whole) => format!("Whole {} of {}", whole.record, whole.changes.len()),
        other => format!("{other:?}"),
    }
}

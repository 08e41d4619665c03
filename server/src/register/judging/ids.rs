//! Whose an id is: records and events share one space of them, since phones purge either by its id alone and photos are
//! kept by it. Whoever could begin one with the other's id could have what the other holds erased. Knows no value.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::ids::{EventId, RecordId};
use doorstep_core::protocol::frames::{Outcome, Refusal};

use super::Judgement;
use crate::domains::alarms;
use crate::register::model::{SERVER_DEVICE, Submitter};

/// What the ids of a group's events, and of records that it begins, stood for before.
#[derive(Debug, Default)]
pub(in crate::register) struct KnownIds {
    /// Those that are an event's.
    pub(in crate::register) events: BTreeSet<EventId>,
    /// Those meant for events that are a record's, erased ones too.
    pub(in crate::register) records: BTreeSet<RecordId>,
    /// Those of events that were refused, and why.
    pub(in crate::register) refused: BTreeMap<EventId, Refusal>,
}

impl Judgement {
    /// Whether an id is an event's, be it one of this group.
    pub(super) fn is_event(&self, id: EventId) -> bool {
        self.known.events.contains(&id) || self.seen_events.contains(&id)
    }

    /// Whether an id that is meant for an event is a record's, be it one of this group.
    pub(super) fn is_record(&self, id: RecordId) -> bool {
        self.known.records.contains(&id)
            || self.gone.areas.contains_key(&id)
            || self.tombs.iter().any(|(tomb, ..)| *tomb == id.0)
    }

    /// The answer to what would begin with an id that is another thing's. Ids are made by chance, so no honest device
    /// does it: nothing of it is kept, least of all beside what has that id.
    pub(super) fn id_taken(&mut self, who: &Submitter, id: RecordId, kind: &str) -> Outcome {
        if who.device != SERVER_DEVICE {
            let taken = alarms::Kind::IdTaken;
            self.alarms
                .note_record(taken, who.device, who.user, (id, kind));
        }
        Outcome::Refused(Refusal::new(
            "id_taken",
            "这条内容的编号已属于另一份档案或记录，未被接受；如确有此事，请重新填写。",
        ))
    }
}

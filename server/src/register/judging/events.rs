//! One event: a visit, the answer to a check. Knows no record's values.

use doorstep_core::crypto::sm3;
use doorstep_core::envelope::{EventItem, Item};
use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::projection::subjects;
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::{Outcome, Refusal};
use doorstep_core::records::{self, Mode, RecordKind, Severity};
use doorstep_core::time::Timestamp;
use doorstep_core::value::Value;

use super::bounds::{EVENT_BYTES, too_many};
use super::places::unknown_area;
use super::{AcceptedEvent, Judgement};
use crate::clock;
use crate::domains::alarms;
use crate::register::model::{SERVER_DEVICE, Submitter};

impl Judgement {
    pub(super) fn event(
        &mut self,
        who: &Submitter,
        item: EventItem,
        decided: bool,
        now: Timestamp,
    ) -> Outcome {
        if self.is_event(item.id) {
            return Outcome::Duplicate;
        }
        if self.is_record(item.id.into()) {
            return self.id_taken(who, item.id.into(), &item.event_type);
        }
        // Only the supervisor's own decision takes it after all.
        if let Some(before) = self.known.refused.get(&item.id).filter(|_| !decided) {
            return Outcome::Refused(before.clone());
        }
        let about: Vec<RecordId> = subjects(&item.event_type, &item.fields).collect();
        if about.iter().any(|id| self.gone.erased.contains(id)) {
            return self.too_late();
        }
        let covered = who.grants.iter().any(|(_, area)| area.contains(&item.area));
        let declared = records::record_type(&item.event_type)
            .filter(|declared| declared.kind == RecordKind::Event);
        let refusal = match declared {
            None => Some(Refusal::new(
                "unknown_type",
                "这种记录还没有登记，请更新应用。",
            )),
            Some(_) if !covered => Some(Refusal::new(
                "out_of_scope",
                "这个地点已不在您的负责区域，记录已转给主管处理。",
            )),
            Some(_) if self.is_made_up(who, &item.area) => Some(unknown_area()),
            // Only a visit says of whom it names that all is right; who may answer a check is asked when it is carried out.
            Some(_) if item.event_type == "visit" && self.any_elsewhere(who, &about) => {
                Some(Refusal::new(
                    "out_of_scope",
                    "所涉及的居民或房屋登记在其他区划，记录已转给主管处理。",
                ))
            }
            Some(_) if codec::to_bytes(&item).len() > EVENT_BYTES => Some(Refusal::new(
                "event_too_large",
                "这条记录的内容太长，已转给主管核对；请把内容写短，或分成几条记录。",
            )),
            Some(declared) => too_many(item.fields.keys()).or_else(|| {
                records::validate(declared, &item.fields, Mode::Partial)
                    .into_iter()
                    .find(|problem| problem.severity == Severity::Error && problem.is_shape())
                    .map(|problem| Refusal {
                        code: problem.code.into_owned(),
                        field: Some(problem.path),
                        message: problem.message,
                    })
            }),
        };
        if let Some(refusal) = refusal {
            let hash = sm3::digest(&[&codec::to_bytes(&item)]).to_vec();
            let works_in = who.grants.first().map(|(_, area)| *area);
            let named = Some(item.area).filter(|area| self.tree.contains(area));
            let area = works_in.or(named).unwrap_or_else(AreaCode::city);
            return self.refuse(who, area, hash, Item::Event(item), refusal);
        }
        if !decided && who.device != SERVER_DEVICE && clock::is_off(event_time(&item, now), now) {
            let kind = alarms::Kind::ClockOff;
            let about = (item.id.into(), item.event_type.as_str());
            self.alarms.note_record(kind, who.device, who.user, about);
        }
        self.seen_events.insert(item.id);
        self.events.push(AcceptedEvent {
            item,
            device: who.device,
            user: who.user,
        });
        Outcome::Accepted
    }
}

/// The results of a visit by which what is registered was found true, or corrected: 已见面核实, 信息有变化.
pub(super) const VERIFYING: [&str; 2] = ["01", "06"];

/// Whether an event verifies what it is about.
pub(in crate::register) fn event_verifies(item: &EventItem) -> bool {
    let result = item.fields.get("result").and_then(Value::as_text);
    item.event_type == "visit" && result.is_some_and(|result| VERIFYING.contains(&result))
}

/// When an event happened, as it says itself, else when its id was made.
pub(in crate::register) fn event_time(item: &EventItem, now: Timestamp) -> Timestamp {
    item.fields
        .get("at")
        .and_then(Value::as_int)
        .map_or(now, Timestamp)
}

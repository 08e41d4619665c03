//! Where a record lies, where a change says that it was made, and which of it are the author's areas. Knows no value.

use std::collections::BTreeSet;

use doorstep_core::crdt::{FlatChange, Registers};
use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::projection::{AREA_KEY, references};
use doorstep_core::protocol::frames::Refusal;
use doorstep_core::rights::Role;
use doorstep_core::value::Value;

use super::Judgement;
use crate::register::load::Locked;
use crate::register::model::{Prepared, Submission, Submitter};

/// The areas that are named beside their authors' own: phones can make them up.
pub(in crate::register) fn areas_named(submissions: &[Submission]) -> BTreeSet<AreaCode> {
    let mut named = BTreeSet::new();
    for submission in submissions {
        for item in &submission.items {
            let area = match item {
                Prepared::Change {
                    decoded: Ok((change, _)),
                    ..
                } => made_in(change),
                Prepared::Change { .. } => None,
                Prepared::Put { fields, .. } => fields.get(AREA_KEY).and_then(as_area),
                Prepared::Event(item) | Prepared::Taken(item) => Some(item.area),
            };
            named.extend(area.filter(|area| !is_own(&submission.who, area)));
        }
    }
    named
}

/// Whether an area is one in which the author was given a role, so that there is such an area. What the server makes is
/// checked where it is made.
pub(super) fn is_own(who: &Submitter, area: &AreaCode) -> bool {
    let mut grants = who.grants.iter();
    grants.any(|(role, own)| *role == Role::Server || own == area)
}

/// Where a change says that its record was made.
pub(super) fn made_in(change: &FlatChange) -> Option<AreaCode> {
    let put = change.ops.iter().find(|op| op.key == AREA_KEY)?;
    as_area(&put.value)
}

pub(super) fn as_area(value: &Value) -> Option<AreaCode> {
    value.as_text()?.parse().ok()
}

pub(super) fn unknown_area() -> Refusal {
    Refusal::new(
        "unknown_area",
        "所填的区划不在区划表中，已转给主管核对；请更新应用，重新选择区划后再填。",
    )
}

impl Judgement {
    /// Where a record lies, when that is in none of the author's areas: where the survivor does, when it was merged away,
    /// for what is tied to it follows there. Of one that is not there nothing is said.
    pub(super) fn elsewhere(&self, who: &Submitter, record: RecordId) -> Option<AreaCode> {
        let record = self.gone.survivors.get(&record).unwrap_or(&record);
        let areas = self.gone.areas.get(record)?;
        let own = |area: &AreaCode| who.grants.iter().any(|(_, own)| own.contains(area));
        areas.first().copied().filter(|_| !areas.iter().any(own))
    }

    /// Whether an area within those of the author's is none that there is.
    pub(super) fn is_made_up(&self, who: &Submitter, area: &AreaCode) -> bool {
        let covered = who.grants.iter().any(|(_, own)| own.contains(area));
        covered && !is_own(who, area) && !self.tree.contains(area)
    }

    /// Whose supervisor decides: the record's area, else where it says it was made, else where the user works.
    pub(super) fn area_of(
        &self,
        locked: &Locked,
        change: Option<&FlatChange>,
        who: &Submitter,
    ) -> AreaCode {
        let made_in = change
            .and_then(made_in)
            .filter(|area| is_own(who, area) || self.tree.contains(area));
        let held = locked.hold.areas.first().copied();
        let works_in = who.grants.first().map(|(_, area)| *area);
        held.or(made_in).or(works_in).unwrap_or_else(AreaCode::city)
    }

    /// Whether any of these lies in none of the author's areas.
    pub(super) fn any_elsewhere(&self, who: &Submitter, records: &[RecordId]) -> bool {
        records.iter().any(|id| self.elsewhere(who, *id).is_some())
    }

    /// Where the resident lies to whom a change ties a residence, or whose old residence it makes count again, when that
    /// is in none of the author's areas: by the residence the resident's file would come into them, and whoever names a
    /// file could have it.
    pub(super) fn claims_elsewhere(
        &self,
        who: &Submitter,
        record_type: &str,
        change: &FlatChange,
        held: &Registers,
    ) -> Option<AreaCode> {
        if record_type != "residence" {
            return None;
        }
        let puts = change.ops.iter().map(|op| (&op.key, &op.value));
        let tied = references(record_type, puts)
            .filter(|(key, _)| key.as_str() == "resident")
            .map(|(_, resident)| resident);
        let revived = held
            .get("resident")
            .filter(|_| may_revive(held, change))
            .and_then(Value::as_text)
            .and_then(|text| text.parse().ok());
        tied.chain(revived)
            .find_map(|resident| self.elsewhere(who, resident))
    }
}

/// Whether a residence that is cancelled or has ended may count again after a change: of each key either the value that
/// stands wins or the change's.
fn may_revive(held: &Registers, change: &FlatChange) -> bool {
    let counts = |key: &str, value: Option<&Value>| match key {
        "status" => value.and_then(Value::as_text) != Some("cancelled"),
        _ => value.is_none_or(Value::is_null),
    };
    let stands = |key: &str| counts(key, held.get(key));
    let put = |key: &str| {
        let mut ops = change.ops.iter();
        ops.any(|op| op.key == key && counts(key, Some(&op.value)))
    };
    let keys = ["status", "until"];
    !keys.into_iter().all(stands) && keys.into_iter().all(|key| stands(key) || put(key))
}

//! One change against one record.

use std::collections::{BTreeMap, BTreeSet};

use crate::accept::conflict::{ConflictDraft, ConflictKind};
use crate::accept::history::{History, Past};
use crate::crdt::registers::Held;
use crate::crdt::{ApplyError, FlatChange, Put, Registers};
use crate::crypto::actor;
use crate::crypto::sm2::PublicKey;
use crate::ids::{AreaCode, ChangeHash, RecordId};
use crate::projection::{AREA_KEY, TYPE_KEY};
use crate::protocol::frames::Refusal;
use crate::records::{self, Merge, RecordKind, RecordType, Severity};
use crate::rights::Role;
use crate::value::{Fields, Value};

/// A record as the host loaded it; for a new one, empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: RecordId,
    /// Its declared type; empty for a record not seen before.
    pub record_type: String,
    /// Its epoch.
    pub epoch: u32,
    /// The areas whose devices hold it; empty for a record not seen before.
    pub areas: Vec<AreaCode>,
    /// What it holds.
    pub registers: Registers,
}

/// Who made a change, as the host has authenticated it.
#[derive(Clone, Debug)]
pub struct Author<'a> {
    /// The device's key.
    pub key: &'a PublicKey,
    /// The user's roles with the areas they cover, at the time of judging.
    pub grants: &'a [(Role, AreaCode)],
}

/// What comes out for one change.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// Merged into the hold; these must be decided.
    Accepted(Vec<ConflictDraft>),
    /// The record has it already.
    Duplicate,
    /// It builds on changes that are not here yet.
    Waiting,
    /// The record's history is needed to judge it; call again with it.
    NeedsHistory,
    /// Kept for a supervisor, not merged.
    Refused(Refusal),
    /// Not made by whom it says: dropped, counted, an alarm. Nothing of it is kept.
    Forged,
}

/// Judges a change and, when it is accepted, merges it into the hold; otherwise the hold stays as it is. Without the
/// record's history it says when it needs one.
pub fn judge(
    hold: &mut Hold,
    record_type: &str,
    epoch: u32,
    change: &FlatChange,
    hash: ChangeHash,
    author: &Author<'_>,
    history: Option<&History>,
) -> Judged {
    if change.actor != actor::derive(author.key, hold.id, epoch) {
        return Judged::Forged;
    }
    let heads = hold.registers.heads();
    let knows = |change: &ChangeHash| {
        heads.contains(change) || history.is_some_and(|history| history.contains_key(change))
    };
    if knows(&hash) {
        return Judged::Duplicate;
    }
    // Before its dependencies: what an old epoch builds on never comes again.
    if epoch != hold.epoch {
        return refuse(
            "old_epoch",
            None,
            "这份档案已被重建，您的修改已转给主管核对。",
        );
    }
    // A change on top of everything sees everything, and needs none.
    let history = match history {
        _ if change.deps == heads => None,
        Some(history) => Some(history),
        None => return Judged::NeedsHistory,
    };
    if !change.deps.iter().all(knows) {
        return Judged::Waiting;
    }
    let areas = match check_shape(hold, record_type, change, author) {
        Ok(areas) => areas,
        Err(refusal) => return Judged::Refused(refusal),
    };
    let past = history.map(|history| Past::of(history, &change.deps));
    let before = past.as_ref().map(|_| hold.registers.clone());
    let applied = match &past {
        // That it saw what it replaces is said by `follows`.
        Some(past) => past
            .follows(change)
            .and_then(|()| hold.registers.apply(change, hash)),
        None => hold.registers.apply_on_top(change, hash),
    };
    let concurrent = match applied {
        Ok(concurrent) => concurrent,
        Err(error) => return Judged::Refused(not_following(error)),
    };
    record_type.clone_into(&mut hold.record_type);
    hold.areas = areas;
    Judged::Accepted(match past.zip(before) {
        Some((past, before)) => to_decide(hold, &before, change, hash, concurrent, &past),
        None => Vec::new(),
    })
}

/// The refusal of a change that does not follow from the record's history.
fn not_following(error: ApplyError) -> Refusal {
    let message = match error {
        ApplyError::SequenceReused => "同一序号收到两份不同的修改，已暂存并通知安全管理员核查。",
        _ => "这条修改与档案的历史对不上，已转给主管核对。",
    };
    refusal(error.code(), None, message)
}

/// Checks type, rights and values; gives the areas of the record, which a beginning names itself.
fn check_shape(
    hold: &Hold,
    record_type: &str,
    change: &FlatChange,
    author: &Author<'_>,
) -> Result<Vec<AreaCode>, Refusal> {
    let new = hold.registers.is_empty();
    let declared = records::record_type(record_type)
        .filter(|declared| declared.kind == RecordKind::Record)
        .ok_or_else(|| refusal("unknown_type", None, "这种档案还没有登记，请更新应用。"))?;
    let areas = if new {
        vec![check_beginning(declared, change)?]
    } else if hold.record_type == record_type {
        hold.areas.clone()
    } else {
        return Err(wrong_type());
    };
    let covered = |(role, area): &(Role, AreaCode)| {
        (areas.iter().any(|held| area.contains(held))).then_some(*role)
    };
    let roles: Vec<Role> = author.grants.iter().filter_map(covered).collect();
    if roles.is_empty() {
        return Err(refusal(
            "out_of_scope",
            None,
            "这份档案已不在您的负责区域，修改已转给主管处理。",
        ));
    }
    match check_fields(declared, change, &roles, new) {
        Some(refusal) => Err(refusal),
        None => Ok(areas),
    }
}

/// The first change of a record says what it is and where it was made, and nothing else may say so later.
fn check_beginning(declared: &RecordType, change: &FlatChange) -> Result<AreaCode, Refusal> {
    let put = |key: &str| {
        let op = change.ops.iter().find(|op| op.key == key)?;
        op.value.as_text()
    };
    let area = put(AREA_KEY).and_then(|text| text.parse().ok());
    let (Some(area), Some(kind)) = (area, put(TYPE_KEY)) else {
        return Err(refusal(
            "no_beginning",
            None,
            "新档案缺少类型或所在区划，请更新应用后重新上传。",
        ));
    };
    if kind == declared.name {
        Ok(area)
    } else {
        Err(wrong_type())
    }
}

fn wrong_type() -> Refusal {
    refusal("wrong_type", None, "档案类型对不上，已转给主管核对。")
}

fn check_fields(
    declared: &RecordType,
    change: &FlatChange,
    roles: &[Role],
    new: bool,
) -> Option<Refusal> {
    let mut fields = Fields::new();
    let mut keys = BTreeSet::new();
    for op in &change.ops {
        // Two values of one change side by side would look like two people's, and only the last would be checked.
        if !keys.insert(&op.key) {
            return Some(refusal(
                "key_twice",
                Some(&op.key),
                "同一次修改里同一项目写了两次，请更新应用后重新填写。",
            ));
        }
        if records::is_reserved(&op.key) {
            if !new {
                return Some(refusal(
                    "reserved_field",
                    Some(&op.key),
                    "档案的类型和区划不能直接修改。",
                ));
            }
            continue;
        }
        let Some(field) = declared.field(&op.key) else {
            return Some(refusal(
                "unknown_field",
                Some(&op.key),
                "这个项目还没有登记，请更新应用。",
            ));
        };
        if !roles
            .iter()
            .any(|role| *role == Role::Server || field.writers.contains(role))
        {
            let message = format!("您没有填写「{}」的权限，修改已转给主管处理。", field.label);
            return Some(refusal("field_not_writable", Some(&op.key), &message));
        }
        // Where a field is required the form asks to fill it in, and says no more of what stands there.
        if op
            .value
            .as_text()
            .is_some_and(|text| text.trim().is_empty())
        {
            let message = format!("「{}」里没有可见的文字，请填写或清空。", field.label);
            return Some(refusal("blank", Some(&op.key), &message));
        }
        fields.insert(op.key.clone(), op.value.clone());
    }
    // Deliberately not the whole validation: a device that was offline while a rule was tightened must not lose what
    // it recorded. What is not even of the field's shape can't be kept in the record.
    let problems = records::validate(declared, &fields, records::Mode::Partial);
    let shape = problems
        .into_iter()
        .find(|problem| problem.severity == Severity::Error && problem.is_shape());
    shape.map(|problem| refusal(&problem.code, Some(&problem.path), &problem.message))
}

/// Of what a concurrent change left, what a person must decide.
fn to_decide(
    hold: &Hold,
    before: &Registers,
    change: &FlatChange,
    hash: ChangeHash,
    concurrent: Vec<crate::crdt::Concurrent>,
    past: &Past<'_>,
) -> Vec<ConflictDraft> {
    let declared = records::record_type(&hold.record_type);
    let ops = change.ops.iter();
    let puts: BTreeMap<&str, &Put> = ops.map(|op| (op.key.as_str(), op)).collect();
    let mut conflicts = Vec::new();
    for found in concurrent.into_iter().filter(|found| found.differ) {
        let merge = declared
            .and_then(|declared| declared.field(&found.key))
            .map(|field| field.merge);
        if merge == Some(Merge::Review) && found.key != "status" {
            let put = puts.get(found.key.as_str());
            let base = put.and_then(|put| base_of(put, past, before));
            conflicts.push(ConflictDraft {
                kind: ConflictKind::Field,
                key: found.key,
                values: found.values,
                base,
            });
        }
    }
    conflicts.extend(update_against_cancel(hold, before, change, hash, past));
    conflicts
}

/// What the key held before either wrote it: the first predecessor that the put names.
fn base_of(put: &Put, past: &Past<'_>, before: &Registers) -> Option<Value> {
    let pred = put.pred.first()?;
    let held = before
        .all(&put.key)
        .into_iter()
        .find(|held| held.op == *pred)
        .map(|held| held.value.clone());
    held.or_else(|| past.value_of(*pred, &put.key).cloned())
}

/// Someone cancelled the record without knowing of an edit, or edited it without knowing of the cancellation.
fn update_against_cancel(
    hold: &Hold,
    before: &Registers,
    change: &FlatChange,
    hash: ChangeHash,
    past: &Past<'_>,
) -> Option<ConflictDraft> {
    let is_cancel = |value: &Value| value.as_text() == Some("cancelled");
    let cancels = change
        .ops
        .iter()
        .any(|op| op.key == "status" && is_cancel(&op.value));
    let held_cancel = before
        .all("status")
        .into_iter()
        .find(|held| is_cancel(&held.value))
        .cloned();
    let conflict = match &held_cancel {
        Some(held) => !cancels && !past.contains(&held.change),
        None => cancels && change.deps != before.heads(),
    };
    if !conflict {
        return None;
    }
    let cancelling = hold
        .registers
        .all("status")
        .into_iter()
        .find(|held| is_cancel(&held.value))
        .cloned();
    // What stands against the cancellation: this edit, or the newest of those that the canceller did not know.
    let rival = |held: &&Held| match cancels {
        true => held.change != hash && !past.contains(&held.change),
        false => held.change == hash,
    };
    let edited = hold
        .registers
        .keys()
        .filter_map(|key| hold.registers.winner(key))
        .filter(rival)
        .max_by_key(|held| held.op)
        .cloned();
    Some(ConflictDraft {
        kind: ConflictKind::UpdateCancelled,
        key: "status".to_owned(),
        values: cancelling.into_iter().chain(edited).collect(),
        base: Some("active".into()),
    })
}

fn refuse(code: &str, field: Option<&str>, message: &str) -> Judged {
    Judged::Refused(refusal(code, field, message))
}

fn refusal(code: &str, field: Option<&str>, message: &str) -> Refusal {
    Refusal {
        // A key that nobody declared may hold anything, and is shown.
        field: field.map(|key| key.chars().filter(|c| !c.is_control()).collect()),
        ..Refusal::new(code, message)
    }
}

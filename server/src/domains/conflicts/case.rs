//! One item with all that a decision stands on: its values, what was refused, and the records it is about, opened and
//! locked in the register's own order.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::crdt::chunk;
use doorstep_core::envelope::Item;
use doorstep_core::ids::{AreaCode, ConflictId, EventId, RecordId, UserId};
use doorstep_core::rights::Permission;
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;

use super::rows::{ConflictRow, RefusedRow};
use super::store;
use super::values::{self, Sight};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult};
use crate::register::{self, ConflictBody, Opened};
use crate::state::AppState;

/// An item of the queue, opened.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) row: ConflictRow,
    pub(super) body: ConflictBody,
    pub(super) refused: Vec<Refused>,
    /// The records that it is about, and the residences that a decision may move.
    pub(super) records: BTreeMap<RecordId, Opened>,
    /// The record that it is about: the survivor, where that was merged into another since.
    pub(super) record: RecordId,
    /// Residences by resident.
    pub(super) residences: Vec<(RecordId, RecordId)>,
    /// The houses of those residences: they name them.
    houses: BTreeMap<RecordId, Opened>,
}

/// Something that was refused, opened.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) row: RefusedRow,
    pub(super) item: Item,
    /// What it puts; `None` when its bytes can't be read.
    pub(super) puts: Option<Fields>,
    /// When it was made, by the device's clock, in Unix milliseconds.
    pub(super) made_at: Option<i64>,
}

impl Refused {
    fn open(row: RefusedRow, item: Item) -> Self {
        let (puts, made_at) = match &item {
            Item::Change(change) => match chunk::decode(&change.bytes) {
                Ok((change, _)) => {
                    let puts = change.ops.into_iter().map(|op| (op.key, op.value));
                    (Some(puts.collect()), Some(change.time))
                }
                Err(_) => (None, None),
            },
            Item::Event(event) => {
                let at = event.fields.get("at").and_then(Value::as_int);
                (Some(event.fields.clone()), at)
            }
        };
        Self {
            row,
            item,
            puts,
            made_at,
        }
    }

    /// The type of the record or event.
    pub(super) fn record_type(&self) -> &str {
        match &self.item {
            Item::Change(change) => &change.record_type,
            Item::Event(event) => &event.event_type,
        }
    }
}

/// An item that the actor may see; else 'not found'.
pub(super) async fn find(
    tx: &mut PgConnection,
    actor: &Actor,
    id: ConflictId,
) -> ApiResult<ConflictRow> {
    actor.trail.note_subject("conflict", id);
    let row = store::find(tx, id.0).await?.ok_or_else(not_found)?;
    let area = row.area();
    if actor.why(Permission::ReadConflicts, &area).is_none() {
        return Err(not_found());
    }
    actor.trail.note_area(area);
    Ok(row)
}

fn not_found() -> ApiError {
    ApiError::not_found("这个待裁决事项")
}

/// How much of what lies in an area the actor sees without naming a purpose: personal values in clear only who decides
/// there, or may reveal.
pub(super) fn sight_in(actor: &Actor, area: &AreaCode) -> Sight {
    let may = |permission| actor.why(permission, area).is_some();
    if may(Permission::DecideConflicts) || may(Permission::RevealSecrets) {
        Sight::Personal
    } else {
        Sight::Masked
    }
}

/// As [`sight_in`], of what lies in any of these areas.
pub(super) fn sight_among(actor: &Actor, areas: &[AreaCode]) -> Sight {
    let sees = |area: &AreaCode| sight_in(actor, area) != Sight::Masked;
    if areas.iter().any(sees) {
        Sight::Personal
    } else {
        Sight::Masked
    }
}

/// As [`find`], for one who decides.
pub(super) async fn find_to_decide(
    tx: &mut PgConnection,
    actor: &Actor,
    id: ConflictId,
) -> ApiResult<ConflictRow> {
    let row = find(tx, actor, id).await?;
    actor.require(Permission::DecideConflicts, &row.area())?;
    Ok(row)
}

impl Case {
    /// Opens an item that was found, without locks: for showing it.
    pub(super) async fn open(
        tx: &mut PgConnection,
        state: &AppState,
        row: ConflictRow,
    ) -> ApiResult<Self> {
        let concerned = Concerned::find(tx, &row).await?;
        let records = register::open(tx, &state.keys, &concerned.ids()).await?;
        Self::assemble(tx, state, row, concerned, records).await
    }

    /// Opens an item and locks it with its records, and others that will be written, in a system transaction.
    pub(super) async fn lock(
        tx: &mut PgConnection,
        state: &AppState,
        found: &ConflictRow,
        others: &[RecordId],
    ) -> ApiResult<Self> {
        let concerned = Concerned::find(tx, found).await?;
        let ids: BTreeSet<RecordId> = concerned
            .ids()
            .into_iter()
            .chain(others.iter().copied())
            .collect();
        let ids: Vec<RecordId> = ids.into_iter().collect();
        let records = register::lock(tx, &state.keys, &ids).await?;
        let row = store::lock(tx, found.id).await?.ok_or_else(not_found)?;
        Self::assemble(tx, state, row, concerned, records).await
    }

    async fn assemble(
        tx: &mut PgConnection,
        state: &AppState,
        row: ConflictRow,
        concerned: Concerned,
        records: BTreeMap<RecordId, Opened>,
    ) -> ApiResult<Self> {
        let (id, wrapped) = (row.id(), &row.wrapped);
        let body = register::open_conflict(&state.keys, id, wrapped, &row.body).await?;
        let mut refused = Vec::new();
        for held in store::refused(tx, row.id).await? {
            let item =
                register::open_refused(&state.keys, id, wrapped, EventId(held.id), &held.body)
                    .await?;
            refused.push(Refused::open(held, item));
        }
        let houses: Vec<RecordId> = concerned
            .residences
            .iter()
            .filter_map(|(residence, _)| house_of(records.get(residence)?))
            .collect();
        Ok(Self {
            row,
            body,
            refused,
            record: concerned.record,
            residences: concerned.residences,
            houses: register::open(tx, &state.keys, &houses).await?,
            records,
        })
    }

    /// What names a record to a person: a residence by its house, where it has no address of its own.
    pub(super) fn title(&self, record: &Opened, sight: Sight) -> String {
        let title = values::title(record, sight);
        let house = house_of(record).and_then(|house| self.houses.get(&house));
        match (record.registers.get("address"), house) {
            (None | Some(Value::Null), Some(house)) => {
                format!("{title} {}", values::title(house, sight))
            }
            _ => title,
        }
    }

    /// The record that the item is about, where the register holds it.
    pub(super) fn opened(&self) -> Option<&Opened> {
        self.records.get(&self.record)
    }

    /// The record that the item is about.
    ///
    /// # Errors
    /// `record_missing`.
    pub(super) fn require_record(&self) -> ApiResult<&Opened> {
        self.opened()
            .ok_or_else(|| ApiError::conflict("record_missing", "这份档案还没有入库，不能这样裁决"))
    }

    /// The type of the record, known or to be.
    pub(super) fn record_type(&self) -> Option<&str> {
        let to_be = || {
            self.refused.iter().find_map(|refused| match &refused.item {
                Item::Change(change) => Some(change.record_type.as_str()),
                Item::Event(_) => None,
            })
        };
        let known = self.opened().map(|record| record.record_type.as_str());
        known.or_else(to_be)
    }

    /// The residences of a resident, opened.
    pub(super) fn residences_of(&self, resident: RecordId) -> impl Iterator<Item = &Opened> {
        self.residences
            .iter()
            .filter(move |(_, of)| *of == resident)
            .filter_map(|(residence, _)| self.records.get(residence))
    }

    /// Everyone who made one of the values or refused items.
    pub(super) fn makers(&self) -> BTreeSet<UserId> {
        let values = self.body.values.iter().filter_map(|value| value.user);
        let refused = self.refused.iter().map(|item| UserId(item.row.user_id));
        values.chain(refused).collect()
    }
}

/// The house that a residence names.
fn house_of(residence: &Opened) -> Option<RecordId> {
    residence.registers.get("house")?.as_text()?.parse().ok()
}

/// The records that an item concerns.
struct Concerned {
    record: RecordId,
    other: Option<RecordId>,
    residences: Vec<(RecordId, RecordId)>,
}

impl Concerned {
    async fn find(tx: &mut PgConnection, row: &ConflictRow) -> ApiResult<Self> {
        let mut record = row.record();
        // A merged pair is decided as the pair it was; everything else goes to the survivor.
        if row.kind != "duplicate_person" {
            for (alias, survivor, _) in register::survivors(tx, &[record]).await? {
                if alias == record {
                    record = survivor;
                }
            }
        }
        let other = row.other_id.map(RecordId);
        let residences = match row.kind.as_str() {
            "duplicate_person" => {
                let pair: Vec<RecordId> = other.into_iter().chain([record]).collect();
                register::residences_of(tx, &pair).await?
            }
            "main_residence" | "field" => register::residences_of(tx, &[record]).await?,
            _ => Vec::new(),
        };
        Ok(Self {
            record,
            other,
            residences,
        })
    }

    fn ids(&self) -> Vec<RecordId> {
        let residences = self.residences.iter().map(|(residence, _)| *residence);
        let ids: BTreeSet<RecordId> = residences.chain(self.other).chain([self.record]).collect();
        ids.into_iter().collect()
    }
}

//! The file of a person, a house or a residence: what is known, with whom and what it is tied.

use doorstep_core::ids::{EventId, RecordId};
use doorstep_core::records::split_key;
use doorstep_core::rights::Permission;
use doorstep_core::value::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{HouseFile, LinkedPerson, RecordRow, RecordView, ResidentFile, VisitNote};
use super::view::{self, Open};
use super::{people, store};
use crate::database::Tx;
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::{ApiError, ApiResult};
use crate::register;
use crate::state::AppState;

/// Visits shown in a file.
const VISITS: i64 = 10;

/// One record of a type, or of any.
pub(super) async fn find(
    tx: &mut PgConnection,
    actor: &Actor,
    id: RecordId,
    record_type: Option<&str>,
) -> ApiResult<RecordRow> {
    actor.trail.note_subject("record", id);
    let row = store::record(tx, id.0).await?;
    let row = row.filter(|row| record_type.is_none_or(|wanted| row.sealed.record_type == wanted));
    let row = row.ok_or_else(|| ApiError::not_found("这份档案"))?;
    actor.trail.note_area(row.sealed.area());
    Ok(row)
}

pub(super) async fn resident(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
) -> ApiResult<ResidentFile> {
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let row = find(&mut tx, actor, id, Some("resident")).await?;
    let open = Open::new(state, row).await?;
    let ties = store::ties(&mut tx, &[id.0], true).await?;
    let houses: Vec<Uuid> = ties
        .iter()
        .filter(|tie| tie.active)
        .filter_map(|tie| tie.house)
        .collect();
    let residences = view::ties_by_resident(state, ties)
        .await?
        .remove(&id.0)
        .unwrap_or_default();
    let household = people::of_houses(
        state,
        &mut tx,
        &houses,
        open.text("household_number"),
        Some(id.0),
    )
    .await?;
    let linked = linked(state, &mut tx, &open).await?;
    let visits = visits(state, &mut tx, id).await?;
    let open_conflicts = store::open_conflicts(&mut tx, id.0).await?;
    let active = residences
        .iter()
        .filter(|tie| tie.active)
        .cloned()
        .collect();
    Ok(ResidentFile {
        resident: open.view(active)?,
        residences,
        household,
        linked,
        visits,
        photos: open.photos()?,
        open_conflicts,
    })
}

pub(super) async fn house(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    class: Option<&str>,
) -> ApiResult<HouseFile> {
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let row = find(&mut tx, actor, id, Some("house")).await?;
    let open = Open::new(state, row).await?;
    let people = people::of_houses(state, &mut tx, &[id.0], None, None).await?;
    let visits = visits(state, &mut tx, id).await?;
    let open_conflicts = store::open_conflicts(&mut tx, id.0).await?;
    Ok(HouseFile {
        house: open.view(Vec::new())?,
        classes: people::counts(&people),
        people: match class {
            Some(class) => people::of_class(people, class)?,
            None => people,
        },
        visits,
        photos: open.photos()?,
        open_conflicts,
    })
}

pub(super) async fn record(
    state: &AppState,
    actor: &Actor,
    id: RecordId,
    record_type: Option<&str>,
) -> ApiResult<RecordView> {
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let row = find(&mut tx, actor, id, record_type).await?;
    as_view(state, &mut tx, row).await
}

/// A row as callers see it; of a resident with the residences.
pub(super) async fn as_view(
    state: &AppState,
    tx: &mut Tx,
    row: RecordRow,
) -> ApiResult<RecordView> {
    let id = row.sealed.id;
    let mut ties = Vec::new();
    if row.sealed.record_type == "resident" {
        let rows = store::ties(tx, &[id], false).await?;
        ties = view::ties_by_resident(state, rows)
            .await?
            .remove(&id)
            .unwrap_or_default();
    }
    Open::new(state, row).await?.view(ties)
}

/// Guardians and linked persons with files in the reader's areas.
async fn linked(
    state: &AppState,
    tx: &mut PgConnection,
    open: &Open,
) -> ApiResult<Vec<LinkedPerson>> {
    let named: Vec<(String, Uuid, Option<String>)> = open
        .fields
        .iter()
        .filter_map(|(key, value)| named(open, key, value))
        .collect();
    let ids: Vec<Uuid> = named.iter().map(|(_, id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = store::records(tx, &ids).await?;
    let files = Open::all(state, rows).await?;
    let person = |(field, id, relation): (String, Uuid, Option<String>)| {
        let file = files
            .iter()
            .find(|file| file.row.sealed.id == id && file.row.sealed.record_type == "resident")?;
        Some(LinkedPerson {
            field,
            resident: id,
            name: file.masked_name(),
            relation,
            cancelled: file.row.sealed.cancelled,
        })
    };
    Ok(named.into_iter().filter_map(person).collect())
}

/// The file that an item of `guardians` or `linked_persons` names, with the relation.
fn named(open: &Open, key: &str, value: &Value) -> Option<(String, Uuid, Option<String>)> {
    let (field, _) = split_key(key);
    if !["guardians", "linked_persons"].contains(&field) {
        return None;
    }
    let id = register::named_in(value.as_text()?)?;
    let item: serde_json::Value = serde_json::from_str(&open.beside(key)?).ok()?;
    Some((
        field.to_owned(),
        id.0,
        item["relation"].as_str().map(str::to_owned),
    ))
}

/// The latest visits about a record, without what may name a person.
async fn visits(
    state: &AppState,
    tx: &mut PgConnection,
    id: RecordId,
) -> ApiResult<Vec<VisitNote>> {
    let rows = store::visits(tx, id.0, VISITS).await?;
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| *id).collect();
    let mut events = register::read::event_entries(tx, &state.keys, &ids).await?;
    let declared = view::declared("visit")?;
    let note = |(id, at)| {
        let event = events.remove(&EventId(id))?;
        Some(VisitNote {
            id,
            at,
            user: event.user.0,
            fields: doorstep_core::mask::mask_fields(declared, &event.fields),
        })
    };
    Ok(rows.into_iter().filter_map(note).collect())
}

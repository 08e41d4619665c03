//! The view of buildings (房态图): the buildings of an area, and a building's rooms by floor with use, occupancy and
//! people by class. From open fields and counts alone: nothing sealed is opened.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Days, NaiveDate, Utc};
use doorstep_core::address;
use doorstep_core::ids::{AreaCode, AreaLevel};
use doorstep_core::rights::Permission;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{self, BuildingRow, RoomRow};
use super::{search, view};
use crate::domains::auth::{Actor, scoped_tx};
use crate::domains::checks;
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::area_in;
use crate::state::AppState;

/// What was not verified for so long is shown as unverified, unless told otherwise.
const UNVERIFIED_AFTER: Days = Days::new(180);

/// Whose buildings to show.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct BuildingsQuery {
    /// A village or street.
    pub area: String,
    /// The building's key, as the list of buildings gives it; all houses of a village without one.
    pub building: Option<String>,
    /// Only houses without a number: those that the list of buildings counts under no key.
    #[serde(default)]
    pub unnumbered: bool,
    /// What wasn't verified since counts as unverified; 180 days ago unless told.
    #[serde(default, deserialize_with = "crate::http::day")]
    pub unverified_since: Option<NaiveDate>,
}

/// An estate with its buildings.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EstateView {
    /// Its name; none for buildings of no estate.
    pub estate: Option<String>,
    /// Its buildings.
    pub buildings: Vec<BuildingView>,
}

/// A building in the list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BuildingView {
    /// Its key; empty for houses without a number.
    pub building: String,
    /// Its address.
    pub address: String,
    /// The village.
    pub area: String,
    /// Houses in it.
    pub houses: i64,
    /// Of them vacant.
    pub vacant: i64,
    /// Of them rented, groups of tenants included.
    pub rented: i64,
    /// Of them unverified.
    pub unverified: i64,
}

/// Rooms by floor.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FloorsView {
    /// How many houses in all.
    pub houses: usize,
    /// The top floor first; rooms whose floor is not known come last.
    pub floors: Vec<FloorView>,
}

/// A floor.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FloorView {
    /// Its number; none where it is not known.
    pub floor: Option<i64>,
    /// Its rooms, in order.
    pub rooms: Vec<RoomView>,
}

/// A room: one house.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RoomView {
    /// The house.
    pub house: Uuid,
    /// Its room number or name; its address, where it has none.
    pub room: String,
    /// The key of its building; empty for a house without a number.
    pub building: String,
    /// Its address.
    pub address: String,
    /// The village.
    pub area: String,
    /// Code of the use.
    pub house_use: Option<String>,
    /// Its name.
    pub house_use_label: Option<String>,
    /// Code of the management by the village.
    pub managed: Option<String>,
    /// Registered and living there: 人户一致.
    pub here_both: i64,
    /// Living there, registered elsewhere: 人在户不在.
    pub lives_only: i64,
    /// Registered there, living elsewhere: 户在人不在.
    pub register_only: i64,
    /// Owning only.
    pub owner_only: i64,
    /// Tenants among those who live there.
    pub renting: i64,
    /// Whether anybody lives there.
    pub occupied: bool,
    /// When it was last verified.
    pub last_verified: Option<NaiveDate>,
    /// Whether that is too long ago.
    pub unverified: bool,
    /// Open checks about those who live, own or are registered there.
    pub open_checks: Vec<Uuid>,
    /// Of them not answered in time.
    pub overdue_checks: i64,
    /// For If-Match.
    pub version: i32,
}

pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    query: BuildingsQuery,
) -> ApiResult<Vec<EstateView>> {
    let (_, areas) = areas(actor, &query.area)?;
    let since = since(state, &query);
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let rows = store::buildings(&mut tx, &areas, since).await?;
    let mut estates: BTreeMap<Option<String>, Vec<BuildingView>> = BTreeMap::new();
    for row in rows {
        estates
            .entry(row.estate.clone())
            .or_default()
            .push(building(row));
    }
    Ok(estates
        .into_iter()
        .map(|(estate, buildings)| EstateView { estate, buildings })
        .collect())
}

pub(super) async fn floors(
    state: &AppState,
    actor: &Actor,
    query: BuildingsQuery,
) -> ApiResult<FloorsView> {
    let (area, areas) = areas(actor, &query.area)?;
    let since = since(state, &query);
    let token = query
        .building
        .as_ref()
        .map(|key| state.keys.blind(&format!("kb:{key}")));
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let rows = store::rooms(&mut tx, &areas, token, query.unnumbered).await?;
    let mut asked = asked(&mut tx, state.clock.now(), &area).await?;
    drop(tx);
    let houses = rows.len();
    let mut floors: BTreeMap<Option<i64>, Vec<RoomView>> = BTreeMap::new();
    for row in rows {
        let checks = asked.remove(&row.id).unwrap_or_default();
        let (floor, room) = room(row, since, checks);
        floors.entry(floor).or_default().push(room);
    }
    let floors = floors.into_iter().rev().map(|(floor, mut rooms)| {
        rooms.sort_by(|a, b| natural(&a.room).cmp(&natural(&b.room)));
        FloorView { floor, rooms }
    });
    Ok(FloorsView {
        houses,
        floors: floors.collect(),
    })
}

/// A street has tens of thousands of houses: more are not one view.
fn areas(actor: &Actor, area: &str) -> ApiResult<(AreaCode, Vec<String>)> {
    let mut problems = Problems::default();
    let area = area_in(&mut problems, Some(area));
    problems.finish()?;
    let areas = search::areas(actor, area)?;
    let small = |area: &AreaCode| matches!(area.level(), AreaLevel::Village | AreaLevel::Street);
    match area.filter(small) {
        Some(area) => Ok((area, areas.unwrap_or_default())),
        None => Err(ApiError::field(
            "area",
            "area_too_large",
            "请选择街镇或居村委",
        )),
    }
}

/// Open checks of a house, and those of them that are overdue.
#[derive(Debug, Default)]
struct Asked {
    open: Vec<Uuid>,
    overdue: i64,
}

/// The open checks of an area by house.
async fn asked(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    area: &AreaCode,
) -> ApiResult<HashMap<Uuid, Asked>> {
    let checks = checks::service::open_in(tx, area).await?;
    let residents: Vec<Uuid> = checks.iter().map(|check| check.resident).collect();
    let residences: Vec<Option<Uuid>> = checks.iter().map(|check| check.residence).collect();
    let mut by_house: HashMap<Uuid, Asked> = HashMap::new();
    for (place, house) in store::houses_of(tx, &residents, &residences).await? {
        let check = usize::try_from(place - 1)
            .ok()
            .and_then(|at| checks.get(at));
        let Some(check) = check else { continue };
        let asked = by_house.entry(house).or_default();
        asked.open.push(check.id);
        asked.overdue += i64::from(check.due_at < now);
    }
    Ok(by_house)
}

fn since(state: &AppState, query: &BuildingsQuery) -> NaiveDate {
    let today = state.clock.today();
    query
        .unverified_since
        .unwrap_or_else(|| today.checked_sub_days(UNVERIFIED_AFTER).unwrap_or(today))
}

fn building(row: BuildingRow) -> BuildingView {
    let mut address = address::parse(row.address.as_deref().unwrap_or_default());
    if !row.building.is_empty() {
        (address.unit, address.floor, address.room, address.rest) =
            (None, None, None, String::new());
    }
    BuildingView {
        building: row.building,
        address: address.to_string(),
        area: row.area,
        houses: row.houses,
        vacant: row.vacant,
        rented: row.rented,
        unverified: row.unverified,
    }
}

fn room(row: RoomRow, since: NaiveDate, checks: Asked) -> (Option<i64>, RoomView) {
    let text = |key: &str| row.facets[key].as_str().map(str::to_owned);
    let address = text("address").unwrap_or_default();
    let parsed = address::parse(&address);
    let floor = row.facets["floor"].as_i64().or_else(|| floor_of(&parsed));
    let registered: Option<NaiveDate> = text("last_verified").and_then(|text| text.parse().ok());
    let last_verified = registered.max(row.verified_at.map(view::day));
    let house_use = text("house_use");
    let view = RoomView {
        house: row.id,
        room: parsed.room.clone().unwrap_or_else(|| address.clone()),
        building: text("building_key").unwrap_or_default(),
        address,
        area: row.area_code,
        house_use_label: house_use
            .as_deref()
            .map(|code| view::label("house_use", code)),
        house_use,
        managed: text("managed"),
        here_both: row.here_both,
        lives_only: row.lives_only,
        register_only: row.register_only,
        owner_only: row.owner_only,
        renting: row.renting,
        occupied: row.here_both + row.lives_only > 0,
        last_verified,
        unverified: last_verified.is_none_or(|day| day < since),
        open_checks: checks.open,
        overdue_checks: checks.overdue,
        version: row.version,
    };
    (floor, view)
}

/// The floor that a room's number tells: 301 is on the third, 1702 on the seventeenth; else the floor as written.
fn floor_of(address: &address::Address) -> Option<i64> {
    let number = |text: &str| text.parse::<i64>().ok();
    let room = address.room.as_deref().and_then(|room| {
        let digits: String = room.chars().take_while(char::is_ascii_digit).collect();
        matches!(digits.len(), 3 | 4)
            .then(|| number(&digits).map(|room| room / 100))
            .flatten()
    });
    room.or_else(|| address.floor.as_deref().and_then(number))
}

/// Numbers before names, by size: 2, 10, 亭子间.
fn natural(room: &str) -> (u64, &str) {
    let digits: String = room.chars().take_while(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or(u64::MAX), room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_told_by_the_room_or_as_written() {
        for (address, floor) in [
            ("陕西中路12弄28号1702室", Some(17)),
            ("陕西中路12弄28号301室", Some(3)),
            ("陕西中路12弄28号0301室", Some(3)),
            ("陕西中路12弄28号亭子间", None),
            ("陕西中路12弄28号5室", None),
        ] {
            assert_eq!(floor_of(&address::parse(address)), floor, "{address}");
        }
    }

    #[test]
    fn rooms_are_ordered_by_number() {
        let mut rooms = ["1001", "亭子间", "201", "99"];
        rooms.sort_by(|a, b| natural(a).cmp(&natural(b)));
        assert_eq!(rooms, ["99", "201", "1001", "亭子间"]);
    }
}

//! Two records of one person become one, or one record of two persons becomes two.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use doorstep_core::address;
use doorstep_core::ids::{ChangeHash, RecordId};
use doorstep_core::records::{self, Mode, Severity, split_key};
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::case::Case;
use super::plan::{self, Plan};
use super::rows::ConflictRow;
use super::{reach, store};
use crate::domains::auth::Actor;
use crate::domains::registry;
use crate::domains::registry::service::{STANDING, cancelled, reason};
use crate::error::{ApiError, ApiResult, Problems};
use crate::random;
use crate::register::{self, Opened};
use crate::state::AppState;

const RESIDENT: &str = "resident";
/// The certificate's number, which no two persons share.
const NUMBER: &str = "id_number";
/// What belongs to the record in another register, and so to one of the two persons only.
const SOURCES: [&str; 5] = [
    "community_id",
    "police_person_id",
    "photo_file",
    "source_updated_at",
    "police_updated_at",
];

/// The survivor takes over the other's residences and what it lacks; the other is cancelled and leaves every phone.
pub(super) async fn merge(
    tx: &mut PgConnection,
    state: &AppState,
    actor: &Actor,
    case: &Case,
    survivor: RecordId,
    take_from_other: &[String],
) -> ApiResult<Plan> {
    let (survivor, other) = pair(case, survivor)?;
    reach::require(actor, &reach::of_pair(case))?;
    check_keys(take_from_other)?;
    let mut plan = Plan::default();
    plan.detail
        .insert("survivor".into(), survivor.id.to_string().into());
    let today = state.clock.today();
    move_residences(case, survivor, other, today, &mut plan);
    plan.put(
        survivor.id,
        RESIDENT,
        gained(survivor, other, take_from_other),
    );
    plan.put(other.id, RESIDENT, cancelled(reason::MERGED, today));
    for (record, fields) in registry::service::relinked(tx, state, other.id, survivor.id).await? {
        plan.put(record, RESIDENT, fields);
    }
    plan.merge = Some((other.id, survivor.id));
    let kinds = ["field", "update_cancelled", "main_residence"];
    plan.close = store::open_of_record(tx, other.id.0, &kinds, case.row.id).await?;
    plan.close
        .extend(store::open_pair(tx, survivor.id.0, other.id.0, case.row.id).await?);
    tell(
        &mut plan,
        case,
        "主管核对后认定两份档案是同一个人，已合并为一份，请更新后查看。",
    );
    Ok(plan)
}

/// The files that a merge would change besides the pair's: those that name one of the two.
pub(super) async fn named_by(
    tx: &mut PgConnection,
    state: &AppState,
    row: &ConflictRow,
) -> ApiResult<Vec<RecordId>> {
    let mut files = Vec::new();
    for id in row.other_id.into_iter().chain([row.record_id]) {
        files.extend(registry::service::named_by(tx, state, RecordId(id)).await?);
    }
    Ok(files)
}

fn pair(case: &Case, survivor: RecordId) -> ApiResult<(&Opened, &Opened)> {
    let ids = [Some(case.record), case.row.other_id.map(RecordId)];
    let mut records = ids
        .into_iter()
        .flatten()
        .filter_map(|id| case.records.get(&id));
    let (Some(one), Some(two)) = (records.next(), records.next()) else {
        return Err(ApiError::conflict(
            "record_missing",
            "有一份档案已不存在，不能合并",
        ));
    };
    let (survivor, other) = match survivor {
        id if id == one.id => (one, two),
        id if id == two.id => (two, one),
        _ => {
            return Err(ApiError::field(
                "survivor",
                "not_of_the_pair",
                "请在这两份档案中选择要保留的一份",
            ));
        }
    };
    if one.record_type != RESIDENT || two.record_type != RESIDENT {
        return Err(ApiError::conflict("not_persons", "只有居民档案可以合并"));
    }
    if one.merged_into.is_some() || two.merged_into.is_some() {
        return Err(ApiError::conflict(
            "already_merged",
            "其中一份档案已并入别的档案，请刷新后再核对",
        ));
    }
    if survivor.project().cancelled {
        return Err(ApiError::conflict(
            "survivor_cancelled",
            "要保留的档案已注销，请先恢复，或改为保留另一份",
        ));
    }
    Ok((survivor, other))
}

fn check_keys(keys: &[String]) -> ApiResult<()> {
    let declared = plan::declared(RESIDENT)?;
    let mut problems = Problems::default();
    for key in keys {
        let fits = declared.named(key).is_some() && !STANDING.contains(&key.as_str());
        problems.require(
            fits,
            &format!("take_from_other/{key}"),
            "unknown_field",
            "没有这个项目，或它不能从另一份档案取用",
        );
    }
    problems.finish()
}

/// What the survivor gets from the other: what it lacks, elements of sets, and what the decider chose.
fn gained(survivor: &Opened, other: &Opened, chosen: &[String]) -> Fields {
    let held = survivor.registers.fields();
    other
        .registers
        .fields()
        .into_iter()
        .filter(|(key, _)| !key.starts_with('_') && !STANDING.contains(&key.as_str()))
        .filter(|(key, _)| {
            !held.contains_key(key) || chosen.iter().any(|name| name == split_key(key).0)
        })
        .collect()
}

fn move_residences(
    case: &Case,
    survivor: &Opened,
    other: &Opened,
    today: NaiveDate,
    plan: &mut Plan,
) {
    let held: Vec<(Option<Value>, String)> =
        case.residences_of(survivor.id).map(place_of).collect();
    let has_main = case
        .residences_of(survivor.id)
        .any(|residence| residence.registers.get("main") == Some(&Value::Bool(true)));
    for residence in case.residences_of(other.id) {
        let mut fields =
            Fields::from([("resident".to_owned(), Value::from(survivor.id.to_string()))]);
        let is_main = residence.registers.get("main") == Some(&Value::Bool(true));
        if has_main && is_main {
            fields.insert("main".to_owned(), Value::Bool(false));
        }
        if held.contains(&place_of(residence)) {
            fields.extend(cancelled(reason::DUPLICATE, today));
        }
        plan.put(residence.id, &residence.record_type, fields);
    }
}

/// Kind and place of a residence: two with the same are one.
fn place_of(residence: &Opened) -> (Option<Value>, String) {
    let text = |key: &str| {
        residence
            .registers
            .get(key)
            .and_then(Value::as_text)
            .map(str::to_owned)
    };
    let place = text("house")
        .or_else(|| text("address").map(|address| address::parse(&address).key()))
        .unwrap_or_default();
    (residence.registers.get("kind").cloned(), place)
}

/// One record of two persons becomes two: the new one gets one side's values and the residences chosen.
pub(super) async fn split(
    tx: &mut PgConnection,
    state: &AppState,
    case: &Case,
    keep: usize,
    fields: &Fields,
    residences: &[Uuid],
) -> ApiResult<Plan> {
    let record = case.require_record()?;
    if record.record_type != RESIDENT {
        return Err(ApiError::conflict("not_persons", "只有居民档案可以拆分"));
    }
    let values = &case.body.values;
    let kept = values.get(keep);
    let gone = values
        .iter()
        .enumerate()
        .find(|(at, value)| *at != keep && kept.is_some_and(|kept| kept.value != value.value));
    let (Some(kept), Some((_, gone))) = (kept, gone) else {
        return Err(ApiError::field(
            "keep",
            "unknown_choice",
            "没有这个选项，请从列出的几个值中选择留在原档案的一个",
        ));
    };
    let moved = chosen_residences(case, residences)?;
    let mut new = record.registers.fields();
    new.extend(side_of(tx, record, gone.change).await?);
    new.insert(case.row.subject.clone(), gone.value.clone());
    let mut stays = side_of(tx, record, kept.change).await?;
    stays.insert(case.row.subject.clone(), kept.value.clone());
    let declared = plan::declared(RESIDENT)?;
    let own_number = stays
        .get(NUMBER)
        .or_else(|| record.registers.get(NUMBER))
        .cloned();
    // A number is one person's: unless told otherwise it stays with the record.
    if new.get(NUMBER) == own_number.as_ref() {
        new.remove(NUMBER);
    }
    for (key, value) in fields {
        let value = plan::normalised(declared, &new, key, value)?;
        new.insert(key.clone(), value);
    }
    new.retain(|key, value| {
        !value.is_null()
            && !key.starts_with('_')
            && !SOURCES.contains(&key.as_str())
            && !STANDING.contains(&key.as_str())
    });
    check_person(declared, &new, own_number.as_ref())?;
    let id = random::id(state.clock.timestamp(), RecordId::new)?;
    let lies_in = moved.first().and_then(|residence| residence.areas.first());
    let area = lies_in.copied().unwrap_or(case.row.wrapped.area);
    let mut plan = Plan::default();
    plan.detail.insert("keep".into(), keep.into());
    plan.detail.insert("created".into(), id.to_string().into());
    plan.put(id, RESIDENT, records::begin(declared, area, new));
    plan.created.push(id);
    for residence in moved {
        let fields = Fields::from([("resident".to_owned(), Value::from(id.to_string()))]);
        plan.put(residence.id, &residence.record_type, fields);
    }
    plan.put(record.id, RESIDENT, stays);
    plan.close = store::open_of_record(tx, record.id.0, &["field"], case.row.id).await?;
    tell(
        &mut plan,
        case,
        "主管核对后认定这份档案混入了两个人的信息，已拆分为两份，请更新后查看。",
    );
    Ok(plan)
}

fn chosen_residences<'a>(case: &'a Case, ids: &[Uuid]) -> ApiResult<Vec<&'a Opened>> {
    let mut problems = Problems::default();
    let mut chosen = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        match case
            .residences_of(case.record)
            .find(|held| held.id.0 == *id)
        {
            Some(residence) => chosen.push(residence),
            None => problems.add(
                &format!("residences/{at}"),
                "not_a_residence",
                "这条居住关系不属于这份档案，请从档案的居住关系中选择",
            ),
        }
    }
    problems.finish()?;
    Ok(chosen)
}

/// The maker's own values where several stand side by side.
async fn side_of(tx: &mut PgConnection, record: &Opened, change: ChangeHash) -> ApiResult<Fields> {
    let mut fields = Fields::new();
    let disputed: BTreeMap<&str, Vec<&doorstep_core::crdt::registers::Held>> = record
        .registers
        .keys()
        .map(|key| (key, record.registers.all(key)))
        .filter(|(_, held)| held.len() > 1)
        .collect();
    let hashes: Vec<ChangeHash> = disputed
        .values()
        .flatten()
        .map(|held| held.change)
        .chain([change])
        .collect();
    let makers = register::makers(tx, record.id, &hashes).await?;
    let Some(side) = makers.get(&change) else {
        return Ok(fields);
    };
    for (key, held) in disputed {
        let own = held.iter().find(|held| {
            makers
                .get(&held.change)
                .is_some_and(|maker| maker.user == side.user && maker.device == side.device)
        });
        if let Some(own) = own {
            fields.insert(key.to_owned(), own.value.clone());
        }
    }
    Ok(fields)
}

fn check_person(
    declared: &records::RecordType,
    fields: &Fields,
    own_number: Option<&Value>,
) -> ApiResult<()> {
    let mut problems = Problems::default();
    for problem in records::validate(declared, fields, Mode::Whole) {
        if problem.severity == Severity::Error {
            problems.add(
                &format!("fields/{}", problem.path),
                &problem.code,
                problem.message,
            );
        }
    }
    let number = fields.get(NUMBER);
    problems.require(
        number.is_none() || number != own_number,
        "fields/id_number",
        "same_number",
        "两个人不能是同一个证件号码，请填写新档案的证件号码，或留空",
    );
    problems.finish()
}

fn tell(plan: &mut Plan, case: &Case, text: &str) {
    for user in case.makers() {
        plan.told.insert(user, text.to_owned());
    }
}

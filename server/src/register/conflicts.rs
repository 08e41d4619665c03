//! Opening conflict items: what merging found, what was refused, and what only a look at other records finds (the
//! same person twice, two main residences). One open item for each record, kind and subject; later values join it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use doorstep_core::accept::{ConflictDraft, ConflictKind};
use doorstep_core::crypto::seal::SealKey;
use doorstep_core::ids::{AreaCode, ChangeHash, ConflictId, EventId, RecordId, ScopeId, UserId};
use doorstep_core::projection::Projection;
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::StateEntry;
use doorstep_core::records;
use doorstep_core::time::Timestamp;
use doorstep_core::value::Value;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::apply::{DUE, refused_kind, text_of};
use super::judging::{AcceptedChange, RefusedItem};
use super::load::Locked;
use super::log::Told;
use super::message::{About, message};
use super::refused;
use super::sealing::{self, ConflictBody, ConflictValue};
use super::store::{self, NewConflict, NewRefused};
use crate::error::ApiResult;
use crate::random;
use crate::state::AppState;

const SAME_NUMBER: &str = include_str!("sql/same_number.sql");
const OTHER_MAINS: &str = include_str!("sql/other_mains.sql");

type Name = (RecordId, &'static str, String);

/// Items to be opened or added to.
#[derive(Debug, Default)]
pub(super) struct Drafts<'a> {
    items: BTreeMap<Name, Item>,
    refused: Vec<(Name, &'a RefusedItem)>,
}

#[derive(Debug)]
struct Item {
    area: AreaCode,
    other: Option<RecordId>,
    body: ConflictBody,
    /// The field's label, for the message.
    label: String,
    tell: BTreeSet<UserId>,
}

/// What writing the items did.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// How many were opened.
    pub(super) opened: usize,
    /// What their makers are told.
    pub(super) told: Vec<(ScopeId, StateEntry)>,
    /// The areas whose queue changed.
    pub(super) areas: BTreeSet<AreaCode>,
}

/// A change by which a record says something that no other may say beside it.
#[derive(Clone, Copy, Debug)]
struct Claim<'a> {
    change: &'a AcceptedChange,
    /// It says so again: it did not put the key, but lives again or belongs to another since.
    again: bool,
}

/// The changes that put a key, and those that put one of `alive`, by which what was said before counts again.
fn claims<'a>(
    changes: &'a [AcceptedChange],
    key: &str,
    alive: &[&str],
) -> BTreeMap<RecordId, Claim<'a>> {
    let mut claims = BTreeMap::new();
    for change in changes {
        let puts = |key: &str| change.change.ops.iter().any(|op| op.key == key);
        if puts(key) {
            let again = false;
            claims.insert(change.record, Claim { change, again });
        } else if alive.iter().any(|key| puts(key)) {
            let again = true;
            let claim = claims.entry(change.record);
            claim.or_insert(Claim { change, again });
        }
    }
    claims
}

/// Whether a residence is one that says to be the main one, neither cancelled nor ended.
fn is_main(residence: &Projection) -> bool {
    let held = |key: &str| residence.fields.get(key).filter(|value| !value.is_null());
    !residence.cancelled && held("until").is_none() && held("main") == Some(&Value::Bool(true))
}

impl<'a> Drafts<'a> {
    /// What merging found.
    pub(super) fn merged(
        &mut self,
        records: &BTreeMap<RecordId, Locked>,
        drafts: &[(RecordId, ConflictDraft)],
        changes: &[AcceptedChange],
    ) {
        let maker: BTreeMap<ChangeHash, UserId> = changes
            .iter()
            .map(|change| (change.hash, change.user))
            .collect();
        for (record, draft) in drafts {
            let Some(locked) = records.get(record) else {
                continue;
            };
            let declared = records::record_type(&locked.hold.record_type);
            let field = declared.and_then(|declared| declared.field(&draft.key));
            let label = field.map_or_else(|| draft.key.clone(), |field| field.label.clone());
            let values = draft.values.iter().map(|held| ConflictValue {
                value: held.value.clone(),
                change: held.change,
                user: maker.get(&held.change).copied(),
            });
            let body = ConflictBody {
                values: values.collect(),
                base: draft.base.clone(),
            };
            let area = locked
                .hold
                .areas
                .first()
                .copied()
                .unwrap_or_else(AreaCode::city);
            let tell = body.values.iter().filter_map(|value| value.user).collect();
            self.add(
                (*record, draft.kind.code(), draft.key.clone()),
                Item {
                    area,
                    other: None,
                    body,
                    label,
                    tell,
                },
            );
        }
    }

    /// What was refused: one item for each record and device.
    pub(super) fn refused(&mut self, refused: &'a [RefusedItem]) {
        for item in refused {
            let name = (
                item.about,
                refused_kind(&item.refusal.code).code(),
                item.device.to_string(),
            );
            let tell = BTreeSet::from([item.user]);
            let (label, body) = (String::new(), ConflictBody::default());
            self.add(
                name.clone(),
                Item {
                    area: item.area,
                    other: None,
                    body,
                    label,
                    tell,
                },
            );
            self.refused.push((name, item));
        }
    }

    /// What a look at other records finds.
    pub(super) async fn across(
        &mut self,
        tx: &mut PgConnection,
        state: &AppState,
        records: &BTreeMap<RecordId, Locked>,
        projections: &BTreeMap<RecordId, Projection>,
        changes: &[AcceptedChange],
    ) -> ApiResult<()> {
        let numbers = claims(changes, "id_number", &["status"]);
        self.same_number(tx, state, records, projections, numbers)
            .await?;
        let mains = claims(changes, "main", &["status", "until", "resident"]);
        self.other_mains(tx, records, projections, mains).await
    }

    async fn same_number(
        &mut self,
        tx: &mut PgConnection,
        state: &AppState,
        records: &BTreeMap<RecordId, Locked>,
        projections: &BTreeMap<RecordId, Projection>,
        numbers: BTreeMap<RecordId, Claim<'_>>,
    ) -> ApiResult<()> {
        let mut ids = Vec::new();
        let mut tokens = Vec::new();
        let mut again = Vec::new();
        for (id, claim) in &numbers {
            let is_resident = records
                .get(id)
                .is_some_and(|locked| locked.hold.record_type == "resident");
            let Some(projection) = projections
                .get(id)
                .filter(|projection| is_resident && !projection.cancelled)
            else {
                continue;
            };
            if let Some(token) = projection
                .tokens
                .iter()
                .find(|token| token.starts_with("id:"))
            {
                ids.push(id.0);
                tokens.push(state.keys.blind(token));
                again.push(claim.again);
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        let pairs: Vec<(Uuid, Uuid)> = sqlx::query_as(SAME_NUMBER)
            .bind(&ids)
            .bind(&tokens)
            .bind(&again)
            .fetch_all(tx)
            .await?;
        for (new, held) in pairs {
            let new = RecordId(new);
            let Some(Claim { change, .. }) = numbers.get(&new) else {
                continue;
            };
            let area = records
                .get(&new)
                .and_then(|locked| locked.hold.areas.first().copied());
            let number = projections
                .get(&new)
                .and_then(|projection| text_of(projection, "id_number"));
            let value = ConflictValue {
                value: number.map_or(Value::Null, Value::from),
                change: change.hash,
                user: Some(change.user),
            };
            self.add(
                (
                    new,
                    ConflictKind::DuplicatePerson.code(),
                    RecordId(held).to_string(),
                ),
                Item {
                    area: area.unwrap_or_else(AreaCode::city),
                    other: Some(RecordId(held)),
                    body: ConflictBody {
                        values: vec![value],
                        base: None,
                    },
                    label: "证件号码".to_owned(),
                    tell: BTreeSet::from([change.user]),
                },
            );
        }
        Ok(())
    }

    async fn other_mains(
        &mut self,
        tx: &mut PgConnection,
        records: &BTreeMap<RecordId, Locked>,
        projections: &BTreeMap<RecordId, Projection>,
        mains: BTreeMap<RecordId, Claim<'_>>,
    ) -> ApiResult<()> {
        let holds = |id: &RecordId| projections.get(id).is_some_and(is_main);
        let claims = mains.iter().filter(|(id, _)| holds(id));
        let (claims, again): (Vec<Uuid>, Vec<bool>) =
            claims.map(|(id, claim)| (id.0, claim.again)).unzip();
        if claims.is_empty() {
            return Ok(());
        }
        let found: Vec<(Uuid, Uuid, Uuid)> = sqlx::query_as(OTHER_MAINS)
            .bind(&claims)
            .bind(&again)
            .fetch_all(tx)
            .await?;
        for (claim, held, resident) in found {
            let claim = RecordId(claim);
            let Some(Claim { change, .. }) = mains.get(&claim) else {
                continue;
            };
            let area = records
                .get(&claim)
                .and_then(|locked| locked.hold.areas.first().copied());
            let values = vec![ConflictValue {
                value: claim.to_string().into(),
                change: change.hash,
                user: Some(change.user),
            }];
            self.add(
                (
                    RecordId(resident),
                    ConflictKind::MainResidence.code(),
                    claim.to_string(),
                ),
                Item {
                    area: area.unwrap_or_else(AreaCode::city),
                    other: Some(RecordId(held)),
                    body: ConflictBody {
                        values,
                        base: Some(RecordId(held).to_string().into()),
                    },
                    label: "主要居住地".to_owned(),
                    tell: BTreeSet::from([change.user]),
                },
            );
        }
        Ok(())
    }

    /// Whether a main residence is claimed.
    pub(super) fn claims(&self) -> bool {
        let kind = ConflictKind::MainResidence.code();
        self.items.keys().any(|(_, opened, _)| *opened == kind)
    }

    fn add(&mut self, name: Name, item: Item) {
        match self.items.entry(name) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(item);
            }
            std::collections::btree_map::Entry::Occupied(mut slot) => {
                let held = slot.get_mut();
                held.body.absorb(item.body);
                held.tell.extend(item.tell);
            }
        }
    }

    /// Opens the items, or adds to those that are open.
    pub(super) async fn write(
        self,
        tx: &mut PgConnection,
        state: &AppState,
        now: DateTime<Utc>,
        due: DateTime<Utc>,
    ) -> ApiResult<Written> {
        if self.items.is_empty() {
            return Ok(Written::default());
        }
        let stamp = state.clock.timestamp();
        let ids: BTreeSet<Uuid> = self.items.keys().map(|(record, _, _)| record.0).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let mut open: BTreeMap<(Uuid, String, String), store::OpenConflictRow> =
            store::open_conflicts(tx, &ids)
                .await?
                .into_iter()
                .map(|row| ((row.record_id, row.kind.clone(), row.subject.clone()), row))
                .collect();
        let mut new = Vec::new();
        let mut told = Vec::new();
        let mut areas = BTreeSet::new();
        let mut names: BTreeMap<Name, (Uuid, SealKey)> = BTreeMap::new();
        for ((record, kind, subject), mut item) in self.items {
            name_makers(tx, record, &mut item).await?;
            if let Some(row) = open.remove(&(record.0, kind.to_owned(), subject.clone())) {
                areas.insert(row.wrapped.area);
                let id = ConflictId(row.id);
                let wrapped = &row.wrapped;
                let key = state.keys.record_key(RecordId(row.id), wrapped).await?;
                let mut body = sealing::open_conflict(&state.keys, id, wrapped, &row.body).await?;
                let before = body.clone();
                if kind == ConflictKind::MainResidence.code() {
                    // A claim stands once, whoever puts it again.
                    let held = |value: &Value| body.values.iter().any(|held| held.value == *value);
                    item.body.values.retain(|claim| !held(&claim.value));
                }
                body.absorb(item.body);
                if body != before {
                    let sealed = sealing::seal_row(
                        &key,
                        "conflicts",
                        id.as_bytes(),
                        &codec::to_bytes(&body),
                    )?;
                    store::update_conflict(tx, row.id, &sealed).await?;
                }
                names.insert((record, kind, subject), (row.id, key));
                continue;
            }
            areas.insert(item.area);
            let id: ConflictId = random::id(stamp, ConflictId::new)?;
            let (key, wrapped) = state.keys.new_record_key(RecordId(id.0), item.area).await?;
            let body = sealing::seal_row(
                &key,
                "conflicts",
                id.as_bytes(),
                &codec::to_bytes(&item.body),
            )?;
            for user in &item.tell {
                told.push(opened_message(*user, id, kind, &item.label, record, stamp));
            }
            new.push(NewConflict {
                id: id.0,
                kind,
                area_code: item.area.to_string(),
                record_id: record.0,
                other_id: item.other.map(|id| id.0),
                subject: subject.clone(),
                wrapped_key: wrapped.sealed,
                key_version: wrapped.version,
                body,
            });
            names.insert((record, kind, subject), (id.0, key));
        }
        let opened = new.len();
        if opened > 0 {
            store::insert_conflicts(tx, &new, now, due).await?;
        }
        let mut kept = Vec::with_capacity(self.refused.len());
        for (name, item) in self.refused {
            let Some((conflict, key)) = names.get(&name) else {
                continue;
            };
            let id: EventId = random::id(stamp, EventId::new)?;
            kept.push(NewRefused {
                id: id.0,
                conflict_id: *conflict,
                record_id: item.record.0,
                hash: item.hash.clone(),
                device_id: item.device.0,
                user_id: item.user.0,
                code: item.refusal.code.clone(),
                field: item.refusal.field.clone(),
                subjects: refused::literal(&refused::subjects(&item.item)),
                body: sealing::seal_row(
                    key,
                    "refused_items",
                    id.as_bytes(),
                    &codec::to_bytes(&item.item),
                )?,
            });
        }
        if !kept.is_empty() {
            store::insert_refused(tx, &kept, now).await?;
        }
        Ok(Written {
            opened,
            told,
            areas,
        })
    }
}

/// Opens items for pairs that are likely one person: the record just made, the one held before. For those who look at
/// more than the register does when it merges; a pair that is open already stays one item.
///
/// # Errors
/// When the database fails.
pub async fn suspect_duplicates(
    tx: &mut PgConnection,
    state: &AppState,
    pairs: &[(RecordId, RecordId)],
    by: UserId,
) -> ApiResult<Told> {
    let ids: Vec<RecordId> = pairs.iter().map(|(made, _)| *made).collect();
    let records = super::opened::open(tx, &state.keys, &ids).await?;
    let mut drafts = Drafts::default();
    for (made, held) in pairs {
        let Some(record) = records.get(made) else {
            continue;
        };
        let name = (
            *made,
            ConflictKind::DuplicatePerson.code(),
            held.to_string(),
        );
        let value = record.registers.winner("name").map(|name| ConflictValue {
            value: record
                .registers
                .get("id_number")
                .cloned()
                .unwrap_or_default(),
            change: name.change,
            user: Some(by),
        });
        let item = Item {
            area: record.areas.first().copied().unwrap_or(record.area),
            other: Some(*held),
            body: ConflictBody {
                values: value.into_iter().collect(),
                base: None,
            },
            label: "居民".to_owned(),
            tell: BTreeSet::new(),
        };
        drafts.add(name, item);
    }
    let now = state.clock.now();
    let told = drafts.write(tx, state, now, now + DUE).await?.told;
    super::log::append_states(tx, told, now).await
}

/// Finds who made the values that came with earlier commits; all of them are told.
async fn name_makers(tx: &mut PgConnection, record: RecordId, item: &mut Item) -> ApiResult<()> {
    let unknown: Vec<Vec<u8>> = item
        .body
        .values
        .iter()
        .filter(|value| value.user.is_none())
        .map(|value| value.change.0.to_vec())
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    for (hash, user) in store::makers(tx, record.0, &unknown).await? {
        for value in &mut item.body.values {
            if value.change.0[..] == hash[..] {
                value.user = user.map(UserId);
                item.tell.extend(value.user);
            }
        }
    }
    Ok(())
}

fn opened_message(
    to: UserId,
    id: ConflictId,
    kind: &str,
    label: &str,
    record: RecordId,
    at: Timestamp,
) -> (ScopeId, StateEntry) {
    let text = match kind {
        "field" => format!("「{label}」与同事的填写不一致，已提交主管裁决，结果会通知您。"),
        "update_cancelled" => {
            "这份档案被注销的同时又有人修改，已提交主管裁决，结果会通知您。".to_owned()
        }
        "duplicate_person" => {
            "证件号码与另一份档案相同，可能是同一个人，已提交主管核对。".to_owned()
        }
        "main_residence" => "此人在别处已有主要居住地，已提交主管核对，结果会通知您。".to_owned(),
        _ => "您的一条修改没有直接生效，内容已完整保留并转给主管处理。".to_owned(),
    };
    message(
        to,
        id.0,
        "conflict_opened",
        &text,
        About::Conflict(record),
        at,
    )
}

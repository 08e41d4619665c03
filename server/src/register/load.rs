//! Loading the records that a group of submissions names, under their locks, with their histories where needed.

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::accept::Hold;
use doorstep_core::crdt::{FlatChange, Registers, chunk};
use doorstep_core::crypto::seal::SealKey;
use doorstep_core::ids::{AreaCode, ChangeHash, RecordId};
use doorstep_core::protocol::frames::Refusal;
use sqlx::PgConnection;

use super::model::Areas;
use super::store::{self, RecordRow};
use super::{alias, sealing};
use crate::error::{ApiError, ApiResult};
use crate::keys::{KeyRing, WrappedKey};

/// A record under its lock.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) hold: Hold,
    /// As it stood in the database; `None` for a new one.
    pub(super) stored: Option<Stored>,
    /// Key and wrapped key; `None` until a new record's area is known.
    pub(super) key: Option<(SealKey, WrappedKey)>,
    pub(super) history: Option<BTreeMap<ChangeHash, FlatChange>>,
    /// Changes of this record that were refused, and why; of those before this group, what bears on it.
    pub(super) refused: BTreeMap<ChangeHash, Refusal>,
    /// Whether it was erased: nothing is taken for it ever again.
    pub(super) erased: bool,
    /// The record that stands for this one, since the two were merged, and its area.
    pub(super) survivor: Option<(RecordId, AreaCode)>,
    /// How many bytes of changes it holds, as far as they were weighed.
    pub(super) weight: usize,
}

/// What the database held of a record.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) version: i32,
    pub(super) heads: Vec<ChangeHash>,
}

impl Locked {
    /// Whether the record has this change.
    pub(super) fn holds(&self, hash: &ChangeHash) -> bool {
        self.hold.registers.heads().contains(hash)
            || self
                .history
                .as_ref()
                .is_some_and(|history| history.contains_key(hash))
    }

    fn new(id: RecordId) -> Self {
        let hold = Hold {
            id,
            record_type: String::new(),
            epoch: 0,
            areas: Vec::new(),
            registers: Registers::default(),
        };
        Self {
            hold,
            stored: None,
            key: None,
            history: None,
            refused: BTreeMap::new(),
            erased: false,
            survivor: None,
            weight: 0,
        }
    }
}

/// What is known of records that are named or referred to.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// The survivors of those that were merged away.
    pub(super) survivors: BTreeMap<RecordId, RecordId>,
    /// Those that were erased.
    pub(super) erased: BTreeSet<RecordId>,
    /// Where those lie that are there.
    pub(super) areas: BTreeMap<RecordId, Vec<AreaCode>>,
}

/// Locks and opens the records, in the order of their ids so that two groups never wait for each other. Those that are
/// only referred to are locked with them, so that none is merged away or erased meanwhile; gives those that were.
pub(super) async fn lock(
    tx: &mut PgConnection,
    keys: &KeyRing,
    ids: &BTreeSet<RecordId>,
    referred_to: &BTreeSet<RecordId>,
) -> ApiResult<(BTreeMap<RecordId, Locked>, Gone)> {
    let wanted: Vec<_> = ids.union(referred_to).map(|id| id.0).collect();
    let mut records: BTreeMap<RecordId, Locked> =
        ids.iter().map(|id| (*id, Locked::new(*id))).collect();
    let mut aliases = Vec::new();
    let mut gone = Gone::default();
    for row in store::lock_records(tx, &wanted).await? {
        let id = RecordId(row.id);
        gone.areas.insert(id, row.areas.0.clone());
        if row.erased {
            gone.erased.insert(id);
        }
        if row.merged_into.is_some() {
            aliases.push(id);
        }
        if ids.contains(&id) {
            let locked = open(keys, row).await?;
            records.insert(id, locked);
        }
    }
    if !aliases.is_empty() {
        for (id, survivor, Areas(areas)) in alias::survivors(tx, &aliases).await? {
            let area = areas.first().copied().unwrap_or_else(AreaCode::city);
            gone.survivors.insert(id, survivor);
            gone.areas.insert(survivor, areas);
            if let Some(locked) = records.get_mut(&id) {
                locked.survivor = Some((survivor, area));
            }
        }
    }
    Ok((records, gone))
}

/// Loads what was refused before of these changes.
pub(super) async fn load_refused(
    tx: &mut PgConnection,
    records: &mut BTreeMap<RecordId, Locked>,
    asked: &BTreeSet<(RecordId, ChangeHash)>,
) -> ApiResult<()> {
    for row in store::refused_changes(tx, asked).await? {
        let record = records.get_mut(&RecordId(row.record_id));
        if let (Some(locked), Ok(hash)) = (record, row.hash.clone().try_into()) {
            locked.refused.insert(ChangeHash(hash), again(row));
        }
    }
    Ok(())
}

/// A refusal of before, said again: it lies with a supervisor still, and is not judged anew.
pub(super) fn again(row: store::RefusedRow) -> Refusal {
    Refusal {
        code: row.code,
        field: row.field,
        message: "这条内容之前没有被接受，已完整转给主管处理，不用重新填写；结果会通知您。"
            .to_owned(),
    }
}

async fn open(keys: &KeyRing, row: RecordRow) -> ApiResult<Locked> {
    let id = RecordId(row.id);
    if row.erased {
        return Ok(erased(id, row));
    }
    let key = keys.record_key(id, &row.wrapped).await?;
    let registers = sealing::open_state(&key, id, row.version, &row.state)?;
    Ok(Locked {
        hold: Hold {
            id,
            record_type: row.record_type,
            epoch: row.epoch.unsigned_abs(),
            areas: row.areas.0,
            registers,
        },
        stored: Some(Stored {
            version: row.version,
            heads: heads(&row.heads),
        }),
        key: Some((key, row.wrapped)),
        history: None,
        refused: BTreeMap::new(),
        erased: false,
        survivor: None,
        weight: 0,
    })
}

/// What is left of an erased record: whatever is still sent for it is of an epoch that is over.
fn erased(id: RecordId, row: RecordRow) -> Locked {
    let mut locked = Locked::new(id);
    locked.erased = true;
    locked.hold.areas = row.areas.0;
    locked.hold.record_type = row.record_type;
    locked.hold.epoch = row.epoch.unsigned_abs();
    locked.stored = Some(Stored {
        version: row.version,
        heads: Vec::new(),
    });
    locked
}

/// Heads from their column.
pub(super) fn heads(bytes: &[u8]) -> Vec<ChangeHash> {
    bytes
        .chunks_exact(32)
        .filter_map(|hash| hash.try_into().ok().map(ChangeHash))
        .collect()
}

/// Weighs the changes that these records hold.
pub(super) async fn weigh(
    tx: &mut PgConnection,
    records: &mut BTreeMap<RecordId, Locked>,
    heavy: &BTreeSet<RecordId>,
) -> ApiResult<()> {
    let ids: Vec<_> = heavy.iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for (id, bytes) in store::change_bytes(tx, &ids).await? {
        if let Some(locked) = records.get_mut(&RecordId(id)) {
            locked.weight = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
    }
    Ok(())
}

/// Loads the whole histories of records, for changes that are not simply the next one.
pub(super) async fn load_histories(
    tx: &mut PgConnection,
    records: &mut BTreeMap<RecordId, Locked>,
    wanted: &BTreeSet<RecordId>,
) -> ApiResult<()> {
    let ids: Vec<_> = wanted.iter().map(|id| id.0).collect();
    let mut histories: BTreeMap<RecordId, BTreeMap<ChangeHash, FlatChange>> =
        wanted.iter().map(|id| (*id, BTreeMap::new())).collect();
    if !ids.is_empty() {
        for row in store::changes_of(tx, &ids).await? {
            let id = RecordId(row.record_id);
            let hash = row.hash()?;
            let Some((key, _)) = records.get(&id).and_then(|locked| locked.key.as_ref()) else {
                continue;
            };
            let bytes = sealing::open_change(key, hash, &row.body)?;
            let (change, _) = chunk::decode(&bytes).map_err(ApiError::internal)?;
            histories.entry(id).or_default().insert(hash, change);
        }
    }
    for (id, history) in histories {
        if let Some(locked) = records.get_mut(&id) {
            locked.history = Some(history);
        }
    }
    Ok(())
}

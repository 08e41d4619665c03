//! What the server did not take, as a collector reads it: what it was, why, and what to do. Knows no screen.

use doorstep_core::crdt::chunk;
use doorstep_core::envelope::Item;
use doorstep_core::ids::RecordId;
use doorstep_core::records::{self, split_key};
use doorstep_core::store::{DeviceStore, RefusedItem, WriteBatch};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use serde::Serialize;

use crate::device::Device;
use crate::error::{ClientError, ClientResult, Kind};

/// Something that was refused.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// Its number, for `Device::dismiss`.
    pub id: u64,
    /// Its declared type: `resident`, `visit`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The type's Chinese name.
    pub label: String,
    /// The record, or the event.
    pub record: RecordId,
    /// What was put, by key, with the Chinese names.
    pub values: Vec<RefusedValue>,
    /// The stable code of why.
    pub code: String,
    /// The field it is about, where it is about one.
    pub field: Option<String>,
    /// Why, in the server's words.
    pub message: String,
    /// What to do now.
    pub advice: &'static str,
    /// When the answer came, by this device's clock.
    pub at: Timestamp,
}

/// A value of something that was refused.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedValue {
    /// Its key.
    pub key: String,
    /// The field's Chinese name.
    pub label: String,
    /// The value.
    pub value: Value,
}

impl<S: DeviceStore + Send + 'static> Device<S> {
    /// What the server refused, newest first.
    ///
    /// # Errors
    /// The storage's.
    pub fn refused(&self) -> ClientResult<Vec<Refused>> {
        let refused = self.read(DeviceStore::refused)?;
        Ok(refused.into_iter().map(view).collect())
    }

    /// Takes refused items off the list, by their numbers: the collector has seen them. With the supervisor they stay.
    ///
    /// # Errors
    /// `no_such_refusal`; then none is taken off; the storage's.
    pub fn dismiss(&self, ids: &[u64]) -> ClientResult<()> {
        let mut store = self.shared.store();
        let held = store.refused().map_err(ClientError::storage)?;
        if let Some(unknown) = ids
            .iter()
            .find(|id| held.iter().all(|item| item.id != **id))
        {
            return Err(ClientError::new(
                Kind::Invalid,
                "no_such_refusal",
                format!("没有编号为 {unknown} 的退回内容，请重新查看列表"),
            ));
        }
        let batch = WriteBatch {
            dismiss: ids.to_vec(),
            ..WriteBatch::default()
        };
        store.commit(batch).map_err(ClientError::storage)
    }
}

fn view(item: RefusedItem) -> Refused {
    let (record_type, record, values) = match item.item {
        Item::Change(change) => {
            let puts = chunk::decode(&change.bytes).map(|(change, _)| change.ops);
            let puts = puts.unwrap_or_default().into_iter();
            let puts: Fields = puts.map(|op| (op.key, op.value)).collect();
            (change.record_type, change.record, puts)
        }
        Item::Event(event) => (event.event_type, event.id.into(), event.fields),
    };
    let declared = records::record_type(&record_type);
    let named = |key: &str| {
        let field = declared.and_then(|declared| declared.named(split_key(key).0));
        field.map_or_else(|| key.to_owned(), |field| field.label.clone())
    };
    let values = values.into_iter().filter(|(key, _)| !key.starts_with('_'));
    Refused {
        id: item.id,
        label: declared.map_or_else(|| record_type.clone(), |declared| declared.label.clone()),
        values: values
            .map(|(key, value)| RefusedValue {
                label: named(&key),
                key,
                value,
            })
            .collect(),
        record_type,
        record,
        advice: advice(&item.refusal.code),
        code: item.refusal.code,
        field: item.refusal.field,
        message: item.refusal.message,
        at: item.at,
    }
}

/// Whether a refusal says that the record is no longer for this device, whatever was put.
pub(crate) fn is_taken_away(code: &str) -> bool {
    matches!(code, "out_of_scope" | "erased" | "old_epoch")
}

/// What to do about a refusal. A code that this version does not know is one of a wrong value.
fn advice(code: &str) -> &'static str {
    match code {
        "out_of_scope" => {
            "不用重填：内容已完整转给主管，由现在负责的同事接着办理。看过后可以从列表中移除。"
        }
        "erased" => {
            "不用重填：档案已按规定彻底删除，这条内容哪里都没有保存。看过后可以从列表中移除。"
        }
        "old_epoch" => "档案已不存在，不用重填。如确需重新登记，请先联系主管。",
        "merged_away" => "请打开合并后的档案核对；您的修改主管会作为建议处理，结果会通知您。",
        "builds_on_refused" => "先看前一条被退回的修改；等主管处理后，仍缺的内容再补填。",
        "field_not_writable" | "reserved_field" => {
            "这一项不由采集员填写。如确需更正，请写在备注里，或告诉主管。"
        }
        "sequence_reused" | "forged_actor" | "id_taken" => {
            "请把手机交给管理员检查，检查前不要卸载应用；内容主管也能看到。"
        }
        "unknown_type" | "unknown_field" => "请先更新应用，再重新填写这一项。",
        _ => "请核对后重新填写正确的内容；原来填的主管也能看到，不会丢失。",
    }
}

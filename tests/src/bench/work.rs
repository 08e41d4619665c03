//! The work that every system is given, as bench/workload.mjs writes it. Knows no device.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use doorstep_core::records::{self, Merge};
use doorstep_core::value::{Fields, Value};
use serde::Deserialize;

/// See the module.
#[derive(Debug, Deserialize)]
pub(super) struct Work {
    pub(super) records: Vec<Record>,
    /// For each device.
    pub(super) edits: Vec<Vec<Edit>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub(super) r#type: String,
    pub(super) fields: Fields,
}

#[derive(Debug, Deserialize)]
pub(super) struct Edit {
    /// Its place among the records.
    pub(super) record: usize,
    pub(super) field: String,
    pub(super) value: Value,
}

impl Work {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(file)?)?)
    }

    pub(super) fn count(&self, record_type: &str) -> usize {
        self.records
            .iter()
            .filter(|record| record.r#type == record_type)
            .count()
    }

    /// How many reviewed fields end with different values on different devices: each must be in the queue, once.
    pub(super) fn disputes(&self) -> usize {
        let mut last: BTreeMap<(usize, &str), BTreeMap<usize, &Value>> = BTreeMap::new();
        for (device, edits) in self.edits.iter().enumerate() {
            for edit in edits {
                let declared = records::record_type(&self.records[edit.record].r#type);
                let field = declared.and_then(|declared| declared.field(&edit.field));
                if field.is_some_and(|field| field.merge == Merge::Review) {
                    last.entry((edit.record, &edit.field))
                        .or_default()
                        .insert(device, &edit.value);
                }
            }
        }
        let differ = |values: &&BTreeMap<usize, &Value>| {
            let texts: BTreeSet<String> =
                values.values().map(|value| format!("{value:?}")).collect();
            texts.len() > 1
        };
        last.values().filter(differ).count()
    }
}

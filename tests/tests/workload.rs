//! The bench's work is work a real device could do: every record and every edit of it is valid by the declarations.
//! Knows nothing of what is measured with it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use doorstep_core::records::{self, Merge, Mode};
use doorstep_core::rights::Role;
use doorstep_core::value::Value;
use doorstep_tests::repository;

#[derive(serde::Deserialize)]
struct Work {
    records: Vec<Record>,
    edits: Vec<Vec<Edit>>,
}

#[derive(serde::Deserialize)]
struct Record {
    id: String,
    r#type: String,
    fields: BTreeMap<String, Value>,
}

#[derive(serde::Deserialize)]
struct Edit {
    record: usize,
    field: String,
    value: Value,
}

/// The full work, as `./x bench sync` makes it.
fn work() -> Work {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("work.json");
    let made = Command::new("node")
        .arg(repository::root().join("bench/workload.mjs"))
        .arg(&file)
        .status()
        .expect("Node.js makes the work");
    assert!(made.success());
    serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap()
}

#[test]
fn the_work_of_the_bench_is_valid_and_has_conflicts() {
    let work = work();
    assert_eq!(work.records.len(), 4000);
    assert_eq!(work.edits.len(), 10);

    for record in &work.records {
        let declared = records::record_type(&record.r#type).unwrap();
        let problems = records::validate(declared, &record.fields, Mode::Whole);
        assert!(problems.is_empty(), "{}: {problems:?}", record.id);
    }

    let mut by_review_field: BTreeMap<(usize, &str), BTreeSet<String>> = BTreeMap::new();
    for edits in &work.edits {
        assert_eq!(edits.len(), 500);
        for edit in edits {
            let record = &work.records[edit.record];
            let declared = records::record_type(&record.r#type).unwrap();
            let field = declared.field(&edit.field).expect("a declared field");
            assert!(
                field.may_write(Role::Collector),
                "a collector may not write {}",
                edit.field
            );
            let change = BTreeMap::from([(edit.field.clone(), edit.value.clone())]);
            let problems = records::validate(declared, &change, Mode::Partial);
            assert!(problems.is_empty(), "{}: {problems:?}", record.id);
            if field.merge == Merge::Review {
                let value = serde_json::to_string(&edit.value).unwrap();
                by_review_field
                    .entry((edit.record, &edit.field))
                    .or_default()
                    .insert(value);
            }
        }
    }
    let disputed = by_review_field
        .values()
        .filter(|values| values.len() > 1)
        .count();
    assert!(disputed > 20, "only {disputed} review fields are disputed");
}

//! Every row of a real-shaped committee register is read: all can be imported but those without what a
//! record needs, and what was mistyped is pointed out. Knows the fixtures, not how the import stores them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use doorstep_core::records::import_map::{Mapping, Row};
use doorstep_core::records::{Severity, record_type};
use doorstep_core::value::Value;

/// The fixtures hold no quoted cells, so commas part them.
fn rows(record: &str, file: &str) -> Result<Vec<Row>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/community");
    let text = std::fs::read_to_string(folder.join(file))?;
    assert!(!text.contains('"'), "{file} holds quoted cells");
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let heads = cells(lines.next().context("no heads")?);
    let record_type = record_type(record).context("record type")?;
    let (mapping, problems) = Mapping::from_heads(record_type, &heads);
    assert_eq!(problems, [], "{file}: every head has a field");
    Ok(lines.map(|line| mapping.convert(&cells(line))).collect())
}

fn count(rows: &[Row]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for problem in rows.iter().flat_map(|r| &r.problems) {
        *counts
            .entry(format!("{}:{}", problem.path, problem.code))
            .or_default() += 1;
    }
    counts
}

#[test]
fn every_resident_of_the_register_converts() -> Result<()> {
    let rows = rows("resident", "residents.csv")?;
    assert_eq!(rows.len(), 2823);
    let counts = count(&rows);
    let refused = rows
        .iter()
        .filter(|r| r.problems.iter().any(|p| p.severity == Severity::Error))
        .count();
    assert_eq!(refused, 0, "{counts:#?}");
    for row in &rows {
        for field in [
            "name",
            "sex",
            "population_kind",
            "community_id",
            "source_updated_at",
        ] {
            assert!(row.fields.contains_key(field), "{field}");
        }
        let living = row
            .residences
            .iter()
            .filter(|r| r.get("kind") == Some(&Value::from("living")));
        assert_eq!(living.count(), 1, "everyone lives somewhere");
    }
    let registered = rows.iter().filter(|r| r.residences.len() == 2).count();
    assert_eq!(registered, 2081, "人户一致 gives a register tie");
    let found = |slip: &str| counts.get(slip).copied().unwrap_or(0);
    assert_eq!(
        found("country:country_expected"),
        10,
        "the passports come without a country"
    );
    assert_eq!(
        found("birth_date:id_birth_mismatch"),
        64,
        "swapped day and month"
    );
    // 611 are registered in another city or district, 239 moved within the committee.
    assert_eq!(found("register_address:register_elsewhere"), 850);
    let mistyped: usize = counts
        .iter()
        .filter(|(k, _)| k.starts_with("id_number:"))
        .map(|(_, n)| n)
        .sum();
    assert!((100..200).contains(&mistyped), "{counts:#?}");
    Ok(())
}

#[test]
fn every_house_of_the_register_converts() -> Result<()> {
    let rows = rows("house", "houses.csv")?;
    assert_eq!(rows.len(), 1344);
    assert_eq!(count(&rows), BTreeMap::new());
    Ok(())
}

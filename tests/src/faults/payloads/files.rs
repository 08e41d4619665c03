//! Payloads in the cells of files that are imported: each is judged, written or refused row by row, and the file of
//! results gives every cell back as it was read, harmless to a spreadsheet.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::Value;

use super::super::ground::Ground;
use super::super::{Figures, Options};
use super::sound;

/// Given names that no two rows share.
const GIVEN: &str = "海思朝霞晓梅安然书文一帆念慈望舒知秋若水";

/// One row of a file: its cells, and the payload in one of them.
struct Row<'a> {
    cells: Vec<String>,
    column: usize,
    payload: &'a str,
}

/// Gives what was done in words.
pub(super) async fn play(
    options: &Options,
    ground: &Ground,
    payloads: &[String],
    figures: &mut Figures,
) -> anyhow::Result<String> {
    let (mut written, mut wrong, mut files) = (0, 0, 0);
    for record_type in ["resident", "house"] {
        let path = format!("/api/import-templates/fields?type={record_type}");
        let fields = ground.supervisor.api.get(&path).await?;
        let fields = fields.as_array().context("no fields")?;
        let named = |what| fields.iter().filter_map(move |field| field[what].as_str());
        let heads: Vec<&str> = named("label").collect();
        let keys: Vec<&str> = named("field").collect();
        let first = usize::try_from(options.seed)?;
        let rows = |column: &dyn Fn(usize) -> usize| -> Vec<Row<'_>> {
            // A file with a zero character is refused as a whole: it is no text in any encoding.
            let all = payloads.iter().filter(|payload| !payload.contains('\0'));
            all.enumerate()
                .map(|(at, payload)| {
                    let column = column(at) % heads.len();
                    let mut cells: Vec<String> = keys.iter().map(|key| right(key, at)).collect();
                    payload.clone_into(&mut cells[column]);
                    Row {
                        cells,
                        column,
                        payload,
                    }
                })
                // A row of nothing but blanks is none.
                .filter(|row| row.cells.iter().any(|cell| !cell.trim().is_empty()))
                .collect()
        };
        // In the short form each payload is in one cell of each type, else in one of every column.
        let tables: Vec<Vec<Row<'_>>> = if options.short {
            vec![rows(&|at| at + first)]
        } else {
            (0..heads.len()).map(|column| rows(&|_| column)).collect()
        };
        for table in tables {
            let (some, bad) = import(ground, record_type, &heads, &table, figures).await?;
            (written, wrong, files) = (written + some, wrong + bad, files + 1);
        }
    }
    ensure!(written > 0 && wrong > 0, "{written} written, {wrong} wrong");
    Ok(format!(
        "in {files} files to import {written} rows written, {wrong} refused"
    ))
}

/// What the cell of a field holds that is right.
fn right(key: &str, row: usize) -> String {
    let given: Vec<char> = GIVEN.chars().collect();
    match key {
        "name" => {
            let (one, two) = (row % given.len(), row / given.len());
            format!("叶{}{}", given[one], given[two % given.len()])
        }
        "sex" => "女".to_owned(),
        "population_kind" => "户籍人口".to_owned(),
        "address" => format!("永嘉路{}弄{}号", 100 + row / 40, 1 + row % 40),
        _ => String::new(),
    }
}

/// Imports a file; gives how many rows were written and how many were refused.
async fn import(
    ground: &Ground,
    record_type: &str,
    heads: &[&str],
    rows: &[Row<'_>],
    figures: &mut Figures,
) -> anyhow::Result<(u64, u64)> {
    let mut file = csv::Writer::from_writer(Vec::new());
    file.write_record(heads)?;
    for row in rows {
        file.write_record(&row.cells)?;
    }
    let supervisor = &ground.supervisor;
    let (import, _) = supervisor
        .upload(record_type, ground.area, "cells.csv", file.into_inner()?)
        .await?;
    let done = import.run().await?;
    let results = results(ground, &import.path).await?;
    ensure!(
        results.len() == rows.len(),
        "{} rows of {}",
        results.len(),
        rows.len()
    );
    for (row, cells) in rows.iter().zip(&results) {
        figures.fault(given_back(row, cells, heads));
    }
    let mut next = String::new();
    loop {
        let page = format!("{}/rows?limit=500{next}", import.path);
        let (status, body) = supervisor.api.ask(Method::GET, &page, |ask| ask).await?;
        // What is said of a cell may quote it.
        figures.fault(sound(&body, status, &body));
        let page: Value = serde_json::from_str(&body)?;
        let Some(cursor) = page["next"].as_str() else {
            break;
        };
        next = format!("&cursor={cursor}");
    }
    let count = |name: &str| done["counts"][name].as_u64().unwrap_or_default();
    Ok((count("written"), count("error")))
}

/// The cells of the file of results, row by row.
async fn results(ground: &Ground, path: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let api = &ground.supervisor.api;
    let bytes = api.get_bytes(&format!("{path}/result.csv")).await?;
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let mut reader = csv::Reader::from_reader(bytes);
    let cells = |record: csv::StringRecord| record.iter().skip(4).map(str::to_owned).collect();
    reader.records().map(|record| Ok(cells(record?))).collect()
}

/// Whether the cell came back: as it was read, and no formula.
fn given_back(row: &Row<'_>, cells: &[String], heads: &[&str]) -> Result<(), String> {
    let head = heads[row.column];
    let Some(cell) = cells.get(row.column) else {
        return Err(format!("{head}: the cell with {:?} is gone", row.payload));
    };
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return Err(format!("{head}: a spreadsheet would reckon with {cell:?}"));
    }
    if cell == row.payload || cell.strip_prefix('\'') == Some(row.payload) {
        Ok(())
    } else {
        Err(format!("{head}: {:?} came back as {cell:?}", row.payload))
    }
}

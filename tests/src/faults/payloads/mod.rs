//! SQL, scripts, templates, paths, formats, formulas, odd and invisible characters, line breaks, numbers and lengths, in
//! every field of every declaration as devices write them, in the cells of files that are imported, and in every
//! parameter and JSON text of the API. All of it is text: taken or refused with a code, kept to the byte, never run. The
//! list is tests/fixtures/payloads.json.

mod api;
mod described;
mod device;
mod files;
mod fresh;
mod right;

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use sqlx::{AssertSqlSafe, Connection};

use super::furnished::Furnished;
use super::ground::Ground;
use super::{Figures, Options};
use crate::repository;
use crate::town::office::database_of;

const LIST: &str = "tests/fixtures/payloads.json";
/// Words that only a database or a crash says.
const OURS: [&str; 6] = [
    "syntax error",
    "SQLSTATE",
    "sqlx",
    "relation \"",
    "panicked",
    "pg_catalog",
];
/// Tables that remember who asked, whatever became of it.
const REMEMBERING: &str =
    "audit_entries,audit_head,audit_signatures,sessions,sign_in_guards,failed_sign_ins,challenges";

/// The row `payloads`.
pub(super) async fn play(options: &Options) -> anyhow::Result<Figures> {
    let payloads = all()?;
    let mut furnished = Furnished::open(&options.program).await?;
    let mut figures = Figures::default();
    let collector = furnished.ground.collector.clone();
    let device = furnished.ground.light(&collector).await?;
    let on_devices = device::play(options, &mut furnished.ground, &payloads, &mut figures).await?;
    let in_files = files::play(options, &furnished.ground, &payloads, &mut figures).await?;
    let asked = api::play(options, &furnished, device, &payloads, &mut figures).await?;
    figures.fault(furnished.ground.is_sound().await);
    figures.note = format!(
        "{} payloads; {on_devices}; {in_files}; {asked}",
        payloads.len()
    );
    furnished.ground.close()?;
    Ok(figures)
}

fn all() -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(repository::root().join(LIST)).context(LIST)?;
    let kinds: BTreeMap<String, Vec<String>> = serde_json::from_str(&text)?;
    let all: Vec<String> = kinds.into_values().flatten().collect();
    ensure!(all.len() >= 500, "the list of payloads is short");
    Ok(all)
}

/// Rows of every table but those that remember who asked.
async fn counts(ground: &Ground) -> anyhow::Result<BTreeMap<String, i64>> {
    let mut database = database_of(&ground.server).await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' \
         AND tablename <> ALL(string_to_array($1, ','))",
    )
    .bind(REMEMBERING)
    .fetch_all(&mut database)
    .await?;
    let mut counts = BTreeMap::new();
    for table in tables {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let count = sqlx::query_scalar(count).fetch_one(&mut database).await?;
        counts.insert(table, count);
    }
    database.close().await?;
    Ok(counts)
}

/// Whether an answer is one that text deserves: taken, or refused with a code, in words of ours.
fn sound(payload: &str, status: u16, body: &str) -> Result<(), String> {
    if status >= 500 {
        return Err(format!("{status} {body}"));
    }
    let slip = OURS
        .iter()
        .find(|word| body.contains(**word) && !payload.contains(**word));
    if let Some(word) = slip {
        return Err(format!("says {word:?}: {body}"));
    }
    if status >= 400 {
        let answer: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        if answer["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .is_empty()
        {
            return Err(format!("{status} without a code: {body}"));
        }
    }
    Ok(())
}

//! Every SQL text of the server is prepared against the migrated schema: a renamed column fails here,
//! not in production. SQL is found in the sources, so a new statement is covered without being listed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::{Path, PathBuf};

use doorstep_server::database::testing::TestDatabase;
use sqlx::{AssertSqlSafe, ConnectOptions};

const VERBS: [&str; 6] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ", "LOCK "];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found)
        } else {
            found.push(path)
        }
    }
}

/// The string constants of a source that are SQL, with their names.
fn constants(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in source.split("const ").skip(1) {
        let Some((name, rest)) = part.split_once(": &str =") else {
            continue;
        };
        let rest = rest.trim_start();
        let text = if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.split("\"#").next().unwrap().to_owned()
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut chars = quoted.chars();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    // A line break after a backslash is no part of the text, nor is what indents the next line.
                    '\\' => match chars.next() {
                        Some('\n') => {
                            let trimmed = chars.as_str().trim_start();
                            chars = trimmed.chars();
                        }
                        Some('n') => text.push('\n'),
                        Some(other) => text.push(other),
                        None => break,
                    },
                    other => text.push(other),
                }
            }
            text
        } else {
            continue;
        };
        if VERBS.iter().any(|verb| text.trim_start().starts_with(verb)) {
            found.push((name.trim().to_owned(), text));
        }
    }
    found
}

#[tokio::test]
async fn every_statement_prepares_against_the_migrated_schema() {
    let database = TestDatabase::create().await.unwrap();
    let mut connection = database.owner.connect().await.unwrap();
    let mut paths = Vec::new();
    files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut paths,
    );
    let mut statements = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        match path.extension().and_then(|e| e.to_str()) {
            Some("sql") => statements.push((path.display().to_string(), text)),
            Some("rs") => statements.extend(
                constants(&text)
                    .into_iter()
                    .map(|(name, sql)| (format!("{}: {name}", path.display()), sql)),
            ),
            _ => {}
        }
    }
    assert!(!statements.is_empty());
    let mut wrong = Vec::new();
    for (place, sql) in &statements {
        // Such a set is gone through anew for every row: 46 s to count a district's people, where a join takes 66 ms.
        let words = sql
            .replace('(', " ( ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let sets: Vec<&str> = words
            .split("IN ( SELECT record_id FROM record_tokens")
            .collect();
        let before = &sets[..sets.len() - 1];
        if before
            .iter()
            .any(|text| text.rsplit(' ').nth(2) == Some("OR"))
        {
            wrong.push(format!("{place}: OR … IN (SELECT … FROM record_tokens"));
        }
    }
    for (index, (place, sql)) in statements.iter().enumerate() {
        let prepare = format!("PREPARE statement_{index} AS {sql}");
        if let Err(error) = sqlx::raw_sql(AssertSqlSafe(prepare))
            .execute(&mut connection)
            .await
        {
            wrong.push(format!("{place}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn constants_are_read_as_the_compiler_reads_them() {
    let source = "const A: &str = \"SELECT 1 \\\n    FROM t\"; const B: &str = r#\"UPDATE \"x\" SET y = 1\"#; const C: &str = \"no\";";
    assert_eq!(
        constants(source),
        [
            ("A".into(), "SELECT 1 FROM t".into()),
            ("B".into(), "UPDATE \"x\" SET y = 1".into())
        ]
    );
}

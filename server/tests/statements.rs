//! Every SQL text of the server is prepared against the migrated schema: a renamed column fails here,
//! not in production. SQL is found in the sources, so a new statement is covered without being listed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use doorstep_server::database::testing::TestDatabase;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

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

/// The statements below a folder of the sources: where each stands, and its text.
fn statements(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&root.join(folder), &mut paths);
    let mut statements = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let place = path.strip_prefix(&root).unwrap().display();
        match path.extension().and_then(|e| e.to_str()) {
            Some("sql") => statements.push((place.to_string(), text)),
            Some("rs") => statements.extend(
                constants(&text)
                    .into_iter()
                    .map(|(name, sql)| (format!("{place}: {name}"), sql)),
            ),
            _ => {}
        }
    }
    assert!(!statements.is_empty());
    statements
}

#[tokio::test]
async fn every_statement_prepares_against_the_migrated_schema() {
    let database = TestDatabase::create().await.unwrap();
    let mut connection = database.owner.connect().await.unwrap();
    let statements = statements("");
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

/// Statements that go through a whole table on purpose, or stop after the first rows of one.
const WHOLE: [&str; 10] = [
    // One row.
    "domains/audit/store.rs: LOCK_HEAD",
    "domains/audit/store.rs: HEAD",
    "domains/audit/store.rs: MOVE_HEAD",
    // Verifying the log is reading it.
    "domains/audit/store.rs: SIGNATURES",
    // Lists from their newest or first on, a page at a time.
    "domains/audit/sql/search.sql",
    "domains/devices/sql/list.sql",
    "domains/devices/sql/list_unsent.sql",
    "register/sql/take_relation_review.sql",
    // Jobs that clear away.
    "domains/auth/store.rs: PRUNE_GUARDS",
    "domains/auth/store.rs: PRUNE_SESSIONS",
];

/// Committing, syncing, signing in and being audited must cost the same in a village and in a city: whatever these
/// statements read of a table that grows is found by an index. `OR id IN (SELECT …)` looked harmless, and made each commit
/// look at every record there is: 55 ms with 158,000 of them.
#[tokio::test]
async fn what_devices_wait_for_goes_through_no_table() {
    let database = TestDatabase::create().await.unwrap();
    let mut connection = database.owner.connect().await.unwrap();
    fill(&mut connection, &[]).await;
    // Whatever can be read by an index then is: a few thousand rows tell as much as ten million.
    let settings = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
        SET plan_cache_mode = force_generic_plan";
    sqlx::raw_sql(settings)
        .execute(&mut connection)
        .await
        .unwrap();
    let mut wrong = Vec::new();
    let mut planned = 0;
    let folders = [
        "register",
        "domains/audit",
        "domains/auth",
        "domains/devices",
    ];
    let areas = statements("domains/areas").into_iter();
    let followed = areas.filter(|(place, _)| place.ends_with("VILLAGES_BETWEEN"));
    // An erasure holds the scopes while it looks for the rows of files.
    let imports = statements("domains/imports").into_iter();
    let forgotten = imports.filter(|(place, _)| place.ends_with("forget.sql"));
    let all = folders.iter().flat_map(|folder| statements(folder));
    for (place, sql) in all.chain(followed).chain(forgotten) {
        let plan = plan(&mut connection, &sql).await;
        planned += usize::from(plan.is_some());
        let plan = plan.unwrap_or_default();
        let tables = scanned(&plan);
        if !tables.is_empty() && !WHOLE.contains(&place.as_str()) {
            wrong.push(format!("{place}: all of {}", tables.join(", ")));
        }
    }
    assert!(planned > 100, "{planned}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Of a token that stands in a column the planner knows nothing, and takes one record in two hundred to carry it: among
/// many it went through all records for each commit of a new resident, 220 ms with half a million and growing with the city.
/// Here nothing is forbidden, and a page found by an index is dear: with a tenth of a city's records it plans as with all.
#[tokio::test]
async fn who_carries_a_token_is_looked_at_and_nobody_else() {
    let database = TestDatabase::create().await.unwrap();
    let mut connection = database.owner.connect().await.unwrap();
    let many = [("records", 100_000), ("record_tokens", 100_000)];
    fill(&mut connection, &many).await;
    let settings = "SET plan_cache_mode = force_generic_plan; SET random_page_cost = 16";
    sqlx::raw_sql(settings)
        .execute(&mut connection)
        .await
        .unwrap();
    let by_token = statements("register")
        .into_iter()
        .filter(|(_, sql)| sql.contains("JOIN record_tokens") && sql.contains("tokens @>"));
    let (mut wrong, mut planned) = (Vec::new(), 0);
    for (place, sql) in by_token {
        let plan = plan(&mut connection, &sql).await.unwrap();
        planned += 1;
        let tables = scanned(&plan);
        if !tables.is_empty() {
            wrong.push(format!("{place}: all of {}", tables.join(", ")));
        }
    }
    assert!(planned >= 3, "{planned}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How a statement is carried out with nothing for all its parameters; none for one that has no plan.
async fn plan(connection: &mut PgConnection, sql: &str) -> Option<serde_json::Value> {
    let prepare = format!("PREPARE planned AS {sql}");
    sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&mut *connection)
        .await
        .unwrap();
    let count: i32 = sqlx::query_scalar(
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'planned'",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    let nothing = vec!["NULL"; usize::try_from(count).unwrap()].join(", ");
    let arguments = if count == 0 {
        String::new()
    } else {
        format!("({nothing})")
    };
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE planned{arguments}");
    let plan = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_optional(&mut *connection)
        .await
        .unwrap();
    sqlx::raw_sql("DEALLOCATE planned")
        .execute(&mut *connection)
        .await
        .unwrap();
    plan
}

/// Some thousand rows for each table, more for those named, of which nothing is right but the types: the planner wants to
/// see that there are many, and what is in a column of ids.
async fn fill(connection: &mut PgConnection, more: &[(&str, u32)]) {
    let columns: Vec<(String, String, String, bool, bool)> = sqlx::query_as(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attidentity <> '', \
         a.attnotnull \
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 \
         AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY c.relname, a.attnum",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (table, column, kind, identity, filled) in columns {
        let value = match kind.as_str() {
            "uuid" => "gen_random_uuid()",
            "bigint" | "integer" | "smallint" => "i",
            // Partial indexes are of these.
            "text" if column == "status" => "(ARRAY['open', 'active', 'decided'])[1 + i % 3]",
            "text" => "md5(i::text)",
            "boolean" => "i % 2 = 0",
            "timestamp with time zone" | "date" => "now() - i * interval '1 hour'",
            "jsonb" => "'{}'",
            "bytea" => "decode(md5(i::text), 'hex')",
            "area_code" => "'310101002' || lpad((i % 1000)::text, 3, '0')",
            "double precision" => "i",
            "inet" => "'127.0.0.1'",
            "uuid[]" => "ARRAY[gen_random_uuid()]",
            array if array.ends_with("[]") => "'{}'",
            other => panic!("{table}.{column}: fill in what a {other} is like"),
        };
        let columns = tables.entry(table).or_default();
        // What may be empty is so in every other row, each column in rows of its own.
        let each = columns.len() + 1;
        let value = match filled {
            true => value.to_owned(),
            false => format!("CASE WHEN i / {each} % 2 = 0 THEN {value} END"),
        };
        if !identity {
            columns.push((column, value));
        }
    }
    let loosen = "SET session_replication_role = replica; \
        DO $$ DECLARE it record; BEGIN FOR it IN SELECT conrelid::regclass AS of, conname FROM pg_constraint \
        WHERE contype = 'c' AND conrelid <> 0 AND connamespace = 'public'::regnamespace \
        LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', it.of, it.conname); END LOOP; END $$";
    sqlx::raw_sql(loosen)
        .execute(&mut *connection)
        .await
        .unwrap();
    for (table, columns) in tables {
        let (names, values): (Vec<String>, Vec<String>) = columns.into_iter().unzip();
        let rows = more.iter().find(|(name, _)| *name == table);
        let rows = rows.map_or(3_000, |(_, rows)| *rows);
        let insert = format!(
            "INSERT INTO {table} ({}) SELECT {} FROM generate_series(1, {rows}) AS i ON CONFLICT DO NOTHING",
            names.join(", "),
            values.join(", ")
        );
        let done = sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut *connection);
        done.await
            .unwrap_or_else(|error| panic!("{table}: {error}"));
    }
    let counted = "SET session_replication_role = origin; ANALYZE";
    sqlx::raw_sql(counted).execute(connection).await.unwrap();
}

/// The tables that a plan reads from end to end.
fn scanned(plan: &serde_json::Value) -> Vec<&str> {
    match plan {
        serde_json::Value::Array(parts) => parts.iter().flat_map(scanned).collect(),
        serde_json::Value::Object(node) => {
            let by_index = node.contains_key("Index Cond") || node.contains_key("Recheck Cond");
            let reads = node.get("Node Type").and_then(|kind| kind.as_str());
            let reads = reads
                .is_some_and(|kind| kind.ends_with("Scan") && !kind.starts_with("Bitmap Index"));
            let table = node.get("Relation Name").and_then(|name| name.as_str());
            let table = table.filter(|_| reads && !by_index);
            table
                .into_iter()
                .chain(node.values().flat_map(scanned))
                .collect()
        }
        _ => Vec::new(),
    }
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

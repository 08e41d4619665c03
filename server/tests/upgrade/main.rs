//! The upgrade drill: a register at every earlier step of the schema, with the rows that such a step can hold, is brought
//! up to date by an owner who is no superuser, as in production, and every row reads as it did. What a step moves
//! elsewhere is looked for there, and what it mends is broken before. Then the server reads it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod town;

use std::borrow::Cow;
use std::collections::BTreeMap;

use doorstep_server::database::MIGRATIONS;
use doorstep_server::register;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use town::Town;

/// Owns the databases, and stands before the wall of areas.
const OWNER: &str = "upgrade_owner";
const MAKE_OWNER: &str = "DO $$ BEGIN CREATE ROLE upgrade_owner LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS; \
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";
const MAY_GRANT: &str = "GRANT doorstep_app TO upgrade_owner WITH ADMIN OPTION";

/// The step that brought the register; before it there were only areas and users.
const REGISTER: i64 = 10;
/// The step that brought the table of what an event is about, until then a column of the event.
const SUBJECTS: i64 = 30;
/// The step that brought photos.
const PHOTOS: i64 = 50;
/// The step that says where an alarm lies.
const ALARMS: i64 = 74;
/// The step that says whom a refused item is about; those from before are read later.
const REFUSED: i64 = 76;
/// The step that moves visits by a clock that was ahead.
const VERIFIED: i64 = 78;
/// The step that puts alarms where they lie.
const ALARMS_LIE: i64 = 81;

/// As 78 leaves a visit by a clock that was ahead.
const MOVED: &str = "UPDATE event_subjects SET happened_at = accepted_at + interval '1 day' \
    FROM events WHERE events.id = event_id";
const AHEAD: &str = "UPDATE event_subjects SET happened_at = happened_at + interval '30 days'";
const NOWHERE: &str = "UPDATE alarms SET area_code = '310000000000'";
/// A column that a later step moved: search tokens stood in the records, until 0030.
const TOKENS: &str = "SELECT (to_jsonb(t) || jsonb_build_object('tokens', (SELECT k.tokens FROM record_tokens k \
    WHERE k.record_id = t.id)))::text FROM records t ORDER BY t.id";

const TABLES: &str = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' \
    AND tablename <> '_sqlx_migrations' ORDER BY 1";
const COLUMNS: &str = "SELECT quote_ident(column_name) FROM information_schema.columns \
    WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER' ORDER BY ordinal_position";

async fn execute(connection: &mut PgConnection, sql: String) {
    if let Err(error) = sqlx::query(AssertSqlSafe(sql.clone()))
        .execute(connection)
        .await
    {
        panic!("{sql}: {error}");
    }
}

async fn texts(connection: &mut PgConnection, sql: &str, of: &str) -> Vec<String> {
    let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    let query = if of.is_empty() {
        query
    } else {
        query.bind(of.to_owned())
    };
    query.fetch_all(connection).await.unwrap()
}

/// The rows of a table as JSON, these columns only, in an order of their own.
async fn rows(connection: &mut PgConnection, table: &str, columns: &[String]) -> Vec<String> {
    let columns = columns.join(", ");
    let sql = format!("SELECT to_jsonb(t)::text FROM (SELECT {columns} FROM {table}) t ORDER BY 1");
    texts(connection, &sql, "").await
}

/// A database of the owner's with the schema of the first steps: how its owner connects.
async fn at_step(cluster: &PgConnectOptions, number: usize) -> PgConnectOptions {
    let name = format!("test_{}_upgrade_{number}", std::process::id());
    let mut postgres = cluster
        .clone()
        .database("postgres")
        .connect()
        .await
        .unwrap();
    execute(
        &mut postgres,
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
    )
    .await;
    let create = format!("CREATE DATABASE {name} OWNER {OWNER}");
    execute(&mut postgres, create).await;
    let steps: Vec<_> = MIGRATIONS.iter().take(number).cloned().collect();
    let earlier = Migrator {
        migrations: Cow::Owned(steps),
        ..Migrator::DEFAULT
    };
    let options = cluster.clone().database(&name).username(OWNER);
    earlier
        .run(&mut options.connect().await.unwrap())
        .await
        .unwrap();
    options
}

/// Puts today's rows into an earlier schema, as far as it has tables and columns for them.
async fn fill(old: &mut PgConnection, today: &mut PgConnection) -> BTreeMap<String, Vec<String>> {
    execute(old, "SET session_replication_role = replica".to_owned()).await;
    let mut filled = BTreeMap::new();
    for table in texts(old, TABLES, "").await {
        let mut columns = texts(old, COLUMNS, &table).await;
        let now = texts(today, COLUMNS, &table).await;
        let moved = table == "records" && columns.iter().any(|column| column == "tokens");
        assert!(
            moved || columns.iter().all(|column| now.contains(column)),
            "{table} has lost a column: say where it went"
        );
        let all = if moved {
            texts(today, TOKENS, "").await
        } else {
            rows(today, &table, &now).await
        };
        let names = columns.join(", ");
        execute(old, format!("DELETE FROM {table}")).await;
        let insert = format!(
            "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE \
             SELECT {names} FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)"
        );
        let done = sqlx::query(AssertSqlSafe(insert))
            .bind(format!("[{}]", all.join(",")))
            .execute(&mut *old)
            .await;
        done.unwrap_or_else(|error| panic!("{table}: {error}"));
        columns.retain(|column| now.contains(column));
        filled.insert(table, columns);
    }
    execute(old, "SET session_replication_role = origin".to_owned()).await;
    filled
}

/// Breaks what the steps after `step` are there to mend.
async fn undo_what_follows(old: &mut PgConnection, step: i64) {
    if (SUBJECTS..VERIFIED).contains(&step) {
        execute(old, AHEAD.to_owned()).await;
    }
    if (ALARMS..ALARMS_LIE).contains(&step) {
        execute(old, NOWHERE.to_owned()).await;
    }
}

/// Holds columns of a table that was brought up to date against today's.
async fn same(old: &mut PgConnection, today: &mut PgConnection, table: &str, columns: &[String]) {
    let (is, was) = (
        rows(old, table, columns).await,
        rows(today, table, columns).await,
    );
    assert!(!was.is_empty(), "nothing in {table}");
    assert_eq!(is, was, "{table}");
}

#[tokio::test]
async fn every_earlier_schema_comes_up_to_date_with_every_row() {
    let mut town = Town::new().await;
    let said = town.said().await;
    let cluster = town.server.database.owner.clone();
    let mut today = cluster.connect().await.unwrap();
    for statement in [MAKE_OWNER, MAY_GRANT, MOVED] {
        execute(&mut today, statement.to_owned()).await;
    }
    let steps: Vec<i64> = MIGRATIONS.iter().map(|step| step.version).collect();
    let mut compared = 0;
    for (at, step) in steps.into_iter().enumerate() {
        if step < REGISTER {
            continue;
        }
        let owner = at_step(&cluster, at + 1).await;
        let name = owner.get_database().unwrap().to_owned();
        let mut old = cluster.clone().database(&name).connect().await.unwrap();
        let filled = fill(&mut old, &mut today).await;
        undo_what_follows(&mut old, step).await;
        town.server.move_to(&owner).await.unwrap();
        for (table, columns) in &filled {
            let (is, was) = (
                rows(&mut old, table, columns).await,
                rows(&mut today, table, columns).await,
            );
            assert_eq!(is, was, "{table}, from step {step}");
            compared += is.len();
        }
        // What is found by tokens, which event is about whom, where an alarm lies, wherever it stood, and whose ids are
        // taken.
        for (table, columns) in [
            ("record_tokens", &["record_id", "areas", "tokens"][..]),
            ("event_subjects", &["subject", "event_id"][..]),
            ("alarms", &["id", "area_code"][..]),
            ("register_ids", &["id"][..]),
        ] {
            let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
            same(&mut old, &mut today, table, &columns).await;
        }
        let unread = "refused_items WHERE subjects IS NULL";
        let unread = rows(&mut old, unread, &["id".to_owned()]).await;
        assert_eq!(unread.is_empty(), step >= REFUSED, "from step {step}");
        register::read_refused(&town.server.state).await.unwrap();
        let columns = ["id", "subjects"].map(str::to_owned);
        same(&mut old, &mut today, "refused_items", &columns).await;

        let now = town.said().await;
        assert_eq!(now, said.without_photo(step < PHOTOS), "from step {step}");
        town.server.stop_node();
        old.close().await.unwrap();
        let mut postgres = cluster
            .clone()
            .database("postgres")
            .connect()
            .await
            .unwrap();
        execute(&mut postgres, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }
    assert!(compared > 200, "only {compared} rows");
}

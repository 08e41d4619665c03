//! The upgrade drill: a register at every earlier step of the schema, with the rows that such a step can hold, is brought
//! up to date, and every row reads as it did. What a step moves elsewhere is looked for there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use doorstep_server::database::MIGRATIONS;
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::VILLAGE;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// The step that brought the register; before it there were only areas and users.
const REGISTER: i64 = 10;
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

/// A database of its own with the schema of the first steps.
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
    execute(&mut postgres, format!("CREATE DATABASE {name}")).await;
    let steps: Vec<_> = MIGRATIONS.iter().take(number).cloned().collect();
    let earlier = Migrator {
        migrations: Cow::Owned(steps),
        ..Migrator::DEFAULT
    };
    let options = cluster.clone().database(&name);
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

#[tokio::test]
async fn every_earlier_schema_comes_up_to_date_with_every_row() {
    let server = TestServer::open_city().await.unwrap();
    server.dispute(VILLAGE).await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (resident, item) = phone.resident("林晓", "").unwrap();
    let (_, stay) = phone.residence(resident, "思南路1号101室", true).unwrap();
    let (_, visit) = phone.visit(resident, VILLAGE).unwrap();
    phone.send(&server, vec![item, stay, visit]).await.unwrap();
    let cluster = server.database.owner.clone();
    let mut today = cluster.connect().await.unwrap();
    let steps: Vec<i64> = MIGRATIONS.iter().map(|step| step.version).collect();
    let mut compared = 0;
    for number in 1..=steps.len() {
        if steps[number - 1] < REGISTER {
            continue;
        }
        let options = at_step(&cluster, number).await;
        let mut old = options.connect().await.unwrap();
        let filled = fill(&mut old, &mut today).await;
        MIGRATIONS.run(&mut old).await.unwrap();
        for (table, columns) in &filled {
            let (is, was) = (
                rows(&mut old, table, columns).await,
                rows(&mut today, table, columns).await,
            );
            assert_eq!(is, was, "{table}, from step {}", steps[number - 1]);
            compared += is.len();
        }
        // Whom a search finds is told by tokens, wherever they stood.
        let columns = ["record_id", "areas", "tokens"].map(str::to_owned);
        assert_eq!(
            rows(&mut old, "record_tokens", &columns).await,
            rows(&mut today, "record_tokens", &columns).await,
            "tokens, from step {}",
            steps[number - 1]
        );
        old.close().await.unwrap();
        let name = options.get_database().unwrap().to_owned();
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

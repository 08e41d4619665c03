//! Restoring into an empty place: the schema as it was, the rows, digests held equal, the keys put back, and what was
//! erased after the backup erased again. The schema's later steps follow when the server opens the database.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use doorstep_core::ids::RecordId;
use serde::Serialize;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::manifest::Manifest;
use super::tables::{self, Wanted, quoted};
use super::{AREA_KEYS, ERASED, OBJECTS, catalogue, objects};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::database::{MIGRATIONS, Ownership, Unopened};
use crate::domains::audit::{self, Action, Entry, Verdict};
use crate::domains::{photos, registry};
use crate::keys::{FileKeys, KeyProvider};
use crate::state::AppState;

const SEE_ALL: &str = "SELECT set_config('doorstep.areas', '%', true)";
const CHECK_REFERENCES: &str = "SET CONSTRAINTS ALL IMMEDIATE";
const ROOM_TO_SORT: &str = "SET LOCAL maintenance_work_mem = '256MB'";
const SET_SEQUENCE: &str = "SELECT setval($1::regclass, $2)";

/// What was restored.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    /// When the backup was taken.
    pub made_at: DateTime<Utc>,
    /// When the keys were.
    pub keys_made_at: DateTime<Utc>,
    /// How many tables, each with the digest that the backup names.
    pub tables: usize,
    /// How many rows.
    pub rows: u64,
    /// How many objects of photos.
    pub objects: u64,
    /// How many files lay beside them that the backup does not name; they were left there.
    pub unlisted: u64,
    /// How many records that were erased after the backup were erased again.
    pub erased_again: u64,
    /// What the audit log's verification found.
    pub audit: Verdict,
}

/// Restores `folder` with `keys` into the empty database of `config`, whose data folder has the server's own keys.
///
/// # Errors
/// When anything does not fit: the place is not empty, a file is damaged, the keys are older than the backup.
pub async fn restore(
    config: Config,
    clock: Arc<dyn Clock>,
    folder: &Path,
    keys: &Path,
) -> anyhow::Result<Restored> {
    let own = config.data.join("keys");
    ensure!(
        own.join("root.key").exists(),
        "{} 里没有服务器自己的密钥：请先把另外保管的 keys 目录放到那里，再恢复",
        own.display()
    );
    let provider = FileKeys::open(&own)?;
    let server = provider.server_key().public();
    let data = Manifest::read(folder, "data", &server)?;
    let secret = Manifest::read(keys, "keys", &server)?;
    ensure!(
        secret.made_at >= data.made_at,
        "密钥目录比备份旧（{} 早于 {}）：请用最新的一份密钥",
        secret.made_at,
        data.made_at
    );
    let newest = MIGRATIONS
        .iter()
        .map(|step| step.version)
        .max()
        .unwrap_or(0);
    ensure!(
        data.schema <= newest && secret.schema <= newest,
        "备份由更新版本的服务器生成，请先更新服务器再恢复"
    );
    for file in &data.tables {
        tables::check(file, folder)?;
    }
    for file in &secret.tables {
        tables::check(file, keys)?;
    }
    let unlisted = match &data.object_list {
        Some(list) => objects::check(list, folder).await?,
        None => 0,
    };
    let unopened = Unopened::open(&config).await?;
    let filled = fill(&unopened, &data, folder, &secret, keys).await;
    unopened.close().await?;
    let erased = filled?;
    let app = App::open(config, clock, Ownership::Own).await?;
    let finished = finish(&app, &data, &secret, folder, &erased).await;
    app.close().await?;
    Ok(Restored {
        unlisted,
        ..finished?
    })
}

/// Everything that happens in the database before the server opens it: in one transaction, so that a restore that
/// breaks off leaves an empty place. Gives the records that the keys say are erased.
async fn fill(
    unopened: &Unopened,
    data: &Manifest,
    folder: &Path,
    secret: &Manifest,
    keys: &Path,
) -> anyhow::Result<Vec<RecordId>> {
    let mut database = unopened.connect().await?;
    let there = catalogue::all_names(&mut database).await?;
    ensure!(
        there.is_empty(),
        "数据库里已有数据（{} 张表）：只能恢复到空的数据目录或空的数据库",
        there.len()
    );
    let steps = MIGRATIONS.iter().filter(|step| step.version <= data.schema);
    Migrator::with_migrations(steps.cloned().collect())
        .run(&mut database)
        .await?;
    let mut tx = database.begin().await?;
    sqlx::query(SEE_ALL).execute(&mut *tx).await?;
    let walled = catalogue::walled(&mut tx).await?;
    for table in &walled {
        // Rows are written by COPY, which the wall of areas does not let even the owner use.
        run(
            &mut tx,
            format!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", quoted(table)),
        )
        .await?;
    }
    let names: Vec<String> = catalogue::tables(&mut tx)
        .await?
        .iter()
        .map(|table| quoted(&table.name))
        .collect();
    // Some steps of the schema begin with a row.
    run(&mut tx, format!("TRUNCATE {} CASCADE", names.join(", "))).await?;
    // Made at once from all rows, an index takes a fraction of what it takes row by row.
    let indexes = catalogue::indexes(&mut tx).await?;
    for (index, _) in &indexes {
        run(&mut tx, format!("DROP INDEX {index}")).await?;
    }
    load_tables(&mut tx, data, folder, secret, keys).await?;
    for (sequence, value) in &data.sequences {
        sqlx::query(SET_SEQUENCE)
            .bind(sequence)
            .bind(value)
            .execute(&mut *tx)
            .await?;
    }
    let mut erased = Vec::new();
    for file in &secret.tables {
        match file.name.as_str() {
            AREA_KEYS => drop(tables::load(file, keys, None, &mut tx).await?),
            ERASED => erased = tables::ids(file, keys)?,
            _ => {}
        }
    }
    // Everything that anything refers to is there now.
    run(&mut tx, CHECK_REFERENCES.to_owned()).await?;
    run(&mut tx, ROOM_TO_SORT.to_owned()).await?;
    for (_, index) in indexes {
        run(&mut tx, index).await?;
    }
    for table in &walled {
        run(
            &mut tx,
            format!("ALTER TABLE {} FORCE ROW LEVEL SECURITY", quoted(table)),
        )
        .await?;
    }
    tx.commit().await?;
    database.close().await?;
    Ok(erased)
}

/// Loads the tables, each row with its newest key, and holds each table against the backup.
async fn load_tables(
    tx: &mut PgConnection,
    data: &Manifest,
    folder: &Path,
    secret: &Manifest,
    keys: &Path,
) -> anyhow::Result<()> {
    for file in &data.tables {
        let keys_of = secret.tables.iter().find(|keys| keys.name == file.name);
        let digest = tables::load(file, folder, keys_of.map(|file| (file, keys)), tx)
            .await
            .with_context(|| format!("恢复表 {}", file.name))?;
        if Wanted::again(file).digest(tx).await? != digest {
            bail!("恢复后表 {} 与备份不一致", file.name);
        }
    }
    Ok(())
}

/// Runs a statement that is made of the schema's own names.
async fn run(tx: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(tx).await?;
    Ok(())
}

/// Puts the photos' objects into the store, each as the backup's list says; gives how many.
async fn put_objects(state: &AppState, data: &Manifest, folder: &Path) -> anyhow::Result<u64> {
    let from = folder.join(OBJECTS);
    let put = match &data.object_list {
        Some(list) => {
            let put = |name, object| photos::service::put_object(state, name, object);
            objects::each(list, folder, put).await?;
            list.rows
        }
        None if from.exists() => photos::service::copy_in(state, &from).await?.0,
        None => 0,
    };
    ensure!(
        put == data.objects.0,
        "备份里应有 {} 个照片对象，实有 {put} 个",
        data.objects.0
    );
    Ok(put)
}

/// What needs the server's rules: photos' objects, erasing again, the audit log.
async fn finish(
    app: &App,
    data: &Manifest,
    secret: &Manifest,
    folder: &Path,
    erased: &[RecordId],
) -> anyhow::Result<Restored> {
    let state = &app.state;
    let objects = put_objects(state, data, folder).await?;
    // Before the first entry after the restore: what was taken is whole.
    let audit = audit::verify(state).await?;
    let erased_again = registry::service::erase_again(state, erased).await?;
    let mut tx = crate::database::system_tx(&state.pool).await?;
    let detail = serde_json::json!({ "made_at": data.made_at, "erased_again": erased_again });
    let entry = Entry::by_server(state.clock.now(), Action::Restore).detail(detail);
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(Restored {
        made_at: data.made_at,
        keys_made_at: secret.made_at,
        tables: data.tables.len(),
        rows: data.tables.iter().map(|file| file.rows).sum(),
        objects,
        unlisted: 0,
        erased_again,
        audit,
    })
}

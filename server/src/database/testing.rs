//! Databases for tests: one private cluster for all test processes of a target folder, one migrated
//! template, and a clone of it for each test. The cluster is left running for the next run; `stop` ends it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::{Durability, Embedded, MIGRATIONS};

/// A database of its own for one test, dropped with it.
#[derive(Debug)]
pub struct TestDatabase {
    /// Connections of the application's role, as the server has them.
    pub pool: PgPool,
    /// How to connect as the owner, past row-level security: to tamper, or to look at everything.
    pub owner: PgConnectOptions,
    name: String,
    cluster: Embedded,
}

impl TestDatabase {
    /// A fresh clone of the migrated template.
    ///
    /// # Errors
    /// When no PostgreSQL can be had or a migration fails.
    pub async fn create() -> anyhow::Result<Self> {
        let cluster = tokio::task::spawn_blocking(ensure_cluster).await??;
        let template = template_name();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "test_{}_{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let mut server = cluster.options("postgres").connect().await?;
        execute(
            &mut server,
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
        .await?;
        execute(
            &mut server,
            format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await?;
        server.close().await?;
        let owner = cluster.options(&name);
        let pool = super::connect(&owner, 12).await?;
        Ok(Self {
            pool,
            owner,
            name,
            cluster,
        })
    }

    /// Runs one statement as the owner, past row-level security and the application's rights.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn as_owner(&self, statement: &str) -> anyhow::Result<u64> {
        let mut connection = self.owner.connect().await?;
        let done = sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(done.rows_affected())
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (options, name) = (self.cluster.options("postgres"), self.name.clone());
        // A thread of its own, since the test's runtime may be the one that is ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut server = options.connect().await?;
                execute(
                    &mut server,
                    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                )
                .await
            })
        })
        .join();
        if !matches!(dropped, Ok(Ok(()))) {
            tracing::warn!(name = self.name, "a test database was left behind");
        }
    }
}

/// Stops the shared cluster, if it runs.
///
/// # Errors
/// When it does not stop.
pub fn stop() -> anyhow::Result<()> {
    let folder = cluster_folder()?;
    if folder.join("postgres").exists() {
        let cluster = Embedded::prepare(&folder, Durability::None)?;
        if cluster.is_running() {
            cluster.stop()?;
        }
    }
    Ok(())
}

/// The shared cluster, started, with the template in place. Processes wait for each other.
fn ensure_cluster() -> anyhow::Result<Embedded> {
    let folder = cluster_folder()?;
    std::fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let cluster = Embedded::prepare(&folder, Durability::None)?;
    if !cluster.is_running() {
        cluster.start()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let prepared = cluster.clone();
    // Called from a blocking thread of another runtime, where a nested one is allowed.
    std::thread::spawn(move || runtime.block_on(ensure_template(&prepared)))
        .join()
        .map_err(|_| anyhow::anyhow!("preparing the template panicked"))??;
    Ok(cluster)
}

async fn ensure_template(cluster: &Embedded) -> anyhow::Result<()> {
    let template = template_name();
    let mut server = cluster
        .options("postgres")
        .connect()
        .await
        .context("connecting to the test cluster")?;
    drop_leftovers(&mut server).await?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&template)
            .fetch_one(&mut server)
            .await?;
    if exists {
        return Ok(());
    }
    // Built under another name, so that a run killed half-way leaves no half template.
    execute(
        &mut server,
        "DROP DATABASE IF EXISTS template_unfinished WITH (FORCE)".to_owned(),
    )
    .await?;
    execute(
        &mut server,
        "CREATE DATABASE template_unfinished".to_owned(),
    )
    .await?;
    super::migrate(&cluster.options("template_unfinished")).await?;
    execute(
        &mut server,
        format!("ALTER DATABASE template_unfinished RENAME TO {template}"),
    )
    .await?;
    server.close().await?;
    Ok(())
}

/// Drops the databases of test processes that were killed.
async fn drop_leftovers(server: &mut sqlx::PgConnection) -> anyhow::Result<()> {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE datname LIKE 'test\\_%'")
            .fetch_all(&mut *server)
            .await?;
    for name in names {
        let process = name.split('_').nth(1).unwrap_or_default();
        if !std::path::Path::new("/proc").join(process).exists() {
            execute(
                server,
                format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            )
            .await?;
        }
    }
    Ok(())
}

/// Named after the migrations' contents, so that a changed schema gets a new template.
fn template_name() -> String {
    let sums: Vec<&[u8]> = MIGRATIONS
        .iter()
        .map(|step| step.checksum.as_ref())
        .collect();
    format!(
        "template_{}",
        hex::encode(&doorstep_core::crypto::sm3::digest(&sums)[..8])
    )
}

/// In the target folder, which a checkout always has and `cargo clean` removes.
fn cluster_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .context("the test program lies in no target folder")?;
    Ok(target.join("test-database"))
}

async fn execute(connection: &mut sqlx::PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::query(AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}

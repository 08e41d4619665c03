//! Opens the database, private or given by address, brings its schema up to date, and opens
//! transactions within a right's areas. Knows no domain's tables.

mod account;
mod binaries;
mod embedded;
mod scope;
#[cfg(feature = "testing")]
pub mod testing;

use std::fs::File;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use embedded::{Durability, Embedded};
pub use scope::{Tx, area_tx, below, between, narrow, system_tx, widen};

use crate::config::Config;

/// The server's schema, one file a step.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// The role that every request works as: no superuser, and row-level security binds it.
const APPLICATION_ROLE: &str = "doorstep_app";

/// Database of the private cluster.
const DATABASE: &str = "doorstep";

/// Lets the steps of the schema see every row: an owner who is no superuser stands before the wall of areas too.
const SEE_ALL: &str = "SELECT set_config('doorstep.areas', '%', false)";

/// How often a private cluster is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether the private cluster is ours to start and stop, or may be another process's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// A server: starts the cluster, and refuses a data folder in use.
    Own,
    /// A command beside a server: uses its cluster if one runs, else starts one for itself.
    Share,
}

/// An open database.
#[derive(Debug)]
pub struct Database {
    /// Connections of the application's role.
    pub pool: PgPool,
    cluster: Option<Embedded>,
    _lock: Option<File>,
}

impl Database {
    /// Opens the database of `config` with its schema up to date.
    ///
    /// # Errors
    /// When it can't be reached or started, the data folder is another server's, or a migration fails.
    pub async fn open(config: &Config, ownership: Ownership) -> anyhow::Result<Self> {
        let (owner, cluster, lock) = find(config, ownership).await?;
        migrate(&owner).await?;
        let pool = connect(&owner, config.database_connections).await?;
        Ok(Self {
            pool,
            cluster,
            _lock: lock,
        })
    }

    /// Starts the private cluster again whenever it has ended by itself (killed, out of memory, its disk full), until the
    /// server stops. Looking costs two small reads.
    pub fn keep_up(&self, mut stopping: watch::Receiver<bool>) -> JoinHandle<()> {
        let cluster = self.cluster.clone();
        tokio::spawn(async move {
            let Some(cluster) = cluster else { return };
            loop {
                tokio::select! {
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                let cluster = cluster.clone();
                let looked = tokio::task::spawn_blocking(move || {
                    if cluster.is_running() {
                        return Ok(());
                    }
                    tracing::error!("the private database has ended and is started again");
                    cluster.start()
                });
                if let Ok(Err(error)) = looked.await {
                    tracing::error!(error = format!("{error:#}"), "it does not start yet");
                }
            }
        })
    }

    /// Closes the connections and stops a private cluster that we started.
    ///
    /// # Errors
    /// When the cluster does not stop.
    pub async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        stop(self.cluster).await
    }
}

/// A database as it lies there: its schema is not looked at. For what fills an empty one.
#[derive(Debug)]
pub struct Unopened {
    owner: PgConnectOptions,
    cluster: Option<Embedded>,
    _lock: Option<File>,
}

impl Unopened {
    /// Finds the database of `config`; a private one is made when there is none, and started.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let (owner, cluster, lock) = find(config, Ownership::Own).await?;
        Ok(Self {
            owner,
            cluster,
            _lock: lock,
        })
    }

    /// A connection as its owner.
    ///
    /// # Errors
    /// When it can't be reached.
    pub async fn connect(&self) -> anyhow::Result<sqlx::PgConnection> {
        let connected = self.owner.connect().await;
        connected.context("连接不上数据库：请检查地址、账号和网络")
    }

    /// Stops a private cluster.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn close(self) -> anyhow::Result<()> {
        stop(self.cluster).await
    }
}

async fn stop(cluster: Option<Embedded>) -> anyhow::Result<()> {
    if let Some(cluster) = cluster {
        tokio::task::spawn_blocking(move || cluster.stop()).await??;
    }
    Ok(())
}

/// The owner's way to the database, and the private cluster where it is ours.
async fn find(
    config: &Config,
    ownership: Ownership,
) -> anyhow::Result<(PgConnectOptions, Option<Embedded>, Option<File>)> {
    match &config.database_url {
        Some(url) => Ok((
            PgConnectOptions::from_str(url).context("数据库地址无法识别")?,
            None,
            None,
        )),
        None => open_private(config, ownership).await,
    }
}

async fn open_private(
    config: &Config,
    ownership: Ownership,
) -> anyhow::Result<(PgConnectOptions, Option<Embedded>, Option<File>)> {
    let folder = config.data.clone();
    let (cluster, lock) =
        tokio::task::spawn_blocking(move || start_private(&folder, ownership)).await??;
    let server = cluster.options("postgres");
    let mut connection = connect_patiently(&server).await?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        sqlx::query("CREATE DATABASE doorstep")
            .execute(&mut connection)
            .await?;
    }
    connection.close().await?;
    let owner = cluster.options(DATABASE);
    Ok((owner, lock.is_some().then_some(cluster), lock))
}

/// The lock file tells whose the cluster is; the kernel lets go of it however a process ends.
fn start_private(folder: &Path, ownership: Ownership) -> anyhow::Result<(Embedded, Option<File>)> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("不能建立数据目录 {}", folder.display()))?;
    let lock = File::create(folder.join("lock"))?;
    match (lock.try_lock(), ownership) {
        (Ok(()), _) => {
            let cluster = Embedded::prepare(folder, Durability::Full)?;
            cluster.start()?;
            Ok((cluster, Some(lock)))
        }
        (Err(_), Ownership::Own) => {
            bail!(
                "数据目录 {} 正被另一个服务使用：请先停止它，或换一个目录",
                folder.display()
            )
        }
        (Err(_), Ownership::Share) => Ok((Embedded::prepare(folder, Durability::Full)?, None)),
    }
}

/// A server that has just taken the lock needs a moment to start its cluster.
async fn connect_patiently(options: &PgConnectOptions) -> anyhow::Result<sqlx::PgConnection> {
    let mut tries = 0;
    loop {
        match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) if tries == 50 => return Err(error).context("连接不上数据库"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        tries += 1;
    }
}

/// Brings the schema up to date, as the database's owner.
pub(crate) async fn migrate(owner: &PgConnectOptions) -> anyhow::Result<()> {
    let mut connection = owner
        .connect()
        .await
        .context("连接不上数据库：请检查地址、账号和网络")?;
    sqlx::query(SEE_ALL).execute(&mut connection).await?;
    MIGRATIONS
        .run(&mut connection)
        .await
        .context("数据库结构升级失败")?;
    connection.close().await?;
    Ok(())
}

/// A pool whose connections work as the application's role.
pub(crate) async fn connect(owner: &PgConnectOptions, connections: u32) -> anyhow::Result<PgPool> {
    let options = owner
        .clone()
        .application_name("doorstep")
        .options([("role", APPLICATION_ROLE)])
        .log_statements(tracing::log::LevelFilter::Trace);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .context("连接不上数据库")?;
    Ok(pool)
}

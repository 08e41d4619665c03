//! A whole server in the test's process: a database of its own, a free port, a clock that the test turns.
//! Knows no domain beyond what tests of all of them need.

mod ask;
pub mod city;
mod crowd;
mod nats;
pub mod phone;
mod tampering;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeZone, Utc};
use doorstep_core::rights::Role;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::bus;
use crate::clock::Clock;
use crate::config::Config;
use crate::database;
use crate::database::testing::TestDatabase;
use crate::http::listen;
use crate::router;
use crate::state::AppState;

pub use city::{Person, TestDevice};
pub use crowd::{Member, crowd};
pub use nats::Nats;
pub use phone::Phone;
pub use tampering::flipped;

/// A clock that stands still until it is turned.
#[derive(Debug)]
pub struct TestClock(Mutex<DateTime<Utc>>);

impl Default for TestClock {
    fn default() -> Self {
        // 24 November 2026, 09:00 in Shanghai
        Self(Mutex::new(
            Utc.timestamp_opt(1_795_482_000, 0)
                .single()
                .unwrap_or_default(),
        ))
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl TestClock {
    /// Turns it forward.
    pub fn advance(&self, by: Duration) {
        *self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) += by;
    }
}

/// A server under test. Stops when it is dropped.
#[derive(Debug)]
pub struct TestServer {
    /// What its handlers share; for calls past HTTP.
    pub state: AppState,
    /// Its time.
    pub clock: Arc<TestClock>,
    /// Its database; tamper with it as the owner.
    pub database: TestDatabase,
    /// Where it listens.
    pub address: SocketAddr,
    /// More nodes of the same system.
    nodes: Vec<Node>,
    turn: AtomicUsize,
    client: reqwest::Client,
    administrators: BTreeMap<Role, Person>,
    stop: watch::Sender<bool>,
    data: tempfile::TempDir,
}

/// Another node on the same database. Stops when it is dropped.
#[derive(Debug)]
struct Node {
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: reqwest::header::HeaderMap,
    /// Body as JSON; `Null` when there is none, a text when it is no JSON.
    pub body: Value,
}

impl Reply {
    /// The error's stable code; empty when it is no error.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

impl TestServer {
    /// Starts one with default settings (and cheap passwords).
    ///
    /// # Errors
    /// When no database can be had.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// Starts one with settings of the test's.
    ///
    /// # Errors
    /// When no database can be had.
    pub async fn start_with(adjust: impl FnOnce(&mut Config)) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let mut config = Config::new(data.path().to_path_buf());
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.sign_in.password_rounds = 10;
        adjust(&mut config);
        let database = TestDatabase::create().await?;
        let clock = Arc::new(TestClock::default());
        let (stop, stopping) = watch::channel(false);
        let state = AppState::assemble(config, clock.clone(), database.pool.clone(), stopping)?;
        let address = serve(&state).await?;
        Ok(Self {
            state,
            clock,
            database,
            address,
            nodes: Vec::new(),
            turn: AtomicUsize::new(0),
            client: reqwest::Client::new(),
            administrators: BTreeMap::new(),
            stop,
            data,
        })
    }

    /// Starts another node on the same database, keys and clock; they hear each other when there is a bus.
    ///
    /// # Errors
    /// When it doesn't start.
    pub async fn add_node(&mut self) -> anyhow::Result<()> {
        let (stop, stopping) = watch::channel(false);
        let config = Config::clone(&self.state.config);
        let pool = self.database.pool.clone();
        let state = AppState::assemble(config, self.clock.clone(), pool, stopping)?;
        let address = serve(&state).await?;
        self.nodes.push(Node { address, stop });
        Ok(())
    }

    /// Goes over to another node on the same database, keys and clock, with so many connections to the database.
    ///
    /// # Errors
    /// When it doesn't start.
    pub async fn narrow_to(&mut self, connections: u32) -> anyhow::Result<()> {
        let owner = self.database.owner.clone();
        self.go_over(&owner, connections).await
    }

    /// Goes over to another node on another database, opened as a server opens the one that it is given: as its owner
    /// says, with the schema brought up to date. Keys, photos and clock stay.
    ///
    /// # Errors
    /// When the schema can't be brought up to date, or it doesn't start.
    pub async fn move_to(&mut self, owner: &PgConnectOptions) -> anyhow::Result<()> {
        database::migrate(owner).await?;
        self.go_over(owner, 4).await
    }

    async fn go_over(&mut self, owner: &PgConnectOptions, connections: u32) -> anyhow::Result<()> {
        let (stop, stopping) = watch::channel(false);
        let config = Config::clone(&self.state.config);
        let pool = database::connect(owner, connections).await?;
        self.state = AppState::assemble(config, self.clock.clone(), pool, stopping)?;
        self.address = serve(&self.state).await?;
        let address = self.address;
        self.nodes.push(Node { address, stop });
        Ok(())
    }

    /// Stops this node and starts another in its place, on the same database, keys and clock: it knows nothing but what is
    /// kept there.
    ///
    /// # Errors
    /// When it doesn't start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        let (stop, stopping) = watch::channel(false);
        let config = Config::clone(&self.state.config);
        let pool = self.database.pool.clone();
        self.state = AppState::assemble(config, self.clock.clone(), pool, stopping)?;
        self.address = serve(&self.state).await?;
        self.stop = stop;
        Ok(())
    }

    /// Stops the node that was added last.
    pub fn stop_node(&mut self) {
        self.nodes.pop();
    }

    /// Where the next device connects: each node in its turn.
    #[must_use]
    pub fn next_address(&self) -> SocketAddr {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % (self.nodes.len() + 1);
        turn.checked_sub(1)
            .and_then(|at| self.nodes.get(at))
            .map_or(self.address, |node| node.address)
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// One request: method, path, a token or none, a JSON body or none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<Reply> {
        self.send_if(method, path, token, None, body).await
    }

    /// As [`send`](Self::send), with the version that was read (If-Match).
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn send_if(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        version: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<Reply> {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method.parse()?, url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(version) = version {
            request = request.header(reqwest::header::IF_MATCH, version);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request
            .send()
            .await
            .with_context(|| format!("{method} {path}"))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok(Reply {
            status,
            headers,
            body,
        })
    }
}

async fn serve(state: &AppState) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(state.config.listen).await?;
    let address = listener.local_addr()?;
    let (serving, router) = (state.clone(), router::build(state.clone()));
    let most = state.config.connections;
    tokio::spawn(listen::serve(listener, router, most, async move {
        serving.stopped().await;
    }));
    bus::start(state);
    Ok(address)
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

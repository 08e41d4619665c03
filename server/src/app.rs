//! Puts the server together, serves until told to stop, and takes it apart again.
//! Knows no route and no rule.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::bus;
use crate::clock::Clock;
use crate::config::Config;
use crate::database::{Database, Ownership};
use crate::http::listen;
use crate::jobs;
use crate::router;
use crate::state::AppState;

/// How long requests under way may take when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// The server, put together but not serving yet. Commands use its state directly.
#[derive(Debug)]
pub struct App {
    /// What handlers and jobs share.
    pub state: AppState,
    database: Database,
    stop: watch::Sender<bool>,
}

impl App {
    /// Opens database and keys.
    ///
    /// # Errors
    /// When either can't be opened; the message says what to do.
    pub async fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        ownership: Ownership,
    ) -> anyhow::Result<Self> {
        let database = Database::open(&config, ownership).await?;
        let (stop, stopping) = watch::channel(false);
        let state = AppState::assemble(config, clock, database.pool.clone(), stopping)?;
        Ok(Self {
            state,
            database,
            stop,
        })
    }

    /// Takes the address to serve on.
    ///
    /// # Errors
    /// When another program has it.
    pub async fn bind(&self) -> anyhow::Result<TcpListener> {
        let address = self.state.config.listen;
        TcpListener::bind(address)
            .await
            .with_context(|| format!("不能使用地址 {address}：可能已被占用，请换一个 --listen"))
    }

    /// Serves until `shutdown`, then lets requests end, and closes the database.
    ///
    /// # Errors
    /// When serving fails, or the private database does not stop.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let router = router::build(self.state.clone());
        let state = self.state.clone();
        let most = self.state.config.connections;
        let mut serving = tokio::spawn(listen::serve(listener, router, most, async move {
            state.stopped().await;
        }));
        let jobs = jobs::start(&self.state);
        let bus = bus::start(&self.state);
        let kept_up = self.database.keep_up(self.state.stopping.clone());
        let ended_early = tokio::select! {
            () = shutdown => None,
            result = &mut serving => Some(result),
        };
        self.stop.send_replace(true);
        match ended_early {
            Some(result) => result?,
            None => match tokio::time::timeout(DRAIN, &mut serving).await {
                Ok(result) => result?,
                Err(_) => {
                    tracing::warn!("requests were still under way when the server stopped");
                    serving.abort();
                }
            },
        }
        jobs.await.ok();
        bus.await.ok();
        kept_up.await.ok();
        self.close().await
    }

    /// Closes without having served: for commands.
    ///
    /// # Errors
    /// When the private database does not stop.
    pub async fn close(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        self.database.close().await
    }
}

/// Returns on SIGTERM or Ctrl-C.
///
/// # Errors
/// When the signals can't be listened for.
pub async fn termination() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

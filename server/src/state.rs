//! What every handler and job shares. Knows no request.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Config;
use crate::keys::KeyRing;
use crate::live::Live;

/// The server's shared parts; cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    /// Connections to the database, as the application's role.
    pub pool: PgPool,
    /// The operator's choices.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The key tree.
    pub keys: Arc<KeyRing>,
    /// Notices to parts with open connections.
    pub live: Live,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// Turns true when the server begins to stop.
    pub stopping: watch::Receiver<bool>,
}

impl AppState {
    /// Returns when the server begins to stop: for loops and open sockets.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        stopping.wait_for(|stopping| *stopping).await.ok();
    }
}

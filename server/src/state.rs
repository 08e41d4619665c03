//! What every handler and job shares. Knows no request.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::sync::{Notify, watch};

use crate::bus::Bus;
use crate::clock::Clock;
use crate::config::Config;
use crate::domains::audit::{AuditWriter, Refusals};
use crate::domains::photos::Photos;
use crate::domains::police_photos::PolicePhotos;
use crate::domains::registry::LongLists;
use crate::http::metrics;
use crate::keys::{FileKeys, KeyRing};
use crate::live::Live;
use crate::sync::Hub;

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
    /// What other nodes must hear.
    pub bus: Bus,
    /// Notices to parts with open connections.
    pub live: Live,
    /// Who is online and follows which scope.
    pub hub: Hub,
    /// Writes the audit records of reads.
    pub audit: AuditWriter,
    /// Photos that the police have collected.
    pub police_photos: PolicePhotos,
    /// Counts refusals that anyone can cause.
    pub refusals: Refusals,
    /// Lists with more than are counted.
    pub long_lists: LongLists,
    /// Wakes the job that opens checks and acts on their answers.
    pub checks_due: Arc<Notify>,
    /// Where photos lie.
    pub photos: Photos,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// Turns true when the server begins to stop.
    pub stopping: watch::Receiver<bool>,
}

impl AppState {
    /// Puts the parts together: keys from the data folder, the photos' store, the audit writer started.
    ///
    /// # Errors
    /// When the keys or a store can't be opened.
    pub fn assemble(
        config: Config,
        clock: Arc<dyn Clock>,
        pool: PgPool,
        stopping: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let bus = match config.bus {
            Some(_) => Bus::open(),
            None => Bus::default(),
        };
        let provider = Arc::new(FileKeys::open(&config.data.join("keys"))?);
        Ok(Self {
            keys: Arc::new(KeyRing::new(provider, &pool)),
            audit: AuditWriter::start(pool.clone()),
            police_photos: PolicePhotos::open(&config)?,
            photos: Photos::open(&config)?,
            config: Arc::new(config),
            live: Live::new(bus.clone()),
            hub: Hub::new(bus.clone()),
            bus,
            checks_due: Arc::default(),
            refusals: Refusals::default(),
            long_lists: LongLists::default(),
            metrics: metrics::recorder()?,
            pool,
            clock,
            stopping,
        })
    }

    /// Returns when the server begins to stop: for loops and open sockets.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        stopping.wait_for(|stopping| *stopping).await.ok();
    }
}

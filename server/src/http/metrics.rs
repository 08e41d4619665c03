//! Counters and histograms in Prometheus' text form. The recorder is the process's one.

use std::sync::OnceLock;

use anyhow::Context;
use axum::extract::State;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::state::AppState;

/// Upper bounds in seconds: from a cached answer to the request limit.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The process's recorder, set up on first use.
///
/// # Errors
/// When another recorder was installed before.
pub fn recorder() -> anyhow::Result<PrometheusHandle> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets(SECONDS)?
        .build_recorder();
    let handle = recorder.handle();
    match metrics::set_global_recorder(recorder) {
        Ok(()) => Ok(RECORDER.get_or_init(|| handle).clone()),
        // Two servers of one process (tests) may arrive here at once; the other one's handle is about to be set.
        Err(_) => RECORDER
            .get()
            .cloned()
            .context("another metrics recorder is installed"),
    }
}

/// Metrics of this node, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "metrics",
    extensions(("x-access" = json!("public"))),
    responses((status = 200, description = "Prometheus text format", content_type = "text/plain", body = String)))]
pub async fn show_metrics(State(state): State<AppState>) -> String {
    metrics::gauge!("database_connections").set(f64::from(state.pool.size()));
    state.metrics.run_upkeep();
    state.metrics.render()
}

//! A city served by one node or by several.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    dead_code,
    reason = "tests"
)]

use std::ops::Deref;

use doorstep_server::config::Config;
use doorstep_server::testing::{Nats, TestServer};

/// On how many nodes a test is played.
pub(crate) const BOTH: [usize; 2] = [1, 2];

/// A server of one node or more, and the bus between them.
pub(crate) struct City {
    pub(crate) server: TestServer,
    pub(crate) nats: Option<Nats>,
}

impl Deref for City {
    type Target = TestServer;
    fn deref(&self) -> &TestServer {
        &self.server
    }
}

/// Set by `./x test` where NATS can't be had: what needs it is left out, and `x` says so.
const WITHOUT: &str = "DOORSTEP_WITHOUT_NATS";

/// Whether a test that needs two nodes must be left out here.
pub(crate) fn left_out() -> bool {
    std::env::var_os(WITHOUT).is_some()
}

/// A city on so many nodes.
pub(crate) async fn city(nodes: usize, adjust: impl FnOnce(&mut Config)) -> City {
    let nodes = if left_out() { 1 } else { nodes };
    println!("on {nodes} nodes");
    let nats = (nodes > 1).then(|| Nats::start().unwrap());
    let bus = nats.as_ref().map(|nats| nats.address().parse().unwrap());
    let mut server = TestServer::open_city_with(|config| {
        config.bus = bus;
        adjust(config);
    })
    .await
    .unwrap();
    for _ in 1..nodes {
        server.add_node().await.unwrap();
    }
    City { server, nats }
}

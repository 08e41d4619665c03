//! Two nodes on one database that hear each other over NATS: how long a change takes from one to the other, and a node
//! that is killed while its phones write.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::ensure;
use doorstep_server::testing::{Member, Nats};

use super::crowd::Crowd;
use super::found;
use super::ground::Ground;
use super::phone::Order;
use super::tally::Fleet;
use super::{Size, VILLAGE};
use crate::bench::figures::{Figures, percentile};
use crate::town::Server;

pub(super) async fn measure(
    ground: &mut Ground<'_>,
    members: &[Member],
    size: Size,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    let nats = Nats::start()?;
    let mut one = node(ground, &nats).await?;
    let mut two = node(ground, &nats).await?;
    let servers: Vec<SocketAddr> = vec![one.address(), two.address()];
    let fleet = Arc::new(Fleet::new(servers.clone()));
    let mut crowd = Crowd::new(fleet.clone());
    // Phones of a village take turns at the nodes: what one writes, two others see at the other node.
    let writes = |number| number % VILLAGE == 0;
    crowd.add(members, writes).await?;
    let tally = &fleet.tally;
    tokio::time::sleep(Duration::from_secs(2)).await;
    crowd.order(Order::Write(Duration::from_secs(4)));
    tokio::time::sleep(size.writing / 2).await;
    let (seen, _) = tally.times()?;
    let note = format!(
        "{} phones at two nodes, {} write once in 4 s each; two of three sightings are at the other node",
        members.len(),
        members.len() / VILLAGE
    );
    let mut put = |what: &str, part: f64| {
        figures.put_with_note(what, "ms", "", &[percentile(&seen, part)], &note)
    };
    put("two nodes: sent to seen, p50", 0.5)?;
    put("two nodes: sent to seen, p95", 0.95)?;
    put("two nodes: sent to seen, p99", 0.99)?;

    let before = tally.online.load(Ordering::Relaxed);
    two.kill()?;
    let killed = Instant::now();
    // Those that it served are noticed as gone before they are counted as back.
    while tally.online.load(Ordering::Relaxed) > before - before / 4 {
        ensure!(killed.elapsed() < Duration::from_secs(30), "nobody noticed");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    crowd.all_online().await?;
    let back = killed.elapsed().as_secs_f64();
    tokio::time::sleep(size.writing / 4).await;
    figures.put(
        "two nodes, one killed: all its phones are at the other",
        "s",
        "",
        &[back],
    )?;
    let writers = crowd.end().await?;
    let left = Fleet::at(&fleet, one.address());
    let found = found::look(&left, members, &writers).await?;
    let entries = ground.verify_audit().await?;
    let note = format!(
        "{} edits of {} phones, each looked for by its mark; {entries} entries of the audit log verified",
        found.edits,
        writers.len()
    );
    figures.put_with_note(
        "two nodes, one killed: edits lost",
        "",
        "0",
        &[found.lost as f64],
        &note,
    )?;
    figures.put(
        "two nodes, one killed: edits doubled",
        "",
        "0",
        &[found.doubled as f64],
    )?;
    ensure!(
        found.differing == 0,
        "another phone of {} villages does not hold what writer and server do",
        found.differing
    );
    one.stop()
}

/// A node on the ground's database, with its keys.
pub(super) async fn node(ground: &mut Ground<'_>, nats: &Nats) -> anyhow::Result<Server> {
    let data = ground.place();
    let keys = data.join("keys");
    std::fs::create_dir_all(&keys)?;
    for file in std::fs::read_dir(ground.server.data().join("keys"))? {
        let file = file?;
        std::fs::copy(file.path(), keys.join(file.file_name()))?;
    }
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o700))?;
    let socket = ground.server.data().join("postgres/socket");
    let database = format!(
        "postgresql://doorstep@localhost/doorstep?host={}",
        socket.display()
    );
    let mut server = Server::beside(&ground.server, &data)?;
    server.options = vec![
        "--database".into(),
        database,
        "--bus".into(),
        nats.address(),
    ];
    server.start().await?;
    Ok(server)
}

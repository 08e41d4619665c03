//! Two nodes on one database that hear each other over NATS: how long a change takes from one to the other, and a node
//! that is killed while its phones write.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::ensure;
use doorstep_core::ids::DeviceId;
use doorstep_server::testing::{Member, Nats};
use uuid::Uuid;

use super::crowd::Crowd;
use super::ground::Ground;
use super::phone::{Order, Phone};
use super::tally::Fleet;
use super::{Size, VILLAGE};
use crate::bench::figures::{Figures, percentile};
use crate::town::Server;
use crate::town::office::database_of;

const ACCEPTED: &str =
    "SELECT device_id, count(*) FROM changes WHERE device_id = ANY($1) GROUP BY device_id";

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
    let (seen, _) = tally.times();
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
    let writers = crowd.end().await;
    let (edits, lost, doubled) = settle(ground, &writers).await?;
    let differing = read_again(&fleet, one.address(), members, &writers).await?;
    let note = format!("{edits} edits of {} phones", writers.len());
    figures.put_with_note(
        "two nodes, one killed: edits lost",
        "",
        "0",
        &[lost as f64],
        &note,
    )?;
    figures.put(
        "two nodes, one killed: edits doubled",
        "",
        "0",
        &[doubled as f64],
    )?;
    ensure!(
        differing == 0,
        "{differing} records differ on another phone"
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

/// How many edits there were, and of those that were acknowledged how many the register lacks or has twice.
async fn settle(ground: &Ground<'_>, writers: &[Phone]) -> anyhow::Result<(u64, u64, u64)> {
    use doorstep_core::store::DeviceStore;
    let ids: Vec<Uuid> = writers.iter().map(|phone| phone.who.device.0).collect();
    let mut database = database_of(&ground.server).await?;
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(ACCEPTED)
        .bind(ids)
        .fetch_all(&mut database)
        .await?;
    let held: BTreeMap<DeviceId, u64> = rows
        .into_iter()
        .map(|(id, count)| (DeviceId(id), count.unsigned_abs()))
        .collect();
    let (mut edits, mut lost, mut doubled) = (0, 0, 0);
    for phone in writers {
        let acknowledged = phone.edits - phone.store.unsent()?.items;
        let held = held.get(&phone.who.device).copied().unwrap_or_default();
        edits += phone.edits;
        lost += acknowledged.saturating_sub(held);
        doubled += held.saturating_sub(phone.edits);
    }
    Ok((edits, lost, doubled))
}

/// How many of the writers' records another phone of the village has otherwise than the writer.
async fn read_again(
    fleet: &Fleet,
    node: SocketAddr,
    members: &[Member],
    writers: &[Phone],
) -> anyhow::Result<usize> {
    let readers: BTreeMap<_, _> = members
        .iter()
        .skip(1)
        .step_by(VILLAGE)
        .map(|one| (one.area, one))
        .collect();
    let fleet = Fleet::at(fleet, node);
    let mut differing = 0;
    for (number, writer) in writers.iter().enumerate() {
        let Some(reader) = readers.get(&writer.area()) else {
            continue;
        };
        let mut reader = Phone::new(reader, number)?;
        reader.settle(&fleet).await?;
        let Some(id) = writer.made else { continue };
        if reader.value_of(id)? != writer.value_of(id)? {
            differing += 1;
        }
    }
    Ok(differing)
}

//! A device with valid credentials that sends as fast as it can what is sound, what waits for changes that never come, or
//! what is refused: it is stopped at its quota and told when to go on, what it was told is there is there, and the honest
//! device beside it notices nothing.

use anyhow::ensure;
use doorstep_client::Device;
use doorstep_core::crdt::{Registers, chunk};
use doorstep_core::crypto::actor;
use doorstep_core::envelope::{Item, MAX_ITEMS};
use doorstep_core::ids::{AreaCode, ChangeHash, RecordId};
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::value::{Fields, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::corpus::item;
use super::ground::{Ground, marking, resident};
use super::honest::Honest;
use super::malformed::grown;
use super::{Figures, Options};
use crate::town::tap::{Tap, seal};

/// What was merged of a device.
const CHANGES: &str = "SELECT count(*) FROM changes WHERE device_id = $1";
const ALARMS: &str =
    "SELECT count(*) FROM alarms WHERE code IN ('quota_exceeded', 'quota_refused')";
/// One in so many items may be refused (`server/src/sync/quotas.rs`).
const ONE_REFUSED_OF: u64 = 5;

/// What a flood is of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flood {
    /// New records, each with edits on top of it.
    Sound,
    /// Changes that build on what never comes.
    Waiting,
    /// New records where the device may not work: kept for the supervisor.
    Refused,
}

/// The row `floods`.
pub(super) async fn play(options: &Options) -> anyhow::Result<Figures> {
    let quota = options.count(3_000, 50_000);
    let mut ground = Ground::with_quota(&options.program, u32::try_from(quota)?).await?;
    let figures = flood(options, &mut ground, quota).await;
    ground.close()?;
    figures
}

async fn flood(options: &Options, ground: &mut Ground, quota: u64) -> anyhow::Result<Figures> {
    let mut rng = options.chance("floods");
    let mut figures = Figures::default();
    let before = ground.begin_peak()?;
    let honest = Honest::begin(ground).await?;
    let mut taken = Vec::new();
    for kind in [Flood::Sound, Flood::Waiting, Flood::Refused] {
        let collector = ground.collector.clone();
        let device = ground.light(&collector).await?;
        device.sync_once().await?;
        let alarms = ground.number(ALARMS).await?;
        let sent = until_stopped(ground, &device, kind, &mut rng, quota).await?;
        let most = if kind == Flood::Refused {
            quota / ONE_REFUSED_OF
        } else {
            quota
        };
        // One envelope is taken from who has room left, and a little is forgiven while it goes on.
        let room = 2 * MAX_ITEMS as u64 + most / 5;
        figures.fault(if (most..=most + room).contains(&sent) {
            Ok(())
        } else {
            Err(format!("{kind:?}: stopped after {sent} items of {most}"))
        });
        figures.fault(if ground.number(ALARMS).await? > alarms {
            Ok(())
        } else {
            Err(format!("{kind:?}: no alarm"))
        });
        // Who comes again at once is sent away again.
        let again = until_stopped(ground, &device, kind, &mut rng, quota).await?;
        figures.fault(if again <= MAX_ITEMS as u64 {
            Ok(())
        } else {
            Err(format!("{kind:?}: {again} more when it came again"))
        });
        // What was acknowledged is there, and nothing else.
        let acknowledged = match kind {
            Flood::Sound => i64::try_from(sent + again)?,
            Flood::Waiting | Flood::Refused => 0,
        };
        let there = ground.number_of(CHANGES, device.who().device).await?;
        let amiss = there.abs_diff(acknowledged);
        figures.faults(sent + again, amiss.min(sent + again));
        if amiss > 0 {
            let why = format!("{kind:?}: {there} changes merged, {acknowledged} acknowledged");
            figures.failures.push(why);
        }
        taken.push(sent + again);
    }
    let beside = honest.end(ground, &mut figures).await?;
    let grown = grown(ground, before, &mut figures)?;
    figures.note = format!(
        "quota {quota}: stopped after {} sound, {} waiting, {} refused items; server at most +{} MiB; {}",
        taken[0],
        taken[1],
        taken[2],
        grown >> 20,
        beside.note
    );
    Ok(figures)
}

/// Sends whole envelopes until the server says that it is too much; gives how many items it answered.
async fn until_stopped(
    ground: &Ground,
    device: &Device<MemoryStore>,
    kind: Flood,
    rng: &mut ChaCha8Rng,
    quota: u64,
) -> anyhow::Result<u64> {
    let mut tap = Tap::open(&ground.server.url(), device, Vec::new()).await?;
    let mut seq = tap.welcome().await?.next_envelope;
    let mut answered = 0;
    loop {
        let items = match kind {
            Flood::Sound => sound(device, ground.area, rng)?,
            Flood::Waiting => waiting(device, ground.area, rng),
            Flood::Refused => refused(device, ground.elsewhere, rng),
        };
        tap.send(&seal(device, seq, items)).await?;
        let pushed = match tap.pushed().await {
            Ok(pushed) => pushed,
            Err(error) if error.to_string().starts_with("busy") => break,
            Err(error) => return Err(error),
        };
        ensure!(pushed.refused.is_none(), "{:?}", pushed.refused);
        for outcome in &pushed.outcomes {
            let right = match kind {
                Flood::Sound => *outcome == Outcome::Accepted,
                Flood::Waiting => *outcome == Outcome::Waiting,
                Flood::Refused => {
                    matches!(outcome, Outcome::Refused(refusal) if refusal.code == "out_of_scope")
                }
            };
            ensure!(right, "{kind:?}: {outcome:?}");
        }
        answered += pushed.outcomes.len() as u64;
        ensure!(answered < 4 * quota, "{kind:?}: nothing stops it");
        seq += 1;
    }
    tap.close().await;
    Ok(answered)
}

fn new_id(device: &Device<MemoryStore>, rng: &mut ChaCha8Rng) -> RecordId {
    let mut random = [0; 10];
    rng.fill_bytes(&mut random);
    RecordId::new(device.now(), random)
}

fn beginning(area: AreaCode) -> Fields {
    let mut fields = resident();
    fields.insert("_type".to_owned(), "resident".into());
    fields.insert("_v".to_owned(), Value::Int(1));
    fields.insert("_area".to_owned(), area.to_string().into());
    fields
}

/// Records with fifteen edits each.
fn sound(
    device: &Device<MemoryStore>,
    area: AreaCode,
    rng: &mut ChaCha8Rng,
) -> anyhow::Result<Vec<Item>> {
    let mut items = Vec::new();
    let now = device.now().0;
    while items.len() < MAX_ITEMS {
        let record = new_id(device, rng);
        let actor = actor::derive(&device.who().key.public(), record, 0);
        let mut registers = Registers::default();
        for edit in 0..16 {
            let fields = if edit == 0 {
                beginning(area)
            } else {
                marking(&format!("f{edit}"))
            };
            let (change, bytes, hash) = registers.change(actor, now, &fields);
            registers.apply(&change, hash)?;
            items.push(item(record, bytes));
        }
    }
    items.truncate(MAX_ITEMS);
    Ok(items)
}

fn waiting(device: &Device<MemoryStore>, area: AreaCode, rng: &mut ChaCha8Rng) -> Vec<Item> {
    let one = |rng: &mut ChaCha8Rng| {
        let record = new_id(device, rng);
        let actor = actor::derive(&device.who().key.public(), record, 0);
        let (mut change, ..) = Registers::default().change(actor, device.now().0, &beginning(area));
        let mut dep = [0; 32];
        rng.fill_bytes(&mut dep);
        change.deps = vec![ChangeHash(dep)];
        item(record, chunk::encode(&change).0)
    };
    (0..MAX_ITEMS).map(|_| one(rng)).collect()
}

fn refused(device: &Device<MemoryStore>, elsewhere: AreaCode, rng: &mut ChaCha8Rng) -> Vec<Item> {
    let one = |rng: &mut ChaCha8Rng| {
        let record = new_id(device, rng);
        let actor = actor::derive(&device.who().key.public(), record, 0);
        let (_, bytes, _) =
            Registers::default().change(actor, device.now().0, &beginning(elsewhere));
        item(record, bytes)
    };
    (0..MAX_ITEMS).map(|_| one(rng)).collect()
}

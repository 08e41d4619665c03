//! Fills the register as devices do, past the websocket: changes made by core and signed for by a collector of the
//! village, judged, sealed, indexed and committed by `register::commit`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use doorstep_core::crdt::{Registers, chunk};
use doorstep_core::crypto::actor;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::ChangeItem;
use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::rights::Role;
use doorstep_core::time::Timestamp;
use doorstep_core::value::Fields;
use doorstep_server::app::App;
use doorstep_server::clock::SystemClock;
use doorstep_server::config::Config;
use doorstep_server::database::Ownership;
use doorstep_server::domains::audit;
use doorstep_server::register::{self, Prepared, Submission, Submitter};
use doorstep_server::state::AppState;
use doorstep_server::testing::{Member, crowd};
use serde::{Deserialize, Serialize};

use super::invented::{self, TO_A_HOUSE};
use crate::town::Server;

/// Houses of one envelope, with their people: about 200 records.
const TOGETHER: usize = 28;
/// Villages filled side by side.
const LANES: usize = 4;
/// Of so many residents one has a name that is disputed.
const DISPUTED: usize = 1_000;
/// 1 November 2026
const START: i64 = 1_793_491_200_000;

/// How full the register is.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Loaded {
    pub(super) residents: usize,
    pub(super) records: usize,
    pub(super) villages: usize,
    /// Residents of a village.
    pub(super) village: usize,
}

/// The city's villages, district by district.
pub(super) async fn villages(server: &Server) -> anyhow::Result<Vec<AreaCode>> {
    let mut database = crate::town::office::database_of(server).await?;
    let codes: Vec<String> =
        sqlx::query_scalar("SELECT code::text FROM areas WHERE level = 'village' ORDER BY code")
            .fetch_all(&mut database)
            .await?;
    let parsed = codes.into_iter().map(|code| Ok(code.parse()?));
    parsed.collect()
}

/// Adds whole villages until there are so many residents.
pub(super) async fn fill(
    server: &Server,
    villages: &[AreaCode],
    residents: usize,
    village: usize,
    loaded: &mut Loaded,
) -> anyhow::Result<()> {
    let mut config = Config::new(server.data().to_owned());
    config.database_connections = 8;
    let app = App::open(config, Arc::new(SystemClock), Ownership::Share).await?;
    let wanted = residents.div_ceil(village);
    let new: Vec<(usize, AreaCode)> = (loaded.villages..wanted)
        .map(|number| Ok((number, *villages.get(number).context("no more villages")?)))
        .collect::<anyhow::Result<_>>()?;
    let places: Vec<AreaCode> = new.iter().flat_map(|(_, area)| [*area; 2]).collect();
    let members = crowd(&app.state, &places).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let work = Arc::new((new, members));
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..LANES {
        let (state, next, work) = (app.state.clone(), next.clone(), work.clone());
        lanes.spawn(async move {
            let mut records = 0;
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((number, area)) = work.0.get(at) else {
                    return anyhow::Ok(records);
                };
                let pair = &work.1[at * 2..at * 2 + 2];
                records += one(&state, pair, *number, *area, village).await?;
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        loaded.records += lane??;
    }
    loaded.villages = wanted;
    loaded.residents = wanted * village;
    loaded.village = village;
    app.close().await
}

/// One village: its houses with their people, then the disputes.
async fn one(
    state: &AppState,
    members: &[Member],
    number: usize,
    area: AreaCode,
    village: usize,
) -> anyhow::Result<usize> {
    let (mut writer, mut rival) = (Writer::new(&members[0])?, Writer::new(&members[1])?);
    let houses = village.div_ceil(TO_A_HOUSE);
    let mut disputed = Vec::new();
    let mut records = 0;
    for first in (0..houses).step_by(TOGETHER) {
        let mut items = Vec::with_capacity(TOGETHER * (1 + 2 * TO_A_HOUSE));
        for house in first..houses.min(first + TOGETHER) {
            let (home, item, _) = writer.create("house", invented::house(number, house, area))?;
            items.push(item);
            for person in house * TO_A_HOUSE..village.min((house + 1) * TO_A_HOUSE) {
                let person = number * village + person;
                let (id, item, held) =
                    writer.create("resident", invented::resident(person, area))?;
                items.push(item);
                if person.is_multiple_of(DISPUTED) {
                    disputed.push((id, person, held));
                }
                let address = invented::address(number, house);
                let tie = invented::residence(&id.to_string(), &home.to_string(), address, area);
                items.push(writer.create("residence", tie)?.1);
            }
        }
        records += items.len();
        writer.send(state, items).await?;
    }
    let edits = |by: &mut Writer, sign: char| -> anyhow::Result<Vec<Prepared>> {
        let each = disputed.iter().map(|(id, person, held)| {
            let name = format!("{}{sign}", invented::name(*person));
            by.change(
                *id,
                "resident",
                held,
                &Fields::from([("name".to_owned(), name.into())]),
            )
            .map(|(item, _)| item)
        });
        each.collect()
    };
    let (one, two) = (edits(&mut writer, '甲')?, edits(&mut rival, '乙')?);
    writer.send(state, one).await?;
    rival.send(state, two).await?;
    Ok(records)
}

/// A collector's phone that keeps nothing.
struct Writer {
    who: Submitter,
    clock: i64,
}

impl Writer {
    fn new(member: &Member) -> anyhow::Result<Self> {
        let key = KeyPair::from_secret(&member.secret)?;
        Ok(Self {
            who: Submitter {
                device: member.device,
                user: member.user,
                key: key.public(),
                grants: vec![(Role::Collector, member.area)],
            },
            clock: START,
        })
    }

    fn create(
        &mut self,
        record_type: &str,
        fields: Fields,
    ) -> anyhow::Result<(RecordId, Prepared, Registers)> {
        let id = RecordId::new(Timestamp(self.clock), rand::random());
        let (item, held) = self.change(id, record_type, &Registers::default(), &fields)?;
        Ok((id, item, held))
    }

    fn change(
        &mut self,
        record: RecordId,
        record_type: &str,
        held: &Registers,
        fields: &Fields,
    ) -> anyhow::Result<(Prepared, Registers)> {
        self.clock += 1;
        let actor = actor::derive(&self.who.key, record, 0);
        let (change, bytes, hash) = held.change(actor, self.clock, fields);
        let mut after = held.clone();
        after.apply(&change, hash)?;
        let item = ChangeItem {
            record,
            record_type: record_type.to_owned(),
            epoch: 0,
            bytes,
        };
        let decoded = chunk::decode(&item.bytes);
        Ok((Prepared::Change { item, decoded }, after))
    }

    async fn send(&self, state: &AppState, items: Vec<Prepared>) -> anyhow::Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let submission = Submission {
            who: self.who.clone(),
            envelope: None,
            items,
        };
        let at = state.clock.now();
        let entry =
            |_: &register::Applied| vec![audit::Entry::by_server(at, audit::Action::SyncPush)];
        let applied = register::commit(state, vec![submission], entry).await?;
        let mut outcomes = applied
            .receipts
            .iter()
            .flat_map(|receipt| &receipt.outcomes);
        let refused = outcomes.find(|outcome| !matches!(outcome, Outcome::Accepted));
        ensure!(refused.is_none(), "not accepted: {refused:?}");
        Ok(())
    }
}

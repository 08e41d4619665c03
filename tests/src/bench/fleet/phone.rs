//! One collector's phone: core's session and a store in memory on a real websocket. It does what it is told from
//! outside and comes back by itself when its connection is lost. Knows no figure; what happens goes to the `Tally`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use doorstep_client::Backoff;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::protocol::frames::{Down, ScopeState, Up};
use doorstep_core::store::DeviceStore;
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::sync::{Action, DeviceSession, Identity, edit};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use doorstep_server::testing::Member;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::Message;

use super::socket::{self, Away, Socket};
use super::tally::Fleet;

/// How long the server may take to greet; a storm is allowed its time.
const GREETING: Duration = Duration::from_secs(60);
/// How long what was under way may take to be answered at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(60);
/// The field that holds an edit's mark: when it was written.
pub(super) const FIELD: &str = "remark";
/// The mark of a record's first writing.
const MADE: &str = "made";

/// What all phones do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Hold the connection.
    Hold,
    /// Those that write write, so often.
    Write(Duration),
    /// Let what is under way be answered, and go.
    End,
}

/// See the module.
pub(super) struct Phone {
    pub(super) who: Identity,
    pub(super) store: MemoryStore,
    pub(super) made: Option<RecordId>,
    /// The marks of its edits, the record's first writing among them; each is one change.
    pub(super) marks: Vec<String>,
    area: AreaCode,
    token: String,
    number: usize,
    /// When what was last seen was written.
    newest: u64,
    clock: i64,
}

struct Line {
    socket: Socket,
    session: DeviceSession,
    server: SocketAddr,
}

/// Why a connection is over.
enum Over {
    Told,
    Lost,
}

impl Phone {
    pub(super) fn new(member: &Member, number: usize) -> anyhow::Result<Self> {
        Ok(Self {
            who: Identity {
                device: member.device,
                user: member.user,
                key: KeyPair::from_secret(&member.secret)?,
            },
            store: MemoryStore::default(),
            made: None,
            marks: Vec::new(),
            area: member.area,
            token: member.token.clone(),
            number,
            newest: 0,
            clock: 1_795_482_000_000,
        })
    }

    /// Writes the one record that it will edit.
    pub(super) fn make_record(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        let mut random = [0; 10];
        random.copy_from_slice(&self.who.device.as_bytes()[6..]);
        let id = RecordId::new(now, random);
        let fields = [
            ("name", "何晓梅"),
            ("sex", "2"),
            ("population_kind", "01"),
            (FIELD, MADE),
        ]
        .map(|(key, value)| (key.to_owned(), Value::from(value)));
        let (store, who) = (&mut self.store, &self.who);
        edit::create(store, who, id, "resident", self.area, fields.into(), now)?;
        self.made = Some(id);
        self.marks.push(MADE.to_owned());
        Ok(())
    }

    /// Connects, takes in all there is and sends all there is; gives where each log ended that this phone was not at the
    /// end of, by the server's word.
    pub(super) async fn settle(&mut self, fleet: &Fleet) -> anyhow::Result<Vec<ScopeState>> {
        let (mut line, ends) = self.connect(fleet, fleet.address(self.number)).await?;
        self.push(&mut line).await?;
        while !line.session.settled(&self.store)? {
            let frame = next(&mut line.socket).await?;
            self.take(fleet, &mut line, frame).await?;
        }
        line.socket.close(None).await.ok();
        Ok(ends)
    }

    /// Lives until it is told to end.
    pub(super) async fn live(
        mut self,
        fleet: Arc<Fleet>,
        mut orders: watch::Receiver<Order>,
    ) -> Self {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut tries = self.number;
        loop {
            let lived = self.connection(&fleet, &mut orders, tries, &mut backoff);
            match lived.await {
                Ok(Over::Told) => return self,
                Ok(Over::Lost) | Err(_) if *orders.borrow() == Order::End => return self,
                Ok(Over::Lost) => {}
                Err(error) => {
                    if let Some(Away { wait, full }) = error.downcast_ref() {
                        fleet.tally.away.fetch_add(1, Ordering::Relaxed);
                        tries += usize::from(*full);
                        tokio::time::sleep(doorstep_client::told(*wait, rand::random())).await;
                        continue;
                    }
                    fleet.tally.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            tries += 1;
            tokio::time::sleep(backoff.next(rand::random())).await;
        }
    }

    async fn connection(
        &mut self,
        fleet: &Fleet,
        orders: &mut watch::Receiver<Order>,
        turn: usize,
        backoff: &mut Backoff,
    ) -> anyhow::Result<Over> {
        let (mut line, _) = {
            let _door = fleet.doors.acquire().await?;
            self.connect(fleet, fleet.address(turn)).await?
        };
        backoff.reset();
        let _online = fleet.tally.enter();
        self.push(&mut line).await?;
        let mut pace = self.pace(*orders.borrow_and_update());
        // When each edit was written that has no answer; what an earlier connection left is not timed.
        let left = usize::try_from(self.store.unsent()?.items)?;
        let mut written = VecDeque::from(vec![None; left]);
        loop {
            tokio::select! {
                frame = next(&mut line.socket) => {
                    let Ok(frame) = frame else { return Ok(Over::Lost) };
                    if matches!(frame, Down::Bye(_)) {
                        return Ok(Over::Lost);
                    }
                    let answered = self.take(fleet, &mut line, frame).await?;
                    // The first of them waited longest.
                    let first = written.drain(..answered.min(written.len())).next();
                    if let Some(Some(since)) = first {
                        fleet.tally.answered(since);
                    }
                }
                Some(()) = tick(&mut pace) => {
                    self.write(fleet)?;
                    written.push_back(Some(Instant::now()));
                    self.push(&mut line).await?;
                }
                changed = orders.changed() => {
                    changed?;
                    let order = *orders.borrow_and_update();
                    if order == Order::End {
                        let rest = self.last_answers(fleet, &mut line);
                        tokio::time::timeout(LAST_ANSWERS, rest).await.ok();
                        line.socket.close(None).await.ok();
                        return Ok(Over::Told);
                    }
                    pace = self.pace(order);
                }
            }
        }
    }

    async fn last_answers(&mut self, fleet: &Fleet, line: &mut Line) -> anyhow::Result<()> {
        while self.store.unsent()?.items > 0 {
            let frame = next(&mut line.socket).await?;
            self.take(fleet, line, frame).await?;
        }
        Ok(())
    }

    fn pace(&self, order: Order) -> Option<tokio::time::Interval> {
        let Order::Write(every) = order else {
            return None;
        };
        self.made?;
        // Not all in the same instant.
        let first = tokio::time::Instant::now() + every.mul_f64(rand::random());
        let mut pace = tokio::time::interval_at(first, every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(pace)
    }

    /// One edit, whose value is its time: its mark, since no two edits of a record are made in one microsecond.
    fn write(&mut self, fleet: &Fleet) -> anyhow::Result<()> {
        let id = self.made.context("no record to edit")?;
        let mark = fleet.tally.now().to_string();
        let fields = Fields::from([(FIELD.to_owned(), Value::from(mark.as_str()))]);
        let now = self.now();
        edit::update(&mut self.store, &self.who, id, &fields, now)?;
        self.marks.push(mark);
        Ok(())
    }

    /// Its village.
    pub(super) fn area(&self) -> AreaCode {
        self.area
    }

    /// What the record says that another phone wrote.
    pub(super) fn value_of(&self, id: RecordId) -> anyhow::Result<Option<Value>> {
        let record = self.store.record(id)?;
        Ok(record.and_then(|record| record.registers.get(FIELD).cloned()))
    }

    /// With where logs end, by the server's word.
    async fn connect(
        &mut self,
        fleet: &Fleet,
        server: SocketAddr,
    ) -> anyhow::Result<(Line, Vec<ScopeState>)> {
        let greeted = async {
            let socket = socket::open(server, self.number).await?;
            let session = DeviceSession::new(self.who.clone(), self.token.clone().into_bytes());
            let mut line = Line {
                socket,
                session,
                server,
            };
            let hello = line.session.hello(&self.store)?;
            line.socket.send(Message::binary(hello.encode())).await?;
            let frame = next(&mut line.socket).await?;
            if let Down::Bye(bye) = &frame
                && let Some(wait) = bye.retry_after_ms
            {
                let wait = Duration::from_millis(wait);
                return Err(Away { wait, full: false }.into());
            }
            let Down::Welcome(welcome) = &frame else {
                bail!("no welcome");
            };
            let ends = welcome.scopes.clone();
            self.take(fleet, &mut line, frame).await?;
            Ok((line, ends))
        };
        tokio::time::timeout(GREETING, greeted).await?
    }

    async fn push(&mut self, line: &mut Line) -> anyhow::Result<()> {
        let now = self.now();
        while let Some(up) = line.session.push(&mut self.store, now)? {
            send(&mut line.socket, &up).await?;
        }
        Ok(())
    }

    /// Takes a frame; gives how many of its own items were answered by it.
    async fn take(&mut self, fleet: &Fleet, line: &mut Line, frame: Down) -> anyhow::Result<usize> {
        let now = self.now();
        let mut answered = 0;
        let mut actions = line.session.receive(&mut self.store, frame, now)?;
        while let Some(action) = actions.pop() {
            match action {
                Action::Send(up) => send(&mut line.socket, &up).await?,
                Action::Fetch(scope, offer) => {
                    let digest = hex::encode(&offer.digest);
                    let url = format!("http://{}/api/sync/bundles/{digest}", line.server);
                    let request = fleet.http.get(url).bearer_auth(&self.token);
                    let file = request.send().await?.error_for_status()?.bytes().await?;
                    let session = &mut line.session;
                    actions.extend(session.bundle(&mut self.store, scope, &offer, &file, now)?);
                }
                Action::Changed(ids) if self.made.is_none() => self.see(fleet, &ids)?,
                Action::Answered { accepted, refused } => {
                    answered += accepted + refused;
                    fleet.tally.refused.fetch_add(refused, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        if self.made.is_some() {
            self.push(line).await?;
        }
        Ok(answered)
    }

    /// Notes how long ago what it now sees was written.
    fn see(&mut self, fleet: &Fleet, ids: &[RecordId]) -> anyhow::Result<()> {
        for id in ids {
            let value = self.value_of(*id)?;
            let at = value.as_ref().and_then(Value::as_text);
            if let Some(at) = at.and_then(|at| at.parse().ok())
                && at > self.newest
            {
                self.newest = at;
                fleet.tally.seen(at);
            }
        }
        Ok(())
    }

    fn now(&mut self) -> Timestamp {
        self.clock += 1_000;
        Timestamp(self.clock)
    }
}

async fn tick(pace: &mut Option<tokio::time::Interval>) -> Option<()> {
    pace.as_mut()?.tick().await;
    Some(())
}

async fn send(socket: &mut Socket, up: &Up) -> anyhow::Result<()> {
    Ok(socket.send(Message::binary(up.encode())).await?)
}

async fn next(socket: &mut Socket) -> anyhow::Result<Down> {
    loop {
        match socket.next().await.context("closed")?? {
            Message::Binary(bytes) => return Ok(Down::decode(&bytes)?),
            Message::Close(_) => bail!("closed"),
            _ => {}
        }
    }
}

//! The world: phones, wires and a server, and what can be done with them. No thread, no clock, no socket: the same
//! seed is the same story. Knows no chance of its own beyond the seed's generator, which `chance` uses.

use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;

use anyhow::{Context, bail, ensure};
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::Item;
use doorstep_core::ids::{AreaCode, DeviceId, EventId, RecordId, UserId};
use doorstep_core::protocol::frames::{Down, Up};
use doorstep_core::rights::Role;
use doorstep_core::store::DeviceStore;
use doorstep_core::sync::{DeviceError, edit, requeue};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::checks;
use super::ledger::{Edit, Ledger, Mark};
use super::phone::{Heard, Phone, PhoneError};
use super::server::register::Register;
use super::server::{Enrolled, Grants, Server};
use super::story;
use super::work::{self, Job};

/// The start of virtual time: 2026-01-01.
const BEGINNING: i64 = 1_767_225_600_000;
/// After so long a phone sends again what had to wait.
const AGAIN: i64 = 10_000;
/// After so many rounds without rest something goes round in circles.
const ROUNDS: usize = 200;

/// A connection on its way: what was sent and has not come yet.
#[derive(Debug)]
pub(super) struct Wire {
    phone: usize,
    pub(super) up: VecDeque<Vec<u8>>,
    pub(super) down: VecDeque<Vec<u8>>,
    /// Whether the phone still listens.
    phone_end: bool,
    /// Whether the server still listens.
    server_end: bool,
    /// Whether a frame of it was doubled or swapped.
    pub(super) stirred: bool,
}

/// See the module.
pub struct World {
    /// Chance.
    pub rng: ChaCha8Rng,
    /// The true time.
    pub now: Timestamp,
    /// The server.
    pub server: Server,
    /// The phones, one user each.
    pub phones: Vec<Phone>,
    /// What people did.
    pub ledger: Ledger,
    pub(super) wires: BTreeMap<u64, Wire>,
    /// The chance by which wires double and swap frames; none: they don't.
    pub(super) stirring: Option<ChaCha8Rng>,
    /// How often what happened.
    pub tally: BTreeMap<String, usize>,
    /// The records that everyone works on.
    pub commons: Vec<RecordId>,
    next_line: u64,
    story: Option<Vec<String>>,
}

/// The same keys in every world: they are dear to make and no part of the story.
fn key(number: usize) -> KeyPair {
    static KEYS: [OnceLock<KeyPair>; 254] = [const { OnceLock::new() }; 254];
    let secret = [number as u8 + 1; 32];
    let make = || KeyPair::from_secret(&secret).expect("a key");
    KEYS[number].get_or_init(make).clone()
}

/// The area of a village by its number, from 1.
#[must_use]
pub fn village(number: u8) -> AreaCode {
    let code = format!("310101002{number:03}");
    code.parse().expect("twelve digits")
}

/// The street of all villages.
#[must_use]
pub fn street() -> AreaCode {
    "310101002000".parse().expect("twelve digits")
}

/// A collector's grants.
#[must_use]
pub fn collects(villages: &[u8]) -> Grants {
    let villages = villages.iter();
    villages
        .map(|number| (Role::Collector, village(*number)))
        .collect()
}

impl World {
    /// A street of three villages, a server, and no phones.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: Timestamp(BEGINNING),
            server: Server::new(&key(0), (1..=3).map(village).collect()),
            phones: Vec::new(),
            ledger: Ledger::default(),
            wires: BTreeMap::new(),
            stirring: None,
            tally: BTreeMap::new(),
            commons: Vec::new(),
            next_line: 0,
            story: None,
        }
    }

    /// Writes down what happens, for the one who looks for the cause.
    pub fn tell_the_story(&mut self) {
        self.story = Some(Vec::new());
    }

    /// What was written down.
    #[must_use]
    pub fn story(&self) -> String {
        self.story.as_deref().unwrap_or_default().join("\n")
    }

    /// Counts something that happened.
    pub fn count(&mut self, what: &str) {
        *self.tally.entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }

    /// A new phone of a new user, enrolled; its number.
    pub fn add_phone(&mut self, grants: Grants, skew: i64) -> usize {
        let number = self.phones.len();
        let device = DeviceId::from_bytes([number as u8 + 1; 16]);
        let user = UserId::from_bytes([101u8.wrapping_add(number as u8); 16]);
        let key = key(number + 1);
        let enrolled = Enrolled {
            user,
            key: key.public(),
            lost: false,
        };
        self.server.devices.insert(device, enrolled);
        self.server.users.insert(user, grants);
        self.phones.push(Phone::new(device, user, key, skew));
        number
    }

    /// Another new phone of the user of phone `other`; its number.
    pub fn add_phone_of(&mut self, other: usize, skew: i64) -> usize {
        let user = self.phones[other].who.user;
        let number = self.add_phone(Vec::new(), skew);
        let phone = &mut self.phones[number];
        self.server.users.remove(&phone.who.user);
        phone.who.user = user;
        if let Some(enrolled) = self.server.devices.get_mut(&phone.who.device) {
            enrolled.user = user;
        }
        number
    }

    /// Time goes by.
    pub fn wait(&mut self, ms: i64) {
        self.now = self.now.plus_ms(ms);
    }

    /// What is on its way down to a phone is lost; the phone's end stays open.
    pub fn lose_down(&mut self, line: u64) {
        if let Some(wire) = self.wires.get_mut(&line) {
            wire.down.clear();
        }
    }

    /// The next frame on its way up is lost.
    pub fn lose_next_up(&mut self, line: u64) {
        if let Some(wire) = self.wires.get_mut(&line) {
            wire.up.pop_front();
        }
    }

    // ------------------------------------------------------------ what people do

    /// Does a job on a phone. Gives the mark of what was kept: nothing when the phone stopped before, or when there
    /// was nothing to change.
    ///
    /// # Errors
    /// When core finds the job wrong.
    pub fn work(&mut self, number: usize, job: Job) -> anyhow::Result<Option<Mark>> {
        let mark = self.ledger.mark();
        self.note(|| format!("phone {number} edits e{mark}: {job:?}"));
        let phone = &mut self.phones[number];
        let (now, disk) = (phone.clock(self.now), &mut phone.disk);
        let (record, fields, done) = match job {
            Job::Create {
                id,
                record_type,
                area,
                mut fields,
            } => {
                let put = fields.clone();
                fields.extend([Ledger::carrier(record_type, mark)]);
                let made = edit::create(disk, &phone.who, id, record_type, area, fields, now);
                (id, put, made.map(|_| true))
            }
            Job::Update {
                id,
                record_type,
                mut fields,
            } => {
                let put = fields.clone();
                fields.extend([Ledger::carrier(&record_type, mark)]);
                let made = edit::update(disk, &phone.who, id, &fields, now);
                (id, put, made.map(|hash| hash.is_some()))
            }
            Job::Visit { id, area, fields } => {
                let made = edit::record_event(disk, &phone.who, id, "visit", area, fields, now);
                return self.kept_event(number, id, made);
            }
        };
        let kept = match done {
            Ok(kept) => kept,
            Err(DeviceError::Store(_)) => {
                self.restart(number)?;
                let outbox = self.phones[number].disk.outbox()?;
                let marks = outbox.iter();
                let mut marks = marks.filter_map(|item| Ledger::mark_of_item(&item.item));
                marks.any(|kept| kept == mark)
            }
            Err(DeviceError::Loading) => return Ok(None),
            Err(error) => return Err(error).context("an edit that should be valid"),
        };
        if !kept {
            return Ok(None);
        }
        let changes = self.phones[number].disk.changes(record)?;
        let changes = changes.iter();
        let mut seen = self
            .ledger
            .marks_of(changes.map(|change| (change.hash, change.bytes.as_slice())));
        seen.remove(&mark);
        let edit = Edit {
            phone: number,
            record,
            fields,
            seen,
        };
        self.ledger.edits.insert(mark, edit);
        Ok(Some(mark))
    }

    fn kept_event(
        &mut self,
        number: usize,
        id: EventId,
        made: Result<(), PhoneError>,
    ) -> anyhow::Result<Option<Mark>> {
        let kept = match made {
            Ok(()) => true,
            Err(DeviceError::Store(_)) => {
                self.restart(number)?;
                let outbox = self.phones[number].disk.outbox()?;
                outbox
                    .iter()
                    .any(|item| matches!(&item.item, Item::Event(event) if event.id == id))
            }
            Err(error) => return Err(error).context("a visit that should be valid"),
        };
        if kept {
            self.ledger.events.insert(id, number);
        }
        Ok(None)
    }

    /// A new record on a phone; its id.
    ///
    /// # Errors
    /// When core finds it wrong.
    pub fn create(
        &mut self,
        number: usize,
        record_type: &'static str,
        area: AreaCode,
        fields: &[(&str, Value)],
    ) -> anyhow::Result<RecordId> {
        let clock = self.phones[number].clock(self.now);
        let id = RecordId::new(clock, work::ten(&mut self.rng));
        let fields = own(fields);
        let job = Job::Create {
            id,
            record_type,
            area,
            fields,
        };
        self.work(number, job)?;
        Ok(id)
    }

    /// Other values in a record on a phone.
    ///
    /// # Errors
    /// When core finds them wrong, or the phone does not hold the record.
    pub fn update(
        &mut self,
        number: usize,
        id: RecordId,
        fields: &[(&str, Value)],
    ) -> anyhow::Result<Option<Mark>> {
        let record = self.phones[number].disk.record(id)?;
        let record_type = record.context("the phone holds the record")?.record_type;
        let job = Job::Update {
            id,
            record_type,
            fields: own(fields),
        };
        self.work(number, job)
    }

    // ------------------------------------------------------------ wires

    /// Connects a phone, over a new wire.
    ///
    /// # Errors
    /// None that a sound phone gives.
    pub fn connect(&mut self, number: usize) -> anyhow::Result<()> {
        if self.phones[number].wiped || self.phones[number].line.is_some() {
            return Ok(());
        }
        let line = self.next_line;
        self.next_line += 1;
        self.note(|| format!("phone {number} connects: line {line}"));
        let hello = self.phones[number].connect(line)?;
        self.server.open(line);
        self.wires.insert(
            line,
            Wire {
                phone: number,
                up: VecDeque::from([hello.encode()]),
                down: VecDeque::new(),
                phone_end: true,
                server_end: true,
                stirred: false,
            },
        );
        Ok(())
    }

    /// The phone's end of its wire is cut. What is on its way up may still arrive, unless it is lost too.
    pub fn cut(&mut self, number: usize, lose_up: bool) {
        let Some(line) = self.phones[number].line else {
            return;
        };
        self.note(|| format!("phone {number} loses line {line}, and what it sent: {lose_up}"));
        self.phones[number].hang_up();
        if let Some(wire) = self.wires.get_mut(&line) {
            wire.phone_end = false;
            wire.down.clear();
            if lose_up {
                wire.up.clear();
            }
        }
        self.bury(line);
    }

    /// The server's end of a wire is cut. What is on its way down may still arrive.
    pub fn cut_at_server(&mut self, line: u64) {
        self.count("line cut");
        self.note(|| format!("the server loses line {line}"));
        self.server.close(line);
        if let Some(wire) = self.wires.get_mut(&line) {
            wire.server_end = false;
            wire.up.clear();
        }
        self.bury(line);
    }

    /// Takes away a wire that carries nothing any more.
    fn bury(&mut self, line: u64) {
        let Some(wire) = self.wires.get(&line) else {
            return;
        };
        if !wire.server_end && wire.phone_end && wire.down.is_empty() {
            let phone = wire.phone;
            self.phones[phone].hang_up();
            self.wires.remove(&line);
        } else if !wire.phone_end && wire.up.is_empty() {
            self.server.close(line);
            self.wires.remove(&line);
        }
    }

    /// Brings the next frame of a wire to the server.
    ///
    /// # Errors
    /// When what the server answers may not be sent.
    pub fn carry_up(&mut self, line: u64) -> anyhow::Result<bool> {
        let Some(wire) = self.wires.get_mut(&line) else {
            return Ok(false);
        };
        let Some(bytes) = wire.up.pop_front() else {
            return Ok(false);
        };
        let from = wire.phone;
        if let Some(story) = &mut self.story {
            let frame = Up::decode(&bytes).map(|frame| story::say_up(&frame));
            story.push(format!("line {line}: phone {from} → server {frame:?}"));
        }
        let reply = self.server.receive(line, &bytes, self.now);
        self.send_down(line, reply.frames)?;
        if reply.close {
            self.cut_at_server(line);
        }
        self.bury(line);
        Ok(true)
    }

    fn send_down(&mut self, line: u64, frames: Vec<Down>) -> anyhow::Result<()> {
        let Some(wire) = self.wires.get(&line) else {
            return Ok(());
        };
        let user = self.phones[wire.phone].who.user;
        let phone_end = wire.phone_end;
        for frame in frames {
            checks::may_be_sent(&self.server, user, &frame)?;
            for what in story::kinds(&frame) {
                self.count(&what);
            }
            if phone_end && let Some(wire) = self.wires.get_mut(&line) {
                wire.down.push_back(frame.encode());
            }
        }
        Ok(())
    }

    /// Brings the next frame of a wire to its phone.
    ///
    /// # Errors
    /// When the phone finds it wrong.
    pub fn carry_down(&mut self, line: u64) -> anyhow::Result<bool> {
        let Some(wire) = self.wires.get_mut(&line) else {
            return Ok(false);
        };
        let Some(bytes) = wire.down.pop_front() else {
            return Ok(false);
        };
        let number = wire.phone;
        if let Some(story) = &mut self.story {
            let frame = Down::decode(&bytes).map(|frame| story::say_down(&frame));
            story.push(format!("line {line}: server → phone {number} {frame:?}"));
        }
        let heard = self.phones[number].receive(&bytes, self.now);
        self.heard(number, heard)?;
        self.bury(line);
        Ok(true)
    }

    /// Sends what a phone says, and starts it again when it stopped. What makes no sense to it ends a connection whose
    /// frames were stirred, and is an error of any other.
    fn heard(&mut self, number: usize, heard: Result<Heard, PhoneError>) -> anyhow::Result<()> {
        match heard {
            Ok(heard) => {
                self.send_up(number, heard.frames);
                if heard.ended {
                    self.cut(number, true);
                }
                Ok(())
            }
            Err(DeviceError::Store(_)) => self.restart(number),
            Err(DeviceError::Protocol(what)) if self.is_stirred(number) => {
                self.count("hung up");
                self.note(|| format!("phone {number} hangs up: {what}"));
                self.cut(number, false);
                Ok(())
            }
            Err(error) => Err(error).context(format!("phone {number}")),
        }
    }

    fn is_stirred(&self, number: usize) -> bool {
        let line = self.phones[number].line;
        let wire = line.and_then(|line| self.wires.get(&line));
        wire.is_some_and(|wire| wire.stirred)
    }

    fn send_up(&mut self, number: usize, frames: Vec<Up>) {
        let line = self.phones[number].line;
        if let Some(wire) = line.and_then(|line| self.wires.get_mut(&line))
            && wire.server_end
        {
            wire.up.extend(frames.iter().map(Up::encode));
        }
    }

    /// Lets the server send a connection the next entries of its scopes.
    ///
    /// # Errors
    /// When something of them may not be sent.
    pub fn feed(&mut self, line: u64, limit: usize) -> anyhow::Result<bool> {
        let frames = self.server.feed(line, limit);
        let any = !frames.is_empty();
        self.send_down(line, frames)?;
        Ok(any)
    }

    /// Lets a phone send its next envelope.
    ///
    /// # Errors
    /// None that a sound phone gives.
    pub fn push(&mut self, number: usize) -> anyhow::Result<bool> {
        match self.phones[number].push(self.now) {
            Ok(Some(frame)) => {
                self.send_up(number, vec![frame]);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(DeviceError::Store(_)) => self.restart(number).map(|()| true),
            Err(error) => Err(error).context(format!("phone {number}")),
        }
    }

    /// Lets a phone fetch a bundle it was offered.
    ///
    /// # Errors
    /// When the phone finds it wrong.
    pub fn fetch(&mut self, number: usize) -> anyhow::Result<bool> {
        let Some((scope, offer)) = self.phones[number].fetches.first().cloned() else {
            return Ok(false);
        };
        self.count("bundle fetched");
        self.note(|| format!("phone {number} fetches the bundle of {scope}"));
        let file = self.server.files[&offer.digest].clone();
        let heard = self.phones[number].take_bundle(scope, &file, self.now);
        self.heard(number, heard)?;
        Ok(true)
    }

    // ------------------------------------------------------------ faults and decisions

    /// Stops a phone and starts it again.
    ///
    /// # Errors
    /// None that a sound phone gives.
    pub fn restart(&mut self, number: usize) -> anyhow::Result<()> {
        self.count("phone stopped");
        self.note(|| format!("phone {number} stops and starts again"));
        let lose = self.rng.random();
        self.cut(number, lose);
        Ok(self.phones[number].restart()?)
    }

    /// A phone's file of records is lost; what it had not sent is in a file of its own.
    ///
    /// # Errors
    /// None that a sound phone gives.
    pub fn lose_records(&mut self, number: usize) -> anyhow::Result<()> {
        if self.phones[number].wiped {
            return Ok(());
        }
        self.count("records lost");
        self.note(|| format!("phone {number} loses its records"));
        self.cut(number, false);
        self.phones[number].disk.lose_records()?;
        self.phones[number].lost_records = true;
        Ok(self.phones[number].restart()?)
    }

    /// A phone's outbox is lost, with the envelopes under way; the records are in a file of their own.
    ///
    /// # Errors
    /// None that a sound phone gives.
    pub fn lose_outbox(&mut self, number: usize) -> anyhow::Result<()> {
        self.count("outbox lost");
        self.note(|| format!("phone {number} loses its outbox"));
        self.cut(number, false);
        let phone = &mut self.phones[number];
        phone.disk.lose_outbox()?;
        requeue(&mut phone.disk, phone.who.user)?;
        Ok(phone.restart()?)
    }

    /// Stops the server and starts it again.
    pub fn crash_server(&mut self) {
        self.count("server stopped");
        self.note(|| "the server stops and starts again".to_owned());
        self.server.crash();
        for line in self.wires.keys().copied().collect::<Vec<_>>() {
            self.cut_at_server(line);
        }
    }

    /// The server is restored from a backup; its connections end.
    pub fn set_back(&mut self, register: Register) {
        self.count("server set back");
        self.note(|| "the server is restored from a backup".to_owned());
        self.server.set_back(register);
        for line in self.wires.keys().copied().collect::<Vec<_>>() {
            self.cut_at_server(line);
        }
    }

    /// Gives a user other grants; the user's connections end.
    pub fn regrant(&mut self, number: usize, grants: Grants) {
        self.count("rights changed");
        self.note(|| format!("phone {number} now has {grants:?}"));
        let user = self.phones[number].who.user;
        for line in self.server.grant(user, grants) {
            self.cut_at_server(line);
        }
    }

    /// A phone is reported lost: it is wiped when it next comes by.
    pub fn lose_phone(&mut self, number: usize) {
        self.count("phone lost");
        self.note(|| format!("phone {number} is reported lost"));
        let user = self.phones[number].who.user;
        let device = self.phones[number].who.device;
        if let Some(enrolled) = self.server.devices.get_mut(&device) {
            enrolled.lost = true;
        }
        self.regrant(number, Vec::new());
        self.server.users.insert(user, Vec::new());
    }

    /// Decides an open item about a field: mostly for one of its values.
    pub fn decide(&mut self, at: usize) {
        let values = &self.server.register.conflicts[at].values;
        let pick = self.rng.random_range(0..values.len());
        let value = values.values().nth(pick).cloned().unwrap_or_default();
        self.count("decided");
        self.note(|| format!("conflict {at} is decided: {value:?}"));
        self.server.decide(at, value, self.now);
    }

    // ------------------------------------------------------------ rest

    /// Connects one phone and carries its frames until it has sent and holds everything.
    ///
    /// # Errors
    /// When something is wrong, or it does not come to an end.
    pub fn sync(&mut self, number: usize) -> anyhow::Result<()> {
        for _ in 0..ROUNDS {
            self.connect(number)?;
            let Some(line) = self.phones[number].line else {
                return Ok(()); // wiped
            };
            if !self.pump(number, line)? && self.phones[number].settled()? {
                return Ok(());
            }
        }
        bail!("phone {number} does not come to rest")
    }

    /// Connects one phone and carries its frames a few times, whether or not it comes to rest by that.
    ///
    /// # Errors
    /// When something is wrong.
    pub fn meet(&mut self, number: usize) -> anyhow::Result<()> {
        for _ in 0..6 {
            self.connect(number)?;
            if let Some(line) = self.phones[number].line {
                self.pump(number, line)?;
            }
        }
        Ok(())
    }

    /// Carries everything there is to carry once; whether there was anything.
    fn pump(&mut self, number: usize, line: u64) -> anyhow::Result<bool> {
        let mut any = false;
        while self.push(number)? {
            any = true;
        }
        while self.carry_up(line)? {
            any = true;
        }
        any |= self.feed(line, 50)?;
        while self.carry_down(line)? {
            any = true;
        }
        while self.fetch(number)? {
            any = true;
        }
        Ok(any)
    }

    /// No more faults: everyone connects, sends and receives until nothing moves.
    ///
    /// # Errors
    /// When something is wrong, or it does not come to an end.
    pub fn rest(&mut self) -> anyhow::Result<()> {
        self.note(|| "no more faults".to_owned());
        for number in 0..self.phones.len() {
            self.phones[number].disk.fuse = None;
        }
        let mut waited = false;
        for _ in 0..ROUNDS {
            let mut any = false;
            // What old connections still carry arrives first.
            let lines: Vec<(u64, usize)> = self
                .wires
                .iter()
                .map(|(line, wire)| (*line, wire.phone))
                .collect();
            for (line, number) in lines {
                if self.phones[number].line != Some(line) {
                    while self.carry_up(line)? {
                        any = true;
                    }
                }
            }
            for number in 0..self.phones.len() {
                self.connect(number)?;
                if let Some(line) = self.phones[number].line {
                    any |= self.pump(number, line)?;
                }
            }
            if any {
                waited = false;
                continue;
            }
            let mut open = Vec::new();
            for (number, phone) in self.phones.iter().enumerate() {
                if !phone.wiped && !phone.settled()? {
                    open.push(number);
                }
            }
            if open.is_empty() {
                return Ok(());
            }
            ensure!(!waited, "phones {open:?} rest and have not settled");
            // What had to wait for others goes up again after a while.
            waited = true;
            self.wait(AGAIN);
        }
        bail!("the world does not come to rest")
    }
}

fn own(fields: &[(&str, Value)]) -> Fields {
    let fields = fields.iter();
    fields
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}

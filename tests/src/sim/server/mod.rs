//! The server in memory: core's `ServerSession` for every connection over the register's model. A frame taken is a
//! frame committed; a crash forgets the connections and nothing else. Knows no network: frames in, frames out.

pub mod log;
pub mod register;

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::crdt::chunk;
use doorstep_core::crypto::sm2::{KeyPair, PublicKey};
use doorstep_core::crypto::sm3;
use doorstep_core::envelope::Item;
use doorstep_core::ids::{AreaCode, DeviceId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::protocol::frames::{Batch, BundleOffer, Bye, Cursor, Down, Entry, Heads, Hello};
use doorstep_core::rights::{Permission, Role};
use doorstep_core::sync::server::{Allowed, Demand, ServerSession};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};

use register::{Register, Submitter};

/// A user's roles, and where.
pub type Grants = Vec<(Role, AreaCode)>;

/// A device the server knows.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// Who uses it.
    pub user: UserId,
    /// Its key.
    pub key: PublicKey,
    /// Reported lost: wiped at its next contact.
    pub lost: bool,
}

/// One connection, as the server sees it.
#[derive(Debug)]
struct Line {
    session: ServerSession,
    device: Option<DeviceId>,
}

/// What the server says to a frame.
#[derive(Debug, Default)]
pub struct Reply {
    /// To the device that sent it.
    pub frames: Vec<Down>,
    /// Whether the connection ends.
    pub close: bool,
}

/// See the module.
pub struct Server {
    /// What is kept.
    pub register: Register,
    /// Every user's grants.
    pub users: BTreeMap<UserId, Grants>,
    /// Every device.
    pub devices: BTreeMap<DeviceId, Enrolled>,
    /// The areas that have a scope.
    pub villages: Vec<AreaCode>,
    /// Bundle files by digest.
    pub files: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Restored from a backup once.
    pub restored: bool,
    me: Submitter,
    offers: BTreeMap<ScopeId, BundleOffer>,
    lines: BTreeMap<u64, Line>,
}

impl Server {
    /// A server that holds nothing yet.
    #[must_use]
    pub fn new(key: &KeyPair, villages: Vec<AreaCode>) -> Self {
        Self {
            register: Register::default(),
            users: BTreeMap::new(),
            devices: BTreeMap::new(),
            villages,
            files: BTreeMap::new(),
            restored: false,
            me: Submitter {
                device: DeviceId::from_bytes([0xff; 16]),
                user: UserId::from_bytes([0xff; 16]),
                key: key.public(),
                grants: vec![(Role::Server, register::city())],
            },
            offers: BTreeMap::new(),
            lines: BTreeMap::new(),
        }
    }

    /// What a user may hold now.
    #[must_use]
    pub fn scopes_of(&self, user: UserId) -> BTreeSet<ScopeId> {
        let grants = self.users.get(&user).map(Vec::as_slice).unwrap_or_default();
        let held = |village: &&AreaCode| {
            let covers = |(role, area): &(Role, AreaCode)| {
                role.may(Permission::Sync) && area.contains(village)
            };
            grants.iter().any(covers)
        };
        let villages = self.villages.iter().filter(held);
        let mut scopes: BTreeSet<ScopeId> = villages.map(|area| ScopeId::Area(*area)).collect();
        scopes.extend([ScopeId::User(user), ScopeId::Common]);
        scopes
    }

    /// Takes a connection.
    pub fn open(&mut self, line: u64) {
        let session = ServerSession::new();
        let device = None;
        self.lines.insert(line, Line { session, device });
    }

    /// Ends a connection.
    pub fn close(&mut self, line: u64) {
        self.lines.remove(&line);
    }

    /// Restored from a backup: what came after it is gone, and so are the connections.
    pub fn set_back(&mut self, register: Register) {
        self.register = register;
        self.restored = true;
        self.offers.clear();
        self.crash();
    }

    /// Stops and starts again: what was committed stays, connections do not.
    pub fn crash(&mut self) {
        self.lines.clear();
    }

    /// Gives a user other grants; the connections that this ends.
    pub fn grant(&mut self, user: UserId, grants: Grants) -> Vec<u64> {
        self.users.insert(user, grants);
        let of_user = |device: DeviceId| self.devices[&device].user == user;
        let lines = self.lines.iter();
        lines
            .filter(|(_, line)| line.device.is_some_and(of_user))
            .map(|(name, _)| *name)
            .collect()
    }

    /// Takes a frame and commits what it asks.
    pub fn receive(&mut self, name: u64, bytes: &[u8], now: Timestamp) -> Reply {
        let Some(line) = self.lines.get_mut(&name) else {
            return Reply::default();
        };
        match line.session.receive(bytes) {
            Demand::SignIn(hello) => self.sign_in(name, &hello, now),
            Demand::Accept(signed) => {
                let Some(device) = line.device else {
                    return Reply::default();
                };
                let enrolled = &self.devices[&device];
                let who = Submitter {
                    device,
                    user: enrolled.user,
                    key: enrolled.key.clone(),
                    grants: self.users[&enrolled.user].clone(),
                };
                let digest = signed.digest();
                match signed.open(device, &enrolled.key) {
                    Ok(envelope) => {
                        let items = envelope.items;
                        let pushed = self.register.apply(&who, envelope.seq, digest, items);
                        self.register.follow(&self.me, now.0);
                        Reply::one(Down::Pushed(pushed))
                    }
                    Err(error) => {
                        let alarm = (error.code().to_owned(), device);
                        self.register.alarms.push(alarm);
                        Reply::bye(error.code())
                    }
                }
            }
            Demand::Repair(heads) => self.repair(name, &heads),
            Demand::End(bye) => Reply {
                frames: vec![Down::Bye(bye)],
                close: true,
            },
            Demand::Purged(_)
            | Demand::Presence(_)
            | Demand::Unsent(_)
            | Demand::Resume(_)
            | Demand::Noted => Reply::default(),
        }
    }

    fn sign_in(&mut self, name: u64, hello: &Hello, now: Timestamp) -> Reply {
        let Some(enrolled) = self.devices.get(&hello.device) else {
            return Reply::bye("device_revoked");
        };
        if enrolled.lost {
            return Reply {
                frames: vec![Down::Wipe],
                close: true,
            };
        }
        let user = enrolled.user;
        let scopes = self.scopes_of(user).into_iter();
        let allowed: Vec<Allowed> = scopes
            .map(|scope| Allowed {
                scope,
                end: self.register.logs.entry(scope).or_default().end(),
                bundle: self.offers.get(&scope).cloned(),
            })
            .collect();
        let next = self.register.next_envelope(hello.device, user);
        let Some(line) = self.lines.get_mut(&name) else {
            return Reply::default();
        };
        line.device = Some(hello.device);
        let (welcome, from) = line.session.welcome(hello, &allowed, next, now);
        let mut frames = vec![Down::Welcome(welcome)];
        // Nothing of the log is missing, and yet the digests differ: only a checkpoint says so.
        for (scope, start) in from {
            let end = self.register.logs.entry(scope).or_default().end();
            let said = hello.scopes.iter().find(|(held, _)| *held == scope);
            let differs = |at: &Cursor| at.seq == end.seq && at.digest != end.digest;
            if start == end.seq && said.is_some_and(|(_, at)| differs(at)) {
                frames.push(Down::Checkpoint(scope, end));
            }
        }
        Reply {
            frames,
            close: false,
        }
    }

    /// Sends the records that differ, and takes away those that are in the scope no longer.
    fn repair(&mut self, name: u64, heads: &Heads) -> Reply {
        let scope = heads.scope;
        let Some(at) = self
            .lines
            .get(&name)
            .and_then(|line| line.session.next_after(scope))
        else {
            return Reply::default();
        };
        let theirs: BTreeMap<RecordId, ScopeDigest> = heads.records.iter().copied().collect();
        let mut ours = BTreeSet::new();
        let mut entries = Vec::new();
        for (id, record) in self.register.members(scope) {
            ours.insert(*id);
            let part = ScopeDigest::of_record(*id, record.hold.registers.heads());
            if theirs.get(id) != Some(&part) {
                entries.extend(self.register.whole(scope, *id));
            }
        }
        let gone = theirs.keys().filter(|id| !ours.contains(id));
        entries.extend(gone.map(|id| Entry::Leave(*id)));
        let mut frames = vec![batch(scope, heads.seq, heads.seq, &entries)];
        let end = self.register.logs.entry(scope).or_default().end();
        if at == end.seq {
            frames.push(Down::Checkpoint(scope, end));
        }
        Reply {
            frames,
            close: false,
        }
    }

    /// The next entries of every scope that a connection follows, at most `limit` of each, and a checkpoint where a
    /// log's end is reached.
    pub fn feed(&mut self, name: u64, limit: usize) -> Vec<Down> {
        let mut frames = Vec::new();
        let Some(line) = self.lines.get_mut(&name) else {
            return frames;
        };
        let Some(device) = line.device else {
            return frames;
        };
        for scope in line.session.scopes().collect::<Vec<_>>() {
            let Some(log) = self.register.logs.get(&scope) else {
                continue;
            };
            let Some(after) = line.session.next_after(scope) else {
                continue;
            };
            let logged = log.after(after, limit);
            if logged.is_empty() {
                continue;
            }
            let to = after + logged.len() as u64;
            let own = (!line.session.begins(scope)).then_some(device);
            let entries: Vec<Entry> = logged
                .iter()
                .filter_map(|logged| self.register.entry(scope, logged, own))
                .collect();
            frames.push(batch(scope, after, to, &entries));
            line.session.sent(scope, to);
            if to == log.end().seq {
                frames.push(Down::Checkpoint(scope, log.end()));
            }
        }
        frames
    }

    /// Makes a bundle of a scope as it stands now, in frames of at most `per_frame` entries.
    pub fn make_bundle(&mut self, scope: ScopeId, per_frame: usize) {
        let Some(log) = self.register.logs.get(&scope) else {
            return;
        };
        let cursor = log.end();
        let ids: Vec<RecordId> = self.register.members(scope).map(|(id, _)| *id).collect();
        let wholes = ids.iter().filter_map(|id| self.register.whole(scope, *id));
        let events = self
            .register
            .events
            .values()
            .filter(|(event, _)| matches!(scope, ScopeId::Area(area) if area == event.area));
        let entries: Vec<Entry> = wholes
            .chain(events.map(|(event, _)| Entry::Event(event.clone())))
            .chain(log.states().map(Entry::State))
            .collect();
        let mut file = Vec::new();
        for entries in entries.chunks(per_frame.max(1)) {
            let frame = batch(scope, 0, 0, entries).encode();
            file.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            file.extend_from_slice(&frame);
        }
        if file.is_empty() {
            return;
        }
        let offer = BundleOffer {
            digest: sm3::digest(&[&file]).to_vec(),
            bytes: file.len() as u64,
            records: ids.len() as u64,
            cursor,
        };
        self.files.insert(offer.digest.clone(), file);
        self.offers.insert(scope, offer);
    }

    /// A supervisor decides an open item about a field: the value is an ordinary change, and both makers are told.
    pub fn decide(&mut self, at: usize, value: Value, now: Timestamp) {
        let item = self.register.conflicts[at].clone();
        let record_type = self.register.records[&item.record].hold.record_type.clone();
        let fields = Fields::from([(item.subject, value)]);
        self.register
            .put(&self.me, item.record, &record_type, &fields, now.0);
        self.register.conflicts[at].open = false;
        for user in item.makers {
            self.register.tell(user, at, "decided");
        }
    }

    /// A supervisor finds that two records are one person.
    pub fn merge(&mut self, survivor: RecordId, other: RecordId, now: Timestamp) {
        self.register.merge(&self.me, survivor, other, now.0);
    }

    /// A supervisor takes over what was sent for a record that was merged away: it is put into the survivor.
    pub fn adopt(&mut self, refused: usize, now: Timestamp) {
        let kept = self.register.refused[refused].clone();
        let Item::Change(item) = &kept.item else {
            return;
        };
        let survivor = self.register.aliases[&item.record];
        let (change, _) = chunk::decode(&item.bytes).expect("it was decoded before");
        let puts = change.ops.into_iter().map(|op| (op.key, op.value));
        let fields: Fields = puts.filter(|(key, _)| !key.starts_with("tags/e")).collect();
        self.put(survivor, &item.record_type, &fields, now);
        self.register.conflicts[kept.conflict].open = false;
    }

    /// The server's own values in a record: an import, or a file of the police.
    pub fn put(&mut self, record: RecordId, record_type: &str, fields: &Fields, now: Timestamp) {
        self.register
            .put(&self.me, record, record_type, fields, now.0);
    }
}

impl Reply {
    fn one(frame: Down) -> Self {
        Self {
            frames: vec![frame],
            close: false,
        }
    }

    fn bye(code: &str) -> Self {
        Self {
            frames: vec![Down::Bye(Bye {
                code: code.to_owned(),
                message: "请重新登录。".to_owned(),
                retry_after_ms: None,
            })],
            close: true,
        }
    }
}

fn batch(scope: ScopeId, from: u64, to: u64, entries: &[Entry]) -> Down {
    Down::Batch(Batch::pack(scope, from, to, entries).expect("zstd packs"))
}

//! A device for the server's own tests: core's session and memory store on a real websocket.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, reason = "tests")]

use std::net::SocketAddr;
use std::time::Duration;

use doorstep_core::envelope::{Envelope, Item, VERSION};
use doorstep_core::ids::{AreaCode, DeviceId, EventId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::protocol::frames::{Bye, Down, Up, Welcome};
use doorstep_core::rights::Role;
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::store::{DeviceStore, ListQuery};
use doorstep_core::sync::{Action, DeviceSession, Identity, edit};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use doorstep_server::testing::city::Person;
use doorstep_server::testing::{Reply, TestServer};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const NOW: Timestamp = Timestamp(1_795_482_000_000);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection that lasts.
pub(crate) struct Live {
    socket: Socket,
    session: DeviceSession,
}

impl Live {
    /// Says something that the session would not say by itself.
    pub(crate) async fn say(&mut self, up: &Up) {
        let frame = Message::binary(up.encode());
        self.socket.send(frame).await.unwrap();
    }
}

pub(crate) struct SimDevice {
    pub(crate) person: Person,
    pub(crate) who: Identity,
    pub(crate) store: MemoryStore,
    pub(crate) bundles: usize,
    /// Where the last bundle was fetched.
    pub(crate) bundle_path: String,
    pub(crate) token: String,
    /// Where it connects.
    address: SocketAddr,
    area: AreaCode,
    made: u8,
    clock: i64,
}

impl SimDevice {
    pub(crate) async fn new(server: &TestServer, area: &str) -> Self {
        let person = server.person(Role::Collector, area).await.unwrap();
        let device = server.device(&person).await.unwrap();
        let who = Identity {
            device: DeviceId(device.id),
            user: UserId(person.id),
            key: device.key.clone(),
        };
        Self {
            person,
            who,
            store: MemoryStore::default(),
            bundles: 0,
            bundle_path: String::new(),
            token: device.token,
            address: server.next_address(),
            area: area.parse().unwrap(),
            made: 0,
            clock: NOW.0,
        }
    }

    fn now(&mut self) -> Timestamp {
        self.clock += 1;
        Timestamp(self.clock)
    }

    pub(crate) fn create_resident(&mut self, name: &str, number: &str) -> RecordId {
        let area = self.area.to_string();
        self.create_resident_in(name, number, &area)
    }

    pub(crate) fn create_resident_in(&mut self, name: &str, number: &str, area: &str) -> RecordId {
        self.made += 1;
        let now = self.now();
        let mut random = [self.made; 10];
        random[..9].copy_from_slice(&self.who.device.as_bytes()[7..]);
        let id = RecordId::new(now, random);
        let mut fields: Fields = [
            ("name", name),
            ("certificate_kind", "111"),
            ("population_kind", "01"),
            ("sex", "1"),
        ]
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .into();
        if !number.is_empty() {
            fields.insert("id_number".to_owned(), number.into());
        }
        edit::create(
            &mut self.store,
            &self.who,
            id,
            "resident",
            area.parse().unwrap(),
            fields,
            now,
        )
        .unwrap();
        id
    }

    pub(crate) fn create_house(&mut self, address: &str) -> RecordId {
        let fields = [("address", address), ("house_use", "1")];
        let fields = fields.map(|(key, value)| (key.to_owned(), value.into()));
        self.create("house", fields.into())
    }

    fn create(&mut self, record_type: &str, fields: Fields) -> RecordId {
        self.made += 1;
        let now = self.now();
        let mut random = [self.made; 10];
        random[..9].copy_from_slice(&self.who.device.as_bytes()[7..]);
        let id = RecordId::new(now, random);
        let area = self.area;
        edit::create(
            &mut self.store,
            &self.who,
            id,
            record_type,
            area,
            fields,
            now,
        )
        .unwrap();
        id
    }

    pub(crate) fn set(&mut self, id: RecordId, key: &str, value: &str) {
        let now = self.now();
        let fields = Fields::from([(key.to_owned(), Value::from(value))]);
        edit::update(&mut self.store, &self.who, id, &fields, now).unwrap();
    }

    /// A residence of a resident at an address of this device's area.
    pub(crate) fn create_residence(
        &mut self,
        resident: RecordId,
        address: &str,
        main: bool,
    ) -> RecordId {
        let fields = Fields::from([
            ("resident".to_owned(), resident.to_string().into()),
            ("kind".to_owned(), "living".into()),
            ("address".to_owned(), address.into()),
            ("main".to_owned(), main.into()),
        ]);
        self.create("residence", fields)
    }

    pub(crate) fn claim_main(&mut self, residence: RecordId) {
        let now = self.now();
        let fields = Fields::from([("main".to_owned(), true.into())]);
        edit::update(&mut self.store, &self.who, residence, &fields, now).unwrap();
    }

    pub(crate) fn cancel(&mut self, id: RecordId, reason: &str) {
        let now = self.now();
        let fields = Fields::from([
            ("status".to_owned(), "cancelled".into()),
            ("cancel_reason".to_owned(), reason.into()),
            ("cancelled_on".to_owned(), "2026-11-24".into()),
        ]);
        edit::update(&mut self.store, &self.who, id, &fields, now).unwrap();
    }

    /// The checks that this device is asked.
    pub(crate) fn checks(&self) -> Vec<String> {
        let states = self.store.states("check/").unwrap();
        let asked = states.into_iter().filter(|state| !state.json.is_empty());
        asked
            .map(|state| state.key["check/".len()..].to_owned())
            .collect()
    }

    /// Answers a check, with or without a signal.
    pub(crate) fn answer_check(&mut self, check: &str, resident: RecordId, answer: &str) {
        self.made += 1;
        let now = self.now();
        let id = EventId::new(now, [self.made; 10]);
        let fields = Fields::from([
            ("check".to_owned(), check.into()),
            ("resident".to_owned(), resident.to_string().into()),
            ("at".to_owned(), now.0.into()),
            ("answer".to_owned(), answer.into()),
            ("note".to_owned(), "已上门".into()),
        ]);
        let area = self.area;
        edit::record_event(
            &mut self.store,
            &self.who,
            id,
            "check_answer",
            area,
            fields,
            now,
        )
        .unwrap();
    }

    /// What this device knows of its user's rights.
    pub(crate) fn rights(&self) -> String {
        let held = self.store.states("rights").unwrap();
        held.into_iter().map(|state| state.json).collect()
    }

    /// The administrator makes this device's user a collector in an area; gives the grant.
    pub(crate) async fn grant(
        &self,
        server: &TestServer,
        area: &str,
        until: Option<&str>,
    ) -> String {
        let path = format!("/api/users/{}/grants", self.person.id);
        let body = json!({ "role": "collector", "area": area, "ends_on": until });
        let reply = administer(server, "POST", &path, Some(body)).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.body["id"].as_str().unwrap().to_owned()
    }

    /// The administrator takes a grant back.
    pub(crate) async fn take_back(&self, server: &TestServer, grant: &str) {
        let reply = administer(server, "DELETE", &format!("/api/grants/{grant}"), None).await;
        assert_eq!(reply.status, 204, "{}", reply.body);
    }

    /// The administrator closes the account of this device's user.
    pub(crate) async fn close_account(&self, server: &TestServer) {
        let path = format!("/api/users/{}", self.person.id);
        let reply = administer(server, "PATCH", &path, Some(json!({ "status": "closed" }))).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    pub(crate) async fn listen_until_closed(&mut self, live: &mut Live) {
        let closed = async {
            loop {
                match live.socket.next().await {
                    None | Some(Err(_) | Ok(Message::Close(_))) => return,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), closed)
            .await
            .expect("closed in time");
    }

    /// The administrator takes back everything the person was granted.
    pub(crate) async fn lose_all_rights(&self, server: &TestServer) {
        let path = format!("/api/users/{}/grants", self.person.id);
        let grants = administer(server, "GET", &path, None).await.body;
        for grant in grants.as_array().unwrap() {
            self.take_back(server, grant["id"].as_str().unwrap()).await;
        }
    }

    pub(crate) fn field(&self, id: RecordId, key: &str) -> Option<Value> {
        self.store.record(id).unwrap()?.registers.get(key).cloned()
    }

    pub(crate) fn count(&self) -> usize {
        self.store
            .list(&ListQuery {
                limit: 10_000,
                ..ListQuery::default()
            })
            .unwrap()
            .len()
    }

    pub(crate) fn unsent(&self) -> u64 {
        self.store.unsent().unwrap().items
    }

    pub(crate) fn refusals(&self) -> Vec<String> {
        self.store
            .refused()
            .unwrap()
            .into_iter()
            .map(|refused| refused.refusal.code)
            .collect()
    }

    pub(crate) fn messages(&self, code: &str) -> usize {
        let messages = self.store.states("message/").unwrap();
        messages
            .iter()
            .filter(|message| message.json.contains(code))
            .count()
    }

    pub(crate) fn digest(&self) -> Option<ScopeDigest> {
        let scopes = self.store.scopes().unwrap();
        scopes
            .into_iter()
            .find(|(scope, _)| *scope == ScopeId::Area(self.area))
            .map(|(_, at)| at.digest)
    }

    pub(crate) async fn connect(&mut self) -> Live {
        let url = format!("ws://{}/api/sync", self.address);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let session = DeviceSession::new(self.who.clone(), self.token.clone().into_bytes());
        let hello = session.hello(&self.store).unwrap();
        socket.send(Message::binary(hello.encode())).await.unwrap();
        Live { socket, session }
    }

    /// Connects with little room for what comes, says these frames, and reads nothing of the answers.
    pub(crate) async fn reads_nothing(&mut self, frames: Vec<Vec<u8>>) -> Live {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = MaybeTlsStream::Plain(socket.connect(self.address).await.unwrap());
        let url = format!("ws://{}/api/sync", self.address);
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let session = DeviceSession::new(self.who.clone(), self.token.clone().into_bytes());
        let hello = session.hello(&self.store).unwrap();
        for frame in [hello.encode()].into_iter().chain(frames) {
            socket.send(Message::binary(frame)).await.unwrap();
        }
        Live { socket, session }
    }

    /// Connects, sends and receives until nothing is left to do.
    pub(crate) async fn sync(&mut self) {
        let mut live = self.connect().await;
        let done = async {
            while !live.session.settled(&self.store).unwrap() {
                self.step(&mut live).await;
            }
            // What came back before its answer, or into no scope of ours, never echoes: wait a moment only.
            let echo = async {
                while !live.session.echoed() {
                    self.step(&mut live).await;
                }
            };
            tokio::time::timeout(Duration::from_millis(500), echo)
                .await
                .ok();
        };
        tokio::time::timeout(Duration::from_secs(20), done)
            .await
            .expect("settles");
        live.socket.close(None).await.ok();
    }

    /// Asks its node for the last bundle, as the holder of a token.
    pub(crate) async fn fetch_bundle(&self, token: &str) -> reqwest::Response {
        let url = format!("http://{}{}", self.address, self.bundle_path);
        let request = reqwest::Client::new().get(url).bearer_auth(token);
        request.send().await.unwrap()
    }

    /// Says which record the user has open.
    pub(crate) async fn look_at(&self, live: &mut Live, record: Option<RecordId>) {
        let frame = Up::Presence(record).encode();
        live.socket.send(Message::binary(frame)).await.unwrap();
    }

    /// Waits until the server has taken it in.
    pub(crate) async fn sees_welcome(&mut self, live: &mut Live) {
        while !matches!(receive(&mut live.socket).await, Down::Welcome(_)) {}
    }

    /// Waits for the goodbye.
    pub(crate) async fn hears_goodbye(&mut self, live: &mut Live) -> Bye {
        loop {
            if let Down::Bye(bye) = receive(&mut live.socket).await {
                return bye;
            }
        }
    }

    /// How often it is told who has what open, until nothing is said for a second.
    pub(crate) async fn counts_presence(&mut self, live: &mut Live) -> usize {
        let mut count = 0;
        let second = Duration::from_secs(1);
        while let Ok(Some(Ok(message))) = tokio::time::timeout(second, live.socket.next()).await {
            if let Message::Binary(bytes) = message
                && matches!(Down::decode(&bytes).unwrap(), Down::Presence(_))
            {
                count += 1;
            }
        }
        count
    }

    /// Waits for the order to wipe.
    pub(crate) async fn is_told_to_wipe(&mut self, live: &mut Live) {
        while !matches!(receive(&mut live.socket).await, Down::Wipe) {}
    }

    /// Waits until it is told that so many others have a record open.
    pub(crate) async fn sees_present(&mut self, live: &mut Live, count: usize) {
        loop {
            if let Down::Presence(present) = receive(&mut live.socket).await
                && present.len() == count
            {
                return;
            }
        }
    }

    pub(crate) async fn listen_until(&mut self, live: &mut Live, done: impl Fn(&Self) -> bool) {
        let heard = async {
            while !done(self) {
                let frame = receive(&mut live.socket).await;
                live.session.receive(&mut self.store, frame, NOW).unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(5), heard)
            .await
            .expect("heard in time");
    }

    async fn step(&mut self, live: &mut Live) {
        let frame = receive(&mut live.socket).await;
        let mut actions = live.session.receive(&mut self.store, frame, NOW).unwrap();
        while let Some(action) = actions.pop() {
            match action {
                Action::Send(up) => live
                    .socket
                    .send(Message::binary(up.encode()))
                    .await
                    .unwrap(),
                Action::Fetch(scope, offer) => {
                    self.bundles += 1;
                    self.bundle_path = format!("/api/sync/bundles/{}", hex::encode(&offer.digest));
                    let answer = self.fetch_bundle(&self.token).await;
                    assert_eq!(answer.status(), 200);
                    let file = answer.bytes().await.unwrap();
                    actions.extend(
                        live.session
                            .bundle(&mut self.store, scope, &offer, &file, NOW)
                            .unwrap(),
                    );
                }
                Action::Bye(bye) => panic!("server says {bye:?}"),
                _ => {}
            }
        }
        let now = self.now();
        while let Some(up) = live.session.push(&mut self.store, now).unwrap() {
            live.socket
                .send(Message::binary(up.encode()))
                .await
                .unwrap();
        }
    }

    /// An envelope of the device's own make, with the number that the server expects, and what the server says to it:
    /// Pushed or Bye; nothing when it hangs up.
    pub(crate) async fn says(&mut self, make: impl FnOnce(&Self, u64) -> Vec<u8>) -> Option<Down> {
        self.says_all(|device, next| vec![make(device, next)])
            .await
            .pop()
    }

    /// A connection, and what the server says to the device's Hello.
    async fn welcomed(&mut self) -> (Live, Welcome) {
        let mut live = self.connect().await;
        match receive(&mut live.socket).await {
            Down::Welcome(welcome) => (live, welcome),
            other => panic!("no welcome: {other:?}"),
        }
    }

    /// The same with several frames, one after the other's answer, until the server hangs up.
    pub(crate) async fn says_all(
        &mut self,
        make: impl FnOnce(&Self, u64) -> Vec<Vec<u8>>,
    ) -> Vec<Down> {
        let (mut live, welcome) = self.welcomed().await;
        let mut answers = Vec::new();
        for frame in make(self, welcome.next_envelope) {
            live.socket.send(Message::binary(frame)).await.ok();
            match answer(&mut live.socket).await {
                Some(down) => answers.push(down),
                None => break,
            }
        }
        answers
    }

    /// The same, without waiting for answers in between.
    pub(crate) async fn says_at_once(
        &mut self,
        make: impl FnOnce(&Self, u64) -> Vec<Vec<u8>>,
    ) -> Vec<Down> {
        let (mut live, welcome) = self.welcomed().await;
        let frames = make(self, welcome.next_envelope);
        for frame in &frames {
            let frame = Message::binary(frame.clone());
            live.socket.send(frame).await.ok();
        }
        let mut answers = Vec::new();
        while answers.len() < frames.len()
            && let Some(down) = answer(&mut live.socket).await
        {
            answers.push(down);
        }
        answers
    }

    /// Frames that nobody answers, and then an envelope: what the server says to that.
    pub(crate) async fn says_after(
        &mut self,
        frames: Vec<Vec<u8>>,
        items: Vec<Item>,
    ) -> Option<Down> {
        let (mut live, welcome) = self.welcomed().await;
        let envelope = self.sealed(welcome.next_envelope, NOW, items);
        for frame in frames.into_iter().chain([envelope]) {
            live.socket.send(Message::binary(frame)).await.ok();
        }
        answer(&mut live.socket).await
    }

    /// Items sealed as a device seals them.
    pub(crate) fn sealed(&self, seq: u64, time: Timestamp, items: Vec<Item>) -> Vec<u8> {
        Self::sealed_by(&self.who, seq, time, items)
    }

    /// The same as someone.
    pub(crate) fn sealed_by(
        who: &Identity,
        seq: u64,
        time: Timestamp,
        items: Vec<Item>,
    ) -> Vec<u8> {
        let envelope = Envelope {
            version: VERSION,
            device: who.device,
            user: who.user,
            seq,
            time,
            items,
        };
        Up::Push(envelope.seal(&who.key)).encode()
    }

    /// Sends everything and is gone before the answer comes.
    pub(crate) async fn push_and_vanish(&mut self) {
        let mut live = self.connect().await;
        let frame = receive(&mut live.socket).await;
        live.session.receive(&mut self.store, frame, NOW).unwrap();
        let now = self.now();
        let up = live
            .session
            .push(&mut self.store, now)
            .unwrap()
            .expect("something to push");
        assert!(matches!(up, Up::Push(_)));
        live.socket
            .send(Message::binary(up.encode()))
            .await
            .unwrap();
        receive(&mut live.socket).await; // answered, and the answer is lost
        drop(live);
    }

    pub(crate) async fn reconnect_is_one_small_frame_each_way(&mut self) {
        self.sync().await;
        let mut live = self.connect().await;
        let hello = live.session.hello(&self.store).unwrap().encode();
        assert!(hello.len() < 300, "{} bytes up", hello.len());
        let message = live.socket.next().await.unwrap().unwrap();
        assert!(message.len() < 300, "{} bytes down", message.len());
        let Down::Welcome(welcome) = Down::decode(&message.into_data()).unwrap() else {
            panic!("no welcome")
        };
        assert!(
            welcome.scopes.is_empty() && welcome.dropped.is_empty(),
            "{welcome:?}"
        );
        let more = tokio::time::timeout(Duration::from_millis(300), live.socket.next()).await;
        assert!(more.is_err(), "nothing more comes: {more:?}");
    }
}

pub(crate) async fn administer(
    server: &TestServer,
    method: &str,
    path: &str,
    body: Option<Json>,
) -> Reply {
    let administrator = server.administrator(Role::AreaAdministrator).unwrap();
    server
        .send(method, path, Some(&administrator.token), body)
        .await
        .unwrap()
}

/// The next Pushed or Bye; nothing when the server hangs up.
async fn answer(socket: &mut Socket) -> Option<Down> {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(15), socket.next());
        match next.await.expect("an answer in time") {
            Some(Ok(Message::Binary(bytes))) => {
                let down = Down::decode(&bytes).unwrap();
                if matches!(down, Down::Pushed(_) | Down::Bye(_)) {
                    return Some(down);
                }
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return None,
        }
    }
}

async fn receive(socket: &mut Socket) -> Down {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(15), socket.next())
            .await
            .expect("a frame in time");
        match message.expect("open").expect("readable") {
            Message::Binary(bytes) => return Down::decode(&bytes).unwrap(),
            Message::Close(_) => panic!("closed"),
            _ => {}
        }
    }
}

//! A server in the test's process, over the core's own session and registers, that fails on demand: it drops the
//! connection at a given frame, delivers twice, cuts bundles and photos short. Judges signatures and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(dead_code, reason = "each test uses a part of it")]

mod photos;
mod world;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{Path, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use doorstep_client::{Counters, Device, Http, KeepNothing, Login, Options, Parts, ServerAddress};
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::{AreaCode, DeviceId, UserId};
use doorstep_core::protocol::frames::{Down, Pushed};
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::sync::Identity;
use doorstep_core::sync::server::{Demand, ServerSession};
use doorstep_core::time::Timestamp;
use doorstep_core::value::Fields;
use futures_util::StreamExt;
use tokio::sync::Notify;

pub(crate) use photos::Uploads;
pub(crate) use world::World;

/// The one area of these tests.
pub(crate) fn area() -> AreaCode {
    "310101002001".parse().unwrap()
}

/// What goes wrong.
#[derive(Default)]
pub(crate) struct Faults {
    /// The connection is dropped when so many frames, either way, have passed; counts down.
    pub(crate) cut_after: Option<u64>,
    /// The connection is dropped after the first batch of entries.
    pub(crate) one_batch: bool,
    /// Every frame is sent twice.
    pub(crate) twice: bool,
    /// Answers to bundle requests break off after so many bytes.
    pub(crate) bundle_bytes: Option<usize>,
    /// So many bundle requests are answered with other bytes.
    pub(crate) spoil_bundles: u32,
    /// Bundle requests so far, as the first byte asked for.
    pub(crate) bundle_requests: Vec<u64>,
    /// Frames are heard and never answered.
    pub(crate) mute: bool,
}

pub(crate) struct Fake {
    pub(crate) world: Mutex<World>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) uploads: Mutex<Uploads>,
    pub(crate) news: Notify,
    pub(crate) address: Mutex<String>,
}

impl Fake {
    pub(crate) async fn start() -> Arc<Self> {
        let fake = Arc::new(Self {
            world: Mutex::default(),
            faults: Mutex::default(),
            uploads: Mutex::default(),
            news: Notify::new(),
            address: Mutex::default(),
        });
        let router = Router::new()
            .route("/api/sync", any(upgrade))
            .route("/api/sync/bundles/{digest}", get(bundle))
            .route("/api/photos", post(photos::open))
            .route("/api/photos/{digest}", get(photos::download))
            .route("/api/photos/{upload}/{offset}", put(photos::chunk))
            .with_state(fake.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        *fake.address.lock().unwrap() = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        fake
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    /// Counts a frame; `false` when the connection is to be cut before it.
    fn frame_passes(&self) -> bool {
        let mut faults = self.faults();
        match &mut faults.cut_after {
            Some(0) => {
                faults.cut_after = None;
                false
            }
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    /// Enrols device number `n` and gives it, on a store in memory.
    pub(crate) fn device(&self, n: u8) -> TestDevice {
        let key = KeyPair::from_secret(&[n; 32]).unwrap();
        let who = Identity {
            device: DeviceId::from_bytes([n; 16]),
            user: UserId::from_bytes([100 + n; 16]),
            key,
        };
        self.world().devices.insert(who.device, who.key.public());
        let counters = Arc::<Counters>::default();
        let server = ServerAddress::parse(&self.address.lock().unwrap()).unwrap();
        let http = Http::new(server, counters.clone()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts {
            store: MemoryStore::default(),
            login: Login::new(http, who, Some("token".into()), Arc::new(KeepNothing)),
            counters,
            data_key: [n; 32],
            options: Options {
                connect_timeout: Duration::from_secs(5),
                ping_every: Duration::from_millis(100),
                idle_timeout: Duration::from_millis(400),
                backoff_least: Duration::from_millis(2),
                backoff_most: Duration::from_millis(20),
                tries: 1,
            },
        };
        let device = Device::new(parts, folder.path()).unwrap();
        TestDevice { device, folder }
    }
}

/// A device and its folder, which goes when it does.
pub(crate) struct TestDevice {
    pub(crate) device: Device<MemoryStore>,
    pub(crate) folder: tempfile::TempDir,
}

impl std::ops::Deref for TestDevice {
    type Target = Device<MemoryStore>;
    fn deref(&self) -> &Self::Target {
        &self.device
    }
}

/// A resident who does not exist.
pub(crate) fn resident(name: &str) -> Fields {
    let values = [("name", name), ("sex", "2"), ("population_kind", "01")];
    values
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into()
}

async fn upgrade(State(fake): State<Arc<Fake>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| talk(fake, socket))
}

/// One connection: the core's session, what it demands, and the log as it grows.
async fn talk(fake: Arc<Fake>, mut socket: WebSocket) {
    let mut session = ServerSession::new();
    let mut device = DeviceId::from_bytes([0; 16]);
    loop {
        let news = fake.news.notified();
        let outgoing = if session.is_welcomed() {
            fake.world().batches(&mut session, device)
        } else {
            Vec::new()
        };
        let idle = outgoing.is_empty();
        for frame in outgoing {
            if !send(&fake, &mut socket, &frame).await {
                return;
            }
            if matches!(frame, Down::Batch(_)) && fake.faults().one_batch {
                // A moment later, or what was sent would be dropped with the connection.
                tokio::time::sleep(Duration::from_millis(30)).await;
                return;
            }
        }
        if !idle {
            continue;
        }
        let bytes = tokio::select! {
            () = news => continue,
            message = socket.recv() => match message {
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(_)) => continue,
                _ => return,
            },
        };
        if !fake.frame_passes() {
            return;
        }
        if fake.faults().mute {
            std::future::pending::<()>().await;
        }
        let answer = match session.receive(&bytes) {
            Demand::SignIn(hello) => {
                device = hello.device;
                let allowed = fake.world().allowed();
                let next = fake.world().next_envelope(device);
                let (welcome, _) =
                    session.welcome(&hello, &allowed, next, Timestamp(1_795_482_000_000));
                Some(Down::Welcome(welcome))
            }
            Demand::Accept(signed) => {
                let (seq, outcomes) = fake.world().accept(device, &signed);
                fake.news.notify_waiters();
                Some(Down::Pushed(Pushed {
                    seq,
                    outcomes,
                    refused: None,
                }))
            }
            Demand::Repair(heads) => fake.world().repair(&heads),
            Demand::Unsent(unsent) => {
                fake.world().unsent.push(unsent);
                None
            }
            Demand::Purged(purged) => {
                fake.world().purged.push(purged);
                None
            }
            Demand::Presence(record) => {
                fake.world().presence.push(record);
                None
            }
            Demand::Resume(_) | Demand::Noted => None,
            Demand::End(bye) => Some(Down::Bye(bye)),
        };
        if let Some(answer) = answer
            && !send(&fake, &mut socket, &answer).await
        {
            return;
        }
    }
}

async fn send(fake: &Fake, socket: &mut WebSocket, frame: &Down) -> bool {
    let again = fake.faults().twice;
    for _ in 0..=u8::from(again) {
        if !fake.frame_passes()
            || socket
                .send(Message::Binary(frame.encode().into()))
                .await
                .is_err()
        {
            return false;
        }
    }
    true
}

async fn bundle(
    State(fake): State<Arc<Fake>>,
    Path(digest): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(file) = fake.world().bundles.get(&digest).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let from: usize = headers
        .get(header::RANGE)
        .and_then(|range| {
            range
                .to_str()
                .ok()?
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let mut faults = fake.faults();
    faults.bundle_requests.push(from as u64);
    let mut rest = file[from..].to_vec();
    if faults.spoil_bundles > 0 {
        faults.spoil_bundles -= 1;
        rest[0] ^= 1;
    }
    let length = rest.len();
    let cut = faults.bundle_bytes.unwrap_or(length).min(length);
    let pieces = rest[..cut]
        .chunks(1024)
        .map(|piece| Ok(piece.to_vec()))
        .collect::<Vec<_>>();
    // A moment later, or the server would drop the connection before it has written what came first.
    let broken = futures_util::stream::once(async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Err(std::io::Error::other("cut"))
    });
    let pieces = futures_util::stream::iter(pieces);
    let body = if cut < length {
        axum::body::Body::from_stream(pieces.chain(broken))
    } else {
        axum::body::Body::from_stream(pieces)
    };
    let range = format!("bytes {from}-{}/{}", file.len() - 1, file.len());
    (
        StatusCode::PARTIAL_CONTENT,
        [(header::CONTENT_RANGE, range)],
        body,
    )
        .into_response()
}

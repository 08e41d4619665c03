//! This node on the bus: says what is waiting, hears the others, over NATS.
//!
//! NATS forgets what nobody hears, so nothing depends on a message: whoever finds that one was missed looks where the
//! logs end, and while the bus can't be reached a node looks by itself every few seconds. Knows no record.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event};
use doorstep_core::ids::UserId;
use futures_util::StreamExt;
use sqlx::types::Uuid;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::message::{self, Message};
use super::peers::{Heard, Peers};
use super::{Address, Mouth, Opened, Words};
use crate::domains::users;
use crate::error::ApiResult;
use crate::keys::MacPurpose;
use crate::state::AppState;
use crate::sync::Follow;

/// How often something is said, be it nothing.
const BEAT: Duration = Duration::from_secs(1);
/// How often the logs are looked at while the bus can't be reached, in beats.
const LOOK_EVERY: u32 = 2;

/// The number of a node's first message.
const FIRST: u64 = 1;

/// Joins the bus that the configuration names; ends when the server stops. Without one it does nothing.
pub fn start(state: &AppState) -> JoinHandle<()> {
    let state = state.clone();
    tokio::spawn(async move {
        let (Some(address), Some(mouth)) = (state.config.bus.clone(), state.bus.0.clone()) else {
            return;
        };
        if let Err(error) = join(&state, address, mouth).await {
            tracing::error!(%error, "this node is not on the bus");
        }
    })
}

async fn join(state: &AppState, address: Address, mouth: Arc<Mouth>) -> anyhow::Result<()> {
    let client = ConnectOptions::new()
        .name("doorstep")
        .no_echo()
        .retry_on_initial_connect()
        .event_callback(|event| async move {
            match event {
                Event::Connected => tracing::info!("connected to the bus"),
                event => tracing::warn!(%event, "the bus"),
            }
        })
        .connect(address.0)
        .await?;
    let key = *state.keys.provider().mac_key(MacPurpose::Bus);
    let subject = message::subject(&key);
    let mut heard = client.subscribe(subject.clone()).await?;
    let follow = Follow::start(state);
    let mut node = Node {
        state: state.clone(),
        id: Uuid::new_v4(),
        number: 0,
        key,
        subject,
        client,
        mouth: mouth.clone(),
        peers: Peers::default(),
        follow,
        beats: 0,
    };
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = state.stopped() => break,
            message = heard.next() => match message {
                Some(message) => node.hear(&message.payload).await,
                None => break,
            },
            () = mouth.wake.notified() => node.speak(false).await,
            _ = beat.tick() => node.beat().await,
        }
    }
    // The last words go out with the connection.
    node.speak(false).await;
    node.client.flush().await.ok();
    Ok(())
}

struct Node {
    state: AppState,
    id: Uuid,
    number: u64,
    key: [u8; 32],
    subject: String,
    client: Client,
    mouth: Arc<Mouth>,
    peers: Peers,
    follow: Follow,
    beats: u32,
}

impl Node {
    /// Says all that waits; what can't be sent now waits on. `even_nothing`: one message in any case.
    async fn speak(&mut self, even_nothing: bool) {
        let mut due = even_nothing;
        while self.client.connection_state() == State::Connected {
            let words = {
                let mut waiting = self.mouth.lock();
                if std::mem::take(&mut waiting.lost) {
                    self.number += 1;
                }
                waiting.words.take()
            };
            if words.is_empty() && !due {
                return;
            }
            due = false;
            self.number += 1;
            let (node, number) = (self.id, self.number);
            let message = Message {
                node,
                number,
                words,
            };
            let sent = match message::encode(&self.key, &message) {
                Ok(bytes) => self
                    .client
                    .publish(self.subject.clone(), bytes)
                    .await
                    .is_ok(),
                Err(_) => false,
            };
            if !sent {
                // Its number is used up: the others find that they missed it.
                tracing::warn!("a message to the other nodes was not sent");
                return;
            }
        }
    }

    async fn beat(&mut self) {
        self.beats = self.beats.wrapping_add(1);
        for gone in self.peers.fell_silent(Instant::now()) {
            tracing::warn!(node = %gone, "a node fell silent");
            self.state.hub.forget_node(gone);
        }
        metrics::gauge!("doorstep_bus_nodes").set(self.peers.count() as f64);
        if self.client.connection_state() == State::Connected {
            self.speak(true).await;
        } else if self.beats.is_multiple_of(LOOK_EVERY) {
            self.follow.look_everywhere();
        }
    }

    async fn hear(&mut self, payload: &[u8]) {
        let Some(message) = message::decode(&self.key, payload) else {
            metrics::counter!("doorstep_bus_refused_total").increment(1);
            return;
        };
        let heard = self
            .peers
            .hear(message.node, message.number, Instant::now());
        match heard {
            Heard::Again => return,
            Heard::Next => {}
            // It has only just started.
            Heard::New if message.number == FIRST => {}
            Heard::New | Heard::AfterGap => {
                metrics::counter!("doorstep_bus_gaps_total").increment(1);
                self.follow.look_everywhere();
                self.state.live.missed();
            }
        }
        if heard != Heard::Next {
            // It may know nothing of who has what open here.
            for (scope, user, record) in self.state.hub.open_here() {
                self.state.bus.opened(scope, user, Some(record));
            }
        }
        self.take(message.node, message.words).await;
    }

    async fn take(&mut self, node: Uuid, words: Words) {
        for (scope, end) in words.moved {
            if self.state.hub.followers(scope) > 0 {
                self.follow.look_at(scope, end);
            }
        }
        for area in words.queues {
            self.state.live.hear_queue(area);
        }
        for notice in words.notices {
            self.state.live.hear(notice);
        }
        if let Err(error) = self.open(node, words.opened).await {
            tracing::warn!(%error, "who has what open at another node is not known");
        }
    }

    async fn open(&self, node: Uuid, opened: Vec<Opened>) -> ApiResult<()> {
        if opened.is_empty() {
            return Ok(());
        }
        let mut users: Vec<UserId> = opened.iter().map(|one| one.user).collect();
        users.sort();
        users.dedup();
        let names = users::service::names(&self.state, &users).await?;
        for Opened {
            scope,
            user,
            record,
        } in opened
        {
            let name = names.get(&user).cloned().unwrap_or_default();
            let open = record.map(|record| (record, name));
            self.state.hub.set_open_at(node, scope, user, open);
        }
        Ok(())
    }
}

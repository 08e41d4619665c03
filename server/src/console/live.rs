//! What an open console hears at once: changed queues of its areas, changed rights, the end of its session. The stream
//! is no use of the session: a console that nobody sits at still grows idle. Knows no domain's rules.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use doorstep_core::ids::AreaCode;
use doorstep_core::rights::Permission;
use futures_util::Stream;
use futures_util::stream;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::domains::auth::{self, Actor};
use crate::live::Notice;
use crate::state::AppState;

/// Between two looks at the session; a console learns that it ended within this.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Changes within this are told as one.
const TOGETHER: Duration = Duration::from_millis(100);
/// What waits for a console that reads slowly; one that falls further behind is left and asks again.
const QUEUE: usize = 64;

/// The stream of one console.
pub(super) fn open(
    state: AppState,
    actor: Actor,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (to, from) = mpsc::channel(QUEUE);
    tokio::spawn(follow(state, actor, to));
    let events = stream::unfold(from, |mut from| async move {
        let event = from.recv().await?;
        Some((Ok(event), from))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn follow(state: AppState, mut actor: Actor, to: mpsc::Sender<Event>) {
    let mut notices = state.live.listen();
    let mut queues = state.live.listen_queues();
    let mut tick = tokio::time::interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The console reads its lists now: what it missed while it was not connected is in them.
    if to
        .try_send(Event::default().event("ready").data("{}"))
        .is_err()
    {
        return;
    }
    loop {
        let told = tokio::select! {
            () = to.closed() => return,
            () = state.stopped() => return,
            changed = queues.recv() => {
                let first = match changed {
                    Ok(area) => area,
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return,
                };
                tokio::time::sleep(TOGETHER).await;
                queue_event(&actor, first, &mut queues)
            }
            notice = notices.recv() => match notice {
                Ok(Notice::RightsChanged(user)) if user != actor.user => None,
                Ok(Notice::RightsChanged(_) | Notice::Missed) | Err(RecvError::Lagged(_)) => match look(&state, &mut actor).await {
                    Ok(()) => Some(Event::default().event("rights").data("{}")),
                    Err(end) => { to.try_send(end).ok(); return; }
                },
                Ok(Notice::AreasChanged) => Some(Event::default().event("areas").data("{}")),
                Ok(_) => None,
                Err(RecvError::Closed) => return,
            },
            _ = tick.tick() => match look(&state, &mut actor).await {
                Ok(()) => None,
                Err(end) => { to.try_send(end).ok(); return; }
            },
        };
        if told.is_some_and(|event| to.try_send(event).is_err()) {
            return;
        }
    }
}

/// Reads the caller's rights anew.
async fn look(state: &AppState, actor: &mut Actor) -> Result<(), Event> {
    match auth::service::look(state, actor).await {
        Ok(now) => {
            *actor = now;
            Ok(())
        }
        Err(error) => Err(Event::default()
            .event("ended")
            .data(json!({ "code": error.code, "message": error.message }).to_string())),
    }
}

/// One notice for all that changed together, as far as it is the caller's; every area when some were missed (`None`).
fn queue_event(
    actor: &Actor,
    first: Option<AreaCode>,
    queues: &mut Receiver<Option<AreaCode>>,
) -> Option<Event> {
    let mut missed = first.is_none();
    let mut changed = BTreeSet::from_iter(first);
    loop {
        match queues.try_recv() {
            Ok(Some(area)) => {
                changed.insert(area);
            }
            Ok(None) | Err(TryRecvError::Lagged(_)) => missed = true,
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    let areas: Vec<AreaCode> = if missed {
        actor.areas(Permission::ReadConflicts)
    } else {
        let own = |area: &AreaCode| actor.why(Permission::ReadConflicts, area).is_some();
        changed.into_iter().filter(own).collect()
    };
    let data = json!({ "areas": areas }).to_string();
    (!areas.is_empty()).then(|| Event::default().event("conflicts").data(data))
}

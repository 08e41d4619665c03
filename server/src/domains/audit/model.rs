//! An entry of the audit log, and the trail that a request leaves.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use doorstep_core::ids::{AreaCode, DeviceId, UserId};
use serde_json::{Value, json};

use super::actions::Action;
use crate::domains::auth::Actor;

/// How a deed ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused: no right, or wrong input.
    Refused,
    /// It failed on our side.
    Failed,
}

impl Outcome {
    /// Its code in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// An entry to be written. It names things by id and code: no personal data.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) at: DateTime<Utc>,
    pub(super) user: Option<UserId>,
    pub(super) device: Option<DeviceId>,
    pub(super) action: Action,
    pub(super) outcome: Outcome,
    pub(super) area: Option<AreaCode>,
    pub(super) subject_kind: Option<String>,
    pub(super) subject_id: Option<String>,
    pub(super) detail: Value,
    pub(super) request_id: String,
    pub(super) address: Option<IpAddr>,
    trail: Option<std::sync::Arc<Trail>>,
}

impl Entry {
    /// Something the server does by itself: a job, a command.
    pub fn by_server(at: DateTime<Utc>, action: Action) -> Self {
        Self {
            at,
            user: None,
            device: None,
            action,
            outcome: Outcome::Done,
            area: None,
            subject_kind: None,
            subject_id: None,
            detail: json!({}),
            request_id: String::new(),
            address: None,
            trail: None,
        }
    }

    /// Something a signed-in user does, in the area that the user belongs to unless told otherwise.
    pub fn by(actor: &Actor, at: DateTime<Utc>, action: Action) -> Self {
        let mut entry = Self::on_trail(&actor.trail, at, action);
        entry.user = actor.person();
        entry.device = actor.device;
        entry.area = Some(actor.area);
        entry
    }

    /// Something a request does before it is known who makes it.
    pub fn on_trail(trail: &std::sync::Arc<Trail>, at: DateTime<Utc>, action: Action) -> Self {
        let mut entry = Self::by_server(at, action);
        entry.request_id.clone_from(&trail.request_id);
        entry.address = trail.address;
        entry.trail = Some(trail.clone());
        entry
    }

    /// Who does it, where that is known only in the course of the request.
    #[must_use]
    pub fn user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// The device it is done on.
    #[must_use]
    pub fn device(mut self, device: DeviceId) -> Self {
        self.device = Some(device);
        self
    }

    /// The area it concerns: decides which auditors see it.
    #[must_use]
    pub fn area(mut self, area: AreaCode) -> Self {
        self.area = Some(area);
        self
    }

    /// What it is done to: a kind such as `user`, and its id.
    #[must_use]
    pub fn subject(mut self, kind: &str, id: impl ToString) -> Self {
        self.subject_kind = Some(kind.to_owned());
        self.subject_id = Some(id.to_string());
        self
    }

    /// How it ended; done unless told.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// More about it: codes, counts, ids. Never personal data.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    pub(super) fn mark_written(&self) {
        if let Some(trail) = &self.trail {
            trail.state.store(WRITTEN, Ordering::Release);
        }
    }
}

const OPEN: u8 = 0;
const WRITTEN: u8 = 1;
const KEPT: u8 = 2;

/// What one request leaves in the audit log: every request exactly one entry. A write's service records its own,
/// in its transaction; for the rest the guard (`http::guard`) writes one after the handler.
#[derive(Debug)]
pub struct Trail {
    /// Names the request.
    pub request_id: String,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    state: AtomicU8,
    noted: Mutex<Noted>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    pub(crate) area: Option<AreaCode>,
    pub(crate) subject: Option<(&'static str, String)>,
    pub(crate) detail: Option<Value>,
}

impl Trail {
    /// The trail of a request that begins.
    #[must_use]
    pub fn new(request_id: String, address: Option<IpAddr>) -> Self {
        Self {
            request_id,
            address,
            state: AtomicU8::new(OPEN),
            noted: Mutex::default(),
        }
    }

    /// Says which area a read concerns.
    pub fn note_area(&self, area: AreaCode) {
        self.noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .area = Some(area);
    }

    /// Says what a read shows.
    pub fn note_subject(&self, kind: &'static str, id: impl ToString) {
        self.noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .subject = Some((kind, id.to_string()));
    }

    /// It is about many: what was looked at one after another is not what the entry names.
    pub fn note_no_subject(&self) {
        self.noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .subject = None;
    }

    /// Says more about a read: a purpose, a count. Never personal data.
    pub fn note_detail(&self, detail: Value) {
        self.noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .detail = Some(detail);
    }

    /// The entry was committed although the request is answered with an error: a refused sign-in, say.
    pub fn keep(&self) {
        self.state.store(KEPT, Ordering::Release);
    }

    /// Whether the request has its entry: written and committed, given how it is answered.
    pub(crate) fn is_settled(&self, succeeded: bool) -> bool {
        match self.state.load(Ordering::Acquire) {
            KEPT => true,
            WRITTEN => succeeded,
            _ => false,
        }
    }

    pub(crate) fn noted(&self) -> Noted {
        self.noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

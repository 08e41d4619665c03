//! The server's end of a connection: what a device may say when, what it is told at the start, and how far ahead of
//! its storage it is sent. Knows no database: the host looks things up and gives the answers back.

use std::collections::BTreeMap;

use crate::envelope::SignedEnvelope;
use crate::ids::{RecordId, ScopeId};
use crate::protocol;
use crate::protocol::frames::{
    BundleOffer, Bye, Cursor, Heads, Hello, Purged, ScopeState, Unsent, Up, Welcome,
};
use crate::time::Timestamp;

/// How many log entries of a scope may be sent beyond what the device says it has stored.
pub const WINDOW_ENTRIES: u64 = 20_000;
/// How many entries a device may be behind before a bundle is cheaper than the log.
pub const BUNDLE_BEHIND: u64 = 2_000;

/// What the host must do with a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Demand {
    /// Check token, device and rights, then call `welcome`, or end the connection.
    SignIn(Hello),
    /// Judge and commit an envelope, then answer with `Down::Pushed`.
    Accept(SignedEnvelope),
    /// Note a confirmed purge.
    Purged(Purged),
    /// Compare with the scope's records and send the difference.
    Repair(Heads),
    /// Tell others who has which record open.
    Presence(Option<RecordId>),
    /// Note what the device has not sent yet.
    Unsent(Unsent),
    /// The window of this scope has opened: send on from its cursor.
    Resume(ScopeId),
    /// Do nothing: what the frame says is noted.
    Noted,
    /// Send this and close.
    End(Bye),
}

/// A scope the user may hold now.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// Which scope.
    pub scope: ScopeId,
    /// Its log's end.
    pub end: Cursor,
    /// The newest bundle, where there is one.
    pub bundle: Option<BundleOffer>,
}

/// One connection's state.
#[derive(Debug, Default)]
pub struct ServerSession {
    greeted: bool,
    welcomed: bool,
    scopes: BTreeMap<ScopeId, Position>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    sent: u64,
    stored: u64,
    /// The log's end when a device began the scope; 0 for one that had some of it.
    begun_at: u64,
}

impl Position {
    /// Whether the device may be sent more before it has stored what it was sent.
    fn is_open(&self) -> bool {
        self.sent - self.stored < WINDOW_ENTRIES
    }
}

impl ServerSession {
    /// A session before its first frame.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a frame's bytes.
    pub fn receive(&mut self, bytes: &[u8]) -> Demand {
        let Ok(frame) = Up::decode(bytes) else {
            return Demand::End(protocol_error("数据无法识别，请更新应用后重试。"));
        };
        match frame {
            Up::Hello(hello) if !self.greeted => {
                self.greeted = true;
                if hello.version == protocol::VERSION {
                    Demand::SignIn(hello)
                } else {
                    Demand::End(Bye {
                        code: "version".to_owned(),
                        message: "应用版本过旧，请更新后再同步；未上传的数据仍保留在手机上。"
                            .to_owned(),
                        retry_after_ms: None,
                    })
                }
            }
            _ if !self.welcomed => Demand::End(protocol_error("连接顺序有误，请重新连接。")),
            Up::Hello(_) => Demand::End(protocol_error("连接顺序有误，请重新连接。")),
            Up::Push(envelope) => Demand::Accept(envelope),
            Up::Purged(purged) => Demand::Purged(purged),
            Up::Heads(heads) => Demand::Repair(heads),
            Up::Presence(record) => Demand::Presence(record),
            Up::Unsent(unsent) => Demand::Unsent(unsent),
            Up::Stored(scope, seq) => self.stored(scope, seq),
        }
    }

    /// A device that has stored something is sent more only if its window was closed: whatever came while it was open
    /// was sent when it came.
    fn stored(&mut self, scope: ScopeId, seq: u64) -> Demand {
        let Some(at) = self.scopes.get_mut(&scope) else {
            return Demand::Noted;
        };
        let was_open = at.is_open();
        at.stored = at.stored.max(seq.min(at.sent));
        if at.is_open() && !was_open {
            Demand::Resume(scope)
        } else {
            Demand::Noted
        }
    }

    /// Answers `Hello` and opens the logs: gives the frame's body and, for each scope, the entry after which to send.
    pub fn welcome(
        &mut self,
        hello: &Hello,
        allowed: &[Allowed],
        next_envelope: u64,
        time: Timestamp,
    ) -> (Welcome, Vec<(ScopeId, u64)>) {
        self.welcomed = true;
        let mut scopes = Vec::new();
        let mut from = Vec::new();
        for state in allowed {
            let held = hello
                .scopes
                .iter()
                .find(|(scope, _)| *scope == state.scope)
                .map(|(_, at)| *at);
            let at = held.unwrap_or_default();
            let behind = state.end.seq.saturating_sub(at.seq);
            let bundle = state.bundle.clone().filter(|offer| {
                offer.cursor.seq > at.seq && (at.seq == 0 || behind > BUNDLE_BEHIND)
            });
            let start = bundle
                .as_ref()
                .map_or(at.seq.min(state.end.seq), |offer| offer.cursor.seq);
            self.scopes.insert(
                state.scope,
                Position {
                    sent: start,
                    stored: start,
                    begun_at: if at.seq == 0 { state.end.seq } else { 0 },
                },
            );
            if at != state.end {
                scopes.push(ScopeState {
                    scope: state.scope,
                    end: state.end,
                    bundle,
                });
            }
            from.push((state.scope, start));
        }
        let dropped = hello.scopes.iter().map(|(scope, _)| *scope);
        let dropped = dropped
            .filter(|scope| allowed.iter().all(|state| state.scope != *scope))
            .collect();
        (
            Welcome {
                time,
                next_envelope,
                scopes,
                dropped,
            },
            from,
        )
    }

    /// Rights changed while the connection lasts: opens the logs of new scopes and closes those that are gone. What a
    /// device holds of the scopes that stay is not touched.
    pub fn change(
        &mut self,
        allowed: &[Allowed],
        next_envelope: u64,
        time: Timestamp,
    ) -> (Welcome, Vec<(ScopeId, u64)>) {
        let dropped: Vec<ScopeId> = self
            .scopes
            .keys()
            .filter(|held| allowed.iter().all(|state| state.scope != **held))
            .copied()
            .collect();
        self.scopes.retain(|scope, _| !dropped.contains(scope));
        let mut scopes = Vec::new();
        let mut from = Vec::new();
        for state in allowed {
            if self.scopes.contains_key(&state.scope) {
                continue;
            }
            let start = state.bundle.as_ref().map_or(0, |offer| offer.cursor.seq);
            scopes.push(ScopeState {
                scope: state.scope,
                end: state.end,
                bundle: state.bundle.clone(),
            });
            from.push((state.scope, start));
            self.scopes.insert(
                state.scope,
                Position {
                    sent: start,
                    stored: start,
                    begun_at: state.end.seq,
                },
            );
        }
        (
            Welcome {
                time,
                next_envelope,
                scopes,
                dropped,
            },
            from,
        )
    }

    /// Whether the connection is past its `Welcome`.
    #[must_use]
    pub fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// The scopes this connection follows.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeId> + '_ {
        self.scopes.keys().copied()
    }

    /// Follows a scope that came with a new right, from its log's beginning.
    pub fn follow(&mut self, scope: ScopeId) {
        self.scopes.entry(scope).or_default();
    }

    /// Follows a scope no longer.
    pub fn unfollow(&mut self, scope: ScopeId) {
        self.scopes.remove(&scope);
    }

    /// The entry after which to send, while the device keeps up; `None` when it must store first, or follows not.
    #[must_use]
    pub fn next_after(&self, scope: ScopeId) -> Option<u64> {
        let at = self.scopes.get(&scope)?;
        at.is_open().then_some(at.sent)
    }

    /// Whether the device is still being sent what was there when it began the scope. It may have made some of that
    /// itself, before its register was lost or the area was taken from it: it is told such a change whole, not only
    /// that it is its own.
    #[must_use]
    pub fn begins(&self, scope: ScopeId) -> bool {
        self.scopes
            .get(&scope)
            .is_some_and(|at| at.sent < at.begun_at)
    }

    /// Notes that entries up to `to` were sent.
    pub fn sent(&mut self, scope: ScopeId, to: u64) {
        if let Some(at) = self.scopes.get_mut(&scope) {
            at.sent = at.sent.max(to);
        }
    }
}

fn protocol_error(message: &str) -> Bye {
    Bye {
        code: "protocol".to_owned(),
        message: message.to_owned(),
        retry_after_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DeviceId;

    #[test]
    fn stored_asks_for_more_only_when_it_opens_the_window() {
        let scope = ScopeId::Common;
        let hello = Hello {
            version: protocol::VERSION,
            token: Vec::new(),
            device: DeviceId::from_bytes([1; 16]),
            scopes: Vec::new(),
        };
        let end = Cursor {
            seq: 3 * WINDOW_ENTRIES,
            ..Cursor::default()
        };
        let allowed = [Allowed {
            scope,
            end,
            bundle: None,
        }];
        let mut session = ServerSession::new();
        session.receive(&Up::Hello(hello.clone()).encode());
        session.welcome(&hello, &allowed, 1, Timestamp(0));
        let says =
            |session: &mut ServerSession, seq| session.receive(&Up::Stored(scope, seq).encode());
        session.sent(scope, WINDOW_ENTRIES - 1);
        for seq in [0, 7, 7, 9] {
            assert_eq!(says(&mut session, seq), Demand::Noted, "it was open");
        }
        session.sent(scope, WINDOW_ENTRIES + 9);
        assert_eq!(says(&mut session, 9), Demand::Noted, "it stays closed");
        assert_eq!(says(&mut session, 10), Demand::Resume(scope));
        for seq in [10, u64::MAX, u64::MAX] {
            assert_eq!(says(&mut session, seq), Demand::Noted, "{seq}");
        }
        let elsewhere = ScopeId::User(crate::ids::UserId::from_bytes([2; 16]));
        let said = session.receive(&Up::Stored(elsewhere, 1).encode());
        assert_eq!(said, Demand::Noted, "it follows no such scope");
    }
}

//! A phone: core's device session over a disk that may fail, and a clock that may be years off.
//! Knows no network and no server: frames in, frames out.

use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::{DeviceId, ScopeId, UserId};
use doorstep_core::protocol::frames::{BundleOffer, Down, Up};
use doorstep_core::store::DeviceStore;
use doorstep_core::sync::{Action, DeviceError, DeviceSession, Identity, edit};
use doorstep_core::time::Timestamp;

use super::disk::{Disk, Stopped};

/// What can go wrong on a phone.
pub type PhoneError = DeviceError<Stopped>;

/// See the module.
pub struct Phone {
    /// Device, user and key.
    pub who: Identity,
    /// What is kept.
    pub disk: Disk,
    /// By how many milliseconds its clock is off.
    pub skew: i64,
    /// The connection it uses.
    pub line: Option<u64>,
    /// Bundles it has still to fetch.
    pub fetches: Vec<(ScopeId, BundleOffer)>,
    /// Wiped on the server's order; out of the game.
    pub wiped: bool,
    /// Lost its records once.
    pub lost_records: bool,
    /// Noticed once that the server was restored from a backup.
    pub began_anew: bool,
    session: Option<DeviceSession>,
}

/// What came of a frame.
#[derive(Debug, Default)]
pub struct Heard {
    /// What to send.
    pub frames: Vec<Up>,
    /// Whether the server ended the connection.
    pub ended: bool,
}

impl Phone {
    /// A phone that holds nothing.
    #[must_use]
    pub fn new(device: DeviceId, user: UserId, key: KeyPair, skew: i64) -> Self {
        Self {
            who: Identity { device, user, key },
            disk: Disk::default(),
            skew,
            line: None,
            fetches: Vec::new(),
            wiped: false,
            lost_records: false,
            began_anew: false,
            session: None,
        }
    }

    /// The phone's own idea of the time.
    #[must_use]
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        now.plus_ms(self.skew)
    }

    /// Opens a connection; the first frame.
    ///
    /// # Errors
    /// The disk's.
    pub fn connect(&mut self, line: u64) -> Result<Up, PhoneError> {
        let session = DeviceSession::new(self.who.clone(), vec![7; 32]);
        let hello = session.hello(&self.disk)?;
        self.session = Some(session);
        self.line = Some(line);
        Ok(hello)
    }

    /// Forgets the connection.
    pub fn hang_up(&mut self) {
        self.session = None;
        self.line = None;
        self.fetches.clear();
    }

    /// Starts again after it stopped: what was committed is there, nothing else.
    ///
    /// # Errors
    /// The disk's.
    pub fn restart(&mut self) -> Result<(), PhoneError> {
        self.hang_up();
        self.disk.fuse = None;
        edit::recover(&mut self.disk, &self.who).map(|_| ())
    }

    /// The next envelope, if there is one to send.
    ///
    /// # Errors
    /// The disk's.
    pub fn push(&mut self, now: Timestamp) -> Result<Option<Up>, PhoneError> {
        let clock = self.clock(now);
        match &mut self.session {
            Some(session) => session.push(&mut self.disk, clock),
            None => Ok(None),
        }
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// The disk's, and what the session finds wrong with the frame.
    pub fn receive(&mut self, bytes: &[u8], now: Timestamp) -> Result<Heard, PhoneError> {
        let clock = self.clock(now);
        let Some(session) = &mut self.session else {
            return Ok(Heard::default());
        };
        let frame =
            Down::decode(bytes).map_err(|_| DeviceError::Protocol("frame can't be read"))?;
        let actions = session.receive(&mut self.disk, frame, clock)?;
        Ok(self.act(actions))
    }

    /// Takes the file of the next bundle.
    ///
    /// # Errors
    /// The disk's, and what the session finds wrong with the file.
    pub fn take_bundle(
        &mut self,
        scope: ScopeId,
        file: &[u8],
        now: Timestamp,
    ) -> Result<Heard, PhoneError> {
        let clock = self.clock(now);
        let at = self.fetches.iter().position(|(of, _)| *of == scope);
        let offer = at.map(|at| self.fetches.remove(at).1);
        let (Some(session), Some(offer)) = (&mut self.session, offer) else {
            return Ok(Heard::default());
        };
        let actions = session.bundle(&mut self.disk, scope, &offer, file, clock)?;
        Ok(self.act(actions))
    }

    fn act(&mut self, actions: Vec<Action>) -> Heard {
        let mut heard = Heard::default();
        for action in actions {
            match action {
                Action::Send(frame) => heard.frames.push(frame),
                Action::Fetch(scope, offer) => self.fetches.push((scope, offer)),
                Action::Wiped => {
                    self.wiped = true;
                    heard.ended = true;
                }
                Action::Bye(bye) => {
                    self.began_anew |= bye.code == "set_back";
                    heard.ended = true;
                }
                Action::Changed(_)
                | Action::States(_)
                | Action::Erased(_)
                | Action::Answered { .. }
                | Action::Present(_) => {}
            }
        }
        heard
    }

    /// Whether it has sent everything and holds everything.
    ///
    /// # Errors
    /// The disk's.
    pub fn settled(&self) -> Result<bool, PhoneError> {
        match &self.session {
            Some(session) => session.settled(&self.disk),
            None => Ok(false),
        }
    }

    /// The scopes it holds.
    ///
    /// # Errors
    /// The disk's.
    pub fn scopes(&self) -> Result<Vec<ScopeId>, PhoneError> {
        let scopes = self.disk.scopes()?.into_iter();
        Ok(scopes.map(|(scope, _)| scope).collect())
    }
}

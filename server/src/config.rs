//! What the operator chooses. Read from the command line by server/cli; knows no file format.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::domains::photos::service as photos;
use crate::{bus, sync};

/// Devices of one user, where nothing else is chosen.
pub const USER_DEVICES: u32 = 10;

/// A server's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data folder: keys, and with no `database_url` the private database.
    pub data: PathBuf,
    /// Address of a PostgreSQL; `None` starts a private one in the data folder.
    pub database_url: Option<String>,
    /// Connections held to the database at most.
    pub database_connections: u32,
    /// Where the nodes of a system hear each other; `None` when this is the only one.
    pub bus: Option<bus::Address>,
    /// Where photos are kept, `s3://bucket/prefix`; `None` is a folder of the data folder.
    pub photos: Option<String>,
    /// How that store is reached.
    pub photo_settings: StoreSettings,
    /// Where HTTP and websockets are served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections served at a time at most; whoever comes beyond them is told to come again. Each is an open file.
    pub connections: usize,
    /// Whether `X-Forwarded-For` is believed: only behind a proxy that sets it.
    pub behind_proxy: bool,
    /// Longest time to answer a request (websockets apart).
    pub request_timeout: Duration,
    /// Largest request body in bytes, where a route sets no other.
    pub body_limit: usize,
    /// Rules of signing in.
    pub sign_in: SignInRules,
    /// Time between signatures of the audit log's head.
    pub audit_signature_interval: Duration,
    /// How often an open websocket is looked at for rights that ended by their date and sessions that ended. What is
    /// granted, withdrawn or revoked meanwhile reaches it at once.
    pub rights_interval: Duration,
    /// Items that one device may send at once, and again within each hour; more wait on the device.
    pub device_items: u32,
    /// Megabytes of photos that one user may send within a day; more wait on the phone.
    pub photo_megabytes: u32,
    /// Devices of one user that may connect; a further one is not enrolled.
    pub user_devices: u32,
}

/// Settings of an S3 store by the names that its tools use in the environment: `AWS_ENDPOINT_URL`, `AWS_REGION`,
/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ALLOW_HTTP` and so on. Never shown.
#[derive(Clone, Default)]
pub struct StoreSettings(pub Vec<(String, String)>);

impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// Rules of passwords and sessions (GB/T 22239, level 3).
#[derive(Clone, Copy, Debug)]
pub struct SignInRules {
    /// PBKDF2-HMAC-SM3 rounds of new passwords.
    pub password_rounds: u32,
    /// Age after which a password must be changed.
    pub password_lifetime: Duration,
    /// How many former passwords may not come back.
    pub password_history: u32,
    /// Failures in a row that lock an account.
    pub failures_allowed: u32,
    /// How long it stays locked.
    pub lockout: Duration,
    /// Failures from one address within `lockout` that shut it out, whatever the accounts.
    pub failures_per_address: u32,
    /// A session without a request for so long ends.
    pub session_idle: Duration,
    /// A session ends after so long in any case.
    pub session_lifetime: Duration,
    /// A device's session ends after so long without contact.
    pub device_session_idle: Duration,
    /// How long a nonce waits for its answer.
    pub challenge_lifetime: Duration,
}

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

impl Default for SignInRules {
    fn default() -> Self {
        Self {
            password_rounds: doorstep_core::crypto::password::DEFAULT_ROUNDS,
            password_lifetime: Duration::from_secs(90 * DAY),
            password_history: 5,
            failures_allowed: 5,
            lockout: Duration::from_secs(15 * MINUTE),
            failures_per_address: 50,
            session_idle: Duration::from_secs(30 * MINUTE),
            session_lifetime: Duration::from_secs(12 * 60 * MINUTE),
            device_session_idle: Duration::from_secs(30 * MINUTE),
            challenge_lifetime: Duration::from_secs(2 * MINUTE),
        }
    }
}

impl Config {
    /// The defaults for a data folder: loopback, private database.
    #[must_use]
    pub fn new(data: PathBuf) -> Self {
        Self {
            data,
            database_url: None,
            database_connections: 40,
            bus: None,
            photos: None,
            photo_settings: StoreSettings::default(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8600)),
            connections: usize::MAX,
            behind_proxy: false,
            request_timeout: Duration::from_secs(30),
            body_limit: 1024 * 1024,
            sign_in: SignInRules::default(),
            audit_signature_interval: Duration::from_secs(10 * MINUTE),
            rights_interval: Duration::from_secs(5 * MINUTE),
            device_items: sync::DEVICE_ITEMS,
            photo_megabytes: photos::DAILY_MEGABYTES,
            user_devices: USER_DEVICES,
        }
    }
}

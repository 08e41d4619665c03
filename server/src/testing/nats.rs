//! A NATS server of the test's own, on a port of its choosing, gone when it is dropped.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// Where Debian installs it, which is in no user's path.
const PLACES: &[&str] = &[
    "nats-server",
    "/usr/sbin/nats-server",
    "/usr/local/bin/nats-server",
];

/// A running NATS server.
#[derive(Debug)]
pub struct Nats {
    child: Option<Child>,
    port: u16,
}

impl Nats {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// When the program is missing or doesn't come up.
    pub fn start() -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let mut nats = Self { child: None, port };
        nats.resume()?;
        Ok(nats)
    }

    /// Its address, as `--bus` takes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Starts it again at the same port.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.kill();
        let program = program().context(
            "nats-server is missing. On Debian or Ubuntu: sudo apt-get install nats-server",
        )?;
        let child = Command::new(program)
            .args(["--addr", "127.0.0.1", "--port"])
            .arg(self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.child = Some(child);
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if started.elapsed() > Duration::from_secs(20) {
                bail!("nats-server does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let all = PLACES.iter().flat_map(|place| {
        let inside = folders.iter().map(move |folder| folder.join(place));
        inside.filter(|path| path.is_absolute())
    });
    all.into_iter().find(|path| path.is_file())
}

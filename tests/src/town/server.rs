//! The `doorstep` program as people run it: `serve` in a process of its own on its private PostgreSQL, killed and
//! started again at will. Knows the command line and nothing of what is asked over HTTP.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::routes;

/// How long the server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long it may take to stop.
const GOODBYE: Duration = Duration::from_secs(20);

/// A server process. Stopped when dropped, unless it is told to stay.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    data: PathBuf,
    listen: SocketAddr,
    /// What `serve` is told besides data folder and address.
    pub options: Vec<String>,
    child: Option<Child>,
}

/// Processor time, user and system together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// Of the server's own process.
    pub server: Duration,
    /// Of its PostgreSQL.
    pub database: Duration,
}

impl Cpu {
    /// What was used since an earlier look.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            database: self.database.saturating_sub(before.database),
        }
    }

    /// Both together, in seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        (self.server + self.database).as_secs_f64()
    }
}

impl Server {
    /// A server for a data folder, on a free port of this machine; not started.
    ///
    /// # Errors
    /// When the program is missing or no port is free.
    pub fn new(program: &Path, data: &Path) -> anyhow::Result<Self> {
        ensure!(
            program.exists(),
            "{} is missing: ./x build",
            program.display()
        );
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(Self {
            program: program.to_owned(),
            data: data.to_owned(),
            listen,
            options: Vec::new(),
            child: None,
        })
    }

    /// Another server of the same program, on a data folder of its own.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn beside(other: &Self, data: &Path) -> anyhow::Result<Self> {
        Self::new(&other.program, data)
    }

    /// Another server of the same program that answers where `other` did, on a data folder of its own. The other has
    /// stopped.
    #[must_use]
    pub fn instead_of(other: &Self, data: &Path) -> Self {
        Self {
            program: other.program.clone(),
            data: data.to_owned(),
            listen: other.listen,
            options: other.options.clone(),
            child: None,
        }
    }

    /// The address it listens at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.data.join("server.log")
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Runs a command of the program on the data folder, and gives what it prints.
    ///
    /// # Errors
    /// When it fails; its own words are in the error.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.try_command(arguments)?;
        ensure!(
            output.status.success(),
            "doorstep {}: {} {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stdout).trim(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command of the program on the data folder, and gives how it ends and what it prints.
    ///
    /// # Errors
    /// When it can't be run.
    pub fn try_command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--data").arg(&self.data);
        Ok(command.stdin(Stdio::null()).output()?)
    }

    /// Starts it and waits until it can serve.
    ///
    /// # Errors
    /// When it doesn't come up; the end of its log is in the error.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "the server runs already");
        std::fs::create_dir_all(&self.data)?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let child = Command::new(&self.program)
            .arg("serve")
            .arg("--data")
            .arg(&self.data)
            .arg("--listen")
            .arg(self.listen.to_string())
            // One person's many phones stand for many people's.
            .args(["--user-devices", "100000"])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("running {}", self.program.display()))?;
        self.child = Some(child);
        self.ready().await
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("{}{}", self.url(), routes::READY);
        let client = reqwest::Client::new();
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                self.child = None;
                bail!("the server ended ({status}): {}", self.last_words());
            }
            if let Ok(answer) = client.get(&url).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!(
            "the server is not ready after {PATIENCE:?}: {}",
            self.last_words()
        )
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// Kills it at once, as a power cut would: `kill -9`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the server does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends it in good order, its database with it.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        terminate(&child)?;
        let asked = Instant::now();
        while asked.elapsed() < GOODBYE {
            if child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        child.wait()?;
        bail!("the server did not stop within {GOODBYE:?} of SIGTERM")
    }

    /// Leaves it running when this is dropped.
    pub fn stay(&mut self) -> Option<u32> {
        self.child.take().map(|child| child.id())
    }

    /// Processor time that the server's own process has used so far.
    ///
    /// # Errors
    /// When it does not run, or the machine shows no /proc.
    pub fn processor(&self) -> anyhow::Result<Duration> {
        let pid = self.pid().context("the server does not run")?;
        let usage = Usage::of(pid).context("no /proc of the server")?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_millis(usage.own * 1000 / per_second))
    }

    /// Processor time used so far, by the server and by its database's processes.
    ///
    /// # Errors
    /// When it does not run, or the machine shows no /proc.
    pub fn cpu(&self) -> anyhow::Result<Cpu> {
        let pid = self.pid().context("the server does not run")?;
        let lock = self.data.join("postgres/data/postmaster.pid");
        let text = std::fs::read_to_string(&lock).with_context(|| lock.display().to_string())?;
        let postmaster: u32 = text.lines().next().unwrap_or_default().trim().parse()?;
        let server = Usage::of(pid).context("no /proc of the server")?;
        let main = Usage::of(postmaster).context("no /proc of PostgreSQL")?;
        let mut database = main.own + main.ended_children;
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let number = entry.file_name().to_string_lossy().parse().ok();
            let usage = number.and_then(Usage::of);
            database += usage
                .filter(|usage| usage.parent == postmaster)
                .map_or(0, |usage| usage.own);
        }
        let per_second = rustix::param::clock_ticks_per_second();
        let time = |ticks: u64| Duration::from_millis(ticks * 1000 / per_second);
        Ok(Cpu {
            server: time(server.own),
            database: time(database),
        })
    }
}

fn terminate(child: &Child) -> anyhow::Result<()> {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .context("process id")?;
    Ok(kill_process(pid, Signal::TERM)?)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            // Nobody is left to return it to.
            tracing::warn!("{error:#}");
        }
    }
}

/// What /proc says of a process, in clock ticks.
struct Usage {
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Usage {
    fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in brackets and may hold blanks; from the state on there are plain words (proc(5)).
        let (_, rest) = text.rsplit_once(") ")?;
        let words: Vec<&str> = rest.split(' ').collect();
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}

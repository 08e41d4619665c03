//! A neighbourhood office at work: a running server with the city's areas, the first administrators, a supervisor and a
//! collector of one village, and a folder for everyone's devices. Knows no story and no fault.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use doorstep_core::ids::AreaCode;
use doorstep_core::rights::Role;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::{Administrators, Api, Person, Server};
use crate::repository;

/// 云南中路居委会
const AREA: &str = "310101002001";

/// See the module.
#[derive(Debug)]
pub struct Office {
    /// Its server.
    pub server: Server,
    /// Its village.
    pub area: AreaCode,
    /// The first administrators.
    pub administrators: Administrators,
    /// The village's supervisor.
    pub supervisor: Person,
    /// A collector of the village.
    pub collector: Person,
    folder: tempfile::TempDir,
    places: usize,
}

impl Office {
    /// Sets it up.
    ///
    /// # Errors
    /// What the program or the server says.
    pub async fn open(program: &Path) -> anyhow::Result<Self> {
        Self::open_with(program, Vec::new()).await
    }

    /// The same with options for `doorstep serve`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(program: &Path, options: Vec<String>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("doorstep-").tempdir()?;
        // The database may run as another user, who must be able to come here.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let mut server = Server::new(program, &folder.path().join("server"))?;
        server.options = options;
        let administrators = found(&mut server).await?;
        let giver = &administrators.areas;
        let appoint = async |login, name, role| giver.appoint(login, name, role, AREA).await;
        Ok(Self {
            supervisor: appoint("supervisor", "周敏", Role::Supervisor).await?,
            collector: appoint("collector", "李静", Role::Collector).await?,
            server,
            area: AREA.parse()?,
            administrators,
            folder,
            places: 0,
        })
    }

    /// A new place on the disk, where nothing is yet.
    pub fn place(&mut self) -> PathBuf {
        self.places += 1;
        self.folder.path().join(format!("place-{}", self.places))
    }
}

/// Gives a new server the city's areas and the first administrators, and starts it.
///
/// # Errors
/// What the program or the server says.
pub async fn found(server: &mut Server) -> anyhow::Result<Administrators> {
    let areas = repository::root().join("tests/fixtures/shanghai-areas.csv");
    server.command(&["areas", "import", &areas.to_string_lossy(), "--json"])?;
    let created = Administrators::create(server)?;
    server.start().await?;
    Administrators::sign_in(&Api::new(server.url()), &created).await
}

/// A connection to a server's own database, past the server.
///
/// # Errors
/// When it does not run.
pub async fn database_of(server: &Server) -> anyhow::Result<PgConnection> {
    let options = PgConnectOptions::new_without_pgpass()
        .socket(server.data().join("postgres/socket"))
        .username("doorstep")
        .database("doorstep");
    options.connect().await.context("the server's database")
}

//! A city's register (`./x bench city`; bench/README.md says what is measured and how): filled through the register's
//! own way in to three sizes, and asked over HTTP at each. Whole villages are added, so that what grows is what would
//! grow with the city.

mod ask;
mod invented;
mod load;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use doorstep_core::rights::Role;

use super::figures::Figures;
use crate::repository;
use crate::town::office::database_of;
use crate::town::{Administrators, Api, Person, Server};

/// The city, and a district of it where the first villages are.
const CITY: &str = "310000000000";

/// How to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `doorstep` program.
    pub program: PathBuf,
    /// Residents, from size to size.
    pub sizes: Vec<usize>,
    /// Residents of a village: 4,300 are an average one's of Shanghai.
    pub village: usize,
    /// How often each question is asked.
    pub asked: usize,
}

/// Measures, and writes a line of JSON for each figure.
///
/// # Errors
/// When something can't be measured, or comes out wrong.
pub async fn run(options: &Options, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let mut figures = Figures::new(out);
    let folder = tempfile::Builder::new()
        .prefix("doorstep-city-")
        .tempdir()?;
    let mut server = Server::new(&options.program, &folder.path().join("server"))?;
    let areas = repository::root().join("tests/fixtures/shanghai-areas.csv");
    server.command(&["areas", "import", &areas.to_string_lossy(), "--json"])?;
    let created = Administrators::create(&server)?;
    server.start().await?;
    let administrators = Administrators::sign_in(&Api::new(server.url()), &created).await?;
    let villages = load::villages(&server).await?;
    let first = villages.first().context("no village")?;
    let appoint = async |login, area: &str| -> anyhow::Result<Person> {
        let giver = &administrators.areas;
        giver.appoint(login, "主管", Role::Supervisor, area).await
    };
    let askers = ask::Askers {
        area: *first,
        village: appoint("of-village", first.as_str()).await?,
        street: appoint("of-street", &format!("{}000", &first.as_str()[..9])).await?,
        city: appoint("of-city", CITY).await?,
    };
    let mut loaded = load::Loaded::default();
    for size in &options.sizes {
        let began = Instant::now();
        let before = loaded.records;
        load::fill(&server, &villages, *size, options.village, &mut loaded).await?;
        let took = began.elapsed().as_secs_f64();
        let named = |what: &str| format!("{}: {what}", shown(loaded.residents));
        let records = (loaded.records - before) as f64;
        figures.put(
            &named("records loaded a second"),
            "/s",
            "",
            &[records / took],
        )?;
        let mut database = database_of(&server).await?;
        sqlx::query("VACUUM ANALYZE").execute(&mut database).await?;
        let bytes: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
            .fetch_one(&mut database)
            .await?;
        drop(database);
        figures.put(
            &named("database, for each resident with house and residence"),
            "KB",
            "",
            &[bytes as f64 / 1024.0 / loaded.residents as f64],
        )?;
        ask::measure(&askers, &loaded, options.asked, &named, &mut figures).await?;
    }
    server.stop()
}

/// 1,000,000 rather than 1000000.
fn shown(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

//! A city's register (`./x bench city`; bench/README.md says what is measured and how): filled through the register's
//! own way in to three sizes, and asked over HTTP at each. Whole villages are added, so that what grows is what would
//! grow with the city.

mod answers;
mod ask;
mod desk;
mod drill;
mod invented;
mod kept;
mod load;
mod operators;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;

use super::figures::Figures;
use crate::town::Server;
use crate::town::office::database_of;

/// Residents of the whole city.
const WHOLE: usize = 25_000_000;

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
    /// Where the city stays after the run, and where one that an earlier run left is gone on from.
    pub data: Option<PathBuf>,
    /// Whether it is backed up and restored in the end.
    pub drill: bool,
}

/// Measures, and writes a line of JSON for each figure.
///
/// # Errors
/// When something can't be measured, or comes out wrong.
pub async fn run(options: &Options, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let place = kept::Place::new(options.data.as_deref())?;
    let mut server = Server::new(&options.program, &place.path().join("server"))?;
    let first = async |server: &Server| {
        let villages = load::villages(server).await?;
        villages.first().copied().context("no village")
    };
    let (askers, mut loaded) = kept::open(&mut server, place.path(), first).await?;
    let villages = load::villages(&server).await?;
    let mut grown = Grown::default();
    let there = loaded.villages;
    let wanted = |size: &&usize| size.div_ceil(options.village) >= there;
    for size in options.sizes.iter().filter(wanted) {
        let began = Instant::now();
        let before = loaded.records;
        load::fill(&server, &villages, *size, options.village, &mut loaded).await?;
        let took = began.elapsed().as_secs_f64();
        let mut figures = Figures::of(&shown(loaded.residents), out);
        grown.sizes.push(loaded.residents as f64);
        let mut put = |figure: &str, unit: &'static str, value: f64, note: &str| {
            grown.keep(figure, unit, value);
            figures.put_with_note(figure, unit, "", &[value], note)
        };
        let records = (loaded.records - before) as f64;
        if records > 0.0 {
            put("records loaded a second", "/s", records / took, "")?;
        }
        kept::note(place.path(), &askers, &loaded)?;
        let mut database = database_of(&server).await?;
        sqlx::query("VACUUM ANALYZE").execute(&mut database).await?;
        let bytes: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
            .fetch_one(&mut database)
            .await?;
        drop(database);
        let each = bytes as f64 / 1024.0 / loaded.residents as f64;
        put(
            "database, for each resident with house and residence",
            "KB",
            each,
            "",
        )?;
        ask::measure(&askers, &loaded, options.asked, &mut put).await?;
        operators::measure(&askers, &villages, &loaded, &mut put).await?;
    }
    if options.drill {
        let mut figures = Figures::of(&shown(loaded.residents), out);
        drill::measure(&server, place.path(), &mut figures)?;
    }
    grown.foretell(&mut Figures::of(
        &format!("{} as it grew", shown(WHOLE)),
        out,
    ))?;
    server.stop()
}

/// What each size came to, for what a whole city would.
#[derive(Default)]
struct Grown {
    sizes: Vec<f64>,
    figures: Vec<(String, &'static str, Vec<f64>)>,
}

impl Grown {
    fn keep(&mut self, figure: &str, unit: &'static str, value: f64) {
        match self.figures.iter_mut().find(|(name, ..)| name == figure) {
            Some((.., values)) => values.push(value),
            None => self.figures.push((figure.to_owned(), unit, vec![value])),
        }
    }

    /// Each figure as it would be at the city's size, if it went on as from the last size but one to the last.
    fn foretell(&self, figures: &mut Figures<'_>) -> anyhow::Result<()> {
        let [.., before, last] = self.sizes[..] else {
            return Ok(());
        };
        let steps = (WHOLE as f64 / last).ln() / (last / before).ln();
        for (figure, unit, values) in &self.figures {
            if let [.., before, last] = values[..] {
                let value = last * (last / before).powf(steps);
                figures.put_with_note(figure, unit, "", &[value], "by growth, not measured")?;
            }
        }
        Ok(())
    }
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

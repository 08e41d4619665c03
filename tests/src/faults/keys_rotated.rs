//! The keys of all areas changed, over and over, by the command beside the running server, while devices sync. In the
//! end no row is under an old key, and every edit that a device kept is there once and opens.

use super::crew::Crew;
use super::ground::Ground;
use super::{Figures, Options};

/// Rows of records that an older version of their area's key wraps.
const BEHIND: &str = "SELECT count(*) FROM records WHERE key_version <
    (SELECT max(version) FROM area_keys WHERE area_keys.area_code = records.area_code)";

/// The row `keys-rotated`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let mut crew = Crew::gather(ground).await?;
    let mut under_way = 0;
    let rounds = options.count(2, 50);
    for round in 0..rounds {
        crew.work(round)?;
        under_way += u64::from(crew.unanswered()? > 0);
        figures.fault(rotate(ground));
        crew.settle().await?;
    }
    // What the server wrote meanwhile under the key that it knew.
    figures.fault(rotate(ground));
    let behind = ground.number(BEHIND).await?;
    figures.fault(match behind {
        0 => Ok(()),
        rows => Err(format!("{rows} records are under an old key")),
    });
    crew.end(ground, &mut figures).await?;
    figures.note = format!("{under_way} of {rounds} changed while an upload was under way");
    Ok(figures)
}

fn rotate(ground: &Ground) -> Result<(), String> {
    let said = ground.server.command(&["keys", "rotate", "--json"]);
    said.map(drop).map_err(|error| format!("{error:#}"))
}

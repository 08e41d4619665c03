//! A city that is kept from one run to the next (`--data`): a million residents take a quarter of an hour to come in,
//! and whoever mends a search wants to ask them again. Knows no figure.

use std::path::{Path, PathBuf};

use anyhow::Context;
use doorstep_core::ids::AreaCode;
use doorstep_core::rights::Role;
use serde::{Deserialize, Serialize};

use super::ask::Askers;
use super::load::Loaded;
use crate::town::{Api, Person, Server, office};

/// The city.
const CITY: &str = "310000000000";

/// Where the city lies: a folder that goes with the run, or one that stays.
pub(super) enum Place {
    Passing(tempfile::TempDir),
    Kept(PathBuf),
}

impl Place {
    pub(super) fn new(kept: Option<&Path>) -> anyhow::Result<Self> {
        let Some(folder) = kept else {
            let prefix = tempfile::Builder::new()
                .prefix("doorstep-city-")
                .tempdir()?;
            return Ok(Self::Passing(prefix));
        };
        std::fs::create_dir_all(folder)?;
        Ok(Self::Kept(std::path::absolute(folder)?))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Passing(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

/// What a later run must know.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) loaded: Loaded,
    /// Login and password of the village's, the street's and the city's supervisor.
    askers: [(String, String); 3],
}

/// A city's server with who asks it: as an earlier run left them, or new ones with the city's areas and no resident.
pub(super) async fn open(
    server: &mut Server,
    place: &Path,
    villages: impl AsyncFnOnce(&Server) -> anyhow::Result<AreaCode>,
) -> anyhow::Result<(Askers, Loaded)> {
    let file = place.join("city.json");
    if file.exists() {
        let kept: Kept = serde_json::from_slice(&std::fs::read(&file)?)?;
        server.start().await?;
        let api = Api::new(server.url());
        let [village, street, city] = &kept.askers;
        let again = async |(login, password): &(String, String)| {
            Person::sign_in(&api, login, login, password).await
        };
        let askers = Askers {
            area: villages(server).await?,
            village: again(village).await?,
            street: again(street).await?,
            city: again(city).await?,
        };
        return Ok((askers, kept.loaded));
    }
    let giver = office::found(server).await?.areas;
    let area = villages(server).await?;
    let appoint =
        async |login, area: &str| giver.appoint(login, "主管", Role::Supervisor, area).await;
    let askers = Askers {
        area,
        village: appoint("of-village", area.as_str()).await?,
        street: appoint("of-street", &format!("{}000", &area.as_str()[..9])).await?,
        city: appoint("of-city", CITY).await?,
    };
    Ok((askers, Loaded::default()))
}

/// Notes how full the city is.
pub(super) fn note(place: &Path, askers: &Askers, loaded: &Loaded) -> anyhow::Result<()> {
    let of = |person: &Person| (person.login.clone(), person.password.clone());
    let kept = Kept {
        loaded: *loaded,
        askers: [of(&askers.village), of(&askers.street), of(&askers.city)],
    };
    std::fs::write(place.join("city.json"), serde_json::to_vec(&kept)?).context("city.json")
}

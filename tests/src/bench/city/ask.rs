//! What supervisors ask, over HTTP, one question after another: searching, opening files, queues, a building's view.

use std::time::Instant;

use anyhow::{Context, ensure};
use doorstep_core::ids::AreaCode;
use serde_json::Value;

use super::answers;
use super::invented::{self, TO_A_HOUSE};
use super::load::Loaded;
use crate::bench::figures::percentile;
use crate::town::Person;

/// The queue as it is opened.
pub(super) const QUEUE: &str = "/api/conflicts?limit=50";

/// Who asks.
pub(super) struct Askers {
    pub(super) area: AreaCode,
    pub(super) village: Person,
    pub(super) street: Person,
    pub(super) city: Person,
}

/// Where figures go: name, unit, value, what must be known.
pub(super) type Put<'a> =
    dyn FnMut(&str, &'static str, f64, &str) -> anyhow::Result<()> + Send + 'a;

pub(super) async fn measure(
    askers: &Askers,
    loaded: &Loaded,
    count: usize,
    put: &mut Put<'_>,
) -> anyhow::Result<()> {
    let Askers {
        village,
        street,
        city,
        ..
    } = askers;
    let someone = || rand::random_range(0..loaded.residents);
    let neighbour = || rand::random_range(0..loaded.village);
    let mut asked = Asked { put, count };
    let houses = loaded.village.div_ceil(TO_A_HOUSE) as u64;

    asked
        .of(
            "search in the village by name",
            village,
            || residents(&invented::name(neighbour())),
            answers::page,
        )
        .await?;
    asked
        .of(
            "search in the city by name",
            city,
            || residents(&invented::name(someone())),
            answers::page,
        )
        .await?;
    asked
        .of(
            "search in the city by ID number",
            city,
            || residents(&invented::id_number(someone())),
            answers::page,
        )
        .await?;
    asked
        .of(
            "search in the city by phone",
            city,
            || residents(&invented::phone(someone())),
            answers::page,
        )
        .await?;
    let address = || {
        let person = someone();
        let (village, house) = (
            person / loaded.village,
            person % loaded.village / TO_A_HOUSE,
        );
        residents(&invented::address(village, house))
    };
    asked
        .of(
            "search in the city by address",
            city,
            address,
            answers::page,
        )
        .await?;
    let initials = || {
        residents(
            &invented::name(neighbour())
                .chars()
                .take(1)
                .collect::<String>(),
        )
    };
    asked
        .of(
            "search in the street by surname",
            street,
            initials,
            answers::page,
        )
        .await?;
    asked
        .of(
            "list of people, the street",
            street,
            || "/api/residents?limit=50&count=true".to_owned(),
            answers::page,
        )
        .await?;
    asked
        .of(
            "list of people, the city",
            city,
            || "/api/residents?limit=50".to_owned(),
            answers::page,
        )
        .await?;

    let files = files(city, loaded, count.min(50)).await?;
    let one = || files[rand::random_range(0..files.len())].clone();
    asked
        .of(
            "open a file",
            city,
            || format!("/api/residents/{}", one()),
            answers::file,
        )
        .await?;
    asked
        .of(
            "a file's history",
            city,
            || format!("/api/records/{}/history", one()),
            answers::history,
        )
        .await?;
    asked
        .of(
            "conflict queue, the street",
            street,
            || QUEUE.to_owned(),
            answers::queue,
        )
        .await?;
    asked
        .of(
            "conflict queue, the city",
            city,
            || QUEUE.to_owned(),
            answers::queue,
        )
        .await?;

    let area = askers.area;
    let views = views(askers).await?;
    asked
        .of(
            "buildings of the village",
            village,
            || format!("/api/buildings?area={area}"),
            |list, _| answers::houses(list) == houses,
        )
        .await?;
    let building = || views[rand::random_range(0..views.len())].clone();
    asked
        .of("a building's view", village, building, answers::view)
        .await?;
    let whole = || format!("/api/buildings/floors?area={area}");
    asked
        .of(
            "the view of all the village's houses",
            village,
            whole,
            |view, path| answers::view(view, path) && view["houses"] == houses,
        )
        .await
}

/// The address of a search.
pub(super) fn residents(text: &str) -> String {
    format!("/api/residents?text={}&limit=20", encoded(text))
}

/// People somewhere in the city, found by their numbers.
pub(super) async fn files(
    city: &Person,
    loaded: &Loaded,
    count: usize,
) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::with_capacity(count);
    for _ in 0..count {
        let number = invented::id_number(rand::random_range(0..loaded.residents));
        let page = city.api.get(&residents(&number)).await?;
        let id = page["items"][0]["id"].as_str().context("no id")?;
        files.push(id.to_owned());
    }
    Ok(files)
}

/// The addresses of the views of the village's buildings.
pub(super) async fn views(askers: &Askers) -> anyhow::Result<Vec<String>> {
    let area = askers.area;
    let list = format!("/api/buildings?area={area}");
    let estates = askers.village.api.get(&list).await?;
    let views: Vec<String> = estates
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|estate| estate["buildings"].as_array().cloned().unwrap_or_default())
        .filter_map(|building| building["building"].as_str().map(encoded))
        .map(|key| format!("/api/buildings/floors?area={area}&building={key}"))
        .collect();
    ensure!(!views.is_empty(), "a village without buildings");
    Ok(views)
}

struct Asked<'a, 'b> {
    put: &'a mut Put<'b>,
    count: usize,
}

impl Asked<'_, '_> {
    /// Asks so often, checks each answer, and puts down the 95th of a hundred.
    async fn of(
        &mut self,
        what: &str,
        who: &Person,
        question: impl Fn() -> String,
        fits: impl Fn(&Value, &str) -> bool,
    ) -> anyhow::Result<()> {
        let mut times = Vec::with_capacity(self.count);
        for round in 0..self.count + 3 {
            let path = question();
            let asked = Instant::now();
            let answer = who.api.get(&path).await?;
            // The first three warm what any server has warm.
            if round >= 3 {
                times.push(asked.elapsed().as_secs_f64() * 1e3);
            }
            ensure!(fits(&answer, &path), "{what}: no answer to {path}");
        }
        let note = format!("p50 {:.1} ms", percentile(&times, 0.5));
        let figure = format!("{what}, p95");
        (self.put)(&figure, "ms", percentile(&times, 0.95), &note)
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

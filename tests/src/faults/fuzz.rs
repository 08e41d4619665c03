//! The API fuzzed by its own description: schemathesis makes requests, right and wrong, of every route, as nobody and as
//! each role, on a register that is lived in. None may be answered with a 5xx, with a status or a type of content that
//! the description does not declare, or with a body that breaks its schema. Knows no route but the stream of notices.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use doorstep_core::rights::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::furnished::Furnished;
use super::{Figures, Options};
use crate::repository;
use crate::town::{Api, Person, routes};

/// Where `./x` installs it.
const PROGRAM: &str = ".data/tools/bin/schemathesis";
const SESSIONS: &str = "/api/auth/sessions";
const DESCRIPTION: &str = "/api/openapi.json";
const HOOKS: &str = "tests/fuzz/hooks.py";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// A stream that never ends, to whoever is signed in; server/tests/console.rs reads it.
const ENDLESS: &str = "stream_notices";
/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What the hooks counted.
#[derive(Deserialize)]
struct Report {
    /// By route and status.
    answers: BTreeMap<String, BTreeMap<String, u64>>,
    /// Requests whose answer was wrong.
    failed: u64,
    failures: Vec<String>,
}

impl Report {
    fn count(&self, family: &str) -> u64 {
        self.answers
            .values()
            .flatten()
            .filter(|(status, _)| status.starts_with(family))
            .map(|(_, count)| count)
            .sum()
    }
}

/// The row `fuzz`.
pub(super) async fn play(options: &Options) -> anyhow::Result<Figures> {
    let program = schemathesis()?;
    let furnished = Furnished::open(&options.program).await?;
    let mut figures = Figures::default();
    let mut routes_seen = BTreeSet::new();
    // Before anything is guessed: wrong passwords of the fuzzer's shut out its address.
    let mut everyone = vec![(None, None)];
    for person in &furnished.people {
        let spare = session(&furnished.ground.server.url(), &person.1).await?;
        everyone.push((Some(person), Some(spare)));
    }
    for (person, spare) in everyone {
        let report = run(&program, options, &furnished, person, spare).await?;
        let name = person.map_or("nobody", |(role, _)| role.code());
        let requests = report.count("");
        figures.faults(requests, report.failed);
        figures.lines.push(format!(
            "{name:<22} {:>4} routes {requests:>7} requests {:>7} done {:>7} refused {:>5} wrong",
            report.answers.len(),
            report.count("2"),
            report.count("4"),
            report.failed
        ));
        let failures = report.failures.iter().map(|why| format!("{name}: {why}"));
        figures.failures.extend(failures);
        if let Some((_, person)) = person {
            // Otherwise all that came after would have been asked as nobody.
            let me = person.api.get(routes::ME).await;
            figures.fault(me.map(drop).map_err(|error| format!("{name}: {error:#}")));
            ensure!(report.count("2") > 0, "{name} could do nothing at all");
        }
        routes_seen.extend(report.answers.into_keys());
    }
    for route in described(&furnished).await? {
        figures.fault(if routes_seen.contains(&route) {
            Ok(())
        } else {
            Err(format!("{route} was never asked"))
        });
    }
    figures.fault(furnished.ground.is_sound().await);
    figures.note = format!("{} routes", routes_seen.len());
    furnished.ground.close()?;
    Ok(figures)
}

/// Every route of the description, as the fuzzer calls it. It takes the description itself for no route; whoever is nobody
/// asks for the endless one too.
async fn described(furnished: &Furnished) -> anyhow::Result<Vec<String>> {
    let description = furnished.ground.collector.api.get(DESCRIPTION).await?;
    let paths = description["paths"].as_object().context("no paths")?;
    let routes = paths.iter().filter(|(path, _)| *path != DESCRIPTION);
    let routes = routes.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
    });
    Ok(routes.collect())
}

fn schemathesis() -> anyhow::Result<PathBuf> {
    let program = repository::root().join(PROGRAM);
    ensure!(
        program.exists(),
        "the fuzzer is missing: ./x setup installs it"
    );
    Ok(program)
}

/// One run, as nobody or somebody.
async fn run(
    program: &Path,
    options: &Options,
    furnished: &Furnished,
    person: Option<&(Role, Person)>,
    spare: Option<String>,
) -> anyhow::Result<Report> {
    let url = furnished.ground.server.url();
    let (mut token, mut spared) = (None, Vec::new());
    if let Some((_, person)) = person {
        token = person.api.token();
        let sessions = person.api.get(SESSIONS).await?;
        spared = ids(&sessions, |session| session["current"] == true);
    }
    for (_, person) in &furnished.people {
        let path = format!("{}/{}/grants", routes::USERS, person.id);
        let administrator = &furnished.ground.administrators.areas.api;
        spared.extend(ids(&administrator.get(&path).await?, |_| true));
        spared.push(person.id.clone());
    }
    let folder = tempfile::tempdir()?;
    let (told, report) = (folder.path().join("told"), folder.path().join("report"));
    let what = json!({
        "token": token, "spare": spare, "spared": spared, "things": furnished.things, "fields": furnished.fields,
    });
    std::fs::write(&told, serde_json::to_vec(&what)?)?;
    let mut command = Command::new(program);
    command
        .args(["run", &format!("{url}{DESCRIPTION}"), "--no-color"])
        .args(["--checks", CHECKS, "--continue-on-failure", "--no-shrink"])
        .args([
            "--phases",
            if options.short {
                "fuzzing"
            } else {
                "coverage,fuzzing"
            },
        ])
        .args(["--max-examples", &options.count(5, 40).to_string()])
        .args(["--seed", &options.seed.to_string()])
        .args([
            "--generation-database",
            "none",
            "--suppress-health-check",
            "all",
        ])
        .args(["--request-timeout", "30", "--warnings", "off"])
        .env("SCHEMATHESIS_HOOKS", repository::root().join(HOOKS))
        .env("DOORSTEP_FUZZ", &told)
        .env("DOORSTEP_FUZZ_REPORT", &report)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if person.is_some() {
        command.args(["--exclude-operation-id", ENDLESS]);
    }
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .context("the fuzzer hangs")??;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let written = std::fs::read(&report)
        .with_context(|| format!("the fuzzer did not run: {said}\n{complained}"))?;
    let report: Report = serde_json::from_slice(&written)?;
    // It says no by 1 when an answer was wrong; anything else, or 1 without one, is its own trouble.
    let agrees = output.status.success() == (report.failed == 0);
    ensure!(agrees, "the fuzzer failed: {said}\n{complained}");
    Ok(report)
}

/// The ids of those in a list that fit.
fn ids(list: &Value, fit: impl Fn(&Value) -> bool) -> Vec<String> {
    let all = list.as_array().into_iter().flatten();
    all.filter(|one| fit(one))
        .filter_map(|one| one["id"].as_str().map(str::to_owned))
        .collect()
}

/// Another session of a person.
async fn session(url: &str, person: &Person) -> anyhow::Result<String> {
    let input = json!({ "login": person.login, "password": person.password });
    let opened = Api::new(url.to_owned())
        .post(routes::SIGN_IN, &input)
        .await?;
    Ok(opened["token"].as_str().context("no token")?.to_owned())
}

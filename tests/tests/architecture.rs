//! The rules of the repository's shape, each with its reason in what a failure says. Knows the names of crates and files, not what they do.
//!
//! A rule that gets in the way is changed here and in ARCHITECTURE.md together, never worked around.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_tests::repository::{SourceFile, files, root, rust_files};

/// A crate, where it lives, and which of our crates it may know.
struct Crate {
    name: &'static str,
    folder: &'static str,
    may_know: &'static [&'static str],
}

/// Arrows go one way: sqlite and client stand on core, server on core, the command line on both sides, the tests on all.
const CRATES: &[Crate] = &[
    Crate {
        name: "doorstep-core",
        folder: "core",
        may_know: &[],
    },
    Crate {
        name: "doorstep-sqlite",
        folder: "core/sqlite",
        may_know: &["doorstep-core"],
    },
    Crate {
        name: "doorstep-client",
        folder: "core/client",
        may_know: &["doorstep-core", "doorstep-sqlite"],
    },
    Crate {
        name: "doorstep-server",
        folder: "server",
        may_know: &["doorstep-core"],
    },
    Crate {
        name: "doorstep-cli",
        folder: "server/cli",
        may_know: &["doorstep-core", "doorstep-client", "doorstep-server"],
    },
    Crate {
        name: "doorstep-tests",
        folder: "tests",
        may_know: &[
            "doorstep-core",
            "doorstep-sqlite",
            "doorstep-client",
            "doorstep-server",
        ],
    },
];

/// What reaches outside the process, or brings a clock, a thread or chance of its own.
const IO_CRATES: &[&str] = &[
    "async-std",
    "axum",
    "diesel",
    "getrandom",
    "hyper",
    "mio",
    "object_store",
    "postgres",
    "rand",
    "rayon",
    "reqwest",
    "rusqlite",
    "smol",
    "socket2",
    "sqlx",
    "tempfile",
    "tokio",
    "tokio-postgres",
    "tokio-tungstenite",
    "tracing-subscriber",
    "ureq",
];

/// The same, said in the standard library's and common crates' words.
const IO_WORDS: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "now_v7",
    "new_v4",
    "thread_rng",
    "getrandom",
    "rand::",
    "OsRng",
    "println!",
    "eprintln!",
];

fn manifest(folder: &str) -> toml::Table {
    let text = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    text.parse().unwrap()
}

/// The names of the crates a manifest depends on, for every target; with `dev`, also those of its tests.
fn dependencies(manifest: &toml::Table, dev: bool) -> Vec<String> {
    let mut tables = vec![manifest.clone()];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(|t| t.as_table().cloned()));
    }
    let mut kinds = vec!["dependencies", "build-dependencies"];
    if dev {
        kinds.push("dev-dependencies");
    }
    tables
        .iter()
        .flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)))
        .filter_map(toml::Value::as_table)
        .flat_map(|table| table.keys().cloned())
        .collect()
}

/// Fails with the rule, its reason and every place that breaks it.
fn hold(rule: &str, reason: &str, broken: &[String]) {
    assert!(
        broken.is_empty(),
        "\n{rule}\nWhy: {reason}\nBroken by:\n  {}\n",
        broken.join("\n  ")
    );
}

/// Every shipped line of `file` that contains one of `words` as a whole word.
fn lines_with(file: &SourceFile, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in file.shipped_lines() {
        for word in words {
            if contains_word(line, word) {
                found.push(format!("{}:{number}: {word}", file.path));
            }
        }
    }
    found
}

/// `word` in `line`, not as a part of a longer name on its left.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn core_files() -> Vec<SourceFile> {
    files(|path| path.starts_with("core/src/") && path.ends_with(".rs"))
}

/// The name of the server's domain that a path belongs to.
fn domain_of(path: &str) -> Option<&str> {
    path.strip_prefix("server/src/domains/")?
        .split_once('/')
        .map(|(domain, _)| domain)
}

fn is_routes(path: &str) -> bool {
    path.ends_with("/routes.rs") || path.contains("/routes/")
}

fn is_store(path: &str) -> bool {
    path.ends_with("/store.rs") || path.contains("/store/")
}

#[test]
fn arrows_between_crates_go_one_way() {
    let mut broken = Vec::new();
    for krate in CRATES {
        for name in dependencies(&manifest(krate.folder), true) {
            let itself = name == krate.name; // its own test support
            if name.starts_with("doorstep-") && !itself && !krate.may_know.contains(&name.as_str())
            {
                broken.push(format!("{} depends on {name}", krate.name));
            }
        }
    }
    hold(
        "A crate knows only those below it.",
        "core runs on phones, in mini-programs and on the server; the server holds no device code and a device no server code, so that each can be built, audited and replaced alone.",
        &broken,
    );
}

#[test]
fn every_crate_of_the_workspace_is_known_here() {
    let workspace = manifest(".");
    let members: Vec<String> = workspace["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|m| m.as_str().map(str::to_owned))
        .collect();
    let mut broken: Vec<String> = members
        .iter()
        .filter(|folder| CRATES.iter().all(|k| k.folder != folder.as_str()))
        .map(|folder| format!("{folder} is not in the list of crates of this test"))
        .collect();
    for krate in CRATES {
        let name = manifest(krate.folder)["package"]["name"]
            .as_str()
            .map(str::to_owned);
        if name.as_deref() != Some(krate.name) {
            broken.push(format!("{} should be named {}", krate.folder, krate.name));
        }
    }
    hold(
        "Every crate is named doorstep-* and has its arrows written down.",
        "a crate that nobody listed would have no arrows; a package named `core` would break `core::` in what depends on it.",
        &broken,
    );
}

#[test]
fn core_depends_on_nothing_that_does_io() {
    let broken: Vec<String> = dependencies(&manifest("core"), false)
        .into_iter()
        .filter(|name| IO_CRATES.contains(&name.as_str()))
        .collect();
    hold(
        "core has no crate that does I/O, keeps time or makes chance.",
        "time, random bytes, keys and storage are passed in; only so does the same code run on a phone, in wasm and in a seeded simulation that replays.",
        &broken,
    );
}

#[test]
fn core_uses_no_clock_file_socket_thread_or_chance() {
    let broken: Vec<String> = core_files()
        .iter()
        .flat_map(|file| lines_with(file, IO_WORDS))
        .collect();
    hold(
        "core never asks the machine for anything.",
        "a clock, a file, a socket, a thread or chance in core breaks wasm and makes a failing simulation impossible to replay.",
        &broken,
    );
}

#[test]
fn each_host_keeps_to_its_own_database_and_network() {
    let forbidden: &[(&str, &[&str], &str)] = &[
        (
            "core/sqlite",
            &["tokio", "axum", "sqlx", "reqwest", "tokio-tungstenite"],
            "the device store is synchronous and local",
        ),
        (
            "core/client",
            &["axum", "sqlx"],
            "a device serves nobody and never sees the server's database",
        ),
        (
            "server",
            &["rusqlite", "tokio-tungstenite"],
            "the server speaks PostgreSQL alone and dials no websocket",
        ),
    ];
    let mut broken = Vec::new();
    for (folder, names, reason) in forbidden {
        for name in dependencies(&manifest(folder), false) {
            if names.contains(&name.as_str()) {
                broken.push(format!("{folder} depends on {name}: {reason}"));
            }
        }
    }
    hold(
        "Each host has one database and one side of the wire.",
        "a second dialect or a second side would have to be tested and secured as well.",
        &broken,
    );
}

#[test]
fn versions_and_lints_are_declared_once() {
    let mut broken = Vec::new();
    for krate in CRATES {
        let manifest = manifest(krate.folder);
        let inherits = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        if inherits != Some(true) {
            broken.push(format!(
                "{} does not take the workspace's lints",
                krate.name
            ));
        }
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(kind).and_then(toml::Value::as_table) else {
                continue;
            };
            for (name, value) in table {
                let inherited = value.get("workspace").and_then(toml::Value::as_bool);
                if inherited != Some(true) && name != krate.name {
                    broken.push(format!("{}: {name} has a version of its own", krate.name));
                }
            }
        }
    }
    hold(
        "Versions and lints stand in the root Cargo.toml only.",
        "two versions of one library would disagree about one document, and a crate without lints would drift.",
        &broken,
    );
}

#[test]
fn routes_hold_no_sql() {
    let broken: Vec<String> = rust_files()
        .iter()
        .filter(|file| file.path.starts_with("server/src/") && is_routes(&file.path))
        .flat_map(|file| {
            lines_with(
                file,
                &["sqlx", "SELECT ", "INSERT INTO", "DELETE FROM", "UPDATE "],
            )
        })
        .collect();
    hold(
        "Routes extract, authorise, call a service once and map; they hold no SQL.",
        "a query in a route escapes the transaction, the audit record and the test that prepares every statement.",
        &broken,
    );
}

#[test]
fn only_stores_run_sql_in_a_domain() {
    let broken: Vec<String> = rust_files()
        .iter()
        .filter(|file| domain_of(&file.path).is_some() && !is_store(&file.path))
        .flat_map(|file| lines_with(file, &["sqlx::query", "sqlx::raw_sql"]))
        .collect();
    hold(
        "In a domain only the store runs SQL.",
        "a service owns the transaction and the rules; with the SQL in one place a table's every reader and writer is found at once.",
        &broken,
    );
}

#[test]
fn services_and_stores_know_no_http() {
    let broken: Vec<String> = rust_files()
        .iter()
        .filter(|file| {
            domain_of(&file.path).is_some()
                && !is_routes(&file.path)
                && !file.path.ends_with("/mod.rs")
        })
        .flat_map(|file| lines_with(file, &["axum"]))
        .collect();
    hold(
        "Services, stores and models don't know axum.",
        "the same service answers HTTP, the command line, a job and a device; what is refused is an error with a code, and HTTP's form of it is given in one place.",
        &broken,
    );
}

#[test]
fn a_domain_never_uses_the_store_of_another() {
    let files = rust_files();
    let mut domains: Vec<&str> = files.iter().filter_map(|f| domain_of(&f.path)).collect();
    domains.sort_unstable();
    domains.dedup();
    let mut broken = Vec::new();
    for file in &files {
        let Some(own) = domain_of(&file.path) else {
            continue;
        };
        for other in domains.iter().filter(|name| **name != own) {
            broken.extend(lines_with(file, &[&format!("{other}::store")]));
        }
    }
    hold(
        "A domain calls another's service, never its store.",
        "the rules of a table live in its service; whoever goes round it writes a row that breaks them.",
        &broken,
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    let broken: Vec<String> = rust_files()
        .iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.path.clone())
        .collect();
    hold(
        "Every Rust file opens with a //! line: what it is for and what it doesn't know.",
        "a reader decides in one line whether this is the file to read.",
        &broken,
    );
}

#[test]
fn no_file_is_over_eight_hundred_lines() {
    let broken: Vec<String> = rust_files()
        .iter()
        .map(|file| (file.path.clone(), file.text.lines().count()))
        .filter(|(_, lines)| *lines > 800)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    hold(
        "No file is over 800 lines; about 300 is comfortable.",
        "a longer file holds more than one idea, and nobody reads it whole.",
        &broken,
    );
}

#[test]
fn no_module_is_a_drawer_for_everything() {
    let drawers = ["utils", "util", "helpers", "helper", "misc", "stuff"];
    let broken: Vec<String> = rust_files()
        .into_iter()
        .map(|file| file.path)
        .filter(|path| {
            path.split('/')
                .any(|part| drawers.contains(&part.trim_end_matches(".rs")))
        })
        .collect();
    hold(
        "No module is named utils, helpers or misc.",
        "such a name says nothing, so everything ends up there; name a module by what it knows.",
        &broken,
    );
}

#[test]
fn a_lint_is_silenced_only_with_a_reason() {
    let broken: Vec<String> = rust_files()
        .iter()
        .flat_map(|file| lines_with(file, &["#[allow(", "#![allow("]))
        .collect();
    hold(
        "Outside tests a lint is silenced by #[expect(…, reason = \"…\")], not by allow.",
        "expect fails when it is no longer needed, and the reason tells the next reader why it was.",
        &broken,
    );
}

#[test]
fn nothing_names_a_persons_machine() {
    // Put together at run time, so that this file doesn't find itself.
    let places: Vec<String> = ["home", "Users", "root", "work"]
        .iter()
        .map(|folder| format!("/{folder}/"))
        .collect();
    let ends = [
        ".rs", ".md", ".toml", ".json", ".mjs", ".ts", ".vue", ".sql", ".tsv", ".yml", ".sh", "/x",
        "run",
    ];
    let mut broken = Vec::new();
    for file in files(|path| path == "x" || ends.iter().any(|end| path.ends_with(end))) {
        for (index, line) in file.text.lines().enumerate() {
            for place in &places {
                let own = line.match_indices(place.as_str()).any(|(at, _)| {
                    !line[..at]
                        .chars()
                        .next_back()
                        .is_some_and(|c| c.is_alphanumeric() || "_-./}~".contains(c))
                });
                if own {
                    broken.push(format!("{}:{}: {place}", file.path, index + 1));
                }
            }
        }
    }
    hold(
        "No path of somebody's own machine stands in the repository.",
        "it works on that machine only, and tells strangers who worked where.",
        &broken,
    );
}

#[test]
fn lock_files_name_public_registries_only() {
    let mut broken = Vec::new();
    for lock in files(|path| path.ends_with("package-lock.json")) {
        for (index, line) in lock.text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with("\"resolved\"") && !line.contains("\"https://registry.npmjs.org/") {
                broken.push(format!("{}:{}", lock.path, index + 1));
            }
        }
    }
    for lock in files(|path| path.ends_with("Cargo.lock")) {
        for (index, line) in lock.text.lines().enumerate() {
            let ours = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
            if line.starts_with("source = ") && line != ours {
                broken.push(format!("{}:{}", lock.path, index + 1));
            }
        }
    }
    hold(
        "Lock files name crates.io and npm's registry, or no host at all.",
        "a mirror that only one machine reaches makes the lock file useless to everyone else.",
        &broken,
    );
}

#[test]
fn the_word_finder_finds_whole_words_and_skips_tests() {
    let file = SourceFile {
        path: "sample.rs".to_owned(),
        text: "//! std::fs\nuse std::fs;\nlet operand::x = 1; // rand::\n#[cfg(test)]\nuse std::net;\n#[cfg(test)]\nmod tests {\n    use std::thread;\n}\n"
            .to_owned(),
    };
    assert_eq!(lines_with(&file, &["std::fs"]), ["sample.rs:2: std::fs"]);
    assert!(lines_with(&file, &["rand::"]).is_empty());
    assert!(lines_with(&file, &["std::thread"]).is_empty());
}

//! Holds docs/functions.tsv to the truth: what it says works is shown by tests that exist, where it says. Knows nothing of what the functions do.
//!
//! The form of a line: `id`, the function's Chinese name, its domain, `none`, `part` or `whole`, then where and by which tests,
//! each a list separated by `; `. A place is a route (`GET /api/areas`), a command (`doorstep register import`), a frame
//! (`frame Hello`) or a file (`file docs/protocol.md`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use doorstep_tests::repository::{SourceFile, files, root, rust_files};

/// Ids run to 282; 231 was never given out.
const MISSING_ID: u32 = 231;
const LAST_ID: u32 = 282;

struct Line {
    id: u32,
    state: String,
    places: Vec<String>,
    tests: Vec<String>,
}

fn list(cell: &str) -> Vec<String> {
    cell.split(';')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn lines() -> Vec<Line> {
    let text = std::fs::read_to_string(root().join("docs/functions.tsv")).unwrap();
    let mut rows = text.lines();
    assert_eq!(
        rows.next(),
        Some("id\tfunction\tdomain\tstate\twhere\tshown_by"),
        "the first line names the columns"
    );
    rows.map(|row| {
        let cells: Vec<&str> = row.split('\t').collect();
        assert_eq!(cells.len(), 6, "six columns, tabs between them: {row}");
        assert!(!cells[1].is_empty() && !cells[2].is_empty(), "{row}");
        Line {
            id: cells[0].parse().expect("an id is a number"),
            state: cells[3].to_owned(),
            places: list(cells[4]),
            tests: list(cells[5]),
        }
    })
    .collect()
}

/// The names of the Rust tests in `text`: functions under an attribute such as `#[test]` or `#[tokio::test]`.
fn rust_tests(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        let function = line
            .strip_prefix("fn ")
            .or_else(|| line.strip_prefix("async fn "));
        if let Some(rest) = function {
            if is_test {
                names.push(
                    rest.chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_')
                        .collect(),
                );
            }
            is_test = false;
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.contains("::test");
        } else if !line.starts_with("//") {
            is_test = false;
        }
    }
    names
}

/// The names of every test of the repository, in Rust and in JavaScript or TypeScript.
fn test_names() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = rust_files()
        .iter()
        .flat_map(|file| rust_tests(&file.text))
        .collect();
    for file in files(|path| path.ends_with(".test.mjs") || path.ends_with(".test.ts")) {
        for opening in ["test('", "it('", "test(\"", "it(\""] {
            for (at, _) in file.text.match_indices(opening) {
                let quote = opening.chars().next_back().unwrap();
                let rest = &file.text[at + opening.len()..];
                names.insert(rest.split(quote).next().unwrap_or_default().to_owned());
            }
        }
    }
    names
}

/// Where something named in the table must be found.
struct Sources {
    server: Vec<SourceFile>,
    cli: Vec<SourceFile>,
    core: Vec<SourceFile>,
}

impl Sources {
    fn read() -> Self {
        let under = |prefix: &'static str| {
            rust_files()
                .into_iter()
                .filter(|file| file.path.starts_with(prefix))
                .collect()
        };
        Self {
            server: under("server/src/"),
            cli: under("server/cli/src/"),
            core: under("core/src/"),
        }
    }

    /// Why a place doesn't exist, or nothing.
    fn missing(&self, place: &str) -> Option<String> {
        let Some((kind, rest)) = place.split_once(' ') else {
            return Some(format!("unknown kind of place: {place}"));
        };
        match kind {
            "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => {
                let inside = rest.strip_prefix("/api").unwrap_or(rest);
                let quoted = [format!("\"{rest}\""), format!("\"{inside}\"")];
                let found = self
                    .server
                    .iter()
                    .any(|file| quoted.iter().any(|q| file.text.contains(q)));
                (!found).then(|| format!("no route {rest} in the server"))
            }
            "doorstep" => rest
                .split(' ')
                .filter(|word| !word.starts_with("--"))
                .find(|word| !self.has_command(word))
                .map(|word| format!("no command {word} in the command line")),
            "frame" => {
                let found = self
                    .core
                    .iter()
                    .any(|file| file.path.contains("/protocol") && file.text.contains(rest));
                (!found).then(|| format!("no frame {rest} in the protocol"))
            }
            "file" => (!root().join(rest).exists()).then(|| format!("no file {rest}")),
            _ => Some(format!("unknown kind of place: {place}")),
        }
    }

    /// A subcommand is an enum variant for clap, or a name in quotes.
    fn has_command(&self, word: &str) -> bool {
        let variant: String = word
            .split('-')
            .map(|part| {
                let mut chars = part.chars();
                chars.next().map_or_else(String::new, |first| {
                    first.to_uppercase().chain(chars).collect()
                })
            })
            .collect();
        let forms = [
            format!("\"{word}\""),
            format!("{variant} {{"),
            format!("{variant}("),
            format!("{variant},"),
        ];
        self.cli
            .iter()
            .any(|file| forms.iter().any(|form| file.text.contains(form)))
    }
}

#[test]
fn every_required_function_has_one_line() {
    let mut seen = BTreeMap::new();
    for line in lines() {
        *seen.entry(line.id).or_insert(0) += 1;
    }
    let wanted: Vec<u32> = (1..=LAST_ID).filter(|id| *id != MISSING_ID).collect();
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), wanted);
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "ids with more than one line: {twice:?}");
}

#[test]
fn a_function_that_works_says_where_and_by_which_tests() {
    let mut wrong = Vec::new();
    for line in lines() {
        match line.state.as_str() {
            "none" => {
                if !line.tests.is_empty() {
                    wrong.push(format!("{}: state none, but tests are named", line.id));
                }
            }
            "part" | "whole" => {
                if line.tests.is_empty() {
                    wrong.push(format!("{}: {}, but no test shows it", line.id, line.state));
                }
                if line.places.is_empty() {
                    wrong.push(format!(
                        "{}: {}, but nothing says where",
                        line.id, line.state
                    ));
                }
            }
            other => wrong.push(format!("{}: unknown state {other:?}", line.id)),
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/functions.tsv:\n  {}",
        wrong.join("\n  ")
    );
}

#[test]
fn every_test_named_in_the_table_exists() {
    let names = test_names();
    let missing: Vec<String> = lines()
        .iter()
        .flat_map(|line| line.tests.iter().map(move |test| (line.id, test)))
        .filter(|(_, test)| !names.contains(test.as_str()))
        .map(|(id, test)| format!("{id}: {test}"))
        .collect();
    assert!(
        missing.is_empty(),
        "tests that don't exist:\n  {}",
        missing.join("\n  ")
    );
}

#[test]
fn every_place_named_in_the_table_exists() {
    let sources = Sources::read();
    let missing: Vec<String> = lines()
        .iter()
        .flat_map(|line| line.places.iter().map(move |place| (line.id, place)))
        .filter_map(|(id, place)| sources.missing(place).map(|why| format!("{id}: {why}")))
        .collect();
    assert!(
        missing.is_empty(),
        "places that don't exist:\n  {}",
        missing.join("\n  ")
    );
}

#[test]
fn a_place_that_does_not_exist_is_noticed() {
    let sources = Sources::read();
    for place in [
        "GET /api/no-such-route",
        "doorstep no-such-command",
        "frame NoSuchFrame",
        "file docs/no-such-file.md",
        "screen somewhere",
        "somewhere",
    ] {
        assert!(
            sources.missing(place).is_some(),
            "{place} was taken for real"
        );
    }
    assert!(sources.missing("file docs/functions.tsv").is_none());
}

#[test]
fn only_tests_count_as_tests() {
    let text = "#[test]\n#[ignore]\n/// Why.\nfn one() {}\nfn two() {}\n#[tokio::test]\nasync fn three() {}\n#[inline]\nfn four() {}\n";
    assert_eq!(rust_tests(text), ["one", "three"]);
    assert!(test_names().contains("only_tests_count_as_tests"));
    assert!(test_names().contains("there are golden documents to read"));
}

//! Holds docs/functions.tsv to the truth: what it says works is shown by tests that exist, where it says. Knows nothing of what the functions do.
//!
//! The form of a line: `id`, the function's Chinese name, its domain, `none`, `part` or `whole`, then where and by which tests,
//! each a list separated by `; `. A place is a route (`GET /api/areas`) that the server describes, a command (`doorstep
//! register import`) of docs/commands.tsv, a frame (`frame Hello`) of either direction or a file (`file docs/protocol.md`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::protocol::frames::{Down, Up};
use doorstep_server::router;
use doorstep_tests::repository::{files, root, rust_files};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

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

/// What there is, by its own word: places named in the table must be among it.
struct Present {
    /// `GET /api/areas`, as the server describes itself.
    routes: BTreeSet<String>,
    /// Words of each command, whether it takes arguments, and its options: the command line's own test writes the list.
    commands: BTreeMap<String, (bool, BTreeSet<String>)>,
    /// Names of the frames in both directions.
    frames: BTreeSet<&'static str>,
}

impl Present {
    fn look() -> Self {
        let described = serde_json::to_value(router::description()).unwrap();
        let mut routes = BTreeSet::new();
        for (path, methods) in described["paths"].as_object().unwrap() {
            let methods = methods.as_object().unwrap().keys();
            routes.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
        }
        let list = std::fs::read_to_string(root().join("docs/commands.tsv")).unwrap();
        let command = |line: &str| {
            let cells: Vec<&str> = line.split('\t').collect();
            let options = cells[2].split_whitespace().map(str::to_owned).collect();
            (cells[0].to_owned(), (!cells[1].is_empty(), options))
        };
        Self {
            routes,
            commands: list.lines().skip(1).map(command).collect(),
            frames: variants::<Up>()
                .iter()
                .chain(variants::<Down>())
                .copied()
                .collect(),
        }
    }

    /// Why a place doesn't exist, or nothing.
    fn missing(&self, place: &str) -> Option<String> {
        let (kind, rest) = place.split_once(' ').unwrap_or((place, ""));
        match kind {
            "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => (!self.routes.contains(place))
                .then(|| format!("the server describes no route {place}")),
            "doorstep" => self.no_command(place),
            "frame" => (!self.frames.contains(rest)).then(|| format!("no frame {rest}")),
            "file" => {
                (rest.is_empty() || !root().join(rest).is_file()).then(|| format!("no file {rest}"))
            }
            _ => Some(format!("unknown kind of place: {place}")),
        }
    }

    /// The words of a command, then what it takes: arguments where it has any, options that it knows.
    fn no_command(&self, place: &str) -> Option<String> {
        let words: Vec<&str> = place.split(' ').collect();
        let known = (1..=words.len())
            .rev()
            .find_map(|end| Some((end, self.commands.get(&words[..end].join(" "))?)));
        let Some((end, (takes_arguments, options))) = known else {
            return Some(format!("no command {place}"));
        };
        words[end..]
            .iter()
            .find(|word| match word.starts_with("--") {
                true => !options.contains(**word),
                false => !takes_arguments,
            })
            .map(|word| format!("{} does not take {word}", words[..end].join(" ")))
    }
}

/// The names of an enum's variants, from what is derived for reading it.
fn variants<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    struct Names<'a>(&'a mut &'static [&'static str]);
    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = serde::de::value::Error;
        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _: &'static str,
            variants: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = variants;
            Err(Error::custom("only the names are wanted"))
        }
        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(Error::custom("not an enum"))
        }
        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map struct identifier ignored_any
        }
    }
    let mut names: &'static [&'static str] = &[];
    T::deserialize(Names(&mut names)).err();
    names
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
    let present = Present::look();
    let missing: Vec<String> = lines()
        .iter()
        .flat_map(|line| line.places.iter().map(move |place| (line.id, place)))
        .filter_map(|(id, place)| present.missing(place).map(|why| format!("{id}: {why}")))
        .collect();
    assert!(
        missing.is_empty(),
        "places that don't exist:\n  {}",
        missing.join("\n  ")
    );
}

#[test]
fn a_place_that_does_not_exist_is_noticed() {
    let present = Present::look();
    for place in [
        "GET /api/no-such-route",
        "GET /api",
        // It can be read, but not taken away.
        "DELETE /api/areas",
        "doorstep no-such-command",
        // Both words are commands, but not together; and a group does nothing by itself.
        "doorstep areas export",
        "doorstep areas",
        "doorstep areas import --no-such-option",
        "doorstep logout somebody",
        "frame NoSuchFrame",
        // A type of the protocol, but no frame.
        "frame Entry",
        "frame ",
        "file docs/no-such-file.md",
        "file docs",
        "screen somewhere",
        "somewhere",
    ] {
        assert!(
            present.missing(place).is_some(),
            "{place} was taken for real"
        );
    }
    for place in [
        "GET /api/areas",
        "PATCH /api/records/{record_id}",
        "doorstep areas import",
        "doorstep device new house --area",
        "frame Hello",
        "frame Bye",
        "file docs/functions.tsv",
    ] {
        assert_eq!(present.missing(place), None);
    }
}

#[test]
fn only_tests_count_as_tests() {
    let text = "#[test]\n#[ignore]\n/// Why.\nfn one() {}\nfn two() {}\n#[tokio::test]\nasync fn three() {}\n#[inline]\nfn four() {}\n";
    assert_eq!(rust_tests(text), ["one", "three"]);
    assert!(test_names().contains("only_tests_count_as_tests"));
    assert!(test_names().contains("there are golden documents to read"));
}

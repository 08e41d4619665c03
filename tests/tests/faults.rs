//! The fault table in its short form: whatever is done to devices, lines, files and processes, nothing acknowledged is
//! lost and nothing comes twice. `./x faults` is the long form.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use doorstep_tests::faults::ROWS;
use serde_json::Value;

const IN_MEMORY: &[&str] = &["malformed", "wal-cut", "orders", "clocks", "partition"];
const DEVICES: &[&str] = &[
    "malformed-live",
    "hostile",
    "floods",
    "device-killed",
    "corrupt-page",
    "disk-full",
    "half-files",
    "archives",
];
const LINES_AND_SERVERS: &[&str] = &[
    "socket-cut",
    "guessing",
    "server-killed",
    "database-killed",
    "keys-rotated",
    "database-full",
];
const SLOW: &[&str] = &["slow-sockets"];
const FUZZ: &[&str] = &["fuzz"];
const PAYLOADS: &[&str] = &["payloads"];

/// Plays rows in a process of their own, which children that are killed are run from.
fn play(rows: &[&str]) {
    let faults = Path::new(env!("CARGO_BIN_EXE_doorstep-faults"));
    let program = faults.with_file_name("doorstep");
    assert!(
        program.exists(),
        "{} is missing: cargo build -p doorstep-cli",
        program.display()
    );
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new(faults);
    command.args(["--short", "--report"]).arg(report.path());
    for row in rows {
        command.args(["--row", row]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    let played: Value = serde_json::from_slice(&std::fs::read(report.path()).unwrap()).unwrap();
    let played = played.as_array().unwrap();
    assert_eq!(played.len(), rows.len(), "{said}");
    for row in played {
        if let Some(why) = row["skipped"].as_str() {
            leave_out(row["row"].as_str().unwrap(), why);
            continue;
        }
        assert!(row["tried"].as_u64().unwrap() > 1, "{row}");
        assert_eq!(row["tried"], row["survived"], "{row}");
        assert_eq!(
            (&row["lost"], &row["doubled"]),
            (&0.into(), &0.into()),
            "{row}"
        );
    }
}

/// Says it where `./x test` looks at its end: the output of a test that passes is not shown.
fn leave_out(row: &str, why: &str) {
    eprintln!("{row}: left out: {why}");
    if let Some(file) = std::env::var_os("DOORSTEP_LEFT_OUT") {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(file)
            .unwrap();
        // At once: other tests write beside it.
        file.write_all(format!("the row {row}: {why}\n").as_bytes())
            .unwrap();
    }
}

#[test]
fn every_row_is_played() {
    let played = [IN_MEMORY, DEVICES, LINES_AND_SERVERS, SLOW, FUZZ, PAYLOADS];
    let mut played = played.concat();
    let mut rows: Vec<&str> = ROWS.iter().map(|(row, ..)| *row).collect();
    played.sort_unstable();
    rows.sort_unstable();
    assert_eq!(played, rows);
}

#[test]
fn bytes_and_orders_break_nothing() {
    play(IN_MEMORY);
}

#[test]
fn devices_that_lie_or_die_break_nothing() {
    play(DEVICES);
}

#[test]
fn lines_and_servers_that_break_lose_nothing() {
    play(LINES_AND_SERVERS);
}

#[test]
fn whoever_is_slow_is_waited_for_and_then_no_more() {
    play(SLOW);
}

#[test]
fn the_api_answers_as_its_description_says() {
    play(FUZZ);
}

#[test]
fn payloads_are_text_and_nothing_else() {
    play(PAYLOADS);
}

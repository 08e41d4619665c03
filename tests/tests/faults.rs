//! The fault table in its short form: whatever is done to devices, lines, files and processes, nothing acknowledged is
//! lost and nothing comes twice. `./x faults` is the long form.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

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
            eprintln!("{}: skipped: {why}", row["row"]);
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

#[test]
fn bytes_and_orders_break_nothing() {
    play(&["malformed", "wal-cut", "orders", "clocks", "partition"]);
}

#[test]
fn devices_that_lie_or_die_break_nothing() {
    play(&[
        "malformed-live",
        "hostile",
        "floods",
        "device-killed",
        "corrupt-page",
        "disk-full",
        "half-files",
        "archives",
    ]);
}

#[test]
fn lines_and_servers_that_break_lose_nothing() {
    play(&[
        "socket-cut",
        "guessing",
        "server-killed",
        "database-killed",
        "keys-rotated",
        "database-full",
    ]);
}

#[test]
fn whoever_is_slow_is_waited_for_and_then_no_more() {
    play(&["slow-sockets"]);
}

#[test]
fn the_api_answers_as_its_description_says() {
    play(&["fuzz"]);
}

#[test]
fn payloads_are_text_and_nothing_else() {
    play(&["payloads"]);
}

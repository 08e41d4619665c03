//! The demo in a short form, with the real program in processes of its own: what `./x demo` promises is true, in
//! seconds, on every change.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_tests::demo::{self, Options};
use doorstep_tests::repository;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_short_demo_does_what_it_says() {
    let mut said = Vec::new();
    let played = demo::run(&Options::short(repository::program().unwrap()), &mut said).await;
    let said = String::from_utf8(said).unwrap();
    let report = played.unwrap_or_else(|error| panic!("{said}\n{error:#}"));
    let file = tempfile::NamedTempFile::new().unwrap();
    demo::write_report(&report, file.path()).unwrap();
    let report: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    let number = |key: &str| {
        report[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key}: {report}"))
    };

    assert_eq!(report["failed"], serde_json::json!([]), "{said}");
    assert_eq!(
        number("devices"),
        5,
        "four that work and a new one at the end"
    );
    assert!(number("records") > 300, "{report}");
    assert!(number("changes_sent") > 900);
    assert_eq!(number("changes_accepted"), number("changes_sent"));
    assert_eq!(number("conflicts_opened"), 3);
    assert_eq!(number("conflicts_decided"), 3);
    assert_eq!(report["digests_equal"], true);
    assert_eq!((number("lost"), number("doubled")), (0, 0));
    assert!(number("unanswered_at_kill") > 0);
    let seconds = report["seconds"].as_f64().unwrap();
    assert!(seconds > 0.0 && seconds < 120.0, "{seconds} s");
}

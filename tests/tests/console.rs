//! The console is typed by the server's own description: what is committed beside it must be that description. Knows
//! nothing of the console's code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_server::router;
use doorstep_tests::repository::root;

/// Set to write the description instead of comparing it.
const UPDATE: &str = "DOORSTEP_UPDATE";

#[test]
fn the_consoles_description_is_the_servers() {
    let path = root().join("server/console/openapi.json");
    let described = serde_json::to_value(router::description()).unwrap();
    if std::env::var_os(UPDATE).is_some() {
        let text = serde_json::to_string_pretty(&described).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let committed: serde_json::Value = serde_json::from_str(&committed).unwrap_or_default();
    // Not shown whole: thousands of lines say nothing.
    assert!(
        committed == described,
        "the API changed: {UPDATE}=1 cargo test -p doorstep-tests --test console, then `npm run check` in server/console"
    );
}

//! What the columns of an import may go to: the template's heads and the fields behind them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::rights::Role;
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::VILLAGE;
use serde_json::{Value as Json, json};

#[tokio::test]
async fn what_a_column_may_go_to_is_what_the_template_has() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let get = async |path: String| -> Json {
        let reply = server
            .send("GET", &path, Some(&supervisor.token), None)
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.body
    };
    for (record_type, required, of_tie) in [
        ("resident", "name", Some("address")),
        ("house", "address", None),
    ] {
        let template = get(format!("/api/import-templates?type={record_type}")).await;
        let heads: Vec<&str> = template.as_str().unwrap().trim().split(',').collect();
        let fields = get(format!("/api/import-templates/fields?type={record_type}")).await;
        let fields = fields.as_array().unwrap();
        let named = |name: &str| fields.iter().find(|field| field["field"] == name);
        assert_eq!(named(required).unwrap()["required"], json!(true));
        if let Some(name) = of_tie {
            // Where a person lives is said by the tie to the place, which a row may well lack.
            assert_eq!(named(name).unwrap()["required"], json!(false));
        }
        for field in fields {
            let label = field["label"].as_str().unwrap();
            let found = heads
                .iter()
                .any(|head| head.trim_start_matches('\u{feff}') == label);
            assert!(found, "{record_type}: {label} is no head of the template");
        }
    }
}

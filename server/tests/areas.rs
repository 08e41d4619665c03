//! Areas: import, versions, differences, finding.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::rights::Role;
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::{CITY, DISTRICT, OTHER_VILLAGE, STREET, TREE, VILLAGE};
use serde_json::{Value, json};

async fn import(server: &TestServer, token: &str, path: &str, file: &str) -> (u16, Value) {
    let response = reqwest::Client::new()
        .post(format!("http://{}{path}", server.address))
        .bearer_auth(token)
        .header("content-type", "text/csv")
        .body(file.to_owned())
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_real_city_imports_whole_and_again_changes_nothing() {
    let server = TestServer::start().await.unwrap();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/shanghai-areas.csv"
    );
    let file = std::fs::read(path).unwrap();
    let options = serde_json::from_value(json!({ "note": "2026" })).unwrap();
    let import =
        doorstep_server::domains::areas::service::import(&server.state, None, &file, &options)
            .await
            .unwrap();
    assert_eq!(
        (import.rows, import.added, import.version),
        (6760, 6760, Some(1))
    );
    let again =
        doorstep_server::domains::areas::service::import(&server.state, None, &file, &options)
            .await
            .unwrap();
    assert_eq!(
        (again.added, again.renamed, again.retired, again.version),
        (0, 0, 0, None)
    );
}

#[tokio::test]
async fn a_new_version_renames_retires_and_adds_and_says_so() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server.person(Role::AreaAdministrator, CITY).await.unwrap();
    let changed = TREE.replace("云南中路居委会", "云南南路居委会").replace(
        "310101002002,贵州居委会,village,310101002000\n",
        "310101002003,新昌居委会,village,310101002000\n",
    );
    let (status, dry) = import(
        &server,
        &admin.token,
        "/api/areas/import?dry_run=true",
        &changed,
    )
    .await;
    assert_eq!(
        (status, &dry["version"], &dry["renamed"]),
        (200, &Value::Null, &json!(1))
    );
    let (_, done) = import(
        &server,
        &admin.token,
        "/api/areas/import?effective_on=2027-01-01",
        &changed,
    )
    .await;
    assert_eq!(
        (
            &done["version"],
            &done["added"],
            &done["renamed"],
            &done["retired"]
        ),
        (&json!(2), &json!(1), &json!(1), &json!(1))
    );

    let get = async |path: &str| {
        server
            .send("GET", path, Some(&admin.token), None)
            .await
            .unwrap()
            .body
    };
    let diff = get("/api/areas/diff?from=1&to=2").await;
    let kinds: Vec<(&str, &str)> = diff
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["code"].as_str().unwrap(), c["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("310101002001", "renamed"),
            ("310101002002", "retired"),
            ("310101002003", "added")
        ]
    );
    assert_eq!(diff[0]["name_before"], "云南中路居委会");

    let since = get("/api/areas?since=1").await;
    assert_eq!(
        since["items"].as_array().unwrap().len(),
        3,
        "what a copy of version 1 lacks, retired ones too"
    );
    let versions = get("/api/areas/versions").await;
    assert_eq!(
        (&versions[0]["effective_on"], &versions[0]["changes"]),
        (&json!("2027-01-01"), &json!(3))
    );

    // Back to the first tree: nothing differs between 1 and 3.
    import(&server, &admin.token, "/api/areas/import", TREE).await;
    assert_eq!(get("/api/areas/diff?from=1&to=3").await, json!([]));
    assert_eq!(
        get("/api/areas/diff?from=2&to=3")
            .await
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn a_wrong_file_is_refused_whole_with_every_line_named() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server.person(Role::AreaAdministrator, CITY).await.unwrap();
    let broken = TREE
        .replace("310104003001,永嘉新村居委会", "31010400300X,永嘉新村居委会")
        .replace(",district,310000000000", ",street,310000000000");
    let (status, body) = import(&server, &admin.token, "/api/areas/import", &broken).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (422, &json!("invalid_fields"))
    );
    let paths: Vec<&str> = body["error"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["lines/3", "lines/7", "lines/9"]);
}

#[tokio::test]
async fn only_who_manages_the_whole_city_imports_and_everyone_finds() {
    let server = TestServer::open_city().await.unwrap();
    let district = server
        .person(Role::AreaAdministrator, DISTRICT)
        .await
        .unwrap();
    let (status, _) = import(&server, &district.token, "/api/areas/import", TREE).await;
    assert_eq!(status, 403);
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    let get = async |path: &str| {
        server
            .send("GET", path, Some(&collector.token), None)
            .await
            .unwrap()
    };
    assert_eq!(
        get("/api/areas?text=永嘉").await.body["items"][0]["code"],
        OTHER_VILLAGE
    );
    assert_eq!(
        get(&format!("/api/areas?parent={STREET}")).await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let shown = get(&format!("/api/areas/{VILLAGE}")).await.body;
    let path: Vec<&str> = shown["path"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["code"].as_str().unwrap())
        .collect();
    assert_eq!(path, [CITY, DISTRICT, STREET]);
    assert_eq!(get("/api/areas/310199000000").await.status, 404);

    let tree = get("/api/areas/tree").await;
    assert_eq!(tree.headers["cache-control"], "private, no-cache");
    let tag = tree.headers["etag"].to_str().unwrap();
    let known = reqwest::Client::new()
        .get(format!("http://{}/api/areas/tree", server.address))
        .bearer_auth(&collector.token)
        .header("if-none-match", tag)
        .send()
        .await
        .unwrap();
    assert_eq!(known.status().as_u16(), 304);
}

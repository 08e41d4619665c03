//! Things of a village in the hands of its neighbours: who has the same role in the next village names every record,
//! conflict, device, user, import, photo, message of this one, in paths, queries and bodies. Nothing of it is shown,
//! and the database is afterwards what it was before. Ids are found in the API's description: one that is new and not
//! tried here fails.

use std::collections::BTreeMap;

use doorstep_core::rights::Role;
use doorstep_server::router;
use doorstep_server::testing::city::{NEXT_VILLAGE, VILLAGE};
use doorstep_server::testing::{Person, Reply, TestServer};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::ROLES;
use super::things::{self, Things, operations};

/// What the village's things say, which nobody else may read.
const SAYINGS: [&str; 5] = [things::NAME, "陕西中路", "永嘉路", "叶海", "某路1号"];

/// Query parameters that name a thing, by the thing's name in paths.
const QUERIES: [(&str, &str); 6] = [
    ("area", "area_code"),
    ("device", "device_id"),
    ("house", "house_id"),
    ("record", "record_id"),
    ("resident", "resident_id"),
    ("user", "user_id"),
];

/// Tables that remember that someone asked, and nothing else.
const REMEMBERING: &str =
    "audit_entries, audit_head, sessions, sign_in_guards, failed_sign_ins, challenges";

/// JSON fields that name a thing (`operation.field`), and the test that names another village's in them.
const BODIES: [(&str, &str); 23] = [
    // Of the thing in the path: the matrix.
    ("open_photo.record", "matrix"),
    ("erase_record.confirm", "matrix"),
    ("decide_conflict.items", "matrix"),
    ("create_user.area", "matrix"),
    ("grant_role.area", "matrix"),
    ("create_resident.area", "matrix"),
    ("create_house.area", "matrix"),
    ("create_residence.area", "matrix"),
    ("decide_conflicts.area", "matrix"),
    // Beside a thing of one's own: `a_neighbours_id_is_no_use_in_a_body`.
    ("assign_conflict.assignee", "body"),
    ("claim_main_residence.residence", "body"),
    ("move_main_residence.residence", "body"),
    ("create_resident.id", "body"),
    ("create_house.id", "body"),
    ("create_residence.id", "body"),
    ("update_user.area", "body"),
    ("cancel_record.house", "body"),
    ("decide_conflicts.device", "body"),
    ("decide_conflicts.id", "body"),
    ("decide_conflict.survivor", "body"),
    ("decide_conflict.residences", "body"),
    // Proved by the device's key: server/tests/devices.rs.
    ("sign_in_device.device", "key"),
    ("confirm_wipe.device", "key"),
];

/// Everything but what remembers, by table: rows are compared whole.
async fn contents(server: &TestServer) -> BTreeMap<String, String> {
    let mut database = server.database.owner.connect().await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' \
         AND tablename <> ALL(string_to_array('{REMEMBERING}', ', '))"
    )))
    .fetch_all(&mut database)
    .await
    .unwrap();
    let mut all = BTreeMap::new();
    for table in tables {
        let rows = format!(
            "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {table} t"
        );
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows))
            .fetch_one(&mut database)
            .await
            .unwrap();
        all.insert(table, rows);
    }
    all
}

/// The names of the tables in which something differs.
fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let differs = |table: &&String| before.get(*table) != after.get(*table);
    after.keys().filter(differs).cloned().collect()
}

/// Asks with whatever version there may be, so that no write fails for want of one.
async fn ask(
    server: &TestServer,
    who: &Person,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Reply {
    server
        .send_if(method, path, Some(&who.token), Some("*"), body)
        .await
        .unwrap()
}

/// Neither words of the village nor ids of its things but the ones that were asked with.
fn assert_says_nothing(theirs: &Things, asked: &str, what: &str, reply: &Reply) {
    let said = format!("{} {:?}", reply.body, reply.headers);
    for saying in SAYINGS {
        assert!(!said.contains(saying), "{what} says {saying}: {said}");
    }
    // Who of one's own asked in vain for something elsewhere is in one's own log.
    let is_log = asked.starts_with("/api/audit");
    for (name, id) in &theirs.ids {
        let is_id = !is_log && !["offset", "area_code"].contains(name);
        assert!(
            !is_id || asked.contains(id.as_str()) || !said.contains(id.as_str()),
            "{what} shows {name} {id}: {said}"
        );
    }
}

#[tokio::test]
async fn what_is_a_villages_is_neither_shown_to_its_neighbours_nor_changed_by_them() {
    let server = TestServer::open_city().await.unwrap();
    let theirs = Things::of(&server, VILLAGE).await;
    let mut neighbours = Vec::new();
    for role in ROLES {
        neighbours.push((role, server.person(role, NEXT_VILLAGE).await.unwrap()));
    }
    let before = contents(&server).await;
    let mut tried = 0;
    for (role, neighbour) in &neighbours {
        for operation in operations() {
            if operation.permission().is_none() || operation.whole {
                continue;
            }
            let (path, body) = (theirs.path(&operation), theirs.body(&operation));
            let asked = format!("{path} {body:?}");
            let reply = ask(&server, neighbour, &operation.method, &path, body).await;
            let what = format!("{role}: {} {path}: {}", operation.method, reply.status);
            if operation.has_path_parameters() || operation.takes_area || operation.method != "GET"
            {
                // Signing the log's head is an auditor's of the whole city.
                assert!(matches!(reply.status, 403 | 404), "{what} {}", reply.body);
                tried += 1;
            }
            assert_says_nothing(&theirs, &asked, &what, &reply);
        }
    }
    assert!(tried > 300, "only {tried} were tried");
    assert_eq!(
        changed(&before, &contents(&server).await),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_neighbours_id_finds_nothing_in_a_query() {
    let server = TestServer::open_city().await.unwrap();
    let theirs = Things::of(&server, VILLAGE).await;
    let mut tried = 0;
    for role in ROLES {
        let neighbour = server.person(role, NEXT_VILLAGE).await.unwrap();
        for operation in operations() {
            let Some(permission) = operation.permission() else {
                continue;
            };
            if operation.whole || operation.method != "GET" || !role.may(permission) {
                continue;
            }
            for name in operation.queries.iter().filter(|name| *name != "area") {
                let Some((_, thing)) = QUERIES.iter().find(|(query, _)| query == name) else {
                    continue;
                };
                let mut path = format!("{}?{name}={}", operation.path, theirs.ids[thing]);
                if operation.required.iter().any(|name| name == "area") {
                    path = format!("{path}&area={NEXT_VILLAGE}");
                }
                let reply = ask(&server, &neighbour, "GET", &path, None).await;
                let what = format!("{role}: {path}: {}", reply.status);
                assert!(
                    matches!(reply.status, 200 | 403 | 404),
                    "{what} {}",
                    reply.body
                );
                if reply.status == 200 && reply.body["items"].is_array() {
                    assert_eq!(reply.body["items"], json!([]), "{what}");
                }
                assert_says_nothing(&theirs, &path, &what, &reply);
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "only {tried} were tried");
}

#[tokio::test]
async fn a_neighbours_id_is_no_use_in_a_body() {
    let server = TestServer::open_city().await.unwrap();
    let theirs = Things::of(&server, VILLAGE).await;
    let collector = server.person(Role::Collector, NEXT_VILLAGE).await.unwrap();
    let supervisor = server.person(Role::Supervisor, NEXT_VILLAGE).await.unwrap();
    let administrator = server
        .person(Role::AreaAdministrator, NEXT_VILLAGE)
        .await
        .unwrap();
    let fields = json!({ "name": "林晓", "sex": "1", "population_kind": "01" });
    let own = things::create(
        &server,
        &collector,
        "residents",
        NEXT_VILLAGE,
        fields.clone(),
    )
    .await;
    let home = json!({ "address": "思南路1号101室", "house_use": "1" });
    let own_house = things::create(&server, &collector, "houses", NEXT_VILLAGE, home.clone()).await;
    let stay = json!({ "resident": own, "house": own_house, "kind": "living" });
    let own_stay = things::create(&server, &collector, "residences", NEXT_VILLAGE, stay).await;
    let giver = server.administrator(Role::AreaAdministrator).unwrap();
    let colleague = server
        .person_without_role(NEXT_VILLAGE, giver)
        .await
        .unwrap();
    let (conflict, ..) = server.dispute(NEXT_VILLAGE).await.unwrap();
    let (resident, house) = (&theirs.ids["resident_id"], &theirs.ids["house_id"]);
    let stranger = &theirs.ids["user_id"];
    let residence = json!({ "residence": theirs.ids["record_id"] });
    let main = format!("/api/residents/{own}/main-residence");
    let made =
        |id: &String, fields: &Value| json!({ "id": id, "area": NEXT_VILLAGE, "fields": fields });
    let tie = |resident: &str, house: &str| json!({ "area": NEXT_VILLAGE, "fields": { "resident": resident, "house": house, "kind": "living" } });
    let edit = |field: &str, id: &String| json!({ "fields": { field: id } });
    let record = |id: &str| format!("/api/records/{id}");
    let asked: Vec<(&Person, &str, String, Value)> = vec![
        (
            &supervisor,
            "PUT",
            format!("/api/conflicts/{conflict}/assignee"),
            json!({ "assignee": stranger }),
        ),
        (&collector, "POST", main.clone(), residence.clone()),
        (&supervisor, "PUT", main, residence),
        (
            &collector,
            "POST",
            "/api/residents".into(),
            made(resident, &fields),
        ),
        (&collector, "POST", "/api/houses".into(), made(house, &home)),
        (
            &collector,
            "POST",
            "/api/residences".into(),
            tie(resident, &own_house),
        ),
        (
            &collector,
            "POST",
            "/api/residences".into(),
            tie(&own, house),
        ),
        (
            &collector,
            "PATCH",
            record(&own_stay),
            edit("resident", resident),
        ),
        (&collector, "PATCH", record(&own_stay), edit("house", house)),
        // A rule decides what a look has shown, and nothing that was not there to be seen.
        (
            &supervisor,
            "POST",
            "/api/conflicts/bulk-decision".into(),
            json!({ "area": VILLAGE, "kind": "field", "field": "name", "rule": "newest",
                "items": [{ "id": theirs.ids["conflict_id"], "version": 1, "choice": 0 }] }),
        ),
        (
            &collector,
            "POST",
            format!("/api/records/{own_house}/cancel"),
            json!({ "reason": "81", "people": { "action": "move", "house": house } }),
        ),
        (
            &supervisor,
            "POST",
            format!("/api/conflicts/{conflict}/decision"),
            json!({ "action": "merge", "survivor": resident }),
        ),
        (
            &supervisor,
            "POST",
            format!("/api/conflicts/{conflict}/decision"),
            json!({ "action": "split", "keep": 0, "residences": [theirs.ids["record_id"]] }),
        ),
        (
            &administrator,
            "PATCH",
            format!("/api/users/{}", colleague.id),
            json!({ "area": VILLAGE }),
        ),
    ];
    let before = contents(&server).await;
    // Of the own item the device made no value, and the other one is not there.
    let rule = json!({
        "area": NEXT_VILLAGE, "kind": "field", "field": "name", "rule": "device",
        "device": theirs.ids["device_id"],
        "items": [{ "id": conflict, "version": 1, "choice": 0 },
            { "id": theirs.ids["conflict_id"], "version": 1, "choice": 0 }],
    });
    let done = ask(
        &server,
        &supervisor,
        "POST",
        "/api/conflicts/bulk-decision",
        Some(rule),
    )
    .await;
    assert_eq!(done.body["decided"], 0, "{}", done.body);
    let said: Vec<&str> = done.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["result"].as_str())
        .collect();
    assert_eq!(said, ["stale", "not_found"], "{}", done.body);
    for (who, method, path, body) in asked {
        let what = format!("{method} {path} {body}");
        let reply = ask(&server, who, method, &path, Some(body)).await;
        assert!(
            matches!(reply.status, 403 | 404 | 409 | 422),
            "{what}: {} {}",
            reply.status,
            reply.body
        );
        assert_says_nothing(&theirs, &what, &what, &reply);
    }
    assert_eq!(
        changed(&before, &contents(&server).await),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn messages_and_sessions_are_their_owners_alone() {
    let server = TestServer::open_city().await.unwrap();
    let (conflict, _, one, two) = server.dispute(VILLAGE).await.unwrap();
    let neighbour = server.person(Role::Collector, NEXT_VILLAGE).await.unwrap();
    let colleague = server.person(Role::Collector, VILLAGE).await.unwrap();
    let told = server.get(&one.person, "/api/messages").await.unwrap();
    let others = server.get(&two.person, "/api/messages").await.unwrap();
    assert!(
        format!("{told} {others}").contains(&conflict.to_string()),
        "{told} {others}"
    );
    for stranger in [&neighbour, &colleague] {
        let none = server.get(stranger, "/api/messages").await.unwrap();
        assert_eq!(none["items"], json!([]));
    }
    let sessions = server.get(&one.person, "/api/auth/sessions").await.unwrap();
    let path = format!("/api/auth/sessions/{}", sessions[0]["id"].as_str().unwrap());
    for stranger in [&neighbour, &colleague] {
        let reply = ask(&server, stranger, "DELETE", &path, None).await;
        assert_eq!(reply.status, 404);
    }
    server.get(&one.person, "/api/auth/me").await.unwrap();
}

/// Fields of a JSON schema that are ids, or are named as things are.
fn ids_of(document: &Value, schema: &Value, name: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        let target = document.pointer(pointer).unwrap();
        return ids_of(document, target, name, found);
    }
    let named = QUERIES.iter().any(|(query, _)| *query == name);
    if schema["format"] == "uuid" || named {
        found.push(name.to_owned());
    }
    for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
        ids_of(document, inner, field, found);
    }
    for part in ["allOf", "oneOf", "anyOf"] {
        for inner in schema[part].as_array().into_iter().flatten() {
            ids_of(document, inner, name, found);
        }
    }
    if schema["items"].is_object() {
        ids_of(document, &schema["items"], name, found);
    }
}

#[test]
fn every_id_that_can_be_named_is_tried() {
    let document = serde_json::to_value(router::description()).unwrap();
    for operation in operations()
        .iter()
        .filter(|operation| operation.permission().is_some())
    {
        for name in &operation.ids_in_query {
            assert!(
                QUERIES.iter().any(|(query, _)| query == name),
                "{}: teach `QUERIES` what {name} names",
                operation.id
            );
        }
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let mut found = Vec::new();
            ids_of(&document, schema, "", &mut found);
            for field in found {
                let name = format!("{}.{field}", operation["operationId"].as_str().unwrap());
                let known = BODIES.iter().any(|(known, _)| *known == name);
                assert!(
                    known,
                    "{path}: try another village's {name}, and name it in `BODIES`"
                );
            }
        }
    }
}

//! Whoever changes the database by hand is found out: a flipped bit in any sealed value, and a sealed value moved to
//! another row or another column, are an error to the reader and never another value. Which columns there are, the
//! database says. What lies in files is tried in photos/altered.rs and registry/police_photos.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use doorstep_core::ids::AreaCode;
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::rights::Role;
use doorstep_server::keys::{FileKeys, KeyRing};
use doorstep_server::testing::city::{NEXT_VILLAGE, STREET, VILLAGE};
use doorstep_server::testing::phone::fields;
use doorstep_server::testing::{Person, TestServer, flipped};
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions};
use uuid::Uuid;

/// Bytes that are tried of a value that is not short.
const FLIPS: usize = 64;

/// Every column of bytes that there is.
const COLUMNS: &str =
    "SELECT format('%s.%s', table_name, column_name) FROM information_schema.columns
    WHERE table_schema = 'public' AND udt_name IN ('bytea', '_bytea')";

/// Columns of bytes that are not sealed, and what they are.
const NOT_SEALED: [(&str, &str); 23] = [
    ("_sqlx_migrations.checksum", "hash of a migration's text"),
    ("audit_entries.hash", "link of the log's chain"),
    ("audit_entries.prev_hash", "link of the log's chain"),
    ("audit_head.hash", "end of the log's chain"),
    ("audit_signatures.hash", "end of the log's chain, signed"),
    ("audit_signatures.public_key", "public"),
    ("audit_signatures.signature", "signature"),
    ("challenges.nonce", "given out in clear, good once"),
    ("changes.actor", "hash of a device's key and a record's id"),
    ("changes.hash", "hash that names a change"),
    ("devices.public_key", "public"),
    ("envelopes.digest", "hash of what a device sent"),
    ("envelopes.outcomes", "codes that a device was answered"),
    ("field_changes.change_hash", "hash that names a change"),
    (
        "grants.tag",
        "itself what finds an edit out: tests/users.rs",
    ),
    ("imports.digest", "hash of a file"),
    ("photo_uploads.digest", "hash of a photo"),
    ("photos.digest", "hash of a photo"),
    ("records.heads", "hashes that name changes"),
    ("refused_items.hash", "hash that names a change or an event"),
    ("scope_log.change_hash", "hash that names a change"),
    ("scopes.digest", "sum of hashes"),
    ("sessions.token_hash", "hash of a token"),
];

/// How a value is read where the product reads it.
enum Reader {
    /// By a request, which is answered with this status as long as the value is sound.
    Request {
        token: String,
        method: &'static str,
        path: String,
        body: Option<Value>,
        sound: u16,
    },
    /// By a node that has not opened the area's key yet.
    NewNode(AreaCode),
}

impl Reader {
    fn get(who: &Person, path: String) -> Self {
        Self::Request {
            token: who.token.clone(),
            method: "GET",
            path,
            body: None,
            sound: 200,
        }
    }

    /// Whether the value opens; else the reader has an error.
    async fn opens(&self, server: &TestServer, what: &str) -> bool {
        match self {
            Self::Request {
                token,
                method,
                path,
                body,
                sound,
            } => {
                let token = Some(token.as_str());
                let reply = server.send(method, path, token, body.clone()).await;
                let reply = reply.unwrap();
                assert!(
                    [*sound, 500].contains(&reply.status),
                    "{what}: {path}: {} {}",
                    reply.status,
                    reply.body
                );
                reply.status == *sound
            }
            Self::NewNode(area) => {
                let provider = FileKeys::open(&server.data().join("keys")).unwrap();
                let node = KeyRing::new(Arc::new(provider), &server.state.pool);
                node.area_key_version(*area, 1).await.is_ok()
            }
        }
    }
}

/// A sealed column, two rows of it, and how the first is read.
struct Sealed {
    table: &'static str,
    column: &'static str,
    /// Conditions that name one row each. Where one key seals many rows, it seals both.
    row: String,
    other: String,
    reader: Reader,
}

impl Sealed {
    async fn value(&self, database: &mut PgConnection, column: &str, row: &str) -> Vec<u8> {
        let sql = format!("SELECT {column} FROM {} WHERE {row}", self.table);
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(database)
            .await
            .unwrap_or_else(|error| panic!("{}.{column}: {error}", self.table))
    }

    async fn put(&self, database: &mut PgConnection, value: &[u8]) {
        let Self {
            table, column, row, ..
        } = self;
        let sql = format!("UPDATE {table} SET {column} = $1 WHERE {row}");
        let done = sqlx::query(AssertSqlSafe(sql))
            .bind(value)
            .execute(database)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 1, "{table}.{column}");
    }

    fn name(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }
}

/// A disputed name that a supervisor decided, with a note.
async fn decided(server: &TestServer, supervisor: &Person) -> Uuid {
    let (item, ..) = server.dispute(VILLAGE).await.unwrap();
    let shown = server.conflict(supervisor, item).await.unwrap();
    let mut values = shown["values"].as_array().unwrap().iter();
    let loser = values.position(|value| value["present"] == false).unwrap();
    let decision = json!({ "action": "take", "choice": loser, "note": "已上门核对" });
    let reply = server.decide(supervisor, item, decision).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    item
}

/// An item with two changes that were refused: a resident of where the collector has no business, and an edit of it.
async fn refused_twice(server: &TestServer) -> Uuid {
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let mut values = fields(&[("name", "叶海思"), ("sex", "1"), ("population_kind", "01")]);
    values.insert("_area".to_owned(), NEXT_VILLAGE.into());
    let (resident, made) = phone.create("resident", &values).unwrap();
    let edit = phone
        .edit(resident, &fields(&[("workplace", "某厂")]))
        .unwrap();
    let outcomes = phone.send(server, vec![made, edit]).await.unwrap();
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
    assert!(outcomes.iter().all(refused), "{outcomes:?}");
    server.conflict_of(resident).await.unwrap()
}

/// A file of two houses, brought in.
async fn imported(server: &TestServer, by: &Person, street: &str) -> String {
    let url = format!(
        "http://{}/api/imports?type=house&area={VILLAGE}",
        server.address
    );
    let file = format!("房屋地址,房屋用途\n{street}1号1室,自用\n{street}1号2室,自用\n");
    let request = reqwest::Client::new().post(url).bearer_auth(&by.token);
    let reply = request.body(file).send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 201);
    let import: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
    import["id"].as_str().unwrap().to_owned()
}

/// Begins a second factor, which seals its secret; gives what reads it.
async fn second_factor(server: &TestServer, who: &Person) -> Reader {
    let path = "/api/auth/second-factor";
    let body = Some(json!({ "password": who.password }));
    let begun = server.send("POST", path, Some(&who.token), body).await;
    assert_eq!(begun.unwrap().status, 200);
    Reader::Request {
        token: who.token.clone(),
        method: "POST",
        path: format!("{path}/confirm"),
        body: Some(json!({ "code": "none" })),
        // A code of this secret it is not.
        sound: 422,
    }
}

fn by_id(id: &impl ToString) -> String {
    format!("id = '{}'", id.to_string())
}

/// The nth row, counted from 0, of those that a condition names.
fn nth(table: &str, condition: &str, order: &str, n: usize) -> String {
    format!(
        "ctid = (SELECT ctid FROM {table} WHERE {condition} ORDER BY {order} LIMIT 1 OFFSET {n})"
    )
}

/// Something of every kind that is sealed, and how it is read.
async fn places(server: &TestServer) -> Vec<Sealed> {
    let supervisor = server.person(Role::Supervisor, STREET).await.unwrap();
    let administrator = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let (_, resident, mut one, two) = server.dispute(VILLAGE).await.unwrap();
    let (_, other, ..) = server.dispute(VILLAGE).await.unwrap();
    let (event, visit) = one.visit(resident, VILLAGE).unwrap();
    let (other_event, other_visit) = one.visit(resident, VILLAGE).unwrap();
    let watched = fields(&[
        ("household_number", "310001234"),
        ("register_address", "陕西中路12弄28号1702室"),
    ]);
    let edit = one.edit(resident, &watched).unwrap();
    let sent = one.send(server, vec![visit, other_visit, edit]).await;
    assert_eq!(sent.unwrap(), vec![Outcome::Accepted; 3]);
    let item = decided(server, &supervisor).await;
    let other_item = decided(server, &supervisor).await;
    let refused = refused_twice(server).await;
    let import = imported(server, &supervisor, "某路").await;
    let other_import = imported(server, &supervisor, "某街").await;
    let secret = second_factor(server, &one.person).await;
    second_factor(server, &two.person).await;

    let get = |path: String| Reader::get(&supervisor, path);
    let sealed = |table, column, row: String, other: String, reader| Sealed {
        table,
        column,
        row,
        other,
        reader,
    };
    let (of_record, of_conflict) = (
        format!("record_id = '{resident}'"),
        format!("conflict_id = '{refused}'"),
    );
    let mut places = vec![
        sealed(
            "changes",
            "body",
            nth("changes", &of_record, "hash", 0),
            nth("changes", &of_record, "hash", 1),
            get(format!("/api/records/{resident}/history")),
        ),
        sealed(
            "field_changes",
            "body",
            nth("field_changes", &of_record, "id", 0),
            nth("field_changes", &of_record, "id", 1),
            get(format!("/api/ledger/fields?record={resident}")),
        ),
        sealed(
            "refused_items",
            "body",
            nth("refused_items", &of_conflict, "id", 0),
            nth("refused_items", &of_conflict, "id", 1),
            get(format!("/api/conflicts/{refused}")),
        ),
        sealed(
            "import_rows",
            "body",
            format!("import_id = '{import}' AND row = 2"),
            format!("import_id = '{import}' AND row = 3"),
            get(format!("/api/imports/{import}/rows")),
        ),
        sealed(
            "users",
            "name_sealed",
            by_id(&one.person.id),
            by_id(&two.person.id),
            Reader::get(&administrator, format!("/api/users/{}", one.person.id)),
        ),
        sealed(
            "credentials",
            "totp_sealed",
            format!("user_id = '{}'", one.person.id),
            format!("user_id = '{}'", two.person.id),
            secret,
        ),
        sealed(
            "area_keys",
            "wrapped",
            format!("area_code = '{VILLAGE}'"),
            format!("area_code = '{STREET}'"),
            Reader::NewNode(VILLAGE.parse().unwrap()),
        ),
    ];
    for column in ["state", "wrapped_key"] {
        let path = format!("/api/residents/{resident}");
        let (row, other) = (by_id(&resident), by_id(&other));
        places.push(sealed("records", column, row, other, get(path)));
    }
    for column in ["body", "wrapped_key"] {
        let path = format!("/api/visits?record={resident}");
        let (row, other) = (by_id(&event), by_id(&other_event));
        places.push(sealed("events", column, row, other, get(path)));
    }
    for column in ["body", "outcome", "wrapped_key"] {
        let path = format!("/api/conflicts/{item}");
        let (row, other) = (by_id(&item), by_id(&other_item));
        places.push(sealed("conflicts", column, row, other, get(path)));
    }
    for column in ["meta", "wrapped_key"] {
        let path = format!("/api/imports/{import}");
        let (row, other) = (by_id(&import), by_id(&other_import));
        places.push(sealed("imports", column, row, other, get(path)));
    }
    places
}

/// Every column of bytes is tried here, or is known not to be sealed.
async fn assert_none_is_forgotten(database: &mut PgConnection, places: &[Sealed]) {
    let columns: Vec<String> = sqlx::query_scalar(COLUMNS)
        .fetch_all(database)
        .await
        .unwrap();
    let tried = places.iter().map(Sealed::name);
    let known = NOT_SEALED.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(
        tried.chain(known).collect::<BTreeSet<_>>(),
        columns.into_iter().collect(),
        "a new column of bytes is tried in `places`, or is in `NOT_SEALED` with a word why"
    );
}

#[tokio::test]
async fn a_sealed_value_that_was_flipped_or_moved_is_found() {
    let server = TestServer::open_city().await.unwrap();
    let places = places(&server).await;
    let mut database = server.database.owner.connect().await.unwrap();
    assert_none_is_forgotten(&mut database, &places).await;
    for place in &places {
        let name = place.name();
        let sound = place.value(&mut database, place.column, &place.row).await;
        assert!(place.reader.opens(&server, &name).await, "{name}");
        let mut tampered: Vec<(String, Vec<u8>)> = flipped(&sound, FLIPS)
            .map(|(at, value)| (format!("byte {at}"), value))
            .collect();
        let moved = place.value(&mut database, place.column, &place.other).await;
        tampered.push(("of another row".to_owned(), moved));
        for beside in &places {
            if beside.table == place.table && beside.column != place.column {
                let moved = place.value(&mut database, beside.column, &place.row).await;
                tampered.push((format!("of {}", beside.column), moved));
            }
        }
        tampered.push(("cut".to_owned(), sound[..sound.len() - 1].to_vec()));
        for (how, value) in tampered {
            let what = format!("{name}, {how}");
            assert_ne!(value, sound, "{what}");
            place.put(&mut database, &value).await;
            assert!(!place.reader.opens(&server, &what).await, "{what}");
        }
        place.put(&mut database, &sound).await;
        assert!(place.reader.opens(&server, &name).await, "{name}, put back");
    }
}

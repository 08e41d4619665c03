//! Whoever changes the database by hand is found out: a flipped bit in any sealed value, and a sealed value moved to
//! another row, are an error to the reader and never another value.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::rights::Role;
use doorstep_server::testing::city::{STREET, VILLAGE};
use doorstep_server::testing::{Person, TestServer};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions};

/// A sealed column, two rows of it, and how the first is read.
struct Sealed {
    table: &'static str,
    column: &'static str,
    /// Conditions that name one row each.
    row: String,
    other: String,
    path: String,
}

async fn value(database: &mut PgConnection, place: &Sealed, row: &str) -> Vec<u8> {
    let sql = format!("SELECT {} FROM {} WHERE {row}", place.column, place.table);
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(database)
        .await
        .unwrap_or_else(|error| panic!("{}.{}: {error}", place.table, place.column))
}

async fn put(database: &mut PgConnection, place: &Sealed, value: &[u8]) {
    let Sealed {
        table, column, row, ..
    } = place;
    let sql = format!("UPDATE {table} SET {column} = $1 WHERE {row}");
    let done = sqlx::query(AssertSqlSafe(sql))
        .bind(value)
        .execute(database)
        .await
        .unwrap();
    assert_eq!(done.rows_affected(), 1, "{table}.{column}");
}

async fn status(server: &TestServer, who: &Person, path: &str) -> u16 {
    let reply = server.send("GET", path, Some(&who.token), None).await;
    reply.unwrap().status
}

#[tokio::test]
async fn a_sealed_value_that_was_flipped_or_moved_is_found() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, STREET).await.unwrap();
    let administrator = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let (item, resident, mut one, _) = server.dispute(VILLAGE).await.unwrap();
    let (other_item, other, _, _) = server.dispute(VILLAGE).await.unwrap();
    let (event, visit) = one.visit(resident, VILLAGE).unwrap();
    let (other_event, other_visit) = one.visit(resident, VILLAGE).unwrap();
    one.send(&server, vec![visit, other_visit]).await.unwrap();
    let resident_path = format!("/api/residents/{resident}");
    let history = format!("/api/records/{resident}/history");
    let visits = format!("/api/visits?record={resident}");
    let conflict = format!("/api/conflicts/{item}");
    let fields = format!("/api/ledger/fields?record={resident}");
    let user = format!("/api/users/{}", one.person.id);
    let by_id = |id: &dyn ToString| format!("id = '{}'", id.to_string());
    let first_of = |table: &str, record: &dyn ToString| {
        format!(
            "ctid = (SELECT ctid FROM {table} WHERE record_id = '{}' ORDER BY hash LIMIT 1)",
            record.to_string()
        )
    };
    let first_field = |record: &dyn ToString| {
        format!(
            "ctid = (SELECT ctid FROM field_changes WHERE record_id = '{}' ORDER BY id LIMIT 1)",
            record.to_string()
        )
    };
    let sealed = |table, column, row: String, other: String, path: &str| Sealed {
        table,
        column,
        row,
        other,
        path: path.to_owned(),
    };
    let places = [
        sealed(
            "records",
            "state",
            by_id(&resident),
            by_id(&other),
            &resident_path,
        ),
        sealed(
            "records",
            "wrapped_key",
            by_id(&resident),
            by_id(&other),
            &resident_path,
        ),
        sealed(
            "changes",
            "body",
            first_of("changes", &resident),
            first_of("changes", &other),
            &history,
        ),
        sealed(
            "events",
            "body",
            by_id(&event),
            by_id(&other_event),
            &visits,
        ),
        sealed(
            "events",
            "wrapped_key",
            by_id(&event),
            by_id(&other_event),
            &visits,
        ),
        sealed(
            "conflicts",
            "body",
            by_id(&item),
            by_id(&other_item),
            &conflict,
        ),
        sealed(
            "conflicts",
            "wrapped_key",
            by_id(&item),
            by_id(&other_item),
            &conflict,
        ),
        sealed(
            "field_changes",
            "body",
            first_field(&resident),
            first_field(&other),
            &fields,
        ),
        sealed(
            "users",
            "name_sealed",
            by_id(&one.person.id),
            by_id(&supervisor.id),
            &user,
        ),
    ];
    let mut database = server.database.owner.connect().await.unwrap();
    for place in &places {
        let reader = if place.table == "users" {
            &administrator
        } else {
            &supervisor
        };
        let name = format!("{}.{} by {}", place.table, place.column, place.path);
        let sound = value(&mut database, place, &place.row).await;
        assert_eq!(status(&server, reader, &place.path).await, 200, "{name}");
        for at in [0, sound.len() / 3, sound.len() / 2, sound.len() - 1] {
            let mut flipped = sound.clone();
            flipped[at] ^= 0x10;
            put(&mut database, place, &flipped).await;
            assert_eq!(
                status(&server, reader, &place.path).await,
                500,
                "{name}, byte {at}"
            );
        }
        let moved = value(&mut database, place, &place.other).await;
        put(&mut database, place, &moved).await;
        assert_eq!(
            status(&server, reader, &place.path).await,
            500,
            "{name}, moved"
        );
        put(&mut database, place, &sound[..sound.len() - 1]).await;
        assert_eq!(
            status(&server, reader, &place.path).await,
            500,
            "{name}, cut"
        );
        put(&mut database, place, &sound).await;
        assert_eq!(
            status(&server, reader, &place.path).await,
            200,
            "{name}, put back"
        );
    }
}

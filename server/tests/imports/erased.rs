//! An erased person is in no file's rows any more, whatever became of them; the rows of others are.

use super::*;

const OTHER: &str =
    "C8,李四,居民身份证,440524188001010014,男,1980-01-01,,厦门中路66弄1号1301室,310101002001,来沪";

async fn result(server: &TestServer, person: &Person, import: &Json) -> String {
    let path = format!("/api/imports/{}/result.csv", import["id"].as_str().unwrap());
    let file = server.get(person, &path).await.unwrap();
    file.as_str().unwrap().to_owned()
}

async fn erase(server: &TestServer, who: &Person, record: RecordId) {
    let path = format!("/api/records/{record}/erase");
    let body = json!({ "ground": "request", "confirm": record });
    let reply = server
        .send("POST", &path, Some(&who.token), Some(body))
        .await;
    let reply = reply.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn an_erased_person_is_in_no_row_of_a_file_any_more() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let administrator = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let again = "C1,王小二,,,女,,,,310101002001,来沪";
    let wrong = ROW.replace("C1,", "C5,").replace("1949-12-31", "明天");
    let file = format!("{HEADS}\n{ROW}\n{again}\n{wrong}\n{OTHER}\n");
    let verdicts = |rows: &[Json]| {
        let verdicts = rows.iter().map(|row| row["verdict"].as_str().unwrap());
        verdicts.map(str::to_owned).collect::<Vec<_>>()
    };
    // Only checked, before anybody was in the register; and kept before rows had their numbers noted.
    let query = format!("type=resident&area={VILLAGE}&then=check");
    let checked = upload(&server, &supervisor, &query, file.clone())
        .await
        .body;
    let id = checked["id"].as_str().unwrap();
    ended(&server, &supervisor, id).await;
    let found = rows(&server, &supervisor, &checked).await;
    assert_eq!(verdicts(&found), ["new", "duplicate", "error", "new"]);
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    for forgets in [
        "UPDATE import_rows SET numbers_kept = false WHERE import_id = $1",
        "DELETE FROM import_row_numbers WHERE import_id = $1",
    ] {
        let forgotten = sqlx::query(forgets).bind(Uuid::parse_str(id).unwrap());
        forgotten.execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    // Only uploaded.
    let query = format!("type=resident&area={VILLAGE}");
    let seen = file.replace(&format!("{again}\n"), "");
    let uploaded = upload(&server, &supervisor, &query, seen).await.body;
    let done = bring_in(&server, &supervisor, "resident", VILLAGE, file).await;
    let made = rows(&server, &supervisor, &done).await;
    assert_eq!(verdicts(&made), ["new", "duplicate", "error", "new"]);
    let imports = [(&checked, 3), (&uploaded, 2), (&done, 3)];
    for (import, named) in imports {
        let text = result(&server, &supervisor, import).await;
        assert_eq!(text.matches("王小二").count(), named, "{text}");
    }

    erase(&server, &administrator, record(&made[0])).await;
    for (import, _) in imports {
        let text = result(&server, &supervisor, import).await;
        assert!(!text.contains("王小二"), "{text}");
        assert!(!text.contains("11010519491231002X"), "{text}");
        assert!(text.contains("李四"), "another person's row stays: {text}");
    }
}

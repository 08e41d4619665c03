//! Imports that broke off: taken up where they stood, and said plainly.

use doorstep_core::ids::ScopeId;

use super::*;

#[tokio::test]
async fn a_run_that_died_goes_on_where_it_stood() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let reply = upload(
        &server,
        &supervisor,
        &format!("type=house&area={VILLAGE}&then=check"),
        sample("houses.csv"),
    )
    .await;
    let id = reply.body["id"].as_str().unwrap().to_owned();
    ended(&server, &supervisor, &id).await;
    // As a node leaves it that dies between two batches: some rows written, its lease still running.
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    sqlx::query(
        "UPDATE imports SET status = 'running', at_row = 0, lease_until = $2 WHERE id = $1",
    )
    .bind(Uuid::parse_str(&id).unwrap())
    .bind(server.state.clock.now() + chrono::Duration::seconds(90))
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    imports::service::work(&server.state).await.unwrap();
    assert_eq!(
        count(&server, "house").await,
        0,
        "another node's work is left to it"
    );
    server.clock.advance(Duration::from_secs(91));
    let (one, two) = tokio::join!(
        imports::service::work(&server.state),
        imports::service::work(&server.state)
    );
    one.unwrap();
    two.unwrap();
    assert_eq!(count(&server, "house").await, 1_344);

    // Half of a batch is never there: the last batch is rolled back by hand and done again.
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    sqlx::query(
        "UPDATE imports SET status = 'running', at_row = 700, lease_until = NULL WHERE id = $1",
    )
    .bind(Uuid::parse_str(&id).unwrap())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    imports::service::work(&server.state).await.unwrap();
    assert_eq!(
        count(&server, "house").await,
        1_344,
        "what was written is not written twice"
    );
    let view = server
        .get(&supervisor, &format!("/api/imports/{id}"))
        .await
        .unwrap();
    assert_eq!(view["status"], "done");
}

/// A batch that waits for longer than its lease is still the only one of its rows: whoever takes the import over begins
/// after it, or not at all.
#[tokio::test]
async fn rows_are_written_once_however_long_a_batch_waits() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let scope = ScopeId::Area(VILLAGE.parse().unwrap()).to_string();
    let mut other = system_tx(&server.state.pool).await.unwrap();
    for hold in [
        "INSERT INTO scopes (scope) VALUES ($1) ON CONFLICT DO NOTHING",
        "SELECT FROM scopes WHERE scope = $1 FOR UPDATE",
    ] {
        let hold = sqlx::query(hold).bind(&scope);
        hold.execute(&mut *other).await.unwrap();
    }
    let people = (1..=250).map(|at| format!("C{at},王小二,男,310101002001,来沪\n"));
    let people: String = people.collect();
    let file = format!("社区人员编号,姓名,性别,居村委编码,人员类别\n{people}");
    let query = format!("type=resident&area={VILLAGE}&then=run");
    let reply = upload(&server, &supervisor, &query, file).await;
    let id = reply.body["id"].as_str().unwrap();
    // The first batch waits for the scope, and its lease runs out.
    loop {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        let waiting: i64 = sqlx::query_scalar(waiting)
            .fetch_one(&mut *other)
            .await
            .unwrap();
        if waiting > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.clock.advance(Duration::from_secs(180));
    let work = || {
        let state = server.state.clone();
        tokio::spawn(async move { imports::service::work(&state).await })
    };
    let (one, two) = (work(), work());
    tokio::time::sleep(Duration::from_secs(2)).await;
    other.rollback().await.unwrap();
    one.await.unwrap().unwrap();
    two.await.unwrap().unwrap();
    let done = stands(&server, &supervisor, id, "done").await;
    assert_eq!(done["counts"]["written"], 250, "{done}");
    assert_eq!(count(&server, "resident").await, 250);

    // No batch was done twice.
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    let entries = "SELECT count(*) FROM audit_entries WHERE action = 'write_import_batch'";
    let entries: i64 = sqlx::query_scalar(entries)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(entries, 2, "200 rows, then 50");
}

/// A dry run that broke off is said, and leads to another one, not to writing; a run that broke off is gone on with.
#[tokio::test]
async fn what_broke_off_is_said_and_a_failed_check_is_no_way_to_writing() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let query = format!("type=resident&area={VILLAGE}");
    let file = format!("{HEADS}\n{ROW}\n");
    let uploaded = upload(&server, &supervisor, &query, file).await.body;
    let id = uploaded["id"].as_str().unwrap();
    let begin = |step: &str| {
        let path = format!("/api/imports/{id}/{step}");
        let token = supervisor.token.clone();
        let server = &server;
        async move {
            server
                .send("POST", &path, Some(&token), None)
                .await
                .unwrap()
        }
    };
    let sealed = body_of(&server, id, None).await;

    // What was sealed can't be opened: the server's own fault.
    body_of(&server, id, Some(&[0])).await;
    assert_eq!(begin("check").await.status, 202);
    let failed = stands(&server, &supervisor, id, "failed").await;
    assert_eq!(failed["failed_step"], "check", "{failed}");
    let told = server
        .messages(supervisor.id, "import_failed")
        .await
        .unwrap();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("什么也没有写入"), "{told:?}");
    body_of(&server, id, Some(&sealed)).await;
    let refused = begin("run").await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "check_failed"),
        "{}",
        refused.body
    );
    assert_eq!(count(&server, "resident").await, 0);

    assert_eq!(begin("check").await.status, 202);
    let checked = stands(&server, &supervisor, id, "checked").await;
    assert_eq!(checked["failed_step"], Json::Null);
    let told = server
        .messages(supervisor.id, "import_checked")
        .await
        .unwrap();
    assert!(told[0].contains("新增 1 行"), "{told:?}");
    assert!(
        server
            .messages(supervisor.id, "import_failed")
            .await
            .unwrap()
            .is_empty(),
        "it takes the place of what was said before"
    );

    body_of(&server, id, Some(&[0])).await;
    assert_eq!(begin("run").await.status, 202);
    let failed = stands(&server, &supervisor, id, "failed").await;
    assert_eq!(failed["failed_step"], "run", "{failed}");
    body_of(&server, id, Some(&sealed)).await;
    assert_eq!(begin("run").await.status, 202);
    stands(&server, &supervisor, id, "done").await;
    assert_eq!(count(&server, "resident").await, 1);

    // Its row is written: to check it anew would forget what it wrote.
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    sqlx::query(
        "UPDATE imports SET status = 'failed', failure = 'running: internal' WHERE id = $1",
    )
    .bind(Uuid::parse_str(id).unwrap())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let refused = begin("check").await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "written_in_part"),
        "{}",
        refused.body
    );
    assert_eq!(begin("undo").await.status, 202);
    let undone = stands(&server, &supervisor, id, "undone").await;
    assert_eq!(undone["counts"]["undone"], 1, "{undone}");
}

/// A run that fails twice, the second time before it comes to what the first one wrote: that is written all the same,
/// and a new check would forget what it takes to take it back.
#[tokio::test]
async fn what_an_earlier_run_wrote_counts_however_soon_the_next_one_fails() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let query = format!("type=house&area={VILLAGE}&then=run");
    let reply = upload(&server, &supervisor, &query, sample("houses.csv")).await;
    let id = reply.body["id"].as_str().unwrap();
    stands(&server, &supervisor, id, "done").await;
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    for change in [
        "UPDATE import_rows SET state = 'waiting' WHERE import_id = $1 AND row <> 600",
        "UPDATE import_rows SET body = '\\x00' WHERE import_id = $1 AND row = 601",
        "UPDATE imports SET status = 'failed', failure = 'running: internal', at_row = 0 WHERE id = $1",
    ] {
        let id = Uuid::parse_str(id).unwrap();
        sqlx::query(change)
            .bind(id)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let begin = |step: &str| {
        let path = format!("/api/imports/{id}/{step}");
        let (server, token) = (&server, supervisor.token.clone());
        async move {
            let sent = server.send("POST", &path, Some(&token), None).await;
            sent.unwrap()
        }
    };
    assert_eq!(begin("run").await.status, 202);
    let failed = stands(&server, &supervisor, id, "failed").await;
    assert_eq!(failed["counts"]["written"], 1, "{failed}");
    let refused = begin("check").await;
    assert_eq!((refused.status, refused.code()), (409, "written_in_part"));
}

/// The sealed row of an import of one; put in its place, where one is given.
async fn body_of(server: &TestServer, import: &str, put: Option<&[u8]>) -> Vec<u8> {
    let id = Uuid::parse_str(import).unwrap();
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    let body = sqlx::query_scalar(
        "UPDATE import_rows SET body = coalesce($2, body) WHERE import_id = $1 RETURNING body",
    )
    .bind(id)
    .bind(put)
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    body
}

/// Waits until the import stands so.
async fn stands(server: &TestServer, person: &Person, id: &str, status: &str) -> Json {
    for _ in 0..1_200 {
        let view = server
            .get(person, &format!("/api/imports/{id}"))
            .await
            .unwrap();
        if view["status"] == status {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the import does not come to {status}");
}

//! What a supervisor decided of two rows stays decided, however often their file comes again.

use super::*;

#[tokio::test]
async fn a_person_merged_away_does_not_come_back_with_the_next_file() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let file = |phone: &str| {
        let row = ROW.replace("13800138000", phone);
        let again = row.replace("C1,", "C2,");
        format!("{HEADS}\n{row}\n{again}\n")
    };
    let first = file("13800138000");
    let done = bring_in(&server, &supervisor, "resident", VILLAGE, first).await;
    let made = rows(&server, &supervisor, &done).await;
    let (one, two) = (record(&made[0]), record(&made[1]));
    let item = server.conflict_of(two).await.unwrap();
    let merge = json!({ "action": "merge", "survivor": one.0 });
    let reply = server.decide(&supervisor, item, merge).await.unwrap();
    assert!(reply.status < 300, "{}", reply.body);
    let stand = async || {
        let mut tx = system_tx(&server.state.pool).await.unwrap();
        let count = "SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM conflicts)";
        let counts: (i64, i64) = sqlx::query_as(count).fetch_one(&mut *tx).await.unwrap();
        counts
    };
    let before = stand().await;

    let second = file("13900139000");
    let next = bring_in(&server, &supervisor, "resident", VILLAGE, second).await;
    let found = rows(&server, &supervisor, &next).await;
    assert_eq!(stand().await, before, "no record, no item: {found:?}");
    assert_eq!(found[0]["verdict"], "changed");
    assert_eq!(
        (
            &found[1]["verdict"],
            &found[1]["duplicate_of"],
            &found[1]["record"]
        ),
        (&json!("duplicate"), &json!(one.0), &Json::Null)
    );
    assert_eq!(found[1]["problems"][0]["code"], "merged_record");
    assert_eq!(next["counts"]["written"], 1, "{next}");

    // Parted again, the row is its record's.
    let path = format!("/api/conflicts/{item}/decision");
    let reply = server
        .send("DELETE", &path, Some(&supervisor.token), None)
        .await;
    let reply = reply.unwrap();
    assert!(reply.status < 300, "{}", reply.body);
    let third = file("13700137000");
    let last = bring_in(&server, &supervisor, "resident", VILLAGE, third).await;
    let found = rows(&server, &supervisor, &last).await;
    assert_eq!(record(&found[1]), two, "{found:?}");
}

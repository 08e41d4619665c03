//! Erasing a person: nothing can be opened afterwards, and what comes late is of an epoch that is over.

use doorstep_core::ids::ScopeId;
use doorstep_core::protocol::frames::{Entry, Outcome};
use doorstep_server::database::system_tx;
use doorstep_server::register::read;
use doorstep_server::testing::city::VILLAGE;
use serde_json::{Value, json};

use crate::kit::{Kit, record};

#[tokio::test]
async fn an_erased_person_is_gone_from_every_table_and_every_phone_is_told() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let person = kit
        .resident("叶海思", "1970-04-27", json!({ "phone": "13812345678" }))
        .await;
    let tie = kit.tie(&person, &house, "living", true).await;
    kit.edit(&kit.collector, &person, json!({ "name": "叶海诗" }))
        .await;
    let device = kit.server.device(&kit.collector).await.unwrap();
    let now = kit.server.state.clock.timestamp();
    let visit = kit
        .visit(
            &device,
            &kit.collector,
            now,
            &[("resident", person.as_str().into())],
        )
        .await;
    // A visit to the house, in whose text the person's number happens to stand.
    let noted = [
        ("house", house.as_str().into()),
        ("note", person.as_str().into()),
    ];
    let noted = kit.visit(&device, &kit.collector, now, &noted).await;
    // Another file with the same number: an item whose body holds the number.
    let twin = kit.resident("叶海思", "1970-04-27", json!({})).await;

    let path = format!("/api/records/{person}/erase");
    for (who, body, status) in [
        (
            &kit.supervisor,
            json!({ "ground": "request", "confirm": person }),
            403,
        ),
        (
            &kit.administrator,
            json!({ "ground": "request", "confirm": twin }),
            422,
        ),
        (
            &kit.administrator,
            json!({ "ground": "whim", "confirm": person }),
            400,
        ),
    ] {
        assert_eq!(
            kit.send(who, "POST", &path, body.clone()).await.status,
            status,
            "{body}"
        );
    }
    let reply = kit
        .send(
            &kit.administrator,
            "POST",
            &path,
            json!({ "ground": "request", "confirm": person }),
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.body["records"], json!([tie, person]));

    assert_eq!(
        kit.send(
            &kit.collector,
            "GET",
            &format!("/api/residents/{person}"),
            Value::Null
        )
        .await
        .status,
        404
    );
    assert_eq!(kit.found(&kit.collector, "/api/residents").await, [twin]);
    let ids = [record(&person).0, record(&tie).0];
    let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
    for table in [
        "changes WHERE record_id",
        "links WHERE record_id",
        "record_tokens WHERE record_id",
        "field_changes WHERE record_id",
        "event_subjects WHERE subject",
    ] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table} = ANY($1)"));
        let left: i64 = sqlx::query_scalar(sql)
            .bind(ids.as_slice())
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
    let left: Vec<(Vec<u8>, Vec<u8>, i32)> =
        sqlx::query_as("SELECT state, wrapped_key, epoch FROM records WHERE id = ANY($1)")
            .bind(ids.as_slice())
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    assert_eq!(
        left,
        [(vec![], vec![], 1), (vec![], vec![], 1)],
        "the keys are destroyed, a new epoch begins"
    );
    let (status, decision): (String, Option<String>) =
        sqlx::query_as("SELECT status, decision FROM conflicts WHERE kind = 'duplicate_person'")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    assert_eq!(
        (status.as_str(), decision.as_deref()),
        ("dismissed", Some("erased"))
    );

    let scope = ScopeId::Area(VILLAGE.parse().unwrap());
    let (_, entries) = read::log_after(&mut tx, &kit.server.state.keys, scope, 0, 1_000, None)
        .await
        .unwrap();
    for id in [&person, &tie, &visit] {
        assert!(entries.contains(&Entry::Erase(record(id))), "{id}");
        let told = |entry: &Entry| matches!(entry, Entry::Put(put) if put.record == record(id));
        assert!(
            !entries.iter().any(told),
            "a phone that comes now gets nothing of it"
        );
    }
    let visits = entries.iter().filter_map(|entry| match entry {
        Entry::Event(event) => Some(event.id.to_string()),
        _ => None,
    });
    assert_eq!(visits.collect::<Vec<_>>(), [noted]);
    drop(tx);
    assert!(!kit.server.is_in(VILLAGE, record(&person)).await.unwrap());
}

#[tokio::test]
async fn what_a_phone_still_sends_for_an_erased_record_is_not_merged() {
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let device = kit.server.device(&kit.collector).await.unwrap();
    kit.put_from(
        &device,
        &kit.collector,
        VILLAGE,
        &person,
        "resident",
        &[("phone", "13812345678".into())],
    )
    .await;
    let late = kit.change_of(&person, &device).await;
    let reply = kit
        .send(
            &kit.administrator,
            "POST",
            &format!("/api/records/{person}/erase"),
            json!({ "ground": "order", "confirm": person }),
        )
        .await;
    assert_eq!(reply.status, 200);
    for (epoch, late) in [
        (0, late),
        (1, kit.beginning(&person, &device, 1)),
        (7, kit.beginning(&person, &device, 7)),
    ] {
        let outcome = kit.resend(&device, &kit.collector, late).await;
        assert!(
            matches!(&outcome, Outcome::Refused(refusal) if refusal.code == "erased"),
            "{epoch}: {outcome:?}"
        );
    }
    let fields = json!({ "name": "叶海思", "sex": "1", "population_kind": "01" });
    let body = json!({ "id": person, "area": VILLAGE, "fields": fields });
    let again = kit
        .send(&kit.collector, "POST", "/api/residents", body)
        .await;
    assert_eq!((again.status, again.code()), (409, "already_there"));
    assert!(
        kit.found(&kit.collector, "/api/residents?cancelled=any")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_bundle_made_before_an_erasure_is_given_to_nobody() {
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    kit.fill_village(60).await;
    let bundles = doorstep_server::sync::Bundles::default();
    let (state, scope) = (&kit.server.state, ScopeId::Area(VILLAGE.parse().unwrap()));
    let offer = async || {
        let mut tx = system_tx(&state.pool).await.unwrap();
        let end = read::scope_end(&mut tx, scope).await.unwrap();
        bundles.offer(state, scope, end).await.unwrap().unwrap()
    };
    let before = offer().await;
    assert_eq!(offer().await.digest, before.digest, "made once");
    let found = bundles.find(state, &before.digest).await.unwrap();
    assert!(found.is_some());
    let body = json!({ "ground": "retention_over", "confirm": person });
    let path = format!("/api/records/{person}/erase");
    let reply = kit.send(&kit.administrator, "POST", &path, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let found = bundles.find(state, &before.digest).await.unwrap();
    assert!(found.is_none());
    let after = offer().await;
    assert_eq!(after.records, before.records - 1);
}

/// Brings a file in, and waits until it is done; gives the import's id.
async fn bring_in(kit: &Kit, file: String) -> String {
    let address = kit.server.address;
    let query = format!("type=resident&area={VILLAGE}&then=run&name=x.csv");
    let request = reqwest::Client::new()
        .post(format!("http://{address}/api/imports?{query}"))
        .bearer_auth(&kit.supervisor.token)
        .body(file);
    let body = request.send().await.unwrap().text().await.unwrap();
    let import: Value = serde_json::from_str(&body).unwrap();
    let id = import["id"].as_str().expect("an id").to_owned();
    for _ in 0..600 {
        let path = format!("/api/imports/{id}");
        if kit.get(&kit.supervisor, &path).await["status"] == "done" {
            return id;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the import does not end");
}

#[tokio::test]
async fn an_erased_persons_row_of_a_file_goes_with_the_person() {
    let kit = Kit::new().await;
    let file = "姓名,性别,人员类别,社区人员编号\n叶海思,女,户籍人口,C1\n何晓梅,女,户籍人口,C2\n";
    let first = bring_in(&kit, file.to_owned()).await;
    // The same file once more: its rows fit the records that the first made.
    let again = bring_in(&kit, file.to_owned()).await;
    let rows = |import: &str| {
        let path = format!("/api/imports/{import}/rows?limit=50");
        let kit = &kit;
        async move {
            let page = kit.get(&kit.supervisor, &path).await;
            page["items"].as_array().unwrap().clone()
        }
    };
    let listed = rows(&first).await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    let erased = listed[0]["record"].as_str().unwrap().to_owned();
    let path = format!("/api/records/{erased}/erase");
    let body = json!({ "ground": "request", "confirm": erased });
    let reply = kit.send(&kit.administrator, "POST", &path, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    for import in [&first, &again] {
        let left = rows(import).await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert_ne!(left[0]["record"].as_str(), Some(erased.as_str()));
    }
    // What is left can still be taken back.
    let path = format!("/api/imports/{first}/undo");
    let reply = kit.send(&kit.supervisor, "POST", &path, Value::Null).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
}

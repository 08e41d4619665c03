//! Ids that a phone gives twice, to a record and to an event: neither has the other's photos erased or hidden.

use doorstep_core::blob;
use doorstep_core::ids::{EventId, RecordId};
use doorstep_core::protocol::frames::{Entry, Outcome};
use doorstep_server::database::system_tx;
use doorstep_server::register::{Prepared, read};
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::{NEXT_VILLAGE, VILLAGE};
use doorstep_server::testing::phone::{Phone, fields};
use serde_json::json;
use uuid::Uuid;

use crate::kit::{Kit, photo};
use crate::leftovers::erase;

/// A visit with an id and photos of one's own choosing.
fn visit_as(phone: &mut Phone, id: Uuid, resident: RecordId, area: &str) -> Prepared {
    let (_, item) = phone.visit(resident, area).unwrap();
    let Prepared::Event(mut event) = item else {
        unreachable!()
    };
    event.id = EventId(id);
    Prepared::Event(event)
}

fn with_photo(item: Prepared, bytes: &[u8]) -> Prepared {
    let Prepared::Event(mut event) = item else {
        unreachable!()
    };
    let key = format!("photos/{}", blob::digest(bytes));
    event.fields.insert(key, true.into());
    Prepared::Event(event)
}

fn code(outcomes: &[Outcome]) -> &str {
    match outcomes {
        [Outcome::Refused(why)] => &why.code,
        other => panic!("{other:?}"),
    }
}

/// What a database may hold from before an id could not be given twice: the event goes by another id meanwhile.
async fn rename_event(server: &TestServer, from: Uuid, to: Uuid) {
    let sql = format!(
        "DO $$ BEGIN SET LOCAL session_replication_role = replica; \
         UPDATE events SET id = '{to}' WHERE id = '{from}'; DELETE FROM register_ids WHERE id = '{from}'; END $$"
    );
    server.database.as_owner(&sql).await.unwrap();
}

#[tokio::test]
async fn a_visit_with_a_records_id_takes_no_photo_with_it_when_it_is_erased() {
    let kit = Kit::new().await;
    let portrait = photo(300, 1);
    let resident = kit.resident(&portrait).await;
    kit.upload(&kit.collector, &resident, "portrait", &portrait)
        .await;
    let path = format!("/api/photos/{}?purpose=service", blob::digest(&portrait));
    for area in [VILLAGE, NEXT_VILLAGE] {
        let mut phone = kit.server.phone(area).await.unwrap();
        let (other, item) = phone.resident("林晓", "").unwrap();
        phone.send(&kit.server, vec![item]).await.unwrap();
        let visit = visit_as(&mut phone, resident.parse().unwrap(), other, area);
        let outcomes = phone.send(&kit.server, vec![visit]).await.unwrap();
        assert_eq!(code(&outcomes), "id_taken");
        erase(&kit, &other.to_string()).await;
        kit.tidy().await;
        assert_eq!(kit.shown(&kit.collector.token, &path).await.0, 200);
    }
    let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
    let left: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM refused_items), \
         (SELECT count(*) FROM alarms WHERE code = 'id_taken' AND record_id = $1)",
    )
    .bind(resident.parse::<Uuid>().unwrap())
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!(left, (0, 0, 2), "kept nowhere, and an alarm of each phone");
}

#[tokio::test]
async fn a_record_with_a_visits_id_does_not_hide_the_visits_photos() {
    let kit = Kit::new().await;
    let mut phone = kit.server.phone(VILLAGE).await.unwrap();
    let (resident, item) = phone.resident("林晓", "").unwrap();
    let (visit, event) = phone.visit(resident, VILLAGE).unwrap();
    let bytes = photo(300, 2);
    let items = vec![item, with_photo(event, &bytes)];
    phone.send(&kit.server, items).await.unwrap();
    kit.upload(&phone.person, &visit.to_string(), "photos", &bytes)
        .await;

    let mut liar = kit.server.phone(VILLAGE).await.unwrap();
    let values = fields(&[("name", "李四"), ("sex", "1"), ("population_kind", "01")]);
    let begun = liar.create_as(visit.into(), "resident", &values).unwrap();
    let more = liar
        .edit(visit.into(), &fields(&[("remark", "又及")]))
        .unwrap();
    for item in [begun, more] {
        let outcomes = liar.send(&kit.server, vec![item]).await.unwrap();
        assert_eq!(code(&outcomes), "id_taken");
    }
    let body = json!({
        "id": visit, "area": VILLAGE,
        "fields": { "name": "李四", "sex": "1", "population_kind": "01" },
    });
    let reply = kit
        .send(&kit.collector, "POST", "/api/residents", body)
        .await;
    assert_eq!((reply.status, reply.code()), (409, "already_there"));

    let digest = blob::digest(&bytes);
    assert_eq!(
        kit.states(&kit.collector, &visit.to_string()).await,
        [(digest.clone(), "arrived".to_owned())]
    );
    let path = format!("/api/photos/{digest}");
    assert_eq!(kit.shown(&kit.collector.token, &path).await.0, 200);
}

/// Where both were taken before they could not be: what is erased is the visit alone, and the log gives both.
#[tokio::test]
async fn a_visit_that_had_a_records_id_before_is_erased_as_a_visit() {
    let kit = Kit::new().await;
    let server = &kit.server;
    let portrait = photo(300, 3);
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (other, item) = phone.resident("林晓", "").unwrap();
    let (visit, event) = phone.visit(other, VILLAGE).unwrap();
    phone.send(server, vec![item, event]).await.unwrap();
    let aside = Uuid::from_u128(1);
    rename_event(server, visit.0, aside).await;
    let mut values = fields(&[("name", "李四"), ("sex", "1"), ("population_kind", "01")]);
    values.insert("portrait".to_owned(), blob::digest(&portrait).into());
    let item = phone.create_as(visit.into(), "resident", &values).unwrap();
    let outcomes = phone.send(server, vec![item]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Accepted]);
    rename_event(server, aside, visit.0).await;
    kit.upload(&kit.collector, &visit.to_string(), "portrait", &portrait)
        .await;

    let mut tx = system_tx(&server.state.pool).await.unwrap();
    let scope = format!("area:{VILLAGE}").parse().unwrap();
    let (_, entries) = read::log_after(&mut tx, &server.state.keys, scope, 0, 100, None)
        .await
        .unwrap();
    drop(tx);
    let put = |entry: &Entry| matches!(entry, Entry::Put(put) if put.record == visit.into());
    let event = |entry: &Entry| matches!(entry, Entry::Event(event) if event.id == visit);
    assert!(entries.iter().any(put) && entries.iter().any(event));

    erase(&kit, &other.to_string()).await;
    kit.tidy().await;
    let path = format!("/api/photos/{}?purpose=service", blob::digest(&portrait));
    assert_eq!(kit.shown(&kit.collector.token, &path).await.0, 200);
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    let left: (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM events), \
         (SELECT count(*) FROM scope_log WHERE kind = 6 AND record_id = $1)",
    )
    .bind(visit.0)
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!(left, (0, 0), "no phone is told to forget the record");
}

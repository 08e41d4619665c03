//! Up in chunks: from where it stands, once or twice, through one node or two, before and after the record is known.

use std::net::SocketAddr;

use doorstep_core::blob;
use doorstep_core::ids::EventId;
use doorstep_server::register::Prepared;
use doorstep_server::router;
use doorstep_server::state::AppState;
use doorstep_server::testing::city::VILLAGE;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::kit::{Kit, opening, photo};

#[tokio::test]
async fn a_photo_goes_up_in_chunks_and_comes_down_with_its_thumbnail() {
    let kit = Kit::new().await;
    let bytes = photo(700, 1);
    assert!(bytes.len() > 2 * blob::CHUNK, "{}", bytes.len());
    let (first, second) = (&bytes[..blob::CHUNK], &bytes[blob::CHUNK..2 * blob::CHUNK]);
    let digest = blob::digest(&bytes);
    let house = kit.house(&[&bytes]).await;
    assert_eq!(
        kit.states(&kit.collector, &house).await,
        [(digest.clone(), "on_phone".to_owned())]
    );
    let token = &kit.collector.token;
    let opened = kit.open(&kit.collector, &house, "photos", &bytes).await;
    assert_eq!(opened.status, 200, "{}", opened.body);
    assert_eq!(
        (&opened.body["offset"], &opened.body["complete"]),
        (&json!(0), &json!(false))
    );
    let upload = opened.body["upload"].as_str().unwrap();

    let early = kit.put(token, upload, blob::CHUNK, second).await;
    assert_eq!((early.status, early.code()), (409, "wrong_offset"));
    for _ in 0..2 {
        let reply = kit.put(token, upload, 0, first).await;
        assert_eq!(
            (reply.status, &reply.body["offset"]),
            (200, &json!(blob::CHUNK))
        );
    }
    let odd = kit.put(token, upload, 5, first).await;
    assert_eq!((odd.status, odd.code()), (409, "wrong_offset"));
    assert_eq!(
        kit.states(&kit.collector, &house).await,
        [(digest.clone(), "arriving".to_owned())]
    );
    let again = kit.open(&kit.collector, &house, "photos", &bytes).await;
    assert_eq!(
        (&again.body["upload"], &again.body["offset"]),
        (&json!(upload), &json!(blob::CHUNK)),
        "the one under way"
    );
    let done = kit.put_rest(token, &again.body, &bytes).await;
    assert_eq!(
        (done.status, &done.body["complete"]),
        (200, &json!(true)),
        "{}",
        done.body
    );
    // Its answer was lost: the last chunk again, or the opening.
    let last = bytes.len() / blob::CHUNK * blob::CHUNK;
    let repeated = kit.put(token, upload, last, &bytes[last..]).await;
    assert_eq!(repeated.body, done.body);
    let reopened = kit.open(&kit.collector, &house, "photos", &bytes).await;
    assert_eq!(reopened.body, done.body);
    assert_eq!(
        kit.states(&kit.supervisor, &house).await,
        [(digest.clone(), "arrived".to_owned())]
    );

    let path = format!("/api/photos/{digest}");
    let whole = kit.bytes(&kit.supervisor.token, &path, &[]).await;
    assert_eq!((whole.status, whole.bytes == bytes), (200, true));
    assert_eq!(whole.header("etag"), format!("\"{digest}\""));
    assert_eq!(whole.header("content-type"), "image/jpeg");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    assert_eq!(whole.header("cache-control"), "private, no-store");
    let tag = whole.header("etag");
    let known = kit.bytes(token, &path, &[("if-none-match", tag)]).await;
    assert_eq!((known.status, known.bytes.len()), (304, 0));
    let rest = kit.bytes(token, &path, &[("range", "bytes=1000-")]).await;
    assert_eq!((rest.status, rest.bytes == bytes[1000..]), (206, true));
    let path = format!("{path}/thumbnail");
    let small = kit.bytes(token, &path, &[]).await;
    assert_eq!(small.header("content-type"), "image/jpeg");
    let picture = image::load_from_memory(&small.bytes).unwrap();
    assert_eq!((picture.width(), picture.height()), (320, 320));

    let auditor = kit
        .server
        .administrator(doorstep_core::rights::Role::Auditor);
    let log = kit
        .send(
            auditor.unwrap(),
            "GET",
            "/api/audit?action=store_photo",
            Value::Null,
        )
        .await;
    assert_eq!(log.body["items"][0]["detail"]["digest"], json!(digest));
    let chunks = kit
        .files()
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("uploads"));
    assert_eq!(chunks.count(), 0, "chunks go when the photo is whole");
}

#[tokio::test]
async fn an_upload_that_one_node_began_another_finishes() {
    let kit = Kit::new().await;
    let bytes = photo(500, 2);
    let house = kit.house(&[&bytes]).await;
    let opened = kit.open(&kit.collector, &house, "photos", &bytes).await;
    let upload = opened.body["upload"].as_str().unwrap();
    let token = &kit.collector.token;
    kit.put(token, upload, 0, &bytes[..blob::CHUNK]).await;

    let (_stop, stopping) = watch::channel(false);
    let config = (*kit.server.state.config).clone();
    let pool = kit.server.state.pool.clone();
    let state = AppState::assemble(config, kit.server.clock.clone(), pool, stopping).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = listener.local_addr().unwrap().to_string();
    let service = router::build(state).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, service).into_future());

    let mut at = blob::CHUNK;
    loop {
        let end = bytes.len().min(at + blob::CHUNK);
        let reply = kit.put_at(&other, token, upload, at, &bytes[at..end]).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        if reply.body["complete"] == true {
            break;
        }
        at = end;
    }
    let path = format!("/api/photos/{}", blob::digest(&bytes));
    assert_eq!(kit.bytes(token, &path, &[]).await.bytes, bytes);
}

#[tokio::test]
async fn a_chunk_that_the_store_lost_is_asked_for_again() {
    let kit = Kit::new().await;
    let bytes = photo(700, 3);
    let house = kit.house(&[&bytes]).await;
    let opened = kit.open(&kit.collector, &house, "photos", &bytes).await;
    let (token, upload) = (
        &kit.collector.token,
        opened.body["upload"].as_str().unwrap(),
    );
    for at in [0, blob::CHUNK] {
        kit.put(token, upload, at, &bytes[at..at + blob::CHUNK])
            .await;
    }
    let end = format!("-{}", blob::CHUNK);
    let second = kit
        .files()
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(&end));
    std::fs::write(second.unwrap(), b"not what was written").unwrap();
    let mut at = 2 * blob::CHUNK;
    let reply = loop {
        let stop = bytes.len().min(at + blob::CHUNK);
        let reply = kit.put(token, upload, at, &bytes[at..stop]).await;
        if stop == bytes.len() {
            break reply;
        }
        at = stop;
    };
    assert_eq!(
        (reply.status, &reply.body["offset"]),
        (200, &json!(blob::CHUNK)),
        "{}",
        reply.body
    );
    let done = kit.put_rest(token, &reply.body, &bytes).await;
    assert_eq!(done.body["complete"], true, "{}", done.body);
}

#[tokio::test]
async fn a_photo_waits_until_its_record_or_visit_is_known() {
    let kit = Kit::new().await;
    let bytes = photo(200, 4);
    let mut phone = kit.server.phone(VILLAGE).await.unwrap();
    let token = phone.person.token.clone();
    let (resident, item) = phone.resident("叶海思", "").unwrap();
    let send = async |record: &str, field: &str| {
        let body = Some(opening(record, field, &bytes));
        kit.server
            .send("POST", "/api/photos", Some(&token), body)
            .await
            .unwrap()
    };
    let early = send(&resident.to_string(), "portrait").await;
    assert_eq!((early.status, early.code()), (404, "not_found"));
    phone.send(&kit.server, vec![item]).await.unwrap();
    // The change that names the photo may still be on its way.
    let known = send(&resident.to_string(), "portrait").await;
    assert_eq!(known.status, 200, "{}", known.body);

    let (visit, item) = phone.visit(resident, VILLAGE).unwrap();
    let Prepared::Event(mut event) = item else {
        unreachable!()
    };
    let early = send(&visit.to_string(), "photos").await;
    assert_eq!((early.status, early.code()), (404, "not_found"));
    let key = format!("photos/{}", blob::digest(&bytes));
    event.fields.insert(key, true.into());
    let other =
        doorstep_server::random::id(kit.server.state.clock.timestamp(), EventId::new).unwrap();
    let mut silent = event.clone();
    silent.id = other;
    silent.fields.retain(|key, _| !key.starts_with("photos/"));
    let items = vec![Prepared::Event(event), Prepared::Event(silent)];
    phone.send(&kit.server, items).await.unwrap();
    let opened = send(&visit.to_string(), "photos").await;
    assert_eq!(opened.status, 200, "{}", opened.body);
    let done = kit.put_rest(&token, &opened.body, &bytes).await;
    assert_eq!(done.body["complete"], true, "{}", done.body);
    let unnamed = send(&other.to_string(), "photos").await;
    assert_eq!(
        (unnamed.status, &unnamed.body["error"]["fields"][0]["code"]),
        (422, &json!("not_named"))
    );
    // A visit's photos are open to who may read the visit; its maker alone adds them.
    let path = format!("/api/photos/{}/thumbnail", blob::digest(&bytes));
    assert_eq!(kit.shown(&kit.supervisor.token, &path).await.0, 200);
    assert_eq!(kit.shown(&kit.next.token, &path).await.0, 404);
    let body = opening(&visit.to_string(), "photos", &bytes);
    let reply = kit.send(&kit.supervisor, "POST", "/api/photos", body).await;
    assert_eq!((reply.status, reply.code()), (403, "forbidden"));
    assert_eq!(
        kit.states(&kit.supervisor, &visit.to_string()).await,
        [(blob::digest(&bytes), "arrived".to_owned())]
    );
}

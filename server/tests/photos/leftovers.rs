//! What goes: photos of what is erased, uploads that nobody goes on with, objects that nobody knows.

use std::time::Duration;

use doorstep_core::blob;
use doorstep_server::database::system_tx;
use doorstep_server::domains::photos;
use doorstep_server::testing::city::VILLAGE;
use serde_json::json;

use crate::kit::{Kit, opening, photo};

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn rows(kit: &Kit) -> (i64, i64, i64) {
    let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM photos), (SELECT count(*) FROM photo_uploads), (SELECT count(*) FROM photo_removals)",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap()
}

pub(crate) async fn erase(kit: &Kit, record: &str) {
    let path = format!("/api/records/{record}/erase");
    let body = json!({ "ground": "request", "confirm": record });
    let reply = kit.send(&kit.administrator, "POST", &path, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn an_erased_person_leaves_no_photo_no_visits_photo_and_no_upload() {
    let kit = Kit::new().await;
    let (portrait, part, visited) = (photo(300, 1), photo(500, 2), photo(300, 3));
    let resident = kit.resident(&portrait).await;
    kit.upload(&kit.collector, &resident, "portrait", &portrait)
        .await;
    let opened = kit.open(&kit.collector, &resident, "photos", &part).await;
    let upload = opened.body["upload"].as_str().unwrap();
    kit.put(&kit.collector.token, upload, 0, &part[..blob::CHUNK])
        .await;
    let mut phone = kit.server.phone(VILLAGE).await.unwrap();
    let (visit, item) = phone.visit(resident.parse().unwrap(), VILLAGE).unwrap();
    let doorstep_server::register::Prepared::Event(mut event) = item else {
        unreachable!()
    };
    event
        .fields
        .insert(format!("photos/{}", blob::digest(&visited)), true.into());
    let items = vec![doorstep_server::register::Prepared::Event(event)];
    phone.send(&kit.server, items).await.unwrap();
    kit.upload(&phone.person, &visit.to_string(), "photos", &visited)
        .await;
    let house_photo = photo(100, 4);
    let house = kit.house(&[&house_photo]).await;
    kit.upload(&kit.collector, &house, "photos", &house_photo)
        .await;
    assert_eq!(rows(&kit).await, (3, 1, 0));
    assert_eq!(kit.files().len(), 7);

    erase(&kit, &resident).await;
    kit.tidy().await;
    assert_eq!(rows(&kit).await, (1, 0, 0), "the house keeps its own");
    assert_eq!(kit.files().len(), 2);
    let path = format!("/api/photos/{}?purpose=service", blob::digest(&portrait));
    assert_eq!(kit.shown(&kit.collector.token, &path).await.0, 404);
    let path = format!("/api/photos/{}", blob::digest(&visited));
    assert_eq!(kit.shown(&kit.collector.token, &path).await.0, 404);
    let next = &part[blob::CHUNK..part.len().min(2 * blob::CHUNK)];
    let late = kit
        .put(&kit.collector.token, upload, blob::CHUNK, next)
        .await;
    assert_eq!(late.status, 404);
    let late = kit
        .open(&kit.collector, &resident, "portrait", &portrait)
        .await;
    assert_eq!((late.status, late.code()), (409, "record_erased"));
    let body = opening(&resident, "portrait", &portrait);
    let foreign = kit.send(&kit.stranger, "POST", "/api/photos", body).await;
    assert_eq!((foreign.status, foreign.code()), (404, "not_found"));
    let late = opening(&visit.to_string(), "photos", &visited);
    let late = kit
        .server
        .send("POST", "/api/photos", Some(&phone.person.token), Some(late))
        .await;
    assert_eq!(late.unwrap().status, 404);
}

#[tokio::test]
async fn bytes_kept_by_a_thief_do_not_open_after_the_erasure() {
    let kit = Kit::new().await;
    let portrait = photo(300, 5);
    let resident = kit.resident(&portrait).await;
    kit.upload(&kit.collector, &resident, "portrait", &portrait)
        .await;
    let stolen: Vec<_> = kit
        .files()
        .into_iter()
        .map(|path| (std::fs::read(&path).unwrap(), path))
        .collect();
    let before: Vec<u8> = wrapped_key(&kit, &resident).await;
    assert!(!before.is_empty());
    erase(&kit, &resident).await;
    kit.tidy().await;
    assert!(kit.files().is_empty());
    for (bytes, path) in stolen {
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(
        wrapped_key(&kit, &resident).await,
        Vec::<u8>::new(),
        "no key opens them"
    );
    let path = format!("/api/photos/{}?purpose=service", blob::digest(&portrait));
    assert_eq!(kit.shown(&kit.collector.token, &path).await.0, 404);
}

async fn wrapped_key(kit: &Kit, record: &str) -> Vec<u8> {
    let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
    sqlx::query_scalar("SELECT wrapped_key FROM records WHERE id = $1::uuid")
        .bind(record)
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_upload_is_given_up_after_a_week_of_silence() {
    let kit = Kit::new().await;
    let (silent, slow) = (photo(500, 6), photo(500, 7));
    let house = kit.house(&[&silent, &slow]).await;
    for bytes in [&silent, &slow] {
        let opened = kit.open(&kit.collector, &house, "photos", bytes).await;
        let upload = opened.body["upload"].as_str().unwrap();
        kit.put(&kit.collector.token, upload, 0, &bytes[..blob::CHUNK])
            .await;
    }
    let phone = kit.server.device(&kit.collector).await.unwrap();
    kit.server.clock.advance(DAY * 6);
    let body = Some(opening(&house, "photos", &slow));
    let again = kit
        .server
        .send("POST", "/api/photos", Some(&phone.token), body)
        .await
        .unwrap();
    // The session of six days ago is over; a device signs in again.
    let token = if again.status == 401 {
        let proof = json!({ "password": kit.collector.password });
        let input = kit.server.device_sign_in(&phone, proof).await.unwrap();
        let reply = kit
            .server
            .send("POST", "/api/devices/sign-in", None, Some(input))
            .await
            .unwrap();
        reply.body["token"].as_str().unwrap().to_owned()
    } else {
        phone.token.clone()
    };
    let body = Some(opening(&house, "photos", &slow));
    let again = kit
        .server
        .send("POST", "/api/photos", Some(&token), body)
        .await
        .unwrap();
    assert_eq!(again.body["offset"], json!(blob::CHUNK), "{}", again.body);
    kit.server.clock.advance(DAY * 2);
    kit.tidy().await;
    assert_eq!(rows(&kit).await, (0, 1, 0));
    assert_eq!(kit.files().len(), 1);
}

#[tokio::test]
async fn an_object_that_no_row_knows_is_removed() {
    let kit = Kit::new().await;
    let bytes = photo(100, 8);
    let house = kit.house(&[&bytes]).await;
    kit.upload(&kit.collector, &house, "photos", &bytes).await;
    let folder = kit.server.data().join("photos/photos/ab");
    std::fs::create_dir_all(&folder).unwrap();
    let stray = folder.join("0190a0a00000700080000000000000ab");
    let young = folder.join("0190a0a00000700080000000000001ab");
    for path in [&stray, &young] {
        std::fs::write(path, b"sealed").unwrap();
    }
    let old = std::time::SystemTime::now() - DAY * 2;
    for path in kit.files().iter().filter(|path| **path != young) {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(old).unwrap();
    }
    photos::service::remove_strays(&kit.server.state)
        .await
        .unwrap();
    assert!(!stray.exists() && young.exists());
    assert_eq!(kit.files().len(), 3, "what a row knows stays");
}

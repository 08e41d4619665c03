//! Who may see a photo: in their area, unmasked or for a purpose that the log names.

use doorstep_core::blob;
use doorstep_core::rights::Role;
use serde_json::{Value, json};

use crate::kit::{Kit, photo};

#[tokio::test]
async fn a_portrait_is_shown_for_a_purpose_and_the_log_names_it() {
    let kit = Kit::new().await;
    let bytes = photo(200, 1);
    let resident = kit.resident(&bytes).await;
    kit.upload(&kit.collector, &resident, "portrait", &bytes)
        .await;
    let path = format!("/api/photos/{}", blob::digest(&bytes));
    let small = format!("{path}/thumbnail");
    for path in [&path, &small] {
        let refused = kit.shown(&kit.supervisor.token, path).await;
        assert_eq!(refused, (403, "purpose_required".to_owned()));
        let foreign = kit
            .shown(&kit.next.token, &format!("{path}?purpose=service"))
            .await;
        assert_eq!(foreign, (404, "not_found".to_owned()));
        let plain = kit
            .shown(&kit.administrator.token, &format!("{path}?purpose=service"))
            .await;
        assert_eq!(
            plain,
            (403, "forbidden".to_owned()),
            "reads masked values only"
        );
        let whim = kit
            .shown(&kit.supervisor.token, &format!("{path}?purpose=curiosity"))
            .await;
        assert_eq!(whim.0, 400);
        let seen = kit
            .bytes(
                &kit.supervisor.token,
                &format!("{path}?purpose=verification"),
                &[],
            )
            .await;
        assert_eq!(
            (seen.status, seen.header("cache-control")),
            (200, "private, no-store")
        );
    }
    let auditor = kit.server.administrator(Role::Auditor).unwrap();
    let log = kit
        .send(
            auditor,
            "GET",
            "/api/audit?action=show_photo_thumbnail",
            Value::Null,
        )
        .await;
    let items = log.body["items"].as_array().unwrap();
    let done: Vec<&Value> = items
        .iter()
        .filter(|entry| entry["outcome"] == "done")
        .collect();
    assert_eq!(done.len(), 1);
    assert_eq!(done[0]["subject_id"], json!(resident));
    assert_eq!(done[0]["detail"]["purpose"], "verification");
    assert_eq!(
        items
            .iter()
            .filter(|entry| entry["outcome"] == "refused")
            .count(),
        4
    );

    // A device holds the record in clear anyway.
    let device = kit.server.device(&kit.collector).await.unwrap();
    let seen = kit.bytes(&device.token, &path, &[]).await;
    assert_eq!((seen.status, seen.bytes == bytes), (200, true));
    let foreign = kit.server.device(&kit.next).await.unwrap();
    assert_eq!(kit.shown(&foreign.token, &path).await.0, 404);
}

#[tokio::test]
async fn a_photo_goes_with_its_record_to_another_area() {
    let kit = Kit::new().await;
    let bytes = photo(200, 2);
    let resident = kit.resident(&bytes).await;
    kit.upload(&kit.collector, &resident, "portrait", &bytes)
        .await;
    let path = format!("/api/photos/{}?purpose=service", blob::digest(&bytes));
    assert_eq!(kit.shown(&kit.next.token, &path).await.0, 404);
    kit.also_next_door(&resident).await;
    assert_eq!(kit.bytes(&kit.next.token, &path, &[]).await.bytes, bytes);
    assert_eq!(kit.shown(&kit.stranger.token, &path).await.0, 404);
}

#[tokio::test]
async fn what_a_record_no_longer_names_is_not_shown() {
    let kit = Kit::new().await;
    let bytes = photo(200, 3);
    let house = kit.house(&[&bytes]).await;
    kit.upload(&kit.collector, &house, "photos", &bytes).await;
    let path = format!("/api/photos/{}", blob::digest(&bytes));
    assert_eq!(kit.shown(&kit.collector.token, &path).await.0, 200);
    let edit = json!({ "fields": { format!("photos/{}", blob::digest(&bytes)): null } });
    let token = Some(kit.collector.token.as_str());
    let record = format!("/api/records/{house}");
    let reply = kit
        .server
        .send_if("PATCH", &record, token, Some("*"), Some(edit))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(kit.shown(&kit.collector.token, &path).await.0, 404);
    // Nor does naming a stranger's photo show it.
    let other = photo(200, 4);
    let theirs = kit.house(&[&other]).await;
    kit.upload(&kit.collector, &theirs, "photos", &other).await;
    let fields = json!({ "address": "永嘉路1弄2号3室", "house_use": "1", format!("photos/{}", blob::digest(&other)): true });
    let body = json!({ "area": doorstep_server::testing::city::OTHER_VILLAGE, "fields": fields });
    let named = kit.send(&kit.stranger, "POST", "/api/houses", body).await;
    assert_eq!(named.status, 201, "{}", named.body);
    let path = format!("/api/photos/{}", blob::digest(&other));
    assert_eq!(kit.shown(&kit.stranger.token, &path).await.0, 404);
    assert_eq!(kit.shown(&kit.collector.token, &path).await.0, 200);
}

#[tokio::test]
async fn nothing_lies_readable_in_the_store() {
    let kit = Kit::new().await;
    let (whole, part) = (photo(500, 5), photo(500, 6));
    let house = kit.house(&[&whole, &part]).await;
    kit.upload(&kit.collector, &house, "photos", &whole).await;
    let opened = kit.open(&kit.collector, &house, "photos", &part).await;
    let upload = opened.body["upload"].as_str().unwrap();
    kit.put(&kit.collector.token, upload, 0, &part[..blob::CHUNK])
        .await;
    let path = format!("/api/photos/{}/thumbnail", blob::digest(&whole));
    let small = kit.bytes(&kit.collector.token, &path, &[]).await.bytes;
    let files = kit.files();
    assert_eq!(files.len(), 3, "photo, thumbnail, chunk: {files:?}");
    for file in files {
        let stored = std::fs::read(&file).unwrap();
        for plain in [&whole, &part, &small] {
            for canary in [&plain[..16], &plain[plain.len() / 3..plain.len() / 3 + 16]] {
                let found = stored.windows(canary.len()).any(|window| window == canary);
                assert!(!found, "{}", file.display());
            }
        }
    }
}

//! What is refused: wrong fields all at once, others' areas, and bytes that are not what they are said to be.

use doorstep_core::blob;
use doorstep_server::testing::city::VILLAGE;
use image::{ImageBuffer, ImageFormat, Rgba};
use serde_json::{Value, json};

use crate::kit::{Kit, encoded, opening, photo};

#[tokio::test]
async fn every_wrong_field_is_said_at_once() {
    let kit = Kit::new().await;
    let codes = |body: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let fields = body["error"]["fields"].as_array().unwrap().iter();
        fields
            .map(|field| (text(&field["path"]), text(&field["code"])))
            .collect()
    };
    let pair = |path: &str, code: &str| (path.to_owned(), code.to_owned());
    let wrong = json!({ "digest": "XY", "size": 10 * 1024 * 1024 + 1, "type": "image/gif", "record": "7", "field": "x" });
    let reply = kit.send(&kit.collector, "POST", "/api/photos", wrong).await;
    assert_eq!(reply.status, 422);
    assert_eq!(
        codes(&reply.body),
        [
            pair("digest", "digest_form"),
            pair("size", "photo_too_large"),
            pair("type", "photo_type"),
            pair("record", "record_form"),
        ]
    );
    let bytes = photo(64, 1);
    let house = kit.house(&[]).await;
    let mut wrong = opening(&house, "address", &bytes);
    wrong["size"] = 0.into();
    let reply = kit.send(&kit.collector, "POST", "/api/photos", wrong).await;
    assert_eq!(
        codes(&reply.body),
        [
            pair("size", "photo_empty"),
            pair("field", "not_a_photo_field")
        ]
    );
}

#[tokio::test]
async fn nobody_adds_photos_elsewhere_or_to_anothers_upload() {
    let kit = Kit::new().await;
    let bytes = photo(64, 2);
    let house = kit.house(&[&bytes]).await;
    for (who, status, code) in [
        (&kit.next, 404, "not_found"),
        (&kit.stranger, 404, "not_found"),
        (&kit.administrator, 403, "forbidden"),
    ] {
        let reply = kit.open(who, &house, "photos", &bytes).await;
        assert_eq!((reply.status, reply.code()), (status, code));
    }
    let opened = kit.open(&kit.collector, &house, "photos", &bytes).await;
    let upload = opened.body["upload"].as_str().unwrap();
    let reply = kit.put(&kit.supervisor.token, upload, 0, &bytes).await;
    assert_eq!((reply.status, reply.code()), (404, "not_found"));
    // Two people may send the same photo; the first that is whole stands.
    let theirs = kit.open(&kit.supervisor, &house, "photos", &bytes).await;
    assert_ne!(theirs.body["upload"], opened.body["upload"]);
    for (who, opened) in [(&kit.supervisor, &theirs), (&kit.collector, &opened)] {
        let done = kit.put_rest(&who.token, &opened.body, &bytes).await;
        assert_eq!(done.body["complete"], true, "{}", done.body);
        assert_eq!(done.body["upload"], theirs.body["upload"]);
    }
    kit.tidy().await;
    assert_eq!(kit.files().len(), 2);
}

/// Opens an upload for these bytes as they are said to be, sends them, and gives the answer to the last chunk.
async fn sent(kit: &Kit, house: &str, said: Value, bytes: &[u8]) -> (u16, String) {
    let mut body = opening(house, "photos", bytes);
    for (key, value) in said.as_object().unwrap() {
        body[key] = value.clone();
    }
    let opened = kit
        .send(&kit.collector, "POST", "/api/photos", body.clone())
        .await;
    assert_eq!(opened.status, 200, "{}", opened.body);
    let reply = kit
        .put_rest(&kit.collector.token, &opened.body, bytes)
        .await;
    let upload = opened.body["upload"].as_str().unwrap();
    let first = &bytes[..bytes.len().min(blob::CHUNK)];
    let after = kit.put(&kit.collector.token, upload, 0, first).await;
    assert_eq!(after.status, 404, "the upload is over: {}", after.body);
    (reply.status, reply.code().to_owned())
}

#[tokio::test]
async fn bytes_that_are_no_photo_are_refused_and_removed() {
    let kit = Kit::new().await;
    let house = kit.house(&[]).await;
    let good = photo(500, 3);
    assert!(good.len() > blob::CHUNK, "{}", good.len());
    let other = json!({ "digest": "0".repeat(64) });
    let answer = sent(&kit, &house, other, &good).await;
    assert_eq!(answer, (422, "photo_damaged".to_owned()));
    let answer = sent(&kit, &house, json!({ "type": "image/png" }), &good).await;
    assert_eq!(answer, (422, "photo_type".to_owned()));
    let pdf = [b"%PDF-1.7\n".to_vec(), vec![b'x'; 900]].concat();
    let answer = sent(&kit, &house, json!({}), &pdf).await;
    assert_eq!(answer, (422, "photo_type".to_owned()));
    // A head and nothing behind it.
    let answer = sent(&kit, &house, json!({}), &good[..400]).await;
    assert_eq!(answer.0, 422);
    let wide = ImageBuffer::<Rgba<u16>, _>::from_pixel(8_000, 2_700, Rgba([7; 4]));
    let bomb = encoded(&wide.into(), ImageFormat::Png);
    let answer = sent(&kit, &house, json!({ "type": "image/png" }), &bomb).await;
    assert_eq!(answer, (422, "photo_dimensions".to_owned()));
    kit.tidy().await;
    assert_eq!(kit.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_chunk_is_of_its_size_and_type() {
    let kit = Kit::new().await;
    let house = kit.house(&[]).await;
    let bytes = photo(500, 4);
    let opened = kit.open(&kit.collector, &house, "photos", &bytes).await;
    let (token, upload) = (
        &kit.collector.token,
        opened.body["upload"].as_str().unwrap(),
    );
    let short = kit.put(token, upload, 0, &bytes[..100]).await;
    assert_eq!((short.status, short.code()), (422, "chunk_size"));
    let long = kit.put(token, upload, 0, &bytes[..=blob::CHUNK]).await;
    assert_eq!((long.status, long.code()), (413, "chunk_too_large"));
    for path in [
        "/api/photos/7/0",
        "/api/photos/0190a0a0-0000-7000-8000-000000000000/-1",
    ] {
        let url = format!("http://{}{path}", kit.server.address);
        let request = reqwest::Client::new().put(url).bearer_auth(token);
        let request = request.header("content-type", "application/octet-stream");
        assert_eq!(
            request.body("x").send().await.unwrap().status().as_u16(),
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn one_user_has_so_many_uploads_under_way_and_no_more() {
    let kit = Kit::new().await;
    let house = kit.house(&[]).await;
    let photos: Vec<Vec<u8>> = (0..21).map(|seed| photo(16, seed)).collect();
    for bytes in &photos[..20] {
        assert_eq!(
            kit.open(&kit.collector, &house, "photos", bytes)
                .await
                .status,
            200
        );
    }
    let more = kit
        .open(&kit.collector, &house, "photos", &photos[20])
        .await;
    assert_eq!((more.status, more.code()), (429, "too_many_uploads"));
    assert!(more.headers.contains_key("retry-after"));
    let known = kit.open(&kit.collector, &house, "photos", &photos[3]).await;
    assert_eq!(known.status, 200, "one that is under way goes on");
    assert_eq!(
        kit.open(&kit.supervisor, &house, "photos", &photos[20])
            .await
            .status,
        200
    );
    kit.upload(&kit.collector, &house, "photos", &photos[3])
        .await;
    assert_eq!(
        kit.open(&kit.collector, &house, "photos", &photos[20])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn one_user_sends_so_much_in_a_day_and_no_more() {
    let kit = Kit::with(|config| config.photo_megabytes = 1).await;
    let house = kit.house(&[]).await;
    let mut sent = 0;
    let mut seed = 100;
    let more = loop {
        let bytes = photo(300, seed);
        let opened = kit.open(&kit.collector, &house, "photos", &bytes).await;
        if opened.status != 200 {
            assert!(sent + bytes.len() > 1_000_000, "{sent}");
            assert_eq!((opened.status, opened.code()), (429, "too_many_photos"));
            assert!(opened.headers.contains_key("retry-after"));
            break bytes;
        }
        kit.put_rest(&kit.collector.token, &opened.body, &bytes)
            .await;
        sent += bytes.len();
        assert!(sent <= 1_000_000, "{sent}");
        seed += 1;
    };
    let theirs = kit.open(&kit.supervisor, &house, "photos", &more).await;
    assert_eq!(theirs.status, 200, "each user for themselves");

    kit.server
        .clock
        .advance(std::time::Duration::from_secs(25 * 3_600));
    let collector = &kit.collector;
    let reply = kit.server.sign_in(&collector.login, &collector.password);
    let token = reply.await.unwrap().body["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let body = Some(opening(&house, "photos", &more));
    let reply = kit.server.send("POST", "/api/photos", Some(&token), body);
    assert_eq!(reply.await.unwrap().status, 200, "the next day");
}

#[tokio::test]
async fn a_right_that_ended_ends_the_upload() {
    let kit = Kit::new().await;
    let bytes = photo(500, 5);
    let house = kit.house(&[&bytes]).await;
    let opened = kit.open(&kit.collector, &house, "photos", &bytes).await;
    let giver = kit
        .server
        .administrator(doorstep_core::rights::Role::AreaAdministrator)
        .unwrap();
    let path = format!("/api/users/{}/grants", kit.collector.id);
    let grants = kit.send(giver, "GET", &path, Value::Null).await.body;
    let grant = grants[0]["id"].as_str().unwrap();
    let body =
        json!({ "role": "collector", "area": doorstep_server::testing::city::OTHER_VILLAGE });
    assert_eq!(kit.send(giver, "POST", &path, body).await.status, 201);
    let path = format!("/api/grants/{grant}");
    let revoked = kit.send(giver, "DELETE", &path, Value::Null).await;
    assert!(revoked.status < 300, "{VILLAGE}: {}", revoked.body);
    let reply = kit
        .put_rest(&kit.collector.token, &opened.body, &bytes)
        .await;
    assert_eq!((reply.status, reply.code()), (404, "not_found"));
}

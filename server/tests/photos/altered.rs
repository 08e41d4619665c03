//! What lies in the store and was changed by hand, or moved, is found out: a photo or thumbnail is an error and never
//! another picture, and a chunk is asked for again.

use std::path::{Path, PathBuf};

use doorstep_core::blob;
use doorstep_server::testing::flipped;
use serde_json::json;

use crate::kit::{Kit, photo};

/// Bytes of an object that are tried.
const FLIPS: usize = 64;
/// Bytes of a chunk that are tried: each takes the whole photo to be put together.
const CHUNK_FLIPS: usize = 12;

/// Where an object lies; `tail` is a chunk's.
fn object(kit: &Kit, folder: &str, id: &str, tail: &str) -> PathBuf {
    let name = id.replace('-', "");
    let folder = kit.server.data().join("photos").join(folder);
    folder.join(&name[30..]).join(format!("{name}{tail}"))
}

/// The object with one bit flipped in many places, then others in its place, then cut.
fn tampered(sound: &[u8], flips: usize, others: &[&PathBuf]) -> Vec<Vec<u8>> {
    let flipped = flipped(sound, flips).map(|(_, value)| value);
    let moved = others.iter().map(|other| std::fs::read(other).unwrap());
    let cut = sound[..sound.len() - 1].to_vec();
    flipped.chain(moved).chain([cut]).collect()
}

async fn assert_found_out(kit: &Kit, object: &Path, others: &[&PathBuf], path: &str) {
    let sound = std::fs::read(object).unwrap();
    let status = async || kit.shown(&kit.collector.token, path).await.0;
    assert_eq!(status().await, 200, "{path}");
    for (n, value) in tampered(&sound, FLIPS, others).iter().enumerate() {
        std::fs::write(object, value).unwrap();
        assert_eq!(status().await, 500, "{path}, {n}");
    }
    std::fs::write(object, &sound).unwrap();
    assert_eq!(status().await, 200, "{path}, put back");
}

#[tokio::test]
async fn a_photo_that_was_altered_or_moved_in_the_store_is_not_shown() {
    let kit = Kit::new().await;
    let (one, two) = (photo(200, 7), photo(200, 8));
    // One record: one key.
    let house = kit.house(&[&one, &two]).await;
    let mut ids = Vec::new();
    for bytes in [&one, &two] {
        kit.upload(&kit.collector, &house, "photos", bytes).await;
        let arrived = kit.open(&kit.collector, &house, "photos", bytes).await;
        ids.push(arrived.body["upload"].as_str().unwrap().to_owned());
    }
    let part = |folder: &str, n: usize| object(&kit, folder, &ids[n], "");
    let (whole, other_whole) = (part("photos", 0), part("photos", 1));
    let (small, other_small) = (part("thumbnails", 0), part("thumbnails", 1));
    let path = format!("/api/photos/{}", blob::digest(&one));
    assert_found_out(&kit, &whole, &[&other_whole, &small], &path).await;
    let path = format!("{path}/thumbnail");
    assert_found_out(&kit, &small, &[&other_small, &whole], &path).await;
}

#[tokio::test]
async fn a_chunk_that_was_altered_or_moved_in_the_store_is_asked_for_again() {
    let kit = Kit::new().await;
    let (bytes, other) = (photo(500, 9), photo(500, 10));
    let house = kit.house(&[&bytes, &other]).await;
    let token = &kit.collector.token;
    let opened = kit.open(&kit.collector, &house, "photos", &bytes).await;
    let upload = opened.body["upload"].as_str().unwrap();
    let last = (bytes.len() - 1) / blob::CHUNK * blob::CHUNK;
    for at in (0..last).step_by(blob::CHUNK) {
        let chunk = &bytes[at..at + blob::CHUNK];
        assert_eq!(kit.put(token, upload, at, chunk).await.status, 200);
    }
    let opened = kit.open(&kit.collector, &house, "photos", &other).await;
    let beside = opened.body["upload"].as_str().unwrap();
    let first = kit.put(token, beside, 0, &other[..blob::CHUNK]).await;
    assert_eq!(first.status, 200, "{}", first.body);

    let chunk = object(&kit, "uploads", upload, "-0");
    let of_another = object(&kit, "uploads", beside, "-0");
    let sound = std::fs::read(&chunk).unwrap();
    let again = format!("UPDATE photo_uploads SET received = {last} WHERE id = '{upload}'");
    let values = tampered(&sound, CHUNK_FLIPS, &[&of_another]);
    for (n, value) in values.iter().enumerate() {
        std::fs::write(&chunk, value).unwrap();
        let reply = kit.put(token, upload, last, &bytes[last..]).await;
        assert_eq!(
            (reply.status, &reply.body["offset"], &reply.body["complete"]),
            (200, &json!(0), &json!(false)),
            "{n}: {}",
            reply.body
        );
        let rows = kit.server.database.as_owner(&again).await.unwrap();
        assert_eq!(rows, 1, "nothing was kept");
    }
    std::fs::write(&chunk, &sound).unwrap();
    let reply = kit.put(token, upload, last, &bytes[last..]).await;
    assert_eq!(reply.body["complete"], true, "{}", reply.body);
}

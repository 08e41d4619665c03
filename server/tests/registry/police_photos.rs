//! Photos that the police have collected: by right, for a purpose, marked with viewer and time, on no phone.

use doorstep_core::ids::UserId;
use doorstep_core::value::Fields;
use doorstep_server::domains::police_photos::service as photos;
use doorstep_server::register::{self, Prepared, Submission, Submitter};
use doorstep_server::testing::{Person, flipped};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::json;

use crate::kit::{Kit, record};

const FILE: &str = "310101197004275621.jpg";

/// A picture of one colour, with a note among its metadata.
fn portrait() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(358, 441, Rgb([180, 160, 150]))
        .write_to(&mut bytes, ImageFormat::Jpeg)
        .unwrap();
    let mut bytes = bytes.into_inner();
    let comment = b"canary-camera-serial";
    let length = u16::try_from(comment.len() + 2).unwrap().to_be_bytes();
    let segment = [&[0xFF, 0xFE][..], &length, comment].concat();
    bytes.splice(2..2, segment);
    bytes
}

async fn fetch(kit: &Kit, who: &Person, id: &str, query: &str) -> (u16, Vec<u8>, Option<String>) {
    let url = format!(
        "http://{}/api/residents/{id}/police-photo{query}",
        kit.server.address
    );
    let answer = reqwest::Client::new()
        .get(url)
        .bearer_auth(&who.token)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let kept = answer
        .headers()
        .get("cache-control")
        .map(|value| value.to_str().unwrap().to_owned());
    (status, answer.bytes().await.unwrap().to_vec(), kept)
}

/// The police's register names the file; only the server writes it.
async fn name_photo(kit: &Kit, person: &str) {
    let item = Prepared::Put {
        record: record(person),
        record_type: "resident".to_owned(),
        fields: Fields::from([("photo_file".to_owned(), FILE.into())]),
    };
    let submission = Submission {
        who: Submitter::server(&kit.server.state, UserId(kit.supervisor.id)),
        envelope: None,
        items: vec![item],
    };
    register::commit(&kit.server.state, vec![submission], |_| Vec::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_police_photo_is_shown_by_right_and_purpose_with_viewer_and_time_over_it_and_lies_sealed()
{
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let query = "?purpose=verification";
    assert_eq!(
        fetch(&kit, &kit.collector, &person, query).await.0,
        404,
        "there is none"
    );
    name_photo(&kit, &person).await;
    assert!(
        photos::receive(&kit.server.state, FILE, b"no picture".to_vec())
            .await
            .is_err()
    );
    let plain = portrait();
    photos::receive(&kit.server.state, FILE, plain.clone())
        .await
        .unwrap();

    let (status, first, kept) = fetch(&kit, &kit.collector, &person, query).await;
    assert_eq!((status, kept.as_deref()), (200, Some("private, no-store")));
    let shown = image::load_from_memory(&first).unwrap().into_rgb8();
    assert_eq!(shown.dimensions(), (358, 441));
    let inked = shown.pixels().filter(|pixel| pixel.0[0] < 140).count();
    assert!(inked > 5_000, "{inked} pixels of the watermark");
    assert!(
        !first
            .windows(20)
            .any(|part| part == b"canary-camera-serial")
    );
    let (_, again, _) = fetch(&kit, &kit.supervisor, &person, query).await;
    assert_ne!(first, again, "another viewer, another mark");
    kit.server.clock.advance(std::time::Duration::from_secs(61));
    let (_, later, _) = fetch(&kit, &kit.collector, &person, query).await;
    assert_ne!(first, later, "another time, another mark");

    assert_eq!(
        fetch(&kit, &kit.collector, &person, "").await.0,
        400,
        "no purpose"
    );
    assert_eq!(fetch(&kit, &kit.stranger, &person, query).await.0, 404);
    assert_eq!(
        fetch(&kit, &kit.administrator, &person, query).await.0,
        403,
        "one who administers sees no secret values"
    );
    let log: Vec<(String, String)> = {
        let mut tx = doorstep_server::database::system_tx(&kit.server.state.pool)
            .await
            .unwrap();
        sqlx::query_as(
            "SELECT subject_id, detail FROM audit_entries WHERE action = 'show_police_photo' AND outcome = 'done'",
        )
        .fetch_all(&mut *tx)
        .await
        .unwrap()
    };
    assert_eq!(log.len(), 3);
    assert!(
        log.iter()
            .all(|(id, detail)| *id == person && detail.contains("verification"))
    );

    // What lies in the folder tells neither the person nor the picture.
    let mut files = Vec::new();
    walk(&kit.server.data().join("police-photos"), &mut files);
    assert_eq!(files.len(), 1);
    assert!(!files[0].to_string_lossy().contains("310101197004275621"));
    let sealed = std::fs::read(&files[0]).unwrap();
    assert!(
        !sealed.windows(3).any(|part| part == [0xFF, 0xD8, 0xFF]),
        "no JPEG in clear"
    );
    // Erasing the person takes the photo along.
    let path = format!("/api/records/{person}/erase");
    let body = json!({ "ground": "order", "confirm": person });
    let reply = kit.send(&kit.administrator, "POST", &path, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    files.clear();
    walk(&kit.server.data().join("police-photos"), &mut files);
    assert!(files.is_empty());
}

/// One key seals them all: in another's place a photo would be shown of the wrong person.
#[tokio::test]
async fn a_police_photo_that_was_altered_or_moved_is_not_shown() {
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    name_photo(&kit, &person).await;
    let folder = kit.server.data().join("police-photos");
    let kept = async |file: &str| {
        let received = photos::receive(&kit.server.state, file, portrait()).await;
        received.unwrap();
        let mut files = Vec::new();
        walk(&folder, &mut files);
        files
    };
    let own = kept(FILE).await.remove(0);
    let mut others = kept("310101197004275622.jpg").await;
    others.retain(|file| *file != own);
    let sound = std::fs::read(&own).unwrap();
    let other = std::fs::read(&others[0]).unwrap();
    let query = "?purpose=verification";
    let shown = async || fetch(&kit, &kit.collector, &person, query).await.0;
    assert_eq!(shown().await, 200);
    let flipped = flipped(&sound, 64).map(|(_, value)| value);
    let cut = sound[..sound.len() - 1].to_vec();
    for (n, value) in flipped.chain([other, cut]).enumerate() {
        std::fs::write(&own, value).unwrap();
        assert_eq!(shown().await, 500, "{n}");
    }
    std::fs::write(&own, &sound).unwrap();
    assert_eq!(shown().await, 200, "put back");
}

fn walk(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

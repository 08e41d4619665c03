//! Photos against a server that loses answers and refuses: each goes up whole or says why not, and none holds up others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod fake;

use std::collections::BTreeSet;

use axum::http::StatusCode;
use doorstep_client::PhotoState;
use doorstep_core::blob;
use doorstep_core::ids::RecordId;
use doorstep_core::value::{Fields, Value};
use fake::{Fake, TestDevice, area, resident};

/// A PNG of so many bytes: a head, noise, an end. Nobody here looks at check sums.
fn photo(seed: u8, size: usize) -> Vec<u8> {
    let mut out =
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0sum.".to_vec();
    let end = b"sum.\0\0\0\0IENDsum.";
    let noise = size - out.len() - 8 - end.len();
    out.extend(u32::try_from(noise).unwrap().to_be_bytes());
    out.extend(b"IDAT");
    let mut state = u32::from(seed) + 1;
    for _ in 0..noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.push(state.to_be_bytes()[0]);
    }
    out.extend(end);
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn photos_go_up_in_chunks_and_come_down_by_digest() {
    let fake = Fake::start().await;
    let (one, two) = (fake.device(1), fake.device(2));
    let id = one.create("resident", area(), resident("何晓梅")).unwrap();
    let bytes = photo(1, blob::CHUNK * 2 + 17);
    let digest = one.add_photo(id, "portrait", &bytes).unwrap();
    assert_eq!(one.unsent().unwrap().blobs, 1);
    assert_eq!(
        one.photo(&digest).await.unwrap(),
        bytes,
        "it is at hand offline"
    );
    fake.uploads.lock().unwrap().lose_answer_of = Some(2);
    let report = one.sync_once().await.unwrap();
    assert_eq!(
        (report.photos_sent, report.photos_waiting),
        (0, 1),
        "an answer was lost"
    );
    let report = one.sync_once().await.unwrap();
    assert_eq!(report.photos_sent, 1);
    assert_eq!(
        fake.uploads.lock().unwrap().requests,
        3,
        "no chunk went twice"
    );
    assert_eq!(one.photos().unwrap(), []);
    two.sync_once().await.unwrap();
    let record = two.record(id).unwrap();
    assert_eq!(
        record.registers.get("portrait"),
        Some(&Value::from(digest.as_str()))
    );
    assert_eq!(two.photo(&digest).await.unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_taken_is_said_before_it_is_queued() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    let id = one.create("resident", area(), resident("何晓梅")).unwrap();
    let too_large = photo(1, usize::try_from(blob::MAX_BYTES).unwrap() + 1);
    for (field, bytes, code) in [
        ("photos", too_large.as_slice(), "photo_too_large"),
        ("photos", b"%PDF-1.7".as_slice(), "photo_type"),
        ("photos", b"".as_slice(), "photo_empty"),
        ("photos", &photo(1, 100)[..60], "photo_unreadable"),
        ("name", &photo(1, 100), "not_a_photo_field"),
    ] {
        assert_eq!(one.add_photo(id, field, bytes).unwrap_err().code, code);
    }
    assert_eq!(one.photos().unwrap(), []);
    assert_eq!(
        one.outbox().unwrap().len(),
        1,
        "the record says nothing of them"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_photo_holds_up_no_other() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    let id = one.create("resident", area(), resident("何晓梅")).unwrap();
    let refused = one.add_photo(id, "photos", &photo(1, 900)).unwrap();
    let unknown = one.add_photo(id, "photos", &photo(2, 900)).unwrap();
    one.add_photo(id, "photos", &photo(3, 900)).unwrap();
    fake.uploads.lock().unwrap().refuse = vec![(
        refused.clone(),
        StatusCode::UNPROCESSABLE_ENTITY,
        "photo_damaged",
    )];
    let report = one.sync_once().await.unwrap();
    assert_eq!(
        (
            report.photos_sent,
            report.photos_refused,
            report.photos_waiting
        ),
        (2, 1, 0)
    );
    let left = one.photos().unwrap();
    assert_eq!(left.len(), 1);
    assert!(matches!(&left[0].state, PhotoState::Refused { code, .. } if code == "photo_damaged"));
    one.dismiss_photo(&refused).unwrap();
    assert_eq!(one.photos().unwrap(), []);
    assert_eq!(fake.uploads.lock().unwrap().of(&unknown).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_photo_of_someone_erased_only_the_refusal_stays() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    let id = one.create("resident", area(), resident("何晓梅")).unwrap();
    let digest = one.add_photo(id, "portrait", &photo(1, 900)).unwrap();
    fake.uploads.lock().unwrap().refuse =
        vec![(digest.clone(), StatusCode::CONFLICT, "record_erased")];
    let report = one.sync_once().await.unwrap();
    assert_eq!(report.photos_refused, 1);
    let left = one.photos().unwrap();
    assert_eq!(left.len(), 1);
    assert!(matches!(&left[0].state, PhotoState::Refused { code, .. } if code == "record_erased"));
    assert_eq!(files(&one), 1, "its note");
    one.dismiss_photo(&digest).unwrap();
    assert_eq!(files(&one), 0);
}

/// How many files of photos and notes are on a device.
fn files(device: &TestDevice) -> usize {
    let folder = device.folder.path().join("photos");
    std::fs::read_dir(folder).unwrap().count()
}

/// The records of the photos on a device.
fn waiting_for(device: &TestDevice) -> BTreeSet<RecordId> {
    let photos = device.photos().unwrap().into_iter();
    photos.map(|photo| photo.record).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_fails_takes_no_other_record_its_photo() {
    let fake = Fake::start().await;
    let (one, two) = (fake.device(1), fake.device(2));
    let loading = one.create("resident", area(), resident("何晓梅")).unwrap();
    for _ in 0..5 {
        one.create("resident", area(), resident("陈小明")).unwrap();
    }
    one.sync_once().await.unwrap();
    let id = two.create("resident", area(), resident("林朝霞")).unwrap();
    let bytes = photo(1, 900);
    let digest = two.add_photo(id, "portrait", &bytes).unwrap();
    fake.faults().one_batch = true;
    two.sync_once().await.unwrap_err();
    for record in [loading, id] {
        let error = two.add_photo(record, "portrait", &bytes).unwrap_err();
        assert_eq!(error.code, "record_loading");
    }
    let photos = [("photos".to_owned(), bytes.clone())];
    let error = two
        .record_event_with_photos("visit", area(), Fields::new(), &photos)
        .unwrap_err();
    assert_eq!(error.code, "invalid_fields");
    assert_eq!(waiting_for(&two), BTreeSet::from([id]));
    assert_eq!(two.photo(&digest).await.unwrap(), bytes);
    fake.faults().one_batch = false;
    assert_eq!(two.sync_once().await.unwrap().photos_sent, 1);
    assert_eq!(fake.uploads.lock().unwrap().of(&digest), [bytes]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_photo_goes_up_for_each_record() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    let ids = ["何晓梅", "林朝霞"].map(|name| {
        let id = one.create("resident", area(), resident(name));
        id.unwrap()
    });
    let bytes = photo(1, 900);
    let digest = one.add_photo(ids[0], "portrait", &bytes).unwrap();
    assert_eq!(one.add_photo(ids[1], "photos", &bytes).unwrap(), digest);
    assert_eq!(waiting_for(&one), BTreeSet::from(ids));
    assert_eq!(one.unsent().unwrap().blobs, 2);
    assert_eq!(files(&one), 3, "the bytes are there once");
    let report = one.sync_once().await.unwrap();
    assert_eq!((report.photos_sent, report.photos_waiting), (2, 0));
    let uploads = fake.uploads.lock().unwrap();
    assert_eq!(uploads.of(&digest), [bytes.as_slice(), &bytes]);
    assert_eq!(files(&one), 0);
}

/// The code of each photo of a record that was refused, `None` of one that waits.
fn codes(device: &TestDevice, record: RecordId) -> Vec<Option<String>> {
    let photos = device.photos().unwrap().into_iter();
    photos
        .filter(|photo| photo.record == record)
        .map(|photo| match photo.state {
            PhotoState::Refused { code, .. } => Some(code),
            PhotoState::Waiting { .. } => None,
        })
        .collect()
}

/// Syncs until the server's patience with unknown records is over.
async fn until_refused(device: &TestDevice) {
    for _ in 0..25 {
        let files = files(device);
        if device.sync_once().await.unwrap().photos_refused > 0 {
            return;
        }
        assert_eq!(files, 2, "it waits with its bytes");
    }
    panic!("it is never refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn photos_of_someone_erased_go_at_once() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    let [id, other] = ["何晓梅", "林朝霞"].map(|name| {
        let id = one.create("resident", area(), resident(name));
        id.unwrap()
    });
    let shared = one.add_photo(id, "portrait", &photo(1, 900)).unwrap();
    let damaged = one.add_photo(id, "photos", &photo(2, 900)).unwrap();
    one.add_photo(other, "photos", &photo(1, 900)).unwrap();
    let mut visit: Fields = [("purpose", "01"), ("mode", "01"), ("result", "01")]
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into();
    visit.insert("resident".to_owned(), id.to_string().into());
    visit.insert("at".to_owned(), Value::Int(1_700_000_000_000));
    let of_visit = [("photos".to_owned(), photo(3, 900))];
    let visit = one
        .record_event_with_photos("visit", area(), visit, &of_visit)
        .unwrap();
    let of_visit = blob::digest(&of_visit[0].1);
    let not_yet = |digest: &String| (digest.clone(), StatusCode::NOT_FOUND, "not_found");
    fake.uploads.lock().unwrap().refuse = vec![
        not_yet(&shared),
        not_yet(&of_visit),
        (damaged, StatusCode::UNPROCESSABLE_ENTITY, "photo_damaged"),
    ];
    assert_eq!(one.sync_once().await.unwrap().photos_refused, 1);
    assert_eq!(files(&one), 3 + 4, "bytes and notes");

    fake.world().take_away(id, true);
    one.sync_once().await.unwrap();
    let erased = Some("record_erased".to_owned());
    assert_eq!(codes(&one, id), [erased.clone(), erased.clone()]);
    assert_eq!(codes(&one, visit.into()), [erased], "it tells of them");
    assert_eq!(codes(&one, other), [None], "the other record's waits");
    assert_eq!(files(&one), 1 + 4, "that one has its bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_photo_of_a_record_that_left_keeps_no_bytes_once_it_is_refused() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    let id = one.create("resident", area(), resident("何晓梅")).unwrap();
    let digest = one.add_photo(id, "portrait", &photo(1, 900)).unwrap();
    fake.uploads.lock().unwrap().refuse = vec![(digest, StatusCode::NOT_FOUND, "not_found")];
    one.sync_once().await.unwrap();
    fake.world().take_away(id, false);
    until_refused(&one).await;
    assert_eq!(codes(&one, id), [Some("not_found".to_owned())]);
    assert_eq!(files(&one), 1, "its note, to be read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_photo_refused_with_its_record_is_kept_until_that_is_dismissed() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    let id = one.create("resident", area(), resident("何晓梅")).unwrap();
    let digest = one.add_photo(id, "portrait", &photo(1, 900)).unwrap();
    fake.world().refuse.insert(id, "invalid_value");
    fake.uploads.lock().unwrap().refuse = vec![(digest, StatusCode::NOT_FOUND, "not_found")];
    until_refused(&one).await;
    assert!(one.record(id).is_err());
    assert_eq!(files(&one), 2, "it may be added again");
    let refused: Vec<u64> = one.refused().unwrap().iter().map(|item| item.id).collect();
    one.dismiss(&refused).unwrap();
    one.sync_once().await.unwrap();
    assert_eq!(files(&one), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_photo_lies_open_in_the_folder() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    let id = one.create("resident", area(), resident("何晓梅")).unwrap();
    let bytes = photo(1, 5_000);
    one.add_photo(id, "photos", &bytes).unwrap();
    let folder = one.folder.path().join("photos");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        files += 1;
        for canary in [
            &bytes[..24],
            &bytes[2_000..2_024],
            id.to_string().as_bytes(),
        ] {
            assert!(!file.windows(canary.len()).any(|window| window == canary));
        }
    }
    assert_eq!(files, 2);
}

//! A real device sends a photo to the real server: through a connection that is cut it goes on where it stood, and where
//! it was taken is not told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use doorstep_core::blob;
use doorstep_core::rights::Role;
use doorstep_core::value::Fields;
use doorstep_server::testing::city::VILLAGE;
use doorstep_server::testing::{Person, TestServer};
use doorstep_tests::town::{self, Api};
use image::ImageDecoder;
use image::codecs::jpeg::JpegDecoder;
use image::metadata::Orientation;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Passes everything on until so many bytes went up; then that connection is dropped, once.
#[derive(Clone, Default)]
struct Wire {
    up: Arc<AtomicU64>,
    left: Arc<AtomicI64>,
}

impl Wire {
    async fn start(&self, server: std::net::SocketAddr) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let wire = self.clone();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(server).await.unwrap();
                tokio::spawn(wire.clone().pass(near, far));
            }
        });
        address
    }

    async fn pass(self, near: TcpStream, far: TcpStream) {
        let (mut near_read, mut near_write) = near.into_split();
        let (mut far_read, mut far_write) = far.into_split();
        let up = async {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                let length = near_read.read(&mut buffer).await.unwrap_or(0);
                if length == 0 || far_write.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
                self.up.fetch_add(length as u64, Ordering::Relaxed);
                let before = self.left.fetch_sub(length as i64, Ordering::Relaxed);
                if before > 0 && before <= length as i64 {
                    return;
                }
            }
        };
        tokio::select! {
            () = up => {}
            _ = tokio::io::copy(&mut far_read, &mut near_write) => {}
        }
    }
}

/// As the town knows people.
fn owner(person: &Person, server: &str) -> town::Person {
    town::Person {
        id: person.id.to_string(),
        name: person.login.clone(),
        login: person.login.clone(),
        password: person.password.clone(),
        api: Api::new(server.to_owned()).with_token(&person.token),
    }
}

fn noise(side: u32) -> Vec<u8> {
    let mut grain = 1_u32;
    let picture = image::RgbImage::from_fn(side, side, |_, _| {
        grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgb([(grain >> 24) as u8, (grain >> 16) as u8, 128])
    });
    let mut out = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 100);
    picture.write_with_encoder(encoder).unwrap();
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_devices_photo_arrives_after_its_connection_was_cut() {
    let server = TestServer::open_city().await.unwrap();
    let wire = Wire::default();
    let through = wire.start(server.address).await;
    let direct = format!("http://{}", server.address);
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let other = server.person(Role::Collector, VILLAGE).await.unwrap();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let owned = owner(&person, &direct);
    let sender = town::phone::light(&through, &owned, folders[0].path());
    let sender = sender.await.unwrap();
    let fields: Fields = [("name", "叶海思"), ("sex", "1"), ("population_kind", "01")]
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into();
    let area = VILLAGE.parse().unwrap();
    let resident = sender.create("resident", area, fields).unwrap();
    let bytes = noise(1_100);
    assert!(bytes.len() > 4 * blob::CHUNK, "{}", bytes.len());
    let digest = sender.add_photo(resident, "portrait", &bytes).unwrap();

    // In the middle of the third chunk.
    wire.left
        .store(5 * blob::CHUNK as i64 / 2, Ordering::Relaxed);
    let report = sender.sync_once().await.unwrap();
    assert_eq!(
        (report.photos_sent, report.photos_waiting),
        (0, 1),
        "{report:?}"
    );
    let list = format!("/api/records/{resident}/photos");
    let half = server
        .send("GET", &list, Some(&other.token), None)
        .await
        .unwrap();
    assert_eq!(half.body[0]["state"], "arriving");
    assert_eq!(half.body[0]["received"], 2 * blob::CHUNK);

    let before = wire.up.load(Ordering::Relaxed);
    let report = sender.sync_once().await.unwrap();
    assert_eq!(
        (report.photos_sent, report.photos_waiting),
        (1, 0),
        "{report:?}"
    );
    let sent = wire.up.load(Ordering::Relaxed) - before;
    let rest = (bytes.len() - 2 * blob::CHUNK) as u64;
    assert!(
        (rest..rest + 30_000).contains(&sent),
        "{sent} sent of {rest} that were left"
    );
    let whole = server
        .send("GET", &list, Some(&other.token), None)
        .await
        .unwrap();
    assert_eq!(whole.body[0]["state"], "arrived", "{}", whole.body);
    assert_eq!(whole.body[0]["digest"], Value::from(digest.as_str()));

    let owned = owner(&other, &direct);
    let reader = town::phone::light(&direct, &owned, folders[1].path());
    let reader = reader.await.unwrap();
    reader.sync_once().await.unwrap();
    let named = reader.record(resident).unwrap().registers;
    assert_eq!(named.get("portrait"), Some(&digest.as_str().into()));
    assert_eq!(reader.photo(&digest).await.unwrap(), bytes);
}

/// With EXIF behind the start that says 'turned by a quarter' and names a place.
fn with_place(jpeg: &[u8]) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x02".to_vec();
    // Orientation (0x0112), one short: 6, to be turned clockwise.
    exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0]);
    // The camera's maker (0x010f) as text, at 38.
    exif.extend([0x01, 0x0f, 0, 2, 0, 0, 0, 13, 0, 0, 0, 38, 0, 0, 0, 0]);
    exif.extend(b"GPS 31.2304N\0");
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_photo_was_taken_stays_on_the_phone() {
    let server = TestServer::open_city().await.unwrap();
    let direct = format!("http://{}", server.address);
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let owned = owner(&person, &direct);
    let device = town::phone::light(&direct, &owned, folder.path());
    let device = device.await.unwrap();
    let fields: Fields = [("name", "叶海思"), ("sex", "1"), ("population_kind", "01")]
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into();
    let area = VILLAGE.parse().unwrap();
    let resident = device.create("resident", area, fields).unwrap();
    let taken = with_place(&noise(200));
    let digest = device.add_photo(resident, "portrait", &taken).unwrap();
    assert_eq!(device.sync_once().await.unwrap().photos_sent, 1);
    let kept = device.photo(&digest).await.unwrap();
    let tells_place = |bytes: &[u8]| bytes.windows(4).any(|part| part == b"GPS ");
    assert!(tells_place(&taken) && !tells_place(&kept));
    let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().into_rgb8();
    assert!(pixels(&taken) == pixels(&kept), "other pixels");
    let mut decoder = JpegDecoder::new(Cursor::new(&kept)).unwrap();
    assert_eq!(decoder.orientation().unwrap(), Orientation::Rotate90);
}

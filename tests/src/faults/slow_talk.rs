//! Connections that do something, but so slowly that it would never end: a body that comes a byte at a time, a signed-in
//! device that reads nothing of what it is sent, an answer that is taken a few bytes at a time. Knows no other fault.

use std::io::Cursor;
use std::time::Duration;

use anyhow::{Context, ensure};
use doorstep_client::Device;
use doorstep_core::store::memory::MemoryStore;
use futures_util::future::join_all;
use image::{ImageFormat, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::ground::{Ground, resident};
use super::slow_sockets::until_closed;
use crate::town::routes;
use crate::town::tap::Tap;

/// How long a request may take (`server/src/config.rs`), and something.
const BODY: Duration = Duration::from_secs(40);
/// How long a device may be silent until that is seen (`server/src/sync/socket.rs`), and something.
const DEAF: Duration = Duration::from_secs(115);
/// How long whoever takes nothing is waited for (`server/src/http/place.rs`), and something.
const ANSWER: Duration = Duration::from_secs(135);
/// Between two sips of an answer.
const BEAT: Duration = Duration::from_millis(500);
/// What still comes then comes within this.
const REST: Duration = Duration::from_secs(3);

/// How many there are of each kind.
const EACH: usize = 3;
/// The sides of a picture of random pixels: some 8 MB, twice what the system keeps for who does not read.
const SIDE: u32 = 1_600;

/// See the module.
pub(super) struct Talkers {
    host: String,
    deaf: Vec<Tap>,
    /// Asks for the picture.
    ask: String,
    picture: usize,
}

impl Talkers {
    /// Signs the devices in, and puts the picture on the server.
    pub(super) async fn gather(ground: &mut Ground, rng: &mut ChaCha8Rng) -> anyhow::Result<Self> {
        let url = ground.server.url();
        let mut deaf = Vec::new();
        for _ in 0..EACH {
            let device = of_collector(ground).await?;
            let mut tap = Tap::open(&url, &device, Vec::new()).await?;
            tap.welcome().await?;
            deaf.push(tap);
        }
        let device = of_collector(ground).await?;
        let record = device.create("resident", ground.area, resident())?;
        let picture = noise(rng)?;
        let digest = device.add_photo(record, "photos", &picture)?;
        let report = device.sync_once().await?;
        ensure!(report.photos_sent == 1, "the picture: {report:?}");
        let host = url.trim_start_matches("http://").to_owned();
        let ask = format!(
            "GET {}/{digest} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\r\n",
            routes::PHOTOS,
            device.login().token()?
        );
        Ok(Self {
            host,
            deaf,
            ask,
            picture: picture.len(),
        })
    }

    /// Talks for as long as the server may take to end it. Gives each connection's kind, and whether it was ended.
    pub(super) async fn talk(self) -> anyhow::Result<Vec<(&'static str, bool)>> {
        let (bodies, deaf, answers) = tokio::join!(
            join_all((0..EACH).map(|_| drip(&self.host))),
            join_all(self.deaf.into_iter().map(hear_nothing)),
            join_all((0..EACH).map(|_| sip(&self.host, &self.ask, self.picture))),
        );
        let mut ended = Vec::new();
        for body in bodies {
            ended.push(("a body a byte at a time", body?));
        }
        for gone in deaf {
            ended.push(("nothing read", gone));
        }
        for answer in answers {
            ended.push(("an answer a few bytes at a time", answer?));
        }
        Ok(ended)
    }
}

async fn of_collector(ground: &mut Ground) -> anyhow::Result<Device<MemoryStore>> {
    let collector = ground.collector.clone();
    let device = ground.light(&collector).await?;
    device.sync_once().await?;
    Ok(device)
}

/// A picture that nothing packs.
fn noise(rng: &mut ChaCha8Rng) -> anyhow::Result<Vec<u8>> {
    let mut pixels = vec![0; (SIDE * SIDE * 3) as usize];
    rng.fill_bytes(&mut pixels);
    let picture = RgbImage::from_raw(SIDE, SIDE, pixels).context("the pixels are as many")?;
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Png)?;
    Ok(out.into_inner())
}

/// Says a body a byte at a time; whether that is ended.
async fn drip(host: &str) -> anyhow::Result<bool> {
    let mut stream = TcpStream::connect(host).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n{{",
        routes::SIGN_IN
    );
    stream.write_all(head.as_bytes()).await?;
    Ok(until_closed(stream, true, BODY).await)
}

/// Reads nothing; whether that was ended meanwhile: what the system keeps is read then, to its end.
async fn hear_nothing(mut tap: Tap) -> bool {
    tokio::time::sleep(DEAF).await;
    let rest = async { while tap.next().await.is_ok() {} };
    tokio::time::timeout(REST, rest).await.is_ok()
}

/// Takes a picture a few bytes at a time; whether that was ended meanwhile: it is not all there to be taken then.
async fn sip(host: &str, ask: &str, picture: usize) -> anyhow::Result<bool> {
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(ask.as_bytes()).await?;
    let mut said = [0; 16];
    stream.read_exact(&mut said).await?;
    ensure!(said.starts_with(b"HTTP/1.1 200"), "the picture is refused");
    let mut taken = said.len();
    let end = Instant::now() + ANSWER;
    while Instant::now() < end {
        tokio::time::sleep(BEAT).await;
        taken += stream.read(&mut said).await.unwrap_or(0);
    }
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    tokio::time::timeout(REST, reading).await.ok();
    Ok(taken + rest.len() < picture)
}

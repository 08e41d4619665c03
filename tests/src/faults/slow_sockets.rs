//! Connections that only hold a place: silent ones, half of a request's head, a websocket without its Hello, and those
//! that go on for ever (`slow_talk`). While they are held an honest device works as if nothing were; afterwards the
//! server has closed every one of them by itself.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::ground::Ground;
use super::honest::Honest;
use super::slow_talk::Talkers;
use super::{Figures, Options};
use crate::town::routes;

/// The honest device's slowest twentieth may take so long.
const HONEST: Duration = Duration::from_secs(2);
/// How long the server may hold a connection that says nothing sensible.
const PATIENCE: Duration = Duration::from_secs(25);

/// The row `slow-sockets`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let url = ground.server.url();
    let host = url.trim_start_matches("http://").to_owned();
    let talkers = Talkers::gather(ground, &mut options.chance("slow-sockets")).await?;
    let honest = Honest::begin(ground).await?;
    let count = options.count(150, 2_000);
    let started = Instant::now();
    let mut held = Vec::new();
    for number in 0..count {
        let mut stream = TcpStream::connect(&host).await?;
        let text = match number % 3 {
            0 => String::new(),
            1 => format!("GET {} HTTP/1.1\r\nHost: {host}\r\nX-Slow: ", routes::READY),
            _ => format!(
                "GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                routes::SYNC
            ),
        };
        stream.write_all(text.as_bytes()).await?;
        held.push(stream);
    }
    let closing = join_all(
        held.into_iter()
            .enumerate()
            .map(|(number, stream)| async move {
                let kind = ["silence", "half a head", "no Hello"][number % 3];
                (kind, until_closed(stream, number % 3 == 1, PATIENCE).await)
            }),
    );
    let closing = async {
        let closed = closing.await;
        (closed, started.elapsed())
    };
    let ((closed, waited), talked) = tokio::join!(closing, talkers.talk());
    let talked = talked?;
    let slow = talked.len();
    for (kind, closed) in closed.into_iter().chain(talked) {
        figures.fault(if closed {
            Ok(())
        } else {
            Err(format!("{kind}: not ended in time"))
        });
    }
    let beside = honest.end(ground, &mut figures).await?;
    figures.fault(if beside.p95 <= HONEST {
        Ok(())
    } else {
        Err(format!("the honest device's p95 was {:?}", beside.p95))
    });
    figures.note = format!(
        "{count} held until closed, {:.0} s; {slow} that go on for ever; {}",
        waited.as_secs_f64(),
        beside.note
    );
    Ok(figures)
}

/// Whether the server closes it in time; `drip` says a byte now and then, as if more were to come.
pub(super) async fn until_closed(mut stream: TcpStream, drip: bool, patience: Duration) -> bool {
    let mut buffer = [0; 1024];
    let end = Instant::now() + patience;
    loop {
        let wait = end.min(Instant::now() + Duration::from_secs(2));
        match tokio::time::timeout_at(wait, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
            Err(_) if Instant::now() >= end => return false,
            Err(_) => {
                if drip && stream.write_all(b"x").await.is_err() {
                    return true;
                }
            }
        }
    }
}

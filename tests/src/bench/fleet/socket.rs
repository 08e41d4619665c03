//! A websocket that costs its holder little, from an address of loopback's own: one address has ports for some 28,000.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The server takes the phone later.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("sent away for {wait:?}")]
pub(super) struct Away {
    /// When it wants the phone to come again.
    pub(super) wait: Duration,
    /// It has no place left at all: a balancer would send the phone to another.
    pub(super) full: bool,
}

/// See the module.
pub(super) type Socket = WebSocketStream<TcpStream>;

/// How many connections come from one address: a system that looks for a free port among thousands of taken ones takes
/// longer for it than the server for its answer.
const PER_ADDRESS: usize = 2_000;
/// The library's default, 128 KiB, is a phone's concern no more than a server's.
const BUFFER: usize = 2 * 1024;

/// Opens the one with this number.
pub(super) async fn open(server: SocketAddr, number: usize) -> anyhow::Result<Socket> {
    let last = u8::try_from(2 + number / PER_ADDRESS)?;
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    let stream = socket.connect(server).await?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0);
    let url = format!("ws://{server}/api/sync");
    match tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) if response.status() == StatusCode::SERVICE_UNAVAILABLE => {
            let seconds = response.headers().get("retry-after");
            let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
            let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default());
            Err(Away {
                wait: Duration::from_secs(seconds.context("no time told")?),
                full: body.contains("\"full\""),
            }
            .into())
        }
        Err(error) => Err(error.into()),
    }
}

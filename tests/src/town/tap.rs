//! A bare connection, without a store: asks where the server says each scope's log ends, or pushes what was sealed
//! before. What phones hold is compared with the server's word, and not with what they believe.

use std::time::Duration;

use anyhow::{Context, bail};
use doorstep_client::Device;
use doorstep_core::envelope::{Envelope, Item, VERSION};
use doorstep_core::ids::ScopeId;
use doorstep_core::protocol;
use doorstep_core::protocol::frames::{Cursor, Down, Hello, Pushed, Up, Welcome};
use doorstep_core::store::DeviceStore;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::routes;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct Tap {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Tap {
    /// Connects and says hello as a device, holding what `scopes` says.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub async fn open<S: DeviceStore + Send + 'static>(
        server: &str,
        device: &Device<S>,
        scopes: Vec<(ScopeId, Cursor)>,
    ) -> anyhow::Result<Self> {
        let url = format!("{}{}", server.replacen("http", "ws", 1), routes::SYNC);
        let (socket, _) = tokio_tungstenite::connect_async(url).await?;
        let mut tap = Self { socket };
        let hello = Hello {
            version: protocol::VERSION,
            token: device.login().token()?.into_bytes(),
            device: device.who().device,
            scopes,
        };
        tap.send(&Up::Hello(hello)).await?;
        Ok(tap)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&mut self, frame: &Up) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::binary(frame.encode())).await?)
    }

    /// Sends bytes as they are, whatever they are.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::binary(bytes)).await?)
    }

    /// Waits for the answer to an envelope; passes over what else comes, and confirms it so that it keeps coming.
    ///
    /// # Errors
    /// As `next`.
    pub async fn pushed(&mut self) -> anyhow::Result<Pushed> {
        loop {
            match self.next().await? {
                Down::Pushed(pushed) => return Ok(pushed),
                Down::Batch(batch) => self.send(&Up::Stored(batch.scope, batch.to)).await?,
                _ => {}
            }
        }
    }

    /// The next frame.
    ///
    /// # Errors
    /// When the server says goodbye, is gone, or says nothing for too long.
    pub async fn next(&mut self) -> anyhow::Result<Down> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next())
                .await
                .context("no answer")?;
            if let Message::Binary(bytes) = message.context("closed")?? {
                match Down::decode(&bytes)? {
                    Down::Bye(bye) => bail!("{}: {}", bye.code, bye.message),
                    frame => return Ok(frame),
                }
            }
        }
    }

    /// Waits for the Welcome.
    ///
    /// # Errors
    /// As `next`.
    pub async fn welcome(&mut self) -> anyhow::Result<Welcome> {
        loop {
            if let Down::Welcome(welcome) = self.next().await? {
                return Ok(welcome);
            }
        }
    }

    /// Goes.
    pub async fn close(mut self) {
        self.socket.close(None).await.ok();
    }
}

/// Signs items into an envelope as a device does.
pub fn seal<S: DeviceStore + Send + 'static>(device: &Device<S>, seq: u64, items: Vec<Item>) -> Up {
    let who = device.who();
    let envelope = Envelope {
        version: VERSION,
        device: who.device,
        user: who.user,
        seq,
        time: device.now(),
        items,
    };
    Up::Push(envelope.seal(&who.key))
}

/// Where a scope's log ends, by the server's own word to a device of it.
///
/// # Errors
/// When the server refuses, or the scope is not the device's.
pub async fn end_of<S: DeviceStore + Send + 'static>(
    server: &str,
    device: &Device<S>,
    scope: ScopeId,
) -> anyhow::Result<Cursor> {
    let mut tap = Tap::open(server, device, Vec::new()).await?;
    let welcome = tap.welcome().await?;
    tap.close().await;
    let state = welcome
        .scopes
        .into_iter()
        .find(|state| state.scope == scope);
    Ok(state.context("the scope is not the device's")?.end)
}

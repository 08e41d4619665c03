//! The websocket: frames out through a queue, frames in one by one, small buffers. Knows no frame's meaning.

use std::sync::Arc;
use std::time::Duration;

use doorstep_core::protocol::{MAX_FRAME_DOWN, MAX_FRAME_UP};
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::counters::{Counted, Counters};
use crate::error::{ClientError, ClientResult, Kind};
use crate::http::ServerAddress;

/// The library's own buffers would take 128 KiB a socket at once.
const BUFFER: usize = 4 * 1024;
/// Frames that may wait to be written; what they answer is bounded by the protocol's windows.
const QUEUE: usize = 1024;

type Stream = WebSocketStream<MaybeTlsStream<Counted<TcpStream>>>;

/// An open websocket. Writing has a task of its own, so that neither side can block the other by not reading.
pub(crate) struct Socket {
    reader: SplitStream<Stream>,
    queue: mpsc::Sender<Message>,
    writer: JoinHandle<()>,
    counters: Arc<Counters>,
}

/// What a socket gives.
pub(crate) enum Heard {
    /// A frame.
    Frame(Vec<u8>),
    /// A sign of life.
    Alive,
}

impl Socket {
    /// Opens a websocket at a route.
    pub(crate) async fn open(
        server: &ServerAddress,
        route: &str,
        patience: Duration,
        counters: Arc<Counters>,
    ) -> ClientResult<Self> {
        let opening = open_stream(server, route, counters.clone());
        let stream = tokio::time::timeout(patience, opening)
            .await
            .map_err(|_| ClientError::offline("opening the websocket took too long"))??;
        counters.connected();
        let (mut sink, reader) = stream.split();
        let (queue, mut waiting) = mpsc::channel::<Message>(QUEUE);
        let writer = tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                if sink.feed(message).await.is_err() {
                    return;
                }
                // What else waits goes into the same write.
                if waiting.is_empty() && sink.flush().await.is_err() {
                    return;
                }
            }
            sink.close().await.ok();
        });
        Ok(Self {
            reader,
            queue,
            writer,
            counters,
        })
    }

    /// Queues a frame.
    pub(crate) fn send(&self, frame: Vec<u8>) -> ClientResult<()> {
        if frame.len() > MAX_FRAME_UP {
            return Err(ClientError::protocol("a frame of ours is too long"));
        }
        self.counters.frame_up(frame.len());
        self.queue(Message::Binary(frame.into()))
    }

    /// Asks for a sign of life.
    pub(crate) fn ping(&self) -> ClientResult<()> {
        self.queue(Message::Ping(Vec::new().into()))
    }

    fn queue(&self, message: Message) -> ClientResult<()> {
        self.queue
            .try_send(message)
            .map_err(|_| ClientError::offline("the websocket takes no more"))
    }

    /// The next thing heard. Cancelling it loses nothing.
    pub(crate) async fn next(&mut self) -> ClientResult<Heard> {
        match self.reader.next().await {
            Some(Ok(Message::Binary(frame))) => {
                self.counters.frame_down(frame.len());
                Ok(Heard::Frame(frame.into()))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Heard::Alive),
            Some(Ok(Message::Text(_) | Message::Frame(_))) => {
                Err(ClientError::protocol("a message that is no frame"))
            }
            Some(Ok(Message::Close(_))) | None => {
                Err(ClientError::offline("the server closed the websocket"))
            }
            Some(Err(error)) => Err(ClientError::offline(error)),
        }
    }

    /// Writes what waits, says good-bye and closes; gives up after a while.
    pub(crate) async fn close(self) {
        let Self {
            queue, mut writer, ..
        } = self;
        drop(queue);
        if tokio::time::timeout(Duration::from_secs(3), &mut writer)
            .await
            .is_err()
        {
            writer.abort();
        }
    }
}

async fn open_stream(
    server: &ServerAddress,
    route: &str,
    counters: Arc<Counters>,
) -> ClientResult<Stream> {
    let (host, port) = server.host_and_port();
    let tcp = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(ClientError::offline)?;
    tcp.set_nodelay(true).map_err(ClientError::offline)?;
    let request = server
        .socket(route)
        .into_client_request()
        .map_err(|_| ClientError::protocol("address of the websocket"))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(4 * MAX_FRAME_UP)
        .max_message_size(Some(MAX_FRAME_DOWN))
        .max_frame_size(Some(MAX_FRAME_DOWN));
    match client_async_tls_with_config(request, Counted::new(tcp, counters), Some(config), None)
        .await
    {
        Ok((stream, _)) => Ok(stream),
        Err(tokio_tungstenite::tungstenite::Error::Http(response))
            if response.status().is_client_error() =>
        {
            let status = response.status().as_u16();
            Err(ClientError::new(
                Kind::Refused,
                format!("http_{status}"),
                format!("这个地址不提供同步服务（{status}）：请检查服务器地址和应用版本"),
            ))
        }
        Err(error) => Err(ClientError::offline(error)),
    }
}

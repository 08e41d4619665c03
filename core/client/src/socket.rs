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
use tokio_tungstenite::tungstenite::http::{Response, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::counters::{Counted, Counters};
use crate::error::{ClientError, ClientResult, Kind};
use crate::http::{ServerAddress, retry_after};

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

/// No websocket was opened: the address serves none, or the server wants the device to come later.
fn refused(response: &Response<Option<Vec<u8>>>) -> ClientError {
    let status = response.status();
    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        return ClientError::new(
            Kind::Refused,
            format!("http_{}", status.as_u16()),
            format!(
                "这个地址不提供同步服务（{}）：请检查服务器地址和应用版本",
                status.as_u16()
            ),
        );
    }
    ClientError {
        retry_after: retry_after(response.headers()),
        ..ClientError::offline(status)
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
    let connector = server.connector()?.map(Connector::NativeTls);
    let tcp = Counted::new(tcp, counters);
    match client_async_tls_with_config(request, tcp, Some(config), connector).await {
        Ok((stream, _)) => Ok(stream),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(refused(&response)),
        Err(error) => Err(ClientError::offline(error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What comes of an address that answers so.
    async fn opening(answer: &'static str) -> ClientError {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 2048]).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let server_address = ServerAddress::parse(&url).unwrap();
        let counters = Arc::default();
        let opened = Socket::open(
            &server_address,
            "/api/sync",
            Duration::from_secs(5),
            counters,
        );
        let error = opened.await.err().unwrap();
        server.await.unwrap();
        error
    }

    #[tokio::test]
    async fn a_busy_server_is_come_back_to_when_it_says_and_a_wrong_address_never() {
        let busy =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
        let busy = opening(busy).await;
        assert_eq!(busy.kind, Kind::Offline);
        assert_eq!(busy.retry_after, Some(Duration::from_secs(7)));
        let wrong = opening("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(wrong.kind, Kind::Refused);
        assert_eq!(wrong.code, "http_404");
    }
}

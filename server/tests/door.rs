//! More devices come at once than can sign in: those that can't wait are told when to come, and it works when they do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod device;

use std::time::Duration;

use device::SimDevice;
use doorstep_core::ids::DeviceId;
use doorstep_core::protocol::VERSION;
use doorstep_core::protocol::frames::{Bye, Down, Hello, Up};
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::VILLAGE;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Sixteen sign in, 256 wait.
const ROOM: usize = 16 + 256;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Someone whose token is worth nothing says hello.
async fn say_hello(socket: &mut Socket) {
    let hello = Up::Hello(Hello {
        version: VERSION,
        token: b"nothing".to_vec(),
        device: DeviceId::from_bytes([7; 16]),
        scopes: Vec::new(),
    });
    socket.send(Message::binary(hello.encode())).await.unwrap();
}

/// The goodbye that is said.
async fn goodbye(socket: &mut Socket) -> Bye {
    let Some(Ok(Message::Binary(frame))) = socket.next().await else {
        panic!("nothing was said");
    };
    let Down::Bye(bye) = Down::decode(&frame).unwrap() else {
        panic!("no goodbye");
    };
    bye
}

#[tokio::test]
async fn who_finds_no_room_is_told_when_to_come_and_is_let_in_then() {
    let server = TestServer::open_city().await.unwrap();
    let mut honest = SimDevice::new(&server, VILLAGE).await;
    let url = format!("ws://{}/api/sync", server.next_address());
    // Nobody's token can be looked up while this lasts.
    let mut tx = server.state.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *tx)
        .await
        .unwrap();
    // One came in time, and its hello finds everything taken.
    let (mut late, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..ROOM {
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        say_hello(&mut socket).await;
        waiting.push(socket);
    }
    let told = loop {
        match tokio_tungstenite::connect_async(&url).await {
            Err(Error::Http(response)) => break response,
            // Their hellos are still being read.
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(told.status(), 503);
    let seconds: u64 = told.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let body: serde_json::Value = serde_json::from_slice(told.body().as_ref().unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "busy");
    say_hello(&mut late).await;
    let bye = goodbye(&mut late).await;
    assert_eq!(bye.code, "busy");
    assert!((1_000..=60_000).contains(&bye.retry_after_ms.unwrap()));
    tx.rollback().await.unwrap();
    for mut socket in waiting {
        assert_eq!(goodbye(&mut socket).await.code, "signed_out");
    }
    honest.create_resident("叶海思", "310115197004275621");
    honest.sync().await;
    assert_eq!(honest.unsent(), 0);
}

//! Takes connections and serves HTTP/1.1 on each. A client has a limited time to say what it wants: whoever connects
//! and stays silent, or says half a head, would otherwise hold a place for ever. Where there is no place left, it says
//! so at once: a connection that the system keeps waiting looks like a server that is down. Knows no route.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use super::place::{Place, Placed};

/// How long a new connection's first head may take.
const GREETING: Duration = Duration::from_secs(10);
/// How long any later head may take, silence before it included: longer than proxies keep a connection.
const NEXT_HEAD: Duration = Duration::from_secs(75);
/// How long it may take to be told that there is no place.
const REFUSING: Duration = Duration::from_secs(2);
/// Wait after the system could give no connection, for want of file descriptors say.
const BREATH: Duration = Duration::from_millis(500);

/// How many are told that there is no place at a time; any more are hung up on.
const REFUSED_AT_ONCE: usize = 64;
/// What who comes to a full server is answered: the error form of the API, and a while by when a balancer will have
/// noticed, too, and send them elsewhere.
const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\
    Content-Type: application/json\r\nContent-Length: ";
const FULL_BODY: &str = r#"{"error":{"code":"full","message":"连接的人已满，请稍候，会自动重新连接；修改都保存在手机上。","request_id":""}}"#;

/// Serves at most so many connections at a time until `stop`, then lets requests under way end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    most: usize,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let graceful = GracefulShutdown::new();
    let (open, refused) = (Arc::default(), Arc::default());
    loop {
        let (stream, address) = tokio::select! {
            taken = take(&listener) => taken,
            () = &mut stop => break,
        };
        let Some(place) = Place::of(&open, most) else {
            metrics::counter!("doorstep_connections_refused_total").increment(1);
            if let Some(told) = Place::of(&refused, REFUSED_AT_ONCE) {
                tokio::spawn(refuse(stream, told));
            }
            continue;
        };
        // Frames are small and each is waited for.
        stream.set_nodelay(true).ok();
        let stream = Placed::new(stream, place);
        let asked = Arc::new(AtomicBool::new(false));
        let heard = asked.clone();
        let service = router
            .clone()
            .map_request(move |request: Request<Incoming>| {
                heard.store(true, Ordering::Relaxed);
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(address));
                request
            });
        let service = TowerToHyperService::new(service);
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let mut http = Builder::new(TokioExecutor::new()).http1_only();
            http.http1()
                .timer(TokioTimer::new())
                .header_read_timeout(NEXT_HEAD);
            let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let mut connection = pin!(watcher.watch(connection));
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = tokio::time::sleep(GREETING) => {
                    if !asked.load(Ordering::Relaxed) {
                        metrics::counter!("doorstep_silent_connections_total").increment(1);
                        return;
                    }
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::trace!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Says that there is no place. What the client says is read, before and after: a socket closed over unread bytes is
/// reset, and takes the answer along.
async fn refuse(mut stream: TcpStream, _told: Place) {
    let answering = async {
        let mut said = [0; 1024];
        if stream.read(&mut said).await? == 0 {
            return Ok(());
        }
        let answer = format!("{FULL}{}\r\n\r\n{FULL_BODY}", FULL_BODY.len());
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        while stream.read(&mut said).await? > 0 {}
        std::io::Result::Ok(())
    };
    tokio::time::timeout(REFUSING, answering).await.ok();
}

/// The next connection. One that is gone before it is taken is passed over.
async fn take(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(taken) => return taken,
            Err(error) => {
                use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
                let theirs = [ConnectionAborted, ConnectionRefused, ConnectionReset];
                if !theirs.contains(&error.kind()) {
                    tracing::error!(%error, "no connection can be taken");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    async fn server(most: usize) -> (SocketAddr, oneshot::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let whose =
            |ConnectInfo(address): ConnectInfo<SocketAddr>| async move { address.to_string() };
        let router = Router::new().route("/", get(whose));
        tokio::spawn(serve(listener, router, most, async {
            stopped.await.unwrap_or(())
        }));
        (address, stop)
    }

    /// Says something, and then a byte now and then; whether the server ends it.
    async fn is_ended(address: SocketAddr, text: &str) -> bool {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut buffer = [0; 512];
        for _ in 0..4 {
            match tokio::time::timeout(GREETING / 3, stream.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => return true,
                Ok(Ok(_)) => return false,
                Err(_) if text.is_empty() => {}
                Err(_) => drop(stream.write_all(b"x").await),
            }
        }
        false
    }

    #[tokio::test]
    async fn who_says_nothing_or_half_of_it_is_not_waited_for() {
        let (address, _stop) = server(10).await;
        let (silent, half) = tokio::join!(
            is_ended(address, ""),
            is_ended(address, "GET / HTTP/1.1\r\nX-Slow: ")
        );
        assert!(silent && half, "silent {silent}, half {half}");
    }

    /// Longer than what the system keeps for a client that does not read.
    const LONG: usize = 32 * 1024 * 1024;

    /// Takes an answer at so many bytes a beat for longer than a client that does not read is waited for, and then at
    /// once; how much of it came.
    async fn taken(address: SocketAddr, bytes: usize, beat: Duration) -> usize {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let ask = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut said = vec![0; bytes];
        let mut beats = tokio::time::interval(beat);
        let started = tokio::time::Instant::now();
        let mut taken = 0;
        while started.elapsed() < Duration::from_secs(130) {
            beats.tick().await;
            taken += stream.read(&mut said).await.unwrap_or(0);
        }
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok();
        taken + rest.len()
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_an_answer_a_few_bytes_at_a_time_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { vec![7; LONG] }));
        tokio::spawn(serve(listener, router, 10, std::future::pending()));
        let (few, slow) = tokio::join!(
            taken(address, 16, Duration::from_millis(200)),
            taken(address, 64 * 1024, Duration::from_secs(1))
        );
        assert!(few < LONG, "{few} bytes came");
        assert!(slow > LONG, "{slow} bytes came to a slow line");
    }

    /// What is answered to a request, over a connection that stays open.
    async fn ask(address: SocketAddr) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut buffer = vec![0; 1024];
        let length = stream.read(&mut buffer).await.unwrap();
        let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
        (said, stream)
    }

    #[tokio::test]
    async fn a_full_server_says_so_and_has_room_again_when_someone_leaves() {
        let (address, _stop) = server(2).await;
        let (one, first) = ask(address).await;
        let (two, _second) = ask(address).await;
        assert!(one.starts_with("HTTP/1.1 200") && two.starts_with("HTTP/1.1 200"));
        for _ in 0..3 {
            let (full, mut third) = ask(address).await;
            assert!(full.starts_with("HTTP/1.1 503") && full.contains("Retry-After: 5"));
            let body = full.split_once("\r\n\r\n").unwrap().1;
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["error"]["code"], "full");
            assert_eq!(third.read(&mut [0]).await.unwrap(), 0);
        }
        drop(first);
        let mut again = String::new();
        for _ in 0..50 {
            again = ask(address).await.0;
            if again.starts_with("HTTP/1.1 200") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no room: {again}");
    }

    #[tokio::test]
    async fn handlers_know_who_asks_and_a_stop_ends_it() {
        let (address, stop) = server(10).await;
        let (said, mut stream) = ask(address).await;
        let ours = stream.local_addr().unwrap().to_string();
        assert!(said.ends_with(&ours), "{said}");
        stop.send(()).unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
}

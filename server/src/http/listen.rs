//! Takes connections and serves HTTP/1.1 on each. A client has a limited time to say what it wants: whoever connects
//! and stays silent, or says half a head, would otherwise hold a place for ever. Knows no route.

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
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// How long a new connection's first head may take.
const GREETING: Duration = Duration::from_secs(10);
/// How long any later head may take, silence before it included: longer than proxies keep a connection.
const NEXT_HEAD: Duration = Duration::from_secs(75);
/// Wait after the system could give no connection, for want of file descriptors say.
const BREATH: Duration = Duration::from_millis(500);

/// Serves until `stop`, then lets requests under way end.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, address) = tokio::select! {
            taken = take(&listener) => taken,
            () = &mut stop => break,
        };
        // Frames are small and each is waited for.
        stream.set_nodelay(true).ok();
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

    async fn server() -> (SocketAddr, oneshot::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let whose =
            |ConnectInfo(address): ConnectInfo<SocketAddr>| async move { address.to_string() };
        let router = Router::new().route("/", get(whose));
        tokio::spawn(serve(listener, router, async {
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
        let (address, _stop) = server().await;
        let (silent, half) = tokio::join!(
            is_ended(address, ""),
            is_ended(address, "GET / HTTP/1.1\r\nX-Slow: ")
        );
        assert!(silent && half, "silent {silent}, half {half}");
    }

    #[tokio::test]
    async fn handlers_know_who_asks_and_a_stop_ends_it() {
        let (address, stop) = server().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut buffer = vec![0; 1024];
        let length = stream.read(&mut buffer).await.unwrap();
        let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let ours = stream.local_addr().unwrap().to_string();
        assert!(said.ends_with(&ours), "{said}");
        stop.send(()).unwrap();
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 0);
    }
}

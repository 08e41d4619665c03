//! How much a device has sent and received. For benches, and for collectors who pay for their data.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Running counts, shared by everything that a device sends with.
#[derive(Debug, Default)]
pub struct Counters {
    frames_up: AtomicU64,
    frames_down: AtomicU64,
    frame_bytes_up: AtomicU64,
    frame_bytes_down: AtomicU64,
    socket_bytes_up: AtomicU64,
    socket_bytes_down: AtomicU64,
    http_bytes_up: AtomicU64,
    http_bytes_down: AtomicU64,
    connections: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Frames sent.
    pub frames_up: u64,
    /// Frames received.
    pub frames_down: u64,
    /// Their bytes, kind byte and body.
    pub frame_bytes_up: u64,
    /// Their bytes, kind byte and body.
    pub frame_bytes_down: u64,
    /// Bytes written to sockets of the websocket, its opening and framing (and TLS) included.
    pub socket_bytes_up: u64,
    /// Bytes read from them.
    pub socket_bytes_down: u64,
    /// Bytes of HTTP bodies sent (sign-in, photos).
    pub http_bytes_up: u64,
    /// Bytes of HTTP bodies received (sign-in, bundles, photos).
    pub http_bytes_down: u64,
    /// Websockets opened.
    pub connections: u64,
}

impl Counters {
    /// The counts now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Totals {
            frames_up: read(&self.frames_up),
            frames_down: read(&self.frames_down),
            frame_bytes_up: read(&self.frame_bytes_up),
            frame_bytes_down: read(&self.frame_bytes_down),
            socket_bytes_up: read(&self.socket_bytes_up),
            socket_bytes_down: read(&self.socket_bytes_down),
            http_bytes_up: read(&self.http_bytes_up),
            http_bytes_down: read(&self.http_bytes_down),
            connections: read(&self.connections),
        }
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn frame_up(&self, bytes: usize) {
        self.frames_up.fetch_add(1, Ordering::Relaxed);
        self.frame_bytes_up
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn frame_down(&self, bytes: usize) {
        self.frames_down.fetch_add(1, Ordering::Relaxed);
        self.frame_bytes_down
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn http_up(&self, bytes: usize) {
        self.http_bytes_up
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn http_down(&self, bytes: usize) {
        self.http_bytes_down
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A stream whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    stream: T,
    counters: Arc<Counters>,
}

impl<T> Counted<T> {
    pub(crate) fn new(stream: T, counters: Arc<Counters>) -> Self {
        Self { stream, counters }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        self.counters
            .socket_bytes_down
            .fetch_add(read as u64, Ordering::Relaxed);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            self.counters
                .socket_bytes_up
                .fetch_add(*written as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

//! A place among so many, held as long as the connection that has it: a websocket outlives the request that asked for it.
//! Whoever has a place must take what they are told: a client that reads an answer a few bytes at a time would otherwise
//! hold the place, and the answer in memory, for as long as it likes. Knows no protocol.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// How long a client that does not read is waited for. The system tells of room only when a third of its buffer is free,
/// a megabyte and more towards a proxy: a phone behind it that takes ten kilobytes a second needs as long.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes that it must take for each second more.
const SLOWEST: u32 = 1024;

/// One of so many; given back when it is dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    /// One more of at most so many; `None` when all are taken.
    pub(super) fn of(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let place = Self(taken.clone());
        (taken.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection with its place.
pub(super) struct Placed {
    stream: TcpStream,
    /// How long it would be waited for now.
    patience: Duration,
    /// The end of that, while it is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl Placed {
    pub(super) fn new(stream: TcpStream, place: Place) -> Self {
        Self {
            stream,
            patience: PATIENCE,
            waiting: None,
            _place: place,
        }
    }

    /// Fails a write that has waited for too long; what is taken buys time.
    fn waited(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(end) = self.waiting.take() {
                    self.patience = end.deadline().saturating_duration_since(Instant::now());
                }
                let bytes = u32::try_from(*bytes).unwrap_or(u32::MAX);
                let bought = Duration::from_secs(1) * bytes / SLOWEST;
                self.patience = (self.patience + bought).min(PATIENCE);
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                let patience = self.patience;
                let end = self
                    .waiting
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                end.as_mut()
                    .poll(context)
                    .map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.waited(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.waited(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

//! A line that is cut where one wants it: a proxy that follows the websocket's frames in both directions and cuts the
//! connection before a frame, or in the middle of it; and an answer over another connection after so many bytes. What is
//! not planned passes through untouched. Knows no frame's content.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the device.
    Up,
    /// To the device.
    Down,
}

/// Where the next websocket is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Counting the frames of this direction.
    pub way: Way,
    /// Before this frame, from 1.
    pub frame: usize,
    /// Half of the frame still goes through.
    pub within: bool,
}

/// What is planned.
#[derive(Debug, Default)]
struct Plans {
    frame: Mutex<Option<Cut>>,
    /// In so many bytes of answers.
    answer: Mutex<Option<usize>>,
}

/// See the module.
#[derive(Debug)]
pub struct Cutter {
    address: SocketAddr,
    plans: Arc<Plans>,
    accepting: JoinHandle<()>,
}

fn held<T>(plan: &Mutex<T>) -> MutexGuard<'_, T> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cutter {
    /// A line to a server, on a free port of this machine.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn to(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let plans = Arc::<Plans>::default();
        let shared = plans.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((device, _)) = listener.accept().await {
                let plans = shared.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        carry(device, server, &plans).await;
                    }
                });
            }
        });
        Ok(Self {
            address,
            plans,
            accepting,
        })
    }

    /// Where devices connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Plans a cut; it happens once.
    pub fn plan(&self, cut: Cut) {
        *held(&self.plans.frame) = Some(cut);
    }

    /// Plans a cut after so many bytes of what is answered to requests; it happens once.
    pub fn plan_within_answer(&self, bytes: usize) {
        *held(&self.plans.answer) = Some(bytes);
    }

    /// Whether a planned cut has not happened: the connection had fewer frames, or the answers fewer bytes. It is planned
    /// no longer.
    #[must_use]
    pub fn forget(&self) -> bool {
        let frame = held(&self.plans.frame).take().is_some();
        held(&self.plans.answer).take().is_some() || frame
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(device: TcpStream, server: TcpStream, plans: &Plans) {
    device.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (from_device, to_device) = device.into_split();
    let (from_server, to_server) = server.into_split();
    // Whichever way ends first, the other ends with it: dropping both halves closes both sockets.
    tokio::select! {
        () = one_way(from_device, to_server, Way::Up, plans) => {}
        () = one_way(from_server, to_device, Way::Down, plans) => {}
    }
}

/// Passes on what comes until the planned cut, or the end.
async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, plans: &Plans) {
    let mut frames = Frames::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let mut passed = 0;
        while passed < length {
            match frames.take(&buffer[passed..length]) {
                Piece::Bytes(bytes) => {
                    let whole = &buffer[passed..passed + bytes];
                    let answers = way == Way::Down && !frames.upgraded;
                    let cut = if answers { plans.within(bytes) } else { None };
                    let written = to.write_all(&whole[..cut.unwrap_or(bytes)]).await;
                    if written.is_err() || cut.is_some() {
                        return;
                    }
                    passed += bytes;
                }
                Piece::FrameBegins { number, head } => {
                    if let Some(cut) = plans.due(way, number) {
                        if cut.within {
                            let end = (passed + head).min(length);
                            to.write_all(&buffer[passed..end]).await.ok();
                            to.flush().await.ok();
                        }
                        return;
                    }
                }
            }
        }
    }
}

impl Plans {
    /// The cut that is planned here, if one is; it is planned no longer.
    fn due(&self, way: Way, frame: usize) -> Option<Cut> {
        held(&self.frame).take_if(|cut| cut.way == way && cut.frame == frame)
    }

    /// After how many of these bytes of an answer it is cut, if it is; that is planned no longer.
    fn within(&self, bytes: usize) -> Option<usize> {
        let mut answer = held(&self.answer);
        if let Some(left) = answer.as_mut().filter(|left| **left > bytes) {
            *left -= bytes;
            return None;
        }
        answer.take()
    }
}

/// What comes next on a connection.
enum Piece {
    /// So many bytes that belong to what went on before.
    Bytes(usize),
    /// Here begins a frame with data; so many bytes of it are its head and the first half of its body, as far as known.
    FrameBegins { number: usize, head: usize },
}

/// Follows the bytes of one direction: first HTTP, then frames (RFC 6455, 5.2). A frame's head is taken to come in one
/// piece, as the libraries on both sides write it.
#[derive(Default)]
struct Frames {
    /// The last bytes of the HTTP head, until it has ended.
    tail: Vec<u8>,
    upgraded: bool,
    /// Bytes that are left of the present frame.
    left: u64,
    number: usize,
    announced: bool,
}

impl Frames {
    fn take(&mut self, bytes: &[u8]) -> Piece {
        if !self.upgraded {
            return Piece::Bytes(self.take_head(bytes));
        }
        if self.left > 0 {
            let taken = self.left.min(bytes.len() as u64);
            self.left -= taken;
            return Piece::Bytes(usize::try_from(taken).unwrap_or(bytes.len()));
        }
        let Some((opcode, head, body)) = head_of(bytes) else {
            return Piece::Bytes(bytes.len());
        };
        // Only frames with data are counted: text, binary and their continuations; not pings.
        if opcode < 8 && !self.announced {
            self.announced = true;
            self.number += 1;
            let half = usize::try_from(body / 2).unwrap_or(usize::MAX);
            return Piece::FrameBegins {
                number: self.number,
                head: head.saturating_add(half),
            };
        }
        self.announced = false;
        self.left = head as u64 + body;
        self.take(bytes)
    }

    /// Takes the HTTP head, to its blank line at most; only a websocket's is followed by frames.
    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let before = self.tail.len();
        self.tail.extend_from_slice(bytes);
        let end = self.tail.windows(4).position(|four| four == b"\r\n\r\n");
        match end {
            Some(end) => {
                let head = String::from_utf8_lossy(&self.tail[..end]).to_ascii_lowercase();
                self.upgraded = head.contains("upgrade: websocket");
                self.tail.clear();
                (end + 4).saturating_sub(before).max(1)
            }
            None => {
                let keep = self.tail.len().min(16 * 1024);
                self.tail.drain(..self.tail.len() - keep);
                bytes.len()
            }
        }
    }
}

/// Opcode, length of the head, length of the body.
fn head_of(bytes: &[u8]) -> Option<(u8, usize, u64)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (head, body) = match second & 0x7f {
        126 => (
            4,
            u64::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
        ),
        127 => {
            let length = bytes.get(2..10)?.try_into().ok()?;
            (10, u64::from_be_bytes(length))
        }
        short => (2, u64::from(short)),
    };
    Some((first & 0x0f, head + mask, body))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The numbers of the frames that begin in these bytes, given in pieces.
    fn begun(pieces: &[&[u8]]) -> Vec<usize> {
        let mut frames = Frames::default();
        let mut begun = Vec::new();
        for piece in pieces {
            let mut at = 0;
            while at < piece.len() {
                match frames.take(&piece[at..]) {
                    Piece::Bytes(bytes) => at += bytes,
                    Piece::FrameBegins { number, .. } => begun.push(number),
                }
            }
        }
        begun
    }

    #[test]
    fn frames_are_counted_behind_the_upgrade() {
        let head = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n".as_slice();
        let short = [&[0x82, 3], b"abc".as_slice()].concat();
        let long = [&[0x82, 126, 1, 0], vec![7; 256].as_slice()].concat();
        let ping = [0x89, 0];
        let all = [head, &short, &ping, &long, &short].concat();
        assert_eq!(begun(&[&all]), [1, 2, 3]);
        assert_eq!(begun(&[&all[..20], &all[20..60], &all[60..]]), [1, 2, 3]);
    }

    #[test]
    fn an_answer_is_cut_after_so_many_bytes_of_all() {
        let plans = Plans::default();
        assert_eq!(plans.within(10), None);
        *held(&plans.answer) = Some(25);
        let cuts = [10, 10, 10, 10].map(|bytes| plans.within(bytes));
        assert_eq!(cuts, [None, None, Some(5), None]);
    }

    #[test]
    fn other_connections_have_no_frames() {
        let text = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\x82\x00\x82\x00".as_slice();
        assert_eq!(begun(&[text]), Vec::<usize>::new());
    }
}

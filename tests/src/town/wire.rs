//! A line over TLS: an end that speaks it in front of a server, with a certificate of its own authority, and a wire
//! before that end which keeps everything that travels and turns a bit where one wants it. Knows no frame and no request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use native_tls::Identity;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_native_tls::TlsAcceptor;

use super::cutter::Way;

/// The kind of a TLS record that carries what is sealed (RFC 8446, 5.1).
const SEALED: u8 = 23;

/// Where a bit is turned: in the middle of a sealed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Which way it travels.
    pub way: Way,
    /// Only records of at least so many bytes count.
    pub least: usize,
    /// Which of them, of any one connection, from 1.
    pub record: usize,
}

/// What the wire and the end share with whoever looks.
#[derive(Debug, Default)]
struct Kept {
    plan: Mutex<Option<Flip>>,
    /// What travelled between device and TLS end.
    outside: Mutex<Vec<u8>>,
    /// What travelled between TLS end and server.
    inside: Mutex<Vec<u8>>,
}

/// See the module.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    authority: String,
    kept: Arc<Kept>,
    tasks: [JoinHandle<()>; 2],
}

fn held<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    /// A line to a server, on a free port of this machine.
    ///
    /// # Errors
    /// When no port is free, or the TLS library can't make a certificate.
    pub async fn to(server: SocketAddr) -> anyhow::Result<Self> {
        let (certificate, key) = certificate()?;
        let authority = certificate.to_pem()?;
        let identity = Identity::from_pkcs8(&authority, &key.private_key_to_pem_pkcs8()?)?;
        let acceptor = TlsAcceptor::from(native_tls::TlsAcceptor::new(identity)?);
        let kept = Arc::<Kept>::default();
        let (end, wire) = (
            TcpListener::bind("127.0.0.1:0").await?,
            TcpListener::bind("127.0.0.1:0").await?,
        );
        let (behind, address) = (end.local_addr()?, wire.local_addr()?);
        let shared = kept.clone();
        let ending = tokio::spawn(async move {
            while let Ok((stream, _)) = end.accept().await {
                let (acceptor, kept) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    // A handshake that fails, or a record that was tampered with, ends the connection on both sides.
                    if let Ok(device) = acceptor.accept(stream).await
                        && let Ok(server) = TcpStream::connect(server).await
                    {
                        let see =
                            |_: Way, bytes: &mut [u8]| held(&kept.inside).extend_from_slice(bytes);
                        carry(device, server, see, see).await;
                    }
                });
            }
        });
        let shared = kept.clone();
        let wiring = tokio::spawn(async move {
            while let Ok((device, _)) = wire.accept().await {
                let kept = shared.clone();
                tokio::spawn(async move {
                    if let Ok(end) = TcpStream::connect(behind).await {
                        let (mut up, mut down) = (Records::default(), Records::default());
                        carry(
                            device,
                            end,
                            |way, bytes| up.see(&kept, way, bytes),
                            |way, bytes| down.see(&kept, way, bytes),
                        )
                        .await;
                    }
                });
            }
        });
        Ok(Self {
            address,
            authority: String::from_utf8(authority)?,
            kept,
            tasks: [ending, wiring],
        })
    }

    /// Where devices connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of the authority that vouches for the end, in PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Everything that travelled over the wire so far, both ways.
    #[must_use]
    pub fn outside(&self) -> Vec<u8> {
        held(&self.kept.outside).clone()
    }

    /// The same behind the TLS end, as the server has it.
    #[must_use]
    pub fn inside(&self) -> Vec<u8> {
        held(&self.kept.inside).clone()
    }

    /// Plans a turned bit; it happens once.
    pub fn plan(&self, flip: Flip) {
        *held(&self.kept.plan) = Some(flip);
    }

    /// Whether the planned bit was not turned: no connection had such a record. It is planned no longer.
    #[must_use]
    pub fn forget(&self) -> bool {
        held(&self.kept.plan).take().is_some()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A certificate for this machine that vouches for itself, good for a day.
fn certificate() -> Result<(X509, PKey<Private>), ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "Doorstep test")?;
    let name = name.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(&key)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(1)?)?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    let names = SubjectAlternativeName::new()
        .ip("127.0.0.1")
        .dns("localhost")
        .build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((builder.build(), key))
}

/// Passes bytes on both ways, each shown first. A direction that ends says so to its far side; one that breaks ends both.
async fn carry(
    device: impl AsyncRead + AsyncWrite,
    server: impl AsyncRead + AsyncWrite,
    up: impl FnMut(Way, &mut [u8]),
    down: impl FnMut(Way, &mut [u8]),
) {
    let (from_device, to_device) = tokio::io::split(device);
    let (from_server, to_server) = tokio::io::split(server);
    let both = futures_util::future::try_join(
        one_way(from_device, to_server, Way::Up, up),
        one_way(from_server, to_device, Way::Down, down),
    );
    both.await.ok();
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    mut see: impl FnMut(Way, &mut [u8]),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        see(way, &mut buffer[..length]);
        to.write_all(&buffer[..length]).await?;
        to.flush().await?;
    }
}

/// Follows the TLS records of one direction.
#[derive(Debug, Default)]
struct Records {
    head: Vec<u8>,
    /// Bytes that are left of the present record.
    left: usize,
    /// Sealed records so far, by their lengths.
    sealed: Vec<usize>,
    /// In how many bytes a bit is to be turned.
    turn_in: Option<usize>,
}

impl Records {
    /// Keeps what passes, with the bit turned that was planned.
    fn see(&mut self, kept: &Kept, way: Way, bytes: &mut [u8]) {
        for byte in bytes.iter_mut() {
            self.step(kept, way, byte);
        }
        held(&kept.outside).extend_from_slice(bytes);
    }

    fn step(&mut self, kept: &Kept, way: Way, byte: &mut u8) {
        if self.left > 0 {
            self.left -= 1;
            match self.turn_in {
                Some(0) => {
                    *byte ^= 1;
                    self.turn_in = None;
                }
                Some(ahead) => self.turn_in = Some(ahead - 1),
                None => {}
            }
            return;
        }
        self.head.push(*byte);
        if let [kind, _, _, high, low] = self.head[..] {
            self.head.clear();
            self.left = usize::from(u16::from_be_bytes([high, low]));
            if kind == SEALED {
                self.sealed.push(self.left);
                self.turn_in = self.due(kept, way).then_some(self.left / 2);
            }
        }
    }

    /// Whether the record that begins is the one planned; it is planned no longer.
    fn due(&self, kept: &Kept, way: Way) -> bool {
        let begins = |flip: &mut Flip| {
            let counted = self.sealed.iter().filter(|length| **length >= flip.least);
            let is_long = self.sealed.last().is_some_and(|last| *last >= flip.least);
            flip.way == way && is_long && counted.count() == flip.record
        };
        held(&kept.plan).take_if(begins).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_is_turned_in_the_record_that_was_planned() {
        let record =
            |kind: u8, length: u8| [&[kind, 3, 3, 0, length][..], &vec![0; length.into()]].concat();
        let sent = [
            record(22, 9),
            record(SEALED, 4),
            record(SEALED, 9),
            record(SEALED, 8),
        ]
        .concat();
        for size in [1, 3, sent.len()] {
            let kept = Kept::default();
            let flip = Flip {
                way: Way::Up,
                least: 8,
                record: 2,
            };
            *held(&kept.plan) = Some(flip);
            let (mut up, mut down) = (Records::default(), Records::default());
            let mut passed = sent.clone();
            for piece in passed.chunks_mut(size) {
                down.see(&kept, Way::Down, &mut piece.to_vec());
                up.see(&kept, Way::Up, piece);
            }
            let changed: Vec<usize> = (0..sent.len())
                .filter(|at| sent[*at] != passed[*at])
                .collect();
            assert_eq!(changed, [sent.len() - 4], "in pieces of {size}");
            assert_eq!(*held(&kept.plan), None);
        }
    }
}

//! SM3 digests (GB/T 32905-2016) and HMAC-SM3.

use ::sm3::{Digest, Sm3};
use hmac::{Hmac, KeyInit, Mac};

/// The SM3 digest of the parts, one after another.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sm3::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A digest over bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Running(Sm3);

impl Running {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of everything taken.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// HMAC-SM3 (RFC 2104 over SM3) of the parts, one after another.
#[must_use]
pub fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HMAC-SM3 with its key taken in, for many texts under one key.
pub(super) fn keyed(key: &[u8; 32]) -> Hmac<Sm3> {
    // HMAC pads a short key with zeros to the hash's block of 64 bytes.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::new(&block.into())
}

#[cfg(test)]
mod tests {
    #[test]
    fn digest_of_abc_is_the_standards() {
        // GB/T 32905-2016, appendix A.1
        let expected = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
        assert_eq!(hex::encode(super::digest(&[b"a", b"bc"])), expected);
        let mut running = super::Running::default();
        running.update(b"ab");
        running.update(b"c");
        assert_eq!(hex::encode(running.finish()), expected);
    }
}

//! Blind indexes: equality search over sealed values by HMAC-SM3 of a token, cut to 64 bits.

use ::sm3::Sm3;
use hmac::{Hmac, Mac};

/// Makes blind forms of search tokens under one key. Keyed once: half of a short text's HMAC is the key's own blocks.
#[derive(Clone)]
pub struct Blinder(Hmac<Sm3>);

impl std::fmt::Debug for Blinder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blinder")
    }
}

impl Blinder {
    /// Under a key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(super::sm3::keyed(key))
    }

    /// The blind form of a search token. Without the key nothing of the token can be read or guessed from it;
    /// 64 bits make a chance collision among 10⁹ tokens unlikely, and a hit is checked on the opened value anyway.
    #[must_use]
    pub fn token(&self, text: &str) -> i64 {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        let mac: [u8; 32] = mac.finalize().into_bytes().into();
        let mut first = [0; 8];
        first.copy_from_slice(&mac[..8]);
        i64::from_be_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_first_eight_bytes_of_the_mac() {
        let mac = crate::crypto::sm3::hmac(&[7; 32], &[b"n:\xe5\x8f\xb6"]);
        let blinder = Blinder::new(&[7; 32]);
        assert_eq!(blinder.token("n:叶").to_be_bytes(), mac[..8]);
        assert_ne!(blinder.token("n:叶"), Blinder::new(&[8; 32]).token("n:叶"));
    }
}

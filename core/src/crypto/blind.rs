//! Blind indexes: equality search over sealed values by HMAC-SM3 of a token, cut to 64 bits.

/// The blind form of a search token. Without the key nothing of the token can be read or guessed from it;
/// 64 bits make a chance collision among 10⁹ tokens unlikely, and a hit is checked on the opened value anyway.
#[must_use]
pub fn token(key: &[u8; 32], text: &str) -> i64 {
    let mac = super::sm3::hmac(key, &[text.as_bytes()]);
    let mut first = [0; 8];
    first.copy_from_slice(&mac[..8]);
    i64::from_be_bytes(first)
}

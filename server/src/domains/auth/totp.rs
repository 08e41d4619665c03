//! The second factor: time-based one-time codes (RFC 6238, six digits, 30 seconds, HMAC-SHA-1, which is what
//! authenticator apps speak). Knows no storage.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// A secret: 128 bits, the least that RFC 4226 allows, and the size that keys are wrapped at.
pub(super) type Secret = [u8; 16];

const STEP_SECONDS: i64 = 30;
/// Steps that a clock may be off, either way.
const TOLERANCE: i64 = 1;

/// What an authenticator app reads.
pub(super) fn uri(secret: &Secret, login: &str) -> String {
    format!(
        "otpauth://totp/Doorstep:{login}?secret={}&issuer=Doorstep&digits=6&period=30",
        text(secret)
    )
}

/// The secret as people type it.
pub(super) fn text(secret: &Secret) -> String {
    BASE32_NOPAD.encode(secret)
}

/// The time step whose code this is, if it is a recent one and later than `after` (a code is good once).
pub(super) fn step_of(secret: &Secret, code: &str, unix_seconds: i64, after: i64) -> Option<i64> {
    let now = unix_seconds / STEP_SECONDS;
    let code = code.trim();
    (now - TOLERANCE..=now + TOLERANCE)
        .filter(|step| *step > after)
        .find(|step| {
            format!("{:06}", value(secret, *step))
                .as_bytes()
                .ct_eq(code.as_bytes())
                .into()
        })
}

/// The code of a time step.
fn value(secret: &[u8], step: i64) -> u32 {
    // HMAC pads a short key with zeros to the hash's block of 64 bytes.
    let mut block = [0; 64];
    block[..secret.len()].copy_from_slice(secret);
    let mut mac = Hmac::<Sha1>::new(&block.into());
    mac.update(&step.to_be_bytes());
    let digest: [u8; 20] = mac.finalize().into_bytes().into();
    let offset = usize::from(digest[19] & 0x0f);
    let word = u32::from_be_bytes([
        digest[offset] & 0x7f,
        digest[offset + 1],
        digest[offset + 2],
        digest[offset + 3],
    ]);
    word % 1_000_000
}

/// The code of a moment: for tests, which play the authenticator app.
#[cfg(feature = "testing")]
pub(super) fn code_at(secret: &[u8], unix_seconds: i64) -> String {
    format!("{:06}", value(secret, unix_seconds / STEP_SECONDS))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, SHA-1, last six of eight digits.
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
        ] {
            assert_eq!(value(secret, seconds / STEP_SECONDS), code);
        }
    }

    #[test]
    fn a_code_is_good_once_and_for_a_short_while() {
        let secret = [9; 16];
        let code = format!("{:06}", value(&secret, 100));
        let at = 100 * STEP_SECONDS + 5;
        assert_eq!(step_of(&secret, &code, at, 0), Some(100));
        assert_eq!(step_of(&secret, &code, at, 100), None, "used before");
        assert_eq!(step_of(&secret, &code, at + 30, 0), Some(100));
        assert_eq!(step_of(&secret, &code, at + 90, 0), None, "too old");
    }
}

//! Passwords at rest: PBKDF2 (RFC 8018) over HMAC-SM3 (GB/T 32905-2016), salted, compared in constant time.

use ::sm3::Sm3;
use subtle::ConstantTimeEq;

/// Rounds for production: about 0.12 s of one core.
pub const DEFAULT_ROUNDS: u32 = 100_000;

/// A stored form: `pbkdf2-sm3$rounds$salt$hash`, the last two in hexadecimal.
#[must_use]
pub fn hash(password: &str, salt: [u8; 16], rounds: u32) -> String {
    format!(
        "pbkdf2-sm3${rounds}${}${}",
        hex::encode(salt),
        hex::encode(derive(password, &salt, rounds))
    )
}

/// Whether the password gives the stored form. An unreadable stored form is never a match.
#[must_use]
pub fn verify(password: &str, stored: &str) -> bool {
    let mut parts = stored.split('$');
    let (Some("pbkdf2-sm3"), Some(rounds), Some(salt), Some(expected), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return false;
    };
    let (Ok(rounds), Ok(salt), Ok(expected)) =
        (rounds.parse(), hex::decode(salt), hex::decode(expected))
    else {
        return false;
    };
    derive(password, &salt, rounds)
        .ct_eq(expected.as_slice())
        .into()
}

fn derive(password: &str, salt: &[u8], rounds: u32) -> [u8; 32] {
    pbkdf2::pbkdf2_hmac_array::<Sm3, 32>(password.as_bytes(), salt, rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_verifies() {
        let stored = hash("正确的密码1!", [9; 16], 10);
        assert!(verify("正确的密码1!", &stored));
        assert!(!verify("正确的密码1", &stored) && !verify("", &stored));
        assert!(!verify("x", "pbkdf2-sm3$0$zz$") && !verify("x", ""));
    }
}

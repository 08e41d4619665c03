//! Sealing: SM4-GCM (RFC 8998) bound to where the value stands, so that a sealed value moved to another row,
//! column or version does not open.

use ::sm4::Sm4;
use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit, Payload};

/// A 128-bit SM4 key.
pub type SealKey = [u8; 16];
/// Length of the nonce in front of a sealed value.
pub const NONCE_LEN: usize = 12;

/// A sealed value that does not open: another key, another place, or altered bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed value does not open")]
pub struct SealError;

/// Where a sealed value stands; part of what is authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table, or kind of file.
    pub table: &'a str,
    /// Row: an id's bytes.
    pub row: &'a [u8],
    /// Column, or part of the file.
    pub column: &'a str,
    /// Version of the row or key.
    pub version: u32,
}

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(self.table.len() + self.row.len() + self.column.len() + 16);
        for part in [self.table.as_bytes(), self.row, self.column.as_bytes()] {
            out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(part);
        }
        out.extend_from_slice(&self.version.to_be_bytes());
        out
    }
}

/// Seals `plain`: nonce ‖ ciphertext ‖ tag. A nonce must never come twice under one key.
///
/// # Errors
/// `SealError` only for a plaintext beyond SM4-GCM's limit of 64 GiB.
pub fn seal(
    key: &SealKey,
    place: Place<'_>,
    nonce: [u8; NONCE_LEN],
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    let cipher = AesGcm::<Sm4, U12>::new(&(*key).into());
    let payload = Payload {
        msg: plain,
        aad: &place.bytes(),
    };
    let body = cipher
        .encrypt(&nonce.into(), payload)
        .map_err(|_| SealError)?;
    let mut out = Vec::with_capacity(NONCE_LEN + body.len());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&body);
    Ok(out)
}

/// Opens what `seal` made for the same key and place.
///
/// # Errors
/// `SealError` when key, place or bytes differ.
pub fn open(key: &SealKey, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError)?;
    let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| SealError)?;
    let cipher = AesGcm::<Sm4, U12>::new(&(*key).into());
    cipher
        .decrypt(
            &nonce.into(),
            Payload {
                msg: body,
                aad: &place.bytes(),
            },
        )
        .map_err(|_| SealError)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const PLACE: Place<'static> = Place {
        table: "records",
        row: b"1",
        column: "state",
        version: 1,
    };

    #[test]
    fn any_flipped_bit_or_moved_value_fails() {
        let sealed = seal(&[1; 16], PLACE, [2; 12], b"canary").unwrap();
        assert_eq!(sealed.len(), 6 + NONCE_LEN + 16);
        assert_eq!(open(&[1; 16], PLACE, &sealed).unwrap(), b"canary");
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&[1; 16], PLACE, &bad), Err(SealError));
        }
        for place in [
            Place { row: b"2", ..PLACE },
            Place {
                column: "name",
                ..PLACE
            },
            Place {
                version: 2,
                ..PLACE
            },
            Place {
                table: "recordss",
                row: b"",
                ..PLACE
            },
        ] {
            assert_eq!(open(&[1; 16], place, &sealed), Err(SealError));
        }
        assert_eq!(open(&[3; 16], PLACE, &sealed), Err(SealError));
        assert_eq!(open(&[1; 16], PLACE, &sealed[..5]), Err(SealError));
    }

    #[test]
    fn matches_rfc_8998_appendix_a_1() {
        // Without our place as additional data, straight on the cipher.
        let key: [u8; 16] = hex::decode("0123456789abcdeffedcba9876543210")
            .unwrap()
            .try_into()
            .unwrap();
        let nonce: [u8; 12] = hex::decode("00001234567800000000abcd")
            .unwrap()
            .try_into()
            .unwrap();
        let aad = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").unwrap();
        let plain = hex::decode("aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa").unwrap();
        let out = AesGcm::<Sm4, U12>::new(&key.into())
            .encrypt(
                &nonce.into(),
                Payload {
                    msg: &plain,
                    aad: &aad,
                },
            )
            .unwrap();
        assert_eq!(hex::encode(&out[64..]), "83de3541e4c2b58177e065a9bf7b62ec");
    }
}

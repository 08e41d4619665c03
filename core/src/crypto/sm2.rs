//! SM2 signatures (GB/T 32918.2-2016) with the standard's default distinguishing identifier.

use ::sm2::SecretKey;
use ::sm2::dsa::signature::{Signer, Verifier};
use ::sm2::dsa::{Signature, SigningKey, VerifyingKey};

/// The default distinguishing identifier of GM/T 0009-2012.
const IDENTIFIER: &str = "1234567812345678";

/// Length of a signature: r and s, 32 bytes each.
pub const SIGNATURE_LEN: usize = 64;
/// Length of a public key: SEC1, uncompressed.
pub const PUBLIC_KEY_LEN: usize = 65;

/// A key that is no SM2 key, or a signature that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Sm2Error {
    /// The bytes are no key of the curve.
    #[error("not an SM2 key")]
    Key,
    /// The signature is not of this key and message.
    #[error("signature does not match")]
    Signature,
}

/// A signing key with its public half.
#[derive(Clone)]
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// From the 32 secret bytes (a host's random bytes, or its key store's).
    ///
    /// # Errors
    /// `Sm2Error::Key` when the bytes are zero or not below the order; draw again.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, Sm2Error> {
        let secret = SecretKey::from_slice(secret).map_err(|_| Sm2Error::Key)?;
        SigningKey::new(IDENTIFIER, &secret)
            .map(Self)
            .map_err(|_| Sm2Error::Key)
    }

    /// The public key, 65 bytes (SEC1, uncompressed).
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_KEY_LEN];
        let encoded = self.0.verifying_key().to_sec1_bytes();
        let len = encoded.len().min(PUBLIC_KEY_LEN);
        bytes[..len].copy_from_slice(&encoded[..len]);
        PublicKey {
            bytes,
            key: self.0.verifying_key().clone(),
        }
    }

    /// Signs the message (SM3 with the signer's ZA, deterministic nonce).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let signature: Signature = self.0.sign(message);
        signature.to_bytes().into()
    }
}

/// A device's or the server's public key.
#[derive(Clone, Debug)]
pub struct PublicKey {
    bytes: [u8; PUBLIC_KEY_LEN],
    key: VerifyingKey,
}

impl PublicKey {
    /// From 65 bytes (SEC1, uncompressed).
    ///
    /// # Errors
    /// `Sm2Error::Key` when they are no point of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Sm2Error> {
        let fixed: [u8; PUBLIC_KEY_LEN] = bytes.try_into().map_err(|_| Sm2Error::Key)?;
        let key = VerifyingKey::from_sec1_bytes(IDENTIFIER, bytes).map_err(|_| Sm2Error::Key)?;
        Ok(Self { bytes: fixed, key })
    }

    /// The 65 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.bytes
    }

    /// Checks a signature over the message.
    ///
    /// # Errors
    /// `Sm2Error::Signature` when it does not fit.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Sm2Error> {
        let signature = Signature::from_slice(signature).map_err(|_| Sm2Error::Signature)?;
        self.key
            .verify(message, &signature)
            .map_err(|_| Sm2Error::Signature)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_signature_fits_its_message_and_key_alone() {
        let pair = KeyPair::from_secret(&[7; 32]).unwrap();
        let signature = pair.sign(b"hello");
        let public = PublicKey::from_bytes(pair.public().as_bytes()).unwrap();
        assert_eq!(public.verify(b"hello", &signature), Ok(()));
        assert_eq!(
            public.verify(b"hellO", &signature),
            Err(Sm2Error::Signature)
        );
        let other = KeyPair::from_secret(&[8; 32]).unwrap().public();
        assert_eq!(other.verify(b"hello", &signature), Err(Sm2Error::Signature));
        assert!(KeyPair::from_secret(&[0; 32]).is_err());
        assert!(PublicKey::from_bytes(&[4; 65]).is_err());
    }
}

//! MessagePack (structs as arrays) and zstd, both bounded.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MAX_UNPACKED;

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes can't be read")]
pub struct CodecError;

/// MessagePack of a value. Our own types always encode; a failure gives no bytes, which no reader takes.
#[must_use]
pub fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).unwrap_or_default()
}

/// Reads MessagePack; the whole input must be used.
///
/// # Errors
/// `CodecError` when it is anything else.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut reader = rmp_serde::Deserializer::new(bytes);
    reader.set_max_depth(16);
    let value = T::deserialize(&mut reader).map_err(|_| CodecError)?;
    if reader.get_ref().is_empty() {
        Ok(value)
    } else {
        Err(CodecError)
    }
}

/// Packs bytes with zstd (RFC 8878), level 3.
///
/// # Errors
/// `CodecError` if the library fails, and on wasm32, where a device has nothing to pack.
#[cfg(not(target_arch = "wasm32"))]
pub fn pack(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    zstd::bulk::compress(bytes, 3).map_err(|_| CodecError)
}

/// Unpacks zstd, to `MAX_UNPACKED` bytes at most.
///
/// # Errors
/// `CodecError` when it is no zstd frame or holds more.
#[cfg(not(target_arch = "wasm32"))]
pub fn unpack(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    use std::io::Read as _;
    let reader = zstd::stream::Decoder::new(bytes).map_err(|_| CodecError)?;
    let mut out = Vec::new();
    reader
        .take(MAX_UNPACKED as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|_| CodecError)?;
    if out.len() > MAX_UNPACKED {
        Err(CodecError)
    } else {
        Ok(out)
    }
}

/// Unpacks zstd, to `MAX_UNPACKED` bytes at most.
///
/// # Errors
/// `CodecError` when it is no zstd frame or holds more.
#[cfg(target_arch = "wasm32")]
pub fn unpack(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    use std::io::Read as _;
    let reader = ruzstd::decoding::StreamingDecoder::new(bytes).map_err(|_| CodecError)?;
    let mut out = Vec::new();
    reader
        .take(MAX_UNPACKED as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|_| CodecError)?;
    if out.len() > MAX_UNPACKED {
        Err(CodecError)
    } else {
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = zstd::bulk::compress(&vec![0; MAX_UNPACKED + 1], 3).unwrap();
        assert!(bomb.len() < 2_000);
        assert_eq!(unpack(&bomb), Err(CodecError));
        assert_eq!(unpack(&pack(b"hello").unwrap()).unwrap(), b"hello");
        assert_eq!(unpack(b"nonsense"), Err(CodecError));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = to_bytes(&(1u8, "x"));
        assert_eq!(
            from_bytes::<(u8, String)>(&bytes).unwrap(),
            (1, "x".to_owned())
        );
        bytes.push(0);
        assert_eq!(from_bytes::<(u8, String)>(&bytes), Err(CodecError));
    }
}

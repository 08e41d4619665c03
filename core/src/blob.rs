//! Photos: what is taken, and how large. Devices check before they queue one, the server before it keeps one.
//! Reads an image's head and nothing else: it decodes no picture and knows no storage.

use serde::{Deserialize, Serialize};

use crate::crypto::sm3;

/// The largest photo, in bytes.
pub const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// The greatest width and height, in pixels.
pub const MAX_SIDE: u32 = 8_192;
/// The most pixels: decoded to three bytes each, a photo stays under 64 MiB.
pub const MAX_PIXELS: u64 = 22_000_000;
/// How much of a photo travels in one request, in bytes; the last chunk holds the rest.
pub const CHUNK: usize = 256 * 1024;

/// The kinds of image that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlobType {
    /// JPEG (ISO/IEC 10918-1).
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// PNG (ISO/IEC 15948).
    #[serde(rename = "image/png")]
    Png,
    /// WebP (RFC 9649).
    #[serde(rename = "image/webp")]
    Webp,
}

impl BlobType {
    /// The media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }
}

/// What an image's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its kind, from its bytes and not from a name.
    pub kind: BlobType,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Why a photo is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// Nothing in it.
    #[error("photo is empty")]
    Empty,
    /// More than `MAX_BYTES`.
    #[error("photo too large")]
    TooLarge,
    /// None of `BlobType`, or its head is damaged.
    #[error("not a known kind of image")]
    Unsupported,
    /// Wider or higher than `MAX_SIDE`, or more than `MAX_PIXELS`.
    #[error("photo has too many pixels")]
    TooManyPixels,
}

impl BlobError {
    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "photo_empty",
            Self::TooLarge => "photo_too_large",
            Self::Unsupported => "photo_type",
            Self::TooManyPixels => "photo_dimensions",
        }
    }

    /// What to do, for people.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Empty => "照片是空的，请重新拍摄或选择",
            Self::TooLarge => "照片超过 10 MB，请压缩或降低分辨率后再添加",
            Self::Unsupported => "只能添加 JPEG、PNG 或 WebP 照片，请换一种格式",
            Self::TooManyPixels => {
                "照片像素过多（宽高最多 8192，总计最多 2200 万），请缩小后再添加"
            }
        }
    }
}

/// The digest that names a photo: SM3, 64 lower-case hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(sm3::digest(&[bytes]))
}

/// Whether a text could be a photo's digest.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Checks size, kind and dimensions.
///
/// # Errors
/// See `BlobError`.
pub fn check(bytes: &[u8]) -> Result<Head, BlobError> {
    if bytes.is_empty() {
        return Err(BlobError::Empty);
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(BlobError::TooLarge);
    }
    let head = head(bytes).ok_or(BlobError::Unsupported)?;
    if head.width == 0 || head.height == 0 {
        return Err(BlobError::Unsupported);
    }
    let pixels = u64::from(head.width) * u64::from(head.height);
    if head.width.max(head.height) > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(BlobError::TooManyPixels);
    }
    Ok(head)
}

fn head(bytes: &[u8]) -> Option<Head> {
    let (kind, (width, height)) = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        (BlobType::Png, png(bytes)?)
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        (BlobType::Jpeg, jpeg(bytes)?)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12)? == b"WEBP" {
        (BlobType::Webp, webp(bytes)?)
    } else {
        return None;
    };
    Some(Head {
        kind,
        width,
        height,
    })
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    let two: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_be_bytes(two).into())
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    let two: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(two).into())
}

fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    let side = |at: usize| -> Option<u32> {
        let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(four))
    };
    Some((side(16)?, side(20)?))
}

/// Walks the segments to the frame header (SOF); every other segment says its own length.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        match *bytes.get(at + 1)? {
            0xff => at += 1,               // padding
            0x01 | 0xd0..=0xd7 => at += 2, // stands alone
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((be16(bytes, at + 7)?, be16(bytes, at + 5)?));
            }
            0xd9 | 0xda => return None, // image data before any frame header
            _ => at += 2 + (be16(bytes, at + 2)?.max(2)) as usize,
        }
    }
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " if bytes.get(23..26)? == [0x9d, 0x01, 0x2a] => {
            Some((le16(bytes, 26)? & 0x3fff, le16(bytes, 28)? & 0x3fff))
        }
        b"VP8L" if *bytes.get(20)? == 0x2f => {
            let four: [u8; 4] = bytes.get(21..25)?.try_into().ok()?;
            let bits = u32::from_le_bytes(four);
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8X" => {
            let side = |at: usize| -> Option<u32> {
                let three = bytes.get(at..at + 3)?;
                Some(u32::from_le_bytes([three[0], three[1], three[2], 0]) + 1)
            };
            Some((side(24)?, side(27)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn png_of(width: u32, height: u32) -> Vec<u8> {
        let mut out = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        out.extend(width.to_be_bytes());
        out.extend(height.to_be_bytes());
        out.extend([8, 2, 0, 0, 0]);
        out
    }

    #[test]
    fn kinds_are_told_by_their_bytes() {
        let png = check(&png_of(640, 480)).unwrap();
        assert_eq!((png.kind, png.width, png.height), (BlobType::Png, 640, 480));
        // APP0 of 16 bytes, then a progressive frame header.
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16];
        jpeg.extend([0; 14]);
        jpeg.extend([0xff, 0xc2, 0, 17, 8, 1, 0xe0, 2, 0x80, 3]);
        let jpeg = check(&jpeg).unwrap();
        assert_eq!(
            (jpeg.kind, jpeg.width, jpeg.height),
            (BlobType::Jpeg, 640, 480)
        );
        let webp = check(b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\x7f\x42\x77\0\0\0\0").unwrap();
        assert_eq!(
            (webp.kind, webp.width, webp.height),
            (BlobType::Webp, 640, 478)
        );
        assert_eq!(check(b"%PDF-1.7"), Err(BlobError::Unsupported));
        assert_eq!(check(b""), Err(BlobError::Empty));
    }

    #[test]
    fn what_is_too_large_is_refused_by_its_head() {
        assert_eq!(check(&png_of(8_193, 1)), Err(BlobError::TooManyPixels));
        assert_eq!(check(&png_of(8_192, 8_192)), Err(BlobError::TooManyPixels));
        assert_eq!(check(&png_of(0, 1)), Err(BlobError::Unsupported));
        let mut long = png_of(1, 1);
        long.resize(usize::try_from(MAX_BYTES).unwrap() + 1, 0);
        assert_eq!(check(&long), Err(BlobError::TooLarge));
    }

    proptest! {
        #[test]
        fn stray_bytes_never_panic(kind in 0usize..4, tail in proptest::collection::vec(any::<u8>(), 0..64)) {
            let start: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", &[0xff, 0xd8], b"RIFF\0\0\0\0WEBPVP8 ", b""];
            let mut bytes = start[kind].to_vec();
            bytes.extend(tail);
            let _ = check(&bytes);
        }
    }
}

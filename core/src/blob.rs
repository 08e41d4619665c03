//! Photos: what is taken, how large, and without what. Devices check before they queue one, the server before it keeps
//! one. Reads what stands around an image's pixels and nothing else: it decodes no picture and knows no storage.

mod bare;

pub use bare::bare;

use serde::{Deserialize, Serialize};

use crate::crypto::sm3;

/// The largest photo, in bytes.
pub const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// The greatest width and height, in pixels.
pub const MAX_SIDE: u32 = 8_192;
/// The most pixels.
pub const MAX_PIXELS: u64 = 22_000_000;
/// The most memory that decoding a photo takes, in bytes: what comes out of it, and what the decoder holds beside that.
/// `MAX_PIXELS` of three bytes each fit.
pub const MAX_MEMORY: u64 = 64 * 1024 * 1024;
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
    /// About so many bytes of memory are taken by decoding it.
    pub memory: u64,
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
    /// Wider or higher than `MAX_SIDE`, more than `MAX_PIXELS`, or more than `MAX_MEMORY` to decode.
    #[error("photo has too many pixels")]
    TooManyPixels,
    /// Its parts don't follow each other.
    #[error("photo is damaged")]
    Damaged,
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
            Self::Damaged => "photo_unreadable",
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
                "照片像素过多（宽高最多 8192，总计最多 2200 万；渐进式、透明或 WebP 照片更少），请缩小后再添加"
            }
            Self::Damaged => "照片无法打开，文件可能已损坏，请重新拍摄或选择",
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
    if head.width.max(head.height) > MAX_SIDE || pixels > MAX_PIXELS || head.memory > MAX_MEMORY {
        return Err(BlobError::TooManyPixels);
    }
    Ok(head)
}

/// What it is, by its first bytes.
fn kind(bytes: &[u8]) -> Option<BlobType> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(BlobType::Png)
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        Some(BlobType::Jpeg)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12)? == b"WEBP" {
        Some(BlobType::Webp)
    } else {
        None
    }
}

fn head(bytes: &[u8]) -> Option<Head> {
    let kind = kind(bytes)?;
    let (width, height, halves) = match kind {
        BlobType::Png => png(bytes)?,
        BlobType::Jpeg => jpeg(bytes)?,
        BlobType::Webp => webp(bytes)?,
    };
    Some(Head {
        kind,
        width,
        height,
        memory: (u64::from(width) * u64::from(height)).saturating_mul(halves) / 2,
    })
}

/// Width, height, and how many halves of a byte decoding takes for each pixel, by the decoders that we use.
type Shape = (u32, u32, u64);

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    let two: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_be_bytes(two).into())
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    let two: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(two).into())
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(four))
}

/// Pixels come out as they are, palettes as colours; a transparent colour beside them is seen when it is decoded.
fn png(bytes: &[u8]) -> Option<Shape> {
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    let depth = if *bytes.get(24)? == 16 { 2 } else { 1 };
    let channels = match *bytes.get(25)? {
        0 => 1,
        4 => 2,
        6 => 4,
        _ => 3,
    };
    Some((be32(bytes, 16)?, be32(bytes, 20)?, 2 * depth * channels))
}

/// Walks the segments over the frame header (SOF) to the first scan (SOS); every other segment says its own length.
fn jpeg(bytes: &[u8]) -> Option<Shape> {
    let mut at = 2;
    let mut frame = None;
    let mut scan = None;
    while scan.is_none()
        && let (Some(0xff), Some(marker)) = (bytes.get(at), bytes.get(at + 1))
    {
        match marker {
            0xff => at += 1,               // padding
            0x01 | 0xd0..=0xd7 => at += 2, // stands alone
            0xd9 => break,
            0xda => scan = Some(at),
            _ => {
                let is_frame =
                    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
                if is_frame && frame.replace(at).is_some() {
                    return None; // two frame headers: which one is meant?
                }
                at += 2 + be16(bytes, at + 2).unwrap_or(0).max(2) as usize;
            }
        }
    }
    let frame = frame?;
    let components = *bytes.get(frame + 9)?;
    let sampling = |component: u8| {
        let both = bytes.get(frame + 11 + 3 * usize::from(component));
        both.map_or((1, 1), |&both| (u64::from(both >> 4), u64::from(both & 15)))
    };
    let mut halves = if components == 1 { 2 } else { 6 };
    // Whole scans are put together from several: the decoder holds two bytes of every sample until the last has come.
    let is_held = bytes.get(frame + 1) == Some(&0xc2)
        || scan.is_some_and(|scan| bytes.get(scan + 4) != Some(&components));
    if is_held {
        let each = (0..components).map(sampling);
        let samples: u64 = each.clone().map(|(across, down)| across * down).sum();
        let across = each.clone().map(|(across, _)| across).max();
        let down = each.map(|(_, down)| down).max();
        let pixels = across.unwrap_or(1).max(1) * down.unwrap_or(1).max(1);
        halves += (4 * samples).div_ceil(pixels);
    }
    Some((be16(bytes, frame + 7)?, be16(bytes, frame + 5)?, halves))
}

/// Lossy: brightness and a quarter of two colours beside three channels. Lossless: four channels, and three beside them
/// unless there is transparency. The longer form may hold either, with transparency apart, or a film.
fn webp(bytes: &[u8]) -> Option<Shape> {
    match bytes.get(12..16)? {
        b"VP8 " if bytes.get(23..26)? == [0x9d, 0x01, 0x2a] => {
            Some((le16(bytes, 26)? & 0x3fff, le16(bytes, 28)? & 0x3fff, 9))
        }
        b"VP8L" if *bytes.get(20)? == 0x2f => {
            let bits = le32(bytes, 21)?;
            let halves = if (bits >> 28) & 1 == 1 { 8 } else { 14 };
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1, halves))
        }
        b"VP8X" => {
            let side = |at: usize| -> Option<u32> {
                let three = bytes.get(at..at + 3)?;
                Some(u32::from_le_bytes([three[0], three[1], three[2], 0]) + 1)
            };
            let flags = *bytes.get(20)?;
            let halves = match (flags & 0x02 != 0, flags & 0x10 != 0) {
                (true, _) => 28,
                (false, true) => 22,
                (false, false) => 14,
            };
            Some((side(24)?, side(27)?, halves))
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

    /// A JPEG's frame header of this kind and its first scan, which holds so many components.
    fn jpeg_of(marker: u8, (width, height): (u16, u16), sampling: [u8; 3], scanned: u8) -> Vec<u8> {
        let mut out = vec![0xff, 0xd8, 0xff, marker, 0, 17, 8];
        out.extend(height.to_be_bytes());
        out.extend(width.to_be_bytes());
        out.push(3);
        for (component, sampling) in (1..).zip(sampling) {
            out.extend([component, sampling, 0]);
        }
        out.extend([0xff, 0xda, 0, 6 + 2 * scanned, scanned]);
        out
    }

    #[test]
    fn a_phones_photo_is_taken_and_what_unfolds_to_more_memory_is_not() {
        let (usual, full) = ([0x22, 0x11, 0x11], [0x11; 3]);
        let memory = |bytes: &[u8]| check(bytes).map(|head| head.memory);
        // 12 and 16 megapixels as phones write them; the most of all.
        for sides in [(4_000, 3_000), (4_624, 3_468), (5_500, 4_000)] {
            let pixels = u64::from(sides.0) * u64::from(sides.1);
            assert_eq!(memory(&jpeg_of(0xc0, sides, usual, 3)), Ok(3 * pixels));
        }
        let refused = Err(BlobError::TooManyPixels);
        assert_eq!(memory(&jpeg_of(0xc0, (5_501, 4_000), usual, 3)), refused);
        // Scan by scan, every sample is held until the last.
        assert_eq!(
            memory(&jpeg_of(0xc2, (4_000, 2_500), usual, 3)),
            Ok(60_000_000)
        );
        assert_eq!(memory(&jpeg_of(0xc2, (4_000, 3_000), usual, 3)), refused);
        assert_eq!(memory(&jpeg_of(0xc2, (4_000, 2_000), full, 3)), refused);
        assert_eq!(memory(&jpeg_of(0xc0, (4_000, 3_000), usual, 1)), refused);
        // Four bytes a pixel, and four of two.
        let mut clear = png_of(4_000, 4_000);
        clear[25] = 6;
        assert_eq!(memory(&clear), Ok(64_000_000));
        clear[24] = 16;
        assert_eq!(memory(&clear), refused);
    }

    #[test]
    fn a_jpeg_of_two_frame_headers_is_none() {
        let one = jpeg_of(0xc0, (4_000, 3_000), [0x11; 3], 3);
        let frame = one[2..21].to_vec();
        let two = [&one[..2], &frame, &one[2..]].concat();
        assert_eq!(check(&two), Err(BlobError::Unsupported));
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

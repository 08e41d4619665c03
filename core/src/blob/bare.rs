//! A picture without what cameras and programs write beside its pixels: place, time, device, owner, and whole pictures
//! behind the first. What may stay is named here, everything else goes; of EXIF only how the picture is turned stays.
//! Pixels are copied as they are: nothing is decoded.

use super::{BlobError, BlobType, be16, be32, kind, le32};

/// Chunks of a PNG that say what its pixels are (ISO/IEC 15948, 11).
const OF_PNG: [&[u8]; 13] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB",
    b"cICP", b"bKGD", b"pHYs",
];
/// The flags of a WebP's head that say EXIF and XMP follow (RFC 9649, 2.7).
const EXIF_FOLLOWS: u8 = 0x08;
const XMP_FOLLOWS: u8 = 0x04;

/// The same picture with nothing beside it. What is bare already stays as it is, to the byte.
///
/// # Errors
/// `Empty`, `Unsupported`; `Damaged` when its parts don't follow each other.
pub fn bare(bytes: &[u8]) -> Result<Vec<u8>, BlobError> {
    if bytes.is_empty() {
        return Err(BlobError::Empty);
    }
    let bare = match kind(bytes).ok_or(BlobError::Unsupported)? {
        BlobType::Jpeg => jpeg(bytes),
        BlobType::Png => png(bytes),
        BlobType::Webp => webp(bytes),
    };
    bare.ok_or(BlobError::Damaged)
}

/// Segment by segment, with the data of each scan, to the end of the picture: phones put films and further pictures
/// behind it.
fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = bytes.get(..2)?.to_vec();
    let (mut at, mut scanned, mut turned) = (2, false, false);
    // One that broke off behind its first scan is still a picture.
    while let Some((marker, kind)) = marker_after(bytes, at) {
        if kind == 0xd9 {
            out.extend([0xff, 0xd9]);
            return Some(out);
        }
        let end = marker + 2 + be16(bytes, marker + 2)?.max(2) as usize;
        let segment = bytes.get(marker..end)?;
        let content = &segment[4..];
        let exif = content.strip_prefix(b"Exif\0\0").filter(|_| kind == 0xe1);
        if is_of_pixels(kind, content) {
            out.extend_from_slice(segment);
        } else if let Some(turn) = exif.and_then(turn).filter(|_| !turned) {
            // 34 bytes: the length, the name, and what follows.
            out.extend_from_slice(b"\xff\xe1\0\x22Exif\0\0");
            out.extend(turned_by(turn));
            turned = true;
        }
        at = end;
        if kind == 0xda {
            scanned = true;
            at = marker_after(bytes, end).map_or(bytes.len(), |(next, _)| next);
            out.extend_from_slice(&bytes[end..at]);
        }
    }
    scanned.then_some(out)
}

/// Where the next segment of a JPEG begins, and its kind: behind padding, stuffed bytes, and markers within a scan.
fn marker_after(bytes: &[u8], from: usize) -> Option<(usize, u8)> {
    let rest = bytes.get(from..)?;
    let begins = |two: &[u8]| two[0] == 0xff && !matches!(two[1], 0x00 | 0x01 | 0xd0..=0xd8 | 0xff);
    let at = rest.windows(2).position(begins)?;
    Some((from + at, rest[at + 1]))
}

/// Whether a JPEG's segment says what its pixels are: frames, tables and scans; JFIF, a colour profile, how Adobe's
/// colours are meant.
fn is_of_pixels(kind: u8, content: &[u8]) -> bool {
    match kind {
        0xc0..=0xcf | 0xda..=0xdf => true,
        0xe0 => content.starts_with(b"JFIF\0"),
        0xe2 => content.starts_with(b"ICC_PROFILE\0"),
        0xee => content.starts_with(b"Adobe"),
        _ => false,
    }
}

fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = bytes.get(..8)?.to_vec();
    let mut at = 8;
    loop {
        let length = usize::try_from(be32(bytes, at)?).ok()?;
        let end = length.checked_add(at + 12)?;
        let chunk = bytes.get(at..end)?;
        let (name, content) = (&chunk[4..8], &chunk[8..8 + length]);
        if OF_PNG.contains(&name) {
            out.extend_from_slice(chunk);
        } else if let Some(turn) = turn(content).filter(|_| name == b"eXIf") {
            let named = [b"eXIf".as_slice(), &turned_by(turn)].concat();
            out.extend_from_slice(&[0, 0, 0, 26]);
            out.extend_from_slice(&named);
            out.extend(crc(&named).to_be_bytes());
        }
        if name == b"IEND" {
            return Some(out);
        }
        at = end;
    }
}

/// A PNG chunk's check sum (ISO/IEC 15948, annex D).
fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    let byte = |sum: u32, byte: &u8| (0..8).fold(sum ^ u32::from(*byte), step);
    !bytes.iter().fold(u32::MAX, byte)
}

fn webp(bytes: &[u8]) -> Option<Vec<u8>> {
    let said = usize::try_from(le32(bytes, 4)?).ok()?;
    let end = said.saturating_add(8).min(bytes.len());
    let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
    let (mut at, mut flags, mut turned) = (12, None, 0);
    while at + 8 <= end {
        let length = usize::try_from(le32(bytes, at + 4)?).ok()?;
        let name = &bytes[at..at + 4];
        let content = bytes.get(at + 8..length.checked_add(at + 8)?)?;
        match name {
            b"VP8X" if !content.is_empty() => {
                flags = Some(out.len() + 8);
                push(&mut out, name, content);
            }
            b"VP8 " | b"VP8L" | b"ALPH" | b"ICCP" | b"ANIM" | b"ANMF" => {
                push(&mut out, name, content);
            }
            b"EXIF" => {
                let tiff = content.strip_prefix(b"Exif\0\0").unwrap_or(content);
                if let Some(turn) = turn(tiff).filter(|_| turned == 0) {
                    push(&mut out, name, &turned_by(turn));
                    turned = EXIF_FOLLOWS;
                }
            }
            _ => {}
        }
        at += 8 + length + length % 2;
    }
    if let Some(flags) = flags {
        out[flags] = (out[flags] & !(EXIF_FOLLOWS | XMP_FOLLOWS)) | turned;
    }
    let size = u32::try_from(out.len() - 8).ok()?;
    out[4..8].copy_from_slice(&size.to_le_bytes());
    Some(out)
}

/// Writes a chunk of a WebP.
fn push(out: &mut Vec<u8>, name: &[u8], content: &[u8]) {
    out.extend_from_slice(name);
    out.extend((content.len() as u32).to_le_bytes());
    out.extend_from_slice(content);
    if content.len() % 2 == 1 {
        out.push(0);
    }
}

/// How EXIF says that a picture is turned (TIFF 6.0, tag 0x0112): 2 to 8. `None` where it stands upright, or where that
/// can't be read.
fn turn(tiff: &[u8]) -> Option<u8> {
    let high_first = match tiff.get(..4)? {
        b"MM\0\x2a" => true,
        b"II\x2a\0" => false,
        _ => return None,
    };
    let number = |at: usize, length: usize| -> Option<u32> {
        let bytes = tiff.get(at..at.checked_add(length)?)?;
        let add = |sum: u32, byte: &u8| (sum << 8) | u32::from(*byte);
        Some(if high_first {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        })
    };
    let directory = usize::try_from(number(4, 4)?).ok()?;
    let entries = usize::try_from(number(directory, 2)?).ok()?;
    let mut entries = (0..entries).map(|entry| directory + 2 + 12 * entry);
    let entry = entries.find(|at| number(*at, 2) == Some(0x0112))?;
    let turn = u8::try_from(number(entry + 8, 2)?).ok()?;
    (2..=8).contains(&turn).then_some(turn)
}

/// EXIF that says nothing but how a picture is turned.
fn turned_by(turn: u8) -> [u8; 26] {
    // One entry at 8: the tag, a short, one of it; no further directory.
    let mut tiff = *b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    tiff[19] = turn;
    tiff
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    const PLACE: &[u8] = b"GPS 31.2304N";

    /// EXIF that says 'to be turned by a quarter' and names a place, either byte first.
    fn exif(high_first: bool) -> Vec<u8> {
        let mut out = turned_by(6).to_vec();
        if !high_first {
            out = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        }
        out.extend_from_slice(PLACE);
        out
    }

    fn segment(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [[0xff, kind].as_slice(), &length, content].concat()
    }

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let named = [name.as_slice(), content].concat();
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [length.as_slice(), &named, &crc(&named).to_be_bytes()].concat()
    }

    fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
        for (name, content) in chunks {
            push(&mut out, *name, content);
        }
        let size = u32::try_from(out.len() - 8).unwrap().to_le_bytes();
        out[4..8].copy_from_slice(&size);
        out
    }

    #[test]
    fn a_jpeg_keeps_its_pixels_and_how_it_is_turned() {
        let start = [0xff_u8, 0xd8];
        let jfif = segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
        let profile = segment(0xe2, b"ICC_PROFILE\0\x01\x01...");
        let adobe = segment(0xee, b"Adobe\0d\0\0\0\0\0");
        let frame = segment(0xc2, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
        // A restart, a stuffed byte and padding within the data.
        let scan = |tail: &[u8]| [segment(0xda, &[1, 1, 0, 0, 63, 0]).as_slice(), tail].concat();
        let (first, second) = (
            scan(&[1, 0xff, 0xd0, 2, 0xff, 0, 3, 0xff]),
            scan(&[4, 0xff, 0]),
        );
        let table = segment(0xc4, &[0; 20]);
        let end = [0xff_u8, 0xd9];
        let named = |name: &[u8]| [name, PLACE].concat();
        for high_first in [true, false] {
            let of_exif = [b"Exif\0\0".as_slice(), &exif(high_first)].concat();
            let whole = [
                start.as_slice(),
                &jfif,
                &segment(0xe1, &of_exif),
                &segment(0xe1, &named(b"http://ns.adobe.com/xap/1.0/\0")),
                &segment(0xe2, &named(b"MPF\0")),
                &profile,
                &segment(0xed, &named(b"Photoshop 3.0\0")),
                &segment(0xfe, PLACE),
                &adobe,
                &frame,
                &first,
                &segment(0xfe, PLACE),
                &table,
                &second,
                &end,
                // What phones put behind it.
                &start,
                &segment(0xe1, &of_exif),
                PLACE,
            ]
            .concat();
            let turned = segment(0xe1, &[b"Exif\0\0".as_slice(), &turned_by(6)].concat());
            let expected = [
                start.as_slice(),
                &jfif,
                &turned,
                &profile,
                &adobe,
                &frame,
                &first,
                &table,
                &second,
                &end,
            ]
            .concat();
            assert_eq!(bare(&whole).unwrap(), expected);
            assert_eq!(bare(&expected).unwrap(), expected, "it stays as it is");
        }
    }

    #[test]
    fn a_png_keeps_its_pixels_and_how_it_is_turned() {
        let start = b"\x89PNG\r\n\x1a\n".as_slice();
        let head = chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
        let (data, end) = (chunk(b"IDAT", b"packed"), chunk(b"IEND", b""));
        assert_eq!(
            end[8..],
            [0xae, 0x42, 0x60, 0x82],
            "the sum that every PNG ends with"
        );
        let whole = [
            start,
            &head,
            &chunk(b"eXIf", &exif(true)),
            &chunk(b"tEXt", PLACE),
            &chunk(b"iTXt", PLACE),
            &chunk(b"zTXt", PLACE),
            &chunk(b"tIME", &[7, 0xea, 11, 29, 1, 2, 3]),
            &data,
            &end,
            PLACE,
        ]
        .concat();
        let turned = chunk(b"eXIf", &turned_by(6));
        let expected = [start, &head, &turned, &data, &end].concat();
        assert_eq!(bare(&whole).unwrap(), expected);
        assert_eq!(bare(&expected).unwrap(), expected, "it stays as it is");
    }

    #[test]
    fn a_webp_keeps_its_pixels_and_how_it_is_turned() {
        let flags = |flags: u8| [flags, 0, 0, 0, 7, 0, 0, 7, 0, 0];
        let all = flags(0x20 | EXIF_FOLLOWS | XMP_FOLLOWS);
        let turned = flags(0x20 | EXIF_FOLLOWS);
        for named in [b"".as_slice(), b"Exif\0\0"] {
            let of_exif = [named, &exif(false)].concat();
            let mut whole = riff(&[
                (b"VP8X", &all),
                (b"ICCP", b"odd"),
                (b"VP8L", b"packed"),
                (b"EXIF", &of_exif),
                (b"XMP ", PLACE),
            ]);
            whole.extend_from_slice(PLACE);
            let expected = riff(&[
                (b"VP8X", &turned),
                (b"ICCP", b"odd"),
                (b"VP8L", b"packed"),
                (b"EXIF", &turned_by(6)),
            ]);
            assert_eq!(bare(&whole).unwrap(), expected);
            assert_eq!(bare(&expected).unwrap(), expected, "it stays as it is");
        }
        let plain = riff(&[(b"VP8X", &all), (b"VP8 ", b"packed")]);
        assert_eq!(
            bare(&plain).unwrap()[20],
            0x20,
            "it says no longer that more follows"
        );
    }

    #[test]
    fn upright_pictures_keep_no_exif_and_damaged_ones_are_refused() {
        let frame = segment(0xc0, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
        let scan = segment(0xda, &[1, 1, 0, 0, 63, 0]);
        let pixels = [frame, scan, vec![7, 7, 7]].concat();
        let upright = segment(0xe1, &[b"Exif\0\0".as_slice(), &turned_by(1)].concat());
        let whole = [b"\xff\xd8".as_slice(), &upright, &pixels, b"\xff\xd9"].concat();
        let expected = [b"\xff\xd8".as_slice(), &pixels, b"\xff\xd9"].concat();
        assert_eq!(bare(&whole).unwrap(), expected);
        // It broke off in its pixels, or before them.
        let broken = &expected[..expected.len() - 4];
        assert_eq!(bare(broken).unwrap(), broken);
        assert_eq!(bare(&expected[..9]), Err(BlobError::Damaged));
        assert_eq!(bare(b"\x89PNG\r\n\x1a\n"), Err(BlobError::Damaged));
        assert_eq!(bare(b"%PDF-1.7"), Err(BlobError::Unsupported));
        assert_eq!(bare(b""), Err(BlobError::Empty));
    }

    proptest! {
        #[test]
        fn stray_bytes_never_panic(kind in 0usize..4, tail in proptest::collection::vec(any::<u8>(), 0..96)) {
            let start: [&[u8]; 4] = [
                b"\x89PNG\r\n\x1a\n\0\0\0\0IHDR",
                b"\xff\xd8\xff\xe1\0\x40Exif\0\0MM\0\x2a\0\0\0\x08",
                b"RIFF\xff\0\0\0WEBPEXIF\x20\0\0\0II\x2a\0\x08\0\0\0",
                b"\xff\xd8\xff",
            ];
            let bytes = [start[kind], &tail].concat();
            if let Ok(out) = bare(&bytes) {
                prop_assert_eq!(bare(&out), Ok(out));
            }
        }
    }
}

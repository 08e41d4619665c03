//! Looks at a photo's bytes: are they the picture they are said to be, and a small picture of it without what cameras
//! write beside pixels (place, time, device). Knows no store and no record; hostile bytes end in an error.

use std::io::Cursor;

use doorstep_core::blob::{self, BlobError, BlobType, Head};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

/// The longer side of a thumbnail, in pixels.
pub(super) const THUMBNAIL: u32 = 320;
/// JPEG quality of a thumbnail.
const QUALITY: u8 = 80;

/// What a photo turned out to be.
#[derive(Debug)]
pub(super) struct Picture {
    /// Its kind and sides.
    pub(super) head: Head,
    /// A small JPEG of it, upright.
    pub(super) thumbnail: Vec<u8>,
}

/// Why a photo is not taken: stable code, the field that says otherwise, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) field: &'static str,
    pub(super) message: &'static str,
}

const ALTERED: Refused = Refused {
    code: "photo_damaged",
    field: "digest",
    message: "照片在传输中损坏，与编号不符，请重新拍摄或选择后再上传",
};
/// Bytes that no decoder makes a picture of.
pub(super) const UNREADABLE: Refused = Refused {
    code: "photo_unreadable",
    field: "digest",
    message: "照片无法打开，文件可能已损坏，请重新拍摄或选择",
};
const OTHER_TYPE: Refused = Refused {
    code: "photo_type",
    field: "type",
    message: "照片的实际格式与所报的不一致，请重新选择照片",
};

impl From<BlobError> for Refused {
    fn from(error: BlobError) -> Self {
        let field = match error {
            BlobError::Empty | BlobError::TooLarge => "size",
            BlobError::Unsupported => "type",
            BlobError::TooManyPixels | BlobError::Damaged => "digest",
        };
        Self {
            code: error.code(),
            field,
            message: error.message(),
        }
    }
}

/// Checks a whole photo against what was said of it. Takes up to seconds of one core: not on the event loop.
pub(super) fn examine(bytes: &[u8], digest: &str, media_type: &str) -> Result<Picture, Refused> {
    if blob::digest(bytes) != digest {
        return Err(ALTERED);
    }
    let head = blob::check(bytes)?;
    if head.kind.media_type() != media_type {
        return Err(OTHER_TYPE);
    }
    let thumbnail = thumbnail(bytes, head)?;
    Ok(Picture { head, thumbnail })
}

fn thumbnail(bytes: &[u8], head: Head) -> Result<Vec<u8>, Refused> {
    let format = match head.kind {
        BlobType::Jpeg => ImageFormat::Jpeg,
        BlobType::Png => ImageFormat::Png,
        BlobType::Webp => ImageFormat::WebP,
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(blob::MAX_SIDE);
    limits.max_image_height = Some(blob::MAX_SIDE);
    limits.max_alloc = Some(blob::MAX_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|_| UNREADABLE)?;
    if decoder.dimensions() != (head.width, head.height) {
        return Err(UNREADABLE);
    }
    // Its head has said as much; a transparent colour apart is seen here.
    if limits.reserve(decoder.total_bytes()).is_err() {
        return Err(BlobError::TooManyPixels.into());
    }
    let orientation = decoder.orientation().ok();
    let picture = DynamicImage::from_decoder(decoder).map_err(|_| UNREADABLE)?;
    let mut small = if head.width.max(head.height) > THUMBNAIL {
        picture.thumbnail(THUMBNAIL, THUMBNAIL)
    } else {
        picture
    };
    if let Some(orientation) = orientation {
        small.apply_orientation(orientation);
    }
    let mut out = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut out, QUALITY);
    let encoded = on_white(&small).write_with_encoder(encoder);
    encoded.map_err(|_| UNREADABLE)?;
    Ok(out)
}

/// Without transparency: JPEG has none.
fn on_white(picture: &DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let source = picture.to_rgba8();
    RgbImage::from_fn(source.width(), source.height(), |x, y| {
        let [r, g, b, a] = source.get_pixel(x, y).0.map(u16::from);
        let over = |channel: u16| ((channel * a + 255 * (255 - a)) / 255) as u8;
        Rgb([over(r), over(g), over(b)])
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use image::{GenericImageView, Rgba, RgbaImage};

    use super::*;

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    /// Black above, white below.
    fn sample(width: u32, height: u32) -> DynamicImage {
        RgbImage::from_fn(width, height, |_, y| {
            if y < height / 2 {
                Rgb([0; 3])
            } else {
                Rgb([255; 3])
            }
        })
        .into()
    }

    /// An EXIF segment that says 'turned by a quarter' and names a place, put behind the start of a JPEG.
    fn with_exif(jpeg: &[u8]) -> Vec<u8> {
        let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x02".to_vec();
        // Orientation (0x0112), short, one: 6, to be turned clockwise.
        exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0]);
        // Maker note as ASCII (0x010f) at offset 38.
        exif.extend([0x01, 0x0f, 0, 2, 0, 0, 0, 13, 0, 0, 0, 38, 0, 0, 0, 0]);
        exif.extend(b"GPS 31.2304N\0");
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
    }

    fn examine_as(bytes: &[u8], kind: BlobType) -> Result<Picture, Refused> {
        examine(bytes, &blob::digest(bytes), kind.media_type())
    }

    #[test]
    fn every_kind_gives_a_thumbnail() {
        for (format, kind) in [
            (ImageFormat::Jpeg, BlobType::Jpeg),
            (ImageFormat::Png, BlobType::Png),
            (ImageFormat::WebP, BlobType::Webp),
        ] {
            let bytes = encoded(&sample(800, 600), format);
            let picture = examine_as(&bytes, kind).unwrap();
            assert_eq!((picture.head.width, picture.head.height), (800, 600));
            let small = image::load_from_memory(&picture.thumbnail).unwrap();
            assert_eq!(small.dimensions(), (320, 240), "{format:?}");
        }
    }

    #[test]
    fn a_thumbnail_stands_upright_and_tells_no_place() {
        let bytes = with_exif(&encoded(&sample(800, 600), ImageFormat::Jpeg));
        let contains = |bytes: &[u8]| bytes.windows(4).any(|part| part == b"GPS ");
        assert!(contains(&bytes));
        let picture = examine_as(&bytes, BlobType::Jpeg).unwrap();
        assert!(!contains(&picture.thumbnail));
        let small = image::load_from_memory(&picture.thumbnail).unwrap();
        assert_eq!(small.dimensions(), (240, 320), "turned");
        // What was above is on the right now.
        let (left, right) = (
            small.get_pixel(10, 160).0[0],
            small.get_pixel(230, 160).0[0],
        );
        assert!(left > 200 && right < 50, "{left} {right}");
    }

    #[test]
    fn what_is_clear_becomes_white() {
        let clear: DynamicImage = RgbaImage::from_pixel(40, 40, Rgba([9, 9, 9, 0])).into();
        let picture = examine_as(&encoded(&clear, ImageFormat::Png), BlobType::Png).unwrap();
        let small = image::load_from_memory(&picture.thumbnail).unwrap();
        assert!(small.get_pixel(20, 20).0[0] > 250);
    }

    #[test]
    fn what_is_no_picture_or_another_is_refused() {
        let png = encoded(&sample(80, 60), ImageFormat::Png);
        let code = |bytes: &[u8], kind| examine_as(bytes, kind).unwrap_err().code;
        assert_eq!(code(b"%PDF-1.7 ...", BlobType::Jpeg), "photo_type");
        assert_eq!(code(&png, BlobType::Jpeg), "photo_type");
        assert_eq!(code(&png[..60], BlobType::Png), "photo_unreadable");
        let other = examine(&png, &"0".repeat(64), "image/png").unwrap_err();
        assert_eq!(other, ALTERED);
    }

    #[test]
    fn a_frame_that_holds_less_than_its_head_says_is_refused() {
        let mut webp = encoded(&sample(80, 60), ImageFormat::WebP);
        assert_eq!(
            webp[20], 0x2f,
            "packed without loss: the width's first bits follow"
        );
        webp[21] = 0xff;
        assert!(examine_as(&webp, BlobType::Webp).is_err());
    }

    #[test]
    fn a_small_file_that_unfolds_to_gigabytes_is_refused() {
        // 8,000 × 2,700 pixels of four times two bytes, all alike: some kilobytes packed.
        let wide = image::ImageBuffer::<Rgba<u16>, _>::from_pixel(8_000, 2_700, Rgba([7; 4]));
        let bytes = encoded(&wide.into(), ImageFormat::Png);
        assert!(bytes.len() < 1_000_000, "{}", bytes.len());
        assert_eq!(
            examine_as(&bytes, BlobType::Png).unwrap_err().code,
            "photo_dimensions"
        );
    }

    #[test]
    fn a_jpeg_of_a_thousand_scans_ends_soon() {
        let jpeg = encoded(&sample(64, 64), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
        let scan = jpeg.windows(2).position(|two| two == [0xff, 0xda]).unwrap();
        let mut many = jpeg[..scan].to_vec();
        many[frame + 1] = 0xc2;
        // A scan of the first component's constant part that holds nothing.
        let empty = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0, 0];
        (0..1_000).for_each(|_| many.extend(empty));
        many.extend([0xff, 0xd9]);
        assert!(examine_as(&many, BlobType::Jpeg).is_err());
    }
}

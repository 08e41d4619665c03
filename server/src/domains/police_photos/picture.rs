//! Reading a picture that someone else made, within bounds, and writing it without what it may carry along.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, ImageReader, Limits, RgbImage};

use crate::error::{ApiError, ApiResult};

/// Pixels a side at most.
const LARGEST: u32 = 8_192;
/// Bytes that decoding may take.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
const QUALITY: u8 = 88;

/// Decodes a JPEG or PNG; whatever stands in its metadata is left behind.
pub(super) fn decode(bytes: &[u8]) -> ApiResult<RgbImage> {
    let unreadable = || {
        ApiError::field(
            "photo",
            "unreadable_photo",
            "照片无法读取，请确认是完整的 JPEG 或 PNG 图片",
        )
    };
    let format = image::guess_format(bytes).map_err(|_| unreadable())?;
    if ![ImageFormat::Jpeg, ImageFormat::Png].contains(&format) {
        return Err(unreadable());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST);
    limits.max_image_height = Some(LARGEST);
    limits.max_alloc = Some(MOST_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    Ok(reader.decode().map_err(|_| unreadable())?.into_rgb8())
}

/// Encodes as JPEG.
pub(super) fn encode(picture: &RgbImage) -> ApiResult<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode_image(picture)
        .map_err(ApiError::internal)?;
    Ok(bytes)
}

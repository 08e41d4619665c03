//! Photos to send where no camera is. Knows no record and no server.

/// A picture of which no part looks like another; another seed, another picture. JPEG.
///
/// # Errors
/// When it can't be packed.
pub fn picture(seed: u32) -> anyhow::Result<Vec<u8>> {
    let mut grain = seed;
    let picture = image::RgbImage::from_fn(300, 200, |_, _| {
        grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgb([(grain >> 24) as u8, (grain >> 16) as u8, 128])
    });
    let mut out = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 90);
    picture.write_with_encoder(encoder)?;
    Ok(out)
}

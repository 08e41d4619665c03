//! Invented people with sound certificate numbers. Knows no register.

use doorstep_core::identity::id_number;
use doorstep_core::value::Fields;

/// A resident that is not in the register: born in a year, with a number of one's own.
pub(super) fn newcomer(name: &str, birth: &str, order: u16, phone: &str) -> Fields {
    let body = format!("320583{}{order:03}", birth.replace('-', ""));
    let digit = id_number::check_digit(&body).unwrap_or('X');
    [
        ("name", name),
        ("certificate_kind", "111"),
        ("id_number", &format!("{body}{digit}")),
        ("sex", if order % 2 == 1 { "1" } else { "2" }),
        ("birth_date", birth),
        ("population_kind", "02"),
        ("phone", phone),
    ]
    .map(|(key, value)| (key.to_owned(), value.into()))
    .into()
}

/// A picture that a phone's camera could have taken: JPEG, so large that it goes up in several pieces.
pub(super) fn picture(side: u32) -> anyhow::Result<Vec<u8>> {
    let mut grain = 7_u32;
    let image = image::RgbImage::from_fn(side, side, |x, y| {
        grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (grain >> 25) as u8;
        image::Rgb([
            (x * 255 / side) as u8 ^ noise,
            (y * 255 / side) as u8 ^ noise,
            128 ^ noise,
        ])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Jpeg)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use doorstep_core::records::{self, Mode};

    #[test]
    fn a_newcomer_can_be_recorded_and_a_picture_sent() {
        let fields = super::newcomer("沈知遥", "1994-05-16", 27, "13800138027");
        let resident = records::record_type("resident").unwrap();
        assert_eq!(records::validate(resident, &fields, Mode::Whole), []);
        let picture = super::picture(1200).unwrap();
        assert!(doorstep_core::blob::check(&picture).is_ok());
        assert!(
            picture.len() > doorstep_core::blob::CHUNK,
            "{}",
            picture.len()
        );
    }
}

//! Draws a text over a whole picture, again and again, so that no part that shows the person is without it. Knows no
//! photo and no viewer: only pixels and letters.

use font8x8::legacy::BASIC_LEGACY;
use image::{Rgb, RgbImage};

/// Letters across the picture's width, whatever its size.
const LETTERS_ACROSS: u32 = 26;
/// A letter's side in dots.
const DOTS: u32 = 8;
/// How much of the text is seen, of 255.
const STRENGTH: u16 = 110;

/// Draws the lines over the picture, a row of them below the other, each row shifted.
pub(super) fn draw(picture: &mut RgbImage, lines: &[String]) {
    let scale = (picture.width() / (LETTERS_ACROSS * DOTS)).max(1);
    let line_height = scale * (DOTS + 2);
    let block = line_height * u32::try_from(lines.len()).unwrap_or(1) + line_height;
    let width = lines
        .iter()
        .map(|line| u32::try_from(line.len()).unwrap_or(0))
        .max()
        .unwrap_or(0)
        * DOTS
        * scale;
    let step = (width + 2 * DOTS * scale).max(1);
    let (mut top, mut row) = (0, 0);
    while top < picture.height() {
        // Every other row begins half a text further left, so that no column stays free.
        let mut left = -i64::from(if row % 2 == 0 { 0 } else { step / 2 });
        while left < i64::from(picture.width()) {
            for (n, line) in (0u32..).zip(lines) {
                write(picture, left, top + n * line_height, scale, line);
            }
            left += i64::from(step);
        }
        top += block;
        row += 1;
    }
}

fn write(picture: &mut RgbImage, left: i64, top: u32, scale: u32, line: &str) {
    for (at, letter) in (0i64..).zip(line.bytes()) {
        let glyph = BASIC_LEGACY
            .get(usize::from(letter))
            .unwrap_or(&BASIC_LEGACY[usize::from(b'?')]);
        for (y, dots) in (0u32..).zip(glyph) {
            for x in (0..DOTS).filter(|x| (dots >> x) & 1 == 1) {
                let from = left + (at * i64::from(DOTS) + i64::from(x)) * i64::from(scale);
                square(picture, from, top + y * scale, scale);
            }
        }
    }
}

/// Light on dark, dark on light.
fn square(picture: &mut RgbImage, left: i64, top: u32, side: u32) {
    for y in top..(top + side).min(picture.height()) {
        for x in left..left + i64::from(side) {
            let Ok(x) = u32::try_from(x) else { continue };
            if x >= picture.width() {
                continue;
            }
            let Rgb([r, g, b]) = *picture.get_pixel(x, y);
            let bright = u16::from(r) + u16::from(g) + u16::from(b) > 3 * 127;
            let ink: u16 = if bright { 0 } else { 255 };
            let mix = |held: u8| {
                let mixed = (u16::from(held) * (255 - STRENGTH) + ink * STRENGTH) / 255;
                u8::try_from(mixed).unwrap_or(u8::MAX)
            };
            picture.put_pixel(x, y, Rgb([mix(r), mix(g), mix(b)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, shade: u8) -> RgbImage {
        RgbImage::from_pixel(width, height, Rgb([shade; 3]))
    }

    #[test]
    fn no_part_of_a_picture_is_without_the_text_and_each_text_is_another_picture() {
        let lines = |who: &str| [who.to_owned(), "2026-11-24 09:00".to_owned()];
        for (width, height, shade) in [(120, 160, 30), (358, 441, 230), (1_024, 1_300, 127)] {
            let plain = grey(width, height, shade);
            let mut marked = plain.clone();
            draw(&mut marked, &lines("collector7"));
            for (left, top) in
                (0..4).flat_map(|x| (0..4).map(move |y| (x * width / 4, y * height / 4)))
            {
                let changed = (0..width / 4)
                    .flat_map(|x| (0..height / 4).map(move |y| (left + x, top + y)))
                    .filter(|(x, y)| marked.get_pixel(*x, *y) != plain.get_pixel(*x, *y))
                    .count();
                assert!(changed > 40, "{width}x{height} at {left},{top}: {changed}");
            }
            let mut other = plain.clone();
            draw(&mut other, &lines("collector8"));
            assert_ne!(marked, other);
        }
        draw(&mut grey(1, 1, 0), &lines("a"));
    }
}

//! Chinese numerals as addresses use them, to and from Arabic digits. Knows no words around them.

/// The value of one digit, everyday or banker's (大写) form.
fn digit(c: char) -> Option<u32> {
    Some(match c {
        '〇' | '零' => 0,
        '一' | '壹' => 1,
        '二' | '两' | '贰' => 2,
        '三' | '叁' => 3,
        '四' | '肆' => 4,
        '五' | '伍' => 5,
        '六' | '陆' => 6,
        '七' | '柒' => 7,
        '八' | '捌' => 8,
        '九' | '玖' => 9,
        _ => return None,
    })
}

/// The value of a place: ten, hundred, thousand.
fn place(c: char) -> Option<u32> {
    Some(match c {
        '十' | '拾' => 10,
        '百' | '佰' => 100,
        '千' | '仟' => 1000,
        _ => return None,
    })
}

/// The old contractions of tens: 廿 20, 卅 30, 卌 40.
fn contraction(c: char) -> Option<u32> {
    Some(match c {
        '廿' => 20,
        '卅' => 30,
        '卌' => 40,
        _ => return None,
    })
}

/// Whether a character can be part of a Chinese numeral.
pub(super) fn is_numeral(c: char) -> bool {
    digit(c).is_some() || place(c).is_some() || contraction(c).is_some()
}

/// Reads a numeral: 一百二十三 123, 廿八 28, 一千零七 1007, 一百二 120, 一二三 123, 六〇一 601.
/// `None` if it is no number a person would write.
pub(super) fn to_digits(run: &[char]) -> Option<String> {
    if run.is_empty() || run.len() > 9 {
        return None;
    }
    if let Some(digits) = run.iter().map(|&c| digit(c)).collect::<Option<Vec<u32>>>() {
        return Some(
            digits
                .into_iter()
                .filter_map(|d| char::from_digit(d, 10))
                .collect(),
        );
    }
    by_place(run).map(|value| value.to_string())
}

/// Numerals with places. Each place must be smaller than the one before it.
fn by_place(run: &[char]) -> Option<u32> {
    let (mut total, mut pending, mut last_place, mut after_zero) = (0, None, 10_000, false);
    for &c in run {
        if let Some(tens) = contraction(c) {
            if last_place <= 10 || pending.is_some() {
                return None;
            }
            total += tens;
            (last_place, after_zero) = (10, false);
        } else if let Some(value) = place(c) {
            // 十 may stand without a digit at the start (十二) and after a hundred (一百十二).
            let count = match pending.take() {
                Some(count) => count,
                None if value == 10 => 1,
                None => return None,
            };
            if value >= last_place || count == 0 {
                return None;
            }
            total += count * value;
            (last_place, after_zero) = (value, false);
        } else {
            match (digit(c)?, pending) {
                (0, None) if last_place < 10_000 => after_zero = true,
                (0, _) | (_, Some(_)) => return None,
                (value, None) => pending = Some(value),
            }
        }
    }
    // 一百二 is 120 as people speak, 一百零二 is 102.
    let step = if after_zero || last_place <= 10 {
        1
    } else {
        last_place / 10
    };
    Some(total + pending.unwrap_or(0) * step)
}

/// Writes 1 to 99 as a numeral, the way names of roads and estates carry it: 中山东一路, 田林十二村.
pub(super) fn from_number(number: u32) -> Option<String> {
    let digits = ['〇', '一', '二', '三', '四', '五', '六', '七', '八', '九'];
    let (tens, ones) = (number / 10, number % 10);
    if !(1..=99).contains(&number) {
        return None;
    }
    let mut text = String::new();
    if tens > 1 {
        text.extend(digits.get(tens as usize));
    }
    if tens > 0 {
        text.push('十');
    }
    if ones > 0 {
        text.extend(digits.get(ones as usize));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<String> {
        to_digits(&text.chars().collect::<Vec<_>>())
    }

    #[test]
    fn as_people_write_them() {
        for (text, digits) in [
            ("一百二十三", "123"),
            ("四百七十六", "476"),
            ("廿", "20"),
            ("廿八", "28"),
            ("卅", "30"),
            ("一百廿五", "125"),
            ("十", "10"),
            ("十二", "12"),
            ("二十", "20"),
            ("一百十二", "112"),
            ("一百零五", "105"),
            ("一百二", "120"),
            ("一千零七", "1007"),
            ("一千零七十", "1070"),
            ("两千三百", "2300"),
            ("壹佰贰拾", "120"),
            ("一二三", "123"),
            ("六〇一", "601"),
            ("〇六〇一", "0601"),
            ("二零一", "201"),
        ] {
            assert_eq!(read(text).as_deref(), Some(digits), "{text}");
        }
        for text in ["", "百", "十百", "一十十", "廿廿", "二三十", "零十"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(number in 1u32..100) {
            prop_assert_eq!(read(&from_number(number).unwrap()), Some(number.to_string()));
        }

        #[test]
        fn never_panics(text in "[〇零一二两三四五六七八九十百千廿卅卌壹贰拾佰仟]{0,12}") {
            let _ = read(&text);
        }
    }
}

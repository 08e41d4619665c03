//! Phone numbers in one normal form: mobile, landline with its area code, abroad.
//!
//! Shapes are those of the national numbering plan (工信部《电信网编号计划》). Ranges of operators are
//! not checked: new ones open every year, and a collector must not be stopped by an old list.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Problem;

/// The area code put before a landline number that was typed without one: Shanghai's.
pub const LOCAL_AREA_CODE: &str = "021";

const EMPTY: Problem = Problem::new("phone_empty", "还没有填写电话号码。");
const CHARACTERS: Problem = Problem::new(
    "phone_characters",
    "电话号码里有不认识的字符，请只填一个号码。",
);
const MOBILE: Problem = Problem::new(
    "phone_mobile",
    "手机号码应为 11 位、以 13 至 19 开头，请数一数有没有漏填或多填。",
);
const LANDLINE: Problem = Problem::new(
    "phone_landline",
    "座机号码应为 7 或 8 位，可带区号（如 021-62345678），请检查后重填。",
);
const ABROAD: Problem = Problem::new(
    "phone_abroad",
    "境外号码应为加号、国家代码和号码（如 +852 91234567），请检查。",
);

/// What kind of line a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhoneKind {
    /// 手机
    Mobile,
    /// 座机
    Landline,
    /// 境外
    Abroad,
}

/// A phone number in normal form. `Debug` and `Display` show it masked.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone {
    text: String,
}

impl Phone {
    /// The whole number: `13800138000`, `021-62345678`, `021-62345678-801`, `+85291234567`. Personal
    /// data: never log it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What kind of line it is.
    #[must_use]
    pub fn kind(&self) -> PhoneKind {
        match self.text.as_bytes().first() {
            Some(b'+') => PhoneKind::Abroad,
            Some(b'1') => PhoneKind::Mobile,
            _ => PhoneKind::Landline,
        }
    }

    /// The last four digits of the number, without an extension.
    #[must_use]
    pub fn tail(&self) -> &str {
        let number = match self.kind() {
            PhoneKind::Landline => self.text.split('-').nth(1).unwrap_or(&self.text),
            PhoneKind::Mobile | PhoneKind::Abroad => &self.text,
        };
        &number[number.len().saturating_sub(4)..]
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}****", &self.text[..3])
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({self})")
    }
}

/// Reads a phone number as a person types it: full-width, spaced, bracketed, `+86`, `转801`.
///
/// # Errors
/// `phone_empty`, `phone_characters`, `phone_mobile`, `phone_landline`, `phone_abroad`.
pub fn normalise(text: &str) -> Result<Phone, Problem> {
    let (number, extension) = split(text)?;
    let abroad = number
        .strip_prefix('+')
        .or_else(|| number.strip_prefix("00"));
    let domestic = match abroad {
        Some(rest) => match rest.strip_prefix("86") {
            Some(national) => national.trim_start_matches('0'),
            None => return abroad_number(rest),
        },
        None => number
            .strip_prefix("86")
            .filter(|rest| rest.len() == 11 && rest.starts_with('1'))
            .unwrap_or(&number),
    };
    let digits = domestic.trim_start_matches('0');
    let from_abroad_form = abroad.is_some();
    if digits.len() == 11 && digits.starts_with('1') && (domestic == digits || domestic.len() == 12)
    {
        return mobile(digits, &extension);
    }
    if digits.starts_with('1') && digits.len() >= 9 && !digits.starts_with("10") {
        return Err(MOBILE);
    }
    if domestic.starts_with('0') || from_abroad_form {
        return with_area_code(digits, &extension);
    }
    landline(LOCAL_AREA_CODE, domestic, &extension)
}

/// Digits (with a leading `+` kept) and the extension's digits.
fn split(text: &str) -> Result<(String, String), Problem> {
    use unicode_normalization::UnicodeNormalization;
    let text: String = text.nfkc().collect();
    let mut parts = vec![String::new()];
    let mut after_break = false;
    for c in text.trim().chars() {
        match c {
            '0'..='9' => {
                if after_break {
                    parts.push(String::new());
                }
                after_break = false;
                if let Some(last) = parts.last_mut() {
                    last.push(c);
                }
            }
            '+' if parts.len() == 1 && parts[0].is_empty() => parts[0].push('+'),
            '转' | '分' | '机' | '#' | '-' | '\u{2010}'..='\u{2015}' => {
                after_break = !parts[0].is_empty() && parts[0] != "+";
            }
            '(' | ')' | '.' | '/' => {}
            c if c.is_whitespace()
                || c == '\u{200b}'
                || c == '\u{feff}'
                || c == '\u{202d}'
                || c == '\u{202c}' => {}
            _ => return Err(CHARACTERS),
        }
    }
    // Hyphens group a number as often as they begin an extension: a short last group after a whole
    // landline number is an extension, anything else belongs to the number.
    let whole = |parts: &[String]| {
        let joined = parts.concat();
        let digits = joined.trim_start_matches('0');
        !digits.starts_with('1')
            && (7..=12).contains(&joined.len())
            && parts.last().is_some_and(|p| p.len() >= 7)
    };
    let extension = match parts.split_last() {
        Some((last, rest)) if last.len() <= 6 && whole(rest) => parts.pop().unwrap_or_default(),
        _ => String::new(),
    };
    let number = parts.concat();
    if number.is_empty() || number == "+" {
        Err(EMPTY)
    } else {
        Ok((number, extension))
    }
}

fn mobile(digits: &str, extension: &str) -> Result<Phone, Problem> {
    let good = matches!(digits.as_bytes()[1], b'3'..=b'9') && extension.is_empty();
    if good {
        Ok(Phone {
            text: digits.to_owned(),
        })
    } else {
        Err(MOBILE)
    }
}

/// `digits` are the area code without its zero and the number: 10 and 2x have two digits, others three.
fn with_area_code(digits: &str, extension: &str) -> Result<Phone, Problem> {
    let length = if digits.starts_with("10") || digits.starts_with('2') {
        2
    } else {
        3
    };
    if digits.len() < length + 7 {
        return Err(LANDLINE);
    }
    landline(
        &format!("0{}", &digits[..length]),
        &digits[length..],
        extension,
    )
}

fn landline(area: &str, number: &str, extension: &str) -> Result<Phone, Problem> {
    let eight = area.len() == 3;
    let length = number.len() == 8 || (number.len() == 7 && !eight);
    if !length || !matches!(number.as_bytes()[0], b'2'..=b'9') || area.starts_with("00") {
        return Err(LANDLINE);
    }
    let tail = if extension.is_empty() {
        String::new()
    } else {
        format!("-{extension}")
    };
    Ok(Phone {
        text: format!("{area}-{number}{tail}"),
    })
}

/// E.164: up to 15 digits with the country code, which never begins with 0.
fn abroad_number(digits: &str) -> Result<Phone, Problem> {
    let good = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
    if good {
        Ok(Phone {
            text: format!("+{digits}"),
        })
    } else {
        Err(ABROAD)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    fn normal(text: &str) -> String {
        normalise(text).map_or_else(|p| p.code.to_owned(), |phone| phone.text)
    }

    #[test]
    fn mobiles() {
        for text in [
            "13800138000",
            "１３８００１３８０００",
            " 138-0013-8000 ",
            "138 0013 8000",
            "+86 13800138000",
            "0086-13800138000",
            "8613800138000",
            "013800138000",
        ] {
            assert_eq!(normal(text), "13800138000", "{text}");
        }
        assert_eq!(normal("1380013800"), "phone_mobile");
        assert_eq!(normal("138001380000"), "phone_mobile");
        assert_eq!(normal("12800138000"), "phone_mobile");
        assert_eq!(normalise("13800138000").unwrap().tail(), "8000");
    }

    #[test]
    fn landlines() {
        for text in [
            "62345678",
            "021-62345678",
            "(021)6234 5678",
            "+86 21 62345678",
            "02162345678",
            "6234-5678",
        ] {
            assert_eq!(normal(text), "021-62345678", "{text}");
        }
        assert_eq!(normal("021-62345678转801"), "021-62345678-801");
        assert_eq!(normal("62345678-801"), "021-62345678-801");
        assert_eq!(normal("010-65554321"), "010-65554321");
        assert_eq!(normal("0558-6712345"), "0558-6712345");
        assert_eq!(normal("6234567"), "phone_landline");
        assert_eq!(normal("021-12345678"), "phone_landline");
        assert_eq!(normalise("021-62345678转801").unwrap().tail(), "5678");
    }

    #[test]
    fn abroad_and_nonsense() {
        assert_eq!(normal("+852 9123 4567"), "+85291234567");
        assert_eq!(normal("00852-91234567"), "+85291234567");
        assert_eq!(normal("+1"), "phone_abroad");
        assert_eq!(normal(""), "phone_empty");
        assert_eq!(normal("无"), "phone_characters");
    }

    #[test]
    fn shows_itself_masked_only() {
        let phone = normalise("13800138000").unwrap();
        assert_eq!(format!("{phone} {phone:?}"), "138**** Phone(138****)");
    }

    proptest! {
        #[test]
        fn normal_form_is_stable_and_nothing_panics(
            text in prop_oneof![any::<String>(), "[0-9+ ()转-]{0,20}", "1[3-9][0-9]{9}", "0[1-9][0-9]{8,10}(-[0-9]{1,4})?"],
        ) {
            if let Ok(phone) = normalise(&text) {
                let _ = (phone.to_string(), phone.kind(), phone.tail().len());
                prop_assert_eq!(normalise(phone.as_str()).map(|p| p.text), Ok(phone.text));
            }
        }
    }
}

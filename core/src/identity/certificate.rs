//! Certificates other than the ID card: normal form and shape of a number, by the kind's code.
//!
//! Kinds are those of the exchange with the police: 111 居民身份证, 414 普通护照, 511 台湾居民来往大陆
//! 通行证, 516 港澳居民来往内地通行证, 554 外国人永久居留身份证. Shapes are the ones the National
//! Immigration Administration publishes. A kind not known here is kept as typed: a code table that
//! grows must not stop a collector at a door. Issue and expiry are not known here.

use super::id_number::{IdNumber, check_digit, date};
use super::{Problem, plain};

/// 111 居民身份证
pub const RESIDENT_ID: &str = "111";
/// 414 普通护照
pub const PASSPORT: &str = "414";
/// 511 台湾居民来往大陆通行证
pub const TAIWAN_PERMIT: &str = "511";
/// 516 港澳居民来往内地通行证
pub const HONG_KONG_MACAO_PERMIT: &str = "516";
/// 554 外国人永久居留身份证
pub const PERMANENT_RESIDENCE: &str = "554";

const EMPTY: Problem = Problem::new("certificate_empty", "还没有填写证件号码。");
const PASSPORT_SHAPE: Problem = Problem::new(
    "passport_shape",
    "护照号码应为 5 至 15 位字母和数字，请对照护照资料页右上角填写。",
);
const TAIWAN: Problem = Problem::new(
    "taiwan_permit_shape",
    "台湾居民来往大陆通行证号码应为 8 位数字，请对照证件填写。",
);
const HONG_KONG_MACAO: Problem = Problem::new(
    "hong_kong_macao_permit_shape",
    "港澳居民来往内地通行证号码应为字母 H 或 M 加 8 位数字，请对照证件填写。",
);
const RESIDENCE: Problem = Problem::new(
    "permanent_residence_shape",
    "外国人永久居留证号码应为以 9 开头的 18 位号码，或老证的 3 位字母加 12 位数字，请对照证件填写。",
);
const RESIDENCE_BIRTH: Problem = Problem::new(
    "permanent_residence_birth_date",
    "永久居留证号码第 7 至 14 位不是真实的日期，请对照证件检查。",
);
const RESIDENCE_CHECK: Problem = Problem::new(
    "check_digit",
    "永久居留证号码的校验位对不上，通常是某一位看错了，请对照证件重填。",
);
const OTHER: Problem = Problem::new(
    "certificate_shape",
    "证件号码应为 3 至 32 位字母、数字或汉字，请对照证件填写。",
);

/// Normalises and checks a certificate number of the given kind.
///
/// Permits of Hong Kong, Macao and Taiwan lose the count of renewals that older ones carry, since
/// what stays is the person's for life; so a renewed permit is equal to the one before it.
///
/// # Errors
/// `certificate_empty`; those of [`IdNumber::parse`]; `passport_shape`, `taiwan_permit_shape`,
/// `hong_kong_macao_permit_shape`, `permanent_residence_shape`, `permanent_residence_birth_date`,
/// `check_digit`; `certificate_shape` for other kinds.
pub fn check(kind_code: &str, number: &str) -> Result<String, Problem> {
    let text = plain(number);
    match kind_code {
        RESIDENT_ID => IdNumber::parse(&text).map(|parsed| parsed.number.into()),
        _ if text.is_empty() => Err(EMPTY),
        PASSPORT => passport(text),
        TAIWAN_PERMIT => taiwan_permit(&text),
        HONG_KONG_MACAO_PERMIT => hong_kong_macao_permit(&text),
        PERMANENT_RESIDENCE => permanent_residence(text),
        _ => {
            let long = (3..=32).contains(&text.chars().count());
            if long && text.chars().all(char::is_alphanumeric) {
                Ok(text)
            } else {
                Err(OTHER)
            }
        }
    }
}

fn passport(text: String) -> Result<String, Problem> {
    let shape = (5..=15).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
        && text.bytes().any(|b| b.is_ascii_digit());
    if shape { Ok(text) } else { Err(PASSPORT_SHAPE) }
}

/// Eight digits; the booklets before 2015 add two digits of renewals and a letter, maybe in brackets.
fn taiwan_permit(text: &str) -> Result<String, Problem> {
    let bare: String = text.chars().filter(|c| !matches!(c, '(' | ')')).collect();
    let digits = bare
        .strip_suffix(|c: char| c.is_ascii_uppercase())
        .unwrap_or(&bare);
    let shape = matches!(digits.len(), 8 | 10) && digits.bytes().all(|b| b.is_ascii_digit());
    let letter_alone = digits.len() == 8 && bare.len() == 9;
    if shape && !letter_alone {
        Ok(digits[..8].to_owned())
    } else {
        Err(TAIWAN)
    }
}

/// H or M and eight digits for life; permits before 2013 add two digits of renewals.
fn hong_kong_macao_permit(text: &str) -> Result<String, Problem> {
    let shape = matches!(text.len(), 9 | 11)
        && text.starts_with(['H', 'M'])
        && text.bytes().skip(1).all(|b| b.is_ascii_digit());
    if shape {
        Ok(text[..9].to_owned())
    } else {
        Err(HONG_KONG_MACAO)
    }
}

/// Since 2023: 9, two digits of province, three of nationality (GB/T 2659), birth, sequence, the check
/// digit of GB 11643. Before: three letters of nationality and twelve digits.
fn permanent_residence(text: String) -> Result<String, Problem> {
    let bytes = text.as_bytes();
    let old = text.len() == 15
        && bytes[..3].iter().all(u8::is_ascii_uppercase)
        && bytes[3..].iter().all(u8::is_ascii_digit);
    if old {
        return Ok(text);
    }
    let new = text.len() == 18 && bytes[0] == b'9' && bytes[..17].iter().all(u8::is_ascii_digit);
    if !new || !matches!(bytes[17], b'0'..=b'9' | b'X') {
        return Err(RESIDENCE);
    }
    date(&text[6..14]).ok_or(RESIDENCE_BIRTH)?;
    if check_digit(&text).is_some_and(|check| text.ends_with(check)) {
        Ok(text)
    } else {
        Err(RESIDENCE_CHECK)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    fn code(kind: &str, number: &str) -> &'static str {
        check(kind, number).unwrap_err().code
    }

    #[test]
    fn resident_id_goes_by_its_own_rule() {
        assert_eq!(
            check("111", "110105491231002").unwrap(),
            "11010519491231002X"
        );
        assert_eq!(code("111", "110105194912310020"), "check_digit");
        assert_eq!(code("111", ""), "id_empty");
    }

    #[test]
    fn passports() {
        assert_eq!(check("414", "ｅａ 1234567").unwrap(), "EA1234567");
        assert_eq!(check("414", "c01x00t47").unwrap(), "C01X00T47");
        assert_eq!(code("414", "E123"), "passport_shape");
        assert_eq!(code("414", "PASSPORT"), "passport_shape");
    }

    #[test]
    fn permits_lose_their_count_of_renewals() {
        assert_eq!(check("511", "12345678").unwrap(), "12345678");
        assert_eq!(check("511", "1234567801（B）").unwrap(), "12345678");
        assert_eq!(check("516", "h1234567802").unwrap(), "H12345678");
        assert_eq!(check("516", "M12345678").unwrap(), "M12345678");
        for wrong in ["1234567", "12345678B", "123456789"] {
            assert_eq!(code("511", wrong), "taiwan_permit_shape", "{wrong}");
        }
        for wrong in ["X12345678", "H1234567", "H123456780"] {
            assert_eq!(
                code("516", wrong),
                "hong_kong_macao_permit_shape",
                "{wrong}"
            );
        }
    }

    #[test]
    fn permanent_residence_old_and_new() {
        let body = "93115619900307001";
        let new = format!("{body}{}", check_digit(body).unwrap());
        assert_eq!(check("554", &new).unwrap(), new);
        assert_eq!(code("554", "usa 3101 9003071"), "permanent_residence_shape");
        assert_eq!(
            check("554", "usa 3101 900307 11").unwrap(),
            "USA310190030711"
        );
        assert_eq!(
            code("554", "931156199013070010"),
            "permanent_residence_birth_date"
        );
        let wrong = if new.ends_with('0') { '1' } else { '0' };
        assert_eq!(code("554", &format!("{body}{wrong}")), "check_digit");
        assert_eq!(
            code("554", "11010519491231002X"),
            "permanent_residence_shape"
        );
    }

    #[test]
    fn unknown_kinds_are_kept() {
        assert_eq!(check("999", "军字第 0012 号").unwrap(), "军字第0012号");
        assert_eq!(code("999", "!?"), "certificate_shape");
        assert_eq!(code("999", " "), "certificate_empty");
    }

    proptest! {
        #[test]
        fn normal_form_is_stable_and_nothing_panics(
            kind in prop::sample::select(vec!["111", "414", "511", "516", "554", "990"]),
            text in prop_oneof![any::<String>(), "[A-Z0-9]{0,18}", "9[0-9]{16}[0-9X]", "[A-Z]{3}[0-9]{12}"],
        ) {
            if let Ok(normal) = check(kind, &text) {
                prop_assert_eq!(check(kind, &normal), Ok(normal));
            }
        }
    }
}

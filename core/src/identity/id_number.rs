//! The resident ID number (公民身份号码) of GB 11643-1999, with the 15-digit form that came before it.
//!
//! Area codes are those of the day of first registration, so districts that are gone (310103 卢湾,
//! 310108 闸北, the old counties) are as good as any: only the province is checked. Residence permits
//! for Hong Kong, Macao and Taiwan begin 810000, 820000 and 830000 (State Council, 2018) and follow
//! the same rule. This module does not know whether a number was ever issued.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{Problem, Sex, plain};

pub use super::one_slip_apart;

/// Why a text is not an ID number; see the constants of this module for the codes.
pub type IdNumberError = Problem;

const EMPTY: Problem = Problem::new("id_empty", "还没有填写身份证号码。");
const CHARACTERS: Problem = Problem::new(
    "id_characters",
    "身份证号码只能是数字，末位可以是 X。请对照证件检查有没有字母 O、I 之类。",
);
const LENGTH: Problem = Problem::new(
    "id_length",
    "身份证号码应为 18 位（老证 15 位），请数一数有没有漏填或多填。",
);
const FOREIGNER: Problem = Problem::new(
    "id_foreigner_card",
    "以 9 开头的是外国人永久居留身份证号码，请把证件种类改为“外国人永久居留证”。",
);
const AREA: Problem = Problem::new(
    "id_area",
    "身份证号码开头六位不是有效的地区代码，请对照证件重新填写。",
);
const BIRTH: Problem = Problem::new(
    "id_birth_date",
    "身份证号码第 7 至 14 位不是真实的日期，请对照证件检查出生年月日。",
);
const CHECK_DIGIT: Problem = Problem::new(
    "check_digit",
    "身份证号码的校验位对不上，通常是某一位看错或相邻两位写反了，请对照证件重填。",
);

/// Weights of the first 17 digits, GB 11643-1999.
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check characters by the weighted sum modulo 11, GB 11643-1999.
const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
/// The first two digits that GB/T 2260 gives to provinces, and 81 to 83 for the permits.
const PROVINCES: [u8; 35] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52,
    53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83,
];

/// A valid 18-character ID number. `Debug` and `Display` show it masked; use
/// [`as_str`](Self::as_str) for the number itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdNumber(String);

/// What an ID number says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The number in its 18-character form.
    pub number: IdNumber,
    /// Date of birth.
    pub birth: NaiveDate,
    /// Odd sequence: male, even: female.
    pub sex: Sex,
    /// Six digits: division of first registration, as it was called then.
    pub area: String,
    /// Which register the number comes from.
    pub origin: Origin,
    /// Whether it was written in the old form of 15 digits.
    pub upgraded_from_15: bool,
}

/// Which kind of number it is, by its first six digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A citizen's number (公民身份号码).
    Mainland,
    /// 810000 港澳居民居住证（香港）
    HongKong,
    /// 820000 港澳居民居住证（澳门）
    Macao,
    /// 830000 台湾居民居住证
    Taiwan,
}

impl IdNumber {
    /// Reads a number as a person types it: full-width, spaced, lower-case x, 15 digits.
    ///
    /// # Errors
    /// `id_empty`, `id_characters`, `id_length`, `id_foreigner_card`, `id_area`, `id_birth_date`,
    /// `check_digit`: the first that applies.
    pub fn parse(text: &str) -> Result<Parsed, IdNumberError> {
        let text = plain(text);
        if text.is_empty() {
            return Err(EMPTY);
        }
        let (body, last) = text.split_at(text.char_indices().last().map_or(0, |(at, _)| at));
        let digits = body.bytes().all(|b| b.is_ascii_digit());
        if !digits || !last.bytes().all(|b| b.is_ascii_digit() || b == b'X') {
            return Err(CHARACTERS);
        }
        let upgraded_from_15 = match text.len() {
            18 => false,
            15 if last != "X" => true,
            _ => return Err(LENGTH),
        };
        let body = if upgraded_from_15 {
            format!("{}19{}", &text[..6], &text[6..])
        } else {
            body.to_owned()
        };
        if body.starts_with('9') {
            return Err(FOREIGNER);
        }
        let origin = origin(&body[..6]).ok_or(AREA)?;
        let birth = date(&body[6..14]).ok_or(BIRTH)?;
        let check = check_digit(&body).ok_or(CHARACTERS)?;
        if !upgraded_from_15 && !last.starts_with(check) {
            return Err(CHECK_DIGIT);
        }
        let male = body.as_bytes()[16] % 2 == 1;
        Ok(Parsed {
            area: body[..6].to_owned(),
            number: Self(format!("{body}{check}")),
            birth,
            sex: if male { Sex::Male } else { Sex::Female },
            origin,
            upgraded_from_15,
        })
    }

    /// The whole number, 18 characters. Personal data: never log it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last `count` characters, which people quote to be found by.
    #[must_use]
    pub fn tail(&self, count: usize) -> &str {
        &self.0[18 - count.min(18)..]
    }
}

impl fmt::Display for IdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*************{}", &self.0[..3], self.tail(2))
    }
}

impl fmt::Debug for IdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdNumber({self})")
    }
}

impl TryFrom<String> for IdNumber {
    type Error = IdNumberError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).map(|parsed| parsed.number)
    }
}

impl From<IdNumber> for String {
    fn from(number: IdNumber) -> Self {
        number.0
    }
}

/// The check character for the first 17 digits (GB 11643-1999, ISO 7064 MOD 11-2), or nothing if
/// `body` is not 17 digits or more.
#[must_use]
pub fn check_digit(body: &str) -> Option<char> {
    let mut sum = 0;
    let mut characters = body.chars();
    for weight in WEIGHTS {
        sum += weight * characters.next()?.to_digit(10)?;
    }
    CHECKS.get(sum as usize % 11).copied()
}

/// Compares what a number says with what else was filled in; gives the fields that disagree, all at
/// once. `sex` is a GB/T 2261.1 code; an unknown (`0`) or unstated (`9`) sex doesn't disagree.
#[must_use]
pub fn cross_check(parsed: &Parsed, birth: Option<NaiveDate>, sex: Option<&str>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if birth.is_some_and(|birth| birth != parsed.birth) {
        problems.push(Problem::new(
            "birth_differs_from_id",
            "出生日期与身份证号码里的不一致，请对照证件看哪一个填错了。",
        ));
    }
    if matches!(sex, Some("1" | "2")) && sex != Some(parsed.sex.code()) {
        problems.push(Problem::new(
            "sex_differs_from_id",
            "性别与身份证号码里的不一致，请对照证件看哪一个填错了。",
        ));
    }
    problems
}

fn origin(area: &str) -> Option<Origin> {
    let province: u8 = area.get(..2)?.parse().ok()?;
    match area {
        "810000" => Some(Origin::HongKong),
        "820000" => Some(Origin::Macao),
        "830000" => Some(Origin::Taiwan),
        _ if province >= 81 => None,
        _ => PROVINCES.contains(&province).then_some(Origin::Mainland),
    }
}

/// Eight digits as a real date of the calendar, from 1800 on.
pub(super) fn date(text: &str) -> Option<NaiveDate> {
    let year: i32 = text.get(..4)?.parse().ok()?;
    let month = text.get(4..6)?.parse().ok()?;
    let day = text.get(6..8)?.parse().ok()?;
    NaiveDate::from_ymd_opt(year, month, day).filter(|_| year >= 1800)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use super::*;
    use chrono::Datelike as _;
    use proptest::prelude::*;

    fn code(text: &str) -> &'static str {
        IdNumber::parse(text).unwrap_err().code
    }

    #[test]
    fn vectors_of_the_standard() {
        let woman = IdNumber::parse("11010519491231002X").unwrap();
        assert_eq!(woman.birth, NaiveDate::from_ymd_opt(1949, 12, 31).unwrap());
        assert_eq!((woman.sex, woman.area.as_str()), (Sex::Female, "110105"));
        let other = IdNumber::parse("440524188001010014").unwrap();
        assert_eq!(other.birth.year(), 1880);
        assert_eq!(other.sex, Sex::Male);
    }

    #[test]
    fn takes_what_people_type() {
        for text in [
            "１１０１０５１９４９１２３１００２Ｘ",
            " 110105 19491231 002x ",
            "110105-19491231-002Х",
        ] {
            assert_eq!(
                IdNumber::parse(text).unwrap().number.as_str(),
                "11010519491231002X",
                "{text}"
            );
        }
    }

    #[test]
    fn upgrades_fifteen_digits() {
        let parsed = IdNumber::parse("110105491231002").unwrap();
        assert!(parsed.upgraded_from_15);
        assert_eq!(parsed.number.as_str(), "11010519491231002X");
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(code("  "), "id_empty");
        assert_eq!(code("11010519491231OO2X"), "id_characters");
        assert_eq!(code("1101051949123100é"), "id_characters");
        assert_eq!(code("1101051949123102X"), "id_length");
        assert_eq!(code("11010549123100X"), "id_length");
        assert_eq!(code("931156199003070018"), "id_foreigner_card");
        assert_eq!(code("160105194912310025"), "id_area");
        assert_eq!(code("810101199001010010"), "id_area");
        assert_eq!(code("110105194902290020"), "id_birth_date");
        assert_eq!(code("110105194912310020"), "check_digit");
    }

    #[test]
    fn permits_are_numbers_too() {
        for (area, origin) in [
            ("810000", Origin::HongKong),
            ("820000", Origin::Macao),
            ("830000", Origin::Taiwan),
        ] {
            let body = format!("{area}19900307001");
            let text = format!("{body}{}", check_digit(&body).unwrap());
            let parsed = IdNumber::parse(&text).unwrap();
            assert_eq!(parsed.origin, origin);
        }
    }

    #[test]
    fn shows_itself_masked_only() {
        let number = IdNumber::parse("11010519491231002X").unwrap().number;
        assert_eq!(number.to_string(), "110*************2X");
        assert_eq!(format!("{number:?}"), "IdNumber(110*************2X)");
        assert_eq!(
            serde_json::to_string(&number).unwrap(),
            "\"11010519491231002X\""
        );
        assert!(serde_json::from_str::<IdNumber>("\"110105194912310020\"").is_err());
    }

    #[test]
    fn cross_check_gives_every_difference() {
        let parsed = IdNumber::parse("11010519491231002X").unwrap();
        let other = NaiveDate::from_ymd_opt(1949, 12, 13);
        let codes: Vec<_> = cross_check(&parsed, other, Some("1"))
            .iter()
            .map(|p| p.code)
            .collect();
        assert_eq!(codes, ["birth_differs_from_id", "sex_differs_from_id"]);
        assert!(cross_check(&parsed, Some(parsed.birth), Some("2")).is_empty());
        assert!(cross_check(&parsed, None, Some("9")).is_empty());
    }

    proptest! {
        #[test]
        fn every_made_number_reads_back(days in 0i64..45_000, area in 310_101u32..310_152, sequence in 1u32..1000) {
            let birth = NaiveDate::from_ymd_opt(1900, 1, 1).unwrap() + chrono::Days::new(days as u64);
            let body = format!("{area}{}{sequence:03}", birth.format("%Y%m%d"));
            let text = format!("{body}{}", check_digit(&body).unwrap());
            let parsed = IdNumber::parse(&text).unwrap();
            prop_assert_eq!(parsed.birth, birth);
            prop_assert_eq!(parsed.sex == Sex::Male, sequence % 2 == 1);
            // The check digit finds every single wrong digit and every swap of unlike neighbours.
            for at in 0..17 {
                let mut wrong = text.clone().into_bytes();
                wrong[at] = b'0' + (wrong[at] - b'0' + 1) % 10;
                prop_assert!(IdNumber::parse(std::str::from_utf8(&wrong).unwrap()).is_err());
                let mut swapped = text.clone().into_bytes();
                swapped.swap(at, at + 1);
                let swapped = String::from_utf8(swapped).unwrap();
                prop_assert_eq!(IdNumber::parse(&swapped).is_ok(), swapped == text);
            }
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = IdNumber::parse(&text);
        }

        #[test]
        fn never_panics_on_what_looks_like_a_number(text in "[0-9Xx０-９ é]{0,20}") {
            let _ = IdNumber::parse(&text);
        }
    }
}

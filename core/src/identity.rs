//! What identifies a person on paper: ID numbers, other certificates, phone numbers.
//!
//! Knows shapes and check digits only. It does not know any register, whether a number was ever
//! issued, or what today's date is (that is passed in).

pub mod certificate;
pub mod id_number;
pub mod phone;

use std::fmt;

/// Why a number can't be taken: a stable code for programs, a Chinese sentence for the person.
///
/// Neither holds any part of what was typed, so both may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Stable snake_case code, such as `check_digit`.
    pub code: &'static str,
    /// What is wrong and what to do next, in Chinese.
    pub message: &'static str,
}

impl Problem {
    pub(crate) const fn new(code: &'static str, message: &'static str) -> Self {
        Self { code, message }
    }
}

/// Sex as an ID number tells it (GB/T 2261.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sex {
    /// 1 男
    Male,
    /// 2 女
    Female,
}

impl Sex {
    /// The code of GB/T 2261.1: `1` or `2`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Male => "1",
            Self::Female => "2",
        }
    }
}

impl fmt::Display for Sex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Male => "男",
            Self::Female => "女",
        })
    }
}

/// Brings typed text to the plain form that every number check starts from: full-width letters and
/// digits made narrow (NFKC), upper case, blanks, hyphens and invisible characters gone, and the
/// letters that pass for a Latin X (Greek Χ, Cyrillic Х, ×) made X.
pub(crate) fn plain(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    text.nfkc()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .filter(|c| !matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ad}'))
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}'))
        .map(|c| match c {
            'Χ' | 'χ' | 'Х' | 'х' | '×' => 'X',
            other => other.to_ascii_uppercase(),
        })
        .collect()
}

/// Whether two numbers are exactly one slip of the finger apart: one character replaced, left out or
/// added, or two neighbours swapped (Damerau's four kinds of typing error). Equal numbers are not.
///
/// Both are brought to plain form first, so width, case and blanks don't count as slips.
#[must_use]
pub fn one_slip_apart(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (plain(a).chars().collect(), plain(b).chars().collect());
    let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[head..], &b[head..]);
    let tail = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    match (a, b) {
        ([_], [_]) | ([_], []) | ([], [_]) => true,
        ([p, q], [r, s]) => p == s && q == r,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slips_of_each_kind() {
        let right = "11010519491231002X";
        assert!(one_slip_apart(right, "11010519491231003X"), "replaced");
        assert!(one_slip_apart(right, "1101051949123102X"), "left out");
        assert!(one_slip_apart(right, "110105194912310002X"), "added");
        assert!(
            one_slip_apart(right, "11010519492131002X"),
            "neighbours swapped"
        );
        assert!(
            !one_slip_apart(right, "１１０１０５ 19491231 002x"),
            "the same number"
        );
        assert!(
            !one_slip_apart(right, "11010519493121002X"),
            "swapped over a distance"
        );
        assert!(!one_slip_apart(right, "11010619491231003X"), "two slips");
        assert!(!one_slip_apart("", ""));
    }

    proptest! {
        #[test]
        fn a_slip_is_found_from_both_sides(text in "[0-9]{17}[0-9X]", at in 0usize..17, digit in 0u32..10) {
            let mut replaced: Vec<char> = text.chars().collect();
            replaced[at] = char::from_digit(digit, 10).unwrap();
            let mut swapped: Vec<char> = text.chars().collect();
            swapped.swap(at, at + 1);
            for other in [replaced, swapped] {
                let other: String = other.into_iter().collect();
                prop_assert_eq!(one_slip_apart(&text, &other), text != other);
                prop_assert_eq!(one_slip_apart(&other, &text), text != other);
            }
        }

        #[test]
        fn never_panics(a in any::<String>(), b in any::<String>()) {
            prop_assert_eq!(one_slip_apart(&a, &b), one_slip_apart(&b, &a));
        }
    }
}

//! People's names: one way to write them, how they sound, and whether two could be one name.
//!
//! Knows characters and readings only; whether two records are one person is not decided here.

mod pinyin;
mod tables;

use unicode_normalization::UnicodeNormalization;

pub(crate) use self::pinyin::initials_of;
pub use self::pinyin::{initials, pinyin, readings};
use tables::tables;

/// How two names can be one name written twice; see [`variant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variant {
    /// Equal once width, blanks and the kind of dot are set aside.
    Same,
    /// Equal but for the dot of a translated name, 阿依古丽热合曼.
    Dot,
    /// The words of a Latin name in another order, JOHN SMITH.
    WordOrder,
    /// Characters that are taken for one another: 付 and 傅, 昇 and 升.
    LookAlike,
    /// One character was lost on the way, 梁晨? : rare ones are outside older encodings.
    LostCharacter,
}

/// The name in its one form: NFKC, Latin letters upper-case with single blanks, no blanks between Han
/// characters, and the middle dot of translated names always `·` (U+00B7).
///
/// What a person can't be called by (control and zero-width characters) is dropped.
#[must_use]
pub fn normalise(name: &str) -> String {
    let mut text = name.to_owned();
    // Taking characters out can let others combine, so until nothing changes (twice in practice).
    for _ in 0..8 {
        let next = normalise_once(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn normalise_once(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut gap = false;
    let is_dot = |c: char| {
        matches!(
            c,
            '·' | '•'
                | '・'
                | '‧'
                | '∙'
                | '⋅'
                | '●'
                | '。'
                | '.'
                | '\u{387}'
                | '\u{16eb}'
                | '\u{2e31}'
        )
    };
    for c in name.nfkc() {
        if c.is_whitespace() || c == '_' || (is_dot(c) && ends_latin(&out)) {
            gap = true;
        } else if is_dot(c) {
            if !out.is_empty() && !out.ends_with('·') {
                out.push('·');
            }
            gap = false;
        } else if !c.is_control() && !is_invisible(c) {
            if gap && ends_latin(&out) && is_latin(c) {
                out.push(' ');
            }
            gap = false;
            out.extend(c.to_uppercase());
        }
    }
    while out.ends_with('·') {
        out.pop();
    }
    out
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

fn is_latin(c: char) -> bool {
    c.is_alphanumeric() && (c as u32) < 0x0500
}

fn ends_latin(text: &str) -> bool {
    text.chars().next_back().is_some_and(is_latin)
}

/// Each character replaced by the one that stands for all it is taken for (傅 by 付); the same for
/// simplified and traditional forms.
#[must_use]
pub fn fold(name: &str) -> String {
    name.chars().map(|c| tables().representative(c)).collect()
}

/// Whether two names may be one name written twice.
#[must_use]
pub fn is_variant(a: &str, b: &str) -> bool {
    variant(a, b).is_some()
}

/// How two names can be one name written twice, if they can. Empty names can't.
#[must_use]
pub fn variant(a: &str, b: &str) -> Option<Variant> {
    let (a, b) = (normalise(a), normalise(b));
    if a.is_empty() || b.is_empty() {
        return None;
    }
    if a == b {
        return Some(Variant::Same);
    }
    let bare = |name: &str| {
        name.chars()
            .filter(|c| !matches!(c, '·' | ' ' | '-' | '\''))
            .collect::<String>()
    };
    let (bare_a, bare_b) = (bare(&a), bare(&b));
    if bare_a == bare_b {
        return Some(Variant::Dot);
    }
    let words = |name: &str| {
        let mut words: Vec<String> = name.split([' ', '-']).map(str::to_owned).collect();
        words.sort();
        words
    };
    if a.contains(' ') && words(&a) == words(&b) {
        return Some(Variant::WordOrder);
    }
    let (a, b) = (fold(&bare_a), fold(&bare_b));
    if a == b {
        return Some(Variant::LookAlike);
    }
    equal_but_lost(&a, &b).then_some(Variant::LostCharacter)
}

/// Equal in all but one character, which is lost in one of the two. A character outside an encoding
/// may leave several marks.
fn equal_but_lost(a: &str, b: &str) -> bool {
    let marks = |name: &str| {
        let mut chars: Vec<char> = name
            .chars()
            .map(|c| if is_lost(c) { '?' } else { c })
            .collect();
        chars.dedup_by(|c, before| *c == '?' && *before == '?');
        chars
    };
    let (a, b) = (marks(a), marks(b));
    let known = |name: &[char]| name.iter().filter(|c| **c != '?').count();
    let lost = a.iter().zip(&b).filter(|(x, y)| x != y).count();
    let explained = a
        .iter()
        .zip(&b)
        .all(|(x, y)| x == y || *x == '?' || *y == '?');
    a.len() == b.len() && lost == 1 && explained && known(&a).min(known(&b)) > 0
}

/// The marks that stand where a character was lost, and the private-use area that older systems put rare
/// characters in, each in its own way.
fn is_lost(c: char) -> bool {
    matches!(
        c,
        '?' | '*' | '□' | '■' | '〓' | '\u{fffd}' | '\u{e000}'..='\u{f8ff}'
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_form() {
        for (written, form) in [
            (" 叶 海　思 ", "叶海思"),
            ("买买提•吐尔逊", "买买提·吐尔逊"),
            ("买买提・吐尔逊", "买买提·吐尔逊"),
            ("买买提．吐尔逊", "买买提·吐尔逊"),
            ("买买提 · 吐尔逊", "买买提·吐尔逊"),
            ("Ｍüller  anna", "MÜLLER ANNA"),
            ("J. Smith", "J SMITH"),
            ("王\u{200b}芳·", "王芳"),
            ("陈思𠅤", "陈思𠅤"),
        ] {
            assert_eq!(normalise(written), form, "{written}");
        }
    }

    #[test]
    fn variants() {
        for (a, b, how) in [
            ("叶海思", "叶 海思", Variant::Same),
            ("买买提·吐尔逊", "买买提.吐尔逊", Variant::Same),
            ("买买提·吐尔逊", "买买提吐尔逊", Variant::Dot),
            ("SMITH JOHN", "john smith", Variant::WordOrder),
            ("付然伟", "傅然伟", Variant::LookAlike),
            ("闫霞琪", "阎霞琪", Variant::LookAlike),
            ("潘静昇", "潘静升", Variant::LookAlike),
            ("陈轩堃", "陈轩坤", Variant::LookAlike),
            ("沈英林", "沉英林", Variant::LookAlike),
            ("于雪", "余雪", Variant::LookAlike),
            ("段凤梓", "段凤子", Variant::LookAlike),
            ("張偉", "张伟", Variant::LookAlike),
            ("梁晨𬭎", "梁晨?", Variant::LostCharacter),
            ("梁晨𬭎", "梁晨??", Variant::LostCharacter),
            ("梁晨\u{e863}", "梁晨䶮", Variant::LostCharacter),
        ] {
            assert_eq!(variant(a, b), Some(how), "{a} {b}");
            assert_eq!(variant(b, a), Some(how), "{b} {a}");
        }
        for (a, b) in [
            ("叶海思", "叶海"),
            ("唐然", "唐琪"),
            ("高敏根", "高敏慧"),
            ("", ""),
            ("?", "王"),
            ("??", "王芳"),
            ("王芳", "方王"),
        ] {
            assert!(!is_variant(a, b), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn the_form_is_stable(name in any::<String>()) {
            let form = normalise(&name);
            prop_assert_eq!(normalise(&form), form);
        }

        #[test]
        fn both_ways_alike(a in "[付傅王张張·?. A-Ca-c]{0,5}", b in "[付傅王张張·?. A-Ca-c]{0,5}") {
            prop_assert_eq!(variant(&a, &b), variant(&b, &a));
            prop_assert!(normalise(&a).is_empty() || variant(&a, &a) == Some(Variant::Same));
        }
    }
}

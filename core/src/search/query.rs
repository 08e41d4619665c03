//! What a typed text looks for: a name, its pinyin or initials, a number or its end, a place.
//!
//! People type all of these into one box, so a text may mean several things; each piece becomes a term
//! with a token for every meaning.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

use super::tokens::place_parts;
use super::{NOTHING, Query, pairs, prefix};

use crate::{address, identity, names};

/// The most characters of a typed text that are looked at.
const LONGEST: usize = 80;

/// What counts in an address, after which blanks mean nothing: 12 弄.
const MEASURES: [char; 12] = [
    '弄', '支', '号', '室', '幢', '栋', '楼', '单', '组', '队', '层', '座',
];

/// Reads what a person typed. Blanks separate pieces that must all be found.
#[must_use]
pub fn query(text: &str) -> Query {
    let text: String = text.nfkc().take(LONGEST).collect();
    let mut terms = BTreeSet::new();
    let mut address = BTreeSet::new();
    for piece in pieces(&text) {
        // A phone number may hold hyphens as a place does, so a piece can be both: then every term of
        // the place is also met by the phone.
        let whole = whole_number(&piece);
        if is_place(&piece) {
            let place = place(&piece);
            let phone = whole.unwrap_or_default();
            if phone.is_empty() {
                address.extend(place.address.iter().cloned());
            }
            let parts = place.address.into_iter().map(|part| BTreeSet::from([part]));
            terms.extend(parts.chain(place.rest).map(|term| &term | &phone));
        } else if let Some(term) = whole {
            terms.insert(term);
        } else {
            terms.extend(runs(&piece).into_iter().flat_map(|run| meanings(&run)));
        }
    }
    terms.retain(|term| !term.is_empty());
    if terms.is_empty() && !text.trim().is_empty() {
        terms.insert(BTreeSet::from([NOTHING.to_owned()]));
    }
    Query {
        terms: terms.into_iter().collect(),
        address,
    }
}

/// The text at its blanks, except where a blank only spaces out an address or a long number.
fn pieces(text: &str) -> Vec<String> {
    let all: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if is_unmistakable(&all) {
        return vec![all];
    }
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let counts = word.starts_with(MEASURES);
        match pieces.last_mut() {
            Some(last) if counts && last.ends_with(|c: char| c.is_ascii_alphanumeric()) => {
                last.push_str(word)
            }
            _ => pieces.push(word.to_owned()),
        }
    }
    pieces
}

/// A number that can't be several: an ID number, a mobile phone, one with its area code, a passport.
fn is_unmistakable(all: &str) -> bool {
    use identity::phone::{PhoneKind, normalise};
    let letters = all.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = all.len() - letters;
    let passport = (1..=3).contains(&letters)
        && (6..=9).contains(&digits)
        && all[letters..].bytes().all(|b| b.is_ascii_digit());
    let phone = normalise(all)
        .is_ok_and(|phone| phone.kind() != PhoneKind::Landline || all.starts_with(['0', '+', '(']));
    passport || phone || identity::id_number::IdNumber::parse(all).is_ok()
}

/// A number that is complete: phone, ID number, permit, passport.
fn whole_number(piece: &str) -> Option<BTreeSet<String>> {
    let plain = identity::plain(piece);
    let digits = plain.bytes().filter(u8::is_ascii_digit).count();
    if digits < 5 || plain.len() < 7 || !plain.is_ascii() {
        return None;
    }
    let mut tokens = BTreeSet::new();
    if let Ok(phone) = identity::phone::normalise(piece) {
        tokens.insert(format!("t:{}", phone.as_str()));
    }
    if let Ok(parsed) = identity::id_number::IdNumber::parse(&plain) {
        tokens.insert(format!("id:{}", parsed.number.as_str()));
    } else if piece.chars().all(char::is_alphanumeric) {
        tokens.extend([format!("id:{plain}"), format!("c:{plain}")]);
    }
    (!tokens.is_empty()).then_some(tokens)
}

/// Whether a piece is a part of an address: a number with what it counts, or numbers with hyphens.
fn is_place(piece: &str) -> bool {
    let address = address::parse(piece);
    let numbered = !place_parts(&address).is_empty();
    let numbers = piece.contains(|c: char| c.is_ascii_digit());
    let counted = piece.contains(MEASURES);
    let hyphens = piece.contains(['-', '/', '#']) && numbers;
    let road = address
        .road
        .as_ref()
        .is_some_and(|road| road.chars().count() > 1)
        && numbers;
    numbered && (counted || hyphens || road)
}

/// A piece that holds an address.
struct Place {
    /// The tokens of what is an address for certain.
    address: BTreeSet<String>,
    /// What else there is: a name in front of it, perhaps.
    rest: Vec<BTreeSet<String>>,
}

fn place(piece: &str) -> Place {
    let address = address::parse(piece);
    let named = [
        &address.road,
        &address.village,
        &address.hamlet,
        &address.estate,
        &address.region,
    ];
    let names = named
        .into_iter()
        .flatten()
        .flat_map(|name| characters(name));
    Place {
        address: names
            .map(|pair| format!("a:{pair}"))
            .chain(place_parts(&address))
            .collect(),
        rest: han(&address.rest),
    }
}

/// A piece at the borders of Han characters, Latin letters and digits: 叶海思5621. A number that begins
/// or ends in a letter stays whole.
fn runs(piece: &str) -> Vec<String> {
    let class = |c: char| match c {
        c if c.is_ascii_alphanumeric() => 1,
        c if c.is_alphanumeric() => 2,
        _ => 0,
    };
    let mut runs: Vec<(u8, String)> = Vec::new();
    for c in piece.chars() {
        match runs.last_mut() {
            Some((last, run)) if *last == class(c) => run.push(c),
            _ => runs.push((class(c), c.to_string())),
        }
    }
    runs.into_iter()
        .filter(|(class, _)| *class > 0)
        .flat_map(|(_, run)| letters_and_digits(run))
        .collect()
}

/// yehai301 is two things, 002X and A12 are one.
fn letters_and_digits(run: String) -> Vec<String> {
    let letters = run.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = run[letters..].bytes().all(|b| b.is_ascii_digit());
    if letters >= 2 && letters < run.len() && digits {
        return vec![run[..letters].to_owned(), run[letters..].to_owned()];
    }
    vec![run]
}

/// What one run may mean. Han characters give a term for every pair.
fn meanings(run: &str) -> Vec<BTreeSet<String>> {
    if !run.is_ascii() {
        return han(run);
    }
    let mut any_of = BTreeSet::new();
    let lower = run.to_ascii_lowercase();
    if lower.bytes().all(|b| b.is_ascii_lowercase()) {
        let typed = lower.replace("lyu", "lv").replace("nyu", "nv");
        any_of.extend([
            format!("p:{}", prefix(&typed)),
            format!("i:{}", prefix(&typed)),
        ]);
    } else {
        let number = run.to_ascii_uppercase();
        if matches!(number.len(), 4 | 6) {
            any_of.insert(format!("d:{number}"));
        }
        if number.len() == 4 {
            any_of.insert(format!("t:{number}"));
        }
        if number.len() >= 5 {
            any_of.extend([format!("id:{number}"), format!("c:{number}")]);
        }
        if number.len() <= 5 {
            let bare = number.trim_start_matches('0');
            any_of.extend(["m:", "h:", "l:"].map(|kind| format!("{kind}{bare}")));
        }
    }
    vec![any_of]
}

/// Characters of a name or of a place's name.
fn han(text: &str) -> Vec<BTreeSet<String>> {
    characters(text)
        .into_iter()
        .map(|pair| BTreeSet::from([format!("n:{pair}"), format!("a:{pair}")]))
        .collect()
}

/// Neighbouring characters; look-alikes count as one.
fn characters(text: &str) -> Vec<String> {
    pairs(&names::fold(&names::normalise(text)))
}

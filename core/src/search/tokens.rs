//! The tokens a record is found by. Which fields are searched, and how, the declaration says.

use std::collections::BTreeSet;

use super::{LONGEST_PREFIX, pairs, prefix, tail};
use crate::address::Address;
use crate::records::{RecordType, SearchIndex, record_type, split_key};
use crate::value::Fields;
use crate::{address, identity, names};

/// The most pairs of characters taken from one text, so that a pasted page doesn't swamp the index.
const MOST_PAIRS: usize = 24;

/// The tokens of a record of a built-in type; none for other types and for cleared fields.
#[must_use]
pub fn tokens(record_type_name: &str, fields: &Fields) -> BTreeSet<String> {
    record_type(record_type_name)
        .map(|declared| tokens_of(declared, fields))
        .unwrap_or_default()
}

/// The tokens of a record of a declared type, such as a form of a district's own.
#[must_use]
pub fn tokens_of(declared: &RecordType, fields: &Fields) -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    for (key, value) in fields {
        let Some(field) = declared.field(key) else {
            continue;
        };
        let Some(index) = field.search else { continue };
        // An element of a set of texts is its key.
        let text = value
            .as_text()
            .or_else(|| value.as_bool().filter(|yes| *yes).and(split_key(key).1));
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            continue;
        };
        match index {
            SearchIndex::Name => name(text, &mut tokens),
            SearchIndex::Number => number(text, &mut tokens),
            SearchIndex::Phone => phone(text, &mut tokens),
            SearchIndex::Address => place(&address::parse(text), &mut tokens),
            SearchIndex::Code => {
                tokens.insert(format!("c:{}", identity::plain(text)));
            }
            SearchIndex::Text => text_pairs(text, &mut tokens),
        }
    }
    tokens
}

/// Characters, readings with and without the surname, initials.
fn name(text: &str, tokens: &mut BTreeSet<String>) {
    let written = names::normalise(text);
    let folded = names::fold(&written);
    tokens.extend(
        folded
            .chars()
            .filter(|c| c.is_alphanumeric() && !c.is_ascii())
            .map(|c| format!("n:{c}")),
    );
    tokens.extend(
        pairs(&folded)
            .into_iter()
            .filter(|pair| !pair.is_ascii())
            .map(|pair| format!("n:{pair}")),
    );
    for reading in names::readings(&written) {
        beginnings("p:", 2, &reading.concat(), tokens);
        beginnings("i:", 1, &names::initials_of(&reading), tokens);
        if reading.len() > 1 {
            beginnings("p:", 2, &reading[1..].concat(), tokens);
        }
        // Syllables typed apart: ye hai si.
        let apart = reading.iter().skip(2).map(|syllable| prefix(syllable));
        tokens.extend(apart.map(|syllable| format!("p:{syllable}")));
    }
}

/// Every beginning of `letters` from `shortest` letters to the longest that is stored.
fn beginnings(kind: &str, shortest: usize, letters: &str, tokens: &mut BTreeSet<String>) {
    let longest = letters.len().min(LONGEST_PREFIX);
    tokens.extend(
        (shortest.min(longest).max(1)..=longest)
            .map(|length| format!("{kind}{}", prefix(&letters[..length]))),
    );
}

/// A certificate number: whole, and its last four and six. An old number of 15 digits is found by its
/// 18, a wrong one as it was written.
fn number(text: &str, tokens: &mut BTreeSet<String>) {
    let number = match identity::id_number::IdNumber::parse(text) {
        Ok(parsed) => parsed.number.into(),
        Err(_) => identity::plain(text),
    };
    tokens.extend(
        [4, 6]
            .into_iter()
            .filter_map(|count| tail(&number, count))
            .map(|tail| format!("d:{tail}")),
    );
    tokens.insert(format!("id:{number}"));
}

fn phone(text: &str, tokens: &mut BTreeSet<String>) {
    let (whole, last) = match identity::phone::normalise(text) {
        Ok(phone) => (phone.as_str().to_owned(), phone.tail().to_owned()),
        Err(_) => {
            let plain = identity::plain(text);
            let last = tail(&plain, 4).unwrap_or(&plain).to_owned();
            (plain, last)
        }
    };
    tokens.extend([format!("t:{whole}"), format!("t:{last}")]);
}

/// The names and numbers of a place, and the place and its building as a whole.
fn place(address: &Address, tokens: &mut BTreeSet<String>) {
    tokens.extend(place_parts(address));
    let names = [
        &address.road,
        &address.village,
        &address.hamlet,
        &address.estate,
        &address.region,
    ];
    for name in names.into_iter().flatten() {
        text_pairs(name, tokens);
    }
    text_pairs(&address.rest, tokens);
    for (kind, key) in [("k:", address.key()), ("kb:", address.building_key())] {
        if !key.is_empty() {
            tokens.insert(format!("{kind}{key}"));
        }
    }
}

/// The numbers of a place, each with what it counts.
pub(super) fn place_parts(address: &Address) -> Vec<String> {
    let parts = [
        ("l:", &address.lane),
        ("s:", &address.sub_lane),
        ("h:", &address.number),
        ("b:", &address.building),
        ("u:", &address.unit),
        ("g:", &address.group),
        ("m:", &address.room),
    ];
    parts
        .iter()
        .filter_map(|(kind, part)| part.as_ref().map(|part| format!("{kind}{part}")))
        .collect()
}

fn text_pairs(text: &str, tokens: &mut BTreeSet<String>) {
    let folded = names::fold(&names::normalise(text));
    tokens.extend(
        pairs(&folded)
            .into_iter()
            .take(MOST_PAIRS)
            .map(|pair| format!("a:{pair}")),
    );
}

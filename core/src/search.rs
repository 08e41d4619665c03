//! What a record is found by and what a typed text looks for, in one place.
//!
//! A record is found by *tokens*; a query is a row of *terms* that must all hit, and a term hits if the
//! record has any of its tokens. Tokens compare by equality alone, so the server can keep nothing but
//! their HMACs, and a device can keep them in any index. What people type the beginning of (pinyin) is
//! therefore stored as every beginning. Tokens are personal data: never log them.
//!
//! Knows record declarations, names, addresses and numbers; knows no store and no rights.
//!
//! ```
//! use std::collections::BTreeMap;
//! use doorstep_core::search;
//! let fields = BTreeMap::from([("name".to_owned(), "叶海思".into())]);
//! let tokens = search::tokens("resident", &fields);
//! for text in ["叶海", "海思", "yehai", "yhs", "YE"] {
//!     assert!(search::query(text).matches(&tokens), "{text}");
//! }
//! assert!(!search::query("叶思").matches(&tokens));
//! ```
//!
//! | token | from | example |
//! |---|---|---|
//! | `n:` | one and two neighbouring characters of a name | `n:叶` `n:叶海` |
//! | `p:` | beginnings of the reading, whole and without the surname | `p:yeh` `p:haisi` |
//! | `i:` | beginnings of its initials | `i:yh` |
//! | `id:` | a certificate number, whole | `id:11010519491231002X` |
//! | `d:` | its last four and six | `d:002X` |
//! | `t:` | a phone number: whole, last four | `t:13800138000` `t:8000` |
//! | `a:` | two neighbouring characters of a road, village, estate or text | `a:陕西` |
//! | `l:` `s:` `h:` `b:` `u:` `g:` `m:` | lane, lane within, number, building, unit, group, room | `l:12` `m:301` |
//! | `k:` `kb:` | the place and the building as one text | |
//! | `c:` | a code, whole | `c:C0000001184` |
//! | `-:` | nothing: only a query that means nothing asks for it | |

mod query;
mod tokens;

use std::collections::BTreeSet;

pub use query::query;
pub use tokens::{tokens, tokens_of};

/// How many letters of a reading can be typed before more no longer narrow the search.
const LONGEST_PREFIX: usize = 10;

/// The token that no record has.
const NOTHING: &str = "-:";

/// Typed words: every term must be found, each by any of its tokens. A blank text has no terms and so
/// finds everything, as lists want it; a text that means nothing has one that no record holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The terms; each holds the tokens of which one must be there, never none.
    pub terms: Vec<BTreeSet<String>>,
    /// Tokens of an address, each a term of its own besides: one record has all of them or none that matters, as an
    /// address is in one field. Whoever looks in an index looks for all of them at once, since each by itself fits too
    /// many: a third of a city's houses are in a lane that has a number 3.
    pub address: BTreeSet<String>,
}

impl Query {
    /// Whether a record with these tokens is found.
    #[must_use]
    pub fn matches(&self, tokens: &BTreeSet<String>) -> bool {
        self.terms
            .iter()
            .all(|term| term.iter().any(|token| tokens.contains(token)))
    }

    /// Leaves out what would be found by a certificate's number or a phone, whole or by its end: for whoever sees them
    /// masked only, as what is found tells what is masked. A term that means nothing else finds nothing from then on.
    /// Gives whether there was any.
    ///
    /// ```
    /// use doorstep_core::search;
    /// let mut query = search::query("叶海 1702");
    /// assert!(query.leave_out_numbers() && !query.leave_out_numbers());
    /// assert!(query.terms.iter().flatten().all(|token| !token.starts_with("t:")));
    /// assert!(query.terms.iter().flatten().any(|token| token == "m:1702"));
    /// ```
    pub fn leave_out_numbers(&mut self) -> bool {
        let is_number = |token: &str| {
            ["id:", "d:", "t:"]
                .into_iter()
                .any(|kind| token.starts_with(kind))
        };
        let mut any = false;
        for term in &mut self.terms {
            let before = term.len();
            term.retain(|token| !is_number(token));
            any |= term.len() < before;
            if term.is_empty() {
                term.insert(NOTHING.to_owned());
            }
        }
        any
    }
}

/// Lower-case letters and digits of a reading, cut to what is stored of it.
fn prefix(letters: &str) -> &str {
    &letters[..letters.len().min(LONGEST_PREFIX)]
}

/// Pairs of neighbouring characters; a single character stands for itself. Punctuation separates.
fn pairs(text: &str) -> Vec<String> {
    let mut pairs = Vec::new();
    for part in text.split(|c: char| !c.is_alphanumeric()) {
        let chars: Vec<char> = part.chars().collect();
        match chars.as_slice() {
            [] => {}
            [one] => pairs.push(one.to_string()),
            more => pairs.extend(more.windows(2).map(|pair| pair.iter().collect::<String>())),
        }
    }
    pairs
}

/// The last `count` characters of a number in plain form, if it has more.
fn tail(number: &str, count: usize) -> Option<&str> {
    number
        .is_ascii()
        .then(|| number.len().checked_sub(count))
        .flatten()
        .filter(|at| *at > 0)
        .map(|at| &number[at..])
}

//! The body of an address as a row of tokens: names, numbers, what they count, hyphens, marks.
//! Doesn't know which combination means what.

use super::clean::is_han;
use super::numeral;
use super::rules::Rules;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// 弄
    Lane,
    /// 支弄
    SubLane,
    /// 号
    House,
    /// 号楼, 幢, 栋, 座
    Building,
    /// 楼: the building, or the floor where the building is known.
    BuildingOrFloor,
    /// 单元
    Unit,
    /// 层
    Floor,
    /// 室, 房, 户
    Room,
    /// 组, 队
    Group,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name: of a road, village, estate, or anything else.
    Name(String),
    /// A room that goes by a name.
    NamedRoom(String),
    /// A number, in Arabic digits without leading zeros, with its letters: 45, A12, 601B.
    Number(String),
    /// What the number before it counts.
    Unit(Measure),
    /// A part of an estate: 东区, 2期.
    Section(String),
    /// A hyphen, or 之.
    Hyphen,
    /// 甲, 乙, 丙, 丁 beside a number.
    Mark(char),
    /// 临 beside a number.
    Temporary,
    /// 后门
    BackDoor,
}

/// Longest first where one begins with another.
const UNITS: [(&str, Measure); 22] = [
    ("号楼", Measure::Building),
    ("号幢", Measure::Building),
    ("号室", Measure::Room),
    ("号", Measure::House),
    ("#楼", Measure::Building),
    ("#", Measure::House),
    ("支弄", Measure::SubLane),
    ("弄", Measure::Lane),
    ("幢", Measure::Building),
    ("栋", Measure::Building),
    ("座", Measure::Building),
    ("楼", Measure::BuildingOrFloor),
    ("单元", Measure::Unit),
    ("层", Measure::Floor),
    ("室", Measure::Room),
    ("房间", Measure::Room),
    ("房", Measure::Room),
    ("户", Measure::Room),
    ("组", Measure::Group),
    ("小组", Measure::Group),
    ("村民小组", Measure::Group),
    ("队", Measure::Group),
];

/// What says that digits are a part of an estate rather than a number: 2期, 三区.
const SECTION_ENDS: [char; 2] = ['区', '期'];

pub(super) fn lex(body: &str, rules: &Rules) -> Vec<Token> {
    let chars: Vec<char> = body.chars().collect();
    let mut lexer = Lexer {
        chars: &chars,
        at: 0,
        rules,
        tokens: Vec::new(),
        name: String::new(),
    };
    while lexer.at < chars.len() {
        lexer.step();
    }
    lexer.end_name();
    lexer.tokens
}

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
    rules: &'a Rules,
    tokens: Vec<Token>,
    /// The name being gathered.
    name: String,
}

impl Lexer<'_> {
    fn step(&mut self) {
        if let Some((room, length)) = self.named_room() {
            return self.push(Token::NamedRoom(room), length);
        }
        if let Some((text, length)) = self.section() {
            return self.push(Token::Section(text), length);
        }
        if let Some((number, length)) = self.number(self.at) {
            self.push(Token::Number(number), length);
            if let Some((unit, length)) = unit(&self.chars[self.at..]) {
                self.push(Token::Unit(unit), length);
            }
            return;
        }
        if let Some((token, length)) = self.mark() {
            self.push(token, length);
            // 45甲号, 45后门号: the unit comes after the mark.
            let numbered = self
                .tokens
                .iter()
                .rev()
                .nth(1)
                .is_some_and(|t| matches!(t, Token::Number(_)));
            if numbered && let Some((unit, length)) = unit(&self.chars[self.at..]) {
                self.push(Token::Unit(unit), length);
            }
            return;
        }
        let c = self.chars[self.at];
        if c == '第' && self.at + 1 < self.chars.len() && self.number(self.at + 1).is_some() {
            self.at += 1;
            return;
        }
        if c == '-' || (c == '之' && self.beside_number()) {
            return self.push(Token::Hyphen, 1);
        }
        self.name.push(c);
        self.at += 1;
    }

    fn push(&mut self, token: Token, length: usize) {
        self.end_name();
        self.tokens.push(token);
        self.at += length;
    }

    fn end_name(&mut self) {
        if !self.name.is_empty() {
            self.tokens
                .push(Token::Name(std::mem::take(&mut self.name)));
        }
    }

    /// Whether the place right before here is a number or what it counts.
    fn beside_number(&self) -> bool {
        self.name.is_empty()
            && matches!(self.tokens.last(), Some(Token::Number(_) | Token::Unit(_)))
    }

    fn starts_with(&self, text: &str) -> bool {
        starts_with(&self.chars[self.at..], text)
    }

    /// A room by name, only after a number: 客堂 in 5号客堂. Its floor may be in digits: 3层阁.
    fn named_room(&self) -> Option<(String, usize)> {
        let after = matches!(
            self.tokens.last(),
            Some(
                Token::Number(_)
                    | Token::Unit(_)
                    | Token::BackDoor
                    | Token::Mark(_)
                    | Token::Temporary
            )
        );
        if !after || !self.name.is_empty() {
            return None;
        }
        let here = self.chars[self.at];
        let numeral = here.to_digit(10).and_then(numeral::from_number);
        let spelled = numeral
            .map(|text| [text.chars().collect(), self.chars[self.at + 1..].to_vec()].concat());
        let text: &[char] = spelled.as_deref().unwrap_or(&self.chars[self.at..]);
        let room = self
            .rules
            .rooms
            .iter()
            .filter(|room| starts_with(text, room))
            .max_by_key(|room| room.len())?;
        Some((room.clone(), room.chars().count()))
    }

    /// 东区, A区, 2期, 三区: one or two characters and 区 or 期, after the road or lane.
    fn section(&self) -> Option<(String, usize)> {
        if self.tokens.is_empty() && self.name.is_empty() {
            return None;
        }
        let (head, length) = match self.number(self.at) {
            Some((number, length)) => (number, length),
            None => {
                let here = self.chars[self.at];
                let run = self.chars[self.at..]
                    .iter()
                    .take_while(|c| numeral::is_numeral(**c))
                    .count();
                match numeral::to_digits(&self.chars[self.at..self.at + run]) {
                    Some(digits) => (digits, run),
                    None if "东西南北中".contains(here) || here.is_ascii_uppercase() => {
                        (here.to_string(), 1)
                    }
                    None => return None,
                }
            }
        };
        let end = *self.chars.get(self.at + length)?;
        SECTION_ENDS
            .contains(&end)
            .then(|| (format!("{head}{end}"), length + 1))
    }

    /// A number at `at`: digits with letters, a letter before a unit, or a Chinese numeral that counts
    /// something. Numerals inside names (四川北路, 五角场) are none.
    fn number(&self, at: usize) -> Option<(String, usize)> {
        let text = &self.chars[at..];
        let letters = text
            .iter()
            .take(3)
            .take_while(|c| c.is_ascii_uppercase())
            .count();
        let digits = text[letters..]
            .iter()
            .take_while(|c| c.is_ascii_digit())
            .count();
        if digits > 0 && letters <= 2 {
            let bare: String = text[letters..letters + digits].iter().collect();
            let bare = if letters == 0 {
                without_zeros(&bare)
            } else {
                &bare
            };
            let suffix = letter_after(&text[letters + digits..]);
            let number = text[..letters]
                .iter()
                .copied()
                .chain(bare.chars())
                .chain(suffix)
                .collect();
            return Some((number, letters + digits + usize::from(suffix.is_some())));
        }
        if letters == 1 && unit(&text[1..]).is_some() {
            return Some((text[0].to_string(), 1));
        }
        let run = text.iter().take_while(|c| numeral::is_numeral(**c)).count();
        let digits = numeral::to_digits(&text[..run])?;
        let after = &text[run..];
        let suffix = letter_after(after);
        let beyond = &after[usize::from(suffix.is_some())..];
        let counts = unit(beyond).is_some()
            || beyond.first() == Some(&'-')
            || (beyond.is_empty() && !self.tokens.is_empty())
            || matches!(beyond, ['甲' | '乙' | '丙' | '丁', '号', ..]);
        let number = without_zeros(&digits).chars().chain(suffix).collect();
        counts.then_some((number, run + usize::from(suffix.is_some())))
    }

    /// 甲 to 丁, 临 and 后门 where they stand beside a number.
    fn mark(&self) -> Option<(Token, usize)> {
        let here = self.chars[self.at];
        let before = self.beside_number();
        let (token, length) = match here {
            '甲' | '乙' | '丙' | '丁' => (Token::Mark(here), 1),
            '临' => (Token::Temporary, 1),
            '后' if self.starts_with("后门") => (Token::BackDoor, 2),
            _ => return None,
        };
        let next = &self.chars[self.at + length..];
        let closes =
            next.is_empty() || next[0] == '-' || unit(next).is_some() || starts_with(next, "后门");
        let number_next = !next.is_empty() && self.number(self.at + length).is_some();
        ((before && closes) || number_next).then_some((token, length))
    }
}

fn unit(text: &[char]) -> Option<(Measure, usize)> {
    let (word, unit) = UNITS
        .iter()
        .filter(|(word, _)| starts_with(text, word))
        .max_by_key(|(word, _)| word.len())?;
    Some((*unit, word.chars().count()))
}

fn starts_with(text: &[char], word: &str) -> bool {
    let mut text = text.iter();
    word.chars().all(|c| text.next() == Some(&c))
}

/// One letter right after a number, if nothing like a number follows it: 601B.
fn letter_after(text: &[char]) -> Option<char> {
    match text {
        [letter, next, ..] if letter.is_ascii_uppercase() => {
            (is_han(*next) || *next == '-').then_some(*letter)
        }
        [letter] if letter.is_ascii_uppercase() => Some(*letter),
        _ => None,
    }
}

/// 0601 is 601; 000 is 0.
fn without_zeros(digits: &str) -> &str {
    let bare = digits.trim_start_matches('0');
    if bare.is_empty() {
        &digits[digits.len().saturating_sub(1)..]
    } else {
        bare
    }
}

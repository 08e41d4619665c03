//! The text of an address before it is taken apart: one width, no blanks, plain characters, without
//! what stands before the street. Doesn't know lanes, numbers or rooms.

use unicode_normalization::UnicodeNormalization;

use super::numeral;
use super::rules::Rules;

/// A cleaned text and what was taken off its front.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cleaned {
    pub(super) region: Option<String>,
    pub(super) district: Option<String>,
    pub(super) street: Option<String>,
    pub(super) note: Option<String>,
    pub(super) body: String,
    /// All of the text in plain form, for what can't be taken apart.
    pub(super) whole: String,
}

/// Endings of a road's name, longest first.
pub(super) const ROAD_ENDS: [&str; 4] = ["大道", "路", "街", "弄"];

pub(super) fn clean(text: &str, rules: &Rules) -> Cleaned {
    let mut cleaned = Cleaned::default();
    let mut text = text.to_owned();
    // Taking characters out can let others combine, so until nothing changes (twice in practice).
    for _ in 0..8 {
        let (next, note) = without_brackets(&plain(&text, rules));
        let next = names_with_numerals(&next);
        cleaned.note = cleaned.note.or(note);
        if next == text {
            break;
        }
        text = next;
    }
    (cleaned.body, cleaned.whole) = (text.clone(), text);
    take_city(&mut cleaned, rules);
    take_region(&mut cleaned);
    take_street(&mut cleaned);
    cleaned
}

/// Width, case, blanks and characters. A blank or comma between two digits separates two numbers and
/// becomes a hyphen; every other goes.
fn plain(text: &str, rules: &Rules) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.nfkc() {
        let c = rules
            .characters
            .get(&c)
            .copied()
            .unwrap_or(c)
            .to_ascii_uppercase();
        match c {
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'
            | '\u{feff}'
            | '\u{ad}' => {}
            c if c.is_whitespace() => gap = true,
            ',' | ';' | ':' | '。' | '.' | '|' | '_' | '\'' | '"' => gap = true,
            c if c.is_control() => {}
            c => {
                if gap && c.is_ascii_digit() && out.ends_with(|last: char| last.is_ascii_digit()) {
                    out.push('-');
                }
                gap = false;
                out.push(match c {
                    '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2044}' | '~' | '/' | '、' => '-',
                    '【' | '[' | '〔' | '「' | '{' => '(',
                    '】' | ']' | '〕' | '」' | '}' => ')',
                    c => c,
                });
            }
        }
    }
    out
}

/// Takes out what stands in brackets, (近西藏中路), unless it is a number or mark of the place itself,
/// 45号(甲), 1号(601室).
fn without_brackets(text: &str) -> (String, Option<String>) {
    let (mut out, mut note, mut rest) = (String::new(), String::new(), text);
    while let Some((before, after)) = rest.split_once('(') {
        let Some((inside, after)) = after.split_once(')') else {
            break;
        };
        out.push_str(before);
        let of_the_place = inside.ends_with('室')
            || inside.bytes().all(|b| b.is_ascii_digit())
            || matches!(inside, "甲" | "乙" | "丙" | "丁" | "后门");
        if of_the_place {
            out.push_str(inside)
        } else {
            note.push_str(inside)
        }
        rest = after;
    }
    out.push_str(rest);
    out.retain(|c| !matches!(c, '(' | ')'));
    (out, Some(note).filter(|note| !note.is_empty()))
}

/// Digits inside a name become the numeral that the name officially carries: 中山东1路, 曹杨8村.
fn names_with_numerals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let run = chars[at..]
            .iter()
            .take_while(|c| c.is_ascii_digit())
            .count();
        if run == 0 {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        let digits: String = chars[at..at + run].iter().collect();
        let in_name = at > 0
            && is_han(chars[at - 1])
            && matches!(chars.get(at + run), Some('路' | '街' | '村'));
        let numeral = digits
            .parse()
            .ok()
            .filter(|_| in_name && run <= 2)
            .and_then(numeral::from_number);
        out.push_str(&numeral.unwrap_or(digits));
        at += run;
    }
    out
}

pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{323af}' | '〇')
}

/// Takes off 中国, 上海市 and the district.
fn take_city(cleaned: &mut Cleaned, rules: &Rules) {
    loop {
        let body = cleaned.body.as_str();
        let city = ["中国", "中华人民共和国", "上海市"]
            .iter()
            .find_map(|name| body.strip_prefix(name));
        if let Some(rest) = city {
            cleaned.body = rest.to_owned();
        } else if let Some((district, rest)) = district(body, rules) {
            (cleaned.district, cleaned.body) = (Some(district), rest);
        } else {
            break;
        }
    }
}

/// Sets another province's names aside.
fn take_region(cleaned: &mut Cleaned) {
    if cleaned.district.is_none() {
        let at = region_end(&cleaned.body);
        if at > 0 {
            cleaned.region = Some(cleaned.body[..at].to_owned());
            cleaned.body.drain(..at);
        }
    }
}

/// 黄浦区…, 崇明县…, and after 上海 also the bare name, unless a road begins with it (上海宝山路).
fn district(body: &str, rules: &Rules) -> Option<(String, String)> {
    let (after_city, bare) = match body.strip_prefix("上海") {
        Some(rest) => (rest, true),
        None => (body, false),
    };
    for name in &rules.districts {
        let Some(rest) = after_city.strip_prefix(name.as_str()) else {
            continue;
        };
        if let Some(rest) = rest.strip_prefix('区').or_else(|| rest.strip_prefix('县')) {
            return Some((format!("{name}区"), rest.to_owned()));
        }
        let name_ahead = rest
            .chars()
            .take_while(|c| !"路街道弄村镇".contains(*c))
            .count()
            >= 2;
        if bare && name_ahead && rest.chars().take(2).all(is_han) {
            return Some((format!("{name}区"), rest.to_owned()));
        }
    }
    None
}

/// Where the names of another province, city, county and town end; 0 if the text names none.
fn region_end(body: &str) -> usize {
    let mut end = 0;
    let mut sure = false;
    for (levels, longest) in [
        (&["省", "自治区"][..], 8),
        (&["市", "自治州", "地区", "盟"], 10),
        (&["县", "区", "市", "旗"], 10),
    ] {
        let Some(next) = division_end(&body[end..], levels, longest) else {
            continue;
        };
        let name = &body[end..end + next];
        let municipality = matches!(name, "北京市" | "天津市" | "重庆市");
        let province = name.ends_with('省') || name.ends_with("自治区");
        // A city alone may be part of a name (都市路), so something of its own must follow.
        let followed = || division_end(&body[end + next..], &["县", "区", "市"], 6).is_some();
        if !(sure || province || municipality || (name.ends_with('市') && followed())) {
            break;
        }
        sure = true;
        end += next;
    }
    if sure {
        end += division_end(&body[end..], &["镇", "乡", "街道"], 8).unwrap_or(0);
    }
    end
}

/// The byte length of a division's name at the start of `text`: two Han characters at least, the ending
/// included, and at most `longest`.
fn division_end(text: &str, endings: &[&str], longest: usize) -> Option<usize> {
    for (count, (at, c)) in text.char_indices().enumerate().take(longest) {
        if !is_han(c) {
            return None;
        }
        if count >= 1
            && let Some(ending) = endings
                .iter()
                .find(|ending| text[at..].starts_with(**ending))
        {
            let end = at + ending.len();
            let of_a_road = ROAD_ENDS.iter().any(|road| text[end..].starts_with(road));
            return (!of_a_road).then_some(end);
        }
    }
    None
}

/// Takes off 外滩街道, 七宝镇 and the name of a residents' committee; 村委会 is the village.
fn take_street(cleaned: &mut Cleaned) {
    for long in ["村村民委员会", "村村委会", "村民委员会", "村委会"] {
        cleaned.body = cleaned.body.replace(long, "村");
    }
    if let Some(end) = street_end(&cleaned.body) {
        cleaned.street = Some(cleaned.body[..end].to_owned());
        cleaned.body.drain(..end);
    }
    for committee in ["居民委员会", "居委会", "居委"] {
        if let Some((before, after)) = cleaned.body.split_once(committee)
            && !after.is_empty()
            && !before.is_empty()
            && before.chars().all(is_han)
        {
            cleaned.body = after.to_owned();
        }
    }
}

/// Where a street's or town's name ends. 景德镇路, 镇宁路 and 恒大小镇5号 are not towns.
fn street_end(body: &str) -> Option<usize> {
    let mut before = String::new();
    for (at, c) in body.char_indices().take(10) {
        let rest = &body[at..];
        if let Some(after) = rest.strip_prefix("街道")
            && !before.is_empty()
            && !after.is_empty()
        {
            return Some(body.len() - after.len());
        }
        if matches!(c, '镇' | '乡')
            && before.chars().count() >= 2
            && !before.contains(['路', '街', '弄', '村'])
        {
            let after = &rest[c.len_utf8()..];
            let mut ahead = after.chars();
            let next = ahead.next()?;
            let road = |c: char| matches!(c, '路' | '街' | '大');
            let of_a_road =
                road(next) || ("东西南北中".contains(next) && ahead.next().is_some_and(road));
            return (is_han(next) && !of_a_road).then(|| body.len() - after.len());
        }
        if !is_han(c) {
            return None;
        }
        before.push(c);
    }
    None
}

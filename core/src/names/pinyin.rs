//! How a name is read: syllables without tones, ü as v, surnames by their own readings.
//! Doesn't know which of several readings a person uses; it gives them all.

use pinyin::ToPinyin;

use super::normalise;
use super::tables::tables;

/// The most readings given for one name.
const MOST_READINGS: usize = 4;

/// The usual reading, a syllable for each Han character and a word for each run of Latin letters:
/// 单雄信 is `shan xiong xin`, 吕梁 `lv liang`, SMITH JOHN `smith john`.
#[must_use]
pub fn pinyin(name: &str) -> Vec<String> {
    readings(name).into_iter().next().unwrap_or_default()
}

/// Every reading in use, the usual one first, four at most: 解晟 is read `xie sheng`, `jie sheng`,
/// `xie cheng`, `jie cheng`. Characters without a reading are left out.
#[must_use]
pub fn readings(name: &str) -> Vec<Vec<String>> {
    let name = normalise(name);
    let chars: Vec<char> = name.chars().collect();
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let mut at = 0;
    while at < chars.len() {
        let (choices, taken) = syllables(&chars, at);
        at += taken;
        if choices.is_empty() {
            continue;
        }
        let mut longer: Vec<Vec<String>> = Vec::new();
        for choice in &choices {
            for before in &all {
                longer.push(
                    before
                        .iter()
                        .cloned()
                        .chain(choice.split(' ').map(str::to_owned))
                        .collect(),
                );
            }
        }
        longer.truncate(MOST_READINGS);
        all = longer;
    }
    all.retain(|reading| !reading.is_empty());
    all
}

/// The first letters of the usual reading: 叶海思 is `yhs`.
#[must_use]
pub fn initials(name: &str) -> String {
    initials_of(&pinyin(name))
}

/// The first letters of a reading.
pub(crate) fn initials_of(reading: &[String]) -> String {
    reading
        .iter()
        .filter_map(|syllable| syllable.chars().next())
        .collect()
}

/// The readings of what stands at `at`, and how many characters that is.
fn syllables(chars: &[char], at: usize) -> (Vec<String>, usize) {
    if at == 0 {
        for length in [2, 1] {
            let surname: String = chars.iter().take(length).collect();
            // A name of two characters has a surname of one: 东方 may be 东 and 方, but then both read alike.
            if let Some(readings) = tables()
                .surnames
                .get(&surname)
                .filter(|_| chars.len() >= length)
            {
                return (readings.clone(), length);
            }
        }
    }
    let here = chars[at];
    if here.is_ascii_alphabetic() {
        let word: String = chars[at..]
            .iter()
            .take_while(|c| c.is_ascii_alphabetic())
            .collect();
        return (vec![word.to_ascii_lowercase()], word.len());
    }
    if let Some(readings) = tables().given.get(&here) {
        return (readings.clone(), 1);
    }
    (
        here.to_pinyin()
            .map(|syllable| plain(syllable.plain()))
            .into_iter()
            .collect(),
        1,
    )
}

/// Letters only, ü as v, the way people type it.
fn plain(syllable: &str) -> String {
    syllable
        .chars()
        .map(|c| if c == 'ü' { 'v' } else { c })
        .filter(char::is_ascii_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn read(name: &str) -> String {
        pinyin(name).join(" ")
    }

    #[test]
    fn surnames_have_their_own_readings() {
        for (name, reading) in [
            ("叶海思", "ye hai si"),
            ("单雄信", "shan xiong xin"),
            ("解放", "xie fang"),
            ("仇英", "qiu ying"),
            ("查理", "zha li"),
            ("区军", "ou jun"),
            ("曾军", "zeng jun"),
            ("尉迟恭", "yu chi gong"),
            ("欧阳曾", "ou yang zeng"),
            ("吕梁", "lv liang"),
            ("冯丹单", "feng dan dan"),
            ("阿依古丽·热合曼", "a yi gu li re he man"),
            ("Smith John", "smith john"),
            ("梁晨𬭎", "liang chen hong"),
        ] {
            assert_eq!(read(name), reading, "{name}");
        }
        assert_eq!(initials("叶海思"), "yhs");
        assert_eq!(initials("尉迟恭"), "ycg");
        assert_eq!(read("?"), "");
    }

    #[test]
    fn every_reading_in_use_is_given() {
        let joined: Vec<String> = readings("解晟").iter().map(|r| r.join("")).collect();
        assert_eq!(joined, ["xiesheng", "jiesheng", "xiecheng", "jiecheng"]);
    }

    proptest! {
        #[test]
        fn letters_only_and_never_too_many(name in any::<String>()) {
            let all = readings(&name);
            prop_assert!(all.len() <= MOST_READINGS);
            prop_assert!(all.iter().flatten().all(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_lowercase())));
        }
    }
}

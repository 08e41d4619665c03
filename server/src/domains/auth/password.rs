//! Rules of passwords: length, kinds of characters, not the login, not a common one. Knows no storage.

/// Shortest password in characters.
pub const SHORTEST: usize = 8;
/// Longest, so that hashing has a bound.
pub const LONGEST: usize = 128;

/// What people choose first. A password is common if one of these is left of it after case, look-alike
/// characters and trailing digits and signs are taken away.
const COMMON: &[&str] = &[
    "abc",
    "abcd",
    "abcde",
    "abcdef",
    "abcdefg",
    "admin",
    "administrator",
    "asdf",
    "asdfgh",
    "asdfghjkl",
    "baobao",
    "changeme",
    "china",
    "default",
    "demo",
    "doorstep",
    "dragon",
    "football",
    "guest",
    "hello",
    "huawei",
    "iloveyou",
    "letmein",
    "login",
    "love",
    "master",
    "monkey",
    "nihao",
    "passw",
    "password",
    "princess",
    "public",
    "qazwsx",
    "qazwsxedc",
    "qwer",
    "qwert",
    "qwerty",
    "qwertyuiop",
    "root",
    "secret",
    "shanghai",
    "shequ",
    "sunshine",
    "super",
    "superman",
    "system",
    "temp",
    "test",
    "tester",
    "user",
    "welcome",
    "woaini",
    "woaiwojia",
    "wangge",
    "xiaoming",
    "zhongguo",
    "zxcvbn",
    "zxcvbnm",
    "qq",
    "aa",
    "aaa",
    "a",
    "q",
    "qwe",
    "asd",
    "zxc",
    "qweasd",
    "qweasdzxc",
    "p",
];

/// A broken rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Stable code.
    pub code: &'static str,
    /// What to do.
    pub message: &'static str,
}

/// Every rule that the password breaks.
#[must_use]
pub fn problems(password: &str, login: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut require = |holds: bool, code, message| {
        if !holds {
            found.push(Problem { code, message });
        }
    };
    let length = password.chars().count();
    require(length >= SHORTEST, "too_short", "密码至少 8 位");
    require(length <= LONGEST, "too_long", "密码不能超过 128 位");
    require(
        kinds(password) >= 3,
        "too_simple",
        "密码须含大写字母、小写字母、数字、符号中的至少三种",
    );
    let lower = password.to_lowercase();
    require(
        login.is_empty() || !lower.contains(&login.to_lowercase()),
        "contains_login",
        "密码不能包含登录名",
    );
    require(
        !is_common(&lower),
        "common",
        "这个密码太常见，容易被猜到，请换一个",
    );
    found
}

fn kinds(password: &str) -> usize {
    let tests: [fn(char) -> bool; 4] = [
        |c| c.is_lowercase(),
        |c| c.is_uppercase(),
        |c| c.is_ascii_digit(),
        |c| !c.is_alphanumeric(),
    ];
    tests
        .iter()
        .filter(|test| password.chars().any(**test))
        .count()
}

fn is_common(lower: &str) -> bool {
    let unmasked = |text: &str| text.chars().map(unmask).collect::<String>();
    let trimmed = |text: &str| text.trim_matches(|c: char| !c.is_alphabetic()).to_owned();
    let core = trimmed(lower);
    // Both orders: a look-alike may stand within the word or at its end.
    let words = [unmasked(&core), trimmed(&unmasked(lower))];
    core.is_empty() || words.iter().any(|word| COMMON.contains(&word.as_str()))
}

/// The letter that a look-alike stands for.
fn unmask(c: char) -> char {
    match c {
        '@' | '4' => 'a',
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    fn codes(password: &str) -> Vec<&'static str> {
        problems(password, "zhangsan")
            .iter()
            .map(|problem| problem.code)
            .collect()
    }

    #[test]
    fn weak_passwords_break_the_rule_that_they_break() {
        assert!(codes("Aa1!").contains(&"too_short"));
        assert!(codes(&"Aa1!".repeat(40)).contains(&"too_long"));
        assert_eq!(codes("tulipfield92"), ["too_simple"]);
        assert_eq!(codes("Zhangsan#92x"), ["contains_login"]);
        for common in [
            "Password1!",
            "P@ssw0rd2026",
            "Admin@123",
            "Qwerty123!",
            "Aa123456",
            "Shanghai2026!",
            "123456Aa!",
        ] {
            assert!(codes(common).contains(&"common"), "{common}");
        }
    }

    #[test]
    fn a_good_password_breaks_none() {
        for good in ["Tulip-field-92", "雨过天青Yun7", "kX9#mmTqLw"] {
            assert_eq!(codes(good), Vec::<&str>::new(), "{good}");
        }
    }
}

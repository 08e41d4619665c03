//! Reads what people and registers write into the scalar that a field holds: labels into codes, dates of
//! many shapes, full-width forms, numbers in normal form.
//!
//! Knows one field and one text at a time; rows, columns and rules over several fields are others' work.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::types::{Field, FieldKind, RecordType, SetOf};
use super::validate::assumed_kind;
use crate::codes;
use crate::identity::{certificate, phone};
use crate::time::Timestamp;
use crate::value::{Fields, Value};

/// A text that a field can't hold: stable code and Chinese message, without the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Stable code.
    pub code: &'static str,
    /// What to do, in Chinese.
    pub message: String,
}

/// Reads `text` into the keys and values of `field`: none for a blank, one for a single value, one for
/// each element of a set (parted by commas, 、, semicolons or bars).
///
/// `certificate_kind` is the code chosen for a certificate's number, where known. Unknown codes and
/// numbers that fail their check are kept as written; [`validate`](super::validate()) points them out.
///
/// # Errors
/// `date`, `date_time`, `boolean`, `integer`, `decimal`, `spreadsheet_number`, `not_in_a_cell`.
pub fn read(
    field: &Field,
    text: &str,
    certificate_kind: Option<&str>,
) -> Result<Fields, Unreadable> {
    let plain = narrow(text);
    let plain = plain.trim().trim_start_matches('\'').trim();
    if plain.is_empty() {
        return Ok(Fields::new());
    }
    let no = |code, what: &str| Unreadable {
        code,
        message: format!("{}{what}", field.label),
    };
    let value = match &field.kind {
        FieldKind::Text if field.digits.is_some() => {
            Value::from(whole_number(plain).ok_or_else(|| scientific(field))?)
        }
        FieldKind::Text | FieldKind::Address => Value::from(text.trim()),
        FieldKind::Integer => {
            let number = plain.strip_suffix(".0").unwrap_or(plain).parse::<i64>();
            Value::Int(number.map_err(|_| no("integer", "应为整数，例如 3。"))?)
        }
        FieldKind::Decimal => {
            let number = plain.replace(',', "");
            decimal(&number).ok_or_else(|| no("decimal", "应为数字，例如 12.5。"))?;
            Value::from(number)
        }
        FieldKind::Date => {
            let date = any_date(plain)
                .ok_or_else(|| no("date", "不是能识别的日期，请写成 2026-01-31 的样子。"))?;
            Value::from(date.format("%Y-%m-%d").to_string())
        }
        FieldKind::DateTime => {
            let ms = any_time(plain);
            Value::Int(ms.ok_or_else(|| {
                no(
                    "date_time",
                    "不是能识别的时间，请写成 2026-01-31 08:30:00 的样子。",
                )
            })?)
        }
        FieldKind::Boolean => match plain.to_ascii_lowercase().as_str() {
            "是" | "有" | "1" | "true" | "yes" | "y" | "√" | "暂离" => Value::Bool(true),
            "否" | "无" | "0" | "false" | "no" | "n" | "×" => Value::Bool(false),
            _ => return Err(no("boolean", "请填“是”或“否”。")),
        },
        FieldKind::Code(table) => Value::from(resolved(table, plain)),
        FieldKind::IdNumber => {
            let whole = whole_number(plain).ok_or_else(|| scientific(field))?;
            let kind = field
                .certificate
                .as_deref()
                .or(certificate_kind)
                .unwrap_or_else(|| assumed_kind(&whole));
            Value::from(certificate::check(kind, &whole).unwrap_or(whole))
        }
        FieldKind::Phone => {
            let whole = whole_number(plain).ok_or_else(|| scientific(field))?;
            Value::from(phone::normalise(&whole).map_or(whole, |p| p.as_str().to_owned()))
        }
        FieldKind::Reference(_) | FieldKind::Blob => Value::from(plain),
        FieldKind::Set(SetOf::Blob) | FieldKind::Items(_) => {
            return Err(no("not_in_a_cell", "不能在表格里填写，请在应用里登记。"));
        }
        FieldKind::Set(of) => {
            let parts = plain
                .split(['、', ',', ';', '|', '，', '；'])
                .map(str::trim)
                .filter(|p| !p.is_empty());
            let element = |part: &str| match of {
                SetOf::Table(table) => resolved(table, part),
                _ => part.to_owned(),
            };
            let key = |part| format!("{}/{}", field.name, element(part).replace('/', "／"));
            return Ok(parts.map(|part| (key(part), Value::Bool(true))).collect());
        }
    };
    Ok(Fields::from([(field.name.clone(), value)]))
}

/// Brings the numbers among `fields` (certificates, telephones) to their normal form, in items too; what
/// fails its check stays as it is, for [`validate`](super::validate()) to point out.
///
/// Call it before a change is made, so that equal numbers are equal text.
pub fn normalise(rt: &RecordType, fields: &mut Fields) {
    let mut changed = numbers(fields, |key| rt.field(key));
    for (key, value) in fields.iter() {
        let (Some(FieldKind::Items(inner)), Value::Text(json)) =
            (rt.field(key).map(|f| &f.kind), value)
        else {
            continue;
        };
        let Ok(mut item) = serde_json::from_str::<Fields>(json) else {
            continue;
        };
        let inside = numbers(&item, |name| inner.iter().find(|f| f.name == name));
        if inside.is_empty() {
            continue;
        }
        item.extend(inside);
        if let Ok(json) = serde_json::to_string(&item) {
            changed.insert(key.clone(), Value::from(json));
        }
    }
    fields.extend(changed);
}

fn numbers<'a>(fields: &Fields, field_of: impl Fn(&str) -> Option<&'a Field>) -> Fields {
    let mut changed = Fields::new();
    for (key, value) in fields {
        let (Some(field), Some(text)) = (field_of(key), value.as_text()) else {
            continue;
        };
        if !matches!(field.kind, FieldKind::IdNumber | FieldKind::Phone) || text.trim().is_empty() {
            continue;
        }
        let kind = field
            .kind_field
            .as_ref()
            .and_then(|k| fields.get(k))
            .and_then(Value::as_text);
        if let Ok(read) = read(field, text, kind)
            && read.get(key) != Some(value)
        {
            changed.extend(read);
        }
    }
    changed
}

/// Full-width letters, digits, signs and blanks as half-width ones; ideographs stay as they are, since a
/// compatibility form in a name is another character.
#[must_use]
pub fn narrow(text: &str) -> String {
    let one = |c: char| match c {
        '\u{3000}' | '\u{a0}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{feff}' | '\u{200b}' => ' ',
        other => other,
    };
    text.chars().map(one).collect()
}

/// A `YYYY-MM-DD` date of the calendar, between 1800 and 2200.
pub(super) fn iso_date(text: &str) -> Option<NaiveDate> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| match i {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    shape.then(|| any_date(text)).flatten()
}

/// A decimal number without exponent, as the whole numbers around it: floor and ceiling.
pub(super) fn decimal(text: &str) -> Option<(i64, i64)> {
    let (negative, digits) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(part) || whole.len() > 15 || part.len() > 15 {
        return None;
    }
    let low: i64 = whole.parse().ok()?;
    let high = low + i64::from(part.bytes().any(|b| b != b'0'));
    Some(if negative { (-high, -low) } else { (low, high) })
}

/// A date as registers and spreadsheets write it: 19780605, 1978-06-05, 1978/6/5, 1978.6.5, 1978年6月5日,
/// each with a time after it or without, or a spreadsheet's count of days.
pub(super) fn any_date(text: &str) -> Option<NaiveDate> {
    let day = text.split([' ', 'T']).next()?;
    if day.len() >= 5 && day.bytes().all(|b| b.is_ascii_digit()) {
        return match day.len() {
            8 => calendar(&day[..4], &day[4..6], &day[6..]),
            // Days since 1899-12-30; five digits reach from 1927 to 2173.
            5 => NaiveDate::from_ymd_opt(1899, 12, 30)?
                .checked_add_days(chrono::Days::new(day.parse().ok()?)),
            _ => None,
        };
    }
    let mut parts = day
        .trim_end_matches(['日', '号'])
        .split(['-', '/', '.', '年', '月']);
    let (year, month, date) = (parts.next()?, parts.next()?, parts.next()?);
    parts
        .next()
        .is_none()
        .then(|| calendar(year, month, date))
        .flatten()
}

fn calendar(year: &str, month: &str, day: &str) -> Option<NaiveDate> {
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if year.len() != 4 || !digits(year) || !digits(month) || !digits(day) {
        return None;
    }
    let year = year.parse().ok().filter(|y| (1800..2200).contains(y))?;
    NaiveDate::from_ymd_opt(year, month.parse().ok()?, day.parse().ok()?)
}

/// A point in time as registers write it, Shanghai's clock unless it says otherwise, in Unix milliseconds:
/// 20260627024539, 2026-06-27 02:45:39, 2026年6月27日 02:45, RFC 3339, or a date alone (midnight).
pub(super) fn any_time(text: &str) -> Option<i64> {
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(at.timestamp_millis());
    }
    let local = if text.len() == 14 && text.bytes().all(|b| b.is_ascii_digit()) {
        NaiveDateTime::new(
            any_date(&text[..8])?,
            clock(&text[8..10], &text[10..12], &text[12..])?,
        )
    } else {
        let date = any_date(text)?;
        match text.split_once([' ', 'T']) {
            None => date.and_time(NaiveTime::MIN),
            Some((_, time)) => {
                let mut parts = time.trim().split(':');
                let (hour, minute, second) =
                    (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
                date.and_time(clock(hour, minute, second)?)
            }
        }
    };
    Some(Timestamp::from_shanghai(local).0)
}

fn clock(hour: &str, minute: &str, second: &str) -> Option<NaiveTime> {
    let second = second.split('.').next()?;
    NaiveTime::from_hms_opt(
        hour.parse().ok()?,
        minute.parse().ok()?,
        second.parse().ok()?,
    )
}

fn resolved(table: &str, text: &str) -> String {
    codes::table(table)
        .and_then(|t| t.resolve(text))
        .unwrap_or(text)
        .to_owned()
}

/// A number's text, without the `.0` that a spreadsheet adds; `None` for 3.10115E+17, whose last digits
/// are lost.
fn whole_number(text: &str) -> Option<String> {
    let text = text.strip_suffix(".0").unwrap_or(text);
    let upper = text.to_ascii_uppercase();
    let lost = upper.contains("E+")
        && upper
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'E' | b'+' | b'.'));
    (!lost).then(|| text.to_owned())
}

fn scientific(field: &Field) -> Unreadable {
    Unreadable {
        code: "spreadsheet_number",
        message: format!(
            "{}被表格软件改成了科学计数法，末几位已经丢失，请把这一列设为文本后重新导出。",
            field.label
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;
    use crate::records::{all, record_type};

    fn one(field: &str, text: &str) -> Result<Value, &'static str> {
        let field = record_type("resident").unwrap().named(field).unwrap();
        let fields = read(field, text, None).map_err(|e| e.code)?;
        Ok(fields.into_values().next().unwrap_or_default())
    }

    #[test]
    fn dates_of_every_shape() {
        for text in [
            "19780605",
            "1978-06-05",
            "1978-6-5",
            "1978/6/5",
            "1978.06.05",
            "1978年6月5日",
            "１９７８年０６月０５日",
            " 1978-06-05 00:00:00",
            "1978-06-05T00:00:00",
            "28646",
        ] {
            assert_eq!(
                one("birth_date", text),
                Ok(Value::from("1978-06-05")),
                "{text}"
            );
        }
        for text in [
            "1978",
            "197806",
            "1978-13-01",
            "1978-02-30",
            "明天",
            "0000-01-01",
            "1978-6-5-1",
        ] {
            assert_eq!(one("birth_date", text), Err("date"), "{text}");
        }
        assert_eq!(one("birth_date", "　"), Ok(Value::Null));
    }

    #[test]
    fn times_are_shanghais() {
        let expected = Ok(Value::Int(1_782_499_539_000));
        for text in [
            "20260627024539",
            "2026-06-27 02:45:39",
            "2026-06-26T18:45:39Z",
            "2026年6月27日 02:45:39",
        ] {
            assert_eq!(one("source_updated_at", text), expected, "{text}");
        }
        assert_eq!(
            one("source_updated_at", "20260627024560x"),
            Err("date_time")
        );
    }

    #[test]
    fn codes_numbers_and_sets() {
        assert_eq!(one("sex", "女"), Ok(Value::from("2")));
        assert_eq!(one("population_kind", "人户一致"), Ok(Value::from("01")));
        assert_eq!(
            one("nationality", "77"),
            Ok(Value::from("77")),
            "unknown codes survive"
        );
        assert_eq!(
            one("id_number", "１１０１０５１９４９１２３１００２ｘ"),
            Ok(Value::from("11010519491231002X"))
        );
        assert_eq!(
            one("id_number", "440524800101001"),
            Ok(Value::from("440524198001010013"))
        );
        assert_eq!(one("id_number", "3.10115E+17"), Err("spreadsheet_number"));
        assert_eq!(
            one("phone", "133 2962 0436"),
            Ok(Value::from("13329620436"))
        );
        let tags = record_type("resident").unwrap().named("tags").unwrap();
        let read = read(tags, "独居老人，志愿者、种花/养鸟", None).unwrap();
        let keys: Vec<_> = read.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            ["tags/elderly_alone", "tags/volunteer", "tags/种花／养鸟"]
        );
    }

    #[test]
    fn numbers_come_to_their_normal_form_in_items_too() {
        let rt = record_type("resident").unwrap();
        let mut fields = Fields::from([
            ("name".to_owned(), Value::from("Ａ")),
            ("phone".to_owned(), Value::from("133 2962 0436")),
            ("id_number".to_owned(), Value::from("11010519491231002x")),
            ("second_phone".to_owned(), Value::Null),
            (
                "guardians/g".to_owned(),
                Value::from(r#"{"name":"王五","phone":"１３３２９６２０４３６"}"#),
            ),
        ]);
        normalise(rt, &mut fields);
        assert_eq!(fields["name"], Value::from("Ａ"), "names stay as written");
        assert_eq!(fields["phone"], Value::from("13329620436"));
        assert_eq!(fields["id_number"], Value::from("11010519491231002X"));
        assert_eq!(fields["second_phone"], Value::Null);
        assert_eq!(
            fields["guardians/g"],
            Value::from(r#"{"name":"王五","phone":"13329620436"}"#)
        );
        let once = fields.clone();
        normalise(rt, &mut fields);
        assert_eq!(fields, once);
    }

    #[test]
    fn decimals_and_their_neighbours() {
        assert_eq!(decimal("144.3"), Some((144, 145)));
        assert_eq!(decimal("-0.5"), Some((-1, 0)));
        assert_eq!(decimal("7"), Some((7, 7)));
        for text in ["", "-", ".5", "5.", "1e3", "NaN", "９", "1.2.3"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            for field in all().iter().flat_map(|t| &t.fields) {
                let _ = read(field, &text, Some("414"));
            }
        }

        #[test]
        fn what_was_read_reads_the_same_again(y in 1900i32..2100, m in 1u32..13, d in 1u32..29) {
            let written = format!("{y}年{m}月{d}日");
            let once = one("birth_date", &written).unwrap();
            prop_assert_eq!(one("birth_date", once.as_text().unwrap()), Ok(once.clone()));
        }
    }
}

//! Reads the police's file of standard addresses (DZ): GB 18030, fields parted by `|`, no heading. Its columns are those
//! of the layout that the city keeps for these files. Knows no database.

use std::collections::BTreeMap;

use doorstep_core::ids::{AreaCode, AreaLevel};

use crate::error::{ApiError, ApiResult, Problems};

/// Wrong rows named in one answer.
const NAMED_PROBLEMS: usize = 100;
/// `standard_address_code | area_code | road | lane | sub_lane | number | room | address | longitude | latitude | state |
/// updated_at`.
const COLUMNS: usize = 12;
const CODE: usize = 0;
const AREA: usize = 1;
const ADDRESS: usize = 7;
const STATE: usize = 10;
const UPDATED_AT: usize = 11;
/// Digits of a time: year to second.
const TIME_DIGITS: usize = 14;
/// The state of an address that is in force; the others are withdrawn.
const IN_FORCE: &str = "1";
/// The longest code and address, in characters, as houses may have them.
const LONGEST: (usize, usize) = (32, 200);

/// A row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) area: AreaCode,
    pub(super) address: String,
    pub(super) in_force: bool,
    /// When the police last changed it, 14 digits from year to second; none where the file does not say.
    pub(super) updated_at: Option<String>,
}

/// Reads a file, by code. Every wrong row is named with its line.
pub(super) fn read(bytes: &[u8]) -> ApiResult<BTreeMap<String, Row>> {
    let (text, _, damaged) = encoding_rs::GB18030.decode(bytes);
    if damaged {
        let message = "文件不是 GB 18030 编码，请核对是否为公安下发的标准地址（DZ）文件";
        return Err(ApiError::field("file", "encoding", message));
    }
    let mut rows = BTreeMap::new();
    let mut wrong = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let cells: Vec<&str> = text.split('|').map(str::trim).collect();
        match row(&cells) {
            Ok((code, row)) => {
                if rows.insert(code, row).is_some() {
                    wrong.push((line, "twice", "标准地址编码重复"));
                }
            }
            Err((code, message)) => wrong.push((line, code, message)),
        }
    }
    if rows.is_empty() && wrong.is_empty() {
        wrong.push((1, "empty", "文件中没有标准地址"));
    }
    let mut problems = Problems::default();
    for (line, code, message) in wrong.iter().take(NAMED_PROBLEMS) {
        let path = format!("lines/{line}");
        problems.add(&path, code, format!("第 {line} 行：{message}"));
    }
    problems.finish()?;
    Ok(rows)
}

fn row(cells: &[&str]) -> Result<(String, Row), (&'static str, &'static str)> {
    if cells.len() != COLUMNS {
        return Err(("columns", "应有 12 项，以“|”分隔"));
    }
    let (code, address) = (cells[CODE], cells[ADDRESS]);
    if code.is_empty() || code.chars().count() > LONGEST.0 {
        return Err(("code", "标准地址编码应为 1 至 32 个字符"));
    }
    if address.is_empty() || address.chars().count() > LONGEST.1 {
        return Err(("address", "地址应为 1 至 200 个字符"));
    }
    let area: AreaCode = cells[AREA]
        .parse()
        .map_err(|_| ("area", "区划代码应为 12 位数字"))?;
    if area.level() != AreaLevel::Village {
        return Err(("area", "应为居委会或村委会的区划代码"));
    }
    let updated_at = cells[UPDATED_AT];
    let is_time = updated_at.len() == TIME_DIGITS && updated_at.bytes().all(|b| b.is_ascii_digit());
    if !updated_at.is_empty() && !is_time {
        return Err(("updated_at", "更新时间应为 14 位数字（年月日时分秒）"));
    }
    let row = Row {
        area,
        address: address.to_owned(),
        in_force: cells[STATE] == IN_FORCE,
        updated_at: is_time.then(|| updated_at.to_owned()),
    };
    Ok((code.to_owned(), row))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn file(rows: &[&str]) -> Vec<u8> {
        let text = rows.join("\r\n");
        encoding_rs::GB18030.encode(&text).0.into_owned()
    }

    #[test]
    fn a_file_of_the_police_reads() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("../tests/fixtures/police/DZ_310101002001_20261120_0001.txt");
        let rows = read(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(rows.len(), 1413);
        let one = &rows["3101000000000001"];
        assert_eq!(one.area.as_str(), "310101002001");
        assert!(one.address.ends_with("12弄28号1702室"), "{}", one.address);
        assert!(one.in_force);
        assert_eq!(one.updated_at.as_deref(), Some("20261112102417"));
    }

    #[test]
    fn every_wrong_row_is_named_at_once() {
        let good =
            "1|310101002001|顺昌路|920||7|1101|顺昌路920弄7号1101室|121.4|31.2|1|20260105080240";
        let bad = file(&[
            good,
            "2|310101002001|顺昌路",
            "|310101002001||||||顺昌路1号|||1|",
            "4|310101||||||顺昌路1号|||1|",
            "5|310101000000||||||顺昌路1号|||1|",
            "6|310101002001|||||||||1|",
            good,
            "8|310101002001||||||顺昌路1号|||1|2026-01-05",
        ]);
        let error = read(&bad).unwrap_err();
        let found: Vec<(&str, &str)> = error
            .fields
            .iter()
            .map(|field| (field.path.as_str(), field.code.as_str()))
            .collect();
        let expected = [
            ("lines/2", "columns"),
            ("lines/3", "code"),
            ("lines/4", "area"),
            ("lines/5", "area"),
            ("lines/6", "address"),
            ("lines/7", "twice"),
            ("lines/8", "updated_at"),
        ];
        assert_eq!(found, expected);
        assert_eq!(read(b"").unwrap_err().fields[0].code, "empty");
        assert_eq!(read(&[0x81, 0xff]).unwrap_err().fields[0].code, "encoding");
    }
}

//! Reads the table of a file: CSV in UTF-8, UTF-16 or GB18030, or the first sheet of a workbook. Whatever the file says
//! of itself, what is kept of it is bounded. Knows no fields.

use super::workbook;
use crate::error::{ApiError, ApiResult};

/// The largest file.
pub(super) const LARGEST: usize = 32 * 1024 * 1024;
/// The most rows of one file.
pub(super) const MOST_ROWS: usize = 200_000;
/// The most columns.
pub(super) const MOST_COLUMNS: usize = 300;
/// The most cells, blank ones before the last of a row among them: thirty to each of the most rows. A cell costs memory
/// even when nothing is in it.
pub(super) const MOST_CELLS: usize = 6_000_000;

/// Rows with their numbers in the file.
pub(super) type Lines = Vec<(i32, Vec<String>)>;

/// A table as it stands in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) heads: Vec<String>,
    /// Rows that are not blank, with their numbers in the file (heads are row 1).
    pub(super) rows: Vec<(i32, Vec<String>)>,
}

/// Reads a file.
pub(super) fn read(bytes: &[u8]) -> ApiResult<Table> {
    if bytes.is_empty() {
        return Err(refused("empty_file", "文件是空的，请重新选择"));
    }
    if bytes.len() > LARGEST {
        return Err(refused(
            "file_too_large",
            "文件超过 32 MB，请分成几个文件导入",
        ));
    }
    if let Some(kind) = no_table(bytes) {
        return Err(refused(
            "not_a_table",
            &format!("这是{kind}，不是表格。请在原来的系统里导出 CSV 或 Excel，再选择那个文件"),
        ));
    }
    let lines = if bytes.starts_with(b"PK\x03\x04") {
        workbook::xlsx(bytes)?
    } else if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        workbook::xls(bytes)?
    } else {
        csv(&decode(bytes)?)?
    };
    table(lines)
}

pub(super) fn refused(code: &str, message: &str) -> ApiError {
    ApiError::field("file", code, message)
}

pub(super) fn too_many_columns() -> ApiError {
    refused("too_many_columns", "列数超过 300，请检查文件是否选对")
}

pub(super) fn too_many_rows() -> ApiError {
    refused("too_many_rows", "超过 20 万行，请分成几个文件导入")
}

pub(super) fn too_many_cells() -> ApiError {
    refused(
        "too_many_cells",
        "表格的格子超过 600 万个，请删去空列或分成几个文件导入",
    )
}

/// What a file is that is no table, whatever its name says; told by its first bytes.
fn no_table(bytes: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 8] = [
        (b"%PDF", " PDF 文件"),
        (b"\x89PNG", "图片"),
        (b"\xff\xd8\xff", "图片"),
        (b"GIF8", "图片"),
        (b"{\\rtf", "文字文档"),
        (b"Rar!", "压缩包"),
        (b"7z\xbc\xaf\x27\x1c", "压缩包"),
        (b"\x1f\x8b", "压缩包"),
    ];
    let named = KINDS.iter().find(|(mark, _)| bytes.starts_with(mark));
    let is_page = || {
        let start: Vec<u8> = bytes
            .iter()
            .skip_while(|byte| byte.is_ascii_whitespace())
            .take(14)
            .map(u8::to_ascii_lowercase)
            .collect();
        start.starts_with(b"<html") || start.starts_with(b"<!doctype html")
    };
    named
        .map(|(_, kind)| *kind)
        .or_else(|| is_page().then_some("网页"))
}

fn table(lines: Lines) -> ApiResult<Table> {
    let mut lines = lines
        .into_iter()
        .filter(|(_, cells)| cells.iter().any(|cell| !cell.trim().is_empty()));
    let Some((_, mut heads)) = lines.next() else {
        return Err(refused("empty_file", "文件里没有内容，请重新选择"));
    };
    while heads.last().is_some_and(|head| head.trim().is_empty()) {
        heads.pop();
    }
    if heads.len() > MOST_COLUMNS {
        return Err(too_many_columns());
    }
    let rows: Vec<_> = lines.take(MOST_ROWS + 1).collect();
    if rows.is_empty() {
        return Err(refused("no_rows", "文件只有表头，没有数据行"));
    }
    if rows.len() > MOST_ROWS {
        return Err(too_many_rows());
    }
    Ok(Table { heads, rows })
}

/// UTF-8 and UTF-16 by their marks or by being valid; else GB18030, which older platforms write.
fn decode(bytes: &[u8]) -> ApiResult<String> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        let (text, broken) = encoding.decode_without_bom_handling(&bytes[mark..]);
        return whole(text.into_owned(), broken);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    let (text, broken) = encoding_rs::GB18030.decode_without_bom_handling(bytes);
    whole(text.into_owned(), broken)
}

fn whole(text: String, broken: bool) -> ApiResult<String> {
    if broken || text.contains('\0') {
        return Err(refused(
            "encoding",
            "看不出文件的编码，请另存为 UTF-8 或 GB18030 的 CSV，或 Excel 工作簿",
        ));
    }
    Ok(text)
}

fn csv(text: &str) -> ApiResult<Lines> {
    let first = text.lines().next().unwrap_or_default();
    let count = |mark: u8| first.bytes().filter(|byte| *byte == mark).count();
    let delimiter = [b',', b'\t', b';']
        .into_iter()
        .max_by_key(|mark| (count(*mark), *mark == b','))
        .unwrap_or(b',');
    if text.bytes().filter(|byte| *byte == delimiter).count() > MOST_CELLS {
        return Err(too_many_cells());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let mut lines = Vec::new();
    let mut number = LineNumber::default();
    for record in reader.records() {
        let record = record.map_err(|_| refused("csv", "文件不是有效的 CSV，请另存后再试"))?;
        let begin = record.position().map_or(0, csv::Position::byte);
        let number = number.at(text, usize::try_from(begin).unwrap_or(usize::MAX));
        let cells = record.iter().take(MOST_COLUMNS + 1).map(str::to_owned);
        let cells = cells.collect();
        lines.push((number, cells));
        if lines.len() > MOST_ROWS + 2 {
            break;
        }
    }
    Ok(lines)
}

/// Counts lines as a person does: the reader of CSV passes over blank ones in silence.
#[derive(Default)]
struct LineNumber {
    byte: usize,
    line: i32,
}

impl LineNumber {
    /// The number of the first line with something in it from `begin` on.
    fn at(&mut self, text: &str, begin: usize) -> i32 {
        let bytes = text.as_bytes();
        let blank = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let rest = bytes.get(begin..).unwrap_or_default();
        let skipped = rest.iter().take_while(|byte| blank(byte)).count();
        let passed = bytes.get(self.byte..begin + skipped).unwrap_or_default();
        let lines = passed.iter().filter(|byte| **byte == b'\n').count();
        self.byte = begin + skipped;
        self.line = self
            .line
            .saturating_add(i32::try_from(lines).unwrap_or(i32::MAX));
        self.line.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    fn lines(table: &Table) -> Vec<(i32, Vec<&str>)> {
        table
            .rows
            .iter()
            .map(|(row, cells)| (*row, cells.iter().map(String::as_str).collect()))
            .collect()
    }

    #[test]
    fn the_same_table_is_read_from_every_encoding() {
        let text = "姓名,备注\n叶海思,\"一,二\"\n\n贺曦斌·𠮷,x\n";
        let utf8 = read(text.as_bytes()).unwrap();
        assert_eq!(utf8.heads, ["姓名", "备注"]);
        assert_eq!(
            lines(&utf8),
            [(2, vec!["叶海思", "一,二"]), (4, vec!["贺曦斌·𠮷", "x"])]
        );
        let (gb, _, _) = encoding_rs::GB18030.encode(text);
        assert_eq!(read(&gb).unwrap(), utf8);
        assert_eq!(read(format!("\u{feff}{text}").as_bytes()).unwrap(), utf8);
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(read(&utf16).unwrap(), utf8);
        let tabs = "姓名\t备注\n叶海思\t一,二\n";
        assert_eq!(
            read(tabs.as_bytes()).unwrap().rows[0].1,
            ["叶海思", "一,二"]
        );
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_reason() {
        let code = |bytes: &[u8]| read(bytes).unwrap_err().fields[0].code.clone();
        assert_eq!(code(b""), "empty_file");
        assert_eq!(code("姓名\n".as_bytes()), "no_rows");
        assert_eq!(code(&[0xff, 0x80, 0x80, 0xff]), "encoding");
        assert_eq!(code(b"PK\x03\x04nothing"), "workbook");
        assert_eq!(code(b"%PDF-1.7\n1 0 obj"), "not_a_table");
        assert_eq!(code(b"\n<!DOCTYPE html><table>"), "not_a_table");
        assert_eq!(code(&[0xd0, 0xcf, 0x11, 0xe0, 1, 2]), "workbook");
        assert_eq!(code(&vec![b'a'; LARGEST + 1]), "file_too_large");
        assert_eq!(code(&vec![b','; MOST_CELLS + 1]), "too_many_cells");
        assert_eq!(
            code(&[b"a,".repeat(301), b"\nb".to_vec()].concat()),
            "too_many_columns"
        );
    }
}

//! Reads the first sheet of a workbook. A small file may claim to be a great one: an archive that unpacks without end, a
//! sheet whose two cells are a billion rows apart. The library that reads them lays out the whole rectangle between the
//! outermost cells, so what a file claims is looked at first, and the newer format is read cell by cell. Knows no fields.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Data, Reader, Xls, Xlsx};

use super::table::{
    Lines, MOST_CELLS, MOST_COLUMNS, MOST_ROWS, refused, too_many_cells, too_many_columns,
    too_many_rows,
};
use crate::error::{ApiError, ApiResult};

/// A workbook is a packed archive: how much it may unpack to, and of how many parts.
const UNPACKED: u64 = 200 * 1024 * 1024;
const PARTS: usize = 1_000;
/// How much its list of texts may unpack to: it is kept whole, and each text costs more than it says.
const TEXTS: u64 = 64 * 1024 * 1024;
const TEXTS_NAME: &str = "sharedstrings.xml";
/// The older format's stream of records, by the names of its two versions.
const STREAMS: [&str; 2] = ["/Workbook", "/Book"];
/// Records that begin with the row and column of a cell, and the one that begins a sheet (MS-XLS, 2.3).
const CELLS: [u16; 10] = [
    0x0006, 0x00bd, 0x00be, 0x00d6, 0x00fd, 0x0201, 0x0203, 0x0204, 0x0205, 0x027e,
];
const SEVERAL: [u16; 2] = [0x00bd, 0x00be];
const BEGIN: u16 = 0x0809;

fn unreadable() -> ApiError {
    refused(
        "workbook",
        "打不开这个 Excel 文件，请另存为 .xlsx 或 CSV 后再试",
    )
}

/// The library is not ours, and the bytes are anyone's: what it can't read is refused, however it says so.
fn guarded<T>(read: impl FnOnce() -> ApiResult<T>) -> ApiResult<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        tracing::error!("the reader of workbooks panicked");
        Err(unreadable())
    })
}

/// A workbook of Excel 2007 or newer.
pub(super) fn xlsx(bytes: &[u8]) -> ApiResult<Lines> {
    check_archive(bytes)?;
    guarded(|| {
        let mut book = Xlsx::new(Cursor::new(bytes)).map_err(|_| unreadable())?;
        let sheet = book.sheet_names().into_iter().next();
        let mut cells = book
            .worksheet_cells_reader(&sheet.ok_or_else(unreadable)?)
            .map_err(|_| unreadable())?;
        let mut grid = Grid::default();
        while let Some(found) = cells.next_cell().map_err(|_| unreadable())? {
            let (row, column) = found.get_position();
            grid.put(row, column, cell(&found.get_value().clone().into()))?;
        }
        Ok(grid.lines())
    })
}

/// A workbook of Excel 97 to 2003.
pub(super) fn xls(bytes: &[u8]) -> ApiResult<Lines> {
    guarded(|| {
        check_records(bytes)?;
        let mut book = Xls::new(Cursor::new(bytes)).map_err(|_| unreadable())?;
        let range = book.worksheet_range_at(0).ok_or_else(unreadable)?;
        let range = range.map_err(|_| unreadable())?;
        let (first_row, first_column) = range.start().unwrap_or_default();
        let mut grid = Grid::default();
        for (row, column, found) in range.used_cells() {
            let at = |first: u32, far: usize| {
                first.saturating_add(u32::try_from(far).unwrap_or(u32::MAX))
            };
            grid.put(at(first_row, row), at(first_column, column), cell(found))?;
        }
        Ok(grid.lines())
    })
}

/// The cells that hold something, row by row.
#[derive(Default)]
struct Grid {
    rows: BTreeMap<u32, Vec<String>>,
    cells: usize,
}

impl Grid {
    fn put(&mut self, row: u32, column: u32, text: String) -> ApiResult<()> {
        if text.is_empty() {
            return Ok(());
        }
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        if column >= MOST_COLUMNS {
            return Err(too_many_columns());
        }
        let cells = self.rows.entry(row).or_default();
        if cells.len() <= column {
            self.cells += column + 1 - cells.len();
            cells.resize(column + 1, String::new());
        }
        cells[column] = text;
        if self.cells > MOST_CELLS {
            return Err(too_many_cells());
        }
        if self.rows.len() > MOST_ROWS + 1 {
            return Err(too_many_rows());
        }
        Ok(())
    }

    fn lines(self) -> Lines {
        let number = |row: u32| i32::try_from(row).unwrap_or(i32::MAX).saturating_add(1);
        let rows = self.rows.into_iter();
        rows.map(|(row, cells)| (number(row), cells)).collect()
    }
}

/// A cell as a person sees it. A number too long for a spreadsheet comes out in its damaged form, which the reader of
/// the field points out.
fn cell(data: &Data) -> String {
    match data {
        Data::Empty | Data::Error(_) => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            format!("{number:.0}")
        }
        Data::Float(number) if number.abs() >= 1e15 => format!("{number:E}"),
        Data::Float(number) => number.to_string(),
        Data::Bool(yes) => if *yes { "是" } else { "否" }.to_owned(),
        Data::DateTime(at) => match at.as_datetime() {
            Some(at) if at.time() == chrono::NaiveTime::MIN => at.date().to_string(),
            Some(at) => at.format("%Y-%m-%d %H:%M:%S").to_string(),
            None => at.as_f64().to_string(),
        },
    }
}

/// Unpacks the archive's parts into nothing, so that one that unpacks without end is refused before it is opened.
fn check_archive(bytes: &[u8]) -> ApiResult<()> {
    let bomb = || refused("archive_too_large", "这个 Excel 文件展开后过大，不能导入");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| unreadable())?;
    if archive.len() > PARTS {
        return Err(bomb());
    }
    let mut left = UNPACKED;
    for at in 0..archive.len() {
        let part = archive.by_index(at).map_err(|_| unreadable())?;
        let name = part.name().map_err(|_| unreadable())?.to_ascii_lowercase();
        let texts = name.ends_with(TEXTS_NAME);
        let read = std::io::copy(&mut part.take(left + 1), &mut std::io::sink())
            .map_err(|_| unreadable())?;
        left = left.checked_sub(read).ok_or_else(bomb)?;
        if texts && read > TEXTS {
            return Err(bomb());
        }
    }
    Ok(())
}

/// Walks through the records of the older format, and adds up the rectangles that its sheets claim.
fn check_records(bytes: &[u8]) -> ApiResult<()> {
    let mut file = cfb::CompoundFile::open(Cursor::new(bytes)).map_err(|_| unreadable())?;
    let stream = STREAMS.iter().find(|name| file.is_stream(name));
    let stream = stream.ok_or_else(unreadable)?;
    let mut records = Vec::new();
    let opened = file.open_stream(stream).map_err(|_| unreadable())?;
    opened
        .take(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
        .read_to_end(&mut records)
        .map_err(|_| unreadable())?;
    let mut sheets = 0_usize;
    let (mut rows, mut columns) = (0_usize, 0_usize);
    let mut rest = records.as_slice();
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let kind = u16::from_le_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let Some((body, after)) = after.split_at_checked(length) else {
            break;
        };
        rest = after;
        let word = |at: usize| {
            let word = body.get(at..at + 2)?;
            Some(usize::from(u16::from_le_bytes([word[0], word[1]])))
        };
        if kind == BEGIN {
            sheets = sheets.saturating_add(rows * columns);
            (rows, columns) = (0, 0);
        } else if CELLS.contains(&kind)
            && let (Some(row), Some(column)) = (word(0), word(2))
        {
            let last = length.checked_sub(2).filter(|_| SEVERAL.contains(&kind));
            let last = last.and_then(word).unwrap_or_default();
            rows = rows.max(row + 1);
            columns = columns.max(column.max(last) + 1);
        }
    }
    if sheets.saturating_add(rows * columns) > MOST_CELLS {
        return Err(too_many_cells());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use std::io::Write;

    use super::super::table::read;
    use super::*;

    #[test]
    fn an_archive_that_unpacks_without_end_is_refused() {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        let zeros = vec![0; 1 << 20];
        writer.start_file("xl/workbook.xml", options).unwrap();
        for _ in 0..210 {
            writer.write_all(&zeros).unwrap();
        }
        let bytes = writer.finish().unwrap().into_inner();
        assert!(bytes.len() < 1 << 20, "small when packed");
        assert_eq!(
            read(&bytes).unwrap_err().fields[0].code,
            "archive_too_large"
        );
    }

    #[test]
    fn cells_are_read_as_a_person_sees_them() {
        assert_eq!(cell(&Data::Float(13_812_341_234.0)), "13812341234");
        assert_eq!(cell(&Data::Float(144.3)), "144.3");
        assert!(cell(&Data::Float(3.101_151_970_042_756e17)).contains('E'));
        assert_eq!(cell(&Data::Bool(true)), "是");
    }

    /// A workbook of these rows, as XML.
    fn book(rows: &str) -> Vec<u8> {
        let types = r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>"#;
        let document = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
        let workbook = r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="居民" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
        let sheets = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;
        let sheet = format!(
            r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>"#
        );
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in [
            ("[Content_Types].xml", types),
            ("_rels/.rels", document),
            ("xl/workbook.xml", workbook),
            ("xl/_rels/workbook.xml.rels", sheets),
            ("xl/worksheets/sheet1.xml", &sheet),
        ] {
            zip.start_file(name, zip::write::SimpleFileOptions::default())
                .unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn row(place: &str, text: &str) -> String {
        format!(r#"<row><c r="{place}" t="inlineStr"><is><t>{text}</t></is></c></row>"#)
    }

    #[test]
    fn cells_are_where_the_sheet_says_and_blank_rows_cost_nothing() {
        let rows = row("A1", "姓名") + &row("B2", "叶海思") + &row("A1048576", "何晓梅");
        let lines = xlsx(&book(&rows)).unwrap();
        assert_eq!(
            lines,
            [
                (1, vec!["姓名".to_owned()]),
                (2, vec![String::new(), "叶海思".to_owned()]),
                (1_048_576, vec!["何晓梅".to_owned()]),
            ]
        );
    }

    #[test]
    fn a_sheet_that_claims_to_be_wider_than_any_is_refused() {
        let rows = row("A1", "x") + &row("XFD1048576", "x");
        let refused = xlsx(&book(&rows)).unwrap_err();
        assert_eq!(refused.fields[0].code, "too_many_columns");
    }

    /// A workbook of the older format with numbers in these cells.
    fn old(cells: &[(u16, u16)]) -> Vec<u8> {
        let mut records = Vec::new();
        let mut record = |kind: u16, body: &[u8]| {
            records.extend(kind.to_le_bytes());
            records.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
            records.extend(body);
        };
        record(BEGIN, &[0, 6, 0x10, 0, 0, 0, 0, 0]);
        for (row, column) in cells {
            let place = [row.to_le_bytes(), column.to_le_bytes(), [0; 2]].concat();
            record(0x0203, &[place, 1.0_f64.to_le_bytes().to_vec()].concat());
        }
        record(0x000a, &[]);
        let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        let mut stream = file.create_stream(STREAMS[0]).unwrap();
        stream.write_all(&records).unwrap();
        drop(stream);
        file.into_inner().into_inner()
    }

    #[test]
    fn an_old_workbook_is_looked_at_before_its_rectangle_is_laid_out() {
        assert!(check_records(&old(&[(0, 0), (60_000, 40)])).is_ok());
        let refused = xls(&old(&[(0, 0), (65_535, 65_535)])).unwrap_err();
        assert_eq!(refused.fields[0].code, "too_many_cells");
    }
}

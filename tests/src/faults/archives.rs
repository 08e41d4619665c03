//! Files that claim to be more than they are: workbooks that unpack without end, whose cells are a billion rows apart,
//! with ten thousand parts or parts that point outside, tables of nothing but separators; and sound workbooks with bytes
//! and texts changed. Each is taken or refused with a reason, and the server's memory stays bounded.

use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::ensure;
use rand::{Rng, RngExt};

use super::ground::Ground;
use super::half_files::upload;
use super::{Figures, Options, book};

/// What the server may need for one of them.
const MEMORY: u64 = 256 << 20;

/// Where a file of an archive would lie that points outside.
const OUTSIDE: &str = "/tmp/doorstep-outside";

/// A file, and whether it must be refused.
struct File {
    what: &'static str,
    bytes: Vec<u8>,
    refused: bool,
}

/// The row `archives`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let mut most = 0;
    for File {
        what,
        bytes,
        refused,
    } in files(options)?
    {
        let before = ground.begin_peak()?;
        let said = upload(ground, &bytes).await?;
        let grown = ground.peak()?.saturating_sub(before);
        most = most.max(grown);
        figures.fault(match said {
            _ if grown > MEMORY => Err(format!("{what}: {} MiB", grown >> 20)),
            // 503: it took longer than a request may, on a slow machine.
            Err(400..500 | 503) => Ok(()),
            Ok(()) if !refused => Ok(()),
            said => Err(format!("{what}: {said:?}")),
        });
    }
    let before = ground.begin_peak()?;
    let mut taken = 0;
    let mut rng = options.chance("archives");
    let rows = sound_rows();
    let whole = book::of_rows(&rows)?;
    ensure!(upload(ground, &whole).await?.is_ok(), "the sound workbook");
    let old = old_workbook(&[(0, 0), (3, 2)])?;
    for turn in 0..options.count(120, 6_000) {
        let mut file = match turn % 3 {
            // What is packed is changed, and packed again: it comes past the archive's checksums.
            0 => {
                let mut sheet = book::sheet(&rows).into_bytes();
                changed(&mut rng, &mut sheet);
                book::of_sheet(&String::from_utf8_lossy(&sheet))?
            }
            1 => whole.clone(),
            _ => old.clone(),
        };
        if turn % 3 != 0 {
            changed(&mut rng, &mut file);
        }
        let said = upload(ground, &file).await?;
        taken += u64::from(said.is_ok());
        figures.fault(match said {
            Ok(()) | Err(400..500) => Ok(()),
            said => Err(format!("a changed workbook, turn {turn}: {said:?}")),
        });
    }
    let grown = ground.peak()?.saturating_sub(before);
    if grown > MEMORY {
        figures.fault(Err(format!("changed workbooks: {} MiB", grown >> 20)));
    }
    figures.fault(if Path::new(OUTSIDE).exists() {
        Err(format!("{OUTSIDE} was written"))
    } else {
        Ok(())
    });
    figures.fault(ground.is_sound().await);
    figures.note = format!(
        "at most {} MiB for one file; {taken} changed workbooks were still read",
        most >> 20
    );
    Ok(figures)
}

fn files(options: &Options) -> anyhow::Result<Vec<File>> {
    let file = |what, bytes, refused| File {
        what,
        bytes,
        refused,
    };
    let cell =
        |place: &str| format!(r#"<row><c r="{place}" t="inlineStr"><is><t>x</t></is></c></row>"#);
    let mut files = vec![
        file(
            "cells far apart",
            book::of_rows(&(cell("A1") + &cell("XFD1048576")))?,
            true,
        ),
        file(
            "rows far apart",
            book::of_rows(&(cell("A1") + &cell("A2") + &cell("A1048576")))?,
            false,
        ),
        file(
            "an old workbook's cells far apart",
            old_workbook(&[(0, 0), (65_535, 65_535)])?,
            true,
        ),
        file("entities in entities", book::of_sheet(LAUGHS)?, false),
        file("nothing but separators", vec![b','; 31 << 20], true),
        file(
            "one text without end",
            [b"\"".to_vec(), vec![b'x'; 31 << 20]].concat(),
            true,
        ),
        file("lines without end", b"a,b\n".repeat(250_000), true),
    ];
    // Twenty megabytes of cells, each with nearly nothing.
    let rows = format!("<row>{}</row>", "<c><v>1</v></c>".repeat(290)).repeat(21_000);
    files.push(file("six million cells", book::of_rows(&rows)?, true));
    let long = usize::try_from(options.count(210, 2_000))?;
    files.push(file(
        "a sheet without end",
        filled(book::SHEET, b" ", long)?,
        true,
    ));
    let texts = filled("xl/sharedStrings.xml", b"<si><t/></si>", 70)?;
    files.push(file("texts without end", texts, true));
    let mut zip = book::begun()?;
    for part in 0..10_000 {
        zip.start_file(format!("xl/{part}.xml"), book::packed())?;
    }
    files.push(file("ten thousand parts", zip.finish()?.into_inner(), true));
    for name in [
        "../../../../../../../../tmp/doorstep-outside",
        OUTSIDE,
        "..\\..\\outside",
    ] {
        let mut zip = book::begun()?;
        zip.start_file(book::SHEET, book::packed())?;
        zip.write_all(book::sheet(&sound_rows()).as_bytes())?;
        zip.start_file(name, book::packed())?;
        zip.write_all(b"outside")?;
        files.push(file(
            "a part that points outside",
            zip.finish()?.into_inner(),
            false,
        ));
    }
    let mut nested = book::of_rows(&sound_rows())?;
    for _ in 0..20 {
        let mut zip = book::begun()?;
        zip.start_file(book::SHEET, book::packed())?;
        zip.write_all(&nested)?;
        nested = zip.finish()?.into_inner();
    }
    files.push(file("archives in archives", nested, true));
    Ok(files)
}

/// A workbook of which one part is this text again and again, for so many megabytes.
fn filled(name: &str, text: &[u8], megabytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut zip = book::begun()?;
    zip.start_file(name, book::packed())?;
    let block = text.repeat((1 << 20) / text.len() + 1);
    for _ in 0..megabytes {
        zip.write_all(&block)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// A workbook of the older format with numbers in these cells (MS-XLS, 2.4.180).
fn old_workbook(cells: &[(u16, u16)]) -> anyhow::Result<Vec<u8>> {
    let mut records = Vec::new();
    let mut record = |kind: u16, body: &[u8]| -> anyhow::Result<()> {
        records.extend(kind.to_le_bytes());
        records.extend(u16::try_from(body.len())?.to_le_bytes());
        records.extend(body);
        Ok(())
    };
    let begin = |kind: u8| [0, 6, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    record(0x0809, &begin(5))?;
    record(0x000a, &[])?;
    record(0x0809, &begin(0x10))?;
    for (row, column) in cells {
        let mut body = Vec::new();
        body.extend(row.to_le_bytes());
        body.extend(column.to_le_bytes());
        body.extend([0; 2]);
        body.extend(1.0_f64.to_le_bytes());
        record(0x0203, &body)?;
    }
    record(0x000a, &[])?;
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new()))?;
    file.create_stream("/Workbook")?.write_all(&records)?;
    file.flush()?;
    Ok(file.into_inner().into_inner())
}

/// Bytes changed, cut out or doubled, somewhere.
fn changed(rng: &mut impl Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..bytes.len());
        let length = rng.random_range(1..9).min(bytes.len() - at);
        match rng.random_range(0..4) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 if bytes.len() > 200 => drop(bytes.drain(at..at + length)),
            _ => {
                let part = bytes[at..at + length].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

fn sound_rows() -> String {
    let cell = |text: &str| format!(r#"<c t="inlineStr"><is><t>{text}</t></is></c>"#);
    let row = |cells: [&str; 3]| format!("<row>{}</row>", cells.map(cell).concat());
    row(["姓名", "性别", "人员类别"]) + &row(["何晓梅", "女", "户籍人口"])
}

/// Ten entities, each ten times the one before.
const LAUGHS: &str = r#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY f "&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;"><!ENTITY g "&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;"><!ENTITY h "&g;&g;&g;&g;&g;&g;&g;&g;&g;&g;"><!ENTITY i "&h;&h;&h;&h;&h;&h;&h;&h;&h;&h;"><!ENTITY j "&i;&i;&i;&i;&i;&i;&i;&i;&i;&i;">]><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row><c t="inlineStr"><is><t>&j;</t></is></c></row><row><c t="inlineStr"><is><t>x</t></is></c></row></sheetData></worksheet>"#;

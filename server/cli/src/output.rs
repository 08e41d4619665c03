//! What commands print: aligned text for people, JSON for programs. A reader that has gone (`| head`) ends the command
//! quietly.

use std::io::Write;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

/// One line to standard output.
pub(crate) fn line(text: &str) {
    write_or_leave(&mut std::io::stdout().lock(), text);
}

/// One line to standard error.
pub(crate) fn complain(text: &str) {
    write_or_leave(&mut std::io::stderr().lock(), text);
}

/// A value as JSON, in one line.
pub(crate) fn json(value: &impl Serialize) {
    line(&serde_json::to_string(value).unwrap_or_default());
}

fn write_or_leave(to: &mut impl Write, text: &str) {
    let written = writeln!(to, "{text}").and_then(|()| to.flush());
    if written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

/// Pads to a width in columns: a Chinese character takes two.
fn pad(text: &str, width: usize) -> String {
    let have = text.width();
    format!("{text}{}", " ".repeat(width.saturating_sub(have)))
}

/// Rows under heads, each column as wide as its widest cell.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        line("（没有内容）");
        return;
    }
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(at, head)| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(at))
                .map(|cell| cell.width());
            cells.chain([head.width()]).max().unwrap_or(0)
        })
        .collect();
    let show = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| pad(cell, *width))
            .collect();
        line(padded.join("  ").trim_end());
    };
    show(heads.to_vec());
    for row in rows {
        show(row.iter().map(String::as_str).collect());
    }
}

/// Names and values, the values aligned.
pub(crate) fn pairs(rows: &[(String, String)]) {
    let width = rows.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    for (name, value) in rows {
        line(&format!("{}  {value}", pad(name, width)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_takes_two_columns() {
        assert_eq!(pad("姓名", 6), "姓名  ");
        assert_eq!(pad("name", 6), "name  ");
        assert_eq!(pad("过长的内容", 4), "过长的内容");
    }
}

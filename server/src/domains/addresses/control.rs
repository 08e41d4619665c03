//! The control file (`.ok`) that the police write last beside each file: how many rows and bytes it has, and their SM3.
//! A file that is not so came half, or was altered. Knows no column.

use std::collections::BTreeMap;

use doorstep_core::crypto::sm3;

use crate::error::{ApiResult, Problems};

/// Refuses a file that is not what its control file says.
///
/// # Errors
/// Every difference is named.
pub fn check_whole(bytes: &[u8], control: &[u8]) -> ApiResult<()> {
    let control = String::from_utf8_lossy(control);
    let said: BTreeMap<&str, &str> = control
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let rows = bytes.split(|byte| *byte == b'\n');
    let rows = rows.filter(|row| !row.trim_ascii().is_empty()).count();
    let counted = [
        ("rows", "行数", rows.to_string()),
        ("bytes", "字节数", bytes.len().to_string()),
        ("sm3", "SM3 校验值", hex::encode(sm3::digest(&[bytes]))),
    ];
    let mut problems = Problems::default();
    for (key, label, counted) in counted {
        let message = match said.get(key) {
            Some(said) if said.eq_ignore_ascii_case(&counted) => continue,
            Some(said) => format!(
                "控制文件（.ok）写明的{label}是 {said}，文件的是 {counted}：文件不完整或被改动，请重新取得后再导入"
            ),
            None => format!("控制文件（.ok）没有写明{label}，可能还没有传完，请重新取得后再导入"),
        };
        problems.add("file", key, message);
    }
    problems.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn fixture(ending: &str) -> Vec<u8> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let name = format!("../tests/fixtures/police/DZ_310101002001_20261120_0001.{ending}");
        std::fs::read(root.join(name)).unwrap()
    }

    #[test]
    fn a_whole_file_passes_and_no_prefix_of_it_or_of_its_control_file_does() {
        let (bytes, control) = (fixture("txt"), fixture("ok"));
        check_whole(&bytes, &control).unwrap();
        let lines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let ends = lines.map(|(at, _)| at + 1).filter(|end| *end < bytes.len());
        for end in ends.step_by(50).chain([0, 1, bytes.len() - 1]) {
            assert!(check_whole(&bytes[..end], &control).is_err(), "{end} bytes");
        }
        let written = control.trim_ascii_end().len();
        for end in 0..written {
            assert!(check_whole(&bytes, &control[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn every_difference_is_named() {
        let named = |bytes: &[u8], control: &str| -> Vec<String> {
            let error = check_whole(bytes, control.as_bytes()).unwrap_err();
            error
                .fields
                .iter()
                .map(|field| field.code.clone())
                .collect()
        };
        assert_eq!(named(b"a\r\nb\r\n", "rows=2\r\nbytes=6\r\nsm3=00"), ["sm3"]);
        assert_eq!(named(b"a\r\nb\r\n", "rows=3\nbytes=6"), ["rows", "sm3"]);
        assert_eq!(named(b"", "whatever"), ["rows", "bytes", "sm3"]);
    }
}

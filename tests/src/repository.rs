//! Walks over the repository's own files, for the tests that hold its shape and its claims. Knows nothing of what the files mean.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// One text file of the repository.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path from the repository's root, with `/` between its parts.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// Folders that hold what was built or fetched, never what was written.
const NOT_OURS: &[&str] = &["target", "node_modules", "dist", ".git", ".data"];

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The `doorstep` program beside the test that runs, built with it when the whole workspace is.
///
/// # Errors
/// When it is not there; says how to build it.
pub fn program() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("a folder")?;
    let program = folder.join("doorstep");
    ensure!(
        program.exists(),
        "{} is missing: cargo build -p doorstep-cli",
        program.display()
    );
    Ok(program)
}

/// The `doorstep` program that a program of this package runs: the one given, else the one beside it.
///
/// # Errors
/// When it is not known where this program lies.
pub fn beside(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    match given {
        Some(program) => Ok(program),
        None => {
            let itself = std::env::current_exe()?;
            Ok(itself.parent().context("no folder")?.join("doorstep"))
        }
    }
}

/// Every UTF-8 text file whose path satisfies `wanted`, in the order of their paths.
#[must_use]
pub fn files(wanted: impl Fn(&str) -> bool) -> Vec<SourceFile> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if !NOT_OURS.iter().any(|skipped| name == *skipped) {
                    folders.push(path);
                }
                continue;
            }
            let Ok(inside) = path.strip_prefix(&root) else {
                continue;
            };
            let path_text = inside.to_string_lossy().replace('\\', "/");
            if wanted(&path_text)
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                found.push(SourceFile {
                    path: path_text,
                    text,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every Rust file of the repository.
#[must_use]
pub fn rust_files() -> Vec<SourceFile> {
    files(|path| path.ends_with(".rs"))
}

impl SourceFile {
    /// Whether the whole file is a test: in the tests' crate, in a `tests` folder, or a module of tests in a file of its own.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
    }

    /// The file's code that ships, line by line with line numbers from 1: without comments, and without the test module below it.
    #[must_use]
    pub fn shipped_lines(&self) -> Vec<(usize, &str)> {
        let mut lines = Vec::new();
        if self.is_test() {
            return lines;
        }
        let mut gated = false;
        for (index, line) in self.text.lines().enumerate() {
            let trimmed = line.trim_start();
            if trimmed.starts_with("#[cfg(test)]") {
                gated = true;
                continue;
            }
            if gated && trimmed.starts_with("mod ") && trimmed.contains('{') {
                break;
            }
            if !trimmed.starts_with("#[") {
                gated = false;
            }
            if trimmed.starts_with("//") {
                continue;
            }
            let code = line.split_once(" // ").map_or(line, |(code, _)| code);
            lines.push((index + 1, code));
        }
        lines
    }
}

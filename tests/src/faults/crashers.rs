//! Mutants that are kept: bytes, in files, of which each made plain Automerge panic when it was found. They are read before
//! any mutant that chance makes. Knows no fault; whether a newer Automerge still falls is not asked.

use std::path::PathBuf;

use anyhow::{Context, ensure};

use crate::repository;

fn folder() -> PathBuf {
    repository::root().join("tests/fixtures/crashers")
}

/// The files' names and bytes, by name.
pub(super) fn kept() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let folder = folder();
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "bin") {
            let name = path.file_stem().unwrap_or_default();
            kept.push((name.to_string_lossy().into_owned(), std::fs::read(&path)?));
        }
    }
    ensure!(!kept.is_empty(), "no mutants in {}", folder.display());
    kept.sort();
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use automerge::{AutoCommit, Change, ROOT, ReadDoc};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::faults::corpus::Corpus;
    use crate::faults::malformed::Readers;
    use crate::faults::mutate::{mutate_chunk, mutate_compressed, mutate_document};

    /// Where the last panic was.
    static PLACE: Mutex<String> = Mutex::new(String::new());

    #[test]
    fn none_is_taken_and_none_makes_our_decoders_panic() -> anyhow::Result<()> {
        let readers = Readers::new()?;
        for (name, bytes) in kept()? {
            let read = catch_unwind(AssertUnwindSafe(|| readers.refuse(&bytes)));
            assert_eq!(read.ok(), Some(Ok(())), "{name}");
        }
        Ok(())
    }

    /// Looks for more, and keeps the shortest that falls at each line of Automerge's. Memory that it asks for and does not
    /// get ends the process, not only the thread: what was read last is found in the folder for passing files.
    ///
    /// `(ulimit -v 4000000; CRASHERS_SECONDS=60 cargo test -p doorstep-tests --lib more_are_found -- --ignored --nocapture)`
    #[test]
    #[ignore = "looks for new files, as many seconds as CRASHERS_SECONDS says"]
    fn more_are_found() -> anyhow::Result<()> {
        let number = |name, usual: u64| std::env::var(name).map_or(Ok(usual), |text| text.parse());
        let time = Duration::from_secs(number("CRASHERS_SECONDS", 10)?);
        let mut rng = ChaCha8Rng::seed_from_u64(number("CRASHERS_SEED", 1)?);
        let last = std::env::temp_dir().join("doorstep-crasher.bin");
        let corpus = Corpus::new()?;
        let mut before = AutoCommit::new();
        for (bytes, ..) in &corpus.changes[..corpus.changes.len() - 1] {
            before.apply_changes([Change::from_bytes(bytes.clone())?])?;
        }
        std::panic::set_hook(Box::new(|info| drop(put(place(info)))));
        let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let started = Instant::now();
        while started.elapsed() < time {
            let bytes = mutant(&mut rng, &corpus);
            std::fs::write(&last, &bytes)?;
            if catch_unwind(AssertUnwindSafe(|| read_plainly(&before, &bytes))).is_err() {
                let place = put(String::new());
                let shortest = found.entry(place).or_insert_with(|| bytes.clone());
                if bytes.len() < shortest.len() {
                    *shortest = bytes;
                }
            }
        }
        drop(std::panic::take_hook());
        for (place, bytes) in found {
            let file = folder().join(&place).with_extension("bin");
            eprintln!("{place}: {} bytes", bytes.len());
            if !file.exists() {
                std::fs::write(file, bytes)?;
            }
        }
        Ok(())
    }

    /// Notes where the last panic was; gives what stood there.
    fn put(place: String) -> String {
        std::mem::replace(
            &mut *PLACE.lock().unwrap_or_else(PoisonError::into_inner),
            place,
        )
    }

    fn mutant(rng: &mut ChaCha8Rng, corpus: &Corpus) -> Vec<u8> {
        let kind = rng.random_range(0..4);
        if kind < 2 {
            let mut any = || &corpus.documents[rng.random_range(0..corpus.documents.len())];
            let (document, other) = (any(), any());
            return mutate_document(rng, document, other);
        }
        let mut any = || &corpus.changes[rng.random_range(0..corpus.changes.len())].0;
        let (change, other) = (any(), any());
        match kind {
            2 => mutate_chunk(rng, change, other),
            _ => mutate_compressed(rng, change, other),
        }
    }

    /// What plain Automerge does with bytes that somebody sends.
    fn read_plainly(before: &AutoCommit, bytes: &[u8]) {
        if let Ok(mut document) = AutoCommit::load(bytes) {
            document.save();
            document.hydrate(&ROOT, None).ok();
        }
        if let Ok(change) = Change::from_bytes(bytes.to_vec()) {
            change.decode();
            let mut document = before.clone();
            document.apply_changes([change]).ok();
            document.save();
            document.hydrate(&ROOT, None).ok();
        }
    }

    /// Crate, file and line, as a file's name.
    fn place(info: &PanicHookInfo<'_>) -> String {
        let Some(location) = info.location() else {
            return "nowhere".to_owned();
        };
        let mut parts = location.file().rsplit('/');
        let file = parts.next().unwrap_or_default().trim_end_matches(".rs");
        let mut versioned = parts.filter_map(|part| part.split_once('-'));
        let owner =
            versioned.find(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
        let owner = owner.map(|(owner, _)| owner);
        format!("{}-{file}-{}", owner.unwrap_or("std"), location.line())
    }
}

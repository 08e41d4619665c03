//! The list of the photos' objects in a backup: the name, the bytes and the digest of each. Written and read a line at a
//! time: a city has millions. Knows no photo and no store.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use doorstep_core::crypto::sm3::{self, Running};

use super::manifest::TableFile;
use super::{OBJECTS, tables};

const COLUMNS: [&str; 3] = ["name", "bytes", "digest"];

/// A list that is being written, in the form of a table's rows.
pub(super) struct List {
    file: TableFile,
    digest: Running,
    out: zstd::Encoder<'static, BufWriter<File>>,
}

impl List {
    pub(super) fn begin(folder: &Path) -> anyhow::Result<Self> {
        let file = TableFile {
            name: OBJECTS.to_owned(),
            columns: COLUMNS.map(str::to_owned).to_vec(),
            order: Vec::new(),
            rows: 0,
            digest: String::new(),
        };
        Ok(Self {
            out: tables::create(&file, folder)?,
            digest: Running::default(),
            file,
        })
    }

    pub(super) fn add(&mut self, name: &str, object: &[u8]) -> anyhow::Result<()> {
        let digest = hex::encode(sm3::digest(&[object]));
        let line = format!("{name}\t{}\t{digest}\n", object.len());
        self.digest.update(line.as_bytes());
        self.out.write_all(line.as_bytes())?;
        self.file.rows += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> anyhow::Result<TableFile> {
        tables::finish(self.out)?;
        self.file.digest = hex::encode(self.digest.finish());
        Ok(self.file)
    }
}

/// Holds the list against the manifest, and every object against the list. Gives how many files lie beside them that the
/// list does not name.
///
/// # Errors
/// When the list or an object is damaged or missing; the message names its file.
pub(super) async fn check(list: &TableFile, folder: &Path) -> anyhow::Result<u64> {
    tables::check(list, folder)?;
    each(list, folder, |_, _| std::future::ready(Ok(()))).await?;
    Ok(files(&folder.join(OBJECTS))?.saturating_sub(list.rows))
}

/// Gives every object that the list names to `take`, by its name, once it is what the list says.
///
/// # Errors
/// As [`check`], and what `take` says.
pub(super) async fn each<F>(
    list: &TableFile,
    folder: &Path,
    mut take: impl FnMut(String, Vec<u8>) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let lines = BufReader::new(tables::open(list, folder)?).lines();
    for line in lines {
        let line = line?;
        let (name, said) = line.split_once('\t').context("a line is cut short")?;
        let path = folder.join(OBJECTS).join(name);
        let object = fs::read(&path).with_context(|| {
            format!(
                "备份里缺少照片文件 {}，或不能读取，请换一份备份",
                path.display()
            )
        })?;
        let digest = hex::encode(sm3::digest(&[&object]));
        ensure!(
            format!("{}\t{digest}", object.len()) == said,
            "备份里的照片文件 {} 已损坏或被改动，请换一份备份",
            path.display()
        );
        take(name.to_owned(), object).await?;
    }
    Ok(())
}

/// How many files lie below a folder, which need not be there.
fn files(folder: &Path) -> anyhow::Result<u64> {
    let mut count = 0;
    let mut folders = vec![folder.to_owned()];
    folders.retain(|folder| folder.exists());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                count += 1;
            }
        }
    }
    Ok(count)
}

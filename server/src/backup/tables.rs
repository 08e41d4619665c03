//! A table's rows out of the database into a file, and back; in both directions a piece at a time, with a digest over
//! what passes. Files are written and read where the caller stands: this is for commands, which do nothing else.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use doorstep_core::crypto::sm3::Running;
use doorstep_core::ids::RecordId;
use futures_util::StreamExt;
use sqlx::PgConnection;

use super::catalogue::Table;
use super::manifest::TableFile;
use super::rejoin::Rejoined;
use super::{AREA_KEYS, ERASED, KEY_COLUMN, KEY_VERSION};

/// Level 3 packs faster than a disk writes.
const LEVEL: i32 = 3;
const PIECE: usize = 256 * 1024;

/// Which rows and columns of a table, and under what name.
pub(super) struct Wanted {
    pub(super) name: String,
    /// Columns as they are named in the file.
    columns: Vec<String>,
    order: Vec<String>,
    /// What stands between SELECT and ORDER BY.
    select: String,
}

impl Wanted {
    /// A table without its rows' keys.
    pub(super) fn data(table: &Table) -> Self {
        let shown: Vec<String> = table
            .columns
            .iter()
            .map(|column| match column.as_str() {
                KEY_COLUMN => format!("''::bytea AS {}", quoted(column)),
                _ => quoted(column),
            })
            .collect();
        Self {
            name: table.name.clone(),
            columns: table.columns.clone(),
            order: table.key.clone(),
            select: format!("{} FROM {}", shown.join(", "), quoted(&table.name)),
        }
    }

    /// The keys of a table's rows; `None` when they have none.
    pub(super) fn keys(table: &Table) -> Option<Self> {
        if table.name == AREA_KEYS {
            return Some(Self::data(table));
        }
        if !table.columns.iter().any(|column| column == KEY_COLUMN) {
            return None;
        }
        let columns = ["id", KEY_COLUMN, KEY_VERSION].map(str::to_owned);
        Some(Self {
            name: table.name.clone(),
            select: format!("{} FROM {}", listed(&columns), quoted(&table.name)),
            columns: columns.to_vec(),
            order: vec!["id".to_owned()],
        })
    }

    /// The records that are erased.
    pub(super) fn erased() -> Self {
        Self {
            name: ERASED.to_owned(),
            columns: vec!["id".to_owned()],
            order: vec!["id".to_owned()],
            select: "id FROM records WHERE erased_at IS NOT NULL".to_owned(),
        }
    }

    /// What a file of an earlier backup holds, as it would be read from the table today.
    pub(super) fn again(file: &TableFile) -> Self {
        Self::data(&Table {
            name: file.name.clone(),
            columns: file.columns.clone(),
            key: file.order.clone(),
        })
    }

    fn copy(&self) -> String {
        format!(
            "COPY (SELECT {} ORDER BY {}) TO STDOUT",
            self.select,
            listed(&self.order)
        )
    }

    /// Sends the rows into `out`; gives how many, and their digest.
    async fn send(
        &self,
        database: &mut PgConnection,
        out: &mut impl Write,
    ) -> anyhow::Result<(u64, String)> {
        let mut rows = 0;
        let mut digest = Running::default();
        let mut pieces = database.copy_out_raw(&self.copy()).await?;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            // A row is a line: a line feed within a value is written `\n`.
            rows += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
            digest.update(&piece);
            out.write_all(&piece)?;
        }
        Ok((rows, hex::encode(digest.finish())))
    }

    /// Writes the rows into a file of `folder`.
    pub(super) async fn write(
        self,
        database: &mut PgConnection,
        folder: &Path,
    ) -> anyhow::Result<TableFile> {
        let mut file = TableFile {
            name: self.name.clone(),
            columns: self.columns.clone(),
            order: self.order.clone(),
            rows: 0,
            digest: String::new(),
        };
        let mut packed = create(&file, folder)?;
        (file.rows, file.digest) = self.send(database, &mut packed).await?;
        finish(packed)?;
        Ok(file)
    }

    /// The digest of the rows as they are now.
    pub(super) async fn digest(&self, database: &mut PgConnection) -> anyhow::Result<String> {
        Ok(self.send(database, &mut std::io::sink()).await?.1)
    }
}

/// Begins a file, packed.
pub(super) fn create(
    file: &TableFile,
    folder: &Path,
) -> anyhow::Result<zstd::Encoder<'static, BufWriter<File>>> {
    let path = file.path(folder);
    let out = File::create(&path).with_context(|| path.display().to_string())?;
    Ok(zstd::Encoder::new(BufWriter::new(out), LEVEL)?)
}

/// Ends a file so that a power cut does not take it back.
pub(super) fn finish(packed: zstd::Encoder<'static, BufWriter<File>>) -> anyhow::Result<()> {
    let out = packed.finish()?.into_inner();
    out.map_err(|error| error.into_error())?.sync_all()?;
    Ok(())
}

/// Reads a file to its end; its digest must be what the manifest says.
pub(super) fn check(file: &TableFile, folder: &Path) -> anyhow::Result<()> {
    let mut digest = Running::default();
    each_piece(file, folder, |piece| {
        digest.update(piece);
        Ok(())
    })?;
    ensure!(
        hex::encode(digest.finish()) == file.digest,
        "备份文件 {} 已损坏或被改动，请换一份备份",
        file.path(folder).display()
    );
    Ok(())
}

/// Loads a file into the table of its name; gives the digest that the table's rows must have then. Where its rows have
/// keys of their own, they come out of `keys`, the file and its folder; without it they stay without.
pub(super) async fn load(
    file: &TableFile,
    folder: &Path,
    keys: Option<(&TableFile, &Path)>,
    database: &mut PgConnection,
) -> anyhow::Result<String> {
    let statement = format!(
        "COPY {} ({}) FROM STDIN",
        quoted(&file.name),
        listed(&file.columns)
    );
    let mut copy = database.copy_in_raw(&statement).await?;
    let mut reader = open(file, folder)?;
    let digest = match keys {
        None => {
            let mut piece = vec![0; PIECE];
            loop {
                match reader.read(&mut piece)? {
                    0 => break file.digest.clone(),
                    length => copy.send(&piece[..length]).await?,
                };
            }
        }
        Some((keys, folder)) => {
            let keys = BufReader::with_capacity(PIECE, open(keys, folder)?);
            let rows = BufReader::with_capacity(PIECE, reader);
            let mut rejoined = Rejoined::new(file, rows, keys)?;
            let mut piece = Vec::with_capacity(2 * PIECE);
            while rejoined.next(&mut piece)? {
                if piece.len() >= PIECE {
                    copy.send(piece.as_slice()).await?;
                    piece.clear();
                }
            }
            copy.send(piece.as_slice()).await?;
            rejoined.digest()
        }
    };
    let rows = copy.finish().await?;
    ensure!(
        rows == file.rows,
        "{}: {rows} rows of {}",
        file.name,
        file.rows
    );
    Ok(digest)
}

/// The ids of a file that holds nothing else.
pub(super) fn ids(file: &TableFile, folder: &Path) -> anyhow::Result<Vec<RecordId>> {
    let mut text = String::new();
    open(file, folder)?.read_to_string(&mut text)?;
    text.lines().map(|line| Ok(line.parse()?)).collect()
}

fn each_piece(
    file: &TableFile,
    folder: &Path,
    mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = open(file, folder)?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = reader
            .read(&mut piece)
            .with_context(|| format!("备份文件 {} 已损坏", file.path(folder).display()))?;
        match read {
            0 => return Ok(()),
            length => take(&piece[..length])?,
        }
    }
}

/// Opens a file, unpacked as it is read.
pub(super) fn open(
    file: &TableFile,
    folder: &Path,
) -> anyhow::Result<zstd::Decoder<'static, BufReader<File>>> {
    let path = file.path(folder);
    let opened = File::open(&path).with_context(|| format!("备份里缺少 {}", path.display()))?;
    Ok(zstd::Decoder::new(opened)?)
}

/// Names of the schema's own, written so that SQL takes them as names.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    quoted.join(", ")
}

//! What a folder of tables says of itself: which tables, how many rows, their digests; signed with the server's key.
//! Knows no database.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use doorstep_core::crypto::sm2::{KeyPair, PublicKey};
use serde::{Deserialize, Serialize};

const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";

/// The form's version.
const FORM: u32 = 1;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    form: u32,
    /// `data` or `keys`.
    pub kind: String,
    /// When the view of the database was taken.
    pub made_at: DateTime<Utc>,
    /// The last step of the schema that the tables have.
    pub schema: i64,
    /// The tables, each after those it refers to.
    pub tables: Vec<TableFile>,
    /// Where the sequences stand.
    pub sequences: Vec<(String, i64)>,
    /// How many objects lie beside them, and their bytes.
    pub objects: (u64, u64),
    /// The list that names each of them, in the form of a table; backups from before there was one have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_list: Option<TableFile>,
}

/// A table's rows in a file: `COPY` text (PostgreSQL), packed with zstd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFile {
    /// The table.
    pub name: String,
    /// The columns, in the file's order.
    pub columns: Vec<String>,
    /// What the rows are ordered by.
    pub order: Vec<String>,
    /// How many rows.
    pub rows: u64,
    /// SM3 of the unpacked text, hexadecimal.
    pub digest: String,
}

impl Manifest {
    /// Of a view taken now.
    pub(super) fn new(kind: &str, made_at: DateTime<Utc>, schema: i64) -> Self {
        Self {
            form: FORM,
            kind: kind.to_owned(),
            made_at,
            schema,
            tables: Vec::new(),
            sequences: Vec::new(),
            objects: (0, 0),
            object_list: None,
        }
    }

    /// Writes it into a folder, with the server's signature.
    pub(super) fn write(&self, folder: &Path, key: &KeyPair) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        let signature = hex::encode(key.sign(&bytes));
        write_through(&folder.join(MANIFEST), &bytes)?;
        write_through(&folder.join(SIGNATURE), signature.as_bytes())
    }

    /// Reads it, and believes it when the server whose keys are at hand has signed it.
    pub(super) fn read(folder: &Path, kind: &str, key: &PublicKey) -> anyhow::Result<Self> {
        let place = folder.display();
        let read = |name: &str| {
            fs::read(folder.join(name))
                .with_context(|| format!("{place} 不是完整的备份：缺少 {name}"))
        };
        let (bytes, signature) = (read(MANIFEST)?, read(SIGNATURE)?);
        let signature = hex::decode(signature.trim_ascii()).unwrap_or_default();
        if key.verify(&bytes, &signature).is_err() {
            bail!(
                "备份 {place} 的签名不符：它被改动过，或属于另一台服务器；请检查 keys 目录是否放对"
            );
        }
        let manifest: Self =
            serde_json::from_slice(&bytes).with_context(|| format!("{place} 无法识别"))?;
        ensure!(
            manifest.form == FORM,
            "备份 {place} 由更新版本的服务器生成，请先更新服务器再恢复"
        );
        ensure!(
            manifest.kind == kind,
            "{place} 里是 {}，不是 {kind}：备份和密钥的目录可能放反了",
            manifest.kind
        );
        Ok(manifest)
    }
}

impl TableFile {
    /// Where it lies.
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.copy.zst", self.name))
    }
}

/// Writes a file that a power cut does not take back.
pub(super) fn write_through(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = fs::File::create(path).with_context(|| path.display().to_string())?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}

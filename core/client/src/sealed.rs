//! Sealed files: what lies on the device beside the database is sealed under a key of the user's, bound to its
//! name and place, so that nothing can be read, altered or swapped. Knows nothing of what it seals.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use doorstep_core::crypto::seal::{self, Place, SealKey};
use doorstep_core::crypto::sm3;

use crate::error::{ClientError, ClientResult, Kind};
use crate::host;

/// The longest sealed piece that is read back, in bytes.
const LONGEST_PIECE: usize = 16 * 1024 * 1024;

/// A key for one purpose, from a longer-lived one.
pub(crate) fn derive(key: &[u8; 32], purpose: &str) -> [u8; 32] {
    sm3::hmac(key, &[b"doorstep-device-v1/", purpose.as_bytes()])
}

/// The sealing key for one purpose.
pub(crate) fn derive_seal(key: &[u8; 32], purpose: &str) -> SealKey {
    let mut out = [0; 16];
    out.copy_from_slice(&derive(key, purpose)[..16]);
    out
}

/// A folder whose files are sealed under one key.
#[derive(Clone)]
pub(crate) struct SealedFolder {
    path: PathBuf,
    kind: &'static str,
    key: SealKey,
}

fn damaged() -> ClientError {
    ClientError::new(
        Kind::Storage,
        "sealed_file_damaged",
        "本机有一个加密文件已损坏，无法打开",
    )
}

impl SealedFolder {
    /// The folder, made when it is not there, readable by its owner alone.
    pub(crate) fn open(path: PathBuf, kind: &'static str, key: SealKey) -> ClientResult<Self> {
        private_folder(&path)?;
        Ok(Self { path, kind, key })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn place<'a>(&self, name: &'a str, part: &'a str) -> Place<'a> {
        Place {
            table: self.kind,
            row: name.as_bytes(),
            column: part,
            version: 1,
        }
    }

    fn seal(&self, name: &str, part: &str, plain: &[u8]) -> ClientResult<Vec<u8>> {
        seal::seal(&self.key, self.place(name, part), host::random()?, plain)
            .map_err(ClientError::storage)
    }

    fn unseal(&self, name: &str, part: &str, sealed: &[u8]) -> ClientResult<Vec<u8>> {
        seal::open(&self.key, self.place(name, part), sealed).map_err(|_| damaged())
    }

    /// Writes a file whole: after a crash it is as before or as given.
    pub(crate) fn write(&self, name: &str, plain: &[u8]) -> ClientResult<()> {
        write_whole(&self.file(name), &self.seal(name, "whole", plain)?)
    }

    /// Reads a file; `None` when there is none.
    pub(crate) fn read(&self, name: &str) -> ClientResult<Option<Vec<u8>>> {
        match std::fs::read(self.file(name)) {
            Ok(sealed) => self.unseal(name, "whole", &sealed).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ClientError::storage(error)),
        }
    }

    /// Adds a piece to a file that grows: the `index`-th.
    pub(crate) fn append(&self, name: &str, index: u32, plain: &[u8]) -> ClientResult<()> {
        let sealed = self.seal(name, &index.to_string(), plain)?;
        let length = u32::try_from(sealed.len()).map_err(ClientError::storage)?;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend(sealed);
        let mut options = OpenOptions::new();
        owner_only(options.create(true).append(true));
        let mut file = options
            .open(self.file(name))
            .map_err(ClientError::storage)?;
        file.write_all(&bytes).map_err(ClientError::storage)
    }

    /// Reads the pieces of a file that grows; what a crash cut short is left out and cut off.
    pub(crate) fn read_pieces(&self, name: &str) -> ClientResult<(Vec<u8>, u32)> {
        let mut bytes = Vec::new();
        match File::open(self.file(name)) {
            Ok(mut file) => file.read_to_end(&mut bytes).map_err(ClientError::storage)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((Vec::new(), 0));
            }
            Err(error) => return Err(ClientError::storage(error)),
        };
        let (mut plain, mut pieces, mut rest) = (Vec::new(), 0u32, bytes.as_slice());
        while let Some((piece, tail)) = next_piece(rest) {
            let Ok(piece) = self.unseal(name, &pieces.to_string(), piece) else {
                break;
            };
            plain.extend(piece);
            pieces += 1;
            rest = tail;
        }
        if !rest.is_empty() {
            let file = OpenOptions::new()
                .write(true)
                .open(self.file(name))
                .map_err(ClientError::storage)?;
            file.set_len((bytes.len() - rest.len()) as u64)
                .map_err(ClientError::storage)?;
        }
        Ok((plain, pieces))
    }

    pub(crate) fn remove(&self, name: &str) -> ClientResult<()> {
        match std::fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ClientError::storage(error))
            }
            _ => Ok(()),
        }
    }

    /// The names of its files that end so.
    pub(crate) fn names(&self, ending: &str) -> ClientResult<Vec<String>> {
        let mut names = Vec::new();
        let entries = match std::fs::read_dir(&self.path) {
            // It went with the store, which was wiped.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(names),
            entries => entries.map_err(ClientError::storage)?,
        };
        for entry in entries {
            let name = entry.map_err(ClientError::storage)?.file_name();
            if let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(ending)) {
                names.push(stem.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

fn next_piece(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(4)?;
    let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
    if length > LONGEST_PIECE {
        return None;
    }
    rest.split_at_checked(length)
}

/// A folder that only its owner enters.
pub(crate) fn private_folder(path: &Path) -> ClientResult<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(ClientError::storage)
}

/// A file that only its owner reads.
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Replaces a file: after a crash it is as before or as given.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> ClientResult<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = owner_only(options.create(true).truncate(true).write(true)).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(ClientError::storage)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn folder() -> (tempfile::TempDir, SealedFolder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = SealedFolder::open(dir.path().join("x"), "test", [7; 16]).unwrap();
        (dir, folder)
    }

    #[test]
    fn a_file_cut_at_any_byte_keeps_its_whole_pieces() {
        let (_dir, folder) = folder();
        let pieces: [&[u8]; 3] = [b"one", b"twoo", b"three"];
        for (index, piece) in pieces.iter().enumerate() {
            folder
                .append("a", u32::try_from(index).unwrap(), piece)
                .unwrap();
        }
        let whole = std::fs::read(folder.file("a")).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(folder.file("a"), &whole[..cut]).unwrap();
            let (plain, count) = folder.read_pieces("a").unwrap();
            assert!(b"onetwoothree".starts_with(&plain), "cut at {cut}");
            // It goes on from there.
            for (index, piece) in pieces.iter().enumerate().skip(count as usize) {
                folder
                    .append("a", u32::try_from(index).unwrap(), piece)
                    .unwrap();
            }
            assert_eq!(folder.read_pieces("a").unwrap().0, b"onetwoothree");
        }
    }

    #[test]
    fn nothing_can_be_read_swapped_or_altered() {
        let (_dir, folder) = folder();
        folder.write("a", b"canary").unwrap();
        folder.write("b", b"other").unwrap();
        let bytes = std::fs::read(folder.file("a")).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
        std::fs::copy(folder.file("a"), folder.file("b")).unwrap();
        assert_eq!(folder.read("b").unwrap_err().code, "sealed_file_damaged");
        assert_eq!(folder.read("a").unwrap().unwrap(), b"canary");
        assert_eq!(folder.read("none").unwrap(), None);
    }
}

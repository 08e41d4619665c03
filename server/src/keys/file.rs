//! Keys in a folder, for development and small sites: one root secret and the server's signing secret,
//! readable by the server's user only. Everything else derives from them or is wrapped by them.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use doorstep_core::crypto::seal::{self, NONCE_LEN, Place, SealKey};
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::crypto::sm3;
use zeroize::Zeroizing;

use super::{KeyError, KeyProvider, MacPurpose};

/// Keys read from, or made in, a folder.
pub struct FileKeys {
    wrapping: Zeroizing<SealKey>,
    blind_index: Zeroizing<[u8; 32]>,
    grants: Zeroizing<[u8; 32]>,
    bus: Zeroizing<[u8; 32]>,
    nonces: Zeroizing<[u8; 32]>,
    change_names: Zeroizing<[u8; 32]>,
    server: KeyPair,
}

impl std::fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKeys")
    }
}

impl FileKeys {
    /// Opens the keys of `folder`; an empty folder gets new ones.
    ///
    /// # Errors
    /// When the folder can't be read or written, others may read it, or a key file is damaged.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        if !folder.exists() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|e| store(folder, &e))?;
        }
        let root = Zeroizing::new(secret(&folder.join("root.key"))?);
        let signing = Zeroizing::new(secret(&folder.join("server.key"))?);
        let derive = |label: &[u8]| Zeroizing::new(sm3::hmac(&root, &[b"doorstep-key-v1", label]));
        let mut wrapping = Zeroizing::new(SealKey::default());
        wrapping.copy_from_slice(&derive(b"wrap")[..16]);
        Ok(Self {
            wrapping,
            blind_index: derive(b"blind-index"),
            grants: derive(b"grants"),
            bus: derive(b"bus"),
            nonces: derive(b"nonces"),
            change_names: derive(b"change-names"),
            server: KeyPair::from_secret(&signing)
                .map_err(|error| KeyError::Store(format!("server.key: {error}")))?,
        })
    }
}

impl KeyProvider for FileKeys {
    fn wrap(&self, place: Place<'_>, key: &SealKey) -> Result<Vec<u8>, KeyError> {
        Ok(seal::seal(
            &self.wrapping,
            place,
            random::<NONCE_LEN>()?,
            key,
        )?)
    }

    fn unwrap(&self, place: Place<'_>, wrapped: &[u8]) -> Result<SealKey, KeyError> {
        let plain = Zeroizing::new(seal::open(&self.wrapping, place, wrapped)?);
        plain
            .as_slice()
            .try_into()
            .map_err(|_| KeyError::Sealed(seal::SealError))
    }

    fn mac_key(&self, purpose: MacPurpose) -> &[u8; 32] {
        match purpose {
            MacPurpose::BlindIndex => &self.blind_index,
            MacPurpose::Grants => &self.grants,
            MacPurpose::Bus => &self.bus,
            MacPurpose::Nonces => &self.nonces,
            MacPurpose::ChangeNames => &self.change_names,
        }
    }

    fn server_key(&self) -> &KeyPair {
        &self.server
    }
}

/// Reads 32 secret bytes, or makes them when the file is not there.
fn secret(path: &Path) -> Result<[u8; 32], KeyError> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let mode = std::fs::metadata(path)
                .map_err(|e| store(path, &e))?
                .permissions()
                .mode();
            if mode & 0o077 != 0 {
                return Err(KeyError::Store(format!(
                    "{}: 其他用户可读，请执行 chmod 600",
                    path.display()
                )));
            }
            let mut bytes = [0; 32];
            hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| {
                KeyError::Store(format!("{}: 密钥文件已损坏，请从备份恢复", path.display()))
            })?;
            Ok(bytes)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Below the order of the curve with all but certainty; drawn again if not.
            let bytes = loop {
                let bytes = random::<32>()?;
                if KeyPair::from_secret(&bytes).is_ok() {
                    break bytes;
                }
            };
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(|e| store(path, &e))?;
            writeln!(file, "{}", hex::encode(bytes))
                .and_then(|()| file.sync_all())
                .map_err(|e| store(path, &e))?;
            Ok(bytes)
        }
        Err(error) => Err(store(path, &error)),
    }
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| KeyError::Store(error.to_string()))?;
    Ok(bytes)
}

fn store(path: &Path, error: &std::io::Error) -> KeyError {
    KeyError::Store(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    fn place(row: &[u8]) -> Place<'_> {
        Place {
            table: "area_keys",
            row,
            column: "wrapped",
            version: 1,
        }
    }

    #[test]
    fn the_same_folder_opens_what_it_wrapped_and_another_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let keys = FileKeys::open(&folder.path().join("keys")).unwrap();
        let wrapped = keys.wrap(place(b"a"), &[7; 16]).unwrap();
        let again = FileKeys::open(&folder.path().join("keys")).unwrap();
        assert_eq!(again.unwrap(place(b"a"), &wrapped).unwrap(), [7; 16]);
        assert!(
            again.unwrap(place(b"b"), &wrapped).is_err(),
            "a key moved to another area must not open"
        );
        assert_eq!(
            again.server_key().public().as_bytes(),
            keys.server_key().public().as_bytes()
        );
        let other = FileKeys::open(&folder.path().join("other")).unwrap();
        assert!(other.unwrap(place(b"a"), &wrapped).is_err());
        assert_ne!(
            other.mac_key(MacPurpose::Grants),
            keys.mac_key(MacPurpose::Grants)
        );
        assert_ne!(
            keys.mac_key(MacPurpose::BlindIndex),
            keys.mac_key(MacPurpose::Grants)
        );
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        FileKeys::open(folder.path()).unwrap();
        let root = folder.path().join("root.key");
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(FileKeys::open(folder.path()).is_err());
    }

    #[test]
    fn a_damaged_key_file_is_an_error_and_not_a_new_key() {
        let folder = tempfile::tempdir().unwrap();
        FileKeys::open(folder.path()).unwrap();
        std::fs::write(folder.path().join("root.key"), "12").unwrap();
        assert!(FileKeys::open(folder.path()).is_err());
    }
}

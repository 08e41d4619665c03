//! A small file system in memory that can be filled to a point. Mounting it takes root. Knows nothing of what lies on it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system in memory; unmounted when dropped.
pub(super) struct Small(PathBuf);

impl Small {
    /// Mounts one of so many bytes; says why it can't be.
    pub(super) fn mount(at: &Path, size: u64) -> Result<Self, String> {
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let made = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=755"),
                "tmpfs",
            ])
            .arg(at)
            .output()
            .map_err(|error| format!("mount: {error}"))?;
        if made.status.success() {
            Ok(Self(at.to_owned()))
        } else {
            let said = String::from_utf8_lossy(&made.stderr);
            Err(format!(
                "a small file system can't be mounted here: {}",
                said.trim()
            ))
        }
    }

    /// Fills it until so many bytes are left.
    pub(super) fn fill(&self, left: u64) -> anyhow::Result<PathBuf> {
        let path = self.0.join("ballast");
        let mut file = File::create(&path)?;
        let block = [0; 4096];
        // To the end, and then back by as much as is to be left.
        while file.write_all(&block).is_ok() {}
        let length = file.metadata()?.len();
        file.set_len(length.saturating_sub(left))?;
        Ok(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(&self.0).status();
        if !done.is_ok_and(|status| status.success()) {
            tracing::warn!("{} stays mounted", self.0.display());
        }
    }
}

//! Backups: one consistent view of the database as a folder of tables, the photos' sealed objects beside it, and apart
//! from both the keys of records, which alone make them readable. Tables are found in the catalogue; domains are asked
//! only to carry the photos, to erase again and to write down what was done.
//!
//! An old backup must not bring an erased person back. So the keys never lie in it: they go into a folder of their own,
//! of which only the newest is kept. Whoever restores the oldest backup with the newest keys gets every record but
//! those erased since, whose keys exist nowhere any more; and what was erased since is erased again.

mod catalogue;
mod manifest;
mod objects;
mod rejoin;
mod restore;
mod tables;
mod take;

pub use manifest::{Manifest, TableFile};
pub use restore::{Restored, restore};
pub use take::{Taken, backup};

/// What is in no backup: signing in starts anew after a restore, on devices too, which ask for the password once.
const LEFT_OUT: [&str; 5] = [
    "sessions",
    "challenges",
    "sign_in_guards",
    "failed_sign_ins",
    "_sqlx_migrations",
];
/// Goes with the keys.
const AREA_KEYS: &str = "area_keys";
/// The file of the records that are erased; goes with the keys too.
const ERASED: &str = "erased";
/// The column of every table whose rows are sealed under a key of their own.
const KEY_COLUMN: &str = "wrapped_key";
/// The column beside it: which of the area's keys wraps it.
const KEY_VERSION: &str = "key_version";
/// The folder of the photos' objects in a backup, and the name of their list.
const OBJECTS: &str = "objects";

//! The register over HTTP: reading, writing, and the ledger of changes.

mod ledgers;
mod reading;
mod writing;

pub use ledgers::*;
pub use reading::*;
pub use writing::*;

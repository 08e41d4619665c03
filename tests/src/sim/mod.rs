//! Devices and a server in one process, driven from a seed, and the judges of what they did.
//!
//! Everything that decides is core's own: `DeviceSession` and `edit` on the phones, `ServerSession` and
//! `accept::judge` on the server. Modelled are what core does not do itself: the register's tables (`server`), wires
//! that delay, cut and lose (`world`) and that double frames and swap neighbours (`stir`), disks that stop at a commit
//! (`disk`), people (`work`, `chance`). What happened is then held against a ledger of what the people did and saw
//! (`ledger`), and against Automerge (`oracle`).

#![expect(
    clippy::expect_used,
    reason = "a simulator that can't go on must say so at once"
)]

mod chance;
pub mod checks;
pub mod disk;
pub mod ledger;
pub mod oracle;
pub mod phone;
pub mod server;
pub mod stir;
mod story;
pub mod work;
pub mod world;

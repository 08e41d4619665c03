//! Devices and a server in one process, driven from a seed, and the judges of what they did.

pub mod oracle;

//! The addresses that demo and bench ask. One place, so that a route that moves is followed in one line.

/// Devices connect here.
pub const SYNC: &str = "/api/sync";
/// Whether the server can serve.
pub const READY: &str = "/health/ready";
/// Console sign-in.
pub const SIGN_IN: &str = "/api/auth/sign-in";
/// One's own password.
pub const PASSWORD: &str = "/api/auth/password";
/// Who one is.
pub const ME: &str = "/api/auth/me";
/// Accounts.
pub const USERS: &str = "/api/users";
/// The audit log's verification.
pub const AUDIT_VERIFY: &str = "/api/audit/verify";
/// The supervisor's queue.
pub const CONFLICTS: &str = "/api/conflicts";
/// Registers' files.
pub const IMPORTS: &str = "/api/imports";
/// Photos by digest.
pub const PHOTOS: &str = "/api/photos";
/// Records of the register.
pub const RECORDS: &str = "/api/records";

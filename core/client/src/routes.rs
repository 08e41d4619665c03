//! The server's routes that a device calls. The rest of its API is for consoles.

/// The websocket.
pub(crate) const SYNC: &str = "/api/sync";
/// Bundles, by digest.
pub(crate) const BUNDLES: &str = "/api/sync/bundles";
/// Nonces to sign.
pub(crate) const CHALLENGES: &str = "/api/auth/challenges";
/// Enrolment.
pub(crate) const DEVICES: &str = "/api/devices";
/// A device's word that it wiped everything.
pub(crate) const WIPED: &str = "/api/devices/wiped";
/// A device's sign-in.
pub(crate) const SIGN_IN: &str = "/api/devices/sign-in";
/// Signing out.
pub(crate) const SIGN_OUT: &str = "/api/auth/sign-out";
/// The user's own password.
pub(crate) const PASSWORD: &str = "/api/auth/password";
/// Who the caller is.
pub(crate) const ME: &str = "/api/auth/me";
/// Photos and their uploads.
pub(crate) const PHOTOS: &str = "/api/photos";

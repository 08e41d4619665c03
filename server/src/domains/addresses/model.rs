//! What callers see and say.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AddressReport {
    /// Rows read.
    pub rows: usize,
    /// New addresses.
    pub added: usize,
    /// Addresses written otherwise than before.
    pub changed: usize,
    /// Addresses that lie in another area now.
    pub moved: usize,
    /// Addresses that are withdrawn.
    pub withdrawn: usize,
    /// Rows that were passed over, since a newer one of their address came before.
    pub older: usize,
}

/// Which addresses to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AddressQuery {
    /// The village or neighbourhood, 12 digits.
    pub area: String,
    /// What was typed: an address however written, or part of one. All, by code, where nothing was.
    pub text: Option<String>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended; not with `text`.
    pub cursor: Option<String>,
}

/// An entry of the address base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AddressView {
    /// Its code (标准地址编码).
    pub code: String,
    /// The address.
    pub address: String,
    /// With `text`: `same`, `same_building` or `contains`.
    pub nearness: Option<String>,
}

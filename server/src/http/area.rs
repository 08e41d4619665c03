//! The area that a request names. Knows no rights.

use doorstep_core::ids::AreaCode;

use crate::error::{ApiError, ApiResult};

/// Reads an area's code from the query's `area`.
///
/// # Errors
/// `area_form` when it is not 12 digits.
pub fn area_code(text: &str) -> ApiResult<AreaCode> {
    text.parse()
        .map_err(|_| ApiError::field("area", "area_form", "区划代码为 12 位数字"))
}

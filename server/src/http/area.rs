//! The area that a request names. Knows no rights.

use doorstep_core::ids::AreaCode;

use crate::error::{ApiError, ApiResult, Problems};

const FORM: (&str, &str, &str) = (
    "area",
    "area_form",
    "区划代码为 12 位数字，请从区划树中选择",
);

/// Reads an area's code from the request's `area`.
///
/// # Errors
/// `area_form` when it is not 12 digits.
pub fn area_code(text: &str) -> ApiResult<AreaCode> {
    let (path, code, message) = FORM;
    text.parse()
        .map_err(|_| ApiError::field(path, code, message))
}

/// The same where other fields are checked too, and where it may be left out.
pub fn area_in(problems: &mut Problems, text: Option<&str>) -> Option<AreaCode> {
    let (path, code, message) = FORM;
    let area = text.and_then(|text| text.parse().ok());
    problems.require(text.is_some() == area.is_some(), path, code, message);
    area
}

//! What a user's fields must look like. Knows no database.

use doorstep_core::ids::AreaCode;

use super::model::CreateUser;
use crate::error::{ApiError, ApiResult, Problems};
use crate::http::area_in;

/// Longest name in characters.
const LONGEST_NAME: usize = 50;

/// The fields of a new user, all checked: login, name, area.
pub(super) fn checked(input: &CreateUser) -> ApiResult<(String, String, AreaCode)> {
    let mut problems = Problems::default();
    let login = check_login(&mut problems, &input.login);
    let name = check_name(&mut problems, &input.name);
    let area = area_in(&mut problems, Some(&input.area));
    problems.finish()?;
    Ok((
        login,
        name,
        area.ok_or_else(|| ApiError::not_found("这个区划"))?,
    ))
}

pub(super) fn check_login(problems: &mut Problems, login: &str) -> String {
    let login = login.trim().to_lowercase();
    let fits = (3..=64).contains(&login.len())
        && login
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && login.starts_with(|first: char| first.is_ascii_alphanumeric());
    problems.require(
        fits,
        "login",
        "login_form",
        "登录名为 3 到 64 位字母、数字或 . _ -，以字母或数字开头",
    );
    login
}

pub(super) fn check_name(problems: &mut Problems, name: &str) -> String {
    let name = name.trim().to_owned();
    let fits = !name.is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    problems.require(fits, "name", "name_form", "请填写姓名，不超过 50 个字");
    name
}

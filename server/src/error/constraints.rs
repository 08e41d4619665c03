//! What a broken constraint of the schema means to the person whose request broke it.
//! A test holds that every name here exists in the migrated schema.

use super::Kind;

/// A constraint's name with the error that it becomes.
#[derive(Clone, Copy, Debug)]
pub struct Constraint {
    /// Name in the schema.
    pub name: &'static str,
    /// Family of the error.
    pub kind: Kind,
    /// Stable code.
    pub code: &'static str,
    /// The wrong field, or empty.
    pub path: &'static str,
    /// What to do.
    pub message: &'static str,
}

const fn rule(
    name: &'static str,
    kind: Kind,
    code: &'static str,
    path: &'static str,
    message: &'static str,
) -> Constraint {
    Constraint {
        name,
        kind,
        code,
        path,
        message,
    }
}

/// Every mapped constraint.
pub const CONSTRAINTS: &[Constraint] = &[
    rule(
        "users_login_key",
        Kind::Conflict,
        "login_taken",
        "login",
        "这个登录名已被使用，请换一个",
    ),
    rule(
        "users_area_code_fkey",
        Kind::Invalid,
        "unknown_area",
        "area",
        "没有这个区划，请从区划树中选择",
    ),
    rule(
        "grants_area_code_fkey",
        Kind::Invalid,
        "unknown_area",
        "area",
        "没有这个区划，请从区划树中选择",
    ),
    rule(
        "devices_public_key_key",
        Kind::Conflict,
        "key_in_use",
        "public_key",
        "这台设备已登记过，请直接登录",
    ),
    rule(
        "register_ids_pkey",
        Kind::Conflict,
        "already_there",
        "",
        "这份档案已经登记过，请刷新后查看",
    ),
    rule(
        "area_keys_pkey",
        Kind::Conflict,
        "key_exists",
        "",
        "这个区划的密钥刚由另一个节点建立，请重试",
    ),
];

pub(super) fn find(name: &str) -> Option<&'static Constraint> {
    CONSTRAINTS
        .iter()
        .find(|constraint| constraint.name == name)
}

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
pub const CONSTRAINTS: &[Constraint] = &[rule(
    "area_keys_pkey",
    Kind::Conflict,
    "key_exists",
    "",
    "这个区划的密钥刚由另一个节点建立，请重试",
)];

pub(super) fn find(name: &str) -> Option<&'static Constraint> {
    CONSTRAINTS
        .iter()
        .find(|constraint| constraint.name == name)
}

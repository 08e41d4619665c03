//! Who may do what: roles, permissions and the one matrix that ties them. Knows no user, area tree or database:
//! a host asks `Role::may` and checks the area itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $label:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $code)] $variant,)* }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The stable code used in data and APIs.
            #[must_use]
            pub fn code(self) -> &'static str { match self { $(Self::$variant => $code),* } }
            /// The Chinese label that people read.
            #[must_use]
            pub fn label(self) -> &'static str { match self { $(Self::$variant => $label),* } }
        }

        impl FromStr for $name {
            type Err = crate::ids::IdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($code => Ok(Self::$variant),)* _ => Err(crate::ids::IdError { what: stringify!($name) }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::ids::IdError;
            fn try_from(text: String) -> Result<Self, Self::Error> { text.parse() }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.code()) }
        }
    };
}

named!(
    /// What a user is in an area. The three administrators are kept apart (GB/T 22239, level 3).
    Role {
        /// Goes door to door and records.
        Collector = "collector", "采集员";
        /// Decides conflicts and claims in an area.
        Supervisor = "supervisor", "主管";
        /// The police station's contact: reads what the area registers and is told of what is claimed; writes nothing.
        PoliceLiaison = "police_liaison", "公安联络员";
        /// Manages areas, users and devices below.
        AreaAdministrator = "area_administrator", "区划管理员";
        /// Grants roles, revokes devices, sets security rules; reads no personal data.
        SecurityAdministrator = "security_administrator", "安全管理员";
        /// Reads the audit log; changes nothing.
        Auditor = "auditor", "审计员";
        /// The server itself: imports and decisions.
        Server = "server", "系统";
    }
);

named!(
    /// One thing a request may do.
    Permission {
        /// See residents, houses, residences, visits.
        ReadRegister = "register.read", "查看人房信息";
        /// Write them.
        WriteRegister = "register.write", "采集人房信息";
        /// See masked values in clear, with a stated purpose, logged.
        RevealSecrets = "register.reveal", "查看完整证件号码";
        /// Take files of the register out.
        ExportRegister = "register.export", "导出人房信息";
        /// Load registers from files.
        ImportRegister = "register.import", "导入人房信息";
        /// Erase a person for good.
        EraseRecords = "register.erase", "彻底删除";
        /// See the conflict queue.
        ReadConflicts = "conflicts.read", "查看待裁决事项";
        /// Decide in it.
        DecideConflicts = "conflicts.decide", "裁决冲突";
        /// See the area tree.
        ReadAreas = "areas.read", "查看区划";
        /// Change it.
        ManageAreas = "areas.manage", "管理区划";
        /// See users, their grants and why.
        ReadUsers = "users.read", "查看用户";
        /// Create and lock users.
        ManageUsers = "users.manage", "管理用户";
        /// Give and take roles below one's own level.
        GrantRoles = "grants.manage", "授权";
        /// See devices.
        ReadDevices = "devices.read", "查看设备";
        /// Revoke and wipe devices.
        ManageDevices = "devices.manage", "管理设备";
        /// See what devices did that an honest one never does.
        ReadAlarms = "alarms.read", "查看安全告警";
        /// Read and verify the audit log.
        ReadAudit = "audit.read", "查看审计日志";
        /// Hold a device's copy of an area and send changes.
        Sync = "sync", "设备同步";
    }
);

impl Role {
    /// Whether the role carries the permission (within the area of its grant and below).
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Server => true,
            Self::Collector => matches!(
                permission,
                P::ReadRegister | P::WriteRegister | P::RevealSecrets | P::ReadAreas | P::Sync
            ),
            Self::Supervisor => matches!(
                permission,
                P::ReadRegister
                    | P::WriteRegister
                    | P::RevealSecrets
                    | P::ExportRegister
                    | P::ImportRegister
                    | P::ReadConflicts
                    | P::DecideConflicts
                    | P::ReadAreas
                    | P::ReadUsers
                    | P::ReadDevices
                    | P::Sync
            ),
            Self::PoliceLiaison => matches!(
                permission,
                P::ReadRegister | P::RevealSecrets | P::ReadConflicts | P::ReadAreas
            ),
            Self::AreaAdministrator => matches!(
                permission,
                P::ReadRegister
                    | P::ImportRegister
                    | P::EraseRecords
                    | P::ReadConflicts
                    | P::ReadAreas
                    | P::ManageAreas
                    | P::ReadUsers
                    | P::ManageUsers
                    | P::GrantRoles
                    | P::ReadDevices
                    | P::ManageDevices
            ),
            Self::SecurityAdministrator => matches!(
                permission,
                P::ReadAreas
                    | P::ReadUsers
                    | P::ManageUsers
                    | P::GrantRoles
                    | P::ReadDevices
                    | P::ManageDevices
                    | P::ReadAlarms
            ),
            Self::Auditor => matches!(permission, P::ReadAreas | P::ReadUsers | P::ReadAudit),
        }
    }

    /// Whether a holder of this role gives and takes `role` (within their area; see `is_administrator` for the level).
    #[must_use]
    pub fn may_grant(self, role: Self) -> bool {
        match self {
            Self::Server => role != Self::Server,
            Self::AreaAdministrator => matches!(
                role,
                Self::Collector | Self::Supervisor | Self::PoliceLiaison | Self::AreaAdministrator
            ),
            Self::SecurityAdministrator => {
                matches!(role, Self::SecurityAdministrator | Self::Auditor)
            }
            Self::Collector | Self::Supervisor | Self::PoliceLiaison | Self::Auditor => false,
        }
    }

    /// Whether the role administers: it is given only at levels below the giver's own.
    #[must_use]
    pub fn is_administrator(self) -> bool {
        matches!(
            self,
            Self::AreaAdministrator | Self::SecurityAdministrator | Self::Auditor | Self::Server
        )
    }

    /// Whether nobody may hold both: who guards rights or reads the audit does nothing else.
    #[must_use]
    pub fn kept_apart(self, other: Self) -> bool {
        self != other && (self.stands_alone() || other.stands_alone())
    }

    /// Whether the role guards rights or reads the audit: whoever holds it is managed by none but those who give it.
    #[must_use]
    pub fn stands_alone(self) -> bool {
        matches!(self, Self::SecurityAdministrator | Self::Auditor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guards_rights_reads_no_register_and_who_audits_changes_nothing() {
        for permission in [
            Permission::ReadRegister,
            Permission::RevealSecrets,
            Permission::ExportRegister,
            Permission::ReadAudit,
        ] {
            assert!(!Role::SecurityAdministrator.may(permission), "{permission}");
        }
        for permission in Permission::ALL {
            let reads = permission.code().ends_with(".read");
            assert!(reads || !Role::Auditor.may(*permission), "{permission}");
        }
    }

    #[test]
    fn the_three_administrators_never_meet_in_one_user() {
        use Role::{AreaAdministrator, Auditor, Collector, SecurityAdministrator, Supervisor};
        for (one, other) in [
            (AreaAdministrator, SecurityAdministrator),
            (AreaAdministrator, Auditor),
            (SecurityAdministrator, Auditor),
            (Auditor, Collector),
        ] {
            assert!(one.kept_apart(other) && other.kept_apart(one));
        }
        assert!(!Collector.kept_apart(Supervisor) && !Auditor.kept_apart(Auditor));
        assert!(SecurityAdministrator.stands_alone() && Auditor.stands_alone());
        assert!(!AreaAdministrator.stands_alone() && !Supervisor.stands_alone());
        for role in Role::ALL {
            assert!(!role.may_grant(Role::Server));
        }
    }
}

//! The typed names of things: records, devices, users, areas, scopes, changes.
//! Knows no randomness: a new id takes its time and random bytes from the host.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// A text that is not the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}")]
pub struct IdError {
    /// The kind of id that was expected.
    pub what: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new UUIDv7 (RFC 9562) from the host's time and ten random bytes.
            #[must_use]
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let ms = u64::try_from(now.0).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
            }

            /// The 16 bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// What its maker's clock said when it was made.
            #[must_use]
            pub fn made_at(&self) -> Timestamp {
                let ms = self.as_bytes().iter().take(6);
                Timestamp(ms.fold(0, |ms, byte| ms << 8 | i64::from(*byte)))
            }

            /// From 16 bytes.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.parse().map(Self).map_err(|_| IdError { what: $what })
            }
        }
    };
}

uuid_id!(
    /// A record: one Automerge document.
    RecordId, "record id");
uuid_id!(
    /// An event: one immutable fact, such as a visit.
    EventId, "event id");
uuid_id!(
    /// A device, or the server acting as one.
    DeviceId, "device id");
uuid_id!(
    /// A user's account.
    UserId, "user id");
uuid_id!(
    /// A conflict item: one thing a person must decide.
    ConflictId, "conflict id");
uuid_id!(
    /// A register brought in from a file.
    ImportId, "import id");
uuid_id!(
    /// A photo at the server, from the opening of its upload on.
    PhotoId, "photo id");

impl From<EventId> for RecordId {
    fn from(id: EventId) -> Self {
        Self(id.0)
    }
}

/// The SHA-256 of an Automerge change chunk: the change's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChangeHash(#[serde(with = "serde_bytes")] pub [u8; 32]);

impl fmt::Display for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChangeHash({}…)", hex::encode(&self.0[..4]))
    }
}

/// Who made a change within one document: derived from device key, record and epoch (see `crypto::actor`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Actor({}…)", hex::encode(&self.0[..4]))
    }
}

/// The level of an area in the city's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaLevel {
    /// 市
    City,
    /// 区
    District,
    /// 街道、镇、乡
    Street,
    /// 居委会、村委会
    Village,
}

/// A 12-digit statistical area code (统计用区划代码): 2 province, 2 city, 2 district, 3 street, 3 village.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AreaCode([u8; 12]);

impl AreaCode {
    /// The whole city of Shanghai (上海市), the first one served.
    #[must_use]
    pub fn city() -> Self {
        Self(*b"310000000000")
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Which level the trailing zeros say.
    #[must_use]
    pub fn level(&self) -> AreaLevel {
        match self.prefix().len() {
            0..=4 => AreaLevel::City,
            5..=6 => AreaLevel::District,
            7..=9 => AreaLevel::Street,
            _ => AreaLevel::Village,
        }
    }

    /// The digits that its whole subtree shares: 2 for a city that is a province, 6, 9 or 12.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let text = self.as_str();
        for (len, tail) in [(2, 10), (4, 8), (6, 6), (9, 3)] {
            if text[len..].bytes().filter(|digit| *digit == b'0').count() == tail {
                return &text[..len];
            }
        }
        text
    }

    /// Whether `other` is this area or lies within it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.as_str().starts_with(self.prefix())
    }

    /// The district this area lies in (itself, when it is one or is the city).
    #[must_use]
    pub fn district(&self) -> Self {
        let mut digits = [b'0'; 12];
        digits[..6].copy_from_slice(&self.0[..6]);
        Self(digits)
    }
}

impl FromStr for AreaCode {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits: [u8; 12] = text
            .as_bytes()
            .try_into()
            .map_err(|_| IdError { what: "area code" })?;
        if digits.iter().all(u8::is_ascii_digit) && digits[0] != b'0' {
            Ok(Self(digits))
        } else {
            Err(IdError { what: "area code" })
        }
    }
}

impl TryFrom<String> for AreaCode {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl fmt::Display for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AreaCode({})", self.as_str())
    }
}

/// What a device may hold, and what has a log of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeId {
    /// Everything that belongs to an area (a village, as a rule).
    Area(AreaCode),
    /// What only one user reads: rights, messages, reminders.
    User(UserId),
    /// What everyone reads. Every device follows it, and nothing is put there yet.
    Common,
}

impl fmt::Display for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Area(code) => write!(f, "area:{code}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::Common => f.write_str("common"),
        }
    }
}

impl FromStr for ScopeId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once(':') {
            None if text == "common" => Ok(Self::Common),
            Some(("area", code)) => code.parse().map(Self::Area),
            Some(("user", id)) => id.parse().map(Self::User),
            _ => Err(IdError { what: "scope" }),
        }
    }
}

macro_rules! serde_by_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
serde_by_text!(AreaCode, ScopeId);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_area_contains_its_subtree_and_no_neighbour() {
        let code = |text: &str| text.parse::<AreaCode>().unwrap();
        let (city, district, street, village) = (
            code("310000000000"),
            code("310101000000"),
            code("310101002000"),
            code("310101002001"),
        );
        assert_eq!(
            [city, district, street, village].map(|area| area.level()),
            [
                AreaLevel::City,
                AreaLevel::District,
                AreaLevel::Street,
                AreaLevel::Village
            ]
        );
        assert!(
            city.contains(&village) && district.contains(&village) && street.contains(&village)
        );
        assert!(!street.contains(&code("310101003001")) && !village.contains(&street));
        assert!(!code("310101000000").contains(&code("310104002001")));
        assert_eq!(village.district(), district);
    }

    #[test]
    fn scopes_read_back_what_they_write() {
        for text in [
            "common",
            "area:310101002001",
            "user:018f7e3a-0000-7000-8000-000000000001",
        ] {
            assert_eq!(text.parse::<ScopeId>().unwrap().to_string(), text);
        }
        assert!("area:31".parse::<ScopeId>().is_err() && "other".parse::<ScopeId>().is_err());
    }
}

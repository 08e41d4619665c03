//! What can go wrong on a device, as a stable code for programs and a sentence for people.
//! Carries no personal data in its display.

use std::borrow::Cow;
use std::time::Duration;

use doorstep_core::blob::BlobError;
use doorstep_core::protocol::frames::Bye;
use doorstep_core::records::Severity;
use doorstep_core::sync::DeviceError;
use serde::{Deserialize, Serialize};

/// What a host does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No connection, or the server is busy: try again later; nothing is lost.
    Offline,
    /// The user must sign in again.
    SignIn,
    /// The server says no, and will say so again.
    Refused,
    /// Wrong input: the user corrects it.
    Invalid,
    /// The device's own storage.
    Storage,
    /// The server said what makes no sense: reconnect, and update the app if it stays.
    Protocol,
    /// The device was wiped on the server's order, or its key is gone.
    Wiped,
}

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The field: `id_number`, or `tags/elderly`.
    pub path: String,
    /// Stable code for programs.
    pub code: String,
    /// What to do, for people.
    pub message: String,
}

/// What every fallible operation of a device gives.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}")]
pub struct ClientError {
    /// What to do about it.
    pub kind: Kind,
    /// Stable code for programs, snake_case.
    pub code: Cow<'static, str>,
    /// What to do, for people (Chinese).
    pub message: String,
    /// Every wrong field at once.
    pub fields: Vec<Problem>,
    /// When another try makes sense.
    pub retry_after: Option<Duration>,
}

/// A result of the client.
pub type ClientResult<T> = Result<T, ClientError>;

impl ClientError {
    /// An error with its code and what a person reads.
    pub fn new(kind: Kind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            fields: Vec::new(),
            retry_after: None,
        }
    }

    /// The device's storage failed; the cause is logged, not shown.
    pub fn storage(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "device storage failed");
        Self::new(
            Kind::Storage,
            "storage",
            "本机存储读写失败：请检查剩余空间，再重新打开；未上传的内容不会丢失",
        )
    }

    /// There is no connection.
    pub(crate) fn offline(cause: impl std::fmt::Display) -> Self {
        tracing::debug!(%cause, "no connection");
        Self::new(
            Kind::Offline,
            "offline",
            "连接不上服务器：修改已保存在本机，恢复网络后会自动上传",
        )
    }

    /// The server said what makes no sense.
    pub(crate) fn protocol(what: &str) -> Self {
        tracing::warn!(what, "the server broke the protocol");
        Self::new(
            Kind::Protocol,
            "protocol",
            "服务器返回的数据无法识别：请稍后重试，仍不行时请更新应用",
        )
    }

    pub(crate) fn no_such_record() -> Self {
        Self::new(
            Kind::Invalid,
            "no_such_record",
            "本机没有这份档案：可能已移出您的管辖范围，请同步后再查找",
        )
    }

    /// All that was the user's on this device is gone, on the server's order.
    pub(crate) fn wiped() -> Self {
        Self::new(
            Kind::Wiped,
            "wiped",
            "管理员已要求清除这台设备：本机数据已全部删除，请联系管理员重新登记",
        )
    }

    pub(crate) fn bye(bye: Bye) -> Self {
        let kind = match (bye.code.as_str(), bye.retry_after_ms) {
            ("signed_out", _) => Kind::SignIn,
            ("protocol", _) => Kind::Protocol,
            (_, Some(_)) => Kind::Offline,
            _ => Kind::Refused,
        };
        Self {
            retry_after: bye.retry_after_ms.map(Duration::from_millis),
            ..Self::new(kind, bye.code, bye.message)
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<DeviceError<E>> for ClientError {
    fn from(error: DeviceError<E>) -> Self {
        match error {
            DeviceError::Store(error) => Self::storage(error),
            DeviceError::Protocol(what) => Self::protocol(what),
            DeviceError::NoSuchRecord => Self::no_such_record(),
            DeviceError::Loading => Self::new(
                Kind::Offline,
                "record_loading",
                "这份档案还在下载，联网下载完后再修改",
            ),
            DeviceError::Exists => {
                Self::new(Kind::Storage, "record_exists", "档案编号重复，请重试一次")
            }
            DeviceError::NoSuchType => Self::new(
                Kind::Invalid,
                "no_such_type",
                "没有这种档案类型：可用的有居民 resident、房屋 house、居住关系 residence、走访 visit",
            ),
            DeviceError::Invalid(problems) => {
                let wrong = problems
                    .into_iter()
                    .filter(|problem| problem.severity == Severity::Error);
                Self {
                    fields: wrong
                        .map(|problem| Problem {
                            path: problem.path,
                            code: problem.code.to_string(),
                            message: problem.message,
                        })
                        .collect(),
                    ..Self::new(
                        Kind::Invalid,
                        "invalid_fields",
                        "有内容填写不正确，请按提示修改",
                    )
                }
            }
        }
    }
}

impl From<BlobError> for ClientError {
    fn from(error: BlobError) -> Self {
        Self::new(Kind::Invalid, error.code(), error.message())
    }
}

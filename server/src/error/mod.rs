//! The one error of the server: what went wrong, as a stable code for programs and a sentence for people.
//! Knows no HTTP type (see `http::respond`) and carries no personal data in its display.

mod constraints;

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

pub use constraints::{CONSTRAINTS, Constraint};

/// The family of an error; decides the HTTP status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The request can't be read at all: 400.
    Malformed,
    /// Nobody is signed in, or no longer: 401.
    Unauthenticated,
    /// Signed in, but without the right: 403.
    Forbidden,
    /// Not there, or not for this user to know: 404.
    NotFound,
    /// The address is there, the method is not: 405.
    NotAllowed,
    /// Not in the present state of things: 409.
    Conflict,
    /// Changed since it was read (If-Match): 412.
    Stale,
    /// Larger than allowed: 413.
    TooLarge,
    /// A type that is not taken: 415.
    Unsupported,
    /// Fields with wrong values: 422.
    Invalid,
    /// Too many tries: 429.
    TooMany,
    /// Our fault: 500.
    Internal,
    /// Not now; try again: 503.
    Unavailable,
}

/// One wrong field of a request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// The field: `id_number`, or `items/3/name` within lists.
    pub path: String,
    /// Stable code for programs.
    pub code: String,
    /// What to do, for people.
    pub message: String,
}

/// What every fallible operation of the server gives.
#[derive(Debug)]
pub struct ApiError {
    /// Family.
    pub kind: Kind,
    /// Stable code for programs, snake_case.
    pub code: &'static str,
    /// What to do, for people.
    pub message: String,
    /// Every wrong field at once.
    pub fields: Vec<FieldProblem>,
    /// Seconds after which another try makes sense.
    pub retry_after: Option<u64>,
    cause: Option<anyhow::Error>,
}

/// A result of the server.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error of a family, with its code and what a person reads.
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            fields: Vec::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// Not there, or not for this user to know.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(
            Kind::NotFound,
            "not_found",
            format!("找不到{what}，可能已被删除，或不在您的权限范围内"),
        )
    }

    /// Signed in, but without the right.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(
            Kind::Forbidden,
            "forbidden",
            "您没有办理这件事的权限，请联系管理员授权",
        )
    }

    /// Nobody is signed in.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(Kind::Unauthenticated, "unauthenticated", "请先登录")
    }

    /// Not possible in the present state of things.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, message)
    }

    /// One wrong field; for several use [`Problems`].
    pub fn field(path: &str, code: &str, message: impl Into<String>) -> Self {
        let mut problems = Problems::default();
        problems.add(path, code, message);
        problems.into_error()
    }

    /// Our own fault. The cause goes to the log, never to the caller.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let mut error = Self::new(
            Kind::Internal,
            "internal",
            "系统出错，请稍后重试；如仍不行，请把请求编号告诉管理员",
        );
        error.cause = Some(cause.into());
        error
    }

    /// Too many tries; another makes sense after `seconds`.
    pub fn too_many(code: &'static str, seconds: u64, message: impl Into<String>) -> Self {
        let mut error = Self::new(Kind::TooMany, code, message);
        error.retry_after = Some(seconds);
        error
    }

    /// What lies behind an internal error, for the log.
    #[must_use]
    pub fn cause(&self) -> Option<&anyhow::Error> {
        self.cause.as_ref()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)?;
        if let Some(cause) = &self.cause {
            write!(f, ": {cause:#}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ApiError {}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => {
                busy(error.into())
            }
            sqlx::Error::Database(database) => from_database(database.as_ref()),
            other => Self::internal(other),
        }
    }
}

fn busy(cause: anyhow::Error) -> ApiError {
    let mut busy = ApiError::new(Kind::Unavailable, "unavailable", "系统正忙，请稍后重试");
    busy.retry_after = Some(2);
    busy.cause = Some(cause);
    busy
}

fn from_database(error: &dyn sqlx::error::DatabaseError) -> ApiError {
    if let Some(rule) = error.constraint().and_then(constraints::find) {
        let mut answer = ApiError::new(rule.kind, rule.code, rule.message);
        if !rule.path.is_empty() {
            answer.fields.push(FieldProblem {
                path: rule.path.into(),
                code: rule.code.into(),
                message: rule.message.into(),
            });
        }
        return answer;
    }
    let state = error.code().unwrap_or_default().into_owned();
    match state.as_str() {
        // Serialization failure, deadlock: another try will do.
        "40001" | "40P01" => {
            let mut again = ApiError::new(
                Kind::Unavailable,
                "try_again",
                "有人同时在改同一条数据，请重试",
            );
            again.retry_after = Some(1);
            again
        }
        // No room on its disk.
        "53100" => {
            let mut full = ApiError::new(
                Kind::Unavailable,
                "storage_full",
                "服务器存储空间已满，内容没有保存，请稍后重试，并告诉管理员",
            );
            full.retry_after = Some(60);
            full.cause = Some(anyhow::anyhow!("the database's disk is full"));
            full
        }
        // No memory or connections left; shutting down, starting up, recovering.
        "53200" | "53300" | "57P01" | "57P02" | "57P03" => {
            busy(anyhow::anyhow!("database error {state}"))
        }
        // Insufficient privilege: row-level security refused the row.
        "42501" if error.message().contains("row-level security") => ApiError::forbidden(),
        // Numbers and times that the database's types don't hold, zero characters. Requests are read so that none gets
        // here; what does, such as a made-up cursor, is still no fault of ours.
        "22003" | "22007" | "22008" | "22021" | "22P05" => {
            let mut answer = ApiError::new(
                Kind::Malformed,
                "unstorable",
                "提交的内容里有系统不能处理的数字、日期或字符，请检查后重试",
            );
            answer.cause = Some(anyhow::anyhow!("database error {state}"));
            answer
        }
        // The detail of a database message may hold values of the row; its first line and state don't.
        _ => ApiError::internal(anyhow::anyhow!(
            "database error {state}: {}",
            error.message()
        )),
    }
}

/// Collects every wrong field, so that a person corrects all at once.
#[derive(Debug, Default)]
pub struct Problems(Vec<FieldProblem>);

impl Problems {
    /// Notes a wrong field.
    pub fn add(&mut self, path: &str, code: &str, message: impl Into<String>) {
        self.0.push(FieldProblem {
            path: path.into(),
            code: code.into(),
            message: message.into(),
        });
    }

    /// Notes a wrong field unless `holds`.
    pub fn require(&mut self, holds: bool, path: &str, code: &str, message: &str) {
        if !holds {
            self.add(path, code, message);
        }
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The error of all wrong fields, if there is any.
    ///
    /// # Errors
    /// When at least one field was noted.
    pub fn finish(self) -> ApiResult<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.into_error())
        }
    }

    fn into_error(self) -> ApiError {
        let mut error = ApiError::new(
            Kind::Invalid,
            "invalid_fields",
            "有些内容填写不对，请按提示修改后再提交",
        );
        error.fields = self.0;
        error
    }
}

impl From<Vec<FieldProblem>> for Problems {
    fn from(fields: Vec<FieldProblem>) -> Self {
        Self(fields)
    }
}

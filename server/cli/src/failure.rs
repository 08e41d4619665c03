//! How a command fails: a sentence that says what to do, a stable code, and the exit code that a script sees.

use std::borrow::Cow;
use std::process::ExitCode;

use doorstep_client::{ClientError, Kind, Problem};
use doorstep_server::error::ApiError;
use serde_json::{Value, json};

/// Exit codes; the command's long help says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was refused, or failed.
    Failed = 1,
    /// Wrong arguments or field values.
    Usage = 2,
    /// Nobody is signed in, or no longer.
    SignIn = 3,
    /// No connection, or busy: try again later.
    Offline = 4,
    /// A check found a difference: the audit log is broken, an import has wrong rows.
    Differs = 5,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    code: Cow<'static, str>,
    message: String,
    fields: Vec<Problem>,
}

/// What every command gives.
pub(crate) type Outcome = Result<(), Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// Wrong arguments.
    pub(crate) fn usage(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, code, message)
    }

    /// Wrong values, each named.
    pub(crate) fn fields(fields: Vec<Problem>) -> Self {
        Self {
            fields,
            ..Self::usage("invalid_fields", "有内容填写不正确，请按提示修改")
        }
    }

    /// What there is to say was said already: only the exit code is left.
    pub(crate) fn said(exit: Exit) -> Self {
        Self::new(exit, "", "")
    }

    /// A file that can't be read or written.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            Exit::Failed,
            "file",
            format!("不能读写文件 {}：{error}", path.display()),
        )
    }

    /// Says it: to people on standard error, to programs as JSON on standard output.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if self.code.is_empty() {
            return ExitCode::from(self.exit as u8);
        }
        if json {
            crate::output::json(&json!({ "error": self.view() }));
        } else {
            crate::output::complain(&format!("错误：{}", self.message));
            for field in &self.fields {
                crate::output::complain(&format!(
                    "  {}：{}（{}）",
                    field.path, field.message, field.code
                ));
            }
            let next = match self.exit {
                Exit::SignIn => "请用 doorstep login 登录；设备请用 doorstep device login。",
                Exit::Offline => "没有数据丢失，稍后重试即可。",
                _ => "",
            };
            if !next.is_empty() {
                crate::output::complain(next);
            }
        }
        ExitCode::from(self.exit as u8)
    }

    fn view(&self) -> Value {
        json!({ "code": self.code, "message": self.message, "fields": self.fields })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error.kind {
            Kind::Offline => Exit::Offline,
            Kind::SignIn => Exit::SignIn,
            Kind::Invalid => Exit::Usage,
            _ => Exit::Failed,
        };
        Self {
            exit,
            code: error.code,
            message: error.message,
            fields: error.fields,
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        if let Some(cause) = error.cause() {
            tracing::error!(
                code = error.code,
                cause = format!("{cause:#}"),
                "command failed"
            );
        }
        let exit = if error.fields.is_empty() {
            Exit::Failed
        } else {
            Exit::Usage
        };
        let fields = error.fields.into_iter().map(|field| Problem {
            path: field.path,
            code: field.code,
            message: field.message,
        });
        Self {
            exit,
            code: error.code.into(),
            message: error.message,
            fields: fields.collect(),
        }
    }
}

/// What goes wrong before anything of ours is known: the data folder, the database.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, "failed", format!("{error:#}"))
    }
}

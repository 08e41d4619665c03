//! Commands that act on a running server as a signed-in user. The session lies in a file that only its owner reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorstep_client::{Http, ServerAddress};
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::{Exit, Failure};

/// Which server, as whom.
#[derive(clap::Args, Debug, Clone, Default)]
pub(crate) struct RemoteArgs {
    /// 服务器地址；不填则用登录时的地址
    #[arg(long, value_name = "地址", env = "DOORSTEP_SERVER")]
    server: Option<String>,
    /// 登录状态文件；不填则为 ~/.config/doorstep/session.json
    #[arg(long, value_name = "文件", env = "DOORSTEP_SESSION")]
    session: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Whose certificates a server may show.
#[derive(clap::Args, Debug, Clone, Default)]
pub(crate) struct TrustArgs {
    /// 服务器的证书由本市自己的机构签发时，该机构的证书（PEM 文件）：此后只认它签发的证书，登录或登记时填写一次即可
    #[arg(long, value_name = "文件", env = "DOORSTEP_CA")]
    ca: Option<PathBuf>,
}

impl TrustArgs {
    /// The authority's certificate, where a file was named.
    pub(crate) fn authority(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.ca else {
            return Ok(None);
        };
        let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// A server's address, with the authority whose certificates it may show.
pub(crate) fn address(text: &str, authority: Option<&str>) -> Result<ServerAddress, Failure> {
    let address = ServerAddress::parse(text)?;
    Ok(match authority {
        Some(authority) => address.trusting(authority)?,
        None => address,
    })
}

/// The session file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) server: String,
    /// The authority whose certificates the server may show, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
    pub(crate) login: String,
    pub(crate) token: String,
}

/// A server to talk to, signed in or not.
pub(crate) struct Remote {
    http: Http,
    token: Option<String>,
}

impl RemoteArgs {
    fn path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.session {
            return Ok(path.clone());
        }
        let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
        base.or_else(home)
            .map(|base| base.join("doorstep/session.json"))
            .ok_or_else(|| {
                Failure::usage(
                    "session_file",
                    "不知道登录状态存在哪里：请用 --session 指定文件",
                )
            })
    }

    fn kept(&self) -> Result<Option<Session>, Failure> {
        let path = self.path()?;
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|_| {
                Failure::new(
                    Exit::SignIn,
                    "session_file",
                    "登录状态文件已损坏，请重新登录",
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file(&path, &error)),
        }
    }

    /// The server, as whoever is signed in. `DOORSTEP_TOKEN` goes before the file.
    pub(crate) fn signed_in(&self) -> Result<Remote, Failure> {
        let kept = self.kept()?;
        let token = std::env::var("DOORSTEP_TOKEN").ok();
        let token = token.or_else(|| kept.as_ref().map(|session| session.token.clone()));
        let token = token.ok_or_else(|| Failure::new(Exit::SignIn, "signed_out", "还没有登录"))?;
        let server = self.address(kept.as_ref())?;
        Ok(Remote {
            http: Http::new(server, Arc::default())?,
            token: Some(token),
        })
    }

    /// The server, before anyone has signed in.
    pub(crate) fn anyone(&self) -> Result<Remote, Failure> {
        let server = self.address(self.kept()?.as_ref())?;
        Ok(Remote {
            http: Http::new(server, Arc::default())?,
            token: None,
        })
    }

    /// What was kept of the authority goes with the server that was kept, not with another.
    fn address(&self, kept: Option<&Session>) -> Result<ServerAddress, Failure> {
        let given = self.server.as_deref();
        let text = given.or(kept.map(|session| session.server.as_str()));
        let text =
            text.ok_or_else(|| Failure::usage("server_missing", "请用 --server 指定服务器地址"))?;
        // As it was kept, however it is written now.
        let same = ServerAddress::parse(text)?.to_string();
        let kept = kept.filter(|session| session.server == same);
        let kept = kept.and_then(|session| session.ca.clone());
        address(text, self.trust.authority()?.or(kept).as_deref())
    }

    pub(crate) fn keep(&self, session: &Session) -> Result<PathBuf, Failure> {
        let path = self.path()?;
        let bytes = serde_json::to_vec_pretty(session).unwrap_or_default();
        write_private(&path, &bytes).map_err(|error| Failure::file(&path, &error))?;
        Ok(path)
    }

    pub(crate) fn forget(&self) -> Result<(), Failure> {
        let path = self.path()?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::file(&path, &error))
            }
            _ => Ok(()),
        }
    }
}

/// Writes a file that only its owner reads.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl Remote {
    pub(crate) fn server(&self) -> String {
        self.http.server().to_string()
    }

    pub(crate) fn authority(&self) -> Option<String> {
        self.http.server().authority().map(str::to_owned)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, path, self.token.as_deref())
    }

    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, Failure> {
        Ok(self.http.json(request).await?)
    }

    /// An answer that is no JSON, of at most 64 MiB.
    pub(crate) async fn bytes(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let response = self.http.send(request).await?;
        Ok(self.http.body(response, 64 << 20).await?)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.json(self.request(Method::POST, path).json(body)).await
    }
}

/// The text of a field of an answer; empty where there is none.
pub(crate) fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl Remote {
    /// The same server as somebody else.
    pub(crate) fn with_token(self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self
        }
    }
}

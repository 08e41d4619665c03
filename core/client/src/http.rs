//! Requests to the server: its address, its error form, byte counts. Knows no route.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use native_tls::{Certificate, TlsConnector};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::counters::Counters;
use crate::error::{ClientError, ClientResult, Kind, Problem};

/// Longest wait for the server's answer to begin, and for each further piece of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer read as JSON, in bytes.
const LONGEST_JSON: usize = 4 * 1024 * 1024;

/// A server's address. Anything but this machine must be reached over TLS: personal data never travels in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    url: Url,
    /// Whose certificates are taken, in PEM; those that the system trusts, unless told.
    authority: Option<Arc<str>>,
}

impl ServerAddress {
    /// Reads `https://host[:port]`, or `http://` for a loopback address (a TLCP proxy on the same machine, or a test).
    ///
    /// # Errors
    /// `server_address` for anything else, `insecure_address` for plain HTTP to another machine.
    pub fn parse(text: &str) -> ClientResult<Self> {
        let wrong = || {
            ClientError::new(
                Kind::Invalid,
                "server_address",
                "服务器地址无法识别：请写成 https://主机名，本机可写 http://127.0.0.1:8600",
            )
        };
        let url: Url = text
            .trim()
            .trim_end_matches('/')
            .parse()
            .map_err(|_| wrong())?;
        let host = url.host_str().ok_or_else(wrong)?;
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if !url.username().is_empty() || url.query().is_some() {
            return Err(wrong());
        }
        match url.scheme() {
            "https" => Ok(Self::of(url)),
            "http" if loopback => Ok(Self::of(url)),
            "http" => Err(ClientError::new(
                Kind::Invalid,
                "insecure_address",
                "为保护个人信息，只能用 https:// 连接其他机器上的服务器",
            )),
            _ => Err(wrong()),
        }
    }

    fn of(url: Url) -> Self {
        Self {
            url,
            authority: None,
        }
    }

    /// The same server, of which only a certificate is taken that one of these authorities signed: a city's own, in
    /// PEM. What the system trusts is not asked then.
    ///
    /// # Errors
    /// `certificate_file` when there is no certificate in it.
    pub fn trusting(self, authority: &str) -> ClientResult<Self> {
        certificates(authority)?;
        Ok(Self {
            authority: Some(authority.into()),
            ..self
        })
    }

    /// The authorities that `trusting` named, in PEM.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// What opens TLS, where the system's own settings won't do.
    pub(crate) fn connector(&self) -> ClientResult<Option<TlsConnector>> {
        let Some(authority) = &self.authority else {
            return Ok(None);
        };
        let mut builder = TlsConnector::builder();
        builder.disable_built_in_roots(true);
        for certificate in certificates(authority)? {
            builder.add_root_certificate(certificate);
        }
        builder.build().map(Some).map_err(ClientError::offline)
    }

    /// The address of a route, such as `/api/sync`.
    pub(crate) fn route(&self, path: &str) -> String {
        format!("{}{path}", self.url.as_str().trim_end_matches('/'))
    }

    /// The same for a websocket.
    pub(crate) fn socket(&self, path: &str) -> String {
        self.route(path).replacen("http", "ws", 1)
    }

    /// Host and port, to connect a socket to.
    pub(crate) fn host_and_port(&self) -> (String, u16) {
        let host = self
            .url
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        (host, self.url.port_or_known_default().unwrap_or(443))
    }
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

/// The certificates in a PEM text; at least one.
fn certificates(pem: &str) -> ClientResult<Vec<Certificate>> {
    let read = Certificate::stack_from_pem(pem.as_bytes()).unwrap_or_default();
    if read.is_empty() {
        return Err(ClientError::new(
            Kind::Invalid,
            "certificate_file",
            "证书文件无法识别：应为 PEM 格式，以 -----BEGIN CERTIFICATE----- 开头，请向管理员索取签发机构的证书",
        ));
    }
    Ok(read)
}

/// What makes requests.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    server: ServerAddress,
    counters: Arc<Counters>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorView,
}

#[derive(Deserialize)]
struct ErrorView {
    code: String,
    message: String,
    #[serde(default)]
    fields: Vec<Problem>,
}

impl Http {
    /// For a server. Proxies of the environment are not asked: the address names whom to trust.
    ///
    /// # Errors
    /// When the TLS library can't be set up.
    pub fn new(server: ServerAddress, counters: Arc<Counters>) -> ClientResult<Self> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(PATIENCE)
            .no_proxy()
            // The address names whom to trust: who answers elsewhere is not whom a password was meant for.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(connector) = server.connector()? {
            builder = builder.tls_backend_preconfigured(connector);
        }
        let client = builder.build().map_err(ClientError::offline)?;
        Ok(Self {
            client,
            server,
            counters,
        })
    }

    /// Whom it talks to.
    #[must_use]
    pub fn server(&self) -> &ServerAddress {
        &self.server
    }

    /// A request to be filled in and given to `send`.
    pub fn request(&self, method: Method, path: &str, token: Option<&str>) -> RequestBuilder {
        let request = self.client.request(method, self.server.route(path));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends; an answer that is no success becomes the error it says.
    ///
    /// # Errors
    /// `Offline` without an answer; else what the server says.
    pub async fn send(&self, request: RequestBuilder) -> ClientResult<Response> {
        let request = request
            .build()
            .map_err(|_| ClientError::protocol("request"))?;
        let body = request.body().and_then(|body| body.as_bytes());
        self.counters.http_up(body.map_or(0, <[u8]>::len));
        let response = self
            .client
            .execute(request)
            .await
            .map_err(ClientError::offline)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    /// Sends, and reads the answer as JSON.
    ///
    /// # Errors
    /// As `send`; `Protocol` when the answer is something else.
    pub async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> ClientResult<T> {
        let response = self.send(request).await?;
        let bytes = self.body(response, LONGEST_JSON).await?;
        // A route that answers nothing reads as `()`.
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(bytes)
            .map_err(|_| ClientError::protocol("answer is not the JSON it should be"))
    }

    /// Reads a body of at most `most` bytes.
    ///
    /// # Errors
    /// `Offline` when it breaks off; `Protocol` when it is longer.
    pub async fn body(&self, mut response: Response, most: usize) -> ClientResult<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(piece) = self.piece(&mut response).await? {
            if out.len() + piece.len() > most {
                return Err(ClientError::protocol("answer too long"));
            }
            out.extend_from_slice(&piece);
        }
        Ok(out)
    }

    /// The next piece of a body.
    pub(crate) async fn piece(&self, response: &mut Response) -> ClientResult<Option<Bytes>> {
        let piece = response.chunk().await.map_err(ClientError::offline)?;
        self.counters
            .http_down(piece.as_ref().map_or(0, Bytes::len));
        Ok(piece)
    }

    async fn refusal(&self, response: Response) -> ClientError {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let kind = match status {
            StatusCode::UNAUTHORIZED => Kind::SignIn,
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => Kind::Invalid,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Kind::Offline,
            // Whoever answers in the server's place is not asked what it thinks of this.
            _ if status.is_server_error() || status.is_redirection() => Kind::Offline,
            _ => Kind::Refused,
        };
        let body = self.body(response, LONGEST_JSON).await.unwrap_or_default();
        let mut error = match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(ErrorBody { error }) => ClientError {
                fields: error.fields,
                ..ClientError::new(kind, error.code, error.message)
            },
            Err(_) => ClientError::new(
                kind,
                format!("http_{}", status.as_u16()),
                format!("服务器没有完成这次请求（{}），请稍后重试", status.as_u16()),
            ),
        };
        error.retry_after = retry_after;
        error
    }
}

/// When another try makes sense, if the server says so in seconds (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for text in [
            "http://127.0.0.1:8600",
            "http://localhost:1/",
            "http://[::1]:2",
            "https://gd.example.cn",
        ] {
            assert!(ServerAddress::parse(text).is_ok(), "{text}");
        }
        for (text, code) in [
            ("http://gd.example.cn", "insecure_address"),
            ("http://10.0.0.5:8600", "insecure_address"),
            ("ftp://127.0.0.1", "server_address"),
            ("https://a:b@host", "server_address"),
            ("随便", "server_address"),
        ] {
            assert_eq!(ServerAddress::parse(text).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn only_certificates_name_an_authority() {
        let server = ServerAddress::parse("https://gd.example.cn").unwrap();
        assert_eq!(server.authority(), None);
        for text in [
            "",
            "随便",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let refused = server.clone().trusting(text).unwrap_err();
            assert_eq!(refused.code, "certificate_file", "{text}");
        }
    }

    #[test]
    fn routes_and_sockets_stand_under_the_address() {
        let server = ServerAddress::parse("https://gd.example.cn:8443/").unwrap();
        assert_eq!(server.route("/api/x"), "https://gd.example.cn:8443/api/x");
        assert_eq!(server.socket("/api/x"), "wss://gd.example.cn:8443/api/x");
        assert_eq!(server.host_and_port(), ("gd.example.cn".to_owned(), 8443));
    }
}

//! Requests to the server's HTTP API as one signed-in person (or nobody). Knows no route.

use anyhow::{Context, bail};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    client: Client,
    base: String,
    token: Option<String>,
}

impl Api {
    /// Of a server, as nobody.
    #[must_use]
    pub fn new(base: String) -> Self {
        Self {
            client: Client::new(),
            base,
            token: None,
        }
    }

    /// As the holder of a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The token that requests bear.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Asks as one likes, and gives status and text, whatever they are.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> anyhow::Result<(u16, String)> {
        let response = with(self.request(method, path)).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// Reads.
    ///
    /// # Errors
    /// What the server says.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        answer(self.request(Method::GET, path), path).await
    }

    /// Reads what is no JSON.
    ///
    /// # Errors
    /// What the server says.
    pub async fn get_bytes(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let response = self.request(Method::GET, path).send().await?;
        let (status, bytes) = (response.status(), response.bytes().await?);
        if !status.is_success() {
            bail!("{path}: {status} {}", String::from_utf8_lossy(&bytes));
        }
        Ok(bytes.to_vec())
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// What the server says.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        answer(self.request(Method::POST, path).json(body), path).await
    }

    /// Posts a file.
    ///
    /// # Errors
    /// What the server says.
    pub async fn post_file(
        &self,
        path: &str,
        media_type: &str,
        file: Vec<u8>,
    ) -> anyhow::Result<Value> {
        let request = self
            .request(Method::POST, path)
            .header("content-type", media_type)
            .body(file);
        answer(request, path).await
    }
}

async fn answer(request: RequestBuilder, path: &str) -> anyhow::Result<Value> {
    let response = request.send().await.with_context(|| path.to_owned())?;
    let status = response.status();
    let text = response.text().await?;
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    if status.is_success() {
        return Ok(body);
    }
    let error = &body["error"];
    bail!(
        "{path}: {} {} {} {}",
        status.as_u16(),
        error["code"].as_str().unwrap_or_default(),
        error["message"].as_str().unwrap_or_default(),
        error["fields"]
    )
}

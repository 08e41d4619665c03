//! A register's file brought in over HTTP, as the console does it: judged first, then written. Knows no register.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use doorstep_core::ids::AreaCode;
use serde_json::{Value, json};

use super::{Api, Person, routes};

/// How long one step of an import may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// HTTP has no way of telling when it is done: it is asked so often.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// An import that is under way.
#[derive(Clone, Debug)]
pub struct Import {
    /// Its address.
    pub path: String,
    api: Api,
}

impl Person {
    /// Uploads a register's file and waits until each row is judged; gives the import with what is said of it.
    ///
    /// # Errors
    /// What the server says; when the import fails, or takes longer than `PATIENCE`.
    pub async fn upload(
        &self,
        record_type: &str,
        area: AreaCode,
        name: &str,
        file: Vec<u8>,
    ) -> anyhow::Result<(Import, Value)> {
        let path = format!(
            "{}?type={record_type}&area={area}&name={name}&then=check",
            routes::IMPORTS
        );
        let uploaded = self
            .api
            .post_file(&path, "application/octet-stream", file)
            .await?;
        let id = uploaded["id"].as_str().context("no id")?;
        let import = Import {
            path: format!("{}/{id}", routes::IMPORTS),
            api: self.api.clone(),
        };
        let judged = import.until("checked").await?;
        Ok((import, judged))
    }
}

impl Import {
    /// Writes what can be written, and gives what is said of it then.
    ///
    /// # Errors
    /// As `Person::upload`.
    pub async fn run(&self) -> anyhow::Result<Value> {
        self.api
            .post(&format!("{}/run", self.path), &json!({}))
            .await?;
        self.until("done").await
    }

    async fn until(&self, wanted: &str) -> anyhow::Result<Value> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let view = self.api.get(&self.path).await?;
            match view["status"].as_str().unwrap_or_default() {
                status if status == wanted => return Ok(view),
                "failed" => bail!("the import failed: {}", view["failure"]),
                _ => tokio::time::sleep(ASK_EVERY).await,
            }
        }
        bail!("the import is not {wanted} after {PATIENCE:?}")
    }
}

//! Asking as a person, for what tests of several domains ask alike.

use anyhow::ensure;
use serde_json::Value;
use uuid::Uuid;

use super::{Person, Reply, TestServer};

impl TestServer {
    /// What a person reads.
    ///
    /// # Errors
    /// When the answer is not 200; it says which.
    pub async fn get(&self, who: &Person, path: &str) -> anyhow::Result<Value> {
        let reply = self.send("GET", path, Some(&who.token), None).await?;
        ensure!(
            reply.status == 200,
            "{path}: {} {}",
            reply.status,
            reply.body
        );
        Ok(reply.body)
    }

    /// An item of the conflict queue with all that a decision stands on.
    ///
    /// # Errors
    /// As [`TestServer::get`].
    pub async fn conflict(&self, who: &Person, item: Uuid) -> anyhow::Result<Value> {
        self.get(who, &format!("/api/conflicts/{item}")).await
    }

    /// Decides an item of the conflict queue, whatever its version.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn decide(&self, who: &Person, item: Uuid, decision: Value) -> anyhow::Result<Reply> {
        let path = format!("/api/conflicts/{item}/decision");
        self.send("POST", &path, Some(&who.token), Some(decision))
            .await
    }
}

//! Photos over HTTP: up in chunks and down again, who may see them, hostile bytes, what was altered in the store, erasure,
//! what is left over, S3.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod altered;
mod ids;
mod kit;
mod leftovers;
mod reading;
mod refusals;
mod stores;
mod uploading;

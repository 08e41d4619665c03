//! Skeleton.

pub mod repository;

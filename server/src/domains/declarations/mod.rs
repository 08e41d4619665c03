//! What records consist of, for whoever draws forms, lists and histories of them: the types with their fields, and the
//! tables of codes; and what can stand in the audit log as done. It restates nothing: everything is read off core's
//! declarations and the log's. Knows no record and no database.

mod model;
pub mod routes;

#[cfg(test)]
mod tests;

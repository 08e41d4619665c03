//! Bringing a community's register in from a file: uploaded, checked row by row (a dry run with a verdict for each),
//! then written in the background in batches, each of which is one transaction; taken up again after a crash, and taken
//! back as a whole. The same file twice changes nothing.
//!
//! What a row means is core's (`records::import_map`); what is written goes through the register.

mod back;
mod forget;
mod judge;
mod list;
mod match_house;
mod match_resident;
mod model;
pub mod routes;
mod rows;
pub mod service;
mod store;
mod table;
mod tokens;
mod upload;
mod work;
mod workbook;

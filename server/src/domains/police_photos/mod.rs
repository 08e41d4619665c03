//! Photos that the police have collected: kept beside the register, never in a record's document, so that no phone and no
//! bundle carries one. They come by the name that the police's register gives (`photo_file`), through `service::receive`;
//! they are shown one at a time to those who may see secret values, for a purpose, with the viewer and the time drawn
//! over them, and leave a record. Knows no feed and no phone.

mod picture;
pub mod routes;
pub mod service;
mod show;
mod store;
mod watermark;

pub use store::PolicePhotos;

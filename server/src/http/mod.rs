//! HTTP itself: what requests are wrapped in, how bodies are read and answers are formed.
//! Knows no domain but those that its guard asks who is calling and has write it down: `auth` and `audit`.

mod area;
mod day;
pub mod describe;
pub mod etag;
pub mod extract;
pub mod guard;
pub mod health;
pub mod listen;
pub mod metrics;
pub mod packed;
pub mod paging;
mod place;
pub mod range;
pub mod request;
pub mod respond;

pub use area::{area_code, area_in};
pub use day::{day, moment, period};
pub use extract::{Body, Params, Segment};
pub use paging::{Page, PageParams};

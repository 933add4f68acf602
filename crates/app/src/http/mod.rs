//! HTTP as every application speaks it: one spelling of errors, conditional requests, parameters, bodies and
//! event streams.

mod body;
mod conditional;
mod error;
mod events;
mod list;
mod path;
mod query;

pub use body::{
    Body, is_nested_deeper, parse_json, read_json, read_members, read_text, whole_body, whole_number,
};
pub use conditional::{ETag, not_modified};
pub use error::{ApiError, invalid};
pub use events::{EventFrame, event_stream};
pub use list::list_of;
pub use path::Path;
pub use query::{After, Query};

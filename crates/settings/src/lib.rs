//! Settings, each declared in one place: key, type, default, range and meaning; the unit is part of the key.
//! The struct, its defaults, the check of its ranges and the rows of the reference come from [`settings!`].

mod declaration;
mod number;
mod range;
mod value;

pub use declaration::{Declared, joined};
pub use number::written;
pub use range::{Amount, OutOfRange, Range};
pub use value::{ANY_NAME, Setting, SettingValue, quoted};

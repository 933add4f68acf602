//! Why something did not succeed, for a person.

/// What a command ends with when it does not succeed.
pub(crate) type Failure = String;

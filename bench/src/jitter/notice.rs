//! What a connection tells a client, and where the client stands by it.

/// The channel everything happens on.
pub(crate) const CHANNEL: &str = "jitter";

/// Where a client stands: what it says when it comes back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Anywire's cursor, or the offset of the last event from Socket.IO on Node.
    pub(crate) cursor: Option<String>,
    /// The session that Socket.IO on Node can recover.
    pub(crate) session: Option<String>,
}

impl Position {
    /// Nobody has told it anything yet.
    pub(crate) fn is_unknown(&self) -> bool {
        self.cursor.is_none() && self.session.is_none()
    }
}

/// What a connection says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// An event's payload, and the cursor after it.
    Event { data: String, cursor: String },
    /// Where the client stands.
    Cursor(String),
    /// The session that can be recovered.
    Session(String),
    /// Something is gone for good.
    Gap,
}

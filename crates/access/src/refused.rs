//! What is said to whom a key or token opens nothing.

/// Why a key or token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not in the form of one.
    #[error("it is neither a key nor a JWT")]
    Malformed,
    /// It is longer than a token may be.
    #[error("it has {bytes} bytes, the limit is {bytes_max}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// It wants to be understood in a way that is not known here (RFC 7515, section 4.1.11).
    #[error("it has extensions that are not known here (crit: {extensions}); make it without")]
    Critical {
        /// What its header says.
        extensions: String,
    },
    /// It is signed in a way for which there is no key.
    #[error("no key is configured for its algorithm ({algorithm})")]
    Algorithm {
        /// What its header says.
        algorithm: String,
    },
    /// It is signed by a key that is not known.
    #[error("its key is not known (kid {kid:?}); sign it with one of those that are configured")]
    UnknownKey {
        /// What its header says.
        kid: String,
    },
    /// No key has signed it.
    #[error("its signature is wrong; sign it with the key that is configured")]
    Signature,
    /// Whoever it was made for is not to be let in by it any more.
    #[error("it was taken back; sign in again, or get a new one")]
    TakenBack,
    /// It is a ticket, and none that waits to be used.
    #[error("the ticket was used before, or is older than 30 s; ask for another: POST /anywire/tickets")]
    Ticket,
    /// It has ended.
    #[error("it has run out")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid before {at} ({claim}); check the clocks")]
    Early {
        /// The claim.
        claim: &'static str,
        /// What it says.
        at: String,
    },
    /// It is of somebody whose tokens are not taken.
    #[error("tokens of {issuer} (iss) are not taken; configure [[auth.issuers]]")]
    Issuer {
        /// What it says.
        issuer: String,
    },
    /// It is for somebody else.
    #[error("it is for {named} (aud), and this server is called [{expected}] ({setting})")]
    Audience {
        /// Whom it is for.
        named: String,
        /// The setting.
        setting: String,
        /// What the server is called.
        expected: String,
    },
    /// It says something that cannot be read.
    #[error("its claim {claim:?} cannot be read: {why}")]
    Claim {
        /// The claim.
        claim: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is a key that has ended.
    #[error("{principal} ended at {at}; get a new one")]
    KeyEnded {
        /// Whose it was.
        principal: String,
        /// When.
        at: String,
    },
}

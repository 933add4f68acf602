//! Why access cannot be set up.

use std::path::PathBuf;

use crate::grant::GrantError;

/// Why access cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key or a secret is too short to be one.
    #[error("{setting} has {characters} characters; at least {needed} are needed")]
    Short {
        /// The setting.
        setting: String,
        /// How long it is.
        characters: usize,
        /// How long it must be.
        needed: usize,
    },
    /// A key is given twice or not at all.
    #[error("{setting} needs one of `key` and `sha256`, and only one")]
    KeyOrHash {
        /// The setting.
        setting: String,
    },
    /// It is no SHA-256.
    #[error("{setting} is no SHA-256; it has 64 hexadecimal digits: printf %s \"$KEY\" | sha256sum")]
    Hash {
        /// The setting.
        setting: String,
    },
    /// A name is there twice, or empty.
    #[error("{setting} is {name:?}; give each a name of its own")]
    Name {
        /// The setting.
        setting: String,
        /// The name.
        name: String,
    },
    /// One key is there twice.
    #[error("{setting} is the same key as another one; remove one of them")]
    SameKey {
        /// The setting.
        setting: String,
    },
    /// Nothing is allowed to it.
    #[error("{setting} may do nothing; give it `roles` or `grants`")]
    NoRights {
        /// The setting.
        setting: String,
    },
    /// A text is no time.
    #[error("{setting} is {text:?}, which is no time; write it as 2027-01-31T00:00:00Z")]
    Time {
        /// The setting.
        setting: String,
        /// What was there.
        text: String,
    },
    /// A text is no grant.
    #[error("{setting}: {error}")]
    Grant {
        /// The setting.
        setting: String,
        /// What is wrong with it.
        error: GrantError,
    },
    /// There is no such role.
    #[error(
        "{setting} names the role {role:?}, which there is not; there are {known}; add it to [auth.roles]"
    )]
    UnknownRole {
        /// The setting.
        setting: String,
        /// The role.
        role: String,
        /// Those that there are.
        known: String,
    },
    /// A key for tokens is none.
    #[error("{setting}: {error}")]
    TokenKey {
        /// The setting.
        setting: String,
        /// What is wrong with it.
        error: KeyError,
    },
    /// A file cannot be read.
    #[error("{setting} is {}, which cannot be read: {error}", path.display())]
    File {
        /// The setting.
        setting: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// Not exactly one of an issuer's keys.
    #[error("{setting} needs one of `jwks_file`, `public_key` and `secret`, and only one")]
    IssuerKeys {
        /// The setting.
        setting: String,
    },
    /// Roles that nothing could give.
    #[error("{setting} is set and `roles_claim` is not; name the claim that holds the roles")]
    RolesWithoutClaim {
        /// The setting.
        setting: String,
    },
}

/// Why a text is no key for tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is too short to be a secret.
    #[error("the secret has {characters} characters; at least {needed} are needed")]
    Short {
        /// How long it is.
        characters: usize,
        /// How long it must be.
        needed: usize,
    },
    /// It is no public key in PEM.
    #[error("it is no PEM public key for RS256 (from 2048 bits), ES256 (P-256) or EdDSA (Ed25519): {detail}")]
    Pem {
        /// What is wrong with it.
        detail: String,
    },
    /// It is larger than any set of keys.
    #[error("the JWK set has {bytes} bytes; the limit is {bytes_max}")]
    SetTooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// It has more keys than are ever needed.
    #[error("the JWK set has {keys} keys; the limit is {keys_max}")]
    SetTooLong {
        /// How many there are.
        keys: usize,
        /// How many there may be.
        keys_max: usize,
    },
    /// It is no JWK set.
    #[error("it is no JWK set ({{\"keys\":[…]}}): {detail}")]
    NoSet {
        /// What the JSON parser said.
        detail: String,
    },
    /// No key of it can be used.
    #[error(
        "none of the {keys} keys of the JWK set can check a token; at least one must be RSA of 2048 bits or more, P-256 or Ed25519"
    )]
    NoUsableKey {
        /// How many there are.
        keys: usize,
    },
}

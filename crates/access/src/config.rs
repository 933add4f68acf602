//! What can be configured about who somebody is.

use std::{collections::BTreeMap, path::PathBuf};

use anywire_settings::settings;

settings! {
    /// One API key.
    pub struct KeySection {
        /// What it is called, in messages and in the log. No two keys have one name.
        pub name: String;
        /// The key, at least 16 characters. Either this or `sha256`.
        pub key: Option<String>;
        /// The SHA-256 of the key, 64 hexadecimal digits, so that the file does not hold the key itself:
        /// `printf %s "$KEY" | sha256sum`.
        pub sha256: Option<String>;
        /// The roles it has: `admin`, `operator`, `viewer`, `publisher`, or one of `auth.roles`.
        pub roles: Option<Vec<String>>;
        /// What it may do beside that: `subscribe:PATTERN`, `publish:PATTERN`, `APP:ACTION`.
        pub grants: Option<Vec<String>>;
        /// When it ends, such as `2027-01-31T00:00:00Z`.
        pub ends: Option<String>, else "never".to_owned();
    }
}

settings! {
    /// One of several secrets for clients' tokens.
    pub struct SecretSection {
        /// The `kid` of the tokens that are signed with it.
        pub kid: Option<String>, else "any".to_owned();
        /// The secret (HS256). At least 32 characters.
        pub secret: String;
    }
}

settings! {
    /// One issuer of tokens.
    pub struct IssuerSection {
        /// The `iss` of its tokens, such as `https://id.example.com/realms/main`.
        pub issuer: String;
        /// What this server is called in the `aud` of its tokens. Without it only tokens that name no
        /// audience are taken.
        pub audience: Option<Vec<String>>;
        /// A file with its public keys, a JWK set (RSA for RS256, P-256 for ES256, Ed25519 for EdDSA).
        pub jwks_file: Option<PathBuf>;
        /// Its public key (PEM), where it has one only.
        pub public_key: Option<String>;
        /// The secret it signs with (HS256). At least 32 characters.
        pub secret: Option<String>;
        /// The claim that names roles, such as `roles` or `realm_access.roles`.
        pub roles_claim: Option<String>;
        /// The roles that it may give. Others in the claim are passed over.
        pub roles_allowed: Option<Vec<String>>;
        /// The roles that everybody with one of its tokens has.
        pub roles: Option<Vec<String>>;
        /// The claim that lists patterns of channels that may be followed.
        pub subscribe_claim: Option<String>;
        /// The claim that lists patterns of channels that may be published to.
        pub publish_claim: Option<String>;
    }
}

/// Everything that is configured about who somebody is: the part of `[auth]` that is not about places.
#[derive(Debug, Clone, Default)]
pub struct AccessConfig {
    /// `auth.api_keys`.
    pub api_keys: Vec<String>,
    /// `[[auth.keys]]`.
    pub keys: Vec<KeySection>,
    /// `[auth.roles]`.
    pub roles: BTreeMap<String, Vec<String>>,
    /// `auth.jwt_secret`.
    pub jwt_secret: Option<String>,
    /// `[[auth.jwt_secrets]]`.
    pub jwt_secrets: Vec<SecretSection>,
    /// `auth.jwt_public_key`.
    pub jwt_public_key: Option<String>,
    /// `auth.jwt_issuer`.
    pub jwt_issuer: Option<String>,
    /// `auth.jwt_audience`.
    pub jwt_audience: Vec<String>,
    /// `auth.jwt_roles_allowed`.
    pub jwt_roles_allowed: Vec<String>,
    /// `[[auth.issuers]]`.
    pub issuers: Vec<IssuerSection>,
}

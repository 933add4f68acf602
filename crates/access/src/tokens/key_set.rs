//! The keys by which tokens are checked. Each is for one algorithm, whatever a token says of itself: a public
//! key is never taken for a secret.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
    },
};
use serde::Deserialize;

use super::{parts::Unverified, pem::public_key};
use crate::{error::KeyError, refused::Refused};

/// The least length of a secret, in characters: HS256 has 32 bytes (RFC 7518, section 3.2).
const SECRET_CHARACTERS_MIN: usize = 32;
/// The greatest size of a JWK set, in bytes.
const SET_BYTES_MAX: usize = 256 << 10;
/// The most keys of a set.
const SET_KEYS_MAX: usize = 100;
/// How many bytes the modulus of an RSA key has (RFC 7518, section 3.3): 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// The bytes of a coordinate of P-256, and of a key of Ed25519.
const CURVE_BYTES: usize = 32;

/// A key, and the algorithm it is for.
#[derive(Debug, Clone)]
struct Verifier {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The keys of one issuer.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySet(Vec<Verifier>);

impl KeySet {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a secret for HS256.
    pub(crate) fn add_secret(&mut self, kid: Option<&str>, secret: &str) -> Result<(), KeyError> {
        match secret.chars().count() {
            characters if characters < SECRET_CHARACTERS_MIN => {
                Err(KeyError::Short { characters, needed: SECRET_CHARACTERS_MIN })
            }
            _ => {
                self.add(kid, Algorithm::HS256, DecodingKey::from_secret(secret.as_bytes()));
                Ok(())
            }
        }
    }

    /// Adds a public key.
    pub(crate) fn add_pem(&mut self, pem: &str) -> Result<(), KeyError> {
        let (algorithm, key) = public_key(pem).map_err(|detail| KeyError::Pem { detail })?;
        self.add(None, algorithm, key);
        Ok(())
    }

    /// The keys of a JWK set (RFC 7517, section 5). Those that are for something else are passed over.
    pub(crate) fn of_jwks(text: &str) -> Result<Self, KeyError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        if text.len() > SET_BYTES_MAX {
            return Err(KeyError::SetTooLarge { bytes: text.len(), bytes_max: SET_BYTES_MAX });
        }
        let set: Set =
            serde_json::from_str(text).map_err(|error| KeyError::NoSet { detail: error.to_string() })?;
        let keys = set.keys.len();
        if keys > SET_KEYS_MAX {
            return Err(KeyError::SetTooLong { keys, keys_max: SET_KEYS_MAX });
        }
        let mut usable = Self::default();
        for jwk in set.keys.into_iter().filter_map(|key| Jwk::deserialize(key).ok()) {
            if let Some((algorithm, key)) = verifier(&jwk) {
                usable.add(jwk.common.key_id.as_deref(), algorithm, key);
            }
        }
        if usable.is_empty() { Err(KeyError::NoUsableKey { keys }) } else { Ok(usable) }
    }

    fn add(&mut self, kid: Option<&str>, algorithm: Algorithm, key: DecodingKey) {
        self.0.push(Verifier { kid: kid.map(Into::into), algorithm, key });
    }

    /// Checks the signature of a token by the key it names; by all that are for its algorithm if it names
    /// none. A key without a name is for every token.
    pub(super) fn verify(&self, token: &Unverified<'_>) -> Result<(), Refused> {
        let kid = token.kid.as_deref();
        let named = |one: &&Verifier| kid.is_none() || one.kid.is_none() || one.kid.as_deref() == kid;
        let fits = |one: &&Verifier| one.algorithm == token.algorithm;
        if !self.0.iter().any(|one| fits(&one)) {
            return Err(Refused::Algorithm { algorithm: format!("{:?}", token.algorithm) });
        }
        let mut candidates = self.0.iter().filter(fits).filter(named).peekable();
        if candidates.peek().is_none() {
            return Err(Refused::UnknownKey { kid: kid.unwrap_or_default().to_owned() });
        }
        let signed = |one: &Verifier| {
            let (signature, signed) = (token.signature, token.signed.as_bytes());
            jsonwebtoken::crypto::verify(signature, signed, &one.key, token.algorithm).unwrap_or(false)
        };
        if candidates.any(signed) { Ok(()) } else { Err(Refused::Signature) }
    }
}

/// The key in a JWK, and what it is for; none if that is not checking tokens.
fn verifier(jwk: &Jwk) -> Option<(Algorithm, DecodingKey)> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if RSA_BYTES.contains(&number_bytes(&rsa.n)) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key)
            if key.curve == EllipticCurve::P256 && is_coordinate(&key.x) && is_coordinate(&key.y) =>
        {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key)
            if key.curve == EllipticCurve::Ed25519 && is_coordinate(&key.x) =>
        {
            Algorithm::EdDSA
        }
        // A secret in a set that everybody can read is none.
        _ => return None,
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    is_for(&jwk.common, algorithm).then_some((algorithm, key))
}

fn bytes_of(base64: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(base64).ok()
}

/// How many bytes a number has, without the zeros in front of it.
fn number_bytes(base64: &str) -> usize {
    bytes_of(base64).map_or(0, |bytes| bytes.iter().skip_while(|byte| **byte == 0).count())
}

/// Whether a text is one coordinate, with the zeros in front of it (RFC 7518, section 6.2.1.2).
fn is_coordinate(base64: &str) -> bool {
    bytes_of(base64).is_some_and(|bytes| bytes.len() == CURVE_BYTES)
}

fn is_for(common: &CommonParameters, algorithm: Algorithm) -> bool {
    let same = match algorithm {
        Algorithm::RS256 => KeyAlgorithm::RS256,
        Algorithm::ES256 => KeyAlgorithm::ES256,
        _ => KeyAlgorithm::EdDSA,
    };
    let operations = common.key_operations.as_deref();
    common.key_algorithm.as_ref().is_none_or(|named| *named == same)
        && common.public_key_use.as_ref().is_none_or(|named| *named == PublicKeyUse::Signature)
        && operations.is_none_or(|named| named.contains(&KeyOperations::Verify))
}

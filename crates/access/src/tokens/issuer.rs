//! An issuer: whose tokens are taken, by which keys, and what they may say of whoever brings them.

use anywire_log::{ChannelPattern, Timestamp};
use serde_json::{Map, Value};

use super::{key_set::KeySet, parts::Unverified};
use crate::{
    grant::Grant,
    principal::{Identity, Kind, Marks, Principal},
    refused::Refused,
    roles::Roles,
};

/// How far the clock of who makes tokens may be ahead of ours.
const CLOCK_SKEW_MS: u64 = 60_000;
/// The greatest number of entries of a list in a claim.
const LIST_MAX: usize = 1_000;

/// Whose tokens are taken.
#[derive(Debug)]
pub(super) struct Issuer {
    /// Beginning of the ids of its users.
    pub(super) source: Box<str>,
    /// What `iss` must be. Without it: anything.
    pub(super) name: Option<Box<str>>,
    /// The setting that says what the server is called in `aud`.
    pub(super) audience_setting: Box<str>,
    pub(super) audience: Vec<String>,
    pub(super) keys: KeySet,
    pub(super) roles_claim: Option<String>,
    pub(super) roles_allowed: Vec<String>,
    /// The roles that everybody has who brings one of its tokens.
    pub(super) roles: Vec<String>,
    pub(super) subscribe_claim: Option<String>,
    pub(super) publish_claim: Option<String>,
}

impl Issuer {
    /// Whether it may be the issuer of a token that says this of itself.
    pub(super) fn is_named(&self, iss: Option<&str>) -> bool {
        self.name.is_none() || self.name.as_deref() == iss
    }

    /// Checks a token wholly, and says whose it is.
    pub(super) fn principal(
        &self,
        token: &Unverified<'_>,
        roles: &Roles,
        now: Timestamp,
    ) -> Result<Principal, Refused> {
        self.keys.verify(token)?;
        let claims = Claims(&token.claims);
        let expires_at = claims.check_times(now)?;
        self.check_audience(&claims)?;
        let user = claims.text("sub")?;
        let mut grants = claims.patterns(self.subscribe_claim.as_deref(), Grant::Subscribe)?;
        grants.extend(claims.patterns(self.publish_claim.as_deref(), Grant::Publish)?);
        let named = self.roles_of(&claims)?;
        let of_roles = named.iter().filter_map(|role| roles.grants(role)).flatten();
        let marks = Marks {
            session: None,
            token_id: claims.find("jti").and_then(Value::as_str).map(Into::into),
            issued_at: claims.time("iat")?,
        };
        let identity = Identity {
            marks,
            roles: named.iter().map(|role| (*role).into()).collect(),
            expires_at: Some(expires_at),
            ..Identity::of(Kind::User, &self.source, user)
        };
        Ok(Principal::new(identity, of_roles.chain(&grants)))
    }

    /// RFC 7519, section 4.1.3: a token that names its audience is for nobody else.
    fn check_audience(&self, claims: &Claims<'_>) -> Result<(), Refused> {
        let named = claims.list("aud", true)?;
        let refused = |named: String| Refused::Audience {
            named,
            setting: self.audience_setting.to_string(),
            expected: self.audience.join(", "),
        };
        match named {
            None if self.audience.is_empty() => Ok(()),
            None => Err(refused("nobody".to_owned())),
            Some(named) if named.iter().any(|one| self.audience.iter().any(|own| own == one)) => Ok(()),
            Some(named) => Err(refused(format!("{named:?}"))),
        }
    }

    /// The roles somebody has: everybody's, and those of the claim that the issuer may give.
    fn roles_of<'r>(&'r self, claims: &Claims<'r>) -> Result<Vec<&'r str>, Refused> {
        let given = self.roles_claim.as_deref().map(|claim| claims.list(claim, true)).transpose()?.flatten();
        let given = given.unwrap_or_default().into_iter();
        let allowed = given.filter(|role| self.roles_allowed.iter().any(|allowed| allowed == role));
        let mut roles: Vec<&str> = self.roles.iter().map(String::as_str).chain(allowed).collect();
        roles.sort_unstable();
        roles.dedup();
        Ok(roles)
    }
}

/// What a token says. Its signature was checked.
struct Claims<'a>(&'a Map<String, Value>);

impl<'a> Claims<'a> {
    /// A claim by its name, or by a path of names where there is none of the whole name: some put dots into
    /// names (`https://example.com/roles`), some claims into claims (`realm_access.roles`).
    fn find(&self, claim: &str) -> Option<&'a Value> {
        let whole = self.0.get(claim);
        let found = whole.or_else(|| {
            let (first, rest) = claim.split_once('.')?;
            rest.split('.').try_fold(self.0.get(first)?, |value, name| value.get(name))
        });
        found.filter(|value| !value.is_null())
    }

    fn text(&self, claim: &str) -> Result<Option<&'a str>, Refused> {
        let Some(value) = self.find(claim) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| wrong(claim, "it is no text"))
    }

    /// A list of texts; where `or_one`, one text stands for a list of it.
    fn list(&self, claim: &str, or_one: bool) -> Result<Option<Vec<&'a str>>, Refused> {
        let entries = match self.find(claim) {
            None => return Ok(None),
            Some(Value::String(one)) if or_one => return Ok(Some(vec![one])),
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err(wrong(claim, "it is no list of texts")),
        };
        if entries.len() > LIST_MAX {
            return Err(wrong(claim, &format!("it has {} entries, the limit is {LIST_MAX}", entries.len())));
        }
        let texts = entries.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
        texts.map(Some).ok_or_else(|| wrong(claim, "it is no list of texts"))
    }

    fn patterns(
        &self,
        claim: Option<&str>,
        grant: fn(ChannelPattern) -> Grant,
    ) -> Result<Vec<Grant>, Refused> {
        let texts = claim.map(|claim| self.list(claim, false)).transpose()?.flatten().unwrap_or_default();
        Ok(texts.into_iter().map(|text| grant(ChannelPattern::new(text))).collect())
    }

    /// A time in seconds since 1970, maybe with a fraction (RFC 7519, section 2).
    fn time(&self, claim: &str) -> Result<Option<Timestamp>, Refused> {
        let Some(value) = self.find(claim) else { return Ok(None) };
        let seconds = value.as_f64().ok_or_else(|| wrong(claim, "it is no number of seconds"))?;
        Ok(Some(Timestamp::from_millis((seconds * 1000.0) as i64)))
    }

    /// When it ends. Refuses a token that has ended, and one whose time has not come: who makes tokens often
    /// lets them begin at once, by a clock of their own.
    fn check_times(&self, now: Timestamp) -> Result<Timestamp, Refused> {
        let end = self.time("exp")?.ok_or_else(|| wrong("exp", "it is missing"))?;
        if end <= now {
            return Err(Refused::Expired);
        }
        let soon = now.plus_millis(CLOCK_SKEW_MS);
        for claim in ["nbf", "iat"] {
            if self.time(claim)?.is_some_and(|begin| begin > soon) {
                let at = self.find(claim).map(ToString::to_string).unwrap_or_default();
                return Err(Refused::Early { claim, at });
            }
        }
        Ok(end)
    }
}

fn wrong(claim: &str, why: &str) -> Refused {
    Refused::Claim { claim: claim.to_owned(), why: why.to_owned() }
}

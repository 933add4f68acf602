//! What a principal is asked on every transport, and the words in which it is refused.

use std::net::IpAddr;

use anywire_access::Principal;
use anywire_log::{Channel, IdempotencyKey, KeyScope};
use anywire_protocol::{Code, Refusal};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::rates::Payer;

/// Questions to a principal.
pub(crate) trait Rights {
    /// Refuses channels that may not be subscribed to, naming the first.
    fn check_subscribe(&self, channels: &[Channel]) -> Result<(), Refusal>;

    /// Refuses channels that may not be published to, naming the first.
    fn check_publish<'a>(&self, channels: impl Iterator<Item = &'a Channel>) -> Result<(), Refusal>;

    /// Refuses what somebody may not do in a part of the server, naming the right that is missing.
    fn check_do(&self, app: &str, action: &str) -> Result<(), Refusal>;

    /// Whom it is charged to what this one does from an address.
    fn payer(&self, address: IpAddr) -> Payer<'_>;

    /// An idempotency key as this one's own. Tokens that name no user share one name space: their address may
    /// be another when they try again.
    fn own_key(&self, key: IdempotencyKey) -> IdempotencyKey;

    /// Whose this one's keys are; none of a back end.
    fn key_scope(&self) -> Option<KeyScope>;
}

impl Rights for Principal {
    fn check_subscribe(&self, channels: &[Channel]) -> Result<(), Refusal> {
        let refused = channels.iter().find(|channel| !self.may_subscribe(channel));
        refused.map_or(Ok(()), |channel| Err(forbidden(self, "subscribe to", channel)))
    }

    fn check_publish<'a>(&self, mut channels: impl Iterator<Item = &'a Channel>) -> Result<(), Refusal> {
        let refused = channels.find(|channel| !self.may_publish(channel));
        refused.map_or(Ok(()), |channel| Err(forbidden(self, "publish to", channel)))
    }

    fn check_do(&self, app: &str, action: &str) -> Result<(), Refusal> {
        if self.may_do(app, action, None) {
            return Ok(());
        }
        let message = format!(
            "this needs the right {app}:{action}, which {self} does not have; use an API key or a role that has it"
        );
        Err(Refusal::new(Code::Forbidden, message))
    }

    fn payer(&self, address: IpAddr) -> Payer<'_> {
        self.user().map_or(Payer::Address(address), |_| Payer::User(self.id()))
    }

    fn own_key(&self, key: IdempotencyKey) -> IdempotencyKey {
        match self.key_scope() {
            Some(scope) => scope.own(&key),
            None => key,
        }
    }

    fn key_scope(&self) -> Option<KeyScope> {
        if self.is_backend() && self.may_everything() {
            return None;
        }
        let digest = Sha256::digest(self.id().as_bytes());
        Some(KeyScope::new(BASE64_URL_SAFE_NO_PAD.encode(&digest[..15])))
    }
}

fn forbidden(principal: &Principal, what: &str, channel: &Channel) -> Refusal {
    if principal.is_nobody() {
        let message = "no token was given; send \"auth\" with one first";
        return Refusal::new(Code::Unauthorized, message);
    }
    let message = format!("the token does not allow to {what} channel {channel}; ask for one that does");
    Refusal::new(Code::Forbidden, message)
}

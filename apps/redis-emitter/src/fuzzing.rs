//! What must hold for any message that comes over Redis: the body of a fuzz target in `/fuzz`.

use std::sync::LazyLock;

use anywire_app::Owned;
use anywire_log::Payload;
use serde_json::value::RawValue;

use crate::{
    RedisConfig,
    emission::{Emission, Mapping, Refused, Rules},
    node, python,
};

#[cfg(test)]
#[path = "../../../fuzz/smoke.rs"]
mod smoke;

/// Small, so that they are met often.
const MESSAGE_BYTES_MAX: usize = 2000;
const ROOMS_MAX: usize = 4;

static MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    let config = RedisConfig { rooms_max: ROOMS_MAX, ..RedisConfig::default() };
    let owned = vec![Owned::state("jobs")];
    Mapping::new(&config, Rules { message_bytes_max: MESSAGE_BYTES_MAX, owned })
});

/// A message of an emitter, in MessagePack, JSON or a pickle, becomes publications of one line of JSON or of
/// bytes on channels that nobody else owns, or is refused.
pub fn emission(data: &[u8]) {
    check(node::read(data));
    check(python::read(data));
}

fn check(found: Result<Emission<'_>, Refused>) {
    let Ok(publications) = found.and_then(|emission| MAPPING.publications(&emission)) else { return };
    assert!((1..=ROOMS_MAX).contains(&publications.len()));
    for publication in publications {
        let channel = publication.channel.as_str();
        assert!(!channel.starts_with('$') && channel != "jobs", "{channel}");
        assert!(publication.payload.as_bytes().len() <= MESSAGE_BYTES_MAX);
        if let Payload::Json(text) = &publication.payload {
            assert!(serde_json::from_slice::<&RawValue>(text).is_ok(), "{text:?}");
            assert!(!text.contains(&b'\n') && !text.contains(&b'\r'), "{text:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_emission_keeps_its_promises_for_any_bytes() {
        super::smoke::check("emission", 5_000, super::emission);
    }
}

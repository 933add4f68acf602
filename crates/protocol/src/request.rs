//! What a client asks of a streaming transport in its URL and headers (PROTOCOL.md, sections 6 to 10).

use std::collections::HashSet;

use anywire_codes::{query::Members, sse};
use anywire_log::{Channel, Position};

use crate::{Code, Refusal, names};

/// The greatest `wait`, in seconds.
pub const WAIT_MAX_S: u32 = 60;

/// The parameters of `/anywire/sse`, `/anywire/poll` and `/anywire/ws`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamQuery {
    /// The channels, in the order given, without repetitions.
    pub channels: Vec<Channel>,
    /// Where to start; `None` where nothing was said.
    pub after: Option<Position>,
    /// What stands for `Last-Event-ID` where headers cannot carry it.
    pub last_event_id: Option<String>,
    /// Whether it goes on where it stopped: it said which event it had last.
    pub resumes: bool,
    /// How long a poll waits, in seconds.
    pub wait_s: u32,
    /// How many events a poll returns.
    pub limit: Option<usize>,
    /// Whether the client becomes a member of its channels.
    pub presence: bool,
    /// The name the client gave itself.
    pub client: Option<String>,
    /// The token or ticket, where headers cannot carry it.
    pub token: Option<String>,
}

impl StreamQuery {
    /// Reads a query string (without `?`). Unknown parameters are ignored: proxies and libraries add their
    /// own.
    ///
    /// # Errors
    /// A [`Refusal`] that names the parameter and its value.
    pub fn parse(query: &str, channels_max: usize) -> Result<Self, Refusal> {
        let members = Members::parse(query)?;
        let mut channels = NamedChannels::new(channels_max);
        for (_, value) in members.iter().filter(|(name, _)| matches!(*name, "channels" | "channel")) {
            channels.add(value)?;
        }
        let number =
            |name, least, most| members.text(name)?.map(|text| number(name, text, least, most)).transpose();
        let events_max = u32::try_from(crate::poll::EVENTS_MAX).unwrap_or(u32::MAX);
        Ok(Self {
            channels: channels.channels,
            after: members.text("after")?.map(|text| sse::position("after", text)).transpose()?,
            last_event_id: members.last_event_id()?.map(str::to_owned),
            resumes: false,
            wait_s: number("wait", 0, WAIT_MAX_S)?.unwrap_or_default(),
            limit: number("limit", 1, events_max)?.map(|limit| limit as usize),
            presence: matches!(members.text("presence")?, Some("1" | "true")),
            client: members.text("client")?.map(client).transpose()?,
            token: token(&members)?,
        })
    }

    /// Refuses a request that names no channel.
    ///
    /// # Errors
    /// `invalid_request`, with the way out.
    pub fn require_channels(&self) -> Result<(), Refusal> {
        if self.channels.is_empty() {
            let message = "\"channels\" is missing; name at least one, such as ?channels=news";
            return Err(Refusal::new(Code::InvalidRequest, message));
        }
        Ok(())
    }

    /// Takes `Last-Event-ID`, the header or else the parameter: either wins over `after`. An empty one says
    /// nothing.
    ///
    /// # Errors
    /// `invalid_cursor`.
    pub fn with_last_event_id(self, header: Option<&str>) -> Result<Self, Refusal> {
        let last = sse::start(header, self.last_event_id.as_deref(), None)?;
        Ok(Self { after: last.or(self.after), resumes: last.is_some(), ..self })
    }
}

/// The channels that a query names, one parameter after the other. As many names are read as a connection may
/// follow channels, also where one stands there twice.
struct NamedChannels {
    channels: Vec<Channel>,
    seen: HashSet<Channel>,
    count: usize,
    count_max: usize,
}

impl NamedChannels {
    fn new(count_max: usize) -> Self {
        Self { channels: Vec::new(), seen: HashSet::new(), count: 0, count_max }
    }

    fn add(&mut self, value: &str) -> Result<(), Refusal> {
        for text in value.split(',') {
            self.count += 1;
            if self.count > self.count_max {
                return Err(names::too_many("channels", self.count_max));
            }
            let channel = names::channel(text)?;
            if self.seen.insert(channel.clone()) {
                self.channels.push(channel);
            }
        }
        Ok(())
    }
}

/// Refuses more channels than a connection may have.
///
/// # Errors
/// `too_many_channels`, with the setting.
pub fn check_channels(count: usize, channels_max: usize) -> Result<(), Refusal> {
    if count > channels_max {
        let message = format!(
            "{count} channels on one connection, the limit is {channels_max} (limits.channels_max); open another connection"
        );
        return Err(Refusal::new(Code::TooManyChannels, message));
    }
    Ok(())
}

fn number(name: &str, text: &str, least: u32, most: u32) -> Result<u32, Refusal> {
    let parsed = text.parse::<u32>().ok().filter(|number| (least..=most).contains(number));
    parsed.ok_or_else(|| {
        let message = format!("\"{name}\" is {text:?}; expected a whole number from {least} to {most}");
        Refusal::new(Code::InvalidRequest, message)
    })
}

/// Checks a client's name for itself: 1 to 64 of `A–Z a–z 0–9 - _`.
fn client(text: &str) -> Result<String, Refusal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
        let text: String = text.chars().take(64).collect();
        let message = format!("\"client\" is {text:?}; expected 1 to 64 of A-Z a-z 0-9 - _");
        return Err(Refusal::new(Code::InvalidRequest, message));
    }
    Ok(text.to_owned())
}

/// The `token` or `ticket` of a query string of which nothing else is asked.
///
/// # Errors
/// `invalid_request`: it stands there twice, or something is no UTF-8.
pub fn query_token(query: &str) -> Result<Option<String>, Refusal> {
    token(&Members::parse(query)?)
}

/// A token, or a ticket in its place.
fn token(members: &Members) -> Result<Option<String>, Refusal> {
    let (token, ticket) = (members.text("token")?, members.text("ticket")?);
    Ok(token.or(ticket).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(query: &str) -> Vec<String> {
        let parsed = StreamQuery::parse(query, 3).expect(query);
        parsed.channels.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn channels_come_as_a_list_or_repeated_and_are_decoded() {
        assert_eq!(names("channels=a,b"), ["a", "b"]);
        assert_eq!(names("channel=a&channel=b&channels=a"), ["a", "b"]);
        assert_eq!(names("channels=ti%E1%BA%BFng%3A1%2Cx"), ["tiếng:1", "x"]);
    }

    #[test]
    fn wrong_parameters_are_refused_by_name() {
        let check = |query: &str, code| {
            let refusal = StreamQuery::parse(query, 2).expect_err(query);
            assert_eq!(refusal.code, code, "{query}");
        };
        check("channels=", Code::InvalidChannel);
        check("channels=a,,b", Code::InvalidChannel);
        check("channels=a,b,c", Code::TooManyChannels);
        check("channels=a,a,a", Code::TooManyChannels);
        check("channels=a&channel=a&channels=a", Code::TooManyChannels);
        check("after=1", Code::InvalidCursor);
        check("wait=61", Code::InvalidRequest);
        check("wait=-1", Code::InvalidRequest);
        check("limit=0", Code::InvalidRequest);
        check("client=a%20b", Code::InvalidRequest);
        check("channels=%ff", Code::InvalidChannel);
        check("channel=a&channel=%fe", Code::InvalidChannel);
        check("channel=a&client=%ff", Code::InvalidRequest);
        for twice in ["after=0", "wait=1", "limit=1", "presence=1", "client=a", "token=t", "lastEventId=0"] {
            check(&format!("channel=a&{twice}&{twice}"), Code::InvalidRequest);
        }
    }

    #[test]
    fn the_last_event_id_wins_over_after() {
        let query = StreamQuery::parse("channels=a&after=0", 2).expect("a query");
        let query = query.with_last_event_id(Some("1f0c93ab-5")).expect("a cursor");
        assert_eq!(query.after, Some(Position::After("1f0c93ab-5".parse().expect("a cursor"))));
        let query = query.with_last_event_id(Some("")).expect("nothing");
        assert!(matches!(query.after, Some(Position::After(_))));
    }

    #[test]
    fn the_last_event_id_may_be_a_parameter_in_any_spelling() {
        let cursor = |text: &str| Some(Position::After(text.parse().expect("a cursor")));
        for name in ["lastEventId", "Last-Event-ID", "lastEventID", "last_event_id"] {
            let query = StreamQuery::parse(&format!("channels=a&{name}=1f0c93ab-7&after=0"), 2).expect(name);
            let with = |header| query.clone().with_last_event_id(header).expect("a cursor").after;
            assert_eq!(with(None), cursor("1f0c93ab-7"), "{name}");
            assert_eq!(
                with(Some("1f0c93ab-9")),
                cursor("1f0c93ab-9"),
                "the header is newer than the address"
            );
        }
        let query = StreamQuery::parse("channels=a&lastEventId=&after=1f0c93ab-2", 2).expect("a query");
        assert_eq!(query.with_last_event_id(None).expect("nothing").after, cursor("1f0c93ab-2"));
        let query = StreamQuery::parse("channels=a&lastEventId=x", 2).expect("a query");
        assert_eq!(query.with_last_event_id(None).expect_err("no cursor").code, Code::InvalidCursor);
    }
}

//! Where a chunked body (RFC 9112, section 7.1) ends. Whoever reads the body decodes and judges it; this only
//! follows.

/// How far a chunked body has come.
///
/// ```text
/// SIZE [;extension] CR LF  DATA CR LF  …  0 CR LF  [trailer CR LF …]  CR LF
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    /// Bytes of the chunk that are still to come.
    left: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    DataEnd,
    DataEnded,
    TrailerStart,
    Trailer,
    TrailerEnd,
    End,
    /// Behind its last byte.
    Ended,
    /// It is no chunked body: nobody knows where it ends.
    Lost,
}

/// Where a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Before its end.
    Within,
    /// At its end.
    Ended,
    /// It has none that could be found.
    Lost,
}

impl Chunks {
    /// Follows further bytes; how many of them belong to the body.
    pub fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Ended => return at,
                State::Lost => return bytes.len(),
                State::Data => {
                    let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    self.left -= count as u64;
                    at += count;
                    if self.left == 0 {
                        self.state = State::DataEnd;
                    }
                }
                state => {
                    self.state = self.after(state, bytes[at]);
                    at += 1;
                }
            }
        }
        at
    }

    /// Where it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match self.state {
            State::Ended => Progress::Ended,
            State::Lost => Progress::Lost,
            _ => Progress::Within,
        }
    }

    fn after(&mut self, state: State, byte: u8) -> State {
        match (state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() => {
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                match self.left.checked_mul(16) {
                    Some(size) => {
                        self.left = size + digit;
                        State::Size
                    }
                    None => State::Lost,
                }
            }
            (State::Size, b';' | b' ' | b'\t') => State::Extension,
            (State::Size | State::Extension, b'\r') => State::SizeEnd,
            (State::SizeEnd, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeEnd, b'\n') => State::Data,
            (State::DataEnd, b'\r') => State::DataEnded,
            (State::DataEnded, b'\n') => State::Size,
            (State::TrailerStart, b'\r') => State::End,
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::TrailerEnd, b'\n') => State::TrailerStart,
            (State::End, b'\n') => State::Ended,
            (State::Extension, byte) if byte != b'\n' => State::Extension,
            (State::TrailerStart | State::Trailer | State::TrailerEnd, _) => State::Trailer,
            _ => State::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(text: &str) -> (usize, Progress) {
        let mut chunks = Chunks::default();
        (chunks.follow(text.as_bytes()), chunks.progress())
    }

    #[test]
    fn the_end_of_a_body_is_found_at_every_cut() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "1;a=b\r\n\n\r\n0a \r\n0123456789\r\n00\r\nX: y\r\nZ:\r\n\r\n",
        ] {
            let with_next = format!("{body}GET / HTTP/1.1\r\n");
            assert_eq!(followed(&with_next), (body.len(), Progress::Ended), "{body}");
            for cut in 0..body.len() {
                let mut chunks = Chunks::default();
                assert_eq!(chunks.follow(&body.as_bytes()[..cut]), cut);
                assert_eq!(chunks.progress(), Progress::Within, "{body} {cut}");
                assert_eq!(chunks.follow(&with_next.as_bytes()[cut..]), body.len() - cut);
            }
        }
    }

    #[test]
    fn what_is_no_chunk_has_no_end() {
        for body in ["zz\r\n", "3\nabc", "1\r\nabc\r\n", "10000000000000000\r\n", "0\r\n\rx", "1;\n"] {
            assert_eq!(followed(body), (body.len(), Progress::Lost), "{body}");
        }
    }
}

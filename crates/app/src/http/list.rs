//! Lists of a body: counted while they are read.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

/// Reads a list of at most so many elements, for `#[serde(deserialize_with)]`: the first that is too many
/// ends the reading, whatever it and those after it are.
///
/// # Errors
/// Names the member and the limit.
pub fn list_of<'de, T, D>(deserializer: D, member: &'static str, count_max: usize) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_seq(Elements { member, count_max, of: PhantomData })
}

struct Elements<T> {
    member: &'static str,
    count_max: usize,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
    type Value = Vec<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a list of at most {} for {:?}", self.count_max, self.member)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while list.len() < self.count_max {
            let Some(element) = elements.next_element()? else { return Ok(list) };
            list.push(element);
        }
        match elements.next_element::<Any>()? {
            None => Ok(list),
            Some(Any) => {
                let Self { member, count_max, .. } = self;
                Err(A::Error::custom(format_args!(
                    "{member:?} has more than {count_max} entries, the limit; send fewer at once"
                )))
            }
        }
    }
}

/// An element that is too many; what it is does not matter.
struct Any;

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local!(static READ: Cell<usize> = const { Cell::new(0) });

    /// An element that counts how many of it were read.
    struct Counted;

    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            READ.set(READ.get() + 1);
            u32::deserialize(deserializer).map(|_| Self)
        }
    }

    fn counted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Counted>, D::Error> {
        list_of(deserializer, "points", 3)
    }

    #[derive(Deserialize)]
    struct Body {
        #[serde(deserialize_with = "counted")]
        points: Vec<Counted>,
    }

    fn read(elements: &str) -> (usize, Result<usize, String>) {
        READ.set(0);
        let body = serde_json::from_str::<Body>(&format!("{{\"points\":[{elements}]}}"));
        (READ.get(), body.map(|body| body.points.len()).map_err(|error| error.to_string()))
    }

    #[test]
    fn a_list_is_read_as_far_as_its_limit_however_long_it_is() {
        for count in 0..=3 {
            assert_eq!(read(&vec!["1"; count].join(",")), (count, Ok(count)));
        }
        for elements in ["1,1,1,1", "1,1,1,{}", &vec!["1"; 100_000].join(",")] {
            let (steps, refused) = read(elements);
            let message = refused.expect_err("too many");
            assert_eq!(steps, 3);
            assert!(message.starts_with("\"points\" has more than 3 entries"), "{message}");
        }
        let (_, other) = read("1,true");
        assert!(other.is_err());
    }
}

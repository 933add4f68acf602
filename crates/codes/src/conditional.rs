//! Conditional requests: whether a client has already what it would get (RFC 9110, section 13.1.2).

/// Whether `If-None-Match` names the entity tag: `*`, or a list of tags that are compared weakly, so `W/"1"`
/// and `"1"` are the same.
///
/// `fields` are the values of all header lines of that name; none means that the client has nothing. `tag` is
/// written as in `ETag`, with its quotes. What is no list of tags names nothing from there on: the client
/// gets the whole answer, which is never wrong.
#[must_use]
pub fn none_match<'a>(fields: impl IntoIterator<Item = &'a str>, tag: &str) -> bool {
    let wanted = opaque(tag);
    fields.into_iter().any(|field| field.trim_matches(WHITE_SPACE) == "*" || names(field, wanted))
}

const WHITE_SPACE: [char; 2] = [' ', '\t'];

/// The tag without its mark of weakness.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// Whether one of the tags in the list is `wanted`. A tag may hold commas: the list is not simply cut at
/// them.
fn names(list: &str, wanted: &str) -> bool {
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let quoted = opaque(rest);
        let Some(end) = quoted.strip_prefix('"').and_then(|text| text.find('"')) else { return false };
        let (tag, behind) = quoted.split_at(end + 2);
        rest = behind.trim_start_matches(WHITE_SPACE);
        if !rest.is_empty() && !rest.starts_with(',') {
            return false;
        }
        if tag == wanted {
            return true;
        }
        if rest.is_empty() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: &str, names: bool) {
        assert_eq!(none_match([field], "\"5\""), names, "{field}");
        assert_eq!(none_match([field], "W/\"5\""), names, "{field}, weak");
    }

    #[test]
    fn a_copy_is_known_by_its_tag_whoever_made_it_weak() {
        for field in
            ["\"5\"", "W/\"5\"", "\"x\", \"5\"", "\"a,b\",W/\"5\"", " , \"5\" ,", "*", " * ", "\"5\",x"]
        {
            check(field, true);
        }
    }

    #[test]
    fn other_tags_and_texts_that_are_none_name_nothing() {
        for field in [
            "",
            "5",
            "\"6\"",
            "\"55\"",
            "\"5",
            "5\"",
            "w/\"5\"",
            "\"x,\"5\"\"",
            "x, \"5\"",
            "\"*\"",
            "\"x\", *",
            "\"5\"x",
            "\"5\" x",
            "\"5\"\"5\"",
        ] {
            check(field, false);
        }
    }

    #[test]
    fn every_line_of_the_header_counts_and_none_means_no_copy() {
        assert!(none_match(["\"4\"", "\"5\""], "\"5\""));
        assert!(!none_match([], "\"5\""));
    }
}

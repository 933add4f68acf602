//! Texts that have to fit a place.

/// The first `chars_max` characters of a text, and an ellipsis where there are more.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// As [`cut`], but after a whole word where there is one.
pub(crate) fn cut_words(text: &str, chars_max: usize) -> String {
    let Some((end, next)) = text.char_indices().nth(chars_max) else { return text.to_owned() };
    let head = &text[..end];
    let whole = if next.is_whitespace() { Some(end) } else { head.rfind(char::is_whitespace) };
    format!("{}…", head[..whole.unwrap_or(end)].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_after_a_word_where_it_has_any() {
        assert_eq!(cut_words("one two three", 9), "one two…");
        assert_eq!(cut_words("one two three", 7), "one two…");
        assert_eq!(cut_words("one two", 7), "one two");
        assert_eq!(cut_words("漢字漢字", 2), "漢字…");
    }
}

//! Texts that have to fit a place.

use unicode_segmentation::UnicodeSegmentation;

/// The first `chars_max` characters of a text, and an ellipsis where there are more.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// At most so many characters, and an ellipsis where there are more: whole words where there are any, and no
/// part of a sign that is made of several, such as a letter with its marks.
#[must_use]
pub fn cut_words(text: &str, chars_max: usize) -> String {
    let Some((limit, _)) = text.char_indices().nth(chars_max) else { return text.to_owned() };
    let places = text.grapheme_indices(true).map(|(place, _)| place);
    let end = places.take_while(|place| *place <= limit).last().unwrap_or(0);
    let (head, rest) = text.split_at(end);
    // A word longer than half of what there is room for is cut: the rest would say too little.
    let before_word = head.rfind(char::is_whitespace).filter(|place| place * 2 >= end);
    let whole = if rest.starts_with(char::is_whitespace) { Some(end) } else { before_word };
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
        assert_eq!(cut_words("a Donaudampfschifffahrt", 12), "a Donaudampf…");
    }

    #[test]
    fn no_part_of_a_sign_is_left() {
        assert_eq!(cut_words("xe\u{302}\u{301}y", 3), "x…");
        assert_eq!(cut_words("ab👩‍👩‍👧‍👧cd", 5), "ab…");
        assert_eq!(cut_words("🇻🇳🇻🇳", 3), "🇻🇳…");
        assert_eq!(cut_words("👩‍👩‍👧‍👧", 3), "…");
    }
}

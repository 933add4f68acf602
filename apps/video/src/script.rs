//! From a message to a short script. Pure.
//!
//! What is said comes from the message: its words without the request for a video, a sentence or a few a
//! scene. A message that only names a topic gets a frame around it that is true of every video made here.
//! Nothing is made up.

use regex::Regex;

use crate::text::cut_words;

/// The longest text of one scene, in characters: about ten seconds of speech.
const SCENE_CHARS_MAX: usize = 160;
/// The longest title, in characters.
const TITLE_CHARS_MAX: usize = 90;

/// The language of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Vietnamese.
    Vietnamese,
}

impl Language {
    /// The language of that code; none for anything else, which means: look at the text.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::English),
            "vi" => Some(Self::Vietnamese),
            _ => None,
        }
    }

    /// The code of the language.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Vietnamese => "vi",
        }
    }

    /// A text is Vietnamese when it has a letter that of these two only Vietnamese has.
    fn of(text: &str) -> Self {
        let own = |sign: char| {
            matches!(sign, 'ă' | 'â' | 'đ' | 'ê' | 'ô' | 'ơ' | 'ư' | 'ĩ' | 'ũ')
                || ('\u{1ea0}'..='\u{1ef9}').contains(&sign)
        };
        if text.to_lowercase().chars().any(own) { Self::Vietnamese } else { Self::English }
    }
}

/// What is said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) language: Language,
    pub(crate) title: String,
    pub(crate) scenes: Vec<String>,
    /// Pictures of the message, each once: no voice says and no font draws them.
    pub(crate) left_out: String,
}

/// A request for a video: whole words only, and without a verb only where its topic is set off.
const REQUEST_EN: &str = r"(?xi) ^\s* (?:please\s+)? (?:(?:can|could|would)\s+you\s+(?:please\s+)?)?
    (?: (?:i\s+(?:want|would\s+like)\s+)? (?:(?:make|create|produce|generate|record)\s+)? (?:me\s+)? (?:(?:an?|the)\s+)?
        (?:(?:short|quick|nice)\s+)* (?:videos?|clips?|films?)\b \s*
        (?: (?:about|on|of|for|introducing|that\s+says|saying)\b \s* [:,\-–]* | [:,\-–]+ | $ )
      | (?:i\s+(?:want|would\s+like)|make|create|produce|generate|record)\s+ (?:me\s+)? (?:(?:an?|the)\s+)?
        (?:(?:short|quick|nice)\s+)* (?:videos?|clips?|films?)\b ) \s*";
const REQUEST_VI: &str = r"(?xi) ^\s* (?:hãy\s+|vui\s+lòng\s+|xin\s+|bạn\s+|em\s+|giúp\s+(?:tôi|mình|em)\s+)*
    (?: (?:(?:tạo|làm|dựng|quay|viết)\s+)? (?:cho\s+(?:tôi|mình|em|anh|chị)\s+)? (?:(?:một|1)\s+)? (?:đoạn\s+)?
        (?:video|clip|phim)\b \s* (?:ngắn\b\s*)?
        (?: (?:giới\s+thiệu\s+về|giới\s+thiệu|nói\s+về|kể\s+về|về)\b \s* [:,\-–]* | [:,\-–]+ | $ )
      | (?:tạo|làm|dựng|quay|viết)\s+ (?:cho\s+(?:tôi|mình|em|anh|chị)\s+)? (?:(?:một|1)\s+)? (?:đoạn\s+)?
        (?:video|clip|phim)\b (?:\s+ngắn\b)? ) \s*";

/// Writes the script.
pub(crate) fn write(message: &str, language: Option<Language>) -> Script {
    let left_out = pictures(message);
    let message = speakable(message);
    let language = language.unwrap_or_else(|| Language::of(&message));
    let topic = without_request(&message, language);
    let sentences = sentences(&topic);
    let whole = sentences.first().map_or(topic.as_str(), String::as_str).trim_end_matches(['.', '!', '?']);
    let title = capital(&cut_words(whole, TITLE_CHARS_MAX));
    let mut scenes = match sentences.as_slice() {
        // A sentence that is no title is said as it is.
        [_] | [] if whole.chars().count() <= TITLE_CHARS_MAX => about(&title, language),
        [] => packed(&[topic]),
        several => packed(several),
    };
    scenes.push(match language {
        Language::English => "Thank you for watching.".to_owned(),
        Language::Vietnamese => "Cảm ơn bạn đã theo dõi.".to_owned(),
    });
    Script { language, title, scenes, left_out }
}

/// The frame around a topic.
fn about(topic: &str, language: Language) -> Vec<String> {
    let lines: [String; 3] = match language {
        Language::English => [
            format!("{topic}."),
            format!("This short video is about: {topic}."),
            "Its script, its voice and its pictures were made step by step, while you watched.".to_owned(),
        ],
        Language::Vietnamese => [
            format!("{topic}."),
            format!("Đây là một video ngắn về: {topic}."),
            "Kịch bản, giọng đọc và hình ảnh được tạo ra từng bước, ngay trước mắt bạn.".to_owned(),
        ],
    };
    lines.into_iter().flat_map(|line| split_long(&line)).collect()
}

fn without_request(message: &str, language: Language) -> String {
    let pattern = match language {
        Language::English => REQUEST_EN,
        Language::Vietnamese => REQUEST_VI,
    };
    let request = Regex::new(pattern).expect("our own pattern, held by a test");
    let rest = request.replace(message, "");
    // Nothing but the request: then that is the topic.
    if rest.trim().is_empty() { message.trim().to_owned() } else { rest.trim().to_owned() }
}

/// Without what no voice and no font has: control characters and pictures.
fn speakable(text: &str) -> String {
    let spaced = text.chars().map(|sign| {
        if sign == '\n' {
            '.'
        } else if sign.is_control() {
            ' '
        } else {
            sign
        }
    });
    let text: String = spaced.filter(|sign| !is_picture(*sign) && !is_joiner(*sign)).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    // What was left out may have stood before a mark.
    let marked = |text: String| {
        [".", ",", "!", "?"].iter().fold(text, |text, mark| text.replace(&format!(" {mark}"), mark))
    };
    let has_words = text.chars().any(char::is_alphanumeric);
    if has_words { marked(words.join(" ")) } else { "…".to_owned() }
}

/// The pictures of a text, each once.
fn pictures(text: &str) -> String {
    let mut found = String::new();
    for sign in text.chars().filter(|sign| is_picture(*sign)) {
        if !found.contains(sign) {
            found.push(sign);
        }
    }
    found
}

fn is_picture(sign: char) -> bool {
    // Ideographs that are rare stand behind the pictures.
    matches!(sign, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1ffff}' | '\u{e0000}'..='\u{10ffff}')
}

/// What joins pictures, or says how they look.
fn is_joiner(sign: char) -> bool {
    matches!(sign, '\u{fe00}'..='\u{fe0f}' | '\u{200d}')
}

fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut sentence = String::new();
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        sentence.push(sign);
        // A full stop in the middle of a number or a name ends nothing.
        let ends = matches!(sign, '.' | '!' | '?' | '…')
            && signs.peek().is_none_or(|next| next.is_whitespace())
            || matches!(sign, '。' | '！' | '？');
        if ends {
            found.push(std::mem::take(&mut sentence));
        }
    }
    found.push(sentence);
    found.retain(|sentence| sentence.chars().any(char::is_alphanumeric));
    found.iter().map(|sentence| sentence.trim().to_owned()).collect()
}

/// As many sentences a scene as fit.
fn packed(sentences: &[String]) -> Vec<String> {
    let mut scenes: Vec<String> = Vec::new();
    for part in sentences.iter().flat_map(|sentence| split_long(&capital(sentence))) {
        match scenes.last_mut() {
            Some(last) if last.chars().count() + 1 + part.chars().count() <= SCENE_CHARS_MAX / 2 => {
                last.push(' ');
                last.push_str(&part);
            }
            _ => scenes.push(part),
        }
    }
    scenes
}

/// A sentence that is too long becomes several parts, between words where there are any.
fn split_long(sentence: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for word in sentence.split_whitespace().flat_map(pieces) {
        let last = parts.last_mut().expect("it begins with one");
        let space = usize::from(!last.is_empty());
        if last.chars().count() + space + word.chars().count() > SCENE_CHARS_MAX {
            parts.push(word);
        } else {
            last.push_str(if space == 1 { " " } else { "" });
            last.push_str(&word);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn pieces(word: &str) -> Vec<String> {
    let signs: Vec<char> = word.chars().collect();
    signs.chunks(SCENE_CHARS_MAX).map(|piece| piece.iter().collect()).collect()
}

fn capital(text: &str) -> String {
    let mut signs = text.chars();
    signs.next().map_or(String::new(), |first| first.to_uppercase().chain(signs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_not_part_of_the_topic() {
        let check = |message: &str, language: Language, title: &str| {
            let script = write(message, None);
            assert_eq!((script.language, script.title.as_str()), (language, title), "{message}");
        };
        check(
            "Please make a short video about the history of Hanoi",
            Language::English,
            "The history of Hanoi",
        );
        check("Can you create me a video on tides?", Language::English, "Tides");
        check("Tạo cho tôi một video về biển Việt Nam", Language::Vietnamese, "Biển Việt Nam");
        check("hãy làm video giới thiệu phố cổ Hội An!", Language::Vietnamese, "Phố cổ Hội An");
        check("Tides", Language::English, "Tides");
        check("make a video", Language::English, "Make a video");
        check("Filmmakers of Vietnam", Language::English, "Filmmakers of Vietnam");
        check("a video about filmmakers", Language::English, "Filmmakers");
        check("Videography for beginners", Language::English, "Videography for beginners");
        check("Clippers and yachts", Language::English, "Clippers and yachts");
        check("Film festivals of Asia", Language::English, "Film festivals of Asia");
        check("Make a video formats are compared in", Language::English, "Formats are compared in");
        check("Video: the tides", Language::English, "The tides");
        check("Phim ảnh Việt Nam", Language::Vietnamese, "Phim ảnh Việt Nam");
    }

    #[test]
    fn no_title_ends_inside_a_word_and_a_long_sentence_is_said_whole() {
        let message = "The international documentary filmmakers of the southern provinces of Vietnam and their audiences \
            meet every year in Da Nang to show what they have made";
        let script = write(message, None);
        let title = script.title.strip_suffix('…').expect("it is cut");
        assert!(message.starts_with(title) && message[title.len()..].starts_with(' '), "{title:?}");
        let said = script.scenes[..script.scenes.len() - 1].join(" ");
        assert_eq!(said, message);
    }

    #[test]
    fn pictures_are_left_out_and_that_is_known() {
        let script = write("Tea 🍵 and 👩‍🚀 🍵", None);
        assert_eq!((script.title.as_str(), script.left_out.as_str()), ("Tea and", "🍵👩🚀"));
        assert_eq!(write("Tea 🍵. Milk 🥛!", None).scenes[0], "Tea. Milk!");
        assert_eq!(write("𠮷野家", None).left_out, "");
    }

    #[test]
    fn a_topic_gets_a_frame_and_a_text_is_said_as_it_is() {
        assert_eq!(write("a video about tea", None).scenes.len(), 4);
        let script = write(
            "Tea is grown in Thái Nguyên. It is picked by hand. It is 2.5 times dearer.",
            Some(Language::English),
        );
        let said = script.scenes.join(" ");
        assert!(
            said.contains("picked by hand. It is 2.5 times dearer.")
                && said.ends_with("Thank you for watching."),
            "{said}"
        );
        assert_eq!(write("x", Some(Language::Vietnamese)).language, Language::Vietnamese);
    }

    #[test]
    fn whatever_the_message_is_every_scene_fits() {
        let messages = [
            "🎬",
            "a",
            "…",
            "\u{1}\n\n",
            &"x".repeat(2000),
            &"Một câu. ".repeat(250),
            &"từ ".repeat(600),
            "-v; $(x) `y` %{n} 100%",
        ];
        for message in messages {
            let script = write(message, None);
            assert!(
                !script.title.is_empty() && (2..40).contains(&script.scenes.len()),
                "{message}: {}",
                script.scenes.len()
            );
            assert!(
                script.scenes.iter().all(|scene| (1..=SCENE_CHARS_MAX).contains(&scene.chars().count())),
                "{message}"
            );
        }
    }
}

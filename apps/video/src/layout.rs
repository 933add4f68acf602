//! Words in lines that fit a frame: broken between words where there are any, and inside what is longer
//! than a line. Pure: how wide a text is, is asked for.

use unicode_linebreak::linebreaks;
use unicode_segmentation::UnicodeSegmentation as _;

/// Sizes of letters, and how many lines of each there is room for.
const SIZES: [(u32, usize); 4] = [(54, 3), (42, 7), (32, 9), (24, 12)];
/// In so many steps a narrower block of as many lines is looked for.
const NARROWER: u32 = 30;

/// Lines, and how large they are written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) lines: Vec<String>,
    pub(crate) size: u32,
}

/// The largest letters with which a text fits, in as few lines as it takes, of about the same length.
/// `measure` gives the width of a text in letters of size 1.
pub(crate) fn block(text: &str, width: f64, measure: impl Fn(&str) -> f64) -> Block {
    let lines = |size: u32, width: f64| wrap(text, width / f64::from(size), &measure);
    let fits = |(size, lines_max): &&(u32, usize)| lines(*size, width).len() <= *lines_max;
    let size = SIZES.iter().find(fits).unwrap_or(&SIZES[SIZES.len() - 1]).0;
    let fewest = lines(size, width);
    let narrower = (1..NARROWER).map(|step| lines(size, width * f64::from(step) / f64::from(NARROWER)));
    // No word is broken for the sake of a balance.
    let mut balanced = narrower.filter(|lines| lines.len() == fewest.len() && same_words(lines, &fewest));
    Block { lines: balanced.next().unwrap_or(fewest), size }
}

fn same_words(one: &[String], other: &[String]) -> bool {
    let words = |lines: &[String]| lines.join(" ").split_whitespace().count();
    words(one) == words(other)
}

/// Lines that are no wider than `width`, as far as a single sign allows that.
fn wrap(text: &str, width: f64, measure: &impl Fn(&str) -> f64) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut begin = 0;
    for (end, _) in linebreaks(text) {
        let part = &text[begin..end];
        begin = end;
        let fits = |line: &str, part: &str| measure(format!("{line}{part}").trim()) <= width;
        let last = lines.last_mut().expect("it begins with one");
        if fits(last, part) {
            last.push_str(part);
        } else if fits("", part) {
            lines.push(part.to_owned());
        } else {
            break_inside(&mut lines, part, &fits);
        }
    }
    lines.iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// What is wider than a line goes on from where the last one ends, and is broken between signs as people see
/// them.
fn break_inside(lines: &mut Vec<String>, part: &str, fits: &impl Fn(&str, &str) -> bool) {
    for sign in part.graphemes(true) {
        match lines.last_mut().filter(|last| fits(last, sign)) {
            Some(last) => last.push_str(sign),
            None => lines.push(sign.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: f64 = 1160.0;

    /// A letter is 0.6 of its height wide, a W as wide as high, and so is a sign of CJK.
    fn measure(text: &str) -> f64 {
        let wide = |sign: char| sign == 'W' || ('\u{2e80}'..='\u{9fff}').contains(&sign);
        text.chars().map(|sign| if wide(sign) { 1.0 } else { 0.6 }).sum()
    }

    fn check(text: &str) -> Block {
        let block = block(text, WIDTH, measure);
        for line in &block.lines {
            assert!(measure(line) * f64::from(block.size) <= WIDTH, "{line:?} is wider than the frame");
        }
        let kept = |text: &str| text.chars().filter(|sign| !sign.is_whitespace()).collect::<String>();
        assert_eq!(kept(&block.lines.concat()), kept(text), "nothing is lost");
        let height = block.lines.len() * block.size as usize;
        assert!(height <= 300, "{} lines of size {}", block.lines.len(), block.size);
        block
    }

    #[test]
    fn words_are_wrapped_whole_and_none_is_lost() {
        let text =
            "Filmmakers of Vietnam show their newest documentaries at the international festival in Da Nang.";
        let block = check(text);
        assert_eq!(block.lines.join(" "), text, "no word is cut");
        let text = "Kịch bản, giọng đọc và hình ảnh được tạo ra từng bước, ngay trước mắt bạn.";
        assert_eq!(check(text).lines.join(" "), text);
        assert_eq!(check("x"), Block { lines: vec!["x".to_owned()], size: 54 });
    }

    #[test]
    fn what_is_longer_than_a_line_is_broken_within_the_frame() {
        for text in
            ["y".repeat(160), "W".repeat(160), "今日はとても良い天気です".repeat(13), "漢".repeat(160)]
        {
            assert!(check(&text).lines.len() > 1);
        }
        let block = check(&format!("See https://x.example/{} now", "path/".repeat(20)));
        assert!(block.lines.len() > 1);
    }

    #[test]
    fn a_sign_of_several_characters_is_never_broken() {
        let text = "e\u{301}\u{323}".repeat(120);
        for line in check(&text).lines {
            assert!(line.starts_with('e') && line.ends_with('\u{323}'), "{line:?}");
        }
    }
}

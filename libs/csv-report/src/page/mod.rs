//! The render step: one HTML page with everything in it, and nothing that runs.
//!
//! The page has both languages and both themes; two check boxes and CSS switch them, so it works with scripts
//! forbidden, in print and as an attachment of an e-mail.
//!
//! Invariant: texts of the file go through [`Escaped`] only.

mod columns;
mod faults;
mod findings;
mod reading;

use std::{fmt::Write, path::Path};

use crate::{
    chart::Charts,
    dialect::Dialect,
    inspect::Shape,
    kinds::{Kind, Times},
    series::Candles,
    statistics::{Found, Statistics},
    step::StepError,
    words::{Escaped, Words, as_written, both, bytes, compact, count, exact, percent},
};

const STYLE: &str = include_str!("style.css");
/// Columns in the table of the first rows.
const PREVIEW_COLUMNS: usize = 30;

/// What is known of the file beside its content.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its name.
    pub title: String,
    /// How long it is, in bytes.
    pub size_bytes: u64,
    /// Its SHA-256, as hexadecimal digits.
    pub sha256: String,
    /// When the report was made.
    pub made_at: String,
    /// How it is written.
    pub dialect: Dialect,
}

/// Writes the page to a file.
///
/// # Errors
/// [`StepError::Io`] when it cannot be written.
pub fn render(
    facts: &Facts,
    shape: &Shape,
    statistics: &Statistics,
    charts: &Charts,
    path: &Path,
) -> Result<(), StepError> {
    std::fs::write(path, page(facts, shape, statistics, charts))?;
    Ok(())
}

/// The page.
#[must_use]
pub fn page(facts: &Facts, shape: &Shape, statistics: &Statistics, charts: &Charts) -> String {
    Page { facts, shape, statistics, charts }.html()
}

const TAG_EN: &[u8] = b"<html lang=\"en\"";
const TAG_VI: &[u8] = b"<html lang=\"vi\"";

/// Lets a page begin in the language a reader prefers; `preferred` is a language or a list as in
/// `Accept-Language`.
pub fn choose_language(page: &mut [u8], preferred: &str) {
    let known = |tag: &str| {
        let tag = tag.trim().to_ascii_lowercase();
        ["en", "vi"].into_iter().find(|language| tag.starts_with(language))
    };
    let wanted = preferred.split(',').find_map(known);
    if wanted != Some("vi") {
        return;
    }
    // The tag stands at the beginning, and both forms have the same length.
    let place = page.windows(TAG_EN.len()).take(64).position(|window| window == TAG_EN);
    if let Some(place) = place {
        page[place..place + TAG_VI.len()].copy_from_slice(TAG_VI);
    }
}

/// Makes the page ask its server for another reading of the file; `hidden` goes along. As a file of its own
/// the page only says that it could.
#[must_use]
pub fn offer_form(page: Vec<u8>, hidden: &[(&str, &str)]) -> Vec<u8> {
    reading::offer_form(page, hidden)
}

struct Page<'a> {
    facts: &'a Facts,
    shape: &'a Shape,
    statistics: &'a Statistics,
    charts: &'a Charts,
}

impl Page<'_> {
    fn html(&self) -> String {
        let mut out = String::with_capacity(64 << 10);
        let title = Escaped(&self.facts.title);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
             <style>{STYLE}</style></head><body>"
        );
        out.push_str(
            "<input type=\"checkbox\" id=\"swap-theme\" aria-label=\"Light or dark / Sáng hoặc tối\">\
             <input type=\"checkbox\" id=\"swap-language\" aria-label=\"Language / Ngôn ngữ\"><main>",
        );
        self.head(&mut out);
        self.cards(&mut out);
        findings::write(&mut out, self.shape, self.statistics);
        faults::write(&mut out, &self.shape.faults);
        reading::write(&mut out, &self.facts.dialect, self.shape, self.statistics);
        self.prices(&mut out);
        self.over_time(&mut out);
        columns::write(&mut out, self.shape, self.statistics, self.charts);
        self.correlations(&mut out);
        self.preview(&mut out);
        self.foot(&mut out);
        out.push_str("</main></body></html>\n");
        out
    }

    fn head(&self, out: &mut String) {
        let _ = write!(
            out,
            "<header><div><p class=\"kicker\">{}</p><h1>{}</h1></div><nav>\
             <label class=\"switch\" for=\"swap-language\"><span lang=\"en\">Tiếng Việt</span><span lang=\"vi\">English</span></label>\
             <label class=\"switch\" for=\"swap-theme\" title=\"Light / dark\">◐</label></nav></header>",
            Words("Data report", "Báo cáo dữ liệu"),
            Escaped(&self.facts.title)
        );
    }

    fn cards(&self, out: &mut String) {
        let (rows, columns) = (self.shape.rows, self.shape.names.len() as u64);
        let cells = rows.saturating_mul(columns);
        let sum = |of: fn(&Found) -> u64| self.statistics.columns.iter().map(of).sum::<u64>();
        let missing = sum(|found| found.column.missing);
        let invalid = sum(|found| found.column.invalid);
        let cards = [
            (Words("Rows", "Số dòng"), count(rows)),
            (Words("Columns", "Số cột"), count(columns)),
            (Words("Size", "Dung lượng"), bytes(self.facts.size_bytes)),
            (Words("Missing cells", "Ô trống"), percent(missing, cells)),
            (Words("Invalid cells", "Ô sai kiểu"), count(invalid)),
        ];
        out.push_str("<section class=\"cards\">");
        for (name, value) in cards {
            let _ = write!(out, "<div class=\"card\"><p>{name}</p><strong>{value}</strong></div>");
        }
        out.push_str("</section>");
    }

    fn prices(&self, out: &mut String) {
        let (Some(found), Some(chart)) = (&self.statistics.candles, &self.charts.candles) else { return };
        let _ = write!(out, "<section><h2>{}</h2>", Words("Prices", "Biến động giá"));
        price_cards(out, found);
        let _ = write!(
            out,
            "<figure class=\"wide\"><figcaption><i class=\"key short\"></i>{} <i class=\"key long\"></i>{} {}</figcaption><div class=\"scroll\">{chart}</div></figure></section>",
            Words("Mean of 20 candles", "Trung bình 20 nến"),
            Words("Mean of 50 candles", "Trung bình 50 nến"),
            candle_width(found)
        );
    }

    fn over_time(&self, out: &mut String) {
        if self.charts.lines.is_empty() {
            return;
        }
        let (time, _) = self.statistics.time.unwrap_or((0, Times::NONE));
        let _ = write!(
            out,
            "<section><h2>{}</h2><p class=\"note\">{} <b>{}</b></p><div class=\"grid\">",
            Words("Over time", "Theo thời gian"),
            Words("Mean of each period, by", "Trung bình mỗi kỳ, theo cột"),
            Escaped(&self.shape.names[time])
        );
        for (column, chart) in &self.charts.lines {
            let name = Escaped(&self.shape.names[*column]);
            let _ = write!(out, "<figure class=\"tile\"><figcaption>{name}</figcaption>{chart}</figure>");
        }
        out.push_str("</div></section>");
    }

    fn correlations(&self, out: &mut String) {
        let columns = &self.statistics.correlated;
        if self.statistics.correlations.is_empty() || columns.len() < 2 {
            return;
        }
        let _ = write!(
            out,
            "<section><h2>{}</h2><p class=\"note\">{}</p><div class=\"scroll\"><table class=\"heat\"><thead><tr><th></th>",
            Words("Correlations", "Tương quan"),
            Words(
                "Pearson's coefficient over the rows that have both values: 1 moves together, −1 against each other, 0 neither.",
                "Hệ số Pearson trên các dòng có đủ hai giá trị: 1 là cùng chiều, −1 là ngược chiều, 0 là không liên quan."
            )
        );
        for column in columns {
            let _ =
                write!(out, "<th scope=\"col\"><span>{}</span></th>", Escaped(&self.shape.names[*column]));
        }
        out.push_str("</tr></thead><tbody>");
        for first in columns {
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", Escaped(&self.shape.names[*first]));
            columns.iter().for_each(|second| self.correlation(out, *first, *second));
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div></section>");
    }

    fn correlation(&self, out: &mut String, first: usize, second: usize) {
        if first == second {
            out.push_str("<td class=\"same\"></td>");
            return;
        }
        let pair = (first.min(second), first.max(second));
        let found = self.statistics.correlations.iter().find(|(a, b, _)| (*a, *b) == pair);
        let Some((_, _, value)) = found else {
            out.push_str("<td>–</td>");
            return;
        };
        let side = if *value < 0.0 { "against" } else { "together" };
        let strength = (value.abs() * 100.0).round();
        let shown = both(&format!("{value:.2}").replace('-', "−"));
        let _ = write!(out, "<td class=\"{side}\" style=\"--s:{strength}%\">{shown}</td>");
    }

    fn preview(&self, out: &mut String) {
        if self.statistics.preview.is_empty() {
            return;
        }
        let _ = write!(
            out,
            "<section><h2>{}</h2><div class=\"scroll\"><table><thead><tr>",
            Words("First rows", "Những dòng đầu")
        );
        for (name, found) in self.shape.names.iter().zip(&self.statistics.columns).take(PREVIEW_COLUMNS) {
            let _ = write!(out, "<th scope=\"col\"{}>{}</th>", side(found), Escaped(name));
        }
        out.push_str("</tr></thead><tbody>");
        for row in &self.statistics.preview {
            out.push_str("<tr>");
            for (cell, found) in row.iter().zip(&self.statistics.columns).take(PREVIEW_COLUMNS) {
                let _ = write!(out, "<td{}>{}</td>", side(found), Escaped(cell));
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div></section>");
    }

    fn foot(&self, out: &mut String) {
        let facts = [
            (Words("Made at", "Tạo lúc"), Escaped(&self.facts.made_at).to_string()),
            (
                Words("SHA-256", "SHA-256"),
                format!("<code class=\"hash\">{}</code>", Escaped(&self.facts.sha256)),
            ),
        ];
        let _ = write!(out, "<footer><h2>{}</h2><dl>", Words("The file", "Tệp dữ liệu"));
        for (name, value) in facts {
            let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
        out.push_str("</dl></footer>");
    }
}

/// On which side a column's cells and its name stand: numbers on the right.
fn side(found: &Found) -> &'static str {
    match found.column.kind {
        Kind::Integer(_) | Kind::Decimal(_) => " class=\"number\"",
        _ => "",
    }
}

fn price_cards(out: &mut String, found: &Candles) {
    let candles = found.candles();
    let (Some((_, first)), Some((_, last))) = (candles.first(), candles.last()) else { return };
    let high = candles.iter().map(|(_, candle)| candle.high).fold(f64::NEG_INFINITY, f64::max);
    let low = candles.iter().map(|(_, candle)| candle.low).fold(f64::INFINITY, f64::min);
    let volume: f64 = candles.iter().map(|(_, candle)| candle.volume).sum();
    let change = (last.close - first.open) / first.open * 100.0;
    let class = if change < 0.0 { "fell" } else { "rose" };
    let sign = if change > 0.0 { "+" } else { "" };
    let change =
        format!("<span class=\"{class}\">{sign}{} %</span>", exact((change * 100.0).round() / 100.0));
    let mut cards = vec![
        (Words("Last close", "Giá đóng cửa cuối"), as_written(last.close)),
        (Words("Change", "Thay đổi"), change),
        (Words("Highest", "Cao nhất"), as_written(high)),
        (Words("Lowest", "Thấp nhất"), as_written(low)),
    ];
    if found.columns.volume.is_some() {
        cards.push((Words("Volume", "Khối lượng"), both(&compact(volume, volume))));
    }
    out.push_str("<div class=\"cards\">");
    for (name, value) in cards {
        let _ = write!(out, "<div class=\"card\"><p>{name}</p><strong>{value}</strong></div>");
    }
    out.push_str("</div>");
}

fn candle_width(found: &Candles) -> String {
    let candles = found.candles().len() as u64;
    let days = found.buckets.width / 86_400_000;
    let hours = found.buckets.width / 3_600_000;
    let (number, unit) = match (days, hours) {
        (1, _) => (1, Words("day a candle", "ngày mỗi nến")),
        (2.., _) => (days, Words("days a candle", "ngày mỗi nến")),
        (_, 1) => (1, Words("hour a candle", "giờ mỗi nến")),
        (_, 2..) => (hours, Words("hours a candle", "giờ mỗi nến")),
        _ => match found.buckets.width / 60_000 {
            1 => (1, Words("minute a candle", "phút mỗi nến")),
            minutes => (minutes, Words("minutes a candle", "phút mỗi nến")),
        },
    };
    format!("<span class=\"dim\">{} {} · {number} {unit}</span>", count(candles), Words("candles", "nến"))
}

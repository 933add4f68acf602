//! The columns on the page: one table of all, then a tile for each with its chart.

use std::fmt::Write;

use crate::{
    chart::Charts,
    inspect::Shape,
    kinds::Kind,
    numbers::Summary,
    statistics::{Detail, Found, Statistics, Values},
    tally::Distinct,
    words::{
        APPROXIMATELY, Escaped, Words, count, digits, exact, marked, percent, plain_among, plain_as_written,
        plain_decimals,
    },
};

/// Columns with a tile of their own; the table has all.
const TILES_MAX: usize = 60;

/// Writes the table and the tiles.
pub(super) fn write(out: &mut String, shape: &Shape, statistics: &Statistics, charts: &Charts) {
    let _ = write!(out, "<section><h2>{}</h2>", Words("Columns", "Các cột"));
    table(out, shape, statistics);
    if shape.rows > 0 {
        out.push_str("<div class=\"grid\">");
        let columns = shape.names.iter().zip(&statistics.columns).zip(&charts.columns);
        for (column, ((name, found), chart)) in columns.take(TILES_MAX).enumerate() {
            // Prices added up mean nothing.
            tile(out, shape, name, found, chart.as_deref(), !statistics.is_price(column));
        }
        out.push_str("</div>");
    }
    if shape.names.len() > TILES_MAX {
        let words =
            Words("More columns are in the table above.", "Các cột còn lại nằm trong bảng phía trên.");
        let _ = write!(out, "<p class=\"note\">{words}</p>");
    }
    out.push_str("</section>");
}

fn table(out: &mut String, shape: &Shape, statistics: &Statistics) {
    let heads = [
        Words("Column", "Cột"),
        Words("Type", "Kiểu"),
        Words("Missing", "Trống"),
        Words("Invalid", "Sai kiểu"),
        Words("Distinct", "Khác nhau"),
        Words("Least", "Nhỏ nhất"),
        Words("Median", "Trung vị"),
        Words("Mean", "Trung bình"),
        Words("Greatest", "Lớn nhất"),
    ];
    out.push_str("<div class=\"scroll\"><table class=\"columns\"><thead><tr>");
    for head in heads {
        let _ = write!(out, "<th scope=\"col\">{head}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for (name, found) in shape.names.iter().zip(&statistics.columns) {
        row(out, shape, name, found);
    }
    out.push_str("</tbody></table></div>");
}

fn row(out: &mut String, shape: &Shape, name: &str, found: &Found) {
    let (distinct, figures) = match &found.detail {
        Detail::Number { summary, distinct } => (Some(distinct), number_figures(summary)),
        Detail::Time { times, .. } => {
            let (from, to) = times.ends();
            (None, [from, String::new(), String::new(), to])
        }
        Detail::Text(values) => (Some(&values.distinct), Default::default()),
        _ => (None, Default::default()),
    };
    let invalid = if found.column.invalid > 0 {
        format!("<b class=\"fell\">{}</b>", count(found.column.invalid))
    } else {
        "0".to_owned()
    };
    let _ = write!(
        out,
        "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{invalid}</td><td class=\"number\">{}</td>",
        Escaped(name),
        kind(found.column.kind),
        percent(found.column.missing, shape.rows),
        distinct.map(shown).unwrap_or_default()
    );
    for figure in figures {
        let _ = write!(out, "<td class=\"number\">{figure}</td>");
    }
    out.push_str("</tr>");
}

impl Summary {
    /// The fewest and the most decimals of its figures: as many as its numbers are written with, where those
    /// are worth showing.
    fn places(&self) -> (usize, usize) {
        self.sum.places().unwrap_or((0, 0))
    }

    /// Floats stand for numbers that are no decimals, or have too many of them.
    fn is_rounded(&self) -> bool {
        self.sum.exact().is_none()
    }

    /// One of its numbers.
    pub(super) fn written(&self, value: f64) -> String {
        let plain = match self.sum.places() {
            Some((least, most)) => plain_decimals(value, least, most),
            None => plain_as_written(value),
        };
        marked(&plain, value, false)
    }

    /// A figure that is computed from its numbers, as exact as these differ.
    fn computed(&self, value: f64, estimated: bool) -> String {
        let (least, most) = self.places();
        marked(&plain_among(value, self.max - self.min, least, most), value, estimated)
    }

    fn mean(&self) -> String {
        self.computed(self.mean, self.is_rounded())
    }

    fn deviation(&self) -> String {
        self.computed(self.deviation, self.is_rounded())
    }

    /// The quantile at this place among those that are kept.
    pub(super) fn quantile(&self, place: usize) -> String {
        self.computed(self.quantiles[place], self.sampled.is_some() || self.is_rounded())
    }

    fn median(&self) -> String {
        // Between two numbers there is one decimal more.
        let (least, most) = self.sum.places().map_or((0, 0), |(least, most)| (least, most + 1));
        let value = self.quantiles[2];
        let plain = plain_among(value, self.max - self.min, least, most);
        marked(&plain, value, self.sampled.is_some() || self.is_rounded())
    }

    fn total(&self) -> String {
        self.sum
            .exact()
            .map_or_else(|| marked(&plain_as_written(self.sum.about()), 0.0, true), |sum| digits(&sum))
    }
}

fn number_figures(summary: &Summary) -> [String; 4] {
    [summary.written(summary.min), summary.median(), summary.mean(), summary.written(summary.max)]
}

fn shown(distinct: &Distinct) -> String {
    let about = if distinct.estimated { APPROXIMATELY } else { "" };
    format!("{about}{}", count(distinct.count))
}

fn kind(kind: Kind) -> String {
    let (class, words) = match kind {
        Kind::Integer(_) => ("k-number", Words("integer", "số nguyên")),
        Kind::Decimal(_) => ("k-number", Words("decimal", "số thực")),
        Kind::Time(times) if times.hours => ("k-time", Words("time of day", "giờ trong ngày")),
        Kind::Time(times) if times.clock => ("k-time", Words("date and time", "ngày giờ")),
        Kind::Time(_) => ("k-time", Words("date", "ngày")),
        Kind::Boolean => ("k-truth", Words("yes / no", "đúng / sai")),
        Kind::Text => ("k-text", Words("text", "văn bản")),
        Kind::Empty => ("k-empty", Words("empty", "trống")),
    };
    format!("<span class=\"kind {class}\">{words}</span>")
}

fn tile(out: &mut String, shape: &Shape, name: &str, found: &Found, chart: Option<&str>, adds_up: bool) {
    let _ = write!(out, "<article class=\"tile\"><h3>{}{}</h3>", Escaped(name), kind(found.column.kind));
    out.push_str(chart.unwrap_or_default());
    match &found.detail {
        Detail::Number { summary, .. } => numbers(out, summary, chart.is_some(), adds_up),
        Detail::Time { times, .. } => {
            let (from, to) = times.ends();
            let rows = [(Words("From", "Từ"), from), (Words("To", "Đến"), to)];
            figures(out, &rows);
        }
        Detail::Boolean { yes, no } => truths(out, *yes, *no),
        Detail::Text(found_values) => texts(out, shape, found, found_values),
        Detail::Empty => {
            let _ = write!(
                out,
                "<p class=\"note\">{}</p>",
                Words("No cell is filled.", "Không có ô nào có dữ liệu.")
            );
        }
    }
    examples(out, found);
    out.push_str("</article>");
}

fn numbers(out: &mut String, summary: &Summary, has_chart: bool, adds_up: bool) {
    let [low, quarter, three_quarters, high] = [0, 1, 3, 4].map(|place| summary.quantile(place));
    let median = summary.median();
    let rows = [
        (Words("Mean ± deviation", "Trung bình ± độ lệch"), pair(&summary.mean(), "±", &summary.deviation())),
        (
            Words("Median (middle half)", "Trung vị (50 % giữa)"),
            format!("{median} ({})", pair(&quarter, "–", &three_quarters)),
        ),
        (Words("5 % – 95 %", "5 % – 95 %"), pair(&low, "–", &high)),
        (
            Words("Least – greatest", "Nhỏ nhất – lớn nhất"),
            format!("{} – {}", summary.written(summary.min), summary.written(summary.max)),
        ),
    ];
    figures(out, &rows);
    if adds_up {
        figures(out, &[(Words("Sum", "Tổng"), summary.total())]);
    }
    if summary.negatives > 0 || summary.zeros > 0 {
        let rows = [(
            Words("Negative · zero", "Số âm · bằng 0"),
            format!("{} · {}", count(summary.negatives), count(summary.zeros)),
        )];
        figures(out, &rows);
    }
    if has_chart && summary.histogram.cut {
        let words = Words("The chart shows the middle 98 %.", "Biểu đồ chỉ vẽ 98 % ở giữa.");
        let _ = write!(out, "<p class=\"note\">{words}</p>");
    }
    if let Some(sampled) = summary.sampled {
        let words = Words(
            "random values: median, percentages and chart are estimates.",
            "giá trị ngẫu nhiên: trung vị, phân vị và biểu đồ là ước lượng.",
        );
        let _ = write!(out, "<p class=\"note\">{} {words}</p>", count(sampled as u64));
    }
}

/// Two figures, with one mark before them if either is not exact.
fn pair(first: &str, sign: &str, second: &str) -> String {
    let bare = [first, second].map(|figure| figure.replace(APPROXIMATELY, ""));
    let mark = if bare == [first, second] { "" } else { APPROXIMATELY };
    format!("{mark}{} {sign} {}", bare[0], bare[1])
}

fn figures(out: &mut String, rows: &[(Words, String)]) {
    out.push_str("<dl>");
    for (name, value) in rows {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>");
}

fn truths(out: &mut String, yes: u64, no: u64) {
    let share = percent(yes, yes + no);
    #[expect(clippy::cast_precision_loss, reason = "a width on the page")]
    let width = yes as f64 / (yes + no).max(1) as f64 * 100.0;
    let _ = write!(out, "<div class=\"truth\"><i style=\"width:{width:.1}%\"></i></div>");
    let rows = [
        (Words("Yes", "Đúng"), format!("{} ({share})", count(yes))),
        (Words("No", "Sai"), format!("{} ({})", count(no), percent(no, yes + no))),
    ];
    figures(out, &rows);
}

/// The most frequent values as bars.
fn values(out: &mut String, top: &[(String, u64)], filled: u64) {
    let most = top.first().map_or(1, |(_, count)| *count).max(1);
    out.push_str("<ol class=\"values\">");
    for (value, times) in top {
        #[expect(clippy::cast_precision_loss, reason = "a width on the page")]
        let width = *times as f64 / most as f64 * 100.0;
        let _ = write!(
            out,
            "<li><i style=\"width:{width:.1}%\"></i><span>{}</span><em>{} · {}</em></li>",
            Escaped(value),
            count(*times),
            percent(*times, filled)
        );
    }
    out.push_str("</ol>");
}

/// The most frequent values, where some are frequent.
fn texts(out: &mut String, shape: &Shape, found: &Found, found_values: &Values) {
    let filled = shape.rows.saturating_sub(found.column.missing);
    let most = found_values.top.first().map_or(0, |(_, count)| *count);
    if found.is_key(shape.rows) {
        let words = Words("Different in (nearly) every row", "(Gần như) không lặp lại");
        let _ = write!(out, "<p class=\"note\">{words}</p>");
    } else if most * 500 < filled || (most == 1 && filled > 10) {
        let words = Words("No value is frequent.", "Không có giá trị nào phổ biến.");
        let _ = write!(out, "<p class=\"note\">{words}</p>");
    } else {
        values(out, &found_values.top, filled);
        if found_values.error > 0 {
            let words = Words(
                "At least so many: there are too many values to count each.",
                "Ít nhất bấy nhiêu: quá nhiều giá trị để đếm hết.",
            );
            let _ = write!(out, "<p class=\"note\">{words}</p>");
        }
    }
    let (short, long) = (exact(found_values.length.min), exact(found_values.length.max));
    let length = if short == long { short } else { format!("{short} – {long}") };
    let rows = [
        (Words("Distinct", "Khác nhau"), shown(&found_values.distinct)),
        (Words("Characters", "Số ký tự"), length),
    ];
    figures(out, &rows);
}

fn examples(out: &mut String, found: &Found) {
    if found.examples.is_empty() {
        return;
    }
    let _ = write!(out, "<p class=\"wrong\">{} ", Words("Invalid:", "Sai kiểu:"));
    for (place, (line, text)) in found.examples.iter().enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        let _ = write!(out, "{comma}<q>{}</q> ({} {line})", Escaped(text), Words("line", "dòng"));
    }
    out.push_str("</p>");
}

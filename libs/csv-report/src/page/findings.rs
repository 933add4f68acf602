//! What a reader should notice first, in sentences.

use std::fmt::Write;

use crate::{
    chart::range,
    inspect::Shape,
    statistics::{Detail, Statistics},
    words::{Escaped, Words, both, count, percent, sentence},
};

/// The most sentences.
const FINDINGS_MAX: usize = 8;

/// Writes the sentences, the most important first.
pub(super) fn write(out: &mut String, shape: &Shape, statistics: &Statistics) {
    let mut found = Vec::new();
    if shape.rows == 0 {
        found.push(
            Words("The file has a header but no rows.", "Tệp chỉ có dòng tiêu đề, không có dữ liệu.")
                .to_string(),
        );
    } else {
        invalid(&mut found, shape, statistics);
        times(&mut found, shape, statistics);
        missing(&mut found, shape, statistics);
        correlated(&mut found, shape, statistics);
        keys(&mut found, shape, statistics);
        constant(&mut found, shape, statistics);
        tails(&mut found, shape, statistics);
        variants(&mut found, shape, statistics);
    }
    if found.is_empty() {
        return;
    }
    let _ = write!(out, "<section><h2>{}</h2><ul class=\"findings\">", Words("At a glance", "Điểm chính"));
    for line in found.into_iter().take(FINDINGS_MAX) {
        let _ = write!(out, "<li>{line}</li>");
    }
    out.push_str("</ul></section>");
}

fn name(shape: &Shape, column: usize) -> String {
    format!("<b>{}</b>", Escaped(&shape.names[column]))
}

fn invalid(found: &mut Vec<String>, shape: &Shape, statistics: &Statistics) {
    for (column, detail) in
        statistics.columns.iter().enumerate().filter(|(_, found)| found.column.invalid > 0).take(2)
    {
        let example = detail
            .examples
            .first()
            .map(|(line, text)| (line.to_string(), format!("<q>{}</q>", Escaped(text))));
        let (line, text) = example.unwrap_or_default();
        let cells = count(detail.column.invalid);
        let words = if detail.column.invalid == 1 {
            Words(
                "{} has {} cell of another type: {} in line {}.",
                "{} có {} ô sai kiểu dữ liệu: {} ở dòng {}.",
            )
        } else {
            Words(
                "{} has {} cells of another type, such as {} in line {}.",
                "{} có {} ô sai kiểu dữ liệu, ví dụ {} ở dòng {}.",
            )
        };
        found.push(sentence(words, &[&name(shape, column), &cells, &text, &line]));
    }
}

fn times(found: &mut Vec<String>, shape: &Shape, statistics: &Statistics) {
    if let Some((column, times)) = statistics.time {
        let words = Words("{} covers {}.", "{} trải dài {}.");
        found.push(sentence(words, &[&name(shape, column), &range(times.from, times.to)]));
    }
}

fn missing(found: &mut Vec<String>, shape: &Shape, statistics: &Statistics) {
    let mut columns: Vec<_> =
        statistics.columns.iter().enumerate().map(|(place, found)| (found.column.missing, place)).collect();
    columns.retain(|(missing, _)| *missing * 20 >= shape.rows && *missing > 0);
    columns.sort_unstable_by(|a, b| b.cmp(a));
    for (missing, column) in columns.into_iter().take(2) {
        let says_so = statistics.columns[column].column.words.as_missing().count() > 0;
        let words = match (missing == shape.rows, says_so) {
            (true, false) => Words("{} is empty.", "{} hoàn toàn trống."),
            (true, true) => Words("{} is missing in every row.", "{} thiếu giá trị ở mọi dòng."),
            (false, false) => Words("{} is empty in {} of the rows.", "{} trống ở {} số dòng."),
            (false, true) => Words("{} is missing in {} of the rows.", "{} thiếu giá trị ở {} số dòng."),
        };
        found.push(sentence(words, &[&name(shape, column), &percent(missing, shape.rows)]));
    }
}

fn correlated(found: &mut Vec<String>, shape: &Shape, statistics: &Statistics) {
    // The prices of one thing always move together.
    let prices = |a: &usize, b: &usize| statistics.is_price(*a) && statistics.is_price(*b);
    let told = |(a, b, value): &&(usize, usize, f64)| value.abs() >= 0.7 && !prices(a, b);
    let mut pairs: Vec<_> = statistics.correlations.iter().filter(told).collect();
    pairs.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
    for (first, second, value) in pairs.into_iter().take(2) {
        let words = if *value > 0.0 {
            Words(
                "{} and {} rise together (correlation {}).",
                "{} và {} tăng giảm cùng chiều (tương quan {}).",
            )
        } else {
            Words("{} falls when {} rises (correlation {}).", "{} giảm khi {} tăng (tương quan {}).")
        };
        let shown = both(&format!("{value:.2}").replace('-', "−"));
        found.push(sentence(words, &[&name(shape, *first), &name(shape, *second), &shown]));
    }
}

fn keys(found: &mut Vec<String>, shape: &Shape, statistics: &Statistics) {
    let is_key = |place: &usize| statistics.columns[*place].is_key(shape.rows);
    if let Some(column) = (0..statistics.columns.len()).find(is_key) {
        let words = Words(
            "{} is different in (nearly) every row: it names the rows.",
            "{} (gần như) không lặp lại: có thể dùng làm mã định danh.",
        );
        found.push(sentence(words, &[&name(shape, column)]));
    }
}

fn constant(found: &mut Vec<String>, shape: &Shape, statistics: &Statistics) {
    let same = |detail: &Detail| match detail {
        Detail::Number { distinct, .. } => distinct.count == 1,
        Detail::Text(values) => values.distinct.count == 1,
        _ => false,
    };
    let columns =
        statistics.columns.iter().enumerate().filter(|(_, found)| same(&found.detail) && shape.rows > 1);
    for (column, _) in columns.take(1) {
        found.push(sentence(
            Words("{} has the same value everywhere.", "{} chỉ có một giá trị duy nhất."),
            &[&name(shape, column)],
        ));
    }
}

fn variants(found: &mut Vec<String>, shape: &Shape, statistics: &Statistics) {
    let written = statistics.columns.iter().enumerate().filter_map(|(column, found)| match &found.detail {
        Detail::Text(values) => values.variants.as_ref().map(|variants| (column, variants)),
        _ => None,
    });
    for (column, (first, second)) in written.take(1) {
        let words = Words(
            "{} writes the same value in different ways: {} and {}.",
            "{} viết cùng một giá trị theo nhiều cách: {} và {}.",
        );
        let quoted = |text: &str| format!("<q>{}</q>", Escaped(text));
        found.push(sentence(words, &[&name(shape, column), &quoted(first), &quoted(second)]));
    }
}

/// How far the greatest value is from the middle half, in widths of that half.
fn tail(detail: &Detail) -> f64 {
    let Detail::Number { summary, .. } = detail else { return 0.0 };
    let [_, low, _, high, _] = summary.quantiles;
    let far = (summary.max - high).max(low - summary.min);
    if summary.histogram.cut { far / (high - low).max(f64::MIN_POSITIVE) } else { 0.0 }
}

fn tails(found: &mut Vec<String>, shape: &Shape, statistics: &Statistics) {
    let tails = statistics
        .columns
        .iter()
        .enumerate()
        .map(|(column, found)| (column, tail(&found.detail), &found.detail));
    let farthest = tails.max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((column, tail, Detail::Number { summary, .. })) = farthest
        && tail > 0.0
    {
        let words = Words(
            "{} has values far from all others: up to {}, where half of them lie between {} and {}.",
            "{} có giá trị khác xa phần còn lại: đến {}, trong khi một nửa nằm giữa {} và {}.",
        );
        let [_, low, _, high, _] = summary.quantiles;
        let half = [1, 3].map(|place| summary.quantile(place));
        let end = if summary.max - high > low - summary.min { summary.max } else { summary.min };
        found.push(sentence(words, &[&name(shape, column), &summary.written(end), &half[0], &half[1]]));
    }
}

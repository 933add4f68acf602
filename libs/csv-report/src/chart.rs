//! The charts step: SVG of what statistics found.
//!
//! Colours and fonts come from the page's style by class names, so charts follow light and dark. Texts in
//! charts are numbers and dates only.

use std::fmt::Write;

use crate::{
    kinds::Times,
    numbers::{Histogram, nice},
    series::{Candle, Candles, Line, Timeline},
    statistics::{Detail, Statistics},
    step::{StepError, Ticker},
    words::{compact, day, drawn, hours, moment, plain_as_written, plain_fine},
};

/// The drawings of a report.
#[derive(Debug)]
pub struct Charts {
    /// For each column, if it has one.
    pub(crate) columns: Vec<Option<String>>,
    /// Numeric columns over time.
    pub(crate) lines: Vec<(usize, String)>,
    /// Prices.
    pub(crate) candles: Option<String>,
}

/// Draws everything.
pub fn charts(statistics: Statistics, rows: u64, ticker: &Ticker) -> Result<(Statistics, Charts), StepError> {
    let total = statistics.columns.len() as u64;
    let mut columns = Vec::new();
    for (done, found) in (1..).zip(&statistics.columns) {
        ticker.check()?;
        columns.push(match &found.detail {
            // Bars over the names of rows say nothing.
            Detail::Number { .. } if found.is_key(rows) => None,
            Detail::Number { summary, .. } => Some(histogram(&summary.histogram)),
            Detail::Time { times, timeline } => Some(timeline_bars(times, timeline)),
            _ => None,
        });
        ticker.tick(done, total);
    }
    let clock = statistics.time.is_some_and(|(_, times)| times.clock);
    let in_candles = |column: usize| {
        let volume = statistics.candles.as_ref().and_then(|candles| candles.columns.volume);
        statistics.is_price(column) || volume == Some(column)
    };
    let drawn = |line: &&Line| !in_candles(line.column) && !statistics.columns[line.column].is_key(rows);
    let lines = statistics.lines.iter().filter(drawn);
    let lines = lines.filter_map(|drawn| Some((drawn.column, line(drawn, clock)?))).collect();
    let candles = statistics.candles.as_ref().and_then(|found| candles(found, clock));
    Ok((statistics, Charts { columns, lines, candles }))
}

/// The width of a small chart; what is drawn is scaled to its place on the page.
const SMALL: (f64, f64) = (360.0, 140.0);
/// A longer label in the middle of a small chart would touch those at its ends.
const MIDDLE_CHARS: usize = 12;
const LARGE: (f64, f64) = (960.0, 430.0);

/// An SVG in the making. Writing to a String cannot fail, so results of `write!` are let go.
struct Drawing(String);

impl Drawing {
    fn new((width, height): (f64, f64)) -> Self {
        Self(format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" preserveAspectRatio=\"xMidYMid meet\">"
        ))
    }

    fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), title: &str) {
        let _ = write!(
            self.0,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{title}</title></rect>"
        );
    }

    fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let _ = write!(self.0, "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
    }

    fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let _ = write!(self.0, "<path class=\"{class}\" d=\"");
        for (place, (x, y)) in points.iter().enumerate() {
            let _ = write!(self.0, "{}{x:.1} {y:.1}", if place == 0 { 'M' } else { 'L' });
        }
        self.0.push_str("\"/>");
    }

    fn text(&mut self, anchor: &str, (x, y): (f64, f64), text: &str) {
        let _ =
            write!(self.0, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", drawn(text));
    }

    fn done(mut self) -> String {
        self.0.push_str("</svg>");
        self.0
    }
}

/// Bars side by side with a label at both ends and in the middle.
fn bars(counts: &[u64], label: impl Fn(usize) -> String, title: impl Fn(usize) -> String) -> String {
    let (width, height) = SMALL;
    let (top, bottom) = (6.0, height - 20.0);
    let mut drawing = Drawing::new(SMALL);
    let most = real(counts.iter().copied().max().unwrap_or(1).max(1));
    let each = width / real(counts.len() as u64);
    let gap = if each > 4.0 { 1.5 } else { 0.4 };
    for (place, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let tall = (real(*count) / most * (bottom - top)).max(1.0);
        let x = each * real(place as u64) + gap / 2.0;
        drawing.rect("bar", (x, bottom - tall), (each - gap, tall), &title(place));
    }
    drawing.line("axis", (0.0, bottom + 0.5), (width, bottom + 0.5));
    let ends = [("start", 0.0, 0), ("middle", width / 2.0, counts.len() / 2), ("end", width, counts.len())];
    for (anchor, x, place) in ends {
        let text = label(place);
        if anchor != "middle" || text.len() <= MIDDLE_CHARS {
            drawing.text(anchor, (x, height - 5.0), &text);
        }
    }
    drawing.done()
}

fn histogram(histogram: &Histogram) -> String {
    let at = |place: usize| histogram.from + histogram.width * real(place as u64);
    let total = real(histogram.counts.iter().sum::<u64>().max(1));
    let title = |place: usize| {
        let share = real(histogram.counts[place]) / total * 100.0;
        let [from, to] = [place, place + 1].map(|place| plain_fine(at(place), histogram.width));
        format!("{from} – {to}: {share:.1} %")
    };
    bars(&histogram.counts, |place| compact(at(place), histogram.width), title)
}

fn timeline_bars(times: &Times, timeline: &Timeline) -> String {
    let buckets = timeline.buckets;
    let clock = buckets.width < 86_400_000;
    let label = |place: usize| {
        let time = buckets.time(place.min(buckets.count.saturating_sub(1)));
        if times.hours { hours(time) } else { moment(time, clock) }
    };
    bars(&timeline.counts, label, |place| format!("{}: {}", label(place), timeline.counts[place]))
}

/// A range of values with the ticks people expect.
struct Scale {
    from: f64,
    to: f64,
    step: f64,
    top: f64,
    bottom: f64,
}

impl Scale {
    fn new(values: impl Iterator<Item = f64> + Clone, ticks: f64, (top, bottom): (f64, f64)) -> Option<Self> {
        let from = values.clone().fold(f64::INFINITY, f64::min);
        let to = values.fold(f64::NEG_INFINITY, f64::max);
        if !from.is_finite() || !to.is_finite() {
            return None;
        }
        let room = if to > from { (to - from) * 0.04 } else { from.abs().max(1.0) * 0.05 };
        let (from, to) = (from - room, to + room);
        Some(Self { from, to, step: nice((to - from) / ticks), top, bottom })
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (value - self.from) / (self.to - self.from) * (self.bottom - self.top)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (first, step, to) = ((self.from / self.step).ceil() * self.step, self.step, self.to);
        (0..20u64).map(move |place| first + step * real(place)).take_while(move |tick| *tick <= to)
    }
}

fn line(line: &Line, clock: bool) -> Option<String> {
    let means = line.means();
    if means.len() < 2 {
        return None;
    }
    let (width, height) = SMALL;
    let (left, right, bottom) = (40.0, width - 4.0, height - 20.0);
    let scale = Scale::new(means.iter().map(|(_, mean)| *mean), 3.0, (8.0, bottom))?;
    let mut drawing = Drawing::new(SMALL);
    for tick in scale.ticks() {
        let y = scale.y(tick);
        drawing.line("grid", (left, y), (right, y));
        drawing.text("end", (left - 5.0, y + 3.5), &compact(tick, scale.step));
    }
    let last = real(line.buckets.count.saturating_sub(1).max(1) as u64);
    let x = |bucket: usize| left + (right - left) * real(bucket as u64) / last;
    let points: Vec<_> = means.iter().map(|(bucket, mean)| (x(*bucket), scale.y(*mean))).collect();
    let (first_x, last_x) = (points[0].0, points[points.len() - 1].0);
    let area: Vec<_> = points.iter().copied().chain([(last_x, bottom), (first_x, bottom)]).collect();
    drawing.path("area", &area);
    drawing.path("line", &points);
    let clock = clock && line.buckets.width < 86_400_000;
    drawing.text("start", (left, height - 5.0), &moment(line.buckets.time(0), clock));
    drawing.text("end", (right, height - 5.0), &moment(line.buckets.time(line.buckets.count - 1), clock));
    Some(drawing.done())
}

fn candles(found: &Candles, clock: bool) -> Option<String> {
    let candles = found.candles();
    if candles.len() < 2 {
        return None;
    }
    let (width, _) = LARGE;
    let (left, right) = (4.0, width - 58.0);
    let each = (right - left) / real(candles.len() as u64);
    let x = |place: usize| left + each * (real(place as u64) + 0.5);
    let mut drawing = Drawing::new(LARGE);
    let values = candles.iter().flat_map(|(_, candle)| [candle.low, candle.high]);
    let scale = Scale::new(values, 6.0, (10.0, 300.0))?;
    for tick in scale.ticks() {
        drawing.line("grid", (left, scale.y(tick)), (right, scale.y(tick)));
        drawing.text("start", (right + 8.0, scale.y(tick) + 4.0), &compact(tick, scale.step));
    }
    let clock = clock && found.buckets.width < 86_400_000;
    for (place, (bucket, candle)) in candles.iter().enumerate() {
        one_candle(&mut drawing, &scale, candle, x(place), each, &moment(found.buckets.time(*bucket), clock));
    }
    for (class, span) in [("average short", 20), ("average long", 50)] {
        let average = moving_average(&candles, span);
        let points: Vec<_> = average.iter().map(|(place, value)| (x(*place), scale.y(*value))).collect();
        drawing.path(class, &points);
    }
    volumes(&mut drawing, &candles, x, each, right);
    let labels = if clock { 5 } else { 7 }.min(candles.len());
    for label in 0..labels {
        let place = label * (candles.len() - 1) / (labels - 1).max(1);
        let anchor = if label == 0 {
            "start"
        } else if label == labels - 1 {
            "end"
        } else {
            "middle"
        };
        let (bucket, _) = candles[place];
        drawing.text(anchor, (x(place), 424.0), &moment(found.buckets.time(bucket), clock));
    }
    Some(drawing.done())
}

fn one_candle(drawing: &mut Drawing, scale: &Scale, candle: &Candle, x: f64, each: f64, when: &str) {
    let class = if candle.close >= candle.open { "up" } else { "down" };
    let title = format!(
        "{when} · O {} · H {} · L {} · C {}",
        plain_as_written(candle.open),
        plain_as_written(candle.high),
        plain_as_written(candle.low),
        plain_as_written(candle.close)
    );
    drawing.line(&format!("wick {class}"), (x, scale.y(candle.high)), (x, scale.y(candle.low)));
    let (top, bottom) = (scale.y(candle.open.max(candle.close)), scale.y(candle.open.min(candle.close)));
    let wide = (each * 0.66).clamp(1.0, 14.0);
    drawing.rect(class, (x - wide / 2.0, top), (wide, (bottom - top).max(1.0)), &title);
}

fn volumes(
    drawing: &mut Drawing,
    candles: &[(usize, Candle)],
    x: impl Fn(usize) -> f64,
    each: f64,
    right: f64,
) {
    let most = candles.iter().map(|(_, candle)| candle.volume).fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    let (top, bottom) = (322.0, 400.0);
    drawing.line("grid", (4.0, top), (right, top));
    drawing.text("start", (right + 8.0, top + 4.0), &compact(most, most));
    let wide = (each * 0.66).clamp(1.0, 14.0);
    for (place, (_, candle)) in candles.iter().enumerate() {
        let class = if candle.close >= candle.open { "volume up" } else { "volume down" };
        let tall = candle.volume.max(0.0) / most * (bottom - top);
        drawing.rect(
            class,
            (x(place) - wide / 2.0, bottom - tall),
            (wide, tall),
            &plain_as_written(candle.volume),
        );
    }
    drawing.line("axis", (4.0, bottom + 0.5), (right, bottom + 0.5));
}

/// The mean of the last `span` closes, from the first place that has so many.
fn moving_average(candles: &[(usize, Candle)], span: usize) -> Vec<(usize, f64)> {
    let mean = |(place, window): (usize, &[(usize, Candle)])| {
        let sum: f64 = window.iter().map(|(_, candle)| candle.close).sum();
        (place + span - 1, sum / real(span as u64))
    };
    candles.windows(span).enumerate().map(mean).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

/// A whole day of a time column, for texts beside the charts.
pub(crate) fn range(from: i64, to: i64) -> String {
    format!("{} – {}", day(from), day(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_round_ticks_inside_its_range() {
        let scale = Scale::new([103.2, 187.9].into_iter(), 4.0, (0.0, 100.0)).expect("a scale");
        let ticks: Vec<f64> = scale.ticks().collect();
        assert_eq!(ticks, [100.0, 125.0, 150.0, 175.0]);
    }

    #[test]
    fn every_bar_is_inside_its_drawing() {
        let svg = histogram(&Histogram { from: 0.0, width: 1.0, counts: vec![1, 0, 3], cut: false });
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(svg.contains("0 – 1: 25.0 %") && !svg.contains('-'.to_string().repeat(2).as_str()));
    }
}

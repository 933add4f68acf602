//! The statistics step: one pass that fills a collector for each column, and what columns have to do with
//! each other.
//!
//! Invariant: memory is bounded by the number of columns, never by the number of rows.

use crate::{
    inspect::Shape,
    kinds::{Column, Kind, Times},
    numbers::{Numbers, Summary, Together},
    rows::Row,
    series::{Candles, Line, Prices, Timeline},
    source::Source,
    step::{StepError, Ticker},
    tally::{Distinct, Tally},
    value::{self, Missing, NumberStyle, WordSet},
};

/// Numbers kept over all columns for quantiles and histograms: 32 MB.
const SAMPLE_TOTAL: usize = 4_000_000;
const SAMPLE_MAX: usize = 50_000;
/// Values counted over all columns.
const VALUES_TOTAL: usize = 400_000;
const VALUES_MAX: usize = 4096;
/// Numeric columns that are compared with each other.
pub(crate) const CORRELATED_MAX: usize = 16;
/// Numeric columns that are shown over time.
const LINES_MAX: usize = 6;
/// Buckets of a time column's own chart.
const TIMELINE_BUCKETS: i64 = 48;
const TOP: usize = 10;
const EXAMPLES: usize = 3;
const PREVIEW_ROWS: usize = 10;
const PREVIEW_CHARS: usize = 80;

/// Everything found in a file.
#[derive(Debug)]
pub struct Statistics {
    pub(crate) columns: Vec<Found>,
    /// Pairs of numeric columns and their correlation.
    pub(crate) correlations: Vec<(usize, usize, f64)>,
    /// The numeric columns that were compared.
    pub(crate) correlated: Vec<usize>,
    pub(crate) lines: Vec<Line>,
    pub(crate) candles: Option<Candles>,
    /// The time column that lines and candles follow.
    pub(crate) time: Option<(usize, Times)>,
    pub(crate) preview: Vec<Vec<String>>,
}

/// What was found in a column.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) column: Column,
    pub(crate) detail: Detail,
    /// Cells that are not of the column's kind: their lines and texts.
    pub(crate) examples: Vec<(u64, String)>,
    /// Its name says that it is a price or a volume.
    pub(crate) market: bool,
}

/// What was found, by kind.
#[derive(Debug)]
pub(crate) enum Detail {
    Number { summary: Summary, distinct: Distinct },
    Time { times: Times, timeline: Timeline },
    Boolean { yes: u64, no: u64 },
    Text(Values),
    Empty,
}

/// What a column of texts holds.
#[derive(Debug)]
pub(crate) struct Values {
    /// The most frequent ones.
    pub(crate) top: Vec<(String, u64)>,
    /// How much too low their counts may be.
    pub(crate) error: u64,
    pub(crate) distinct: Distinct,
    /// In characters.
    pub(crate) length: Summary,
    /// Two that differ in capitals only.
    pub(crate) variants: Option<(String, String)>,
}

impl Found {
    /// Whether the column looks like names of rows: every text is there once, or whole numbers count up
    /// without great holes. Prices and volumes are measured, however they come.
    pub(crate) fn is_key(&self, rows: u64) -> bool {
        let once = |distinct: &Distinct| match distinct.estimated {
            false => rows > 20 && distinct.count == rows,
            // Estimates are right to about two percent.
            true => distinct.count * 20 > rows * 19,
        };
        match &self.detail {
            Detail::Number { summary, distinct } => {
                let dense = (summary.max - summary.min) < 2.0 * real(summary.count);
                let countable = matches!(self.column.kind, Kind::Integer(_)) && !self.market;
                countable && dense && once(distinct)
            }
            Detail::Text(values) => once(&values.distinct),
            _ => false,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

impl Statistics {
    /// Whether a column is one of the prices that candles are drawn of, or as good as one.
    pub(crate) fn is_price(&self, column: usize) -> bool {
        let Some(prices) = self.candles.as_ref().map(|candles| candles.columns) else { return false };
        let close = prices.close;
        let pair = (column.min(close), column.max(close));
        let like_close = |(a, b, value): &(usize, usize, f64)| (*a, *b) == pair && *value > 0.98;
        [prices.open, prices.high, prices.low, close].contains(&column)
            || self.correlations.iter().any(like_close)
    }
}

/// Sums up every column.
pub fn statistics(
    source: &Source,
    shape: &Shape,
    kinds: Vec<Column>,
    ticker: &Ticker,
) -> Result<Statistics, StepError> {
    let mut collectors = Collectors::new(shape, &kinds);
    source.rows(ticker, |row| collectors.take(row))?;
    Ok(collectors.finish(shape, kinds))
}

enum Collector {
    Number { style: NumberStyle, numbers: Numbers, tally: Tally },
    Time { times: Times, timeline: Timeline },
    Boolean { yes: u64, no: u64 },
    Text { texts: WordSet, tally: Tally, length: Numbers },
    Empty,
}

/// What a cell gave to what columns have to do with each other.
#[derive(Debug, Clone, Copy)]
enum Given {
    Number(f64),
    Time(i64),
    Other,
    Wrong,
}

struct Collectors {
    columns: Vec<(Collector, Vec<(u64, String)>)>,
    given: Vec<Given>,
    correlated: Vec<usize>,
    pairs: Vec<Together>,
    lines: Vec<Line>,
    candles: Option<Candles>,
    time: Option<(usize, Times)>,
    preview: Vec<Vec<String>>,
}

impl Collectors {
    fn new(shape: &Shape, kinds: &[Column]) -> Self {
        let count = kinds.len().max(1);
        let sample = (SAMPLE_TOTAL / count).clamp(1000, SAMPLE_MAX);
        let values = (VALUES_TOTAL / count).clamp(64, VALUES_MAX);
        let columns =
            (0..).zip(kinds).map(|(seed, column)| (Collector::new(column, sample, values, seed), Vec::new()));
        let numeric: Vec<usize> = (0..kinds.len()).filter(|column| is_number(kinds[*column].kind)).collect();
        let correlated: Vec<usize> = numeric.iter().copied().take(CORRELATED_MAX).collect();
        let time = kinds.iter().enumerate().find_map(|(column, found)| match found.kind {
            // Times of day alone come back every day: nothing runs along them.
            Kind::Time(times) if !times.hours => Some((column, times)),
            _ => None,
        });
        let prices = time.and_then(|(column, _)| {
            Prices::find(&shape.names, column, |column| is_number(kinds[column].kind))
        });
        let candles = prices.zip(time).map(|(prices, (_, times))| Candles::new(prices, times.from, times.to));
        let lines = time.map(|(_, times)| {
            numeric.iter().take(LINES_MAX).map(|column| Line::new(*column, times.from, times.to)).collect()
        });
        Self {
            columns: columns.collect(),
            given: vec![Given::Other; kinds.len()],
            pairs: vec![Together::default(); correlated.len() * correlated.len().saturating_sub(1) / 2],
            correlated,
            lines: lines.unwrap_or_default(),
            candles,
            time,
            preview: Vec::new(),
        }
    }

    fn take(&mut self, row: &Row<'_>) {
        if self.preview.len() < PREVIEW_ROWS {
            let cells = (0..self.columns.len()).map(|place| shown(row.get(place).unwrap_or_default()));
            self.preview.push(cells.collect());
        }
        let columns = self.columns.iter_mut().zip(&mut self.given);
        for (place, ((collector, examples), given)) in columns.enumerate() {
            // A cell that a short row lacks is missing.
            let cell = row.get(place).unwrap_or_default().trim();
            *given = collector.take(cell);
            if matches!(given, Given::Wrong) && examples.len() < EXAMPLES {
                examples.push((row.place_of(place).0, shown(cell)));
            }
        }
        self.relate();
    }

    fn number(&self, column: usize) -> Option<f64> {
        match self.given.get(column) {
            Some(Given::Number(value)) => Some(*value),
            _ => None,
        }
    }

    fn relate(&mut self) {
        let mut pair = 0;
        for (place, first) in self.correlated.iter().enumerate() {
            let x = self.number(*first);
            for second in &self.correlated[place + 1..] {
                if let (Some(x), Some(y)) = (x, self.number(*second)) {
                    self.pairs[pair].take(x, y);
                }
                pair += 1;
            }
        }
        let Some((column, _)) = self.time else { return };
        let Given::Time(time) = self.given[column] else { return };
        for line in &mut self.lines {
            if let Given::Number(value) = self.given[line.column] {
                line.take(time, value);
            }
        }
        let Some(columns) = self.candles.as_ref().map(|candles| candles.columns) else { return };
        let prices =
            [columns.open, columns.high, columns.low, columns.close].map(|column| self.number(column));
        let volume = columns.volume.and_then(|column| self.number(column)).unwrap_or(0.0);
        if let ([Some(open), Some(high), Some(low), Some(close)], Some(candles)) = (prices, &mut self.candles)
        {
            candles.take(time, [open, high, low, close], volume);
        }
    }

    fn finish(self, shape: &Shape, kinds: Vec<Column>) -> Statistics {
        let found = |(((collector, examples), column), name): (((Collector, _), Column), &String)| {
            let whole = matches!(column.kind, Kind::Integer(_));
            Found { column, detail: collector.finish(whole), examples, market: Prices::is_named(name) }
        };
        let columns = self.columns.into_iter().zip(kinds).zip(&shape.names).map(found).collect();
        let mut correlations = Vec::new();
        let mut pairs = self.pairs.iter();
        for (place, first) in self.correlated.iter().enumerate() {
            for second in &self.correlated[place + 1..] {
                let correlation = pairs.next().and_then(Together::correlation);
                correlations.extend(correlation.map(|value| (*first, *second, value)));
            }
        }
        Statistics {
            columns,
            correlations,
            correlated: self.correlated,
            lines: self.lines,
            candles: self.candles,
            time: self.time,
            preview: self.preview,
        }
    }
}

impl Collector {
    fn new(column: &Column, sample: usize, values: usize, seed: u64) -> Self {
        match column.kind {
            Kind::Integer(style) | Kind::Decimal(style) => {
                Self::Number { style, numbers: Numbers::new(sample, seed), tally: Tally::new(values, true) }
            }
            Kind::Time(times) => {
                Self::Time { times, timeline: Timeline::new(times.from, times.to, TIMELINE_BUCKETS) }
            }
            Kind::Boolean => Self::Boolean { yes: 0, no: 0 },
            Kind::Text => Self::Text {
                texts: column.words.texts,
                tally: Tally::new(values, false),
                length: Numbers::new(1000, seed),
            },
            Kind::Empty => Self::Empty,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the length of a cell")]
    fn take(&mut self, cell: &str) -> Given {
        let says_nothing = match value::missing(cell) {
            Missing::Empty => true,
            Missing::Word(word) => !matches!(self, Self::Text { texts, .. } if texts.contains(word)),
            Missing::Perhaps => !matches!(self, Self::Text { .. }),
            Missing::No => false,
        };
        if says_nothing {
            return Given::Other;
        }
        match self {
            Self::Number { style, numbers, tally } => {
                let Some(number) = value::number(cell, *style) else { return Given::Wrong };
                numbers.take_written(&number);
                tally.take(cell);
                Given::Number(number.value)
            }
            Self::Time { times, timeline } => {
                let Some(time) = times.read(cell) else { return Given::Wrong };
                timeline.take(time.millis);
                Given::Time(time.millis)
            }
            Self::Boolean { yes, no } => {
                let Some(truth) = value::boolean(cell) else { return Given::Wrong };
                *if truth { yes } else { no } += 1;
                Given::Other
            }
            Self::Text { tally, length, .. } => {
                tally.take(cell);
                length.take(cell.chars().count() as f64);
                Given::Other
            }
            Self::Empty => Given::Other,
        }
    }

    fn finish(self, whole: bool) -> Detail {
        match self {
            Self::Number { numbers, tally, .. } => match numbers.summary(whole) {
                Some(summary) => {
                    let distinct = tally.distinct(summary.count);
                    Detail::Number { summary, distinct }
                }
                None => Detail::Empty,
            },
            Self::Time { times, timeline } => Detail::Time { times, timeline },
            Self::Boolean { yes, no } => Detail::Boolean { yes, no },
            Self::Text { tally, length, .. } => match length.summary(true) {
                Some(length) => Detail::Text(Values {
                    top: tally.top(TOP),
                    error: tally.error(),
                    distinct: tally.distinct(length.count),
                    variants: tally.variants(),
                    length,
                }),
                None => Detail::Empty,
            },
            Self::Empty => Detail::Empty,
        }
    }
}

fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Integer(_) | Kind::Decimal(_))
}

/// A cell as it is shown: its beginning.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(PREVIEW_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

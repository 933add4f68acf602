//! A price file like a real one: hourly bars of one instrument, always the same.

use std::fmt::Write;

/// Bars in the sample: about five years of trading hours.
const BARS: usize = 12_000;
/// The first day, in days since 1970-01-01: Monday, 2021-01-04.
const FIRST_DAY: i64 = 18_631;
const HOURS_A_DAY: usize = 9;
const OPENING_HOUR: usize = 9;

/// A small deterministic random source (SplitMix64): the sample is the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform over 0 to 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^= word >> 31;
        // 53 bits are what an f64 holds exactly.
        (word >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal, mean 0, deviation 1 (twelve uniforms are close enough for a demonstration).
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// A walk whose storms come in spells.
pub(super) struct Walk {
    random: Random,
    price: f64,
    volatility: f64,
}

/// One bar.
pub(super) struct Bar {
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) close: f64,
    pub(super) volume: u64,
}

impl Walk {
    pub(super) fn new(seed: u64, price: f64) -> Self {
        Self { random: Random::new(seed), price, volatility: 0.004 }
    }

    pub(super) fn next(&mut self) -> Bar {
        let shock = self.random.normal();
        let jump = if self.random.unit() < 0.002 { self.random.normal() * 0.03 } else { 0.0 };
        let change = 0.000_02 + self.volatility * shock + jump;
        // GARCH(1,1): today's movement is tomorrow's unrest.
        self.volatility =
            (0.000_000_4 + 0.08 * change * change + 0.90 * self.volatility.powi(2)).sqrt().clamp(0.001, 0.03);
        let open = self.price;
        let close = open * change.exp();
        let reach = |random: &mut Random| 1.0 + random.unit() * self.volatility;
        let high = open.max(close) * reach(&mut self.random);
        let low = open.min(close) / reach(&mut self.random);
        let volume = 4_000.0 * (1.0 + 90.0 * change.abs()) * (0.35 * self.random.normal()).exp();
        self.price = close;
        Bar { open, high, low, close, volume: volume as u64 }
    }
}

/// The sample as CSV.
pub(super) fn csv() -> String {
    let mut walk = Walk::new(20_260_123, 84.20);
    let mut text = String::from("time,symbol,open,high,low,close,volume\n");
    let (mut day, mut hour) = (FIRST_DAY, 0);
    for _ in 0..BARS {
        let bar = walk.next();
        let (year, month, date) = civil(day);
        let _infallible = writeln!(
            text,
            "{year:04}-{month:02}-{date:02}T{:02}:00:00Z,FPT,{:.2},{:.2},{:.2},{:.2},{}",
            OPENING_HOUR + hour,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume
        );
        hour += 1;
        if hour == HOURS_A_DAY {
            hour = 0;
            // 1970-01-01 was a Thursday, so a day is a Friday when it is 1 modulo 7.
            day += if day.rem_euclid(7) == 1 { 3 } else { 1 };
        }
    }
    text
}

/// Year, month and day of a count of days since 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(FIRST_DAY), (2021, 1, 4));
        assert_eq!(civil(19_782), (2024, 2, 29));
    }

    #[test]
    fn the_sample_is_a_plausible_price_file_and_always_the_same() {
        let text = csv();
        assert_eq!(text, csv());
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), BARS);
        let mut before = "";
        for row in rows {
            let [open, high, low, close]: [f64; 4] =
                std::array::from_fn(|index| row[index + 2].parse().expect("a price"));
            assert!(before < row[0], "time rises: {before} then {}", row[0]);
            assert!(low <= open.min(close) && high >= open.max(close), "{row:?}");
            assert!((1.0..100_000.0).contains(&close), "{row:?}");
            before = row[0];
        }
    }
}

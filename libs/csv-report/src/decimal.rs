//! Decimal numbers as they are written, and sums of them: exact, as amounts of money must be. A number of
//! base two cannot hold `0.10`, and a sum of a million of them shows it.

/// The most decimals that are worth showing of a sum: what has more was measured or computed, not counted.
const SHOWN_PLACES_MAX: u8 = 8;

/// A whole number of units, of which `10^places` are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    units: i128,
    places: u8,
}

impl Decimal {
    const ZERO: Self = Self { units: 0, places: 0 };

    /// Digits with at most one point, after a sign or none; `None` for an exponent and for more than about 18
    /// digits, which a float does not keep either.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mut units, mut places, mut point) = (0_i64, 0_u8, false);
        for byte in digits.bytes() {
            match byte {
                b'0'..=b'9' => {
                    units = units.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                    places = places.checked_add(u8::from(point))?;
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        let number = Self { units: i128::from(units), places };
        Some(if text.starts_with('-') { number.negated() } else { number })
    }

    pub(crate) const fn negated(self) -> Self {
        Self { units: -self.units, places: self.places }
    }

    /// `None` if it would be too large.
    fn plus(self, other: Self) -> Option<Self> {
        let places = self.places.max(other.places);
        let scaled = |number: Self| match places - number.places {
            0 => Some(number.units),
            more => number.units.checked_mul(10_i128.checked_pow(u32::from(more))?),
        };
        Some(Self { units: scaled(self)?.checked_add(scaled(other)?)?, places })
    }

    /// `-300000.10`, without the zeros at its end that are beyond `places_min` decimals.
    fn text(self, places_min: u8) -> String {
        let places = usize::from(self.places);
        let digits = format!("{:0>width$}", self.units.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let needed = fraction.trim_end_matches('0').len().max(usize::from(places_min).min(places));
        let sign = if self.units < 0 { "-" } else { "" };
        let point = if needed > 0 { "." } else { "" };
        format!("{sign}{whole}{point}{}", &fraction[..needed])
    }
}

/// A sum, and with how many decimals its numbers are written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sum {
    /// None once a number came that is no decimal, or the sum was too large.
    exact: Option<Decimal>,
    about: f64,
    places_min: u8,
}

impl Default for Sum {
    fn default() -> Self {
        Self { exact: Some(Decimal::ZERO), about: 0.0, places_min: u8::MAX }
    }
}

impl Sum {
    /// Takes a number in: as it is written, if that is known, and as a float.
    pub(crate) fn take(&mut self, written: Option<Decimal>, value: f64) {
        self.exact = self.exact.zip(written).and_then(|(sum, number)| sum.plus(number));
        self.places_min = self.places_min.min(written.map_or(0, |number| number.places));
        self.about += value;
    }

    /// The fewest and the most decimals of its numbers, where those are worth showing.
    pub(crate) fn places(&self) -> Option<(usize, usize)> {
        let most = self.exact?.places;
        (most <= SHOWN_PLACES_MAX).then_some((usize::from(self.places_min.min(most)), usize::from(most)))
    }

    /// The sum, where it is exact and worth showing so: `-300000.10`.
    pub(crate) fn exact(&self) -> Option<String> {
        self.places().and(self.exact).map(|sum| sum.text(self.places_min))
    }

    /// The sum as a float.
    pub(crate) fn about(&self) -> f64 {
        self.about
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(texts: &[&str]) -> Sum {
        let mut sum = Sum::default();
        texts.iter().for_each(|text| sum.take(Decimal::parse(text), text.parse().expect("a number")));
        sum
    }

    #[test]
    fn a_sum_is_exact_with_the_decimals_of_its_numbers() {
        let exact = |texts: &[&str]| sum(texts).exact();
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(exact(&["199999.95", "100000.10", "0.05"]), is("300000.10"));
        assert_eq!(exact(&["0.1", "0.2", "-0.3"]), is("0.0"));
        assert_eq!(exact(&["1.5", "2.25", "3"]), is("6.75"));
        assert_eq!(exact(&["-.05", "-3.", "+1"]), is("-2.05"));
        assert_eq!(exact(&["9007199254740993", "9007199254740993"]), is("18014398509481986"));
        assert_eq!(exact(&["0.00000001"; 3]), is("0.00000003"));
        assert_eq!(exact(&[]), is("0"));
        assert_eq!(sum(&["1.5", "2.25", "3"]).places(), Some((0, 2)));
    }

    #[test]
    fn what_is_no_decimal_or_too_long_makes_a_sum_that_is_only_about_right() {
        for texts in [&["1e3", "2"][..], &["0.12345678901234567890", "2"], &["0.123456789", "2"]] {
            assert_eq!((sum(texts).exact(), sum(texts).places()), (None, None), "{texts:?}");
            assert!(sum(texts).about() > 2.0);
        }
        // More places than a sum of so many digits has room for.
        let small = format!("0.{}1", "0".repeat(37));
        assert_eq!(sum(&[&small, "900000000000000000"]).exact(), None);
    }
}

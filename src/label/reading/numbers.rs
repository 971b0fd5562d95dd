//! Numbers in a file of labels, whatever stands before their decimals.
//!
//! In: cells. Out: numbers and times. Refuses numbers that may be two: spreadsheets in half of the
//! world write `1,5` for one and a half, and in the other half `1,500` for fifteen hundred.
//!
//! `1,5` and `0,500` can be read in one way only, and so can `1.5`. What looks like thousands, `1,500`
//! or `1.500`, is decimals where the same mark stands before decimals elsewhere in the file, or where
//! the other one is nowhere. Otherwise it is refused, and so is what contradicts it later. Of commas
//! alone, semicolons between the cells settle it, which spreadsheets write only where the comma stands
//! before decimals; tabs do not. Where commas part the cells they are refused in numbers.

use std::cell::Cell;

use super::cells::short;
use crate::label::problem::{RowProblem, RowResult};
use crate::units::times::parse_seconds;

/// What is known of a file's numbers.
#[derive(Debug)]
pub(super) struct Numbers {
    commas: Commas,
    points: Marks,
    decimal_commas: Marks,
}

/// Where one of the two marks stood so far.
#[derive(Debug, Default)]
struct Marks {
    /// Before what can only be decimals.
    certain: Cell<bool>,
    /// Before what was taken for decimals.
    believed: Cell<bool>,
}

/// What parts the cells says of commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commas {
    /// They part cells.
    Part,
    /// They stand before decimals, where they stand in numbers.
    Decimal,
    /// Nothing.
    Unknown,
}

impl Numbers {
    /// Of a file whose cells are parted by `delimiter`.
    pub(super) fn new(delimiter: u8) -> Self {
        let commas = match delimiter {
            b',' => Commas::Part,
            b';' => Commas::Decimal,
            _ => Commas::Unknown,
        };
        Self { commas, points: Marks::default(), decimal_commas: Marks::default() }
    }

    /// A finite number; nothing, where the cell is empty.
    pub(super) fn number(&self, column: &'static str, text: &str) -> RowResult<Option<f64>> {
        self.read(column, text, |text| text.parse().ok())
    }

    /// A time in seconds, which may also be written as `1m30s` or `1:02:03.5`; nothing, where the
    /// cell is empty.
    pub(super) fn time(&self, column: &'static str, text: &str) -> RowResult<Option<f64>> {
        self.read(column, text, |text| text.parse().ok().or_else(|| parse_seconds(text)))
    }

    fn read(
        &self,
        column: &'static str,
        text: &str,
        parse: impl Fn(&str) -> Option<f64>,
    ) -> RowResult<Option<f64>> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        // Without the sign of a zero.
        let finite =
            |text: &str| parse(text).filter(|number| number.is_finite()).map(|number| number + 0.0);
        let mixed = |found| RowProblem::MixedMarks { column, text: short(text), found };
        if let Some(number) = finite(text) {
            if let Some((whole, decimals)) = text.split_once('.') {
                let is_grouped = thousands(whole, decimals).is_some();
                self.points.agree(&self.decimal_commas, is_grouped).ok_or_else(|| mixed('.'))?;
            }
            return Ok(Some(number));
        }
        let no_number = || RowProblem::NotANumber { column, text: short(text) };
        let Some((whole, decimals)) = text.split_once(',') else { return Err(no_number()) };
        // `1,2,3` and `1.234,5` do not read either way.
        let Some(number) = finite(&format!("{whole}.{decimals}")) else { return Err(no_number()) };
        if self.commas == Commas::Part {
            return Err(RowProblem::DecimalComma { column, text: text.to_owned() });
        }
        let large = thousands(whole, decimals);
        let is_settled = self.commas == Commas::Decimal || self.decimal_commas.certain.get();
        if let Some(large) = large.filter(|_| !is_settled) {
            let text = text.to_owned();
            return Err(RowProblem::ThousandsOrDecimals { column, text, small: number, large });
        }
        self.decimal_commas.agree(&self.points, large.is_some()).ok_or_else(|| mixed(','))?;
        Ok(Some(number))
    }
}

impl Marks {
    /// Notes a number with this mark; nothing, where those with the `other` one contradict it.
    fn agree(&self, other: &Self, is_grouped: bool) -> Option<()> {
        let is_contradicted = other.believed.get() || is_grouped && other.certain.get();
        (!is_contradicted).then(|| {
            if is_grouped { &self.believed } else { &self.certain }.set(true);
        })
    }
}

/// What `whole` and `decimals` are, if the mark between them parts thousands; nothing, where it cannot.
fn thousands(whole: &str, decimals: &str) -> Option<f64> {
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_grouped = decimals.len() == 3
        && are_digits(decimals)
        && (1..=3).contains(&digits.len())
        && are_digits(digits)
        && !digits.starts_with('0');
    is_grouped.then(|| format!("{whole}{decimals}").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(delimiter: u8, cells: &[&str]) -> Vec<Result<Option<f64>, &'static str>> {
        let numbers = Numbers::new(delimiter);
        let name = |problem: RowProblem| match problem {
            RowProblem::DecimalComma { .. } => "comma",
            RowProblem::ThousandsOrDecimals { .. } => "thousands",
            RowProblem::MixedMarks { .. } => "mixed",
            RowProblem::NotANumber { .. } => "no number",
            _ => "another",
        };
        cells.iter().map(|cell| numbers.time("start", cell).map_err(name)).collect()
    }

    #[test]
    fn commas_stand_before_decimals_where_semicolons_part_cells() {
        let found = read(b';', &["1,5", " 0,25 ", "12", "1,500", "", "-0", "1:02,5", "1,5s"]);
        let values = [Some(1.5), Some(0.25), Some(12.0), Some(1.5), None, Some(0.0)];
        assert_eq!(found[..6], values.map(Ok));
        assert_eq!(found[6..], [Ok(Some(62.5)), Ok(Some(1.5))]);
        // Each of these can be read in one way only.
        assert_eq!(read(b';', &["1,5", "0.87"]), [Ok(Some(1.5)), Ok(Some(0.87))]);
        assert_eq!(read(b';', &["1,5", "1.500"]), [Ok(Some(1.5)), Err("mixed")]);
        assert_eq!(read(b';', &["1.500", "1,5"]), [Ok(Some(1.5)), Err("mixed")]);
        assert_eq!(read(b';', &["1.5", "1,500"]), [Ok(Some(1.5)), Err("mixed")]);
        assert_eq!(read(b';', &["1.500", "2.125"]), [Ok(Some(1.5)), Ok(Some(2.125))]);
        for wrong in ["1,2,3", "1.234,5", "1,234.5", ",", "a,b", "nan", "inf", "1,inf"] {
            assert_eq!(read(b';', &[wrong]), [Err("no number")], "{wrong}");
        }
    }

    #[test]
    fn what_may_be_thousands_is_refused_until_something_settles_it() {
        assert_eq!(read(b',', &["1,5", "1.5"]), [Err("comma"), Ok(Some(1.5))]);
        let found = read(b'\t', &["1,500", "999,125", "0,500", "1,500"]);
        assert_eq!(found, [Err("thousands"), Err("thousands"), Ok(Some(0.5)), Ok(Some(1.5))]);
        assert_eq!(read(b'\t', &["1.5", "1,500"]), [Ok(Some(1.5)), Err("thousands")]);
        assert_eq!(read(b'\t', &["1,500000", "2,125"]), [Ok(Some(1.5)), Ok(Some(2.125))]);
        assert_eq!(thousands("-12", "500"), Some(-12_500.0));
    }
}

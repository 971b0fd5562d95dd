//! Times as people write them.
//!
//! In: text, such as `90`, `1m30s`, `9m` or `1:02:03.5`. Out: seconds. Refuses what is no time, and
//! what could be two.
//!
//! - A number alone is seconds: `90`, `0.5`, `-1`.
//! - Numbers with units are added: `1h2m3s`, `250ms`, `1.5h`; units are `d`, `h`, `m` or `min`, `s`
//!   or `sec`, and `ms`, in either case. A last number without one counts what is next smaller
//!   behind hours and minutes: `9m20` is `9m20s`.
//! - With colons the last number is seconds, as clocks of players have it: `1:30` is a minute and
//!   a half, `1:02:03.5` an hour and two minutes more. Behind a colon there are at most 59.

/// The seconds that `text` says; `None` where it is no time.
pub fn parse_seconds(text: &str) -> Option<f64> {
    let seconds = decimal(text).or_else(|| clock(text)).or_else(|| measured(text))?;
    seconds.is_finite().then_some(seconds)
}

/// What stands in messages as examples of what [`parse_seconds`] reads.
pub const EXAMPLES: &str = "90, 0.5, 1m30s or 1:02:03.5";

/// A finite decimal number; Rust's parser also knows `inf` and `nan`.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let is_decimal = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    is_decimal.then(|| text.parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

/// A number without a sign and without an exponent.
fn plain(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_plain.then(|| text.parse().ok()).flatten()
}

/// `M:SS`, `H:MM:SS`, with decimals of the seconds.
fn clock(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let mut sum = 0.0;
    for (place, part) in parts.iter().enumerate() {
        let number = plain(part)?;
        let is_last = place + 1 == parts.len();
        if !is_last && part.contains('.') || place > 0 && number >= 60.0 {
            return None;
        }
        sum = 60.0 * sum + number;
    }
    Some(sum)
}

/// Numbers with units of time.
fn measured(text: &str) -> Option<f64> {
    let (mut sum, mut rest) = (0.0, text);
    // What a number without a unit counts here.
    let mut next_smaller = None;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let letters = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let (factor, smaller) = match unit.to_ascii_lowercase().as_str() {
            "" => (next_smaller?, None),
            "ms" => (1e-3, None),
            "s" | "sec" => (1.0, None),
            "m" | "min" => (60.0, Some(1.0)),
            "h" => (3_600.0, Some(60.0)),
            "d" => (86_400.0, None),
            _ => return None,
        };
        sum += plain(number)? * factor;
        (next_smaller, rest) = (smaller, behind);
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90", 90.0),
            ("0.5", 0.5),
            (".5", 0.5),
            ("-1", -1.0),
            ("1e2", 100.0),
            ("9m", 540.0),
            ("9m20", 560.0),
            ("1h30", 5_400.0),
            ("1h2m3s", 3_723.0),
            ("1H2M3.25S", 3_723.25),
            ("1.5h", 5_400.0),
            ("250ms", 0.25),
            ("1d", 86_400.0),
            ("90 ", f64::NAN),
            ("0:01", 1.0),
            ("1:30", 90.0),
            ("90:00", 5_400.0),
            ("1:02:03.5", 3_723.5),
            ("00:00:07", 7.0),
        ] {
            match parse_seconds(text) {
                None => assert!(seconds.is_nan(), "{text}"),
                Some(found) => assert!((found - seconds).abs() < 1e-9, "{text}: {found}"),
            }
        }
        for wrong in [
            "", "m", "x", "9x", "1:", ":1", "1:60", "1:2:60", "1:2:3:4", "1.5:30", "1:-2", "-1:30",
            "inf", "nan", "1m30s20", "5s6", "9m20x", "1,5", "44.1kHz", "1e999", "1..2s",
        ] {
            assert_eq!(parse_seconds(wrong), None, "{wrong}");
        }
    }

    proptest! {
        /// A clock and units say the same of any time.
        #[test]
        fn clocks_and_units_agree(hours in 0_u32..100, minutes in 0_u32..60, seconds in 0_u32..60) {
            let clock = parse_seconds(&format!("{hours}:{minutes:02}:{seconds:02}"));
            let units = parse_seconds(&format!("{hours}h{minutes}m{seconds}s"));
            let expected = f64::from(3_600 * hours + 60 * minutes + seconds);
            prop_assert_eq!(clock, Some(expected));
            prop_assert_eq!(units, Some(expected));
        }

        #[test]
        fn whatever_is_typed_breaks_nothing(text in "[0-9a-z:.,é-]{0,12}") {
            if let Some(seconds) = parse_seconds(&text) {
                prop_assert!(seconds.is_finite());
            }
        }
    }
}

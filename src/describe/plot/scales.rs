//! Where the ticks of an axis are, and what stands at them.
//!
//! In: a range. Out: ticks at round numbers, and the unit.

/// Seconds between ticks.
const STEPS_S: [f64; 25] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0,
    120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 43_200.0,
];

/// The ticks of a time axis.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeTicks {
    /// Seconds, and the text at each.
    pub ticks: Vec<(f64, String)>,
    /// What the texts are in.
    pub unit: &'static str,
}

/// At most `most` ticks or so between `start_s` and `end_s`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times are not negative"
)]
pub fn time_ticks(start_s: f64, end_s: f64, most: usize) -> TimeTicks {
    let least = (end_s - start_s) / most.max(1) as f64;
    let step = STEPS_S.into_iter().find(|&step| step >= least);
    // Of more than a week, days.
    let step = step.unwrap_or_else(|| (least / 86_400.0).ceil() * 86_400.0);
    let first = (start_s / step - 1e-9).ceil();
    let seconds = (0..).map(|index| (first + f64::from(index)) * step);
    let seconds = seconds.take_while(|&seconds| seconds <= end_s + step * 1e-9);
    let decimals = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
    let in_words = |seconds: f64| {
        let whole = seconds.round() as u64;
        let (hours, minutes, seconds_of) = (whole / 3_600, whole / 60 % 60, whole % 60);
        if step < 1.0 || end_s <= 120.0 {
            format!("{seconds:.decimals$}")
        } else if end_s < 3_600.0 {
            format!("{minutes}:{seconds_of:02}")
        } else if step < 60.0 {
            format!("{hours}:{minutes:02}:{seconds_of:02}")
        } else {
            format!("{hours}:{minutes:02}")
        }
    };
    let unit = if step < 1.0 || end_s <= 120.0 {
        "time, s"
    } else if end_s < 3_600.0 {
        "time, min:s"
    } else if step < 60.0 {
        "time, h:min:s"
    } else {
        "time, h:min"
    };
    TimeTicks { ticks: seconds.map(|seconds| (seconds, in_words(seconds))).collect(), unit }
}

/// Round frequencies in hertz, below `highest`.
pub fn frequencies(highest: f64) -> impl Iterator<Item = f64> {
    let decades = [10.0, 100.0, 1_000.0, 10_000.0, 100_000.0];
    let all = decades.into_iter().flat_map(|decade| [1.0, 2.0, 5.0].map(|one| one * decade));
    all.take_while(move |&hertz| hertz <= highest)
}

/// A frequency in kilohertz, as short as it is exact.
pub fn kilohertz(hertz: f64) -> String {
    (hertz / 1_000.0).to_string()
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `peak`, down to a thousandth,
/// and its text: the end of an axis of amplitudes.
pub fn amplitude_limit(peak: f32) -> (f32, &'static str) {
    const LIMITS: [(f32, &str); 10] = [
        (0.001, "0.001"),
        (0.002, "0.002"),
        (0.005, "0.005"),
        (0.01, "0.01"),
        (0.02, "0.02"),
        (0.05, "0.05"),
        (0.1, "0.1"),
        (0.2, "0.2"),
        (0.5, "0.5"),
        (1.0, "1"),
    ];
    // What exceeds full scale, as floating-point samples may, is cut.
    LIMITS.into_iter().find(|(limit, _)| *limit >= peak).unwrap_or((1.0, "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(start_s: f64, end_s: f64) -> (Vec<String>, &'static str) {
        let found = time_ticks(start_s, end_s, 11);
        (found.ticks.into_iter().map(|(_, text)| text).collect(), found.unit)
    }

    #[test]
    fn half_a_second_and_a_day_have_ticks_that_people_read() {
        let (found, unit) = texts(0.0, 0.5);
        assert_eq!((found[1].as_str(), found.len(), unit), ("0.05", 11, "time, s"));
        let (found, unit) = texts(0.0, 5.0);
        assert_eq!((found[1].as_str(), found.len(), unit), ("0.5", 11, "time, s"));
        let (found, unit) = texts(0.0, 600.0);
        assert_eq!((found[1].as_str(), found.len(), unit), ("1:00", 11, "time, min:s"));
        let (found, unit) = texts(0.0, 7_200.0);
        assert_eq!((found[1].as_str(), found.len(), unit), ("0:15", 9, "time, h:min"));
        let (found, unit) = texts(0.0, 86_400.0);
        assert_eq!((found[1].as_str(), found.len(), unit), ("4:00", 7, "time, h:min"));
        let (found, unit) = texts(7_201.5, 7_230.0);
        assert_eq!((found[0].as_str(), unit), ("2:00:05", "time, h:min:s"));
        let (found, unit) = texts(7_201.25, 7_201.75);
        assert_eq!((found[0].as_str(), unit), ("7201.25", "time, s"));
    }

    #[test]
    fn a_month_has_ticks_too() {
        assert!((2..=11).contains(&texts(0.0, 30.0 * 86_400.0).0.len()));
    }

    #[test]
    fn amplitudes_end_at_round_numbers() {
        assert_eq!(amplitude_limit(0.0).1, "0.001");
        assert_eq!(amplitude_limit(0.21).1, "0.5");
        assert_eq!(amplitude_limit(3.0).1, "1");
    }

    #[test]
    fn frequencies_are_round() {
        let found: Vec<String> = frequencies(8_000.0).map(kilohertz).collect();
        assert_eq!(found.last().map(String::as_str), Some("5"));
        assert!(found.contains(&"0.5".to_owned()) && found.contains(&"0.01".to_owned()));
    }
}

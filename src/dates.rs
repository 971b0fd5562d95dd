//! When something was recorded: local wall time, to the second, without a zone.
//!
//! In: what chunks, tags, file names and people say. Out: [`WallTime`]s, and [`Period`]s of them.
//! Refuses months, days and hours that there are none of, and years in which nobody could have
//! recorded: a recorder whose clock was never set says 1601 or 0000. The only room that imports
//! jiff.
//!
//! Recorders write the time that the clock on the wall showed, and seldom in which zone; so times
//! have none here. Where a text gives an offset, such as `06:30:00+02:00`, the time stays as
//! written and the offset is dropped.

mod names;

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

pub use names::in_name;

/// The year of the phonograph, and one in which this program will not be run any more.
const YEARS: std::ops::RangeInclusive<i16> = 1877..=2199;

/// This moment as the library writes moments: RFC 3339, UTC, to the second.
pub fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Seconds from now to `text`, a moment as mail and HTTP write it (RFC 9110, section 5.6.7); below
/// zero, when it is past. `None`, where it is none.
pub(crate) fn seconds_until(text: &str) -> Option<f64> {
    let moment = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(moment.duration_since(Timestamp::now()).as_secs_f64())
}

/// A time as the clock on the wall shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(DateTime);

/// What says when a recording was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Witness {
    /// The `bext` chunk of Broadcast Wave.
    Bext,
    /// The GUANO chunk of bat and bird recorders.
    Guano,
    /// A tag.
    Tag,
    /// The file's name.
    Name,
}

impl Witness {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bext, Self::Guano, Self::Tag, Self::Name];

    /// Its short name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bext => "bext",
            Self::Guano => "guano",
            Self::Tag => "tag",
            Self::Name => "name",
        }
    }
}

/// When a recording was made, and what says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When.
    pub at: WallTime,
    /// Says who.
    pub from: Witness,
}

impl WallTime {
    /// The time of these parts, where there is one in which somebody could have recorded.
    fn new(date: [i16; 3], time: [i8; 3]) -> Option<Self> {
        let [year, month, day] = date;
        let small = |number: i16| i8::try_from(number).ok();
        let date = Date::new(year, small(month)?, small(day)?).ok()?;
        let [hour, minute, second] = time;
        let time = Time::new(hour, minute, second, 0).ok()?;
        YEARS.contains(&year).then(|| Self(date.to_datetime(time)))
    }

    /// Reads what tags and chunks hold: a year, a month, a day, or a day and a time, as
    /// `2024-05-01T06:30:00`; a space for the T, other separators in the date, a fraction and an
    /// offset may be there too. A part that is not said is the first one.
    pub fn parse(text: &str) -> Option<Self> {
        Period::parse_tag(text).map(|period| period.start)
    }

    /// The time of a stamp of the file system, in nanoseconds since 1970, in the zone that this
    /// computer is set to.
    pub fn of_stamp(nanoseconds: i64) -> Option<Self> {
        let stamp = Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()?;
        let time = TimeZone::system().to_datetime(stamp);
        Some(Self(time.with().subsec_nanosecond(0).build().ok()?))
    }

    /// Seconds that the clock on the wall has counted since 1970 began, as if it were never set.
    pub fn seconds(self) -> i64 {
        self.0.duration_since(Date::constant(1970, 1, 1).at(0, 0, 0, 0)).as_secs()
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of one length, so that text sorts as time does.
        let (date, time) = (self.0.date(), self.0.time());
        write!(
            formatter,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    }
}

/// How much of a time was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Year,
    Month,
    Day,
    Minute,
    Second,
}

/// A stretch of time that was named: a year, a month, a day, a minute or a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first second.
    pub start: WallTime,
    /// The first second behind it.
    pub end: WallTime,
    precision: Precision,
}

impl Period {
    /// Reads `2024`, `2024-05`, `2024-05-01`, `2024-05-01T06:30` or `2024-05-01T06:30:00`; a
    /// space may stand for the T.
    pub fn parse(text: &str) -> Option<Self> {
        let (period, rest) = Self::read(text, "-")?;
        rest.is_empty().then_some(period)
    }

    fn parse_tag(text: &str) -> Option<Self> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        let (period, rest) = Self::read(text, "-:/._ ")?;
        // A fraction, an offset, or another program's remark; but not more digits of a number.
        (!rest.starts_with(|c: char| c.is_ascii_digit())).then_some(period)
    }

    /// The period at the beginning of `text`, and the rest of it.
    fn read<'a>(text: &'a str, separators: &str) -> Option<(Self, &'a str)> {
        let (year, mut rest) = digits(text, 4)?;
        let mut date = [year, 1, 1];
        let mut precision = Precision::Year;
        for (place, next) in [(1, Precision::Month), (2, Precision::Day)] {
            let behind = rest.strip_prefix(|c| separators.contains(c));
            let Some((number, behind)) = behind.and_then(|rest| digits(rest, 2)) else { break };
            (date[place], precision, rest) = (number, next, behind);
        }
        let mut time = [0; 3];
        if precision == Precision::Day
            && let Some(behind) = rest.strip_prefix(['T', 't', ' '])
            && let Some((hour, behind)) = digits(behind, 2)
            && let Some((minute, behind)) = behind.strip_prefix(':').and_then(|r| digits(r, 2))
        {
            time = [hour, minute, 0];
            (precision, rest) = (Precision::Minute, behind);
            if let Some((second, behind)) = behind.strip_prefix(':').and_then(|r| digits(r, 2)) {
                time[2] = second;
                (precision, rest) = (Precision::Second, behind);
            }
        }
        let time = time.map(|number| i8::try_from(number).unwrap_or(i8::MAX));
        let start = WallTime::new(date, time)?;
        let length = match precision {
            Precision::Year => 1.year(),
            Precision::Month => 1.month(),
            Precision::Day => 1.day(),
            Precision::Minute => 1.minute(),
            Precision::Second => 1.second(),
        };
        let end = WallTime(start.0.checked_add(length).ok()?);
        Some((Self { start, end, precision }, rest))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start.to_string();
        formatter.write_str(match self.precision {
            Precision::Year => &text[..4],
            Precision::Month => &text[..7],
            Precision::Day => &text[..10],
            Precision::Minute => &text[..16],
            Precision::Second => &text,
        })
    }
}

/// The number that the first `count` characters of `text` are, and the rest.
fn digits(text: &str, count: usize) -> Option<(i16, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    let all = number.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| Some((number.parse().ok()?, rest)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        WallTime::parse(text).map(|time| time.to_string())
    }

    #[test]
    fn tags_are_read_as_people_write_them() {
        for (text, time) in [
            ("2024-05-01T06:30:15", "2024-05-01T06:30:15"),
            ("2024-05-01 06:30:15", "2024-05-01T06:30:15"),
            ("2024-05-01T06:30:15.250+02:00", "2024-05-01T06:30:15"),
            ("2024-05-01T06:30Z", "2024-05-01T06:30:00"),
            ("2024:05:01", "2024-05-01T00:00:00"),
            ("2024/05", "2024-05-01T00:00:00"),
            (" 2003\0\0", "2003-01-01T00:00:00"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(time), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_date() {
        for text in [
            "",
            "0000-00-00",
            "1601-01-01",
            "2024-13-01",
            "2023-02-29",
            "2024-05-01T25:00:00",
            "20",
            "20245",
            "may",
            "９９９９",
            "2300-01-01",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn a_period_ends_where_the_next_one_begins() {
        for (text, end) in [
            ("2024", "2025-01-01T00:00:00"),
            ("2024-12", "2025-01-01T00:00:00"),
            ("2024-02-28", "2024-02-29T00:00:00"),
            ("2024-02-28T23:59", "2024-02-29T00:00:00"),
            ("2024-02-28T23:59:59", "2024-02-29T00:00:00"),
        ] {
            let period = Period::parse(text).unwrap();
            assert_eq!(period.end.to_string(), end);
            assert_eq!(period.to_string(), text);
        }
        assert_eq!(Period::parse("2024-05-01 and"), None);
        assert_eq!(Period::parse("2024-1"), None);
    }

    #[test]
    fn a_stamp_is_a_whole_second() {
        let time = WallTime::of_stamp(1_714_545_015_123_456_789).unwrap().to_string();
        assert!(time.ends_with(":15"), "zones differ by whole minutes: {time}");
    }
}

//! Dates in file names.
//!
//! In: a file's name, in bytes. Out: the first date in it, with the time that follows. Refuses
//! digits that run on, as those of longer numbers do.

use super::WallTime;

/// The first date in a file's name: `20240501_063000`, `20240501-0630`, `20240501T063000`,
/// `20240501063000`, `2024-05-01_06-30-00`, `2024.05.01 06.30`, or without a time.
pub fn in_name(name: &[u8]) -> Option<WallTime> {
    (0..name.len()).find_map(|start| {
        let begins = start == 0 || !name[start - 1].is_ascii_digit();
        begins.then(|| date_at(&name[start..])).flatten()
    })
}

fn date_at(text: &[u8]) -> Option<WallTime> {
    let (year, rest) = number(text, 4)?;
    let separator = rest.first().copied().filter(|byte| b"-_.".contains(byte));
    let (month, rest) = number(behind(rest, separator)?, 2)?;
    let (day, rest) = number(behind(rest, separator)?, 2)?;
    let date = [year, month, day];
    match rest.first() {
        // Fourteen digits, or a longer number, which is no date.
        Some(byte) if byte.is_ascii_digit() => {
            separator.is_none().then(|| WallTime::new(date, time_at(rest)?))?
        }
        Some(b'_' | b'-' | b'T' | b't' | b' ' | b'.') => {
            let timed = time_at(&rest[1..]).and_then(|time| WallTime::new(date, time));
            timed.or_else(|| WallTime::new(date, [0; 3]))
        }
        _ => WallTime::new(date, [0; 3]),
    }
}

/// Hours, minutes and perhaps seconds, if no digit follows.
fn time_at(text: &[u8]) -> Option<[i8; 3]> {
    let (hour, rest) = number(text, 2)?;
    let separator = rest.first().copied().filter(|byte| b"-_.:h".contains(byte));
    let (minute, mut rest) = number(behind(rest, separator)?, 2)?;
    // After `06h30` comes `m` or what is usual.
    let separator = match separator {
        Some(b'h') => rest.first().copied().filter(|byte| b"m-_.:".contains(byte)),
        other => other,
    };
    let mut second = 0;
    if let Some((number, behind)) = behind(rest, separator).and_then(|rest| number(rest, 2)) {
        (second, rest) = (number, behind);
    }
    let ends = !rest.first().is_some_and(u8::is_ascii_digit);
    let small = |number: i16| i8::try_from(number).ok();
    ends.then(|| Some([small(hour)?, small(minute)?, small(second)?]))?
}

/// `text` behind its separator.
fn behind(text: &[u8], separator: Option<u8>) -> Option<&[u8]> {
    match separator {
        Some(separator) => text.strip_prefix(&[separator]),
        None => Some(text),
    }
}

/// The number that the first `count` bytes are, and the rest.
fn number(text: &[u8], count: usize) -> Option<(i16, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let all = digits.iter().all(u8::is_ascii_digit);
    all.then(|| (digits.iter().fold(0, |sum, digit| 10 * sum + i16::from(digit - b'0')), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn recorders_names_are_read() {
        for (name, time) in [
            ("20240501_063015.WAV", "2024-05-01T06:30:15"),
            ("SM4-A01_20240501_063015.wav", "2024-05-01T06:30:15"),
            ("20240501-063015.flac", "2024-05-01T06:30:15"),
            ("20240501T063015Z.flac", "2024-05-01T06:30:15"),
            ("20240501T063015+0200_rec.flac", "2024-05-01T06:30:15"),
            ("20240501063015.mp3", "2024-05-01T06:30:15"),
            ("2024-05-01_06-30-15.wav", "2024-05-01T06:30:15"),
            ("2024-05-01 06.30.15 garden.wav", "2024-05-01T06:30:15"),
            ("REC_2024-05-01T06:30:15.wav", "2024-05-01T06:30:15"),
            ("2024_05_01_06_30_15.wav", "2024-05-01T06:30:15"),
            ("20240501_0630.wav", "2024-05-01T06:30:00"),
            ("2024-05-01 06h30m15.wav", "2024-05-01T06:30:15"),
            ("20240501_063015_123.wav", "2024-05-01T06:30:15"),
            ("20240501.wav", "2024-05-01T00:00:00"),
            ("20240501_A.wav", "2024-05-01T00:00:00"),
            ("20241301_20240501_063015.wav", "2024-05-01T06:30:15"),
            // The time is none: the day still is.
            ("20240501_996015.wav", "2024-05-01T00:00:00"),
        ] {
            let found = in_name(name.as_bytes()).map(|time| time.to_string());
            assert_eq!(found.as_deref(), Some(time), "{name}");
        }
        assert_eq!(
            in_name(b"\xff\xfe_20240501_063015.wav").unwrap().to_string(),
            "2024-05-01T06:30:15"
        );
    }

    #[test]
    fn other_numbers_are_no_dates() {
        for name in [
            "1-100032-A-0.ogg",
            "XC20240.mp3",
            "20241301.wav",
            "20240532_120000.wav",
            "120240501.wav",
            "202405011.wav",
            "00000000_000000.wav",
            "16010101_000000.wav",
            "2024-05.wav",
            "20240501996015.wav",
            "2024-0501.wav",
            "",
        ] {
            assert_eq!(in_name(name.as_bytes()), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_name_is_too_odd(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = in_name(&name);
        }

        #[test]
        fn digits_and_separators_neither(name in "[0-9T_. :h-]{0,30}") {
            let _ = (in_name(name.as_bytes()), WallTime::parse(&name));
        }
    }
}

//! Pieces of metadata as a column of JSON holds them, and texts as Milvus's expressions do.
//!
//! In: keys, values and texts as people write them. Out: what means the same to a server.

use std::fmt::Write as _;

use crate::dates::WallTime;
use crate::store::metadata::MetadataValue;

/// The name under which metadata called `key` lie: the same in upper and lower case, and of letters
/// that no expression takes for something else.
pub(super) fn json_key(key: &str) -> String {
    let lower = key.to_ascii_lowercase();
    if lower.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return format!("k_{lower}");
    }
    lower.bytes().fold("h_".to_owned(), |mut name, byte| {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// The time that a piece of metadata says, as [`WallTime::seconds`]; none, where it says none.
pub(super) fn seconds_of(value: &MetadataValue) -> Option<i64> {
    let written = match value {
        MetadataValue::Text(text) => text.clone(),
        MetadataValue::Integer(number) => number.to_string(),
        MetadataValue::Real(_) => return None,
    };
    WallTime::parse(&written).map(WallTime::seconds)
}

/// A number as the library shows it where it is compared with text: with a point, and with 15 digits
/// where these say it.
pub(super) fn shown_number(number: f64) -> String {
    let shown = format!("{number}");
    if shown.contains(['.', 'e', 'n', 'i']) { shown } else { shown + ".0" }
}

/// A number in an expression: always with a point, so that it is compared as one with a fraction.
pub(super) fn number(value: f64) -> String {
    format!("{value:?}")
}

/// `text` in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The first text behind all that begin with `prefix`, where there is one.
pub(super) fn behind(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // Past the surrogates, which are no characters.
        let next = match u32::from(last) {
            0xD7FF => 0xE000,
            other => other + 1,
        };
        if let Some(next) = char::from_u32(next) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_where_other_texts_begin() {
        for (prefix, end) in [
            ("a", Some("b")),
            ("/data/", Some("/data0")),
            ("é", Some("ê")),
            ("\u{D7FF}", Some("\u{E000}")),
        ] {
            assert_eq!(behind(prefix).as_deref(), end);
        }
        assert_eq!(behind("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(behind("\u{10FFFF}"), None);
    }

    #[test]
    fn texts_and_numbers_read_back() {
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
        assert_eq!((number(3.0), number(-0.25)), ("3.0".to_owned(), "-0.25".to_owned()));
        assert_eq!((shown_number(2.5), shown_number(3.0)), ("2.5".to_owned(), "3.0".to_owned()));
        assert_eq!(json_key("Site"), json_key("site"));
        assert_ne!(json_key("a b"), json_key("a_b"));
    }
}

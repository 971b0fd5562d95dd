//! What is wrong with a request, in words of whoever wrote it.
//!
//! In: what the parsers say, in terms of our types. Out: a sentence without them.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;

/// What is wrong with the variables of a path.
pub(super) fn of_path(rejection: &PathRejection) -> String {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        return "the address does not read".to_owned();
    };
    match error.kind() {
        ErrorKind::ParseErrorAtKey { key, value, expected_type } => {
            format!("`{key}` in the address is `{value}`, expected {}", named(expected_type))
        }
        ErrorKind::ParseErrorAtIndex { value, expected_type, .. }
        | ErrorKind::ParseError { value, expected_type } => {
            format!("the address has `{value}`, expected {}", named(expected_type))
        }
        ErrorKind::InvalidUtf8InPathParam { key } => {
            format!("`{key}` in the address is not UTF-8")
        }
        _ => "the address does not read".to_owned(),
    }
}

/// What is wrong with a query, of which the parser says `said`.
pub(super) fn of_query(said: &str) -> String {
    let said = said.strip_prefix("Failed to deserialize query string: ").unwrap_or(said);
    if let Some(name) = said.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'))
    {
        return format!("the address lacks `{name}`: ?{name}=…");
    }
    match said.split_once(": ") {
        Some((name, problem)) => {
            let name = name.trim_matches('`');
            match problem {
                "invalid digit found in string"
                | "cannot parse integer from empty string"
                | "number too large to fit in target type"
                | "number too small to fit in target type" => {
                    format!("`{name}` in the address is not a whole number that it may be")
                }
                "invalid float literal" | "cannot parse float from empty string" => {
                    format!("`{name}` in the address is not a number")
                }
                "provided string was not `true` or `false`" => {
                    format!("`{name}` in the address is neither true nor false")
                }
                problem => format!("`{name}` in the address: {}", plain(problem)),
            }
        }
        None => format!("the address does not read: {}", plain(said)),
    }
}

/// What a parser says, without the names of types.
pub(super) fn plain(said: &str) -> String {
    const TYPES: [&str; 9] = ["i64", "u64", "i32", "u32", "i16", "u16", "usize", "f64", "f32"];
    let mut words = said.to_owned();
    for of_ours in TYPES {
        words =
            words.replace(&format!("expected {of_ours}"), &format!("expected {}", named(of_ours)));
    }
    // A struct's name says nothing to whoever sends an object.
    if let Some((before, rest)) = words.split_once("expected struct ") {
        let behind = rest.find(' ').map_or("", |end| &rest[end..]);
        words = format!("{before}expected an object{behind}");
    }
    words.replace("invalid type: map", "it is an object").replace("invalid type: ", "it is the ")
}

/// A type, as people say it.
fn named(of_ours: &str) -> &'static str {
    match of_ours {
        "f32" | "f64" => "a number",
        "bool" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" => "a whole number",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_in_words() {
        let said = "invalid type: string \"abc\", expected i64 at line 1 column 5";
        let told = plain(said);
        assert_eq!(told, "it is the string \"abc\", expected a whole number at line 1 column 5");
        let told =
            plain("invalid type: integer `3`, expected struct SearchBody at line 1 column 1");
        assert_eq!(told, "it is the integer `3`, expected an object at line 1 column 1");
    }

    #[test]
    fn a_query_is_told_by_its_names() {
        let prefix = "Failed to deserialize query string: ";
        let of = |said: &str| of_query(&format!("{prefix}{said}"));
        assert_eq!(of("missing field `rate`"), "the address lacks `rate`: ?rate=…");
        let told = of("limit: invalid digit found in string");
        assert_eq!(told, "`limit` in the address is not a whole number that it may be");
        assert_eq!(
            of("start_s: invalid float literal"),
            "`start_s` in the address is not a number"
        );
        let told = of("by: unknown variant `x`, expected `recording` or `segment`");
        assert_eq!(
            told,
            "`by` in the address: unknown variant `x`, expected `recording` or `segment`"
        );
    }
}

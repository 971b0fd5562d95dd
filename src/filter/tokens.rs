//! Text into tokens.
//!
//! In: a filter's text. Out: [`Token`]s with their places. Refuses quotation marks that are not
//! closed, signs that the language does not have, and numbers that are none.

use std::fmt;
use std::ops::Range;

use super::{Operator, problem};
use crate::dates::Period;
use crate::error::{Error, Result};
use crate::units::times::{decimal, parse_seconds};

/// A piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    Comma,
    Operator(Operator),
    Word(String),
    Text(String),
    Number(f64, Unit),
    Period(Period),
    End,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    None,
    Seconds,
    Hertz,
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => formatter.write_str("`(`"),
            Self::Close => formatter.write_str("`)`"),
            Self::Comma => formatter.write_str("`,`"),
            Self::Operator(operator) => write!(formatter, "`{operator}`"),
            Self::Word(word) => write!(formatter, "`{word}`"),
            Self::Text(_) => formatter.write_str("a text"),
            Self::Number(..) => formatter.write_str("a number"),
            Self::Period(_) => formatter.write_str("a date"),
            Self::End => formatter.write_str("the end"),
        }
    }
}

/// The tokens of `text`, the last one [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>> {
    let mut tokens = Vec::new();
    let mut place = 0;
    while let Some(first) = text[place..].chars().next() {
        if first.is_whitespace() {
            place += first.len_utf8();
            continue;
        }
        let (token, length) = next(text, place, first)?;
        tokens.push((token, place..place + length));
        place += length;
    }
    tokens.push((Token::End, text.len()..text.len()));
    Ok(tokens)
}

fn next(text: &str, place: usize, first: char) -> Result<(Token, usize)> {
    const SIGNS: [(&str, Token); 11] = [
        ("!=", Token::Operator(Operator::NotEqual)),
        ("!~", Token::Operator(Operator::Unlike)),
        ("<=", Token::Operator(Operator::LessOrEqual)),
        (">=", Token::Operator(Operator::GreaterOrEqual)),
        ("=", Token::Operator(Operator::Equal)),
        ("<", Token::Operator(Operator::Less)),
        (">", Token::Operator(Operator::Greater)),
        ("~", Token::Operator(Operator::Like)),
        ("(", Token::Open),
        (")", Token::Close),
        (",", Token::Comma),
    ];
    let rest = &text[place..];
    if let Some(wrong) = foreign(rest) {
        let (sign, ours) = wrong;
        return Err(problem(
            text,
            place..place + sign.len(),
            format!("`{sign}` is not in the language"),
            Some(format!("write {ours}")),
        ));
    }
    if let Some((sign, token)) = SIGNS.into_iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok((token, sign.len()));
    }
    let mut after = rest.chars().skip(1);
    match first {
        '"' | '\'' => quoted(text, place, first),
        '0'..='9' => number(text, place),
        '-' | '+' | '.' if after.next().is_some_and(|c| c.is_ascii_digit() || c == '.') => {
            number(text, place)
        }
        _ if first.is_alphabetic() || first == '_' => {
            let length = run(rest, |c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
            Ok((Token::Word(rest[..length].to_owned()), length))
        }
        _ => Err(problem(
            text,
            place..place + first.len_utf8(),
            format!("`{}` has no meaning here", first.escape_debug()),
            Some("text stands in quotes: path ~ \"*/birds/*\"".to_owned()),
        )),
    }
}

/// Signs of other languages, and ours.
fn foreign(rest: &str) -> Option<(&'static str, &'static str)> {
    const FOREIGN: [(&str, &str); 6] =
        [("==", "="), ("=~", "~"), ("<>", "!="), ("&&", "and"), ("||", "or"), ("=<", "<=")];
    FOREIGN.into_iter().find(|(sign, _)| rest.starts_with(sign))
}

/// Bytes of the characters at the beginning of `text` that are `wanted`.
fn run(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.find(|c| !wanted(c)).unwrap_or(text.len())
}

fn quoted(text: &str, place: usize, quote: char) -> Result<(Token, usize)> {
    let mut content = String::new();
    let mut characters = text[place..].char_indices().skip(1).peekable();
    while let Some((offset, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((Token::Text(content), offset + 1)),
            '\\' => match characters.next_if(|(_, next)| matches!(next, '"' | '\'' | '\\')) {
                Some((_, escaped)) => content.push(escaped),
                None => content.push('\\'),
            },
            _ => content.push(character),
        }
    }
    let message = "this quotation mark is not closed".to_owned();
    Err(problem(text, place..place + 1, message, Some(format!("end the text with {quote}"))))
}

fn number(text: &str, place: usize) -> Result<(Token, usize)> {
    let rest = &text[place..];
    let mut length = run(rest, |c| c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '+'));
    // A date with a time behind a space, as people write it.
    let timed = rest[length..]
        .strip_prefix(' ')
        .map(|time| length + 1 + run(time, |c| c.is_ascii_digit() || c == ':'));
    if let Some(longer) = timed.filter(|&longer| rest[length..longer].contains(':')) {
        length = longer;
    }
    let written = &rest[..length];
    let is_date = written.len() > 4 && written.as_bytes()[4] == b'-';
    let token = if is_date {
        Period::parse(written).map(Token::Period)
    } else {
        measured(written).map(|(number, unit)| Token::Number(number, unit))
    };
    token.map(|token| (token, length)).ok_or_else(|| not_a_number(text, place, length, is_date))
}

fn not_a_number(text: &str, place: usize, length: usize, is_date: bool) -> Error {
    let written = &text[place..place + length];
    let (kind, examples) = if is_date {
        ("date", "2024, 2024-05, 2024-05-01 or 2024-05-01T06:30:00")
    } else {
        ("number", "5, 0.3, 1m30s, 2h or 44.1kHz; text stands in quotes")
    };
    let message = format!("`{written}` is no {kind}: expected one such as {examples}");
    problem(text, place..place + length, message, None)
}

/// A number with its unit, or several that count time.
fn measured(written: &str) -> Option<(f64, Unit)> {
    if let Some(number) = decimal(written) {
        return Some((number, Unit::None));
    }
    let letters = written.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let factor = match letters.to_ascii_lowercase().as_str() {
        "hz" => 1.0,
        "k" | "khz" => 1e3,
        _ => return parse_seconds(written).map(|seconds| (seconds, Unit::Seconds)),
    };
    let number = decimal(&written[..written.len() - letters.len()])? * factor;
    Some((number, Unit::Hertz)).filter(|(number, _)| number.is_finite())
}

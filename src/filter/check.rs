//! Whether a subject, an operator and a value fit.
//!
//! In: what was read. Out: [`Value`]s of the subject's kind. Refuses what could not hold, or could
//! only hold by accident.

use std::ops::Range;
use std::path::Path;

use super::tokens::Unit;
use super::{Field, Glob, Kind, Operator, Subject, Value, problem};
use crate::case::folded;
use crate::dates::Period;
use crate::error::{Error, Result};

/// Bytes of a pattern: SQLite takes no more.
const MOST_PATTERN_BYTES: usize = 50_000;

/// A value as it was read.
pub(super) enum Operand {
    Text(String),
    Number(f64, Unit),
    Period(Period),
}

impl Subject {
    /// What it is compared with.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Field(field) => field.kind(),
            Self::Class(_) => Kind::Number,
            Self::Metadata(_) => Kind::Either,
        }
    }
}

/// Refuses an operator that the subject has not.
pub(super) fn checked(
    text: &str,
    subject: &Subject,
    operator: Operator,
    place: Range<usize>,
) -> Result<()> {
    use Operator::{Equal, Like, NotEqual, Unlike};
    let (what, operators) = match subject.kind() {
        Kind::Text if !matches!(operator, Equal | NotEqual | Like | Unlike) => {
            ("text", "= != ~ !~ and `in`")
        }
        Kind::Number if matches!(operator, Like | Unlike) => {
            ("a number", "= != < <= > >= and `in`")
        }
        Kind::Date if matches!(operator, Like | Unlike) => ("a date", "= != < <= > >= and `in`"),
        _ => return Ok(()),
    };
    let message = format!("`{subject}` is {what}: it is compared by {operators}");
    Err(problem(text, place, message, None))
}

/// Refuses to ask whether there is what always is.
pub(super) fn checked_exists(text: &str, subject: &Subject, place: Range<usize>) -> Result<()> {
    match subject {
        Subject::Field(Field::Label) | Subject::Metadata(_) => Ok(()),
        Subject::Class(_) => {
            let message = "every class has a score, if only 0".to_owned();
            Err(problem(text, place, message, Some(format!("{subject} > 0"))))
        }
        Subject::Field(_) => {
            let message = format!("every recording has a `{subject}`");
            Err(problem(text, place, message, None))
        }
    }
}

/// The value that `subject` is compared with by `operator`.
pub(super) fn checked_value(
    text: &str,
    subject: &Subject,
    operator: Operator,
    operand: Operand,
    place: Range<usize>,
) -> Result<Value> {
    let wrong = |message: String, suggestion: Option<String>| {
        Err(problem(text, place.clone(), message, suggestion))
    };
    let is_pattern = matches!(operator, Operator::Like | Operator::Unlike);
    match (subject.kind(), operand) {
        (Kind::Text | Kind::Either, Operand::Text(value)) if is_pattern => {
            glob(text, subject, &value, place)
        }
        (Kind::Text, Operand::Text(value)) => exact(text, subject, value, place),
        (Kind::Either, Operand::Text(value)) => Ok(Value::Text(value)),
        (Kind::Either, Operand::Number(number, _)) if !is_pattern => Ok(Value::Number(number)),
        (Kind::Either, Operand::Period(period)) if !is_pattern => Ok(Value::Period(period)),
        (Kind::Text | Kind::Either, _) => {
            let written = &text[place.clone()];
            let message = format!("`{subject}` is compared with text here");
            wrong(message, Some(format!("put it in quotes: \"{written}\"")))
        }
        (Kind::Number, Operand::Number(number, unit)) => {
            number_of(subject, number, unit).or_else(|message| wrong(message, None))
        }
        (Kind::Number, _) => {
            let message = format!("`{subject}` is a number: expected one such as {}", of(subject));
            wrong(message, None)
        }
        (Kind::Date, Operand::Period(period)) => Ok(Value::Period(period)),
        (Kind::Date, Operand::Text(written)) if Period::parse(&written).is_some() => {
            Ok(Period::parse(&written).map_or(Value::Text(written), Value::Period))
        }
        (Kind::Date, Operand::Number(number, Unit::None))
            if Period::parse(&number.to_string()).is_some() =>
        {
            let year = number.to_string();
            Ok(Period::parse(&year).map_or(Value::Text(year), Value::Period))
        }
        (Kind::Date, _) => wrong(
            "`date` is a date: expected one such as 2024, 2024-05, 2024-05-01 or \
             2024-05-01T06:30:00"
                .to_owned(),
            None,
        ),
    }
}

/// A number that `subject` may be, as an example.
fn of(subject: &Subject) -> &'static str {
    match subject {
        Subject::Field(Field::Duration) => "5, 0.3, 1m30s or 2h",
        Subject::Field(Field::Rate) => "44100 or 44.1kHz",
        Subject::Class(_) => "0.3",
        _ => "2",
    }
}

fn number_of(subject: &Subject, number: f64, unit: Unit) -> std::result::Result<Value, String> {
    let fits = match subject {
        Subject::Field(Field::Duration) => matches!(unit, Unit::None | Unit::Seconds),
        Subject::Field(Field::Rate) => matches!(unit, Unit::None | Unit::Hertz),
        _ => unit == Unit::None,
    };
    if !fits {
        return Err(format!("`{subject}` is not counted so: expected one such as {}", of(subject)));
    }
    if matches!(subject, Subject::Class(_)) && !(0.0..=1.0).contains(&number) {
        return Err(format!("a score lies between 0 and 1, and {number} does not"));
    }
    Ok(Value::Number(number))
}

/// The whole of a text field.
fn exact(text: &str, subject: &Subject, value: String, place: Range<usize>) -> Result<Value> {
    match subject {
        Subject::Field(field @ (Field::Path | Field::Folder))
            if !Path::new(&value).is_absolute() =>
        {
            Err(not_absolute(text, *field, &value, place))
        }
        // A slash at the end is how shells complete a folder.
        Subject::Field(Field::Folder) if value.len() > 1 && value.ends_with('/') => {
            Ok(Value::Text(value.trim_end_matches('/').to_owned()))
        }
        Subject::Field(Field::Status) => {
            const KNOWN: [&str; 3] = ["ok", "truncated", "damaged"];
            let lower = value.to_ascii_lowercase();
            if KNOWN.contains(&lower.as_str()) {
                return Ok(Value::Text(lower));
            }
            let message = format!("`{value}` is no status: expected ok, truncated or damaged");
            Err(problem(text, place, message, None))
        }
        Subject::Field(Field::Codec) => Ok(Value::Text(value.to_ascii_lowercase())),
        _ => Ok(Value::Text(value)),
    }
}

fn glob(text: &str, subject: &Subject, pattern: &str, place: Range<usize>) -> Result<Value> {
    if let Subject::Field(field @ (Field::Path | Field::Folder)) = subject
        && !pattern.starts_with(['*', '?', '['])
        && !Path::new(pattern).is_absolute()
    {
        return Err(not_absolute(text, *field, pattern, place));
    }
    let folded = match subject {
        Subject::Field(Field::Codec | Field::Status) => pattern.to_ascii_lowercase(),
        Subject::Field(Field::Label) => folded(pattern),
        _ => pattern.to_owned(),
    };
    if folded.len() > MOST_PATTERN_BYTES {
        let message = format!("a pattern of more than {MOST_PATTERN_BYTES} bytes");
        let suggestion = Some(format!("one of many: {subject} in (...)"));
        return Err(problem(text, place, message, suggestion));
    }
    Glob::new(&folded).map(Value::Glob).map_err(|bracket| {
        // Within quotes, if nothing before it was escaped; else at the quotes.
        let exact = place.start + 1 + bracket;
        let is_there = text.as_bytes().get(exact) == Some(&b'[');
        let place = if is_there { exact..exact + 1 } else { place };
        let message = "this bracket is not closed".to_owned();
        problem(text, place, message, Some("[[] stands for a bracket itself".to_owned()))
    })
}

/// What would match nothing, without saying so.
fn not_absolute(text: &str, field: Field, written: &str, place: Range<usize>) -> Error {
    let name = field.as_str();
    let inner = written.trim_start_matches("./").trim_matches('*').trim_matches('/');
    let message = format!("a {name} is absolute, so that this matches none");
    let pattern = if field == Field::Path && !inner.contains('.') {
        format!("*/{inner}/*")
    } else {
        format!("*/{inner}")
    };
    problem(text, place, message, Some(format!("{name} ~ \"{pattern}\"")))
}

//! Filters as Milvus's expressions.
//!
//! In: a [`Filter`]. Out: an expression that lets the same rows pass as a library does, or the reason why
//! there is none. What is written by people stands in quotes or as a number.
//!
//! - Texts are compared whole or by how they begin (as a range: its own `like` would take `_` and `%` for
//!   something else), names also by how they end, by a column that has them backwards. Patterns with
//!   something in the middle are refused.
//! - A class that is not among a row's highest scores 0, metadata that are not there meet no comparison:
//!   so what is less than something is the opposite of what is not.
//! - Labels are a library's.

use super::Store;
use super::address::Consistency;
use super::columns::{
    CHANNELS, CLASSES, CODEC, DURATION, FOLDER, METADATA, NAME, NAME_BACKWARDS, NO_DATE, PATH,
    Partition, RATE, RECORDED, RECORDING_ID, STATUS, class_key,
};
use super::names::{behind, json_key, number, quoted};
use crate::case::folded;
use crate::dates::Period;
use crate::error::{Error, FilterProblem, Result};
use crate::filter::{Check, Expression, Field, Filter, Glob, Name, Operator, Subject, Value};

/// What every row meets, and what none does.
const ALWAYS: &str = "segment >= -1";
const NEVER: &str = "segment < -1";

/// The largest whole number below which a filter's numbers tell all apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The expression of `filter` for rows of `store`.
///
/// # Errors
/// [`Error::Filter`] when a class or a piece of metadata is not known, or a test has no expression;
/// [`Error::Milvus`].
pub(super) fn expression(store: &Store, filter: &Filter) -> Result<String> {
    let is_known = |key: &str| {
        let partitions = Partition::ALL;
        let test = format!("exists {METADATA}[\"t\"][{}]", quoted(key));
        let how = (1, Consistency::Strong);
        let found = store.client.query(&partitions, &test, &[super::columns::KEY], how)?;
        Ok(store.told(found.count())? > 0)
    };
    let writing = Writing { filter, classes: &store.header().classes, is_known: &is_known };
    writing.expression(filter.expression())
}

/// That a column has one of these numbers.
pub(super) fn one_of(column: &str, numbers: &[i64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    format!("{column} in [{}]", numbers.join(","))
}

/// That all of these hold; empty ones say nothing.
pub(super) fn all_of(parts: &[&str]) -> String {
    let parts: Vec<String> =
        parts.iter().filter(|part| !part.is_empty()).map(|part| format!("({part})")).collect();
    parts.join(" and ")
}

/// An expression that is being written.
struct Writing<'a> {
    filter: &'a Filter,
    /// The names of the model's classes.
    classes: &'a [String],
    /// Whether any row has metadata of this key.
    is_known: &'a dyn Fn(&str) -> Result<bool>,
}

impl Writing<'_> {
    fn expression(&self, expression: &Expression) -> Result<String> {
        let (parts, word) = match expression {
            Expression::All(parts) => (parts, " and "),
            Expression::Any(parts) => (parts, " or "),
            Expression::Not(part) => return Ok(format!("(not {})", self.expression(part)?)),
            Expression::Test(test) => return self.test(&test.subject, &test.check),
        };
        let parts = parts.iter().map(|part| self.expression(part)).collect::<Result<Vec<_>>>()?;
        Ok(format!("({})", parts.join(word)))
    }

    fn test(&self, subject: &Subject, check: &Check) -> Result<String> {
        // What is not so: the opposite of what is, also where there is no value.
        let opposite = match check {
            Check::Is(Operator::NotEqual, value) => Some((Operator::Equal, value)),
            Check::Is(Operator::Unlike, value) => Some((Operator::Like, value)),
            _ => None,
        };
        if let Some((operator, value)) = opposite {
            let check = Check::Is(operator, value.clone());
            return Ok(format!("(not {})", self.test(subject, &check)?));
        }
        match subject {
            Subject::Field(Field::Label) => Err(self.refused(
                subject,
                "labels are a library's, and a store has none".to_owned(),
                Some("bring what counts in as metadata before it is extracted".to_owned()),
            )),
            Subject::Field(field) => self.field(*field, subject, check),
            Subject::Class(name) => self.class(name, check),
            Subject::Metadata(name) => self.metadata(name, subject, check),
        }
    }

    fn field(&self, field: Field, subject: &Subject, check: &Check) -> Result<String> {
        let column = match field {
            Field::Path => PATH,
            Field::Name => NAME,
            Field::Folder => FOLDER,
            Field::Codec => CODEC,
            Field::Status => STATUS,
            Field::Duration => DURATION,
            Field::Rate => RATE,
            Field::Channels => CHANNELS,
            Field::Id | Field::Label => return self.id(subject, check),
            Field::Date => return Ok(date(RECORDED, check)),
        };
        match check {
            Check::Is(Operator::Like, Value::Glob(glob)) => self.like(field, column, subject, glob),
            Check::Is(operator, Value::Text(text)) => {
                Ok(format!("({column} {} {})", sign(*operator), quoted(text)))
            }
            Check::Is(operator, Value::Number(value)) => {
                Ok(format!("({column} {} {})", sign(*operator), number(*value)))
            }
            Check::In(values) => Ok(list(column, values)),
            // Types were checked: every field has a value of its kind.
            _ => Ok(ALWAYS.to_owned()),
        }
    }

    /// Ids are whole numbers of 64 bits.
    fn id(&self, subject: &Subject, check: &Check) -> Result<String> {
        let refused = || {
            self.refused(
                subject,
                "an id has 64 bits, and a filter's numbers tell 53 apart".to_owned(),
                Some("name recordings by path = \"…\"; examples may be id:N".to_owned()),
            )
        };
        let exact = |value: &f64| if value.abs() < EXACT { Ok(*value) } else { Err(refused()) };
        match check {
            Check::Is(operator, Value::Number(value)) => {
                Ok(whole(*operator, exact(value)?, RECORDING_ID))
            }
            Check::In(values) => {
                let tests = values
                    .iter()
                    .map(|value| match value {
                        Value::Number(value) => {
                            Ok(whole(Operator::Equal, exact(value)?, RECORDING_ID))
                        }
                        _ => Ok(NEVER.to_owned()),
                    })
                    .collect::<Result<Vec<_>>>()?;
                Ok(format!("({})", tests.join(" or ")))
            }
            _ => Ok(ALWAYS.to_owned()),
        }
    }

    fn like(&self, field: Field, column: &str, subject: &Subject, glob: &Glob) -> Result<String> {
        if let Some(test) = pattern(column, glob.as_str()) {
            return Ok(test);
        }
        // How a path or a name ends is how the name does, as long as no slash is in it.
        let ending = glob.as_str().strip_prefix('*').filter(|rest| is_plain(rest));
        match (field, ending) {
            (Field::Name | Field::Path, Some(ending)) if !ending.contains('/') => {
                let backwards: String = ending.chars().rev().collect();
                Ok(begins(NAME_BACKWARDS, &backwards))
            }
            (Field::Path, Some(ending)) if ending.rfind('/') == Some(0) => {
                Ok(format!("({NAME} == {})", quoted(&ending[1..])))
            }
            _ => Err(self.refused(
                subject,
                format!(
                    "the pattern {} cannot be asked of a Milvus store: it compares texts by how \
                     they begin, and names by how they end",
                    quoted(glob.as_str())
                ),
                Some(format!(
                    "a pattern that only ends with *, such as {subject} ~ \"/data/2024*\", one that only \
                     begins with it, such as name ~ \"*.wav\", or metadata"
                )),
            )),
        }
    }

    fn class(&self, name: &Name, check: &Check) -> Result<String> {
        let wanted = folded(&name.text);
        let found = self
            .classes
            .iter()
            .position(|class| *class == name.text)
            .or_else(|| self.classes.iter().position(|class| folded(class) == wanted));
        let Some(class) = found.and_then(|class| i64::try_from(class).ok()) else {
            return Err(self.filter.unknown_class(name, self.classes));
        };
        let score = format!("{CLASSES}[{}]", quoted(&class_key(class)));
        let is = |operator: Operator, value: &Value| match value {
            Value::Number(value) => scored(&score, operator, *value),
            _ => NEVER.to_owned(),
        };
        Ok(match check {
            Check::Is(operator, value) => is(*operator, value),
            Check::In(values) => {
                let tests: Vec<String> =
                    values.iter().map(|value| is(Operator::Equal, value)).collect();
                format!("({})", tests.join(" or "))
            }
            Check::Exists => ALWAYS.to_owned(),
        })
    }

    fn metadata(&self, name: &Name, subject: &Subject, check: &Check) -> Result<String> {
        let key = json_key(&name.text);
        if !(self.is_known)(&key)? {
            return Err(self.filter.unknown_metadata(name, &[]));
        }
        let of = |kind: &str| format!("{METADATA}[{}][{}]", quoted(kind), quoted(&key));
        match check {
            Check::Exists => Ok(format!("(exists {})", of("t"))),
            Check::Is(Operator::Like, Value::Glob(glob)) => pattern(&of("t"), glob.as_str())
                .ok_or_else(|| {
                    self.refused(
                        subject,
                        format!(
                            "the pattern {} cannot be asked of a Milvus store: it compares \
                             metadata by how they begin",
                            quoted(glob.as_str())
                        ),
                        Some("a pattern that only ends with *, or = and in (…)".to_owned()),
                    )
                }),
            Check::Is(operator, Value::Text(text)) => {
                Ok(format!("({} {} {})", of("t"), sign(*operator), quoted(text)))
            }
            Check::Is(operator, Value::Number(value)) => {
                Ok(format!("({} {} {})", of("n"), sign(*operator), number(*value)))
            }
            Check::Is(operator, Value::Period(period)) => Ok(within(&of("d"), *operator, period)),
            Check::Is(..) => Ok(NEVER.to_owned()),
            Check::In(values) => {
                let tests: Vec<String> = values
                    .iter()
                    .map(|value| match value {
                        Value::Text(text) => format!("{} == {}", of("t"), quoted(text)),
                        Value::Number(value) => format!("{} == {}", of("n"), number(*value)),
                        Value::Period(period) => within(&of("d"), Operator::Equal, period),
                        Value::Glob(_) => NEVER.to_owned(),
                    })
                    .collect();
                Ok(format!("({})", tests.join(" or ")))
            }
        }
    }

    fn refused(&self, subject: &Subject, message: String, suggestion: Option<String>) -> Error {
        let text = self.filter.text();
        let place = match subject {
            Subject::Class(name) | Subject::Metadata(name) => name.place.clone(),
            Subject::Field(field) => {
                // The first place where it may stand; names are in upper or lower case.
                let start = text.to_ascii_lowercase().find(field.as_str()).unwrap_or(0);
                start..start + field.as_str().len()
            }
        };
        Error::Filter(Box::new(FilterProblem { text: text.to_owned(), place, message, suggestion }))
    }
}

/// The sign of a comparison; of what is not so the opposite was made already.
fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::Equal | Operator::NotEqual | Operator::Like | Operator::Unlike => "==",
    }
}

/// That a whole number in `column` compares so with `value`, which may have a fraction.
fn whole(operator: Operator, value: f64, column: &str) -> String {
    let (sign, value) = match operator {
        Operator::Less => ("<", value.ceil()),
        Operator::LessOrEqual => ("<=", value.floor()),
        Operator::Greater => (">", value.floor()),
        Operator::GreaterOrEqual => (">=", value.ceil()),
        _ if value.fract() != 0.0 => return NEVER.to_owned(),
        _ => ("==", value),
    };
    // Without a minus before a zero, and without a point.
    format!("({column} {sign} {:.0})", value + 0.0)
}

/// That a column has one of these values.
fn list(column: &str, values: &[Value]) -> String {
    let values: Vec<String> = values
        .iter()
        .filter_map(|value| match value {
            Value::Text(text) => Some(quoted(text)),
            Value::Number(value) => Some(number(*value)),
            Value::Glob(_) | Value::Period(_) => None,
        })
        .collect();
    format!("({column} in [{}])", values.join(", "))
}

/// A score, which is 0 where it is not there.
fn scored(score: &str, operator: Operator, value: f64) -> String {
    let value_text = number(value);
    let above = |sign: &str| format!("({score} {sign} {value_text})");
    match operator {
        Operator::Greater => above(">"),
        Operator::GreaterOrEqual if value <= 0.0 => ALWAYS.to_owned(),
        Operator::GreaterOrEqual => above(">="),
        Operator::Less if value <= 0.0 => NEVER.to_owned(),
        Operator::Less => format!("(not {})", above(">=")),
        Operator::LessOrEqual => format!("(not {})", above(">")),
        _ if value <= 0.0 => format!("(not {})", above(">")),
        _ => above("=="),
    }
}

/// When something was recorded.
fn date(column: &str, check: &Check) -> String {
    match check {
        Check::Is(operator, Value::Period(period)) => {
            format!("({column} > {NO_DATE} and {})", within(column, *operator, period))
        }
        Check::In(values) => {
            let tests: Vec<String> = values
                .iter()
                .map(|value| match value {
                    Value::Period(period) => within(column, Operator::Equal, period),
                    _ => NEVER.to_owned(),
                })
                .collect();
            format!("({})", tests.join(" or "))
        }
        _ => format!("({column} > {NO_DATE})"),
    }
}

/// A time and a period, as the library compares them.
fn within(column: &str, operator: Operator, period: &Period) -> String {
    let (start, end) = (period.start.seconds(), period.end.seconds());
    match operator {
        Operator::Less => format!("({column} < {start})"),
        Operator::LessOrEqual => format!("({column} < {end})"),
        Operator::Greater => format!("({column} >= {end})"),
        Operator::GreaterOrEqual => format!("({column} >= {start})"),
        _ => format!("({column} >= {start} and {column} < {end})"),
    }
}

/// Whether a pattern stands for itself only.
fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '['])
}

/// A pattern that stands for itself, or for all that begins so.
fn pattern(column: &str, pattern: &str) -> Option<String> {
    if is_plain(pattern) {
        return Some(format!("({column} == {})", quoted(pattern)));
    }
    let beginning = pattern.trim_end_matches('*');
    (is_plain(beginning)).then(|| begins(column, beginning))
}

/// That a text begins so.
fn begins(column: &str, beginning: &str) -> String {
    let from = format!("{column} >= {}", quoted(beginning));
    match behind(beginning) {
        Some(end) => format!("({from} and {column} < {})", quoted(&end)),
        None => format!("({from})"),
    }
}

#[cfg(test)]
mod tests;

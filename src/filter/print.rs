//! Filters as text that reads back to the same.
//!
//! In: expressions. Out: the language, with as few parentheses as it needs.

use std::fmt::{self, Display, Formatter, Write as _};

use super::{Check, Expression, Operator, Subject, Test, Value};

impl Display for Expression {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => joined(formatter, parts, " and ", |part| {
                matches!(part, Self::All(_) | Self::Any(_))
            }),
            Self::Any(parts) => {
                joined(formatter, parts, " or ", |part| matches!(part, Self::Any(_)))
            }
            Self::Not(part) => {
                formatter.write_str("not ")?;
                let grouped = matches!(**part, Self::All(_) | Self::Any(_));
                one(formatter, part, grouped)
            }
            Self::Test(test) => test.fmt(formatter),
        }
    }
}

fn joined(
    formatter: &mut Formatter<'_>,
    parts: &[Expression],
    word: &str,
    grouped: impl Fn(&Expression) -> bool,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            formatter.write_str(word)?;
        }
        one(formatter, part, grouped(part))?;
    }
    Ok(())
}

fn one(formatter: &mut Formatter<'_>, part: &Expression, grouped: bool) -> fmt::Result {
    if grouped { write!(formatter, "({part})") } else { part.fmt(formatter) }
}

impl Display for Test {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        match &self.check {
            Check::Is(operator, value) => write!(formatter, "{subject} {operator} {value}"),
            Check::Exists => write!(formatter, "exists {subject}"),
            Check::In(values) => {
                write!(formatter, "{subject} in (")?;
                for (index, value) in values.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(formatter, "{comma}{value}")?;
                }
                formatter.write_char(')')
            }
        }
    }
}

impl Display for Subject {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (function, name) = match self {
            Self::Field(field) => return formatter.write_str(field.as_str()),
            Self::Class(name) => ("class", name),
            Self::Metadata(name) => ("meta", name),
        };
        write!(formatter, "{function}(")?;
        quoted(formatter, &name.text)?;
        formatter.write_char(')')
    }
}

impl Display for Operator {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Like => "~",
            Self::Unlike => "!~",
        })
    }
}

impl Display for Value {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => quoted(formatter, text),
            Self::Glob(glob) => quoted(formatter, glob.as_str()),
            Self::Number(number) => number.fmt(formatter),
            Self::Period(period) => period.fmt(formatter),
        }
    }
}

fn quoted(formatter: &mut Formatter<'_>, text: &str) -> fmt::Result {
    formatter.write_char('"')?;
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            formatter.write_char('\\')?;
        }
        formatter.write_char(character)?;
    }
    formatter.write_char('"')
}

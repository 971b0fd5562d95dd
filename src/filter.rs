//! Filters: which recordings, or stretches of them, are meant.
//!
//! In: text, such as `path ~ "*/birds/*" and duration < 5 and class("Bird") > 0.3`. Out: a
//! [`Filter`], whose types are checked. Refuses what does not read, pointing at the character.
//! What the library alone knows, names of classes and of metadata, it checks.
//!
//! # The language
//!
//! ```text
//! any      = all { "or" all }
//! all      = one { "and" one }
//! one      = "not" one | "(" any ")" | "exists" subject | test
//! test     = subject ( operator value | [ "not" ] "in" "(" value { "," value } ")" )
//! operator = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
//! subject  = path name folder codec status label | duration rate channels id | date
//!          | class "(" text ")" | NAME | meta "(" text ")"
//! value    = "text" | 'text' | word | number | 1m30s | 44.1kHz | 2024-05-01T06:30
//! ```
//!
//! - `~` is a glob that the whole text must match: `*` is any text, slashes too, `?` one
//!   character, `[abc]`, `[a-z]` and `[^a-z]` one of some, `[*]` a star.
//! - Names of fields, classes, labels and metadata, and the words of the language, are the same in
//!   upper and lower case, and so are `codec` and `status`; other text is not: paths differ by
//!   their case, as file systems have it.
//! - `a != b` is `not a = b`, and `a !~ b` is `not a ~ b`: both also hold where there is no value.
//!   All other comparisons need one.
//! - A date is a stretch of time: `date = 2024-05` is any time in May, `date > 2024-05` any after
//!   it. Dates are what the recorder's clock showed, without a zone.
//! - Text in quotes is compared with a piece of metadata as text, a number as a number: only
//!   numbers are then less or more than it.
//! - In quotes `\"` is a quotation mark and `\\` a backslash.
//!
//! The parser is written by hand, not with a library of combinators: most of it is what to say
//! about a mistake, and there are eight rules.

mod check;
mod glob;
mod parse;
mod print;
mod tokens;

use std::ops::Range;
use std::str::FromStr;

pub use glob::Glob;

use crate::dates::Period;
use crate::error::{Error, FilterProblem, Result};
use crate::near;

/// A filter whose types fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    text: String,
    expression: Expression,
}

/// What a filter says.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// All of these, two or more.
    All(Vec<Expression>),
    /// Any of these, two or more.
    Any(Vec<Expression>),
    /// The opposite.
    Not(Box<Expression>),
    /// A test of one subject.
    Test(Test),
}

/// A test of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What is looked at.
    pub subject: Subject,
    /// What it must be.
    pub check: Check,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A column of a recording.
    Field(Field),
    /// The greatest stored score of a class over the hit.
    Class(Name),
    /// A piece of metadata.
    Metadata(Name),
}

/// What every recording has, and labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The absolute path.
    Path,
    /// The file's name.
    Name,
    /// The folder that the file lies in: an absolute path without a slash at its end.
    Folder,
    /// The codec's short name.
    Codec,
    /// `ok`, `truncated` or `damaged`.
    Status,
    /// A class that somebody heard in it.
    Label,
    /// Seconds.
    Duration,
    /// Frames per second.
    Rate,
    /// Channels.
    Channels,
    /// Row id.
    Id,
    /// When it was recorded.
    Date,
}

/// What kind of value a subject has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A time.
    Date,
    /// Text or a number.
    Either,
}

/// A name, and where it stands.
#[derive(Clone, Debug)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Its bytes in the filter's text.
    pub place: Range<usize>,
}

/// Where a name stands is no part of what it says.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What a subject must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// Compared with a value.
    Is(Operator, Value),
    /// Equal to one of these, one or more.
    In(Vec<Value>),
    /// There.
    Exists,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `~`
    Like,
    /// `!~`
    Unlike,
}

/// What a subject is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A pattern.
    Glob(Glob),
    /// A finite number; of seconds, hertz or nothing.
    Number(f64),
    /// A time.
    Period(Period),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`Error::Filter`] when it does not read, or its types do not fit.
    ///
    /// # Examples
    /// ```
    /// use sonoteca::filter::Filter;
    ///
    /// let filter = Filter::parse("duration < 1m30s and not status = ok")?;
    /// assert_eq!(filter.expression().to_string(), "duration < 90 and not status = \"ok\"");
    /// let error = Filter::parse("duration < ").unwrap_err();
    /// assert!(error.to_string().contains("character 12"));
    /// # Ok::<(), sonoteca::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        let expression = parse::parse(text)?;
        Ok(Self { text: text.to_owned(), expression })
    }

    /// What it says.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// A filter that is one test of this one.
    #[must_use]
    pub fn of_test(&self, test: Test) -> Self {
        Self { text: self.text.clone(), expression: Expression::Test(test) }
    }

    /// The text that it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// That no recording has metadata called `name`; `keys` are those that some have.
    pub fn unknown_metadata(&self, name: &Name, keys: &[String]) -> Error {
        let wanted = &name.text;
        let suggestion = if let Some(field) = parse::meant(wanted) {
            Some(format!("did you mean {field}?"))
        } else {
            let fields = Field::ALL.map(Field::as_str);
            did_you_mean(wanted, keys.iter().map(String::as_str).chain(fields))
                .or_else(|| (!keys.is_empty()).then(|| "sonoteca metadata list".to_owned()))
        };
        let message = format!("no field is called `{wanted}`, and no recording has such metadata");
        problem(&self.text, name.place.clone(), message, suggestion)
    }

    /// That the model scores no class called `name`; `classes` are those that it scores.
    pub fn unknown_class(&self, name: &Name, classes: &[String]) -> Error {
        let suggestion = did_you_mean(&name.text, classes.iter().map(String::as_str));
        let message = format!("the model knows no class called `{}`", name.text);
        problem(&self.text, name.place.clone(), message, suggestion)
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Path,
        Self::Name,
        Self::Folder,
        Self::Duration,
        Self::Date,
        Self::Codec,
        Self::Rate,
        Self::Channels,
        Self::Status,
        Self::Label,
        Self::Id,
    ];

    /// Its name in the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Name => "name",
            Self::Folder => "folder",
            Self::Codec => "codec",
            Self::Status => "status",
            Self::Label => "label",
            Self::Duration => "duration",
            Self::Rate => "rate",
            Self::Channels => "channels",
            Self::Id => "id",
            Self::Date => "date",
        }
    }

    /// The field of this name, in upper or lower case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str().eq_ignore_ascii_case(name))
    }

    /// What it is compared with.
    pub fn kind(self) -> Kind {
        match self {
            Self::Path | Self::Name | Self::Folder | Self::Codec | Self::Status | Self::Label => {
                Kind::Text
            }
            Self::Duration | Self::Rate | Self::Channels | Self::Id => Kind::Number,
            Self::Date => Kind::Date,
        }
    }
}

impl Expression {
    /// Whether `subject` says so of something that it speaks about.
    pub fn mentions(&self, subject: &dyn Fn(&Subject) -> bool) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.mentions(subject)),
            Self::Not(part) => part.mentions(subject),
            Self::Test(test) => subject(&test.subject),
        }
    }
}

fn did_you_mean<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let nearest = near::nearest(wanted, names);
    (!nearest.is_empty()).then(|| format!("did you mean {}?", nearest.join(", or ")))
}

fn problem(text: &str, place: Range<usize>, message: String, suggestion: Option<String>) -> Error {
    Error::Filter(Box::new(FilterProblem { text: text.to_owned(), place, message, suggestion }))
}

#[cfg(test)]
mod tests;

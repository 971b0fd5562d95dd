//! Why nothing passed a filter: tests that nothing in the library meets.
//!
//! In: a [`Filter`]. Out: the tests in it that no recording meets, whatever the others say, with the
//! values that may have been meant. Asked when a search found nothing, and not before: each test is
//! a query of its own. Tests of class scores are passed over, which are a matter of degree, and so is
//! what stands behind `not`.

use super::Passing;
use crate::error::Result;
use crate::filter::{Check, Expression, Field, Filter, Operator, Subject, Test, Value};
use crate::near::nearest;
use crate::store::Library;
use crate::store::paths::OwnedPath;
use crate::store::segments::Level;

/// Values that are looked through at most; of more, nobody has typed one by hand.
const MOST_VALUES: i64 = 50_000;

/// Values that are all told, where none is near.
const FEW: usize = 8;

/// A test that no recording meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The test, as filters are written.
    pub test: String,
    /// Values that there are, the nearest to what was asked for or, where they are few, all.
    pub there: Vec<String>,
}

impl Library {
    /// The tests of `filter` that no recording meets.
    ///
    /// # Errors
    /// As [`passing`](Self::passing).
    pub fn unmet(&self, filter: &Filter) -> Result<Vec<Unmet>> {
        let mut tests = Vec::new();
        gather(filter.expression(), &mut tests);
        let mut unmet = Vec::new();
        for test in tests {
            let alone = filter.of_test(test.clone());
            // Only class scores are a model's.
            let (Passing::Recordings(ids) | Passing::Segments(ids)) =
                self.passing(&alone, 0, Level::Recording)?;
            if ids.is_empty() {
                let there = self.there_instead(test)?;
                unmet.push(Unmet { test: as_typed(test, alone.expression()), there });
            }
        }
        Ok(unmet)
    }

    /// The values that may have been meant by a test for equality with text.
    fn there_instead(&self, test: &Test) -> Result<Vec<String>> {
        let typed: Vec<&str> = match &test.check {
            Check::Is(Operator::Equal, Value::Text(text)) => vec![text.as_str()],
            Check::In(values) => values
                .iter()
                .filter_map(
                    |value| if let Value::Text(text) = value { Some(text.as_str()) } else { None },
                )
                .collect(),
            Check::Is(..) | Check::Exists => Vec::new(),
        };
        if typed.is_empty() {
            return Ok(Vec::new());
        }
        let values = self.values_of(&test.subject)?;
        let mut near: Vec<String> = Vec::new();
        for name in typed {
            for found in nearest(name, values.iter().map(String::as_str)) {
                if !near.contains(&found) {
                    near.push(found);
                }
            }
        }
        Ok(if near.is_empty() && values.len() <= FEW { values } else { near })
    }

    /// The values of a text that recordings have, each once.
    fn values_of(&self, subject: &Subject) -> Result<Vec<String>> {
        let (sql, key) = match subject {
            Subject::Field(Field::Label) => return self.label_class_names(),
            Subject::Field(Field::Codec) => {
                return Ok(self.codecs()?.into_iter().map(|(codec, _)| codec).collect());
            }
            Subject::Field(Field::Name) => {
                ("SELECT DISTINCT file_name(path) FROM recordings", None)
            }
            Subject::Field(Field::Folder) => {
                ("SELECT DISTINCT folder_of(path) FROM recordings", None)
            }
            Subject::Metadata(name) => (
                "SELECT DISTINCT CAST(value AS TEXT) FROM metadata WHERE key = ?1",
                Some(&name.text),
            ),
            Subject::Field(_) | Subject::Class(_) => return Ok(Vec::new()),
        };
        let list = || -> rusqlite::Result<Vec<String>> {
            let sql = format!("{sql} ORDER BY 1 LIMIT {MOST_VALUES}");
            let mut query = self.connection.prepare(&sql)?;
            let text = |row: &rusqlite::Row<'_>| {
                row.get(0).map(|OwnedPath(text)| text.to_string_lossy().into_owned())
            };
            match key {
                Some(key) => query.query_map([key], text)?.collect(),
                None => query.query_map([], text)?.collect(),
            }
        };
        list().map_err(|error| self.error("read", error))
    }
}

/// A test as people write it: a piece of metadata by its name alone, where that is a plain word.
fn as_typed(test: &Test, expression: &Expression) -> String {
    let text = expression.to_string();
    let Subject::Metadata(name) = &test.subject else { return text };
    let is_plain = name.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.text.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
        && Field::named(&name.text).is_none();
    if is_plain { text.replacen(&test.subject.to_string(), &name.text, 1) } else { text }
}

/// The tests that something has to meet.
fn gather<'a>(expression: &'a Expression, tests: &mut Vec<&'a Test>) {
    match expression {
        Expression::All(parts) | Expression::Any(parts) => {
            for part in parts {
                gather(part, tests);
            }
        }
        Expression::Not(_) | Expression::Test(Test { subject: Subject::Class(_), .. }) => {}
        Expression::Test(test) => tests.push(test),
    }
}

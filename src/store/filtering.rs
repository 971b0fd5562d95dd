//! Filters, evaluated: an expression becomes SQL, and that ids.
//!
//! In: a [`Filter`]. Out: [`Passing`], the recordings or segments that it lets pass. Refuses names
//! of classes and metadata that nothing has. What people write goes in as parameters only.

mod unmet;

use rusqlite::types::Value as SqlValue;
use rusqlite::{OptionalExtension, params, params_from_iter};

use super::Library;
use super::dates::DATE;
use super::functions::sorted_periods;
use super::labels::spellings;
use super::segments::Level;
use crate::case::folded;
use crate::dates::Period;
use crate::error::Result;
use crate::filter::{Check, Expression, Field, Filter, Glob, Name, Operator, Subject, Value};

pub use unmet::Unmet;

/// What a filter lets pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passing {
    /// These recordings and all their segments; row ids, ascending.
    Recordings(Vec<i64>),
    /// These segments of the model; row ids, ascending.
    Segments(Vec<i64>),
}

impl Passing {
    /// How many there are.
    pub fn len(&self) -> usize {
        let (Self::Recordings(ids) | Self::Segments(ids)) = self;
        ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Library {
    /// What `filter` lets pass of what `model` embedded: recordings, or, among segments, segments
    /// where it speaks of something that differs between those of one recording.
    ///
    /// # Errors
    /// [`Error::Filter`](crate::Error::Filter) when no class of `model`, or no metadata, has a
    /// name that it speaks of; [`Error::Store`](crate::Error::Store).
    pub fn passing(&self, filter: &Filter, model: i64, level: Level) -> Result<Passing> {
        let by_segment = match level {
            Level::Recording => false,
            Level::Segment => {
                let stretches = self.has_stretches()?;
                let differs = |subject: &Subject| differs(subject, stretches);
                filter.expression().mentions(&differs)
            }
        };
        let stretches = by_segment && self.has_stretches()?;
        let mut query =
            Query { library: self, filter, model, by_segment, stretches, parameters: Vec::new() };
        let expression = filter.expression();
        let sql = if by_segment {
            query.parameters.push(SqlValue::Integer(model));
            // What holds for whole recordings leaves fewer segments to look at.
            let (whole, parts) = query.split(expression);
            let among = query.all_of(&whole)?;
            let of_segments = query.all_of(&parts)?;
            format!(
                "SELECT s.id FROM recordings AS r CROSS JOIN segments AS s
                     ON s.recording_id = r.id AND s.model_id = ?1
                 WHERE {among} AND s.health = 0 AND {of_segments}"
            )
        } else {
            format!("SELECT r.id FROM recordings AS r WHERE {}", query.sql(expression)?)
        };
        let parameters = query.parameters;
        let list = || -> rusqlite::Result<Vec<i64>> {
            let mut query = self.connection.prepare(&sql)?;
            query.query_map(params_from_iter(parameters), |row| row.get(0))?.collect()
        };
        let mut ids = list().map_err(|error| self.error("read", error))?;
        ids.sort_unstable();
        Ok(if by_segment { Passing::Segments(ids) } else { Passing::Recordings(ids) })
    }

    /// Whether some label is of a stretch only.
    fn has_stretches(&self) -> Result<bool> {
        self.connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM labels WHERE start_s IS NOT NULL)",
                [],
                |row| row.get(0),
            )
            .map_err(|error| self.error("read", error))
    }

    /// The number of the class that is called `name`, in upper or lower case.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn class_index(&self, model: i64, name: &str) -> Result<Option<i64>> {
        self.connection
            .prepare_cached(
                "SELECT class_index FROM classes WHERE model_id = ?1 AND lower_case(name) = ?3
                 ORDER BY name <> ?2 LIMIT 1",
            )
            .and_then(|mut query| {
                query.query_row(params![model, name, folded(name)], |row| row.get(0)).optional()
            })
            .map_err(|error| self.error("read", error))
    }

    /// The names of a model's classes, in their order.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn class_names(&self, model: i64) -> Result<Vec<(i64, String)>> {
        let list = || -> rusqlite::Result<Vec<(i64, String)>> {
            self.connection
                .prepare_cached(
                    "SELECT class_index, name FROM classes WHERE model_id = ?1
                     ORDER BY class_index",
                )?
                .query_map([model], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }
}

/// Whether `subject` may differ between the segments of a recording.
fn differs(subject: &Subject, stretches: bool) -> bool {
    match subject {
        Subject::Class(_) => true,
        Subject::Field(Field::Label) => stretches,
        Subject::Field(_) | Subject::Metadata(_) => false,
    }
}

/// A query that is being written: `r` is a recording's row and, among segments, `s` a segment's.
struct Query<'a> {
    library: &'a Library,
    filter: &'a Filter,
    model: i64,
    by_segment: bool,
    /// Whether labels may be of stretches.
    stretches: bool,
    parameters: Vec<SqlValue>,
}

impl Query<'_> {
    /// The parts of a conjunction that speak of whole recordings, and the others.
    fn split<'e>(&self, expression: &'e Expression) -> (Vec<&'e Expression>, Vec<&'e Expression>) {
        let parts: Vec<&Expression> = match expression {
            Expression::All(parts) => parts.iter().collect(),
            other => vec![other],
        };
        let differs = |subject: &Subject| differs(subject, self.stretches);
        parts.into_iter().partition(|part| !part.mentions(&differs))
    }

    fn all_of(&mut self, parts: &[&Expression]) -> Result<String> {
        let parts = parts.iter().map(|part| self.sql(part)).collect::<Result<Vec<_>>>()?;
        Ok(if parts.is_empty() { "1".to_owned() } else { parts.join(" AND ") })
    }

    /// A condition that is 0 or 1, never NULL.
    fn sql(&mut self, expression: &Expression) -> Result<String> {
        let (parts, word) = match expression {
            Expression::All(parts) => (parts, " AND "),
            Expression::Any(parts) => (parts, " OR "),
            Expression::Not(part) => return Ok(format!("(NOT {})", self.sql(part)?)),
            Expression::Test(test) => return self.test(&test.subject, &test.check),
        };
        let parts = parts.iter().map(|part| self.sql(part)).collect::<Result<Vec<_>>>()?;
        Ok(format!("({})", parts.join(word)))
    }

    fn test(&mut self, subject: &Subject, check: &Check) -> Result<String> {
        // What is not so: the opposite of what is, also where there is no value.
        let opposite = match check {
            Check::Is(Operator::NotEqual, value) => Some((Operator::Equal, value)),
            Check::Is(Operator::Unlike, value) => Some((Operator::Like, value)),
            _ => None,
        };
        if let Some((operator, value)) = opposite {
            let check = Check::Is(operator, value.clone());
            return Ok(format!("(NOT {})", self.test(subject, &check)?));
        }
        match subject {
            Subject::Field(Field::Label) => self.label(check),
            Subject::Field(field) => Ok(self.field(*field, check)),
            Subject::Class(name) => self.class(name, check),
            Subject::Metadata(name) => self.metadata(name, check),
        }
    }

    fn field(&mut self, field: Field, check: &Check) -> String {
        let column = match field {
            Field::Path => "r.path",
            Field::Name => "file_name(r.path)",
            Field::Folder => "folder_of(r.path)",
            Field::Codec => "r.codec",
            Field::Status => "r.status",
            Field::Duration => "r.duration_s",
            Field::Rate => "r.sample_rate",
            Field::Channels => "r.channels",
            Field::Id | Field::Label => "r.id",
            Field::Date => DATE,
        };
        let compared = self.compared(column, check);
        // Only a date may be missing: of a file that was changed before there were files.
        if field == Field::Date { format!("ifnull({compared}, 0)") } else { compared }
    }

    fn label(&mut self, check: &Check) -> Result<String> {
        let compared = match check {
            Check::Exists => "1".to_owned(),
            Check::Is(Operator::Like, _) => self.compared("lower_case(l.class)", check),
            Check::Is(Operator::Equal, value) => self.is_class(std::slice::from_ref(value))?,
            Check::In(values) => self.is_class(values)?,
            Check::Is(..) => self.compared("l.class", check),
        };
        if self.by_segment && self.stretches {
            return Ok(format!(
                "EXISTS (SELECT 1 FROM labels AS l
                     WHERE l.recording_id = r.id AND l.judgement = 'positive' AND {compared}
                         AND (l.start_s IS NULL OR l.start_s < s.end_s AND l.end_s > s.start_s))"
            ));
        }
        Ok(format!(
            "r.id IN (SELECT l.recording_id FROM labels AS l
                 WHERE l.judgement = 'positive' AND {compared})"
        ))
    }

    /// Whether a label's class is one of `values`, in upper or lower case.
    fn is_class(&mut self, values: &[Value]) -> Result<String> {
        let names: Vec<String> = values
            .iter()
            .filter_map(|value| match value {
                Value::Text(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        let connection = &self.library.connection;
        let found =
            spellings(connection, &names).map_err(|error| self.library.error("read", error))?;
        let list: Vec<String> =
            found.into_iter().map(|class| self.parameter(SqlValue::Text(class))).collect();
        Ok(format!("l.class IN ({})", list.join(", ")))
    }

    fn class(&mut self, name: &Name, check: &Check) -> Result<String> {
        let Some(class) = self.library.class_index(self.model, &name.text)? else {
            let names = self.library.class_names(self.model)?;
            let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
            return Err(self.filter.unknown_class(name, &names));
        };
        let (model, class) = (
            self.parameter(SqlValue::Integer(self.model)),
            self.parameter(SqlValue::Integer(class)),
        );
        let of_recording = format!(
            "ifnull((SELECT c.score FROM recording_classes AS c
                 WHERE c.recording_id = r.id AND c.model_id = {model}
                     AND c.class_index = {class}), 0.0)"
        );
        let score = if self.by_segment {
            // Segments from before their classes were stored have their recording's.
            format!("ifnull(class_score(s.classes, {class}), {of_recording})")
        } else {
            of_recording
        };
        Ok(self.compared(&score, check))
    }

    fn metadata(&mut self, name: &Name, check: &Check) -> Result<String> {
        let keys = self.library.metadata_keys()?;
        if !keys.iter().any(|known| known.key.eq_ignore_ascii_case(&name.text)) {
            let keys: Vec<String> = keys.into_iter().map(|known| known.key).collect();
            return Err(self.filter.unknown_metadata(name, &keys));
        }
        let key = self.parameter(SqlValue::Text(name.text.clone()));
        let compared = match check {
            Check::Exists => "1".to_owned(),
            Check::Is(operator, value) => self.piece(*operator, value),
            Check::In(values) => self.piece_in(values),
        };
        Ok(format!(
            "r.id IN (SELECT m.recording_id FROM metadata AS m
                 WHERE m.key = {key} AND {compared})"
        ))
    }

    /// A comparison of a piece of metadata: text as text, numbers as numbers, times as times.
    fn piece(&mut self, operator: Operator, value: &Value) -> String {
        let check = Check::Is(operator, value.clone());
        match value {
            Value::Number(_) => {
                let compared = self.compared("m.value", &check);
                format!("(typeof(m.value) <> 'text' AND {compared})")
            }
            Value::Text(_) | Value::Glob(_) => self.compared("CAST(m.value AS TEXT)", &check),
            Value::Period(_) => {
                let compared = self.compared("wall_time(m.value)", &check);
                format!("ifnull({compared}, 0)")
            }
        }
    }

    /// Whether a piece of metadata is one of `values`: one list for each way to compare, because
    /// SQLite takes expressions 1,000 deep, and a chain of a thousand ORs is as deep.
    fn piece_in(&mut self, values: &[Value]) -> String {
        let (mut texts, mut numbers, mut periods) = (Vec::new(), Vec::new(), Vec::new());
        for value in values {
            match value {
                Value::Text(_) | Value::Glob(_) => texts.push(value),
                Value::Number(_) => numbers.push(value),
                Value::Period(period) => periods.push(period),
            }
        }
        let mut any = Vec::new();
        if !texts.is_empty() {
            any.push(self.one_of("CAST(m.value AS TEXT)", &texts));
        }
        if !numbers.is_empty() {
            let compared = self.one_of("m.value", &numbers);
            any.push(format!("(typeof(m.value) <> 'text' AND {compared})"));
        }
        if !periods.is_empty() {
            any.push(self.within("wall_time(m.value)", &periods));
        }
        format!("({})", any.join(" OR "))
    }

    fn one_of(&mut self, column: &str, values: &[&Value]) -> String {
        let list: Vec<String> = values.iter().map(|value| self.parameter(plain(value))).collect();
        format!("{column} IN ({})", list.join(", "))
    }

    /// Whether a time lies in one of `periods`; 0 where there is none.
    fn within(&mut self, column: &str, periods: &[&Period]) -> String {
        let periods = self.parameter(SqlValue::Text(sorted_periods(periods)));
        format!("in_periods({column}, {periods})")
    }

    /// A comparison of `column` with what is asked.
    fn compared(&mut self, column: &str, check: &Check) -> String {
        match check {
            Check::Exists => format!("{column} IS NOT NULL"),
            Check::Is(operator, value) => self.compared_with(column, *operator, value),
            Check::In(values) => {
                let mut plain = Vec::new();
                let mut periods = Vec::new();
                for value in values {
                    match value {
                        Value::Period(period) => periods.push(period),
                        _ => plain.push(value),
                    }
                }
                // A field's values are of one kind.
                if periods.is_empty() {
                    self.one_of(column, &plain)
                } else {
                    self.within(column, &periods)
                }
            }
        }
    }

    fn compared_with(&mut self, column: &str, operator: Operator, value: &Value) -> String {
        if let Value::Period(Period { start, end, .. }) = value {
            let mut at = |time: &dyn ToString| self.parameter(SqlValue::Text(time.to_string()));
            return match operator {
                Operator::Less => format!("{column} < {}", at(start)),
                Operator::LessOrEqual => format!("{column} < {}", at(end)),
                Operator::Greater => format!("{column} >= {}", at(end)),
                Operator::GreaterOrEqual => format!("{column} >= {}", at(start)),
                _ => format!("({column} >= {} AND {column} < {})", at(start), at(end)),
            };
        }
        let sign = match operator {
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Like | Operator::Unlike => "GLOB",
            Operator::Equal | Operator::NotEqual => "=",
        };
        format!("{column} {sign} {}", self.parameter(plain(value)))
    }

    /// Adds a parameter; its place.
    fn parameter(&mut self, value: SqlValue) -> String {
        self.parameters.push(value);
        format!("?{}", self.parameters.len())
    }
}

fn plain(value: &Value) -> SqlValue {
    match value {
        Value::Text(text) => SqlValue::Text(text.clone()),
        Value::Glob(glob) => SqlValue::Text(Glob::for_sqlite(glob)),
        Value::Number(number) => SqlValue::Real(*number),
        Value::Period(period) => SqlValue::Text(period.start.to_string()),
    }
}

#[cfg(test)]
mod tests;

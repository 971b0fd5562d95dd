//! Labels by class, source, judgement or recording.
//!
//! In: a [`LabelSelection`]. Out: its labels one after another, their counts, or a library without
//! them. However many there are, one is in memory.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{COLUMNS, Judgement, MACHINE, StoredLabel, read_label};
use crate::case::folded;
use crate::error::Result;
use crate::store::{Library, Writer};
use crate::units::signed;

/// Which labels are meant; all, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSelection {
    /// Those of these ids; any, where there is none.
    pub ids: Vec<i64>,
    /// Those of these classes, in upper or lower case; of any, where there is none.
    pub classes: Vec<String>,
    /// Those of these sources; of any, where there is none.
    pub sources: Vec<String>,
    /// Those that say so; anything, where there is none.
    pub judgements: Vec<Judgement>,
    /// Those of these recordings, such as what a filter lets pass; `None`: of all.
    pub recordings: Option<Vec<i64>>,
}

/// In which order labels come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelOrder {
    /// As they were added.
    #[default]
    Added,
    /// Recording by recording, and of each as they were added.
    Recording,
}

/// A class, and how many labels it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelClass {
    /// The class, as its first label writes it.
    pub class: String,
    /// Labels that say that it is there.
    pub positive: u64,
    /// Labels that say that it is not.
    pub negative: u64,
    /// Labels that do not know.
    pub unsure: u64,
    /// Recordings that have one.
    pub recordings: u64,
    /// Labels by people and what they trust.
    pub by_people: u64,
    /// Labels by heads.
    pub by_machines: u64,
}

impl LabelSelection {
    /// Whether everything is meant.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// A condition on rows of `labels`, and its parameters.
    fn condition(&self, connection: &Connection) -> rusqlite::Result<(String, Vec<Value>)> {
        let mut conditions = Vec::new();
        let mut parameters = Vec::new();
        // Lists are parameters too, as JSON: a statement takes only so many single ones.
        let mut add = |column: &str, list: serde_json::Value| {
            parameters.push(Value::Text(list.to_string()));
            let place = parameters.len();
            conditions.push(format!("{column} IN (SELECT value FROM json_each(?{place}))"));
        };
        if !self.ids.is_empty() {
            add("id", self.ids.clone().into());
        }
        if !self.classes.is_empty() {
            add("class", spellings(connection, &self.classes)?.into());
        }
        if !self.sources.is_empty() {
            add("source", self.sources.clone().into());
        }
        if !self.judgements.is_empty() {
            let words: Vec<&str> = self.judgements.iter().map(|one| one.as_str()).collect();
            add("judgement", words.into());
        }
        if let Some(recordings) = &self.recordings {
            add("recording_id", recordings.clone().into());
        }
        if conditions.is_empty() {
            conditions.push("1".to_owned());
        }
        Ok((conditions.join(" AND "), parameters))
    }
}

/// The classes of labels, each in one of its spellings; those that differ by the case of letters
/// outside ASCII are told apart, as the column does. Each costs one look into the index.
fn classes(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "WITH RECURSIVE names (class) AS (
                 SELECT min(class) FROM labels
                 UNION ALL
                 SELECT (SELECT min(class) FROM labels WHERE class > names.class)
                 FROM names WHERE names.class IS NOT NULL)
             SELECT class FROM names WHERE class IS NOT NULL",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// The classes that the column `class` has to be compared with to find `names` in upper or lower
/// case, whatever the alphabet; it finds those of ASCII letters by itself.
pub(in crate::store) fn spellings(
    connection: &Connection,
    names: &[String],
) -> rusqlite::Result<Vec<String>> {
    let wanted: BTreeSet<String> = names.iter().map(|name| folded(name)).collect();
    let mut found = classes(connection)?;
    found.retain(|class| wanted.contains(&folded(class)));
    Ok(found)
}

impl Library {
    /// Calls `visit` with each label of `selection`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), and what `visit` fails with.
    pub fn for_each_label(
        &self,
        selection: &LabelSelection,
        order: LabelOrder,
        mut visit: impl FnMut(StoredLabel) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| self.error("read", error);
        let (condition, parameters) = selection.condition(&self.connection).map_err(failed)?;
        let order = match order {
            LabelOrder::Added => "id",
            LabelOrder::Recording => "recording_id, id",
        };
        let sql = format!("SELECT {COLUMNS} FROM labels WHERE {condition} ORDER BY {order}");
        let mut query = self.connection.prepare(&sql).map_err(failed)?;
        let mut rows = query.query(params_from_iter(parameters)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            visit(read_label(row).map_err(failed)?)?;
        }
        Ok(())
    }

    /// At most `most` labels of `selection` with ids above `after`, as they were added.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn labels_after(
        &self,
        selection: &LabelSelection,
        after: i64,
        most: usize,
    ) -> Result<Vec<StoredLabel>> {
        let list = || -> rusqlite::Result<Vec<StoredLabel>> {
            let (condition, mut parameters) = selection.condition(&self.connection)?;
            parameters.extend([Value::Integer(after), Value::Integer(signed(most))]);
            let count = parameters.len();
            let sql = format!(
                "SELECT {COLUMNS} FROM labels WHERE {condition} AND id > ?{} ORDER BY id LIMIT ?{count}",
                count - 1
            );
            self.connection
                .prepare(&sql)?
                .query_map(params_from_iter(parameters), read_label)?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// How many labels `selection` has.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn count_labels(&self, selection: &LabelSelection) -> Result<u64> {
        let count = || -> rusqlite::Result<i64> {
            let (condition, parameters) = selection.condition(&self.connection)?;
            let sql = format!("SELECT count(*) FROM labels WHERE {condition}");
            self.connection.query_row(&sql, params_from_iter(parameters), |row| row.get(0))
        };
        count().map(i64::cast_unsigned).map_err(|error| self.error("read", error))
    }

    /// Who said labels: people and what they trust, and heads, which begin with [`MACHINE`].
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn label_sources(&self) -> Result<Vec<String>> {
        let list = || -> rusqlite::Result<Vec<String>> {
            self.connection
                .prepare_cached("SELECT DISTINCT source FROM labels ORDER BY source")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// The classes of labels, each in one of its spellings, without counts: one look into the index
    /// a class.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn label_class_names(&self) -> Result<Vec<String>> {
        classes(&self.connection).map_err(|error| self.error("read", error))
    }

    /// The classes of the labels of `selection`, by name, with how many each has.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn label_classes(&self, selection: &LabelSelection) -> Result<Vec<LabelClass>> {
        let list = || -> rusqlite::Result<Vec<LabelClass>> {
            let (condition, parameters) = selection.condition(&self.connection)?;
            let known = classes(&self.connection)?;
            let same: BTreeSet<String> = known.iter().map(|class| folded(class)).collect();
            // The index groups by the column, which is faster, and mostly the same.
            let group = if same.len() < known.len() { "lower_case(class)" } else { "class" };
            // With min() in it, SQLite takes the class from the row of the least id.
            let sql = format!(
                "SELECT class, min(id), count(*) FILTER (WHERE judgement = 'positive'),
                     count(*) FILTER (WHERE judgement = 'negative'),
                     count(*) FILTER (WHERE judgement = 'unsure'),
                     count(DISTINCT recording_id),
                     count(*) FILTER (WHERE source GLOB '{MACHINE}*'), count(*)
                 FROM labels WHERE {condition} GROUP BY {group} ORDER BY {group}"
            );
            self.connection
                .prepare(&sql)?
                .query_map(params_from_iter(parameters), |row| {
                    let count = |column| row.get(column).map(i64::cast_unsigned);
                    Ok(LabelClass {
                        class: row.get(0)?,
                        positive: count(2)?,
                        negative: count(3)?,
                        unsure: count(4)?,
                        recordings: count(5)?,
                        by_machines: count(6)?,
                        by_people: count(7)? - count(6)?,
                    })
                })?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }
}

impl Writer<'_> {
    /// Removes the labels of `selection`; returns how many there were.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn remove_labels(&self, selection: &LabelSelection) -> Result<usize> {
        let remove = || -> rusqlite::Result<usize> {
            let (condition, parameters) = selection.condition(&self.transaction)?;
            let sql = format!("DELETE FROM labels WHERE {condition}");
            self.transaction.execute(&sql, params_from_iter(parameters))
        };
        remove().map_err(|error| self.error(error))
    }
}

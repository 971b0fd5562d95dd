//! Tokens into an expression, by recursive descent.
//!
//! In: a filter's text. Out: an [`Expression`] whose types fit. Refuses what does not read, more
//! parentheses within each other than a person writes, and more tests than SQLite takes.

use std::ops::Range;

use super::check::{Operand, checked, checked_exists, checked_value};
use super::tokens::{Token, tokens};
use super::{Check, Expression, Field, Name, Operator, Subject, Test, Value, problem};
use crate::error::{Error, Result};
use crate::near;

/// Parentheses and `not`s within each other. SQLite takes expressions 1,000 deep.
const MOST_DEEP: usize = 100;

/// Tests, and values of all `in (...)`: so many that a program wrote them. SQLite takes 32,766
/// parameters.
const MOST_TESTS: usize = 400;
const MOST_VALUES: usize = 10_000;

/// What people call the fields elsewhere.
const OTHER_NAMES: [(&str, Field); 14] = [
    ("file", Field::Path),
    ("filename", Field::Name),
    ("basename", Field::Name),
    ("directory", Field::Folder),
    ("dir", Field::Folder),
    ("length", Field::Duration),
    ("seconds", Field::Duration),
    ("sample_rate", Field::Rate),
    ("samplerate", Field::Rate),
    ("recorded", Field::Date),
    ("recorded_at", Field::Date),
    ("time", Field::Date),
    ("tag", Field::Label),
    ("recording_id", Field::Id),
];

pub(super) fn parse(text: &str) -> Result<Expression> {
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0, tests: 0, values: 0 };
    if *parser.peek() == Token::End {
        let message = "it is empty: expected a test".to_owned();
        return Err(parser.problem_here(message, Some(example())));
    }
    let expression = parser.any()?;
    match parser.peek() {
        Token::End => Ok(expression),
        Token::Close => {
            let message = "this parenthesis closes none".to_owned();
            Err(parser.problem_here(message, Some("remove it".to_owned())))
        }
        found => {
            let message = format!("expected `and`, `or` or the end, found {found}");
            Err(parser.problem_here(message, None))
        }
    }
}

fn example() -> String {
    "for example: path ~ \"*/birds/*\" and duration < 5 and class(\"Bird\") > 0.3".to_owned()
}

/// What may be the name of a field that `name` was meant for.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let other = OTHER_NAMES.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
    other.map(|(_, field)| field.as_str())
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    depth: usize,
    tests: usize,
    values: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Expression> {
        let mut parts = vec![self.all()?];
        while self.takes_word("or") {
            parts.push(self.all()?);
        }
        Ok(single(parts, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression> {
        let mut parts = vec![self.one()?];
        while self.takes_word("and") {
            parts.push(self.one()?);
        }
        Ok(single(parts, Expression::All))
    }

    fn one(&mut self) -> Result<Expression> {
        self.depth += 1;
        if self.depth > MOST_DEEP {
            let message = format!("more than {MOST_DEEP} parentheses and nots within each other");
            return Err(self.problem_here(message, None));
        }
        let expression = if self.takes_word("not") {
            Expression::Not(Box::new(self.one()?))
        } else if *self.peek() == Token::Open {
            let open = self.take().1;
            let inner = self.any()?;
            self.close(&open)?;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn test(&mut self) -> Result<Expression> {
        self.tests += 1;
        if self.tests > MOST_TESTS {
            let message = format!("more than {MOST_TESTS} tests");
            let suggestion = "a field that may be one of many: id in (1, 2, 3)".to_owned();
            return Err(self.problem_here(message, Some(suggestion)));
        }
        if self.is_word("exists") && *self.peek_second() != Token::End {
            self.take();
            let open = (*self.peek() == Token::Open).then(|| self.take().1);
            let (subject, place) = self.subject()?;
            if let Some(open) = open {
                self.close(&open)?;
            }
            checked_exists(self.text, &subject, place)?;
            return Ok(Expression::Test(Test { subject, check: Check::Exists }));
        }
        let (subject, place) = self.subject()?;
        if self.is_word("not") && matches!(self.peek_second(), Token::Word(word) if is_in(word)) {
            self.take();
            self.take();
            return Ok(Expression::Not(Box::new(self.one_of(subject)?)));
        }
        if self.takes_word("in") {
            return self.one_of(subject);
        }
        let Token::Operator(operator) = *self.peek() else {
            return Err(self.no_operator(&subject, &place));
        };
        let operator_place = self.take().1;
        checked(self.text, &subject, operator, operator_place)?;
        let value = self.value(&subject, operator)?;
        Ok(Expression::Test(Test { subject, check: Check::Is(operator, value) }))
    }

    /// What follows `in`.
    fn one_of(&mut self, subject: Subject) -> Result<Expression> {
        if *self.peek() != Token::Open {
            let message = format!("expected `(` after `in`, found {}", self.peek());
            return Err(self.problem_here(message, Some("codec in (flac, vorbis)".to_owned())));
        }
        let open = self.take().1;
        let mut values = vec![self.value(&subject, Operator::Equal)?];
        while *self.peek() == Token::Comma {
            self.take();
            values.push(self.value(&subject, Operator::Equal)?);
        }
        self.close(&open)?;
        self.values += values.len();
        if self.values > MOST_VALUES {
            let message = format!("more than {MOST_VALUES} values");
            return Err(problem(self.text, open, message, None));
        }
        Ok(Expression::Test(Test { subject, check: Check::In(values) }))
    }

    fn subject(&mut self) -> Result<(Subject, Range<usize>)> {
        let is_reserved = matches!(self.peek(), Token::Word(word) if is_reserved(word));
        let (word, place) = match self.take() {
            (Token::Word(word), place) if !is_reserved => (word, place),
            (found, place) => {
                let message = format!("expected a field, class(...) or meta(...), found {found}");
                let suggestion = match found {
                    Token::Text(_) => "names of fields stand without quotes".to_owned(),
                    _ => example(),
                };
                return Err(problem(self.text, place, message, Some(suggestion)));
            }
        };
        let function = word.to_ascii_lowercase();
        if *self.peek() == Token::Open {
            return match function.as_str() {
                "class" => self.name(place, Subject::Class),
                "meta" => self.name(place, Subject::Metadata),
                _ => {
                    let message = format!("`{word}` takes no parentheses: only class and meta do");
                    Err(self.problem_here(message, Some("class(\"Bird\") > 0.3".to_owned())))
                }
            };
        }
        if function == "class" {
            let message = "`class` needs the class's name in parentheses".to_owned();
            let suggestion = Some("class(\"Bird\") > 0.3".to_owned());
            return Err(problem(self.text, place, message, suggestion));
        }
        let subject = match Field::named(&word) {
            Some(field) => Subject::Field(field),
            None => Subject::Metadata(Name { text: word, place: place.clone() }),
        };
        Ok((subject, place))
    }

    /// The name in parentheses after `class` or `meta`, which stands at `start`.
    fn name(
        &mut self,
        start: Range<usize>,
        subject: impl Fn(Name) -> Subject,
    ) -> Result<(Subject, Range<usize>)> {
        let open = self.take().1;
        match self.take() {
            (Token::Text(text) | Token::Word(text), place) if !text.is_empty() => {
                let end = self.close(&open)?;
                Ok((subject(Name { text, place }), start.start..end))
            }
            (found, place) => {
                let message = format!("expected a name in quotes, found {found}");
                Err(problem(self.text, place, message, Some("class(\"Bird\") > 0.3".to_owned())))
            }
        }
    }

    fn value(&mut self, subject: &Subject, operator: Operator) -> Result<Value> {
        let is_reserved = matches!(self.peek(), Token::Word(word) if is_reserved(word));
        let (token, place) = self.take();
        let operand = match token {
            Token::Text(text) => Operand::Text(text),
            Token::Word(word) if !is_reserved => Operand::Text(word),
            Token::Number(number, unit) => Operand::Number(number, unit),
            Token::Period(period) => Operand::Period(period),
            found => {
                let message = format!("expected a value, found {found}");
                return Err(problem(self.text, place, message, None));
            }
        };
        checked_value(self.text, subject, operator, operand, place)
    }

    /// Takes the parenthesis that closes the one at `open`; where it ends.
    fn close(&mut self, open: &Range<usize>) -> Result<usize> {
        match self.peek() {
            Token::Close => Ok(self.take().1.end),
            Token::End => {
                let message = "this parenthesis is not closed".to_owned();
                Err(problem(self.text, open.clone(), message, Some("add a `)`".to_owned())))
            }
            found => {
                let message = format!("expected `)`, found {found}");
                Err(self.problem_here(message, None))
            }
        }
    }

    fn no_operator(&self, subject: &Subject, place: &Range<usize>) -> Error {
        let found = self.peek();
        if let Subject::Metadata(name) = subject {
            let nearest = near::nearest(
                &name.text,
                Field::ALL.map(Field::as_str).into_iter().chain(["not", "exists", "class", "meta"]),
            );
            if *found != Token::End && !nearest.is_empty() {
                let message = format!("`{}` is no field, and no comparison follows it", name.text);
                let suggestion = format!("did you mean {}?", nearest.join(", "));
                return problem(self.text, place.clone(), message, Some(suggestion));
            }
        }
        let suggestion = match subject {
            Subject::Class(_) => Some(format!("{subject} > 0.3")),
            _ => None,
        };
        let message = format!("expected = != < <= > >= ~ !~ or `in`, found {found}");
        self.problem_here(message, suggestion)
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn peek_second(&self) -> &Token {
        // The last token is the end.
        self.tokens.get(self.next + 1).map_or(&Token::End, |(token, _)| token)
    }

    fn take(&mut self) -> (Token, Range<usize>) {
        let taken = self.tokens[self.next].clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        taken
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.take();
        }
        found
    }

    fn problem_here(&self, message: String, suggestion: Option<String>) -> Error {
        problem(self.text, self.tokens[self.next].1.clone(), message, suggestion)
    }
}

fn is_in(word: &str) -> bool {
    word.eq_ignore_ascii_case("in")
}

fn is_reserved(word: &str) -> bool {
    ["and", "or", "not", "in"].iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// The only part, or all of them together.
fn single(
    mut parts: Vec<Expression>,
    together: impl Fn(Vec<Expression>) -> Expression,
) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { together(parts) }
}

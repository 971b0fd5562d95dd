//! Patterns of text.
//!
//! In: `*`, `?` and `[...]`. Out: the same as SQLite's GLOB takes it. Refuses brackets that are
//! not closed, which would match nothing without saying so.

/// A pattern that whole texts are compared with; how, says [`super`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Takes a pattern; where it has a bracket that is not closed, that one's byte is the error.
    pub(super) fn new(pattern: &str) -> Result<Self, usize> {
        let bytes = pattern.as_bytes();
        let mut place = 0;
        while place < bytes.len() {
            if bytes[place] == b'[' {
                let negated = matches!(bytes.get(place + 1), Some(b'^' | b'!'));
                // A bracket that comes first stands for itself.
                let first = place + 1 + usize::from(negated);
                let end = bytes.iter().skip(first + 1).position(|&byte| byte == b']');
                place = first + 1 + end.ok_or(place)?;
            }
            place += 1;
        }
        Ok(Self(pattern.to_owned()))
    }

    /// The pattern, as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern for SQLite, which knows `[^a]` but not `[!a]`.
    pub fn for_sqlite(&self) -> String {
        let mut pattern = String::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some(place) = rest.find('[') {
            let (before, bracket) = rest.split_at(place);
            let negated = bracket[1..].starts_with(['^', '!']);
            let first = 1 + usize::from(negated);
            // `new` has seen that there is an end.
            let end = bracket.bytes().skip(first + 1).position(|byte| byte == b']');
            let end = end.map_or(bracket.len(), |end| first + 1 + end + 1);
            pattern.push_str(before);
            pattern.push_str(if negated { "[^" } else { "[" });
            pattern.push_str(&bracket[first..end]);
            rest = &bracket[end..];
        }
        pattern.push_str(rest);
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_closed_and_turned() {
        for (pattern, turned) in [
            ("*/a?.wav", "*/a?.wav"),
            ("[!a-c]x[^d][!]]", "[^a-c]x[^d][^]]"),
            ("[]]", "[]]"),
            ("[[]é[!é]", "[[]é[^é]"),
            ("a]", "a]"),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().for_sqlite(), turned);
        }
        assert_eq!(Glob::new("ab[c"), Err(2));
        assert_eq!(Glob::new("[]"), Err(0));
        assert_eq!(Glob::new("[a][!]"), Err(3));
    }
}

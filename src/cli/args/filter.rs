//! What `--where` takes, in the words of `--help`.

/// The language of filters, in short; `sonoteca::filter` has its grammar.
pub(crate) const HELP: &str = "\
Search only what passes this filter, such as 'duration < 5 and class(\"Bird\") > 0.3'

Tests are joined by and, or, not and parentheses. A test is a field, a comparison (= != < <= > >=, ~ \
and !~ for patterns, in (...)) and a value; exists NAME asks whether there is any. Fields:
  path, name, folder   the absolute path, the file's name, the folder it lies in
  duration             seconds, or 1m30s
  date                 when it was recorded: 2024, 2024-05, 2024-05-01 or 2024-05-01T06:30
  codec, rate, channels, status, id
  label                a class that somebody heard
  class(\"Bird\")        the highest stored score of that class, 0 where it was not among the highest
  meta(\"odd name\")     imported metadata; just its name, if that is a plain word
In patterns * is any text, slashes too, ? one character and [a-z] one of some. Text stands in quotes. \
Dates are local times, as the recorder's clock showed them; = with a month means within it.";

use proptest::prelude::*;

use super::*;

fn error(text: &str) -> String {
    let error = Filter::parse(text).unwrap_err();
    let hint = error.hint().unwrap_or_default();
    format!("{error}\nhint: {hint}")
}

fn printed(text: &str) -> String {
    Filter::parse(text).unwrap().expression().to_string()
}

#[test]
fn filters_read_as_they_are_meant() {
    for (text, meant) in [
        (
            "path ~ \"*/birds/*\" and duration < 5 and class(\"Bird\") > 0.3",
            "path ~ \"*/birds/*\" and duration < 5 and class(\"Bird\") > 0.3",
        ),
        ("a=1 or b=2 and c=3", "meta(\"a\") = 1 or meta(\"b\") = 2 and meta(\"c\") = 3"),
        ("(a=1 or b=2) and c=3", "(meta(\"a\") = 1 or meta(\"b\") = 2) and meta(\"c\") = 3"),
        ("not not (status = OK)", "not not status = \"ok\""),
        ("NOT Duration >= 1H30M and id IN (1,2)", "not duration >= 5400 and id in (1, 2)"),
        ("rate = 44.1kHz or rate != 8000", "rate = 44100 or rate != 8000"),
        ("date = 2024-05 or date < 2024", "date = 2024-05 or date < 2024"),
        ("date >= '2024-05-01 06:30'", "date >= 2024-05-01T06:30"),
        ("date >= 2024-05-01 06:30:10", "date >= 2024-05-01T06:30:10"),
        ("label not in ('a', b)", "not label in (\"a\", \"b\")"),
        ("exists(site) and exists meta('a b')", "exists meta(\"site\") and exists meta(\"a b\")"),
        ("codec in (FLAC, vorbis)", "codec in (\"flac\", \"vorbis\")"),
        ("name = 'it\\'s \"so\" \\\\ \\n'", "name = \"it's \\\"so\\\" \\\\ \\\\n\""),
        ("folder = '/a/b/'", "folder = \"/a/b\""),
        ("meta(\"odd name\") > 3", "meta(\"odd name\") > 3"),
        ("duration < 250ms", "duration < 0.25"),
        ("temperature > -3.5e1", "meta(\"temperature\") > -35"),
    ] {
        assert_eq!(printed(text), meant, "{text}");
        assert_eq!(printed(&printed(text)), meant);
    }
}

#[test]
fn errors_point_at_the_character() {
    for (text, shown) in [
        (
            "duration <",
            "the filter, character 11: expected a value, found the end
  duration <
            ^
hint: the language of filters: sonoteca search --help",
        ),
        (
            "duration ~ \"x\"",
            "the filter, character 10: `duration` is a number: it is compared by = != < <= > >= and `in`
  duration ~ \"x\"
           ^
hint: the language of filters: sonoteca search --help",
        ),
        (
            "class(\"Bird\")",
            "the filter, character 14: expected = != < <= > >= ~ !~ or `in`, found the end
  class(\"Bird\")
               ^
hint: class(\"Bird\") > 0.3",
        ),
        (
            "path ~ \"birds/*\"",
            "the filter, character 8: a path is absolute, so that this matches none
  path ~ \"birds/*\"
         ^^^^^^^^^
hint: path ~ \"*/birds/*\"",
        ),
        (
            "status = brokn",
            "the filter, character 10: `brokn` is no status: expected ok, truncated or damaged
  status = brokn
           ^^^^^
hint: the language of filters: sonoteca search --help",
        ),
        (
            "é = 1 && duration < 5",
            "the filter, character 7: `&&` is not in the language
  é = 1 && duration < 5
        ^^
hint: write and",
        ),
        (
            "(duration < 5 or id = 3",
            "the filter, character 1: this parenthesis is not closed
  (duration < 5 or id = 3
  ^
hint: add a `)`",
        ),
        (
            "duration < 5)",
            "the filter, character 13: this parenthesis closes none
  duration < 5)
              ^
hint: remove it",
        ),
        (
            "name = \"abc",
            "the filter, character 8: this quotation mark is not closed
  name = \"abc
         ^
hint: end the text with \"",
        ),
        (
            "date >= 2024-13-01",
            "the filter, character 9: `2024-13-01` is no date: expected one such as 2024, 2024-05, \
             2024-05-01 or 2024-05-01T06:30:00
  date >= 2024-13-01
          ^^^^^^^^^^
hint: the language of filters: sonoteca search --help",
        ),
        (
            "name ~ \"a[b\"",
            "the filter, character 10: this bracket is not closed
  name ~ \"a[b\"
           ^
hint: [[] stands for a bracket itself",
        ),
        (
            "durtion 5",
            "the filter, character 1: `durtion` is no field, and no comparison follows it
  durtion 5
  ^^^^^^^
hint: did you mean duration?",
        ),
        (
            "",
            "the filter, character 1: it is empty: expected a test
  
  ^
hint: for example: path ~ \"*/birds/*\" and duration < 5 and class(\"Bird\") > 0.3",
        ),
        (
            "duration <\n  5x",
            "the filter, character 14: `5x` is no number: expected one such as 5, 0.3, 1m30s, 2h or \
             44.1kHz; text stands in quotes
    5x
    ^^
hint: the language of filters: sonoteca search --help",
        ),
    ] {
        assert_eq!(error(text), shown);
    }
}

#[test]
fn what_cannot_hold_is_refused() {
    for (text, reason) in [
        ("class(\"Bird\") > 30", "between 0 and 1"),
        ("class = \"Bird\"", "in parentheses"),
        ("duration = \"5\"", "is a number"),
        ("duration < 2024-05", "is a number"),
        ("rate = 5s", "is not counted so"),
        ("name = 5", "compared with text"),
        ("name < \"b\"", "is text"),
        ("date ~ \"2024*\"", "is a date"),
        ("date = 20245", "is a date"),
        ("exists path", "every recording"),
        ("exists class(\"Bird\")", "every class"),
        ("id in ()", "expected a value"),
        ("id in 3", "expected `(`"),
        ("id = 3 id = 4", "expected `and`"),
        ("and", "expected a field"),
        ("\"path\" = \"/a\"", "expected a field"),
        ("foo(3) = 3", "takes no parentheses"),
        ("class() > 0", "expected a name"),
        ("site ~ 3", "compared with text"),
        ("duration < inf", "is a number"),
        ("duration < 1e999", "is no number"),
        ("id = 1 # remark", "has no meaning"),
    ] {
        assert!(error(text).contains(reason), "{text}: {}", error(text));
    }
    let deep = format!("{}id = 1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(error(&deep).contains("within each other"));
    assert!(error(&"not ".repeat(100_000)).contains("within each other"));
    let long = vec!["id = 1"; 1_000].join(" or ");
    assert!(error(&long).contains("more than 400 tests"));
}

fn name() -> impl Strategy<Value = Name> {
    "[^\\x00]{1,8}".prop_map(|text| Name { text, place: 0..0 })
}

fn period() -> impl Strategy<Value = Period> {
    let text = prop_oneof![
        (1900..2100_i32).prop_map(|year| year.to_string()),
        (1900..2100_i32, 1..=12_i32).prop_map(|(year, month)| format!("{year}-{month:02}")),
        (1..=28_i32, 0..24_i32).prop_map(|(day, hour)| format!("2024-02-{day:02}T{hour:02}:07")),
        (0..60_i32).prop_map(|second| format!("2024-02-29T23:59:{second:02}")),
    ];
    text.prop_map(|text| Period::parse(&text).unwrap())
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<i32>().prop_map(f64::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite())
    ]
}

/// A test of one subject with a value of its kind.
fn test() -> impl Strategy<Value = Test> {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Like, NotEqual, Unlike};
    let order =
        prop::sample::select(vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual]);
    let same = prop::sample::select(vec![Equal, NotEqual]);
    let like = prop::sample::select(vec![Like, Unlike]);
    let numbers =
        prop::sample::select(vec![Field::Duration, Field::Rate, Field::Channels, Field::Id]);
    let texts = prop::sample::select(vec![Field::Name, Field::Label]);
    let glob = "[a-z*?é/\"\\\\]{0,8}".prop_map(|text| Value::Glob(Glob::new(&text).unwrap()));
    let is =
        |subject: Subject, operator, value| Test { subject, check: Check::Is(operator, value) };
    prop_oneof![
        (numbers.clone(), order.clone(), number()).prop_map(move |(f, o, n)| is(
            Subject::Field(f),
            o,
            Value::Number(n)
        )),
        (numbers, prop::collection::vec(number().prop_map(Value::Number), 1..4))
            .prop_map(|(f, v)| Test { subject: Subject::Field(f), check: Check::In(v) }),
        (texts.clone(), same, ".*").prop_map(move |(f, o, t)| is(
            Subject::Field(f),
            o,
            Value::Text(t)
        )),
        (texts, like.clone(), glob.clone()).prop_map(move |(f, o, g)| is(Subject::Field(f), o, g)),
        (order.clone(), period()).prop_map(move |(o, p)| is(
            Subject::Field(Field::Date),
            o,
            Value::Period(p)
        )),
        (name(), order.clone(), 0.0..=1.0).prop_map(move |(n, o, s)| is(
            Subject::Class(n),
            o,
            Value::Number(s)
        )),
        (name(), order.clone(), number()).prop_map(move |(n, o, v)| is(
            Subject::Metadata(n),
            o,
            Value::Number(v)
        )),
        (name(), order, ".*").prop_map(move |(n, o, t)| is(
            Subject::Metadata(n),
            o,
            Value::Text(t)
        )),
        (name(), like, glob).prop_map(move |(n, o, g)| is(Subject::Metadata(n), o, g)),
        name().prop_map(|n| Test { subject: Subject::Metadata(n), check: Check::Exists }),
    ]
}

fn expression() -> impl Strategy<Value = Expression> {
    test().prop_map(Expression::Test).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::Any),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_to_the_same(expression in expression()) {
        let text = expression.to_string();
        let read = Filter::parse(&text);
        prop_assert!(read.is_ok(), "{text}\n{}", read.unwrap_err());
        let read = read.unwrap();
        prop_assert_eq!(read.expression(), &expression, "{}", text);
    }

    #[test]
    fn no_text_is_too_odd(text in ".*") {
        if let Err(error) = Filter::parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn nor_is_one_of_the_language(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "path", "duration", "date", "class", "meta", "label", "site", "(", ")", ",", "=",
                "!=", "<", "~", "in", "not", "and", "or", "exists", "\"", "'", "x", "5", "-", ".",
                "2024-05", "1m30s", "[", "\\", " ", "\n", "é", "\"*/a\"", "0.3",
            ]),
            0..16,
        )
    ) {
        for separator in ["", " "] {
            if let Err(error) = Filter::parse(&pieces.join(separator)) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn patterns_are_no_longer_than_sqlite_takes() {
    let filter = |bytes: usize| format!("duration < 5 and name ~ \"{}\"", "a".repeat(bytes));
    assert!(Filter::parse(&filter(50_000)).is_ok());
    let error = error(&filter(50_001));
    assert!(
        error.starts_with("the filter, character 25: a pattern of more than 50000 bytes\n"),
        "{}",
        &error[..200]
    );
    // The line is cut, and the caret stands under what is wrong.
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines[1].len() < 300 && lines[2].len() == lines[1].len(), "{}", lines[2]);
    assert_eq!(lines[2].find('^'), lines[1].find('"'));
}

//! Filters let the same pass on both stores, or are refused by the server's with the reason.

use sonoteca::Error;
use sonoteca::filter::Filter;
use sonoteca::search::{Level, SearchOptions};

use crate::made::{header, write};
use crate::stores::Tested;
use crate::{both, compare, question, recordings, told};

/// Filters that both can be asked.
const ALIKE: [&str; 58] = [
    "duration < 3",
    "duration >= 2.4 and not duration = 2.88",
    "codec = flac",
    "codec != FLAC",
    "codec in (flac, pcm_s16le)",
    "status = truncated",
    "not status = ok or channels = 2",
    "rate = 44.1kHz",
    "rate in (16000, 48000)",
    "channels > 1",
    "path ~ \"/data/garden/*\"",
    "path ~ \"/data/a_b%c/*\"",
    "path ~ \"/data/a_b*\"",
    "path !~ \"/data/A*\"",
    "path ~ \"*.wav\"",
    "path ~ \"*/Wren_001_20210501_063001.flac\"",
    "path = \"/data/garden/Wren_001_20210501_063001.flac\"",
    "name ~ \"wren*\"",
    "name ~ \"*c\"",
    "name !~ \"*.flac\"",
    "folder = \"/data/garden\"",
    "folder in (\"/data/garden\", \"/data/Am_See\")",
    "folder ~ \"/data/A*\"",
    "date = 2021",
    "date < 2022-05-01T06:30:10",
    "date >= 2022-05-01T06:30:10",
    "date in (2020-05, 2023-05-01)",
    "date != 2021-05-01",
    "site = \"garden\"",
    "SITE = \"Am See\"",
    "site != \"garden\"",
    "site ~ \"a_b%*\"",
    "site in (\"garden\", \"Am See\")",
    "depth = 3",
    "depth = \"3\"",
    "depth >= 2",
    "not depth < 2",
    "depth in (1, 4)",
    "depth != 0",
    "exists meta(\"odd \\\"name\\\"\")",
    "not exists meta(\"odd \\\"name\\\"\")",
    "meta(\"odd \\\"name\\\"\") > 3",
    "meta(\"odd \\\"name\\\"\") = 2.5",
    "meta(\"odd \\\"name\\\"\") = \"2.5\"",
    "meta(\"odd \\\"name\\\"\") = \"3.0\"",
    "set = 2024-03",
    "set < 2024-05",
    "set in (2024-01, 2024-09-15)",
    "depth_text = 3",
    "depth_text = \"3\"",
    "class(Dog) > 0.5",
    "class(dog) < 0.5",
    "class(\"Water, tap\") = 0",
    "class(Bird) != 0",
    "class(Bird) >= 0.25 and class(Dog) <= 0.25",
    "not (class(Speech) > 0.1 or site = \"garden\") and duration > 1",
    "class(Engine) in (0, 1)",
    "(site = \"garden\" or site = \"Am See\") and (codec = flac or depth > 2) and not class(Dog) > 0.9",
];

#[test]
fn filters_let_the_same_pass() {
    let Some(mut stores) = both("filtered") else { return };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &header(), &recordings(70, |number| 1 + number % 9), u64::MAX);
    for store in &mut stores {
        store.import(folder.path()).unwrap();
    }
    let all = SearchOptions { count: 5_000, single_segments: true, ..SearchOptions::default() };
    let whole = [Level::Recording, Level::Segment].map(|level| {
        let everything =
            |store: &dyn Tested| store.search(&question(7), level, None, &all).unwrap();
        (level, compare(&stores, "everything", everything))
    });
    let (mut some, mut differing) = (0, Vec::new());
    for text in ALIKE {
        let filter = Filter::parse(text).unwrap();
        for (level, whole) in whole {
            let found = [0, 1].map(|store: usize| {
                let store = stores[store].as_ref();
                let found = store.search(&question(7), level, Some(&filter), &all);
                told(&found.unwrap_or_else(|error| {
                    panic!("{text}, {level:?}, {}: {error}: {}", store.name(), error.reason())
                }))
            });
            let count = found[0].len();
            if found[0] != found[1] {
                let counts = (count, found[1].len());
                differing.push(format!("{text}, {level:?}: {counts:?} of {whole}"));
            }
            some += usize::from(count > 0 && count < whole);
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    // Most of them are no filters of nothing, or of everything.
    assert!(some > ALIKE.len(), "{some}");

    for (text, reason) in [
        ("label = dog", "labels are a library's"),
        ("path ~ \"*/birds/*\"", "by how they begin"),
        ("class(Cat) > 0.1", "knows no class"),
        ("habitat = \"wood\"", "no recording has such metadata"),
    ] {
        let filter = Filter::parse(text).unwrap();
        let found = stores[1].search(&question(7), Level::Segment, Some(&filter), &all);
        let error = found.unwrap_err();
        assert!(matches!(error, Error::Filter(_)), "{text}: {error}");
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
}

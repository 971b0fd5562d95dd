//! What expressions say, and what is refused; that they let the same pass as a library's SQL is
//! tested against a real server (`tests/conformance/filters.rs`).

use super::*;

fn written(text: &str) -> Result<String> {
    let filter = Filter::parse(text)?;
    let classes = ["Speech".to_owned(), "Dog".to_owned(), "Bird".to_owned()];
    let is_known = |key: &str| Ok(key == "k_site" || key == "h_782079");
    Writing { filter: &filter, classes: &classes, is_known: &is_known }
        .expression(filter.expression())
}

#[test]
fn tests_have_expressions() {
    for (filter, expression) in [
        ("duration < 5", "(duration_s < 5.0)"),
        ("not status = ok", "(not (status == \"ok\"))"),
        ("codec in (flac, vorbis)", "(codec in [\"flac\", \"vorbis\"])"),
        (
            "rate = 44.1kHz or channels != 2",
            "((sample_rate == 44100.0) or (not (channels == 2.0)))",
        ),
        ("path ~ \"/data/*\"", "(path >= \"/data/\" and path < \"/data0\")"),
        ("path ~ \"*.wav\"", "(name_backwards >= \"vaw.\" and name_backwards < \"vaw/\")"),
        ("path ~ \"*/a.wav\"", "(name == \"a.wav\")"),
        ("name !~ \"a*\"", "(not (name >= \"a\" and name < \"b\"))"),
        ("class(dog) > 0.3", "(classes[\"c1\"] > 0.3)"),
        ("class(Dog) < 0.3", "(not (classes[\"c1\"] >= 0.3))"),
        ("class(Dog) = 0", "(not (classes[\"c1\"] > 0.0))"),
        ("class(Dog) >= 0", "segment >= -1"),
        ("class(Dog) < 0", "segment < -1"),
        ("id = 7", "(recording_id == 7)"),
        ("id = 7.5", "segment < -1"),
        ("id > 7.5", "(recording_id > 7)"),
        ("exists site", "(exists metadata[\"t\"][\"k_site\"])"),
        ("Site = \"A\\\"b\"", "(metadata[\"t\"][\"k_site\"] == \"A\\\"b\")"),
        ("meta(\"x y\") >= 2", "(metadata[\"n\"][\"h_782079\"] >= 2.0)"),
        (
            "date = 2024-05-01",
            "(recorded > -1000000000000000 and (recorded >= 1714521600 and recorded < 1714608000))",
        ),
        ("site > 2024", "(metadata[\"n\"][\"k_site\"] > 2024.0)"),
        ("site >= 2024-05", "(metadata[\"d\"][\"k_site\"] >= 1714521600)"),
    ] {
        assert_eq!(written(filter).unwrap(), expression, "{filter}");
    }
}

#[test]
fn what_has_no_expression_is_refused_with_the_reason() {
    for (filter, reason) in [
        ("duration < 5 and label = dog", "labels are a library's"),
        ("path ~ \"*/birds/*\"", "by how they begin"),
        ("name ~ \"a?.wav\"", "by how they begin"),
        ("site ~ \"*see\"", "by how they begin"),
        ("id = 9007199254740993", "64 bits"),
        ("class(Cat) > 0.5", "knows no class called `Cat`"),
        ("place = \"A\"", "no recording has such metadata"),
    ] {
        let error = written(filter).unwrap_err();
        assert!(matches!(error, Error::Filter(_)), "{filter}: {error}");
        assert!(error.to_string().contains(reason), "{filter}: {error}");
    }
    let error = written("duration < 5 and label = dog").unwrap_err().to_string();
    assert!(error.contains("character 18"), "{error}");
}

//! The licence that a README.md states in its header.
//!
//! In: the text of a model card as hubs show it. Out: the licence, as its maker wrote it. The header is
//! YAML between two lines of three dashes; of it only the keys `license` and `license_name` at its first
//! level are read, as a word or as a list (the hub's documentation, "Model Cards", metadata).

/// Longest name of a licence that is taken, in letters.
const MOST_LETTERS: usize = 100;

/// The licence that `readme` states; `None`, where it states none.
pub(super) fn of_readme(readme: &str) -> Option<String> {
    let mut lines = readme.trim_start_matches('\u{feff}').lines();
    if lines.next()?.trim_end() != "---" {
        return None;
    }
    let header: Vec<&str> = lines.take_while(|line| line.trim_end() != "---").collect();
    match value(&header, "license")? {
        // The name that a licence of one's own has says more.
        other if other == "other" => value(&header, "license_name").or(Some(other)),
        licence => Some(licence),
    }
}

/// What stands behind `key`: a word, or the words of a list.
fn value(header: &[&str], key: &str) -> Option<String> {
    let behind = |line: &&str| line.strip_prefix(key)?.strip_prefix(':').map(str::to_owned);
    let place = header.iter().position(|line| behind(line).is_some())?;
    let word = plain(&behind(&header[place])?);
    if !word.is_empty() {
        let listed = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
        return listed.map_or(Some(word.clone()), |words| joined(words.split(',')));
    }
    let items = header[place + 1..].iter().map_while(|line| line.trim_start().strip_prefix("- "));
    joined(items)
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> Option<String> {
    let words: Vec<String> = words.map(plain).filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" AND "))
}

/// A word without its quotes and what is remarked behind it.
fn plain(text: &str) -> String {
    let text = text.split(" #").next().unwrap_or(text).trim();
    let text = text.trim_matches(|c| c == '"' || c == '\'');
    text.chars().filter(|letter| !letter.is_control()).take(MOST_LETTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_state_a_licence_in_several_ways() {
        for (header, licence) in [
            ("license: apache-2.0", Some("apache-2.0")),
            (
                "tags:\n- speech\nlicense: \"cc-by-nc-4.0\" # of the weights\nlanguage: en",
                Some("cc-by-nc-4.0"),
            ),
            ("license:\n- mit\n- cc-by-4.0\ntags:\n- x", Some("mit AND cc-by-4.0")),
            ("license: [mit, apache-2.0]", Some("mit AND apache-2.0")),
            ("license: other\nlicense_name: mms-licence", Some("mms-licence")),
            ("license: other", Some("other")),
            ("model-index:\n  license: mit", None),
            ("license:", None),
            ("licensed: mit", None),
        ] {
            let readme = format!("---\n{header}\n---\n# A model\nlicense: gpl\n");
            assert_eq!(of_readme(&readme).as_deref(), licence, "{header}");
            assert_eq!(of_readme(&readme.replace('\n', "\r\n")).as_deref(), licence, "{header}");
        }
        assert_eq!(of_readme("# A model\nlicense: mit\n"), None);
        assert_eq!(of_readme(""), None);
    }
}

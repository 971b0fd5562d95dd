//! Names that somebody may have meant.
//!
//! In: a mistyped name and those there are. Out: the nearest of these, nearest first.

use crate::case::folded;

/// Names that are offered at once.
const OFFERED: usize = 3;

/// Names that differ more than this from what was typed are no help; by trial with misspelt
/// class names.
const LEAST_LIKENESS: f64 = 0.8;

/// What a name that holds the typed one, or lies in it, is worth; longer names a little less.
const CONTAINED: f64 = 0.9;

/// The `names` nearest to `typed`, nearest first, three at most.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let typed = folded(typed);
    let mut found: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (likeness(&typed, &folded(name)), name))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    found.dedup_by(|a, b| a.1 == b.1);
    found.into_iter().take(OFFERED).map(|(_, name)| name.to_owned()).collect()
}

fn likeness(typed: &str, name: &str) -> f64 {
    let alike = strsim::jaro_winkler(typed, name);
    // Two letters are in many names.
    let long = typed.chars().count() > 2 && name.chars().count() > 2;
    if long && (name.contains(typed) || typed.contains(name)) {
        let lengths = (typed.len().max(1) as f64, name.len().max(1) as f64);
        let share = (lengths.0 / lengths.1).min(lengths.1 / lengths.0);
        return alike.max(CONTAINED + 0.08 * share);
    }
    alike
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_are_found() {
        let names =
            ["Dog", "Bark", "Domestic animals, pets", "Bird", "Bird flight, flapping wings"];
        assert_eq!(nearest("Brid", names), ["Bird"]);
        assert_eq!(nearest("barking", names)[0], "Bark");
        assert!(nearest("flapping", names).contains(&"Bird flight, flapping wings".to_owned()));
        assert!(nearest("xylophone", names).is_empty());
        assert!(nearest("", names).is_empty());
    }
}

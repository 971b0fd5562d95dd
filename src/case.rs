//! Upper and lower case: when two names are the same.
//!
//! In: a name. Out: what it has in common with its other spellings. Whoever compares names of
//! classes asks here, SQL included (`lower_case`, `src/store/functions.rs`): its own `NOCASE` knows
//! ASCII only, and `Öl` would be one class where it is learnt and another where it is listed.

/// The lower case of `name` by Unicode's rules, whatever the language.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// Whether two names differ by their case at most.
pub fn is_same(a: &str, b: &str) -> bool {
    a == b || folded(a) == folded(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_every_alphabet_have_a_case() {
        for (a, b) in [("Dog", "dOG"), ("Öl", "öl"), ("ЧИЖ", "чиж"), ("Éclair", "éCLAIR")]
        {
            assert!(is_same(a, b), "{a} {b}");
            assert_eq!(folded(a), folded(b));
        }
        assert!(!is_same("Öl", "Ol"));
    }
}

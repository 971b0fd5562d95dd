//! What keeps a head from being trained, evaluated or used.

use std::borrow::Cow;

use crate::shell::quoted;

/// Why there is no head, or no number about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingProblem {
    /// Nothing to learn from.
    #[error(
        "the library has no labels to learn from: none by people, of recordings that the model embedded"
    )]
    NoLabels,

    /// No label of a class.
    #[error("there is no label of class `{class}`")]
    NoSuchClass {
        /// The class.
        class: String,
        /// Those that there are, with nearly that name.
        nearest: Vec<String>,
    },

    /// A class that is labelled, but nowhere that the filter lets pass.
    #[error("the filter lets nothing pass in which `{class}` is")]
    FilteredOut {
        /// The class.
        class: String,
    },

    /// A class that was only ever denied.
    #[error("no label says that `{class}` is there: all are negative or unsure")]
    NeverPositive {
        /// The class.
        class: String,
    },

    /// Classes of which nobody said where they are not.
    #[error("nothing says where {} {} not", .classes.join(", "), if .classes.len() == 1 { "is" } else { "are" })]
    NoNegatives {
        /// The classes.
        classes: Vec<String>,
    },

    /// Nothing that a class could be told from.
    #[error("`{class}` is all that there is to learn: no example is of anything else")]
    OneClass {
        /// The class.
        class: String,
    },

    /// A number without a name.
    #[error("which number the head is to say was not said")]
    NoTarget,

    /// No metadata of a name.
    #[error("no recording has metadata called `{target}`")]
    NoSuchTarget {
        /// The name.
        target: String,
        /// Those that there are, with nearly that name.
        nearest: Vec<String>,
    },

    /// Metadata that are text.
    #[error("`{target}` is text, such as `{example}`: no recording has a number there")]
    NoNumbers {
        /// The name of the metadata.
        target: String,
        /// What one recording has.
        example: String,
    },

    /// No metadata to group by.
    #[error("no recording has metadata called `{key}` to group by")]
    NoSuchGroup {
        /// The name.
        key: String,
        /// Those that there are, with nearly that name.
        nearest: Vec<String>,
    },

    /// Labels, but not a single row.
    #[error("no vector has a label that it could learn from")]
    NothingLeft,

    /// No labelled recording that is new to a head.
    #[error("head `{head}` has learnt from every labelled recording there is here")]
    AllLearnt {
        /// The head.
        head: String,
    },

    /// A head from before groups were noted.
    #[error(
        "head `{head}` does not say which groups it has learnt from, so that nothing is known to be new to it"
    )]
    GroupsUnknown {
        /// The head.
        head: String,
    },

    /// A name that no head may have.
    #[error("a head cannot have that name: `{name}`")]
    HeadName {
        /// The name.
        name: String,
    },

    /// A head that cannot be written as weights.
    #[error("head `{head}` is a {kind} head, which plain weights cannot say")]
    NotLinear {
        /// The head.
        head: String,
        /// Its kind.
        kind: &'static str,
    },

    /// A kind of head that cannot do a task.
    #[error("a {kind} head cannot learn {task}")]
    Unfit {
        /// The kind of head.
        kind: &'static str,
        /// What was wanted.
        task: &'static str,
    },

    /// A kind of head that sees its rows as they are.
    #[error("a {kind} head learns from all rows at once, and they cannot be changed on the way")]
    NotAugmented {
        /// The kind.
        kind: &'static str,
    },

    /// No head of a name.
    #[error("there is no head called `{name}`")]
    NoHead {
        /// The name.
        name: String,
        /// Those that there are, with nearly that name.
        nearest: Vec<String>,
        /// Whether there is any.
        is_any: bool,
    },

    /// A head of another model.
    #[error("head `{head}` reads embeddings of {expected}, and these are of {found}")]
    OtherModel {
        /// The head.
        head: String,
        /// The model that it was trained on.
        expected: String,
        /// The model that there is.
        found: String,
    },

    /// A head whose card or tensors are damaged.
    #[error("head `{head}` is damaged: {problem}")]
    Damaged {
        /// The head.
        head: String,
        /// What is wrong.
        problem: String,
    },

    /// A head that a newer version wrote.
    #[error("head `{head}` has format {found}, and this sonoteca reads up to {known}")]
    TooNew {
        /// The head.
        head: String,
        /// Its format.
        found: u64,
        /// The newest that is known.
        known: u32,
    },

    /// A head of several classes, none of which was named.
    #[error("head `{head}` knows several classes, and none was named: {}", .known.join(", "))]
    WhichClass {
        /// The head.
        head: String,
        /// Those that it knows.
        known: Vec<String>,
    },

    /// A head that says numbers where classes are wanted.
    #[error("head `{head}` says a number, and {what} is about classes")]
    NotOfClasses {
        /// The head.
        head: String,
        /// What is.
        what: &'static str,
    },

    /// A class that a head does not know.
    #[error("head `{head}` knows no class `{class}`; it knows {}", .known.join(", "))]
    ClassOfHead {
        /// The head.
        head: String,
        /// The class.
        class: String,
        /// Those that it knows.
        known: Vec<String>,
    },

    /// A kind of head that reads something else.
    #[error("head `{head}` reads {input}, and was given something else")]
    OtherInput {
        /// The head.
        head: String,
        /// What it reads.
        input: &'static str,
    },

    /// A kind of head that reads sequences, and none to read.
    #[error("a {kind} head learns from sequences, and there are none of its rows")]
    NoSequences {
        /// The kind of head.
        kind: &'static str,
    },

    /// A head without hidden layers.
    #[error("head `{head}` has no hidden layer")]
    NoHidden {
        /// The head.
        head: String,
    },

    /// Embeddings of a file, and nothing to make them with.
    #[error("embeddings of a file were wanted without a model that makes them")]
    NoExtractor,

    /// Stopped before it was done.
    #[error("training was stopped")]
    Interrupted,

    /// Training that left the ground.
    #[error("training did not come to an end: the {what} is not finite")]
    Diverged {
        /// What is not.
        what: &'static str,
    },
}

/// What filters know of every recording, and is no metadata.
const FIELDS: [&str; 8] =
    ["duration", "rate", "channels", "date", "codec", "path", "name", "folder"];

impl TrainingProblem {
    /// What to try.
    pub(super) fn hint(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NoLabels
            | Self::NoSuchClass { .. }
            | Self::FilteredOut { .. }
            | Self::NeverPositive { .. }
            | Self::OneClass { .. }
            | Self::NoNumbers { .. }
            | Self::NoNegatives { .. }
            | Self::NoTarget
            | Self::NoSuchTarget { .. }
            | Self::NoSuchGroup { .. } => self.hint_of_labels(),
            Self::NothingLeft => Some(
                "check --where, --classes and --by; `sonoteca label list` lists the labels".into(),
            ),
            Self::AllLearnt { head } => Some(
                format!("without --where, heads like it are asked about what was held out: sonoteca evaluate {head}").into(),
            ),
            Self::GroupsUnknown { head } => {
                Some(format!("train it again, which notes them: sonoteca train {head}").into())
            }
            Self::HeadName { .. } => Some(
                "choose one of letters, digits, `.`, `_` and `-`, such as birds; `retrieval` is what \
                 searches are evaluated by"
                    .into(),
            ),
            Self::NotLinear { head, .. } => Some(
                format!("write its files: sonoteca head export {head}; or train a logistic head").into(),
            ),
            Self::NotAugmented { .. } => {
                Some("leave --augment out, or choose --head mlp, lstm, crnn or tf-lstm".into())
            }
            Self::Unfit { .. } => Some("choose another --head, or another --task".into()),
            Self::NoHead { is_any: false, .. } => {
                Some("there is none yet; train one: sonoteca train NAME".into())
            }
            Self::NoHead { nearest, .. } => {
                mean(nearest).or(Some("`sonoteca head list` lists them".into()))
            }
            Self::OtherModel { head, expected, found } => Some(other_model(head, expected, found).into()),
            Self::TooNew { .. } => Some("use a newer sonoteca".into()),
            Self::Damaged { .. } => Some("train it again: sonoteca train NAME".into()),
            Self::NoHidden { .. } => Some("train one with --head mlp".into()),
            Self::ClassOfHead { .. }
            | Self::OtherInput { .. }
            | Self::NoExtractor
            | Self::NoSequences { .. }
            | Self::Interrupted => None,
            Self::WhichClass { known, .. } => {
                known.first().map(|class| format!("name one: --class {}", quoted(class)).into())
            }
            Self::NotOfClasses { head, .. } => {
                Some(format!("`sonoteca search --head {head}` ranks by its number").into())
            }
            Self::Diverged { .. } => Some("try another --head, such as logistic".into()),
        }
    }

    /// The same of what is wrong with what there is to learn from.
    fn hint_of_labels(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NoLabels => Some(
                "give it labels: sonoteca label import FILE, or sonoteca label add id:N CLASS"
                    .into(),
            ),
            Self::NoSuchClass { nearest, .. } => {
                mean(nearest).or(Some("`sonoteca label list` lists the classes".into()))
            }
            Self::FilteredOut { class } => Some(
                format!("name another --where; `sonoteca label list --class {}` lists its labels", quoted(class)).into(),
            ),
            Self::NeverPositive { class } => {
                Some(format!("label where it is: sonoteca label add id:N {}", quoted(class)).into())
            }
            Self::OneClass { class } => Some(
                format!(
                    "label some that are something else: sonoteca label add id:N OTHER; or where it is \
                     not: sonoteca label add id:N {} --negative",
                    quoted(class)
                )
                .into(),
            ),
            Self::NoNumbers { .. } => Some(
                "numbers have a decimal point, no comma and no unit: write them so, and import them \
                 again: sonoteca metadata import FILE"
                    .into(),
            ),
            Self::NoNegatives { classes } if classes.len() == 1 => Some(
                format!(
                    "label where it is not: sonoteca label add id:N {} --negative; or say that \
                     labelled recordings have all their labels: --exhaustive",
                    quoted(&classes[0])
                )
                .into(),
            ),
            Self::NoSuchTarget { target, .. } if FIELDS.contains(&target.as_str()) => {
                Some("that is a field of filters; a head learns numbers that were imported: \
                     sonoteca metadata import FILE".into())
            }
            Self::NoNegatives { classes } => Some(
                format!(
                    "label where it is not: sonoteca label add id:N {} --negative; or say that \
                     labelled recordings have all their labels: --exhaustive; or that each has one \
                     class: --task single",
                    classes.first().map_or("CLASS".to_owned(), |class| quoted(class))
                )
                .into(),
            ),
            Self::NoTarget => Some("name the metadata that holds it: --target tempo".into()),
            Self::NoSuchTarget { nearest, .. } | Self::NoSuchGroup { nearest, .. } => {
                mean(nearest).or(Some("`sonoteca metadata list` lists what there is".into()))
            }
            _ => None,
        }
    }
}

/// Those that may have been meant.
fn mean(nearest: &[String]) -> Option<Cow<'static, str>> {
    let all = nearest.join("` or `");
    (!nearest.is_empty()).then(|| Cow::Owned(format!("did you mean `{all}`?")))
}

/// What to try where a head meets vectors of another model than it was trained on. Both are described by
/// their names, and their versions in parentheses.
fn other_model(head: &str, expected: &str, found: &str) -> String {
    let name = |model: &str| model.split(" (").next().unwrap_or_default().to_owned();
    let (expected, found) = (name(expected), name(found));
    let train = format!("sonoteca train {head} --model {found}");
    if expected == found {
        return format!("another version of the model made them; train it again: {train}");
    }
    format!(
        "have it hear vectors of {expected}: sonoteca index FOLDER --model {expected}; or train it on what \
         there is: {train}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_models_without_their_versions() {
        let of = |found: &str| {
            let problem = TrainingProblem::OtherModel {
                head: "birds".to_owned(),
                expected: "yamnet (0123456789ab, front end 1)".to_owned(),
                found: found.to_owned(),
            };
            problem.hint().unwrap().into_owned()
        };
        let other = of("crepe (ba9876543210, front end 2)");
        assert!(other.contains("sonoteca index FOLDER --model yamnet;"), "{other}");
        assert!(other.ends_with("sonoteca train birds --model crepe"), "{other}");
        let newer = of("yamnet (ba9876543210, front end 1)");
        assert!(newer.ends_with("again: sonoteca train birds --model yamnet"), "{newer}");
    }
}

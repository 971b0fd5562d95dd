//! Why a file of a model hub could not be fetched.
//!
//! In: nothing. Out: [`HubProblem`], with what to try.

/// Why a file of a model hub could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubProblem {
    /// A name that no repository or file can have.
    #[error("`{found}` is no {what}: expected {expected}")]
    Name {
        /// What it was to be.
        what: &'static str,
        /// The name.
        found: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// An address of a hub that does not read.
    #[error("`{found}` is no address of a hub: expected http:// or https:// and a host")]
    Address {
        /// The address.
        found: String,
    },
    /// A hub, or where it sends to, that cannot be asked at all.
    #[error("{address} cannot be asked: {why}")]
    Unreachable {
        /// Whom.
        address: String,
        /// Why.
        why: String,
    },
    /// A token that is not shown to the hub.
    #[error("the token in HF_TOKEN {problem}")]
    Token {
        /// Why not.
        problem: String,
    },
    /// 404.
    #[error("the hub has no such file, or no such repository or revision (status 404)")]
    Missing,
    /// 401 and 403.
    #[error("the hub does not give it to everybody (status {status})")]
    Forbidden {
        /// The status.
        status: u16,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// Another status that trying again would not change.
    #[error("the hub answered with the status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// A redirection that is not followed.
    #[error("the hub sends elsewhere in a way that is not followed: {why}")]
    Redirection {
        /// What is wrong with it.
        why: String,
    },
    /// Something that passes, which did not pass in time.
    #[error("it did not work in {attempts} attempts, the last of which ended so: {last}")]
    GaveUp {
        /// How many.
        attempts: u32,
        /// What happened at the last one.
        last: String,
    },
    /// A wait that is longer than anybody's patience.
    #[error("the hub asks to come back in {wait_s} s")]
    Busy {
        /// What it asks for, in seconds.
        wait_s: u64,
    },
    /// Another length than the hub announced.
    #[error("it has {found} bytes, and the hub announced {expected}")]
    Size {
        /// What was announced.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// More than is fetched.
    #[error("it has {found} bytes, and at most {limit} are fetched")]
    TooLarge {
        /// What was announced, or came.
        found: u64,
        /// The limit.
        limit: u64,
    },
}

impl HubProblem {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Name { .. } => {
                "a model of the hub is named by its owner and its name, such as \
                 facebook/wav2vec2-base"
            }
            Self::Address { .. } => "set SONOTECA_HUB to another address, or leave it out",
            Self::Unreachable { .. } => {
                "check the network, the address in SONOTECA_HUB, and this machine's clock and \
                 certificates; a folder that is already here: sonoteca models pull NAME --from FOLDER"
            }
            Self::Token { .. } => {
                "set HF_TOKEN to the token alone, and SONOTECA_HUB to an https:// address; or do \
                 without for once: HF_TOKEN= sonoteca models pull OWNER/NAME"
            }
            Self::Missing => {
                "look at the name; a repository needs config.json and model.safetensors. A folder \
                 that is already here: sonoteca models pull NAME --from FOLDER"
            }
            Self::Forbidden { with_token: false, .. } => {
                "look at the name; where the model asks for an account, set HF_TOKEN to a token of \
                 yours"
            }
            Self::Forbidden { with_token: true, .. } => {
                "look at the name, and whether the account of HF_TOKEN has accepted the model's terms"
            }
            Self::GaveUp { .. } | Self::Busy { .. } => {
                "run the same command again later: it goes on where it stopped"
            }
            _ => "give a folder that is already here: sonoteca models pull NAME --from FOLDER",
        }
    }
}

//! Files of a model hub, by the names of repositories such as `facebook/wav2vec2-base`.
//!
//! In: a repository, a revision and a file's name. Out: the file in a folder, of the length and the
//! hash that the hub announced. What was cut is gone on with, also by a later call. Refuses names
//! that could leave the folder, and files that are not what was announced.
//!
//! Addresses and headers are those of `huggingface_hub` 0.23, `file_download.py`
//! (`hf_hub_url`, `get_hf_file_metadata`): the hub answers with the hash of a large file's content
//! and its length, and sends on to where the bytes lie.

mod download;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use tests::{HASTY, server::Reply, server::Server};

use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};

use super::http::{Answer, Client, Method, Patience, USUAL, Unanswered, goes_in_the_open};
use crate::error::{Error, HubProblem, Result};

/// The public hub.
const PUBLIC: &str = "https://huggingface.co";
/// Names another hub, or a mirror.
const ADDRESS: &str = "SONOTECA_HUB";
/// Holds the user's token, which only the hub itself is shown.
const TOKEN: &str = "HF_TOKEN";
/// Hops from address to address that are followed.
const MAX_REDIRECTIONS: usize = 10;

/// A model hub.
pub(super) struct Hub {
    /// Without a slash at its end.
    base: String,
    token: Option<String>,
    client: Client,
    patience: Patience,
    /// Whether any server has answered yet: until then a host that nobody knows is none.
    has_answered: Cell<bool>,
}

/// What becomes of a file that is being fetched.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fetching<'a> {
    /// So many bytes of it are here.
    Received {
        /// The file.
        file: &'a str,
        /// Bytes that are here.
        received: u64,
        /// Bytes that it has, where that is known.
        whole: Option<u64>,
    },
    /// It did not work, and is tried again after a while.
    Again {
        /// The file.
        file: &'a str,
        /// What happened.
        why: &'a str,
        /// Seconds until then.
        wait_s: f64,
    },
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HubFile {
    /// `owner/name`, or a name alone.
    pub(super) repository: String,
    /// A branch, a tag or a commit.
    pub(super) revision: String,
    /// Its path in the repository.
    pub(super) file: String,
}

/// A file that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    pub(super) path: PathBuf,
    /// The commit that the revision stood for, where the hub says so: asking for it again gives
    /// the same file.
    pub(super) commit: Option<String>,
}

/// What the hub says of a file before it gives it.
#[derive(Clone, Debug, Default)]
struct Announced {
    /// SHA-256 of large files' content; of small ones something else, which only tells one
    /// content from another.
    etag: Option<String>,
    size: Option<u64>,
    commit: Option<String>,
}

/// How a request ended that did not go well.
enum Failure {
    /// It may go well later, and the server may have said when.
    Passing { why: String, after: Option<std::time::Duration> },
    /// It will not.
    Lasting(HubProblem),
}

impl fmt::Debug for Hub {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hub").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Hub {
    /// The hub that the environment names, with the user's token; the public one without.
    pub(super) fn of_user() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let base = variable(ADDRESS).unwrap_or_else(|| PUBLIC.to_owned());
        let token = variable(TOKEN).map(|token| token.trim().to_owned());
        Self::at(base.trim(), token, USUAL)
    }

    /// The hub at `base`.
    pub(super) fn at(base: &str, token: Option<String>, patience: Patience) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self { base, token, client: Client::new(), patience, has_answered: Cell::new(false) }
    }

    /// Fetches `file` into `folder`, under the last part of its name, and tells `progress` how that
    /// goes. A file that lies there already as the hub announces it is not fetched again.
    ///
    /// # Errors
    /// [`Error::Hub`] when the hub does not give it, [`Error::Checksum`] when it is not what was
    /// announced, [`Error::Io`] when the folder cannot be written.
    pub(super) fn fetch(
        &self,
        file: &HubFile,
        folder: &Path,
        progress: &mut dyn FnMut(Fetching<'_>),
    ) -> Result<Fetched> {
        let failed = |problem| Error::Hub {
            repository: file.repository.clone(),
            file: file.file.clone(),
            problem,
        };
        let url = self.url(file).map_err(failed)?;
        self.check_token().map_err(failed)?;
        let announced = self.announced_patiently(&url, &file.file, progress).map_err(failed)?;
        let path = download::Download::new(self, &url, &announced, folder, file)
            .run(progress)
            .map_err(|error| error.into_error(failed))?;
        Ok(Fetched { path, commit: announced.commit })
    }

    /// Refuses to show the token to whoever listens on the way, and one that is none.
    fn check_token(&self) -> std::result::Result<(), HubProblem> {
        let Some(token) = &self.token else { return Ok(()) };
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = "holds letters that no token has".to_owned();
            return Err(HubProblem::Token { problem });
        }
        if goes_in_the_open(&self.base) {
            let problem = format!("would go to {} in the open", self.base);
            return Err(HubProblem::Token { problem });
        }
        Ok(())
    }

    /// Where `file` is asked for; its parts hold nothing that means something in an address.
    fn url(&self, file: &HubFile) -> std::result::Result<String, HubProblem> {
        if origin(&self.base).is_none() {
            return Err(HubProblem::Address { found: self.base.clone() });
        }
        let HubFile { repository, revision, file } = file;
        let named = |what, found: &str, holds: bool, expected| {
            let found = found.to_owned();
            if holds { Ok(()) } else { Err(HubProblem::Name { what, found, expected }) }
        };
        let parts = repository.split('/').count();
        let holds = is_path(repository) && parts <= 2;
        named("repository", repository, holds, "OWNER/NAME of letters, digits and -._")?;
        named("revision", revision, is_path(revision), "a branch, a tag or a commit")?;
        named("file", file, is_path(file), "a path of letters, digits and -._")?;
        let revision = revision.replace('/', "%2F");
        Ok(format!("{}/{repository}/resolve/{revision}/{file}", self.base))
    }

    /// Asks what the file is, without its bytes.
    fn announced(&self, url: &str) -> std::result::Result<Announced, Failure> {
        let mut announced = Announced::default();
        self.follow(Method::Head, url, None, |answer| {
            // The hub's own word comes first: where it sends to knows less.
            let header = |name| answer.header(name).map(str::to_owned);
            announced.commit = announced.commit.take().or_else(|| header("x-repo-commit"));
            announced.size = announced.size.or_else(|| answer.number("x-linked-size"));
            let linked = header("x-linked-etag");
            let plain = || (answer.status() == 200).then(|| header("etag")).flatten();
            announced.etag =
                announced.etag.take().or(linked).or_else(plain).map(|tag| unquoted(&tag));
            if answer.status() == 200 {
                announced.size = announced.size.or_else(|| answer.number("content-length"));
            }
            // Elsewhere nothing more is to be learnt.
            announced.etag.is_none() || announced.size.is_none()
        })?;
        Ok(announced)
    }

    /// Asks for `url` from byte `first` on, and goes where the answers send, as long as `goes_on`
    /// says of each; gives the last one.
    fn follow(
        &self,
        method: Method,
        url: &str,
        first: Option<u64>,
        mut goes_on: impl FnMut(&Answer) -> bool,
    ) -> std::result::Result<Answer, Failure> {
        let mut url = url.to_owned();
        for _ in 0..=MAX_REDIRECTIONS {
            let mut headers = Vec::new();
            if let Some(first) = first {
                headers.push(("range", format!("bytes={first}-")));
            }
            if let Some(token) = &self.token
                && origin(&url) == origin(&self.base)
            {
                headers.push(("authorization", format!("Bearer {token}")));
            }
            let asked = self.client.ask(method, &url, &headers);
            let answer = asked.map_err(|error| self.unanswered(&url, error))?;
            self.has_answered.set(true);
            let is_elsewhere = matches!(answer.status(), 301 | 302 | 303 | 307 | 308);
            if !is_elsewhere && !matches!(answer.status(), 200 | 206 | 416) {
                return Err(self.refusal(&answer));
            }
            if !goes_on(&answer) || !is_elsewhere {
                return Ok(answer);
            }
            url = elsewhere(&url, answer.header("location"))
                .map_err(|why| Failure::Lasting(HubProblem::Redirection { why }))?;
        }
        let why = format!("more than {MAX_REDIRECTIONS} times");
        Err(Failure::Lasting(HubProblem::Redirection { why }))
    }

    /// What it means that nobody answered.
    fn unanswered(&self, url: &str, error: Unanswered) -> Failure {
        let Unanswered { why, passes, is_unknown } = error;
        if passes && (!is_unknown || self.has_answered.get()) {
            return Failure::Passing { why, after: None };
        }
        let address = origin(url).unwrap_or(url).to_owned();
        Failure::Lasting(HubProblem::Unreachable { address, why })
    }

    /// What a status that is no success means.
    fn refusal(&self, answer: &Answer) -> Failure {
        let with_token = self.token.is_some();
        match answer.status() {
            404 => Failure::Lasting(HubProblem::Missing),
            status @ (401 | 403) => Failure::Lasting(HubProblem::Forbidden { status, with_token }),
            status if answer.passes() => Failure::Passing {
                why: format!("the hub answered with the status {status}"),
                after: answer.retry_after(),
            },
            status => Failure::Lasting(HubProblem::Status { status }),
        }
    }

    /// Asks what the file is until it goes well, will not, or patience is at an end.
    fn announced_patiently(
        &self,
        url: &str,
        file: &str,
        progress: &mut dyn FnMut(Fetching<'_>),
    ) -> std::result::Result<Announced, HubProblem> {
        let mut failures = 0;
        loop {
            match self.announced(url) {
                Ok(announced) => return Ok(announced),
                Err(failure) => {
                    failures += 1;
                    self.wait(failures, failure, file, progress)?;
                }
            }
        }
    }

    /// Waits after `failures` requests in a row for `file` that gained nothing, and says so.
    fn wait(
        &self,
        failures: u32,
        last: Failure,
        file: &str,
        progress: &mut dyn FnMut(Fetching<'_>),
    ) -> std::result::Result<(), HubProblem> {
        let (why, after) = match last {
            Failure::Lasting(problem) => return Err(problem),
            Failure::Passing { why, after } => (why, after),
        };
        if failures >= self.patience.attempts {
            return Err(HubProblem::GaveUp { attempts: failures, last: why });
        }
        let after = after.unwrap_or_default();
        if after > self.patience.longest_asked {
            return Err(HubProblem::Busy { wait_s: after.as_secs() });
        }
        let wait = self.patience.wait(failures).max(after);
        progress(Fetching::Again { file, why: &why, wait_s: wait.as_secs_f64() });
        std::thread::sleep(wait);
        Ok(())
    }
}

/// Whether `text` is a path of plain names: no part is empty, `.` or `..`, or leads elsewhere.
pub(super) fn is_path(text: &str) -> bool {
    text.split('/').all(|part| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !part.is_empty() && part.bytes().all(plain) && !part.bytes().all(|byte| byte == b'.')
    })
}

/// Scheme, host and port of an address; none, where it has none.
fn origin(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let has_scheme = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |length| host + length);
    (has_scheme && end > host).then(|| &url[..end])
}

/// Where an answer of `url` sends: to a whole address, or to a path of the same server.
fn elsewhere(url: &str, location: Option<&str>) -> std::result::Result<String, String> {
    let location = location.ok_or("it does not say where")?;
    let target = match origin(url) {
        Some(origin) if location.starts_with('/') && !location.starts_with("//") => {
            format!("{origin}{location}")
        }
        _ => location.to_owned(),
    };
    if origin(&target).is_none() {
        return Err(format!("`{location}` is no address"));
    }
    // What was asked for in secret is not fetched in the open.
    if url.starts_with("https://") && !target.starts_with("https://") {
        return Err(format!("`{location}` is not encrypted"));
    }
    Ok(target)
}

/// An entity tag without its quotes and without the mark of a weak one.
fn unquoted(tag: &str) -> String {
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_owned()
}

//! A server, asked until it answers or it is plain that it will not.
//!
//! In: a path, and perhaps a body. Out: the answer's body. Refuses answers that are longer than
//! they may be, and addresses to which a key would go in the open. Imports ureq, as only `http` does
//! beside it; it follows no redirection, so that sound and key go where the user said and nowhere else.
//!
//! Who keeps company is told of waits and may end them. A request cannot be ended from outside, so it
//! has a thread of its own then, which is left alone when nobody wants its answer any more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant, SystemTime};

use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use crate::error::{AddedProblem, Error, Result};
use crate::model::card::Remote;
use crate::model::http::{Patience, USER_AGENT, is_passing, is_this_machine, passes, retry_after};
use crate::model::network::{Company, Sent, Wait};

/// The waits before a request is sent again; the card says how often.
const PATIENCE: Patience = Patience {
    attempts: 1,
    first_wait: Duration::from_millis(500),
    longest_wait: Duration::from_secs(30),
    // A run should fail rather than stand still for an hour.
    longest_asked: Duration::from_mins(2),
};
/// Of what a server says when it refuses, so many bytes are read, and so many letters shown.
const MOST_REFUSAL: u64 = 1 << 16;
const SHOWN_REFUSAL: usize = 200;
/// How often who waits looks whether anybody wants it to.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Waits from this on are told; shorter ones are over before they are read.
const TOLD_FROM: Duration = Duration::from_secs(2);
/// How long an answer may take before that is told.
const TOLD_AFTER: Duration = Duration::from_secs(10);

/// A server and what was sent there.
#[derive(Clone)]
pub(super) struct Client {
    agent: Agent,
    /// Scheme, host and path, without a slash at the end.
    base: String,
    key: Option<Arc<str>>,
    key_env: Option<String>,
    patience: Patience,
    account: Arc<Account>,
    company: Option<Arc<dyn Company>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the key.
        formatter.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// What was sent, counted by whoever sends.
#[derive(Debug, Default)]
struct Account {
    requests: AtomicU64,
    retries: AtomicU64,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    audio_us: AtomicU64,
}

/// A request that is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Behind the base, with what it asks for.
    pub(super) path: String,
    /// The body and its media type; a GET has none.
    pub(super) body: Option<(&'static str, Arc<Vec<u8>>)>,
    /// Seconds of sound in it.
    pub(super) audio_s: f64,
    /// Bytes that an answer may have.
    pub(super) most_bytes: u64,
}

/// Why a request failed, and whether it may do better later.
struct Failure {
    problem: AddedProblem,
    again: Again,
}

#[derive(Clone, Copy)]
enum Again {
    Never,
    Soon,
    After(Duration),
}

impl Client {
    /// A client of the server that `remote` tells of; the key is taken from the environment.
    pub(super) fn new(model: &str, remote: &Remote) -> Result<Self> {
        let host = check_address(&remote.url, remote.key_env.is_some())?;
        let key = remote.key_env.as_deref().map(|variable| key(model, variable)).transpose()?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(USER_AGENT)
            .timeout_global(Some(Duration::from_secs_f64(remote.timeout_s)));
        if is_this_machine(&host) {
            // What stays here goes through no proxy.
            config = config.proxy(None);
        }
        Ok(Self {
            agent: config.build().into(),
            base: remote.url.clone(),
            key,
            key_env: remote.key_env.clone(),
            patience: Patience { attempts: remote.retries.saturating_add(1), ..PATIENCE },
            account: Arc::default(),
            company: None,
        })
    }

    /// From now on waits are told to `company`, who may end them.
    pub(super) fn keep_company(&mut self, company: &Arc<dyn Company>) {
        self.company = Some(Arc::clone(company));
    }

    /// The address of `path`, without what it asks for.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{}", self.base, path.split('?').next().unwrap_or(path))
    }

    /// What was sent so far.
    pub(super) fn sent(&self) -> Sent {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Account { requests, retries, sent_bytes, received_bytes, audio_us } = &*self.account;
        Sent {
            to: self.base.clone(),
            requests: count(requests),
            retries: count(retries),
            sent_bytes: count(sent_bytes),
            received_bytes: count(received_bytes),
            audio_s: count(audio_us) as f64 / 1e6,
        }
    }

    /// Sends `message`, again where that may help, and reads the answer.
    ///
    /// # Errors
    /// [`Error::Added`]; [`AddedProblem::Abandoned`] once its company wants no answer any more.
    pub(super) fn ask(&self, message: &Message) -> Result<Vec<u8>> {
        let mut failures = 0;
        loop {
            let Failure { problem, again } = match self.ask_once(message) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if self.is_cancelled() {
                return Err(self.abandoned(message).into());
            }
            failures += 1;
            let wait = match again {
                Again::After(asked) if asked <= self.patience.longest_asked => asked,
                Again::Soon => scattered(self.patience.wait(failures)),
                Again::After(_) | Again::Never => return Err(problem.into()),
            };
            if failures >= self.patience.attempts {
                return Err(given_up(problem, failures));
            }
            self.tell(again, &problem, wait);
            if !self.wait(wait) {
                return Err(self.abandoned(message).into());
            }
            self.account.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.company.as_ref().is_some_and(|company| company.is_cancelled())
    }

    fn abandoned(&self, message: &Message) -> AddedProblem {
        AddedProblem::Abandoned { url: self.url(&message.path) }
    }

    /// Tells the company of a wait.
    fn tell(&self, again: Again, problem: &AddedProblem, wait: Duration) {
        let Some(company) = self.company.as_ref().filter(|_| wait >= TOLD_FROM) else { return };
        let (server, wait_s) = (self.base.clone(), wait.as_secs_f64());
        let why = match problem {
            AddedProblem::Refused { status, message, .. } if message.is_empty() => {
                format!("status {status}")
            }
            AddedProblem::Refused { status, message, .. } => format!("status {status}, {message}"),
            AddedProblem::Unreachable { source, .. } => source.to_string(),
            problem => problem.to_string(),
        };
        company.waits(&match again {
            Again::After(_) => Wait::Asked { server, why, wait_s },
            Again::Soon | Again::Never => Wait::Again { server, why, wait_s },
        });
    }

    /// Waits; `false` as soon as nobody wants it to.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while !self.is_cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            sleep(left.min(LOOK_EVERY));
        }
        false
    }

    /// Sends `message` and reads the answer, as long as its company wants it.
    fn ask_once(&self, message: &Message) -> std::result::Result<Vec<u8>, Failure> {
        let Some(company) = &self.company else { return self.request(message) };
        let failed = |problem: &'static str| {
            let (url, source) = (self.url(&message.path), io::Error::other(problem).into());
            let problem = AddedProblem::Unreachable { url, attempts: 1, source };
            Failure { problem, again: Again::Never }
        };
        let (sender, receiver) = sync_channel(1);
        let (client, copy) = (self.clone(), message.clone());
        // Who has hung up wants no answer.
        let ask = move || drop(sender.send(client.request(&copy)));
        if Builder::new().name("request".to_owned()).spawn(ask).is_err() {
            return Err(failed("no thread can be started for it"));
        }
        let (started, mut is_told) = (Instant::now(), false);
        loop {
            match receiver.recv_timeout(LOOK_EVERY) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err(failed("its thread has ended")),
                Err(RecvTimeoutError::Timeout) if company.is_cancelled() => {
                    let problem = self.abandoned(message);
                    return Err(Failure { problem, again: Again::Never });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if !is_told && started.elapsed() >= TOLD_AFTER {
                is_told = true;
                let since_s = started.elapsed().as_secs_f64();
                company.waits(&Wait::Answer { server: self.base.clone(), since_s });
            }
        }
    }

    fn request(&self, message: &Message) -> std::result::Result<Vec<u8>, Failure> {
        let url = format!("{}{}", self.base, message.path);
        let authorization = self.key.as_ref().map(|key| format!("Bearer {key}"));
        let account = &self.account;
        account.requests.fetch_add(1, Ordering::Relaxed);
        let answered = match &message.body {
            None => {
                let mut request = self.agent.get(&url);
                if let Some(authorization) = &authorization {
                    request = request.header("Authorization", authorization);
                }
                request.call()
            }
            Some((media_type, body)) => {
                // Counted before: what became of it on the way is not known.
                account.sent_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                account.audio_us.fetch_add(microseconds(message.audio_s), Ordering::Relaxed);
                let mut request = self.agent.post(&url).header("Content-Type", *media_type);
                if let Some(authorization) = &authorization {
                    request = request.header("Authorization", authorization);
                }
                request.send(&body[..])
            }
        };
        let mut answer = answered.map_err(|error| self.failure(message, error))?;
        if !answer.status().is_success() {
            return Err(self.refusal(message, &mut answer));
        }
        let body = answer.body_mut().with_config().limit(message.most_bytes).read_to_vec();
        let body = body.map_err(|error| self.failure(message, error))?;
        account.received_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(body)
    }

    fn failure(&self, message: &Message, error: ureq::Error) -> Failure {
        let url = self.url(&message.path);
        if let ureq::Error::BodyExceedsLimit(_) = error {
            let expected = format!("{} bytes at most", message.most_bytes);
            let found = "more bytes than that".to_owned();
            let problem = AddedProblem::Answer { url, expected, found };
            return Failure { problem, again: Again::Never };
        }
        let again = if is_passing(&error) { Again::Soon } else { Again::Never };
        let source = match error {
            // The client names the one of its clocks that ran out.
            ureq::Error::Timeout(_) => {
                "nothing came in time (--timeout of `sonoteca models add`)".into()
            }
            error => error.into(),
        };
        Failure { problem: AddedProblem::Unreachable { url, attempts: 1, source }, again }
    }

    /// What is to be made of a status that is none of success.
    fn refusal(&self, message: &Message, answer: &mut Response<Body>) -> Failure {
        let status = answer.status().as_u16();
        let again = match (status, retry_after(answer)) {
            (429 | 503, Some(asked)) => Again::After(asked),
            _ if passes(status) => Again::Soon,
            _ => Again::Never,
        };
        let body = answer.body_mut().with_config().limit(MOST_REFUSAL).read_to_vec();
        let mut words = self.words(&body.unwrap_or_default());
        if let Again::After(asked) = again
            && asked > self.patience.longest_asked
        {
            words = format!("it asks to wait {} s. {words}", asked.as_secs());
            words.truncate(words.trim_end().len());
        } else if (300..400).contains(&status) {
            "redirections are not followed".clone_into(&mut words);
        }
        let (url, key_env) = (self.url(&message.path), self.key_env.clone());
        Failure { problem: AddedProblem::Refused { url, status, message: words, key_env }, again }
    }

    /// The first words of a refusal, without the key, should they hold it.
    fn words(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let said = serde_json::from_str::<serde_json::Value>(&text).ok();
        let said = said.as_ref().and_then(|value| value.get("error")?.as_str());
        let mut words = said.unwrap_or(&text).to_owned();
        if let Some(key) = self.key.as_deref() {
            words = words.replace(key, "[key]");
        }
        let is_odd = |c: char| c.is_control();
        let words: String = words.chars().take(SHOWN_REFUSAL).collect();
        words.replace(is_odd, " ").trim().to_owned()
    }
}

/// Says how often it was tried.
fn given_up(problem: AddedProblem, tried: u32) -> Error {
    match problem {
        AddedProblem::Unreachable { url, source, .. } => {
            AddedProblem::Unreachable { url, attempts: tried, source }.into()
        }
        problem => problem.into(),
    }
}

/// Up to a quarter longer, so that those who failed together do not come back together.
fn scattered(wait: Duration) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    wait + wait.mul_f64(f64::from(now.subsec_nanos()) / 4e9)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a batch")]
fn microseconds(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

/// The key in the environment variable `variable`.
fn key(model: &str, variable: &str) -> Result<Arc<str>> {
    let found = match std::env::var(variable) {
        Ok(key) if key.is_empty() => "empty",
        Ok(key) if key.chars().all(|c| c.is_ascii_graphic()) => return Ok(key.into()),
        Ok(_) | Err(std::env::VarError::NotUnicode(_)) => "no key: it holds other letters",
        Err(std::env::VarError::NotPresent) => "not set",
    };
    Err(AddedProblem::Key { model: model.to_owned(), variable: variable.to_owned(), found }.into())
}

/// The host of `url`, if that is an address that may be asked, with a key or without.
pub(in crate::model) fn check_address(url: &str, has_key: bool) -> Result<String> {
    let refused = |problem| {
        // Whatever stands before an @ may be a password.
        let shown = url.rsplit('@').next().unwrap_or_default().to_owned();
        Error::from(AddedProblem::Url { url: shown, problem })
    };
    let uri: Uri = url.parse().map_err(|_| refused("it does not read"))?;
    let is_plain = match uri.scheme_str() {
        Some("https") => false,
        Some("http") => true,
        _ => return Err(refused("it begins with neither https:// nor http://")),
    };
    let authority = uri.authority().ok_or_else(|| refused("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(refused("it holds a name or a password"));
    }
    if uri.query().is_some() || url.contains('#') {
        return Err(refused("it asks for something: there is a ? or a # in it"));
    }
    if url.ends_with('/') {
        return Err(refused("it ends with a slash"));
    }
    let host = authority.host().to_owned();
    if has_key && is_plain && !is_this_machine(&host) {
        return Err(refused("a key would go there in the open"));
    }
    Ok(host)
}

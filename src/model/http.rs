//! Requests that are tried again, and answers that say when.
//!
//! In: addresses. Out: answers with their bodies to be read; for the client of hosted models beside,
//! when to ask again.
//! Redirections are the caller's, who knows whom a token may be shown to.

use std::io::Read;
use std::time::Duration;

use ureq::http::{Response, Uri, header::HeaderName};

use crate::dates;

/// Time to reach a server.
const CONNECT: Duration = Duration::from_secs(20);
/// Time in which a server that was reached says something more.
const SILENCE: Duration = Duration::from_mins(1);

/// How often and after what time a request is made again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Requests in a row that gain nothing.
    pub(super) attempts: u32,
    /// Before the second one; twice as long before each further one.
    pub(super) first_wait: Duration,
    /// The longest that these become.
    pub(super) longest_wait: Duration,
    /// The longest that a server may ask for.
    pub(super) longest_asked: Duration,
}

/// About two minutes in all, unless a server asks for more.
pub(super) const USUAL: Patience = Patience {
    attempts: 7,
    first_wait: Duration::from_secs(1),
    longest_wait: Duration::from_mins(1),
    longest_asked: Duration::from_mins(10),
};

impl Patience {
    /// The wait after `failures` requests in a row that gained nothing, from 1.
    pub(super) fn wait(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.first_wait.saturating_mul(doubled).min(self.longest_wait)
    }
}

/// Makes requests.
#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: ureq::Agent,
}

/// What a server answered.
pub(super) struct Answer {
    response: Response<ureq::Body>,
}

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unanswered {
    /// In words.
    pub(super) why: String,
    /// Whether the same request may go well later.
    pub(super) passes: bool,
    /// Whether nobody knows the host: its name is wrong, or there is no network.
    pub(super) is_unknown: bool,
}

/// The method of a request without a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
}

impl Client {
    pub(super) fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .user_agent(USER_AGENT)
            .build();
        Self { agent: config.into() }
    }

    /// Asks for `url`, with these headers.
    pub(super) fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, String)],
    ) -> Result<Answer, Unanswered> {
        let mut request = match method {
            Method::Get => self.agent.get(url),
            Method::Head => self.agent.head(url),
        };
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request.call().map_err(|error| Unanswered {
            passes: is_passing(&error),
            is_unknown: is_unknown(&error),
            why: error.to_string(),
        })?;
        Ok(Answer { response })
    }
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The header `name`, where it is text.
    pub(super) fn header(&self, name: &'static str) -> Option<&str> {
        self.response.headers().get(HeaderName::from_static(name))?.to_str().ok()
    }

    /// The header `name` as a number.
    pub(super) fn number(&self, name: &'static str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// Whether the same request may go well later.
    pub(super) fn passes(&self) -> bool {
        passes(self.status())
    }

    /// The wait that the server asks for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.response)
    }

    /// The body, from the front.
    pub(super) fn body(&mut self) -> impl Read {
        self.response.body_mut().as_reader()
    }
}

/// What this program calls itself.
pub(super) const USER_AGENT: &str = concat!("sonoteca/", env!("CARGO_PKG_VERSION"));

/// Whether a request that was answered with `status` may go well later (RFC 9110, section 15.5.9 and
/// 15.6; RFC 6585, section 4).
pub(super) fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Whether a request that ended with `error`, and without an answer, may go well later.
pub(super) fn is_passing(error: &ureq::Error) -> bool {
    match error {
        // What a certificate or a protocol does not hold to comes wrapped in one of these kinds.
        ureq::Error::Io(error) => {
            use std::io::ErrorKind::{InvalidData, InvalidInput, Unsupported};
            !matches!(error.kind(), InvalidData | InvalidInput | Unsupported)
        }
        ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Protocol(_)
        | ureq::Error::BodyStalled => true,
        _ => false,
    }
}

/// Whether nobody knew the host that was asked for.
fn is_unknown(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound => true,
        // The standard library has no kind for it, and says nothing else then.
        ureq::Error::Io(error) => error.to_string().starts_with("failed to lookup address"),
        _ => false,
    }
}

/// Whether `host` can only be this machine: what goes there in the open is seen by nobody else.
pub(super) fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether what is sent to `url` can be read on the way.
pub(super) fn goes_in_the_open(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return true };
    uri.scheme_str() != Some("https") && !uri.host().is_some_and(is_this_machine)
}

/// The wait that an answer asks for: seconds or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(response: &Response<ureq::Body>) -> Option<Duration> {
    let asked = response.headers().get("retry-after")?.to_str().ok()?.trim();
    let seconds = asked.parse().ok().or_else(|| dates::seconds_until(asked))?;
    Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit() {
        let waits: Vec<u64> = (1..9).map(|failures| USUAL.wait(failures).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(USUAL.wait(u32::MAX), USUAL.longest_wait);
    }

    #[test]
    fn what_stays_here_or_is_encrypted_is_read_by_nobody_else() {
        for url in
            ["https://hub.example", "http://localhost:8", "http://127.0.0.1/a", "http://[::1]:80"]
        {
            assert!(!goes_in_the_open(url), "{url}");
        }
        for url in ["http://hub.example", "http://10.0.0.1:80", "http://localhost.example", "x"] {
            assert!(goes_in_the_open(url), "{url}");
        }
    }

    #[test]
    fn a_certificate_that_does_not_hold_is_no_passing_trouble() {
        let io = |kind: std::io::ErrorKind| ureq::Error::Io(kind.into());
        assert!(is_passing(&io(std::io::ErrorKind::ConnectionReset)));
        assert!(is_passing(&ureq::Error::ConnectionFailed));
        assert!(!is_passing(&io(std::io::ErrorKind::InvalidData)));
        assert!(!is_passing(&ureq::Error::BadUri("x".to_owned())));
    }
}

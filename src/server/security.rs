//! Who may ask.
//!
//! In: every request, before anything else looks at it. Out: the same, with an id, and answers with the
//! headers that keep a browser from doing what it should not. Refuses names that this server does
//! not go by, which is how a page of another site would come here through a name of its own (DNS
//! rebinding); requests of other sites' pages; and whoever does not know the token.
//!
//! The token keeps out other sites, and on other addresses than loopback other people. It does not
//! keep out other users of this machine while `/` hands it out.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sonoteca::{Error, Result};
use subtle::ConstantTimeEq as _;
use tracing::Instrument as _;

use super::error::{Answer, Refusal};
use super::page;
use super::settings::Settings;
use super::state::Server;

/// Bytes of a random token.
const TOKEN_BYTES: usize = 32;

/// Every answer's id, which the log has too.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What pages may do: nothing but what comes from here, and no script or style within the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; \
     manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Headers of every answer.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Who may ask.
#[derive(Debug)]
pub(super) struct Security {
    /// What proves it; nothing, where nobody is asked.
    token: Option<String>,
    /// Whether pages hand it out.
    hands_out: bool,
    /// The cookie that carries it: of each port another, because cookies are not told apart by it.
    cookie: String,
    /// Names by which the server goes, in lower case.
    hosts: Vec<String>,
    is_loopback: bool,
    /// Of this process: what ids begin with, and how many there were.
    ids: (u32, AtomicU64),
}

impl Security {
    /// The rules for a server that listens on `address`.
    ///
    /// # Errors
    /// [`Error::Usage`] when another address than loopback is listened on by chance, and
    /// [`Error::Output`] when the system has no random numbers.
    pub(super) fn new(settings: &Settings, address: SocketAddr) -> Result<Self> {
        let is_loopback = address.ip().is_loopback();
        check(settings)?;
        let token = match (&settings.token, settings.insecure) {
            (_, true) => None,
            (Some(token), false) => Some(token.clone()),
            (None, false) => Some(random_text::<TOKEN_BYTES>()?),
        };
        let mut start = [0; 4];
        OsRng
            .try_fill_bytes(&mut start)
            .map_err(|error| Error::Output(std::io::Error::other(error.to_string())))?;
        Ok(Self {
            hands_out: is_loopback && settings.token.is_none() && token.is_some(),
            token,
            cookie: format!("sonoteca_session_{}", address.port()),
            hosts: settings.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            is_loopback,
            ids: (u32::from_le_bytes(start), AtomicU64::new(0)),
        })
    }

    /// What programs send.
    pub(super) fn token(&self) -> Option<String> {
        self.token.clone()
    }

    fn next_id(&self) -> String {
        format!("{:08x}-{}", self.ids.0, self.ids.1.fetch_add(1, Ordering::Relaxed))
    }

    /// Refuses requests that came under another name, or from another site's page.
    fn check_origin(&self, request: &Request) -> Answer<()> {
        let headers = request.headers();
        let named = request.uri().authority().map(|authority| authority.as_str().to_owned());
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = named.or_else(|| host.map(str::to_owned)).unwrap_or_default();
        if headers.get_all(header::HOST).iter().count() > 1 || !self.goes_by(&host) {
            return Err(Refusal::new(
                StatusCode::MISDIRECTED_REQUEST,
                "wrong_host",
                "this server does not go by that name",
            )
            .hint("use localhost or its address, or start it with --host NAME"));
        }
        let strange = || {
            Refusal::new(
                StatusCode::FORBIDDEN,
                "other_origin",
                "pages of other sites may not ask this server",
            )
        };
        if let Some(origin) = headers.get(header::ORIGIN) {
            let own = origin.to_str().ok().and_then(|origin| {
                origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
            });
            if !own.is_some_and(|own| own.eq_ignore_ascii_case(&host)) {
                return Err(strange());
            }
        }
        // Browsers say where a request comes from; a link on another site's page may be followed.
        let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
        let is_strange = matches!(site, Some("cross-site" | "same-site"));
        let is_visit = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
            && request.method() == Method::GET
            && !is_api(request.uri());
        if is_strange && !is_visit { Err(strange()) } else { Ok(()) }
    }

    /// Whether `host`, with or without a port, is a name of this server's.
    fn goes_by(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else { return false };
        let name = name.to_ascii_lowercase();
        if name == "localhost" || self.hosts.contains(&name) {
            return true;
        }
        // A name can be made to stand for this machine; an address stands for itself.
        match name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) => !self.is_loopback || address.is_loopback(),
            Err(_) => false,
        }
    }

    /// Whether a request shows the token.
    fn knows_token(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let is_right = |given: &str| bool::from(given.as_bytes().ct_eq(token.as_bytes()));
        let bearer = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
        let bearer = bearer.and_then(|given| {
            let (scheme, token) = given.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        if let Some(given) = bearer {
            return is_right(given);
        }
        let cookies = headers.get_all(header::COOKIE).iter();
        cookies.filter_map(|cookies| cookies.to_str().ok()).flat_map(|all| all.split(';')).any(
            |cookie| {
                let pair = cookie.trim().split_once('=');
                pair.is_some_and(|(name, value)| name == self.cookie && is_right(value))
            },
        )
    }

    /// What a request gets instead of an answer, if so.
    fn check(&self, request: &Request) -> Answer<Option<Response>> {
        self.check_origin(request)?;
        let (uri, headers) = (request.uri(), request.headers());
        if is_open(uri) || self.knows_token(headers) {
            return Ok(None);
        }
        if !is_api(uri) && self.hands_out {
            return Ok(None);
        }
        let in_address = token_in(uri);
        if let (false, Some(given)) = (is_api(uri), &in_address) {
            let token = self.token.as_deref().unwrap_or_default();
            if bool::from(given.ct_eq(token.as_bytes())) {
                let mut response =
                    (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
                self.add_cookie(&mut response);
                return Ok(Some(response));
            }
        }
        if !is_api(uri) && page::is_for_people(request.method(), headers) {
            return Ok(Some(page::token(in_address.is_some())));
        }
        let is_given = headers.contains_key(header::AUTHORIZATION) || in_address.is_some();
        let message = if is_given {
            "the token that was sent is not this server's, which is another with every start unless \
             it was chosen"
        } else {
            "this needs the server's token, which it was given or printed when it started"
        };
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "no_token", message);
        let hint = if self.hands_out {
            "open / in a browser, or send the header Authorization: Bearer TOKEN"
        } else {
            "open /?token=TOKEN in a browser, or send the header Authorization: Bearer TOKEN"
        };
        Err(refusal.hint(hint))
    }

    fn add_cookie(&self, response: &mut Response) {
        let Some(token) = &self.token else { return };
        let cookie = format!("{}={token}; Path=/; HttpOnly; SameSite=Strict", self.cookie);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

/// Refuses to be reached from other machines unless that was meant, and tokens that no header can
/// carry. Before anything is opened.
///
/// # Errors
/// [`Error::Usage`].
pub(crate) fn check(settings: &Settings) -> Result<()> {
    if !settings.bind.ip().is_loopback() && settings.token.is_none() && !settings.insecure {
        return Err(Error::Usage {
            problem: "on this address other machines reach the server, and with it every recording \
                      of the library",
            hint: "choose a token that they have to send: --token TOKEN, or SONOTECA_TOKEN; or say \
                   --insecure, and whoever reaches it may hear, label, train and delete. What is \
                   sent can be read on its way: put a proxy with TLS in front",
        });
    }
    let is_fit = |token: &String| {
        token.len() >= 16 && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')
    };
    if settings.token.as_ref().is_some_and(|token| !is_fit(token)) {
        return Err(Error::Usage {
            problem: "a token has 16 characters or more: ASCII, without spaces and semicolons",
            hint: "make one with: openssl rand -hex 32",
        });
    }
    Ok(())
}

/// Random bytes in hexadecimal.
///
/// # Errors
/// [`Error::Output`] when the system has none.
pub(super) fn random_text<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Error::Output(std::io::Error::other(error.to_string())))?;
    let mut text = String::with_capacity(2 * BYTES);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// What needs a token even where pages hand it out: everything that is about the library.
fn is_api(uri: &Uri) -> bool {
    let path = uri.path();
    path == "/v1" || path.starts_with("/v1/") || path == "/openapi.json"
}

/// What says nothing of the library.
fn is_open(uri: &Uri) -> bool {
    uri.path() == "/healthz" || uri.path().starts_with("/static/")
}

/// The token that an address names, as a form writes it: some characters as `%` and two digits.
fn token_in(uri: &Uri) -> Option<Vec<u8>> {
    let written = uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    let mut bytes = written.bytes();
    let mut token = Vec::with_capacity(written.len());
    while let Some(byte) = bytes.next() {
        let digits = written.get(written.len() - bytes.len()..).and_then(|rest| rest.get(..2));
        let coded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match coded.filter(|_| byte == b'%') {
            Some(coded) => {
                token.push(coded);
                bytes.nth(1);
            }
            None => token.push(byte),
        }
    }
    Some(token)
}

/// The name of `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`; nothing of what is none of these.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let end = rest.find(']')? + 2;
        (host.get(..end)?, host.get(end..)?.strip_prefix(':'))
    } else {
        match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        }
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    (!name.is_empty() && port.is_none_or(is_port)).then_some(name)
}

/// Gives every request an id, looks who asks, and gives every answer its headers.
pub(super) async fn guard(
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Response {
    let security = &server.security;
    let (id, started) = (security.next_id(), Instant::now());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id);
    let is_page = !is_api(request.uri()) && !is_open(request.uri());
    let needs_cookie = is_page && security.hands_out && !security.knows_token(request.headers());
    let mut response = match security.check(&request) {
        Err(refusal) => span.in_scope(|| refusal.into_response()),
        Ok(Some(response)) => response,
        Ok(None) => {
            let mut response = next.run(request).instrument(span).await;
            if needs_cookie && response.status().is_success() {
                security.add_cookie(&mut response);
            }
            response
        }
    };
    let headers = response.headers_mut();
    for (name, value) in &HEADERS {
        // A report, which has its style within itself, has a policy of its own.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    let (status, elapsed_ms) = (response.status().as_u16(), started.elapsed().as_secs_f64() * 1e3);
    tracing::info!(id, %method, path, status, elapsed_ms = (10.0 * elapsed_ms).round() / 10.0, "request");
    response
}

//! The router by itself, without a port: what every address answers, of a library with nothing in it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use sonoteca::ingest::Decoders;
use sonoteca::store::Library;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::router::{description, router};
use super::settings::{Logs, Settings};
use super::state::Server;

const TOKEN: &str = "a-token-of-enough-letters";

/// A body that does not come.
struct Never;

impl HttpBody for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// A server that listens nowhere.
#[derive(Clone)]
struct Bench {
    router: Router,
    _folder: Arc<TempDir>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("sonoteca.db");
        drop(Library::open_or_create(&library).unwrap());
        let address = SocketAddr::from(([127, 0, 0, 1], 7_340));
        let settings = Settings {
            library,
            bind: address,
            token: Some(TOKEN.to_owned()),
            insecure: false,
            hosts: Vec::new(),
            folders: Vec::new(),
            model: None,
            store: None,
            logs: Logs { json: true, level: tracing::Level::WARN },
        };
        let server = Server::open(settings, Decoders::Threads, address).unwrap();
        Self { router: router(Arc::new(server)), _folder: Arc::new(folder) }
    }

    async fn ask(&self, request: Request<Body>) -> (Response, Value) {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, 1 << 24).await.unwrap();
        let value = serde_json::from_slice(&body).unwrap_or_default();
        (Response::from_parts(parts, Body::from(body)), value)
    }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
    request = request.uri(path).header(header::HOST, "localhost:7340");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// With the token; a body is JSON.
fn known(method: &str, path: &str, body: &str) -> Request<Body> {
    let bearer = format!("Bearer {TOKEN}");
    let kind = ("content-type", "application/json");
    request(method, path, &[("authorization", &bearer), kind], body)
}

/// Headers that every answer has.
fn assert_guarded(answer: &Response, what: &str) {
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
    let policy = header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{what}: {policy}");
    assert_eq!(header("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(header("x-frame-options"), Some("DENY"), "{what}");
    assert_eq!(header("referrer-policy"), Some("no-referrer"), "{what}");
    assert_eq!(header("cross-origin-resource-policy"), Some("same-origin"), "{what}");
    assert!(header("x-request-id").is_some() && header("cache-control").is_some(), "{what}");
    assert_eq!(header("access-control-allow-origin"), None, "{what}");
}

/// Every method and address that is described, with 1 for its variables.
fn described() -> Vec<(String, String)> {
    let described = serde_json::to_value(description()).unwrap();
    let mut all = Vec::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace("{id}", "1").replace("{name}", "nobody");
            all.push((method.to_uppercase(), path));
        }
    }
    assert!(all.len() >= 30, "{}", all.len());
    all
}

#[tokio::test]
async fn every_address_keeps_strangers_out() {
    let bench = Bench::new();
    let bearer = format!("Bearer {TOKEN}");
    let token = ("authorization", bearer.as_str());
    for (method, path) in described() {
        let what = format!("{method} {path}");
        let is_open = path == "/healthz";
        let (answer, told) = bench.ask(request(&method, &path, &[], "")).await;
        if is_open {
            assert_eq!(answer.status(), StatusCode::OK);
        } else {
            assert_eq!(
                (answer.status(), &told["error"]["code"]),
                (StatusCode::UNAUTHORIZED, &"no_token".into()),
                "{what}"
            );
        }
        assert_guarded(&answer, &what);
        for (headers, status, code) in [
            ([token, ("origin", "http://evil.example")], 403, "other_origin"),
            ([token, ("sec-fetch-site", "cross-site")], 403, "other_origin"),
            ([("authorization", "Bearer of another token"), ("accept", "*/*")], 401, "no_token"),
        ] {
            if is_open && status == 401 {
                continue;
            }
            let (answer, told) = bench.ask(request(&method, &path, &headers, "")).await;
            assert_eq!(answer.status().as_u16(), status, "{what}: {told}");
            assert_eq!(told["error"]["code"], code, "{what}");
            assert_guarded(&answer, &what);
        }
        let mut elsewhere = request(&method, &path, &[token], "");
        elsewhere.headers_mut().insert(header::HOST, "evil.example".parse().unwrap());
        let (answer, told) = bench.ask(elsewhere).await;
        assert_eq!(
            (answer.status().as_u16(), &told["error"]["code"]),
            (421, &"wrong_host".into()),
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_library_of_nothing_is_answered_for() {
    let bench = Bench::new();
    for (method, path, body, status, code) in [
        ("GET", "/healthz", "", 200, ""),
        ("GET", "/openapi.json", "", 200, ""),
        ("GET", "/v1/library", "", 200, ""),
        ("GET", "/v1/classes", "", 200, ""),
        ("GET", "/v1/classes?model=nobody", "", 422, "no_such_model"),
        ("GET", "/v1/recordings", "", 200, ""),
        ("GET", "/v1/recordings?limit=0", "", 400, "bad_request"),
        ("GET", "/v1/recordings?where=duration%20%3C", "", 422, "bad_filter"),
        ("GET", "/v1/recordings/1", "", 404, "no_such_recording"),
        ("GET", "/v1/recordings/x", "", 400, "bad_request"),
        ("GET", "/v1/recordings/1/segments", "", 404, "no_such_recording"),
        ("GET", "/v1/recordings/1/segments?limit=10001", "", 400, "bad_request"),
        ("GET", "/v1/recordings/1/audio", "", 404, "no_such_recording"),
        ("GET", "/v1/recordings/1/clip.wav", "", 404, "no_such_recording"),
        ("GET", "/v1/recordings/1/clip.wav?start_s=2&end_s=1", "", 400, "bad_request"),
        ("GET", "/v1/recordings/1/spectrogram.png", "", 404, "no_such_recording"),
        ("GET", "/v1/recordings/1/waveform.png?width=5000", "", 400, "bad_request"),
        ("GET", "/v1/uploads/x/clip.wav", "", 404, "no_such_upload"),
        ("GET", "/v1/uploads/x/spectrogram.png", "", 404, "no_such_upload"),
        ("GET", "/v1/uploads/x/waveform.png", "", 404, "no_such_upload"),
        ("DELETE", "/v1/uploads/x", "", 404, "no_such_upload"),
        ("POST", "/v1/uploads", "", 422, "undecodable"),
        ("POST", "/v1/uploads", "this is no sound", 422, "undecodable"),
        ("POST", "/v1/search", "{}", 422, "what_to_find"),
        ("POST", "/v1/search", "{", 400, "bad_request"),
        ("POST", "/v1/search", r#"{"like": [{"recording_id": 1}]}"#, 422, "no_such_model"),
        ("POST", "/v1/search", r#"{"head": {"name": "nobody"}}"#, 404, "no_such_head"),
        ("GET", "/v1/labels", "", 200, ""),
        ("GET", "/v1/labels?limit=1001", "", 400, "bad_request"),
        ("POST", "/v1/labels", r#"{"recording_id": 1, "class": "rain"}"#, 404, "no_such_recording"),
        ("POST", "/v1/labels", r#"{"recording_id": 1, "class": " "}"#, 422, "bad_class"),
        ("DELETE", "/v1/labels/1", "", 404, "no_such_label"),
        ("GET", "/v1/heads", "", 200, ""),
        ("POST", "/v1/heads", r#"{"name": "sorts", "folds": 1}"#, 400, "bad_request"),
        ("POST", "/v1/heads", r#"{"name": ""}"#, 422, "training"),
        ("GET", "/v1/heads/nobody", "", 404, "no_such_head"),
        ("DELETE", "/v1/heads/nobody", "", 404, "no_such_head"),
        ("GET", "/v1/heads/nobody/report.html", "", 404, "no_such_head"),
        ("POST", "/v1/heads/nobody/predict", "{}", 404, "no_such_head"),
        ("POST", "/v1/heads/nobody/predict", r#"{"threshold": 2}"#, 422, "bad_threshold"),
        ("GET", "/v1/heads/nobody/suggest", "", 404, "no_such_head"),
        ("POST", "/v1/duplicates", r#"{"threshold": 2}"#, 422, "bad_threshold"),
        ("POST", "/v1/index", r#"{"path": "/etc"}"#, 422, "wrong_body"),
        ("GET", "/v1/jobs", "", 200, ""),
        ("GET", "/v1/jobs/1", "", 404, "no_such_job"),
        ("DELETE", "/v1/jobs/1", "", 404, "no_such_job"),
        ("GET", "/v1/map", "", 422, "no_such_model"),
        ("GET", "/v1/map?limit=0", "", 400, "bad_request"),
        ("GET", "/v1/model", "", 422, "no_such_model"),
        ("POST", "/v1/embed?windows=1&window_samples=1", "", 415, "no_samples"),
        ("POST", "/v1/embed", "", 400, "bad_request"),
        ("GET", "/v1/nothing", "", 404, "no_such_page"),
        ("PUT", "/v1/library", "", 405, "method_not_allowed"),
    ] {
        let what = format!("{method} {path} {body}");
        let (answer, told) = bench.ask(known(method, path, body)).await;
        assert_eq!(answer.status().as_u16(), status, "{what}: {told}");
        assert_guarded(&answer, &what);
        if status >= 400 {
            assert_eq!(told["error"]["code"], code, "{what}");
            let kind = &answer.headers()[header::CONTENT_TYPE];
            assert_eq!(kind, "application/json", "{what}");
            // What is refused today may be answered tomorrow.
            assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store", "{what}");
            assert!(!told.to_string().contains("sonoteca-uploads"), "{what}: {told}");
        }
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused_where_json_is_meant() {
    let bench = Bench::new();
    let bearer = format!("Bearer {TOKEN}");
    for path in [
        "/v1/search",
        "/v1/labels",
        "/v1/heads",
        "/v1/heads/nobody/predict",
        "/v1/duplicates",
        "/v1/index",
    ] {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
            let (answer, told) = bench.ask(request("POST", path, &headers, "{}")).await;
            assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path} {kind}");
            assert_eq!(told["error"]["code"], "not_json", "{path} {kind}");
        }
    }
}

#[tokio::test]
async fn jobs_are_listed_without_what_came_of_them() {
    let bench = Bench::new();
    let (answer, job) = bench.ask(known("POST", "/v1/index", "{}")).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED, "{job}");
    assert_eq!((&job["id"], &job["kind"]), (&1.into(), &"index".into()));
    loop {
        let (_, job) = bench.ask(known("GET", "/v1/jobs/1", "")).await;
        if job["state"] != "queued" && job["state"] != "running" {
            assert_eq!(job["state"], "failed", "{job}");
            assert!(job["error"]["message"].as_str().unwrap().contains("no recordings"), "{job}");
            assert!(job.as_object().unwrap().contains_key("result"), "{job}");
            break;
        }
        tokio::task::yield_now().await;
    }
    let (_, listed) = bench.ask(known("GET", "/v1/jobs", "")).await;
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 1);
    assert!(!listed["jobs"][0].as_object().unwrap().contains_key("result"), "{listed}");
}

#[tokio::test]
async fn uploads_arrive_so_many_at_once_and_others_wait() {
    let bench = Bench::new();
    let upload = |body: Body| {
        let mut request = known("POST", "/v1/uploads", "");
        *request.body_mut() = body;
        let bench = bench.clone();
        tokio::spawn(async move { bench.ask(request).await.0.status() })
    };
    let slow: Vec<_> = (0..8).map(|_| upload(Body::new(Never))).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let waiting = upload(Body::empty());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished() && slow.iter().all(|one| !one.is_finished()));
    // Others than uploads do not wait for them.
    let (answer, _) = bench.ask(known("GET", "/v1/library", "")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    slow[0].abort();
    assert_eq!(waiting.await.unwrap(), StatusCode::UNPROCESSABLE_ENTITY);
}

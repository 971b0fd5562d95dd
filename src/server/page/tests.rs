use std::fs;
use std::path::{Path as FilePath, PathBuf};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use tower::ServiceExt;

use super::assets::ASSETS;

async fn ask(request: Request<Body>) -> Response {
    super::router().oneshot(request).await.unwrap()
}

async fn fetch(path: &str) -> (Response, String) {
    let answer = ask(Request::get(path).body(Body::empty()).unwrap()).await;
    let (parts, body) = answer.into_parts();
    let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    (Response::from_parts(parts, Body::empty()), text)
}

fn folder(name: &str) -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src/server/page").join(name)
}

#[tokio::test]
async fn pages_have_nothing_inline_and_nothing_from_elsewhere() {
    for path in ["/", "/recordings/7", "/train", "/map"] {
        let (answer, html) = fetch(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        for inline in [" style=", " onclick=", "<style", "http:", "https:", "//"] {
            assert!(!html.contains(inline), "{path} has {inline}");
        }
        for script in html.split("<script").skip(1) {
            assert!(script.starts_with(" type=\"module\" src=\"/static/"), "{script}");
        }
    }
}

#[tokio::test]
async fn a_page_of_a_recording_takes_numbers_only() {
    let (answer, html) = fetch("/recordings/12").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(html.contains("data-id=\"12\""));
    for path in ["/recordings/x", "/recordings/%22%3E%3Cscript%3E", "/static/nothing.js"] {
        let (answer, html) = fetch(path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(!html.contains("\"><script>"));
    }
}

#[tokio::test]
async fn a_file_is_sent_again_only_when_it_changed() {
    let (answer, text) = fetch("/static/search.js").await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert!(text.starts_with("// The search page"));
    let tag = answer.headers()[header::ETAG].clone();
    let request = Request::get("/static/search.js")
        .header(header::IF_NONE_MATCH, tag)
        .body(Body::empty())
        .unwrap();
    assert_eq!(ask(request).await.status(), StatusCode::NOT_MODIFIED);
}

#[test]
fn every_file_is_in_the_binary_and_every_import_is_a_file() {
    let mut names: Vec<_> = fs::read_dir(folder("static"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ASSETS.iter().map(|asset| asset.name).collect::<Vec<_>>());
    for asset in ASSETS.iter().filter(|asset| asset.content_type().contains("javascript")) {
        for import in asset.content.split("from './").skip(1) {
            let imported = import.split('\'').next().unwrap();
            assert!(names.iter().any(|name| name == imported), "{}: {imported}", asset.name);
        }
        // The policy would stop these, silently for whoever does not look.
        for forbidden in ["innerHTML", "eval(", "setAttribute('style'", "http:", "https:"] {
            let code = asset.content.replace("http://www.w3.org", "");
            assert!(!code.contains(forbidden), "{} has {forbidden}", asset.name);
        }
    }
}

#[test]
fn templates_name_files_that_exist() {
    for entry in fs::read_dir(folder("templates")).unwrap() {
        let html = fs::read_to_string(entry.unwrap().path()).unwrap();
        for rest in html.split("\"/static/").skip(1) {
            let name = rest.split('"').next().unwrap();
            assert!(ASSETS.iter().any(|asset| asset.name == name), "{name}");
        }
    }
}

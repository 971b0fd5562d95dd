//! Against a server of our own that plays the hub, and the place that the hub sends to.

pub(in crate::model) mod server;

use std::time::{Duration, Instant};

use super::*;
use server::{Reply, Request, Server};

/// Impatient, but as persistent as the usual one.
pub(in crate::model) const HASTY: Patience = Patience {
    attempts: 4,
    first_wait: Duration::from_millis(5),
    longest_wait: Duration::from_millis(20),
    longest_asked: Duration::from_secs(5),
};
const TOKEN: &str = "hf_secret";

fn content() -> Vec<u8> {
    (0..300_000_u32).flat_map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn hash(bytes: &[u8]) -> String {
    use sha2::Digest;
    crate::model::card::Sha256(sha2::Sha256::digest(bytes).into()).to_string()
}

fn weights() -> HubFile {
    HubFile {
        repository: "facebook/wav2vec2-base".to_owned(),
        revision: "main".to_owned(),
        file: "model.safetensors".to_owned(),
    }
}

const PATH: &str = "/facebook/wav2vec2-base/resolve/main/model.safetensors";

/// What the hub says of a large file: where it is, and what.
fn sends_to(location: &str, size: usize, hash: &str) -> Reply {
    Reply::status(302)
        .with("Location", location)
        .with("X-Linked-Size", &size.to_string())
        .with("X-Linked-Etag", &format!("\"{hash}\""))
        .with("X-Repo-Commit", "0123abc")
        .with("ETag", "\"of the redirection\"")
}

/// The part of `content` that `request` asks for.
fn part(request: &Request, content: &[u8]) -> Reply {
    match request.first_byte() {
        None => Reply::of(content),
        Some(first) if first < content.len() => {
            let range = format!("bytes {first}-{}/{}", content.len() - 1, content.len());
            Reply::of(&content[first..]).under(206).with("Content-Range", &range)
        }
        Some(_) => Reply::status(416),
    }
}

fn fetch(hub: &Server, folder: &Path) -> Result<Fetched> {
    let hub = Hub::at(&hub.address(), Some(TOKEN.to_owned()), HASTY);
    hub.fetch(&weights(), folder, &mut |_| ())
}

fn problem(found: Result<Fetched>) -> HubProblem {
    match found {
        Err(Error::Hub { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_large_file_comes_from_elsewhere_and_the_token_stays() {
    let content = content();
    let (sent, folder) = (content.clone(), tempfile::tempdir().unwrap());
    let store = Server::new(move |request, _| part(request, &sent));
    let location = format!("{}/blob?signed=yes", store.address());
    let (size, tag) = (content.len(), hash(&content));
    let hub = Server::new(move |_, _| sends_to(&location, size, &tag));
    let mut seen = Vec::new();
    let asked = Hub::at(&format!("{}/", hub.address()), Some(TOKEN.to_owned()), HASTY);
    let fetched = asked
        .fetch(&weights(), folder.path(), &mut |fetching| match fetching {
            Fetching::Received { file, received, whole } => {
                seen.push((file.to_owned(), received, whole));
            }
            Fetching::Again { .. } => panic!("{fetching:?}"),
        })
        .unwrap();
    assert_eq!(std::fs::read(&fetched.path).unwrap(), content);
    assert_eq!(fetched.path, folder.path().join("model.safetensors"));
    assert_eq!(fetched.commit.as_deref(), Some("0123abc"));
    assert_eq!(names(folder.path()), ["model.safetensors"], "nothing else is left");
    let whole = content.len() as u64;
    assert_eq!(seen.last(), Some(&("model.safetensors".to_owned(), whole, Some(whole))));
    let requests = hub.requests();
    let methods: Vec<&str> = requests.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["HEAD", "GET"]);
    for request in requests {
        assert_eq!(request.path, PATH);
        assert_eq!(request.header("authorization"), Some("Bearer hf_secret"));
    }
    let requests = store.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/blob?signed=yes");
    assert_eq!(requests[0].header("authorization"), None);
    assert!(!format!("{asked:?}").contains(TOKEN));
}

#[test]
fn a_small_file_comes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Server::new(|_, _| Reply::of(b"{}").with("ETag", "W/\"9e26dfeeb6e641a33dae\""));
    let file = HubFile { file: "config.json".to_owned(), ..weights() };
    let asked = Hub::at(&hub.address(), None, HASTY);
    let fetched = asked.fetch(&file, folder.path(), &mut |_| ()).unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), b"{}");
    assert!(hub.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let (sent, tag) = (content.clone(), hash(&content));
    let hub = Server::new(move |request, _| {
        let reply = part(request, &sent).with("ETag", &format!("\"{tag}\""));
        // A third at a time, whatever was promised.
        if request.method == "GET" { reply.cut(400_000) } else { reply }
    });
    let fetched = fetch(&hub, folder.path()).unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), content);
    let firsts: Vec<Option<usize>> =
        hub.requests().iter().skip(1).map(Request::first_byte).collect();
    assert_eq!(firsts, [None, Some(400_000), Some(800_000)]);
}

#[test]
fn a_later_call_goes_on_with_what_an_earlier_one_left() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let (sent, tag) = (content.clone(), hash(&content));
    let name = format!(".model.safetensors.{tag}.partial");
    let hub = Server::new(move |request, number| {
        let reply = part(request, &sent).with("ETag", &format!("\"{tag}\""));
        match number {
            1 => reply.cut(100_000),
            // After the cut the server is out of order for as long as patience lasts.
            2..=5 => Reply::status(503),
            _ => reply,
        }
    });
    let found = problem(fetch(&hub, folder.path()));
    assert!(matches!(found, HubProblem::GaveUp { attempts: 4, .. }), "{found:?}");
    assert_eq!(names(folder.path()), [name]);
    let fetched = fetch(&hub, folder.path()).unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), content);
    assert_eq!(hub.requests().last().unwrap().first_byte(), Some(100_000));
    assert_eq!(names(folder.path()), ["model.safetensors"]);
}

#[test]
fn a_server_without_ranges_gives_all_anew() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let (sent, tag) = (content.clone(), hash(&content));
    let hub = Server::new(move |_, number| {
        let reply = Reply::of(&sent).with("ETag", &format!("\"{tag}\""));
        if number == 1 { reply.cut(500_000) } else { reply }
    });
    let fetched = fetch(&hub, folder.path()).unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), content);
}

#[test]
fn another_content_than_announced_is_refused_and_removed() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let tag = hash(&content);
    let mut changed = content;
    changed[17] ^= 1;
    let hub = Server::new(move |request, _| part(request, &changed).with("ETag", &tag));
    let found = fetch(&hub, folder.path()).unwrap_err();
    assert!(matches!(found, Error::Checksum { .. }), "{found:?}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn another_length_than_announced_is_refused_and_removed() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let hub = Server::new(move |request, _| {
        if request.method == "HEAD" {
            Reply::of(&content[..1_000]).with("ETag", "\"tag\"")
        } else {
            Reply::of(&content)
        }
    });
    let found = problem(fetch(&hub, folder.path()));
    assert!(matches!(found, HubProblem::Size { expected: 1_000, .. }), "{found:?}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn what_is_not_there_or_not_for_everybody_is_not_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    for status in [404, 401, 403, 400] {
        let hub = Server::new(move |_, _| Reply::status(status));
        let found = problem(fetch(&hub, folder.path()));
        match status {
            404 => assert!(matches!(found, HubProblem::Missing), "{found:?}"),
            400 => assert!(matches!(found, HubProblem::Status { status: 400 }), "{found:?}"),
            _ => assert!(matches!(found, HubProblem::Forbidden { with_token: true, .. })),
        }
        assert_eq!(hub.requests().len(), 1, "{status}");
        assert!(names(folder.path()).is_empty());
    }
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Server::new(|_, number| match number {
        0 => Reply::status(429).with("Retry-After", "1"),
        _ => Reply::of(b"weights").with("ETag", "\"tag\""),
    });
    let before = Instant::now();
    fetch(&hub, folder.path()).unwrap();
    assert!(before.elapsed() >= Duration::from_secs(1), "{:?}", before.elapsed());

    let hub = Server::new(|_, _| Reply::status(503).with("Retry-After", "3600"));
    let found = problem(fetch(&hub, folder.path()));
    assert!(matches!(found, HubProblem::Busy { wait_s: 3_600 }), "{found:?}");
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn a_server_out_of_order_is_tried_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let well_again = |_: &Request, number| match number {
        0..=2 => Reply::status(502),
        _ => Reply::of(b"weights").with("ETag", "\"tag\""),
    };
    let server = Server::new(well_again);
    let mut told = Vec::new();
    let hub = Hub::at(&server.address(), None, HASTY);
    hub.fetch(&weights(), folder.path(), &mut |fetching| {
        if let Fetching::Again { file, why, .. } = fetching {
            told.push(format!("{file}: {why}"));
        }
    })
    .unwrap();
    // From the first time on whoever watches knows why nothing comes.
    assert_eq!(told.len(), 3);
    assert!(
        told.iter().all(|why| why.contains("model.safetensors") && why.contains("502")),
        "{told:?}"
    );
    let hub = Server::new(|_, _| Reply::status(500));
    let found = problem(fetch(&hub, folder.path()));
    assert!(matches!(found, HubProblem::GaveUp { attempts: 4, .. }), "{found:?}");
    assert!(found.to_string().contains("500"), "{found}");
    assert_eq!(hub.requests().len(), 4);
}

#[test]
fn nobody_listening_is_an_error_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let address = Server::new(|_, _| Reply::status(200)).address();
    let hub = Hub::at(&address, None, Patience { attempts: 2, ..HASTY });
    let found = hub.fetch(&weights(), folder.path(), &mut |_| ()).unwrap_err();
    assert!(found.hint().is_some());
    assert!(matches!(problem(Err(found)), HubProblem::GaveUp { attempts: 2, .. }));
}

#[test]
fn redirections_in_a_circle_and_to_nowhere_end() {
    let folder = tempfile::tempdir().unwrap();
    for location in [PATH, "ftp://elsewhere/", "//elsewhere/path", "relative"] {
        let hub = Server::new(move |_, _| Reply::status(307).with("Location", location));
        let found = problem(fetch(&hub, folder.path()));
        assert!(matches!(found, HubProblem::Redirection { .. }), "{location}: {found:?}");
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::at("http://127.0.0.1:9", None, HASTY);
    let cases = [
        ("a/b/c", "main", "file"),
        ("../b", "main", "file"),
        ("a/b", "main", "../file"),
        ("a/b", "main", "folder//file"),
        ("a/b", "ma?in", "file"),
        ("a/b", "", "file"),
        ("a b", "main", "file"),
    ];
    for (repository, revision, file) in cases {
        let file = HubFile {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            file: file.to_owned(),
        };
        let found = problem(hub.fetch(&file, folder.path(), &mut |_| ()));
        assert!(matches!(found, HubProblem::Name { .. }), "{file:?}: {found:?}");
    }
    let hub = Hub::at("elsewhere", None, HASTY);
    let found = problem(hub.fetch(&weights(), folder.path(), &mut |_| ()));
    assert!(matches!(found, HubProblem::Address { .. }));
}

#[test]
fn what_was_encrypted_stays_so() {
    let to = |location| elsewhere("https://hub/a/b", Some(location));
    assert_eq!(to("/c?d").unwrap(), "https://hub/c?d");
    assert_eq!(to("https://store/c").unwrap(), "https://store/c");
    assert!(to("http://store/c").is_err());
    assert!(elsewhere("https://hub/a", None).is_err());
    assert_eq!(origin("https://hub:8443?x"), Some("https://hub:8443"));
    assert_eq!(origin("https://"), None);
}

#[test]
fn a_file_that_is_whole_is_not_fetched_again() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let (sent, tag) = (content.clone(), hash(&content));
    let hub = Server::new(move |request, _| part(request, &sent).with("ETag", &tag));
    let methods =
        || hub.requests().iter().map(|request| request.method.clone()).collect::<Vec<_>>();
    let path = fetch(&hub, folder.path()).unwrap().path;
    fetch(&hub, folder.path()).unwrap();
    assert_eq!(methods(), ["HEAD", "GET", "HEAD"]);
    // Another content of the same length is not what was announced.
    let mut changed = content.clone();
    changed[5] ^= 1;
    std::fs::write(&path, changed).unwrap();
    fetch(&hub, folder.path()).unwrap();
    assert_eq!(methods(), ["HEAD", "GET", "HEAD", "HEAD", "GET"]);
    assert_eq!(std::fs::read(path).unwrap(), content);
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    // A server that does not speak TLS, whatever it is told; and a name that nobody has (RFC 2606,
    // section 2).
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Word\r\nContent-Length: 0\r\n\r\n");
        }
    });
    for address in [&address[..], "https://hub.invalid"] {
        let mut told = 0;
        let hub = Hub::at(address, None, HASTY);
        let found = hub.fetch(&weights(), folder.path(), &mut |_| told += 1).unwrap_err();
        assert!(found.hint().unwrap().contains("SONOTECA_HUB"), "{found}");
        let found = problem(Err(found));
        assert!(matches!(&found, HubProblem::Unreachable { .. }), "{found:?}");
        assert!(found.to_string().contains(address), "{found}");
        assert_eq!(told, 0, "{found}");
    }
}

#[test]
fn a_token_goes_neither_in_the_open_nor_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    for (address, token, words) in [
        ("http://hub.invalid", TOKEN, "in the open"),
        ("https://hub.invalid", "hf_\u{e9}", "letters"),
        ("https://hub.invalid", "hf_a hf_b", "letters"),
    ] {
        let hub = Hub::at(address, Some(token.to_owned()), HASTY);
        let found = problem(hub.fetch(&weights(), folder.path(), &mut |_| ()));
        assert!(matches!(&found, HubProblem::Token { .. }), "{found:?}");
        assert!(found.to_string().contains(words) && !found.to_string().contains(token), "{found}");
    }
}

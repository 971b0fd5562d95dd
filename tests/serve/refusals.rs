//! What is not answered: strangers, tricks, and nonsense. Every refusal is JSON, and the server is there
//! afterwards.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::served::{PATIENCE, Served};

#[test]
fn strangers_are_refused() {
    let served = Served::new();
    let bearer = format!("Bearer {}", served.token);
    let get = |headers: &[(&str, &str)]| served.send("GET", "/v1/library", headers, &[]);
    get(&[]).refused(401, "no_token");
    for token in
        ["", "Bearer", "Bearer ", "Bearer x", &format!("{bearer}0"), &bearer[..20], "Basic eA=="]
    {
        get(&[("authorization", token)]).refused(401, "no_token");
    }
    get(&[("authorization", &bearer)]).expect(200);
    get(&[("authorization", &bearer.replace("Bearer", "bearer"))]).expect(200);

    // The page hands it out, as a cookie that scripts do not see and other sites do not send.
    let page = served.send("GET", "/", &[], &[]).expect(200);
    let cookie = page.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    get(&[("cookie", &format!("a=b; {cookie}; c=d"))]).expect(200);
    get(&[("cookie", &format!("{cookie}0"))]).refused(401, "no_token");
    get(&[("cookie", "sonoteca_session=x")]).refused(401, "no_token");
    let again = served.send("GET", "/", &[("cookie", &cookie)], &[]);
    assert_eq!(again.header("set-cookie"), None, "who has it gets it no second time");

    // A name that was made to stand for this machine.
    let port = served.address.port();
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.1",
        "[::2]",
        "",
        "localhost:x",
        "127.0.0.1:99999",
        "2130706433",
    ] {
        get(&[("host", host), ("authorization", &bearer)]).refused(421, "wrong_host");
        served.send("GET", "/", &[("host", host)], &[]).refused(421, "wrong_host");
    }
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:7340", "127.9.9.9"] {
        get(&[("host", host), ("authorization", &bearer)]).expect(200);
    }
    let two = format!(
        "GET /v1/library HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nauthorization: {bearer}\r\n\
         connection: close\r\n\r\n"
    );
    assert!((400..500).contains(&served.exchange(two.as_bytes()).unwrap().status));
    let absolute = format!(
        "GET http://evil.example/v1/library HTTP/1.1\r\nhost: localhost\r\nauthorization: {bearer}\r\n\
         connection: close\r\n\r\n"
    );
    served.exchange(absolute.as_bytes()).unwrap().refused(421, "wrong_host");
    let none = format!("GET /v1/library HTTP/1.0\r\nauthorization: {bearer}\r\n\r\n");
    served.exchange(none.as_bytes()).unwrap().refused(421, "wrong_host");

    // Pages of other sites.
    let own = format!("http://{}", served.address);
    for origin in ["http://evil.example", "null", "https://localhost", "file://"] {
        get(&[("origin", origin), ("authorization", &bearer)]).refused(403, "other_origin");
        served.send("GET", "/", &[("origin", origin)], &[]).refused(403, "other_origin");
    }
    get(&[("origin", &own), ("authorization", &bearer)]).expect(200);
    let cross = [("authorization", bearer.as_str()), ("sec-fetch-site", "cross-site")];
    get(&cross).refused(403, "other_origin");
    let visit = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    served.send("GET", "/", &visit, &[]).expect(200);
    get(&[&visit[..], &[("authorization", &bearer)]].concat()).refused(403, "other_origin");
    let asked = [("origin", "http://evil.example"), ("access-control-request-method", "POST")];
    let preflight = served.send("OPTIONS", "/v1/search", &asked, &[]);
    assert_eq!(preflight.status, 403);
    for reply in [&page, &preflight, &get(&[("authorization", &bearer)])] {
        assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("access-control")));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert!(reply.header("x-request-id").is_some());
    }
}

#[test]
fn tricks_with_paths_lead_nowhere() {
    let served = Served::new();
    for path in [
        "/v1/recordings/../../etc/passwd",
        "/v1/recordings/..%2f..%2f..%2fetc%2fpasswd/audio",
        "/v1/recordings/1/../../../../etc/passwd",
        "/v1/recordings/1/audio/../../../etc/passwd",
        "/v1/recordings/%2e%2e/audio",
        "/v1/recordings/1%00/audio",
        "/v1/recordings/-1/audio",
        "/v1/recordings/0/audio",
        "/v1/recordings/1.0/audio",
        "/v1/recordings/9223372036854775808/audio",
        "/v1/recordings/9223372036854775807/audio",
        "/v1/recordings//audio",
        "//v1/library",
        "/v1/library/",
        "/V1/library",
        "/v1",
        "/v1/",
        "/v1/heads/..%2f..%2fetc%2fpasswd",
        "/v1/heads/%ff%fe",
        "/static/../Cargo.toml",
        "/static/..%2f..%2fCargo.toml",
        "/etc/passwd",
        "/.git/config",
    ] {
        let reply = served.get(path);
        assert!((400..500).contains(&reply.status), "{path}: {}", reply.status);
        // A file of the page, as this is one name, is missing in people's words.
        if path == "/static/..%2f..%2fCargo.toml" {
            assert!(reply.text().contains("There is no such page"), "{path}: {}", reply.text());
        } else {
            assert!(reply.json()["error"]["code"].is_string(), "{path}: {}", reply.text());
        }
        assert!(!reply.text().contains("root:"), "{path}");
    }
    for (method, path) in [
        ("PUT", "/v1/library"),
        ("DELETE", "/v1/library"),
        ("POST", "/healthz"),
        ("PATCH", "/v1/labels/1"),
        ("GET", "/v1/search"),
        ("TRACE", "/v1/library"),
        ("BREW", "/v1/library"),
        ("DELETE", "/"),
    ] {
        let bearer = format!("Bearer {}", served.token);
        let reply = served.send(method, path, &[("authorization", &bearer)], &[]);
        reply.refused(405, "method_not_allowed");
    }
}

#[test]
fn nonsense_is_told_what_it_is() {
    let served = Served::new();
    let id = served.ids("tone")[0];
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("nonsense", 400),
        ("[]", 422),
        ("null", 422),
        ("{\"like\": 1}", 422),
        ("{\"like\": [{\"recording_id\": \"1\"}]}", 422),
        ("{\"like\": [{\"recording_id\": 1e400}]}", 400),
        ("{\"like\": [{\"recording_id\": 1.5}]}", 422),
        ("{\"like\": [{\"recording_id\": NaN}]}", 400),
        ("{\"like\": [{}]}", 422),
        ("{\"like\": []}", 422),
        ("{}", 422),
        ("{\"like\": [{\"recording_id\": 1, \"segment_id\": 1}]}", 422),
        ("{\"like\": [{\"path\": \"/etc/passwd\"}]}", 422),
        ("{\"like\": [{\"recording_id\": 999999}]}", 404),
        ("{\"like\": [{\"segment_id\": 999999}]}", 404),
        ("{\"like\": [{\"upload_id\": \"../../x\"}]}", 404),
        ("{\"text\": \"\"}", 422),
        ("{\"text\": \"a\", \"class\": \"b\"}", 422),
        ("{\"class\": \"no such class\"}", 422),
        ("{\"head\": {\"name\": \"nobody\"}}", 404),
        ("{\"text\": \"a\", \"limit\": 0}", 400),
        ("{\"text\": \"a\", \"limit\": 501}", 400),
        ("{\"text\": \"a\", \"limit\": -1}", 422),
        ("{\"text\": \"a\", \"where\": \"duration <\"}", 422),
        ("{\"text\": \"a\", \"where\": \"class(\\\"nobody\\\") > 0\"}", 422),
        ("{\"text\": \"a\", \"model\": \"nobody\"}", 422),
        ("{\"text\": \"a\", \"by\": \"day\"}", 422),
        ("{\"text\": \"\\u0000\\uffff\\\"'; DROP TABLE recordings\"}", 200),
    ] {
        let reply = served.post_text("/v1/search", body);
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        if status != 200 {
            assert!(reply.json()["error"]["message"].is_string(), "{body}");
        }
    }
    for stretch in [
        json!({"recording_id": id, "start_s": 3.0}),
        json!({"recording_id": id, "start_s": 1.0, "end_s": 0.5}),
        json!({"recording_id": id, "start_s": -1.0, "end_s": 0.5}),
        json!({"recording_id": id, "start_s": 1e308, "end_s": 1.1e308}),
    ] {
        let reply = served.post("/v1/search", &json!({"like": [stretch]}));
        reply.refused(422, "no_such_stretch");
    }
    let deep = "[".repeat(100_000);
    served.post_text("/v1/search", &deep).refused(422, "wrong_body");
    let deep = format!("{{\"like\": [{deep}");
    served.post_text("/v1/search", &deep).refused(422, "wrong_body");
    let many: Vec<_> = (0..100).map(|_| json!({"recording_id": id})).collect();
    served.post("/v1/search", &json!({"like": many})).refused(422, "too_many_examples");
    for query in [
        "limit=0",
        "limit=x",
        "limit=1e9",
        "after=x",
        "limit=99999999999999999999",
        "where=%ff",
        "where=%00",
        "where=nonsense",
        "after=-5&limit=0",
        "limit=1&limit=2",
    ] {
        let reply = served.get(&format!("/v1/recordings?{query}"));
        assert!((400..500).contains(&reply.status), "{query}: {}", reply.text());
        assert!(reply.json()["error"]["message"].is_string());
    }
    let bearer = format!("Bearer {}", served.token);
    let plain = [("authorization", bearer.as_str()), ("content-type", "text/plain")];
    served.send("POST", "/v1/search", &plain, b"{}").refused(415, "not_json");
    served.get("/healthz").expect(200);
}

#[test]
fn what_is_too_large_or_too_slow_is_broken_off() {
    let served = Served::new();
    let large = format!("{{\"text\": \"{}\"}}", "x".repeat(2 << 20));
    served.post_text("/v1/search", &large).refused(413, "too_large");
    let head = |length: &str| {
        format!(
            "POST /v1/uploads HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n{length}\r\n\
             connection: close\r\n\r\n",
            served.address, served.token
        )
    };
    // Told by its length alone.
    let announced = served.exchange(head("content-length: 99999999999").as_bytes()).unwrap();
    announced.refused(413, "too_large");
    // In pieces, the length of which nobody told.
    let mut chunked = head("transfer-encoding: chunked").into_bytes();
    for _ in 0..66 {
        chunked.extend(b"100000\r\n");
        chunked.extend(vec![0; 1 << 20]);
        chunked.extend(b"\r\n");
    }
    let reply = served.exchange(&chunked);
    // It may hang up while it is still being talked to.
    if let Some(reply) = reply {
        reply.refused(413, "too_large");
    }
    let long_head = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(1 << 20));
    if let Some(reply) = served.exchange(long_head.as_bytes()) {
        assert!((400..500).contains(&reply.status), "{}", reply.status);
    }

    // A body that comes a byte at a time, on twenty connections at once; others are answered.
    let started = Instant::now();
    let slow: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(served.address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let head = head("content-length: 1000\r\ncontent-type: application/json");
            stream.write_all(head.replace("/v1/uploads", "/v1/search").as_bytes()).unwrap();
            stream
        })
        .collect();
    let id = served.ids("tone")[0];
    served.search(&json!({"like": [{"recording_id": id}]}));
    for mut stream in slow {
        let mut answer = Vec::new();
        let mut byte = [0; 256];
        while let Ok(count @ 1..) = stream.read(&mut byte) {
            answer.extend(&byte[..count]);
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("\"too_slow\""), "{answer}");
    }
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
    served.get("/healthz").expect(200);
}

#[test]
fn refusals_speak_of_the_request() {
    let served = Served::new();
    let id = served.ids("tone-0")[0];
    let says = |reply: &crate::served::Reply, code: &str, words: &[&str]| {
        reply.refused(reply.status, code);
        let text = reply.text();
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
        for ours in ["i64", "deserialize", "Invalid URL", "--start", "--model", "sonoteca head"] {
            assert!(!text.contains(ours), "{ours}: {text}");
        }
    };
    says(&served.get("/v1/recordings/abc"), "bad_request", &["`abc`", "a whole number"]);
    says(&served.get("/v1/map?limit=x"), "bad_request", &["`limit`", "whole number"]);
    let stretch = format!("/v1/recordings/{id}/clip.wav?start_s=x");
    says(&served.get(&stretch), "bad_request", &["`start_s`", "not a number"]);
    let late = format!("/v1/recordings/{id}/clip.wav?start_s=100&end_s=101");
    says(&served.get(&late), "no_such_stretch", &["start_s and end_s"]);
    says(&served.get("/v1/heads/nobody"), "no_such_head", &["/v1/heads"]);
    says(&served.get("/v1/recordings/999"), "no_such_recording", &["/v1/recordings"]);
    let body = json!({"like": [{"recording_id": "abc"}]});
    says(&served.post("/v1/search", &body), "wrong_body", &["a whole number"]);
    let unlearnt = json!({"class": "Rain", "model": "resemblyzer"});
    says(&served.post("/v1/search", &unlearnt), "no_such_model", &["/v1/library"]);
}

#[test]
fn browsers_get_pages_and_programs_get_json() {
    let token = "0123456789abcdef+/=";
    let served = Served::start(crate::served::indexed(), &["--token", token]);
    let html = ("accept", "text/html,application/xhtml+xml");
    let asks = |path: &str, headers: &[(&str, &str)]| served.send("GET", path, headers, &[]);
    let page = asks("/", &[html]);
    assert_eq!(page.status, 401);
    assert!(page.text().contains("name=\"token\"") && !page.text().contains("That is not"));
    let wrong = asks("/?token=wrong", &[html]);
    assert!(wrong.status == 401 && wrong.text().contains("That is not the token"));
    asks("/", &[]).refused(401, "no_token");
    asks("/v1/library", &[html]).refused(401, "no_token");
    let of_other = asks("/v1/library", &[("authorization", "Bearer fedcba9876543210")]);
    of_other.refused(401, "no_token");
    assert!(of_other.text().contains("not this server's"), "{}", of_other.text());
    // As a form writes it.
    let opened = asks("/?token=0123456789abcdef%2B%2F%3D", &[html]).expect(303);
    let cookie = opened.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    asks("/", &[html, ("cookie", &cookie)]).expect(200);
    let nothing = asks("/nope", &[html, ("cookie", &cookie)]);
    assert!(nothing.status == 404 && nothing.text().contains("There is nothing at this address"));
    asks("/nope", &[("cookie", &cookie)]).refused(404, "no_such_page");
}

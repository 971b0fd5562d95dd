//! A server that runs, and the plainest of clients.

#![allow(unreachable_pub, clippy::must_use_candidate, reason = "shared by the tests beside it")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::Bench;

/// Long enough that nothing here runs into it on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A server, which ends with the test.
pub struct Served {
    pub bench: Bench,
    pub address: SocketAddr,
    pub token: String,
    pub process: Child,
}

/// What it answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A folder with three kinds of sound, two of each, and a library of them.
pub fn indexed() -> Bench {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds"]).expect(0);
    bench
}

impl Served {
    /// Serves a library of three kinds of sound.
    pub fn new() -> Self {
        Self::start(indexed(), &[])
    }

    /// Serves the library of `bench`.
    pub fn start(bench: Bench, arguments: &[&str]) -> Self {
        Self::start_with(bench, arguments, &[])
    }

    /// As [`start`](Self::start), with another folder for temporary files.
    pub fn start_in(bench: Bench, arguments: &[&str], temporary: &Path) -> Self {
        Self::start_with(bench, arguments, &[("TMPDIR", temporary)])
    }

    /// As [`start`](Self::start), with folders that variables name.
    pub fn start_with(bench: Bench, arguments: &[&str], folders: &[(&str, &Path)]) -> Self {
        let mut process = bench
            .command()
            .envs(folders.iter().copied())
            .args(["serve", "--format", "json", "--quiet"])
            .args(if arguments.contains(&"--bind") { &[][..] } else { &["--bind", "127.0.0.1:0"] })
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line).expect("it says where it serves");
        let address = started["address"].as_str().unwrap().parse().unwrap();
        let token = started["token"].as_str().unwrap_or_default().to_owned();
        Self { bench, address, token, process }
    }

    /// Sends bytes, and reads what comes until the other end hangs up.
    pub fn exchange(&self, bytes: &[u8]) -> Option<Reply> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may have hung up before all is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Reply::parse(&answer)
    }

    /// Sends a request with `headers` beside Host and the end of the connection.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let host = ("host", self.address.to_string());
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            let _ = write!(head, "{}: {}\r\n", host.0, host.1);
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !body.is_empty() {
            let _ = write!(head, "content-length: {}\r\n", body.len());
        }
        head += "\r\n";
        self.exchange(&[head.as_bytes(), body].concat()).expect("an answer")
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[])
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let bearer = self.bearer();
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        self.send("GET", path, &headers, &[])
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[("authorization", &self.bearer())], &[])
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_text(path, &body.to_string())
    }

    pub fn post_text(&self, path: &str, body: &str) -> Reply {
        let headers =
            [("authorization", self.bearer()), ("content-type", "application/json".to_owned())];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.send("POST", path, &headers, body.as_bytes())
    }

    pub fn upload(&self, bytes: &[u8]) -> Reply {
        self.send("POST", "/v1/uploads", &[("authorization", &self.bearer())], bytes)
    }

    /// The ids of recordings whose names begin so, by name.
    pub fn ids(&self, beginning: &str) -> Vec<i64> {
        let found = self.get("/v1/recordings?limit=500").expect(200).json();
        let mut found: Vec<(String, i64)> = found["recordings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["name"].as_str().unwrap().to_owned(), one["id"].as_i64().unwrap()))
            .filter(|(name, _)| name.starts_with(beginning))
            .collect();
        found.sort();
        found.into_iter().map(|(_, id)| id).collect()
    }

    pub fn search(&self, body: &Value) -> Value {
        self.post("/v1/search", body).expect(200).json()
    }

    /// Waits until a job that was ordered is over.
    pub fn finish(&self, ordered: Reply) -> Value {
        let id = ordered.expect(202).json()["id"].as_u64().unwrap();
        let started = Instant::now();
        loop {
            let job = self.get(&format!("/v1/jobs/{id}")).expect(200).json();
            if job["state"] != "queued" && job["state"] != "running" {
                return job;
            }
            assert!(started.elapsed() < PATIENCE, "{job}");
            sleep(Duration::from_millis(50));
        }
    }

    /// As [`finish`](Self::finish), of a job that is done; its result.
    pub fn done(&self, ordered: Reply) -> Value {
        let job = self.finish(ordered);
        assert_eq!(job["state"], "done", "{job}");
        assert_eq!(job["progress"], json!(1.0));
        job["result"].clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Reply {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self { status, headers, body: bytes[end + 4..].to_vec() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// A refusal, as all are: JSON with a code and a message, and an id.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{error}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
        assert!(self.header("x-request-id").is_some());
    }
}

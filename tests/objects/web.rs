//! A web server that gives ranges, remembers what it was asked for, and fails on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct State {
    /// The ranges asked for, by name.
    ranges: BTreeMap<String, Vec<String>>,
    /// Names whose content is another one from the second range on.
    changing: BTreeSet<String>,
    /// Names whose versions have no tag.
    untagged: BTreeSet<String>,
}

/// The server; its thread ends with the process.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Web {
    pub(crate) fn start(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, state) = (folder.clone(), Arc::clone(&shared));
                std::thread::spawn(move || answer(&stream, &folder, &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn ranges(&self, name: &str) -> Vec<String> {
        self.state.lock().unwrap().ranges.get(name).cloned().unwrap_or_default()
    }

    /// From now on `name` has no tag, as with many a server of the web.
    pub(crate) fn take_tag_of(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.untagged.insert(name.to_owned());
        state.ranges.remove(name);
    }

    pub(crate) fn change_in_the_middle(&self, name: &str) {
        self.state.lock().unwrap().changing.insert(name.to_owned());
    }
}

/// Answers one request, and closes.
fn answer(mut stream: &TcpStream, folder: &Path, state: &Mutex<State>) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let headers: BTreeMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            Some((key.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let name = path.trim_start_matches('/').to_owned();
    let Ok(content) = fs::read(folder.join(&name)) else {
        return stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .ok();
    };
    let length = content.len();
    let tag = if state.lock().unwrap().untagged.contains(&name) { "" } else { "ETag: \"one\"\r\n" };
    let common = |day: u8| {
        let stamp = format!("Last-Modified: Wed, 0{day} Jul 2026 10:00:00 GMT");
        format!("{tag}{stamp}\r\nAccept-Ranges: bytes\r\nConnection: close")
    };
    if method == "HEAD" {
        let common = common(1);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{common}\r\n\r\n");
        return stream.write_all(head.as_bytes()).ok();
    }
    let range = headers.get("range").cloned().unwrap_or_default();
    let (start, end) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'))?;
    let (start, end): (usize, usize) = (start.parse().ok()?, end.parse().ok()?);
    let (is_first, is_changed) = {
        let mut state = state.lock().unwrap();
        let asked = state.ranges.entry(name.clone()).or_default();
        asked.push(range.clone());
        (asked.len() == 1, start > 0 && state.changing.contains(&name))
    };
    if is_changed && headers.get("if-match").is_some_and(|tag| tag == "\"one\"") {
        let refused =
            "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(refused.as_bytes()).ok();
    }
    let common = common(if is_changed { 8 } else { 1 });
    let part = &content[start..=end.min(length - 1)];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{end}/{length}\r\n{common}\r\n\r\n",
        part.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    // The very first answer about a file that takes two breaks off.
    let is_cut = is_first && length > 8 << 20;
    stream.write_all(if is_cut { &part[..part.len() / 2] } else { part }).ok()
}

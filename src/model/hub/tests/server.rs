//! A small HTTP server that answers as a test says.
//!
//! In: requests without bodies. Out: one reply each, by the test's function of the request and its
//! number; then the connection is closed.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A request, as far as tests look at it.
#[derive(Clone, Debug)]
pub(in crate::model) struct Request {
    pub(in crate::model) method: String,
    pub(in crate::model) path: String,
    headers: Vec<(String, String)>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(in crate::model) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Bytes of the body after which the connection is cut.
    cut: usize,
}

/// A server that runs until it is dropped.
pub(in crate::model) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
}

impl Request {
    pub(in crate::model) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The first byte that the request asks for.
    pub(in crate::model) fn first_byte(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next()?.ok()?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = Vec::new();
        for line in lines {
            let line = line.ok()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        Some(Self { method, path, headers })
    }
}

impl Reply {
    pub(in crate::model) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut: usize::MAX }
    }

    pub(in crate::model) fn of(body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..Self::status(200) }
    }

    pub(in crate::model) fn under(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(in crate::model) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(in crate::model) fn cut(self, cut: usize) -> Self {
        Self { cut, ..self }
    }

    fn write(&self, request: &Request, mut stream: &TcpStream) -> std::io::Result<()> {
        write!(stream, "HTTP/1.1 {} Word\r\nConnection: close\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        write!(stream, "Content-Length: {}\r\n\r\n", self.body.len())?;
        if request.method != "HEAD" {
            stream.write_all(&self.body[..self.cut.min(self.body.len())])?;
        }
        stream.flush()
    }
}

impl Server {
    pub(in crate::model) fn new(
        answer: impl Fn(&Request, usize) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            is_over: Arc::default(),
        };
        let (requests, is_over) = (Arc::clone(&server.requests), Arc::clone(&server.is_over));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                let Some(request) = Request::read(&stream) else { continue };
                let number = {
                    let mut requests = requests.lock().unwrap();
                    requests.push(request.clone());
                    requests.len() - 1
                };
                // The other side may have heard enough.
                let _ = answer(&request, number).write(&request, &stream);
            }
        });
        server
    }

    pub(in crate::model) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked so far.
    pub(in crate::model) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is over.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

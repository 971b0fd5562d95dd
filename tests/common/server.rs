//! A server of embeddings on this machine, which answers well or badly as a test wants.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "each test program uses a part of it"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

pub const RATE: u32 = 8_000;
pub const DIMENSION: usize = 8;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub line: String,
    pub authorization: Option<String>,
    pub media_type: String,
    pub body: Vec<u8>,
}

/// What a connection gets.
pub enum Reply {
    /// Status, further header lines, body.
    Full(u16, &'static str, String),
    /// The head of a whole answer, and half of its body.
    Cut(String),
    /// The same after a while.
    Slow(Duration, String),
    /// Nothing.
    HangUp,
}

/// The answer to the request of that number among its kind, counted from 0.
type Behaviour = Arc<dyn Fn(usize, &Received) -> Reply + Send + Sync>;

struct State {
    embed: Behaviour,
    model: Behaviour,
    embeds: usize,
    models: usize,
    received: Vec<Received>,
}

pub struct Server {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// One that answers well.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            embed: Arc::new(|_, received| well(received)),
            model: Arc::new(|_, _| ok(&description("1"))),
            embeds: 0,
            models: 0,
            received: Vec::new(),
        }));
        let server = Self { url, state: Arc::clone(&state) };
        // Ends with the test program.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || {
                    // A client that hangs up is what some tests are about.
                    let _ = serve(stream, &state);
                });
            }
        });
        server
    }

    /// From now on embeddings are answered so; requests are counted anew.
    pub fn embeds(&self, embed: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) {
        let mut state = self.state.lock().unwrap();
        state.embed = Arc::new(embed);
        state.embeds = 0;
    }

    /// From now on the question what it is is answered so.
    pub fn says(&self, model: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) {
        let mut state = self.state.lock().unwrap();
        state.model = Arc::new(model);
        state.models = 0;
    }

    /// How many requests for embeddings came since the behaviour was set.
    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().embeds
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }
}

pub fn description(version: &str) -> Value {
    json!({
        "protocol": 1, "model": "test-energies", "version": version, "dimension": DIMENSION,
        "sample_rate": RATE, "window_s": 1.0, "hop_s": 0.5, "licence": "MIT", "further": [1]
    })
}

pub fn ok(value: &Value) -> Reply {
    Reply::Full(200, "", value.to_string())
}

/// The vectors that a good server gives.
pub fn vectors(received: &Received) -> Vec<Vec<f32>> {
    let samples = match &received.media_type[..] {
        "audio/wav" => &received.body[44..],
        _ => &received.body[..],
    };
    let samples: Vec<f32> = samples
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
        .collect();
    let windows = parameter(received, "windows");
    assert_eq!(samples.len(), windows * parameter(received, "window_samples"));
    samples.chunks_exact(samples.len() / windows).map(energies).collect()
}

/// How much samples differ from those 1, 2, 4 … behind them.
fn energies(window: &[f32]) -> Vec<f32> {
    let of = |step: usize| {
        let pairs = window.iter().zip(&window[step..]);
        pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / window.len() as f32
    };
    (0..DIMENSION).map(|power| of(1 << power)).collect()
}

/// What a good server answers.
pub fn answer(received: &Received) -> Value {
    let vectors = vectors(received);
    let mut answer = json!({ "model": "test-energies", "version": "1", "dimension": DIMENSION });
    if received.line.contains("answer=base64") {
        let bytes: Vec<u8> = vectors.concat().into_iter().flat_map(f32::to_le_bytes).collect();
        answer["embeddings_base64"] = base64(&bytes).into();
    } else {
        answer["embeddings"] = json!(vectors);
    }
    answer
}

pub fn well(received: &Received) -> Reply {
    ok(&answer(received))
}

/// RFC 4648, section 4.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(bits);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place > three.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

pub fn parameter(received: &Received, name: &str) -> usize {
    let query = received.line.split(['?', ' ']).nth(2).unwrap();
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.unwrap().parse().unwrap()
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut received = Received::default();
    reader.read_line(&mut received.line)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match &name.to_ascii_lowercase()[..] {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => received.authorization = Some(value.to_owned()),
            "content-type" => value.clone_into(&mut received.media_type),
            _ => {}
        }
    }
    received.body.resize(length, 0);
    reader.read_exact(&mut received.body)?;
    let reply = {
        let mut state = state.lock().unwrap();
        state.received.push(received.clone());
        let (behaviour, number) = if received.line.starts_with("POST /v1/embed?") {
            state.embeds += 1;
            (Arc::clone(&state.embed), state.embeds - 1)
        } else {
            assert!(received.line.starts_with("GET /v1/model "), "{}", received.line);
            state.models += 1;
            (Arc::clone(&state.model), state.models - 1)
        };
        drop(state);
        behaviour(number, &received)
    };
    let mut stream = reader.into_inner();
    let head = |status: u16, headers: &str, length: usize| {
        format!(
            "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n"
        )
    };
    match reply {
        Reply::Full(status, headers, body) => {
            stream.write_all((head(status, headers, body.len()) + &body).as_bytes())
        }
        Reply::Cut(body) => {
            let half = &body[..body.len() / 2];
            stream.write_all((head(200, "", body.len()) + half).as_bytes())
        }
        Reply::Slow(time, body) => {
            std::thread::sleep(time);
            stream.write_all((head(200, "", body.len()) + &body).as_bytes())
        }
        Reply::HangUp => Ok(()),
    }
}

//! A real Milvus server, from `scripts/milvus.py`, which ends with the tests.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use sonoteca::Error;
use sonoteca::milvus::{Address, Store};
use tempfile::TempDir;

use crate::common;

/// A server and its data.
pub(crate) struct Server {
    folder: TempDir,
    running: Option<Running>,
    port: u16,
}

/// The script that runs it; it ends, and the server with it, when this is dropped.
struct Running {
    script: Child,
    process: u32,
}

/// The server that all tests share which do not end it; `None`, said aloud, where there is none.
pub(crate) fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

impl Server {
    /// A server that is ready; `None`, said aloud, where it cannot be installed.
    pub(crate) fn start() -> Option<Self> {
        let script = script();
        if !Command::new("python3").arg(&script).arg("install").status().unwrap().success() {
            // Where it is known to run, a test that asks nothing of it is none.
            let is_needed = std::env::var_os("SONOTECA_NEEDS_MILVUS").is_some();
            assert!(!is_needed, "scripts/milvus.py could not install a server");
            eprintln!(
                "SKIPPED: there is no Milvus server: scripts/milvus.py could not install one"
            );
            return None;
        }
        let mut server = Self { folder: tempfile::tempdir().unwrap(), running: None, port: 0 };
        server.run();
        server.wait();
        Some(server)
    }

    /// Runs it, on the data and the port of before; it is not ready yet.
    pub(crate) fn run(&mut self) {
        let mut command = Command::new("python3");
        command.arg(script()).args(["serve", "--until-eof", "--data"]);
        command.arg(self.folder.path().join("data"));
        if self.port > 0 {
            command.args(["--port", &self.port.to_string()]);
        }
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().unwrap());
        self.port = u16::try_from(numbers.next().unwrap()).unwrap();
        self.running = Some(Running { script, process: numbers.next().unwrap() });
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        let mut running = self.running.take().unwrap();
        let process = running.process.to_string();
        assert!(Command::new("kill").args(["-9", &process]).status().unwrap().success());
        running.script.wait().unwrap();
    }

    /// Waits until it answers.
    pub(crate) fn wait(&self) {
        let address: Address = self.address("nothing_yet?patience=180").parse().unwrap();
        // It is asked for what is not there, for as long as a slow machine may take to start it.
        let started = std::time::Instant::now();
        loop {
            match Store::open(&address) {
                Err(Error::Milvus { problem: sonoteca::MilvusProblem::Missing, .. }) => return,
                Err(error) if started.elapsed() > Duration::from_mins(3) => {
                    panic!("{error}: {}", error.reason())
                }
                _ => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    /// The address of a collection, with or without settings behind it.
    pub(crate) fn address(&self, collection: &str) -> String {
        format!("milvus://127.0.0.1:{}/{collection}", self.port)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its end of the pipe closes, and the script ends the server.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

fn script() -> PathBuf {
    common::root().join("scripts/milvus.py")
}

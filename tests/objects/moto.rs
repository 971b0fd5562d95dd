//! `moto`: a server that speaks S3, in a virtual environment under `target`.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common;

const PACKAGE: &str = "moto[s3,server]==5.2.5";

/// The server, which ends with this.
pub(crate) struct Moto {
    child: Child,
    port: u16,
}

impl Moto {
    /// Starts it; `None`, said aloud, where it cannot be installed.
    pub(crate) fn start() -> Option<Self> {
        let program = install()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { child, port };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_mins(2), "moto does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(moto)
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn make_bucket(&self, name: &str) {
        self.put(name, b"");
    }

    pub(crate) fn put(&self, key: &str, content: &[u8]) {
        let address = format!("{}/{}", self.address(), key.replace(' ', "%20"));
        let answer = ureq::put(&address)
            .header(
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request",
            )
            .send(content)
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, installed if it is not.
fn install() -> Option<PathBuf> {
    let folder = common::root().join("target/moto");
    let program = folder.join("bin/moto_server");
    let whole = folder.join("whole");
    if fs::read_to_string(&whole).is_ok_and(|package| package == PACKAGE) {
        return Some(program);
    }
    let run = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    let is_there = run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        && run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", PACKAGE]));
    if !is_there {
        eprintln!("SKIPPED: {PACKAGE} could not be installed from PyPI");
        return None;
    }
    fs::write(whole, PACKAGE).unwrap();
    Some(program)
}

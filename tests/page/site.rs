//! A library of real recordings and a server for it.
//!
//! In: ESC-10. Out: [`Site`], a running `sonoteca serve` on a port of its own, with a copy of the library
//! that its test may change.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common;

/// Kinds of sound that are told apart easily, and how many of each there are.
pub const CLASSES: [&str; 4] = ["dog_bark", "rain", "rooster", "clock_tick"];
pub const OF_EACH: usize = 5;
/// Of each kind so many are labelled, where a test needs labels: the others are left to be judged.
pub const LABELLED: usize = 4;

/// A running server.
pub struct Site {
    pub address: String,
    server: Child,
    folder: PathBuf,
}

fn sonoteca(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonoteca"));
    command.current_dir(folder).env_remove("SONOTECA_LIBRARY");
    command
}

/// The folder with the recordings and their library, made by the first test that needs it.
fn collection() -> Option<&'static Path> {
    static COLLECTION: OnceLock<Option<PathBuf>> = OnceLock::new();
    COLLECTION
        .get_or_init(|| {
            let esc10 = common::shared("data/esc10")?;
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
            let _ = fs::remove_dir_all(&folder);
            for class in CLASSES {
                fs::create_dir_all(folder.join("sounds").join(class)).unwrap();
                let mut files: Vec<_> = fs::read_dir(esc10.join(class))
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
                    .collect();
                files.sort();
                for file in files.iter().step_by(files.len() / OF_EACH).take(OF_EACH) {
                    let name = file.file_name().unwrap();
                    fs::copy(file, folder.join("sounds").join(class).join(name)).unwrap();
                }
            }
            let indexed = sonoteca(&folder).args(["index", "sounds", "-q"]).status().unwrap();
            assert!(indexed.success(), "the recordings were indexed");
            Some(folder)
        })
        .as_deref()
}

/// A file of the collection of that class.
pub fn file_of(class: &str) -> PathBuf {
    let folder = collection().unwrap().join("sounds").join(class);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.swap_remove(0)
}

impl Site {
    /// Starts a server, of a library that `model` has heard too; `None`, said aloud, where there are no
    /// recordings.
    pub fn start(model: Option<&str>) -> Option<Self> {
        let collection = collection()?;
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
        fs::copy(collection.join("sonoteca.db"), folder.join("sonoteca.db")).unwrap();
        if let Some(model) = model {
            let library = folder.join("sonoteca.db");
            let mut index = sonoteca(collection);
            index.args(["index", "sounds", "-q", "--model", model, "--library"]).arg(library);
            assert!(index.status().unwrap().success(), "{model} heard the recordings");
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let log = File::create(folder.join("server.log")).unwrap();
        let server = sonoteca(&folder)
            .args(["serve", "--bind", &address])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut site = Self { address: format!("http://{address}"), server, folder };
        let began = Instant::now();
        while TcpStream::connect(&address).is_err() {
            let ended = site.server.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {}", site.log());
            assert!(began.elapsed() < Duration::from_mins(1), "no server: {}", site.log());
            sleep(Duration::from_millis(50));
        }
        Some(site)
    }

    /// What the server wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

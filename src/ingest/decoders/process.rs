//! The master's side of a decoding process.
//!
//! In: requests. Out: events, as the process gives them. Starts the process when it is needed,
//! ends it when a file takes too long, and tells how it died. Waiting for the network, which
//! holds a decoder up as well, does not count as the file's time.

use std::io::{self, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::super::Cancel;
use super::super::reading::{Event, Request};
use super::nursery::{Child, Nursery};
use super::wire::{self, Answer};
use super::{DecodingLimits, START_DECODER};
use crate::error::{Error, Result};

/// A decoder in a process of its own.
pub(in crate::ingest) struct Client<'a> {
    nursery: &'a Nursery,
    limits: DecodingLimits,
    cancel: &'a Cancel,
    child: Option<Child>,
}

impl<'a> Client<'a> {
    pub(super) fn new(nursery: &'a Nursery, limits: DecodingLimits, cancel: &'a Cancel) -> Self {
        Self { nursery, limits, cancel, child: None }
    }

    pub(super) fn read(
        &mut self,
        request: &Request,
        size_bytes: u64,
        sink: &mut dyn FnMut(Event) -> Result<bool>,
    ) -> Result<()> {
        let child =
            match self.child.take() {
                Some(child) => child,
                None => self.nursery.spawn(self.limits.memory_bytes).map_err(|source| {
                    Error::Io { action: START_DECODER, path: request.path.clone(), source }
                })?,
            };
        let allowed = self.limits.time_for(size_bytes);
        let stream = Patient { stream: &child.stream, left: allowed, cancel: self.cancel };
        match converse(stream, request, sink) {
            Ok(Conversation::Over(result)) => {
                // It waits for the next file.
                self.child = Some(child);
                result
            }
            Ok(Conversation::BrokenOff(result)) => {
                let _ = self.nursery.end(&child);
                result
            }
            Err(_) if self.cancel.is_cancelled() => {
                let _ = self.nursery.end(&child);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let _ = self.nursery.end(&child);
                let limit_s = allowed.as_secs_f64();
                Err(Error::TimeLimit { path: request.path.clone(), limit_s })
            }
            // What it last wrote may be half a frame, so that any other error is its death, too.
            Err(error) => {
                let is_gone = hung_up(&error);
                let status =
                    if is_gone { self.nursery.reap(&child) } else { self.nursery.end(&child) };
                Err(self.death(&request.path, &error, status))
            }
        }
    }

    /// Has the program's errand run on what `asked` says, about the file at `path`.
    pub(super) fn run(&mut self, asked: &[u8], path: &Path, size_bytes: u64) -> Result<Vec<u8>> {
        let child =
            match self.child.take() {
                Some(child) => child,
                None => self.nursery.spawn(self.limits.memory_bytes).map_err(|source| {
                    Error::Io { action: START_DECODER, path: path.to_owned(), source }
                })?,
            };
        let allowed = self.limits.time_for(size_bytes);
        let stream = Patient { stream: &child.stream, left: allowed, cancel: self.cancel };
        match send_errand(stream, asked) {
            Ok(result) => {
                self.child = Some(child);
                result
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let _ = self.nursery.end(&child);
                let limit_s = allowed.as_secs_f64();
                Err(Error::TimeLimit { path: path.to_owned(), limit_s })
            }
            Err(error) => {
                let is_gone = hung_up(&error);
                let status =
                    if is_gone { self.nursery.reap(&child) } else { self.nursery.end(&child) };
                Err(self.death(path, &error, status))
            }
        }
    }

    fn death(&self, path: &Path, error: &io::Error, status: io::Result<ExitStatus>) -> Error {
        let how = match status.ok().map(|status| (status.signal(), status.code())) {
            Some((Some(libc_abort), _))
                if libc_abort == rustix::process::Signal::ABORT.as_raw() =>
            {
                format!(
                    "gave up (signal {libc_abort}); it may take {} MB of memory",
                    self.limits.memory_bytes / 1_000_000
                )
            }
            Some((Some(signal), _)) => format!("was ended by signal {signal}"),
            Some((None, Some(code))) => format!("ended with status {code}"),
            _ => format!("could not be talked to: {error}"),
        };
        Error::DecoderDied { path: path.to_owned(), how }
    }
}

/// A decoder that is not needed any more leaves nothing behind.
impl Drop for Client<'_> {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            let _ = self.nursery.end(&child);
        }
    }
}

/// How talking about a file ended.
enum Conversation {
    /// Everything was said.
    Over(Result<()>),
    /// Enough was heard.
    BrokenOff(Result<()>),
}

fn converse(
    stream: Patient<'_>,
    request: &Request,
    sink: &mut dyn FnMut(Event) -> Result<bool>,
) -> io::Result<Conversation> {
    let mut output = stream.stream;
    wire::write_request(&mut output, request)?;
    let mut answers = BufReader::with_capacity(1 << 16, stream);
    loop {
        let event = match wire::read_answer(&mut answers)? {
            Answer::Failed(error) => return Ok(Conversation::Over(Err(error))),
            Answer::Event(event) => event,
            Answer::Result(_) => return Err(io::ErrorKind::InvalidData.into()),
        };
        let is_last = matches!(event, Event::Same | Event::Ended(_));
        match sink(event) {
            result if is_last => return Ok(Conversation::Over(result.map(drop))),
            Ok(true) => {}
            Ok(false) => return Ok(Conversation::BrokenOff(Ok(()))),
            Err(error) => return Ok(Conversation::BrokenOff(Err(error))),
        }
    }
}

fn send_errand(stream: Patient<'_>, asked: &[u8]) -> io::Result<Result<Vec<u8>>> {
    let mut output = stream.stream;
    wire::write_errand(&mut output, asked)?;
    let mut answers = BufReader::with_capacity(1 << 16, stream);
    match wire::read_answer(&mut answers)? {
        Answer::Result(result) => Ok(Ok(result)),
        Answer::Failed(error) => Ok(Err(error)),
        Answer::Event(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Longest wait before it is asked whether all this is still wanted.
const LOOK_UP_EVERY: Duration = Duration::from_millis(250);

/// Reads while its time lasts; only waiting counts.
struct Patient<'a> {
    stream: &'a UnixStream,
    left: Duration,
    cancel: &'a Cancel,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use io::ErrorKind::{TimedOut, WouldBlock};
        loop {
            if self.left.is_zero() || self.cancel.is_cancelled() {
                return Err(TimedOut.into());
            }
            self.stream.set_read_timeout(Some(self.left.min(LOOK_UP_EVERY)))?;
            let started = Instant::now();
            let read = self.stream.read(buffer);
            self.left = self.left.saturating_sub(started.elapsed());
            match read {
                Err(error) if matches!(error.kind(), TimedOut | WouldBlock) => {}
                read => return read,
            }
        }
    }
}

fn hung_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset)
}

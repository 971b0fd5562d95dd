//! The process that decoding processes are forked from.
//!
//! In: requests of the master, each with one end of a socket. Out: a process at that end, that
//! answers requests for files. A process can be forked safely only while it has a single thread,
//! so the nursery is forked first thing in the program, and has no other ever after. Everything
//! that it and its children have in memory is shared with the master until one of them writes.

use std::io::{self, BufWriter, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};

use fork::{Fork, fork, setsid, waitpid};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};

use super::super::reading::{Event, read_recording};
use super::super::shield;
use super::Errand;
use super::wire::{self, Asked};
use crate::audio::resample::FilterCache;
use crate::error::{Error, Result};

/// Fork a process; eight bytes follow: the memory that it may take.
const SPAWN: u8 = b's';
/// Wait for a process that has ended or is about to; four bytes follow: its id.
const REAP: u8 = b'r';

/// A nursery, from the master's side.
#[derive(Debug)]
pub struct Nursery {
    /// A request and its answer at a time.
    control: Mutex<UnixStream>,
}

/// A decoding process.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) stream: UnixStream,
    process: i32,
}

impl Nursery {
    /// Forks the nursery; `None` when this process has threads already, or cannot be forked.
    pub(super) fn start(errand: Option<Errand>) -> Option<Self> {
        if has_threads() {
            return None;
        }
        let (master, nursery) = UnixStream::pair().ok()?;
        match fork().ok()? {
            Fork::Parent(_) => Some(Self { control: Mutex::new(master) }),
            Fork::Child => {
                drop(master);
                // Ctrl-C at the terminal is for the master, which ends its children in order.
                let _ = setsid();
                // It ends when the master hangs up.
                let _ = nurse(&nursery, errand);
                leave()
            }
        }
    }

    /// Forks a decoding process that may take `memory_bytes` more than it has.
    pub(super) fn spawn(&self, memory_bytes: u64) -> io::Result<Child> {
        let (stream, end) = UnixStream::pair()?;
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        let mut request = vec![SPAWN];
        request.extend(memory_bytes.to_le_bytes());
        send_with_socket(&control, &request, end)?;
        let process = read_number(&mut control)?;
        if process <= 0 {
            return Err(io::Error::from_raw_os_error(-process));
        }
        Ok(Child { stream, process })
    }

    /// Ends `child`, if it has not ended, and says how it did.
    pub(super) fn end(&self, child: &Child) -> io::Result<ExitStatus> {
        if let Some(process) = Pid::from_raw(child.process) {
            // Nobody has reaped it yet, so that no other process can have its id.
            let _ = kill_process(process, Signal::KILL);
        }
        self.reap(child)
    }

    /// Waits for `child`, which has hung up, and says how it ended.
    pub(super) fn reap(&self, child: &Child) -> io::Result<ExitStatus> {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        let mut request = vec![REAP];
        request.extend(child.process.to_le_bytes());
        control.write_all(&request)?;
        read_number(&mut control).map(ExitStatus::from_raw)
    }
}

/// Whether this process has more than one thread; where that cannot be told, it is not assumed.
fn has_threads() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1)
}

fn send_with_socket(control: &UnixStream, request: &[u8], socket: UnixStream) -> io::Result<()> {
    let descriptor = OwnedFd::from(socket);
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    // Nine bytes are sent at once or not at all.
    sendmsg(control, &[IoSlice::new(request)], &mut ancillary, SendFlags::empty())?;
    Ok(())
}

fn read_number(stream: &mut UnixStream) -> io::Result<i32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(i32::from_le_bytes(bytes))
}

/// Answers the master's requests until it hangs up.
fn nurse(mut control: &UnixStream, errand: Option<Errand>) -> io::Result<()> {
    loop {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            control,
            &mut [IoSliceMut::new(&mut byte)],
            &mut ancillary,
            RecvFlags::empty(),
        )?;
        if received.bytes == 0 {
            return Ok(());
        }
        let socket = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
            _ => None,
        });
        let answer = match (byte[0], socket) {
            (SPAWN, Some(socket)) => {
                let mut memory_bytes = [0; 8];
                control.read_exact(&mut memory_bytes)?;
                match fork() {
                    Ok(Fork::Child) => {
                        let memory_bytes = u64::from_le_bytes(memory_bytes);
                        decode_for(&UnixStream::from(socket), memory_bytes, errand);
                        leave()
                    }
                    Ok(Fork::Parent(process)) => process,
                    Err(error) => -error.raw_os_error().unwrap_or(1),
                }
            }
            (REAP, _) => {
                let mut process = [0; 4];
                control.read_exact(&mut process)?;
                waitpid(i32::from_le_bytes(process)).unwrap_or(0)
            }
            _ => return Ok(()),
        };
        control.write_all(&answer.to_le_bytes())?;
    }
}

/// Decodes what is asked for at the other end of `stream`, until it hangs up.
fn decode_for(stream: &UnixStream, memory_bytes: u64, errand: Option<Errand>) {
    end_with_parent();
    limit_memory(memory_bytes);
    let filters = FilterCache::default();
    let mut reader = stream;
    while let Ok(Some(asked)) = wire::read_request(&mut reader) {
        let mut output = BufWriter::with_capacity(1 << 16, stream);
        let request = match (asked, errand) {
            (Asked::Recording(request), _) => request,
            (Asked::Errand(asked), Some(errand)) => {
                let done = shield::catch(Path::new(""), || errand(&asked));
                let told = match done {
                    Ok(result) => wire::write_result(&mut output, &result),
                    Err(error) => wire::write_failure(&mut output, &error),
                };
                if told.and_then(|()| output.flush()).is_err() {
                    return;
                }
                continue;
            }
            // Nobody asks a program without errands for one.
            (Asked::Errand(_), None) => return,
        };
        let mut send = |event: Event| {
            // A master that has hung up wants nothing more.
            wire::write_event(&mut output, &event).map(|()| true).map_err(|source| Error::Io {
                action: "hand on",
                path: request.path.clone(),
                source,
            })
        };
        let result: Result<()> =
            shield::catch(&request.path, || read_recording(&request, &filters, &mut send));
        let told = match result {
            Ok(()) => Ok(()),
            Err(error) => wire::write_failure(&mut output, &error),
        };
        if told.and_then(|()| output.flush()).is_err() {
            return;
        }
    }
}

/// Makes the kernel end this process when the nursery ends, even in the middle of a file.
#[cfg(target_os = "linux")]
fn end_with_parent() {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent() {}

/// Bounds what this process may take beyond what it has. Where the system knows no such bound,
/// there is none.
fn limit_memory(memory_bytes: u64) {
    let limit = data_bytes().saturating_add(memory_bytes);
    setrlimit(Resource::Data, Rlimit { current: Some(limit), maximum: Some(limit) }).ok();
}

/// Bytes of data that this process has, libtorch's included.
fn data_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kilobytes: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    // Where it cannot be told: far more than it is.
    kilobytes.unwrap_or(1 << 20) * 1024
}

/// Ends a forked process without going back into the program that it is a copy of.
#[expect(clippy::exit, reason = "the copy of a program has nothing to return to")]
fn leave() -> ! {
    std::process::exit(0)
}

//! Ctrl-C, where nothing has to be brought to an end: what was begun goes away, and the process with
//! it.
//!
//! In: a signal. Out: the exit status of what failed. Commands that stop after what is in hand have a
//! handler of their own, which ends here the second time.

use sonoteca::files::remove_unfinished;

use super::Status;
use super::printer::say;

/// From now on, Ctrl-C removes files that are not whole. Without it the process would end at once,
/// and leave them under their temporary names.
pub(crate) fn clean_up() {
    // Where there is a handler already, that one removes them.
    let _ = ctrlc::set_handler(|| {
        say(format_args!("\ninterrupted; what was not whole was removed"));
        stop_at_once();
    });
}

/// Ends the process, without what it has not finished.
#[expect(clippy::exit, reason = "asked for")]
pub(crate) fn stop_at_once() {
    remove_unfinished();
    std::process::exit(i32::from(Status::Failed.code()))
}

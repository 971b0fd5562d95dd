//! A panic while one file is read costs that file only.
//!
//! In: work on a file. Out: its result, or the panic as an error. Decoders meet every kind of
//! damage there is; ours and symphonia's are not meant to panic, and a night's work should not
//! depend on it.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::error::{Error, Result};

thread_local! {
    static SHIELDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on the file at `path`.
pub(super) fn catch<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    SHIELDED.set(true);
    // What `work` leaves half done is reset before the next file.
    let result = catch_unwind(AssertUnwindSafe(work));
    SHIELDED.set(false);
    result.unwrap_or_else(|panic| {
        Err(Error::Panic { path: path.to_owned(), message: message_of(&*panic) })
    })
}

/// Keeps panics that become errors from being printed as well; all others are printed as ever.
/// For programs to call once, when they start.
pub fn silence_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !SHIELDED.get() {
            print(panic);
        }
    }));
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_of_that_file() {
        silence_panics();
        let error = catch::<()>(Path::new("a.wav"), || panic!("index {} out of bounds", 7));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("a.wav") && text.contains("index 7 out of bounds"), "{text}");
        assert_eq!(catch(Path::new("b.wav"), || Ok(3)).unwrap(), 3);
    }
}

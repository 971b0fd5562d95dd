//! Work that gives way to others.
//!
//! In: nothing. Out: a thread, and those that it starts, that the system lets wait while others
//! have something to do: a search should not feel that something is being indexed.

/// How much lower the priority becomes: at ten, a thread gets a tenth of what an ordinary one does.
#[cfg(target_os = "linux")]
const STEPS: i32 = 10;

/// Lowers the priority of this thread and of those that it starts from now on, where the system
/// knows priorities of threads.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    {
        // Where that is refused, it only takes more than it should.
        let _ = rustix::process::nice(STEPS);
    }
}

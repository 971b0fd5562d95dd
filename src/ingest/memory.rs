//! How much memory indexing may take, and what follows from it.
//!
//! In: a limit in bytes, and the number of jobs wanted. Out: [`Share`]: as many jobs as fit, and
//! the bounds of what they hold. The figures below were measured (see `benches/growth.py`).

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::error::{Error, Result};

/// What the program takes before its first job: libtorch, the weights, SQLite, and the plan.
const BASE_BYTES: u64 = 220_000_000;
/// What a job takes for each network: its maps and scratch space, its decoder, its patches on the way.
const JOB_BYTES: u64 = 70_000_000;

/// Batches on the way to the network, for each job: enough that one is always full.
pub(super) const BATCHES_PER_JOB: usize = 4;

/// Least and most that a decoder may take: the largest that was seen took 30 MB.
const DECODER_BYTES: (u64, u64) = (128_000_000, 1_000_000_000);

/// What indexing may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Files decoded, and batches embedded, at once.
    pub(super) jobs: usize,
    /// Memory that one decoder may take before it is a file's fault.
    pub(super) decoder_bytes: u64,
}

/// Half of the memory that is free now, in bytes: the rest is other programs' and the disk
/// cache's.
pub fn sensible_limit() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let free = match system.cgroup_limits() {
        Some(limits) => limits.free_memory.min(system.available_memory()),
        None => system.available_memory(),
    };
    free / 2
}

/// What `jobs` jobs of so many networks may take of `limit_bytes`: fewer jobs, where they do not
/// fit.
///
/// # Errors
/// [`Error::TooLittleMemory`] when not even one fits.
pub(super) fn share(jobs: usize, networks: usize, limit_bytes: u64) -> Result<Share> {
    let job_bytes = JOB_BYTES * networks.max(1) as u64;
    let fitting = limit_bytes.saturating_sub(BASE_BYTES) / job_bytes;
    if fitting == 0 {
        let megabyte = 1_000_000;
        return Err(Error::TooLittleMemory {
            allowed_mb: limit_bytes / megabyte,
            least_mb: (BASE_BYTES + job_bytes) / megabyte,
        });
    }
    let jobs = jobs.min(usize::try_from(fitting).unwrap_or(usize::MAX)).max(1);
    let (least, most) = DECODER_BYTES;
    Ok(Share { jobs, decoder_bytes: (limit_bytes / 2).clamp(least, most) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_do_not_fit_are_not_started() {
        assert_eq!(share(4, 1, 10_000_000_000).unwrap().jobs, 4);
        assert_eq!(share(64, 1, 500_000_000).unwrap().jobs, 4);
        assert_eq!(share(2, 1, 300_000_000).unwrap().jobs, 1);
        let error = share(2, 1, 100_000_000).unwrap_err().to_string();
        assert!(error.contains("100 MB") && error.contains("290 MB"), "{error}");
        assert!(sensible_limit() > 0);
    }
}

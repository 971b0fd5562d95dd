//! How much memory indexing may take, and what follows from it.
//!
//! In: a limit in bytes, and the number of jobs wanted. Out: [`Share`]: as many jobs as fit, and
//! the bounds of what they hold. The figure below and those of the cards were measured: the program's
//! own as in `benches/growth.py`, a network's by indexing the same files with one, two and four jobs.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::error::{Error, Result};
use crate::model::card::MemoryNeed;

/// What the program takes before its first network: libtorch, SQLite, and the plan.
const BASE_MB: u64 = 200;
const MEGABYTE: u64 = 1_000_000;

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

/// What `jobs` jobs of these networks may take of `limit_bytes`: fewer jobs, where they do not
/// fit.
///
/// # Errors
/// [`Error::TooLittleMemory`] when not even one fits.
pub(super) fn share(jobs: usize, networks: &[MemoryNeed], limit_bytes: u64) -> Result<Share> {
    let base_mb = networks.iter().fold(BASE_MB, |sum, need| sum.saturating_add(need.network_mb));
    let job_mb = networks.iter().fold(0, |sum: u64, need| sum.saturating_add(need.job_mb)).max(1);
    let allowed_mb = limit_bytes / MEGABYTE;
    let fitting = allowed_mb.saturating_sub(base_mb) / job_mb;
    if fitting == 0 {
        let least_mb = base_mb.saturating_add(job_mb);
        return Err(Error::TooLittleMemory { allowed_mb, least_mb });
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
        let small = MemoryNeed { network_mb: 20, job_mb: 70 };
        let large = MemoryNeed { network_mb: 300, job_mb: 140 };
        assert_eq!(share(4, &[small], 10_000_000_000).unwrap().jobs, 4);
        assert_eq!(share(64, &[small], 500_000_000).unwrap().jobs, 4);
        assert_eq!(share(64, &[small, large], 1_000_000_000).unwrap().jobs, 2);
        assert_eq!(share(2, &[small], 300_000_000).unwrap().jobs, 1);
        let error = share(2, &[small], 100_000_000).unwrap_err().to_string();
        assert!(error.contains("100 MB") && error.contains("290 MB"), "{error}");
        assert!(sensible_limit() > 0);
    }
}

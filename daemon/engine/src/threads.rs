//! The threads that networks run on.

use std::num::NonZeroUsize;

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// Starts them: so many, or one for each processor that this process may use.
///
/// If there is one for each, each keeps to its own. A system that was idle may otherwise let two of them take turns
/// on one processor beside another that has nothing to do, for as long as a preview takes.
///
/// # Errors
/// If the system has no threads left, or they run already.
pub fn start_threads(count: Option<NonZeroUsize>) -> Result<(), ThreadPoolBuildError> {
    let builder = ThreadPoolBuilder::new().num_threads(count.map_or(0, NonZeroUsize::get));
    builder.start_handler(keep_to_one).build_global()
}

/// Keeps the calling thread, the `index`th of its pool, to a processor of its own, where that is possible.
#[cfg(target_os = "linux")]
fn keep_to_one(index: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    // What fails here was only a hint.
    let Ok(usable) = sched_getaffinity(None) else { return };
    let processors: Vec<_> = (0..CpuSet::MAX_CPU).filter(|i| usable.is_set(*i)).collect();
    if processors.len() != rayon::current_num_threads() {
        return;
    }
    let mut own = CpuSet::new();
    own.set(processors[index]);
    let _ = sched_setaffinity(None, &own);
}

#[cfg(not(target_os = "linux"))]
fn keep_to_one(_: usize) {}

//! What belongs to the whole process: its allocators, and the threads of libraries.
#![allow(unsafe_code, reason = "allocators are called in C, and the environment belongs to all threads")]

use std::env;

/// Has mimalloc give back to the system what it keeps of freed memory: of the calling thread, and what belongs to no thread.
/// In a program with another allocator it does nothing that is seen.
pub fn give_memory_back() {
    // SAFETY: it may be called at any time, on any thread, and touches no memory that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Prepares the process for drawing and training. To be called before any thread starts: it changes the environment.
///
/// - mimalloc keeps freed memory for so long that the next band, or the next step of a training, gets it again: it would
///   give it back after milliseconds, and the system would clear every page of it anew. [`give_memory_back`] ends that.
/// - candle has threads of its own beside rayon's, and the one that waits for them spins: with as many threads as processors
///   they take turns with those that compute. It gets none.
/// - The C library's allocator keeps to one heap.
pub fn prepare_process() {
    keep_to_one_c_heap();
    // SAFETY: it sets a number, which mimalloc reads as an atomic.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, KEPT_MS) };
    if env::var_os(CANDLE_THREADS).is_none() {
        // SAFETY: the caller starts threads later, so that nobody reads the environment now.
        unsafe { env::set_var(CANDLE_THREADS, "1") };
    }
}

/// `mi_option_purge_delay` of mimalloc 2 and 3, which the crate doesn't name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Longer than a step of a training takes.
const KEPT_MS: std::ffi::c_long = 10_000;
const CANDLE_THREADS: &str = "CANDLE_NUM_THREADS";

/// Keeps the C library's own allocator to one heap. It would reserve 64 MiB of addresses for each thread, for the little
/// that C takes, and so use up a limit on these.
fn keep_to_one_c_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number of the allocator's, under its own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

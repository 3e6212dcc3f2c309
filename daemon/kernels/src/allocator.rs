//! The allocator's memory, which Rust's interface to allocators knows nothing of.
#![allow(unsafe_code, reason = "it is called in C")]

/// Has mimalloc give back to the system what it keeps of freed memory: of the calling thread, and what belongs to no thread.
/// In a program with another allocator it does nothing that is seen.
pub fn give_memory_back() {
    // SAFETY: it may be called at any time, on any thread, and touches no memory that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Keeps the C library's own allocator to one heap. It would reserve 64 MiB of addresses for each thread, for the little
/// that C takes, and so use up a limit on these. To be called before threads start.
pub fn keep_to_one_c_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number of the allocator's, under its own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

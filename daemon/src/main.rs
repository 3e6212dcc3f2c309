//! The program `utsushi`: see [`utsushi::cli`].

use std::process::ExitCode;

/// Gives memory back to the system when pictures are done, which the C library's allocator mostly doesn't.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    utsushi::cli::run(std::env::args_os())
}

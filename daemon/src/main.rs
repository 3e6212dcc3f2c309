//! The program `utsushi`: see [`utsushi::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    utsushi::cli::run(std::env::args_os())
}

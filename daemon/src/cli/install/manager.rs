//! The user's manager of systemd's, which is told of units that come and go.

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Does one run, in whose session this is?
pub(super) fn is_there() -> bool {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|runtime| runtime.is_absolute());
    runtime.is_some_and(|runtime| runtime.join("systemd/private").exists())
}

/// Has `systemctl --user` do something.
pub(super) fn run(args: &[&str]) -> io::Result<()> {
    let mut systemctl = Command::new("systemctl");
    let output = systemctl.arg("--user").args(args).stdin(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

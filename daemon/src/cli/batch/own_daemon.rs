//! A daemon for this process alone, as a task on a farm needs it: no session of a desktop, no home to write to, nothing
//! shared with other tasks.
//!
//! Its socket and log lie in a folder in `$TMPDIR`, or in `/tmp` where the former isn't there, as it may be on one
//! machine and not on another, or is too long for a socket's path. It draws on the cores that the task was given, and
//! ends with this process, in whatever way that ends (`utsushi serve --parent`).

use std::fs::Permissions;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;
use tempfile::{Builder, TempDir};
use utsushi_ipc::client::{self, Starter};

use super::super::Address;

/// What a socket's path may have, with room for the folder's name.
const MAX_FOLDER_BYTES: usize = 70;

/// Where the daemon is. It is stopped when this is dropped.
pub(super) struct OwnDaemon {
    folder: TempDir,
}

impl OwnDaemon {
    /// Makes its folder. It is started by the first who connects.
    pub(super) fn new() -> anyhow::Result<Self> {
        let closed = || Permissions::from_mode(0o700);
        let make = |place: &Path| Builder::new().prefix("utsushi-").permissions(closed()).tempdir_in(place);
        let told = std::env::temp_dir();
        let is_short = told.as_os_str().len() <= MAX_FOLDER_BYTES;
        let folder = Some(&told).filter(|_| is_short).and_then(|told| make(told).ok());
        let folder = folder.map_or_else(|| make(Path::new("/tmp")), Ok);
        let folder = folder.with_context(|| {
            let told = told.display();
            format!("no folder for the daemon's socket, in {told} or /tmp; set TMPDIR to one that can be written to")
        })?;
        Ok(Self { folder })
    }

    /// Its address, for `program` as the daemon.
    pub(super) fn address(&self, program: PathBuf) -> Address {
        let parent = std::process::id().to_string();
        let args =
            ["serve", "--parent", &parent, "--threads", &threads().to_string()].map(Into::into).to_vec();
        let starter = Starter { program, args, log: self.folder.path().join("daemon.log") };
        Address { socket: self.socket(), is_named: true, starter }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("daemon.sock")
    }
}

impl Drop for OwnDaemon {
    fn drop(&mut self) {
        // One that isn't there, or doesn't answer, ends with this process.
        let _ = client::stop(&self.socket());
    }
}

/// As many cores as this process may use, by its affinity and its control group, or fewer if Slurm has said so.
fn threads() -> NonZeroUsize {
    let usable = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    at_most(usable, std::env::var("SLURM_CPUS_PER_TASK").ok().as_deref())
}

fn at_most(usable: NonZeroUsize, told: Option<&str>) -> NonZeroUsize {
    let told: Option<NonZeroUsize> = told.and_then(|told| told.parse().ok());
    told.map_or(usable, |told| told.min(usable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slurm_may_give_fewer_cores() {
        fn check(usable: usize, told: Option<&str>, expected: usize) {
            let found = at_most(NonZeroUsize::new(usable).unwrap(), told);
            assert_eq!(found.get(), expected, "{usable} {told:?}");
        }
        check(4, None, 4);
        check(4, Some("2"), 2);
        check(4, Some("16"), 4);
        check(4, Some("0"), 4);
        check(4, Some("all"), 4);
    }

    #[test]
    fn its_folder_is_closed_to_others_and_goes_with_it() {
        let own = OwnDaemon::new().unwrap();
        let folder = own.folder.path().to_owned();
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(own);
        assert!(!folder.exists());
    }
}

//! Writing a file so that it is there as a whole, or not at all.

use std::fs::{self, File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use utsushi_engine::unfinished;

use super::{BUFFER_BYTES, Problem};

/// Lets `fill` write a temporary file in the target's folder, and gives it the target's name when it is safely on
/// the disk. If anything fails, the temporary file is removed, and what was there before is as it was.
///
/// A new file gets the permissions that any program's new files get (0666 less the umask), a replaced one keeps
/// its own. A symbolic link stays, and the file it points at is replaced.
pub(super) fn replace(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let before = fs::metadata(path).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        return Err(Problem::NotAFile);
    }
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = unfinished(&target, Permissions::from_mode(0o666)).map_err(Problem::Write)?;

    let mut out = BufWriter::with_capacity(BUFFER_BYTES, temporary.as_file());
    fill(&mut out)?;
    out.flush().map_err(Problem::Write)?;
    drop(out);

    if let Some(before) = before {
        temporary.as_file().set_permissions(before.permissions()).map_err(Problem::Write)?;
    }
    temporary.as_file().sync_all().map_err(Problem::Write)?;
    temporary.persist(&target).map_err(|error| Problem::Write(error.error))?;
    Ok(())
}

//! Our folder among GIMP's plug-ins: what has to be done to it, and doing it.
//!
//! ```text
//! plug-ins/utsushi-gimp/utsushi-gimp   the plug-in; GIMP wants it to be called as its folder
//! plug-ins/utsushi-gimp/utsushi        the daemon, which the plug-in looks for beside itself first
//! ```
//!
//! Files of other names in the folder are somebody else's.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The name of the plug-in, and of its folder.
pub(super) const PLUG_IN: &str = "utsushi-gimp";
const DAEMON: &str = "utsushi";

/// A program that all may run.
const MODE: u32 = 0o755;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A new file.
    Install { from: PathBuf, to: PathBuf },
    /// A file in the place of another.
    Update { from: PathBuf, to: PathBuf },
    /// Nothing: the file is as it should be.
    Leave(PathBuf),
    /// A file goes.
    Remove(PathBuf),
    /// A folder goes, which is empty by then.
    RemoveFolder(PathBuf),
    /// Nothing: the folder isn't ours alone.
    LeaveFolder(PathBuf),
}

/// The steps after which `folder` has this plug-in and this daemon, or no daemon. The plug-in comes last, so that GIMP
/// never finds it without its daemon.
pub(super) fn installation(folder: &Path, plug_in: &Path, daemon: Option<&Path>) -> io::Result<Vec<Step>> {
    let mut steps = Vec::new();
    match daemon {
        Some(daemon) => steps.push(placing(daemon, folder.join(DAEMON))?),
        // It would be taken instead of the one that is meant to be.
        None => steps.extend(removing(folder.join(DAEMON))?),
    }
    steps.push(placing(plug_in, folder.join(PLUG_IN))?);
    Ok(steps)
}

/// The steps after which `folder` has nothing of ours; none if that is so already.
pub(super) fn removal(folder: &Path) -> io::Result<Vec<Step>> {
    let Some(metadata) = if_there(fs::symlink_metadata(folder))? else { return Ok(Vec::new()) };
    let mut steps = Vec::new();
    for name in [PLUG_IN, DAEMON] {
        steps.extend(removing(folder.join(name))?);
    }
    let others = fs::read_dir(folder)?.count().saturating_sub(steps.len());
    if others == 0 && metadata.is_dir() {
        steps.push(Step::RemoveFolder(folder.to_path_buf()));
    } else if !steps.is_empty() {
        steps.push(Step::LeaveFolder(folder.to_path_buf()));
    }
    Ok(steps)
}

fn placing(from: &Path, to: PathBuf) -> io::Result<Step> {
    let from = from.to_path_buf();
    Ok(match if_there(fs::symlink_metadata(&to))? {
        None => Step::Install { from, to },
        Some(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Some(found)
            if found.is_file()
                && found.permissions().mode() & 0o7777 == MODE
                && have_same_content(&from, &to)? =>
        {
            Step::Leave(to)
        }
        Some(_) => Step::Update { from, to },
    })
}

/// A folder of that name isn't ours.
fn removing(file: PathBuf) -> io::Result<Option<Step>> {
    let found = if_there(fs::symlink_metadata(&file))?;
    Ok(found.filter(|found| !found.is_dir()).map(|_| Step::Remove(file)))
}

/// Are these two files the same, byte for byte?
pub(super) fn have_same_content(one: &Path, other: &Path) -> io::Result<bool> {
    Ok(fs::metadata(one)?.len() == fs::metadata(other)?.len() && fs::read(one)? == fs::read(other)?)
}

fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

impl Step {
    pub(super) fn take(&self) -> io::Result<()> {
        match self {
            Self::Install { from, to } | Self::Update { from, to } => put(from, to),
            Self::Remove(file) => fs::remove_file(file),
            Self::RemoveFolder(folder) => fs::remove_dir(folder),
            Self::Leave(_) | Self::LeaveFolder(_) => Ok(()),
        }
    }

    pub(super) fn changes(&self) -> bool {
        !matches!(self, Self::Leave(_) | Self::LeaveFolder(_))
    }

    /// What it is about.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Install { to, .. } | Self::Update { to, .. } => to,
            Self::Leave(path) | Self::Remove(path) | Self::RemoveFolder(path) | Self::LeaveFolder(path) => {
                path
            }
        }
    }

    /// The step in words, before it.
    pub(super) fn plan(&self) -> String {
        self.words(["would install", "would update", "would remove"])
    }

    /// The step in words, after it.
    pub(super) fn report(&self) -> String {
        self.words(["installed", "updated", "removed"])
    }

    fn words(&self, [install, update, remove]: [&str; 3]) -> String {
        let path = self.path().display();
        match self {
            Self::Install { .. } => format!("{install} {path}"),
            Self::Update { .. } => format!("{update} {path}"),
            Self::Remove(_) | Self::RemoveFolder(_) => format!("{remove} {path}"),
            Self::Leave(_) => format!("{path} is up to date"),
            Self::LeaveFolder(_) => format!("left {path}, which has other files, or is a link"),
        }
    }
}

/// Copies a program under another name first, so that a GIMP that starts just now never sees half of it, and one that
/// runs keeps what it has. A hard link would be cheaper, but the next build might write into it, and what is for all
/// users would belong to one of them.
fn put(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    make(folder)?;
    let mut temporary = tempfile::Builder::new().prefix(".utsushi-").suffix(".tmp").tempfile_in(folder)?;
    io::copy(&mut File::open(from)?, temporary.as_file_mut())?;
    temporary.as_file().set_permissions(Permissions::from_mode(MODE))?;
    temporary.as_file().sync_all()?;
    temporary.persist(to).map_err(|error| error.error)?;
    Ok(())
}

/// A new folder is one that all may enter, whatever the caller's umask.
fn make(folder: &Path) -> io::Result<()> {
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(MODE))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A plug-in and a daemon to install, and `ours`, the folder for them.
    struct Case {
        root: tempfile::TempDir,
    }

    impl Case {
        /// In `ours`, `name=content` is a file that all may run, `name:content` one that nobody may, `name/` a folder.
        fn new(files: &str) -> Self {
            let root = tempfile::tempdir().expect("a folder");
            fs::write(root.path().join("plug-in"), "plug").expect("written");
            fs::write(root.path().join("daemon"), "daemon").expect("written");
            let ours = root.path().join("ours");
            for file in files.split_whitespace() {
                fs::create_dir_all(&ours).expect("made");
                if let Some(folder) = file.strip_suffix('/') {
                    fs::create_dir(ours.join(folder)).expect("made");
                    continue;
                }
                let (name, content) = file.split_once(['=', ':']).expect("a file");
                fs::write(ours.join(name), content).expect("written");
                let mode = if file.contains('=') { MODE } else { 0o644 };
                fs::set_permissions(ours.join(name), Permissions::from_mode(mode)).expect("set");
            }
            Self { root }
        }

        fn ours(&self) -> PathBuf {
            self.root.path().join("ours")
        }

        fn installation(&self, daemon: Option<&str>) -> io::Result<Vec<Step>> {
            let daemon = daemon.map(|daemon| self.root.path().join(daemon));
            installation(&self.ours(), &self.root.path().join("plug-in"), daemon.as_deref())
        }

        fn words(&self, steps: &[Step]) -> String {
            let parent = format!("{}/", self.root.path().display());
            steps.iter().map(|step| step.plan().replace(&parent, "")).collect::<Vec<_>>().join("; ")
        }

        fn take(&self, steps: &[Step]) {
            steps.iter().for_each(|step| step.take().expect("taken"));
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.ours()).into_iter().flatten().flatten();
            let mut names: Vec<_> =
                entries.map(|entry| entry.file_name().into_string().expect("plain")).collect();
            names.sort();
            names
        }
    }

    #[test]
    fn installing() {
        fn check(files: &str, daemon: Option<&str>, expected: &str, names: &[&str]) {
            let case = Case::new(files);
            let before = case.names();
            let steps = case.installation(daemon).expect("steps");
            assert_eq!(case.words(&steps), expected, "{files}");
            assert_eq!(case.names(), before, "{files}: planning changes nothing");

            case.take(&steps);
            assert_eq!(case.names(), names, "{files}");
            assert_eq!(fs::read(case.ours().join(PLUG_IN)).expect("a file"), b"plug", "{files}");
            let again = case.installation(daemon).expect("steps");
            assert!(again.iter().all(|step| !step.changes()), "{files}: {again:?}");
        }
        let both = ["utsushi", "utsushi-gimp"];
        check("", Some("daemon"), "would install ours/utsushi; would install ours/utsushi-gimp", &both);
        check("", None, "would install ours/utsushi-gimp", &["utsushi-gimp"]);
        check(
            "utsushi=daemon utsushi-gimp=old",
            Some("daemon"),
            "ours/utsushi is up to date; would update ours/utsushi-gimp",
            &both,
        );
        check(
            "utsushi=daemon utsushi-gimp:plug",
            Some("daemon"),
            "ours/utsushi is up to date; would update ours/utsushi-gimp",
            &both,
        );
        check(
            "utsushi=old utsushi-gimp=plug",
            None,
            "would remove ours/utsushi; ours/utsushi-gimp is up to date",
            &["utsushi-gimp"],
        );
        check(
            "notes:mine",
            Some("daemon"),
            "would install ours/utsushi; would install ours/utsushi-gimp",
            &["notes", "utsushi", "utsushi-gimp"],
        );
    }

    #[test]
    fn uninstalling() {
        fn check(files: &str, expected: &str, names: &[&str]) {
            let case = Case::new(files);
            let steps = removal(&case.ours()).expect("steps");
            assert_eq!(case.words(&steps), expected, "{files}");
            case.take(&steps);
            assert_eq!(case.names(), names, "{files}");
            assert_eq!(case.ours().exists(), !names.is_empty(), "{files}");
            assert_eq!(removal(&case.ours()).expect("steps"), [], "{files}");
        }
        let all = "would remove ours/utsushi-gimp; would remove ours/utsushi; ";
        let left = "left ours, which has other files, or is a link";
        check("", "", &[]);
        check("utsushi-gimp=plug utsushi=daemon", &format!("{all}would remove ours"), &[]);
        check("utsushi-gimp=plug", "would remove ours/utsushi-gimp; would remove ours", &[]);
        check("utsushi-gimp=plug utsushi=daemon notes:mine", &format!("{all}{left}"), &["notes"]);
        check("notes:mine", "", &["notes"]);
        check("utsushi-gimp=plug utsushi/", &format!("would remove ours/utsushi-gimp; {left}"), &["utsushi"]);
    }

    #[test]
    fn links_are_replaced_and_not_followed() {
        let case = Case::new("");
        fs::create_dir(case.ours()).expect("made");
        fs::write(case.root.path().join("built"), "built").expect("written");
        symlink(case.root.path().join("built"), case.ours().join(PLUG_IN)).expect("made");
        case.take(&case.installation(None).expect("steps"));
        assert!(fs::symlink_metadata(case.ours().join(PLUG_IN)).expect("there").is_file());
        assert_eq!(fs::read(case.root.path().join("built")).expect("a file"), b"built");

        let elsewhere = case.root.path().join("elsewhere");
        fs::rename(case.ours(), &elsewhere).expect("moved");
        symlink(&elsewhere, case.ours()).expect("made");
        case.take(&removal(&case.ours()).expect("steps"));
        assert!(case.ours().is_symlink() && case.names().is_empty());
    }

    #[test]
    fn a_folder_in_the_plug_ins_place_is_an_error() {
        let error = Case::new("utsushi-gimp/").installation(None).expect_err("a folder");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}

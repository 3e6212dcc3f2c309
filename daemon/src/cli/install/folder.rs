//! Our folders among GIMP's plug-ins and GEGL's: what has to be done to them, and doing it.
//!
//! ```text
//! plug-ins/utsushi-gimp/utsushi-gimp               the plug-in; GIMP wants it to be called as its folder
//! plug-ins/utsushi-gimp/utsushi                    the daemon, which the plug-in looks for beside itself first
//! gegl-0.4/plug-ins/utsushi/libutsushi_gegl.so     the operation; GEGL looks into all folders
//! gegl-0.4/plug-ins/utsushi/utsushi                the daemon, for which it looks as the plug-in does
//! ```
//!
//! Files of other names in the folder are somebody else's. What a desktop and systemd read ([`super::desktop`]) is put
//! into their folders by the same steps.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use utsushi_engine::{leftovers_in, remove_leftover, unfinished};

use super::seal;

/// The name of the plug-in, and of its folder.
pub(super) const PLUG_IN: &str = "utsushi-gimp";
/// The operation for GEGL, and its folder.
pub(super) const OPERATION: &str = "libutsushi_gegl.so";
pub(super) const OPERATION_FOLDER: &str = "utsushi";
/// The name of the daemon beside them.
pub(super) const DAEMON: &str = "utsushi";

/// A program that all may run, and a folder that all may enter.
const MODE: u32 = 0o755;

/// What a file is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A copy of this program.
    Program(PathBuf),
    /// A text that all may read, with its seal.
    Text(String),
    /// A file of ours that all may read.
    Catalogue(&'static [u8]),
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A new file.
    Install { from: Source, to: PathBuf },
    /// A file in the place of another.
    Update { from: Source, to: PathBuf },
    /// Nothing: the file is as it should be.
    Leave(PathBuf),
    /// Nothing: the file was changed, or is somebody else's.
    Keep(PathBuf),
    /// A file goes.
    Remove(PathBuf),
    /// A file goes that was left by an installation which was killed.
    Clear(PathBuf),
    /// A folder goes, which is empty by then.
    RemoveFolder(PathBuf),
    /// Nothing: the folder isn't ours alone.
    LeaveFolder(PathBuf),
}

/// The steps after which `folder` has this program, by this name, and this daemon, or no daemon, and what comes by these
/// steps. The program comes last, so that GIMP never finds it without its daemon.
pub(super) fn installation(
    folder: &Path,
    (name, program): (&str, &Path),
    daemon: Option<&Path>,
    also: Vec<Step>,
) -> io::Result<Vec<Step>> {
    let mut steps = clearing(folder);
    match daemon {
        Some(daemon) => steps.push(placing(Source::Program(daemon.to_path_buf()), folder.join(DAEMON))?),
        // It would be taken instead of the one that is meant to be.
        None => steps.extend(removing(folder.join(DAEMON))?),
    }
    steps.extend(also);
    steps.push(placing(Source::Program(program.to_path_buf()), folder.join(name))?);
    Ok(steps)
}

/// The steps after which `folder` has nothing of ours, which has these names, and is removed by these steps; none if that is
/// so already.
pub(super) fn removal(folder: &Path, ours: &[&str], also: Vec<Step>) -> io::Result<Vec<Step>> {
    let Some(metadata) = if_there(fs::symlink_metadata(folder))? else { return Ok(Vec::new()) };
    let mut steps = clearing(folder);
    for name in ours {
        steps.extend(removing(folder.join(name))?);
    }
    steps.extend(also);
    let gone = steps.iter().filter(|step| step.path().parent() == Some(folder)).count();
    let others = fs::read_dir(folder)?.count().saturating_sub(gone);
    if others == 0 && metadata.is_dir() {
        steps.push(Step::RemoveFolder(folder.to_path_buf()));
    } else if !steps.is_empty() {
        steps.push(Step::LeaveFolder(folder.to_path_buf()));
    }
    Ok(steps)
}

/// The steps after which a folder has nothing that was half written.
pub(super) fn clearing(folder: &Path) -> Vec<Step> {
    leftovers_in(folder).into_iter().map(Step::Clear).collect()
}

/// The step after which the file is there. A text that isn't as it was written stays as it is.
pub(super) fn placing(from: Source, to: PathBuf) -> io::Result<Step> {
    let Some(found) = if_there(fs::symlink_metadata(&to))? else { return Ok(Step::Install { from, to }) };
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if matches!(from, Source::Text(_)) && !is_sealed(&to) {
        return Ok(Step::Keep(to));
    }
    let is_so =
        found.is_file() && found.permissions().mode() & 0o7777 == from.mode() && from.is_content_of(&to)?;
    Ok(if is_so { Step::Leave(to) } else { Step::Update { from, to } })
}

/// The step after which a text of ours is gone, if there is a file.
pub(super) fn removing_text(file: PathBuf) -> io::Result<Option<Step>> {
    let found = if_there(fs::symlink_metadata(&file))?;
    Ok(found.map(|_| if is_sealed(&file) { Step::Remove(file) } else { Step::Keep(file) }))
}

/// Is it a file that was written by [`Step::take`], and not changed since?
fn is_sealed(file: &Path) -> bool {
    let is_file = fs::symlink_metadata(file).is_ok_and(|found| found.is_file());
    is_file && fs::read_to_string(file).is_ok_and(|text| seal::is_whole(&text))
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

impl Source {
    fn mode(&self) -> u32 {
        match self {
            Self::Program(_) => MODE,
            Self::Text(_) | Self::Catalogue(_) => 0o644,
        }
    }

    fn is_content_of(&self, file: &Path) -> io::Result<bool> {
        match self {
            Self::Program(program) => have_same_content(program, file),
            Self::Text(text) => Ok(fs::read(file)? == text.as_bytes()),
            Self::Catalogue(bytes) => Ok(fs::read(file)? == *bytes),
        }
    }
}

impl Step {
    pub(super) fn take(&self) -> io::Result<()> {
        match self {
            Self::Install { from, to } | Self::Update { from, to } => put(from, to),
            Self::Remove(file) => fs::remove_file(file),
            Self::Clear(file) => {
                remove_leftover(file);
                Ok(())
            }
            Self::RemoveFolder(folder) => fs::remove_dir(folder),
            Self::Leave(_) | Self::Keep(_) | Self::LeaveFolder(_) => Ok(()),
        }
    }

    pub(super) fn changes(&self) -> bool {
        !matches!(self, Self::Leave(_) | Self::Keep(_) | Self::LeaveFolder(_))
    }

    /// What it is about.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Install { to, .. } | Self::Update { to, .. } => to,
            Self::Leave(path)
            | Self::Keep(path)
            | Self::Remove(path)
            | Self::Clear(path)
            | Self::RemoveFolder(path)
            | Self::LeaveFolder(path) => path,
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
            Self::Clear(_) => format!("{remove} {path}, of an installation that broke off"),
            Self::Leave(_) => format!("{path} is up to date"),
            Self::Keep(_) => format!("left {path}, which was changed, or written by another program"),
            Self::LeaveFolder(_) => format!("left {path}, which has other files, or is a link"),
        }
    }
}

/// Writes a file under another name first, so that a GIMP that starts just now never sees half of a program, and one that
/// runs keeps what it has. A hard link would be cheaper, but the next build might write into it, and what is for all
/// users would belong to one of them.
fn put(from: &Source, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    make(folder)?;
    let mut temporary = unfinished(to, Permissions::from_mode(0o600))?;
    match from {
        Source::Program(program) => drop(io::copy(&mut File::open(program)?, temporary.as_file_mut())?),
        Source::Text(text) => temporary.write_all(text.as_bytes())?,
        Source::Catalogue(bytes) => temporary.write_all(bytes)?,
    }
    temporary.as_file().set_permissions(Permissions::from_mode(from.mode()))?;
    temporary.as_file().sync_all()?;
    temporary.persist(to).map_err(|error| error.error)?;
    Ok(())
}

/// New folders are such that all may enter, whatever the caller's umask.
fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.parent().is_some() => {
            make(folder.parent().unwrap_or(folder))?;
            make(folder)
        }
        made => made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(MODE))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const BOTH: [&str; 2] = [PLUG_IN, DAEMON];

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
            let plug_in = self.root.path().join("plug-in");
            installation(&self.ours(), (PLUG_IN, &plug_in), daemon.as_deref(), Vec::new())
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
            ".utsushi-0123-x.tmp:half",
            None,
            "would remove ours/.utsushi-0123-x.tmp, of an installation that broke off; would install ours/utsushi-gimp",
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
            let steps = removal(&case.ours(), &BOTH, Vec::new()).expect("steps");
            assert_eq!(case.words(&steps), expected, "{files}");
            case.take(&steps);
            assert_eq!(case.names(), names, "{files}");
            assert_eq!(case.ours().exists(), !names.is_empty(), "{files}");
            assert_eq!(removal(&case.ours(), &BOTH, Vec::new()).expect("steps"), [], "{files}");
        }
        let all = "would remove ours/utsushi-gimp; would remove ours/utsushi; ";
        let left = "left ours, which has other files, or is a link";
        check("", "", &[]);
        check("utsushi-gimp=plug utsushi=daemon", &format!("{all}would remove ours"), &[]);
        check("utsushi-gimp=plug", "would remove ours/utsushi-gimp; would remove ours", &[]);
        check("utsushi-gimp=plug utsushi=daemon notes:mine", &format!("{all}{left}"), &["notes"]);
        check("notes:mine", "", &["notes"]);
        let left_over = ".utsushi-0123-x.tmp";
        let cleared = format!("would remove ours/{left_over}, of an installation that broke off; ");
        check(&format!("{left_over}:half"), &format!("{cleared}would remove ours"), &[]);
        check(
            &format!("utsushi-gimp=plug {left_over}:half notes:mine"),
            &format!("{cleared}would remove ours/utsushi-gimp; {left}"),
            &["notes"],
        );
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
        case.take(&removal(&case.ours(), &BOTH, Vec::new()).expect("steps"));
        assert!(case.ours().is_symlink() && case.names().is_empty());
    }

    #[test]
    fn texts_are_written_but_not_over_changes() {
        fn check(before: Option<&str>, placed: &str, removed: &str, after: &str) {
            let root = tempfile::tempdir().expect("a folder");
            let file = root.path().join("a/b/text");
            if let Some(before) = before {
                fs::create_dir_all(file.parent().expect("a folder")).expect("made");
                fs::write(&file, before).expect("written");
                fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("set");
            }
            let words = |step: &Step| step.plan().replace(&format!("{}/", root.path().display()), "");
            let step =
                placing(Source::Text(seal::sealed("new\n", seal::HASH)), file.clone()).expect("a step");
            assert!(words(&step).contains(placed), "{before:?}: {step:?}");
            step.take().expect("taken");
            assert!(fs::read_to_string(&file).expect("a file").starts_with(after), "{before:?}");
            let mode = fs::metadata(&file).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o644, "{before:?}");
            let step = removing_text(file.clone()).expect("a step").expect("there is a file");
            assert!(words(&step).contains(removed), "{before:?}: {step:?}");
            step.take().expect("taken");
            assert_eq!(file.exists(), !step.changes(), "{before:?}");
        }
        let (old, new) = (seal::sealed("old\n", seal::HASH), seal::sealed("new\n", seal::HASH));
        check(None, "would install a/b/text", "would remove", "new");
        check(Some(&new), "a/b/text is up to date", "would remove", "new");
        check(Some(&old), "would update a/b/text", "would remove", "new");
        let left = "left a/b/text, which was changed";
        check(Some(&old.replace("old", "mine")), left, left, "mine");
        check(Some("mine\n"), left, left, "mine");
        check(Some(""), left, left, "");
        let nowhere = PathBuf::from("/nowhere/at/all");
        assert_eq!(removing_text(nowhere).expect("a step"), None);
    }

    #[test]
    fn a_folder_in_the_plug_ins_place_is_an_error() {
        let error = Case::new("utsushi-gimp/").installation(None).expect_err("a folder");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}

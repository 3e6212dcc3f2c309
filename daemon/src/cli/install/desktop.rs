//! What a desktop and systemd read: the entry for menus, its icon, and the user's units.
//!
//! ```text
//!           for one user                                 for all
//! entry     $XDG_DATA_HOME/applications                  /usr/local/share/applications
//! icon      $XDG_DATA_HOME/icons/hicolor/scalable/apps   /usr/local/share/icons/hicolor/scalable/apps
//! units     $XDG_DATA_HOME/systemd/user                  /usr/local/lib/systemd/user
//! program   ~/.local/lib/utsushi                         /usr/local/lib/utsushi
//! ```
//!
//! systemd.unit(5) has these two folders for units that are installed. Those in `~/.config/systemd/user` and
//! `/etc/systemd/user` are what people write themselves, and come before them.
//!
//! Units and entry name the program by its path, so it has to stay where it is. One in a folder called `bin` does; any
//! other, such as a build of cargo's, is copied. So is one in somebody's home that is to be for all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::folder::{self, DAEMON, Source, Step};
use super::places::Homes;
use super::seal::{HASH, XML, sealed};
use crate::desktop::{APP_ID, command};

const ENTRY: &str = include_str!("../../../../packaging/desktop/org.utsushi.Utsushi.desktop");
const ICON: &str = include_str!("../../../../packaging/icons/hicolor/scalable/apps/org.utsushi.Utsushi.svg");
const SERVICE: &str = include_str!("../../../../packaging/systemd/utsushi.service");
const SOCKET: &str = include_str!("../../../../packaging/systemd/utsushi.socket");

/// The unit that is enabled or not.
pub(super) const SOCKET_UNIT: &str = "utsushi.socket";

/// Where they go.
pub(super) struct Folders {
    share: PathBuf,
    units: PathBuf,
    /// Where systemd notes which sockets were enabled.
    enabled: PathBuf,
    program: PathBuf,
    /// From where paths are seen by those who read them, unless for one user.
    root: Option<PathBuf>,
}

impl Folders {
    /// None without a home.
    pub(super) fn of_the_user(homes: &Homes) -> Option<Self> {
        let home = homes.home.as_ref()?;
        let share = homes.data.clone().unwrap_or_else(|| home.join(".local/share"));
        let config = homes.config.clone().unwrap_or_else(|| home.join(".config"));
        Some(Self {
            units: share.join("systemd/user"),
            share,
            enabled: config.join("systemd/user/sockets.target.wants"),
            program: home.join(".local/lib/utsushi"),
            root: None,
        })
    }

    pub(super) fn of_the_system(root: &Path) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
        Self {
            share: root.join("usr/local/share"),
            units: root.join("usr/local/lib/systemd/user"),
            enabled: root.join("etc/systemd/user/sockets.target.wants"),
            program: root.join("usr/local/lib/utsushi"),
            root: Some(root),
        }
    }

    fn entry(&self) -> PathBuf {
        self.share.join(format!("applications/{APP_ID}.desktop"))
    }

    fn theme(&self) -> PathBuf {
        self.share.join("icons/hicolor")
    }

    fn icon(&self) -> PathBuf {
        self.theme().join(format!("scalable/apps/{APP_ID}.svg"))
    }

    fn service(&self) -> PathBuf {
        self.units.join("utsushi.service")
    }

    fn socket(&self) -> PathBuf {
        self.units.join(SOCKET_UNIT)
    }

    /// The steps after which all is there, for the program at `own`. That comes first, and the entry, at which people
    /// click, last.
    pub(super) fn installation(&self, own: &Path) -> io::Result<Vec<Step>> {
        let (program, mut steps) = if self.has_its_place(own) {
            // It would be out of date one day.
            (own.to_path_buf(), folder::removal(&self.program, &[DAEMON], Vec::new())?)
        } else {
            let copy = self.program.join(DAEMON);
            (copy.clone(), vec![folder::placing(Source::Program(own.to_path_buf()), copy)?])
        };
        let program = self.seen(&program);
        let texts = [
            (self.service(), sealed(&service(&program)?, HASH)),
            (self.socket(), sealed(SOCKET, HASH)),
            (self.icon(), sealed(ICON, XML)),
            (self.entry(), sealed(&entry(&program)?, HASH)),
        ];
        for (file, text) in texts {
            steps.extend(file.parent().map(folder::clearing).unwrap_or_default());
            steps.push(folder::placing(Source::Text(text), file)?);
        }
        Ok(steps)
    }

    /// The steps after which nothing of it is left, but for what was changed; none if that is so already.
    pub(super) fn removal(&self) -> io::Result<Vec<Step>> {
        let mut steps = Vec::new();
        if self.has_socket() {
            steps.extend(self.link().map(Step::Remove));
        }
        for file in [self.entry(), self.icon(), self.socket(), self.service()] {
            steps.extend(file.parent().map(folder::clearing).unwrap_or_default());
            steps.extend(folder::removing_text(file)?);
        }
        steps.extend(folder::removal(&self.program, &[DAEMON], Vec::new())?);
        Ok(steps)
    }

    /// Is the socket's unit there, and ours?
    pub(super) fn has_socket(&self) -> bool {
        matches!(folder::removing_text(self.socket()), Ok(Some(Step::Remove(_))))
    }

    /// The link by which the socket's unit is enabled, if it is.
    pub(super) fn link(&self) -> Option<PathBuf> {
        let link = self.enabled.join(SOCKET_UNIT);
        let target = fs::read_link(&link).ok()?;
        let is_ours = target == self.seen(&self.socket())
            || target
                .canonicalize()
                .is_ok_and(|target| Ok(target) == self.socket().canonicalize().map_err(drop));
        is_ours.then_some(link)
    }

    /// Has desktops look for a new icon, as the icon theme specification says; they do sooner or later.
    pub(super) fn freshen(&self) {
        let _ = File::open(self.theme()).and_then(|theme| theme.set_modified(SystemTime::now()));
    }

    fn has_its_place(&self, own: &Path) -> bool {
        let is_in_bin = own.parent().and_then(Path::file_name).is_some_and(|name| name == "bin");
        let is_for = |root: &PathBuf| ["usr", "opt"].iter().any(|folder| own.starts_with(root.join(folder)));
        is_in_bin && self.root.as_ref().is_none_or(is_for)
    }

    /// A path as those see it for whom it is written.
    fn seen(&self, path: &Path) -> PathBuf {
        let below = self.root.as_ref().and_then(|root| path.strip_prefix(root).ok());
        below.map_or_else(|| path.to_path_buf(), |below| Path::new("/").join(below))
    }
}

/// Where a package has put all this that the program at `own` came in, if it did.
pub(super) fn package(own: &Path) -> Option<PathBuf> {
    let prefix = own.parent().filter(|folder| folder.ends_with("bin"))?.parent()?;
    let metainfo = prefix.join(format!("share/metainfo/{APP_ID}.metainfo.xml"));
    metainfo.is_file().then(|| prefix.to_path_buf())
}

fn entry(program: &Path) -> io::Result<String> {
    let exec = format!("\nExec={} ", command(program)?);
    let shown = program.to_string_lossy().replace('\\', r"\\");
    let text = ENTRY.replace("\nExec=utsushi ", &exec);
    Ok(text.replace("\nTryExec=utsushi\n", &format!("\nTryExec={shown}\n")))
}

fn service(program: &Path) -> io::Result<String> {
    // systemd takes no other, however it is quoted.
    let is_taken = |path: &&str| !path.contains(|c: char| c.is_control() || "\"'\\".contains(c));
    let program = program.to_str().filter(is_taken).ok_or_else(|| {
        let message = format!(
            "{}: systemd starts no program with quotes, backslashes or control characters in its path; move it into a \
             folder called bin, without these",
            program.display()
        );
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    // Percent signs would begin specifiers; dollars are plain in a program's path.
    let start = format!("\nExecStart=\"{}\" ", program.replace('%', "%%"));
    Ok(SERVICE.replace("\nExecStart=/usr/bin/utsushi ", &start))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn texts_name_the_program() {
        fn lines<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
            text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
        }
        fn check(program: &str, start: Option<&str>, exec: &str, tried: &str) {
            let service = service(Path::new(program)).ok();
            let start = start.map(|start| format!("{start} serve"));
            let starts = service.as_ref().map(|service| lines(service, "ExecStart"));
            assert_eq!(starts, start.as_ref().map(|start| vec![&start[..]]), "{program}");
            let entry = entry(Path::new(program)).expect("an entry");
            let commands = ["serve", "train --ask", "jobs report --open", "stop"];
            assert_eq!(
                lines(&entry, "Exec"),
                commands.map(|command| format!("{exec} {command}")),
                "{program}"
            );
            assert_eq!(lines(&entry, "TryExec"), [tried], "{program}");
        }
        let plain = "/usr/bin/utsushi";
        check(plain, Some(r#""/usr/bin/utsushi""#), r#""/usr/bin/utsushi""#, plain);
        let odd = "/a b;$c/100%/utsushi";
        check(odd, Some(r#""/a b;$c/100%%/utsushi""#), r#""/a b;\\$c/100%%/utsushi""#, odd);
        check(r"/a\b", None, r#""/a\\\\b""#, r"/a\\b");
        check("/o'neil/utsushi", None, r#""/o'neil/utsushi""#, "/o'neil/utsushi");
        assert!(service(Path::new("/a\nb")).is_err() && entry(Path::new("/a\nb")).is_err());
    }

    #[test]
    fn only_a_program_that_stays_is_named_where_it_is() {
        fn check(own: &str, for_user: &str, for_all: &str) {
            let homes = Homes { home: Some("/home/me".into()), config: None, data: None };
            let user = Folders::of_the_user(&homes).expect("a home");
            let system = Folders::of_the_system(Path::new("/"));
            for (folders, expected) in [(user, for_user), (system, for_all)] {
                let named = match folders.has_its_place(Path::new(own)) {
                    true => PathBuf::from(own),
                    false => folders.program.join(DAEMON),
                };
                assert_eq!(named, Path::new(expected), "{own}");
            }
        }
        let (mine, all) = ("/home/me/.local/lib/utsushi/utsushi", "/usr/local/lib/utsushi/utsushi");
        check("/usr/bin/utsushi", "/usr/bin/utsushi", "/usr/bin/utsushi");
        check("/opt/utsushi/bin/utsushi", "/opt/utsushi/bin/utsushi", "/opt/utsushi/bin/utsushi");
        check("/home/me/.cargo/bin/utsushi", "/home/me/.cargo/bin/utsushi", all);
        check("/home/me/utsushi/target/release/utsushi", mine, all);
        check("/usr/src/utsushi/target/release/utsushi", mine, all);
        check(mine, mine, all);
    }

    #[test]
    fn a_package_has_metainfo() {
        fn check(own: &str, files: &[&str], expected: bool) {
            let root = tempfile::tempdir().expect("a folder");
            for file in files {
                let file = root.path().join(file);
                fs::create_dir_all(file.parent().expect("a folder")).expect("made");
                fs::write(file, "").expect("written");
            }
            assert_eq!(package(&root.path().join(own)).is_some(), expected, "{own} {files:?}");
        }
        let metainfo = "usr/share/metainfo/org.utsushi.Utsushi.metainfo.xml";
        check("usr/bin/utsushi", &[], false);
        check("usr/bin/utsushi", &[metainfo], true);
        check("usr/local/bin/utsushi", &[metainfo], false);
        check("usr/lib/utsushi", &[metainfo], false);
    }

    #[test]
    fn what_was_enabled_is_not_any_more() {
        let root = tempfile::tempdir().expect("a folder");
        let folders = Folders::of_the_system(root.path());
        let take = |steps: io::Result<Vec<Step>>| -> Vec<Step> {
            let steps = steps.expect("steps");
            steps.iter().for_each(|step| step.take().expect("taken"));
            steps
        };
        fs::write(root.path().join("built"), "program").expect("written");
        let built = root.path().canonicalize().expect("a folder").join("built");
        assert_eq!(folders.removal().expect("steps"), []);
        assert_eq!(take(folders.installation(&built)).len(), 5);
        let service = fs::read_to_string(folders.service()).expect("a unit");
        assert!(service.contains("\nExecStart=\"/usr/local/lib/utsushi/utsushi\" serve\n"), "{service}");
        assert!(folders.installation(&built).expect("steps").iter().all(|step| !step.changes()));

        // As `systemctl --global enable` leaves it; and one to another unit, which stays.
        fs::create_dir_all(&folders.enabled).expect("made");
        let link = folders.enabled.join(SOCKET_UNIT);
        symlink("/usr/lib/systemd/user/utsushi.socket", &link).expect("made");
        assert_eq!(folders.link(), None);
        fs::remove_file(&link).expect("removed");
        symlink("/usr/local/lib/systemd/user/utsushi.socket", &link).expect("made");
        assert_eq!(folders.link(), Some(link.clone()));
        assert_eq!(take(folders.removal()).len(), 7, "the link, four texts, the program and its folder");
        assert!(!link.is_symlink());
        assert_eq!(folders.removal().expect("steps"), []);
    }
}

//! Starting with the session: an entry among those that desktops start, as XDG's autostart specification has it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use utsushi_engine::write_whole;

/// The entry of this program, there or not.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    path: PathBuf,
    program: PathBuf,
}

impl Entry {
    /// In a folder of such entries, for the program at this path.
    pub(super) fn new(folder: &Path, program: PathBuf) -> Self {
        Self { path: folder.join(format!("{}.desktop", super::APP_ID)), program }
    }

    /// Does the desktop start the daemon? An entry may be there and say that it doesn't.
    pub(super) fn is_on(&self) -> bool {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let says = |line: &str| text.lines().any(|found| found.trim().eq_ignore_ascii_case(line));
        !text.is_empty() && !says("Hidden=true") && !says("X-GNOME-Autostart-enabled=false")
    }

    /// Writes the entry, as a whole or not at all, or removes it.
    pub(super) fn set(&self, is_on: bool) -> io::Result<()> {
        if !is_on {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder)?;
        write_whole(&self.path, self.text()?.as_bytes())
    }

    fn text(&self) -> io::Result<String> {
        Ok(format!(
            "[Desktop Entry]\nType=Application\nName=Utsushi\nComment=Keeps the tray icon, and goes on with \
             trainings\nExec={} serve\nIcon={}\nTerminal=false\nX-GNOME-Autostart-enabled=true\n",
            command(&self.program)?,
            super::APP_ID,
        ))
    }
}

/// The program as the beginning of `Exec`, of which few paths can't be one.
pub(crate) fn command(program: &Path) -> io::Result<String> {
    let path = program.to_str().filter(|path| !path.contains(['\n', '\r']));
    path.map(quoted).ok_or_else(|| {
        let message = format!("{}: no entry can name this program; move it", program.display());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

/// As `Exec` wants it: quoted as for a shell, then escaped as every text of an entry; `%` would begin a field.
fn quoted(program: &str) -> String {
    let mut text = String::from("\"");
    for c in program.chars() {
        match c {
            '"' | '`' | '$' => text.extend(["\\\\", &c.to_string()]),
            '\\' => text.push_str("\\\\\\\\"),
            '%' => text.push_str("%%"),
            _ => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_and_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let autostart = folder.path().join("config/autostart");
        let entry = Entry::new(&autostart, "/opt/Utsushi 1/utsushi".into());
        let files = || fs::read_dir(&autostart).map_or(0, Iterator::count);
        assert!(!entry.is_on());
        entry.set(false).expect("nothing to do");
        entry.set(true).expect("written");
        entry.set(true).expect("written again");
        assert_eq!((entry.is_on(), files()), (true, 1));
        let path = autostart.join("org.utsushi.Utsushi.desktop");
        let text = fs::read_to_string(&path).expect("the entry");
        assert!(text.contains("\nExec=\"/opt/Utsushi 1/utsushi\" serve\n"), "{text}");
        // As desktops' own settings turn it off.
        for off in ["Hidden=true", "X-GNOME-Autostart-enabled=false"] {
            fs::write(&path, format!("{text}{off}\n")).expect("written");
            assert!(!entry.is_on(), "{off}");
        }
        entry.set(false).expect("removed");
        assert_eq!((entry.is_on(), files()), (false, 0));
    }

    #[test]
    fn programs_are_quoted() {
        fn check(program: &str, expected: &str) {
            assert_eq!(quoted(program), expected, "{program}");
        }
        check("/usr/bin/utsushi", r#""/usr/bin/utsushi""#);
        check("/a b/c\"d`$e", r#""/a b/c\\"d\\`\\$e""#);
        check(r"/a\b", r#""/a\\\\b""#);
        check("/100%/x", r#""/100%%/x""#);
        let entry = Entry::new(Path::new("/nowhere"), "/a\nb".into());
        assert!(entry.text().is_err());
    }
}

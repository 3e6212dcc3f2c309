//! Asking for a folder: the desktop's chooser, or else that of zenity or kdialog.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tracing::debug;
use utsushi_ipc::paths;
use zbus::Connection;

use super::portal;

/// How both programs say that the user wants nothing.
const CANCELLED: i32 = 1;

/// What a style is to be trained from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folders {
    pub(crate) art: PathBuf,
    pub(crate) photos: PathBuf,
}

impl Folders {
    /// The style's name: that of the folder of its art.
    pub(crate) fn name(&self) -> String {
        let name = self.art.file_name().map(|name| name.to_string_lossy().into_owned());
        name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "My style".to_owned())
    }
}

/// No chooser can be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "no window to choose a folder in can be had: neither xdg-desktop-portal nor zenity nor kdialog answers; run \
     `utsushi train --name NAME --art FOLDER`, or install one of them"
)]
pub(crate) struct NoChooser;

/// Asks for both folders; none if the user wants nothing. Waits until then.
pub(crate) fn folders(bus: Option<&Connection>) -> Result<Option<Folders>, NoChooser> {
    let home = || env::var_os("HOME").map(PathBuf::from);
    let pictures = paths::pictures().or_else(home).filter(|folder| folder.is_dir());
    let art = choose(bus, "Utsushi: a folder of pictures in the style, 20 or more", pictures.as_deref())?;
    let Some(art) = art else { return Ok(None) };
    let photos = choose(bus, "Utsushi: a folder of photos, of what you want to draw", pictures.as_deref())?;
    Ok(photos.map(|photos| Folders { art, photos }))
}

fn choose(bus: Option<&Connection>, title: &str, start: Option<&Path>) -> Result<Option<PathBuf>, NoChooser> {
    if let Some(bus) = bus {
        match portal::choose_folder(bus, title, start) {
            Ok(chosen) => return Ok(chosen),
            Err(error) => debug!("the portal has no chooser of folders: {error}"),
        }
    }
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    if has_screen {
        for mut command in [zenity(title, start), kdialog(title, start)] {
            match run(&mut command) {
                Ok(chosen) => return Ok(chosen),
                Err(error) => debug!("{:?} is no chooser of folders: {error}", command.get_program()),
            }
        }
    }
    Err(NoChooser)
}

fn zenity(title: &str, start: Option<&Path>) -> Command {
    let mut command = Command::new("zenity");
    command.args(["--file-selection", "--directory", "--title", title]);
    if let Some(start) = start {
        // It begins inside of a folder with a slash at its end.
        command.arg(format!("--filename={}/", start.display()));
    }
    command
}

fn kdialog(title: &str, start: Option<&Path>) -> Command {
    let mut command = Command::new("kdialog");
    command.args(["--title", title, "--getexistingdirectory"]).arg(start.unwrap_or(Path::new("/")));
    command
}

fn run(command: &mut Command) -> io::Result<Option<PathBuf>> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let chosen = String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned();
    match output.status.code() {
        Some(0) if Path::new(&chosen).is_absolute() => Ok(Some(chosen.into())),
        Some(CANCELLED) => Ok(None),
        _ => Err(io::Error::other(output.status.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_answers() {
        /// What a program that does this is taken to say: a folder, nothing, or that it is no chooser.
        fn check(script: &str, expected: Option<Option<&str>>) {
            let mut command = Command::new("sh");
            let answer = run(command.args(["-c", script])).ok();
            assert_eq!(answer, expected.map(|chosen| chosen.map(PathBuf::from)), "{script}");
        }
        check("echo /home/me/art", Some(Some("/home/me/art")));
        check("printf '/home/two\nlines\n'", Some(Some("/home/two\nlines")));
        check("exit 1", Some(None));
        check("exit 127", None);
        check("echo art", None);
        check("kill -9 $$", None);
        assert!(run(&mut Command::new("/nonexistent/zenity")).is_err());
    }

    #[test]
    fn styles_are_called_like_their_art() {
        fn check(art: &str, expected: &str) {
            let folders = Folders { art: art.into(), photos: "/photos".into() };
            assert_eq!(folders.name(), expected, "{art}");
        }
        check("/home/me/Hana no uta", "Hana no uta");
        check("/home/me/写し/", "写し");
        check("/", "My style");
        check("/home/ ", "My style");
    }
}

//! Where the daemon and its clients meet, and where their files lie. The only user of `directories`.
//!
//! Every path is absolute. Without a home folder, styles and log lie in the socket's folder.
//!
//! GIMP from Flatpak sees a runtime folder of its own, in which one folder is the system's:
//!
//! ```text
//! outside    $XDG_RUNTIME_DIR/utsushi/daemon.sock
//! both       $XDG_RUNTIME_DIR/app/org.gimp.GIMP/utsushi/daemon.sock
//! ```
//!
//! Inside, the latter is *the* socket. A daemon outside listens there, too ([`flatpak_socket`]). Where none does, the
//! plug-in starts the daemon beside itself, in the sandbox, with which that ends; it draws for this GIMP alone.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use directories::{BaseDirs, UserDirs};

/// The variable that overrides [`socket`].
pub const SOCKET_VARIABLE: &str = "UTSUSHI_SOCKET";
/// The variable that overrides [`styles`].
pub const STYLES_VARIABLE: &str = "UTSUSHI_STYLES";

/// Flatpak's name for GIMP.
pub const FLATPAK_GIMP: &str = "org.gimp.GIMP";

/// Our folders' name.
const OURS: &str = "utsushi";
const SOCKET: &str = "daemon.sock";

/// The daemon's socket, the first of these:
///
/// 1. `$UTSUSHI_SOCKET`
/// 2. inside of Flatpak's GIMP, `$XDG_RUNTIME_DIR/app/org.gimp.GIMP/utsushi/daemon.sock`
/// 3. `$XDG_RUNTIME_DIR/utsushi/daemon.sock`
/// 4. `$TMPDIR/utsushi-UID/daemon.sock`, where `$TMPDIR` is `/tmp` if unset, and UID the user's number
pub fn socket() -> PathBuf {
    overridden(SOCKET_VARIABLE).unwrap_or_else(|| {
        let folder = match runtime() {
            Some(runtime) if is_in_flatpak() => in_flatpak(&runtime),
            Some(runtime) => runtime.join(OURS),
            None => temporary(&env::temp_dir(), rustix::process::geteuid().as_raw()),
        };
        folder.join(SOCKET)
    })
}

/// Where Flatpak's GIMP looks for the daemon that listens at this socket. None if it is none that GIMP would look for,
/// since somebody has chosen its place, or it is in there itself.
pub fn flatpak_socket(socket: &Path) -> Option<PathBuf> {
    beside(&runtime()?, socket)
}

/// Does this process run in the sandbox of Flatpak's GIMP?
pub fn is_in_flatpak() -> bool {
    env::var_os("FLATPAK_ID").is_some_and(|id| id == FLATPAK_GIMP)
}

/// The user's own styles: `$UTSUSHI_STYLES`, else `$XDG_DATA_HOME/utsushi/styles`.
///
/// Flatpak's GIMP, which has another `$XDG_DATA_HOME`, sees those of outside, too.
pub fn styles() -> PathBuf {
    overridden(STYLES_VARIABLE).unwrap_or_else(|| {
        let base = BaseDirs::new();
        let data = base.as_ref().map(|base| match is_in_flatpak() {
            true => outer_data(env::var_os("HOST_XDG_DATA_HOME"), base.home_dir()),
            false => base.data_dir().to_path_buf(),
        });
        match data {
            Some(data) => data.join(OURS).join("styles"),
            None => socket().with_file_name("styles"),
        }
    })
}

/// What a daemon says that a client started: `$XDG_STATE_HOME/utsushi/daemon.log`.
pub fn log() -> PathBuf {
    match BaseDirs::new().as_ref().and_then(|base| base.state_dir()) {
        Some(state) => state.join(OURS).join("daemon.log"),
        None => socket().with_file_name("daemon.log"),
    }
}

/// Where training jobs have their folders: `$XDG_STATE_HOME/utsushi/jobs`.
pub fn jobs() -> PathBuf {
    log().with_file_name("jobs")
}

/// What training makes of photos, and can make again: `$XDG_CACHE_HOME/utsushi/photos`.
pub fn photo_cache() -> PathBuf {
    match BaseDirs::new() {
        Some(base) => base.cache_dir().join(OURS).join("photos"),
        None => log().with_file_name("photos"),
    }
}

/// Where a session's desktop looks for what to start: `$XDG_CONFIG_HOME/autostart`.
pub fn autostart() -> Option<PathBuf> {
    Some(BaseDirs::new()?.config_dir().join("autostart"))
}

/// The user's folder of pictures, if the desktop knows one: `XDG_PICTURES_DIR` in `user-dirs.dirs`.
pub fn pictures() -> Option<PathBuf> {
    UserDirs::new()?.picture_dir().map(Path::to_path_buf)
}

/// `$XDG_RUNTIME_DIR`.
fn runtime() -> Option<PathBuf> {
    BaseDirs::new()?.runtime_dir().map(Path::to_path_buf)
}

fn in_flatpak(runtime: &Path) -> PathBuf {
    runtime.join("app").join(FLATPAK_GIMP).join(OURS)
}

fn beside(runtime: &Path, socket: &Path) -> Option<PathBuf> {
    (socket == runtime.join(OURS).join(SOCKET)).then(|| in_flatpak(runtime).join(SOCKET))
}

fn temporary(folder: &Path, uid: u32) -> PathBuf {
    folder.join(format!("{OURS}-{uid}"))
}

/// `$XDG_DATA_HOME` as it is outside of the sandbox.
fn outer_data(told: Option<OsString>, home: &Path) -> PathBuf {
    absolute(told).unwrap_or_else(|| home.join(".local/share"))
}

fn overridden(variable: &str) -> Option<PathBuf> {
    absolute(env::var_os(variable))
}

/// An empty variable counts as unset.
fn absolute(value: Option<OsString>) -> Option<PathBuf> {
    let path = PathBuf::from(value.filter(|value| !value.is_empty())?);
    Some(std::path::absolute(&path).unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flatpaks_gimp_finds_the_daemon_that_everybody_finds() {
        fn check(socket: &str, expected: Option<&str>) {
            let found = beside(Path::new("/run/user/1000"), Path::new(socket));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{socket}");
        }
        let shared = "/run/user/1000/app/org.gimp.GIMP/utsushi/daemon.sock";
        check("/run/user/1000/utsushi/daemon.sock", Some(shared));
        check("/run/user/1000/utsushi/other.sock", None);
        check("/tmp/utsushi-1000/daemon.sock", None);
        check(shared, None);
        check("", None);
    }

    #[test]
    fn inside_of_flatpak_the_data_is_that_of_outside() {
        fn check(told: Option<&str>, expected: &str) {
            let found = outer_data(told.map(OsString::from), Path::new("/home/me"));
            assert_eq!(found, Path::new(expected), "{told:?}");
        }
        check(Some("/home/me/data"), "/home/me/data");
        check(Some(""), "/home/me/.local/share");
        check(None, "/home/me/.local/share");
    }

    #[test]
    fn variables_give_absolute_paths() {
        fn check(value: Option<&str>, expected: Option<PathBuf>) {
            assert_eq!(absolute(value.map(OsString::from)), expected, "{value:?}");
        }
        let here = env::current_dir().expect("tests run in a folder");

        check(None, None);
        check(Some(""), None);
        check(Some("/run/my.sock"), Some("/run/my.sock".into()));
        check(Some("my.sock"), Some(here.join("my.sock")));
    }

    #[test]
    fn every_path_is_absolute() {
        for path in [socket(), styles(), log(), jobs(), photo_cache()] {
            assert!(path.is_absolute(), "{}", path.display());
        }
    }
}

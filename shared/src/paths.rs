//! Where the daemon and its clients meet, and where their files lie. The only user of `directories`.
//!
//! Every path is absolute. Without a home folder, styles and log lie in the socket's folder.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use directories::ProjectDirs;

/// The variable that overrides [`socket`].
pub const SOCKET_VARIABLE: &str = "UTSUSHI_SOCKET";
/// The variable that overrides [`styles`].
pub const STYLES_VARIABLE: &str = "UTSUSHI_STYLES";

/// The daemon's socket, the first of these:
///
/// 1. `$UTSUSHI_SOCKET`
/// 2. `$XDG_RUNTIME_DIR/utsushi/daemon.sock`
/// 3. `$TMPDIR/utsushi-UID/daemon.sock`, where `$TMPDIR` is `/tmp` if unset, and UID the user's number
pub fn socket() -> PathBuf {
    let runtime = project().and_then(|project| project.runtime_dir().map(Path::to_path_buf));
    let uid = rustix::process::geteuid().as_raw();
    overridden(SOCKET_VARIABLE)
        .unwrap_or_else(|| runtime_folder(runtime, env::temp_dir(), uid).join("daemon.sock"))
}

/// The user's own styles: `$UTSUSHI_STYLES`, else `$XDG_DATA_HOME/utsushi/styles`.
pub fn styles() -> PathBuf {
    overridden(STYLES_VARIABLE).unwrap_or_else(|| match project() {
        Some(project) => project.data_dir().join("styles"),
        None => socket().with_file_name("styles"),
    })
}

/// What a daemon says that a client started: `$XDG_STATE_HOME/utsushi/daemon.log`.
pub fn log() -> PathBuf {
    match project().as_ref().and_then(|project| project.state_dir()) {
        Some(state) => state.join("daemon.log"),
        None => socket().with_file_name("daemon.log"),
    }
}

fn project() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "utsushi")
}

fn overridden(variable: &str) -> Option<PathBuf> {
    absolute(env::var_os(variable))
}

/// An empty variable counts as unset.
fn absolute(value: Option<OsString>) -> Option<PathBuf> {
    let path = PathBuf::from(value.filter(|value| !value.is_empty())?);
    Some(std::path::absolute(&path).unwrap_or(path))
}

fn runtime_folder(runtime: Option<PathBuf>, temporary: PathBuf, uid: u32) -> PathBuf {
    runtime.unwrap_or_else(|| temporary.join(format!("utsushi-{uid}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_falls_back_to_a_folder_of_the_users_own() {
        fn check(runtime: Option<&str>, expected: &str) {
            let found = runtime_folder(runtime.map(PathBuf::from), "/var/tmp".into(), 1000);
            assert_eq!(found, Path::new(expected), "{runtime:?}");
        }

        check(Some("/run/user/1000/utsushi"), "/run/user/1000/utsushi");
        check(None, "/var/tmp/utsushi-1000");
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
        for path in [socket(), styles(), log()] {
            assert!(path.is_absolute(), "{}", path.display());
        }
    }
}

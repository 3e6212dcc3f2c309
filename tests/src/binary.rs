//! The real binary, with a home of its own: its socket, styles and log stay in a folder of the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::daemon::socket;

/// A folder to work in, and in which the daemon that the binary starts lives.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The binary with these arguments, run in the folder.
    pub fn utsushi(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .current_dir(self.path())
            .env("UTSUSHI_SOCKET", socket(self.path()))
            .env("UTSUSHI_STYLES", self.path().join("styles"))
            .env("UTSUSHI_DAEMON", binary())
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env_remove("UTSUSHI_LOG")
            .env_remove("RUST_LOG");
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.utsushi(args).output().expect("the binary runs")
    }

    /// The process of the daemon, if one runs.
    pub fn daemon_pid(&self) -> Option<i32> {
        let output = self.run(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        status["pid"].as_i64().map(|pid| pid as i32)
    }

    /// The names of everything in a folder of the home, sorted; hidden files too.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path().join(folder)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A daemon that was never started is no failure.
        drop(self.utsushi(&["stop"]).output());
    }
}

/// What the process printed to standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The binary, built like this test. cargo builds the binaries of a test's own package only.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // target/PROFILE/deps/TEST
        let test = std::env::current_exe().expect("the test's path");
        let profile = test.ancestors().nth(2).expect("the profile's folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--package", "utsushi", "--bin", "utsushi"]);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        build.arg("--target-dir").arg(profile.parent().expect("the target folder"));
        assert!(build.status().expect("cargo runs").success(), "the binary was not built");
        profile.join("utsushi")
    })
}

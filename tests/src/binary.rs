//! The real binary, with a home of its own: its socket, styles and log stay in a folder of the test.
//!
//! What is started ends by signals as from a terminal, even where the tests were started to outlive theirs (`nohup`), or
//! in the background of a script: both leave signals ignored in all that is started below.
//!
//! Whatever was started in a home ends with it, also when the test fails or the daemon hangs: every process there
//! carries the home's folder in its environment, by which it is found in `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::daemon::socket;

/// How long a test waits for what has to come: much longer than that takes on any machine.
const PATIENCE: Duration = Duration::from_secs(300);

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

    /// An empty one in that folder.
    pub fn new_in(parent: &Path) -> Self {
        Self { folder: tempfile::tempdir_in(parent).expect("a folder") }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where its daemon listens.
    pub fn socket(&self) -> PathBuf {
        socket(self.path())
    }

    /// The binary with these arguments, run in the folder.
    pub fn utsushi(&self, args: &[&str]) -> Command {
        let mut command = self.program(binary());
        command.args(args);
        command
    }

    /// The binary with these arguments, after the shell has run `before`.
    pub fn utsushi_after(&self, before: &str, args: &[&str]) -> Command {
        let mut command = self.program(Path::new("sh"));
        command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\"")).arg(binary()).args(args);
        command
    }

    /// Another program that talks to the home's daemon, run in the folder.
    pub fn program(&self, program: &Path) -> Command {
        let mut command = Command::new("/usr/bin/env");
        command
            .args(["--default-signal=HUP,INT,QUIT,TERM", "--"])
            .arg(program)
            .current_dir(self.path())
            .env("UTSUSHI_SOCKET", self.socket())
            .env("UTSUSHI_STYLES", self.path().join("styles"))
            .env("UTSUSHI_DAEMON", binary())
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("XDG_CACHE_HOME", self.path().join("cache"))
            // A tester's own desktop is not to be disturbed.
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .env_remove("UTSUSHI_LOG")
            .env_remove("RUST_LOG");
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        finish(self.utsushi(args))
    }

    /// Runs the binary to its end, which has to be this exit code.
    #[track_caller]
    pub fn expect(&self, code: i32, args: &[&str]) -> Output {
        let output = self.run(args);
        assert_code(&output, code, args);
        output
    }

    /// The process of the daemon, if one runs.
    pub fn daemon_pid(&self) -> Option<i32> {
        self.status()["pid"].as_i64().map(|pid| pid as i32)
    }

    /// What `utsushi status` tells.
    pub fn status(&self) -> serde_json::Value {
        let output = self.run(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).expect("an object")
    }

    /// The commands and daemons that run in this home.
    pub fn processes(&self) -> Vec<i32> {
        let state = self.path().join("state");
        let mark = [b"XDG_STATE_HOME=", state.as_os_str().as_encoded_bytes()].concat();
        let all = fs::read_dir("/proc").expect("a system with /proc").flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| {
            // A process that has ended has no environment any more, even if nobody has waited for it.
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark)
        })
        .collect()
    }

    /// Those of [`Self::processes`] that are daemons.
    pub fn daemons(&self) -> Vec<i32> {
        let is_daemon = |pid: &i32| {
            let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            args.split(|byte| *byte == 0).nth(1) == Some(b"serve")
        };
        self.processes().into_iter().filter(is_daemon).collect()
    }

    /// The names of everything in a folder of the home, sorted; hidden files too.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path().join(folder)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Every file below a folder of the home, and what is in it; hidden files too.
    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for name in self.names(folder) {
            let path = self.path().join(folder).join(&name);
            if path.is_dir() {
                let below = self.files(&format!("{folder}/{name}"));
                files.extend(below.into_iter().map(|(below, content)| (format!("{name}/{below}"), content)));
            } else if path.is_file() {
                files.insert(name, fs::read(path).expect("a file"));
            }
        }
        files
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // Again and again, as one may have been starting another.
        loop {
            let processes = self.processes();
            if processes.is_empty() || Instant::now() > deadline {
                return;
            }
            processes.into_iter().for_each(|pid| signal(pid, Signal::KILL));
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs a command of a home to its end. One that doesn't end fails the test, and ends with its home.
pub fn finish(mut command: Command) -> Output {
    let (ended, output) = mpsc::channel();
    let words = format!("{command:?}");
    thread::spawn(move || ended.send(command.output().expect("the program runs")));
    output.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{words} doesn't end"))
}

/// Fails with all that the command has said, unless it ended with this exit code.
#[track_caller]
pub fn assert_code(output: &Output, code: i32, args: &[&str]) {
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), errors(output));
    assert_eq!(output.status.code(), Some(code), "{args:?} ({}) said: {said}{errors}", output.status);
}

/// What the process printed to standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Sends a signal to a process of a home, which may be gone.
pub fn signal(pid: i32, signal: Signal) {
    // 0 and below would be whole groups of processes.
    assert!(pid > 1, "{pid} is no process of a home");
    let _ = kill_process(Pid::from_raw(pid).expect("a number above 0"), signal);
}

/// Waits for something that has to come.
#[track_caller]
pub fn wait_until(what: &str, mut has_come: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !has_come() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The program, built like this test.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build("utsushi", "utsushi"))
}

/// GIMP's plug-in, built like this test.
pub fn plug_in() -> &'static Path {
    static PLUG_IN: OnceLock<PathBuf> = OnceLock::new();
    PLUG_IN.get_or_init(|| build("utsushi-gimp", "utsushi-gimp"))
}

/// GEGL's module with the operation, which is the plug-in's library.
pub fn operation() -> PathBuf {
    plug_in().with_file_name("libutsushi_gegl.so")
}

/// cargo builds the binaries of a test's own package only.
fn build(package: &str, name: &str) -> PathBuf {
    // target/PROFILE/deps/TEST
    let test = std::env::current_exe().expect("the test's path");
    let profile = test.ancestors().nth(2).expect("the profile's folder");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked", "--package", package, "--bin", name]);
    if package == "utsushi-gimp" {
        build.arg("--lib");
    }
    if cfg!(feature = "cuda") && package == "utsushi" {
        build.args(["--features", "cuda"]);
    }
    if profile.ends_with("release") {
        build.arg("--release");
    }
    build.arg("--target-dir").arg(profile.parent().expect("the target folder"));
    assert!(build.status().expect("cargo runs").success(), "{name} was not built");
    profile.join(name)
}

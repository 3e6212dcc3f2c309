//! The real GIMP, headless, with the real plug-in: 2.10 where it is installed, and 3 in a folder that holds a whole
//! Debian 13, into which the tests change their root. [`installed`] says how to get both.
//!
//! A test that finds none says so and passes, unless `UTSUSHI_REQUIRE_GIMP` is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::binary::{Home, binary, plug_in, wait_until};
use crate::daemon::socket;

/// A GIMP that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gimp {
    /// `gimp-console-2.10` on PATH.
    Two,
    /// `gimp-console-3` below this root.
    Three(PathBuf),
}

/// How long a test may take before it is taken for stuck. GIMP 2.10 waits for ever after some errors.
const STUCK: Duration = Duration::from_secs(300);

/// Which GIMPs there are to test with:
///
/// - 2.10 after `apt-get install --no-install-recommends gimp` on Debian 12
/// - 3.0 after, as root,
///   `debootstrap --variant=minbase trixie ~/.cache/utsushi-tests/trixie` and
///   `chroot ~/.cache/utsushi-tests/trixie apt-get install -y --no-install-recommends gimp`
pub fn installed() -> Vec<Gimp> {
    let two = Command::new("gimp-console-2.10").arg("--version").stdout(Stdio::null()).status();
    let two = two.is_ok_and(|status| status.success()).then_some(Gimp::Two);

    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let root = cache.map(|cache| cache.join("utsushi-tests/trixie"));
    // Only root may change its root.
    let three = root.filter(|root| root.join("usr/bin/gimp-console-3").exists());
    let three = three.filter(|_| rustix::process::geteuid().is_root()).map(Gimp::Three);

    for (gimp, name) in [(&two, "2.10"), (&three, "3.0")] {
        if gimp.is_none() {
            assert!(std::env::var_os("UTSUSHI_REQUIRE_GIMP").is_none(), "GIMP {name} is not installed");
            eprintln!("skipped: GIMP {name} is not installed");
        }
    }
    two.into_iter().chain(three).collect()
}

/// A GIMP with a fresh profile, a folder for its files, and a daemon of its own.
pub struct Session {
    gimp: Gimp,
    home: Home,
}

impl Session {
    /// Installs the plug-in into the profile.
    pub fn new(gimp: Gimp) -> Self {
        let home = match &gimp {
            Gimp::Two => Home::new(),
            Gimp::Three(root) => Home::new_in(&root.join("tmp")),
        };
        let folder = home.path().join("profile/plug-ins/utsushi-gimp");
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(plug_in(), folder.join("utsushi-gimp")).expect("the plug-in");
        if let Gimp::Three(_) = gimp {
            fs::copy(binary(), home.path().join("utsushi")).expect("the daemon");
        }
        Self { gimp, home }
    }

    /// The folder, and the daemon.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// A file as GIMP sees it.
    pub fn inside(&self, name: &str) -> String {
        let path = self.home.path().join(name);
        let path = match &self.gimp {
            Gimp::Two => path,
            Gimp::Three(root) => Path::new("/").join(path.strip_prefix(root).expect("it is below the root")),
        };
        path.to_str().expect("plain names").to_owned()
    }

    /// Opens a file as `image`, with `layer` in it, evaluates `body`, and saves what is then visible.
    pub fn step(&self, from: &str, body: &str, to: &str) -> String {
        let (from, to) = (self.inside(from), self.inside(to));
        match self.gimp {
            Gimp::Two => format!(
                r#"(let* ((image (car (gimp-file-load 1 "{from}" "{from}"))) (layer (car (gimp-image-get-active-layer image))))
                {body}
                (gimp-file-save 1 image (car (gimp-image-get-active-layer image)) "{to}" "{to}"))"#
            ),
            Gimp::Three(_) => format!(
                r#"(let* ((image (car (gimp-file-load 1 "{from}"))) (layer (vector-ref (car (gimp-image-get-layers image)) 0)))
                {body}
                (gimp-file-save 1 image "{to}"))"#
            ),
        }
    }

    /// All layers of `image`, as a vector.
    pub fn layers(&self) -> &'static str {
        match self.gimp {
            Gimp::Two => "(cadr (gimp-image-get-layers image))",
            Gimp::Three(_) => "(car (gimp-image-get-layers image))",
        }
    }

    /// A new layer group in `image`.
    pub fn new_group(&self) -> &'static str {
        match self.gimp {
            Gimp::Two => "(car (gimp-layer-group-new image))",
            Gimp::Three(_) => "(car (gimp-group-layer-new image \"\"))",
        }
    }

    /// Evaluates this, and goes on if it fails, after printing the error.
    pub fn telling(&self, body: &str) -> String {
        format!(
            r#"(call-with-current-continuation (lambda (go-on)
                (let ((hook *error-hook*))
                    (set! *error-hook* (lambda words
                        (set! *error-hook* hook) (gimp-message (car words)) (go-on #f)))
                    {body}
                    (set! *error-hook* hook))))"#
        )
    }

    /// Calls the plug-in, in this run mode, with these values in the order of its parameters.
    pub fn stylize(&self, run_mode: u8, values: [&str; 7]) -> String {
        match self.gimp {
            Gimp::Two => format!("(plug-in-utsushi-stylize {run_mode} image layer {})", values.join(" ")),
            Gimp::Three(_) => {
                let names = [
                    "style",
                    "strength",
                    "brush-size",
                    "keep-colours",
                    "second-style",
                    "second-share",
                    "output",
                ];
                let values = names.iter().zip(values).map(|(name, value)| match (*name, value) {
                    ("output", "0") => "#:output \"layer\"".into(),
                    ("output", _) => "#:output \"new-layer\"".into(),
                    _ => format!("#:{name} {value}"),
                });
                let values: Vec<String> = values.collect();
                let image = "#:image image #:drawables (vector layer)";
                format!("(plug-in-utsushi-stylize #:run-mode {run_mode} {image} {})", values.join(" "))
            }
        }
    }

    /// Asks the plug-in how the daemon is, in this run mode.
    pub fn status(&self, run_mode: u8) -> String {
        match self.gimp {
            Gimp::Two => format!("(plug-in-utsushi-status {run_mode})"),
            Gimp::Three(_) => format!("(plug-in-utsushi-status #:run-mode {run_mode})"),
        }
    }

    /// How GIMP is started to evaluate this.
    pub fn command(&self, script: &str) -> Command {
        let mut command = match &self.gimp {
            Gimp::Two => {
                let mut command = Command::new("gimp-console-2.10");
                command.args(["-i", "-d", "-f", "-b", script, "-b", "(gimp-quit 1)"]);
                command.env("UTSUSHI_DAEMON", binary()).env("GIMP2_DIRECTORY", self.inside("profile"));
                command
            }
            Gimp::Three(root) => {
                let mut command = Command::new("chroot");
                command.arg(root).args(["gimp-console-3", "-i", "-d", "-f", "--quit"]);
                command.args(["--batch-interpreter", "plug-in-script-fu-eval", "-b", script]);
                command
                    .env("UTSUSHI_DAEMON", self.inside("utsushi"))
                    .env("GIMP3_DIRECTORY", self.inside("profile"))
                    .env("HOME", self.inside(""));
                command
            }
        };
        let socket = socket(Path::new(&self.inside("")));
        command
            .env("UTSUSHI_SOCKET", socket)
            .env("UTSUSHI_STYLES", self.inside("styles"))
            .env("XDG_STATE_HOME", self.inside("state"))
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Evaluates this, to its end; gives everything that GIMP printed.
    pub fn run(&self, script: &str) -> String {
        self.run_while(script, || {})
    }

    /// The same, while something is done to it.
    pub fn run_while(&self, script: &str, deed: impl FnOnce()) -> String {
        let child = self.command(script).spawn().expect("GIMP starts");
        let pid = Pid::from_child(&child);
        let (done, waiting) = mpsc::channel();
        thread::spawn(move || done.send(child.wait_with_output()));
        deed();
        let ended = waiting.recv_timeout(STUCK).unwrap_or_else(|_| {
            let _ = kill_process(pid, Signal::KILL);
            panic!("GIMP was stuck")
        });
        let Output { stdout, stderr, .. } = ended.expect("GIMP ran");
        String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
    }

    /// Waits until the daemon draws as many pictures.
    pub fn wait_until_drawing(&self, pictures: i64) {
        wait_until(&format!("{pictures} pictures are drawn"), || {
            self.home.status()["drawing"].as_i64() == Some(pictures)
        });
    }

    /// The process of the plug-in that is drawing.
    pub fn plug_in_pid(&self) -> Option<i32> {
        let program = self.inside("profile/plug-ins/utsushi-gimp/utsushi-gimp");
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.find(|pid: &i32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments: Vec<_> = arguments.split(|byte| *byte == 0).collect();
            arguments.first() == Some(&program.as_bytes()) && arguments.contains(&&b"-run"[..])
        })
    }
}

impl Drop for Session {
    /// In a root of its own, a daemon carries another name of the home's socket than that by which the home finds it.
    fn drop(&mut self) {
        drop(self.home.run(&["stop"]));
    }
}

//! The real GIMP with the real plug-in: 2.10 where it is installed, and 3 in folders that hold a whole newer Debian,
//! into which the tests change their root. `.ci/gimps` makes all of them on Debian 12. A session is headless, or has a
//! [`window`](crate::window).
//!
//! A test that finds none says so and passes, unless `UTSUSHI_REQUIRE_GIMP` is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::binary::{Home, assert_code, finish, operation, plug_in, wait_until};
use crate::daemon::socket;
use crate::screen::Screen;

/// A GIMP that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gimp {
    /// Its version, as far as tests tell them apart.
    pub version: &'static str,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// `gimp-console-2.10` on PATH.
    Two,
    /// `gimp-console-3` below this root.
    Three(PathBuf),
}

/// How long a test may take before it is taken for stuck. GIMP 2.10 waits for ever after some errors.
const STUCK: Duration = Duration::from_secs(300);

/// What tells a program of a person's own files and desktop.
const OWN: [&str; 6] = [
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// The Debians that have a GIMP 3.
const ROOTS: [(&str, &str); 2] = [("3.0", "trixie"), ("3.2", "forky")];

/// Which GIMPs there are to test with. `UTSUSHI_GIMP_32` says that 3.2 has to be among them, if any.
pub fn installed() -> Vec<Gimp> {
    let two = Command::new("gimp-console-2.10").arg("--version").stdout(Stdio::null()).status();
    let two = two.is_ok_and(|status| status.success()).then_some(Place::Two);

    // Only root may change its root.
    let may_change = rustix::process::geteuid().is_root();
    let threes = ROOTS.map(|(version, name)| {
        let root = debian(name).filter(|_| may_change);
        (version, root.filter(|root| root.join("usr/bin/gimp-console-3").exists()).map(Place::Three))
    });

    let found = [("2.10", two)].into_iter().chain(threes).filter_map(|(version, place)| {
        let is_extra = version == "3.2" && std::env::var_os("UTSUSHI_GIMP_32").is_none();
        if place.is_none() && !is_extra {
            skipped(&format!("GIMP {version} is not installed"));
        }
        Some(Gimp { version, place: place? })
    });
    found.collect()
}

/// Whether GEGL's own command line is there.
pub fn has_gegl() -> bool {
    let found = Command::new("gegl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        skipped("gegl is not installed");
    }
    is_there
}

impl Gimp {
    /// Whether a GIMP there can speak the language of this locale, which the C library has to have.
    pub fn speaks(&self, locale: &str) -> bool {
        let mut command = match &self.place {
            Place::Two => Command::new("locale"),
            Place::Three(root) => {
                let mut command = Command::new("chroot");
                command.arg(root).arg("locale");
                command
            }
        };
        let known = command.arg("-a").output().map(|output| output.stdout).unwrap_or_default();
        let known = String::from_utf8_lossy(&known).to_lowercase();
        let is_known = known.lines().any(|name| name == locale.to_lowercase().replace("utf-8", "utf8"));
        if !is_known {
            skipped(&format!("GIMP {} has no locale {locale}", self.version));
        }
        is_known
    }
}

/// Where a whole Debian of this name is, if `.ci/gimps` has made it.
pub fn debian(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    Some(cache?.join("utsushi-tests").join(name)).filter(|root| root.is_dir())
}

/// Says why something isn't tested, which is a failure if everything has to be.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("UTSUSHI_REQUIRE_GIMP").is_none(), "{why}");
    eprintln!("skipped: {why}");
}

/// A GIMP with a fresh profile, a folder for its files, and a daemon of its own.
pub struct Session {
    gimp: Gimp,
    home: Home,
    /// As in `de`, and a locale of it.
    language: (&'static str, &'static str),
}

impl Session {
    /// Installs the plug-in into the profile, as users do, and the daemon with it. GIMP speaks English.
    pub fn new(gimp: Gimp) -> Self {
        Self::speaking(gimp, ("", "C.UTF-8"))
    }

    /// The same, in this language, with a locale of it, which newer C libraries demand.
    pub fn speaking(gimp: Gimp, language: (&'static str, &'static str)) -> Self {
        let home = match &gimp.place {
            Place::Two => Home::new(),
            Place::Three(root) => Home::new_in(&root.join("tmp")),
        };
        fs::create_dir(home.path().join("profile")).expect("a folder");
        let plug_in = plug_in().to_str().expect("plain names");
        let args = ["install", "--profile", "profile", "--plugin", plug_in];
        let mut install = home.utsushi(&args);
        // A daemon on PATH would not be in the other root.
        install.env("PATH", "/nonexistent");
        assert_code(&finish(install), 0, &args);
        Self { gimp, home, language }
    }

    /// Puts the operation where GEGL looks for it in this session's home.
    pub fn with_operation(self) -> Self {
        let folder = self.home.path().join(".local/share/gegl-0.4/plug-ins/utsushi");
        fs::create_dir_all(&folder).expect("folders");
        fs::copy(operation(), folder.join("libutsushi_gegl.so")).expect("it is copied");
        self
    }

    /// Which GIMP it is.
    pub fn gimp(&self) -> &Gimp {
        &self.gimp
    }

    /// The folder, and the daemon.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// A file as GIMP sees it.
    pub fn inside(&self, name: &str) -> String {
        let path = self.home.path().join(name);
        let path = match &self.gimp.place {
            Place::Two => path,
            Place::Three(root) => Path::new("/").join(path.strip_prefix(root).expect("it is below the root")),
        };
        path.to_str().expect("plain names").to_owned()
    }

    /// Opens a file as `image`, with `layer` in it, evaluates `body`, and saves what is then visible.
    pub fn step(&self, from: &str, body: &str, to: &str) -> String {
        self.open(from, &format!("{body} {}", self.save(&format!("\"{}\"", self.inside(to)))))
    }

    /// Opens a file as `image`, with `layer` in it, and evaluates `body`.
    pub fn open(&self, from: &str, body: &str) -> String {
        let from = self.inside(from);
        let (image, layer) = match self.gimp.place {
            Place::Two => (
                format!("(gimp-file-load 1 \"{from}\" \"{from}\")"),
                "(car (gimp-image-get-active-layer image))",
            ),
            Place::Three(_) => (
                format!("(gimp-file-load 1 \"{from}\")"),
                "(vector-ref (car (gimp-image-get-layers image)) 0)",
            ),
        };
        format!("(let* ((image (car {image})) (layer {layer})) {body})")
    }

    /// Saves what is visible of `image`; `to` is evaluated.
    pub fn save(&self, to: &str) -> String {
        match self.gimp.place {
            Place::Two => {
                format!("(gimp-file-save 1 image (car (gimp-image-get-active-layer image)) {to} {to})")
            }
            Place::Three(_) => format!("(gimp-file-save 1 image {to})"),
        }
    }

    /// All layers of `image`, as a vector.
    pub fn layers(&self) -> &'static str {
        match self.gimp.place {
            Place::Two => "(cadr (gimp-image-get-layers image))",
            Place::Three(_) => "(car (gimp-image-get-layers image))",
        }
    }

    /// A new layer group in `image`.
    pub fn new_group(&self) -> &'static str {
        match self.gimp.place {
            Place::Two => "(car (gimp-layer-group-new image))",
            Place::Three(_) => "(car (gimp-group-layer-new image \"\"))",
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
    pub fn stylize(&self, run_mode: u8, values: [&str; 9]) -> String {
        match self.gimp.place {
            Place::Two => format!("(plug-in-utsushi-stylize {run_mode} image layer {})", values.join(" ")),
            Place::Three(_) => {
                let names = [
                    "style",
                    "strength",
                    "brush-size",
                    "keep-colours",
                    "second-style",
                    "second-share",
                    "output",
                    "seed",
                    "grain",
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
        match self.gimp.place {
            Place::Two => format!("(plug-in-utsushi-status {run_mode})"),
            Place::Three(_) => format!("(plug-in-utsushi-status #:run-mode {run_mode})"),
        }
    }

    /// How GIMP is started to evaluate this and to end, headless or with a window on a screen.
    pub fn command(&self, script: &str, screen: Option<&Screen>) -> Command {
        let profile = self.inside("profile");
        let mut command = match &self.gimp.place {
            Place::Two => {
                let program = if screen.is_some() { "gimp-2.10" } else { "gimp-console-2.10" };
                let mut command = Command::new(program);
                command.args(["-d", "-f", "-s", "-b", script, "-b", "(gimp-quit 1)"]);
                command.env("GIMP2_DIRECTORY", profile).env_remove("UTSUSHI_DAEMON");
                command
            }
            Place::Three(root) => {
                let program = if screen.is_some() { "gimp" } else { "gimp-console-3" };
                let mut command = Command::new("chroot");
                command.arg(root).args([program, "-d", "-f", "-s", "--quit"]);
                command.args(["--batch-interpreter", "plug-in-script-fu-eval", "-b", script]);
                command.env("GIMP3_DIRECTORY", profile);
                // A program finds what lies beside it through /proc, which is not in this root.
                command.env("UTSUSHI_DAEMON", self.inside("profile/plug-ins/utsushi-gimp/utsushi"));
                command
            }
        };
        let socket = socket(Path::new(&self.inside("")));
        for name in OWN {
            command.env_remove(name);
        }
        command
            .env("HOME", self.inside(""))
            .env("UTSUSHI_SOCKET", socket)
            .env("UTSUSHI_STYLES", self.inside("styles"))
            .env("XDG_STATE_HOME", self.inside("state"))
            .env("LC_ALL", self.language.1)
            .env("LANGUAGE", self.language.0)
            .envs(screen.map(|screen| ("DISPLAY", screen.name())))
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
        let child = self.command(script, None).spawn().expect("GIMP starts");
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

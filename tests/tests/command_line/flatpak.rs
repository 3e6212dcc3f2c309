//! GIMP from Flatpak and the system: their runtime folders have one folder in common.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::Signal;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, assert_code, binary, errors, finish, signal, wait_until};
use utsushi_tests::pictures::write_drawn;

/// On which side of the sandbox's wall a program runs.
#[derive(Debug, Clone, Copy)]
enum Side {
    Outside,
    Inside,
}
use Side::{Inside, Outside};

/// A home with a runtime folder, and a picture.
struct System {
    home: Home,
}

impl System {
    fn new() -> Self {
        let home = Home::new();
        write_drawn(&home.path().join("in.png"), 90, 70, Channels::Rgb, Depth::U8);
        fs::create_dir(home.path().join("runtime")).expect("made");
        let closed = fs::Permissions::from_mode(0o700);
        fs::set_permissions(home.path().join("runtime"), closed).expect("a folder of ours");
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Flatpak does so when it starts GIMP.
    fn start_flatpak(&self) {
        fs::create_dir_all(self.path("runtime/app/org.gimp.GIMP")).expect("made");
    }

    /// The program as it finds itself at home there, without a daemon that it is told of.
    fn settle(&self, side: Side, mut command: Command) -> Command {
        command.env_remove("UTSUSHI_SOCKET").env_remove("UTSUSHI_STYLES").env_remove("UTSUSHI_DAEMON");
        command.env("XDG_RUNTIME_DIR", self.path("runtime")).env("HOME", self.home.path());
        command.env_remove("XDG_DATA_HOME").env_remove("HOST_XDG_DATA_HOME").env_remove("FLATPAK_ID");
        if let Inside = side {
            let data = self.path(".var/app/org.gimp.GIMP/data");
            command.env("FLATPAK_ID", "org.gimp.GIMP").env("XDG_DATA_HOME", data);
        }
        command
    }

    #[track_caller]
    fn expect(&self, side: Side, code: i32, args: &[&str]) -> Output {
        let output = finish(self.settle(side, self.home.utsushi(args)));
        assert_code(&output, code, args);
        output
    }

    fn draw(&self, side: Side) -> Vec<u8> {
        drop(fs::remove_file(self.path("out.png")));
        self.expect(side, 0, &["stylize", "in.png", "-o", "out.png"]);
        fs::read(self.path("out.png")).expect("a file")
    }

    /// The daemon that answers there.
    fn daemon(&self, side: Side) -> Option<i64> {
        let output = finish(self.settle(side, self.home.utsushi(&["status", "--json"])));
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an object");
        status["pid"].as_i64()
    }
}

#[test]
fn both_sides_share_the_daemon_of_outside() {
    let system = System::new();
    system.start_flatpak();
    assert_eq!(system.daemon(Inside), None);
    let first = system.draw(Outside);
    let daemon = system.daemon(Outside);
    assert!(daemon.is_some() && system.daemon(Inside) == daemon);
    assert!(system.draw(Inside) == first, "it draws the same");
    assert_eq!(system.home.daemons().len(), 1);

    system.expect(Outside, 0, &["stop"]);
    assert_eq!((system.daemon(Outside), system.daemon(Inside)), (None, None));
    let left = ["utsushi", "app/org.gimp.GIMP/utsushi"].map(|name| system.path(&format!("runtime/{name}")));
    assert!(left.iter().all(|folder| !folder.join("daemon.sock").exists()), "no socket is left");
}

#[test]
fn without_one_outside_the_sandbox_has_its_own_until_it_ends() {
    let system = System::new();
    system.start_flatpak();
    let first = system.draw(Inside);
    let inner = system.daemon(Inside).expect("it was started");
    assert_eq!(system.daemon(Outside), None, "it is not for those outside");

    assert!(system.draw(Outside) == first);
    let outer = system.daemon(Outside).expect("it was started");
    assert_eq!(system.daemon(Inside), Some(inner), "nobody takes its place from it");
    // As Flatpak does with all that still runs in the sandbox when GIMP ends.
    signal(inner as i32, Signal::KILL);
    wait_until("it is gone", || !system.home.processes().contains(&(inner as i32)));
    wait_until("the other one serves both sides", || system.daemon(Inside) == Some(outer));
    assert!(system.draw(Inside) == first);
}

#[test]
fn a_daemon_that_is_up_before_flatpak_is_found() {
    let system = System::new();
    system.draw(Outside);
    let daemon = system.daemon(Outside);
    assert!(!system.path("runtime/app").exists());
    system.start_flatpak();
    wait_until("it serves both sides", || system.daemon(Inside) == daemon);
    fs::rename(system.path("runtime/app"), system.path("gone")).expect("moved");
    system.start_flatpak();
    wait_until("it serves both sides again", || system.daemon(Inside) == daemon);
    system.draw(Inside);
    assert_eq!(system.home.daemons().len(), 1);
}

#[test]
fn a_daemon_at_a_place_of_its_own_leaves_flatpak_alone() {
    let system = System::new();
    system.start_flatpak();
    let own = system.home.socket();
    let socket = own.to_str().expect("plain");
    system.expect(Outside, 0, &["stylize", "in.png", "-o", "out.png", "--socket", socket]);
    assert_eq!(system.home.names("runtime/app/org.gimp.GIMP"), [""; 0]);
}

#[test]
fn styles_of_outside_are_there_inside() {
    let system = System::new();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/styles/cel.safetensors");
    let words = ["--id", "mine", "--name", "Mine", "--author", "Me", "--licence", "MIT"];
    system.expect(Outside, 0, &[&["styles", "import", own.to_str().expect("plain")], &words[..]].concat());
    for side in [Outside, Inside] {
        let told = String::from_utf8(system.expect(side, 0, &["styles"]).stdout).expect("UTF-8");
        assert!(told.contains("mine"), "{side:?}: {told}");
    }
}

#[test]
fn where_no_daemon_can_be_started_it_says_what_was_tried_and_what_helps() {
    let system = System::new();
    system.start_flatpak();
    let program = system.path("plug-ins/painter");
    fs::create_dir(program.parent().expect("a folder")).expect("made");
    fs::copy(binary(), &program).expect("a copy");
    let check = |side: Side, expected: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["stylize", "in.png", "-o", "out.png"]).current_dir(system.home.path());
        let mut command = system.settle(side, command);
        let output = finish({
            command.env("PATH", "/no/bin:/usr/no/bin").env("XDG_STATE_HOME", system.path("state"));
            command
        });
        assert_code(&output, 1, &["stylize"]);
        let told = errors(&output);
        let tried = [program.parent().expect("a folder").to_str().expect("plain"), "/no/bin:/usr/no/bin"];
        assert!(tried.iter().chain(expected).all(|part| told.contains(part)), "{side:?}: {told}");
    };
    check(Outside, &["`utsushi install`", "UTSUSHI_DAEMON"]);
    check(Inside, &["outside of this sandbox", "`utsushi serve`", "`utsushi install`"]);
    assert_eq!(system.home.processes(), [0; 0]);
}

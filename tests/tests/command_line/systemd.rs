//! The units for systemd, with what systemd has to try them.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use utsushi_ipc::client::Client;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, assert_code, binary, finish, wait_until};
use utsushi_tests::pictures::write_drawn;

const PROGRAM: &str = "/usr/bin/utsushi";

fn unit(name: &str) -> String {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    fs::read_to_string(units.join(name)).expect("a unit")
}

/// What stands after `key=`, as often as it does.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// Is this of systemd's there? Says so if it isn't.
fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: {program} is not installed");
    }
    there
}

/// Does somebody listen there? A socket's file is there a moment before.
fn listens(socket: &Path) -> bool {
    const ACCEPTS_CONNECTIONS: &str = " 00010000 ";
    let path = socket.to_str().expect("plain");
    let all = fs::read_to_string("/proc/net/unix").expect("a system with /proc");
    all.lines().any(|line| line.ends_with(path) && line.contains(ACCEPTS_CONNECTIONS))
}

#[test]
fn systemd_understands_the_units() {
    if !is_there("systemd-analyze") {
        return;
    }
    let home = Home::new();
    let path = |name: &str| home.path().join(name);
    let program = binary().to_str().expect("plain");
    fs::write(path("utsushi.socket"), unit("utsushi.socket")).expect("written");
    fs::write(path("utsushi.service"), unit("utsushi.service").replace(PROGRAM, program)).expect("written");
    let mut command = Command::new("systemd-analyze");
    command.args(["--user", "--man=no", "verify"]).args([path("utsushi.socket"), path("utsushi.service")]);
    command.env("XDG_RUNTIME_DIR", home.path());
    let output = finish(command);
    assert_code(&output, 0, &["verify"]);
    // It ends well even if it has not understood a line.
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_first_client_at_either_socket_starts_the_daemon() {
    if !is_there("systemd-socket-activate") {
        return;
    }
    let sockets = unit("utsushi.socket");
    let service = unit("utsushi.service");
    let [start] = values(&service, "ExecStart")[..] else { panic!("{service}") };
    let args: Vec<_> = start.strip_prefix(PROGRAM).expect("the program").split_whitespace().collect();

    for first in 0..2 {
        let home = Home::new();
        write_drawn(&home.path().join("in.png"), 90, 70, Channels::Rgb, Depth::U8);
        let runtime = home.path().to_str().expect("plain");
        let sockets: Vec<PathBuf> =
            values(&sockets, "ListenStream").iter().map(|path| path.replace("%t", runtime).into()).collect();
        assert_eq!(sockets.len(), 2);
        let mut manager = Command::new("systemd-socket-activate");
        for socket in &sockets {
            let folder = socket.parent().expect("a folder");
            // As systemd would, by the unit's DirectoryMode.
            DirBuilder::new().recursive(true).mode(0o700).create(folder).expect("made");
            manager.arg("--listen").arg(socket);
        }
        let state = format!("XDG_STATE_HOME={}", home.path().join("state").display());
        manager.args([
            "-E",
            &format!("XDG_RUNTIME_DIR={runtime}"),
            "-E",
            &format!("HOME={runtime}"),
            "-E",
            &state,
        ]);
        let mut manager = manager.arg(binary()).args(&args).spawn().expect("it starts");
        wait_until("systemd listens", || sockets.iter().all(|socket| listens(socket)));
        let manager_pid = manager.id();

        for socket in [&sockets[first], &sockets[1 - first]] {
            let client = Client::connect(socket).expect("a daemon is started, and answers");
            assert_eq!(client.daemon().pid, manager_pid, "it becomes the daemon");
        }
        let socket = sockets[first].to_str().expect("plain");
        home.expect(0, &["stylize", "in.png", "-o", "out.png", "--socket", socket]);
        assert_eq!(home.processes(), [manager_pid as i32], "nobody starts another");
        home.expect(0, &["stop", "--socket", socket]);
        assert!(manager.wait().expect("a child").success());
        assert!(sockets.iter().all(|socket| socket.exists()), "they belong to systemd");

        // Now systemd is gone, too. Clients do without.
        home.expect(0, &["stylize", "in.png", "-o", "out.png", "--socket", socket]);
        assert_eq!(home.daemons().len(), 1);
    }
}

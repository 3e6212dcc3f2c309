//! The daemon: started by whoever needs it, once; found again, stopped, replaced, and activated by its socket.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use utsushi::scheduler::Limits;
use utsushi::server::MAX_CONNECTIONS;
use utsushi_ipc::client::Client;
use utsushi_ipc::endpoint;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_ipc::protocol::Hello;
use utsushi_ipc::wire;
use utsushi_tests::binary::{Home, assert_code, errors, finish, signal, wait_until};
use utsushi_tests::pictures::write_drawn;
use utsushi_tests::waiting::{small_picture, waiting_picture};

/// A home with a small picture.
fn home() -> Home {
    let home = Home::new();
    write_drawn(&home.path().join("in.png"), 90, 70, Channels::Rgb, Depth::U8);
    home
}

fn draw(home: &Home) -> Vec<u8> {
    let _ = fs::remove_file(home.path().join("out.png"));
    home.expect(0, &["stylize", "in.png", "-o", "out.png"]);
    fs::read(home.path().join("out.png")).expect("a file")
}

/// A daemon in the foreground, which says what it does in `serve.log`.
fn serve(home: &Home, args: &[&str]) -> Child {
    let log = File::create(home.path().join("serve.log")).expect("a log");
    let mut command = home.utsushi(&[&["serve"], args].concat());
    let child = command.env("UTSUSHI_LOG", "debug").stderr(log).spawn().expect("the binary runs");
    wait_until("the daemon answers", || home.status()["running"] == true);
    child
}

fn log(home: &Home) -> String {
    fs::read_to_string(home.path().join("serve.log")).expect("a log")
}

#[test]
fn commands_of_one_instant_share_one_daemon() {
    const COMMANDS: usize = 16;
    let home = home();
    for round in 1..=3 {
        let outputs: Vec<_> = thread::scope(|scope| {
            let run = |index: usize| {
                let home = &home;
                scope.spawn(move || {
                    let name = format!("out-{index}.png");
                    home.expect(0, &["stylize", "in.png", "-o", &name]);
                    fs::read(home.path().join(name)).expect("a file")
                })
            };
            let running: Vec<_> = (0..COMMANDS).map(run).collect();
            running.into_iter().map(|thread| thread.join().expect("it succeeds")).collect()
        });
        assert!(outputs.iter().all(|output| *output == outputs[0]), "the same picture");
        wait_until("there is one daemon", || home.daemons().len() == 1);
        assert_eq!(home.status()["finished"], COMMANDS, "round {round}: all were drawn by the same one");
        // The next ones meet a daemon that is just ending, and one that has left its socket.
        match round {
            1 => drop(home.expect(0, &["stop"])),
            _ => signal(home.daemons()[0], Signal::KILL),
        }
    }
}

#[test]
fn a_command_gets_a_place_from_those_who_do_nothing() {
    let home = home();
    let mut daemon = serve(&home, &[]);
    let client = |_| Client::connect(&home.socket()).expect("a place");
    let idle: Vec<_> = (0..MAX_CONNECTIONS).map(client).collect();
    let first = draw(&home);
    drop(idle);
    // Pictures of which nothing comes fill the queue, until they have kept it waiting for too long.
    let silent: Vec<_> = (0..Limits::default().queued).map(|_| waiting_picture(&home.socket())).collect();
    wait_until("the queue is full", || home.status()["queued"] == Limits::default().queued);
    assert!(draw(&home) == first);
    drop(silent);
    home.expect(0, &["stop"]);
    assert!(daemon.wait().expect("a child").success());
}

#[test]
fn a_stopped_daemon_is_given_up() {
    let home = home();
    let mut daemon = serve(&home, &[]);
    let pid = daemon.id() as i32;
    let client = |limit| {
        let mut client = Client::connect(&home.socket()).expect("the daemon answers");
        client.set_silence_limit(limit).expect("a connection");
        client
    };
    let draw = |client: Client| {
        client.stylize(&small_picture(), |_, _, _| Ok(()), |_, _, _| Ok(()), |_| ControlFlow::Continue(()))
    };
    let impatient = client(Duration::from_millis(500));
    signal(pid, Signal::STOP);
    let error = draw(impatient).expect_err("it is stopped");
    assert!(error.to_string().contains(&format!("end it with `kill -9 {pid}`")), "{error}");
    signal(pid, Signal::CONT);
    draw(client(Duration::from_secs(300))).expect("it goes on as if nothing had been");
    home.expect(0, &["stop"]);
    assert!(daemon.wait().expect("a child").success());
}

/// Greetings of 60 kB each, of which a log of a thousandth of that must not become full.
#[test]
fn a_flood_does_not_fill_the_disk() {
    const MOST: usize = 3 << 20;
    let home = home();
    draw(&home);
    let flood = |number: usize| {
        let application = format!("{number}\n\x1b[2J{}", "x".repeat(60_000));
        let mut stranger = endpoint::connect(&home.socket()).expect("the daemon listens");
        let hello = Hello { application, ..Hello::ours() };
        wire::write_frame(&mut stranger, &hello, &[]).expect("the daemon reads");
        // Until it has closed, and so has logged.
        while wire::read_frame::<Hello>(&mut stranger, &mut Vec::new()).is_ok() {}
    };
    let logs = || home.files("state/utsushi").into_iter().filter(|(name, _)| name.starts_with("daemon.log"));
    flood(0);
    let line = |log: &[u8]| {
        String::from_utf8(log.to_vec()).expect("UTF-8").lines().last().expect("a line").to_owned()
    };
    let refused = line(&home.files("state/utsushi")["daemon.log"]);
    assert!(refused.contains("another version was refused") && refused.len() < 300, "{refused}");
    // Each line another one, until the log has made way for a new one, and that for another.
    let mut number = 0;
    for old in 0..2 {
        let before = home.files("state/utsushi").remove("daemon.log.old");
        wait_until("the log makes way", || {
            (0..500).for_each(|_| {
                flood({
                    number += 1;
                    number
                })
            });
            home.files("state/utsushi").remove("daemon.log.old") != before
        });
        let bytes: usize = logs().map(|(_, log)| log.len()).sum();
        assert!(bytes < MOST && logs().count() == 2, "{bytes} bytes after {old}");
    }
    home.expect(0, &["stop"]);
    wait_until("it has said its last word in the new one", || {
        line(&home.files("state/utsushi")["daemon.log"]).contains("stopped")
    });
}

#[test]
fn status_starts_nothing() {
    let home = home();
    let output = home.expect(1, &["status"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("no daemon is running"), "{output:?}");
    assert_eq!(home.expect(1, &["status", "--json"]).stdout, b"{\"running\":false}\n");
    assert_eq!((home.names("."), home.processes()), (vec!["in.png".to_owned()], vec![]));

    draw(&home);
    let output = home.expect(0, &["status"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("styles  anime\n") && told.contains("1 finished"), "{told}");
    assert_eq!(home.daemon_pid(), Some(home.daemons()[0]));
}

#[test]
fn stopping_ends_it() {
    let home = home();
    let told = |args| String::from_utf8(home.expect(0, args).stdout).expect("UTF-8");
    assert_eq!(told(&["stop"]), "no daemon is running\n");
    let first = draw(&home);
    let pid = home.daemons()[0];
    assert_eq!(told(&["stop"]), "the daemon stops\n");
    assert!(!home.socket().exists());
    wait_until("the process is gone", || !home.processes().contains(&pid));
    assert_eq!(told(&["stop"]), "no daemon is running\n");
    assert!(draw(&home) == first, "another one draws the same");
}

#[test]
fn a_daemon_in_the_foreground() {
    let home = home();
    for kind in [Signal::TERM, Signal::INT] {
        let mut daemon = serve(&home, &[]);
        assert_eq!(home.daemon_pid(), Some(daemon.id() as i32));
        let args = ["serve"];
        let second = home.expect(1, &args);
        assert!(errors(&second).contains("already running"), "{}", errors(&second));
        draw(&home);
        assert_eq!(home.daemons(), [daemon.id() as i32], "nobody starts another");
        signal(daemon.id() as i32, kind);
        assert!(daemon.wait().expect("a child").success(), "{kind:?}: {}", log(&home));
        assert!(!home.socket().exists(), "{kind:?}");
    }
}

#[test]
fn what_a_dead_daemon_left_is_replaced() {
    let home = home();
    let first = draw(&home);
    signal(home.daemons()[0], Signal::KILL);
    wait_until("nobody listens", || UnixStream::connect(home.socket()).is_err());
    assert!(home.socket().exists(), "a killed daemon can't clean up");
    assert_eq!(home.status()["running"], false);
    assert_eq!(home.expect(0, &["stop"]).stdout, b"no daemon is running\n");
    assert!(draw(&home) == first);
}

#[test]
fn what_is_no_socket_is_left_alone_and_told() {
    let home = home();
    fs::create_dir(home.path().join("run")).expect("a folder");
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(home.path().join("run"), closed).expect("a folder of ours");
    fs::write(home.socket(), "precious").expect("written");
    for args in [&["stylize", "in.png", "-o", "out.png"][..], &["batch", "in.png", "-o", "out"], &["serve"]] {
        let output = home.expect(1, args);
        let (errors, socket) = (errors(&output), home.socket());
        assert!(errors.contains(socket.to_str().expect("UTF-8")), "{args:?}: {errors}");
        assert!(errors.contains("it is no socket; move it away"), "{args:?}: {errors}");
    }
    assert_eq!(fs::read(home.socket()).expect("a file"), b"precious");
    assert_eq!((home.files(".").get("out.png"), home.processes()), (None, vec![]));
    fs::remove_file(home.socket()).expect("removed");
    draw(&home);
}

#[test]
fn a_service_manager_hands_down_the_socket() {
    let home = home();
    let folder = home.path().join("run");
    fs::create_dir(&folder).expect("a folder");
    let listener = UnixListener::bind(home.socket()).expect("a socket");
    // The shell puts the socket where it is expected, and knows what will be the daemon's process.
    let activate = || {
        let before = "LISTEN_FDS=1; LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID; exec 3<&0 0</dev/null;";
        let socket = OwnedFd::from(listener.try_clone().expect("a copy"));
        let log = File::create(home.path().join("serve.log")).expect("a log");
        home.utsushi_after(before, &["serve"]).stdin(socket).stderr(log).spawn().expect("a shell")
    };
    let mut results = Vec::new();
    for _ in 0..2 {
        // The client is first: it waits at the socket, and starts no daemon of its own.
        let _ = fs::remove_file(home.path().join("out.png"));
        let mut client = home.utsushi(&["stylize", "in.png", "-o", "out.png", "--quiet"]);
        let mut client = client.stdin(Stdio::null()).spawn().expect("the binary runs");
        let mut daemon = activate();
        assert!(client.wait().expect("a child").success(), "{}", log(&home));
        assert_eq!(home.daemon_pid(), Some(daemon.id() as i32));
        results.push(draw(&home));
        assert_eq!(home.daemons(), [daemon.id() as i32]);

        home.expect(0, &["stop"]);
        assert!(daemon.wait().expect("a child").success(), "{}", log(&home));
        assert!(home.socket().exists(), "it belongs to the service manager");
    }
    assert!(results[0] == results[1]);
}

#[test]
fn an_idle_daemon_frees_its_memory_and_takes_it_again() {
    let home = home();
    let mut daemon = serve(&home, &["--idle-unload", "1s"]);
    let first = draw(&home);
    wait_until("it was idle", || log(&home).contains("idle: unloading"));
    let status = home.status();
    assert_eq!((&status["loaded"], &status["finished"]), (&serde_json::json!([]), &1.into()));
    assert!(draw(&home) == first);
    assert_eq!(home.daemon_pid(), Some(daemon.id() as i32), "it stays");
    home.expect(0, &["stop"]);
    assert!(daemon.wait().expect("a child").success());
}

#[test]
fn a_daemon_that_cannot_start_is_told_with_its_last_words() {
    let home = home();
    let check = |daemon: &str, words: &str| {
        let args = ["stylize", "in.png", "-o", "out.png"];
        let mut command = home.utsushi(&args);
        command.env("UTSUSHI_DAEMON", daemon);
        let output = finish(command);
        assert_code(&output, 1, &args);
        assert!(errors(&output).contains(daemon) && errors(&output).contains(words), "{}", errors(&output));
    };
    check("/nowhere/utsushi", "no such program");
    check("/bin/false", "exit");
    let script = home.path().join("daemon.sh");
    fs::write(&script, "#!/bin/sh\necho the moon is wrong >&2\nexit 3\n").expect("written");
    let runnable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, runnable).expect("a file of ours");
    check(script.to_str().expect("UTF-8"), "the moon is wrong");
}

use std::{
    env, fs,
    io::{ErrorKind, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{MetadataExt, PermissionsExt, chown, symlink},
            net::{UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use interprocess::os::unix::uds_local_socket as uds;
use tempfile::TempDir;

use super::*;

/// Set for tests that run again as a process of their own: the socket's path.
const CHILD_VARIABLE: &str = "UTSUSHI_TEST_CHILD";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn socket(folder: &TempDir) -> PathBuf {
    folder.path().join("run/daemon.sock")
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o777
}

/// This test program again, with only this test, which is ignored otherwise.
fn child(test: &str, socket: &Path) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program has a path"));
    command.args(["--exact", &format!("endpoint::tests::{test}"), "--ignored"]).env(CHILD_VARIABLE, socket);
    command
}

fn pair(path: &Path) -> (Connection, Connection, Listener) {
    let listener = Listener::bind(path).expect("a free path");
    let near = connect(path).expect("a daemon that listens");
    let far = listener.accept().expect("a client that connects");
    (near, far, listener)
}

#[test]
fn one_daemon_a_socket() {
    let folder = folder();
    let path = socket(&folder);
    let first = Listener::bind(&path).expect("a free path");
    assert_eq!(first.path(), path);
    assert!(matches!(Listener::bind(&path), Err(EndpointError::AlreadyRunning { .. })));
    assert!(connect(&path).is_ok(), "the refused one left the socket alone");

    drop(first);
    assert!(!path.exists(), "the socket goes with its daemon");
    Listener::bind(&path).expect("a path that is free again");
}

#[test]
fn only_the_user_can_enter() {
    let folder = folder();
    let path = socket(&folder);
    let _listener = Listener::bind(&path).expect("a free path");
    assert_eq!(mode(path.parent().expect("it has one")), 0o700);
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn folders_that_cannot_protect_are_refused() {
    fn check(name: &str, prepare: impl FnOnce(&Path), expected: &str) {
        let folder = folder();
        let run = folder.path().join("run");
        prepare(&run);
        let error = Listener::bind(&run.join("daemon.sock")).expect_err(name);
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert!(!run.join("daemon.sock").exists(), "{name}");
    }
    let create = |run: &Path, mode: u32| {
        fs::create_dir(run).expect("a new folder");
        fs::set_permissions(run, fs::Permissions::from_mode(mode)).expect("a folder of ours");
    };

    check("readable by others", |run| create(run, 0o755), "chmod 700");
    check("readable by the group", |run| create(run, 0o750), "its mode is 750");
    check("a file", |run| fs::write(run, "").expect("a new file"), "it is no folder");
    check("a link", |run| symlink("/tmp", run).expect("a new link"), "it is no folder");
    if rustix::process::geteuid().is_root() {
        let give_away = |run: &Path| {
            create(run, 0o700);
            chown(run, Some(1), None).expect("root may");
        };
        check("another user's", give_away, "belongs to another user");
    } else {
        let error = Listener::bind(Path::new("/utsushi.sock")).expect_err("the root folder is root's");
        assert!(error.to_string().contains("belongs to another user"), "{error}");
    }
}

#[test]
fn what_a_dead_daemon_left_is_replaced_and_nothing_else() {
    let folder = folder();
    let path = socket(&folder);
    drop(Listener::bind(&path).expect("a free path"));

    drop(UnixListener::bind(&path).expect("a free path"));
    assert!(path.exists());
    assert!(matches!(connect(&path), Err(EndpointError::NotRunning { .. })));
    drop(Listener::bind(&path).expect("a stale socket is replaced"));

    let foreign = UnixListener::bind(&path).expect("a free path");
    assert!(matches!(Listener::bind(&path), Err(EndpointError::AlreadyRunning { .. })));
    drop(foreign);
    fs::remove_file(&path).expect("a stale socket");

    fs::write(&path, "a picture").expect("a new file");
    let error = Listener::bind(&path).expect_err("a file is in the way");
    assert!(error.to_string().contains("it is no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("it is still there"), "a picture");
}

#[test]
fn a_socket_that_was_replaced_is_not_removed() {
    let folder = folder();
    let path = socket(&folder);
    let listener = Listener::bind(&path).expect("a free path");
    fs::rename(&path, path.with_extension("old")).expect("a socket of ours");
    let _successor = UnixListener::bind(&path).expect("a free path");
    drop(listener);
    assert!(path.exists());
}

#[test]
fn a_listener_has_many_sockets() {
    let folder = folder();
    let paths = ["first", "second", "third"].map(|name| folder.path().join(name).join("daemon.sock"));
    let mut listener = Listener::bind(&paths[0]).expect("a free path");
    for path in &paths {
        assert_eq!(listener.add(path).expect("a free path"), *path != paths[0]);
        assert!(!listener.add(path).expect("nothing to do"));
    }
    assert_eq!(listener.path(), paths[0]);
    for path in &paths {
        assert!(matches!(Listener::bind(path), Err(EndpointError::AlreadyRunning { .. })));
        assert_eq!((mode(path), mode(path.parent().expect("it has one"))), (0o600, 0o700));
        let mut near = connect(path).expect("a daemon that listens");
        let patience = Some(Duration::from_secs(60));
        let mut far = listener.accept_within(patience).expect("a listener").expect("a client");
        far.write_all(&[3]).expect("there is room");
        assert_eq!(near.read(&mut [0]).expect("one byte"), 1);
    }
    assert!(listener.accept_within(Some(Duration::from_millis(1))).expect("nobody came").is_none());
    listener.closer().close();
    assert!(matches!(listener.accept_within(Some(Duration::ZERO)), Err(EndpointError::Closed)));
    drop(listener);
    assert!(paths.iter().all(|path| !path.exists()), "they go together");
}

#[test]
fn a_socket_that_is_lost_is_made_again() {
    fn check(what: &str, lose: impl FnOnce(&Path)) {
        let folder = folder();
        let (first, side) = (socket(&folder), folder.path().join("side/daemon.sock"));
        let mut listener = Listener::bind(&first).expect("a free path");
        assert!(listener.add(&side).expect("a free path"), "{what}");
        lose(&side);
        assert!(listener.add(&side).expect("a free path"), "{what}");
        drop(connect(&side).expect("a daemon that listens"));
        drop(listener.accept().expect("a client that connects"));
        assert!(first.exists() && !listener.add(&side).expect("nothing to do"), "{what}");
    }
    check("the socket", |side| fs::remove_file(side).expect("a file"));
    check("the folder", |side| fs::remove_dir_all(side.parent().expect("a folder")).expect("removed"));
    check("replaced", |side| {
        fs::rename(side, side.with_extension("old")).expect("a socket of ours");
        drop(UnixListener::bind(side).expect("a free path"));
    });
}

#[test]
fn what_goes_wrong_with_a_socket_leaves_the_others() {
    let folder = folder();
    let (first, side) = (socket(&folder), folder.path().join("side/daemon.sock"));
    let mut listener = Listener::bind(&first).expect("a free path");
    let theirs = Listener::bind(&side).expect("a free path");
    assert!(matches!(listener.add(&side), Err(EndpointError::AlreadyRunning { .. })));
    drop(connect(&side).expect("theirs"));
    drop(theirs);
    assert!(listener.add(&side).expect("a path that is free again"));
    drop(connect(&first).expect("ours"));
    drop(listener.accept().expect("a client that connects"));
}

#[test]
fn a_lock_is_a_file_and_nothing_else() {
    fn check(what: &str, prepare: impl FnOnce(&Path, &Path)) {
        let folder = folder();
        let (path, precious) = (socket(&folder), folder.path().join("precious"));
        drop(Listener::bind(&path).expect("a free path"));
        let lock = path.with_extension("sock.lock");
        fs::remove_file(&lock).expect("a file");
        prepare(&lock, &precious);
        let error = Listener::bind(&path).expect_err(what);
        assert!(error.to_string().contains("lock"), "{what}: {error}");
        assert!(!precious.exists(), "{what}");
    }
    check("a link", |lock, precious| symlink(precious, lock).expect("a new link"));
    check("a pipe", |lock, _| {
        let made = Command::new("mkfifo").arg(lock).status().expect("mkfifo runs");
        assert!(made.success());
    });
}

#[test]
fn impossible_paths_are_named() {
    let folder = folder();
    let long = folder.path().join("run").join("x".repeat(100));
    assert!(matches!(Listener::bind(&long), Err(EndpointError::PathTooLong { .. })));
    assert!(matches!(connect(&long), Err(EndpointError::PathTooLong { .. })));
    assert!(matches!(connect(&socket(&folder)), Err(EndpointError::NotRunning { .. })));
}

#[test]
fn bytes_go_both_ways_at_once() {
    const LENGTH: usize = 4 << 20;
    let folder = folder();
    let (near, far, _listener) = pair(&socket(&folder));
    thread::scope(|scope| {
        for (connection, byte) in [(near, 1), (far, 2)] {
            let (mut receiver, mut sender) = connection.split();
            scope.spawn(move || sender.write_all(&vec![byte; LENGTH]).expect("the other side reads"));
            scope.spawn(move || {
                let mut bytes = vec![0; LENGTH];
                receiver.read_exact(&mut bytes).expect("the other side writes");
                assert!(bytes.iter().all(|&found| found == 3 - byte));
            });
        }
    });
}

#[test]
fn waiting_ends() {
    let folder = folder();
    let (mut near, mut far, _listener) = pair(&socket(&folder));
    near.set_timeouts(Some(Duration::from_millis(1)), Some(Duration::from_millis(1))).expect("a connection");
    assert_eq!(near.read(&mut [0]).expect_err("nothing was sent").kind(), ErrorKind::WouldBlock);
    let full = near.write_all(&vec![0; 16 << 20]).expect_err("nobody reads");
    assert_eq!(full.kind(), ErrorKind::WouldBlock);

    far.write_all(&[1]).expect("there is room");
    let (mut receiver, _sender) = near.split();
    assert!(receiver.wait(Duration::from_secs(60)).expect("a connection"));
    assert_eq!(receiver.read(&mut [0]).expect("one byte"), 1);
    assert!(!receiver.wait(Duration::from_millis(1)).expect("a connection"));
    drop(far);
    assert!(receiver.wait(Duration::from_secs(60)).expect("a connection"), "the end counts, too");
}

#[test]
fn hanging_up_wakes_the_reader() {
    let folder = folder();
    let (near, mut far, _listener) = pair(&socket(&folder));
    let hangup = near.hangup();
    let (mut receiver, _sender) = near.split();
    let reader = thread::spawn(move || receiver.read(&mut [0]).expect("the end is no error"));
    hangup.shutdown();
    assert_eq!(reader.join().expect("no panic"), 0);
    assert_eq!(far.read(&mut [0]).expect("the end is no error"), 0);
}

#[test]
fn a_handle_to_hang_up_keeps_nothing_open() {
    let folder = folder();
    let (near, mut far, _listener) = pair(&socket(&folder));
    let hangup = near.hangup();
    drop(near);
    assert_eq!(far.read(&mut [0]).expect("the end is no error"), 0);
    hangup.shutdown();
}

#[test]
fn a_closed_listener_stays_closed() {
    let folder = folder();
    let listener = Listener::bind(&socket(&folder)).expect("a free path");
    let closer = listener.closer();
    thread::scope(|scope| {
        let accepting = scope.spawn(|| listener.accept().map(drop));
        closer.close();
        assert!(matches!(accepting.join().expect("no panic"), Err(EndpointError::Closed)));
    });
    let _client = connect(listener.path()).expect("the socket is still there");
    assert!(matches!(listener.accept(), Err(EndpointError::Closed)));
}

#[test]
fn sockets_are_inherited() {
    let folder = folder();
    let path = folder.path().join("daemon.sock");
    let (first, second) = (UnixListener::bind(&path), UnixListener::bind(second(&path)));

    // The shell moves the sockets to where the protocol wants them, and knows its own process's number.
    let program = child("sockets_are_inherited_by_this", &path);
    let mut command = Command::new("sh");
    command.args(["-c", "LISTEN_FDS=2 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 4<&1 >/dev/null"]);
    command.arg(program.get_program()).args(program.get_args()).env(CHILD_VARIABLE, &path);
    command.stdin(OwnedFd::from(first.expect("a free path")));
    command.stdout(OwnedFd::from(second.expect("a free path")));
    let mut daemon = command.spawn().expect("a shell");
    // It has a copy of the sockets, which would keep them open.
    drop(command);

    for path in [&path, &self::second(&path)] {
        let mut connection = connect(path).expect("it listens before the daemon runs");
        let mut greeting = [0; 5];
        connection.read_exact(&mut greeting).expect("the daemon greets");
        assert_eq!(&greeting, b"hello");
    }
    assert!(daemon.wait().expect("a child").success());
    assert!(path.exists() && self::second(&path).exists(), "the sockets stay with their owner");
}

/// Another socket that is handed down.
fn second(path: &Path) -> PathBuf {
    path.with_extension("second")
}

#[test]
#[ignore = "runs as a process of its own"]
fn sockets_are_inherited_by_this() {
    let Some(path) = env::var_os(CHILD_VARIABLE) else { return };
    let path = Path::new(&path);
    let mut listener = Listener::from_environment().expect("some were handed down").expect("good ones");
    assert_eq!(listener.path(), path);
    assert!(
        !listener.add(path).expect("nothing to do") && !listener.add(&second(path)).expect("nothing to do")
    );
    for _ in 0..2 {
        listener.accept().expect("a client").write_all(b"hello").expect("it reads");
    }
    assert!(Listener::from_environment().is_none(), "they can only be taken once");
}

/// Needs the right to become another user.
#[test]
fn other_users_are_turned_away() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder of ours");
    let path = folder.path().join("daemon.sock");
    let socket = UnixListener::bind(&path).expect("a free path");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("a socket of ours");
    let listener = Listener::inherited(uds::Listener::from(socket), path.clone()).expect("a good one");

    let program = env::current_exe().expect("this program has a path");
    let copy = folder.path().join("program");
    fs::copy(program, &copy).expect("a folder of ours");
    let stranger = child("other_users_are_turned_away_here", &path);
    let mut command = Command::new(copy);
    command
        .args(stranger.get_args())
        .env(CHILD_VARIABLE, &path)
        .stdout(Stdio::null())
        .uid(65534)
        .current_dir("/");
    let mut stranger = command.spawn().expect("root may");

    thread::scope(|scope| {
        let accepted = scope.spawn(|| listener.accept());
        assert!(stranger.wait().expect("a child").success());
        let mut ours = connect(&path).expect("the daemon still listens");
        let mut accepted = accepted.join().expect("no panic").expect("our own connection");
        ours.write_all(&[7]).expect("there is room");
        let mut byte = [0];
        accepted.read_exact(&mut byte).expect("our own byte");
        assert_eq!(byte, [7]);
    });
}

#[test]
#[ignore = "runs as a process of its own"]
fn other_users_are_turned_away_here() {
    let Some(path) = env::var_os(CHILD_VARIABLE) else { return };
    assert!(matches!(connect(Path::new(&path)), Err(EndpointError::ForeignPeer { .. })));
    let mut stream = UnixStream::connect(path).expect("anybody may connect");
    let read = stream.read(&mut [0]);
    assert!(matches!(read, Ok(0)), "{read:?}");
}

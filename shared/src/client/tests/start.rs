//! Daemons that come and go.

use std::{
    env,
    fs::{self, File},
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::Path,
    process::{self, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use super::*;
use crate::paths;

/// The version that [`daemon_process`] says it is of, in place of this one.
const VERSION_VARIABLE: &str = "UTSUSHI_TEST_VERSION";

#[test]
fn a_daemon_is_stopped_whatever_its_version() {
    let daemon = FakeDaemon::new(|mut peer| {
        assert_eq!(peer.read::<Request>().expect("a request"), Request::Shutdown);
        peer.reply(&Reply::Done);
    });
    stop(&daemon.socket()).expect("the daemon agrees");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("run/daemon.sock");
    let Starter { program, args, .. } = starter(&folder);
    let mut old = Command::new(program);
    old.args(args).env(paths::SOCKET_VARIABLE, &socket).env(VERSION_VARIABLE, "0.0.1");
    let mut old = old.stdout(Stdio::null()).spawn().expect("a process");
    while !matches!(Client::connect(&socket), Err(ClientError::Version { .. })) {
        assert!(old.try_wait().expect("a child").is_none(), "the old daemon runs");
        thread::sleep(Duration::from_millis(1));
    }
    stop(&socket).expect("the daemon is ours");
    assert_eq!(old.wait().expect("a child").signal(), Some(15));

    let error = stop(Path::new("/nowhere/daemon.sock")).expect_err("there is no daemon");
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
}

#[test]
fn nobody_but_the_daemon_is_ended() {
    let mut stranger = Command::new("sleep").arg("60").spawn().expect("a process");
    for pid in [0, 1, u32::MAX, i32::MAX as u32, stranger.id()] {
        let hello = Hello { protocol: 0, application: "0.0.1".into(), pid };
        let daemon = FakeDaemon::greeting(hello, |mut peer| peer.expect_closed());
        let error = stop(&daemon.socket()).expect_err("another process listens");
        assert!(matches!(error, ClientError::CannotStop { .. }), "{error}");
    }
    assert!(stranger.try_wait().expect("a child").is_none(), "it still runs");
    stranger.kill().and_then(|()| stranger.wait()).expect("a child");
}

#[test]
fn a_daemon_that_does_not_stop_is_told_of() {
    let daemon = FakeDaemon::new(|mut peer| {
        assert_eq!(peer.read::<Request>().expect("a request"), Request::Shutdown);
        peer.reply(&Reply::Done);
        peer.expect_closed();
    });
    let error = stop::stop_within(Duration::ZERO, &daemon.socket()).expect_err("it stays");
    assert!(matches!(error, ClientError::StillRunning { .. }), "{error}");
}

/// Starts this test program as a daemon.
fn starter(folder: &TempDir) -> Starter {
    let daemon = ["--exact", "client::tests::start::daemon_process", "--ignored", "--nocapture"];
    Starter {
        program: env::current_exe().expect("this program has a path"),
        args: daemon.into_iter().map(Into::into).collect(),
        log: folder.path().join("state/daemon.log"),
    }
}

#[test]
#[ignore = "runs as a process of its own"]
fn daemon_process() {
    if env::var_os(paths::SOCKET_VARIABLE).is_none() {
        return;
    }
    // Should the test that started it fail, then nobody stops it.
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(60));
        process::exit(1);
    });
    let listener = Listener::bind(&paths::socket()).expect("one daemon a socket");
    println!("listening in {}", env::current_dir().expect("a folder").display());
    for entry in fs::read_dir("/proc/self/fd").expect("a folder").flatten() {
        if fs::read_link(entry.path()).is_ok_and(|file| file.ends_with(LEAKED)) {
            println!("descriptor {} was handed on", entry.file_name().display());
        }
    }
    while let Ok(connection) = listener.accept() {
        let closer = listener.closer();
        thread::spawn(move || {
            let mut peer = Peer { connection, body: Vec::new() };
            let _: Hello = peer.read().expect("a greeting");
            let application = env::var(VERSION_VARIABLE).unwrap_or_else(|_| Hello::ours().application);
            let hello = Hello { application, ..Hello::ours() };
            write_frame(&mut peer.connection, &hello, &[]).expect("the client reads");
            while let Ok(request) = peer.read::<Request>() {
                assert_eq!(request, Request::Shutdown);
                peer.reply(&Reply::Done);
                closer.close();
            }
        });
    }
}

#[test]
fn clients_that_start_at_once_share_a_daemon() {
    const CLIENTS: usize = 4;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("run/daemon.sock");
    let starter = starter(&folder);
    let (tell, told) = mpsc::channel();

    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let tell = tell.clone();
            let (socket, starter) = (&socket, &starter);
            scope.spawn(move || {
                let client = Client::connect_or_start(socket, starter).expect("a daemon");
                tell.send(client).expect("the test listens");
            });
        }
    });
    let clients: Vec<Client> = told.try_iter().collect();
    assert_eq!(clients.len(), CLIENTS);
    let pid = clients[0].daemon().pid;
    assert_ne!(pid, process::id());
    assert!(clients.iter().all(|client| client.daemon().pid == pid));

    let log = fs::read_to_string(&starter.log).expect("the daemon's output");
    assert!(log.contains("listening in /\n"), "{log}");
    assert_eq!(fs::metadata(&starter.log).expect("it is there").mode() & 0o777, 0o600);
    stop(&socket).expect("a daemon");
}

/// A file that is open, in the test below, for programs that are started, too.
const LEAKED: &str = "somebody's.txt";

#[test]
fn what_is_open_here_is_not_open_in_the_daemon() {
    use rustix::{
        io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd},
        process::{Resource, Rlimit, getrlimit, setrlimit},
    };

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = File::create(folder.path().join(LEAKED)).expect("a file");
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|most| most < 4096) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(4096), maximum }).expect("within the hard limit");
    }
    let _open = [5, 1000, 1023, 1024, 4000].map(|least| {
        let open = fcntl_dupfd_cloexec(&file, least).expect("a descriptor");
        fcntl_setfd(&open, FdFlags::empty()).expect("set");
        open
    });
    let socket = folder.path().join("run/daemon.sock");
    let starter = starter(&folder);
    Client::connect_or_start(&socket, &starter).expect("a daemon");
    stop(&socket).expect("a daemon");
    let log = fs::read_to_string(&starter.log).expect("the daemon's output");
    assert!(log.contains("listening in") && !log.contains("was handed on"), "{log}");
}

#[test]
fn daemons_that_do_not_start_say_why() {
    fn check(program: &str, args: &[&str], expected: &[&str]) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let starter = Starter {
            program: program.into(),
            args: args.iter().map(Into::into).collect(),
            log: folder.path().join("daemon.log"),
        };
        fs::write(&starter.log, "an older daemon's words\n").expect("a new file");
        let error =
            Client::connect_or_start(&folder.path().join("run/daemon.sock"), &starter).expect_err(program);
        let message = error.to_string();
        for part in expected {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("an older daemon"), "{message}");
    }

    check("/nowhere/utsushi", &["serve"], &["`/nowhere/utsushi`", "no such program", "UTSUSHI_DAEMON"]);
    let folder = env::current_exe().expect("this program has a path").with_file_name("");
    let folder = folder.to_str().expect("UTF-8").trim_end_matches('/');
    let tried = ["there is no utsushi-nobody-installed in", folder, "PATH (/", "`utsushi install`"];
    check("utsushi-nobody-installed", &[], &tried);
    check("/etc/passwd", &[], &["Permission denied", "UTSUSHI_DAEMON"]);
    check("sh", &["-c", "echo no weights >&2; exit 3"], &["exit status: 3", "its last words:\nno weights"]);
}

#[test]
fn another_daemon_is_started_if_the_first_came_to_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let real = starter(&folder);
    let flag = folder.path().join("tried");
    let script = "[ -e \"$0\" ] && exec \"$@\"; : > \"$0\"; echo refused >&2; exit 1";
    let args = ["-c".into(), script.into(), flag.into(), real.program.into()].into_iter().chain(real.args);
    let starter = Starter { program: "sh".into(), args: args.collect(), log: real.log };
    let socket = folder.path().join("run/daemon.sock");
    drop(Client::connect_or_start(&socket, &starter).expect("the second one"));
    stop(&socket).expect("a daemon");
}

#[test]
fn a_log_that_has_grown_makes_way() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let starter = starter(&folder);
    let socket = folder.path().join("run/daemon.sock");
    fs::create_dir(folder.path().join("state")).expect("a new folder");
    fs::write(&starter.log, vec![b'x'; 2 << 20]).expect("a new file");

    drop(Client::connect_or_start(&socket, &starter).expect("a daemon"));
    stop(&socket).expect("a daemon");
    assert!(fs::metadata(&starter.log).expect("a new log").len() < 1 << 20);
    assert_eq!(fs::metadata(starter.log.with_extension("log.old")).expect("the old log").len(), 2 << 20);
}

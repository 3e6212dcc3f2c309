//! The client against daemons that are threads with a script, some of them ill-behaved.

mod jobs;
mod start;
mod stylize;

use std::{
    path::PathBuf,
    thread::{self, JoinHandle},
};

use tempfile::TempDir;

use super::*;
use crate::{
    endpoint::{Connection, Listener},
    protocol::FaultKind,
    wire::{read_frame, write_frame},
};

/// A daemon that takes one client, greets it, and then follows its script.
struct FakeDaemon {
    folder: TempDir,
    thread: Option<JoinHandle<()>>,
}

impl FakeDaemon {
    fn new(script: impl FnOnce(Peer) + Send + 'static) -> Self {
        Self::greeting(Hello::ours(), script)
    }

    fn greeting(hello: Hello, script: impl FnOnce(Peer) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = Listener::bind(&folder.path().join("run/daemon.sock")).expect("a free path");
        let thread = thread::spawn(move || {
            let mut peer = Peer { connection: listener.accept().expect("a client"), body: Vec::new() };
            let _: Hello = peer.read().expect("a greeting");
            write_frame(&mut peer.connection, &hello, &[]).expect("the client reads");
            script(peer);
        });
        Self { folder, thread: Some(thread) }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/daemon.sock")
    }

    fn connect(&self) -> Client {
        Client::connect(&self.socket()).expect("the daemon listens")
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        let ended = self.thread.take().expect("only taken here").join();
        assert!(ended.is_ok() || thread::panicking(), "the daemon's script failed");
    }
}

/// The daemon's end of a connection.
struct Peer {
    connection: Connection,
    body: Vec<u8>,
}

impl Peer {
    fn read<H: serde::de::DeserializeOwned>(&mut self) -> Result<H, WireError> {
        read_frame(&mut self.connection, &mut self.body)
    }

    fn reply(&mut self, reply: &Reply) {
        write_frame(&mut self.connection, reply, &[]).expect("the client reads");
    }

    /// What follows must be the end of the connection, after whatever was still on its way.
    fn expect_closed(&mut self) {
        loop {
            match self.read::<Request>() {
                Ok(Request::Rows(_)) => {}
                Err(WireError::Closed | WireError::Truncated) => return,
                other => panic!("{other:?} instead of the end"),
            }
        }
    }
}

#[test]
fn requests_are_answered() {
    let status = Status {
        version: "0.1.0".into(),
        pid: 7,
        loaded: vec!["cel".into()],
        device: "CPU".into(),
        resident_bytes: 1 << 30,
        budget_bytes: 4 << 30,
        reserved_bytes: 1 << 29,
        running: 1,
        queued: 2,
        finished: 3,
        uptime_s: 4,
    };
    let script = [
        (Request::Status, Reply::Status(status.clone())),
        (Request::Unload, Reply::Fault(Fault::new(FaultKind::Busy, "a picture is being drawn; wait"))),
        (Request::Unload, Reply::Done),
        (Request::Status, Reply::Done),
        (Request::Shutdown, Reply::Done),
    ];
    let daemon = FakeDaemon::new(move |mut peer| {
        for (request, reply) in script {
            assert_eq!(peer.read::<Request>().expect("a request"), request);
            peer.reply(&reply);
        }
        peer.expect_closed();
    });

    let mut client = daemon.connect();
    assert_eq!(client.daemon(), &Hello::ours());
    assert_eq!(client.status().expect("an answer"), status);
    let fault = client.unload().expect_err("a fault");
    assert_eq!(fault.to_string(), "a picture is being drawn; wait");
    client.unload().expect("a fault ends nothing");
    let error = client.status().expect_err("the wrong answer");
    assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
    client.shutdown().expect("an answer");
}

#[test]
fn styles_come_one_by_one() {
    /// As many styles, then this.
    fn check(count: usize, last: Reply, expected: Option<&str>) {
        let style = move |index: usize| StyleInfo {
            id: format!("style-{index}"),
            name: "Style".into(),
            author: "A".into(),
            licence: "MIT".into(),
            attribution: "\u{5199}".repeat(if count < 100 { 4000 } else { 0 }),
            built_in: index == 0,
            reach_px: 165,
        };
        let daemon = FakeDaemon::new(move |mut peer| {
            assert_eq!(peer.read::<Request>().expect("a request"), Request::Styles);
            (0..count).for_each(|index| peer.reply(&Reply::Style(style(index))));
            peer.reply(&last);
            peer.expect_closed();
        });
        match (daemon.connect().styles(), expected) {
            (Ok(styles), None) => assert!(styles.into_iter().eq((0..count).map(style)), "{count} styles"),
            (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{error}"),
            (styles, _) => panic!("{:?} of {count} styles", styles.map(|styles| styles.len())),
        }
    }

    let one_more = StyleInfo {
        id: "last".into(),
        name: "Last".into(),
        author: String::new(),
        licence: "MIT".into(),
        attribution: String::new(),
        built_in: false,
        reach_px: 1,
    };
    check(0, Reply::Done, None);
    check(64, Reply::Done, None);
    check(MAX_STYLES, Reply::Done, None);
    check(MAX_STYLES, Reply::Style(one_more), Some("more than 10000 styles"));
    check(1, Reply::Rows(1), Some("rows out of turn"));
    check(1, Reply::Fault(Fault::new(FaultKind::Internal, "no more")), Some("no more"));
}

#[test]
fn other_versions_are_refused() {
    fn check(protocol: u32, application: &str) {
        let hello = Hello { protocol, application: application.into(), pid: 1 };
        let daemon = FakeDaemon::greeting(hello, |mut peer| peer.expect_closed());
        let error = Client::connect(&daemon.socket()).expect_err("another version");
        assert!(matches!(error, ClientError::Version { .. }), "{error}");
        let message = error.to_string();
        for part in [application, env!("CARGO_PKG_VERSION"), "run `utsushi stop`, then try again"] {
            assert!(message.contains(part), "{message}");
        }
    }

    check(PROTOCOL_VERSION + 1, env!("CARGO_PKG_VERSION"));
    check(PROTOCOL_VERSION, "99.0.0");
    check(0, "0.0.1");
}

//! The real daemon and its real client over a real socket; only the engine is a fake one.

mod bad_input;
mod budget;
mod lifecycle;
mod pictures;
mod side_door;
mod stalls;
mod training;

use std::{
    ops::ControlFlow,
    path::PathBuf,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use utsushi_ipc::{
    client::{Client, ClientError},
    endpoint::{self, Connection, Listener},
    protocol::{Fault, Hello, Reply, Request, StyleInfo, StylizeReport, StylizeSpec},
    wire::{self, WireError},
};

use super::{Config, ServerError, Stop, run};
use crate::{
    jobs::{self, Jobs, fake::FakeTrainers},
    library::Library,
    worker::fake::{Event, FakeEngine, Remote},
};

/// Long enough for any machine; reached only where something is broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// For tests in which nobody stalls, and those in which somebody does.
const NO_STALL: Duration = PATIENCE;
const SHORT_STALL: Duration = Duration::from_secs(1);

/// A row of this width has a quarter of a band's bytes.
const WIDE_PX: u32 = 1 << 18;

/// A running daemon.
struct Fixture {
    socket: PathBuf,
    remote: Remote,
    training: jobs::fake::Remote,
    stop: Stop,
    running: JoinHandle<Result<(), ServerError>>,
    folder: TempDir,
}

impl Fixture {
    fn start(stall_timeout: Duration) -> Self {
        Self::with_styles(stall_timeout, vec![style()])
    }

    fn with_styles(stall_timeout: Duration, styles: Vec<StyleInfo>) -> Self {
        let config = Config {
            budget: crate::memory::Budget::of_the_system(),
            idle_unload: None,
            stall_timeout,
            side_door: None,
        };
        Self::with_config(config, styles, tempfile::tempdir().expect("a folder"))
    }

    /// Another daemon of the same user's.
    fn with_jobs_of(other: &Self) -> Self {
        let config = Config {
            budget: crate::memory::Budget::of_the_system(),
            idle_unload: None,
            stall_timeout: NO_STALL,
            side_door: None,
        };
        let jobs = jobs_in(&other.folder);
        Self::with_jobs(config, vec![style()], tempfile::tempdir().expect("a folder"), jobs)
    }

    fn with_config(config: Config, styles: Vec<StyleInfo>, folder: TempDir) -> Self {
        let jobs = jobs_in(&folder);
        Self::with_jobs(config, styles, folder, jobs)
    }

    fn with_jobs(
        config: Config,
        styles: Vec<StyleInfo>,
        folder: TempDir,
        (jobs, training): (Jobs, jobs::fake::Remote),
    ) -> Self {
        let socket = socket_in(&folder);
        let (engine, remote) = FakeEngine::new();
        let stop = Stop::default();
        let listener = Listener::bind(&socket).expect("a free path");
        let running = {
            let stop = stop.clone();
            thread::spawn(move || run(listener, config, engine, jobs, move || styles.clone(), stop))
        };
        Self { socket, remote, training, stop, running, folder }
    }

    fn client(&self) -> Client {
        Client::connect(&self.socket).expect("the daemon answers")
    }

    /// A connection without a client's manners, greeted.
    fn raw(&self) -> Raw {
        let mut raw = self.stranger();
        raw.send_frame(&Hello::ours(), &[]).expect("the greeting is taken");
        raw
    }

    /// A connection that hasn't greeted yet.
    fn stranger(&self) -> Raw {
        let connection = endpoint::connect(&self.socket).expect("the daemon listens");
        connection.set_timeouts(Some(PATIENCE), Some(PATIENCE)).expect("timeouts");
        let mut raw = Raw(connection);
        let daemon: Hello = wire::read_frame(&mut raw.0, &mut Vec::new()).expect("the daemon greets");
        assert_eq!(daemon, Hello::ours());
        raw
    }

    /// Waits for this event and returns all up to it.
    fn until(&self, last: Event) -> Vec<Event> {
        let mut events = Vec::new();
        while events.last() != Some(&last) {
            events.push(self.remote.events.recv_timeout(PATIENCE).expect("the event comes"));
        }
        events
    }

    /// The daemon still works, has nothing left over from whatever was done to it, and ends in peace.
    fn end(self) {
        self.check_well();
        self.stop.request();
        self.check_ended();
    }

    fn check_well(&self) {
        let mut client = self.client();
        eventually(|| {
            let status = client.status().expect("the daemon answers");
            (status.running, status.queued) == (0, 0)
        });
        redraw(client, &crate::worker::fake::spec("invert", 77, 5, 3)).expect("the daemon works");
    }

    fn check_ended(self) {
        self.running.join().expect("no panic").expect("the daemon ends well");
        assert!(!self.socket.exists());
        assert!(matches!(Client::connect(&self.socket), Err(ClientError::NotRunning { .. })));
    }
}

/// Says and hears whatever a test wants.
struct Raw(Connection);

impl Raw {
    fn send(&mut self, request: &Request, body: &[u8]) {
        self.send_frame(request, body).expect("the daemon takes it");
    }

    fn send_frame(&mut self, head: &impl serde::Serialize, body: &[u8]) -> std::io::Result<()> {
        wire::write_frame(&mut self.0, head, body)
    }

    fn receive(&mut self) -> Result<(Reply, Vec<u8>), WireError> {
        let mut body = Vec::new();
        Ok((wire::read_frame(&mut self.0, &mut body)?, body))
    }

    /// The fault that the daemon closes with, if it does, after whatever else it sends.
    fn last_words(&mut self) -> Option<Fault> {
        let mut fault = None;
        loop {
            match self.receive() {
                Ok((Reply::Fault(last), _)) => fault = Some(last),
                Ok(_) => assert_eq!(fault, None, "nothing follows a fault"),
                Err(WireError::Closed | WireError::Truncated) => return fault,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Jobs without a network, whose folders, and whose styles, are in there.
fn jobs_in(folder: &TempDir) -> (Jobs, jobs::fake::Remote) {
    let library = Library::open(folder.path().join("styles"));
    let config = jobs::Config {
        poll_interval: Duration::from_millis(20),
        power_supplies: folder.path().join("power"),
        ..jobs::Config::new(folder.path().join("jobs"), library)
    };
    let (trainers, training) = FakeTrainers::new();
    (Jobs::new(config, trainers), training)
}

/// In a folder that the daemon makes, as it likes it.
fn socket_in(folder: &TempDir) -> PathBuf {
    folder.path().join("run/daemon.sock")
}

/// Waits until this is so.
fn eventually(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never came to pass");
        thread::sleep(Duration::from_millis(2));
    }
}

fn style() -> StyleInfo {
    StyleInfo {
        id: "invert".into(),
        name: "Invert".into(),
        author: "nobody".into(),
        licence: "CC0-1.0".into(),
        attribution: String::new(),
        built_in: true,
        reach_px: 0,
    }
}

/// The picture that the tests send for this spec.
fn source_of(spec: &StylizeSpec) -> Vec<u8> {
    (0..spec.raster.total_bytes()).map(|index| (index * 31 + (index >> 9) + spec.seed) as u8).collect()
}

/// Sends a picture through the daemon, and checks that what comes back is right.
fn redraw(client: Client, spec: &StylizeSpec) -> Result<(Client, StylizeReport), ClientError> {
    let source = source_of(spec);
    let row_bytes = spec.raster.row_bytes();
    let mut result = Vec::new();
    let drawn = client.stylize(
        spec,
        |first_row, _rows, pixels| {
            let start = first_row as usize * row_bytes;
            pixels.copy_from_slice(&source[start..start + pixels.len()]);
            Ok(())
        },
        |first_row, _rows, pixels| {
            assert_eq!(result.len(), first_row as usize * row_bytes);
            result.extend_from_slice(pixels);
            Ok(())
        },
        |_progress| ControlFlow::Continue(()),
    )?;
    // Not by assert_eq, which would print megabytes.
    assert!(result == crate::worker::fake::redrawn(spec.seed, &source), "{spec:?}");
    Ok(drawn)
}

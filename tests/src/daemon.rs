//! The real daemon with the real styles, in a thread of the test.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;
use utsushi::jobs::{self, Jobs};
use utsushi::library::Library;
use utsushi::server::{self, Config, ServerError, Stop};
use utsushi::studio::Studio;
use utsushi::workshop::Workshop;
use utsushi_engine::Device;
use utsushi_ipc::client::Client;
use utsushi_ipc::endpoint::Listener;

/// A daemon that ends with the test.
pub struct Daemon {
    folder: TempDir,
    stop: Stop,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Daemon {
    /// Starts a daemon.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = Listener::bind(&socket(folder.path())).expect("a free path");
        let budget = utsushi::memory::Budget::of_the_system();
        let config = Config {
            budget: budget.clone(),
            idle_unload: None,
            stall_timeout: Duration::from_secs(60),
            side_door: None,
        };
        let [styles, jobs_folder, cache] = ["styles", "jobs", "cache"].map(|name| folder.path().join(name));
        let stop = Stop::default();
        let thread = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let library = Library::open(styles);
                let jobs = jobs::Config::new(jobs_folder, library.clone());
                let workshop = Workshop::new(library.clone(), cache, Device::cpu());
                let list = library.clone();
                let infos = move || list.list().into_iter().map(|entry| entry.info).collect();
                server::run(
                    listener,
                    config,
                    Studio::new(library, Device::cpu(), budget),
                    Jobs::new(jobs, workshop),
                    infos,
                    stop,
                )
            }
        });
        Self { folder, stop, thread: Some(thread) }
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        Client::connect(&socket(self.folder.path())).expect("the daemon answers")
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// Where the user's styles of this daemon are.
    pub fn styles(&self) -> PathBuf {
        self.folder.path().join("styles")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.request();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("a thread").expect("the daemon doesn't panic").expect("the daemon ends well");
        }
    }
}

/// Where a test's daemon listens: in a folder that the daemon makes, private as it must be.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join("run/daemon.sock")
}

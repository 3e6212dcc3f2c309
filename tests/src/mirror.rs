//! A daemon that gives every picture back as it is, at once: what then takes time is not the network.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use utsushi::jobs::{self, Jobs};
use utsushi::library::Library;
use utsushi::memory::Budget;
use utsushi::server::{self, Config, ServerError, Stop};
use utsushi::worker::{Engine, Refusal, Stream};
use utsushi::workshop::Workshop;
use utsushi_engine::Device;
use utsushi_ipc::endpoint::Listener;
use utsushi_ipc::protocol::{Fault, PictureSpec, StyleInfo};

/// A daemon with no network, which ends with the value.
pub struct Mirror {
    stop: Stop,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Mirror {
    /// Starts it; nothing else may listen there.
    pub fn start(socket: &Path) -> Self {
        let listener = Listener::bind(socket).expect("a free path");
        let config = Config {
            budget: Budget::of_the_system(),
            idle_unload: None,
            stall_timeout: Duration::from_secs(60),
            side_door: None,
        };
        let stop = Stop::default();
        let thread = std::thread::spawn({
            let stop = stop.clone();
            // Nobody trains here, and nothing of either folder is looked at before.
            let nowhere = socket.with_file_name("nowhere");
            let library = Library::open(nowhere.clone());
            let workshop = Workshop::new(library.clone(), nowhere.clone(), Device::cpu());
            let jobs = jobs::Config::new(nowhere, library);
            move || server::run(listener, config, Same, Jobs::new(jobs, workshop), || vec![cel()], stop)
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.stop.request();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("a thread").expect("the daemon doesn't panic").expect("the daemon ends well");
        }
    }
}

/// Named as the built-in style, for those who ask for that.
fn cel() -> StyleInfo {
    StyleInfo {
        id: "cel".into(),
        name: "Cel".into(),
        author: String::new(),
        licence: String::new(),
        attribution: String::new(),
        built_in: true,
        reach_px: 0,
    }
}

/// An engine that gives rows back as they are.
struct Same;

impl Engine for Same {
    fn open(&mut self, _: &PictureSpec) -> Result<Box<dyn Stream>, Refusal> {
        Ok(Box::new(Self))
    }
    fn unload(&mut self) {}
    fn loaded(&self) -> Vec<String> {
        Vec::new()
    }
    fn device(&self) -> String {
        String::new()
    }
}

impl Stream for Same {
    fn push(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        out.extend_from_slice(rows);
        Ok(())
    }
}

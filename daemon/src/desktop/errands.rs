//! What clicks and news ask for. Everything here may take its time, and has a thread of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use notify_rust::Urgency;
use tracing::{debug, info, warn};
use utsushi_ipc::paths;
use utsushi_ipc::protocol::{Budget, Fault, JobId, JobInfo, RecipeChoice, TrainSpec};
use zbus::blocking::Connection;

use super::choosers::{self, Folders};
use super::menu::Click;
use super::notify::{self, Button, Words};
use super::state::Notice;
use super::{Event, announce_begun, free_id, is_wanted, portal};
use crate::jobs::Jobs;
use crate::library::Library;
use crate::server::Stop;
use crate::worker;

/// What it takes to do what clicks ask for.
#[derive(Clone)]
pub(super) struct Errands {
    pub(super) jobs: Jobs,
    pub(super) library: Library,
    pub(super) recipe: RecipeChoice,
    pub(super) worker: Arc<Mutex<Option<worker::Handle>>>,
    pub(super) stop: Stop,
    pub(super) events: Sender<Event>,
}

/// The same, with the bus of the moment.
pub(super) struct Errand {
    errands: Errands,
    bus: Option<Connection>,
}

impl Errands {
    pub(super) fn with(&self, bus: Option<&Connection>) -> Errand {
        Errand { errands: self.clone(), bus: bus.cloned() }
    }
}

impl Errand {
    pub(super) fn run(&self, click: Click) {
        let Errands { jobs, worker, stop, .. } = &self.errands;
        let (what, done) = match click {
            Click::Train => return self.train(),
            Click::Pause(id) => ("The training can't be paused", jobs.pause(id).map(drop)),
            Click::Resume(id) => ("The training can't go on", jobs.resume(id).map(drop)),
            Click::Cancel(id) => ("The training can't be cancelled", jobs.cancel(id).map(drop)),
            Click::Report(id) => ("There is no report yet", self.open(id, |job| job.report.clone())),
            Click::Log(id) => ("There is no log", self.open(id, |job| Some(job.folder.join("log.txt")))),
            Click::Style(file) => return self.show(&file),
            Click::Styles => return self.show_styles(),
            Click::FreeMemory => {
                let worker = worker.lock().expect("nobody panics with the lock").clone();
                if worker.is_some_and(|worker| worker.unload().wait().is_ok()) {
                    info!("the networks' memory was freed, as asked");
                }
                return;
            }
            Click::StartAtLogin => return,
            Click::About => return about(),
            Click::Quit => return stop.request(),
        };
        if let Err(fault) = done {
            self.complain(what, &fault.message);
        }
    }

    /// Asks for the folders, and begins.
    fn train(&self) {
        let bus = self.bus.as_ref().map(Connection::inner);
        let folders = match choosers::folders(bus) {
            Ok(Some(folders)) => folders,
            Ok(None) => return,
            Err(error) => return self.complain("Train a style", &error.to_string()),
        };
        let style = free_id(&folders.name(), |id| {
            let jobs = self.errands.jobs.list().unwrap_or_default();
            self.errands.library.find(id).is_some() || is_wanted(&jobs, id)
        });
        match self.errands.jobs.train(spec(folders, style, self.errands.recipe.clone())) {
            Ok(job) => announce_begun(&job),
            Err(fault) => self.complain("The style can't be trained", &fault.message),
        }
    }

    pub(super) fn announce(&self, notice: Notice) {
        let (title, body, job, urgency) = match notice {
            Notice::Ready(job) => {
                let body =
                    format!("The style \u{201c}{}\u{201d} is among the others now, in GIMP, too.", job.name);
                ("A style is ready", body, job, Urgency::Normal)
            }
            Notice::Problem(job, why) => {
                ("A training can't go on", format!("{}: {why}", job.name), job, Urgency::Critical)
            }
        };
        let button: Option<Button> = job.report.clone().map(|report| {
            let again = Self { errands: self.errands.clone(), bus: self.bus.clone() };
            let act: Box<dyn FnOnce() + Send> = Box::new(move || {
                let _ = again.errands.events.send(Event::Seen(job.id));
                again.open_file(&report);
            });
            ("Show it", act)
        });
        notify::tell(Words { title, body: &body, urgency }, button);
    }

    fn open(&self, id: JobId, file: impl Fn(&JobInfo) -> Option<PathBuf>) -> Result<(), Fault> {
        let jobs = self.errands.jobs.list()?;
        if let Some(file) = jobs.iter().find(|job| job.id == id).and_then(file) {
            self.open_file(&file);
        }
        Ok(())
    }

    fn open_file(&self, file: &Path) {
        self.present(file, portal::open, file);
    }

    fn show(&self, file: &Path) {
        self.present(file, portal::show, file.parent().unwrap_or(file));
    }

    fn show_styles(&self) {
        let folder = paths::styles();
        let made = std::fs::create_dir_all(&folder);
        match made {
            Ok(()) => self.present(&folder, portal::open, &folder),
            Err(error) => {
                self.complain("There is no folder of styles", &format!("{}: {error}", folder.display()))
            }
        }
    }

    /// By the portal, or else by xdg-open, which can't show a file among others.
    fn present(
        &self,
        file: &Path,
        by_portal: impl Fn(&zbus::Connection, &Path) -> Result<(), ashpd::Error>,
        otherwise: &Path,
    ) {
        if let Some(bus) = &self.bus {
            match by_portal(bus.inner(), file) {
                Ok(()) | Err(ashpd::Error::Response(ashpd::desktop::ResponseError::Cancelled)) => return,
                Err(error) => debug!("{}: the portal doesn't show it: {error}", file.display()),
            }
        }
        let mut open = Command::new("xdg-open");
        let open = open.arg(otherwise).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let why = match open.status() {
            Ok(status) if status.success() => return,
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        self.complain("It can't be shown", &format!("{} (xdg-open: {why})", otherwise.display()));
    }

    pub(super) fn complain(&self, title: &str, body: &str) {
        warn!("{title}: {body}");
        notify::tell(Words { title, body, urgency: Urgency::Normal }, None);
    }
}

fn about() {
    let body = concat!(
        "Version ",
        env!("CARGO_PKG_VERSION"),
        ". Re-draws pictures in a learned style, on this machine.\nMIT or Apache 2.0. `utsushi help` says the rest."
    );
    notify::tell(Words { title: "Utsushi", body, urgency: Urgency::Low }, None);
}

/// What a training is by itself, as that of `utsushi train`.
fn spec(folders: Folders, style: String, recipe: RecipeChoice) -> TrainSpec {
    TrainSpec {
        style,
        name: folders.name().chars().take(120).collect(),
        art: vec![folders.art],
        photos: folders.photos,
        budget: Budget::Recipe,
        like: None,
        recipe,
        author: String::new(),
        licence: "private".to_owned(),
        attribution: String::new(),
        threads: None,
        on_battery: false,
    }
}

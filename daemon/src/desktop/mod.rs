//! The tray's icon, its menu, and notifications: the daemon as a desktop shows it.
//!
//! ```text
//! jobs, worker > news, turn: two threads --+                    +--> ksni: icon, menu
//! bus: comes, goes > keeper ---------------+--> events > screen +--> notifications
//! menu: clicks ----------------------------+                    +--> errands: threads that may wait for somebody
//! ```
//!
//! One thread has the state, and has it shown. It waits for nobody: what a click asks for is done on a thread of its
//! own, since a person may take an hour to choose a folder, and a job half a minute to pause; and so is what the panel
//! is told, since a panel may hang. Nothing here is needed by anybody who draws or trains, and all of it can be done by
//! commands, too. So whatever goes wrong is told in the log, and the daemon goes on: without a bus, without a panel that
//! has room for icons, and when either comes or goes.
//!
//! The crates that speak D-Bus are asynchronous. They run on threads of their own (async-io's), and are called by
//! blocking calls from this folder alone.

mod autostart;
pub(crate) mod choosers;
mod errands;
mod icon;
mod item;
mod menu;
mod notify;
mod portal;
mod state;

use std::env;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ksni::blocking::TrayMethods;
use notify_rust::Urgency;
use tracing::{debug, info, warn};
use utsushi_ipc::paths;
use utsushi_ipc::protocol::{JobId, JobInfo, JobState, RecipeChoice};
use zbus::blocking::{Connection, MessageIterator};

pub(crate) use self::autostart::command;
use self::errands::Errands;
use self::item::Item;
use self::menu::Click;
use self::notify::Words;
use self::state::{Notice, State, Style};
use crate::jobs::order::id_of;
use crate::library::{Library, StyleEntry};
use crate::server::Controls;
use crate::worker;

/// What desktops know the program by, and its entry and icon.
pub(crate) const APP_ID: &str = "org.utsushi.Utsushi";
/// Where the session's bus is.
const BUS_VARIABLE: &str = "DBUS_SESSION_BUS_ADDRESS";

/// How often to look for a bus that is gone.
const BUS_RETRY: Duration = Duration::from_secs(3);
/// How long to wait at most before an icon that was refused is offered again.
const MOST_ICON_RETRY: Duration = Duration::from_secs(300);
/// How often to show news at most; steps of a training may be much shorter.
const NEWS_INTERVAL: Duration = Duration::from_millis(500);
/// News is waited for so long, then again.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What the screen's thread hears.
enum Event {
    /// How all jobs are.
    Jobs(Vec<JobInfo>),
    /// Is a picture being drawn?
    Drawing(bool),
    /// The bus is there, or gone.
    Bus(Option<Connection>),
    /// A panel that shows icons is there, or gone.
    Panel(bool),
    /// The menu is going to be looked at.
    Opened,
    /// Somebody has seen how the job is.
    Seen(JobId),
    Click(Click),
}

/// The daemon's place on the desktop, until it is dropped.
pub(crate) struct Desktop {
    worker: Arc<Mutex<Option<worker::Handle>>>,
}

impl Desktop {
    /// Takes the place, if there is a session with a bus; returns at once.
    ///
    /// What is trained from the menu is trained by `recipe`.
    pub(crate) fn start(controls: Controls, library: Library, recipe: RecipeChoice) -> Option<Self> {
        if !has_bus() || paths::is_in_flatpak() {
            debug!("no tray: {BUS_VARIABLE} names no bus of a session");
            return None;
        }
        let Controls { worker, jobs, stop } = controls;
        let turn = worker.turn().clone();
        let worker = Arc::new(Mutex::new(Some(worker)));
        let (events, heard) = mpsc::channel();
        let autostart = paths::autostart().zip(env::current_exe().ok());
        let errands = Errands {
            jobs: jobs.clone(),
            library,
            recipe,
            worker: Arc::clone(&worker),
            stop,
            events: events.clone(),
        };
        let screen = Screen {
            errands,
            events: events.clone(),
            autostart: autostart.map(|(folder, program)| autostart::Entry::new(&folder, program)),
            state: State::new(Library::built_in_names()),
            before: None,
            bus: None,
            icon: None,
            has_told_panel: false,
            stamp: None,
        };
        let news = events.clone();
        let drawing = events.clone();
        // Dropped, it lets the worker go.
        let desktop = Self { worker };
        let started = [
            spawn("tray", move || screen.run(&heard)),
            spawn("tray-jobs", move || hear_jobs(&jobs, &news)),
            spawn("tray-turn", move || hear_turn(&turn, &drawing)),
            spawn("tray-bus", move || keep_bus(&events)),
        ];
        started.iter().all(|is_started| *is_started).then_some(desktop)
    }
}

impl Drop for Desktop {
    /// The worker ends when nobody can give it work any more. The threads end with the process: they hold nothing.
    fn drop(&mut self) {
        self.worker.lock().expect("nobody panics with the lock").take();
    }
}

/// Is there a bus to be on?
fn has_bus() -> bool {
    let address = env::var(BUS_VARIABLE).unwrap_or_default();
    !address.is_empty() && !address.starts_with("disabled:")
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> bool {
    let spawned = thread::Builder::new().name(name.into()).spawn(run);
    if let Err(error) = &spawned {
        warn!("the tray is not all there, as no thread could be started: {error}");
    }
    spawned.is_ok()
}

fn hear_jobs(jobs: &crate::jobs::Jobs, events: &Sender<Event>) {
    let mut seen = None;
    loop {
        match jobs.news(seen, PATIENCE) {
            Ok((all, version)) => {
                seen = Some(version);
                if events.send(Event::Jobs(all)).is_err() {
                    return;
                }
                thread::sleep(NEWS_INTERVAL);
            }
            // Another daemon of the user's has them, and shows them.
            Err(fault) => {
                debug!("the tray shows no trainings: {fault}");
                thread::sleep(BUS_RETRY);
            }
        }
    }
}

fn hear_turn(turn: &worker::Turn, events: &Sender<Event>) {
    let mut is_drawing = false;
    loop {
        let now = turn.wait_for_change(is_drawing, PATIENCE);
        if now != is_drawing && events.send(Event::Drawing(now)).is_err() {
            return;
        }
        is_drawing = now;
        thread::sleep(NEWS_INTERVAL);
    }
}

/// Tells when the bus comes and goes. The connection's only use is to be cut.
fn keep_bus(events: &Sender<Event>) {
    let mut complaint = String::new();
    loop {
        match Connection::session() {
            Ok(bus) => {
                complaint.clear();
                if events.send(Event::Bus(Some(bus.clone()))).is_err() {
                    return;
                }
                MessageIterator::from(&bus).take_while(Result::is_ok).for_each(drop);
                debug!("the session's bus is gone");
                if events.send(Event::Bus(None)).is_err() {
                    return;
                }
            }
            Err(error) if error.to_string() != complaint => {
                complaint = error.to_string();
                debug!("the session's bus can't be reached: {error}");
            }
            Err(_) => {}
        }
        thread::sleep(BUS_RETRY);
    }
}

/// What is shown, and by what.
struct Screen {
    errands: Errands,
    events: Sender<Event>,
    autostart: Option<autostart::Entry>,
    state: State,
    /// The jobs as they were last.
    before: Option<Vec<JobInfo>>,
    bus: Option<Connection>,
    icon: Option<Icon>,
    /// Was it said that no panel shows icons?
    has_told_panel: bool,
    /// The library's, when its styles were listed.
    stamp: Option<Stamp>,
}

/// The way to the icon's thread, which ends with it.
struct Icon {
    latest: Arc<Mutex<State>>,
    changed: SyncSender<()>,
}

type Stamp = Vec<(PathBuf, Option<std::time::SystemTime>, u64)>;

impl Screen {
    fn run(mut self, heard: &Receiver<Event>) {
        self.look_around();
        while let Ok(event) = heard.recv() {
            let before = self.state.clone();
            self.hear(event);
            if self.state != before {
                self.show();
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Jobs(all) => {
                let notices = self.state.hear(&all, self.before.as_deref());
                self.before = Some(all);
                if notices.iter().any(|notice| matches!(notice, Notice::Ready(_))) {
                    self.look_around();
                }
                for notice in notices {
                    let errands = self.errands.with(self.bus.as_ref());
                    spawn("errand", move || errands.announce(notice));
                }
            }
            Event::Drawing(is_drawing) => self.state.is_drawing = is_drawing,
            Event::Bus(bus) => {
                self.icon = None;
                self.bus = bus;
                if self.bus.is_some() {
                    self.appear();
                }
            }
            Event::Panel(true) => info!("the tray icon is shown"),
            Event::Panel(false) if !self.has_told_panel => {
                self.has_told_panel = true;
                info!(
                    "no panel here shows tray icons (there is no StatusNotifierWatcher); should one come, there will \
                     be an icon; until then, `utsushi train --ask` and `utsushi jobs` do what its menu does"
                );
            }
            Event::Panel(false) => debug!("the panel that shows tray icons is gone"),
            Event::Opened => self.look_around(),
            Event::Seen(id) => self.state.look_at(id),
            Event::Click(Click::StartAtLogin) => self.toggle_autostart(),
            Event::Click(click) => {
                if let Click::Report(id) | Click::Log(id) = click {
                    self.state.look_at(id);
                }
                let errands = self.errands.with(self.bus.as_ref());
                spawn("errand", move || errands.run(click));
            }
        }
    }

    fn appear(&mut self) {
        let (changed, changes) = mpsc::sync_channel(1);
        let latest = Arc::new(Mutex::new(self.state.clone()));
        let icon = Icon { latest: Arc::clone(&latest), changed };
        let events = self.events.clone();
        if spawn("tray-icon", move || keep_icon(&latest, &changes, &events)) {
            self.icon = Some(icon);
        }
    }

    fn show(&self) {
        if let Some(Icon { latest, changed }) = &self.icon {
            *latest.lock().expect("nobody panics with the lock") = self.state.clone();
            // If it is full, the thread is going to look anyway.
            let _ = changed.try_send(());
        }
    }

    /// Looks for what may have changed without any news of it.
    fn look_around(&mut self) {
        self.state.starts_at_login = self.autostart.as_ref().map(autostart::Entry::is_on);
        let stamp = self.errands.library.stamp();
        if self.stamp.as_ref() != Some(&stamp) {
            let entries = self.errands.library.own().into_iter();
            let style = |entry: StyleEntry| Some(Style { name: entry.info.name, file: entry.file? });
            self.state.styles = entries.filter_map(style).collect();
            self.stamp = Some(stamp);
        }
    }

    fn toggle_autostart(&mut self) {
        let Some(entry) = &self.autostart else { return };
        if let Err(error) = entry.set(!entry.is_on()) {
            let (errand, why) = (self.errands.with(None), error.to_string());
            spawn("errand", move || errand.complain("Utsushi can't be started at login", &why));
        }
        self.look_around();
    }
}

/// Puts the icon on the bus, and shows on it what is the latest, as long as anybody tells of changes.
fn keep_icon(latest: &Mutex<State>, changes: &Receiver<()>, events: &Sender<Event>) {
    let state = || latest.lock().expect("nobody panics with the lock").clone();
    let (mut complaint, mut pause) = (String::new(), BUS_RETRY);
    let shown = loop {
        let item = Item { state: state(), events: events.clone() };
        match item.assume_sni_available(true).spawn() {
            Ok(shown) => break shown,
            // A panel may fail while it begins or ends.
            Err(error) if error.to_string() != complaint => {
                complaint = error.to_string();
                warn!("the tray icon can't be shown: {error}");
            }
            Err(_) => {}
        }
        thread::sleep(pause);
        pause = (pause * 2).min(MOST_ICON_RETRY);
        if changes.try_recv() == Err(TryRecvError::Disconnected) {
            return;
        }
    };
    // What has changed before it was shown.
    shown.update(|item| item.state = state());
    while changes.recv().is_ok() {
        shown.update(|item| item.state = state());
    }
    // Else it would look for news of a bus that has none, without ever resting.
    shown.shutdown();
}

/// An id for a style of this name that isn't taken.
pub(crate) fn free_id(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let stem = id_of(name).unwrap_or_else(|| "my-style".to_owned());
    if !is_taken(&stem) {
        return stem;
    }
    let stem: String = stem.chars().take(50).collect();
    let mut ids = (2_u32..).map(|number| format!("{stem}-{number}"));
    ids.find(|id| !is_taken(id)).expect("there are more numbers than styles")
}

/// Does a job want to make a style of this id?
pub(crate) fn is_wanted(jobs: &[JobInfo], id: &str) -> bool {
    let is_over = |state: &JobState| matches!(state, JobState::Finished | JobState::Cancelled);
    jobs.iter().any(|job| job.style == id && !is_over(&job.state))
}

/// The session's bus, for commands that a desktop runs.
pub(crate) fn bus() -> Option<Connection> {
    has_bus().then(Connection::session)?.ok()
}

/// Tells that a training was asked for.
pub(crate) fn announce_begun(job: &JobInfo) {
    let body = format!(
        "\u{201c}{}\u{201d} is trained while nothing is drawn. You will be told when it is ready.",
        job.name
    );
    notify::tell(Words { title: "A training begins", body: &body, urgency: Urgency::Low }, None);
}

/// Tells what has gone wrong with a command that nobody sees.
pub(crate) fn complain(what: &str) {
    if has_bus() {
        notify::tell(Words { title: "Utsushi", body: what, urgency: Urgency::Normal }, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_free_ones() {
        fn check(name: &str, taken: &[&str], expected: &str) {
            assert_eq!(free_id(name, |id| taken.contains(&id)), expected, "{name}");
        }
        check("Hana no uta", &[], "hana-no-uta");
        check("Hana", &["hana"], "hana-2");
        check("Hana", &["hana", "hana-2", "hana-3"], "hana-4");
        check("写し", &[], "my-style");
        check("写し", &["my-style"], "my-style-2");
        let long = "x".repeat(64);
        check(&long, &[&long], &format!("{}-2", "x".repeat(50)));
    }
}

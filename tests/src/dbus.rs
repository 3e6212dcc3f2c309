//! A session's bus of the test's own, and on it what a desktop has there: a portal, a server of notifications, and a
//! place for tray icons. They are stand-ins that keep what they were asked; `panel` has a real panel.
//!
//! A test that finds no dbus-daemon says so and passes, unless `UTSUSHI_REQUIRE_DESKTOP` is set.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use zbus::blocking::{Connection, Proxy, connection};
use zbus::message::Header;
use zbus::zvariant::{Array, Fd, OwnedObjectPath, OwnedValue, Value};

use crate::binary::wait_until;

const PORTAL: &str = "/org/freedesktop/portal/desktop";
const NOTIFICATIONS: &str = "/org/freedesktop/Notifications";
const WATCHER: &str = "org.kde.StatusNotifierWatcher";

/// Is the program on PATH? Says so if it isn't, which is a failure if everything has to be tested.
pub fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    if !is_there {
        assert!(std::env::var_os("UTSUSHI_REQUIRE_DESKTOP").is_none(), "{program} is not installed");
        eprintln!("skipped: {program} is not installed");
    }
    is_there
}

/// A bus in a folder.
pub struct Bus {
    daemon: Option<Child>,
    folder: PathBuf,
}

impl Bus {
    /// A bus on which nobody is, if there is dbus-daemon. It starts those services that are in `services`.
    pub fn start(folder: &Path) -> Option<Self> {
        if !is_there("dbus-daemon") {
            return None;
        }
        let config = format!(
            "<busconfig><type>session</type><listen>unix:path={0}/bus</listen><servicedir>{0}/services</servicedir>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow own=\"*\"/>\
             <allow eavesdrop=\"true\"/></policy></busconfig>",
            folder.display()
        );
        fs::create_dir_all(folder.join("services")).expect("made");
        fs::write(folder.join("bus.conf"), config).expect("written");
        let mut bus = Self { daemon: None, folder: folder.to_owned() };
        bus.restart();
        Some(bus)
    }

    /// Where it is, as programs want to know.
    pub fn address(&self) -> String {
        format!("unix:path={}/bus", self.folder.display())
    }

    /// Ends the bus; whoever was on it is cut off.
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.kill());
            daemon.wait().expect("a child");
        }
    }

    /// Another bus, at the same place.
    pub fn restart(&mut self) {
        self.stop();
        let socket = self.folder.join("bus");
        let _ = fs::remove_file(&socket);
        let mut command = Command::new("dbus-daemon");
        command.arg(format!("--config-file={}/bus.conf", self.folder.display())).arg("--nofork");
        let daemon = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.daemon = Some(daemon.expect("dbus-daemon runs"));
        wait_until("the bus is there", || self.connect().is_ok());
    }

    fn connect(&self) -> zbus::Result<Connection> {
        connection::Builder::address(self.address().as_str())?.build()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A notification that was shown.
#[derive(Debug, Clone)]
pub struct Notice {
    id: u32,
    /// Its title.
    pub title: String,
    /// The words below.
    pub body: String,
    /// Its buttons: each one's name, then its words.
    pub actions: Vec<String>,
}

/// What was asked of the stand-ins.
#[derive(Default)]
pub struct Seen {
    /// What the choosers will answer: a folder, or that nothing was chosen. Without an answer they wait.
    pub answers: VecDeque<Option<PathBuf>>,
    /// The titles of the choosers.
    pub asked: Vec<String>,
    /// The files and folders that were opened.
    pub opened: Vec<PathBuf>,
    /// The notifications.
    pub notices: Vec<Notice>,
    /// The tray icons.
    pub items: Vec<String>,
    /// How the panel takes them.
    pub panel: Manners,
}

/// How a panel behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manners {
    /// It answers.
    #[default]
    Good,
    /// It says that it can't.
    Failing,
    /// It doesn't answer, until it behaves otherwise.
    Hanging,
}

/// The stand-ins, for as long as they are on the bus.
pub struct Desktop {
    connection: Connection,
    /// Another one, which may hang.
    panel: Connection,
    seen: Arc<Mutex<Seen>>,
}

type Options = HashMap<String, OwnedValue>;

/// Stands for xdg-desktop-portal itself, as far as it is asked for folders.
struct FileChooser(Arc<Mutex<Seen>>);

#[zbus::interface(name = "org.freedesktop.portal.FileChooser")]
impl FileChooser {
    fn open_file(
        &self,
        _parent: &str,
        title: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> OwnedObjectPath {
        let is_set = |name: &str| matches!(options.get(name).map(|it| &**it), Some(Value::Bool(true)));
        assert!(is_set("directory") && !is_set("multiple"), "a folder is asked for: {options:?}");
        let request = request(&options, &header);
        let (seen, connection, path) =
            (self.0.clone(), Connection::from(connection.clone()), request.clone());
        seen.lock().expect("the lock").asked.push(title);
        thread::spawn(move || {
            let answer = loop {
                if let Some(answer) = seen.lock().expect("the lock").answers.pop_front() {
                    break answer;
                }
                thread::sleep(Duration::from_millis(20));
            };
            let mut results: HashMap<&str, Value<'_>> = HashMap::new();
            if let Some(folder) = &answer {
                let uri = format!("file://{}", folder.display()).replace(' ', "%20");
                results.insert("uris", Value::Array(Array::from(vec![uri])));
            }
            respond(&connection, &path, u32::from(answer.is_none()), results);
        });
        request
    }

    #[zbus(property)]
    fn version(&self) -> u32 {
        3
    }
}

/// The same, as far as it is asked to show files.
struct OpenUri(Arc<Mutex<Seen>>);

impl OpenUri {
    fn opened(
        &self,
        file: &Fd<'_>,
        options: &Options,
        header: &Header<'_>,
        bus: &zbus::Connection,
    ) -> OwnedObjectPath {
        use std::os::fd::{AsFd, AsRawFd};
        let file = fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())).expect("a file");
        self.0.lock().expect("the lock").opened.push(file);
        let request = request(options, header);
        let (connection, path) = (Connection::from(bus.clone()), request.clone());
        thread::spawn(move || respond(&connection, &path, 0, HashMap::new()));
        request
    }
}

#[zbus::interface(name = "org.freedesktop.portal.OpenURI")]
impl OpenUri {
    fn open_file(
        &self,
        _parent: &str,
        file: Fd<'_>,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> OwnedObjectPath {
        self.opened(&file, &options, &header, connection)
    }

    fn open_directory(
        &self,
        _parent: &str,
        file: Fd<'_>,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> OwnedObjectPath {
        self.opened(&file, &options, &header, connection)
    }

    #[zbus(property)]
    fn version(&self) -> u32 {
        3
    }
}

/// The path that the portal's answer comes from.
fn request(options: &Options, header: &Header<'_>) -> OwnedObjectPath {
    let sender = header.sender().expect("a sender").trim_start_matches(':').replace('.', "_");
    let token = <&str>::try_from(&options["handle_token"]).expect("a token");
    OwnedObjectPath::try_from(format!("{PORTAL}/request/{sender}/{token}")).expect("a path")
}

fn respond(bus: &Connection, path: &OwnedObjectPath, code: u32, results: HashMap<&str, Value<'_>>) {
    let interface = "org.freedesktop.portal.Request";
    // The bus may have gone with its test.
    let _ = bus.emit_signal(None::<&str>, path, interface, "Response", &(code, results));
}

/// Stands for a server of notifications.
struct Notifications(Arc<Mutex<Seen>>);

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    fn get_capabilities(&self) -> Vec<String> {
        ["actions", "body", "body-markup"].map(String::from).to_vec()
    }

    #[allow(clippy::too_many_arguments, reason = "so the protocol has it")]
    fn notify(
        &self,
        _program: &str,
        _replaces: u32,
        _icon: &str,
        title: String,
        body: String,
        actions: Vec<String>,
        _hints: Options,
        _timeout_ms: i32,
    ) -> u32 {
        let mut seen = self.0.lock().expect("the lock");
        let id = seen.notices.len() as u32 + 1;
        seen.notices.push(Notice { id, title, body, actions });
        id
    }
}

/// Stands for a panel.
struct Watcher(Arc<Mutex<Seen>>);

#[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(&self, item: String) -> zbus::fdo::Result<()> {
        while self.0.lock().expect("the lock").panel == Manners::Hanging {
            thread::sleep(Duration::from_millis(20));
        }
        let mut seen = self.0.lock().expect("the lock");
        if seen.panel == Manners::Failing {
            return Err(zbus::fdo::Error::Failed("there is no room".to_owned()));
        }
        seen.items.push(item);
        Ok(())
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }
}

impl Desktop {
    /// A portal and notifications.
    pub fn on(bus: &Bus) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let connection = connection::Builder::address(bus.address().as_str())
            .and_then(|builder| builder.serve_at(PORTAL, FileChooser(seen.clone())))
            .and_then(|builder| builder.serve_at(PORTAL, OpenUri(seen.clone())))
            .and_then(|builder| builder.serve_at(NOTIFICATIONS, Notifications(seen.clone())))
            .and_then(|builder| builder.name("org.freedesktop.portal.Desktop"))
            .and_then(|builder| builder.name("org.freedesktop.Notifications"))
            .and_then(connection::Builder::build);
        let panel = connection::Builder::address(bus.address().as_str())
            .and_then(|builder| builder.serve_at("/StatusNotifierWatcher", Watcher(seen.clone())))
            .and_then(connection::Builder::build);
        let there = "it is on the bus";
        Self { connection: connection.expect(there), panel: panel.expect(there), seen }
    }

    /// There is a panel from here on, or none.
    pub fn set_panel(&self, is_there: bool) {
        let changed = match is_there {
            true => self.panel.request_name(WATCHER),
            false => self.panel.release_name(WATCHER).map(|_was_ours| ()),
        };
        changed.expect("the bus answers");
    }

    /// There is no portal from here on.
    pub fn without_portal(self) -> Self {
        self.connection.release_name("org.freedesktop.portal.Desktop").expect("the bus answers");
        self
    }

    /// What was asked for so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panics with the lock")
    }

    /// Waits for a notification with this title.
    #[track_caller]
    pub fn wait_for_notice(&self, title: &str) -> Notice {
        let find = || self.seen().notices.iter().find(|notice| notice.title == title).cloned();
        wait_until(&format!("there is a notification {title:?}"), || find().is_some());
        find().expect("it was there")
    }

    /// Presses a notification's button.
    pub fn press(&self, notice: &Notice, action: &str) {
        let (interface, body) = ("org.freedesktop.Notifications", (notice.id, action));
        let sent =
            self.connection.emit_signal(None::<&str>, NOTIFICATIONS, interface, "ActionInvoked", &body);
        sent.expect("the bus answers");
    }
}

/// A tray icon, as a panel sees it.
pub struct Icon {
    item: Proxy<'static>,
    menu: Proxy<'static>,
}

/// A line of its menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    id: i32,
    /// Its words.
    pub label: String,
    /// Can it be clicked?
    pub is_enabled: bool,
    /// Is there a mark?
    pub is_checked: bool,
}

impl Icon {
    /// That of a process, if it has one.
    pub fn of(bus: &Bus, pid: u32) -> Option<Self> {
        let bus = bus.connect().ok()?;
        let names = Proxy::new(&bus, "org.freedesktop.DBus", "/", "org.freedesktop.DBus").ok()?;
        let names: Vec<String> = names.call("ListNames", &()).ok()?;
        let name =
            names.into_iter().find(|n| n.starts_with(&format!("org.kde.StatusNotifierItem-{pid}-")))?;
        let proxy = |path: &'static str, interface: &'static str| {
            let proxy = zbus::blocking::proxy::Builder::new(&bus).destination(name.clone()).ok()?;
            let proxy = proxy.path(path).ok()?.interface(interface).ok()?;
            proxy.cache_properties(zbus::proxy::CacheProperties::No).build().ok()
        };
        let item = proxy("/StatusNotifierItem", "org.kde.StatusNotifierItem")?;
        Some(Self { item, menu: proxy("/MenuBar", "com.canonical.dbusmenu")? })
    }

    /// Waits until a process has one.
    #[track_caller]
    pub fn wait_for(bus: &Bus, pid: u32) -> Self {
        let mut icon = None;
        wait_until("there is a tray icon", || {
            icon = Self::of(bus, pid);
            icon.as_ref().is_some_and(|icon| !icon.lines().is_empty())
        });
        icon.expect("it was there")
    }

    /// `Active`, or `NeedsAttention`.
    pub fn status(&self) -> String {
        self.item.get_property("Status").expect("a word")
    }

    /// The words that are shown when the pointer rests on it.
    pub fn tip(&self) -> String {
        type Tip = (String, Vec<(i32, i32, Vec<u8>)>, String, String);
        let tip: OwnedValue = self.item.get_property("ToolTip").expect("a tip");
        Tip::try_from(Value::from(tip)).expect("words").3
    }

    /// The menu's lines, those of its menus, too, in their order.
    pub fn lines(&self) -> Vec<Line> {
        let below: (i32, i32, Vec<String>) = (0, -1, Vec::new());
        let Ok(reply) = self.menu.call_method("GetLayout", &below) else { return Vec::new() };
        let body = reply.body();
        let (_revision, root): (u32, RawLine) = body.deserialize().expect("a layout");
        let mut lines = Vec::new();
        collect(root, &mut lines);
        lines
    }

    /// The line that begins like this, if there is one.
    pub fn line(&self, label: &str) -> Option<Line> {
        self.lines().into_iter().find(|line| line.label.starts_with(label))
    }

    /// Opens the menu, as far as the program knows.
    pub fn open(&self) {
        let _: bool = self.menu.call("AboutToShow", &(0)).expect("it hears of it");
    }

    /// Waits until there is a line that begins like this and can be clicked, and clicks on it.
    #[track_caller]
    pub fn click(&self, label: &str) {
        let mut found = None;
        wait_until(&format!("{label:?} can be clicked"), || {
            found = self.line(label).filter(|line| line.is_enabled);
            found.is_some()
        });
        let id = found.expect("it was there").id;
        let event = (id, "clicked", Value::from(0), 0_u32);
        // A program that is told to quit may be gone before it answers.
        let _ = self.menu.call_method("Event", &event);
    }
}

/// Its number, its properties, and those below it.
type RawLine = (i32, Options, Vec<OwnedValue>);

fn collect((id, properties, below): RawLine, lines: &mut Vec<Line>) {
    let get = |name: &str| properties.get(name).map(|value| &**value);
    if let Some(Value::Str(label)) = get("label") {
        lines.push(Line {
            id,
            label: label.replace("__", "_"),
            is_enabled: !matches!(get("enabled"), Some(Value::Bool(false))),
            is_checked: matches!(get("toggle-state"), Some(Value::I32(1))),
        });
    }
    for line in below {
        collect(RawLine::try_from(Value::from(line)).expect("a line"), lines);
    }
}

//! Starting the daemon when it is absent.
//!
//! Several clients may find it absent at the same instant. Each then starts one; all but one of these are refused the
//! socket and exit, while the clients go on asking until somebody answers.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use close_fds::CloseFdsBuilder;

use super::{Client, ClientError};
use crate::{log, paths};

/// The variable that names the daemon's program.
const DAEMON_VARIABLE: &str = "UTSUSHI_DAEMON";

/// How long a daemon may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to go on asking after the daemon that was started is gone, since another may be coming up.
const GRACE: Duration = Duration::from_secs(1);
/// How many to start: one may be refused the socket by another that ends before anybody has met it.
const ATTEMPTS: usize = 2;
/// How often to ask.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How much of the log is told when the daemon dies.
const LAST_WORDS_BYTES: u64 = 2 << 10;

/// How to start the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    /// The program: a path, or a name to be looked up on PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where its output goes.
    pub log: PathBuf,
}

impl Starter {
    /// Runs `program serve`, with its output in [`paths::log`].
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: vec!["serve".into()], log: paths::log() }
    }

    /// The program is `$UTSUSHI_DAEMON`, else `utsushi` in the folder of this program, else `utsushi` on PATH.
    pub fn from_environment() -> Self {
        Self::from_environment_or(None)
    }

    /// The same, for a library in another program: in this folder it is looked for before that of the program.
    pub fn from_environment_or(folder: Option<&Path>) -> Self {
        let named = env::var_os(DAEMON_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        let own = || folder.map(|folder| folder.join("utsushi"));
        let beside = || Some(env::current_exe().ok()?.with_file_name("utsushi"));
        let found = || own().filter(|path| path.is_file()).or_else(|| beside().filter(|path| path.is_file()));
        Self::new(named.or_else(found).unwrap_or_else(|| "utsushi".into()))
    }

    /// Starts the daemon such that it outlives this process, its terminal, and its folder.
    fn start(&self, socket: &Path) -> Result<Started, ClientError> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let is_name = self.program.components().count() == 1;
        let program = if is_name { self.program.clone() } else { absolute(&self.program) };

        // Without a place for a log, there is none: pictures are worth more.
        let log = log::open(&self.log).ok();
        let log_start = log.as_ref().and_then(|log| Some(log.metadata().ok()?.len())).unwrap_or(0);
        let output =
            || log.as_ref().and_then(|log| log.try_clone().ok()).map_or_else(Stdio::null, Stdio::from);

        // What others have left open here must not stay open for as long as a daemon lives: GIMP would wait for a plug-in
        // that has died as long as its pipe is there. What Rust opens isn't handed on anyway.
        CloseFdsBuilder::new().threadsafe(true).cloexecfrom(3);
        let child = Command::new(&program)
            .args(&self.args)
            .env(paths::SOCKET_VARIABLE, absolute(socket))
            .env(paths::STYLES_VARIABLE, paths::styles())
            .env(log::FILE_VARIABLE, absolute(&self.log))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn()
            .map_err(|error| {
                self.cannot(&match error.kind() {
                    io::ErrorKind::NotFound if is_name => nowhere(&self.program),
                    io::ErrorKind::NotFound if !program.exists() => {
                        format!("there is no such program; set {DAEMON_VARIABLE} to where it is")
                    }
                    _ => format!("{error}; set {DAEMON_VARIABLE} to a program that runs here"),
                })
            })?;
        Ok(Started { child, since: Instant::now(), gone: None, log_start })
    }

    fn cannot(&self, reason: &str) -> ClientError {
        ClientError::CannotStart { program: self.program.clone(), reason: reason.to_owned() }
    }

    /// What was appended to the log from there on; the end of it if it is long.
    fn last_words(&self, log_start: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut log = File::open(&self.log)?;
            let start = log_start.max(log.metadata()?.len().saturating_sub(LAST_WORDS_BYTES));
            log.seek(SeekFrom::Start(start))?;
            let mut words = Vec::new();
            log.take(LAST_WORDS_BYTES).read_to_end(&mut words)?;
            Ok(words)
        };
        let words = read().unwrap_or_default();
        match String::from_utf8_lossy(&words).trim() {
            "" => String::new(),
            words => format!("; its last words:\n{words}"),
        }
    }
}

/// Where a program of this name was looked for, in vain, and what to do.
fn nowhere(name: &Path) -> String {
    let folder = env::current_exe().ok().and_then(|own| Some(own.parent()?.display().to_string()));
    let path = env::var("PATH").unwrap_or_default();
    let advice = match paths::is_in_flatpak() {
        true => {
            "run it outside of this sandbox as `utsushi serve`, or put it there with `utsushi install`".into()
        }
        false => format!("put it there with `utsushi install`, or set {DAEMON_VARIABLE} to where it is"),
    };
    let name = name.display();
    let folder = folder.unwrap_or_else(|| "this program's folder".into());
    format!("there is no {name} in {folder}, nor on PATH ({path}); {advice}")
}

/// A daemon on its way.
struct Started {
    child: Child,
    since: Instant,
    gone: Option<Instant>,
    log_start: u64,
}

impl Started {
    /// Is there no hope left? Then why?
    fn failure(&mut self) -> Option<String> {
        if self.since.elapsed() > START_TIMEOUT {
            return Some(format!("it doesn't answer after {} s", START_TIMEOUT.as_secs()));
        }
        let status = self.child.try_wait().ok().flatten()?;
        let gone = *self.gone.get_or_insert_with(Instant::now);
        (gone.elapsed() > GRACE).then(|| format!("it ended at once ({status})"))
    }
}

impl Client {
    /// Connects to the daemon, and starts it if it isn't running.
    pub fn connect_or_start(socket: &Path, starter: &Starter) -> Result<Self, ClientError> {
        let deadline = Instant::now() + START_TIMEOUT;
        let mut started: Option<Started> = None;
        let mut attempts_left = ATTEMPTS;
        loop {
            match Self::connect(socket) {
                Ok(client) => {
                    if let Some(Started { mut child, .. }) = started {
                        // So that it doesn't stay as a zombie when it ends before this process does.
                        thread::spawn(move || child.wait());
                    }
                    return Ok(client);
                }
                Err(ClientError::NotRunning { .. }) if started.is_none() => {
                    started = Some(starter.start(socket)?);
                    attempts_left -= 1;
                }
                Err(ClientError::NotRunning { .. }) => {}
                // A daemon that is just stopping: soon there will be none.
                Err(ClientError::Lost { .. }) if Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
            if let Some(failed) = &mut started
                && let Some(reason) = failed.failure()
            {
                if attempts_left == 0 || failed.gone.is_none() {
                    return Err(starter.cannot(&(reason + &starter.last_words(failed.log_start))));
                }
                started = None;
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

//! A blocking client: what the command line and the plug-in talk to the daemon through.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use utsushi_ipc::{client::{Client, Starter}, paths};
//!
//! let mut client = Client::connect_or_start(&paths::socket(), &Starter::from_environment())?;
//! for style in client.styles()? {
//!     println!("{}: {}", style.id, style.name);
//! }
//! # Ok(())
//! # }
//! ```

mod jobs;
mod start;
mod stop;
mod stylize;
#[cfg(test)]
mod tests;

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{start::Starter, stop::stop};
use crate::{
    endpoint::{self, EndpointError, Hangup, Receiver, Sender},
    protocol::{Fault, Hello, PROTOCOL_VERSION, Reply, Request, SILENCE_LIMIT, Status, StyleInfo},
    wire::{self, WireError},
};

/// How many styles a daemon may tell of.
const MAX_STYLES: usize = 10_000;

/// Why the daemon didn't do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon listens.
    #[error("no daemon is running at {}; start one with `utsushi serve`", socket.display())]
    NotRunning {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// The daemon was started, but doesn't answer.
    #[error("can't start the daemon with `{}`: {reason}", program.display())]
    CannotStart {
        /// What was started.
        program: PathBuf,
        /// What went wrong, with the daemon's last words if there are any.
        reason: String,
    },
    /// The daemon is of another version.
    #[error(
        "the daemon that is running is Utsushi {} (protocol {}), but this is Utsushi {} (protocol {PROTOCOL_VERSION}); \
         run `utsushi stop`, then try again, and if that doesn't help, install the same version of both",
        daemon.application, daemon.protocol, env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// What the daemon says of itself.
        daemon: Hello,
    },
    /// The daemon refused, or failed, and says why.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The daemon went away before it had answered.
    #[error("the daemon was lost before it had finished; try again ({reason})")]
    Lost {
        /// How it went.
        reason: WireError,
    },
    /// The daemon has said nothing for as long as it may: it is stopped, or hangs.
    #[error(
        "the daemon has said nothing for {} s and was given up: it is stopped, or hangs; end {}, then try again",
        waited.as_secs_f32(),
        pid.map_or_else(|| "its process `utsushi serve` by hand".into(), |pid| format!("it with `kill -9 {pid}`"))
    )]
    Silent {
        /// The daemon's process, if it has told.
        pid: Option<u32>,
        /// For how long it was waited for.
        waited: Duration,
    },
    /// The daemon says something that makes no sense here.
    #[error("the daemon broke the protocol: {what}; this is a defect, please report it")]
    Protocol {
        /// What it said.
        what: String,
    },
    /// The caller didn't want to go on.
    #[error("cancelled")]
    Cancelled,
    /// The socket can't be used.
    #[error(transparent)]
    Endpoint(EndpointError),
    /// Reading the source or writing the result failed, at the caller's side.
    #[error(transparent)]
    Io(io::Error),
    /// The daemon was told to stop, and doesn't.
    #[error(
        "the daemon, process {pid}, was told to stop, but still runs after {} s; end it by hand with `kill -9 {pid}`",
        waited.as_secs()
    )]
    StillRunning {
        /// The daemon's process.
        pid: u32,
        /// For how long it was waited for.
        waited: Duration,
    },
    /// A daemon of another version, which can only be stopped by a signal, couldn't be.
    #[error("can't stop the daemon, process {pid}: {error}; end it by hand")]
    CannotStop {
        /// The daemon's process.
        pid: u32,
        /// What the system says.
        error: io::Error,
    },
}

impl ClientError {
    fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol { what: what.into() }
    }

    /// Names a silent daemon.
    fn of(self, daemon: &Hello, waited: Duration) -> Self {
        match self {
            Self::Silent { .. } => Self::Silent { pid: Some(daemon.pid), waited },
            other => other,
        }
    }
}

impl From<EndpointError> for ClientError {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::NotRunning { path } => Self::NotRunning { socket: path },
            other => Self::Endpoint(other),
        }
    }
}

impl From<WireError> for ClientError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Io(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Self::Silent { pid: None, waited: SILENCE_LIMIT }
            }
            WireError::Closed | WireError::Truncated | WireError::Io(_) => Self::Lost { reason: error },
            WireError::TooLarge { .. } | WireError::Malformed(_) => Self::protocol(error.to_string()),
        }
    }
}

/// A connection to a daemon of the same version.
#[derive(Debug)]
pub struct Client {
    receiver: Receiver,
    sender: Sender,
    hangup: Hangup,
    daemon: Hello,
    silence_limit: Duration,
    /// Kept between pictures, as is the next.
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Client {
    /// Connects to a running daemon.
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        let client = Self::introduce(socket)?;
        if Hello::ours().fits(&client.daemon) {
            Ok(client)
        } else {
            Err(ClientError::Version { daemon: client.daemon })
        }
    }

    /// Exchanges greetings with a daemon of any version.
    fn introduce(socket: &Path) -> Result<Self, ClientError> {
        let connection = endpoint::connect(socket)?;
        connection
            .set_timeouts(Some(SILENCE_LIMIT), None)
            .map_err(|error| ClientError::from(WireError::Io(error)))?;
        let hangup = connection.hangup();
        let (mut receiver, mut sender) = connection.split();
        let mut incoming = Vec::new();

        let sent = wire::write_frame(&mut sender, &Hello::ours(), &[]);
        let daemon = answer(&mut receiver, &mut incoming, sent)?;
        let (silence_limit, outgoing) = (SILENCE_LIMIT, Vec::new());
        Ok(Self { receiver, sender, hangup, daemon, silence_limit, incoming, outgoing })
    }

    /// Gives the daemon up after another time of silence than [`SILENCE_LIMIT`].
    pub fn set_silence_limit(&mut self, limit: Duration) -> Result<(), ClientError> {
        self.receiver.set_timeout(Some(limit)).map_err(|error| ClientError::from(WireError::Io(error)))?;
        self.silence_limit = limit;
        Ok(())
    }

    /// What the daemon said of itself.
    pub fn daemon(&self) -> &Hello {
        &self.daemon
    }

    /// The styles that can be asked for, built-in ones first.
    pub fn styles(&mut self) -> Result<Vec<StyleInfo>, ClientError> {
        let mut styles = Vec::new();
        let mut reply = self.ask(&Request::Styles)?;
        loop {
            match reply {
                Reply::Style(_) if styles.len() == MAX_STYLES => {
                    return Err(ClientError::protocol(format!("it told of more than {MAX_STYLES} styles")));
                }
                Reply::Style(style) => styles.push(style),
                Reply::Done => return Ok(styles),
                other => return Err(unexpected(&other)),
            }
            reply = self.reply(Ok(()))?;
        }
    }

    /// How the daemon is.
    pub fn status(&mut self) -> Result<Status, ClientError> {
        match self.ask(&Request::Status)? {
            Reply::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// Frees the memory of the daemon's networks.
    pub fn unload(&mut self) -> Result<(), ClientError> {
        self.ask_done(&Request::Unload)
    }

    /// Has the daemon finish what is running, then exit.
    pub fn shutdown(&mut self) -> Result<(), ClientError> {
        self.ask_done(&Request::Shutdown)
    }

    fn ask_done(&mut self, request: &Request) -> Result<(), ClientError> {
        match self.ask(request)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let sent = wire::write_frame(&mut self.sender, request, &[]);
        self.reply(sent)
    }

    fn reply(&mut self, mut sent: io::Result<()>) -> Result<Reply, ClientError> {
        loop {
            let answered =
                answer(&mut self.receiver, &mut self.incoming, std::mem::replace(&mut sent, Ok(())));
            match answered.map_err(|error| error.of(&self.daemon, self.silence_limit))? {
                Reply::Busy => {}
                Reply::Fault(fault) => return Err(fault.into()),
                reply => return Ok(reply),
            }
        }
    }
}

/// Reads the answer even if the question couldn't be sent: a daemon that closes has often said why.
fn answer<H>(receiver: &mut Receiver, body: &mut Vec<u8>, sent: io::Result<()>) -> Result<H, ClientError>
where
    H: serde::de::DeserializeOwned,
{
    let received = wire::read_frame(receiver, body);
    match (received, sent) {
        (Err(WireError::Closed), Err(error)) => Err(WireError::Io(error).into()),
        (received, _) => Ok(received?),
    }
}

/// Only the variant's name: a reply may hold long texts.
fn unexpected(reply: &Reply) -> ClientError {
    let name = match reply {
        Reply::Style(_) => "a style",
        Reply::Progress(_) => "progress",
        Reply::Rows(_) => "rows",
        Reply::Stylized(_) => "the end of a picture",
        Reply::Status(_) => "its status",
        Reply::Done => "\"done\"",
        Reply::Fault(_) => "a fault",
        Reply::Job(_) => "a job",
        Reply::Busy => "a sign of life",
    };
    ClientError::protocol(format!("it sent {name} out of turn"))
}

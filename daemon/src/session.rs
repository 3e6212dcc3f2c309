//! A connection, from its greeting to its end, on a thread of its own.
//!
//! While a picture streams, a second thread writes and this one goes on reading, so that a client that closes is
//! noticed at once, and one that is slow either way holds up only itself:
//!
//! ```text
//! client => this thread: Rows => JobInput => worker => JobOutput => writer thread: Rows, Progress => client
//! ```
//!
//! Whoever of the two fails ends the other: the reader by cancelling the job, at which the writer returns what it
//! was lent; the writer by hanging up, at which the reader reads the end.
//!
//! A peer that owes bytes, or that doesn't take any, is given up after the stall timeout. Between two requests it
//! owes nothing, and may stay for as long as nobody else needs its place (`Seat`).

mod jobs;
mod spec;

use std::{
    io, mem, process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tracing::{debug, warn};
use utsushi_ipc::{
    endpoint::{Connection, Hangup, Receiver, Sender},
    pixels::Raster,
    protocol::{
        Fault, FaultKind, HEARTBEAT, Hello, PictureSpec, Profile, Progress, Reply, Request, Status, StyleInfo,
    },
    wire::{self, WireError},
};

use self::spec::{parse, parse_enlarge};
use crate::{
    jobs::Jobs,
    memory::{Budget, NoRoom, Reservation, resident_bytes},
    server::{Roster, Seat, Stop},
    worker::{self, Answer, Gone, JobInput, JobOutput, Load, Output, WAITING_BANDS},
};

/// How much of a version is logged.
const MAX_VERSION_CHARS: usize = 32;

/// What every session needs of the daemon.
pub(crate) struct Daemon<'a> {
    pub(crate) worker: worker::Handle,
    pub(crate) jobs: Jobs,
    pub(crate) styles: &'a (dyn Fn() -> Vec<StyleInfo> + Sync),
    pub(crate) stop: Stop,
    pub(crate) roster: Roster,
    pub(crate) budget: Budget,
    pub(crate) stall_timeout: Duration,
    pub(crate) started_at: Instant,
}

/// Serves a client until it closes or fails.
pub(crate) fn serve(connection: Connection, daemon: &Daemon<'_>, seat: &Seat<'_>) {
    if let Err(error) = connection.set_timeouts(Some(daemon.stall_timeout), Some(daemon.stall_timeout)) {
        return warn!("a connection can't be used: {error}");
    }
    let hangup = connection.hangup();
    let (receiver, sender) = connection.split();
    let reader = Reader { receiver, body: Vec::new(), budget: daemon.budget.clone() };
    let mut session = Session { reader, sender, hangup, daemon, seat };
    let Err(end) = session.run();
    match end {
        End::Closed if seat.is_leaving() => {
            debug!("an idle client gave way to another");
            let fault = Fault::new(
                FaultKind::Busy,
                "this connection was idle, and gave way to another program, as too many are connected; try again",
            );
            let _ = wire::write_frame(&mut session.sender, &Reply::Fault(fault), &[]);
        }
        End::Closed => debug!("a client closed its connection"),
        End::Lost(error) => warn!("a client was lost: {error}"),
        End::Version(theirs) => {
            let version: String = theirs.application.chars().take(MAX_VERSION_CHARS).collect();
            warn!(version, protocol = theirs.protocol, "a client of another version was refused")
        }
        End::Told => {}
        End::Fault(fault) => {
            warn!(kind = ?fault.kind, "a client was refused: {fault}");
            // It may have gone; then there is nobody to tell.
            let _ = wire::write_frame(&mut session.sender, &Reply::Fault(fault), &[]);
        }
    }
}

/// Turns a client away for whom there is no place.
pub(crate) fn turn_away(mut connection: Connection) {
    warn!("too many clients are connected; one was turned away");
    let fault = Fault::new(
        FaultKind::Busy,
        "too many programs are connected to the daemon; close some of them, then try again",
    );
    // A new connection has room for these in its buffer, and one that has none is gone.
    let _ = wire::write_frame(&mut connection, &Hello::ours(), &[])
        .and_then(|()| wire::write_frame(&mut connection, &Reply::Fault(fault), &[]));
}

/// Why a session ends.
enum End {
    /// The client closed, which also cancels.
    Closed,
    /// The client can't be reached any more.
    Lost(io::Error),
    /// The client is of another version, as it will find in the greeting.
    Version(Hello),
    /// The client is to be told this.
    Fault(Fault),
    /// The client was told.
    Told,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Closed => Self::Closed,
            WireError::Io(error) if is_timeout(&error) => {
                let message = "the daemon waited too long for the client's next bytes and gave up; try again";
                Fault::new(FaultKind::TimedOut, message).into()
            }
            WireError::Truncated => Self::Lost(io::ErrorKind::UnexpectedEof.into()),
            WireError::Io(error) => Self::Lost(error),
            WireError::TooLarge { .. } | WireError::Malformed(_) => malformed(error.to_string()),
        }
    }
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Fault::new(FaultKind::Internal, "the daemon's engine is gone; the daemon stops, so try again").into()
    }
}

fn malformed(what: impl Into<String>) -> End {
    Fault::new(FaultKind::Malformed, what).into()
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

struct Session<'a> {
    reader: Reader,
    sender: Sender,
    hangup: Hangup,
    daemon: &'a Daemon<'a>,
    seat: &'a Seat<'a>,
}

/// The reading half, and the last frame's pixels.
struct Reader {
    receiver: Receiver,
    body: Vec<u8>,
    budget: Budget,
}

impl Reader {
    /// The next request, for which the client may take its time.
    fn next_request(&mut self) -> Result<Request, End> {
        while !self.receiver.wait(Duration::from_secs(3600)).map_err(End::Lost)? {}
        match wire::read_head(&mut self.receiver)? {
            (request, 0) => Ok(request),
            (Request::Stylize(spec), bytes) => self.with_profile(spec.into(), bytes),
            (Request::Enlarge(spec), bytes) => self.with_profile(spec.into(), bytes),
            (Request::Rows(_), _) => Err(malformed("rows came without a picture that they belong to")),
            _ => Err(malformed("pixels came with a request that has none")),
        }
    }

    /// A picture's request, whose frame's body is a profile of so many bytes.
    fn with_profile(&mut self, spec: PictureSpec, bytes: usize) -> Result<Request, End> {
        let _until_it_is_a_picture = self.budget.reserve(bytes as u64).map_err(no_room)?;
        wire::read_body(&mut self.receiver, &mut self.body, bytes)?;
        Ok(spec.with_profile(Profile(mem::take(&mut self.body).into())).into())
    }

    /// Hands all rows of a picture to its job, and frees the frames' memory: a client's next picture may be hours
    /// away. Frames beyond a band need more of the budget than was reserved.
    fn give_rows(&mut self, spec: &PictureSpec, input: &JobInput, desk: &mut Reservation) -> Result<(), End> {
        let raster = &spec.raster();
        let mut rows_left = raster.height();
        while rows_left > 0 {
            let (rows, bytes) = match wire::read_head(&mut self.receiver)? {
                (Request::Rows(rows), bytes) => (rows, bytes),
                _ => return Err(malformed("another request came in the middle of a picture")),
            };
            let expected = rows as usize * raster.row_bytes();
            if rows == 0 || rows > rows_left || bytes != expected {
                return Err(malformed(format!(
                    "{rows} rows came in {bytes} bytes, where {rows_left} rows of {} bytes were left",
                    raster.row_bytes()
                )));
            }
            desk.grow_to(desk_bytes(spec, bytes)).map_err(no_room)?;
            wire::read_body(&mut self.receiver, &mut self.body, bytes)?;
            rows_left -= rows;
            // In our own bands, so that no client's large frames keep others waiting.
            for band in self.body.chunks(band_bytes(raster)) {
                input.give(band.to_vec())?;
            }
        }
        self.body = Vec::new();
        Ok(())
    }
}

impl Session<'_> {
    fn run(&mut self) -> Result<std::convert::Infallible, End> {
        self.greet()?;
        let mut request = self.reader.next_request()?;
        loop {
            if !self.seat.work() {
                return Err(End::Closed);
            }
            request = match request {
                Request::Styles => {
                    for style in (self.daemon.styles)() {
                        send(&mut self.sender, &Reply::Style(style), &[])?;
                    }
                    self.answer(Reply::Done)?
                }
                Request::Stylize(spec) => self.draw(parse(spec)?.into())?,
                Request::Enlarge(spec) => self.draw(parse_enlarge(spec)?.into())?,
                // Those of a picture are read with it.
                Request::Rows(_) => return Err(malformed("rows came without a picture that they belong to")),
                Request::Status => {
                    let load = self.wait_for(&self.daemon.worker.describe())?;
                    self.answer(Reply::Status(status(self.daemon, load)))?
                }
                Request::Unload => {
                    self.wait_for(&self.daemon.worker.unload())?;
                    self.answer(Reply::Done)?
                }
                Request::Train(spec) => {
                    let job = self.daemon.jobs.train(spec)?;
                    self.answer_job(job)?
                }
                Request::Jobs => self.list_jobs()?,
                Request::WatchJob(id) => self.watch_job(id)?,
                Request::PauseJob(id) => self.answer_job(self.daemon.jobs.pause(id)?)?,
                Request::ResumeJob(id) => self.answer_job(self.daemon.jobs.resume(id)?)?,
                Request::CancelJob(id) => self.answer_job(self.daemon.jobs.cancel(id)?)?,
                Request::RemoveJob(id) => {
                    self.daemon.jobs.remove(id)?;
                    self.answer(Reply::Done)?
                }
                Request::Shutdown => {
                    send(&mut self.sender, &Reply::Done, &[])?;
                    self.daemon.stop.request();
                    self.reader.next_request()?
                }
            };
        }
    }

    fn greet(&mut self) -> Result<(), End> {
        let ours = Hello::ours();
        wire::write_frame(&mut self.sender, &ours, &[]).map_err(End::Lost)?;
        let theirs: Hello = wire::read_frame(&mut self.reader.receiver, &mut self.reader.body)?;
        if !self.reader.body.is_empty() {
            return Err(malformed("pixels came with a greeting"));
        }
        if ours.fits(&theirs) { Ok(()) } else { Err(End::Version(theirs)) }
    }

    /// Waits for the worker, with a sign of life now and then: the band at hand may take its time.
    fn wait_for<T>(&mut self, answer: &Answer<T>) -> Result<T, End> {
        loop {
            match answer.wait_for(HEARTBEAT)? {
                Some(answer) => return Ok(answer),
                None => send(&mut self.sender, &Reply::Busy, &[])?,
            }
        }
    }

    /// Sends the last reply to a request, then waits for the next.
    fn answer(&mut self, reply: Reply) -> Result<Request, End> {
        // Before the client can know it.
        self.seat.rest();
        send(&mut self.sender, &reply, &[])?;
        self.reader.next_request()
    }

    /// Streams a picture through the worker, then waits for the next request.
    fn draw(&mut self, spec: PictureSpec) -> Result<Request, End> {
        let Self { reader, sender, hangup, daemon, seat } = self;
        let mut desk = daemon.budget.reserve(desk_bytes(&spec, 0)).map_err(no_room)?;
        let _profile = daemon.budget.reserve(spec.profile().0.len() as u64).map_err(no_room)?;
        let busy = daemon.roster.begin();
        let (input, output) = daemon.worker.submit(spec.clone());
        let is_delivered = AtomicBool::new(false);

        thread::scope(|scope| {
            let writer = thread::Builder::new().name("writer".into()).spawn_scoped(scope, || {
                let _busy = busy;
                let delivered = deliver(sender, &spec.result(), output, &is_delivered, seat);
                if let Ok(Delivery::Told) | Err(_) = delivered {
                    hangup.shutdown();
                }
                delivered
            });
            let writer = writer.map_err(|error| {
                // Not `Busy`, for which clients wait: nothing tells that this will pass.
                Fault::new(
                    FaultKind::OutOfMemory,
                    format!(
                        "the system has no thread for this picture ({error}); close other programs, or raise the \
                         limits that the daemon runs under (ulimit -a)"
                    ),
                )
            })?;

            let next = reader
                .give_rows(&spec, &input, &mut desk)
                .and_then(|()| reader.next_request())
                .and_then(|request| match is_delivered.load(Ordering::Acquire) {
                    true => Ok(request),
                    false => Err(malformed("another request came before the picture was finished")),
                });
            // Unless everything was delivered, this cancels the job, and the writer comes back.
            drop(input);
            match writer.join() {
                Ok(Ok(Delivery::Whole | Delivery::Cancelled)) => next,
                Ok(Ok(Delivery::Told)) => Err(End::Told),
                Ok(Err(end)) => Err(end),
                Err(_panic) => Err(Gone.into()),
            }
        })
    }
}

/// How the result of a picture ended.
enum Delivery {
    /// The client has it.
    Whole,
    /// The job was dropped.
    Cancelled,
    /// The client was told of a fault.
    Told,
}

/// Sends what comes out of a job, in frames of about the size of a band.
fn deliver(
    sender: &mut Sender,
    raster: &Raster,
    output: JobOutput,
    is_delivered: &AtomicBool,
    seat: &Seat<'_>,
) -> Result<Delivery, End> {
    let mut progress = Progress { rows_done: 0, rows: raster.height(), behind: output.behind() };
    loop {
        match output.take(HEARTBEAT) {
            Ok(Some(Output::Rows(pixels))) => {
                progress.behind = None;
                for band in pixels.chunks(band_bytes(raster)) {
                    let rows = (band.len() / raster.row_bytes()) as u32;
                    send(sender, &Reply::Rows(rows), band)?;
                    progress.rows_done += rows;
                    send(sender, &Reply::Progress(progress), &[])?;
                }
            }
            // A sign of life. It is also how a client is missed that closed while its rows wait for their turn, when
            // nobody reads them.
            Ok(None) => {
                progress.behind = output.behind();
                send(sender, &Reply::Progress(progress), &[])?;
            }
            Ok(Some(Output::Done(report))) => {
                // Before the client can know it, so that its next request finds it said.
                is_delivered.store(true, Ordering::Release);
                seat.rest();
                send(sender, &Reply::Stylized(report), &[])?;
                return Ok(Delivery::Whole);
            }
            Ok(Some(Output::Fault(fault))) => {
                send(sender, &Reply::Fault(fault), &[])?;
                return Ok(Delivery::Told);
            }
            Err(Gone) => return Ok(Delivery::Cancelled),
        }
    }
}

fn send(sender: &mut Sender, reply: &Reply, body: &[u8]) -> Result<(), End> {
    wire::write_frame(sender, reply, body).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => {
            Fault::new(FaultKind::Internal, format!("the daemon's answer can't be sent: {error}")).into()
        }
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => End::Closed,
        _ if is_timeout(&error) => End::Lost(io::Error::new(error.kind(), "it took nothing for too long")),
        _ => End::Lost(error),
    })
}

fn band_bytes(raster: &Raster) -> usize {
    wire::band_rows(raster) as usize * raster.row_bytes()
}

/// What a picture's rows take on their way to the worker and back, in bytes, while frames have this many at most. What
/// comes of a band is as many times larger as the result is.
fn desk_bytes(spec: &PictureSpec, frame_bytes: usize) -> u64 {
    let (source, result) = (spec.raster(), spec.result());
    let band = band_bytes(&source);
    let times = (result.total_bytes() / source.total_bytes()) as usize;
    (frame_bytes.max(band) + WAITING_BANDS * band * (1 + times)) as u64
}

/// Rows for which there is no memory.
fn no_room(NoRoom { most, reserved }: NoRoom) -> Fault {
    let message = format!(
        "there is no memory for this picture's rows now: of {} MiB, {} are taken by others; try again later",
        most >> 20,
        reserved >> 20
    );
    // Clients wait for those that are busy: not where nobody is.
    Fault::new(if reserved > 0 { FaultKind::Busy } else { FaultKind::OutOfMemory }, message)
}

fn status(daemon: &Daemon<'_>, load: Load) -> Status {
    let (budget_bytes, reserved_bytes) = daemon.budget.describe();
    Status {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: process::id(),
        loaded: load.loaded,
        device: load.device,
        resident_bytes: resident_bytes().unwrap_or(0),
        budget_bytes,
        reserved_bytes,
        running: load.running as u32,
        queued: load.queued as u32,
        finished: load.finished,
        uptime_s: daemon.started_at.elapsed().as_secs(),
    }
}

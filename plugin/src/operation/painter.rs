//! Has parts of a picture drawn, and never waits long for a daemon that is dead, slow or absent.
//!
//! Whoever draws the canvas waits here, and the daemon is talked to on another thread, of which there is one for each that
//! waits. A daemon that gets on with nothing for [`PATIENCE`] is given up, and with it the thread, which ends by itself.
//! After a failure the daemon is left alone for a while, or each of the canvas's tiles would wait anew.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::protocol::{StyleInfo, StylizeSpec};

use super::Trouble;
use crate::region::Rect;
use crate::warm::{self, Part};

/// How long a daemon may get on with nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// For how long the daemon is left alone after its first failure; each further one doubles that.
const FIRST_REST: Duration = Duration::from_secs(5);
/// Up to this.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// After this, a connection that nobody uses is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Makes a connection; called on any thread.
pub(super) type Connect = Arc<dyn Fn() -> Result<Client, ClientError> + Send + Sync>;

/// All that there is of the daemon here.
pub(super) struct Painter {
    connect: Connect,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Threads that wait for work.
    idle: Vec<Sender<Work>>,
    /// The styles there are, once the daemon has told.
    styles: Option<Arc<[StyleInfo]>>,
    rest: Duration,
    rests_until: Option<Instant>,
}

type Work = Box<dyn FnOnce(&mut Option<Client>) + Send>;

/// What a thread tells.
enum News<T> {
    /// The daemon lives, and has done so much.
    Sign(u32),
    Done(Result<T, ClientError>),
}

impl Painter {
    pub(super) fn new(connect: Connect, patience: Duration) -> Self {
        Self { connect, patience, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The styles there are, as the daemon told last.
    pub(super) fn styles(&self) -> Result<Arc<[StyleInfo]>, Trouble> {
        if let Some(styles) = &self.lock().styles {
            return Ok(Arc::clone(styles));
        }
        let connect = Arc::clone(&self.connect);
        let styles = self.ask(move |client, sign| {
            let mut fresh = connect()?;
            let _ = sign(1);
            let styles = fresh.styles()?;
            *client = Some(fresh);
            Ok(styles)
        })?;
        let styles: Arc<[StyleInfo]> = styles.into();
        self.lock().styles = Some(Arc::clone(&styles));
        Ok(styles)
    }

    /// Those that were told, if any were.
    pub(super) fn known_styles(&self) -> Option<Arc<[StyleInfo]>> {
        self.lock().styles.clone()
    }

    /// What there is may be another now.
    pub(super) fn forget_styles(&self) {
        self.lock().styles = None;
    }

    /// The drawn pixels of `area`; `pixels` are all those of `region`.
    pub(super) fn draw(
        &self,
        spec: StylizeSpec,
        region: Rect,
        area: Rect,
        pixels: Vec<u8>,
    ) -> Result<Vec<u8>, Trouble> {
        let connect = Arc::clone(&self.connect);
        self.ask(move |client, sign| {
            let connect = || {
                let client = connect()?;
                let _ = sign(0);
                Ok(client)
            };
            let part = Part { spec: &spec, region, pixels: &pixels, area };
            warm::draw(client, connect, &part, |news| sign(news.rows_done + 1)).map(|(drawn, _)| drawn)
        })
    }

    /// Has another thread do this, and waits as long as it gets on.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Option<Client>, &dyn Fn(u32) -> ControlFlow<()>) -> Result<T, ClientError>
        + Send
        + 'static,
    ) -> Result<T, Trouble> {
        if self.lock().rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(Trouble::Resting);
        }
        let (sender, news) = mpsc::channel();
        let worker = self.order(Box::new(move |client| {
            // Nobody listens any more: this is given up.
            let sign = |done| match sender.send(News::Sign(done)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            };
            let result = work(client, &sign);
            let _ = sender.send(News::Done(result));
        }))?;
        let outcome = self.wait(&news);
        let mut state = self.lock();
        match &outcome {
            Ok(_) => {
                (state.rest, state.rests_until) = (Duration::ZERO, None);
                state.idle.push(worker);
            }
            Err(_) => {
                state.rest = (state.rest * 2).clamp(FIRST_REST, LONGEST_REST);
                state.rests_until = Some(Instant::now() + state.rest);
            }
        }
        outcome
    }

    fn wait<T>(&self, news: &Receiver<News<T>>) -> Result<T, Trouble> {
        let mut most = None;
        let mut deadline = Instant::now() + self.patience;
        loop {
            match news.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(News::Done(result)) => return result.map_err(Trouble::Daemon),
                Ok(News::Sign(done)) if Some(done) > most => {
                    most = Some(done);
                    deadline = Instant::now() + self.patience;
                }
                Ok(News::Sign(_)) if Instant::now() < deadline => {}
                Ok(News::Sign(_)) | Err(RecvTimeoutError::Timeout) => {
                    return Err(Trouble::Slow { waited_s: self.patience.as_secs() });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Trouble::Defect),
            }
        }
    }

    /// Gives the work to a thread that has none.
    fn order(&self, mut work: Work) -> Result<Sender<Work>, Trouble> {
        loop {
            let idle = self.lock().idle.pop();
            let is_new = idle.is_none();
            let worker = match idle {
                Some(worker) => worker,
                None => start()?,
            };
            match worker.send(work) {
                Ok(()) => return Ok(worker),
                // It has been idle for too long.
                Err(mpsc::SendError(back)) if !is_new => work = back,
                Err(_) => return Err(Trouble::Defect),
            }
        }
    }
}

/// Starts a thread that works, over a connection that it keeps for as long as there is work.
fn start() -> Result<Sender<Work>, Trouble> {
    let (sender, orders) = mpsc::channel::<Work>();
    let thread = thread::Builder::new().name("utsushi".into());
    let started = thread.spawn(move || {
        crate::ffi::operation::without_signals();
        let mut client = None;
        while let Ok(work) = orders.recv_timeout(IDLE) {
            work(&mut client);
        }
    });
    started.map(|_| sender).map_err(Trouble::Thread)
}

//! The daemon from its socket to its end: a library function, so that tests start the real one.
//!
//! Four kinds of thread: one accepts, one works ([`crate::worker`]), one trains ([`crate::jobs`]), and each connection
//! has its own ([`crate::session`]). The caller's thread waits to be stopped. All of them have ended when [`run`] returns.
//!
//! Stopping finishes what is running, for at most [`STOP_GRACE`]; of a training that is the step, and a checkpoint. Until then clients can still connect, but new
//! pictures are refused, and so are those that wait for their first turn: a program that asks again will find a
//! new daemon. The socket is gone before the last connections are closed, so that whoever waited for the daemon's
//! end can start another at once.

mod roster;
mod side_door;
#[cfg(test)]
mod tests;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex},
    thread::{self, Scope},
    time::{Duration, Instant},
};

use tracing::{error, info, warn};
use utsushi_ipc::{
    endpoint::{Connection, EndpointError, Listener},
    protocol::{STOP_GRACE, StyleInfo},
};

pub(crate) use self::roster::{Roster, Seat};
pub use self::side_door::SideDoor;
use crate::{
    jobs::Jobs,
    memory::Budget,
    scheduler::Limits,
    session::{self, Daemon},
    worker::{self, Engine},
};

/// How many clients may be connected. For a further one, the one that has been idle for longest gives way; if none is
/// idle, it is turned away.
pub const MAX_CONNECTIONS: usize = 64;

/// How a daemon runs.
#[derive(Clone)]
pub struct Config {
    /// After how long without a picture the networks' memory is freed.
    pub idle_unload: Option<Duration>,
    /// How long a client may keep the daemon waiting in the middle of something.
    pub stall_timeout: Duration,
    /// What pictures and requests may take; the engine has the same.
    pub budget: Budget,
    /// Another socket to listen at.
    pub side_door: Option<SideDoor>,
}

/// Stops a daemon, from any thread.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Has the daemon finish what is running, then return. Asking again changes nothing.
    pub fn request(&self) {
        let (is_requested, changed) = &*self.0;
        *is_requested.lock().expect("nobody panics with the lock") = true;
        changed.notify_all();
    }

    fn wait(&self) {
        let (is_requested, changed) = &*self.0;
        let guard = is_requested.lock().expect("nobody panics with the lock");
        drop(changed.wait_while(guard, |is_requested| !*is_requested).expect("nobody panics with the lock"));
    }
}

/// Why a daemon couldn't run, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The system gave no thread.
    #[error("can't start a thread: {0}; end some programs, then try again")]
    Thread(io::Error),
    /// A thread ended before it was told to.
    #[error("the daemon's {0} thread stopped unexpectedly; this is a defect: please report it, with the log")]
    ThreadLost(&'static str),
}

/// What a daemon is worked by from beside its socket.
pub struct Controls {
    /// Who draws.
    pub worker: worker::Handle,
    /// Who trains.
    pub jobs: Jobs,
    /// How it ends.
    pub stop: Stop,
}

/// Runs a daemon until it is stopped. The socket goes with it.
pub fn run(
    listener: Listener,
    config: Config,
    engine: impl Engine,
    jobs: Jobs,
    styles: impl Fn() -> Vec<StyleInfo> + Send + Sync,
    stop: Stop,
) -> Result<(), ServerError> {
    run_beside(listener, config, engine, jobs, styles, stop, |_controls| ())
}

/// Does what [`run`] does, with a companion, which is dropped when the last client has left. It must not keep the
/// controls any longer, since the worker ends with its last handle.
pub fn run_beside<C>(
    listener: Listener,
    config: Config,
    engine: impl Engine,
    jobs: Jobs,
    styles: impl Fn() -> Vec<StyleInfo> + Send + Sync,
    stop: Stop,
    companion: impl FnOnce(Controls) -> C,
) -> Result<(), ServerError> {
    info!(socket = %listener.path().display(), "listening");

    let (worker, commands) = worker::channel();
    let stop_at_end = StopOnDrop(stop.clone());
    let working = thread::Builder::new().name("worker".into()).spawn(move || {
        let _stop_at_end = stop_at_end;
        worker::run(engine, commands, Limits::default(), config.idle_unload);
    });
    let working = working.map_err(ServerError::Thread)?;
    let training = thread::Builder::new().name("training".into()).spawn({
        let (jobs, turn) = (jobs.clone(), worker.turn().clone());
        move || jobs.run(&turn)
    });
    let training = training.map_err(ServerError::Thread)?;

    let daemon = Daemon {
        worker,
        jobs,
        styles: &styles,
        stop,
        roster: Roster::new(MAX_CONNECTIONS),
        stall_timeout: config.stall_timeout,
        budget: config.budget,
        started_at: Instant::now(),
    };
    let controls =
        Controls { worker: daemon.worker.clone(), jobs: daemon.jobs.clone(), stop: daemon.stop.clone() };
    let companion = companion(controls);
    thread::scope(|scope| serve(scope, listener, config.side_door, &daemon))?;
    drop(companion);
    // With the last handle, the worker ends.
    drop(daemon);
    working.join().map_err(|_panic| ServerError::ThreadLost("worker"))?;
    // One that is still at a step isn't waited for.
    if training.is_finished() {
        training.join().map_err(|_panic| ServerError::ThreadLost("training"))?;
    }
    info!("stopped");
    Ok(())
}

/// Lets clients in until the daemon is stopped, and has the last of them leave.
fn serve<'scope>(
    scope: &'scope Scope<'scope, '_>,
    listener: Listener,
    side_door: Option<SideDoor>,
    daemon: &'scope Daemon<'_>,
) -> Result<(), ServerError> {
    let closer = listener.closer();
    let stop_at_end = StopOnDrop(daemon.stop.clone());
    let accepting = thread::Builder::new().name("accept".into()).spawn_scoped(scope, move || {
        let _stop_at_end = stop_at_end;
        accept(scope, listener, side_door, daemon);
    });
    let accepting = accepting.map_err(ServerError::Thread)?;

    daemon.stop.wait();
    info!("stopping");
    let deadline = Instant::now() + STOP_GRACE;
    daemon.jobs.stop();
    daemon.worker.stop();
    if !daemon.roster.wait_until_idle(STOP_GRACE) {
        warn!("some pictures are given up, as they took too long to finish");
    }
    // The jobs are free before the socket is, so that the next daemon can take them up.
    if !daemon.jobs.wait_until_stopped(deadline) {
        warn!("a training's last steps are given up, as its step took too long");
    }
    closer.close();
    // With its thread the listener is gone, and nobody new can come.
    let accepted = accepting.join();
    daemon.roster.hang_up();
    accepted.map_err(|_panic| ServerError::ThreadLost("accepting"))
}

fn accept<'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut listener: Listener,
    mut side_door: Option<SideDoor>,
    daemon: &'scope Daemon<'_>,
) {
    loop {
        let patience = side_door.as_mut().map(|door| door.look_after(&mut listener));
        match listener.accept_within(patience) {
            Ok(Some(connection)) => admit(scope, connection, daemon),
            Ok(None) => {}
            Err(EndpointError::Closed) => return,
            Err(error) => {
                warn!("{error}");
                // It may pass, as when too many files are open.
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Gives a client its thread.
fn admit<'scope>(scope: &'scope Scope<'scope, '_>, connection: Connection, daemon: &'scope Daemon<'_>) {
    let Some(seat) = daemon.roster.enter(connection.hangup()) else {
        return session::turn_away(connection);
    };
    let spawned = thread::Builder::new().name("session".into()).spawn_scoped(scope, move || {
        if catch_unwind(AssertUnwindSafe(|| session::serve(connection, daemon, &seat))).is_err() {
            error!("a connection's thread stopped unexpectedly; this is a defect: please report it");
        }
    });
    if let Err(error) = spawned {
        warn!("a client was dropped, as no thread could be started for it: {error}");
    }
}

/// Stops the daemon when a thread ends that it can't do without.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.request();
    }
}

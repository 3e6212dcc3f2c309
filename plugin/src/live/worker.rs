//! The thread that has orders drawn, over one connection, which stays warm between them.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::protocol::StylizeSpec;

use super::{Frame, Pace};
use crate::region::Rect;
use crate::trouble;
use crate::warm::{self, Part};

/// What is to be drawn.
pub(super) struct Order {
    pub(super) number: u64,
    pub(super) spec: StylizeSpec,
    /// What is sent.
    pub(super) region: Rect,
    /// What of it is wanted.
    pub(super) frame: Frame,
    /// All of the region.
    pub(super) pixels: Arc<[u8]>,
    pub(super) pace: Pace,
}

/// What became of an order.
pub(super) struct Answer {
    pub(super) number: u64,
    pub(super) frame: Frame,
    /// Samples of the area, row by row, or why there are none.
    pub(super) outcome: Result<Vec<u8>, String>,
    pub(super) pace: Pace,
}

/// The thread, from outside. Once this is dropped it does nothing any more that can be noticed, and ends by itself:
/// it isn't waited for, since it may be starting a daemon.
pub(super) struct Worker {
    desk: Arc<Desk>,
    answers: Receiver<Answer>,
}

/// Where orders lie.
struct Desk {
    moment: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Only the newest counts.
    next: Option<Order>,
    /// What is being drawn isn't wanted.
    is_cancelled: bool,
    is_closed: bool,
}

impl Worker {
    /// A picture may go on for this moment while a newer order waits.
    pub(super) fn start(
        moment: Duration,
        mut connect: impl FnMut() -> Result<Client, ClientError> + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let desk = Arc::new(Desk { moment, state: Mutex::default(), changed: Condvar::new() });
        let (sender, answers) = mpsc::channel();
        let theirs = Arc::clone(&desk);
        thread::spawn(move || {
            let mut client = None;
            while let Some(order) = theirs.wait() {
                let drawn = theirs.draw(&order, &mut client, &mut connect);
                theirs.answer(&order, drawn, &sender, &wake);
            }
        });
        Self { desk, answers }
    }

    /// Replaces what waits.
    pub(super) fn order(&self, order: Order) {
        self.desk.lock().next = Some(order);
        self.desk.changed.notify_one();
    }

    /// Nothing is wanted any more.
    pub(super) fn cancel(&self) {
        let mut state = self.desk.lock();
        state.next = None;
        state.is_cancelled = true;
    }

    /// What has become of an order, if anything has.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.desk.lock().is_closed = true;
        self.desk.changed.notify_one();
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the lock")
    }

    /// The next order; nothing once there will be none.
    fn wait(&self) -> Option<Order> {
        let mut state =
            self.changed.wait_while(self.lock(), |state| state.next.is_none() && !state.is_closed);
        let state = state.as_mut().expect("nobody panics with the lock");
        state.is_cancelled = false;
        state.next.take().filter(|_| !state.is_closed)
    }

    /// Is what was begun then still wanted?
    fn go_on(&self, begun: Instant) -> ControlFlow<()> {
        let state = self.lock();
        let is_late = state.next.is_some() && begun.elapsed() > self.moment;
        if is_late || state.is_cancelled || state.is_closed {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn draw(
        &self,
        order: &Order,
        client: &mut Option<Client>,
        connect: &mut impl FnMut() -> Result<Client, ClientError>,
    ) -> Result<(Vec<u8>, f32), ClientError> {
        let Order { spec, region, frame: Frame { area, .. }, pixels, .. } = order;
        let begun = Instant::now();
        let part = Part { spec, region: *region, pixels, area: *area };
        let (pixels, report) = warm::draw(client, connect, &part, |_| self.go_on(begun))?;
        Ok((pixels, report.engine_ms))
    }

    /// Hands over what became of an order, unless nobody wants to know.
    fn answer(
        &self,
        order: &Order,
        drawn: Result<(Vec<u8>, f32), ClientError>,
        answers: &Sender<Answer>,
        wake: impl Fn(),
    ) {
        let Order { number, frame, mut pace, .. } = *order;
        let outcome = match drawn {
            Ok((drawn, engine_ms)) => {
                pace.engine_ms = engine_ms;
                Ok(drawn)
            }
            Err(ClientError::Cancelled) => return,
            Err(error) => Err(trouble::describe(&error)),
        };
        // Held until all is said, so that nothing is once the other side has closed.
        let state = self.lock();
        if !state.is_closed
            && !state.is_cancelled
            && answers.send(Answer { number, frame, outcome, pace }).is_ok()
        {
            wake();
        }
    }
}

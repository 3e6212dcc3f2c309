//! How long a client keeps its place waiting.
//!
//! Time runs while the worker could go on but for the client, who owes rows or takes none. A whole band, in or out, pays
//! for [`Limits::grace`](crate::scheduler::Limits), a part of one for that part of it. So a client that sends a row now
//! and then, which keeps it from ever being given up for silence, still falls behind, and one that feeds the worker as
//! fast as any program does never will, however long its picture takes.

use std::time::{Duration, Instant};

/// What a client is behind.
#[derive(Debug)]
pub(super) struct Patience {
    /// Since when the worker waits for it.
    waiting_since: Option<Instant>,
    behind: Duration,
}

impl Patience {
    /// Of a client that owes its first rows.
    pub(super) fn new(now: Instant) -> Self {
        Self { waiting_since: Some(now), behind: Duration::ZERO }
    }

    /// The client has given or taken something at that time, or something was worked on: does the worker wait for it?
    pub(super) fn update(&mut self, is_waiting: bool, at: Instant) {
        match (self.waiting_since, is_waiting) {
            (Some(since), false) => {
                self.behind += at.saturating_duration_since(since);
                self.waiting_since = None;
            }
            (None, true) => self.waiting_since = Some(at),
            (Some(_), true) | (None, false) => {}
        }
    }

    /// So much of a band was worked on.
    pub(super) fn pay(&mut self, share_of_a_band: f64, grace: Duration) {
        self.behind = self.behind.saturating_sub(grace.mul_f64(share_of_a_band));
    }

    /// How far it is behind.
    pub(super) fn behind(&self, now: Instant) -> Duration {
        self.behind + self.waiting_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    /// How far a client is behind after it has sent such shares of a band, each so many seconds after the last.
    fn check(sent: &[(u64, f64)], expected_s: f64) {
        let mut now = Instant::now();
        let mut patience = Patience::new(now);
        for (after_s, share) in sent {
            now += Duration::from_secs(*after_s);
            patience.update(false, now);
            // However long the worker takes, or has others go first.
            now += Duration::from_secs(100);
            patience.pay(*share, GRACE);
            patience.update(true, now);
        }
        let behind = patience.behind(now).as_secs_f64();
        assert!((behind - expected_s).abs() < 1e-6, "{sent:?}: {behind} s, not {expected_s}");
    }

    #[test]
    fn a_band_pays_for_a_time_and_a_row_hardly() {
        check(&[], 0.0);
        check(&[(4, 1.0), (4, 1.0), (4, 1.0)], 0.0);
        check(&[(6, 1.0)], 1.0);
        check(&[(6, 1.0), (6, 1.0)], 2.0);
        check(&[(10, 0.01), (10, 0.01)], 19.9);
        check(&[(10, 0.0), (0, 1.0)], 5.0);
    }

    #[test]
    fn waiting_counts_before_it_ends() {
        let now = Instant::now();
        let mut patience = Patience::new(now);
        assert_eq!(patience.behind(now + GRACE), GRACE);
        patience.update(true, now + GRACE);
        assert_eq!(patience.behind(now + GRACE), GRACE, "it goes on waiting");
        patience.update(false, now + GRACE);
        assert_eq!(patience.behind(now + 3 * GRACE), GRACE);
    }
}

//! The one budget of all that clients can have the daemon hold: pictures, and the bytes of their requests.
//!
//! It is half of what would be free without them. Whoever is about to take memory reserves it first, all that it *will*
//! take, so that pictures which have only begun count as those that are at their largest. What is reserved and already
//! taken isn't free any more, so that it is added to what is: at each limit by what the process has grown there since
//! nothing was reserved.

mod supply;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::supply::{Supply, resident_bytes};

/// What must be left of a limit of this process's after its start. A small picture takes a third of it; connections have
/// two threads each.
const LEAST_FREE: u64 = 128 << 20;

/// Fails if the limits on this process leave too little to draw with: better now, and in words, than in the middle of a
/// picture.
pub fn check_limits() -> anyhow::Result<()> {
    let [_, addresses, data] = supply::of_the_system();
    check(addresses, "address space", "-v")?;
    check(data, "data", "-d")
}

fn check(supply: Option<Supply>, what: &str, option: &str) -> anyhow::Result<()> {
    match supply {
        Some(Supply { free, held }) if free < LEAST_FREE => anyhow::bail!(
            "the limit of {} MiB on a process's {what} (ulimit {option}) is too low to draw pictures; raise it to {} MiB \
             or more",
            (free + held) >> 20,
            (held + LEAST_FREE).div_ceil(1 << 20)
        ),
        _ => Ok(()),
    }
}

/// Where memory may come to an end; asked anew each time.
type Supplies = [Option<Supply>; 3];

/// Shared by all who reserve.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    supplies: Box<dyn Fn() -> Supplies + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reserved: u64,
    /// What the process held, of each supply, when nothing was reserved.
    base: [u64; 3],
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom {
    /// The budget, in bytes.
    pub most: u64,
    /// How much of it others have, in bytes.
    pub reserved: u64,
}

impl Budget {
    /// Half of what the machine, the container or the process's limits leave.
    pub fn of_the_system() -> Self {
        Self::new(supply::of_the_system)
    }

    /// Half of the least of these.
    pub fn new(supplies: impl Fn() -> Supplies + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { supplies: Box::new(supplies), state: Mutex::default() }))
    }

    /// Sets so many bytes aside.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, NoRoom> {
        let mut reservation = Reservation { budget: self.clone(), bytes: 0 };
        reservation.grow_to(bytes)?;
        Ok(reservation)
    }

    /// How large the budget is, and how much of it is reserved, in bytes.
    pub fn describe(&self) -> (u64, u64) {
        let state = self.lock();
        (self.most(&state), state.reserved)
    }

    fn most(&self, state: &State) -> u64 {
        let supplies = (self.0.supplies)().into_iter().zip(state.base);
        let most = supplies.filter_map(|(supply, base)| {
            let Supply { free, held } = supply?;
            Some(free.saturating_add(held.saturating_sub(base).min(state.reserved)) / 2)
        });
        most.min().unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the budget, which come back to it when this is dropped: after what lies in them.
pub struct Reservation {
    budget: Budget,
    bytes: u64,
}

impl Reservation {
    /// Sets more aside, if it isn't that much already.
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut state = self.budget.lock();
        if state.reserved == 0 {
            state.base = (self.budget.0.supplies)().map(|supply| supply.map_or(0, |supply| supply.held));
        }
        let most = self.budget.most(&state);
        let reserved = state.reserved.saturating_add(more);
        if reserved > most {
            return Err(NoRoom { most, reserved: state.reserved });
        }
        state.reserved = reserved;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.lock().reserved -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A budget of so many bytes, whatever happens.
    fn fixed(most: u64) -> Budget {
        Budget::new(move || [Some(Supply { free: 2 * most, held: 0 }), None, None])
    }

    #[test]
    fn all_reserve_of_one() {
        let budget = fixed(100);
        let (first, mut second) = (budget.reserve(60).expect("room"), budget.reserve(30).expect("room"));
        assert_eq!(budget.reserve(11).err(), Some(NoRoom { most: 100, reserved: 90 }));
        second.grow_to(40).expect("room");
        second.grow_to(20).expect("it has that");
        assert!(second.grow_to(41).is_err());
        assert_eq!(budget.describe(), (100, 100));
        drop(first);
        assert_eq!(budget.describe(), (100, 40));
        drop(second);
        assert!(budget.reserve(101).is_err());
        budget.reserve(100).expect("all of it is there again");
        assert!(Budget::new(|| [None; 3]).reserve(1 << 60).is_ok(), "nothing is known");
    }

    #[test]
    fn limits_that_are_too_low_are_told() {
        let words = |free: u64| {
            let limit = Supply { free: free << 20, held: 100 << 20 };
            check(Some(limit), "address space", "-v").err().map(|error| error.to_string())
        };
        let told = words(100).expect("too low");
        assert!(told.contains("200 MiB") && told.contains("ulimit -v") && told.contains("228 MiB"), "{told}");
        assert_eq!((words(128), words(4000)), (None, None));
        assert!(check(None, "data", "-d").is_ok());
    }

    #[test]
    fn the_budget_is_the_same_before_and_after_what_is_reserved_was_taken() {
        // What is free, and what the process holds, of memory and of addresses, before and after.
        fn check(what: &str, before: [(u64, u64); 2], after: [(u64, u64); 2], expected: (u64, u64)) {
            let state = Arc::new(Mutex::new(before));
            let told = Arc::clone(&state);
            let budget = Budget::new(move || {
                let [memory, addresses] =
                    told.lock().expect("whole").map(|(free, held)| Supply { free, held });
                [Some(memory), Some(addresses), None]
            });
            let reserved = budget.reserve(100).expect("room");
            let most = budget.describe().0;
            *state.lock().expect("whole") = after;
            assert_eq!((most, budget.describe().0), expected, "{what}");
            drop(reserved);
        }
        const PLENTY: (u64, u64) = (9999, 0);
        check("nothing taken yet", [(400, 7), PLENTY], [(400, 7), PLENTY], (200, 200));
        check("half taken", [(400, 7), PLENTY], [(350, 57), PLENTY], (200, 200));
        check("all taken", [(400, 7), PLENTY], [(300, 107), PLENTY], (200, 200));
        check(
            "the process grew by something else, too",
            [(400, 7), PLENTY],
            [(200, 207), PLENTY],
            (200, 150),
        );
        check("others took some", [(400, 7), PLENTY], [(360, 7), PLENTY], (200, 180));
        check("addresses are short", [PLENTY, (300, 50)], [PLENTY, (200, 150)], (150, 150));
    }
}

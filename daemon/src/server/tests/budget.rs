//! Requests and the memory that they take together.

use utsushi_ipc::protocol::{FaultKind, Request};

use super::{Config, Fixture, NO_STALL, WIDE_PX, eventually, style};
use crate::{
    memory::{Budget, Supply},
    worker::fake::{Event, spec},
};

const MIB: u64 = 1 << 20;

#[test]
fn requests_share_a_budget() {
    let supply = Supply { free: 2 * 20 * MIB, held: 0 };
    let budget = Budget::new(move || [Some(supply), None, None]);
    let config = Config { budget, idle_unload: None, stall_timeout: NO_STALL, side_door: None };
    let fixture = Fixture::with_config(config, vec![style()], tempfile::tempdir().expect("a folder"));
    let reserved = || {
        let status = fixture.client().status().expect("the daemon answers");
        assert_eq!(status.budget_bytes, 20 * MIB);
        status.reserved_bytes
    };

    // Bands of 1 MiB: a frame, and two on either side of the worker.
    let picture = |seed| spec("late", seed, WIDE_PX, 64);
    let begin = |seed, rows: u32| {
        let mut raw = fixture.raw();
        raw.send(&Request::Stylize(picture(seed)), &[]);
        let body = vec![0; (rows * WIDE_PX) as usize];
        // The daemon may close before it has read all.
        let _ = raw.send_frame(&Request::Rows(rows), &body);
        raw
    };
    let first = begin(1, 4);
    fixture.until(Event::Pushed(1));
    assert_eq!(reserved(), 5 * MIB);
    // A frame of 6 MiB takes 5 more.
    let second = begin(2, 24);
    eventually(|| reserved() == 15 * MIB);
    let mut third = begin(3, 24);
    let fault = third.last_words().expect("the daemon tells why");
    assert_eq!(fault.kind, FaultKind::Busy);
    assert!(fault.message.contains("of 20 MiB"), "{fault}");
    let fourth = begin(4, 4);
    eventually(|| reserved() == 20 * MIB);
    let mut fifth = begin(5, 4);
    assert_eq!(fifth.last_words().map(|fault| fault.kind), Some(FaultKind::Busy));

    drop((first, second, fourth));
    eventually(|| reserved() == 0);
    fixture.end();
}

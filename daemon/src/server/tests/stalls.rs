//! Clients that neither send nor take, that come in crowds, and that leave.

use std::{
    io::Write,
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use utsushi_ipc::{
    client::ClientError,
    endpoint,
    protocol::{FaultKind, Hello, Reply, Request},
};

use super::{super::MAX_CONNECTIONS, Fixture, NO_STALL, Raw, SHORT_STALL, WIDE_PX, eventually, redraw};
use crate::{
    scheduler::Limits,
    worker::fake::{Event, spec},
};

#[test]
fn a_client_that_stops_writing() {
    let fixture = Fixture::start(SHORT_STALL);
    let mut idle = fixture.client();
    idle.status().expect("the daemon answers");

    let mut stalled = vec![fixture.stranger()];
    for part in [&[][..], &[0], &[0, 0, 0, 0]] {
        let mut raw = fixture.raw();
        raw.send(&Request::Stylize(spec("invert", 1, 3, 2)), &[]);
        raw.send(&Request::Rows(1), &[0; 3]);
        raw.0.write_all(part).expect("the daemon takes it");
        stalled.push(raw);
    }
    for mut raw in stalled {
        assert_eq!(raw.last_words().map(|fault| fault.kind), Some(FaultKind::TimedOut));
    }

    // One that owes nothing may be silent for as long as it likes.
    idle.status().expect("the daemon answers");
    fixture.end();
}

#[test]
fn a_client_that_stops_reading() {
    let fixture = Fixture::start(SHORT_STALL);
    let mut raw = fixture.raw();
    raw.send(&Request::Stylize(spec("invert", 1, WIDE_PX, 64)), &[]);
    // More than fits into all that lies between the two.
    let row = vec![0; WIDE_PX as usize];
    let sent = (0..64).try_for_each(|_| raw.send_frame(&Request::Rows(1), &row));
    assert!(sent.is_err(), "the daemon took everything and gave nothing back");
    fixture.until(Event::Dropped(1));
    fixture.end();
}

#[test]
fn stalled_clients_hold_up_nobody() {
    let fixture = Fixture::start(NO_STALL);
    let mut silent = fixture.raw();
    silent.send(&Request::Stylize(spec("invert", 1, 3, 2)), &[]);
    silent.send(&Request::Rows(1), &[0; 3]);
    fixture.until(Event::Pushed(1));
    let mut deaf = fixture.raw();
    deaf.send(&Request::Stylize(spec("invert", 2, WIDE_PX, 64)), &[]);
    for _ in 0..5 {
        deaf.send(&Request::Rows(1), &vec![0; WIDE_PX as usize]);
    }
    redraw(fixture.client(), &spec("invert", 3, WIDE_PX, 9)).expect("the daemon works");
    drop((silent, deaf));
    fixture.end();
}

#[test]
fn a_client_that_cancels() {
    let fixture = Fixture::start(NO_STALL);
    fixture.remote.gate.send(()).expect("the engine lives");
    // One band comes back, and with it the news at which the client has had enough.
    let cancelled = fixture.client().stylize(
        &spec("gated", 1, WIDE_PX, 64),
        |_, _, _| Ok(()),
        |_, _, _| Ok(()),
        |progress| if progress.rows_done == 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) },
    );
    assert!(matches!(cancelled, Err(ClientError::Cancelled)));
    open_gate(&fixture);
    fixture.until(Event::Dropped(1));
    fixture.end();
}

#[test]
fn a_client_that_vanishes() {
    let fixture = Fixture::start(NO_STALL);
    let mut raw = fixture.raw();
    raw.send(&Request::Stylize(spec("gated", 1, 3, 2)), &[]);
    raw.send(&Request::Rows(1), &[0; 3]);
    fixture.until(Event::Pushed(1));
    drop(raw);
    open_gate(&fixture);
    fixture.until(Event::Dropped(1));
    fixture.end();
}

/// Lets more bands pass than any picture here has.
fn open_gate(fixture: &Fixture) {
    for _ in 0..64 {
        fixture.remote.gate.send(()).expect("the engine lives");
    }
}

#[test]
fn clients_that_leave_the_queue() {
    let fixture = Fixture::start(NO_STALL);
    let mut first = fixture.raw();
    first.send(&Request::Stylize(spec("gated", 1, 3, 2)), &[]);
    first.send(&Request::Rows(1), &[0; 3]);
    fixture.until(Event::Pushed(1));
    // All wait behind the first: one has sent nothing, one a row, and one more than the daemon takes, so that it
    // isn't being read when it leaves.
    for rows in [0, 1, 3] {
        let mut raw = fixture.raw();
        raw.send(&Request::Stylize(spec("gated", 2, WIDE_PX, 64)), &[]);
        for _ in 0..rows {
            raw.send(&Request::Rows(1), &vec![0; WIDE_PX as usize]);
        }
        if rows == 3 {
            raw.0.write_all(&[0; 1000]).expect("the socket takes it");
        }
        // The daemon has sent a sign of life: it is in the middle of it.
        assert!(matches!(raw.receive(), Ok((Reply::Progress(_), _))));
    }
    open_gate(&fixture);
    first.send(&Request::Rows(1), &[0; 3]);
    while !matches!(first.receive().expect("the daemon answers").0, Reply::Stylized(_)) {}
    fixture.end();
}

#[test]
fn a_full_queue() {
    let fixture = Fixture::start(NO_STALL);
    let mut client = fixture.client();
    let most = Limits::default().queued as u32;
    let waiting: Vec<_> = (0..most)
        .map(|_| {
            let mut raw = fixture.raw();
            raw.send(&Request::Stylize(spec("invert", 1, 3, 1)), &[]);
            raw
        })
        .collect();
    eventually(|| client.status().expect("the daemon answers").queued == most);
    match redraw(client, &spec("invert", 1, 3, 1)) {
        Err(ClientError::Fault(fault)) => assert_eq!(fault.kind, FaultKind::Busy),
        other => panic!("{other:?}"),
    }
    drop(waiting);
    fixture.end();
}

/// Eight pictures of which a row comes now and then, and never a whole band: they hold all places.
#[test]
fn trickling_clients_starve_nobody() {
    let fixture = Fixture::start(NO_STALL);
    let trickle = |seed| {
        let mut raw = fixture.raw();
        raw.send(&Request::Stylize(spec("invert", seed, 3, 1000)), &[]);
        raw.send(&Request::Rows(1), &[0; 3]);
        fixture.until(Event::Pushed(seed));
        raw
    };
    let mut tricklers: Vec<_> = (1..=Limits::default().started as u64).map(trickle).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                // One of them is given up meanwhile.
                tricklers.iter_mut().for_each(|raw| drop(raw.send_frame(&Request::Rows(1), &[0; 3])));
                thread::sleep(Duration::from_millis(50));
            }
        });
        let drawn = redraw(fixture.client(), &spec("invert", 9, 3, 2));
        is_over.store(true, Ordering::Relaxed);
        drawn.expect("somebody made room");
    });
    let given_up = tricklers.iter_mut().map(|raw| {
        raw.0.set_timeouts(Some(Duration::from_millis(1)), None).expect("a connection");
        loop {
            match raw.receive() {
                Ok((Reply::Fault(fault), _)) => {
                    assert!(
                        fault.kind == FaultKind::Busy && fault.message.contains("others wait"),
                        "{fault}"
                    );
                    return true;
                }
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    });
    assert_eq!(given_up.filter(|is_given_up| *is_given_up).count(), 1, "one place is enough");
    drop(tricklers);
    fixture.end();
}

/// Reads on until the daemon answers a question; why it doesn't, if so.
fn ask(raw: &mut Raw) -> Result<(), FaultKind> {
    // Whoever is turned away finds the connection closed, and the reason in it.
    let _ = raw.send_frame(&Request::Status, &[]);
    match raw.receive().expect("the daemon answers").0 {
        Reply::Status(_) => Ok(()),
        Reply::Fault(fault) => Err(fault.kind),
        other => panic!("{other:?}"),
    }
}

#[test]
fn idle_clients_make_way_those_first_that_have_been_so_for_longest() {
    let fixture = Fixture::start(NO_STALL);
    // One hasn't even greeted; it came first.
    let mut silent = fixture.stranger();
    let mut idle: Vec<_> = (1..MAX_CONNECTIONS).map(|_| fixture.raw()).collect();
    idle.iter_mut().for_each(|raw| ask(raw).expect("there is a place"));
    let mut client = fixture.client();
    client.status().expect("there is a place");
    assert_eq!(silent.last_words().map(|fault| fault.kind), Some(FaultKind::Busy));
    // The first one has asked again, so that it isn't the next to go.
    ask(&mut idle[0]).expect("it has kept its place");
    let mut another = fixture.client();
    another.status().expect("there is a place");
    assert_eq!(ask(&mut idle[1]), Err(FaultKind::Busy));
    ask(&mut idle[0]).and_then(|()| ask(&mut idle[2])).expect("they have kept their places");
    // Who is at work stays, however many come.
    let mut working = fixture.raw();
    working.send(&Request::Stylize(spec("gated", 1, 3, 1)), &[]);
    working.send(&Request::Rows(1), &[0; 3]);
    fixture.until(Event::Pushed(1));
    for _ in 0..2 * MAX_CONNECTIONS {
        fixture.client();
    }
    fixture.remote.gate.send(()).expect("the engine lives");
    while !matches!(working.receive().expect("it has its place").0, Reply::Stylized(_)) {}
    drop((idle, client, another, working));
    fixture.end();
}

#[test]
fn a_crowd_at_work() {
    let fixture = Fixture::start(NO_STALL);
    let id = fixture.train("gated", 1);
    // The fixture's own first connection may not be wholly gone yet.
    let mut crowd = Vec::new();
    let refused = loop {
        let mut raw = fixture.stranger();
        let _ =
            raw.send_frame(&Hello::ours(), &[]).and_then(|()| raw.send_frame(&Request::WatchJob(id), &[]));
        match raw.receive().expect("the daemon answers").0 {
            Reply::Job(_) => crowd.push(raw),
            Reply::Fault(fault) => break fault,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused.kind, FaultKind::Busy);
    assert!((MAX_CONNECTIONS - 1..=MAX_CONNECTIONS).contains(&crowd.len()), "{}", crowd.len());
    let mut late = fixture.client();
    assert!(matches!(late.status(), Err(ClientError::Fault(fault)) if fault.kind == FaultKind::Busy));
    drop(crowd);
    eventually(|| fixture.client().status().is_ok());
    (0..9).for_each(|_| fixture.training.gate.send(()).expect("it trains"));
    fixture.end();
}

#[test]
fn a_crowd_that_leaves_at_once() {
    let fixture = Fixture::start(NO_STALL);
    let socket = &fixture.socket;
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    drop(endpoint::connect(socket));
                }
            });
        }
    });
    eventually(|| fixture.client().status().is_ok());
    fixture.end();
}

//! Starting, stopping, and the end of a daemon that lost its engine.

use std::thread;

use utsushi_ipc::{
    client::{self, ClientError},
    endpoint::Listener,
    protocol::{FaultKind, Reply, Request},
};

use super::{super::ServerError, Fixture, NO_STALL, WIDE_PX, jobs_in, redraw, socket_in};
use crate::{
    server::{Config, Stop, run},
    worker::fake::{Event, FakeEngine, spec},
};

#[test]
fn stopped_while_idle() {
    for is_asked in [true, false] {
        let fixture = Fixture::start(NO_STALL);
        let idle = fixture.client();
        if is_asked {
            client::stop(&fixture.socket).expect("the daemon answers");
        } else {
            fixture.stop.request();
        }
        fixture.check_ended();
        drop(idle);
    }
}

#[test]
fn stopped_before_it_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = Listener::bind(&socket_in(&folder)).expect("a free path");
    let (engine, _remote) = FakeEngine::new();
    let stop = Stop::default();
    stop.request();
    let config = Config {
        budget: crate::memory::Budget::of_the_system(),
        idle_unload: None,
        stall_timeout: NO_STALL,
        side_door: None,
    };
    let (jobs, _training) = jobs_in(&folder);
    run(listener, config, engine, jobs, Vec::new, stop).expect("the daemon ends well");
}

#[test]
fn stopping_finishes_the_picture_at_hand() {
    let fixture = Fixture::start(NO_STALL);
    let (worked_on, mut asking) = (fixture.client(), fixture.client());
    let mut waiting = fixture.raw();
    thread::scope(|scope| {
        let drawing = scope.spawn(|| redraw(worked_on, &spec("gated", 1, WIDE_PX, 12)).map(drop));
        fixture.until(Event::Pushed(1));
        asking.shutdown().expect("the daemon answers");
        waiting.send(&Request::Stylize(spec("invert", 2, 1, 1)), &[]);
        // A sign of life: the daemon knows of this picture, too.
        assert!(matches!(waiting.receive(), Ok((Reply::Progress(_), _))));
        for _ in 0..3 {
            fixture.remote.gate.send(()).expect("the engine lives");
        }
        drawing.join().expect("no panic").expect("the picture is finished");
        assert_eq!(waiting.last_words().map(|fault| fault.kind), Some(FaultKind::Stopping));
    });
    fixture.check_ended();
}

#[test]
fn a_lost_engine_ends_the_daemon() {
    let fixture = Fixture::start(NO_STALL);
    let (mut client, _report) = redraw(fixture.client(), &spec("cursed", 1, 3, 2)).expect("it is drawn");
    match client.status() {
        Err(ClientError::Fault(fault)) => assert_eq!(fault.kind, FaultKind::Internal),
        // The daemon's end may come before the fault is written.
        Err(ClientError::Lost { .. }) => {}
        other => panic!("{other:?}"),
    }
    let ended = fixture.running.join().expect("no panic");
    assert!(matches!(ended, Err(ServerError::ThreadLost("worker"))), "{ended:?}");
    assert!(!fixture.socket.exists());
}

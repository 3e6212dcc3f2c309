//! The worker by itself, with a fake engine and without sockets.

use std::thread;

use utsushi_ipc::protocol::{Priority, StylizeSpec};

use super::{
    fake::{Event, FakeEngine, Remote, redrawn, spec},
    *,
};

/// Long enough for any machine; reached only where something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A worker on its thread; it ends with the last handle.
fn start(limits: Limits, idle_unload: Option<Duration>) -> (Handle, Remote) {
    let (engine, remote) = FakeEngine::new();
    let (handle, commands) = channel();
    thread::spawn(move || run(engine, commands, limits, idle_unload));
    (handle, remote)
}

/// Waits for this event and returns all up to it.
fn until(remote: &Remote, last: Event) -> Vec<Event> {
    let mut events = Vec::new();
    while events.last() != Some(&last) {
        events.push(remote.events.recv_timeout(PATIENCE).expect("the event comes"));
    }
    events
}

/// Everything that comes out: the rows, and the last word.
fn collect(output: &JobOutput) -> (Vec<u8>, Option<Output>) {
    let mut rows = Vec::new();
    loop {
        match output.take(PATIENCE) {
            Ok(Some(Output::Rows(more))) => rows.extend(more),
            Ok(Some(last)) => return (rows, Some(last)),
            Ok(None) => panic!("nothing came"),
            Err(Gone) => return (rows, None),
        }
    }
}

fn pixels(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 7) as u8).collect()
}

/// Sends a picture of 3 x 8 in bands of this many rows, and compares what comes out.
fn check(handle: &Handle, style: &str, band_rows: usize, expected: Result<(), FaultKind>) {
    let name = format!("{style} in bands of {band_rows}");
    let source = pixels(24);
    let (input, output) = handle.submit(spec(style, 5, 3, 8));
    let giver = {
        let source = source.clone();
        thread::spawn(move || {
            for band in source.chunks(band_rows * 3) {
                if input.give(band.to_vec()).is_err() {
                    break;
                }
            }
            input
        })
    };
    let (rows, last) = collect(&output);
    drop(giver.join().expect("the bands are given"));
    match (last, expected) {
        (Some(Output::Done(report)), Ok(())) => {
            assert_eq!(rows, redrawn(5, &source), "{name}");
            assert_eq!(report.brush_size, 1.0, "{name}");
        }
        (Some(Output::Fault(fault)), Err(kind)) => assert_eq!(fault.kind, kind, "{name}: {fault}"),
        (last, _) => panic!("{name}: {last:?}, and {expected:?} was expected"),
    }
}

#[test]
fn pictures_and_faults() {
    let (handle, _remote) = start(Limits::default(), None);
    for (style, band_rows, expected) in [
        ("invert", 8, Ok(())),
        ("invert", 1, Ok(())),
        ("invert", 3, Ok(())),
        ("late", 8, Ok(())),
        ("late", 1, Ok(())),
        ("looks-first", 8, Ok(())),
        ("looks-first", 3, Ok(())),
        ("unknown", 2, Err(FaultKind::UnknownStyle)),
        ("panic-open", 2, Err(FaultKind::Internal)),
        ("panic-push", 2, Err(FaultKind::Internal)),
        ("fault-push", 2, Err(FaultKind::OutOfMemory)),
        ("short", 2, Err(FaultKind::Internal)),
        ("long", 4, Err(FaultKind::Internal)),
        ("torn", 4, Err(FaultKind::Internal)),
        ("invert", 8, Ok(())),
    ] {
        check(&handle, style, band_rows, expected);
    }
    let load = handle.describe().wait().expect("the worker lives");
    assert_eq!((load.running, load.queued, load.finished), (0, 0, 8));
    assert_eq!(load.device, "a pencil");
}

#[test]
fn a_person_comes_between_two_bands_of_a_batch() {
    let (handle, remote) = start(Limits::default(), None);
    let batch = |seed| StylizeSpec { priority: Priority::Batch, ..spec("gated", seed, 1, 3) };
    let (first_in, first_out) = handle.submit(batch(1));
    let (second_in, second_out) = handle.submit(batch(2));
    first_in.give(vec![0]).expect("taken");
    until(&remote, Event::Pushed(1));
    // The first batch job stands in its first band. What is said now is known before its second.
    second_in.give(vec![0]).expect("taken");
    first_in.give(vec![0]).expect("taken");
    let (person_in, person_out) = handle.submit(spec("invert", 3, 1, 2));
    person_in.give(vec![0, 0]).expect("taken");
    drop(remote.gate);
    assert!(matches!(collect(&person_out).1, Some(Output::Done(_))));
    first_in.give(vec![0]).expect("taken");
    assert!(matches!(collect(&first_out).1, Some(Output::Done(_))));
    second_in.give(vec![0, 0]).expect("taken");
    assert!(matches!(collect(&second_out).1, Some(Output::Done(_))));

    let mut events: Vec<_> = remote.events.try_iter().collect();
    events.retain(|event| matches!(event, Event::Pushed(_)));
    assert_eq!(events[..2], [Event::Pushed(3), Event::Pushed(1)]);
}

#[test]
fn a_client_that_takes_nothing_holds_up_nobody() {
    let (handle, remote) = start(Limits::default(), None);
    let (stalled_in, stalled_out) = handle.submit(spec("invert", 1, 1, 9));
    let giver = thread::spawn(move || while stalled_in.give(vec![0]).is_ok() {});
    // Two results wait at the exit, which is as many as there may be; another job goes on.
    until(&remote, Event::Pushed(1));
    until(&remote, Event::Pushed(1));
    check(&handle, "invert", 2, Ok(()));
    assert_eq!(remote.events.try_iter().filter(|event| *event == Event::Pushed(1)).count(), 0);
    drop(stalled_out);
    giver.join().expect("the entrance closes with the exit");
    until(&remote, Event::Dropped(1));
}

#[test]
fn dropping_an_end_cancels() {
    let limits = Limits { queued: 1, ..Limits::default() };
    for is_entrance in [true, false] {
        for is_started in [true, false] {
            let name = format!("entrance {is_entrance}, started {is_started}");
            let (handle, remote) = start(limits, None);
            let (input, output) = handle.submit(spec("invert", 1, 1, 3));
            if is_started {
                input.give(vec![0]).expect("taken");
                until(&remote, Event::Pushed(1));
            }
            if is_entrance {
                drop(input);
                assert_eq!(collect(&output).1, None, "{name}");
            } else {
                drop(output);
                while input.give(vec![0]).is_ok() {}
            }
            let load = handle.describe().wait().expect("the worker lives");
            assert_eq!((load.running, load.queued, load.finished), (0, 0, 0), "{name}");
        }
    }
}

#[test]
fn what_goes_on_without_rows_lets_people_in_between_and_can_be_cancelled() {
    let (handle, remote) = start(Limits::default(), None);
    let (batch_in, batch_out) =
        handle.submit(StylizeSpec { priority: Priority::Batch, ..spec("looks-first", 1, 1, 9) });
    batch_in.give(vec![0; 9]).expect("taken");
    // It has drawn two rows, for which there is room, and has more to draw.
    for _ in 0..3 {
        until(&remote, Event::Pushed(1));
    }
    check(&handle, "invert", 8, Ok(()));
    assert!(matches!(batch_out.take(PATIENCE), Ok(Some(Output::Rows(rows))) if rows == redrawn(1, &[0])));
    until(&remote, Event::Pushed(1));
    drop(batch_out);
    until(&remote, Event::Dropped(1));
    drop(batch_in);
}

#[test]
fn who_has_no_memory_waits_until_the_client_of_another_has_all() {
    let (handle, remote) = start(Limits::default(), None);
    let (first_in, first_out) = handle.submit(spec("large", 1, 1, 1));
    first_in.give(vec![0]).expect("taken");
    until(&remote, Event::Dropped(1));
    let (second_in, second_out) = handle.submit(spec("large", 2, 1, 1));
    second_in.give(vec![0]).expect("taken");
    // Its turn came, and another's, for which there is room.
    check(&handle, "invert", 8, Ok(()));
    let load = handle.describe().wait().expect("the worker lives");
    assert_eq!((load.running, load.queued), (0, 1));
    assert_eq!(remote.events.try_iter().filter(|event| *event == Event::Pushed(2)).count(), 0);
    // The first is drawn, and its rows are still here.
    assert!(matches!(collect(&first_out).1, Some(Output::Done(_))));
    drop((first_in, first_out));
    assert!(matches!(collect(&second_out).1, Some(Output::Done(_))));
    drop((second_in, second_out));
}

#[test]
fn a_full_queue_turns_away() {
    let (handle, _remote) = start(Limits { queued: 1, ..Limits::default() }, None);
    let waiting = handle.submit(spec("invert", 1, 1, 1));
    let (_input, refused) = handle.submit(spec("invert", 2, 1, 1));
    assert!(matches!(collect(&refused).1, Some(Output::Fault(fault)) if fault.kind == FaultKind::Busy));
    drop(waiting);
    check(&handle, "invert", 2, Ok(()));
}

#[test]
fn stopping_finishes_what_is_started_and_nothing_else() {
    let (handle, remote) = start(Limits::default(), None);
    let (started_in, started_out) = handle.submit(spec("invert", 1, 1, 2));
    started_in.give(vec![0]).expect("taken");
    until(&remote, Event::Pushed(1));
    let (_waiting_in, waiting) = handle.submit(spec("invert", 2, 1, 1));
    handle.stop();
    let (_late_in, late) = handle.submit(spec("invert", 3, 1, 1));
    for refused in [waiting, late] {
        assert!(
            matches!(collect(&refused).1, Some(Output::Fault(fault)) if fault.kind == FaultKind::Stopping)
        );
    }
    started_in.give(vec![0]).expect("taken");
    assert!(matches!(collect(&started_out).1, Some(Output::Done(_))));
}

#[test]
fn unloads_when_asked_and_when_idle() {
    let (handle, remote) = start(Limits::default(), None);
    check(&handle, "invert", 2, Ok(()));
    assert_eq!(handle.describe().wait().expect("the worker lives").loaded, ["invert"]);
    handle.unload().wait().expect("the worker lives");
    assert!(handle.describe().wait().expect("the worker lives").loaded.is_empty());
    until(&remote, Event::Unloaded);

    // However often it is asked meanwhile.
    let (handle, _remote) = start(Limits::default(), Some(Duration::from_millis(1)));
    check(&handle, "invert", 2, Ok(()));
    let asked_from = Instant::now();
    while !handle.describe().wait().expect("the worker lives").loaded.is_empty() {
        assert!(asked_from.elapsed() < PATIENCE, "it is still loaded");
        thread::sleep(Duration::from_millis(5));
    }

    let (handle, remote) = start(Limits::default(), Some(Duration::from_millis(1)));
    check(&handle, "invert", 2, Ok(()));
    until(&remote, Event::Unloaded);
    // Only once: what is unloaded already stays so.
    handle.describe().wait().expect("the worker lives");
    assert_eq!(remote.events.try_iter().next(), None);
}

#[test]
fn training_has_its_turn_when_there_is_no_picture() {
    let (handle, remote) = start(Limits::default(), None);
    let turn = handle.turn().clone();
    let soon = Duration::from_millis(1);
    assert!(turn.wait(PATIENCE));
    let (input, output) = handle.submit(spec("gated", 1, 3, 8));
    input.give(pixels(12)).expect("it takes rows");
    until(&remote, Event::Pushed(1));
    assert!(!turn.wait(soon), "a picture is being drawn");
    remote.gate.send(()).expect("it waits");
    assert_eq!(output.take(PATIENCE), Ok(Some(Output::Rows(redrawn(1, &pixels(12))))));
    assert!(!turn.wait(soon), "half of it is still to come");
    drop((input, output));
    assert!(turn.wait(PATIENCE), "it was cancelled");
}

/// Whatever a client is behind is too much.
const NO_GRACE: Limits = Limits { queued: 32, started: 3, started_batch: 2, grace: Duration::ZERO };

/// A started picture whose next rows don't come.
fn trickle(handle: &Handle, remote: &Remote, seed: u64, priority: Priority) -> (JobInput, JobOutput) {
    let (input, output) = handle.submit(StylizeSpec { priority, ..spec("invert", seed, 1, 9) });
    input.give(vec![0]).expect("taken");
    until(remote, Event::Pushed(seed));
    assert!(matches!(output.take(PATIENCE), Ok(Some(Output::Rows(_)))));
    (input, output)
}

#[test]
fn who_trickles_makes_room_for_who_waits() {
    use Priority::{Batch, Interactive};
    /// Pictures that hold all places, one that waits for one, and whose place it gets.
    fn check(holding: &[Priority], waiting: Priority, expected: &[u64]) {
        let (handle, remote) = start(NO_GRACE, None);
        let holders: Vec<_> =
            (1..).zip(holding).map(|(seed, p)| trickle(&handle, &remote, seed, *p)).collect();
        let (input, output) = handle.submit(StylizeSpec { priority: waiting, ..spec("invert", 9, 1, 2) });
        input.give(vec![0, 0]).expect("taken");
        assert!(matches!(collect(&output).1, Some(Output::Done(_))), "{holding:?} {waiting:?}");
        let mut given_up = Vec::new();
        for (seed, (_input, output)) in (1..).zip(&holders) {
            match output.take(Duration::ZERO) {
                Ok(None) => {}
                Ok(Some(Output::Fault(fault))) if fault.kind == FaultKind::Busy => given_up.push(seed),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(given_up, expected, "{holding:?} {waiting:?}");
    }
    check(&[Interactive, Interactive, Interactive], Interactive, &[1]);
    check(&[Interactive, Interactive, Interactive], Batch, &[1]);
    check(&[Interactive, Batch, Batch], Interactive, &[2]);
    check(&[Interactive, Batch, Batch], Batch, &[2]);
    // There is a place for a person, but none for a batch.
    check(&[Batch, Batch], Interactive, &[]);
    check(&[Batch, Batch], Batch, &[1]);
    check(&[Interactive, Interactive], Batch, &[]);
}

#[test]
fn who_is_worked_on_keeps_its_place_and_who_waits_knows() {
    let limits = Limits { started: 2, started_batch: 1, ..NO_GRACE };
    let (handle, remote) = start(limits, None);
    // Both have rows to be worked on, for as long as the gate is closed.
    let mut begun: Vec<_> = [1, 2].map(|seed| handle.submit(spec("gated", seed, 1, 2))).into();
    for (input, _) in &begun {
        input.give(vec![0, 0]).expect("taken");
    }
    until(&remote, Event::Pushed(1));
    let person = handle.submit(spec("invert", 3, 1, 1));
    let batch = handle.submit(StylizeSpec { priority: Priority::Batch, ..spec("invert", 4, 1, 1) });
    let later = handle.submit(spec("invert", 5, 1, 1));
    // The first is finished, and the second begun: by then it is known who waits.
    remote.gate.send(()).expect("it waits");
    until(&remote, Event::Pushed(2));
    assert_eq!((begun[0].1.behind(), begun[1].1.behind()), (None, None));
    let behind = [&person, &later, &batch].map(|(_, output)| output.behind());
    assert_eq!(behind, [Some(1), Some(2), Some(3)], "people first");
    drop(remote.gate);
    for (_, output) in begun.drain(..) {
        assert!(matches!(collect(&output).1, Some(Output::Done(_))), "nobody is given up");
    }
}

#[test]
fn a_full_queue_of_silent_clients_makes_room() {
    let (handle, _remote) = start(Limits { queued: 2, ..NO_GRACE }, None);
    let silent = [1, 2].map(|seed| handle.submit(spec("invert", seed, 1, 1)));
    check(&handle, "invert", 2, Ok(()));
    assert!(matches!(collect(&silent[0].1).1, Some(Output::Fault(fault)) if fault.kind == FaultKind::Busy));
    assert_eq!(silent[1].1.take(Duration::ZERO), Ok(None));
}

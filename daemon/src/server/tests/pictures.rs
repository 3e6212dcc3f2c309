//! Pictures that succeed, and those that the engine fails on.

use std::{ops::ControlFlow, sync::mpsc, thread};

use utsushi_ipc::{
    client::ClientError,
    protocol::{
        EnlargeScale, EnlargeSpec, FaultKind, PictureKind, Priority, Reply, Request, StyleInfo, StylizeSpec,
    },
    wire,
};

use super::{Fixture, NO_STALL, PATIENCE, WIDE_PX, redraw, source_of};
use crate::worker::fake::{Event, repeated, spec};

#[test]
fn sizes_and_bands() {
    let fixture = Fixture::start(NO_STALL);
    let mut client = fixture.client();
    for style in ["invert", "late"] {
        for (width, height) in [(1, 1), (1, 300), (300, 1), (31, 17), (1021, 1300), (WIDE_PX, 9)] {
            let drawn = redraw(client, &spec(style, 3, width, height));
            let (again, report) = drawn.unwrap_or_else(|error| panic!("{style} {width} x {height}: {error}"));
            client = again;
            assert!(report.brush_size >= 1.0 && report.engine_ms >= 0.0 && report.queued_ms >= 0.0);
        }
    }
    let status = client.status().expect("the daemon answers");
    assert_eq!((status.finished, status.device.as_str()), (12, "a pencil"));
    assert_eq!(status.loaded, ["invert", "late"]);
    assert!(status.resident_bytes > 0 && status.pid == std::process::id());
    client.unload().expect("the daemon answers");
    assert!(client.status().expect("the daemon answers").loaded.is_empty());
    assert_eq!(client.styles().expect("the daemon answers"), [super::style()]);
    fixture.end();
}

#[test]
fn as_many_styles_as_there_are() {
    let long = StyleInfo { attribution: "x".repeat(4000), ..super::style() };
    let styles = vec![long; 64];
    let fixture = Fixture::with_styles(NO_STALL, styles.clone());
    let mut client = fixture.client();
    assert!(client.styles().expect("the daemon answers") == styles);
    client.status().expect("nothing is left over");
    fixture.end();
}

#[test]
fn what_the_engine_makes_at_once_leaves_in_bands() {
    let fixture = Fixture::start(NO_STALL);
    let spec = spec("late", 1, WIDE_PX, 9);
    let (source, band_rows) = (source_of(&spec), wire::band_rows(&spec.raster));
    let mut raw = fixture.raw();
    raw.send(&Request::Stylize(spec.clone()), &[]);
    raw.send(&Request::Rows(9), &source);
    let mut frames = Vec::new();
    loop {
        match raw.receive().expect("the daemon answers") {
            (Reply::Rows(rows), body) => {
                assert_eq!(body.len(), rows as usize * spec.raster.row_bytes());
                frames.push(rows);
            }
            (Reply::Stylized(_), _) => break,
            (Reply::Progress(progress), _) => {
                assert_eq!((progress.rows_done, progress.rows), (frames.iter().sum(), 9));
            }
            (other, _) => panic!("{other:?}"),
        }
    }
    assert_eq!(frames, [band_rows, band_rows, 1]);
    fixture.end();
}

#[test]
fn enlarged_pictures_come_back_in_their_size() {
    let fixture = Fixture::start(NO_STALL);
    let mut client = fixture.client();
    for (width, height, scale) in
        [(1, 1, EnlargeScale::Four), (7, 5, EnlargeScale::Two), (20_000, 60, EnlargeScale::Four)]
    {
        let raster = spec("", 0, width, height).raster;
        let spec =
            EnlargeSpec::new(raster, scale, PictureKind::Drawing, Priority::Batch).expect("small enough");
        let source: Vec<u8> = (0..raster.total_bytes()).map(|index| (index * 31) as u8).collect();
        let (mut result, mut rows, row_bytes) = (Vec::new(), Vec::new(), raster.row_bytes());
        let (again, report) = client
            .draw(
                &spec.clone().into(),
                |first, _, pixels| {
                    pixels.copy_from_slice(&source[first as usize * row_bytes..][..pixels.len()]);
                    Ok(())
                },
                |_, _, pixels| {
                    result.extend_from_slice(pixels);
                    Ok(())
                },
                |progress| {
                    rows.push((progress.rows_done, progress.rows));
                    ControlFlow::Continue(())
                },
            )
            .expect("enlarged");
        client = again;
        assert_eq!(report.brush_size, 1.0);
        // Not by assert_eq, which would print megabytes.
        assert!(result == repeated(&source, row_bytes, scale.times() as usize), "{spec:?}");
        let height = spec.enlarged().height();
        assert!(rows.is_sorted() && rows.iter().all(|(_, rows)| *rows == height), "{rows:?}");
        assert_eq!(rows.last(), Some(&(height, height)));
    }
    fixture.end();
}

#[test]
fn eight_clients_at_once_get_each_their_own() {
    let fixture = Fixture::start(NO_STALL);
    thread::scope(|scope| {
        for number in 0..8_u32 {
            let mut client = fixture.client();
            scope.spawn(move || {
                for round in 0..3_u32 {
                    let seed = u64::from(number * 3 + round);
                    let priority = if number % 2 == 0 { Priority::Batch } else { Priority::Interactive };
                    let spec = StylizeSpec { priority, ..spec("invert", seed, 1000 + number, 2500) };
                    client = redraw(client, &spec).unwrap_or_else(|error| panic!("{number}: {error}")).0;
                }
            });
        }
    });
    fixture.end();
}

#[test]
fn a_person_overtakes_a_batch() {
    let fixture = Fixture::start(NO_STALL);
    const BANDS: u32 = 32;
    let batch = StylizeSpec { priority: Priority::Batch, ..spec("gated", 1, WIDE_PX, 4 * BANDS) };
    thread::scope(|scope| {
        let client = fixture.client();
        let drawing = scope.spawn(|| redraw(client, &batch));
        fixture.until(Event::Pushed(1));
        // The batch stands in its first band. The news that comes nevertheless tells that a person's picture was
        // submitted; from then on the batch is let go on, a band at a time.
        let mut person = fixture.raw();
        person.send(&Request::Stylize(spec("invert", 2, 1, 1)), &[]);
        person.send(&Request::Rows(1), &[0]);
        assert!(matches!(person.receive(), Ok((Reply::Progress(_), _))));
        let mut bands_before = 1;
        loop {
            fixture.remote.gate.send(()).expect("the engine lives");
            match fixture.remote.events.recv_timeout(PATIENCE).expect("the next event") {
                Event::Opened(2) => break,
                Event::Pushed(1) => bands_before += 1,
                other => panic!("{other:?} after {bands_before} bands"),
            }
        }
        assert!(bands_before < BANDS, "the person came after the batch");
        for _ in 0..BANDS {
            fixture.remote.gate.send(()).expect("the engine lives");
        }
        drawing.join().expect("no panic").expect("the batch is finished, too");
    });
    fixture.end();
}

/// Sends a picture of several bands in this style, which fails.
fn check_failure(fixture: &Fixture, style: &str, kind: FaultKind) {
    match redraw(fixture.client(), &spec(style, 1, WIDE_PX, 33)) {
        Err(ClientError::Fault(fault)) => assert_eq!(fault.kind, kind, "{style}: {fault}"),
        Err(error) => panic!("{style}: {error}"),
        Ok(_) => panic!("{style} succeeded"),
    }
    fixture.check_well();
}

#[test]
fn faults_of_the_engine() {
    let fixture = Fixture::start(NO_STALL);
    for (style, kind) in [
        ("unknown", FaultKind::UnknownStyle),
        ("panic-open", FaultKind::Internal),
        ("panic-push", FaultKind::Internal),
        ("fault-push", FaultKind::OutOfMemory),
        ("short", FaultKind::Internal),
        ("long", FaultKind::Internal),
        ("torn", FaultKind::Internal),
    ] {
        check_failure(&fixture, style, kind);
    }
    fixture.end();
}

#[test]
fn a_fault_leaves_others_alone() {
    let fixture = Fixture::start(NO_STALL);
    let spec_of_other = spec("gated", 1, WIDE_PX, 12);
    thread::scope(|scope| {
        let (sender, drawn) = mpsc::channel();
        let other = fixture.client();
        scope.spawn(move || sender.send(redraw(other, &spec_of_other).map(|(_, report)| report)));
        fixture.until(Event::Pushed(1));
        // A band each while the faulty one comes, panics, and takes what was loaded along.
        let client = fixture.client();
        let faulty = scope.spawn(|| redraw(client, &spec("panic-push", 2, WIDE_PX, 12)));
        for _ in 0..3 {
            fixture.remote.gate.send(()).expect("the engine lives");
        }
        assert!(matches!(faulty.join().expect("no panic"), Err(ClientError::Fault(_))));
        drawn.recv_timeout(PATIENCE).expect("an end").expect("the other picture is finished");
    });
    fixture.end();
}

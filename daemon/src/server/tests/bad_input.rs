//! Peers that send what they shouldn't.

use std::io::Write;

use utsushi_ipc::{
    protocol::{
        BrushSize, EnlargeScale, EnlargeSpec, FaultKind, Hello, PROTOCOL_VERSION, PictureKind, Reply,
        Request, StylizeSpec,
    },
    wire,
};

use super::{Fixture, NO_STALL, Raw};
use crate::worker::fake::{Event, spec};

/// The bytes of a frame, to be tampered with.
fn frame(head: &impl serde::Serialize, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::write_frame(&mut bytes, head, body).expect("memory takes it");
    bytes
}

/// Sends these bytes, and compares what the daemon says before it closes.
fn check(fixture: &Fixture, name: &str, mut raw: Raw, bytes: &[u8], expected: Option<FaultKind>) {
    // The daemon may have closed before it took all of them.
    let _ = raw.0.write_all(bytes);
    let fault = raw.last_words();
    assert_eq!(fault.as_ref().map(|fault| fault.kind), expected, "{name}: {fault:?}");
    assert!(fault.is_none_or(|fault| fault.message.len() > 20), "{name}: the message says something");
    fixture.check_well();
}

#[test]
fn greetings() {
    let fixture = Fixture::start(NO_STALL);
    let ours = Hello::ours();
    let malformed = Some(FaultKind::Malformed);
    let newer = Hello { protocol: PROTOCOL_VERSION + 1, ..ours.clone() };
    let older = Hello { application: "0.0.9".into(), ..ours.clone() };
    for (name, bytes, expected) in [
        ("another protocol's", b"GET / HTTP/1.1\r\n\r\n".to_vec(), malformed),
        ("nothing but zeros", vec![0; 64], malformed),
        ("an oversized head", vec![0xff; 64], malformed),
        ("a greeting with pixels", frame(&ours, &[1, 2, 3]), malformed),
        (
            "an oversized body",
            [&frame(&ours, &[])[..frame(&ours, &[]).len() - 4], &[0xff; 4]].concat(),
            malformed,
        ),
        ("a newer protocol", frame(&newer, &[]), None),
        ("an older application", frame(&older, &[]), None),
    ] {
        check(&fixture, name, fixture.stranger(), &bytes, expected);
    }
    fixture.end();
}

#[test]
fn requests() {
    let fixture = Fixture::start(NO_STALL);
    let picture = spec("invert", 1, 3, 8);
    let stylize = frame(&Request::Stylize(picture.clone()), &[]);
    let with = |head: Request, body: &[u8]| [stylize.clone(), frame(&head, body)].concat();
    let changed = |change: fn(&mut StylizeSpec)| {
        let mut spec = picture.clone();
        change(&mut spec);
        frame(&Request::Stylize(spec), &[])
    };
    let (scale, kind) = (EnlargeScale::Four, PictureKind::Photo);
    let enlarge = EnlargeSpec::new(picture.raster, scale, kind, picture.priority).expect("small enough");
    let enlarge = Request::Enlarge(enlarge);
    // After the head's length and the variant comes the width.
    let empty_picture = [&stylize[..5], &[0], &stylize[6..]].concat();
    assert_eq!(stylize[5], 3);
    let status = frame(&Request::Status, &[]);
    let long_head = [&2_u32.to_le_bytes(), &status[4..5], &[0], &status[5..]].concat();

    let (malformed, invalid) = (Some(FaultKind::Malformed), Some(FaultKind::Invalid));
    let unknown = Some(FaultKind::UnknownStyle);
    for (name, bytes, expected) in [
        ("an oversized head", vec![0xff; 64], malformed),
        ("no such request", [1_u32.to_le_bytes().as_slice(), &[200], &[0; 4]].concat(), malformed),
        ("bytes left over in the head", long_head, malformed),
        ("pixels with a question", frame(&Request::Status, &[0; 10]), malformed),
        ("rows without a picture", frame(&Request::Rows(1), &[0; 3]), malformed),
        ("a picture without pixels", empty_picture, malformed),
        ("pixels with the announcement", frame(&Request::Stylize(picture.clone()), &[0; 24]), invalid),
        ("pixels with the announcement of a larger one", frame(&enlarge, &[0; 24]), invalid),
        ("no rows", with(Request::Rows(0), &[]), malformed),
        ("more rows than the picture has", with(Request::Rows(9), &[0; 27]), malformed),
        ("very many rows", with(Request::Rows(u32::MAX), &[]), malformed),
        ("rows with too few bytes", with(Request::Rows(2), &[0; 5]), malformed),
        ("rows with too many bytes", with(Request::Rows(2), &[0; 7]), malformed),
        ("a question instead of rows", with(Request::Status, &[]), malformed),
        ("a picture within a picture", with(Request::Stylize(picture.clone()), &[]), malformed),
        (
            "rows after the last",
            [with(Request::Rows(8), &[0; 24]), frame(&Request::Rows(1), &[0; 3])].concat(),
            malformed,
        ),
        ("a strength of 7", changed(|spec| spec.strength = 7.0), invalid),
        ("no style", changed(|spec| spec.mix.clear()), invalid),
        ("a style without an id", changed(|spec| spec.mix[0].id.clear()), unknown),
        ("a style's id that is none", changed(|spec| spec.mix[0].id = "../ink".into()), unknown),
        ("a long id of a style", changed(|spec| spec.mix[0].id = "\0".repeat(60 << 10)), unknown),
        ("a brush of nothing", changed(|spec| spec.brush_size = BrushSize::Factor(0.0)), invalid),
    ] {
        check(&fixture, name, fixture.raw(), &bytes, expected);
    }
    fixture.end();
}

#[test]
fn a_request_before_the_picture_is_finished() {
    let fixture = Fixture::start(NO_STALL);
    let mut raw = fixture.raw();
    raw.send(&Request::Stylize(spec("gated", 1, 3, 1)), &[]);
    raw.send(&Request::Rows(1), &[0; 3]);
    fixture.until(Event::Pushed(1));
    raw.send(&Request::Status, &[]);
    // A sign of life, by when the daemon has most likely read the question.
    assert!(matches!(raw.receive(), Ok((Reply::Progress(_), _))));
    fixture.remote.gate.send(()).expect("the engine lives");
    loop {
        match raw.receive().expect("the daemon answers").0 {
            Reply::Fault(fault) => break assert_eq!(fault.kind, FaultKind::Malformed),
            // Where it hasn't, the picture is finished, and the question in order.
            Reply::Status(_) => break,
            _ => {}
        }
    }
    drop(raw);
    fixture.end();
}

#[test]
fn frames_cut_off_anywhere() {
    let fixture = Fixture::start(NO_STALL);
    let whole = [
        frame(&Hello::ours(), &[]),
        frame(&Request::Stylize(spec("invert", 1, 3, 2)), &[]),
        frame(&Request::Rows(2), &[0; 6]),
    ]
    .concat();
    for length in 0..whole.len() {
        let mut raw = fixture.stranger();
        raw.0.write_all(&whole[..length]).expect("the daemon takes it");
    }
    fixture.end();
}

#[test]
fn a_good_client_after_a_fault_of_its_own() {
    let fixture = Fixture::start(NO_STALL);
    let mut raw = fixture.raw();
    for _ in 0..3 {
        raw.send(&Request::Stylize(spec("invert", 1, 3, 1)), &[]);
        raw.send(&Request::Rows(1), &[0; 3]);
        while !matches!(raw.receive().expect("the daemon answers").0, Reply::Stylized(_)) {}
    }
    raw.send(&Request::Stylize(spec("unknown", 1, 3, 1)), &[]);
    raw.send(&Request::Rows(1), &[0; 3]);
    assert_eq!(raw.last_words().map(|fault| fault.kind), Some(FaultKind::UnknownStyle));
    fixture.end();
}

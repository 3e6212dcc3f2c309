use std::io::Cursor;

use super::*;
use crate::{
    pixels::{Channels, Depth, PixelFormat},
    protocol::{
        BrushSize, Budget, Hello, JobId, JobInfo, JobState, Loss, MAX_ART_FOLDERS, MAX_PATH_BYTES,
        MAX_RECIPE_BYTES, MAX_TEXT_BYTES, PauseCause, Place, Priority, Profile, RecipeChoice, Reply, Request,
        StyleShare, StylizeSpec, TrainSpec,
    },
};

fn rgb(width: u32, height: u32) -> Raster {
    Raster::new(width, height, PixelFormat { channels: Channels::Rgb, depth: Depth::U8 })
        .expect("a possible size")
}

fn frame<H: Serialize>(head: &H, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, head, body).expect("a vector takes everything");
    bytes
}

/// A frame whose lengths are whatever they claim to be.
fn raw_frame(head_length: u32, head: &[u8], body_length: u32, body: &[u8]) -> Vec<u8> {
    [&head_length.to_le_bytes(), head, &body_length.to_le_bytes(), body].concat()
}

fn stylize() -> Request {
    Request::Stylize(StylizeSpec {
        raster: rgb(640, 480),
        mix: vec![StyleShare { id: "cel".into(), share: 1.0 }, StyleShare { id: "oil".into(), share: 0.25 }],
        strength: 0.5,
        brush_size: BrushSize::Factor(2.0),
        keep_colours: 1.0,
        seed: u64::MAX,
        grain: 0.5,
        place: Some(Place { x: 1, y: u32::MAX, width: 7, height: 9 }),
        priority: Priority::Batch,
        profile: Profile::default(),
    })
}

#[test]
fn frames_arrive_as_they_were_sent() {
    let bodies = [0, 1, 4096, GROWTH_BYTES - 1, GROWTH_BYTES, 3 * GROWTH_BYTES + 1, 17, 0];
    let body = |length: usize| (0..length).map(|i| (i % 251) as u8).collect::<Vec<_>>();
    let mut bytes = Vec::new();
    for (length, request) in
        bodies.into_iter().zip([stylize(), Request::Rows(5), Request::Styles].iter().cycle())
    {
        write_frame(&mut bytes, request, &body(length)).expect("a vector takes everything");
    }

    // One buffer for all of them: nothing of a longer body may stay.
    let mut reader = Cursor::new(bytes);
    let mut received = Vec::new();
    for (length, request) in
        bodies.into_iter().zip([stylize(), Request::Rows(5), Request::Styles].iter().cycle())
    {
        let found: Request = read_frame(&mut reader, &mut received).expect("a whole frame");
        assert_eq!(&found, request);
        assert!(received == body(length), "the body of {length} bytes differs");
    }
    assert!(matches!(read_frame::<Request>(&mut reader, &mut received), Err(WireError::Closed)));
}

/// The longest that is allowed.
fn train() -> TrainSpec {
    let (path, text) = (format!("/{}", "p".repeat(MAX_PATH_BYTES - 1)), "t".repeat(MAX_TEXT_BYTES));
    TrainSpec {
        style: "s".repeat(64),
        name: text.clone(),
        art: vec![path.clone().into(); MAX_ART_FOLDERS],
        photos: path.into(),
        budget: Budget::Steps(u32::MAX),
        like: Some("l".repeat(64)),
        recipe: RecipeChoice::Own("r".repeat(MAX_RECIPE_BYTES)),
        author: text.clone(),
        licence: text.clone(),
        attribution: text,
        threads: Some(u32::MAX),
        on_battery: true,
    }
}

fn job() -> JobInfo {
    JobInfo {
        id: JobId(u32::MAX),
        style: "hana".into(),
        name: "Hana".into(),
        state: JobState::Paused { cause: PauseCause::Disk, why: "the disk is full".into() },
        stage: "imitation".into(),
        step: 7,
        steps: 70_000,
        done: 0.5,
        losses: vec![Loss { name: "l1".into(), value: 0.25 }],
        seconds_left: Some(60),
        note: String::new(),
        folder: "/home/me/jobs/1-hana".into(),
        report: None,
    }
}

#[test]
fn jobs_arrive_as_they_were_sent() {
    let bytes = frame(&Request::Train(train()), &[]);
    assert!(bytes.len() > 8 * MAX_PATH_BYTES, "the longest of all messages");
    let found: Request = read_frame(&mut &bytes[..], &mut Vec::new()).expect("a whole frame");
    assert_eq!(found, Request::Train(train()));
    let bytes = frame(&Reply::Job(job()), &[]);
    let found: Reply = read_frame(&mut &bytes[..], &mut Vec::new()).expect("a whole frame");
    assert_eq!(found, Reply::Job(job()));
}

/// Takes a few bytes at a time, and is interrupted in between.
struct Reluctant {
    taken: Vec<u8>,
    calls: usize,
    appetite: usize,
}

impl Write for Reluctant {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls += 1;
        if self.appetite < 100 && self.calls.is_multiple_of(2) {
            return Err(ErrorKind::Interrupted.into());
        }
        let before = self.taken.len();
        for part in parts {
            let room = self.appetite - (self.taken.len() - before);
            self.taken.extend_from_slice(&part[..part.len().min(room)]);
        }
        Ok(self.taken.len() - before)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_frame_is_one_write_where_there_is_room() {
    fn check(appetite: usize, calls: Option<usize>) {
        let mut writer = Reluctant { taken: Vec::new(), calls: 0, appetite };
        let body = [7; 1000];
        write_frame(&mut writer, &Request::Rows(3), &body).expect("it takes everything in the end");
        assert_eq!(writer.taken, frame(&Request::Rows(3), &body), "{appetite} bytes at a time");
        assert!(
            calls.is_none_or(|calls| calls == writer.calls),
            "{appetite} bytes at a time: {} calls",
            writer.calls
        );
    }

    check(1 << 20, Some(1));
    check(500, Some(3));
    check(7, None);
    check(1, None);
}

#[test]
fn nothing_is_sent_beyond_the_caps() {
    let mut sent = Vec::new();
    let head = "x".repeat(MAX_HEAD_BYTES as usize);
    let error = write_frame(&mut sent, &head, &[]).expect_err("the head is too long");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error =
        write_frame(&mut sent, &0, &vec![0; MAX_BODY_BYTES as usize + 1]).expect_err("the body is too long");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(sent.is_empty());
}

#[test]
fn bad_frames_are_refused() {
    fn check(bytes: &[u8], expected: &str) {
        let mut body = Vec::new();
        let error = read_frame::<Request>(&mut &bytes[..], &mut body).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}, not {expected}");
        assert!(body.capacity() <= 2 * GROWTH_BYTES, "{expected}: {} bytes were allocated", body.capacity());
    }
    let closed = "closed the connection";
    let truncated = "in the middle of a message";
    let styles = frame(&Request::Styles, &[]);
    let rows = frame(&Request::Rows(2), &[1, 2, 3]);

    check(&[], closed);
    for end in 1..rows.len() {
        check(&rows[..end], truncated);
    }
    check(&raw_frame(MAX_HEAD_BYTES, &[0], 0, &[]), truncated);
    check(&raw_frame(MAX_HEAD_BYTES + 1, &[0], 0, &[]), "head claims 65537 bytes");
    check(&raw_frame(u32::MAX, &[0], 0, &[]), "head claims 4294967295 bytes");
    check(&raw_frame(1, &[0], MAX_BODY_BYTES, &[1, 2, 3]), truncated);
    check(&raw_frame(1, &[0], MAX_BODY_BYTES + 1, &[1, 2, 3]), "body claims 33554433 bytes");
    check(&raw_frame(1, &[0], u32::MAX, &[]), "body claims 4294967295 bytes");
    check(&raw_frame(0, &[], 0, &[]), "no message");
    check(&raw_frame(1, &[200], 0, &[]), "no message");
    check(&raw_frame(2, &[0, 0], 0, &[]), "1 bytes are left over");
    // A mix of 2^64 - 1 styles, and a picture without rows.
    check(&raw_frame(6, &[1, 5, 5, 2, 0, 253], 0, &[]), "no message");
    let endless_mix = [&[1, 5, 5, 2, 0, 253][..], &[255; 8]].concat();
    check(&raw_frame(14, &endless_mix, 0, &[]), "no message");
    check(&raw_frame(5, &[1, 5, 0, 2, 0], 0, &[]), "nothing to draw on");
    check(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "head claims 542393671 bytes");
    assert!(read_frame::<Request>(&mut &styles[..], &mut Vec::new()).is_ok());
}

/// Whatever the bytes, the answer is a message or an error.
#[test]
fn garbage_is_survived() {
    let mut body = Vec::new();
    let short = TrainSpec { art: vec!["/art".into()], recipe: RecipeChoice::Fast, ..train() };
    let short = TrainSpec { photos: "/photos".into(), name: "n".into(), author: "a".into(), ..short };
    let short = TrainSpec { licence: "l".into(), attribution: "c".into(), ..short };
    for whole in
        [frame(&stylize(), &[1, 2, 3, 4]), frame(&Request::Train(short), &[]), frame(&Reply::Job(job()), &[])]
    {
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[position] ^= 1 << bit;
                let _ = read_frame::<Request>(&mut &damaged[..], &mut body);
                let _ = read_frame::<Reply>(&mut &damaged[..], &mut body);
            }
        }
    }

    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for length in 0..2000 {
        let head: Vec<u8> = (0..length % 200)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        let bytes = raw_frame(head.len() as u32, &head, 0, &[]);
        let _ = read_frame::<Request>(&mut &bytes[..], &mut body);
        let _ = read_frame::<Reply>(&mut &bytes[..], &mut body);
    }
}

/// Versions recognise each other by this message, so its bytes may never change.
#[test]
fn the_greeting_keeps_its_encoding() {
    let hello = Hello { protocol: 1, application: "0.1.0".into(), pid: 70_000 };
    let expected = b"\x0c\0\0\0\x01\x050.1.0\xfc\x70\x11\x01\0\0\0\0\0";
    assert_eq!(frame(&hello, &[]), expected);
    assert_eq!(read_frame::<Hello>(&mut &expected[..], &mut Vec::new()).expect("a greeting"), hello);
}

#[test]
fn a_band_is_about_a_mebibyte() {
    fn check(width: u32, height: u32, expected: u32) {
        assert_eq!(band_rows(&rgb(width, height)), expected, "{width} x {height}");
    }

    check(1, 1, 1);
    check(1, 1000, 1000);
    check(1, 1 << 18, 1 << 18);
    check(1000, 1000, 349);
    check(4000, 3000, 87);
    check(1 << 18, 5, 1);
}

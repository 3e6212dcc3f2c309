//! Pictures, finished and not.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
};

use super::*;
use crate::{
    pixels::{Channels, Depth, PixelFormat, Raster},
    protocol::{BrushSize, Priority, Profile, Progress, StyleShare, StylizeReport, StylizeSpec},
    wire::band_rows,
};

const REPORT: StylizeReport = StylizeReport { queued_ms: 1.0, engine_ms: 2.0, brush_size: 3.0 };

impl Peer {
    fn spec(&mut self) -> StylizeSpec {
        match self.read() {
            Ok(Request::Stylize(spec)) => spec,
            other => panic!("{other:?} instead of a picture"),
        }
    }

    fn rows(&mut self) -> u32 {
        match self.read() {
            Ok(Request::Rows(rows)) => rows,
            other => panic!("{other:?} instead of rows"),
        }
    }

    /// Inverts a picture, band by band.
    fn stylize(&mut self) {
        let raster = self.spec().raster;
        let mut done = 0;
        while done < raster.height() {
            let rows = self.rows();
            self.send_back(rows);
            done += rows;
            self.reply(&Reply::Progress(progress(done, raster.height())));
        }
        self.reply(&Reply::Stylized(REPORT));
    }

    fn send_back(&mut self, rows: u32) {
        self.body.iter_mut().for_each(|byte| *byte = !*byte);
        write_frame(&mut self.connection, &Reply::Rows(rows), &self.body).expect("the client reads");
    }
}

fn spec(width: u32, height: u32) -> StylizeSpec {
    let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
    StylizeSpec {
        raster: Raster::new(width, height, format).expect("a possible size"),
        mix: vec![StyleShare { id: "cel".into(), share: 1.0 }],
        strength: 1.0,
        brush_size: BrushSize::Auto,
        keep_colours: 0.0,
        seed: 0,
        grain: 1.0,
        place: None,
        priority: Priority::Interactive,
        profile: Profile::default(),
    }
}

fn progress(rows_done: u32, rows: u32) -> Progress {
    Progress { rows_done, rows, behind: None }
}

/// 12 MB: more than the socket's buffers and several bands hold.
fn large() -> StylizeSpec {
    spec(2000, 2000)
}

fn no_source(_: u32, _: u32, _: &mut [u8]) -> io::Result<()> {
    Ok(())
}

fn no_sink(_: u32, _: u32, _: &[u8]) -> io::Result<()> {
    Ok(())
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn pictures_come_back_whole_and_in_order() {
    fn check(client: Client, spec: &StylizeSpec) -> Client {
        let row_bytes = spec.raster.row_bytes();
        let pixels: Vec<u8> = (0..spec.raster.total_bytes()).map(|i| (i % 251) as u8).collect();
        let mut result = Vec::new();
        let mut progress = Vec::new();

        let (client, report) = client
            .stylize(
                spec,
                |first_row, _, band| {
                    let start = first_row as usize * row_bytes;
                    band.copy_from_slice(&pixels[start..start + band.len()]);
                    Ok(())
                },
                |first_row, rows, band| {
                    assert_eq!(result.len(), first_row as usize * row_bytes);
                    assert_eq!(band.len(), rows as usize * row_bytes);
                    result.extend_from_slice(band);
                    Ok(())
                },
                |so_far| {
                    progress.push(so_far.rows_done);
                    ControlFlow::Continue(())
                },
            )
            .expect("a picture");

        let raster = spec.raster;
        assert_eq!(report, REPORT);
        assert!(result.iter().eq(pixels.iter().map(|byte| !byte).collect::<Vec<_>>().iter()), "{raster:?}");
        assert!(progress.is_sorted());
        assert_eq!(progress.last(), Some(&raster.height()));
        client
    }

    // One connection for all.
    let sizes = [(1, 1), (1, 1000), (1000, 1), (333, 777), (2000, 2000), (5, 5)];
    let daemon = FakeDaemon::new(move |mut peer| {
        sizes.iter().for_each(|_| peer.stylize());
        peer.expect_closed();
    });
    let mut client = daemon.connect();
    for (width, height) in sizes {
        client = check(client, &spec(width, height));
    }
}

/// What the user is told when a picture isn't finished.
#[test]
fn broken_conversations_end_with_their_reason() {
    fn check(name: &str, script: fn(&mut Peer), expected: &str) {
        let daemon = FakeDaemon::new(move |mut peer| script(&mut peer));
        let error = daemon.connect().stylize(&large(), no_source, no_sink, go_on).expect_err(name);
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    let lost = "the daemon was lost before it had finished";

    // The client is still sending when the daemon closes, and must read what was said before.
    check(
        "a fault at once",
        |peer| {
            peer.spec();
            peer.reply(&Reply::Fault(Fault::new(FaultKind::UnknownStyle, "no style is called `cel`")));
        },
        "no style is called `cel`",
    );
    check(
        "a fault half-way",
        |peer| {
            peer.spec();
            for _ in 0..3 {
                let rows = peer.rows();
                peer.send_back(rows);
            }
            peer.reply(&Reply::Fault(Fault::new(FaultKind::OutOfMemory, "the memory is full")));
        },
        "the memory is full",
    );
    check("gone at once", |_| {}, lost);
    check(
        "gone half-way",
        |peer| {
            peer.spec();
            let rows = peer.rows();
            peer.send_back(rows);
            peer.rows();
        },
        lost,
    );
    check(
        "gone within a frame",
        |peer| {
            peer.spec();
            peer.rows();
            peer.connection.write_all(&[2, 0, 0, 0, 2, 5, 0]).expect("there is room");
        },
        "in the middle of a message",
    );
    check(
        "too many rows",
        |peer| {
            let raster = peer.spec().raster;
            for _ in 0..=raster.height() / band_rows(&raster) {
                let bytes = vec![0; band_rows(&raster) as usize * raster.row_bytes()];
                let rows = Reply::Rows(band_rows(&raster));
                // The client may have hung up by the last.
                let _ = write_frame(&mut peer.connection, &rows, &bytes);
            }
            peer.expect_closed();
        },
        "rows after row 1914",
    );
    check(
        "rows of the wrong size",
        |peer| {
            peer.spec();
            write_frame(&mut peer.connection, &Reply::Rows(2), &[0; 5]).expect("there is room");
            peer.expect_closed();
        },
        "it sent 5 bytes as 2 rows after row 0",
    );
    check(
        "no rows",
        |peer| {
            peer.spec();
            peer.reply(&Reply::Rows(0));
            peer.expect_closed();
        },
        "it sent 0 bytes as 0 rows",
    );
    check(
        "an early end",
        |peer| {
            peer.spec();
            peer.reply(&Reply::Stylized(REPORT));
            peer.expect_closed();
        },
        "it sent 0 of 2000 rows",
    );
    check(
        "out of turn",
        |peer| {
            peer.spec();
            peer.reply(&Reply::Done);
            peer.expect_closed();
        },
        "it sent \"done\" out of turn",
    );
    check(
        "garbage",
        |peer| {
            peer.spec();
            peer.connection.write_all(b"what is this").expect("there is room");
            peer.expect_closed();
        },
        "head claims",
    );
}

#[test]
fn cancelling_closes_the_connection() {
    fn check(name: &str, script: fn(&mut Peer)) {
        let daemon = FakeDaemon::new(move |mut peer| {
            peer.spec();
            script(&mut peer);
            peer.expect_closed();
        });
        let stop = |_| ControlFlow::Break(());
        let error = daemon.connect().stylize(&large(), no_source, no_sink, stop).expect_err(name);
        assert!(matches!(error, ClientError::Cancelled), "{name}: {error}");
    }

    check("after a band", |peer| {
        let rows = peer.rows();
        // On a busy machine the client has asked, and is gone, before these come.
        let progress = Reply::Progress(progress(rows, 2000));
        let _ = write_frame(&mut peer.connection, &Reply::Rows(rows), &peer.body)
            .and_then(|()| write_frame(&mut peer.connection, &progress, &[]));
    });
    // As when other pictures go first: nothing is said.
    check("in the queue", |_| {});
    check("while nothing is read, so that the sending thread waits", |peer| {
        let progress = Reply::Progress(progress(0, 2000));
        while write_frame(&mut peer.connection, &progress, &[]).is_ok() {}
    });
}

#[test]
fn the_callers_own_errors_come_back() {
    fn check(name: &str, run: impl FnOnce(Client) -> ClientError) {
        let daemon = FakeDaemon::new(|mut peer| {
            peer.spec();
            // Whichever band the client breaks off at.
            while let Ok(Request::Rows(rows)) = peer.read() {
                if write_frame(&mut peer.connection, &Reply::Rows(rows), &peer.body).is_err() {
                    break;
                }
            }
        });
        let error = run(daemon.connect());
        assert!(matches!(error, ClientError::Io(_)), "{name}: {error}");
        assert_eq!(error.to_string(), "the disk is full", "{name}");
    }
    let full = || Err(io::Error::other("the disk is full"));

    check("source", |client| {
        let source = |first_row, _, _: &mut [u8]| if first_row > 500 { full() } else { Ok(()) };
        client.stylize(&large(), source, no_sink, go_on).expect_err("the source fails")
    });
    check("sink", |client| {
        let sink = |first_row, _, _: &[u8]| if first_row > 500 { full() } else { Ok(()) };
        client.stylize(&large(), no_source, sink, go_on).expect_err("the sink fails")
    });
}

/// A panic on one of the two threads must not leave the other waiting.
#[test]
fn the_callers_own_panics_come_through() {
    fn check(name: &str, run: impl FnOnce(Client)) {
        let daemon = FakeDaemon::new(|mut peer| {
            peer.spec();
            // On a busy machine the client is gone before any of these.
            if let Ok(Request::Rows(rows)) = peer.read() {
                let _ = write_frame(&mut peer.connection, &Reply::Rows(rows), &peer.body);
            }
            peer.expect_closed();
        });
        let client = daemon.connect();
        assert!(catch_unwind(AssertUnwindSafe(|| run(client))).is_err(), "{name}");
    }

    check("source", |client| {
        let source = |first_row, _, _: &mut [u8]| if first_row > 0 { panic!("on purpose") } else { Ok(()) };
        drop(client.stylize(&large(), source, no_sink, go_on));
    });
    check("sink", |client| drop(client.stylize(&large(), no_source, |_, _, _| panic!("on purpose"), go_on)));
    check("progress", |client| drop(client.stylize(&large(), no_source, no_sink, |_| panic!("on purpose"))));
}

/// Long enough for any machine that isn't stopped, and soon over.
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_silent_daemon_is_given_up() {
    fn check(name: &str, script: fn(&mut Peer), ask: fn(Client) -> ClientError) {
        let (given_up, waiting) = mpsc::channel();
        let daemon = FakeDaemon::new(move |mut peer| {
            script(&mut peer);
            // It doesn't even read, so that the sending thread waits, too.
            waiting.recv().expect("the client gives up");
        });
        let mut client = daemon.connect();
        client.set_silence_limit(SHORT).expect("a connection");
        let error = ask(client);
        given_up.send(()).expect("the daemon waits");
        assert!(matches!(error, ClientError::Silent { .. }), "{name}: {error}");
        let (message, pid) = (error.to_string(), format!("`kill -9 {}`", std::process::id()));
        assert!(message.contains("for 0.3 s") && message.contains(&pid), "{name}: {message}");
    }
    let draw = |client: Client| client.stylize(&large(), no_source, no_sink, go_on).expect_err("silence");
    let ask = |mut client: Client| client.status().expect_err("silence");
    check("to a question", |peer| drop(peer.read::<Request>()), ask);
    check("after a sign of life", |peer| [drop(peer.read::<Request>()), peer.reply(&Reply::Busy)][1], ask);
    check("before it reads", |_| {}, draw);
    let half_way = |peer: &mut Peer| {
        peer.spec();
        let rows = peer.rows();
        peer.send_back(rows);
    };
    check("half-way", half_way, draw);
    check(
        "within a frame",
        |peer| {
            peer.spec();
            peer.connection.write_all(&[2, 0, 0, 0, 2, 5, 0]).expect("there is room");
        },
        draw,
    );
}

#[test]
fn a_slow_daemon_that_gives_signs_of_life_is_waited_for() {
    // In all for longer than it may be silent.
    fn live(peer: &mut Peer, sign: &Reply) {
        for _ in 0..80 {
            thread::sleep(SHORT / 20);
            peer.reply(sign);
        }
    }
    let daemon = FakeDaemon::new(|mut peer| {
        let rows = peer.spec().raster.height();
        assert_eq!(peer.rows(), rows);
        live(&mut peer, &Reply::Progress(Progress { behind: Some(3), ..progress(0, rows) }));
        live(&mut peer, &Reply::Busy);
        peer.send_back(rows);
        peer.reply(&Reply::Stylized(REPORT));
        assert_eq!(peer.read::<Request>().expect("a request"), Request::Unload);
        live(&mut peer, &Reply::Busy);
        peer.reply(&Reply::Done);
    });
    let mut client = daemon.connect();
    client.set_silence_limit(3 * SHORT).expect("a connection");
    let mut behind = Vec::new();
    let tell = |progress: Progress| {
        behind.push(progress.behind);
        ControlFlow::Continue(())
    };
    let (mut client, _) = client.stylize(&spec(5, 5), no_source, no_sink, tell).expect("a picture");
    client.unload().expect("an answer");
    assert!(behind.contains(&Some(3)), "{behind:?}");
}

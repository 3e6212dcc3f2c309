//! What an artist waits for: from layer to layer in every GIMP that there is, with a daemon that is warm.
//!
//! ```text
//! cargo bench --package utsushi-tests --bench layers
//! ```
//!
//! Medians, in seconds. The whole is split by leaving things out: without the network, by a daemon that gives
//! pictures back as they are; and without GIMP, by a client of the same daemons that has the pixels in memory.
//! The parts work at the same time, so that the whole is less than their sum.

use std::ops::ControlFlow;
use std::time::Instant;

use utsushi::picture::{self, Format, WriteOptions};
use utsushi_ipc::client::Client;
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_ipc::protocol::{BrushSize, Priority, Profile, StyleShare, StylizeSpec};
use utsushi_tests::gimp::{Session, installed};
use utsushi_tests::measure::median;
use utsushi_tests::mirror::Mirror;
use utsushi_tests::pictures::{enlarged, sample};

const RUNS: usize = 5;
/// The filter's values as the dialog has them at first.
const DEFAULTS: [&str; 9] = ["\"cel\"", "1.0", "0.0", "0.0", "\"\"", "0.5", "0", "0", "1.0"];

fn main() {
    println!("                               whole   GIMP  socket  network   a refusal");
    for gimp in installed() {
        let version = gimp.version;
        let session = Session::new(gimp);
        for (megapixels, width, height) in [(1, 1200, 833), (12, 4000, 3000)] {
            let small = picture::read(&sample("astronaut.jpg")).expect("a sample");
            let path = session.home().path().join("in.png");
            let picture = enlarged(&small, width, height);
            picture::write(&path, Format::Png, &picture, &WriteOptions::default()).expect("written");
            for (depth, what) in [(Depth::U8, "8 bits"), (Depth::F32, "float")] {
                let format = PixelFormat { channels: Channels::Rgb, depth };
                let raster = Raster::new(width, height, format).expect("a raster");
                // The first picture starts the daemon.
                session.home().expect(0, &["stylize", "in.png", "-o", "out.png", "--quiet"]);
                let whole = in_gimp(&session, depth, DEFAULTS);
                let with_network = in_memory(&session, raster);
                session.home().run(&["stop"]);
                let mirror = Mirror::start(&session.home().socket());
                let without_network = in_gimp(&session, depth, DEFAULTS);
                let socket = in_memory(&session, raster);
                let mut refused = DEFAULTS;
                refused[0] = "\"no-such-style\"";
                let refusal = in_gimp(&session, depth, refused);
                drop(mirror);
                println!(
                    "GIMP {version:<4}, {megapixels:>2} MP, {what:<6}       {whole:>6.2} {:>6.2} {socket:>7.2} {:>8.2} {refusal:>11.2}",
                    without_network - socket,
                    with_network - socket
                );
            }
        }
    }
}

/// How long a call of the plug-in takes.
fn in_gimp(session: &Session, depth: Depth, values: [&str; 9]) -> f64 {
    // 650 are gamma-encoded floating point numbers, whatever the image was.
    let convert = match depth {
        Depth::F32 => "(gimp-image-convert-precision image 650)",
        _ => "",
    };
    let call = session.telling(&session.stylize(1, values));
    let body = format!(
        r#"{convert}
        (define (now) (let ((time (gettimeofday))) (+ (car time) (/ (cadr time) 1000000.0))))
        (let loop ((n 0))
            (let ((start (now)))
                {call}
                (gimp-message (string-append "took " (number->string (- (now) start)) " s"))
                (if (< n {RUNS}) (loop (+ n 1)))))"#
    );
    let log = session.run(&session.open("in.png", &body));
    let times = log.lines().filter_map(|line| line.split_once("took ")?.1.strip_suffix(" s")?.parse().ok());
    let mut times: Vec<f64> = times.collect();
    assert_eq!(times.len(), RUNS + 1, "GIMP said:\n{log}");
    // The first one warms GIMP up.
    times.remove(0);
    median(times)
}

/// How long the same takes a client that has the pixels.
fn in_memory(session: &Session, raster: Raster) -> f64 {
    let mut client = Client::connect(&session.home().socket()).expect("a daemon");
    let mut pixels = vec![0_u8; raster.total_bytes() as usize];
    let row_bytes = raster.row_bytes();
    let mut result = pixels.clone();
    // Any picture takes the same time, if its numbers are numbers.
    pixels
        .iter_mut()
        .enumerate()
        .for_each(|(i, byte)| *byte = if i % 4 == 3 { 0x3e } else { (i / 37) as u8 });
    let spec = StylizeSpec {
        raster,
        mix: vec![StyleShare { id: "cel".to_owned(), share: 1.0 }],
        strength: 1.0,
        brush_size: BrushSize::Auto,
        keep_colours: 0.0,
        seed: 0,
        grain: 1.0,
        place: None,
        priority: Priority::Interactive,
        profile: Profile::default(),
    };
    let mut times = Vec::new();
    for _ in 0..=RUNS {
        let start = Instant::now();
        let source = |first: u32, _: u32, rows: &mut [u8]| {
            rows.copy_from_slice(&pixels[first as usize * row_bytes..][..rows.len()]);
            Ok(())
        };
        let sink = |first: u32, _: u32, rows: &[u8]| {
            result[first as usize * row_bytes..][..rows.len()].copy_from_slice(rows);
            Ok(())
        };
        (client, _) = client.stylize(&spec, source, sink, |_| ControlFlow::Continue(())).expect("a picture");
        times.push(start.elapsed().as_secs_f64());
    }
    times.remove(0);
    median(times)
}

//! What a user waits for and what the daemon takes, through the whole program:
//!
//! ```text
//! cargo bench --package utsushi-tests --bench figures
//! ```
//!
//! Medians; read the ratios, since machines differ. The rival of the socket is a bare pair of sockets that
//! carries the same bytes both ways without a protocol.

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use utsushi::picture::{self, Format, WriteOptions};
use utsushi_ipc::client::Client;
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_ipc::protocol::{BrushSize, Priority, Profile, StyleShare, StylizeSpec};
use utsushi_tests::binary::Home;
use utsushi_tests::daemon::socket;
use utsushi_tests::measure::{median, peak_mb};
use utsushi_tests::mirror::Mirror;
use utsushi_tests::pictures::{enlarged, sample};

const RUNS: usize = 5;

fn main() {
    let home = Home::new();
    files(&home);
    first_result(&home);
    large(&home);
    round_trip();
}

fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

fn write_12_mp(path: &Path) {
    let picture = enlarged(&picture::read(&sample("astronaut.jpg")).expect("a sample"), 4000, 3000);
    picture::write(path, Format::Jpeg, &picture, &WriteOptions::default()).expect("written");
}

/// JPEG to JPEG, 12 megapixels.
fn files(home: &Home) {
    write_12_mp(&home.path().join("in.jpg"));
    let mut peak = 0.0_f64;
    let mut run = || {
        let mut child =
            home.utsushi(&["stylize", "in.jpg", "-o", "out.jpg", "--quiet"]).spawn().expect("runs");
        while child.try_wait().expect("a state").is_none() {
            peak = peak.max(peak_mb(child.id()));
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let cold = seconds(&mut run);
    let warm = median((0..RUNS).map(|_| seconds(&mut run)).collect());
    let daemon = home.daemon_pid().map_or(0.0, peak_mb);
    println!("stylize, 12 MP JPEG to JPEG   {warm:.2} s   ({cold:.2} s with the daemon's start)");
    println!("  peak memory                 daemon {daemon:.0} MB, command {peak:.0} MB");
}

/// From no daemon to a picture on disk.
fn first_result(home: &Home) {
    let picture = sample("astronaut.jpg");
    let args = ["stylize", picture.to_str().expect("a path"), "-o", "small.png", "--quiet"];
    let run = || assert!(home.run(&args).status.success());
    let cold = (0..RUNS).map(|_| {
        home.run(&["stop"]);
        seconds(run)
    });
    let cold = median(cold.collect());
    let warm = median((0..RUNS).map(|_| seconds(run)).collect());
    println!("cold start to first result    {cold:.2} s, 512 x 512   ({warm:.2} s with a daemon)");
}

fn spec(raster: Raster, brush_size: BrushSize) -> StylizeSpec {
    StylizeSpec {
        raster,
        mix: vec![StyleShare { id: "cel".to_owned(), share: 1.0 }],
        strength: 1.0,
        brush_size,
        keep_colours: 0.0,
        seed: 0,
        grain: 1.0,
        place: None,
        priority: Priority::Interactive,
        profile: Profile::default(),
    }
}

/// The daemon's memory for pictures of 100 megapixels, which the client makes up as it goes.
fn large(home: &Home) {
    let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
    let raster = Raster::new(10_000, 10_000, format).expect("a raster");
    for (brush_size, what) in [(BrushSize::Auto, "auto"), (BrushSize::Factor(1.0), "1")] {
        home.run(&["stop"]);
        home.run(&[
            "stylize",
            sample("astronaut.jpg").to_str().expect("a path"),
            "-o",
            "small.png",
            "--quiet",
        ]);
        let client = Client::connect(&socket(home.path())).expect("a daemon");
        let pid = client.daemon().pid;
        let source = |first: u32, _: u32, rows: &mut [u8]| {
            for (i, sample) in rows.iter_mut().enumerate() {
                *sample = ((i / 3 % 10_000 / 37) as u32 ^ (first / 29)) as u8;
            }
            Ok(())
        };
        let took = seconds(|| {
            client
                .stylize(&spec(raster, brush_size), source, |_, _, _| Ok(()), |_| ControlFlow::Continue(()))
                .expect("a picture");
        });
        println!("100 MP, brush size {what:<4}       {took:.1} s, daemon's peak {:.0} MB", peak_mb(pid));
    }
}

/// 48 MB to the daemon and back.
fn round_trip() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = socket(folder.path());
    let daemon = Mirror::start(&path);
    let format = PixelFormat { channels: Channels::Rgba, depth: Depth::U8 };
    let raster = Raster::new(4000, 3000, format).expect("a raster");
    let pixels = vec![7_u8; raster.total_bytes() as usize];
    let mut result = vec![0_u8; pixels.len()];
    let row_bytes = raster.row_bytes();
    let mut client = Client::connect(&path).expect("a daemon");
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let source = |first: u32, _: u32, rows: &mut [u8]| {
            rows.copy_from_slice(&pixels[first as usize * row_bytes..][..rows.len()]);
            Ok(())
        };
        let sink = |first: u32, _: u32, rows: &[u8]| {
            result[first as usize * row_bytes..][..rows.len()].copy_from_slice(rows);
            Ok(())
        };
        let start = Instant::now();
        (client, _) = client
            .stylize(&spec(raster, BrushSize::Auto), source, sink, |_| ControlFlow::Continue(()))
            .expect("a picture");
        ours.push(start.elapsed().as_secs_f64());
        bare.push(seconds(|| bare_round_trip(&pixels, &mut result)));
    }
    drop(client);
    drop(daemon);
    let (ours, bare) = (median(ours), median(bare));
    println!("48 MB to the daemon and back  {:.0} ms, {:.2} x a bare socket", ours * 1e3, ours / bare);
}

/// The same bytes through a pair of sockets and back.
fn bare_round_trip(pixels: &[u8], result: &mut [u8]) {
    let (near, far) = UnixStream::pair().expect("sockets");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut far, mut buffer) = (&far, vec![0; 1 << 20]);
            for chunk in pixels.chunks(1 << 20) {
                far.read_exact(&mut buffer[..chunk.len()]).expect("bytes");
                far.write_all(&buffer[..chunk.len()]).expect("bytes");
            }
        });
        scope.spawn(|| (&near).write_all(pixels).expect("bytes"));
        (&near).read_exact(result).expect("bytes");
    });
}

//! Frames and files as strangers might send them: what was sound once, changed in thousands of ways. Each is read or
//! refused, never with a panic, never without an end, and never with more memory than what is allowed.
//!
//! A program of its own, as it measures its memory.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use utsushi::picture::{self, Format, Picture, WriteOptions};
use utsushi_engine::style_file::{StyleFile, Thumbnail};
use utsushi_engine::weights::Weights;
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_ipc::protocol::{
    BrushSize, Fault, FaultKind, Hello, JobId, Priority, Profile, Progress, Reply, Request, StyleShare,
    StylizeSpec,
};
use utsushi_ipc::wire::{read_frame, write_frame};
use utsushi_tests::daemon::Daemon;
use utsushi_tests::measure::peak_mb;
use utsushi_tests::mutation::try_mutants;
use utsushi_tests::pictures::{drawn, sample};
use utsushi_training::recipe::{Preset, Recipe};

/// Several times what all of these tests together take (60 MB), with a daemon and its networks. A size that were
/// believed without its bytes would be beyond it.
const MOST_MB: f64 = 300.0;

fn check_memory(what: &str) {
    let peak = peak_mb("self");
    assert!(peak < MOST_MB, "{what}: {peak:.0} MB");
}

fn frame(head: &impl serde::Serialize, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, head, body).expect("memory takes it");
    bytes
}

fn spec(id: &str) -> StylizeSpec {
    let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
    StylizeSpec {
        raster: Raster::new(8, 6, format).expect("a raster"),
        mix: vec![StyleShare { id: id.into(), share: 1.0 }],
        strength: 0.5,
        brush_size: BrushSize::Factor(1.0),
        keep_colours: 0.25,
        seed: 7,
        grain: 1.0,
        place: None,
        priority: Priority::Interactive,
        profile: Profile::default(),
    }
}

fn requests() -> Vec<Vec<u8>> {
    let picture =
        [frame(&Request::Stylize(spec("cel")), &[]), frame(&Request::Rows(6), &[7; 8 * 6 * 3])].concat();
    let questions =
        [Request::Styles, Request::Status, Request::Jobs, Request::WatchJob(JobId(1)), Request::Unload];
    let questions: Vec<u8> = questions.iter().flat_map(|request| frame(request, &[])).collect();
    let icc = utsushi::picture::encode_profile(&moxcms::ColorProfile::new_display_p3()).expect("a profile");
    let in_its_space =
        [frame(&Request::Stylize(spec("cel")), &icc), frame(&Request::Rows(6), &[7; 8 * 6 * 3])].concat();
    vec![[picture.clone(), in_its_space].concat(), [questions, picture].concat()]
}

#[test]
fn frames() {
    /// Reads frames to the end, or to the first that is none.
    fn read<H: serde::de::DeserializeOwned>(mut bytes: &[u8]) {
        let (length, mut body) = (bytes.len(), Vec::new());
        while read_frame::<H>(&mut bytes, &mut body).is_ok() {}
        assert!(body.capacity() <= length + (2 << 20), "{} bytes of memory for {length}", body.capacity());
    }
    let fault = Fault::new(FaultKind::Busy, "too many");
    let progress = Progress { rows_done: 1, rows: 2, behind: Some(3) };
    let replies = [Reply::Progress(progress), Reply::Fault(fault), Reply::Done, Reply::Busy];
    let replies = replies.iter().flat_map(|reply| frame(reply, &[])).chain(frame(&Reply::Rows(2), &[1; 500]));
    try_mutants("greetings", vec![frame(&Hello::ours(), &[])], 10_000, read::<Hello>);
    try_mutants("requests", requests(), 20_000, read::<Request>);
    try_mutants("replies", vec![replies.collect()], 20_000, read::<Reply>);
    check_memory("frames");
}

/// What a daemon hears, to the end or the first frame that is none.
fn heard(mut bytes: &[u8]) -> Vec<Request> {
    let mut requests = Vec::new();
    if read_frame::<Hello>(&mut bytes, &mut Vec::new()).is_ok() {
        while let Ok(request) = read_frame(&mut bytes, &mut Vec::new()) {
            requests.push(request);
        }
    }
    requests
}

#[test]
fn conversations() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    let sound =
        requests().into_iter().map(|requests| [frame(&Hello::ours(), &[]), requests].concat()).collect();
    try_mutants("conversations", sound, 2000, move |bytes| {
        // It would be obeyed.
        if heard(bytes).contains(&Request::Shutdown) {
            return;
        }
        let mut stream = UnixStream::connect(&socket).expect("the daemon listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        // The daemon may have closed before it took all of them.
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        match stream.read_to_end(&mut Vec::new()) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the daemon doesn't close")
            }
            _ => {}
        }
    });
    let mut client = daemon.client();
    assert_eq!(client.status().expect("the daemon lives").running, 0);
    check_memory("conversations");
}

#[test]
fn styles_and_weights() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read(data.join(path)).expect("a file");
    let mut small = StyleFile::parse(&read("../daemon/styles/cel.safetensors")).expect("a style");
    small.set_thumbnail("cel", Thumbnail { width: 2, height: 1, rgb: vec![7; 6] });
    let styles = vec![small.to_bytes().expect("written"), read("../daemon/styles/oil.safetensors")];
    try_mutants("styles", styles, 1000, |bytes| {
        if let Ok(style) = StyleFile::parse(bytes) {
            let shares = vec![1.0; style.styles().len()];
            drop(style.generator(&shares));
        }
    });
    let weights = ["animegan2-tiny.safetensors", "animegan2-tiny.pth", "tiny-2-styles.safetensors"]
        .map(|name| read(&format!("data/goldens/{name}")));
    try_mutants("weights", weights.into(), 4000, |bytes| drop(Weights::read(bytes)));
    check_memory("styles and weights");
}

#[test]
fn recipes() {
    let presets =
        [Preset::Fast, Preset::Quality].map(|preset| Recipe::preset(preset).to_toml().expect("TOML"));
    let sound = presets.into_iter().map(String::into_bytes).collect();
    try_mutants("recipes", sound, 5000, |bytes| drop(Recipe::parse(&String::from_utf8_lossy(bytes))));
    check_memory("recipes");
}

#[test]
fn pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    for format in Format::ALL {
        let mut sound = cases_of(format);
        for (channels, depth) in [(Channels::Rgba, Depth::U8), (Channels::Grey, Depth::U16)] {
            let path = folder.path().join("sound");
            let (raster, pixels) = drawn(61, 43, channels, depth);
            let metadata = picture::read(&sample("coffee.jpg")).expect("a photo").metadata;
            let picture = Picture { raster, pixels, metadata };
            picture::write(&path, format, &picture, &WriteOptions::default()).expect("written");
            sound.push(fs::read(&path).expect("a file"));
        }
        let path = folder.path().join("mutant");
        try_mutants(format.name(), sound, 2000, move |bytes| {
            fs::write(&path, bytes).expect("written");
            // A decoder's panic is caught on its way, and would be this.
            if let Err(error) = picture::open(&path) {
                let message = error.to_string();
                assert!(!message.contains("of a kind that isn't supported"), "{message}");
            }
        });
    }
    check_memory("pictures");
}

/// Our samples of odd files, those of a format.
fn cases_of(format: Format) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cases");
    let files =
        fs::read_dir(folder).expect("a folder").map(|entry| fs::read(entry.expect("an entry").path()));
    files.map(|bytes| bytes.expect("a file")).filter(|bytes| Format::of(bytes) == Some(format)).collect()
}

#[test]
fn a_frame_that_claims_the_most_costs_what_has_come() {
    let mut claim = frame(&Request::Rows(1), &[]);
    let length = claim.len();
    claim[length - 4..].copy_from_slice(&(32_u32 << 20).to_le_bytes());
    claim.extend([0; 1000]);
    let mut body = Vec::new();
    assert!(read_frame::<Request>(&mut Cursor::new(claim), &mut body).is_err());
    assert!(body.capacity() <= 2 << 20, "{}", body.capacity());
}

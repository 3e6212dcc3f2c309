//! Videos, made and taken apart by the real ffmpeg.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use utsushi_tests::binary::{Home, assert_code, errors, finish, signal, wait_until};
use utsushi_tests::pictures::{mean_difference, sample};

use crate::fixture::{are_there, events};

const PROGRAMS: [&str; 2] = ["ffmpeg", "ffprobe"];

/// A home with `clip.NAME`, made by ffmpeg of these inputs with these options.
fn home(name: &str, options: &str) -> Home {
    let home = Home::new();
    ffmpeg(&home, &format!("{options} {name}"));
    home
}

/// Runs ffmpeg in the home, and gives what it writes to standard output.
#[track_caller]
fn ffmpeg(home: &Home, line: &str) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]).args(line.split_whitespace()).current_dir(home.path());
    let output = finish(command);
    assert!(output.status.success(), "{line}: {}", errors(&output));
    output.stdout
}

/// What ffprobe tells of the first stream of a kind.
fn stream(home: &Home, file: &str, kind: &str) -> Value {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-print_format", "json", "-show_streams", "-count_frames", file]);
    let output = finish({
        command.current_dir(home.path());
        command
    });
    let told: Value = serde_json::from_slice(&output.stdout).expect("an object");
    let streams = told["streams"].as_array().expect("streams");
    streams.iter().find(|stream| stream["codec_type"] == kind).cloned().unwrap_or_default()
}

/// The frames of a video, as 8-bit RGB.
fn frames(home: &Home, file: &str, width: usize, height: usize) -> Vec<Vec<u8>> {
    let raw =
        ffmpeg(home, &format!("-i {file} -map 0:v -vsync passthrough -f rawvideo -pix_fmt rgb24 pipe:1"));
    assert_eq!(raw.len() % (width * height * 3), 0, "{file} has frames of another size");
    raw.chunks(width * height * 3).map(<[u8]>::to_vec).collect()
}

/// The sum of the sound's packets.
fn sound(home: &Home, file: &str) -> String {
    String::from_utf8(ffmpeg(home, &format!("-i {file} -map 0:a -c copy -f md5 pipe:1"))).expect("UTF-8")
}

/// Colours that move, without edges that a video couldn't keep, and a tone.
const MOVING: &str = "-f lavfi -i gradients=size=96x64:rate=RATE:duration=1:seed=3:nb_colors=5:speed=0.1 \
                      -f lavfi -i sine=duration=1";

const WIDTH: usize = 192;
const HEIGHT: usize = 128;
const STEP: usize = 3;
const SQUARE: usize = 24;

/// Noise over a photograph that stands still, and a white square that moves before it, from the left.
fn camera() -> Home {
    let background = sample("chelsea.jpg");
    let filter = format!(
        "[0]scale={WIDTH}:{HEIGHT},format=rgb24[still];[1][still]scale2ref[box][still];[box]crop={SQUARE}:{SQUARE}:0:0[box];\
         [still][box]overlay=x={STEP}*n:y=52,noise=alls=8:allf=t:all_seed=7,format=yuv420p"
    );
    let options = format!(
        "-loop 1 -framerate 24 -i {} -f lavfi -i color=white:rate=24 -f lavfi -i sine=duration=2 -filter_complex {filter} \
         -map 2:a -t 2 -c:v libx264 -crf 12 -c:a aac",
        background.display()
    );
    home("clip.mp4", &options)
}

/// The mean difference from frame to frame in rows where nothing but noise is.
fn flicker(frames: &[Vec<u8>]) -> f64 {
    let still = |frame: &Vec<u8>| [&frame[..40 * WIDTH * 3], &frame[90 * WIDTH * 3..]].concat();
    let pairs = frames.windows(2).map(|pair| mean_difference(&still(&pair[0]), &still(&pair[1])));
    pairs.sum::<f64>() / (frames.len() - 1) as f64
}

/// The samples of frame `number` between these places, from the square's left edge, in the rows that it is in.
fn beside(frames: &[Vec<u8>], number: usize, from: isize, to: isize) -> Vec<u8> {
    let at = |offset: isize| (STEP * number).saturating_add_signed(offset) * 3;
    let rows = frames[number].chunks(WIDTH * 3).skip(52).take(SQUARE);
    rows.flat_map(|row| &row[at(from)..at(to)]).copied().collect()
}

fn mean(samples: &[u8]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample)).sum::<f64>() / samples.len() as f64
}

#[test]
fn what_stands_still_does_not_flicker() {
    if !are_there(&PROGRAMS) {
        return;
    }
    let home = camera();
    let told = home.expect(0, &["batch", "clip.mp4", "-o", "damped.mp4"]);
    home.expect(0, &["batch", "clip.mp4", "-o", "free.mp4", "--damping", "0"]);
    let [source, damped, free] =
        ["clip.mp4", "damped.mp4", "free.mp4"].map(|file| frames(&home, file, WIDTH, HEIGHT));
    assert_eq!((source.len(), damped.len(), free.len()), (48, 48, 48));

    let [of_source, of_damped, of_free] = [&source, &damped, &free].map(|frames| flicker(frames));
    assert!(of_source > 2.0, "the source has noise: {of_source}");
    assert!(of_damped <= of_source && of_damped < 0.5 * of_free, "{of_damped} {of_free} {of_source}");

    // The square moves as it does without damping, and nothing of it stays where it was, or comes late.
    let numbers = 8..46;
    let count = numbers.len() as f64;
    let over_time = |of: &dyn Fn(usize) -> f64| numbers.clone().map(of).sum::<f64>() / count;
    let width = SQUARE as isize;
    let [moves_source, moves_damped, moves_free] = [&source, &damped, &free].map(|frames| {
        let step = STEP as isize;
        over_time(&|number| {
            let before = beside(frames, number - 1, 0, width + step);
            mean_difference(&beside(frames, number, -step, width), &before)
        })
    });
    let [behind, before] = [(-6, -1), (width - 6, width - 1)].map(|(from, to)| {
        let level = |frames| over_time(&|number| mean(&beside(frames, number, from, to)));
        level(&damped[..]) - level(&free[..])
    });
    eprintln!(
        "from frame to frame, where it stands still: source {of_source:.2}, drawn {of_free:.2}, damped {of_damped:.2}; \
         where it moves: source {moves_source:.2}, drawn {moves_free:.2}, damped {moves_damped:.2}; brighter behind the \
         square by {behind:.2}, in its front by {before:.2}\n{}",
        String::from_utf8_lossy(&told.stdout).trim()
    );
    assert!(moves_damped > 0.8 * moves_free, "{moves_damped} {moves_free}");
    assert!(behind.abs() < 3.0 && before.abs() < 3.0, "{behind} {before}");
    assert_eq!(sound(&home, "clip.mp4"), sound(&home, "damped.mp4"));
}

#[test]
fn everything_but_the_pictures_stays() {
    if !are_there(&PROGRAMS) {
        return;
    }
    // Nothing of the style, so that the frames must be the source's, too.
    let check = |rate: &str, options: &str, source: &str, output: &str, keeps_sound: bool| {
        let home = home(source, &format!("{} {options}", MOVING.replace("RATE", rate)));
        let args = ["batch", source, "-o", output, "--strength", "0", "--damping", "0"];
        let said = home.expect(0, &args);
        let what = format!("{rate} {options} {source} {output}: {}", errors(&said));

        let [before, after] = [source, output].map(|file| stream(&home, file, "video"));
        let keys = ["r_frame_rate", "nb_read_frames", "sample_aspect_ratio", "color_range", "color_space"];
        for key in keys.into_iter().chain(["color_transfer", "color_primaries", "width", "height"]) {
            let is_unsaid =
                |value: &Value| value.is_null() || value == "unknown" || value == "tv" || value == "1:1";
            let same = before[key] == after[key] || is_unsaid(&before[key]) && is_unsaid(&after[key]);
            assert!(same, "{key}: {}, not {}; {what}", after[key], before[key]);
        }
        if source.ends_with("mp4") && output.ends_with("mp4") {
            assert_eq!(before["time_base"], after["time_base"], "{what}");
        }
        let size = |key: &str| after[key].as_u64().expect("a size") as usize;
        let (width, height) = (size("width"), size("height"));
        let [before, after] = [source, output].map(|file| frames(&home, file, width, height));
        let apart = before.iter().zip(&after).map(|(before, after)| mean_difference(before, after));
        let apart = apart.fold(0.0, f64::max);
        assert!(apart < 3.0, "the frames differ by {apart}; {what}");
        if keeps_sound {
            assert_eq!(sound(&home, source), sound(&home, output), "{what}");
            assert!(!errors(&said).contains("encoded anew"), "{what}");
        } else {
            assert!(errors(&said).contains("encoded anew"), "{what}");
            assert_eq!(stream(&home, output, "audio")["codec_type"], "audio", "{what}");
        }
        let rest = home.names("");
        assert!(!rest.iter().any(|name| name.contains(".tmp")), "{rest:?}");
    };
    let h264 = "-c:v libx264 -crf 6 -pix_fmt yuv420p";
    let hd = "-vf scale=out_color_matrix=bt709 -colorspace bt709 -color_primaries bt709 -color_trc bt709";
    let full = "-vf scale=out_range=pc -color_range pc";
    check("24000/1001", &format!("{h264} -c:a aac"), "a.mp4", "b.mp4", true);
    check("25", &format!("{h264} {hd} -c:a aac"), "a.mp4", "b.mp4", true);
    check("30", &format!("{h264} {full} -c:a mp3"), "a.mkv", "b.mp4", true);
    check("50", &format!("{h264} -c:a pcm_s16le"), "a.mov", "b.mov", true);
    check("25", &format!("{h264} -c:a pcm_s16le"), "a.mov", "b.mp4", false);
    check("24", &format!("{h264} -vf crop=95:63 -pix_fmt yuv444p -c:a flac"), "a.mkv", "b.mkv", true);
    check("25", &format!("{h264} -vf setsar=4/3 -c:a aac"), "a.mp4", "b.mp4", true);
    check("30000/1001", "-c:v libvpx-vp9 -crf 10 -b:v 0 -cpu-used 8 -c:a libopus", "a.webm", "b.webm", true);
    check("25", &format!("{h264} -c:a aac"), "a.mp4", "b.webm", false);
    check("12", "-c:v mpeg4 -q:v 2 -c:a pcm_s16le", "a.avi", "b.mkv", true);
}

#[test]
fn sound_that_needs_care() {
    if !are_there(&PROGRAMS) {
        return;
    }
    let sounds = "-f lavfi -i testsrc2=size=96x64:rate=5:duration=1 -f lavfi -i sine=duration=1 -f lavfi -i \
                  sine=frequency=900:duration=1";
    // A phone's second track is in a codec that ffmpeg doesn't know.
    let home = home("clip.mp4", &format!("{sounds} -map 0 -map 1 -map 2 -c:a:0 aac -c:a:1 mp2"));
    let known = fs::read(home.path().join("clip.mp4")).expect("a video");
    let place = known.windows(4).rposition(|name| name == b"mp4a").expect("the second track's codec");
    let esds = place + known[place..].windows(4).position(|name| name == b"esds").expect("its description");
    let mut unknown = known.clone();
    unknown[place..place + 4].copy_from_slice(b"apac");
    unknown[esds..esds + 4].copy_from_slice(b"xsds");
    fs::write(home.path().join("clip.mp4"), unknown).expect("written");
    let said = home.expect(0, &["batch", "clip.mp4", "-o", "out.mp4"]);
    assert!(errors(&said).contains("sound that this ffmpeg doesn't know"), "{}", errors(&said));
    assert_eq!(stream(&home, "out.mp4", "audio")["codec_name"], "aac");

    // Opus has no name for the places of these speakers.
    let speakers = "-filter:a aformat=channel_layouts=5.1(side) -c:a ac3";
    ffmpeg(&home, &format!("{sounds} {speakers} round.mkv"));
    home.expect(0, &["batch", "round.mkv", "-o", "out.webm"]);
    assert_eq!(stream(&home, "out.webm", "audio")["channels"], 6);
}

#[test]
fn a_file_that_ffmpeg_could_not_finish_replaces_nothing() {
    if !are_there(&PROGRAMS) {
        return;
    }
    let home = home("clip.mkv", &MOVING.replace("RATE", "25"));
    fs::write(home.path().join("out.mkv"), "an older result").expect("written");
    // As when the disk is full at the end: a part is there, and ffmpeg's status is 0.
    let path = std::env::var("PATH").unwrap_or_default();
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\nPATH='{path}' ffmpeg \"$@\" || exit\nfile=${{last#file:}}\n\
         [ \"$file\" = \"$last\" ] || truncate -s $(($(stat -c %s \"$file\") / 2)) \"$file\"\n"
    );
    fs::create_dir(home.path().join("bin")).expect("a folder");
    fs::write(home.path().join("bin/ffmpeg"), script).expect("written");
    fs::set_permissions(home.path().join("bin/ffmpeg"), fs::Permissions::from_mode(0o755))
        .expect("it can be run");
    let mut command = home.utsushi(&["batch", "clip.mkv", "-o", "out.mkv"]);
    command.env("PATH", format!("{}:{path}", home.path().join("bin").display()));
    let output = finish(command);
    assert_code(&output, 1, &["a full disk"]);
    assert!(errors(&output).contains("of 25 frames are in it"), "{}", errors(&output));
    assert_eq!(fs::read_to_string(home.path().join("out.mkv")).expect("it stays"), "an older result");
}

#[test]
fn a_turned_video_comes_out_upright() {
    if !are_there(&PROGRAMS) {
        return;
    }
    let home =
        home("level.mp4", &format!("{} -c:v libx264 -crf 6 -pix_fmt yuv420p", MOVING.replace("RATE", "24")));
    ffmpeg(&home, "-i level.mp4 -c copy -metadata:s:v:0 rotate=90 -an turned.mp4");
    home.expect(0, &["batch", "turned.mp4", "-o", "out.mp4", "--strength", "0", "--damping", "0"]);
    let after = stream(&home, "out.mp4", "video");
    assert_eq!((&after["width"], &after["height"]), (&Value::from(64), &Value::from(96)));
    assert!(after["side_data_list"].is_null(), "{after}");
    // ffmpeg turns the source by itself.
    let [before, after] = ["turned.mp4", "out.mp4"].map(|file| frames(&home, file, 64, 96));
    assert_eq!((before.len(), after.len()), (24, 24));
    assert!(before.iter().zip(&after).all(|(before, after)| mean_difference(before, after) < 3.0));
}

#[test]
fn an_interlaced_video_has_no_combs() {
    if !are_there(&PROGRAMS) {
        return;
    }
    // A bar that moves by eight pixels from field to field.
    let (width, height) = (192, 96);
    let bar = "-f lavfi -i color=black:size=192x96:rate=50:duration=1 -f lavfi -i color=white:size=24x96:rate=50:duration=1";
    let filter = "-filter_complex [0][1]overlay=x=mod(8*n\\,168):shortest=1,interlace";
    let home =
        home("clip.mts", &format!("{bar} {filter} -c:v libx264 -crf 6 -flags +ilme+ildct -x264opts tff=1"));
    let said = home.expect(0, &["batch", "clip.mts", "-o", "out.mp4", "--strength", "0", "--damping", "0"]);
    assert!(errors(&said).contains("interlaced"), "{}", errors(&said));
    let [before, after] = ["clip.mts", "out.mp4"].map(|file| frames(&home, file, width, height));
    assert_eq!((before.len(), after.len()), (25, 25));
    // How much each line differs from the one above it.
    let combs = |frames: &[Vec<u8>]| {
        let rows =
            frames.iter().flat_map(|frame| frame.chunks(width * 3).zip(frame.chunks(width * 3).skip(1)));
        rows.map(|(above, below)| mean_difference(above, below)).sum::<f64>()
    };
    let (before, after) = (combs(&before), combs(&after));
    assert!(after < 0.3 * before, "{after} {before}");
}

#[test]
fn a_varying_rate_becomes_constant() {
    if !are_there(&PROGRAMS) {
        return;
    }
    // Twenty frames, thirty a second, and twenty, ten a second.
    let times = "setpts='if(lt(N,20),N/30,20/30+(N-20)/10)/TB'";
    let home = home(
        "clip.mp4",
        &format!(
            "-f lavfi -i testsrc2=size=96x64:rate=30:duration=4 -f lavfi -i sine=duration=2.6 -frames:v 40 -vf {times} \
             -vsync vfr -c:v libx264 -c:a aac"
        ),
    );
    let output = home.expect(0, &["batch", "clip.mp4", "-o", "out.mp4", "--json"]);
    let events = events(&output.stdout);
    let told = |kind: &str| events.iter().find(|event| event["event"] == kind).cloned().unwrap_or_default();
    let warning = told("error");
    assert!(warning["message"].as_str().is_some_and(|words| words.contains("varies")), "{events:?}");
    let after = stream(&home, "out.mp4", "video");
    assert_eq!((&after["r_frame_rate"], &after["avg_frame_rate"]), (&"30/1".into(), &"30/1".into()));
    let seconds: f64 = after["duration"].as_str().and_then(|text| text.parse().ok()).expect("a length");
    assert!((seconds - 2.67).abs() < 0.15, "{seconds}");
    let done = told("done");
    let (frames, drawn) =
        (done["frames"].as_u64().expect("a number"), done["drawn"].as_u64().expect("a number"));
    assert_eq!(drawn, 40, "frames that only stand longer are not drawn again: {done}");
    assert!((76..=84).contains(&frames), "{done}");
    assert_eq!(sound(&home, "clip.mp4"), sound(&home, "out.mp4"));
}

#[test]
fn an_interruption_leaves_what_was_there() {
    if !are_there(&PROGRAMS) {
        return;
    }
    let home = home(
        "clip.mp4",
        "-f lavfi -i testsrc2=size=480x320:rate=30:duration=60 -c:v libx264 -preset ultrafast",
    );
    fs::write(home.path().join("out.mp4"), "an older result").expect("written");
    let names = home.names("");
    let said = || fs::read_to_string(home.path().join("log")).unwrap_or_default();
    let begin = || {
        let mut command = home.utsushi(&["batch", "clip.mp4", "-o", "out.mp4", "--json"]);
        let log = fs::File::create(home.path().join("log")).expect("a log");
        let child = command.stdout(Stdio::from(log)).spawn().expect("it starts");
        wait_until("it is in the middle", || said().contains("\"progress\""));
        child
    };
    let check = |mut child: Child, how: &str| {
        assert_eq!(child.wait().expect("a child").code(), Some(130), "{how}");
        assert_eq!(fs::read_to_string(home.path().join("out.mp4")).expect("it stays"), "an older result");
        let left: Vec<_> = home.names("").into_iter().filter(|name| !names.contains(name)).collect();
        assert!(left.iter().all(|name| ["log", "run", "state"].contains(&name.as_str())), "{how}: {left:?}");
        wait_until("nothing runs but the daemon", || home.processes() == home.daemons());
    };
    let pid = |child: &Child| i32::try_from(child.id()).expect("a number");

    let child = begin();
    signal(pid(&child), Signal::INT);
    check(child, "once");
    assert!(said().contains("\"interrupted\":true"), "{}", said());

    // A terminal that is closed hangs up twice.
    let child = begin();
    signal(pid(&child), Signal::HUP);
    thread::sleep(Duration::from_millis(2));
    signal(pid(&child), Signal::HUP);
    check(child, "twice");

    // Somebody's ffmpeg hangs.
    let child = begin();
    let threads = fs::read_dir(format!("/proc/{}/task", child.id())).expect("a process").flatten();
    let ffmpegs = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let ffmpegs: String = ffmpegs.collect();
    for ffmpeg in ffmpegs.split_whitespace() {
        signal(ffmpeg.parse().expect("a number"), Signal::STOP);
    }
    signal(pid(&child), Signal::INT);
    check(child, "hanging");
}

#[test]
fn what_can_not_be_done_is_said() {
    if !are_there(&PROGRAMS) {
        return;
    }
    let home = home("clip.mp4", &MOVING.replace("RATE", "5"));
    fs::write(home.path().join("text.mp4"), "no video").expect("written");
    ffmpeg(&home, "-f lavfi -i sine=duration=1 -c:a aac sound.mp4");
    let whole = fs::read(home.path().join("clip.mp4")).expect("a video");
    fs::write(home.path().join("cut.mp4"), &whole[..whole.len() / 2]).expect("written");
    // A list of other files is none of ours to follow.
    let list = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n";
    fs::write(home.path().join("list.mp4"), list).expect("written");
    let other = home.path().join("clip.mp4");
    let list = list.replace("http://127.0.0.1:9/a.ts", &format!("file://{}", other.display()));
    fs::write(home.path().join("hls.mp4"), list).expect("written");
    fs::write(home.path().join("concat.mp4"), "ffconcat version 1.0\nfile clip.mp4\n").expect("written");
    let check = |line: &str, code: i32, words: &str| {
        let args: Vec<_> = line.split_whitespace().collect();
        let output = home.expect(code, &[&["batch"], &args[..]].concat());
        assert!(errors(&output).contains(words), "{line}: {}", errors(&output));
        assert!(!home.path().join("out.mp4").exists(), "{line}");
    };
    check("text.mp4 -o out.mp4", 1, "text.mp4: can't be read as a video");
    check("cut.mp4 -o out.mp4", 1, "cut.mp4");
    check("list.mp4 -o out.mp4", 1, "list.mp4");
    check("hls.mp4 -o out.mp4", 1, "hls.mp4: can't be read as a video");
    check("concat.mp4 -o out.mp4", 1, "concat.mp4: can't be read as a video");
    check("sound.mp4 -o out.mp4", 1, "no moving pictures");
    check("clip.mp4 -o out.avi", 2, "its extension must say");
    check("clip.mp4 -o clip.mp4", 2, "is the video itself");
    check("clip.mp4 text.mp4 -o out.mp4", 2, "draw it by itself");
    check("clip.mp4 -o out.mp4 --shard 1/2", 2, "--shard");
    check("clip.mp4 -o out.mp4 --format png", 2, "--format");
    check("clip.mp4 -o out.mp4 --damping 2", 2, "from 0 to 1");
    check("clip.mp4 -o out.mp4 --style nobody", 2, "there is no style `nobody`");
    check("missing.mp4 -o out.mp4", 2, "missing.mp4");

    let mut command = home.utsushi(&["batch", "clip.mp4", "-o", "out.mp4"]);
    command.env("PATH", "/nonexistent");
    let output = finish(command);
    assert_code(&output, 1, &["without ffmpeg"]);
    assert!(errors(&output).contains("install the package `ffmpeg`"), "{}", errors(&output));

    // All is well, and what is there may stay.
    home.expect(0, &["batch", "clip.mp4", "-o", "new/folder"]);
    let modified =
        || home.path().join("new/folder/clip.mp4").metadata().expect("a video").modified().expect("a time");
    let before = modified();
    home.expect(0, &["batch", "clip.mp4", "-o", "new/folder", "--skip-existing"]);
    assert_eq!(modified(), before);
}

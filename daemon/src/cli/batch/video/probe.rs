//! What ffprobe tells of a video, checked.

use std::fmt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail};
use serde::Deserialize;
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};

use super::tool;

/// Above this rate, the time stamps' unit is meant, and not the frames'.
const MAX_RATE: f64 = 250.0;
/// By how much the mean rate may differ from the frames' if that is constant.
const TOLERANCE: f64 = 0.01;

/// A video, as far as it has to be known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clip {
    /// The pictures' stream.
    pub(super) stream: u32,
    /// 8-bit RGB, upright.
    pub(super) raster: Raster,
    pub(super) rate: Ratio,
    /// Its frames come at other times than `rate` says.
    pub(super) is_variable: bool,
    /// When the first frame begins after the file's beginning, as where the sound is first; it will stand for that
    /// much longer. 0 for less than a frame, so that there are as many frames as before.
    pub(super) delay_s: f64,
    /// About how many there will be.
    pub(super) frames: Option<u64>,
    /// Ticks a second of the pictures' clock, if each frame begins at a tick.
    pub(super) clock: Option<u32>,
    /// A pixel's width by its height.
    pub(super) pixel_shape: Option<Ratio>,
    pub(super) colour: Colour,
    /// It has more than 8 bits a sample, which are lost.
    pub(super) is_deep: bool,
    /// Each frame holds two moments, in alternate lines.
    pub(super) is_interlaced: bool,
    /// It has transparency, which is lost.
    pub(super) has_alpha: bool,
    pub(super) sounds: Vec<Sound>,
    /// It has sound that ffmpeg doesn't know, which is lost.
    pub(super) has_unknown_sound: bool,
    /// It has subtitles, which are lost.
    pub(super) has_subtitles: bool,
}

/// A stream of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sound {
    pub(super) stream: u32,
    /// As ffmpeg calls it.
    pub(super) codec: String,
}

/// How samples stand for colours. What the file doesn't say remains unsaid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Colour {
    pub(super) is_full_range: bool,
    /// As ffmpeg's filter `scale` calls it.
    pub(super) matrix: &'static str,
    /// As ffmpeg's options call what the file says: `-colorspace`, `-color_primaries`, `-color_trc`.
    pub(super) tags: Vec<(&'static str, String)>,
}

/// A fraction above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    pub(super) over: u32,
    pub(super) under: u32,
}

#[derive(Deserialize)]
struct Told {
    streams: Vec<Stream>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    start_time: Option<String>,
    duration: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    index: u32,
    codec_type: Option<String>,
    codec_name: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    pix_fmt: Option<String>,
    sample_aspect_ratio: Option<String>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    time_base: Option<String>,
    nb_frames: Option<String>,
    nb_read_packets: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    field_order: Option<String>,
    color_range: Option<String>,
    color_space: Option<String>,
    color_primaries: Option<String>,
    color_transfer: Option<String>,
    #[serde(default)]
    side_data_list: Vec<SideData>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    tags: Tags,
}

#[derive(Default, Deserialize)]
struct Tags {
    #[serde(alias = "ALPHA_MODE")]
    alpha_mode: Option<String>,
}

#[derive(Deserialize)]
struct SideData {
    /// In degrees.
    rotation: Option<f64>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    /// It is a cover, and no video.
    #[serde(default)]
    attached_pic: u8,
}

/// Has ffprobe look at a file.
pub(super) fn probe(path: &Path) -> anyhow::Result<Clip> {
    ask(path, &["-show_streams", "-show_format"])
        .and_then(understand)
        .with_context(|| path.display().to_string())
}

/// How many frames there are in a file with one stream of pictures.
pub(super) fn count_frames(path: &Path) -> anyhow::Result<u64> {
    let told = ask(path, &["-select_streams", "v", "-count_packets", "-show_streams"])?;
    let count = told.streams.first().and_then(|stream| stream.nb_read_packets.as_deref());
    Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
}

fn ask(path: &Path, what: &[&str]) -> anyhow::Result<Told> {
    let mut command = tool::command("ffprobe");
    command.args(["-print_format", "json"]).args(what).stdin(Stdio::null());
    tool::read(&mut command, path);
    let output = command.output().map_err(|error| tool::cannot_start("ffprobe", &error))?;
    if !output.status.success() {
        bail!("can't be read as a video: {}", tool::last_line(&String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).context("ffprobe's answer")
}

fn understand(told: Told) -> anyhow::Result<Clip> {
    let is = |stream: &Stream, kind: &str| stream.codec_type.as_deref() == Some(kind);
    let pictures = |stream: &&Stream| is(stream, "video") && stream.disposition.attached_pic == 0;
    let stream = told.streams.iter().find(pictures).context("there are no moving pictures in it")?;

    let turned = stream.side_data_list.iter().find_map(|data| data.rotation).unwrap_or(0.0).rem_euclid(180.0);
    let is_on_its_side = (89.0..=91.0).contains(&turned);
    let (width, height) = (stream.width.unwrap_or(0), stream.height.unwrap_or(0));
    let (width, height) = if is_on_its_side { (height, width) } else { (width, height) };
    let raster = Raster::new(width, height, PixelFormat { channels: Channels::Rgb, depth: Depth::U8 })?;

    let ratio = |text: &Option<String>| text.as_deref().and_then(Ratio::parse);
    let mean = ratio(&stream.avg_frame_rate);
    let rate = ratio(&stream.r_frame_rate).filter(|rate| rate.value() <= MAX_RATE).or(mean);
    let rate = rate
        .filter(|rate| rate.value() <= MAX_RATE)
        .context("it doesn't say how many frames a second it has")?;
    let is_variable = mean.is_some_and(|mean| (mean.value() / rate.value() - 1.0).abs() > TOLERANCE);

    let format = told.format.as_ref();
    let seconds =
        |text: &Option<String>| text.as_deref()?.parse::<f64>().ok().filter(|time| time.is_finite());
    let length =
        seconds(&stream.duration).or_else(|| seconds(&format?.duration)).filter(|length| *length > 0.0);
    let begins = seconds(&stream.start_time).zip(format.and_then(|format| seconds(&format.start_time)));
    let delay_s = begins.map_or(0.0, |(pictures, file)| pictures - file);
    let delay_s = if delay_s * rate.value() < 1.0 { 0.0 } else { delay_s };
    let by_length = length.map(|length| (length * rate.value()).round() as u64);
    let counted = stream.nb_frames.as_deref().and_then(|frames| frames.parse().ok());
    let frames = if is_variable { by_length.or(counted) } else { counted.or(by_length) };

    let pixel_shape = ratio(&stream.sample_aspect_ratio).filter(|shape| shape.over != shape.under);
    let pixel_shape = pixel_shape.map(|Ratio { over, under }| match is_on_its_side {
        true => Ratio { over: under, under: over },
        false => Ratio { over, under },
    });
    let pixels = stream.pix_fmt.as_deref().unwrap_or_default();
    let (known, unknown): (Vec<_>, Vec<_>) = told
        .streams
        .iter()
        .filter(|stream| is(stream, "audio"))
        .partition(|stream| stream.codec_name.is_some());
    let sound = |stream: &Stream| Some(Sound { stream: stream.index, codec: stream.codec_name.clone()? });
    Ok(Clip {
        stream: stream.index,
        raster,
        rate,
        is_variable,
        delay_s,
        frames,
        clock: ratio(&stream.time_base).and_then(|tick| clock(tick, rate)),
        pixel_shape,
        colour: colour(stream, pixels),
        is_deep: ["p10", "p12", "p14", "p16", "gray1", "48", "64"].iter().any(|deep| pixels.contains(deep)),
        is_interlaced: matches!(stream.field_order.as_deref(), Some("tt" | "bb" | "tb" | "bt")),
        // A WebM's transparency is a second picture beside the one that is decoded.
        has_alpha: stream.tags.alpha_mode.as_deref() == Some("1")
            || ["rgba", "argb", "bgra", "abgr", "gbrap", "yuva", "ya8", "ya16"]
                .iter()
                .any(|alpha| pixels.starts_with(alpha)),
        sounds: known.into_iter().filter_map(sound).collect(),
        has_unknown_sound: !unknown.is_empty(),
        has_subtitles: told.streams.iter().any(|stream| is(stream, "subtitle")),
    })
}

/// Ticks a second.
fn clock(tick: Ratio, rate: Ratio) -> Option<u32> {
    let ticks = u64::from(tick.under) * u64::from(rate.under);
    (tick.over == 1 && ticks.is_multiple_of(u64::from(rate.over))).then_some(tick.under)
}

fn colour(stream: &Stream, pixels: &str) -> Colour {
    // Anything else is none of ffmpeg's names.
    let told = |text: &Option<String>| {
        let is_name = |name: &&str| !matches!(*name, "unknown" | "reserved" | "gbr" | "");
        text.as_deref().filter(is_name).map(str::to_owned)
    };
    let is_rgb = ["rgb", "bgr", "gbr", "pal8", "0rgb"].iter().any(|rgb| pixels.contains(rgb));
    let mut space = told(&stream.color_space);
    if is_rgb {
        // The result is not, and has to say what it is.
        space = Some("bt709".into());
    }
    let matrix = match space.as_deref() {
        Some("bt709") => "bt709",
        Some("fcc") => "fcc",
        Some("smpte240m") => "smpte240m",
        Some("bt2020nc" | "bt2020c") => "bt2020",
        // What ffmpeg takes those for that don't say.
        _ => "bt601",
    };
    let tags = [
        ("-colorspace", space),
        ("-color_primaries", told(&stream.color_primaries)),
        ("-color_trc", told(&stream.color_transfer)),
    ];
    Colour {
        is_full_range: !is_rgb && (stream.color_range.as_deref() == Some("pc") || pixels.starts_with("yuvj")),
        matrix,
        tags: tags.into_iter().filter_map(|(option, name)| Some((option, name?))).collect(),
    }
}

impl Ratio {
    /// `30000/1001` and `4:3`.
    fn parse(text: &str) -> Option<Self> {
        let (over, under) = text.split_once(['/', ':'])?;
        let (over, under) = (over.parse().ok()?, under.parse().ok()?);
        (over > 0 && under > 0).then_some(Self { over, under })
    }

    pub(super) fn value(self) -> f64 {
        f64::from(self.over) / f64::from(self.under)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.over, self.under)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What is understood of a stream with these differences from a plain one.
    fn clip(differences: Value) -> Option<Clip> {
        let mut stream = json!({
            "index": 0, "codec_type": "video", "codec_name": "h264", "width": 160, "height": 90, "pix_fmt": "yuv420p",
            "r_frame_rate": "30000/1001", "avg_frame_rate": "30000/1001", "time_base": "1/30000", "nb_frames": "60",
        });
        for (key, value) in differences.as_object().unwrap() {
            stream[key] = value.clone();
        }
        let cover = json!({
            "index": 7, "codec_type": "video", "width": 9, "height": 9, "r_frame_rate": "90000/1",
            "disposition": {"attached_pic": 1},
        });
        let sound = json!({"index": 1, "codec_type": "audio", "codec_name": "aac"});
        let told =
            json!({"streams": [cover, stream, sound], "format": {"start_time": "0.5", "duration": "2.5"}});
        understand(serde_json::from_value(told).unwrap()).ok()
    }

    #[test]
    fn plain() {
        let clip = clip(json!({})).unwrap();
        assert_eq!((clip.stream, clip.raster.width(), clip.raster.height()), (0, 160, 90));
        assert_eq!(
            (clip.rate.to_string().as_str(), clip.is_variable, clip.frames),
            ("30000/1001", false, Some(60))
        );
        assert_eq!((clip.clock, clip.pixel_shape, clip.is_deep), (Some(30000), None, false));
        assert_eq!(clip.sounds, [Sound { stream: 1, codec: "aac".into() }]);
        assert_eq!((clip.has_unknown_sound, clip.has_subtitles, clip.has_alpha), (false, false, false));
        assert_eq!(clip.colour, Colour { is_full_range: false, matrix: "bt601", tags: vec![] });
    }

    #[test]
    fn turned() {
        fn check(rotation: f64, shape: &str, size: (u32, u32), expected: Option<&str>) {
            let clip = clip(json!({
                "side_data_list": [{"side_data_type": "Display Matrix", "rotation": rotation}],
                "sample_aspect_ratio": shape,
            }));
            let clip = clip.unwrap();
            assert_eq!((clip.raster.width(), clip.raster.height()), size, "{rotation}");
            let shape = clip.pixel_shape.map(|shape| shape.to_string());
            assert_eq!(shape.as_deref(), expected, "{rotation} {shape:?}");
        }
        check(0.0, "1:1", (160, 90), None);
        check(-90.0, "4:3", (90, 160), Some("3/4"));
        check(90.0, "0:1", (90, 160), None);
        check(270.0, "4:3", (90, 160), Some("3/4"));
        check(-180.0, "4:3", (160, 90), Some("4/3"));
    }

    #[test]
    fn times() {
        fn check(rate: &str, mean: &str, expected: Option<(&str, bool, u64)>) {
            let found = clip(json!({"r_frame_rate": rate, "avg_frame_rate": mean}));
            let found = found.map(|clip| (clip.rate.to_string(), clip.is_variable, clip.frames.unwrap()));
            let found = found.as_ref().map(|(rate, variable, frames)| (rate.as_str(), *variable, *frames));
            assert_eq!(found, expected, "{rate} {mean}");
        }
        check("25/1", "25/1", Some(("25/1", false, 60)));
        check("30/1", "2997/100", Some(("30/1", false, 60)));
        check("60/1", "473/10", Some(("60/1", true, 150)));
        check("90000/1", "24/1", Some(("24/1", false, 60)));
        check("90000/1", "0/0", None);
        check("0/0", "0/0", None);
        check("1000/1", "1000/1", None);

        let delay_s = |start: &str| clip(json!({"start_time": start})).unwrap().delay_s;
        assert_eq!(["0.5", "0.75", "0.52", "0.25", "nan"].map(delay_s), [0.0, 0.25, 0.0, 0.0, 0.0]);
        assert_eq!(clip(json!({"time_base": "1/1000"})).unwrap().clock, None);
        assert_eq!(clip(json!({"time_base": "1/90000"})).unwrap().clock, Some(90_000));
    }

    #[test]
    fn colours() {
        fn check(differences: Value, is_full_range: bool, matrix: &str, tags: &[(&str, &str)]) {
            let colour = clip(differences.clone()).unwrap().colour;
            assert_eq!((colour.is_full_range, colour.matrix), (is_full_range, matrix), "{differences}");
            let found: Vec<_> = colour.tags.iter().map(|(option, name)| (*option, name.as_str())).collect();
            assert_eq!(found, tags, "{differences}");
        }
        check(
            json!({"color_space": "bt709", "color_primaries": "bt709", "color_transfer": "unknown"}),
            false,
            "bt709",
            &[("-colorspace", "bt709"), ("-color_primaries", "bt709")],
        );
        check(json!({"color_range": "pc"}), true, "bt601", &[]);
        check(json!({"pix_fmt": "yuvj420p"}), true, "bt601", &[]);
        check(json!({"color_space": "smpte170m"}), false, "bt601", &[("-colorspace", "smpte170m")]);
        check(
            json!({"pix_fmt": "gbrp", "color_space": "gbr", "color_range": "pc"}),
            false,
            "bt709",
            &[("-colorspace", "bt709")],
        );
    }

    #[test]
    fn what_can_not_be_drawn_or_is_lost() {
        assert!(clip(json!({"codec_type": "data"})).is_none());
        assert!(clip(json!({"width": 0})).is_none());
        assert!(clip(json!({"width": 1 << 20})).is_none());
        assert!(clip(json!({"pix_fmt": "yuv420p10le"})).unwrap().is_deep);
        assert!(clip(json!({"pix_fmt": "yuva444p10le"})).unwrap().has_alpha);
        assert!(clip(json!({"tags": {"alpha_mode": "1"}})).unwrap().has_alpha);
        assert!(!clip(json!({"tags": {"ENCODER": "x"}})).unwrap().has_alpha);
        let is_interlaced = |order: &str| clip(json!({"field_order": order})).unwrap().is_interlaced;
        assert_eq!(["progressive", "unknown", "tt", "bt"].map(is_interlaced), [false, false, true, true]);
    }
}

//! What ffmpeg is told: to take a video apart into raw frames, and to put frames and the source's sound together.

use std::path::Path;
use std::process::{Command, Stdio};

use super::container::Container;
use super::probe::{Clip, Sound};
use super::tool;

/// Enlarges what colour there is smoothly, so that the style doesn't see steps; and reduces it again to what it was.
const ENLARGING: &str = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";
const REDUCING: &str = "flags=area+accurate_rnd+full_chroma_inp";

/// Writes the frames to standard output, upright, at a constant rate from the first on.
pub(super) fn decoder(source: &Path, clip: &Clip) -> Command {
    let mut command = tool::command("ffmpeg");
    command.arg("-nostdin");
    tool::read(&mut command, source);
    command.args(["-map", &format!("0:{}", clip.stream), "-r", &clip.rate.to_string()]);
    let (matrix, range) = (clip.colour.matrix, range(clip));
    let enlarge = format!("scale=in_color_matrix={matrix}:in_range={range}:{ENLARGING}");
    // The style would draw the combs that two moments make of what moves.
    let one_moment = if clip.is_interlaced { "bwdif=mode=send_frame," } else { "" };
    command.args(["-vf", &format!("setpts=PTS-STARTPTS,{one_moment}{enlarge},format=rgb24")]);
    command.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Reads frames from standard input, takes sound, chapters and titles from the source, and replaces `output`.
pub(super) fn encoder(source: &Path, clip: &Clip, container: Container, output: &Path) -> Command {
    let (width, height) = (clip.raster.width(), clip.raster.height());
    let mut command = tool::command("ffmpeg");
    command.args([
        "-nostdin",
        "-y",
        "-itsoffset",
        &clip.delay_s.to_string(),
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
    ]);
    let (size, rate) = (format!("{width}x{height}"), clip.rate.to_string());
    command.args(["-video_size", &size, "-framerate", &rate, "-i", "pipe:0"]);
    tool::read(&mut command, source);
    command.args(["-map", "0:v", "-map_metadata", "1", "-map_chapters", "1"]);

    let (matrix, range, pixels) = (clip.colour.matrix, range(clip), container.pixels(width, height));
    let mut filter = format!("scale=out_color_matrix={matrix}:out_range={range}:{REDUCING},format={pixels}");
    if let Some(shape) = clip.pixel_shape {
        filter += &format!(",setsar={shape}");
    }
    command.args(["-vf", &filter, "-color_range", range]);
    for (option, name) in &clip.colour.tags {
        command.args([*option, name.as_str()]);
    }
    command.args(container.encoding());
    if let Some(clock) = clip.clock.filter(|_| container.has_clock()) {
        command.args(["-video_track_timescale", &clock.to_string()]);
    }
    for (index, Sound { stream, codec }) in clip.sounds.iter().enumerate() {
        let encoder = container.sound(codec);
        command.args(["-map", &format!("1:{stream}"), &format!("-c:a:{index}"), encoder]);
        if encoder == "libopus" {
            // It takes no others, as that of AC-3, 5.1(side), is.
            let layouts = "aformat=channel_layouts=mono|stereo|3.0|quad|5.0|5.1|6.1|7.1";
            command.args([&format!("-filter:a:{index}"), layouts]);
        }
    }
    command.args(["-f", container.name()]).arg(tool::file(output));
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command
}

fn range(clip: &Clip) -> &'static str {
    if clip.colour.is_full_range { "pc" } else { "tv" }
}

//! Requests that are meant for another command, or for a video: each is refused with the line that does it.

use std::path::{Path, PathBuf};

use super::super::Usage;
use super::is_video;
use crate::picture::Format;

/// Refuses an output that is named as a file is, unless the user has a folder of this name, or says that it is one by
/// a slash. The input is no video here.
pub(super) fn check(inputs: &[PathBuf], output: &Path) -> Result<(), Usage> {
    let is_said_to_be_a_folder = output.as_os_str().as_encoded_bytes().ends_with(b"/");
    if is_said_to_be_a_folder || output.exists() {
        return Ok(());
    }
    let shown = output.display();
    let message = match inputs {
        // What is missing is told of when it is looked for.
        [input] if !input.exists() && is_no_pattern(input) => return Ok(()),
        [input] if input.is_file() && Format::from_path(output).is_some() => {
            let input = input.display();
            format!("a batch draws into a folder; draw one picture with `utsushi stylize {input} -o {shown}`")
        }
        [input] if input.is_file() && is_video(output) => {
            let (video, input) = (input.with_extension("mp4"), input.display());
            let video = video.display();
            format!(
                "{input} is no video that Utsushi reads; make one of it with `ffmpeg -i {input} {video}`, and draw \
                 that with `utsushi batch {video} -o {shown}`"
            )
        }
        _ if Format::from_path(output).is_some() || is_video(output) => {
            format!(
                "a batch draws into a folder, and {shown} is named as a file is; name a folder, or, if it is one, \
                 write {shown}/"
            )
        }
        _ => return Ok(()),
    };
    Err(Usage::new(message))
}

fn is_no_pattern(input: &Path) -> bool {
    let input = input.to_string_lossy();
    glob::Pattern::escape(&input) == input
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_right_command_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a.png", "a.gif", "b.png"] {
            fs::write(path(name), "").unwrap();
        }
        fs::create_dir(path("in")).unwrap();
        fs::create_dir(path("there.png")).unwrap();
        let check = |inputs: &[&str], output: &str, expected: Option<&str>| {
            let inputs: Vec<_> = inputs.iter().map(|input| path(input)).collect();
            let told = check(&inputs, &path(output)).err().map(|error| error.to_string());
            let told = told.map(|told| told.replace(&format!("{}/", folder.path().display()), ""));
            match (told, expected) {
                (None, None) => {}
                (Some(told), Some(expected)) => assert!(told.contains(expected), "{told}"),
                (told, _) => panic!("{inputs:?} {output}: {told:?}, not {expected:?}"),
            }
        };
        check(&["a.png"], "out", None);
        check(&["a.png"], "x.png/", None);
        check(&["a.png"], "there.png", None);
        check(&["a.png"], "v1.2", None);
        check(&["a.png"], "x.png", Some("`utsushi stylize a.png -o x.png`"));
        check(&["a.gif"], "x.mkv", Some("`utsushi batch a.mp4 -o x.mkv`"));
        check(&["a.gif"], "x.mkv", Some("`ffmpeg -i a.gif a.mp4`"));
        check(&["in"], "x.png", Some("or, if it is one, write x.png/"));
        check(&["in"], "x.mp4", Some("name a folder"));
        check(&["a.png", "b.png"], "x.jpg", Some("name a folder"));
        check(&["*.png"], "x.jpg", Some("name a folder"));
        check(&["missing.mp4"], "x.mp4", None);
    }
}

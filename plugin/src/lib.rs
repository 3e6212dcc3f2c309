//! Utsushi's plug-in for GIMP: Filters > Utsushi > Stylize…, which has the daemon draw a layer anew, and an operation for
//! GEGL, Stylize live…, which does so on the canvas.
//!
//! One binary serves GIMP 2.10 and 3, and is built without either. Which of them started it is told by the arguments,
//! not by the libraries that are installed, since both may be. The operation is this library, which GEGL loads into
//! whatever process it is in, GIMP's own too: it begins in `ffi::operation`, and what it does is in `operation`.
//!
//! What GIMP calls is in `host2` and `host3`, one a generation, which are thin; `params` says what the filter can be asked
//! for, `filter` does it, and sees a layer only as a `filter::Host`; `dialog` is the same for both, over `ffi`'s widgets.
//! Only `ffi` and the hosts call C, and no panic passes from them into C.

mod choice;
mod dialog;
#[cfg(test)]
mod fake;
mod ffi;
mod filter;
mod gallery;
mod host;
mod host2;
mod host3;
mod kept;
mod live;
mod operation;
mod params;
mod procedure;
mod region;
mod screen;
mod trouble;
mod view;
mod warm;
mod words;

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::ExitCode;
use std::ptr;

/// Runs the plug-in, by the arguments of this process.
pub fn run() -> ExitCode {
    let Some(generation) = Generation::of(&std::env::args().collect::<Vec<_>>()) else {
        eprintln!("utsushi-gimp: this program is started by GIMP, from its plug-ins folder");
        return ExitCode::FAILURE;
    };
    let arguments = std::env::args_os().map(|argument| CString::new(argument.into_vec()));
    let arguments: Vec<CString> =
        arguments.map(|argument| argument.expect("the system gave C strings")).collect();
    let mut pointers: Vec<_> = arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    pointers.push(ptr::null_mut());

    ffi::gegl::without_operations();
    // GIMP calls the plug-in by its whole path.
    let program = std::env::args_os().next().unwrap_or_default();
    ffi::gettext::bind(&Path::new(&program).with_file_name("locale"));
    let served = match generation {
        Generation::Gimp2 => host2::serve(&mut pointers),
        Generation::Gimp3 => host3::serve(&mut pointers),
    };
    match served {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("utsushi-gimp: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The GIMP that started the plug-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    Gimp2,
    Gimp3,
}
impl Generation {
    /// GIMP 2.10 calls `PROGRAM -gimp READ WRITE MODE STACK`, GIMP 3 `PROGRAM -gimp PROTOCOL READ WRITE MODE STACK`;
    /// the mode is `-query`, `-init` or `-run`, the others are numbers.
    fn of(arguments: &[String]) -> Option<Self> {
        let [_, flag, numbers @ .., mode, stack] = arguments else { return None };
        let is_number = |number: &String| number.parse::<u32>().is_ok();
        if flag != "-gimp" || !mode.starts_with('-') || !is_number(stack) || !numbers.iter().all(is_number) {
            return None;
        }
        match numbers.len() {
            2 => Some(Self::Gimp2),
            3 => Some(Self::Gimp3),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_tell_the_generation() {
        for (arguments, expected) in [
            ("utsushi-gimp -gimp 10 11 -query 0", Some(Generation::Gimp2)),
            ("utsushi-gimp -gimp 10 11 -run 2", Some(Generation::Gimp2)),
            ("utsushi-gimp -gimp 277 10 11 -query 0", Some(Generation::Gimp3)),
            ("utsushi-gimp -gimp 279 10 11 -run 0", Some(Generation::Gimp3)),
            ("utsushi-gimp -gimp 1 277 10 11 -run 0", None),
            ("utsushi-gimp -gimp 10 11 0 0", None),
            ("utsushi-gimp -gimp 10 -run 0", None),
            ("utsushi-gimp -gimp a b -run d", None),
            ("utsushi-gimp -gimp", None),
            ("utsushi-gimp --help", None),
            ("utsushi-gimp", None),
        ] {
            let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
            assert_eq!(Generation::of(&arguments), expected, "{arguments:?}");
        }
        assert_eq!(Generation::of(&[]), None);
    }
}

//! Utsushi's plug-in for GIMP: a beginning, which tells which GIMP started it and can't do more yet.
//!
//! One binary serves GIMP 2.10 and 3. Which of them started it is told by the arguments, not by the libraries
//! that are installed, since both may be.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match Host::of(&args) {
        Some(host) => eprintln!("utsushi-gimp: started by {host:?}; this version has no filter yet"),
        None => eprintln!("utsushi-gimp: this program is started by GIMP, from its plug-ins folder"),
    }
    ExitCode::FAILURE
}

/// The GIMP that started the plug-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    Gimp2,
    Gimp3,
}

impl Host {
    /// GIMP 2.10 calls `PROGRAM -gimp READ WRITE MODE STACK`, GIMP 3 `PROGRAM -gimp PROTOCOL READ WRITE MODE STACK`.
    fn of(args: &[String]) -> Option<Self> {
        let (_, [flag, numbers @ ..]) = args.split_first()? else { return None };
        if flag != "-gimp" || numbers.iter().any(|n| n.parse::<u32>().is_err()) {
            return None;
        }
        match numbers.len() {
            4 => Some(Self::Gimp2),
            5 => Some(Self::Gimp3),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_tell_the_host() {
        for (args, host) in [
            ("utsushi-gimp -gimp 10 11 0 0", Some(Host::Gimp2)),
            ("utsushi-gimp -gimp 277 10 11 0 0", Some(Host::Gimp3)),
            ("utsushi-gimp -gimp 10 11 0", None),
            ("utsushi-gimp -gimp a b c d", None),
            ("utsushi-gimp --help", None),
            ("utsushi-gimp", None),
        ] {
            let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
            assert_eq!(Host::of(&args), host, "{args:?}");
        }
        assert_eq!(Host::of(&[]), None);
    }
}

//! How the daemon is, in words for people, the same from every program.

use crate::protocol::Status;

/// What is said instead if there is no daemon.
pub const NOT_RUNNING: &str =
    "no daemon is running; drawing a picture starts one, and so does `utsushi serve`";

/// A few lines.
pub fn describe(status: &Status) -> String {
    let Status { version, pid, loaded, device, resident_bytes, budget_bytes, reserved_bytes, .. } = status;
    let Status { running, queued, finished, uptime_s, .. } = status;
    let loaded = if loaded.is_empty() { "none loaded".into() } else { loaded.join(", ") };
    format!(
        "daemon  {version}, process {pid}, up {}\n\
         styles  {loaded}\n\
         device  {device}\n\
         memory  {} MiB; {} of {} MiB are set aside for pictures\n\
         queue   {running} being drawn, {queued} waiting, {finished} finished\n",
        uptime(*uptime_s),
        resident_bytes >> 20,
        reserved_bytes >> 20,
        budget_bytes >> 20,
    )
}

fn uptime(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (minutes, hours, days) {
        (0, ..) => format!("{seconds} s"),
        (_, 0, _) => format!("{minutes} min"),
        (_, _, 0) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes() {
        fn check(seconds: u64, expected: &str) {
            assert_eq!(uptime(seconds), expected);
        }
        check(0, "0 s");
        check(59, "59 s");
        check(60, "1 min");
        check(3599, "59 min");
        check(3600, "1 h 0 min");
        check(86_399, "23 h 59 min");
        check(90_000, "1 d 1 h");
    }

    #[test]
    fn descriptions() {
        let status = Status {
            version: "0.1.0".into(),
            pid: 7,
            loaded: vec!["cel".into(), "ink".into()],
            device: "CPU".into(),
            resident_bytes: 120 << 20,
            budget_bytes: 4 << 30,
            reserved_bytes: 70 << 20,
            running: 1,
            queued: 2,
            finished: 3,
            uptime_s: 60,
        };
        assert_eq!(
            describe(&status),
            "daemon  0.1.0, process 7, up 1 min\n\
             styles  cel, ink\n\
             device  CPU\n\
             memory  120 MiB; 70 of 4096 MiB are set aside for pictures\n\
             queue   1 being drawn, 2 waiting, 3 finished\n"
        );
    }
}

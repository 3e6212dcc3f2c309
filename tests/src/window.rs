//! GIMP with its window, on a screen of its own, and a picture in it.
//!
//! GIMP runs a script from the start, which evaluates what it finds in files: so a test saves the picture at any time,
//! and compares what a person's keys have done bit for bit, not only as far as it can be seen.

use std::fs::{self, File};
use std::process::Child;

use crate::gimp::{Session, skipped};
use crate::screen::{self, Screen};

/// A GIMP in which a person works.
pub struct Window<'a> {
    session: &'a Session,
    /// It ends before its screen does.
    gimp: Gimp,
    screen: Screen,
    evaluated: u32,
}

struct Gimp(Child);

impl<'a> Window<'a> {
    /// Opens a picture of the session's folder; nothing if there is no screen to be had.
    pub fn open(session: &'a Session, picture: &str) -> Option<Self> {
        if !screen::is_available() {
            skipped("Xvfb, openbox or xdotool is not installed");
            return None;
        }
        // GIMP 3 asks nothing of those who have seen this version before.
        let settings = "(show-welcome-dialog no) (check-updates no) (config-version \"99.0.0\")";
        if session.gimp().version != "2.10" {
            fs::write(session.home().path().join("profile/gimprc"), settings).expect("written");
        }
        let screen = Screen::new();
        // It ends with the profile at the latest.
        let script = format!(
            r#"(define the-image #f) (define the-layer #f)
            {open}
            (define image the-image) (define layer the-layer)
            (gimp-display-new image)
            (let loop ((n 0))
                (usleep 20000)
                (let ((name (string-append "{folder}/" (number->string n))))
                    (cond
                        ((file-exists? (string-append name ".wanted"))
                            (load (string-append name ".scm"))
                            (close-output-port (open-output-file (string-append name ".done")))
                            (loop (+ n 1)))
                        ((file-exists? "{profile}") (loop n)))))"#,
            open = session.open(picture, "(set! the-image image) (set! the-layer layer)"),
            folder = session.inside("."),
            profile = session.inside("profile"),
        );
        let log = File::create(session.home().path().join("gimp.log")).expect("a file");
        let mut command = session.command(&script, Some(&screen));
        command.env("UTSUSHI_TRACE", "1");
        command.stdout(log.try_clone().expect("the same file")).stderr(log);
        let gimp = Gimp(command.spawn().expect("GIMP starts"));
        Some(Self { session, gimp, screen, evaluated: 0 })
    }

    /// The screen.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Waits for something that has to be seen, while GIMP runs.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut is_seen: impl FnMut(&Screen) -> bool) {
        let Self { gimp, screen, session, .. } = self;
        screen.wait_until(what, || {
            if let Some(status) = gimp.0.try_wait().expect("a child") {
                panic!("GIMP ended ({status}) before {what}; it said:\n{}", log(session));
            }
            is_seen(screen)
        });
    }

    /// What GIMP and the plug-in have said.
    pub fn log(&self) -> String {
        log(self.session)
    }

    /// GTK has nothing to complain of in the plug-in.
    #[track_caller]
    pub fn assert_no_complaints(&self) {
        let log = self.log();
        let complaints: Vec<_> =
            log.lines().filter(|line| line.contains("(utsushi-gimp:") && line.contains("CRITICAL")).collect();
        assert!(complaints.is_empty(), "GIMP {}: {complaints:?}", self.session.gimp().version);
    }

    /// Waits until GIMP or the plug-in says this, `times` times by now.
    #[track_caller]
    pub fn wait_for_words(&mut self, words: &str, times: usize) {
        let session = self.session;
        self.wait_until(&format!("{words:?} is said"), |_| log(session).matches(words).count() >= times);
    }

    /// Evaluates this, in which `image` and `layer` are those that were opened.
    #[track_caller]
    pub fn evaluate(&mut self, body: &str) {
        let is_done = self.begin(body);
        self.wait_until("the script has answered", |_| is_done());
    }

    /// The same, without waiting for its end, which the function tells that comes back. One at a time.
    pub fn begin(&mut self, body: &str) -> impl Fn() -> bool + use<> {
        let path =
            |extension: &str| self.session.home().path().join(format!("{}.{extension}", self.evaluated));
        fs::write(path("scm"), body).expect("written");
        fs::write(path("wanted"), "").expect("written");
        let done = path("done");
        self.evaluated += 1;
        move || done.exists()
    }

    /// Saves the picture as it is now.
    #[track_caller]
    pub fn save(&mut self, name: &str) {
        let name = format!("\"{}\"", self.session.inside(name));
        self.evaluate(&self.session.save(&name));
    }
}

impl Drop for Gimp {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn log(session: &Session) -> String {
    fs::read_to_string(session.home().path().join("gimp.log")).unwrap_or_default()
}

//! Notifications, with a button if there is something to see.

use std::thread;

use notify_rust::{Hint, Notification, Urgency};
use tracing::debug;

use super::APP_ID;

/// More than this, and it is for the log.
const MAX_CHARS: usize = 300;

/// Something to tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) title: &'a str,
    pub(super) body: &'a str,
    pub(super) urgency: Urgency,
}

/// A button's words, and what it does.
pub(super) type Button = (&'static str, Box<dyn FnOnce() + Send>);

/// Tells it. The button waits on a thread of its own until the notification is gone.
pub(super) fn tell(words: Words<'_>, button: Option<Button>) {
    let capabilities = match notify_rust::get_capabilities() {
        Ok(capabilities) => capabilities,
        Err(error) => return debug!("{}: nobody can be told: {error}", words.title),
    };
    let can = |what: &str| capabilities.iter().any(|capability| capability == what);
    let body = short(words.body, MAX_CHARS);
    let body = if can("body-markup") { escaped(&body) } else { body };
    let mut notification = Notification::new();
    notification.appname("Utsushi").icon(APP_ID).summary(words.title).body(&body).urgency(words.urgency);
    notification.hint(Hint::DesktopEntry(APP_ID.to_owned()));
    let button = button.filter(|_| can("actions"));
    if let Some((label, _)) = &button {
        notification.action("default", label).action("show", label);
    }
    let shown = match notification.show() {
        Ok(shown) => shown,
        Err(error) => return debug!("{}: nobody can be told: {error}", words.title),
    };
    if let Some((_, act)) = button {
        let wait = move || {
            shown.wait_for_action(|action| {
                if action == "default" || action == "show" {
                    act();
                }
            });
        };
        if let Err(error) = thread::Builder::new().name("notice".into()).spawn(wait) {
            debug!("a notification's button does nothing: {error}");
        }
    }
}

/// Its beginning, if it is long. What there is to do comes early in this program's words.
pub(super) fn short(text: &str, most_chars: usize) -> String {
    match text.chars().count() <= most_chars {
        true => text.to_owned(),
        false => text.chars().take(most_chars - 1).chain(['…']).collect(),
    }
}

/// For where some of HTML is understood.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_short() {
        assert_eq!(short("art: it is full", MAX_CHARS), "art: it is full");
        let long = "名".repeat(1000);
        assert!(short(&long, 9).chars().count() == 9 && short(&long, 9).ends_with('…'));
    }

    #[test]
    fn names_are_no_markup() {
        assert_eq!(escaped("<b>Ink & wash</b>"), "&lt;b&gt;Ink &amp; wash&lt;/b&gt;");
    }
}

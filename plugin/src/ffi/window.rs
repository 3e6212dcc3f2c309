//! GIMP's own dialogs: a plain one in 2.10, that of the procedure in 3, which has last values, Reset and saved settings.

use std::ffi::c_int;
use std::ptr;

use super::gtk2::{self, Gtk2};
use super::gtk3::{self, Gtk3};
use super::widgets::{Own, Ui, Widget};
use super::{Libraries, LoadError, Object, c_string};
use crate::procedure;
use crate::words;

/// The role of the window, by which window managers know it, and the name of the program.
const ROLE: &std::ffi::CStr = c"utsushi-gimp";

/// The response that GTK gives for OK.
pub(crate) const OK: c_int = -5;
/// The response that GTK gives for Cancel.
const CANCEL: c_int = -6;
/// The response of 2.10's button that sets everything to its default.
const RESET: c_int = 1;

/// How a dialog of 2.10 was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok,
    Reset,
    Cancel,
}

impl Ui {
    /// GTK 2 and a dialog.
    ///
    /// # Safety
    ///
    /// Only on the thread on which GIMP 2.10 called, while it waits for the call's end.
    pub(crate) unsafe fn open_2() -> Result<(Self, Widget), LoadError> {
        let libraries = Libraries::open(&gtk2::LIBRARIES)?;
        // SAFETY: these are the libraries of the declarations, and this is the thread. Every text lives until its call
        // returns, and GTK copies it; the buttons end with a null. GTK owns its windows.
        unsafe {
            let gtk = Gtk2::load(libraries)?;
            let ui = Self::load(libraries, Own::Two(gtk))?;
            (gtk.gimp_ui_init)(ROLE.as_ptr(), 0);
            let [title, reset, cancel, ok] =
                [words::TITLE, words::RESET, words::CANCEL, words::OK].map(|word| c_string(word.text()));
            let null = ptr::null_mut();
            let dialog = ui.widget((gtk.gimp_dialog_new)(
                title.as_ptr(),
                ROLE.as_ptr(),
                null,
                0,
                null,
                procedure::STYLIZE.name.as_ptr(),
                reset.as_ptr(),
                RESET,
                cancel.as_ptr(),
                CANCEL,
                ok.as_ptr(),
                OK,
                ptr::null::<u8>(),
            ));
            (gtk.gimp_window_set_transient)(dialog.raw());
            Ok((ui, dialog))
        }
    }

    /// GTK 3 and the procedure's dialog.
    ///
    /// # Safety
    ///
    /// Only on the thread on which GIMP 3 called, while it waits for the call's end; `procedure` must be the procedure that
    /// is running, and `config` its configuration.
    pub(crate) unsafe fn open_3(procedure: Object, config: Object) -> Result<(Self, Widget), LoadError> {
        let libraries = Libraries::open(&gtk3::LIBRARIES)?;
        // SAFETY: as in `open_2`.
        unsafe {
            let gtk = Gtk3::load(libraries)?;
            let ui = Self::load(libraries, Own::Three(gtk))?;
            (gtk.gimp_ui_init)(ROLE.as_ptr());
            let title = c_string(words::TITLE.text());
            let dialog = (gtk.gimp_procedure_dialog_new)(procedure, config, title.as_ptr());
            Ok((ui, ui.widget(dialog)))
        }
    }

    /// An object that isn't GTK's: a configuration.
    ///
    /// # Safety
    ///
    /// It must be a GObject.
    pub(crate) unsafe fn object(self, object: Object) -> Widget {
        // SAFETY: the caller's promise.
        unsafe { self.shared(object) }
    }
}

impl Widget {
    /// Shows the dialog of [`Ui::open_2`] until it is answered.
    pub(crate) fn run_2(&self) -> Answer {
        let Own::Two(gtk) = &self.ui.functions.own else { return Answer::Cancel };
        // SAFETY: GTK checks that it is a dialog.
        match unsafe { (gtk.gimp_dialog_run)(self.raw()) } {
            OK => Answer::Ok,
            RESET => Answer::Reset,
            _ => Answer::Cancel,
        }
    }

    /// Shows the dialog of [`Ui::open_3`] until it is answered; was it OK?
    pub(crate) fn run_3(&self) -> bool {
        let Own::Three(gtk) = &self.ui.functions.own else { return false };
        // SAFETY: GTK checks that it is such a dialog.
        unsafe { (gtk.gimp_procedure_dialog_run)(self.raw()) != 0 }
    }
}

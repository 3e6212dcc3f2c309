//! Translations, by the C library's gettext, as GIMP's own plug-ins have them: a domain, and a folder of catalogues beside
//! the program.

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use super::{Libraries, symbols};

/// The catalogues' name: `locale/LANGUAGE/LC_MESSAGES/utsushi-gimp.mo`.
pub(crate) const DOMAIN: &CStr = c"utsushi-gimp";

symbols! {
    /// The functions.
    Gettext {
        bindtextdomain: unsafe extern "C" fn(*const c_char, *const c_char) -> *const c_char,
        bind_textdomain_codeset: unsafe extern "C" fn(*const c_char, *const c_char) -> *const c_char,
        dgettext: unsafe extern "C" fn(*const c_char, *const c_char) -> *const c_char,
    }
}

static GETTEXT: OnceLock<(Gettext, CString)> = OnceLock::new();

/// Has texts translated by the catalogues in this folder, in the language that GIMP, in its `gimp_main`, chooses for the
/// process. Without catalogues, or a gettext, they stay English.
pub(crate) fn bind(folder: &Path) {
    let Ok(folder) = CString::new(folder.as_os_str().as_bytes()) else { return };
    let Ok(libraries) = Libraries::open(&["libc.so.6"]) else { return };
    // SAFETY: glibc declares them so, as every libc with a gettext does.
    let Ok(gettext) = (unsafe { Gettext::load(libraries) }) else { return };
    // SAFETY: all are C strings, which gettext copies.
    unsafe {
        (gettext.bindtextdomain)(DOMAIN.as_ptr(), folder.as_ptr());
        (gettext.bind_textdomain_codeset)(DOMAIN.as_ptr(), c"UTF-8".as_ptr());
    }
    let _ = GETTEXT.set((gettext, folder));
}

/// Where the catalogues are, if they are bound.
pub(crate) fn folder() -> Option<&'static CStr> {
    GETTEXT.get().map(|(_, folder)| folder.as_c_str())
}

/// The text in the user's language.
pub(crate) fn translate(text: &'static CStr) -> &'static str {
    let translated = GETTEXT.get().map_or(text, |(gettext, _)| {
        // SAFETY: both are C strings. gettext returns the second, or one of the catalogue's, which it keeps for ever and never
        // changes, as nobody binds the domain anew.
        unsafe { CStr::from_ptr((gettext.dgettext)(DOMAIN.as_ptr(), text.as_ptr())) }
    });
    translated.to_str().or_else(|_| text.to_str()).unwrap_or_default()
}

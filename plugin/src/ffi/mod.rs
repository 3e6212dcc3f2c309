//! What is declared by hand of GIMP's libraries, and how it is found: they are opened when the plug-in runs, so that
//! one binary serves every GIMP and none is needed to build it.
//!
//! A library that was opened is never closed: GTK and GObject leave callbacks behind.

#![allow(unsafe_code, reason = "calling C")]

pub(crate) mod canvas;
pub(crate) mod events;
pub(crate) mod gegl;
pub(crate) mod gettext;
pub(crate) mod gimp2;
pub(crate) mod gimp3;
mod gtk;
mod gtk2;
mod gtk3;
pub(crate) mod items;
pub(crate) mod list;
pub(crate) mod operation;
mod values;
pub(crate) mod widgets;
pub(crate) mod window;

use std::ffi::{CString, c_uint, c_void};
use std::panic::{self, AssertUnwindSafe};

use libloading::Library;

/// An object of C's.
pub(crate) type Object = *mut c_void;

/// Why a GIMP can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("can't load {name} ({error}): is this GIMP wholly installed?")]
    Library { name: &'static str, error: libloading::Error },
    #[error("{gimp} lacks what this plug-in calls: {}; install another version of GIMP or of Utsushi", names.join(", "))]
    Symbols { gimp: String, names: Vec<&'static str> },
    #[error("can't make a socket for the preview: {0}")]
    Bell(std::io::Error),
    #[error("{gimp} is built unlike any GIMP that this plug-in knows: {what}")]
    Layout { gimp: String, what: String },
}

/// Open libraries.
pub(crate) struct Libraries(Vec<Library>);

impl Libraries {
    /// Opens all of these, for ever.
    pub(crate) fn open(names: &[&'static str]) -> Result<&'static Self, LoadError> {
        let open = |&name: &&'static str| {
            // SAFETY: GIMP's libraries may be loaded at any time by a plug-in; loading runs their constructors only.
            unsafe { Library::new(name) }.map_err(|error| LoadError::Library { name, error })
        };
        let libraries = names.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Box::leak(Box::new(Self(libraries))))
    }

    /// The symbol's value, if one of the libraries has it.
    ///
    /// # Safety
    ///
    /// `T` must be what the symbol is, and of a pointer's size.
    pub(crate) unsafe fn find<T: Copy>(&self, name: &str) -> Option<T> {
        // SAFETY: the caller promises the type. The libraries are never closed.
        self.0.iter().find_map(|library| unsafe { library.get::<T>(name).ok().map(|symbol| *symbol) })
    }

    /// As in "GIMP 2.10.34".
    pub(crate) fn gimp(&self) -> String {
        let number = |name: &str| {
            // SAFETY: libgimpbase exports these as `const guint`, which stay where they are.
            unsafe { self.find::<*const c_uint>(name).map(|number| *number) }
        };
        match ["gimp_major_version", "gimp_minor_version", "gimp_micro_version"].map(number) {
            [Some(major), Some(minor), Some(micro)] => format!("GIMP {major}.{minor}.{micro}"),
            _ => "this GIMP".into(),
        }
    }
}

/// Declares a struct of symbols, each a field with its type, and `load`, which finds all of them or names those that
/// are missing.
macro_rules! symbols {
    ($(#[$meta:meta])* $name:ident $(<$id:ident>)? { $($symbol:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name $(<$id>)? { $(pub(crate) $symbol: $type,)* }

        impl $(<$id: Copy>)? $name $(<$id>)? {
            /// Finds them all.
            ///
            /// # Safety
            ///
            /// The libraries must be those that these declarations are of.
            pub(crate) unsafe fn load(
                libraries: &$crate::ffi::Libraries,
            ) -> Result<Self, $crate::ffi::LoadError> {
                let mut names = Vec::new();
                $(
                    // SAFETY: the declaration is that of the library, as the caller promises.
                    let $symbol = unsafe { libraries.find::<$type>(stringify!($symbol)) };
                    if $symbol.is_none() {
                        names.push(stringify!($symbol));
                    }
                )*
                match ($($symbol,)*) {
                    ($(Some($symbol),)*) => Ok(Self { $($symbol,)* }),
                    _ => Err($crate::ffi::LoadError::Symbols { gimp: libraries.gimp(), names }),
                }
            }
        }
    };
}
use symbols;

/// Runs what C has called. A panic, which must not unwind into C, becomes an error.
pub(crate) fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let words = payload.downcast_ref::<&str>().copied();
        let words = words.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        format!("a defect of Utsushi's, please report it: {}", words.unwrap_or("it panicked"))
    })
}

/// For C, which ends text at its first NUL.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).expect("no NUL is left")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the libraries are installed; GIMP itself isn't needed. Both generations can't be in one process.
    #[test]
    fn every_symbol_of_2_10_is_found() {
        let names = [&gimp2::LIBRARIES[..], &gegl::LIBRARIES, &gtk2::LIBRARIES].concat();
        let libraries = match Libraries::open(&names) {
            Ok(libraries) => libraries,
            Err(error) => {
                assert!(std::env::var_os("UTSUSHI_REQUIRE_GIMP").is_none(), "{error}");
                eprintln!("skipped: {error}");
                return;
            }
        };
        // SAFETY: these are the libraries of the declarations.
        unsafe {
            gimp2::Gimp2::load(libraries).map(drop).expect("GIMP's own");
            items::Items::<i32>::load(libraries).map(drop).expect("of images and layers");
            gegl::Gegl::load(libraries).map(drop).expect("of GEGL and babl");
            gtk2::Gtk2::load(libraries).map(drop).expect("of 2.10's dialogs");
            gtk::Gtk::load(libraries).map(drop).expect("of GTK");
        }
        assert!(libraries.gimp().starts_with("GIMP 2."), "{}", libraries.gimp());
    }

    #[test]
    fn what_is_missing_is_named() {
        symbols! {
            /// One that the C library has, and two that nobody has.
            Missing {
                getpid: unsafe extern "C" fn() -> std::ffi::c_int,
                utsushi_lacks_this: unsafe extern "C" fn(),
                utsushi_lacks_that: unsafe extern "C" fn(),
            }
        }
        let libraries = Libraries::open(&["libc.so.6"]).expect("the C library");
        // SAFETY: `getpid` is declared as it is, and the others aren't there.
        let found = unsafe { Missing::load(libraries) };
        let found = found.map(|Missing { getpid, utsushi_lacks_this, utsushi_lacks_that }| {
            (getpid as usize, utsushi_lacks_this as usize, utsushi_lacks_that as usize)
        });
        let error = found.expect_err("two are missing");
        let message = error.to_string();
        assert!(
            message.contains("lacks what this plug-in calls: utsushi_lacks_this, utsushi_lacks_that;"),
            "{message}"
        );

        let error = Libraries::open(&["libutsushi-is-nowhere.so.0"]).map(|_| ()).expect_err("there is none");
        assert!(error.to_string().contains("can't load libutsushi-is-nowhere.so.0"), "{error}");
    }

    #[test]
    fn panics_become_words() {
        assert_eq!(guarded(|| 7), Ok(7));
        let message = guarded(|| panic!("row {}", 3)).expect_err("a panic");
        assert!(message.ends_with("row 3"), "{message}");
        assert_eq!(c_string("a\0b").as_bytes(), b"a b");
    }
}

//! Keeps a decoder's panic from ending the program, and its trace from whoever looks at standard error.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// The result of `decode`, which works on this thread alone; or nothing if it panics.
pub(super) fn caught<T>(decode: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // The hook is every thread's; only what is caught here goes without a word.
            if !IS_CAUGHT.get() {
                told(panic);
            }
        }));
    });
    IS_CAUGHT.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(decode)).ok();
    IS_CAUGHT.set(false);
    result
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// In a process of its own, since standard error is.
    #[test]
    fn a_caught_panic_is_not_told_and_others_are() {
        const CHILD: &str = "UTSUSHI_TEST_PANICS";
        if std::env::var_os(CHILD).is_some() {
            assert_eq!(caught(|| panic!("of a decoder")), None::<u8>);
            assert_eq!(caught(|| 5), Some(5));
            assert!(std::thread::spawn(|| panic!("of another")).join().is_err());
            return;
        }
        let name = "picture::panics::tests::a_caught_panic_is_not_told_and_others_are";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert!(told.contains("of another") && !told.contains("of a decoder"), "{told}");
    }
}

//! The seed's row in the dialogs: a number, and a button that throws the dice. GIMP's own widget for seeds takes numbers
//! up to 32 bits, of which scripts' arguments have only 31.

#![allow(unsafe_code, reason = "calling C and being called by it")]

use std::hash::{BuildHasher, Hasher, RandomState};

use utsushi_ipc::protocol::MAX_SEED;

use crate::ffi::seed::SeedWidget;
use crate::ffi::{Libraries, LoadError, Object, guarded};
use crate::params::Param;

/// The widgets.
pub(crate) struct SeedRow {
    /// All of it.
    pub(crate) row: Object,
    /// The number, a `GtkSpinButton`.
    pub(crate) number: Object,
}

/// What the button needs; it lives as long as the button.
struct Dice {
    functions: SeedWidget,
    number: Object,
}

/// A new row, which isn't shown yet.
///
/// # Safety
///
/// The libraries must be those of the GIMP that called, and GTK run.
pub(crate) unsafe fn row(libraries: &Libraries, param: &Param) -> Result<SeedRow, LoadError> {
    // SAFETY: the caller's promise; GTK copies every text, and the row takes over its widgets. GObject hands the dice to
    // `forget` once, when it calls `thrown` no more, and the number goes with the same row.
    unsafe {
        let functions = SeedWidget::load(libraries)?;
        let row = (functions.gtk_hbox_new)(0, 6);
        let number = (functions.gtk_spin_button_new_with_range)(0.0, MAX_SEED as f64, 1.0);
        let button = (functions.gtk_button_new_with_mnemonic)(c"_New seed".as_ptr());
        (functions.gtk_widget_set_tooltip_text)(number, param.help.as_ptr());
        (functions.gtk_widget_set_tooltip_text)(button, c"Throw the dice for another seed".as_ptr());
        (functions.gtk_box_pack_start)(row, number, 1, 1, 0);
        (functions.gtk_box_pack_start)(row, button, 0, 0, 0);
        let dice: Object = Box::into_raw(Box::new(Dice { functions, number })).cast();
        let connect = functions.g_signal_connect_data;
        connect(button, c"clicked".as_ptr(), thrown as *const (), dice, forget, 0);
        Ok(SeedRow { row, number })
    }
}

/// Any seed. The standard library has its random numbers from the system.
fn throw() -> u64 {
    RandomState::new().build_hasher().finish() % (MAX_SEED + 1)
}

/// The button was pressed.
unsafe extern "C" fn thrown(_button: Object, dice: Object) {
    // SAFETY: `row` connected this with its dice, and the number lives as long as the button.
    let thrown = guarded(|| unsafe {
        let Dice { functions, number } = &*dice.cast::<Dice>();
        (functions.gtk_spin_button_set_value)(*number, throw() as f64);
    });
    if let Err(defect) = thrown {
        eprintln!("utsushi-gimp: {defect}");
    }
}

/// The button is gone.
unsafe extern "C" fn forget(dice: Object, _closure: Object) {
    // SAFETY: `row` made them, and this is called once.
    drop(unsafe { Box::from_raw(dice.cast::<Dice>()) });
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn seeds_differ_and_are_seeds() {
        let seeds: HashSet<u64> = (0..100).map(|_| throw()).collect();
        assert!(seeds.len() > 90 && seeds.iter().all(|seed| *seed <= MAX_SEED), "{seeds:?}");
        assert!(seeds.iter().any(|seed| *seed > MAX_SEED / 2), "{seeds:?}");
    }
}

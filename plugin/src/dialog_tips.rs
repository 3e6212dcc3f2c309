//! Tooltips of lists: that of the line which is chosen.

#![allow(unsafe_code, reason = "calling C and being called by it")]

use std::ffi::CString;

use crate::dialog::StyleRow;
use crate::ffi::list::ListWidget;
use crate::ffi::{Libraries, LoadError, Object, c_string, guarded};

/// A list's tooltips, which live as long as the list.
struct Tips {
    functions: ListWidget,
    texts: Vec<CString>,
}

/// Has the list's tooltip follow its choice.
///
/// # Safety
///
/// The libraries must be those of the GIMP that called, and `list` be a `GtkComboBox` with these lines.
pub(crate) unsafe fn follow(libraries: &Libraries, list: Object, rows: &[StyleRow]) -> Result<(), LoadError> {
    // SAFETY: the caller's promise; GObject hands the tips to `forget` once, when it calls `changed` no more.
    unsafe {
        let functions = ListWidget::load(libraries)?;
        let tips = Tips { functions, texts: rows.iter().map(|row| c_string(&row.tip)).collect() };
        tips.show(list);
        let (signal, tips) = (c"changed".as_ptr(), Box::into_raw(Box::new(tips)));
        (functions.g_signal_connect_data)(list, signal, changed as *const (), tips.cast(), forget, 0);
    }
    Ok(())
}

impl Tips {
    /// # Safety
    ///
    /// The list must live.
    unsafe fn show(&self, list: Object) {
        // SAFETY: the caller's promise; GTK copies the text.
        unsafe {
            let line = (self.functions.gtk_combo_box_get_active)(list);
            if let Some(text) = usize::try_from(line).ok().and_then(|line| self.texts.get(line)) {
                (self.functions.gtk_widget_set_tooltip_text)(list, text.as_ptr());
            }
        }
    }
}

/// Another line is chosen.
unsafe extern "C" fn changed(list: Object, tips: Object) {
    // SAFETY: `follow` connected this with its tips, and the list lives while it says so.
    let shown = guarded(|| unsafe { (*tips.cast::<Tips>()).show(list) });
    if let Err(defect) = shown {
        eprintln!("utsushi-gimp: {defect}");
    }
}

/// The list is gone.
unsafe extern "C" fn forget(tips: Object, _closure: Object) {
    // SAFETY: `follow` made them, and this is called once.
    drop(unsafe { Box::from_raw(tips.cast::<Tips>()) });
}

//! What GTK's controls and labels say.

use std::ffi::{CStr, CString, c_int};
use std::ptr;

use super::c_string;
use super::widgets::Widget;

impl Widget {
    /// Of an adjustment, which a slider has.
    pub(crate) fn number(&self) -> f64 {
        // SAFETY: GTK checks that it is an adjustment.
        unsafe { (self.ui.gtk().gtk_adjustment_get_value)(self.raw()) }
    }

    /// Of an adjustment.
    pub(crate) fn set_number(&self, number: f64) {
        // SAFETY: GTK checks that it is an adjustment.
        unsafe { (self.ui.gtk().gtk_adjustment_set_value)(self.raw(), number) };
    }

    /// Of a spin button.
    pub(crate) fn whole(&self) -> i32 {
        // SAFETY: GTK checks that it is a spin button.
        unsafe { (self.ui.gtk().gtk_spin_button_get_value)(self.raw()) as i32 }
    }

    /// Of a spin button.
    pub(crate) fn set_whole(&self, number: i32) {
        // SAFETY: GTK checks that it is a spin button.
        unsafe { (self.ui.gtk().gtk_spin_button_set_value)(self.raw(), number.into()) };
    }

    /// Of a check button.
    pub(crate) fn is_checked(&self) -> bool {
        // SAFETY: GTK checks that it is a toggle button.
        unsafe { (self.ui.gtk().gtk_toggle_button_get_active)(self.raw()) != 0 }
    }

    /// Of a check button.
    pub(crate) fn set_checked(&self, is_checked: bool) {
        // SAFETY: GTK checks that it is a toggle button.
        unsafe { (self.ui.gtk().gtk_toggle_button_set_active)(self.raw(), is_checked.into()) };
    }

    /// The line that is chosen in a combo, if one is.
    pub(crate) fn line(&self) -> Option<usize> {
        // SAFETY: GTK checks that it is a combo box; -1 is none.
        let line = unsafe { (self.ui.gtk().gtk_combo_box_get_active)(self.raw()) };
        usize::try_from(line).ok()
    }

    /// Chooses a line of a combo, or none.
    pub(crate) fn set_line(&self, line: Option<usize>) {
        let line = line.and_then(|line| c_int::try_from(line).ok()).unwrap_or(-1);
        // SAFETY: GTK checks that it is a combo box.
        unsafe { (self.ui.gtk().gtk_combo_box_set_active)(self.raw(), line) };
    }

    /// Adds a line to a combo.
    pub(crate) fn append_line(&self, line: &str) {
        // SAFETY: GTK checks that it is a combo box of texts, and copies the text.
        unsafe { (self.ui.gtk().gtk_combo_box_text_append_text)(self.raw(), c_string(line).as_ptr()) };
    }

    /// Takes a line out of a combo.
    pub(crate) fn remove_line(&self, line: usize) {
        let line = c_int::try_from(line).unwrap_or(c_int::MAX);
        // SAFETY: GTK checks that it is a combo box of texts, which ignores lines that it doesn't have.
        unsafe { (self.ui.gtk().gtk_combo_box_text_remove)(self.raw(), line) };
    }

    /// The entry of a combo that has one.
    pub(crate) fn entry_of_combo(&self) -> Widget {
        // SAFETY: such a combo has an entry for its child, which lives as long.
        unsafe { self.ui.shared((self.ui.gtk().gtk_bin_get_child)(self.raw())) }
    }

    /// What stands in an entry.
    pub(crate) fn typed(&self) -> String {
        // SAFETY: GTK checks that it is an entry, and gives its own text, which is copied.
        let text = unsafe {
            let text = (self.ui.gtk().gtk_entry_get_text)(self.raw());
            if text.is_null() { CString::default() } else { CStr::from_ptr(text).to_owned() }
        };
        text.to_string_lossy().into_owned()
    }

    /// Writes into an entry.
    pub(crate) fn type_text(&self, text: &str) {
        // SAFETY: GTK checks that it is an entry, and copies the text.
        unsafe { (self.ui.gtk().gtk_entry_set_text)(self.raw(), c_string(text).as_ptr()) };
    }

    /// Of a label.
    pub(crate) fn set_text(&self, text: &str) {
        // SAFETY: GTK checks that it is a label, and copies the text.
        unsafe { (self.ui.gtk().gtk_label_set_text)(self.raw(), c_string(text).as_ptr()) };
    }

    /// Of a label, in pango's markup.
    pub(crate) fn set_markup(&self, text: &str) {
        // SAFETY: GTK checks that it is a label, and copies the text.
        unsafe { (self.ui.gtk().gtk_label_set_markup)(self.raw(), c_string(text).as_ptr()) };
    }

    /// A label goes on in the next line where it would be wider than this.
    pub(crate) fn wrap(&self, px: i32) {
        // SAFETY: GTK checks that it is a label.
        unsafe {
            (self.ui.gtk().gtk_label_set_line_wrap)(self.raw(), 1);
            // GTK 2 breaks lines at the size that was asked for, GTK 3 at what there is, but would ask for all in one line.
            self.set_size(px, -1);
            (self.ui.gtk().gtk_label_set_max_width_chars)(self.raw(), 1);
        }
    }

    /// The words of a label can be copied.
    pub(crate) fn make_selectable(&self) {
        // SAFETY: GTK checks that it is a label.
        unsafe { (self.ui.gtk().gtk_label_set_selectable)(self.raw(), 1) };
    }

    /// A label that is too long ends in dots.
    pub(crate) fn ellipsize(&self) {
        // SAFETY: GTK checks that it is a label; 3 is PANGO_ELLIPSIZE_END.
        unsafe { (self.ui.gtk().gtk_label_set_ellipsize)(self.raw(), 3) };
    }

    /// Sets a whole number or a truth among an object's properties, which must be there and of such a type.
    pub(super) fn set_property(&self, name: &CStr, value: c_int) {
        // SAFETY: the property takes an int, as the callers in `ffi` know; a null ends the list.
        unsafe {
            (self.ui.gtk().g_object_set)(self.raw(), name.as_ptr(), value, ptr::null::<std::ffi::c_char>());
        }
    }
}

//! GTK's objects with safe functions, the same for GTK 2 and 3.
//!
//! A [`Widget`] holds a reference to its object, so that the object's memory stays whatever becomes of the dialog: GTK
//! complains of calls that make no sense, and ignores them. Callbacks are closures that GTK owns, and frees with the object
//! or when it is destroyed. They must not own what owns the object: they would never be freed.

use std::ffi::{CStr, c_int};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};

use super::gtk::Gtk;
use super::gtk2::Gtk2;
use super::gtk3::Gtk3;
use super::{Libraries, LoadError, Object, c_string, events};
use crate::region::Rect;

/// Which GTK it is, and what only this one has.
#[derive(Clone, Copy)]
pub(super) enum Own {
    Two(Gtk2),
    Three(Gtk3),
}

pub(super) struct Functions {
    pub(super) gtk: Gtk,
    pub(super) own: Own,
}

/// GTK, for its thread.
#[derive(Clone, Copy)]
pub(crate) struct Ui {
    pub(super) functions: &'static Functions,
    /// GTK is for one thread alone.
    _thread: std::marker::PhantomData<*const ()>,
}

/// A reference to an object of GTK's: most are widgets.
pub(crate) struct Widget {
    pub(super) ui: Ui,
    pub(super) object: NonNull<std::ffi::c_void>,
}

/// How a slider goes.
pub(crate) struct Scale {
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// What the slider reaches; larger numbers can be typed.
    pub(crate) slider_most: f64,
    pub(crate) step: f64,
    pub(crate) page: f64,
    pub(crate) digits: u8,
}

/// How a cell of a table, or a child of a box, takes room that is left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Fixed,
    Grows,
}

impl Ui {
    /// # Safety
    ///
    /// The libraries must be those of the GIMP that called, of this generation, on whose thread this is, and GTK must
    /// run (`gimp_ui_init`) before anything else is called.
    pub(super) unsafe fn load(libraries: &Libraries, own: Own) -> Result<Self, LoadError> {
        // SAFETY: the caller's promise.
        let functions = Functions { gtk: unsafe { Gtk::load(libraries)? }, own };
        Ok(Self { functions: Box::leak(Box::new(functions)), _thread: std::marker::PhantomData })
    }

    pub(super) fn gtk(self) -> &'static Gtk {
        &self.functions.gtk
    }

    /// Takes an object that nobody owns yet, or shares one that somebody owns.
    ///
    /// # Safety
    ///
    /// It must be a GObject, derived from `GInitiallyUnowned` (GTK 2: `GtkObject`) if it is a new one.
    pub(super) unsafe fn widget(self, object: Object) -> Widget {
        let object = NonNull::new(object).expect("GTK makes every object");
        // SAFETY: the caller's promise; the reference is given back by `drop`.
        unsafe { (self.gtk().g_object_ref_sink)(object.as_ptr()) };
        Widget { ui: self, object }
    }

    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// It must be a GObject, of which the caller has a reference of its own.
    pub(super) unsafe fn owned(self, object: Object) -> Widget {
        Widget { ui: self, object: NonNull::new(object).expect("GTK makes every object") }
    }

    /// Shares a widget of somebody else's.
    ///
    /// # Safety
    ///
    /// It must be a GObject.
    pub(super) unsafe fn shared(self, object: Object) -> Widget {
        let object = NonNull::new(object).expect("there is such an object");
        // SAFETY: the caller's promise; the reference is given back by `drop`.
        unsafe { (self.gtk().g_object_ref)(object.as_ptr()) };
        Widget { ui: self, object }
    }

    /// Side by side.
    pub(crate) fn row(self, spacing: i32) -> Widget {
        // SAFETY: 0: children need not be of the same size.
        unsafe { self.widget((self.gtk().gtk_hbox_new)(0, spacing)) }
    }

    /// One below the other.
    pub(crate) fn column(self, spacing: i32) -> Widget {
        // SAFETY: as in `row`.
        unsafe { self.widget((self.gtk().gtk_vbox_new)(0, spacing)) }
    }

    /// Two side by side, with a handle between them; the left one takes what room there is.
    pub(crate) fn panes(self, left: &Widget, right: &Widget) -> Widget {
        // SAFETY: the panes take references of their own. Neither child becomes smaller than it has to be (0).
        unsafe {
            let panes = self.widget((self.gtk().gtk_hpaned_new)());
            (self.gtk().gtk_paned_pack1)(panes.raw(), left.raw(), 1, 0);
            (self.gtk().gtk_paned_pack2)(panes.raw(), right.raw(), 0, 0);
            panes
        }
    }

    /// A table of three columns.
    pub(crate) fn table(self, rows: u32) -> Widget {
        // SAFETY: numbers.
        unsafe {
            let table = self.widget((self.gtk().gtk_table_new)(rows, 3, 0));
            (self.gtk().gtk_table_set_row_spacings)(table.raw(), 6);
            (self.gtk().gtk_table_set_col_spacings)(table.raw(), 6);
            table
        }
    }

    /// Pages without tabs, of which one is seen.
    pub(crate) fn pages(self, pages: &[&Widget]) -> Widget {
        // SAFETY: the notebook takes references of its own; null: a page has no label.
        unsafe {
            let book = self.widget((self.gtk().gtk_notebook_new)());
            (self.gtk().gtk_notebook_set_show_tabs)(book.raw(), 0);
            (self.gtk().gtk_notebook_set_show_border)(book.raw(), 0);
            for page in pages {
                (self.gtk().gtk_notebook_append_page)(book.raw(), page.raw(), ptr::null_mut());
            }
            book
        }
    }

    /// A frame that looks sunken.
    pub(crate) fn frame(self, child: &Widget) -> Widget {
        // SAFETY: null: it has no label; 1 is GTK_SHADOW_IN.
        unsafe {
            let frame = self.widget((self.gtk().gtk_frame_new)(ptr::null()));
            (self.gtk().gtk_frame_set_shadow_type)(frame.raw(), 1);
            (self.gtk().gtk_container_add)(frame.raw(), child.raw());
            frame
        }
    }

    /// What may be higher than there is room for.
    pub(crate) fn scrolled(self, child: &Widget) -> Widget {
        let null = ptr::null_mut();
        // SAFETY: nulls: it makes its own adjustments. GTK_POLICY_NEVER 2, GTK_POLICY_AUTOMATIC 1, GTK_SHADOW_IN 1.
        unsafe {
            let scrolled = self.widget((self.gtk().gtk_scrolled_window_new)(null, null));
            (self.gtk().gtk_scrolled_window_set_policy)(scrolled.raw(), 2, 1);
            (self.gtk().gtk_scrolled_window_set_shadow_type)(scrolled.raw(), 1);
            (self.gtk().gtk_container_add)(scrolled.raw(), child.raw());
            scrolled
        }
    }

    /// Words, on the left.
    pub(crate) fn label(self, text: &str) -> Widget {
        // SAFETY: GTK copies the text.
        unsafe {
            let label = self.widget((self.gtk().gtk_label_new)(c_string(text).as_ptr()));
            (self.gtk().gtk_misc_set_alignment)(label.raw(), 0.0, 0.5);
            label
        }
    }

    /// The name of a control, which its mnemonic leads to.
    pub(crate) fn label_of(self, text: &str, control: &Widget) -> Widget {
        // SAFETY: GTK copies the text, and takes a reference of its own.
        unsafe {
            let label = self.widget((self.gtk().gtk_label_new_with_mnemonic)(c_string(text).as_ptr()));
            (self.gtk().gtk_misc_set_alignment)(label.raw(), 0.0, 0.5);
            (self.gtk().gtk_label_set_mnemonic_widget)(label.raw(), control.raw());
            label
        }
    }

    pub(crate) fn button(self, text: &str) -> Widget {
        // SAFETY: GTK copies the text.
        unsafe { self.widget((self.gtk().gtk_button_new_with_mnemonic)(c_string(text).as_ptr())) }
    }

    pub(crate) fn check(self, text: &str) -> Widget {
        // SAFETY: GTK copies the text.
        unsafe { self.widget((self.gtk().gtk_check_button_new_with_mnemonic)(c_string(text).as_ptr())) }
    }

    /// A line of text to type.
    pub(crate) fn entry(self) -> Widget {
        // SAFETY: it takes nothing.
        unsafe { self.widget((self.gtk().gtk_entry_new)()) }
    }

    /// Lines to choose from.
    pub(crate) fn combo(self, lines: &[&str]) -> Widget {
        // SAFETY: it takes nothing.
        let combo = unsafe { self.widget((self.gtk().gtk_combo_box_text_new)()) };
        lines.iter().for_each(|line| combo.append_line(line));
        combo
    }

    /// Lines to choose from, or to type.
    pub(crate) fn combo_with_entry(self) -> Widget {
        // SAFETY: it takes nothing.
        unsafe { self.widget((self.gtk().gtk_combo_box_text_new_with_entry)()) }
    }

    /// A whole number from 0.
    pub(crate) fn spin(self, most: f64) -> Widget {
        // SAFETY: numbers.
        unsafe { self.widget((self.gtk().gtk_spin_button_new_with_range)(0.0, most, 1.0)) }
    }

    /// Something to draw on.
    pub(crate) fn drawing_area(self) -> Widget {
        // SAFETY: it takes nothing.
        unsafe { self.widget((self.gtk().gtk_drawing_area_new)()) }
    }

    /// A slider with its name and a number, in a row of a table: the adjustment, and all that is to be greyed out.
    pub(crate) fn slider(
        self,
        table: &Widget,
        row: u32,
        words: (&str, &str),
        scale: &Scale,
    ) -> (Widget, Vec<Widget>) {
        let (label, help) = (c_string(words.0), c_string(words.1));
        let Scale { least, most, slider_most, step, page, digits } = *scale;
        // SAFETY: GTK copies every text; a table takes references of its own, and an adjustment is one of those objects.
        unsafe {
            match &self.functions.own {
                Own::Two(gtk) => {
                    // 90 pixels of slider, 6 characters of number. The slider's limits aren't the number's (0).
                    let adjustment = (gtk.gimp_scale_entry_new)(
                        table.raw(),
                        0,
                        row as c_int,
                        label.as_ptr(),
                        90,
                        6,
                        least,
                        least,
                        slider_most,
                        step,
                        page,
                        digits.into(),
                        0,
                        least,
                        most,
                        help.as_ptr(),
                        ptr::null(),
                    );
                    let part = |name: &CStr| self.shared(self.data(adjustment, name));
                    let parts = [c"label", c"scale", c"spinbutton"].map(part);
                    (self.widget(adjustment), parts.into())
                }
                Own::Three(gtk) => {
                    let adjustment = (gtk.gtk_adjustment_new)(least, least, most, step, page, 0.0);
                    let adjustment = self.widget(adjustment);
                    let digits = digits.into();
                    let scale = (gtk.gimp_spin_scale_new)(adjustment.raw(), label.as_ptr(), digits);
                    let scale = self.widget(scale);
                    (gtk.gimp_spin_scale_set_scale_limits)(scale.raw(), least, slider_most);
                    scale.set_tooltip(words.1);
                    table.attach(&scale, row, (0, 3), Room::Grows);
                    (adjustment, vec![scale])
                }
            }
        }
    }

    /// What an object carries under this name.
    ///
    /// # Safety
    ///
    /// It must be a GObject.
    unsafe fn data(self, object: Object, name: &CStr) -> Object {
        // SAFETY: the caller's promise.
        unsafe { (self.gtk().g_object_get_data)(object, name.as_ptr()) }
    }

    /// Calls back on this thread whenever there is something to read.
    pub(crate) fn on_readable(self, descriptor: RawFd, call: impl Fn() + 'static) -> Source {
        let call: Box<Box<dyn Fn()>> = Box::new(Box::new(call));
        let data: Object = Box::into_raw(call).cast();
        // SAFETY: `data` is what `readable` takes, and stays until the source is removed. 1 is G_IO_IN.
        let id = unsafe { (self.gtk().g_unix_fd_add)(descriptor, 1, events::readable, data) };
        Source { ui: self, id, data }
    }
}

/// A descriptor that is watched until this is dropped.
pub(crate) struct Source {
    ui: Ui,
    id: u32,
    data: Object,
}

impl Drop for Source {
    fn drop(&mut self) {
        // SAFETY: the source is there, as its callback never ends it; nothing calls back after it, when its data goes.
        unsafe {
            (self.ui.gtk().g_source_remove)(self.id);
            drop(Box::from_raw(self.data.cast::<Box<dyn Fn()>>()));
        }
    }
}

impl Widget {
    /// The object, as C wants it, for as long as `self` is there.
    pub(crate) fn raw(&self) -> Object {
        self.object.as_ptr()
    }

    pub(crate) fn ui(&self) -> Ui {
        self.ui
    }

    /// Adds a child to a row or column.
    pub(crate) fn pack(&self, child: &Widget, room: Room) {
        let grows = (room == Room::Grows).into();
        // SAFETY: GTK checks that it is a box, which takes a reference of its own.
        unsafe { (self.ui.gtk().gtk_box_pack_start)(self.raw(), child.raw(), grows, grows, 0) };
    }

    /// Puts a child into columns of a table, `from` up to `to`.
    pub(crate) fn attach(&self, child: &Widget, row: u32, (from, to): (u32, u32), room: Room) {
        // GTK_FILL is 4, GTK_EXPAND 1.
        let options = if room == Room::Grows { 4 | 1 } else { 4 };
        // SAFETY: GTK checks that it is a table, which takes a reference of its own.
        unsafe {
            (self.ui.gtk().gtk_table_attach)(
                self.raw(),
                child.raw(),
                from,
                to,
                row,
                row + 1,
                options,
                0,
                0,
                0,
            )
        };
    }

    pub(crate) fn set_border(&self, px: u32) {
        // SAFETY: GTK checks that it is a container.
        unsafe { (self.ui.gtk().gtk_container_set_border_width)(self.raw(), px) };
    }

    pub(crate) fn show_all(&self) {
        // SAFETY: GTK checks that it is a widget; so in what follows.
        unsafe { (self.ui.gtk().gtk_widget_show_all)(self.raw()) };
    }

    /// Takes it off the screen for ever, with all that is in it, whose callbacks are freed.
    pub(crate) fn destroy(&self) {
        // SAFETY: see above.
        unsafe { (self.ui.gtk().gtk_widget_destroy)(self.raw()) };
    }

    pub(crate) fn set_sensitive(&self, is_sensitive: bool) {
        // SAFETY: see above.
        unsafe { (self.ui.gtk().gtk_widget_set_sensitive)(self.raw(), is_sensitive.into()) };
    }

    /// Whether it is seen; `show_all` then doesn't change it.
    pub(crate) fn set_visible(&self, is_visible: bool) {
        // SAFETY: see above.
        unsafe {
            (self.ui.gtk().gtk_widget_set_no_show_all)(self.raw(), 1);
            (self.ui.gtk().gtk_widget_set_visible)(self.raw(), is_visible.into());
        }
    }

    pub(crate) fn set_tooltip(&self, text: &str) {
        // SAFETY: see above; GTK copies the text.
        unsafe { (self.ui.gtk().gtk_widget_set_tooltip_text)(self.raw(), c_string(text).as_ptr()) };
    }

    /// What a screen reader calls it.
    pub(crate) fn set_name(&self, text: &str) {
        // SAFETY: every widget has an accessible object, which is GTK's; it copies the text.
        unsafe {
            let accessible = (self.ui.gtk().gtk_widget_get_accessible)(self.raw());
            (self.ui.gtk().atk_object_set_name)(accessible, c_string(text).as_ptr());
        }
    }

    /// At least so large.
    pub(crate) fn set_size(&self, width: i32, height: i32) {
        // SAFETY: see above.
        unsafe { (self.ui.gtk().gtk_widget_set_size_request)(self.raw(), width, height) };
    }

    /// How large a window is at first.
    pub(crate) fn set_default_size(&self, width: i32, height: i32) {
        // SAFETY: GTK checks that it is a window.
        unsafe { (self.ui.gtk().gtk_window_set_default_size)(self.raw(), width, height) };
    }

    /// Has it drawn anew.
    pub(crate) fn redraw(&self) {
        // SAFETY: see above.
        unsafe { (self.ui.gtk().gtk_widget_queue_draw)(self.raw()) };
    }

    /// Its width and height on the screen, in pixels.
    pub(crate) fn size(&self) -> (i32, i32) {
        let mut place = Rect::new(0, 0, 0, 0);
        // SAFETY: GTK fills in a `GtkAllocation`, which is laid out as `Rect` is.
        unsafe { (self.ui.gtk().gtk_widget_get_allocation)(self.raw(), &mut place) };
        (place.width, place.height)
    }

    /// Has it take keys and what the pointer does, too.
    pub(crate) fn listen_to_pointer_and_keys(&self) {
        // SAFETY: see above. GDK_BUTTON_MOTION 1<<4, _BUTTON_PRESS 1<<8, _BUTTON_RELEASE 1<<9, _KEY_PRESS 1<<10,
        // _SCROLL 1<<21, the same in both.
        unsafe {
            let events = 1 << 4 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 21;
            (self.ui.gtk().gtk_widget_add_events)(self.raw(), events);
            (self.ui.gtk().gtk_widget_set_can_focus)(self.raw(), 1);
        }
    }

    pub(crate) fn focus(&self) {
        // SAFETY: see above.
        unsafe { (self.ui.gtk().gtk_widget_grab_focus)(self.raw()) };
    }

    pub(crate) fn has_focus(&self) -> bool {
        // SAFETY: see above.
        unsafe { (self.ui.gtk().gtk_widget_has_focus)(self.raw()) != 0 }
    }

    /// Of a dialog.
    pub(crate) fn content(&self) -> Widget {
        // SAFETY: it is a dialog, whose content lives as long.
        unsafe { self.ui.shared((self.ui.gtk().gtk_dialog_get_content_area)(self.raw())) }
    }

    /// Whether a dialog's button can be pressed.
    pub(crate) fn set_response_sensitive(&self, response: i32, is_sensitive: bool) {
        // SAFETY: GTK checks that it is a dialog.
        unsafe {
            (self.ui.gtk().gtk_dialog_set_response_sensitive)(self.raw(), response, is_sensitive.into())
        };
    }

    pub(crate) fn show_page(&self, page: i32) {
        // SAFETY: GTK checks that it is a notebook.
        unsafe { (self.ui.gtk().gtk_notebook_set_current_page)(self.raw(), page) };
    }
}

impl Clone for Widget {
    fn clone(&self) -> Self {
        // SAFETY: the object lives as long as `self`.
        unsafe { self.ui.shared(self.raw()) }
    }
}

impl Drop for Widget {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and given back once.
        unsafe { (self.ui.gtk().g_object_unref)(self.raw()) };
    }
}

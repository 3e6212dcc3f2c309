//! GIMP 2.10's dialog: a table of the parameters.

#![allow(unsafe_code, reason = "calling C")]

use std::ffi::{CStr, c_int};
use std::ptr;

use utsushi_ipc::protocol::StyleInfo;

use crate::dialog::{CANCEL, OK, credits, style_rows};
use crate::ffi::gtk2::{self, Gtk2};
use crate::ffi::{Libraries, LoadError, Object, c_string};
use crate::host::Layer;
use crate::params::{Kind, PARAMS, Param, Settings, Value};
use crate::preview::Preview;
use crate::procedure;

/// The response of the button that sets everything to its default.
const RESET: c_int = 1;
/// `GTK_POS_RIGHT`.
const RIGHT: c_int = 1;

/// Lets the user change the values, which are in the order of [`PARAMS`]; nothing if they don't want to go on.
///
/// # Safety
///
/// Only the thread on which GIMP called may call this, while it waits for the call's end.
pub(crate) unsafe fn run(
    values: &[Value],
    layer: Layer<i32>,
    styles: &[StyleInfo],
) -> Result<Option<Vec<Value>>, LoadError> {
    let libraries = Libraries::open(&gtk2::LIBRARIES)?;
    // SAFETY: these are the libraries of the declarations.
    let gtk = unsafe { Gtk2::load(libraries)? };
    // SAFETY: every text lives until its call returns, and GTK copies it; the buttons end with a null. Widgets belong
    // to the dialog, and aren't used after it was destroyed.
    unsafe {
        let role = c"utsushi-gimp".as_ptr();
        (gtk.gimp_ui_init)(role, 0);
        let null = ptr::null_mut();
        let dialog = (gtk.gimp_dialog_new)(
            c"Stylize".as_ptr(),
            role,
            null,
            0,
            null,
            procedure::NAME.as_ptr(),
            c"_Reset".as_ptr(),
            RESET,
            c"_Cancel".as_ptr(),
            CANCEL,
            c"_OK".as_ptr(),
            OK,
            ptr::null::<u8>(),
        );
        (gtk.gimp_window_set_transient)(dialog);
        let table = (gtk.gtk_table_new)(PARAMS.len() as u32, 2, 0);
        (gtk.gtk_table_set_row_spacings)(table, 6);
        (gtk.gtk_table_set_col_spacings)(table, 6);
        (gtk.gtk_container_set_border_width)(table, 12);
        let controls: Vec<_> =
            (0..).zip(&PARAMS).map(|(row, param)| Control::new(&gtk, table, row, param, styles)).collect();
        let content = (gtk.gtk_dialog_get_content_area)(dialog);
        let chosen = || controls.iter().map(|control| control.value(&gtk)).collect::<Vec<_>>();
        let shown = (gtk.gimp_drawable_preview_new_from_drawable_id)(layer.id());
        let mut preview = Preview::new(libraries, layer, styles, || Settings::parse(&chosen()))?;
        for control in &controls {
            preview.follow(shown, control.widget, control.signal());
        }
        preview.draw_in(shown);
        (gtk.gtk_container_set_border_width)(shown, 12);
        (gtk.gtk_box_pack_start)(content, shown, 1, 1, 0);
        (gtk.gtk_box_pack_start)(content, table, 0, 0, 0);

        controls.iter().zip(values).for_each(|(control, value)| control.set(&gtk, value));
        (gtk.gtk_widget_show_all)(dialog);
        let response = loop {
            match (gtk.gimp_dialog_run)(dialog) {
                RESET => controls.iter().for_each(|control| control.set(&gtk, &control.param.default())),
                response => break response,
            }
        };
        let chosen = chosen();
        (gtk.gtk_widget_destroy)(dialog);
        Ok((response == OK).then_some(chosen))
    }
}

/// A parameter's widget.
struct Control {
    param: &'static Param,
    widget: Object,
    /// Of a list of styles, in the order of its lines.
    ids: Vec<String>,
}

impl Control {
    /// # Safety
    ///
    /// GTK must run, and `table` be a table with this row.
    unsafe fn new(
        gtk: &Gtk2,
        table: Object,
        row: c_int,
        param: &'static Param,
        styles: &[StyleInfo],
    ) -> Self {
        let mut ids = Vec::new();
        // SAFETY: GTK copies every text; the table takes over the widget.
        unsafe {
            let list = |labels: &[&CStr]| {
                let list = (gtk.gtk_combo_box_text_new)();
                labels.iter().for_each(|label| (gtk.gtk_combo_box_text_append_text)(list, label.as_ptr()));
                list
            };
            let mut help = param.help.to_owned();
            let widget = match param.kind {
                Kind::Style => {
                    let rows = style_rows(param, styles);
                    let labels: Vec<_> = rows.iter().map(|row| c_string(&row.label)).collect();
                    ids = rows.into_iter().map(|row| row.id).collect();
                    help = c_string(&credits(styles));
                    list(&labels.iter().map(|label| label.as_c_str()).collect::<Vec<_>>())
                }
                Kind::Choice(options) => list(&options.iter().map(|(_, label)| *label).collect::<Vec<_>>()),
                Kind::Number { least, most, .. } => {
                    let scale =
                        (gtk.gtk_hscale_new_with_range)(least, most, if most > 1.0 { 1.0 } else { 0.01 });
                    (gtk.gtk_scale_set_value_pos)(scale, RIGHT);
                    (gtk.gtk_widget_set_size_request)(scale, 240, -1);
                    scale
                }
            };
            (gtk.gtk_widget_set_tooltip_text)(widget, help.as_ptr());
            (gtk.gimp_table_attach_aligned)(table, 0, row, param.label.as_ptr(), 0.0, 0.5, widget, 1, 0);
            Self { param, widget, ids }
        }
    }

    /// What the widget sends when its value changes.
    fn signal(&self) -> &'static CStr {
        match self.param.kind {
            Kind::Number { .. } => c"value-changed",
            Kind::Style | Kind::Choice(_) => c"changed",
        }
    }

    /// # Safety
    ///
    /// The dialog must not be destroyed.
    unsafe fn set(&self, gtk: &Gtk2, value: &Value) {
        // SAFETY: the widget lives, and is of the kind that its parameter has.
        unsafe {
            match value {
                Value::Style(id) => {
                    let index = self.ids.iter().position(|other| other == id).unwrap_or(0);
                    (gtk.gtk_combo_box_set_active)(self.widget, index as c_int);
                }
                Value::Number(number) => (gtk.gtk_range_set_value)(self.widget, *number),
                Value::Choice(index) => (gtk.gtk_combo_box_set_active)(self.widget, *index),
            }
        }
    }

    /// # Safety
    ///
    /// The dialog must not be destroyed.
    unsafe fn value(&self, gtk: &Gtk2) -> Value {
        // SAFETY: as in `set`.
        unsafe {
            match self.param.kind {
                Kind::Style => {
                    let index = (gtk.gtk_combo_box_get_active)(self.widget);
                    let id = usize::try_from(index).ok().and_then(|index| self.ids.get(index));
                    Value::Style(id.cloned().unwrap_or_default())
                }
                Kind::Number { .. } => Value::Number((gtk.gtk_range_get_value)(self.widget)),
                Kind::Choice(_) => Value::Choice((gtk.gtk_combo_box_get_active)(self.widget)),
            }
        }
    }
}

//! GIMP 2.10's dialog: a table of the parameters.

#![allow(unsafe_code, reason = "calling C and being called by it")]

use std::ffi::{CStr, c_int};
use std::ptr;

use utsushi_ipc::protocol::StyleInfo;

use crate::dialog::{
    BRUSH_SIZE_PAGE, BRUSH_SIZE_STEP, CANCEL, OK, SLIDER_BRUSH_SIZE, style_rows, whole_brush_size,
};
use crate::dialog_seed::{self, SeedRow};
use crate::dialog_tips;
use crate::ffi::gtk2::{self, Gtk2};
use crate::ffi::signals::{PLAIN, Signals};
use crate::ffi::{Libraries, LoadError, Object, c_string, guarded};
use crate::host::Layer;
use crate::params::{BRUSH_SIZE, Kind, PARAMS, Param, Settings, Value};
use crate::preview::{Names, Preview, Widgets};
use crate::procedure;

/// The response of the button that sets everything to its default.
const RESET: c_int = 1;

const NAMES: Names = Names { exposed: c"expose-event", styled: c"style-set" };

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
    // to the dialog, which is destroyed after what it calls back was dropped, and aren't used after that.
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
            procedure::STYLIZE.name.as_ptr(),
            c"_Reset".as_ptr(),
            RESET,
            c"_Cancel".as_ptr(),
            CANCEL,
            c"_OK".as_ptr(),
            OK,
            ptr::null::<u8>(),
        );
        (gtk.gimp_window_set_transient)(dialog);
        let table = (gtk.gtk_table_new)(PARAMS.len() as u32, 3, 0);
        (gtk.gtk_table_set_row_spacings)(table, 6);
        (gtk.gtk_table_set_col_spacings)(table, 6);
        (gtk.gtk_container_set_border_width)(table, 12);
        let controls: Result<Vec<_>, _> = (0..)
            .zip(&PARAMS)
            .map(|(row, param)| Control::new(libraries, &gtk, table, row, param, styles))
            .collect();
        let controls = controls?;
        let content = (gtk.gtk_dialog_get_content_area)(dialog);
        let preview = (gtk.gimp_drawable_preview_new_from_drawable_id)(layer.id());
        let label = (gtk.gtk_label_new)(ptr::null());
        (gtk.gtk_container_set_border_width)(preview, 12);
        (gtk.gtk_box_pack_start)(content, preview, 1, 1, 0);
        (gtk.gtk_box_pack_start)(content, label, 0, 0, 0);
        (gtk.gtk_box_pack_start)(content, table, 0, 0, 0);
        controls.iter().zip(values).for_each(|(control, value)| control.set(&gtk, value));

        let chosen = || controls.iter().map(|control| control.value(&gtk)).collect::<Vec<_>>();
        let followed: Vec<_> = controls.iter().map(|control| (control.widget, control.signal())).collect();
        let widgets = Widgets { preview, label, names: &NAMES, controls: &followed };
        let brushes = controls.iter().filter(|control| control.param.name == BRUSH_SIZE);
        let (signals, data) = (Signals::load(libraries)?, ptr::from_ref(&gtk).cast_mut().cast());
        let round = round as unsafe extern "C" fn(Object, Object) as *const ();
        let connect = |brush: &Control| signals.connect(brush.widget, brush.signal(), round, data, PLAIN);
        let rounding: Vec<_> = brushes.map(connect).collect();
        let preview = Preview::new(libraries, layer, styles, &widgets, || Settings::parse(&chosen()))?;

        (gtk.gtk_widget_show_all)(dialog);
        let response = loop {
            match (gtk.gimp_dialog_run)(dialog) {
                RESET => controls.iter().for_each(|control| control.set(&gtk, &control.param.default())),
                response => break response,
            }
        };
        let chosen = chosen();
        drop((preview, rounding));
        (gtk.gtk_widget_destroy)(dialog);
        Ok((response == OK).then_some(chosen))
    }
}

/// A parameter's widget.
struct Control {
    param: &'static Param,
    /// A list, a number's adjustment, or the seed's number.
    widget: Object,
    /// Of a list of styles, in the order of its lines.
    ids: Vec<String>,
}

impl Control {
    /// # Safety
    ///
    /// GTK must run, these be its libraries, and `table` be a table with this row.
    unsafe fn new(
        libraries: &Libraries,
        gtk: &Gtk2,
        table: Object,
        row: c_int,
        param: &'static Param,
        styles: &[StyleInfo],
    ) -> Result<Self, LoadError> {
        let mut ids = Vec::new();
        // SAFETY: GTK copies every text; the table takes over the widget.
        unsafe {
            let attach = |widget: Object| {
                let label = param.label.as_ptr();
                (gtk.gimp_table_attach_aligned)(table, 0, row, label, 0.0, 0.5, widget, 2, 0);
            };
            let list = |labels: &[&CStr]| {
                let list = (gtk.gtk_combo_box_text_new)();
                labels.iter().for_each(|label| (gtk.gtk_combo_box_text_append_text)(list, label.as_ptr()));
                (gtk.gtk_widget_set_tooltip_text)(list, param.help.as_ptr());
                attach(list);
                list
            };
            let widget = match param.kind {
                Kind::Style => {
                    let rows = style_rows(param, styles);
                    let labels: Vec<_> = rows.iter().map(|row| c_string(&row.label)).collect();
                    let list = list(&labels.iter().map(|label| label.as_c_str()).collect::<Vec<_>>());
                    dialog_tips::follow(libraries, list, &rows)?;
                    ids = rows.into_iter().map(|row| row.id).collect();
                    list
                }
                Kind::Choice(options) => list(&options.iter().map(|(_, label)| *label).collect::<Vec<_>>()),
                Kind::Number { least, most, .. } => number(gtk, table, row, param, least, most),
                Kind::Seed => {
                    let SeedRow { row, number } = dialog_seed::row(libraries, param)?;
                    attach(row);
                    number
                }
            };
            Ok(Self { param, widget, ids })
        }
    }

    /// What the widget sends when its value changes.
    fn signal(&self) -> &'static CStr {
        match self.param.kind {
            Kind::Number { .. } | Kind::Seed => c"value-changed",
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
                Value::Whole(seed) if matches!(self.param.kind, Kind::Seed) => {
                    (gtk.gtk_spin_button_set_value)(self.widget, f64::from(*seed));
                }
                Value::Style(id) => {
                    let index = self.ids.iter().position(|other| other == id).unwrap_or(0);
                    (gtk.gtk_combo_box_set_active)(self.widget, index as c_int);
                }
                Value::Number(number) => (gtk.gtk_adjustment_set_value)(self.widget, *number),
                Value::Whole(index) => (gtk.gtk_combo_box_set_active)(self.widget, *index),
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
                Kind::Number { .. } => Value::Number((gtk.gtk_adjustment_get_value)(self.widget)),
                Kind::Seed => Value::Whole((gtk.gtk_spin_button_get_value)(self.widget) as i32),
                Kind::Choice(_) => Value::Whole((gtk.gtk_combo_box_get_active)(self.widget)),
            }
        }
    }
}

/// A slider with a number beside it; its adjustment.
///
/// # Safety
///
/// As for [`Control::new`].
unsafe fn number(gtk: &Gtk2, table: Object, row: c_int, param: &Param, least: f64, most: f64) -> Object {
    let is_brush_size = param.name == BRUSH_SIZE;
    let (slider_most, step, page, digits) = if is_brush_size {
        (SLIDER_BRUSH_SIZE, BRUSH_SIZE_STEP, BRUSH_SIZE_PAGE, 1)
    } else {
        (most, 0.01, 0.1, 2)
    };
    // SAFETY: the caller's promise; GTK copies every text.
    unsafe {
        (gtk.gimp_scale_entry_new)(
            table,
            0,
            row,
            param.label.as_ptr(),
            // Widths of the slider, in pixels, and of the number, in characters.
            200,
            5,
            least,
            least,
            slider_most,
            step,
            page,
            digits,
            // The slider's limits aren't the number's.
            0,
            least,
            most,
            param.help.as_ptr(),
            ptr::null(),
        )
    }
}

/// The brush size has changed, maybe to one that there isn't.
unsafe extern "C" fn round(adjustment: Object, gtk: Object) {
    // SAFETY: `run` connected this with the functions, and an adjustment that lives.
    let rounded = guarded(|| unsafe {
        let gtk = &*gtk.cast::<Gtk2>();
        let number = (gtk.gtk_adjustment_get_value)(adjustment);
        let whole = whole_brush_size(number);
        if whole != number {
            (gtk.gtk_adjustment_set_value)(adjustment, whole);
        }
    });
    if let Err(defect) = rounded {
        eprintln!("utsushi-gimp: {defect}");
    }
}

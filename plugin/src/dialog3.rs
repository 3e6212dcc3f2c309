//! GIMP 3's dialog: its own procedure dialog, which has last values, Reset and saved settings, with lists of the
//! styles in it.

#![allow(unsafe_code, reason = "calling C and being called by it")]

use std::ffi::c_char;
use std::ptr;

use utsushi_ipc::protocol::StyleInfo;

use crate::dialog::{BRUSH_SIZE_PAGE, BRUSH_SIZE_STEP, SLIDER_BRUSH_SIZE, style_rows, whole_brush_size};
use crate::dialog_seed::{self, SeedRow};
use crate::dialog_tips;
use crate::ffi::gtk3::{self, Gtk3};
use crate::ffi::signals::{PLAIN, Signals};
use crate::ffi::{Libraries, LoadError, Object, c_string, guarded};
use crate::host::Layer;
use crate::params::{BRUSH_SIZE, BadValue, Kind, PARAMS, Param, Settings};
use crate::preview::{Names, Preview, Widgets};

const NAMES: Names = Names { exposed: c"draw", styled: c"style-updated" };

/// Lets the user change the configuration; false if they don't want to go on.
///
/// # Safety
///
/// `procedure` must be the procedure that is running, with these parameters, and `config` its configuration, of which
/// `settings` tells the values. Only the thread on which GIMP called may call this.
pub(crate) unsafe fn run(
    procedure: Object,
    config: Object,
    layer: Layer<Object>,
    styles: &[StyleInfo],
    settings: impl Fn() -> Result<Settings, BadValue>,
) -> Result<bool, LoadError> {
    let libraries = Libraries::open(&gtk3::LIBRARIES)?;
    // SAFETY: these are the libraries of the declarations.
    let gtk = unsafe { Gtk3::load(libraries)? };
    let drawable = layer.id();
    // SAFETY: the caller's promise; every text lives until its call returns, and GTK copies it. Widgets belong to
    // the dialog, which is destroyed once, after what it calls back was dropped; `config` and `gtk` live as long.
    unsafe {
        (gtk.gimp_ui_init)(c"utsushi-gimp".as_ptr());
        let dialog = (gtk.gimp_procedure_dialog_new)(procedure, config, c"Stylize".as_ptr());
        let content = (gtk.gtk_dialog_get_content_area)(dialog);
        let name = c"preview".as_ptr();
        let preview = (gtk.gimp_procedure_dialog_get_drawable_preview)(dialog, name, drawable);
        (gtk.gimp_procedure_dialog_fill)(dialog, name, ptr::null::<u8>());
        let label = (gtk.gtk_label_new)(ptr::null());
        (gtk.gtk_box_pack_start)(content, label, 0, 0, 0);
        for param in &PARAMS {
            match param.kind {
                Kind::Style => {
                    let row = style_row(libraries, &gtk, config, param, styles)?;
                    (gtk.gtk_box_pack_start)(content, row, 0, 0, 6);
                    continue;
                }
                Kind::Number { least, .. } => {
                    let scale = (gtk.gimp_procedure_dialog_get_spin_scale)(dialog, param.name.as_ptr(), 1.0);
                    if param.name == BRUSH_SIZE {
                        (gtk.gimp_spin_scale_set_scale_limits)(scale, least, SLIDER_BRUSH_SIZE);
                        (gtk.gtk_spin_button_set_increments)(scale, BRUSH_SIZE_STEP, BRUSH_SIZE_PAGE);
                    }
                }
                Kind::Seed => {
                    let row = seed_row(libraries, &gtk, config, param)?;
                    (gtk.gtk_box_pack_start)(content, row, 0, 0, 6);
                    continue;
                }
                Kind::Choice(_) => {}
            }
            (gtk.gimp_procedure_dialog_fill)(dialog, param.name.as_ptr(), ptr::null::<u8>());
        }
        let (signal, round) = (c"notify::brush-size", round as unsafe extern "C" fn(Object, Object, Object));
        let data = ptr::from_ref(&gtk).cast_mut().cast();
        let rounding = Signals::load(libraries)?.connect(config, signal, round as *const (), data, PLAIN);
        let controls = [(config, c"notify")];
        let widgets = Widgets { preview, label, names: &NAMES, controls: &controls };
        let preview = Preview::new(libraries, layer, styles, &widgets, settings)?;
        let wanted = (gtk.gimp_procedure_dialog_run)(dialog) != 0;
        drop((preview, rounding));
        (gtk.gtk_widget_destroy)(dialog);
        Ok(wanted)
    }
}

/// A labelled list that follows the configuration, and the other way round.
///
/// # Safety
///
/// GTK must run, these be its libraries, and `config` have a text property of the parameter's name.
unsafe fn style_row(
    libraries: &Libraries,
    gtk: &Gtk3,
    config: Object,
    param: &Param,
    styles: &[StyleInfo],
) -> Result<Object, LoadError> {
    // SAFETY: GTK copies every text; the row takes over its widgets.
    unsafe {
        // 0 is horizontal.
        let row = (gtk.gtk_box_new)(0, 12);
        let label = (gtk.gtk_label_new_with_mnemonic)(param.label.as_ptr());
        let list = (gtk.gtk_combo_box_text_new)();
        (gtk.gtk_label_set_mnemonic_widget)(label, list);
        let rows = style_rows(param, styles);
        for style in &rows {
            let (id, label) = (c_string(&style.id), c_string(&style.label));
            (gtk.gtk_combo_box_text_append)(list, id.as_ptr(), label.as_ptr());
        }
        let (name, active) = (param.name.as_ptr(), c"active-id".as_ptr());
        (gtk.g_object_bind_property)(config, name, list, active, gtk3::BOTH_WAYS);
        dialog_tips::follow(libraries, list, &rows)?;
        (gtk.gtk_box_pack_start)(row, label, 0, 0, 0);
        (gtk.gtk_box_pack_start)(row, list, 1, 1, 0);
        (gtk.gtk_widget_show_all)(row);
        Ok(row)
    }
}

/// The seed with its label, which follows the configuration, and the other way round.
///
/// # Safety
///
/// GTK must run, these be its libraries, and `config` have a property of the parameter's name, a whole number.
unsafe fn seed_row(
    libraries: &Libraries,
    gtk: &Gtk3,
    config: Object,
    param: &Param,
) -> Result<Object, LoadError> {
    // SAFETY: GTK copies every text; the row takes over its widgets. GObject makes a whole number of the number, and the
    // other way round.
    unsafe {
        let row = (gtk.gtk_box_new)(0, 12);
        let label = (gtk.gtk_label_new_with_mnemonic)(param.label.as_ptr());
        let SeedRow { row: seed, number } = dialog_seed::row(libraries, param)?;
        (gtk.gtk_label_set_mnemonic_widget)(label, number);
        let (name, value) = (param.name.as_ptr(), c"value".as_ptr());
        (gtk.g_object_bind_property)(config, name, number, value, gtk3::BOTH_WAYS);
        (gtk.gtk_box_pack_start)(row, label, 0, 0, 0);
        (gtk.gtk_box_pack_start)(row, seed, 1, 1, 0);
        (gtk.gtk_widget_show_all)(row);
        Ok(row)
    }
}

/// The brush size has changed, maybe to one that there isn't.
unsafe extern "C" fn round(config: Object, _property: Object, gtk: Object) {
    // SAFETY: `run` connected this with the functions, and a configuration that has this property.
    let rounded = guarded(|| unsafe {
        let (gtk, name, end) = (&*gtk.cast::<Gtk3>(), BRUSH_SIZE.as_ptr(), ptr::null::<c_char>());
        let mut number = 0.0_f64;
        (gtk.g_object_get)(config, name, &raw mut number, end);
        let whole = whole_brush_size(number);
        if whole != number {
            (gtk.g_object_set)(config, name, whole, end);
        }
    });
    if let Err(defect) = rounded {
        eprintln!("utsushi-gimp: {defect}");
    }
}

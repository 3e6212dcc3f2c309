//! GIMP 3's dialog: its own procedure dialog, which has last values, Reset and saved settings, with lists of the
//! styles in it.

#![allow(unsafe_code, reason = "calling C")]

use std::ptr;

use utsushi_ipc::protocol::StyleInfo;

use crate::dialog::{credits, style_rows};
use crate::ffi::gtk3::{self, Gtk3};
use crate::ffi::{Libraries, LoadError, Object, c_string};
use crate::host::Layer;
use crate::params::{BadValue, Kind, PARAMS, Param, Settings};
use crate::preview::Preview;

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
    // SAFETY: the libraries are this GIMP's.
    let mut preview = unsafe { Preview::new(libraries, layer, styles, settings)? };
    // SAFETY: the caller's promise; every text lives until its call returns, and GTK copies it. Widgets belong to
    // the dialog, which is destroyed once, before the preview's other half.
    unsafe {
        (gtk.gimp_ui_init)(c"utsushi-gimp".as_ptr());
        let dialog = (gtk.gimp_procedure_dialog_new)(procedure, config, c"Stylize".as_ptr());
        let content = (gtk.gtk_dialog_get_content_area)(dialog);
        let name = c"preview".as_ptr();
        let shown = (gtk.gimp_procedure_dialog_get_drawable_preview)(dialog, name, drawable);
        preview.follow(shown, config, c"notify");
        preview.draw_in(shown);
        (gtk.gimp_procedure_dialog_fill)(dialog, name, ptr::null::<u8>());
        for param in &PARAMS {
            match param.kind {
                Kind::Style => {
                    let row = style_row(&gtk, config, param, styles);
                    (gtk.gtk_box_pack_start)(content, row, 0, 0, 6);
                    continue;
                }
                Kind::Number { .. } => {
                    (gtk.gimp_procedure_dialog_get_spin_scale)(dialog, param.name.as_ptr(), 1.0);
                }
                Kind::Choice(_) => {}
            }
            (gtk.gimp_procedure_dialog_fill)(dialog, param.name.as_ptr(), ptr::null::<u8>());
        }
        let wanted = (gtk.gimp_procedure_dialog_run)(dialog) != 0;
        (gtk.gtk_widget_destroy)(dialog);
        Ok(wanted)
    }
}

/// A labelled list that follows the configuration, and the other way round.
///
/// # Safety
///
/// GTK must run, and `config` have a text property of the parameter's name.
unsafe fn style_row(gtk: &Gtk3, config: Object, param: &Param, styles: &[StyleInfo]) -> Object {
    // SAFETY: GTK copies every text; the row takes over its widgets.
    unsafe {
        // 0 is horizontal.
        let row = (gtk.gtk_box_new)(0, 12);
        let label = (gtk.gtk_label_new_with_mnemonic)(param.label.as_ptr());
        let list = (gtk.gtk_combo_box_text_new)();
        (gtk.gtk_label_set_mnemonic_widget)(label, list);
        for style in style_rows(param, styles) {
            let (id, label) = (c_string(&style.id), c_string(&style.label));
            (gtk.gtk_combo_box_text_append)(list, id.as_ptr(), label.as_ptr());
        }
        (gtk.gtk_widget_set_tooltip_text)(list, c_string(&credits(styles)).as_ptr());
        let (name, active) = (param.name.as_ptr(), c"active-id".as_ptr());
        (gtk.g_object_bind_property)(config, name, list, active, gtk3::BOTH_WAYS);
        (gtk.gtk_box_pack_start)(row, label, 0, 0, 0);
        (gtk.gtk_box_pack_start)(row, list, 1, 1, 0);
        (gtk.gtk_widget_show_all)(row);
        row
    }
}

//! Drawing on a widget, by cairo and pango.

use std::ffi::c_int;

use super::widgets::{Own, Widget};
use super::{Object, c_string};

/// `CAIRO_FORMAT_RGB24`: 32 bits a pixel, of which the highest 8 are unused.
const RGB24: c_int = 1;

/// Opaque pixels as a screen has them: blue, green, red, and a byte that nobody looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pixels {
    pub(crate) width: i32,
    pub(crate) height: i32,
    pub(crate) bytes: Vec<u8>,
}

/// A colour, and how opaque it is, each from 0 to 1.
pub(crate) type Colour = [f64; 4];

/// A widget while it is drawn.
pub(crate) struct Canvas<'a> {
    area: &'a Widget,
    cairo: Object,
}

impl Canvas<'_> {
    /// # Safety
    ///
    /// The widget must be on the screen, and of GTK 3 `cairo` be what it is to be drawn with.
    pub(super) unsafe fn with(area: &Widget, cairo: Object, draw: impl FnOnce(&Canvas<'_>)) {
        let ui = area.ui;
        match &ui.functions.own {
            // SAFETY: a widget on the screen has a window; the cairo for it is ours, and goes.
            Own::Two(gtk) => unsafe {
                let cairo = (gtk.gdk_cairo_create)((ui.gtk().gtk_widget_get_window)(area.raw()));
                draw(&Canvas { area, cairo });
                (gtk.cairo_destroy)(cairo);
            },
            Own::Three(_) => draw(&Canvas { area, cairo }),
        }
    }

    /// Fills a rectangle.
    pub(crate) fn fill(
        &self,
        (x, y, width, height): (f64, f64, f64, f64),
        [red, green, blue, alpha]: Colour,
    ) {
        let gtk = self.area.ui.gtk();
        // SAFETY: the cairo lives.
        unsafe {
            (gtk.cairo_set_source_rgba)(self.cairo, red, green, blue, alpha);
            (gtk.cairo_rectangle)(self.cairo, x, y, width, height);
            (gtk.cairo_fill)(self.cairo);
        }
    }

    /// Shows pixels from there on, each side of one as long as `scale`, as far as the columns `within` go. At a scale of 1
    /// and a whole place, each is shown as it is.
    pub(crate) fn show(&self, pixels: &Pixels, (x, y): (f64, f64), scale: f64, within: (f64, f64)) {
        let Pixels { width, height, bytes } = pixels;
        let row_bytes = width * 4;
        assert_eq!(bytes.len(), (row_bytes * height) as usize, "pixels");
        let gtk = self.area.ui.gtk();
        // CAIRO_FILTER_GOOD is 1, which averages what becomes smaller; CAIRO_FILTER_NEAREST is 3.
        let filter = if scale < 1.0 { 1 } else { 3 };
        // SAFETY: the surface is of the pixels' size, and is finished while they live: cairo doesn't look at them after
        // that. Its rows are of 4 bytes a pixel, which is the stride that cairo wants for this format.
        unsafe {
            let create = gtk.cairo_image_surface_create_for_data;
            let surface = create(bytes.as_ptr(), RGB24, *width, *height, row_bytes);
            (gtk.cairo_save)(self.cairo);
            (gtk.cairo_rectangle)(self.cairo, within.0, -1e5, within.1 - within.0, 2e5);
            (gtk.cairo_clip)(self.cairo);
            (gtk.cairo_translate)(self.cairo, x, y);
            (gtk.cairo_scale)(self.cairo, scale, scale);
            (gtk.cairo_rectangle)(self.cairo, 0.0, 0.0, f64::from(*width), f64::from(*height));
            (gtk.cairo_clip)(self.cairo);
            (gtk.cairo_set_source_surface)(self.cairo, surface, 0.0, 0.0);
            (gtk.cairo_pattern_set_filter)((gtk.cairo_get_source)(self.cairo), filter);
            (gtk.cairo_paint)(self.cairo);
            (gtk.cairo_restore)(self.cairo);
            (gtk.cairo_surface_finish)(surface);
            (gtk.cairo_surface_destroy)(surface);
        }
    }

    /// White words on a dark ground, at one side of `x`.
    pub(crate) fn tag(&self, text: &str, x: f64, y: f64, side: Side) {
        let gtk = self.area.ui.gtk();
        let (mut width, mut height): (c_int, c_int) = (0, 0);
        // SAFETY: the widget lives; pango copies the text and writes two numbers; the layout is ours, and goes.
        unsafe {
            let create = gtk.gtk_widget_create_pango_layout;
            let layout = create(self.area.raw(), c_string(text).as_ptr());
            (gtk.pango_layout_get_pixel_size)(layout, &mut width, &mut height);
            let (width, height) = (f64::from(width), f64::from(height));
            let x = if side == Side::Left { x - width } else { x };
            self.fill((x - 6.0, y - 3.0, width + 12.0, height + 6.0), [0.0, 0.0, 0.0, 0.55]);
            (gtk.cairo_set_source_rgba)(self.cairo, 1.0, 1.0, 1.0, 1.0);
            (gtk.cairo_move_to)(self.cairo, x, y);
            (gtk.pango_cairo_show_layout)(self.cairo, layout);
            (gtk.g_object_unref)(layout);
        }
    }
}

/// Of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

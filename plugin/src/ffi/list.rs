//! A list with a picture, words and a star a line.

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr;
use std::rc::Rc;

use super::events::Event;
use super::gtk::TreeIter;
use super::widgets::{Own, Ui, Widget};
use super::{Object, c_string, gtk2};

/// `G_TYPE_STRING`.
const STRING: usize = 16 << 2;
/// The columns of the model.
const PICTURE: c_int = 0;
const WORDS: c_int = 1;
const STAR: c_int = 2;
const TOOLTIP: c_int = 3;
/// Ends a list of columns.
const END: c_int = -1;

/// How wide a line's words are before they go on below.
const WORDS_PX: c_int = 180;

/// A small picture: red, green and blue, 8 bits each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thumbnail {
    pub(crate) width: i32,
    pub(crate) height: i32,
    pub(crate) rgb: Vec<u8>,
}

/// A line.
pub(crate) struct Line<'a> {
    pub(crate) picture: Option<&'a Thumbnail>,
    /// In pango's markup, as is the tooltip.
    pub(crate) words: String,
    pub(crate) tooltip: String,
    pub(crate) is_favourite: bool,
}

/// The list.
#[derive(Clone)]
pub(crate) struct PictureList {
    view: Widget,
    store: Widget,
    stars: Widget,
    lines: Rc<Cell<usize>>,
}

impl PictureList {
    pub(crate) fn new(ui: Ui) -> Self {
        let gtk = ui.gtk();
        // SAFETY: the store has four columns of the types that are written into it; columns and cells are new objects, of
        // which the view takes references of its own; the attributes are properties that the cells have.
        unsafe {
            let types = [(gtk.gdk_pixbuf_get_type)(), STRING, STRING, STRING];
            let store = ui.owned((gtk.gtk_list_store_newv)(types.len() as c_int, types.as_ptr()));
            let view = ui.widget((gtk.gtk_tree_view_new_with_model)(store.raw()));
            (gtk.gtk_tree_view_set_headers_visible)(view.raw(), 0);
            (gtk.gtk_tree_view_set_enable_search)(view.raw(), 0);
            (gtk.gtk_tree_view_set_tooltip_column)(view.raw(), TOOLTIP);
            if let Own::Two(gtk2) = &ui.functions.own {
                (gtk2.gtk_widget_modify_base)(view.raw(), gtk2::SELECTED, &gtk2::CHOSEN);
                (gtk2.gtk_widget_modify_text)(view.raw(), gtk2::SELECTED, &gtk2::CHOSEN_WORDS);
            }

            let column = |cell: &Widget, attribute: &std::ffi::CStr, index: c_int| {
                let column = ui.widget((gtk.gtk_tree_view_column_new)());
                (gtk.gtk_tree_view_column_pack_start)(column.raw(), cell.raw(), 1);
                let add = gtk.gtk_tree_view_column_add_attribute;
                add(column.raw(), cell.raw(), attribute.as_ptr(), index);
                (gtk.gtk_tree_view_append_column)(view.raw(), column.raw());
                column
            };
            let picture = ui.widget((gtk.gtk_cell_renderer_pixbuf_new)());
            picture.set_property(c"xpad", 3);
            picture.set_property(c"ypad", 3);
            column(&picture, c"pixbuf", PICTURE);
            let words = ui.widget((gtk.gtk_cell_renderer_text_new)());
            words.set_property(c"wrap-width", WORDS_PX);
            // PANGO_WRAP_WORD_CHAR.
            words.set_property(c"wrap-mode", 2);
            words.set_property(c"xpad", 6);
            let words = column(&words, c"markup", WORDS);
            (gtk.gtk_tree_view_column_set_expand)(words.raw(), 1);
            let star = ui.widget((gtk.gtk_cell_renderer_text_new)());
            star.set_property(c"xpad", 6);
            let stars = column(&star, c"markup", STAR);
            Self { view, store, stars, lines: Rc::default() }
        }
    }

    pub(crate) fn widget(&self) -> &Widget {
        &self.view
    }

    /// Has these lines instead of those before; none is chosen.
    pub(crate) fn fill<'a>(&self, lines: impl Iterator<Item = Line<'a>>) {
        let gtk = self.view.ui.gtk();
        // SAFETY: the store lives.
        unsafe { (gtk.gtk_list_store_clear)(self.store.raw()) };
        let mut count = 0;
        for line in lines {
            let mut iter = TreeIter::EMPTY;
            let (words, tooltip) = (c_string(&line.words), c_string(&line.tooltip));
            let star = if line.is_favourite { c"<big>★</big>" } else { c"<big>☆</big>" };
            let picture = line.picture.map(|picture| self.pixbuf(picture));
            let picture: Object = picture.as_ref().map_or(ptr::null_mut(), Widget::raw);
            // SAFETY: the values are of the columns' types, and copied or referenced by the store; -1 ends them.
            unsafe {
                (gtk.gtk_list_store_append)(self.store.raw(), &mut iter);
                (gtk.gtk_list_store_set)(
                    self.store.raw(),
                    &mut iter,
                    PICTURE,
                    picture,
                    WORDS,
                    words.as_ptr(),
                    STAR,
                    star.as_ptr(),
                    TOOLTIP,
                    tooltip.as_ptr(),
                    END,
                );
            }
            count += 1;
        }
        self.lines.set(count);
    }

    /// Gives a line another picture.
    pub(crate) fn set_picture(&self, line: usize, picture: &Thumbnail) {
        if line >= self.lines.get() {
            return;
        }
        let gtk = self.view.ui.gtk();
        let (mut iter, pixbuf) = (TreeIter::EMPTY, self.pixbuf(picture));
        let model = self.store.raw();
        // SAFETY: the store has that line, whose iterator is asked for first; the picture is referenced by the store.
        unsafe {
            let nth = gtk.gtk_tree_model_iter_nth_child;
            if nth(model, &mut iter, ptr::null_mut(), line as c_int) != 0 {
                (gtk.gtk_list_store_set)(model, &mut iter, PICTURE, pixbuf.raw(), END);
            }
        }
    }

    /// The line that is chosen.
    pub(crate) fn chosen(&self) -> Option<usize> {
        let gtk = self.view.ui.gtk();
        let mut iter = TreeIter::EMPTY;
        // SAFETY: GTK fills in the iterator if a line is chosen, whose path is ours, to be freed once.
        unsafe {
            let selection = (gtk.gtk_tree_view_get_selection)(self.view.raw());
            let get = gtk.gtk_tree_selection_get_selected;
            if get(selection, ptr::null_mut(), &mut iter) == 0 {
                return None;
            }
            let path = (gtk.gtk_tree_model_get_path)(self.store.raw(), &mut iter);
            line_of(self.view.ui, path)
        }
    }

    /// Chooses a line, and has it seen.
    pub(crate) fn choose(&self, line: usize) {
        if line >= self.lines.get() {
            return;
        }
        let gtk = self.view.ui.gtk();
        // SAFETY: there is such a line; -1 ends the path, which is ours, to be freed once. Null: any column.
        unsafe {
            let path = (gtk.gtk_tree_path_new_from_indices)(line as c_int, END);
            (gtk.gtk_tree_view_set_cursor)(self.view.raw(), path, ptr::null_mut(), 0);
            (gtk.gtk_tree_view_scroll_to_cell)(self.view.raw(), path, ptr::null_mut(), 0, 0.0, 0.0);
            (gtk.gtk_tree_path_free)(path);
        }
    }

    /// Calls back when another line is chosen.
    pub(crate) fn on_chosen(&self, call: impl Fn() + 'static) {
        // SAFETY: the view has a selection, which lives as long.
        let selection =
            unsafe { self.view.ui.shared((self.view.ui.gtk().gtk_tree_view_get_selection)(self.view.raw())) };
        selection.on(c"changed", call);
    }

    /// Calls back with the line whose star is clicked.
    pub(crate) fn on_star(&self, call: impl Fn(usize) + 'static) {
        let (ui, view, stars) = (self.view.ui, self.view.raw(), self.stars.raw());
        self.view.on_event(c"button-press-event", move |event| {
            let Event::Press { x, y, button: 1, .. } = event else { return false };
            let gtk = ui.gtk();
            let (mut path, mut column) = (ptr::null_mut(), ptr::null_mut());
            // SAFETY: this is called back by the view, so that it lives, and its column with it, which is only compared. The
            // path is ours, to be freed once.
            let line = unsafe {
                let at = gtk.gtk_tree_view_get_path_at_pos;
                let (null, x, y) = (ptr::null_mut(), x as c_int, y as c_int);
                if at(view, x, y, &mut path, &mut column, null, null) == 0 {
                    return false;
                }
                line_of(ui, path)
            };
            match line {
                Some(line) if column == stars => {
                    call(line);
                    true
                }
                _ => false,
            }
        });
    }

    fn pixbuf(&self, picture: &Thumbnail) -> Widget {
        let Thumbnail { width, height, rgb } = picture;
        let (ui, row_bytes) = (self.view.ui, *width as usize * 3);
        assert_eq!(rgb.len(), row_bytes * *height as usize, "a thumbnail's pixels");
        let gtk = ui.gtk();
        // SAFETY: 0 is RGB, without alpha (0), 8 bits a sample: the pixbuf has so many rows, each of three bytes a pixel, and
        // as far from the next as it says.
        unsafe {
            let pixbuf = ui.owned((gtk.gdk_pixbuf_new)(0, 0, 8, *width, *height));
            let pixels = (gtk.gdk_pixbuf_get_pixels)(pixbuf.raw());
            let stride = (gtk.gdk_pixbuf_get_rowstride)(pixbuf.raw()) as usize;
            for (y, row) in rgb.chunks_exact(row_bytes).enumerate() {
                ptr::copy_nonoverlapping(row.as_ptr(), pixels.add(y * stride), row_bytes);
            }
            pixbuf
        }
    }
}

/// The first number of a path, which is freed.
///
/// # Safety
///
/// The path must be the caller's, of a list.
unsafe fn line_of(ui: Ui, path: Object) -> Option<usize> {
    // SAFETY: the caller's promise; a list's path has one number.
    unsafe {
        let line = *(ui.gtk().gtk_tree_path_get_indices)(path);
        (ui.gtk().gtk_tree_path_free)(path);
        usize::try_from(line).ok()
    }
}

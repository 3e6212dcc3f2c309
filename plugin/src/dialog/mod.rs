//! The dialog, the same in both generations of GIMP: the preview on the left, the styles and all other values on the right.
//!
//! It never waits for the daemon: the preview's worker and the gallery's thread do, and ring a bell when there is news, a
//! socket that the main loop watches. What keeps a layer from being drawn is said in the preview's place.

pub(crate) mod form;
mod presets;
mod preview;
mod styles;

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;

use utsushi_ipc::protocol::StyleInfo;

use self::form::Form;
use self::presets::Presets;
use self::preview::Preview;
use crate::ffi::LoadError;
use crate::ffi::widgets::{Room, Source, Widget};
use crate::ffi::window::OK;
use crate::filter::Host;
use crate::gallery::{Gallery, News};
use crate::host::connect;
use crate::kept::Kept;
use crate::live::{Live, MOMENT, Small};
use crate::params::{Output, Value};
use crate::screen;
use crate::words;

/// The longer side of a style's picture on the screen.
const THUMBNAIL_PX: i32 = 96;
/// How much larger it is drawn, so that strokes aren't as broad as things.
const DRAWN_LARGER: i32 = 3;
/// How large the window is at first.
const SIZE_PX: (i32, i32) = (1250, 680);
/// How wide the list of styles is at least.
const LIST_PX: i32 = 360;
/// How wide a message's lines are.
const MESSAGE_PX: i32 = 340;

/// The pages of the preview's place.
const PREVIEW: i32 = 0;
const MESSAGE: i32 = 1;

/// Takes values in the order of the parameters.
pub(crate) type Taker = Box<dyn Fn(&[Value])>;

/// What a dialog is opened with.
pub(crate) struct Opening<H> {
    /// GIMP's dialog, with nothing in it.
    pub(crate) window: Widget,
    /// The layer that is shown.
    pub(crate) host: H,
    /// Why none of the layers, or not all, can be drawn, if that is so.
    pub(crate) obstacle: Box<dyn Fn(Output) -> Option<String>>,
    pub(crate) kept: Kept,
    pub(crate) values: Vec<Value>,
    /// Is told what a person has changed.
    pub(crate) changed: Taker,
}

/// An open dialog.
pub(crate) struct Dialog<H> {
    inner: Rc<Inner<H>>,
    /// Watches the bell.
    _source: Source,
}

struct Inner<H> {
    window: Widget,
    pages: Widget,
    message: Widget,
    again: Widget,
    form: Rc<Form>,
    preview: Rc<Preview<H>>,
    /// Owns its callbacks' other half.
    _presets: Rc<Presets>,
    obstacle: Box<dyn Fn(Output) -> Option<String>>,
    changed: Taker,
    gallery: RefCell<Gallery>,
    /// The styles, or why there are none; nothing as long as nobody knows.
    styles: RefCell<Option<Result<Arc<[StyleInfo]>, String>>>,
    /// What the gallery draws.
    small: RefCell<Option<Small>>,
    /// Was there an obstacle?
    was_in_the_way: Cell<bool>,
    /// The message that is shown.
    said: RefCell<String>,
    is_open: Cell<bool>,
    bell: UnixStream,
    rope: Arc<UnixStream>,
}

impl<H: Host + 'static> Dialog<H> {
    /// Fills GIMP's dialog.
    pub(crate) fn new(opening: Opening<H>) -> Result<Self, LoadError> {
        let Opening { window, host, obstacle, kept, values, changed } = opening;
        let ui = window.ui();
        let (bell, rope) = pair().map_err(LoadError::Bell)?;
        let rope = Arc::new(rope);
        let descriptor = bell.as_raw_fd();
        let live = Live::new(host, [].into(), MOMENT, connect, ring(&rope));
        let gallery = Gallery::start(connect, ring(&rope));

        let inner = Rc::new_cyclic(|weak: &std::rc::Weak<Inner<H>>| {
            let weakly = |call: fn(&Inner<H>)| {
                let weak = weak.clone();
                move || {
                    if let Some(inner) = weak.upgrade().filter(|inner| inner.is_open.get()) {
                        call(&inner);
                    }
                }
            };
            let form = Form::new(ui, kept.clone(), weakly(Inner::person_changed));
            form.set(&values);
            let (settings, of_form) = (Rc::clone(&form), Rc::clone(&form));
            let preview = Preview::new(ui, live, move || settings.settings(), weakly(Inner::refresh));
            let taken = {
                let (form, changed) = (Rc::clone(&form), weakly(Inner::person_changed));
                move |values: &[Value]| {
                    form.set(values);
                    changed();
                }
            };
            let presets = Presets::new(ui, kept, move || of_form.values(), taken);

            let (page, message) = (ui.column(12), ui.label(""));
            let again = ui.button(words::TRY_AGAIN.text());
            again.on(c"clicked", weakly(Inner::try_again));
            message.wrap(MESSAGE_PX);
            message.make_selectable();
            let buttons = ui.row(0);
            buttons.pack(&again, Room::Fixed);
            page.set_border(24);
            page.pack(&message, Room::Fixed);
            page.pack(&buttons, Room::Fixed);
            let pages = ui.pages(&[&preview.column, &page]);
            pages.set_border(6);
            form.styles.column.set_size(LIST_PX, -1);
            let (side, values) = (ui.row(18), ui.column(18));
            side.set_border(6);
            values.pack(&form.table, Room::Fixed);
            values.pack(&presets.row, Room::Fixed);
            values.pack(&form.styles.about, Room::Fixed);
            side.pack(&form.styles.column, Room::Grows);
            side.pack(&values, Room::Fixed);
            let panes = ui.panes(&pages, &side);
            panes.set_border(6);
            // A person comes back, maybe after having done something about it.
            let look_again = weakly(Inner::refresh);
            window.on_event(c"focus-in-event", move |_| {
                look_again();
                false
            });
            window.content().pack(&panes, Room::Grows);
            panes.show_all();
            form.styles.focus();
            window.set_default_size(SIZE_PX.0, SIZE_PX.1);
            Inner {
                window,
                pages,
                message,
                again,
                form,
                preview,
                _presets: presets,
                obstacle,
                changed,
                gallery: RefCell::new(gallery),
                styles: RefCell::default(),
                small: RefCell::default(),
                was_in_the_way: Cell::new(false),
                said: RefCell::default(),
                is_open: Cell::new(true),
                bell,
                rope,
            }
        });
        inner.refresh();
        let weak = Rc::downgrade(&inner);
        let listen = move || {
            if let Some(inner) = weak.upgrade() {
                inner.listen();
            }
        };
        Ok(Self { inner, _source: ui.on_readable(descriptor, listen) })
    }

    /// GIMP's dialog.
    pub(crate) fn window(&self) -> &Widget {
        &self.inner.window
    }

    /// What the controls say.
    pub(crate) fn values(&self) -> Vec<Value> {
        self.inner.form.values()
    }

    /// Has the controls say something else.
    pub(crate) fn set(&self, values: &[Value]) {
        self.setter()(values);
    }

    /// The same, to be called as long as the dialog is open.
    pub(crate) fn setter(&self) -> impl Fn(&[Value]) + 'static {
        let inner = Rc::downgrade(&self.inner);
        move |values| {
            if let Some(inner) = inner.upgrade() {
                inner.form.set(values);
                inner.refresh();
            }
        }
    }
}

impl<H> Drop for Dialog<H> {
    fn drop(&mut self) {
        self.inner.is_open.set(false);
        self.inner.window.destroy();
    }
}

impl<H: Host + 'static> Inner<H> {
    fn person_changed(&self) {
        (self.changed)(&self.form.values());
        self.refresh();
    }

    /// There is news.
    fn listen(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.bell).read(&mut bytes), Ok(1..)) {}
        loop {
            let news = self.gallery.borrow().news();
            match news {
                Some(News::Styles(styles)) => self.set_styles(styles),
                Some(News::Drawn(id, drawn)) => self.set_drawn(&id, drawn),
                None => break,
            }
        }
        self.preview.take();
    }

    fn set_styles(&self, styles: Result<Arc<[StyleInfo]>, String>) {
        if let Ok(styles) = &styles {
            self.preview.live.borrow_mut().set_styles(styles);
            self.form.set_styles(styles);
            // The style that was chosen last may be gone.
            (self.changed)(&self.form.values());
        }
        let styles = styles.and_then(|styles| match styles.is_empty() {
            true => Err(words::NO_STYLES.text().into()),
            false => Ok(styles),
        });
        *self.styles.borrow_mut() = Some(styles);
        self.refresh();
    }

    fn set_drawn(&self, id: &str, drawn: Vec<u8>) {
        if let Some(small) = &*self.small.borrow() {
            let pixels = self.preview.live.borrow().show_small(small, drawn);
            self.form.styles.set_picture(id, screen::thumbnail(&pixels, DRAWN_LARGER));
            trace(|| format!("the list shows {id}"));
        }
    }

    /// Says what is in the way, or shows the preview.
    fn refresh(&self) {
        let settings = self.form.settings();
        let output = settings.as_ref().map_or(Output::Layer, |settings| settings.output);
        let obstacle = (self.obstacle)(output);
        let (styles, trouble) = match &*self.styles.borrow() {
            Some(Ok(_)) => (true, self.preview.live.borrow().trouble().to_owned()),
            Some(Err(trouble)) => (false, trouble.clone()),
            None => (false, String::new()),
        };
        if self.was_in_the_way.replace(obstacle.is_some()) && obstacle.is_none() {
            self.preview.live.borrow_mut().renew();
        }
        self.window.set_response_sensitive(OK, obstacle.is_none() && styles && settings.is_ok());
        let (message, can_retry) = match &obstacle {
            Some(obstacle) => (obstacle, false),
            None => (&trouble, true),
        };
        let is_said = *self.said.borrow() == *message;
        if !is_said {
            message.clone_into(&mut self.said.borrow_mut());
            self.message.set_text(&sentence(message));
            self.again.set_visible(can_retry);
            self.pages.show_page(if message.is_empty() { PREVIEW } else { MESSAGE });
            if can_retry && !message.is_empty() {
                self.again.focus();
            }
            trace(|| format!("the dialog says: {}", sentence(message)));
        }
        self.preview.set_ready(obstacle.is_none() && styles);
        if obstacle.is_none() {
            self.draw_gallery();
            if styles {
                self.preview.follow();
            }
        }
    }

    /// Has each style drawn, once.
    fn draw_gallery(&self) {
        if self.small.borrow().is_some() {
            return;
        }
        if let Some(Ok(_)) = &*self.styles.borrow() {
            let small = self.preview.live.borrow_mut().small(THUMBNAIL_PX * DRAWN_LARGER);
            if let Some(small) = &small {
                let picture = screen::thumbnail(&small.pixels, DRAWN_LARGER);
                self.form.styles.set_pale(screen::pale(&picture));
                self.gallery.borrow().draw(small.clone(), self.form.styles.ids());
            }
            *self.small.borrow_mut() = small;
        }
    }

    /// A person wants it to be tried again.
    fn try_again(&self) {
        let has_styles = matches!(&*self.styles.borrow(), Some(Ok(_)));
        if has_styles {
            self.preview.live.borrow_mut().forget();
        } else {
            *self.styles.borrow_mut() = None;
            *self.gallery.borrow_mut() = Gallery::start(connect, ring(&self.rope));
        }
        self.refresh();
    }
}

/// If this is set, what the dialog does is told on standard error.
const TRACE_VARIABLE: &str = "UTSUSHI_TRACE";

fn trace(words: impl FnOnce() -> String) {
    if std::env::var_os(TRACE_VARIABLE).is_some() {
        eprintln!("utsushi-gimp: {}", words());
    }
}

/// Errors begin with a small letter, as they may stand within other words.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.is_empty() || text.ends_with(['.', '。', ')']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// Rings the bell, from any thread.
fn ring(rope: &Arc<UnixStream>) -> impl Fn() + Send + 'static {
    let rope = Arc::clone(rope);
    move || {
        // Full of bytes that nobody has read yet, it rings just as well.
        let _ = (&*rope).write(&[0]);
    }
}

/// Two ends, neither of which keeps anybody waiting.
fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (bell, rope) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    rope.set_nonblocking(true)?;
    Ok((bell, rope))
}

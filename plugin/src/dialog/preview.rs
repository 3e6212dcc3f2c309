//! The preview in the dialog: the layer before and after, which can be moved, zoomed and split. What is drawn, and when, is in
//! `live`; which part, and how large, in `view`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::trace;
use crate::ffi::canvas::{Canvas, Side};
use crate::ffi::events::Event;
use crate::ffi::widgets::{Room, Ui, Widget};
use crate::filter::Host;
use crate::live::{Frame, Live, Pace};
use crate::params::{BadValue, Settings};
use crate::region::{Rect, Scaled};
use crate::view::{Likeness, View};
use crate::words;

/// The smallest size of the preview on the screen.
const LEAST_PX: (i32, i32) = (380, 300);
/// How near the line that splits the preview is taken hold of.
const GRIP_PX: f64 = 8.0;
/// How far an arrow key moves the layer, or the line.
const STEP_PX: f64 = 40.0;
/// What is around the layer.
const GROUND: [f64; 4] = [0.32, 0.32, 0.32, 1.0];

/// Another view.
type Change = fn(&mut View);

/// GDK's numbers of keys.
mod keys {
    pub(super) const LEFT: u32 = 0xff51;
    pub(super) const UP: u32 = 0xff52;
    pub(super) const RIGHT: u32 = 0xff53;
    pub(super) const DOWN: u32 = 0xff54;
    pub(super) const PLUS: [u32; 3] = [0x2b, 0x3d, 0xffab];
    pub(super) const MINUS: [u32; 2] = [0x2d, 0xffad];
    pub(super) const ZERO: [u32; 2] = [0x30, 0xffb0];
    pub(super) const ONE: [u32; 2] = [0x31, 0xffb1];
}

/// The widgets, and what they show.
pub(super) struct Preview<H> {
    pub(super) column: Widget,
    area: Widget,
    wanted: Widget,
    split: Widget,
    /// How large the layer is seen, or what is waited for.
    status: Widget,
    /// What it says.
    said: RefCell<String>,
    view: Cell<View>,
    /// What fraction of the width is before the line.
    line: Cell<f64>,
    drag: Cell<Drag>,
    pub(super) live: RefCell<Live<H>>,
    settings: Box<dyn Fn() -> Result<Settings, BadValue>>,
    /// Is there a daemon, and something to draw?
    is_ready: Cell<bool>,
    /// Is called after the worker's news.
    told: Box<dyn Fn()>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Drag {
    None,
    Line,
    Layer { x: f64, y: f64 },
}

impl<H: Host + 'static> Preview<H> {
    /// `settings` says what the dialog says; `told` is called when there may be trouble, or none any more.
    pub(super) fn new(
        ui: Ui,
        live: Live<H>,
        settings: impl Fn() -> Result<Settings, BadValue> + 'static,
        told: impl Fn() + 'static,
    ) -> Rc<Self> {
        let area = ui.drawing_area();
        area.set_size(LEAST_PX.0, LEAST_PX.1);
        area.listen_to_pointer_and_keys();
        area.set_name(words::PREVIEW_HELP.text());
        let (column, row, status) = (ui.column(6), ui.row(6), ui.label(""));
        let (wanted, split) = (ui.check(words::PREVIEW.text()), ui.check(words::SPLIT.text()));
        split.set_tooltip(words::SPLIT_HELP.text());
        wanted.set_checked(true);
        status.ellipsize();
        let button = |text: &str, help: &str| {
            let button = ui.button(text);
            button.set_tooltip(help);
            button
        };
        let fit = button(words::FIT.text(), words::FIT_HELP.text());
        let one = button(words::ONE_TO_ONE.text(), words::ONE_TO_ONE_HELP.text());
        let farther = button("\u{2212}", words::ZOOM_OUT_HELP.text());
        let nearer = button("+", words::ZOOM_IN_HELP.text());
        nearer.set_name(words::ZOOM_IN_HELP.text());
        farther.set_name(words::ZOOM_OUT_HELP.text());
        for child in [&fit, &one, &farther, &nearer] {
            row.pack(child, Room::Fixed);
        }
        row.pack(&status, Room::Grows);
        let checks = ui.row(12);
        checks.pack(&wanted, Room::Fixed);
        checks.pack(&split, Room::Fixed);
        column.pack(&ui.frame(&area), Room::Grows);
        column.pack(&row, Room::Fixed);
        column.pack(&checks, Room::Fixed);

        let extent = live.extent();
        let this = Rc::new(Self {
            column,
            area,
            wanted,
            split,
            status,
            said: RefCell::default(),
            view: Cell::new(View::new(extent.width, extent.height)),
            line: Cell::new(0.5),
            drag: Cell::new(Drag::None),
            live: RefCell::new(live),
            settings: Box::new(settings),
            is_ready: Cell::new(false),
            told: Box::new(told),
        });
        this.listen(&[
            (&fit, |view: &mut View| view.fit()),
            (&one, |view| view.one_to_one()),
            (&farther, |view| view.step(false, view.middle())),
            (&nearer, |view| view.step(true, view.middle())),
        ]);
        this
    }

    fn listen(self: &Rc<Self>, zooms: &[(&Widget, Change)]) {
        let weak = Rc::downgrade(self);
        let this = weak.clone();
        self.area.on_draw(move |canvas| {
            if let Some(this) = this.upgrade() {
                this.draw(canvas);
            }
        });
        for signal in [
            c"button-press-event",
            c"button-release-event",
            c"motion-notify-event",
            c"scroll-event",
            c"key-press-event",
        ] {
            let this = weak.clone();
            self.area.on_event(signal, move |event| this.upgrade().is_some_and(|this| this.answer(event)));
        }
        for (button, zoom) in zooms {
            let (this, zoom) = (weak.clone(), *zoom);
            button.on(c"clicked", move || {
                if let Some(this) = this.upgrade() {
                    this.change_view(zoom);
                }
            });
        }
        for check in [&self.wanted, &self.split] {
            let this = weak.clone();
            check.on(c"toggled", move || {
                if let Some(this) = this.upgrade() {
                    this.area.redraw();
                }
            });
        }
    }

    /// Whether there is a daemon, and something to draw.
    pub(super) fn set_ready(&self, is_ready: bool) {
        self.is_ready.set(is_ready);
        self.area.redraw();
    }

    /// The values have changed.
    pub(super) fn follow(&self) {
        self.ask();
        self.area.redraw();
    }

    fn change_view(&self, change: impl FnOnce(&mut View)) {
        let mut view = self.view.get();
        change(&mut view);
        self.view.set(view);
        self.area.redraw();
    }

    /// A person does something with the preview; is that all?
    fn answer(&self, event: Event) -> bool {
        let line_px = self.line.get() * f64::from(self.area.size().0);
        match (event, self.drag.get()) {
            (Event::Press { x, y, button: 1 | 2, .. }, _) => {
                self.area.focus();
                let is_line = self.split.is_checked() && (x - line_px).abs() <= GRIP_PX;
                self.drag.set(if is_line { Drag::Line } else { Drag::Layer { x, y } });
            }
            // GTK 3 leaves out motions that it has no time for, so the place where it ends counts, too.
            (Event::Release { x, y }, drag) => {
                self.drag_on(drag, (x, y));
                self.drag.set(Drag::None);
                self.area.redraw();
            }
            (Event::Motion { x, y }, drag) => self.drag_on(drag, (x, y)),
            (Event::ScrollUp { x, y }, _) => self.change_view(|view| view.step(true, (x, y))),
            (Event::ScrollDown { x, y }, _) => self.change_view(|view| view.step(false, (x, y))),
            (Event::Key { key: keys::LEFT, with_shift: true }, _) => self.move_line(line_px - STEP_PX),
            (Event::Key { key: keys::RIGHT, with_shift: true }, _) => self.move_line(line_px + STEP_PX),
            (Event::Key { key, .. }, _) => return self.press(key),
            _ => return false,
        }
        true
    }

    /// The pointer that has taken hold of something is here now.
    fn drag_on(&self, drag: Drag, (x, y): (f64, f64)) {
        match drag {
            Drag::None => {}
            Drag::Line => self.move_line(x),
            Drag::Layer { x: from_x, y: from_y } => {
                self.drag.set(Drag::Layer { x, y });
                self.change_view(|view| view.drag(x - from_x, y - from_y));
            }
        }
    }

    fn press(&self, key: u32) -> bool {
        let change: &dyn Fn(&mut View) = match key {
            keys::LEFT => &|view| view.drag(STEP_PX, 0.0),
            keys::RIGHT => &|view| view.drag(-STEP_PX, 0.0),
            keys::UP => &|view| view.drag(0.0, STEP_PX),
            keys::DOWN => &|view| view.drag(0.0, -STEP_PX),
            key if keys::PLUS.contains(&key) => &|view| view.step(true, view.middle()),
            key if keys::MINUS.contains(&key) => &|view| view.step(false, view.middle()),
            key if keys::ZERO.contains(&key) => &View::fit,
            key if keys::ONE.contains(&key) => &View::one_to_one,
            _ => return false,
        };
        self.change_view(change);
        true
    }

    fn move_line(&self, x: f64) {
        self.line.set((x / f64::from(self.area.size().0.max(1))).clamp(0.0, 1.0));
        self.area.redraw();
    }

    /// The copy of the layer that is shown, the part of it that is seen, and the part of that which is to be drawn.
    fn frames(&self, settings: Option<&Settings>) -> (Frame, Option<Frame>, Likeness) {
        let (view, live) = (self.view.get(), self.live.borrow());
        let extent = live.extent();
        let brush_size =
            settings.map_or(1.0, |settings| Scaled::whole(extent).brush_size(settings.brush_size));
        let (scale, likeness) = view.copy(brush_size);
        let copy = Scaled::new(extent, scale);
        let visible = view.visible();
        let part = |area: Rect| copy.part(area).map(|area| Frame { area, copy });
        let seen = part(visible).unwrap_or(Frame { area: copy.extent(), copy });
        let drawn = live.selected().and_then(|selected| visible.within(selected)).and_then(part);
        (seen, drawn, likeness)
    }

    fn is_wanted(&self) -> bool {
        self.is_ready.get() && self.wanted.is_checked()
    }

    /// Has what is seen drawn, if it isn't, or isn't on its way.
    fn ask(&self) {
        let settings = (self.settings)();
        let (_, drawn, likeness) = self.frames(settings.as_ref().ok());
        let mut live = self.live.borrow_mut();
        // While the layer is dragged, one picture after the other is enough.
        let is_dragged = matches!(self.drag.get(), Drag::Layer { .. });
        match drawn {
            Some(frame) if self.is_wanted() => {
                if !(is_dragged && live.is_waiting()) {
                    live.ask(settings, frame);
                }
            }
            _ => live.forget(),
        }
        let is_waiting = live.is_waiting();
        drop(live);
        self.tell(is_waiting, likeness);
    }

    fn tell(&self, is_waiting: bool, likeness: Likeness) {
        let percent = format!("{:.0}", self.view.get().scale() * 100.0);
        let zoom = match likeness {
            Likeness::Exact => words::ZOOM,
            Likeness::Reduced => words::ZOOM_REDUCED,
            Likeness::Coarse => words::ZOOM_COARSE,
        };
        let mut text = zoom.with(&[("percent", &percent)]);
        if !self.is_ready.get() {
            text = words::CONNECTING.text().into();
        } else if is_waiting {
            text = format!("{text} · {}", words::DRAWING.text());
        }
        // Each new text has the dialog drawn anew.
        if *self.said.borrow() != text {
            self.status.set_text(&text);
            self.status.set_tooltip(&text);
            *self.said.borrow_mut() = text;
        }
    }

    /// Takes the worker's news.
    pub(super) fn take(&self) {
        let news = self.live.borrow_mut().take();
        if let Some(Pace { asked, read, engine_ms }) = news {
            let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
            let (asked, read) = (ms(asked.elapsed()), ms(read));
            trace(|| {
                format!(
                    "preview {asked:.1} ms after the change, of these {read:.1} ms to read the layer and {engine_ms:.1} \
                     ms in the engine"
                )
            });
            (self.told)();
        }
        self.area.redraw();
    }

    fn draw(&self, canvas: &Canvas<'_>) {
        let (width, height) = self.area.size();
        let mut view = self.view.get();
        view.set_room((width, height));
        self.view.set(view);
        self.live.borrow_mut().follow_selection();
        self.ask();

        let (width, height) = (f64::from(width), f64::from(height));
        canvas.fill((0.0, 0.0, width, height), GROUND);
        let settings = (self.settings)();
        let (seen, _, _) = self.frames(settings.as_ref().ok());
        let is_wanted = self.is_wanted();
        let mut live = self.live.borrow_mut();
        let show = |look: &crate::live::Look, within| {
            let Frame { area, copy } = look.frame;
            let (scale, origin) = (view.scale() / copy.scale, view.origin());
            let place = (origin.0 + f64::from(area.x) * scale, origin.1 + f64::from(area.y) * scale);
            canvas.show(&look.pixels, place, scale, within);
        };
        if let Some(before) = live.before(seen) {
            show(before, (0.0, width));
        }
        let is_split = is_wanted && self.split.is_checked();
        let line = if is_split { (self.line.get() * width).round() } else { 0.0 };
        if let Some(look) = live.look().filter(|_| is_wanted) {
            show(look, (line, width));
        }
        if is_split {
            canvas.fill((line - 1.5, 0.0, 3.0, height), [0.0, 0.0, 0.0, 0.5]);
            canvas.fill((line - 0.5, 0.0, 1.0, height), [1.0, 1.0, 1.0, 1.0]);
            canvas.fill((line - 4.0, height / 2.0 - 16.0, 8.0, 32.0), [0.0, 0.0, 0.0, 0.5]);
            canvas.fill((line - 3.0, height / 2.0 - 15.0, 6.0, 30.0), [1.0, 1.0, 1.0, 1.0]);
            canvas.tag(words::BEFORE.text(), line - 14.0, 10.0, Side::Left);
            canvas.tag(words::AFTER.text(), line + 14.0, 10.0, Side::Right);
        }
        if self.area.has_focus() {
            let focus = [0.3, 0.6, 1.0, 0.9];
            for side in [
                (0.0, 0.0, width, 2.0),
                (0.0, height - 2.0, width, 2.0),
                (0.0, 0.0, 2.0, height),
                (width - 2.0, 0.0, 2.0, height),
            ] {
                canvas.fill(side, focus);
            }
        }
    }
}

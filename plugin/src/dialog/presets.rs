//! The row of presets: a name to choose or to type, and what to do with it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Taker;
use crate::ffi::widgets::{Room, Ui, Widget};
use crate::kept::Kept;
use crate::params::Value;
use crate::words;

/// The row.
pub(super) struct Presets {
    pub(super) row: Widget,
    combo: Widget,
    name: Widget,
    save: Widget,
    delete: Widget,
    /// What went wrong.
    trouble: Widget,
    kept: Kept,
    /// In the order of the lines.
    names: RefCell<Vec<String>>,
    is_filling: Cell<bool>,
    values: Box<dyn Fn() -> Vec<Value>>,
    chosen: Taker,
}

impl Presets {
    /// `values` tells what is to be kept; `chosen` is called with what a person takes.
    pub(super) fn new(
        ui: Ui,
        kept: Kept,
        values: impl Fn() -> Vec<Value> + 'static,
        chosen: impl Fn(&[Value]) + 'static,
    ) -> Rc<Self> {
        let (row, line, buttons, combo) = (ui.column(6), ui.row(6), ui.row(6), ui.combo_with_entry());
        let (save, delete) = (ui.button(words::SAVE_PRESET.text()), ui.button(words::DELETE_PRESET.text()));
        let (name, trouble) = (combo.entry_of_combo(), ui.label(""));
        name.set_tooltip(words::PRESETS_HELP.text());
        trouble.wrap(super::styles::ABOUT_PX);
        trouble.set_visible(false);
        line.pack(&ui.label_of(words::PRESETS.text(), &name), Room::Fixed);
        line.pack(&combo, Room::Grows);
        buttons.pack(&save, Room::Grows);
        buttons.pack(&delete, Room::Grows);
        row.pack(&line, Room::Fixed);
        row.pack(&buttons, Room::Fixed);
        row.pack(&trouble, Room::Fixed);
        let this = Rc::new(Self {
            row,
            combo,
            name,
            save,
            delete,
            trouble,
            kept,
            names: RefCell::default(),
            is_filling: Cell::new(false),
            values: Box::new(values),
            chosen: Box::new(chosen),
        });
        this.fill();
        this.listen();
        this
    }

    fn listen(self: &Rc<Self>) {
        let with = |call: fn(&Self)| {
            let this = Rc::downgrade(self);
            move || {
                if let Some(this) = this.upgrade().filter(|this| !this.is_filling.get()) {
                    call(&this);
                }
            }
        };
        // This is sent for each letter that is typed, too.
        self.combo.on(c"changed", with(Self::changed));
        self.save.on(c"clicked", with(Self::save));
        self.delete.on(c"clicked", with(Self::delete));
    }

    fn changed(&self) {
        let line = self.combo.line();
        self.show_buttons();
        let name = line.and_then(|line| self.names.borrow().get(line).cloned());
        if let Some(values) = name.and_then(|name| self.kept.presets().remove(&name)) {
            (self.chosen)(&values);
        }
    }

    fn typed(&self) -> String {
        self.name.typed().trim().to_owned()
    }

    fn save(&self) {
        let name = self.typed();
        if !name.is_empty() {
            self.tell(self.kept.save_preset(&name, &(self.values)()));
            self.fill();
        }
    }

    fn delete(&self) {
        self.tell(self.kept.delete_preset(&self.typed()));
        self.is_filling.set(true);
        self.name.type_text("");
        self.is_filling.set(false);
        self.fill();
    }

    fn tell(&self, done: Result<(), String>) {
        let trouble = done.err().unwrap_or_default();
        self.trouble.set_text(&trouble);
        self.trouble.set_visible(!trouble.is_empty());
    }

    /// The lines are those of the file; what is typed stays.
    fn fill(&self) {
        let names: Vec<String> = self.kept.presets().into_keys().collect();
        let typed = self.name.typed();
        self.is_filling.set(true);
        for line in (0..self.names.borrow().len()).rev() {
            self.combo.remove_line(line);
        }
        names.iter().for_each(|name| self.combo.append_line(name));
        self.name.type_text(&typed);
        self.is_filling.set(false);
        *self.names.borrow_mut() = names;
        self.show_buttons();
    }

    fn show_buttons(&self) {
        let name = self.typed();
        self.save.set_sensitive(!name.is_empty());
        self.delete.set_sensitive(self.names.borrow().contains(&name));
    }
}

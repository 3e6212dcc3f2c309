//! The controls, one a parameter, and the values that they stand for.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;

use utsushi_ipc::protocol::{MAX_SEED, StyleInfo};

use super::styles::StyleList;
use crate::ffi::widgets::{Room, Scale, Ui, Widget};
use crate::kept::Kept;
use crate::params::{Kind, PARAMS, Param, Settings, Value};
use crate::words;

/// How far the brush size's slider goes, which is enough for 250 megapixels; larger ones can be typed.
pub(crate) const SLIDER_BRUSH_SIZE: f64 = 16.0;
/// How far the arrow keys move it.
pub(crate) const BRUSH_SIZE_STEP: f64 = 0.1;
/// How far the page keys move it.
pub(crate) const BRUSH_SIZE_PAGE: f64 = 1.0;

/// All controls.
pub(super) struct Form {
    /// The list of styles.
    pub(super) styles: Rc<StyleList>,
    /// All others, one below the other.
    pub(super) table: Widget,
    controls: Vec<Control>,
    /// What is greyed out while there is no second style.
    share: Vec<Widget>,
    /// Does the program change the controls, rather than a person?
    is_setting: Cell<bool>,
    changed: Box<dyn Fn()>,
}

enum Control {
    Styles,
    Second(Second),
    /// Its adjustment.
    Number(Widget),
    Choice(Widget),
    Seed(Widget),
}

/// A combo of styles, of which the first line is none.
struct Second {
    combo: Widget,
    ids: RefCell<Vec<String>>,
    /// What it is to be once there are styles.
    wanted: RefCell<String>,
}

impl Form {
    /// `changed` is called when a person changes a value.
    pub(super) fn new(ui: Ui, kept: Kept, changed: impl Fn() + 'static) -> Rc<Self> {
        Rc::new_cyclic(|this: &std::rc::Weak<Self>| {
            let call = {
                let this = this.clone();
                move || {
                    if let Some(form) = this.upgrade() {
                        form.changed();
                    }
                }
            };
            let table = ui.table(PARAMS.len() as u32);
            let mut share = Vec::new();
            let controls = (0..).zip(&PARAMS).map(|(row, param)| {
                let (control, parts) = Control::new(ui, &table, row, param, call.clone());
                if param.name == c"second-share" {
                    share = parts;
                }
                control
            });
            let controls = controls.collect();
            let styles = StyleList::new(ui, kept, call.clone());
            let (is_setting, changed) = (Cell::new(false), Box::new(changed));
            Self { styles, table, controls, share, is_setting, changed }
        })
    }

    /// A person has changed a value.
    fn changed(&self) {
        if self.is_setting.get() {
            return;
        }
        // There is no brush between 0, which is automatic, and 1, the finest.
        if let Control::Number(brush) = &self.controls[2] {
            let number = brush.number();
            if number > 0.0 && number < 1.0 {
                self.is_setting.set(true);
                brush.set_number(1.0);
                self.is_setting.set(false);
            }
        }
        self.show_share();
        (self.changed)();
    }

    fn show_share(&self) {
        let has_second = matches!(&self.values()[4], Value::Style(id) if !id.is_empty());
        self.share.iter().for_each(|part| part.set_sensitive(has_second));
    }

    /// There are these styles.
    pub(super) fn set_styles(&self, styles: &Arc<[StyleInfo]>) {
        self.is_setting.set(true);
        self.styles.set_styles(styles);
        for control in &self.controls {
            if let Control::Second(second) = control {
                second.set_styles(styles);
            }
        }
        self.is_setting.set(false);
        self.show_share();
    }

    /// In the order of [`PARAMS`].
    pub(super) fn values(&self) -> Vec<Value> {
        let value = |control: &Control| match control {
            Control::Styles => Value::Style(self.styles.chosen()),
            Control::Second(second) => Value::Style(second.chosen()),
            Control::Number(adjustment) => Value::Number(adjustment.number()),
            Control::Choice(combo) => Value::Whole(combo.line().unwrap_or(0) as i32),
            Control::Seed(spin) => Value::Whole(spin.whole()),
        };
        self.controls.iter().map(value).collect()
    }

    /// The values, if they can be.
    pub(super) fn settings(&self) -> Result<Settings, crate::params::BadValue> {
        Settings::parse(&self.values())
    }

    /// Has the controls stand for these values, without a call of `changed`.
    pub(super) fn set(&self, values: &[Value]) {
        self.is_setting.set(true);
        for (control, value) in self.controls.iter().zip(values) {
            match (control, value) {
                (Control::Styles, Value::Style(id)) => self.styles.set_chosen(id),
                (Control::Second(second), Value::Style(id)) => second.choose(id),
                (Control::Number(adjustment), Value::Number(number)) => adjustment.set_number(*number),
                (Control::Choice(combo), Value::Whole(line)) => combo.set_line(usize::try_from(*line).ok()),
                (Control::Seed(spin), Value::Whole(seed)) => spin.set_whole(*seed),
                _ => {}
            }
        }
        self.is_setting.set(false);
        self.show_share();
    }
}

impl Control {
    /// The control, and its widgets that can be greyed out.
    fn new(
        ui: Ui,
        table: &Widget,
        row: u32,
        param: &Param,
        changed: impl Fn() + 'static,
    ) -> (Self, Vec<Widget>) {
        let attach = |control: &Widget, child: &Widget| {
            control.set_tooltip(param.help.text());
            table.attach(&ui.label_of(param.label.text(), control), row, (0, 1), Room::Fixed);
            table.attach(child, row, (1, 3), Room::Grows);
        };
        match param.kind {
            Kind::Style if row == 0 => (Self::Styles, Vec::new()),
            Kind::Style => {
                let combo = ui.combo(&[words::NO_STYLE.text()]);
                combo.set_line(Some(0));
                attach(&combo, &combo);
                combo.on(c"changed", changed);
                let ids = RefCell::new(vec![String::new()]);
                (Self::Second(Second { combo, ids, wanted: RefCell::default() }), Vec::new())
            }
            Kind::Number { least, most, .. } => {
                let is_brush_size = param.name == c"brush-size";
                let scale = match is_brush_size {
                    true => Scale {
                        least,
                        most,
                        slider_most: SLIDER_BRUSH_SIZE,
                        step: BRUSH_SIZE_STEP,
                        page: BRUSH_SIZE_PAGE,
                        digits: 1,
                    },
                    false => Scale { least, most, slider_most: most, step: 0.01, page: 0.1, digits: 2 },
                };
                let words = (param.label.text(), param.help.text());
                let (adjustment, parts) = ui.slider(table, row, words, &scale);
                adjustment.on(c"value-changed", changed);
                (Self::Number(adjustment), parts)
            }
            Kind::Choice(options) => {
                let combo = ui.combo(&options.iter().map(|(_, label)| label.text()).collect::<Vec<_>>());
                attach(&combo, &combo);
                combo.on(c"changed", changed);
                (Self::Choice(combo), Vec::new())
            }
            Kind::Seed => {
                let (seed, spin) = (ui.row(6), ui.spin(MAX_SEED as f64));
                let dice = ui.button(words::NEW_SEED.text());
                dice.set_tooltip(words::NEW_SEED_HELP.text());
                seed.pack(&spin, Room::Grows);
                seed.pack(&dice, Room::Fixed);
                attach(&spin, &seed);
                spin.on(c"value-changed", changed);
                // The dice goes with the dialog, and its callback with it.
                let number = spin.clone();
                dice.on(c"clicked", move || number.set_whole(throw()));
                (Self::Seed(spin), Vec::new())
            }
        }
    }
}

impl Second {
    fn set_styles(&self, styles: &[StyleInfo]) {
        let mut ids = self.ids.borrow_mut();
        for line in (1..ids.len()).rev() {
            self.combo.remove_line(line);
        }
        ids.truncate(1);
        for style in styles {
            self.combo.append_line(&style.name);
            ids.push(style.id.clone());
        }
        drop(ids);
        let wanted = self.wanted.borrow().clone();
        self.choose(&wanted);
    }

    fn choose(&self, id: &str) {
        id.trim().clone_into(&mut self.wanted.borrow_mut());
        let line = self.ids.borrow().iter().position(|other| other == id.trim());
        self.combo.set_line(Some(line.unwrap_or(0)));
    }

    fn chosen(&self) -> String {
        let ids = self.ids.borrow();
        if ids.len() == 1 {
            return self.wanted.borrow().clone();
        }
        self.combo.line().and_then(|line| ids.get(line)).cloned().unwrap_or_default()
    }
}

/// Any seed. The standard library has its random numbers from the system.
fn throw() -> i32 {
    (RandomState::new().build_hasher().finish() % (MAX_SEED + 1)) as i32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn seeds_differ_and_are_seeds() {
        let seeds: HashSet<i32> = (0..100).map(|_| throw()).collect();
        assert!(seeds.len() > 90 && seeds.iter().all(|seed| *seed >= 0), "{seeds:?}");
        assert!(seeds.iter().any(|seed| *seed > i32::MAX / 2), "{seeds:?}");
    }
}

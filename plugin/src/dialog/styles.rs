//! The list of styles: a picture of the layer in each, what it does and whose it is, a search, and stars.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use utsushi_ipc::protocol::StyleInfo;

use crate::choice::{self, SEARCH_FROM};
use crate::ffi::list::{Line, PictureList, Thumbnail};
use crate::ffi::widgets::{Room, Ui, Widget};
use crate::kept::Kept;
use crate::words;

/// How wide the lines are in which a style is told of.
pub(super) const ABOUT_PX: i32 = 310;

/// The list with what is around it.
pub(super) struct StyleList {
    pub(super) column: Widget,
    /// All that is to say of the chosen style.
    pub(super) about: Widget,
    list: PictureList,
    search_row: Widget,
    search: Widget,
    no_match: Widget,
    star: Widget,
    kept: Kept,
    state: RefCell<State>,
    /// Does the program change the list, rather than a person?
    is_filling: Cell<bool>,
    changed: Box<dyn Fn()>,
}

struct State {
    styles: Arc<[StyleInfo]>,
    favourites: BTreeSet<String>,
    /// The styles in the order of the lines.
    lines: Vec<usize>,
    pictures: HashMap<String, Thumbnail>,
    /// For a style that has none yet.
    pale: Option<Thumbnail>,
    /// An id; empty for the default.
    chosen: String,
}

impl StyleList {
    /// `changed` is called when a person chooses another style.
    pub(super) fn new(ui: Ui, kept: Kept, changed: impl Fn() + 'static) -> Rc<Self> {
        let column = ui.column(6);
        let search = ui.entry();
        let search_row = ui.row(6);
        search_row.pack(&ui.label_of(words::SEARCH.text(), &search), Room::Fixed);
        search_row.pack(&search, Room::Grows);
        let list = PictureList::new(ui);
        let name = ui.label_of(words::STYLE.text(), list.widget());
        let star = ui.check(words::FAVOURITE.text());
        star.set_tooltip(words::FAVOURITE_HELP.text());
        let head = ui.row(6);
        head.pack(&name, Room::Grows);
        head.pack(&star, Room::Fixed);
        let no_match = ui.label(words::NO_MATCH.text());
        let scrolled = ui.scrolled(list.widget());
        scrolled.set_size(-1, 190);
        column.pack(&head, Room::Fixed);
        column.pack(&search_row, Room::Fixed);
        column.pack(&no_match, Room::Fixed);
        column.pack(&scrolled, Room::Grows);
        // What is in it is seen as soon as it is.
        search_row.show_all();
        search_row.set_visible(false);
        no_match.set_visible(false);

        let state = State {
            styles: [].into(),
            favourites: kept.favourites(),
            lines: Vec::new(),
            pictures: HashMap::new(),
            pale: None,
            chosen: String::new(),
        };
        let about = ui.label("");
        about.wrap(ABOUT_PX);
        about.make_selectable();
        let this = Rc::new(Self {
            column,
            about,
            list,
            search_row,
            search,
            no_match,
            star,
            kept,
            state: RefCell::new(state),
            is_filling: Cell::new(false),
            changed: Box::new(changed),
        });
        this.listen();
        this
    }

    /// Has the keyboard go to the list.
    pub(super) fn focus(&self) {
        self.list.widget().focus();
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
        self.list.on_chosen(with(Self::choose));
        self.search.on(c"changed", with(Self::fill));
        self.star.on(c"toggled", with(|this| this.set_favourite(this.star.is_checked())));
        let this: Weak<Self> = Rc::downgrade(self);
        self.list.on_star(move |line| {
            if let Some(this) = this.upgrade() {
                this.toggle_star(line);
            }
        });
    }

    /// A person has chosen a line.
    fn choose(&self) {
        let Some(line) = self.list.chosen() else { return };
        let id = {
            let mut state = self.state.borrow_mut();
            let Some(index) = state.lines.get(line) else { return };
            let id = state.styles[*index].id.clone();
            if state.chosen == id {
                return;
            }
            state.chosen.clone_from(&id);
            id
        };
        self.show_about(&id);
        (self.changed)();
    }

    fn toggle_star(&self, line: usize) {
        let id = {
            let state = self.state.borrow();
            let Some(index) = state.lines.get(line) else { return };
            state.styles[*index].id.clone()
        };
        let is_favourite = !self.state.borrow().favourites.contains(&id);
        self.keep_favourite(&id, is_favourite);
    }

    fn set_favourite(&self, is_favourite: bool) {
        let id = self.chosen();
        self.keep_favourite(&id, is_favourite);
    }

    fn keep_favourite(&self, id: &str, is_favourite: bool) {
        // Without room on the disk it is one as long as the dialog is open.
        if let Err(trouble) = self.kept.set_favourite(id, is_favourite) {
            eprintln!("utsushi-gimp: {trouble}");
        }
        {
            let favourites = &mut self.state.borrow_mut().favourites;
            if is_favourite {
                favourites.insert(id.to_owned())
            } else {
                favourites.remove(id)
            };
        }
        self.fill();
    }

    /// There are these styles.
    pub(super) fn set_styles(&self, styles: &Arc<[StyleInfo]>) {
        self.state.borrow_mut().styles = Arc::clone(styles);
        self.search_row.set_visible(styles.len() >= SEARCH_FROM);
        self.fill();
    }

    /// Shows this until a style is drawn.
    pub(super) fn set_pale(&self, picture: Thumbnail) {
        self.state.borrow_mut().pale = Some(picture);
        self.fill();
    }

    /// A style is drawn.
    pub(super) fn set_picture(&self, id: &str, picture: Thumbnail) {
        let mut state = self.state.borrow_mut();
        let line = state.lines.iter().position(|index| state.styles[*index].id == id);
        if let Some(line) = line {
            self.list.set_picture(line, &picture);
        }
        state.pictures.insert(id.to_owned(), picture);
    }

    /// All ids, in the order of the list.
    pub(super) fn ids(&self) -> Vec<String> {
        let state = self.state.borrow();
        let order = choice::order(&state.styles, &state.favourites, "");
        order.iter().map(|index| state.styles[*index].id.clone()).collect()
    }

    /// The id of the chosen style; that of the default if none is chosen.
    pub(super) fn chosen(&self) -> String {
        let state = self.state.borrow();
        let is_there = state.styles.iter().any(|style| style.id == state.chosen);
        match state.styles.first() {
            Some(first) if !is_there => first.id.clone(),
            _ => state.chosen.clone(),
        }
    }

    /// Chooses the style of this id, without a call of `changed`.
    pub(super) fn set_chosen(&self, id: &str) {
        id.trim().clone_into(&mut self.state.borrow_mut().chosen);
        self.show_chosen();
    }

    fn fill(&self) {
        let sought = self.search.typed();
        self.is_filling.set(true);
        {
            let mut state = self.state.borrow_mut();
            state.lines = choice::order(&state.styles, &state.favourites, &sought);
            let state = &*state;
            let line = |index: &usize| {
                let style = &state.styles[*index];
                let (words, tooltip) = choice::markup(&state.styles, *index);
                let picture = state.pictures.get(&style.id).or(state.pale.as_ref());
                Line { picture, words, tooltip, is_favourite: state.favourites.contains(&style.id) }
            };
            self.list.fill(state.lines.iter().map(line));
            self.no_match.set_visible(state.lines.is_empty() && !state.styles.is_empty());
        }
        self.is_filling.set(false);
        self.show_chosen();
    }

    fn show_chosen(&self) {
        let id = self.chosen();
        let line = {
            let state = self.state.borrow();
            state.lines.iter().position(|index| state.styles[*index].id == id)
        };
        self.is_filling.set(true);
        if let Some(line) = line {
            self.list.choose(line);
        }
        self.is_filling.set(false);
        self.show_about(&id);
    }

    fn show_about(&self, id: &str) {
        let state = self.state.borrow();
        let is_favourite = state.favourites.contains(id);
        if let Some(index) = state.styles.iter().position(|style| style.id == id) {
            self.about.set_markup(&choice::markup(&state.styles, index).1);
        }
        drop(state);
        self.is_filling.set(true);
        self.star.set_checked(is_favourite);
        self.is_filling.set(false);
    }
}

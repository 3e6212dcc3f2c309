//! The icon as ksni puts it on the bus. It answers from its state, and hands clicks on: whatever takes time is done on
//! other threads.

use std::sync::mpsc::Sender;

use ksni::menu::{CheckmarkItem, StandardItem, SubMenu};
use ksni::{Category, Icon, MenuItem, OfflineReason, Status, ToolTip, Tray};

use super::menu::{Entry, menu};
use super::state::{Face, State};
use super::{APP_ID, Event, icon};

pub(super) struct Item {
    pub(super) state: State,
    pub(super) events: Sender<Event>,
}

impl Item {
    fn tell(&self, event: Event) {
        // Nobody hears it if the daemon ends just now.
        let _ = self.events.send(event);
    }

    fn pixmaps(&self) -> Vec<Icon> {
        let pixmaps = icon::pixmaps(self.state.face()).into_iter();
        let icon = |pixmap: icon::Pixmap| {
            let side = pixmap.side_px as i32;
            Icon { width: side, height: side, data: pixmap.argb }
        };
        pixmaps.map(icon).collect()
    }
}

impl Tray for Item {
    const MENU_ON_ACTIVATE: bool = true;

    fn id(&self) -> String {
        APP_ID.into()
    }

    fn category(&self) -> Category {
        Category::ApplicationStatus
    }

    fn title(&self) -> String {
        "Utsushi".into()
    }

    fn status(&self) -> Status {
        match self.state.face() {
            Face::Problem => Status::NeedsAttention,
            _ => Status::Active,
        }
    }

    // Without a name of a theme's, panels take the pixels, which tell more than one state.
    fn icon_pixmap(&self) -> Vec<Icon> {
        self.pixmaps()
    }

    fn attention_icon_pixmap(&self) -> Vec<Icon> {
        self.pixmaps()
    }

    fn tool_tip(&self) -> ToolTip {
        let description = super::notify::escaped(&self.state.words());
        ToolTip { title: "Utsushi".into(), description, ..ToolTip::default() }
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        menu(&self.state).into_iter().map(shown).collect()
    }

    fn menu_about_to_show(&mut self) {
        self.tell(Event::Opened);
    }

    fn watcher_online(&self) {
        self.tell(Event::Panel(true));
    }

    fn watcher_offline(&self, _reason: OfflineReason) -> bool {
        self.tell(Event::Panel(false));
        true
    }
}

fn shown(entry: Entry) -> MenuItem<Item> {
    // An underscore would underline the next letter.
    let label = |words: String| words.replace('_', "__");
    match entry {
        Entry::Click(words, click) => StandardItem {
            label: label(words),
            activate: Box::new(move |item: &mut Item| item.tell(Event::Click(click.clone()))),
            ..StandardItem::default()
        }
        .into(),
        Entry::Check(words, checked, click) => CheckmarkItem {
            label: label(words),
            checked,
            activate: Box::new(move |item: &mut Item| item.tell(Event::Click(click.clone()))),
            ..CheckmarkItem::default()
        }
        .into(),
        Entry::Note(words) => {
            StandardItem { label: label(words), enabled: false, ..StandardItem::default() }.into()
        }
        Entry::Menu(words, entries) => {
            let submenu = entries.into_iter().map(shown).collect();
            SubMenu { label: label(words), submenu, ..SubMenu::default() }.into()
        }
        Entry::Rule => MenuItem::Separator,
    }
}

//! Every text that the plug-in shows to people, in one place: `po/` has a catalogue of it for each language, and a test
//! compares the two. `_` marks a mnemonic, `{…}` is replaced.

use std::ffi::CStr;

use crate::ffi::gettext;

/// A text, in English.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(&'static CStr);

impl Word {
    /// As it stands in the program.
    pub(crate) fn english(self) -> &'static CStr {
        self.0
    }

    /// In the user's language.
    pub(crate) fn text(self) -> &'static str {
        gettext::translate(self.0)
    }

    /// In the user's language, with these in the places of `{…}`.
    pub(crate) fn with(self, values: &[(&str, &str)]) -> String {
        let mut rest = self.text();
        let mut text = String::new();
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let known = after.split_once('}').and_then(|(name, rest)| {
                values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value, rest))
            });
            let (value, after) = known.unwrap_or(("{", after));
            text.push_str(value);
            rest = after;
        }
        text + rest
    }
}

macro_rules! words {
    ($($(#[$comment:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$comment])* pub(crate) const $name: Word = Word($text);)*

        /// All of them.
        #[cfg(test)]
        pub(crate) const ALL: &[Word] = &[$($name,)*];
    };
}

words! {
    // What GIMP shows of the procedures.
    STYLIZE = c"_Stylize…";
    STYLIZE_BLURB = c"Re-draw the layer in a style that a neural network has learned";
    STYLIZE_HELP = c"The layer is drawn by Utsushi's daemon, which is started if it isn't running. Everything happens on this machine. The selection is respected, transparency stays as it is.";
    STATUS = c"_Daemon status";
    STATUS_BLURB = c"Tell how Utsushi's daemon is: version, styles in memory, device, memory, queue";
    STATUS_HELP = c"Called from the menu, it shows what `utsushi status` shows; a script gets it as a text. A daemon that isn't running isn't started.";

    // The parameters, and what is told of them.
    STYLE = c"St_yle";
    STYLE_HELP = c"The style's id, as `utsushi styles` lists them; empty for the first of them";
    STRENGTH = c"S_trength";
    STRENGTH_HELP = c"0 leaves the layer as it is, 1 is the whole style";
    BRUSH_SIZE = c"_Brush size (0: automatic)";
    BRUSH_SIZE_HELP = c"The scale at which the style works: 1 gives the finest strokes, 64 the coarsest; 0 chooses by the layer's size";
    KEEP_COLOURS = c"_Keep colours";
    KEEP_COLOURS_HELP = c"0 takes the style's colours, 1 keeps the layer's own";
    SECOND_STYLE = c"S_econd style";
    SECOND_STYLE_HELP = c"The id of a style to mix in; empty for none";
    SECOND_SHARE = c"Share in the _mix";
    SECOND_SHARE_HELP = c"How much of the mix is the second style's: 0 is none of it, 1 is all";
    OUTPUT = c"O_utput";
    OUTPUT_HELP = c"Where the drawn picture goes";
    CHANGE_LAYER = c"Change the layer";
    NEW_LAYER = c"New layer above";
    SEED = c"See_d";
    SEED_HELP = c"Which random texture, of styles that have one: another seed moves the strokes, the same gives the same picture";
    GRAIN = c"_Grain";
    GRAIN_HELP = c"How strong the style's random texture is: 0 is none of it, 1 as the style was trained";

    // The dialog.
    TITLE = c"Stylize";
    OK = c"_OK";
    CANCEL = c"_Cancel";
    RESET = c"_Reset";
    SEARCH = c"Searc_h";
    NO_MATCH = c"No style matches.";
    DEFAULT_STYLE = c"{style} (default)";
    NO_STYLE = c"None";
    FAVOURITE = c"_Favourite";
    FAVOURITE_HELP = c"Favourites come first in the list; a click on the star does the same";
    NEW_SEED = c"_New seed";
    NEW_SEED_HELP = c"Throw the dice for another seed";
    PRESETS = c"_Presets";
    PRESETS_HELP = c"Choose a preset to take its values, or type a name and save the values under it";
    SAVE_PRESET = c"Save";
    DELETE_PRESET = c"Delete";
    PREVIEW = c"Pre_view";
    SPLIT = c"Before and _after";
    SPLIT_HELP = c"Show the layer as it is on the left of a line, which can be dragged";
    BEFORE = c"Before";
    AFTER = c"After";
    FIT = c"F_it";
    FIT_HELP = c"Show the whole layer";
    ONE_TO_ONE = c"_1:1";
    ONE_TO_ONE_HELP = c"Show the layer's own pixels, which is exactly what OK draws";
    ZOOM_IN_HELP = c"Zoom in; so does the mouse wheel";
    ZOOM_OUT_HELP = c"Zoom out; so does the mouse wheel";
    PREVIEW_HELP = c"Drag to move, turn the wheel to zoom; keys: arrows, +, -, 0 for all of it, 1 for 1:1";
    ZOOM = c"{percent} %";
    ZOOM_REDUCED = c"{percent} %, about as OK draws it";
    ZOOM_COARSE = c"{percent} %; OK draws finer strokes, see 1:1";
    DRAWING = c"Drawing…";
    CONNECTING = c"Waiting for Utsushi's daemon…";
    TRY_AGAIN = c"Try again";

    // The built-in styles, and those of users.
    ANIME = c"Flat, light surfaces, clean shadows, clear skies";
    COMIC = c"Flat paint and ink";
    UKIYO_E = c"Key lines and paper: a woodblock print";
    OIL = c"Paint in strokes along the forms";
    VAN_GOGH = c"Bold, swirling strokes in many colours";
    IMPRESSIONIST = c"Soft, light strokes in many colours";
    CEL = c"Flat colours, clean edges, thin dark lines";
    PAINT = c"Smooth paint along the shapes, and quick";
    RESTORE = c"Takes out noise, blur and JPEG's blocks";
    OWN_STYLE = c"A style of your own";

    // While a layer is drawn.
    TITLE_OF = c"Utsushi: {style}";
    WAITING_FOR_ONE = c"Utsushi: waiting, as another picture goes first";
    WAITING_FOR_MORE = c"Utsushi: waiting, as {count} other pictures go first";

    // What is in the way.
    LOCKED = c"the layer's pixels are locked: unlock them in the Layers dialog, or draw on a new layer";
    FLOATING = c"there can be no layer above a floating selection: anchor it first";
    GROUP = c"a layer group has no pixels of its own: choose a layer in it, or merge the group";
    MASK = c"a layer mask is being edited: choose the layer itself";
    CHANNEL = c"channels and the selection can't be drawn on: choose a layer";
    INDEXED = c"an indexed image has no colours to spare: choose Image > Mode > RGB first";
    ENCODING = c"the layer's pixels are of a kind that can't be drawn on ({encoding}); convert the image to RGB first";
    NOTHING_SELECTED = c"the selection doesn't touch the layer: move it, or choose Select > None";
    UNCHANGED = c"{reason}; the layer is unchanged";

    // The daemon.
    NOT_RUNNING = c"no daemon is running at {socket}; start one with `utsushi serve`";
    CANNOT_START = c"can't start the daemon with `{program}`: {reason}; install Utsushi anew, or start it with `utsushi serve`";
    OTHER_VERSION = c"the daemon that is running is Utsushi {theirs}, but this is Utsushi {ours}; run `utsushi stop`, then try again, and if that doesn't help, install the same version of both";
    SILENT = c"the daemon has said nothing for {seconds} s and was given up: it is stopped, or hangs; end it with `kill -9 {pid}`, then try again";
    LOST = c"the daemon was lost before it had finished; try again ({reason})";
    NO_STYLES = c"the daemon has no styles; install Utsushi anew";
    CANNOT_KEEP = c"can't write {file}: {reason}";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_their_places() {
        let check = |text, values: &[(&str, &str)], expected| assert_eq!(Word(text).with(values), expected);
        check(c"a {b} c", &[("b", "7")], "a 7 c");
        check(c"{b}{c}", &[("c", "{b}"), ("b", "x")], "x{b}");
        check(c"{d} {", &[("b", "7")], "{d} {");
        check(c"plain", &[], "plain");
    }

    /// What stands between `{` and `}`.
    fn places(text: &str) -> Vec<&str> {
        let mut places: Vec<_> =
            text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect();
        places.sort_unstable();
        places
    }

    fn mnemonic(text: &str) -> Option<char> {
        text.split_once('_')?.1.chars().next().map(|letter| letter.to_ascii_lowercase())
    }

    /// Those that are in the dialog at the same time.
    const DIALOG: [Word; 20] = [
        STYLE,
        STRENGTH,
        BRUSH_SIZE,
        KEEP_COLOURS,
        SECOND_STYLE,
        SECOND_SHARE,
        OUTPUT,
        SEED,
        GRAIN,
        OK,
        CANCEL,
        RESET,
        SEARCH,
        FAVOURITE,
        NEW_SEED,
        PRESETS,
        PREVIEW,
        SPLIT,
        FIT,
        ONE_TO_ONE,
    ];

    #[track_caller]
    fn check_mnemonics(language: &str, text: impl Fn(Word) -> String) {
        let mut seen: Vec<(char, String)> = Vec::new();
        for text in DIALOG.map(text) {
            let letter = mnemonic(&text).unwrap_or_else(|| panic!("{language}: {text} has no mnemonic"));
            let same = seen.iter().find(|(other, _)| *other == letter);
            assert!(same.is_none(), "{language}: {text} has the mnemonic of {same:?}");
            seen.push((letter, text));
        }
    }

    #[test]
    fn mnemonics_differ() {
        check_mnemonics("English", |word| word.english().to_str().expect("text").to_owned());
    }

    #[test]
    fn every_catalogue_has_every_text() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("po");
        let texts: Vec<_> = ALL.iter().map(|word| word.english().to_str().expect("text")).collect();
        let mut languages = Vec::new();
        for entry in std::fs::read_dir(&folder).expect("the folder") {
            let file = entry.expect("an entry").path();
            let is_template = file.extension().is_some_and(|extension| extension == "pot");
            if !is_template && file.extension().is_none_or(|extension| extension != "po") {
                continue;
            }
            let name = file.display();
            let catalogue = polib::po_file::parse(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
            let found: Vec<_> = catalogue.messages().map(|message| message.msgid()).collect();
            let missing: Vec<_> = texts.iter().filter(|text| !found.contains(text)).collect();
            let unknown: Vec<_> = found.iter().filter(|text| !texts.contains(text)).collect();
            assert!(
                missing.is_empty() && unknown.is_empty(),
                "{name}: lacks {missing:?}; nobody says {unknown:?}"
            );
            if is_template {
                continue;
            }
            languages.push(file.file_stem().expect("a name").to_string_lossy().into_owned());
            let translated = |text: &str| {
                let message =
                    catalogue.messages().find(|message| message.msgid() == text).expect("it is there");
                assert!(!message.is_fuzzy(), "{name}: {text} is only guessed");
                message.msgstr().expect("no plural").to_owned()
            };
            for text in &texts {
                let translation = translated(text);
                assert!(!translation.trim().is_empty(), "{name}: {text} isn't translated");
                assert_eq!(places(text), places(&translation), "{name}: {text}: {translation}");
                let are_alike = mnemonic(text).is_some() == mnemonic(&translation).is_some();
                assert!(are_alike, "{name}: the mnemonic of {text}: {translation}");
            }
            check_mnemonics(&name.to_string(), |word| translated(word.english().to_str().expect("text")));
        }
        languages.sort_unstable();
        assert_eq!(languages, ["de", "ja"]);
    }
}

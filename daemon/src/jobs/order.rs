//! What a job was asked for, checked: afterwards every text fits into a style file, and every path into a message.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{env, process};

use serde::{Deserialize, Serialize};
use utsushi_engine::style_file::is_style_id;
use utsushi_ipc::protocol::{
    Budget, Fault, FaultKind, MAX_ART_FOLDERS, MAX_PATH_BYTES, MAX_RECIPE_BYTES, MAX_STEPS, MAX_TEXT_BYTES,
    RecipeChoice, TrainSpec,
};

/// The longest name, author and licence, in characters, as in a style file.
const MAX_NAME_CHARS: usize = 120;
/// More threads than this are a mistake.
const MAX_THREADS: u32 = 1024;

/// A training that makes sense. Kept in the job's folder, and thus read by every later version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The style's id.
    pub style: String,
    /// Its name.
    pub name: String,
    /// Folders with art, at least one.
    pub art: Vec<PathBuf>,
    /// The folder with photos.
    pub photos: PathBuf,
    /// For how long.
    pub budget: Budget,
    /// The style to start from.
    pub like: Option<String>,
    /// All the other numbers.
    pub recipe: RecipeChoice,
    /// Who trains it.
    pub author: String,
    /// The style's licence.
    pub licence: String,
    /// Whom to credit.
    pub attribution: String,
    /// On how many cores, at least one; on all if it is not said.
    pub threads: Option<u32>,
    /// Go on when the machine runs on its battery.
    pub on_battery: bool,
}

impl TryFrom<TrainSpec> for Order {
    type Error = Fault;

    fn try_from(spec: TrainSpec) -> Result<Self, Fault> {
        let TrainSpec {
            style,
            name,
            art,
            photos,
            budget,
            like,
            recipe,
            author,
            licence,
            attribution,
            threads,
            on_battery,
        } = spec;
        for id in like.iter().chain([&style]) {
            if !is_style_id(id) {
                return Err(invalid(format!(
                    "no style can be called {:?}; give 1 to 64 lower-case letters, digits and hyphens",
                    short(id)
                )));
            }
        }
        let texts = [("name", &name, 1), ("author", &author, 0), ("licence", &licence, 1)];
        for (what, text, least) in texts {
            let count = text.chars().count();
            if !(least..=MAX_NAME_CHARS).contains(&count) {
                let message = format!("the {what} has {count} characters; give {least} to {MAX_NAME_CHARS}");
                return Err(invalid(message));
            }
        }
        if attribution.len() > MAX_TEXT_BYTES {
            return Err(invalid(format!(
                "the attribution is longer than {MAX_TEXT_BYTES} bytes; shorten it"
            )));
        }
        let (least, most) = (1, MAX_STEPS);
        if let Budget::Minutes(count) | Budget::Steps(count) = budget
            && !(least..=most).contains(&count)
        {
            return Err(invalid(format!("it is to take {count} minutes or steps; give {least} to {most}")));
        }
        if threads.is_some_and(|threads| !(1..=MAX_THREADS).contains(&threads)) {
            return Err(invalid(format!("give 1 to {MAX_THREADS} threads, or leave it to the daemon")));
        }
        if matches!(&recipe, RecipeChoice::Own(text) if text.len() > MAX_RECIPE_BYTES) {
            return Err(invalid(format!("the recipe is longer than {MAX_RECIPE_BYTES} bytes; shorten it")));
        }
        if !(1..=MAX_ART_FOLDERS).contains(&art.len()) {
            let count = art.len();
            return Err(invalid(format!("there are {count} folders of art; give 1 to {MAX_ART_FOLDERS}")));
        }
        art.iter().chain([&photos]).try_for_each(|folder| check_folder(folder))?;
        Ok(Self {
            style,
            name,
            art,
            photos,
            budget,
            like,
            recipe,
            author,
            licence,
            attribution,
            threads,
            on_battery,
        })
    }
}

fn check_folder(folder: &Path) -> Result<(), Fault> {
    let text = folder.to_string_lossy();
    if text.len() > MAX_PATH_BYTES {
        return Err(invalid(format!("the folder {}… has too long a path; move it", short(&text))));
    }
    if !folder.is_absolute() {
        return Err(invalid(format!("the folder {text:?} is not named from the root; give its whole path")));
    }
    match std::fs::read_dir(folder) {
        Ok(_) => Ok(()),
        Err(error) if is_hidden(folder, error.kind(), is_service()) => Err(invalid(format!(
            "the folder {text:?} isn't there for the daemon, to which systemd gave a /tmp of its own; move the folder, \
             into your home for example"
        ))),
        Err(error) => Err(invalid(format!("the folder {text:?} can't be read ({error}); name another"))),
    }
}

/// May the folder be there for everybody but this daemon? A service of ours has `PrivateTmp`.
fn is_hidden(folder: &Path, error: ErrorKind, is_service: bool) -> bool {
    let is_temporary = ["/tmp", "/var/tmp"].iter().any(|temporary| folder.starts_with(temporary));
    is_service && is_temporary && error == ErrorKind::NotFound
}

/// Was this very process started by systemd?
fn is_service() -> bool {
    env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid.parse() == Ok(process::id()))
}

/// A style's id, made of its name: that in lower-case letters, digits and hyphens, as far as it has some.
pub(crate) fn id_of(name: &str) -> Option<String> {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    let id: String = id.chars().take(64).collect();
    Some(id).filter(|id| !id.is_empty())
}

/// The beginning of a text that may be as long as a message.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

fn invalid(message: String) -> Fault {
    Fault::new(FaultKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::fake;

    /// Is the order refused after this change? The message is to name what is wrong.
    fn check(change: impl FnOnce(&mut TrainSpec), refused_for: Option<&str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spec = fake::spec(folder.path(), "hana", 3);
        change(&mut spec);
        match (Order::try_from(spec.clone()), refused_for) {
            (Ok(order), None) => assert_eq!((order.style, order.photos), (spec.style, spec.photos)),
            (Err(fault), Some(words)) => {
                assert_eq!(fault.kind, FaultKind::Invalid, "{fault}");
                assert!(fault.message.contains(words), "{fault}, not {words}");
                assert!(fault.message.len() < 16 << 10, "it has to fit into an answer");
            }
            (order, _) => panic!("{order:?} of {spec:?}"),
        }
    }

    #[test]
    fn ids_are_made_of_names() {
        fn check(name: &str, expected: Option<&str>) {
            assert_eq!(id_of(name).as_deref(), expected, "{name}");
        }
        check("hana", Some("hana"));
        check("Hana no Uta", Some("hana-no-uta"));
        check("  --Oil & ink (2)! ", Some("oil-ink-2"));
        check("Café", Some("caf"));
        check("花", None);
        check("", None);
        check(&"x".repeat(100), Some(&"x".repeat(64)));
    }

    #[test]
    fn a_service_has_a_tmp_of_its_own() {
        fn check(folder: &str, error: ErrorKind, is_service: bool, expected: bool) {
            assert_eq!(is_hidden(Path::new(folder), error, is_service), expected, "{folder} {error:?}");
        }
        check("/tmp/art", ErrorKind::NotFound, true, true);
        check("/var/tmp/art", ErrorKind::NotFound, true, true);
        check("/tmp/art", ErrorKind::NotFound, false, false);
        check("/tmp/art", ErrorKind::PermissionDenied, true, false);
        check("/home/me/tmp/art", ErrorKind::NotFound, true, false);
        check("/tmpfs/art", ErrorKind::NotFound, true, false);
    }

    #[test]
    fn orders() {
        check(|_| {}, None);
        let long = || "x".repeat(60_000);
        for (id, is_sound) in
            [("a", true), ("a-1", true), ("", false), ("A", false), ("../a", false), (&long(), false)]
        {
            let refused = (!is_sound).then_some("no style can be called");
            check(|spec| spec.style = id.into(), refused);
            check(|spec| spec.like = Some(id.into()), refused);
        }
        for (count, is_sound) in [(0, false), (1, true), (120, true), (121, false), (60_000, false)] {
            check(|spec| spec.name = "名".repeat(count), (!is_sound).then_some("the name has"));
            check(|spec| spec.licence = "l".repeat(count), (!is_sound).then_some("the licence has"));
            let refused = (!is_sound && count > 0).then_some("the author has");
            check(|spec| spec.author = "a".repeat(count), refused);
        }
        check(|spec| spec.attribution = "c".repeat(2000), None);
        check(|spec| spec.attribution = "c".repeat(2001), Some("the attribution is longer"));
        for (count, is_sound) in [(0, false), (1, true), (MAX_STEPS, true), (u32::MAX, false)] {
            let refused = (!is_sound).then_some("minutes or steps");
            check(|spec| spec.budget = Budget::Minutes(count), refused);
            check(|spec| spec.budget = Budget::Steps(count), refused);
        }
        for (count, is_sound) in [(0, false), (1, true), (MAX_THREADS, true), (MAX_THREADS + 1, false)] {
            check(|spec| spec.threads = Some(count), (!is_sound).then_some("threads"));
        }
        check(|spec| spec.recipe = RecipeChoice::Own("r".repeat(MAX_RECIPE_BYTES)), None);
        check(|spec| spec.recipe = RecipeChoice::Own(long()), Some("the recipe is longer"));
        check(|spec| spec.art.clear(), Some("0 folders of art"));
        check(|spec| spec.art = vec![spec.art[0].clone(); 9], Some("9 folders of art"));
        check(|spec| spec.art = vec!["art".into()], Some("not named from the root"));
        check(|spec| spec.photos = "../photos".into(), Some("not named from the root"));
        check(|spec| spec.photos = "/nowhere/photos".into(), Some("/nowhere/photos"));
        check(|spec| spec.photos = "/proc/self/exe".into(), Some("/proc/self/exe"));
        check(|spec| spec.photos = format!("/{}", long()).into(), Some("too long a path"));
    }
}

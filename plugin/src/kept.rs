//! What is kept from one GIMP to the next, in a folder of GIMP's profile: favourites, and presets with names.
//!
//! ```text
//! PROFILE/utsushi/favourites     an id a line
//! PROFILE/utsushi/presets.toml   a table a preset, with a value a parameter
//! ```
//!
//! What can't be read counts as absent, a value of a preset as the default. A file is replaced by a whole one, so that
//! nothing is lost when a disk is full. Each change starts from what is in the file by then, since another GIMP may have
//! changed it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::params::{Kind, PARAMS, Param, Settings, Value};
use crate::words;

/// The largest file that is read.
const MOST_BYTES: u64 = 1 << 20;

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// Of a profile.
    pub(crate) fn of(profile: &Path) -> Self {
        Self { folder: profile.join("utsushi") }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn read(&self, name: &str) -> String {
        let read = || {
            let mut text = String::new();
            fs::File::open(self.file(name))?.take(MOST_BYTES).read_to_string(&mut text)?;
            io::Result::Ok(text)
        };
        read().unwrap_or_default()
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let write = || {
            fs::create_dir_all(&self.folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(self.file(name)).map_err(|error| error.error)?;
            io::Result::Ok(())
        };
        write().map_err(|error| {
            let file = self.file(name).display().to_string();
            words::CANNOT_KEEP.with(&[("file", &file), ("reason", &error.to_string())])
        })
    }

    /// The ids of the favourite styles.
    pub(crate) fn favourites(&self) -> BTreeSet<String> {
        self.read("favourites").lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Makes a style a favourite, or an ordinary one.
    pub(crate) fn set_favourite(&self, id: &str, is_favourite: bool) -> Result<(), String> {
        let mut favourites = self.favourites();
        if is_favourite {
            favourites.insert(id.to_owned());
        } else {
            favourites.remove(id);
        }
        let lines: String = favourites.iter().map(|id| format!("{id}\n")).collect();
        self.write("favourites", &lines)
    }

    /// The presets, by name.
    pub(crate) fn presets(&self) -> BTreeMap<String, Vec<Value>> {
        let presets = self.tables().into_iter();
        presets.filter_map(|(name, preset)| Some((name, values(preset.as_table()?)))).collect()
    }

    /// Keeps values under a name, in the place of those that had it.
    pub(crate) fn save_preset(&self, name: &str, values: &[Value]) -> Result<(), String> {
        let mut tables = self.tables();
        let preset = PARAMS.iter().zip(values).map(|(param, value)| (key(param), to_toml(param, value)));
        tables.insert(name.to_owned(), toml::Value::Table(preset.collect()));
        self.write("presets.toml", &tables.to_string())
    }

    /// Removes a preset.
    pub(crate) fn delete_preset(&self, name: &str) -> Result<(), String> {
        let mut tables = self.tables();
        tables.remove(name);
        self.write("presets.toml", &tables.to_string())
    }

    fn tables(&self) -> toml::Table {
        self.read("presets.toml").parse().unwrap_or_default()
    }
}

fn key(param: &Param) -> String {
    param.name.to_string_lossy().into_owned()
}

fn to_toml(param: &Param, value: &Value) -> toml::Value {
    match (&param.kind, value) {
        (Kind::Choice(options), Value::Whole(index)) => {
            let option = usize::try_from(*index).ok().and_then(|index| options.get(index));
            option.map_or("", |(name, _)| name.to_str().unwrap_or_default()).into()
        }
        (_, Value::Style(id)) => id.as_str().into(),
        (_, Value::Number(number)) => (*number).into(),
        (_, Value::Whole(number)) => i64::from(*number).into(),
    }
}

fn from_toml(param: &Param, value: &toml::Value) -> Option<Value> {
    match (&param.kind, value) {
        (Kind::Style, toml::Value::String(id)) => Some(Value::Style(id.clone())),
        (Kind::Number { .. }, toml::Value::Float(number)) => Some(Value::Number(*number)),
        (Kind::Number { .. }, toml::Value::Integer(number)) => Some(Value::Number(*number as f64)),
        (Kind::Seed, toml::Value::Integer(seed)) => Some(Value::Whole(i32::try_from(*seed).ok()?)),
        (Kind::Choice(options), toml::Value::String(name)) => {
            let index = options.iter().position(|(option, _)| option.to_str() == Ok(name))?;
            Some(Value::Whole(index as i32))
        }
        _ => None,
    }
}

/// Values in the order of [`PARAMS`].
fn values(preset: &toml::Table) -> Vec<Value> {
    let value = |param: &Param| {
        let kept = preset.get(&key(param)).and_then(|value| from_toml(param, value));
        kept.unwrap_or_else(|| param.default())
    };
    let mut values: Vec<Value> = PARAMS.iter().map(value).collect();
    // One value that can't be is the default, too; the others stay.
    for index in 0..values.len() {
        let mut alone: Vec<Value> = PARAMS.iter().map(Param::default).collect();
        alone[index] = values[index].clone();
        if Settings::parse(&alone).is_err() {
            values[index] = PARAMS[index].default();
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Vec<Value> {
        PARAMS.iter().map(Param::default).collect()
    }

    #[test]
    fn favourites_come_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Kept::of(folder.path());
        assert!(kept.favourites().is_empty());
        for (id, is_favourite, expected) in [
            ("oil", true, vec!["oil"]),
            ("anime", true, vec!["anime", "oil"]),
            ("anime", true, vec!["anime", "oil"]),
            ("oil", false, vec!["anime"]),
            ("gone", false, vec!["anime"]),
        ] {
            kept.set_favourite(id, is_favourite).expect("kept");
            let found = Kept::of(folder.path()).favourites();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{id}, {is_favourite}");
        }
    }

    #[test]
    fn presets_come_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Kept::of(folder.path());
        let mut values = defaults();
        (values[0], values[1], values[6], values[7]) =
            (Value::Style("oil".into()), Value::Number(0.25), Value::Whole(1), Value::Whole(i32::MAX));
        for name in ["Öl, kräftig", "a.b \"c\"\n", "plain"] {
            kept.save_preset(name, &values).expect("kept");
        }
        kept.save_preset("plain", &defaults()).expect("kept");
        let found = Kept::of(folder.path()).presets();
        let expected = [("Öl, kräftig", &values), ("a.b \"c\"\n", &values), ("plain", &defaults())];
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(name, values)| (name.to_owned(), values.clone())).collect();
        assert_eq!(found, expected);
        kept.delete_preset("plain").expect("kept");
        assert_eq!(kept.presets().len(), 2);
    }

    #[test]
    fn what_cannot_be_is_the_default() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Kept::of(folder.path());
        let check = |text: &str, expected: Option<&[(usize, Value)]>| {
            fs::create_dir_all(folder.path().join("utsushi")).expect("made");
            fs::write(folder.path().join("utsushi/presets.toml"), text).expect("written");
            let mut values = defaults();
            for (index, value) in expected.unwrap_or_default() {
                values[*index] = value.clone();
            }
            assert_eq!(kept.presets().get("x"), expected.map(|_| &values), "{text}");
        };
        check("[x]\nstrength = 0.5\n", Some(&[(1, Value::Number(0.5))]));
        check("[x]\nstrength = 7\nbrush-size = 2\n", Some(&[(2, Value::Number(2.0))]));
        check("[x]\nbrush-size = 0.5\nseed = -1\noutput = \"sky\"\n", Some(&[]));
        check("[x]\noutput = \"new-layer\"\nlater = 1\n", Some(&[(6, Value::Whole(1))]));
        check("x = 1\n", None);
        check("[x\n", None);
    }

    #[test]
    fn what_cannot_be_kept_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("utsushi"), "a file").expect("written");
        let error = Kept::of(folder.path()).set_favourite("oil", true).expect_err("no folder");
        assert!(error.contains("utsushi/favourites: "), "{error}");
    }
}

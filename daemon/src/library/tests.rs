//! A library in a folder of its own.

use super::*;

fn described(id: &str) -> ImportOverrides {
    let text = |text: &str| Some(text.to_owned());
    ImportOverrides {
        id: text(id),
        name: text("Mine"),
        author: text("I"),
        licence: text("private"),
        ..ImportOverrides::default()
    }
}

#[test]
fn a_style_goes_out_and_comes_back_under_another_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = Library::open(folder.path().join("styles"));
    let file = folder.path().join("out.safetensors");
    library.export("cel", &file).expect("exported");
    assert!(
        matches!(library.import(&file, &ImportOverrides::default()), Err(LibraryError::BuiltIn(id)) if id == "cel")
    );
    let before = library.stamp();
    let imported = library.import(&file, &described("mine")).expect("imported");
    assert_eq!(imported.iter().map(|entry| &entry.info.id[..]).collect::<Vec<_>>(), ["mine"]);
    assert_ne!(library.stamp(), before);
    assert!(
        matches!(library.import(&file, &described("mine")), Err(LibraryError::Exists(id)) if id == "mine")
    );
    assert_eq!(library.own().iter().map(|entry| &entry.info.id[..]).collect::<Vec<_>>(), ["mine"]);
    let entry = library.find("mine").expect("found");
    assert!(!entry.info.built_in && entry.info.author == "I" && entry.info.reach_px > 100);
    // A file that was put there by hand may have the name of another style.
    let (mine, other) = (library.folder.join("mine.safetensors"), library.folder.join("other.safetensors"));
    std::fs::rename(&mine, &other).expect("renamed");
    assert!(
        matches!(library.import(&file, &described("other")), Err(LibraryError::Occupied(path)) if path == other)
    );
    library.remove("mine").expect("removed");
    assert!(library.find("mine").is_none() && !other.exists());
}

#[test]
fn of_imports_of_one_id_at_the_same_time_one_wins() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = Library::open(folder.path().join("styles"));
    let file = folder.path().join("out.safetensors");
    library.export("cel", &file).expect("exported");
    let file = library.described(&file, &described("mine")).expect("a style");
    let named = |name: &str| {
        let mut styles = file.styles().to_vec();
        name.clone_into(&mut styles[0].name);
        file.clone().with_styles(styles).expect("a style")
    };
    let (library, barrier) = (&library, &std::sync::Barrier::new(4));
    let added: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|i| {
                let file = named(&format!("Name {i}"));
                scope.spawn(move || {
                    barrier.wait();
                    library.add(&file)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let winners: Vec<_> = (0..4).filter(|i| added[*i].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{added:?}");
    let name = library.find("mine").expect("a style").info.name;
    assert_eq!(name, format!("Name {}", winners[0]));
    for lost in added.into_iter().filter_map(Result::err) {
        assert!(matches!(&lost, LibraryError::Exists(id) if id == "mine"), "{lost}");
    }
}

#[test]
fn an_import_clears_up_after_one_that_was_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = Library::open(folder.path().join("styles"));
    let file = folder.path().join("out.safetensors");
    library.export("cel", &file).expect("exported");
    std::fs::create_dir(&library.folder).expect("made");
    let left = library.folder.join(".utsushi-0123-x.tmp");
    let writing = utsushi_engine::unfinished(&library.folder.join("other.safetensors"), private());
    let writing = writing.expect("made");
    std::fs::write(&left, "half").expect("written");
    library.import(&file, &described("mine")).expect("imported");
    assert!(!left.exists() && writing.path().exists());
}

fn private() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o600)
}

#[test]
fn what_cannot_be_done_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = Library::open(folder.path().to_owned());
    let broken = folder.path().join("broken.safetensors");
    std::fs::write(&broken, b"not a style").expect("written");
    assert_eq!(library.list().len(), BUILT_IN.len());
    assert_eq!(library.problems().len(), 1);
    let cases: [(Result<(), LibraryError>, &str); 4] = [
        (library.remove("cel"), "built-in"),
        (library.remove("nothing"), "there is no style \"nothing\"; these there are: anime, comic, "),
        (library.export("nothing", &folder.path().join("x")), "there is no style"),
        (
            library.import(&broken, &ImportOverrides::default()).map(drop),
            "broken.safetensors: it is no style file",
        ),
    ];
    for (result, message) in cases {
        let error = result.expect_err("must fail").to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn built_in_styles_can_be_read_and_are_credited() {
    for file in &*BUILT_IN_FILES {
        for style in file.styles() {
            assert!(!style.author.is_empty() && !style.training.is_empty(), "{style:?}");
        }
    }
    assert!(Library::open(PathBuf::new()).find(Library::default_id()).is_some());
    assert_eq!(Library::built_in_names().len(), Library::built_in_ids().count());
    assert!(Library::built_in_mark(Library::default_id()).is_some());
    assert_eq!(Library::built_in_mark("nothing"), None);
}

//! Styles: listing, bringing, giving away and dropping them, while a daemon runs that nobody tells.

use std::fs;

use serde_json::Value;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, errors};
use utsushi_tests::pictures::write_drawn;

/// The ids of those that came with the program, or of the others.
fn ids(home: &Home, built_in: bool) -> Vec<String> {
    let list: Vec<Value> =
        serde_json::from_slice(&home.expect(0, &["styles", "--json"]).stdout).expect("a list");
    let list = list.iter().filter(|style| style["built_in"] == built_in);
    list.map(|style| style["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn built_in_styles_draw_and_say_whom_to_credit() {
    let home = Home::new();
    write_drawn(&home.path().join("in.png"), 70, 50, Channels::Rgb, Depth::U8);
    let ids = ids(&home, true);
    assert_eq!(
        ids,
        ["anime", "comic", "ukiyo-e", "oil", "van-gogh", "impressionist", "cel", "paint", "restore"]
    );
    let mut drawn = Vec::new();
    for id in &ids {
        home.expect(0, &["stylize", "in.png", "-o", "out.png", "--style", id]);
        drawn.push(home.files(".").remove("out.png").expect("a picture"));
        fs::remove_file(home.path().join("out.png")).expect("removed");
        let told = String::from_utf8(home.expect(0, &["styles", "show", id]).stdout).expect("UTF-8");
        assert!(told.contains("rained on") || told.contains("earned on"), "{told}");
    }
    for (i, picture) in drawn.iter().enumerate() {
        assert!(!drawn[..i].contains(picture), "{}", ids[i]);
    }
}

#[test]
fn a_style_comes_in_is_used_at_once_and_goes() {
    let home = Home::new();
    let draw = |style: &str, code: i32| {
        let _ = fs::remove_file(home.path().join("out.png"));
        let output = home.expect(code, &["stylize", "in.png", "-o", "out.png", "--style", style]);
        (home.files(".").remove("out.png"), errors(&output))
    };
    write_drawn(&home.path().join("in.png"), 70, 50, Channels::Rgb, Depth::U8);
    let (cel, _) = draw("cel", 0);
    let daemon = home.daemon_pid();
    assert!(daemon.is_some() && draw("mine", 2).1.contains("`mine`"));

    home.expect(0, &["styles", "export", "cel", "-o", "cel.safetensors"]);
    let import =
        ["styles", "import", "cel.safetensors", "--id", "mine", "--name", "My own", "--author", "Me"];
    let output = home.expect(0, &import);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("mine: My own, "), "{output:?}");
    assert_eq!(
        (ids(&home, false), home.names("styles")),
        (vec!["mine".into()], vec!["mine.safetensors".into()])
    );
    assert_eq!(draw("mine", 0).0, cel, "the same network under another name");
    home.expect(0, &["stylize", "in.png", "-o", "mix.png", "--style", "mine=1", "--style", "cel=3"]);

    let shown: Value = serde_json::from_slice(&home.expect(0, &["styles", "show", "mine", "--json"]).stdout)
        .expect("an object");
    assert_eq!((&shown["name"], &shown["author"]), (&"My own".into(), &"Me".into()));
    assert_eq!(shown["built_in"], false);
    let told = String::from_utf8(home.expect(0, &["styles", "show", "cel"]).stdout).expect("UTF-8");
    assert!(told.contains("comes with the program"), "{told}");

    // What was given away is what came in.
    home.expect(0, &["styles", "export", "mine", "-o", "mine.safetensors"]);
    home.expect(0, &["styles", "remove", "mine"]);
    assert_eq!((ids(&home, false), home.names("styles").len()), (vec![], 0));
    assert!(draw("mine", 2).1.contains("`mine`"));
    home.expect(0, &["styles", "import", "mine.safetensors"]);
    assert_eq!(draw("mine", 0).0, cel);
    assert_eq!(home.daemon_pid(), daemon, "the same daemon all the time");
}

#[test]
fn what_is_no_good_style_is_refused() {
    let home = Home::new();
    home.expect(0, &["styles", "export", "cel", "-o", "cel.safetensors"]);
    let cel = fs::read(home.path().join("cel.safetensors")).expect("a file");
    fs::write(home.path().join("short.safetensors"), &cel[..cel.len() / 2]).expect("written");
    fs::write(home.path().join("garbage.safetensors"), [255; 4096]).expect("written");
    fs::write(home.path().join("empty.safetensors"), "").expect("written");
    let check = |line: &str, words: &str| {
        let args: Vec<_> = line.split_whitespace().collect();
        let output = home.expect(1, &args);
        assert!(errors(&output).contains(words), "{line}: {}", errors(&output));
        assert_eq!((ids(&home, false), home.files("styles").len()), (vec![], 0), "{line}");
    };
    check("styles import short.safetensors --id x --name X --licence MIT", "short.safetensors");
    check("styles import garbage.safetensors --id x --name X --licence MIT", "garbage.safetensors");
    check("styles import empty.safetensors --id x --name X --licence MIT", "empty.safetensors");
    check("styles import missing.safetensors", "missing.safetensors");
    check("styles import cel.safetensors", "built-in");
    check("styles import cel.safetensors --id ../x", "../x");
    check("styles import cel.safetensors --id X", "X");
    check("styles remove cel", "built-in");
    check("styles remove mine", "\"mine\"");
    check("styles show mine", "`mine`");
    check("styles export mine -o x.safetensors", "\"mine\"");
    check("styles export cel -o nowhere/x.safetensors", "nowhere/x.safetensors");

    // One that got into the folder by itself is named, and spoils nothing.
    fs::create_dir_all(home.path().join("styles")).expect("a folder");
    fs::copy(home.path().join("garbage.safetensors"), home.path().join("styles/garbage.safetensors"))
        .expect("a copy");
    let output = home.expect(0, &["styles"]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("anime\t"), "{output:?}");
    assert!(errors(&output).contains("garbage.safetensors: not listed"), "{}", errors(&output));
    write_drawn(&home.path().join("in.png"), 20, 20, Channels::Rgb, Depth::U8);
    home.expect(0, &["stylize", "in.png", "-o", "out.png"]);
}

#[test]
fn a_smaller_style_draws_almost_the_same() {
    let home = Home::new();
    for number in 0..4 {
        let path = home.path().join(format!("photos/{number}.png"));
        write_drawn(&path, 100 + 30 * number, 130, Channels::Rgb, Depth::U8);
    }
    let prune = ["styles", "prune", "cel", "-o", "small.safetensors", "--photos", "photos"];
    let told = home.expect(0, &[&prune[..], &["--json"]].concat()).stdout;
    let told: Value = serde_json::from_slice(&told).expect("an object");
    let pair = |name: &str| [0, 1].map(|i| told[name][i].as_u64().expect("a number"));
    let [before, after] = pair("channels");
    assert!(after * 2 <= before + 16, "{told}");
    assert!(pair("bytes")[1] < pair("bytes")[0], "{told}");
    assert!(told["worst_psnr_db"].as_f64().is_some_and(|db| db > 30.0), "{told}");
    home.expect(0, &["styles", "import", "small.safetensors", "--id", "small"]);
    home.expect(0, &["stylize", "photos/1.png", "-o", "out.png", "--style", "small"]);

    let check = |code: i32, args: &[&str], words: &str| {
        let output = home.expect(code, args);
        assert!(errors(&output).contains(words), "{args:?}: {}", errors(&output));
    };
    check(2, &[&prune[..], &["--keep", "0"]].concat(), "--keep 0");
    check(2, &["styles", "prune", "cel", "-o", "x", "--photos", "styles"], "0 pictures there can be used");
    check(2, &["styles", "prune", "mine", "-o", "x", "--photos", "photos"], "\"mine\"");
}

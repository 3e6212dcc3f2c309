//! Judging a style by pictures.

use std::fs;

use serde_json::Value;
use utsushi_tests::binary::{Home, errors};
use utsushi_tests::pictures::sample;

#[test]
fn what_a_style_drew_is_most_like_the_style() {
    let home = Home::new();
    let photos = home.path().join("photos");
    fs::create_dir(&photos).expect("a folder");
    for name in ["astronaut", "chelsea", "coffee", "rocket"] {
        let file = format!("{name}.jpg");
        fs::copy(sample(&file), photos.join(&file)).expect("a photo");
    }
    home.expect(0, &["batch", "photos", "-o", "art", "--style", "paint"]);
    let judged = |style: &str| -> Value {
        let told = home.expect(0, &["evaluate", style, "--art", "art", "--photos", "photos", "--json"]);
        serde_json::from_slice(&told.stdout).expect("an object")
    };
    let (paint, restore) = (judged("paint"), judged("restore"));
    let number = |of: &Value, key: &str| of[key].as_f64().unwrap_or_else(|| panic!("{key} in {of}"));
    for scores in [&paint, &restore] {
        // The cat, too, which is wide.
        assert_eq!((number(scores, "pictures"), number(scores, "photos")), (4.0, 4.0));
        assert_eq!(number(scores, "photos_distance"), number(&paint, "photos_distance"));
        assert!((0.0..0.8).contains(&number(scores, "content")), "{scores}");
        assert!((0.5..1.5).contains(&number(scores, "diversity")), "{scores}");
        assert!(number(scores, "seconds_per_megapixel") > 0.0, "{scores}");
    }
    assert!(number(&paint, "distance") < number(&restore, "distance"), "{paint}, {restore}");
    assert!(number(&paint, "distance") < number(&paint, "photos_distance"), "{paint}");
    assert!(number(&restore, "content") < number(&paint, "content"), "{paint}, {restore}");

    let text = home.expect(0, &["evaluate", "paint", "--art", "art", "--photos", "photos"]).stdout;
    let text = String::from_utf8(text).expect("UTF-8");
    let words = ["distance ", "against 4 pictures", "content ", "from the 4 photos", "s a megapixel"];
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn pictures_that_cannot_be_judged_by_are_named() {
    let home = Home::new();
    fs::create_dir(home.path().join("art")).expect("a folder");
    fs::copy(sample("coffee.jpg"), home.path().join("art/coffee.jpg")).expect("a picture");
    fs::write(home.path().join("art/broken.png"), b"no picture").expect("a file");
    let told = |arguments: &[&str]| errors(&home.expect(2, arguments));
    let few = told(&["evaluate", "oil", "--art", "art", "--photos", "art"]);
    assert!(few.contains("broken.png: skipped") && few.contains("1 pictures there can be used"), "{few}");
    let none = told(&["evaluate", "oil", "--art", "nowhere", "--photos", "art"]);
    assert!(none.contains("nowhere: the folder can't be read"), "{none}");
    let unknown = told(&["evaluate", "unknown", "--art", "art"]);
    assert!(unknown.contains("there is no style"), "{unknown}");
}

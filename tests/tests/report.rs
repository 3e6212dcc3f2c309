//! The page that tells of a training, in a browser.

use std::path::Path;

use serde_json::{Value, json};
use utsushi::picture;
use utsushi_engine::Layout;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::browser::{Browser, Theme, View};
use utsushi_tests::pictures::{drawn, sample};
use utsushi_training::data::{Picture, Skipped};
use utsushi_training::report::{Kind, Report, State};

const DESKTOP: View = View { width: 1600, height: 700, theme: Theme::Light, seconds: 2 };
const NARROW: View = View { width: 400, height: 700, theme: Theme::Light, seconds: 2 };

/// Finds out about the page as it is, and after it was used.
const LOOK: &str = r##"
const find = (selector) => [...document.querySelectorAll(selector)];
const slide = (slider, value) => {
  slider.value = value;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
};
const shown = () => find(".sample").filter((s) => s.offsetHeight > 0).map((s) => s.dataset.step);
addEventListener("load", () => {
  const first = { shown: shown(), cut: getComputedStyle(find(".comparison img")[1]).clipPath };
  find("details").forEach((d) => (d.open = true));
  slide(find("#time")[0], 0);
  slide(find(".comparison input")[0], 20);
  tell({
    title: document.title,
    state: find(".state").map((s) => s.textContent),
    first,
    then: { shown: shown(), cut: getComputedStyle(find(".comparison img")[1]).clipPath, label: find(".time output")[0].textContent },
    images: find("img").length,
    broken: find("img").filter((i) => i.complete && i.naturalWidth === 0).length,
    charts: find(".chart figcaption span").map((s) => s.textContent),
    pointless: find("polyline").filter((p) => p.points.length < 2).length,
    beyond: find("body *").filter((e) => !e.closest("svg") && e.getBoundingClientRect().right > innerWidth + 0.5).map((e) => e.outerHTML.slice(0, 80)),
    width: innerWidth,
    smallest: Math.min(...find("main *").filter((e) => e.childElementCount === 0 && e.textContent.trim() && e.offsetHeight).map((e) => parseFloat(getComputedStyle(e).fontSize))),
    light: getComputedStyle(document.documentElement).backgroundColor === "rgb(251, 250, 248)",
    loaded: performance.getEntriesByType("resource").map((r) => r.name).filter((name) => !name.startsWith("data:")),
    events: find(".events li").map((li) => li.textContent),
    skipped: find("#skipped td").map((td) => td.textContent),
    settings: find("#settings tr").length,
  });
});
"##;

/// Uses the page at the first visit, and tells at each where the reader is.
const STAY: &str = r##"
const visits = Number(sessionStorage.getItem("visits")) + 1;
sessionStorage.setItem("visits", visits);
addEventListener("load", () => {
  const slide = (slider, value) => {
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  };
  if (visits === 1) {
    slide(document.querySelector("#time"), 1);
    slide(document.querySelector(".comparison input"), 30);
    document.querySelector("#settings").open = true;
    scrollTo(0, 321);
  }
  tell({
    returned: visits > 1,
    scroll: Math.round(scrollY),
    step: document.querySelector(".sample:not([hidden])").dataset.step,
    cut: document.querySelector(".comparison").style.getPropertyValue("--cut"),
    open: [...document.querySelectorAll("details[open]")].map((d) => d.id),
  });
});
"##;

fn photo(name: &str) -> Picture {
    let photo = picture::read(&sample(name)).expect("a sample picture");
    let (width, height) = (photo.raster.width(), photo.raster.height());
    Picture::new(width, height, Layout::Rgb, &photo.pixels).expect("8-bit RGB").reduced(720)
}

fn art(photo: &Picture) -> Picture {
    let (_, pixels) = drawn(photo.width, photo.height, Channels::Rgb, Depth::U8);
    Picture { rgb: pixels, ..photo.clone() }
}

fn report(state: State) -> Report {
    let settings =
        json!({"seed": 7, "course": {"batch": 4, "crops_px": [144, 256], "learning_rate": 0.0004}});
    let mut report = Report::new("Ink & <wash>", &settings);
    let photos: Vec<_> = ["astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg"].map(photo).into();
    let results: Vec<_> = photos.iter().map(art).collect();
    report.photos(&photos);
    report.compare(photos.iter().zip(&results));
    for step in [0, 500, 1000] {
        report.sample(step, if step == 0 { &photos } else { &results });
    }
    for step in 1..=1000 {
        report.point(Kind::Loss, "content", step, 1.0 / (step as f64));
        report.point(Kind::Vital, "learning rate", step, 0.0004);
    }
    report.point(Kind::Score, "distance to the art", 500, 0.8);
    report.point(Kind::Score, "distance to the art", 1000, 0.3);
    (report.state, report.step, report.of) = (state, 1000, Some(2000));
    report.figures = vec![("Art".into(), "41 pictures".into())];
    report.event(700, "went back to step 600, at <half> the rate");
    let path = format!("/home/mia/Pictures/{}/<b>.png", "a_long_name_without_a_space_".repeat(8));
    report.skipped(&[Skipped { path: Path::new(&path).into(), why: "is too small".into() }]);
    report
}

#[track_caller]
fn check(told: &Value, what: &str, want: Value) {
    assert_eq!(*told.pointer(what).unwrap_or(&Value::Null), want, "{what} of {told:#}");
}

#[test]
fn a_page_shows_and_does_what_it_should() {
    let Some(browser) = Browser::find() else { return };
    let page = report(State::Running).html();
    let dark = View { theme: Theme::Dark, ..NARROW };
    for (name, view, is_light) in [("desktop", DESKTOP, true), ("narrow-dark", dark, false)] {
        browser.keep(&page, &format!("report-{name}"), View { height: 2400, ..view });
        let told = browser.ask(&page, LOOK, view);
        check(&told, "/title", json!("Ink & <wash>: training"));
        check(&told, "/state", json!(["running"]));
        check(&told, "/first", json!({"shown": ["1000"], "cut": "inset(0px 0px 0px 50%)"}));
        check(&told, "/then", json!({"shown": ["0"], "cut": "inset(0px 0px 0px 20%)", "label": "0"}));
        check(&told, "/images", json!(4 + 3 * 4 + 2 * 4));
        check(&told, "/broken", json!(0));
        check(&told, "/charts", json!(["distance to the art", "content", "learning rate"]));
        check(&told, "/pointless", json!(0));
        check(&told, "/width", json!(view.width));
        check(&told, "/beyond", json!([]));
        check(&told, "/smallest", json!(12));
        check(&told, "/light", json!(is_light));
        check(&told, "/loaded", json!([]));
        check(&told, "/events", json!(["step 700 went back to step 600, at <half> the rate"]));
        check(&told, "/skipped/1", json!("is too small"));
        check(&told, "/settings", json!(4));
    }
}

#[test]
fn a_page_refreshes_itself_and_stays_where_it_was() {
    let Some(browser) = Browser::find() else { return };
    let minute = View { seconds: 60, ..DESKTOP };
    for (state, returned) in [(State::Running, true), (State::Finished, false)] {
        let told = browser.ask(&report(state).html(), STAY, minute);
        check(&told, "/returned", json!(returned));
        check(&told, "/scroll", json!(321));
        check(&told, "/step", json!("500"));
        check(&told, "/cut", json!("30%"));
        check(&told, "/open", json!(["settings"]));
    }
}

//! What a page holds. What it looks like and does is tested in a browser (`utsushi-tests`).

use std::fs;

use serde::Serialize;

use super::*;

#[derive(Serialize)]
struct Settings {
    rate: f64,
    adversarial: Weights,
}

#[derive(Serialize)]
struct Weights {
    l1: f64,
    crops_px: Vec<usize>,
    form: &'static str,
}

fn report() -> Report {
    let weights = Weights { l1: 1.5, crops_px: vec![144, 256], form: "hinge <b>" };
    Report::new("Hana & <i>co</i>", &Settings { rate: 0.0004, adversarial: weights })
}

fn picture(value: u8) -> Picture {
    let rgb = (0..640 * 480 * 3).map(|i: u32| (i * 7 % 61) as u8 / 8 + value).collect();
    Picture { width: 640, height: 480, rgb }
}

#[track_caller]
fn check(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part:?} is missing in:\n{page}");
    }
}

#[test]
fn a_report_that_begins_is_a_page() {
    let page = report().html();
    check(&page, &["<h1>Hana &amp; &lt;i&gt;co&lt;/i&gt;</h1>", "running", "step 0", "0 min of work"]);
    check(
        &page,
        &["<th scope=\"row\">adversarial.l1</th><td>1.5</td>", "[144, 256]", "hinge &lt;b&gt;", "0.0004"],
    );
    for absent in ["<section>", "<progress", "What happened"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn nothing_from_outside_is_markup() {
    let evil = "</script><script>alert('1')</script>\" onload=\"\u{1b}[2J";
    let mut report = report();
    report.title = evil.into();
    report.stage = evil.into();
    report.state = State::Failed(evil.into());
    report.figures = vec![(evil.into(), evil.into())];
    report.point(Kind::Loss, evil, 1, 1.0);
    report.event(1, evil);
    report.skipped(&[Skipped { path: evil.into(), why: evil.into() }]);
    let page = report.html();
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("onload=\""));
    assert!(!page.contains('\u{1b}'));
    assert_eq!(page.matches("&lt;script&gt;alert").count(), 11, "title twice, curve twice, and once each");
}

#[test]
fn it_refreshes_itself_until_it_is_over() {
    let states = [
        (State::Running, true),
        (State::Paused("the disk is full".into()), true),
        (State::Finished, false),
        (State::Cancelled, false),
        (State::Failed("no more memory".into()), false),
    ];
    for (state, want) in states {
        let report = Report { state, ..report() };
        let page = report.html();
        assert_eq!(page.contains("http-equiv=\"refresh\""), want, "{:?}", report.state);
        assert_eq!(page.contains("data-refresh=\"0\""), !want, "{:?}", report.state);
        let (State::Paused(why) | State::Failed(why)) = &report.state else { continue };
        check(&page, &[why]);
    }
}

#[test]
fn samples_become_sparser_with_time() {
    let mut report = report();
    let small = Picture { width: 8, height: 8, rgb: vec![50; 192] };
    for step in (0..=20_000).step_by(100) {
        report.sample(step, std::slice::from_ref(&small));
    }
    let steps: Vec<u64> = report.samples.iter().map(|sample| sample.step).collect();
    assert_eq!(steps.len(), MAX_SAMPLES);
    assert_eq!((steps[0], steps[MAX_SAMPLES - 1]), (0, 20_000));
    // From the second on, by about the same factor.
    let factors: Vec<f64> =
        steps[2..MAX_SAMPLES - 1].windows(2).map(|two| two[1] as f64 / two[0] as f64).collect();
    assert!(factors.iter().all(|factor| (1.02..2.1).contains(factor)), "{steps:?}");

    // A job that went back to an earlier checkpoint draws its samples again.
    report.sample(5000, &[small]);
    assert!(report.samples.iter().filter(|sample| sample.step == 5000).count() == 1);
    assert_eq!(report.samples.last().map(|sample| sample.step), Some(5000));
}

#[test]
fn a_page_is_bounded_and_a_report_can_be_kept() {
    let mut report = report();
    let pictures: Vec<Picture> = (0..12).map(|i| picture(i * 15)).collect();
    report.photos(&pictures);
    report.compare(pictures.iter().zip(&pictures));
    for step in 0..60 {
        report.sample(step * 50, &pictures);
    }
    for step in 0..2000 {
        for name in ["l1", "content", "style"] {
            report.point(Kind::Loss, name, step, f64::from(step as u32 % 8));
        }
        report.event(step, "went back");
    }
    let skipped: Vec<_> =
        (0..2000).map(|i| Skipped { path: format!("{i}.png").into(), why: "broken".into() }).collect();
    report.skipped(&skipped);
    let page = report.html();
    assert_eq!(page.matches("class=\"sheet sample\"").count(), MAX_SAMPLES);
    assert_eq!(page.matches("class=\"comparison\" ").count(), MAX_COMPARISONS);
    let images = MAX_SAMPLE_PICTURES * (MAX_SAMPLES + 1) + 2 * MAX_COMPARISONS;
    assert_eq!(page.matches("<img src=\"data:image/jpeg;base64,/9j/").count(), images);
    check(&page, &["1800 earlier ones are left out", "not used: 2000", "and 1500 more"]);
    assert!(page.len() < 6 << 20, "{} bytes", page.len());

    let kept = serde_json::to_string(&report).expect("written");
    let again: Report = serde_json::from_str(&kept).expect("read");
    assert!(again == report);
}

#[test]
fn the_page_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.html");
    report().write_html(&path).expect("written");
    let other = Report { title: "Other".into(), ..report() };
    other.write_html(&path).expect("written again");
    check(&fs::read_to_string(&path).expect("a page"), &["<h1>Other</h1>", "</html>"]);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left");
    let error = report().write_html(&folder.path().join("no/report.html")).expect_err("no such folder");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

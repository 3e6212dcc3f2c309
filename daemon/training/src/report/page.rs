//! The report as one HTML file.

use std::fmt::{self, Display, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use super::curve::Curve;
use super::shot::Shot;
use super::{Kind, Report, State, chart};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// While the job runs, the page loads itself again so often.
const REFRESH_S: u32 = 20;

/// Words that may hold anything, as text of a page.
pub(super) struct Text<'a>(pub(super) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            // What a terminal or a browser might obey.
            c if c.is_control() && c != '\n' => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

pub(super) fn html(report: &Report) -> String {
    let title = Text(&report.title);
    let refresh = if report.state.is_over() { 0 } else { REFRESH_S };
    let without_script = match refresh {
        0 => String::new(),
        seconds => format!("<noscript><meta http-equiv=\"refresh\" content=\"{seconds}\"></noscript>\n"),
    };
    let written = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let parts: String =
        [head(report), figures(report), comparisons(report), samples(report), curves(report), lists(report)]
            .concat();
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
{without_script}<title>{title}: training</title>
<style>
{STYLE}</style>
</head>
<body data-refresh="{refresh}" data-written="{written}">
<main>
{parts}</main>
<script>
{SCRIPT}</script>
</body>
</html>
"#
    )
}

fn head(report: &Report) -> String {
    let (class, state, why) = match &report.state {
        State::Running => ("running", "running", None),
        State::Paused(why) => ("paused", "paused", Some(why)),
        State::Finished => ("finished", "finished", None),
        State::Cancelled => ("failed", "cancelled", None),
        State::Failed(why) => ("failed", "failed", Some(why)),
    };
    let mut words = vec![match report.of {
        Some(of) => format!("step {} of {of}", report.step),
        None => format!("step {}", report.step),
    }];
    if !report.stage.is_empty() {
        words.push(Text(&report.stage).to_string());
    }
    words.push(format!("{} of work", duration(report.minutes)));
    if let (false, Some(left)) = (report.state.is_over(), report.minutes_left) {
        words.push(format!("about {} left", duration(left)));
    }
    let bar = match report.of {
        Some(of) => {
            format!("<progress value=\"{}\" max=\"{}\">{}</progress>\n", report.step, of.max(1), words[0])
        }
        None => String::new(),
    };
    let why = why.map(|why| format!("<p class=\"why\">{}</p>\n", Text(why))).unwrap_or_default();
    format!(
        "<header>\n<h1>{}</h1>\n<span class=\"state {class}\">{state}</span>\n{why}{bar}<p class=\"where\">{}</p>\n\
         <p class=\"written\"></p>\n</header>\n",
        Text(&report.title),
        words.join(" · "),
    )
}

fn duration(minutes: f64) -> String {
    let minutes = minutes.max(0.0).round() as u64;
    if minutes < 60 { format!("{minutes} min") } else { format!("{} h {} min", minutes / 60, minutes % 60) }
}

fn figures(report: &Report) -> String {
    let figure = |(name, value): &(String, String)| {
        format!("<div><dt>{}</dt><dd>{}</dd></div>\n", Text(name), Text(value))
    };
    let figures: String = report.figures.iter().map(figure).collect();
    if figures.is_empty() { figures } else { format!("<dl class=\"figures\">\n{figures}</dl>\n") }
}

fn image(shot: &Shot, alt: impl Display) -> String {
    format!("<img src=\"{}\" style=\"--ratio: {:.3}\" alt=\"{alt}\">", shot.address(), shot.ratio())
}

fn comparisons(report: &Report) -> String {
    let comparison = |(i, pair): (usize, &super::Comparison)| {
        let number = i + 1;
        format!(
            "<div class=\"comparison\" style=\"--ratio: {:.3}\">{}{}<input type=\"range\" min=\"0\" max=\"100\" value=\"50\" id=\"compare-{number}\" \
             aria-label=\"How much of photo {number} is shown as it was\"></div>\n",
            pair.before.ratio(),
            image(&pair.before, format_args!("photo {number}")),
            image(&pair.after, format_args!("photo {number}, drawn")),
        )
    };
    let comparisons: String = report.comparisons.iter().enumerate().map(comparison).collect();
    section("Before and after", "comparisons", &comparisons)
}

fn samples(report: &Report) -> String {
    let Some(last) = report.samples.last() else { return String::new() };
    let row = |shots: &[Shot], what: &str| {
        let images = shots.iter().enumerate();
        images.map(|(i, shot)| image(shot, format_args!("photo {}{what}", i + 1))).collect::<String>()
    };
    let photos = format!("<div class=\"sheet\">{}</div>\n", row(&report.photos, ""));
    let sheet = |sample: &super::Sample| {
        let hidden = if sample.step == last.step { "" } else { " hidden" };
        let images = row(&sample.shots, &format!(" at step {}", sample.step));
        format!("<div class=\"sheet sample\" data-step=\"{}\"{hidden}>{images}</div>\n", sample.step)
    };
    let sheets: String = report.samples.iter().map(sheet).collect();
    let end = report.samples.len() - 1;
    let slider = format!(
        "<div class=\"time\"><label for=\"time\">Step <output>{}</output></label>\
         <input type=\"range\" id=\"time\" min=\"0\" max=\"{end}\" value=\"{end}\"></div>\n",
        last.step
    );
    section("Samples through time", "samples", &[photos, slider, sheets].concat())
}

fn curves(report: &Report) -> String {
    let of_kind = |(kind, title): (Kind, &str)| {
        let curves = report.curves.iter().filter(|curve: &&Curve| curve.kind == kind);
        section(title, "curves", &curves.map(chart::figure).collect::<String>())
    };
    let kinds = [(Kind::Score, "Scores"), (Kind::Loss, "Losses"), (Kind::Vital, "How the training runs")];
    kinds.into_iter().map(of_kind).collect()
}

fn lists(report: &Report) -> String {
    let event =
        |event: &super::Event| format!("<li><span>step {}</span> {}</li>\n", event.step, Text(&event.words));
    let mut events: String = report.events.iter().rev().map(event).collect();
    if report.earlier_events > 0 {
        let _ = writeln!(events, "<li>{} earlier ones are left out</li>", report.earlier_events);
    }
    let events = if events.is_empty() { events } else { format!("<ol>\n{events}</ol>\n") };

    let skip = |skipped: &crate::data::Skipped| {
        let path = skipped.path.display().to_string();
        format!("<tr><td>{}</td><td>{}</td></tr>\n", Text(&path), Text(&skipped.why))
    };
    let mut skipped: String = report.skipped.iter().map(skip).collect();
    if report.more_skipped > 0 {
        let _ = writeln!(skipped, "<tr><td colspan=\"2\">and {} more</td></tr>", report.more_skipped);
    }
    let setting = |(name, value): &(String, String)| {
        format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", Text(name), Text(value))
    };
    let settings: String = report.settings.iter().map(setting).collect();
    [
        section("What happened", "events", &events),
        folded(
            "skipped",
            &format!("Pictures that are not used: {}", report.skipped.len() + report.more_skipped),
            &skipped,
        ),
        folded("settings", "Settings", &settings),
    ]
    .concat()
}

/// Nothing if there is nothing in it.
fn section(title: &str, class: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!("<section>\n<h2>{title}</h2>\n<div class=\"{class}\">\n{content}</div>\n</section>\n")
}

/// A table that is opened by a click; nothing if there is nothing in it.
fn folded(id: &str, title: &str, rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!("<details id=\"{id}\">\n<summary>{title}</summary>\n<table>\n{rows}</table>\n</details>\n")
}

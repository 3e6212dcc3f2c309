//! A browser without a window: what a page becomes in it, and what it looks like.
//!
//! A test that finds no Chromium says so and passes, unless `UTSUSHI_REQUIRE_BROWSER` is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What Chromium and its kin are called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser, and a folder for its profile and the pages it is shown.
pub struct Browser {
    program: PathBuf,
    folder: TempDir,
}

/// How the person who looks likes it.
#[derive(Debug, Clone, Copy)]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The window's.
    pub width: u32,
    /// The window's.
    pub height: u32,
    /// Which the page is to follow.
    pub theme: Theme,
    /// So long the page runs, by its own clock, which doesn't wait.
    pub seconds: u32,
}

impl Browser {
    /// The browser of this machine.
    pub fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<_> = std::env::split_paths(&path).collect();
        let programs = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        let Some(program) = programs.into_iter().find(|program| program.exists()) else {
            assert!(std::env::var_os("UTSUSHI_REQUIRE_BROWSER").is_none(), "Chromium is not installed");
            eprintln!("skipped: Chromium is not installed");
            return None;
        };
        Some(Self { program, folder: tempfile::tempdir().expect("a folder") })
    }

    /// Opens a page with `script` at its end, and gives what the script told: `tell(value)` as JSON, the last time.
    pub fn ask(&self, page: &str, script: &str, view: View) -> Value {
        const TELL: &str =
            "const tell = (v) => document.documentElement.setAttribute('data-told', JSON.stringify(v));";
        let asked = page.replace("</body>", &format!("<script>{TELL}\n{script}</script></body>"));
        let dom = self.run(&asked, view, &["--dump-dom"]);
        let told = dom.split_once("data-told=\"").and_then(|(_, rest)| rest.split_once('"'));
        let told = told.unwrap_or_else(|| panic!("the page told nothing:\n{dom}")).0;
        let json =
            told.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
    }

    /// Keeps what a page looks like in the folder that `UTSUSHI_SCREENSHOTS` names, if it does.
    pub fn keep(&self, page: &str, name: &str, view: View) {
        let Some(folder) = std::env::var_os("UTSUSHI_SCREENSHOTS") else { return };
        fs::create_dir_all(&folder).expect("a folder for screenshots");
        let path = Path::new(&folder).join(name).with_extension("png");
        self.run(page, view, &[&format!("--screenshot={}", path.display())]);
    }

    fn run(&self, page: &str, view: View, wish: &[&str]) -> String {
        let path = self.folder.path().join("page.html");
        fs::write(&path, page).expect("a page");
        let scheme = match view.theme {
            Theme::Dark => 0,
            Theme::Light => 1,
        };
        let output = Command::new(&self.program)
            .args(["--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run"])
            // The page is ours, and containers often have no other sandbox.
            .arg("--no-sandbox")
            .arg(format!("--user-data-dir={}", self.folder.path().join("profile").display()))
            .arg(format!("--window-size={},{}", view.width, view.height))
            .arg(format!("--virtual-time-budget={}", view.seconds * 1000))
            .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
            .args(wish)
            .arg(format!("file://{}", path.display()))
            .stdin(Stdio::null())
            .output()
            .expect("the browser runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the browser failed: {said}");
        String::from_utf8(output.stdout).expect("text")
    }
}

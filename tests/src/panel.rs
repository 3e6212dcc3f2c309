//! A real panel with a place for tray icons, Xfce's, on a screen of its own.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::dbus::{Bus, is_there};
use crate::screen::{self, Screen};

/// Below the services of a bus: who keeps the panel's settings.
const SETTINGS: &str = "org.xfce.Xfconf.service";
/// From the panel's upper side to its lower one.
const HEIGHT_PX: u32 = 28;

/// A panel at the screen's upper side, with nothing but the tray.
pub struct Panel {
    process: Child,
    screen: Screen,
}

impl Panel {
    /// A panel, if what it takes is installed. Its files are in the folder.
    pub fn start(bus: &Bus, folder: &Path) -> Option<Self> {
        if !is_there("xfce4-panel") || !["Xvfb", "openbox", "xdotool"].iter().all(|it| is_there(it)) {
            return None;
        }
        assert!(screen::is_available());
        let service = Path::new("/usr/share/dbus-1/services").join(SETTINGS);
        fs::copy(service, folder.join("services").join(SETTINGS)).expect("the panel's settings' service");
        let config = folder.join("xfce4/xfconf/xfce-perchannel-xml");
        fs::create_dir_all(&config).expect("made");
        fs::write(config.join("xfce4-panel.xml"), settings()).expect("written");
        let screen = Screen::new();
        let homes = ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"];
        let environment = homes.map(|home| (home, folder.as_os_str().to_owned()));
        // The bus starts services in its own environment, unless it is told of the panel's.
        let told = Command::new("dbus-update-activation-environment")
            .args(environment.iter().map(|(name, value)| format!("{name}={}", value.display())))
            .env("DBUS_SESSION_BUS_ADDRESS", bus.address())
            .status();
        assert!(told.expect("dbus's programs are there").success());
        let process = Command::new("xfce4-panel")
            .arg("--disable-wm-check")
            .env("DISPLAY", screen.name())
            .env("DBUS_SESSION_BUS_ADDRESS", bus.address())
            .envs(environment)
            .env("GTK_THEME", "Adwaita")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the panel starts");
        Some(Self { process, screen })
    }

    /// Where it is.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Whether pixels of about this colour are seen on the panel, and where the first is.
    pub fn find(&self, colour: [u8; 3]) -> Option<(u32, u32)> {
        let seen = self.screen.look();
        let width = seen.raster.width() as usize;
        let pixels = seen.pixels.chunks_exact(3).take(width * HEIGHT_PX as usize);
        let is_it = |pixel: &[u8]| pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 24);
        let at = pixels.map(is_it).position(|is_it| is_it)?;
        Some(((at % width) as u32, (at / width) as u32))
    }
}

fn settings() -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="length" type="uint" value="100"/>
      <property name="size" type="uint" value="{HEIGHT_PX}"/>
      <property name="icon-size" type="uint" value="22"/>
      <property name="plugin-ids" type="array">
        <value type="int" value="1"/>
        <value type="int" value="2"/>
      </property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="separator">
      <property name="expand" type="bool" value="true"/>
      <property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-2" type="string" value="systray">
      <property name="square-icons" type="bool" value="true"/>
    </property>
  </property>
</channel>
"#
    )
}

impl Drop for Panel {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

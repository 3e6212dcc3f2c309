//! Does the machine run on its battery? The kernel says so in `/sys/class/power_supply`, which is what UPower reads,
//! too, and which needs no message bus.

use std::fs;
use std::path::Path;

/// Where Linux tells of batteries and chargers.
pub const POWER_SUPPLIES: &str = "/sys/class/power_supply";

/// A battery of the machine's own is being emptied, and nothing feeds the machine. False where that isn't known.
pub(super) fn is_on_battery(supplies: &Path) -> bool {
    let Ok(entries) = fs::read_dir(supplies) else { return false };
    let mut is_discharging = false;
    for entry in entries.flatten() {
        let told = |name| fs::read_to_string(entry.path().join(name)).unwrap_or_default().trim().to_owned();
        match told("type").as_str() {
            // Mice and keyboards have batteries, too.
            "Battery" => is_discharging |= told("scope") != "Device" && told("status") == "Discharging",
            _ if told("online") == "1" => return false,
            _ => {}
        }
    }
    is_discharging
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Supplies, each with its files: `BAT0 type=Battery status=Discharging`.
    fn check(supplies: &[&str], expected: bool) {
        let root = tempfile::tempdir().expect("a folder");
        for supply in supplies {
            let mut words = supply.split(' ');
            let folder = root.path().join(words.next().expect("a name"));
            fs::create_dir(&folder).expect("a folder");
            for (name, value) in words.filter_map(|word| word.split_once('=')) {
                fs::write(folder.join(name), format!("{value}\n")).expect("a file");
            }
        }
        assert_eq!(is_on_battery(root.path()), expected, "{supplies:?}");
    }

    #[test]
    fn machines() {
        let (empties, fills) = ("BAT0 type=Battery status=Discharging", "BAT0 type=Battery status=Charging");
        check(&[], false);
        check(&["AC type=Mains online=1"], false);
        check(&["AC type=Mains online=0"], false);
        check(&[empties], true);
        check(&[fills], false);
        check(&["AC type=Mains online=0", empties], true);
        check(&["AC type=Mains online=1", fills], false);
        // One that is worn out, at the mains.
        check(&["AC type=Mains online=1", empties], false);
        check(&["usb type=USB online=1", empties], false);
        check(&["BAT1 type=Battery status=Full", empties], true);
        check(&["mouse type=Battery scope=Device status=Discharging"], false);
        check(&["BAT0 type=Battery scope=System status=Discharging"], true);
        check(&["odd", empties], true);
    }

    #[test]
    fn a_system_that_tells_nothing_is_at_the_mains() {
        assert!(!is_on_battery(Path::new("/nowhere")));
    }
}

//! Test levels and their requirements.

use std::path::Path;

use crate::netns::NetNs;

/// A level of tests, by what it needs besides cargo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Fuzz targets, for some seconds each.
    Fuzz,
    /// The server in process and simulated machines, on loopback.
    Sim,
    /// Network namespaces and real clients.
    Netns,
    /// Virtual servers with real firmware.
    Qemu,
}

/// Programs and files that a level needs, each with its Debian package.
const NETNS_NEEDS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("dhclient", "isc-dhcp-client"),
    ("udhcpc", "udhcpc"),
    ("tftp", "tftp-hpa"),
    ("curl", "curl"),
    ("/usr/lib/ipxe/undionly.kpxe", "ipxe"),
    ("dnsmasq", "dnsmasq-base"),
];
const QEMU_NEEDS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf"),
    ("/usr/lib/ipxe/undionly.kpxe", "ipxe"),
    ("/usr/lib/shim/shimx64.efi.signed", "shim-signed"),
    (
        "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
        "grub-efi-amd64-signed",
    ),
    ("debugfs", "e2fsprogs"),
    ("dnsmasq", "dnsmasq-base"),
    ("dhcrelay", "isc-dhcp-relay"),
    ("/dev/net/tun", "a kernel with tun"),
];

impl Level {
    /// All of them, cheapest first.
    pub const ALL: [Level; 4] = [Level::Fuzz, Level::Sim, Level::Netns, Level::Qemu];

    /// The level's name, which is also that of its test binary.
    pub fn name(self) -> &'static str {
        match self {
            Level::Fuzz => "fuzz",
            Level::Sim => "sim",
            Level::Netns => "netns",
            Level::Qemu => "qemu",
        }
    }

    /// Why this level cannot run here; `None` if it can.
    pub fn obstacle(self) -> Option<String> {
        let needs = match self {
            Level::Fuzz if present("cargo-fuzz") => return None,
            Level::Fuzz => return Some("missing: cargo-fuzz; `.ci/setup --tests` installs it".to_owned()),
            Level::Sim => return None,
            Level::Netns => NETNS_NEEDS,
            Level::Qemu => QEMU_NEEDS,
        };
        let missing: Vec<String> = needs
            .iter()
            .filter(|(name, _)| !present(name))
            .map(|(name, package)| format!("{name} ({package})"))
            .collect();
        if !missing.is_empty() {
            return Some(format!(
                "missing: {}; `.ci/setup` installs it",
                missing.join(", ")
            ));
        }
        match NetNs::new() {
            Ok(_) => None,
            Err(error) => Some(format!(
                "no network namespace can be made ({error:#}); run as root"
            )),
        }
    }

    /// Whether the level runs. If not, prints why it is skipped, or panics if `SLIPWAY_REQUIRE_ALL=1` forbids
    /// skipping.
    pub fn runs(self) -> bool {
        let Some(why) = self.obstacle() else { return true };
        assert!(
            std::env::var("SLIPWAY_REQUIRE_ALL").as_deref() != Ok("1"),
            "level {} cannot run and SLIPWAY_REQUIRE_ALL=1: {why}",
            self.name()
        );
        eprintln!("skipped: level {}: {why}", self.name());
        false
    }
}

fn present(name: &str) -> bool {
    if name.starts_with('/') {
        return Path::new(name).exists();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    // A user's PATH often lacks the sbin directories where ip, dhclient and debugfs live.
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .any(|dir| Path::new(dir).join(name).exists())
}

//! What keeps every machine from booting, found before any tries: in the log at startup, in `slipway
//! check-config`, on the page and in `slipway explain`, each with what to do.

use inventory_api::network;
use netboot::Mode;
use netboot_protocol::Loader;

use config::Config;

/// Something missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The network concerned; `None`: all.
    pub network: Option<String>,
    /// What is missing, and what to do.
    pub what: network::Missing,
}

/// Which files exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct There {
    /// Kernel and initramfs of the mini-os for x86-64.
    pub mini_os: bool,
    /// Kernel and initramfs of the mini-os for 64-bit ARM.
    pub arm64: bool,
    /// A loader for 64-bit ARM.
    pub arm64_loader: bool,
    /// A 64-bit ARM machine has sent a DHCP message since the start.
    pub arm64_asked: bool,
}

impl There {
    /// Looks for the files on disk.
    pub fn look(config: &Config, arm64_asked: bool) -> There {
        let has = |arch: mini_os::Arch| {
            let dir = arch.directory(&config.mini_os.dir);
            ["kernel", "initramfs"]
                .iter()
                .all(|name| dir.join(name).is_file())
        };
        let loader = config.loader_file(Loader::IpxeArm64);
        There {
            mini_os: has(mini_os::Arch::Amd64),
            arm64: has(mini_os::Arch::Arm64),
            arm64_loader: loader.is_file(),
            arm64_asked,
        }
    }
}

/// What is missing with this configuration and these files.
pub fn missing(config: &Config, there: There) -> Vec<Missing> {
    let mut all = Vec::new();
    let mut say = |network: Option<&str>, architecture: Option<&str>, sentence: String| {
        all.push(Missing {
            network: network.map(str::to_owned),
            what: network::Missing {
                sentence,
                architecture: architecture.map(str::to_owned),
            },
        });
    };
    if config.networks.is_empty() {
        let why = "No [[network]] is configured: no machine can boot from this server. Add one to slipway.toml: name, server (this server's \
                   address there), subnet and mode.";
        say(None, None, why.to_owned());
    }
    let dir = config.mini_os.dir.display();
    if !there.mini_os {
        let why = format!(
            "There is no mini-os for x86-64 in {dir}: machines get no further than their loader. Run `slipway mini-os build --agent \
             FILE --out {dir}`; no restart is needed."
        );
        say(None, Some("x86-64"), why);
    }
    if there.arm64_asked && !there.arm64 {
        let why = format!(
            "A 64-bit ARM machine asked, and there is no mini-os for it in {dir}/arm64. Run `slipway mini-os build --arch arm64 \
             --agent FILE --out {dir}`, which brings its loader too."
        );
        say(None, Some("arm64"), why);
    } else if there.arm64_asked && !there.arm64_loader {
        let why = "A 64-bit ARM machine asked, and there is no ipxe-arm64.efi for it: install Debian 13's package ipxe, or set [boot] \
                   loaders, and restart Slipway.";
        say(None, Some("arm64"), why.to_owned());
    }
    for network in config.networks.iter().filter(|n| n.mode() == Mode::Observe) {
        let name = network.name();
        let why = format!(
            "Network {name} is only observed (mode = \"observe\", the default): no machine is answered there. Set mode = \
             \"proxy\" (beside another DHCP server) or mode = \"server\" (with pools) in [[network]] {name} and restart Slipway."
        );
        say(Some(name), None, why);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_is_missing_is_said_with_the_command_that_mends_it() {
        let parse = |text: &str| Config::parse(Path::new("/etc/slipway/slipway.toml"), text).unwrap();
        let network = |mode: &str| {
            format!(
                "[[network]]\nname = \"lab\"\nserver = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n{mode}pools = [{{ first = \"10.0.0.9\", last = \"10.0.0.20\" }}]\n"
            )
        };
        let whole = There {
            mini_os: true,
            ..There::default()
        };
        let cases: [(String, There, Option<&str>, &[&str]); 5] = [
            (network("mode = \"server\"\n"), whole, None, &[]),
            (
                network(""),
                whole,
                Some("lab"),
                &["only observed", "mode = \"server\"", "[[network]] lab"],
            ),
            (String::new(), whole, None, &["No [[network]]"]),
            (
                network("mode = \"server\"\n"),
                There::default(),
                None,
                &["slipway mini-os build --agent FILE --out /var/lib/slipway/mini-os"],
            ),
            (
                network("mode = \"server\"\n"),
                There {
                    arm64_asked: true,
                    ..whole
                },
                None,
                &["--arch arm64"],
            ),
        ];
        for (text, there, network, facts) in cases {
            let all = missing(&parse(&text), there);
            assert_eq!(all.len(), usize::from(!facts.is_empty()), "{all:?}");
            for one in all {
                assert_eq!(one.network.as_deref(), network);
                assert!(
                    facts.iter().all(|fact| one.what.sentence.contains(fact)),
                    "{}",
                    one.what.sentence
                );
            }
        }
    }
}

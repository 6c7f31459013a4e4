//! Which loader a machine is given, and what becomes of one that does not bring it on.
//!
//! A loader has failed when the firmware fetched it whole and then asks for an address again although nothing that only
//! the loader could have asked for was heard. Firmware that refuses a loader by Secure Boot goes to its next boot entry at
//! once (10 ms after the last block in OVMF, netboot-measured.md 2.3 rule 15); one whose driver does not work in the loader
//! comes back after the loader's own attempts or a reset.

use inventory_api::UnixMs;
use inventory_api::boot::{BootEvent, BootEventKind};
use serde::{Deserialize, Serialize};

use crate::client::ClientKind;
use crate::experience::Experience;

/// The file that shim loads.
pub const GRUB: &str = "grubx64.efi";

/// Firmware that comes back within this time after it had the whole loader never started it. Milliseconds; a loader that
/// was started needs longer to find out that it cannot work.
const REFUSED_WITHIN_MS: u64 = 2_500;

/// A first program for a machine's firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loader {
    /// iPXE for BIOS that keeps to the ROM's own network driver (UNDI).
    Undionly,
    /// iPXE for BIOS with drivers of its own.
    IpxeBios,
    /// iPXE for UEFI that keeps to the firmware's network driver (SNP).
    Snponly,
    /// iPXE for UEFI with drivers of its own.
    IpxeEfi,
    /// iPXE for 64-bit ARM UEFI.
    IpxeArm64,
    /// shim and GRUB, signed: they start under Secure Boot with Microsoft's keys.
    Signed,
    /// An iPXE signed by Microsoft, behind iPXE's own shim, which the operator has supplied.
    SignedIpxe,
}

impl Loader {
    /// All.
    pub const ALL: [Loader; 7] = [
        Loader::Undionly,
        Loader::IpxeBios,
        Loader::Snponly,
        Loader::IpxeEfi,
        Loader::IpxeArm64,
        Loader::Signed,
        Loader::SignedIpxe,
    ];

    /// Name of the file that the firmware is told to load.
    pub fn file(self) -> &'static str {
        match self {
            Loader::Undionly => "undionly.kpxe",
            Loader::IpxeBios => "ipxe.pxe",
            Loader::Snponly => "snponly.efi",
            Loader::IpxeEfi => "ipxe.efi",
            Loader::IpxeArm64 => "ipxe-arm64.efi",
            Loader::Signed => "shimx64.efi",
            Loader::SignedIpxe => "ipxe-shimx64.efi",
        }
    }

    /// The loaders for the same kinds of firmware, in the order in which they are tried.
    fn siblings(self) -> &'static [Loader] {
        let kinds = [ClientKind::Bios, ClientKind::UefiX64, ClientKind::UefiArm64];
        let mut lists = kinds.into_iter().map(Loader::list);
        lists.find(|list| list.contains(&self)).unwrap_or_default()
    }

    /// Whether firmware with Microsoft's keys starts it.
    fn is_signed(self) -> bool {
        matches!(self, Loader::Signed | Loader::SignedIpxe)
    }

    /// The loaders for a kind of firmware, in the order in which they are tried.
    pub fn list(kind: ClientKind) -> &'static [Loader] {
        match kind {
            ClientKind::Bios | ClientKind::Ipxe { efi: false, .. } => &[Loader::Undionly, Loader::IpxeBios],
            ClientKind::UefiX64 | ClientKind::UefiX64Http | ClientKind::Ipxe { efi: true, .. } => {
                // Secure Boot is a likelier reason than a network driver of the firmware that iPXE cannot use, and firmware with
                // no other boot entry does not come back by itself to show which it was.
                &[
                    Loader::Snponly,
                    Loader::SignedIpxe,
                    Loader::Signed,
                    Loader::IpxeEfi,
                ]
            }
            ClientKind::UefiArm64 | ClientKind::UefiArm64Http => &[Loader::IpxeArm64],
            _ => &[],
        }
    }
}

/// The loader that a path or URL ends with.
fn of_path(path: &str) -> Option<Loader> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Loader::ALL.into_iter().find(|loader| loader.file() == name)
}

/// Why a loader is not given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Fetched whole, and the firmware asked again at once: Secure Boot refused it.
    Refused,
    /// Fetched whole, and nothing came of it.
    NoProgress,
}

/// What is known of a machine's loaders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trial {
    /// The loader that brought it to its boot script.
    pub worked: Option<Loader>,
    /// Loaders that did not, with the reason. Empty after one worked.
    pub failed: Vec<(Loader, Failure)>,
    /// Those that had failed when one worked: nothing to this NIC any more, but a hint for others of its model.
    pub overcome: Vec<Loader>,
    /// The loader the firmware was told to load last.
    #[serde(skip)]
    given: Option<Loader>,
    /// When it had all of that.
    #[serde(skip)]
    fetched: Option<UnixMs>,
}

impl Trial {
    /// Takes in what was heard of the machine. True: what is worth keeping has changed.
    pub fn heard(&mut self, event: &BootEvent) -> bool {
        match &event.what {
            // Anybody can write any MAC into two datagrams, and what is learnt is written down: only who has fetched the loader.
            // A script, which is for the holder of a lease, says the same a moment later.
            BootEventKind::Dhcp { client, .. }
                if self.fetched.is_some() && matches!(client.as_str(), "ipxe" | "ipxe-v6") =>
            {
                self.progress()
            }
            BootEventKind::Dhcp {
                answer,
                boot_file: Some(file),
                ..
            } if matches!(answer.as_str(), "offer" | "ack" | "advertise" | "reply") => {
                if let Some(loader) = of_path(file) {
                    if self.given != Some(loader) {
                        self.fetched = None;
                    }
                    self.given = Some(loader);
                }
                false
            }
            BootEventKind::Dhcp { .. } => false,
            BootEventKind::Tftp {
                file, complete: true, ..
            } => self.fetched_file(file, event.at),
            // Its length alone is no loader that could have failed.
            BootEventKind::Http { path, head: true, .. } if of_path(path).is_some() => false,
            BootEventKind::Http {
                path,
                status: 200,
                partial: false,
                ..
            } => self.fetched_file(path, event.at),
            BootEventKind::Script { .. } | BootEventKind::Chosen { .. } => self.progress(),
            BootEventKind::Tftp { .. }
            | BootEventKind::Http { .. }
            | BootEventKind::Connection { .. }
            | BootEventKind::Agent { .. } => false,
        }
    }

    fn fetched_file(&mut self, path: &str, at: UnixMs) -> bool {
        match of_path(path) {
            Some(loader) if self.given == Some(loader) => {
                self.fetched = Some(at);
                false
            }
            // Another loader than the one given: an older answer, or a person who types names.
            Some(_) => false,
            // What only a running loader asks for.
            None => self.progress(),
        }
    }

    fn progress(&mut self) -> bool {
        let Some(loader) = self.given.take() else {
            return false;
        };
        self.fetched = None;
        let changed = self.worked != Some(loader) || !self.failed.is_empty();
        self.worked = Some(loader);
        if !self.failed.is_empty() {
            self.overcome = self.failed.drain(..).map(|(loader, _)| loader).collect();
        }
        self.overcome.retain(|other| *other != loader);
        changed
    }

    /// The firmware asks for an address anew. True: its last loader has failed by that.
    pub fn asks_anew(&mut self, now: UnixMs) -> bool {
        let (Some(loader), Some(fetched)) = (self.given, self.fetched.take()) else {
            return false;
        };
        let why = if now.since(fetched) <= REFUSED_WITHIN_MS && !loader.is_signed() {
            Failure::Refused
        } else {
            Failure::NoProgress
        };
        self.given = None;
        if self.worked == Some(loader) {
            self.worked = None;
        }
        self.failed.retain(|(other, _)| *other != loader);
        self.failed.push((loader, why));
        true
    }

    /// Whether its firmware refused a loader, or took a signed one alone: what it did then is Secure Boot's doing.
    pub fn is_secure_boot(&self) -> bool {
        self.failed.iter().any(|(_, why)| *why == Failure::Refused)
            || self.worked.is_some_and(Loader::is_signed)
    }

    fn has_failed(&self, loader: Loader) -> bool {
        self.failed.iter().any(|(failed, _)| *failed == loader)
    }

    /// Every loader that failed on it, before or since one worked.
    pub fn ever_failed(&self) -> impl Iterator<Item = Loader> + '_ {
        let now = self.failed.iter().map(|(loader, _)| *loader);
        let before = self.overcome.iter().copied();
        now.chain(before.filter(|loader| !self.has_failed(*loader)))
    }

    /// The loader whose turn it is, among those there are: the one that worked; the signed one where Secure Boot refused
    /// another; else the first that has not failed, and after all have failed the first again. `model`: what became of the
    /// loaders on other NICs of its model, which decides what is first.
    pub fn next(
        &self,
        kind: ClientKind,
        model: &Experience,
        there_is: impl Fn(Loader) -> bool,
    ) -> Option<Loader> {
        let mut list: Vec<Loader> = Loader::list(kind)
            .iter()
            .copied()
            .filter(|l| there_is(*l))
            .collect();
        model.sort(&mut list);
        if let Some(worked) = self.worked.filter(|loader| list.contains(loader)) {
            return Some(worked);
        }
        let refused = self.failed.iter().any(|(_, why)| *why == Failure::Refused);
        let signed = list
            .iter()
            .copied()
            .find(|l| l.is_signed() && !self.has_failed(*l));
        if refused && signed.is_some() {
            return signed;
        }
        list.iter()
            .copied()
            .find(|l| !self.has_failed(*l))
            .or(list.first().copied())
    }

    /// Whether it says anything that a fresh one does not.
    pub fn is_worth_keeping(&self) -> bool {
        self.worked.is_some() || !self.failed.is_empty()
    }

    /// What a person should know; `None` while the first loader of the list is in use. `there_is`: which loaders this server has.
    pub fn sentence(&self, there_is: impl Fn(Loader) -> bool) -> Option<String> {
        let failed: Vec<String> = self
            .failed
            .iter()
            .map(|(loader, why)| match why {
                Failure::Refused => format!(
                    "{} was fetched whole and refused at once, as Secure Boot refuses what is not signed",
                    loader.file()
                ),
                Failure::NoProgress => {
                    format!("{} was fetched whole and did not come further", loader.file())
                }
            })
            .collect();
        let Some((last, why)) = self.failed.last() else {
            return match self.worked {
                None | Some(Loader::Undionly | Loader::Snponly) => None,
                Some(loader) => Some(format!("It boots with {}.", loader.file())),
            };
        };
        let next = last
            .siblings()
            .iter()
            .copied()
            .find(|loader| there_is(*loader) && !self.has_failed(*loader));
        let then = match (next, why) {
            (Some(_), _) => "another loader is next",
            (None, Failure::Refused) => {
                "there is no other loader here: switch Secure Boot off in the firmware's setup, or install Debian's packages \
                 shim-signed and grub-efi-amd64-signed on the server and restart it"
            }
            (None, Failure::NoProgress) => {
                "there is no other loader here that it has not tried: look at the machine's console, or boot by another NIC"
            }
        };
        Some(format!("{}: {then}.", failed.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::Mac;
    use inventory_api::boot::BootTarget;

    fn event(at: i64, what: BootEventKind) -> BootEvent {
        BootEvent {
            at: UnixMs(at),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            ip: None,
            network: None,
            what,
        }
    }

    fn told(at: i64, client: &str, file: &str) -> BootEvent {
        let what = BootEventKind::Dhcp {
            message: "request".into(),
            client: client.into(),
            answer: "ack".into(),
            boot_file: Some(file.into()),
            facts: Default::default(),
        };
        event(at, what)
    }

    fn fetched(at: i64, file: &str) -> BootEvent {
        let what = BootEventKind::Tftp {
            file: file.into(),
            bytes: 1,
            complete: true,
            end: Default::default(),
            block: None,
        };
        event(at, what)
    }

    fn next(trial: &Trial, kind: ClientKind) -> Loader {
        let usual = |loader| loader != Loader::SignedIpxe;
        trial.next(kind, &Experience::default(), usual).unwrap()
    }

    #[test]
    fn refused_at_once_is_secure_boot() {
        let mut trial = Trial::default();
        assert_eq!(next(&trial, ClientKind::UefiX64), Loader::Snponly);
        trial.heard(&told(0, "uefi-x64", "snponly.efi"));
        trial.heard(&fetched(300, "snponly.efi"));
        assert!(trial.asks_anew(UnixMs(310)));
        assert_eq!(trial.failed, [(Loader::Snponly, Failure::Refused)]);
        assert_eq!(next(&trial, ClientKind::UefiX64), Loader::Signed);
        assert_eq!(next(&trial, ClientKind::UefiX64Http), Loader::Signed);
        let said = |there_is: fn(Loader) -> bool| trial.sentence(there_is).unwrap();
        assert!(said(|_| true).ends_with("another loader is next."));
        let alone = said(|loader| loader == Loader::Snponly);
        assert!(
            alone.contains("Secure Boot") && alone.contains("shim-signed"),
            "{alone}"
        );
        // An iPXE that the operator has had signed comes before GRUB.
        let with = trial.next(ClientKind::UefiX64, &Experience::default(), |_| true);
        assert_eq!(with, Some(Loader::SignedIpxe));
        // Where there is no signed chain, the next best.
        let without = trial.next(ClientKind::UefiX64, &Experience::default(), |loader| {
            !loader.is_signed()
        });
        assert_eq!(without, Some(Loader::IpxeEfi));

        trial.heard(&told(400, "uefi-x64", "shimx64.efi"));
        trial.heard(&fetched(500, "shimx64.efi"));
        assert!(trial.heard(&fetched(600, "grubx64.efi")), "shim runs");
        assert_eq!((trial.worked, trial.failed.len()), (Some(Loader::Signed), 0));
        assert!(trial.ever_failed().eq([Loader::Snponly]), "a hint for its model");
        assert_eq!(
            next(&trial, ClientKind::UefiX64),
            Loader::Signed,
            "at the next boot too"
        );
    }

    #[test]
    fn a_loader_that_gets_nowhere_is_changed_and_one_that_worked_is_kept() {
        let mut trial = Trial::default();
        let mut now = 0;
        let mut attempt = |trial: &mut Trial| {
            let loader = next(trial, ClientKind::Bios);
            trial.heard(&told(now, "bios", loader.file()));
            trial.heard(&fetched(now + 100, loader.file()));
            now += 60_000;
            assert!(trial.asks_anew(UnixMs(now)));
            loader
        };
        assert_eq!(attempt(&mut trial), Loader::Undionly);
        assert_eq!(attempt(&mut trial), Loader::IpxeBios);
        assert_eq!(attempt(&mut trial), Loader::Undionly, "round again");
        trial.heard(&told(now, "bios", "ipxe.pxe"));
        trial.heard(&fetched(now + 1, "ipxe.pxe"));
        assert!(trial.heard(&event(
            now + 2,
            BootEventKind::Script {
                target: BootTarget::LocalDisk
            }
        )));
        assert_eq!(next(&trial, ClientKind::Bios), Loader::IpxeBios);
        // It comes back for its next boot: no failure.
        assert!(!trial.asks_anew(UnixMs(now + 90_000)));
        let kept: Trial = serde_json::from_value(serde_json::to_value(&trial).unwrap()).unwrap();
        assert_eq!(next(&kept, ClientKind::Bios), Loader::IpxeBios);
    }

    #[test]
    fn dhcp_messages_alone_teach_nothing() {
        let mut trial = Trial::default();
        trial.heard(&told(0, "uefi-x64", "snponly.efi"));
        let by_ipxe = told(10, "ipxe", "http://10.0.0.1:8067/boot.ipxe?mac=x");
        assert!(
            !trial.heard(&by_ipxe) && !trial.is_worth_keeping(),
            "made-up MACs"
        );
        let script = BootEventKind::Script {
            target: BootTarget::LocalDisk,
        };
        assert!(trial.heard(&event(20, script)), "the fetch was not seen");
    }

    #[test]
    fn what_was_not_fetched_whole_is_no_fetch() {
        let asked = |head, partial| {
            let mut trial = Trial::default();
            trial.heard(&told(0, "uefi-x64-http", "http://10.0.0.1:8067/boot/snponly.efi"));
            let what = BootEventKind::Http {
                path: "/boot/snponly.efi".into(),
                bytes: 0,
                status: 200,
                head,
                partial,
            };
            trial.heard(&event(100, what));
            trial.asks_anew(UnixMs(30_000))
        };
        for (head, partial) in [(true, false), (false, true)] {
            assert!(
                !asked(head, partial),
                "TCP is filtered, or a cable was pulled: not the loader's fault"
            );
        }
        assert!(asked(false, false));
    }

    #[test]
    fn what_is_no_failure_of_a_loader() {
        let mut trial = Trial::default();
        // Told and never fetched: TFTP is filtered, or another server's offer was taken.
        trial.heard(&told(0, "bios", "undionly.kpxe"));
        assert!(!trial.asks_anew(UnixMs(60_000)));
        // iPXE asks DHCP: it runs.
        trial.heard(&fetched(60_100, "undionly.kpxe"));
        trial.heard(&told(61_000, "ipxe", "http://10.0.0.1:8067/boot.ipxe?mac=x"));
        assert!(!trial.asks_anew(UnixMs(62_000)));
        assert_eq!(trial.worked, Some(Loader::Undionly));
        assert_eq!(trial.sentence(|_| true), None);
        // By DHCPv6 too, which it asks where the routers say so.
        trial.heard(&told(70_000, "uefi-x64-v6", "tftp://[fd00::1]/snponly.efi"));
        trial.heard(&fetched(70_100, "snponly.efi"));
        let by_v6 = BootEventKind::Dhcp {
            message: "solicit".into(),
            client: "ipxe-v6".into(),
            answer: "advertise".into(),
            boot_file: None,
            facts: Default::default(),
        };
        trial.heard(&event(71_000, by_v6));
        assert!(!trial.asks_anew(UnixMs(71_500)));
        assert_eq!(trial.worked, Some(Loader::Snponly));
    }
}

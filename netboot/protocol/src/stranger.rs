//! Who asks by DHCP; what a client that does not netboot is, judging by its message.

use inventory_api::Mac;
use inventory_api::boot::DhcpFacts;
use inventory_api::dhcp::DhcpMessage;

use Stranger::{Appliance, Bmc, Onie, Petitboot, Switch, System, UBoot};

use crate::boot::architecture::ClientKind;
use crate::dhcp4::code;
use crate::dhcp4::packet::RawOptions;

/// Longest text of a stranger that is kept, in characters.
const LONGEST: usize = 64;

/// A client that does not netboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// An operating system or one of its programs: its name.
    System(&'static str),
    /// A switch in ONIE, looking for an installer.
    Onie,
    /// Another switch or router: its make.
    Switch(&'static str),
    /// A baseboard management controller: its make.
    Bmc(&'static str),
    /// OpenPOWER's boot loader.
    Petitboot,
    /// U-Boot that does not boot by PXE.
    UBoot,
    /// A printer, PDU, telephone or the like.
    Appliance(&'static str),
    /// It does not say.
    Unknown,
}

/// The sender of a DHCP message as it is reported, whichever protocol it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Its NIC.
    pub mac: Mac,
    /// The machine is enrolled.
    pub known: bool,
    /// What it asks for.
    pub message: DhcpMessage,
    /// The kind of client, as a stable short code.
    pub client: String,
    /// What else the message says.
    pub facts: DhcpFacts,
}

impl Stranger {
    /// The code of a client of this kind, which is a stranger if it does not netboot.
    pub(crate) fn client(self, kind: ClientKind) -> &'static str {
        match kind {
            ClientKind::Other => self.code(),
            kind => kind.code(),
        }
    }

    /// What messages of both protocols say of a client.
    pub(crate) fn facts(self, kind: ClientKind, vendor_class: &[u8], architectures: &[u16]) -> DhcpFacts {
        DhcpFacts {
            architecture: architectures.first().copied(),
            who: (kind == ClientKind::Other).then(|| self.name()),
            vendor: (!vendor_class.is_empty()).then(|| printable(vendor_class)),
            ..DhcpFacts::default()
        }
    }

    /// Stable short code, as in `BootEventKind::Dhcp`.
    pub fn code(self) -> &'static str {
        match self {
            Stranger::System(_) => "system",
            Stranger::Onie => "onie",
            Stranger::Switch(_) => "switch",
            Stranger::Bmc(_) => "bmc",
            Stranger::Petitboot => "petitboot",
            Stranger::UBoot => "u-boot",
            Stranger::Appliance(_) => "appliance",
            Stranger::Unknown => "other",
        }
    }

    /// Name for display, with an article where needed.
    pub fn name(self) -> String {
        match self {
            Stranger::System(name) => format!("an operating system ({name})"),
            Stranger::Onie => "a switch in ONIE".to_owned(),
            Stranger::Switch(make) => format!("a switch or router ({make})"),
            Stranger::Bmc(make) => format!("a BMC ({make})"),
            Stranger::Petitboot => "OpenPOWER petitboot".to_owned(),
            Stranger::UBoot => "U-Boot with its own boot commands".to_owned(),
            Stranger::Appliance(what) => what.to_owned(),
            Stranger::Unknown => "an unknown DHCP client".to_owned(),
        }
    }
}

/// Vendor classes (option 60) by prefix, in lower case. Sources: the programs' sources and manuals; dhcpcd
/// `dhcpcd-VERSION:OS:...`, busybox `udhcp VERSION`, Microsoft MS-DHCPE 2.2.3, ONIE "DHCP requests", Arista
/// and Juniper ZTP.
const VENDORS: &[(&str, Stranger)] = &[
    ("msft", System("Windows")),
    ("android-dhcp", System("Android")),
    ("dhcpcd", System("dhcpcd")),
    (
        "udhcp",
        System("udhcpc of busybox: a small Linux, an installer or a BMC"),
    ),
    ("d-i", System("the Debian installer")),
    ("anaconda", System("the installer Anaconda")),
    ("dracut", System("Linux, dracut")),
    ("systemd", System("Linux, systemd-networkd")),
    ("isc-dhclient", System("Linux, dhclient")),
    ("linux", System("Linux")),
    ("freebsd", System("FreeBSD")),
    ("openbsd", System("OpenBSD")),
    ("netbsd", System("NetBSD")),
    ("sunw", System("Solaris")),
    ("vmware", System("VMware ESXi")),
    ("xen", System("Xen")),
    ("aaplbsdpc", System("an Apple computer, BSDP")),
    ("onie_vendor", Onie),
    ("cumulus-linux", Switch("Cumulus Linux")),
    ("arista", Switch("Arista")),
    ("juniper", Switch("Juniper")),
    ("ciscopnp", Switch("Cisco")),
    (
        "cisco systems, inc. ip phone",
        Appliance("an IP telephone (Cisco)"),
    ),
    ("cisco", Switch("Cisco")),
    ("nvidia-nvos", Switch("NVIDIA")),
    ("mlnx", Switch("NVIDIA")),
    ("sonic", Switch("SONiC")),
    ("dell force10", Switch("Dell")),
    ("mikrotik", Switch("MikroTik")),
    ("idrac", Bmc("Dell iDRAC")),
    ("cpqrib", Bmc("HPE iLO")),
    ("hpe ilo", Bmc("HPE iLO")),
    ("ilo", Bmc("HPE iLO")),
    ("xcc", Bmc("Lenovo XCC")),
    ("imm", Bmc("IBM or Lenovo IMM")),
    ("openbmc", Bmc("OpenBMC")),
    ("ipmi", Bmc("IPMI")),
    ("bmc", Bmc("its vendor class says so")),
    ("petitboot", Petitboot),
    ("u-boot", UBoot),
    ("apc", Appliance("a PDU or UPS (APC)")),
    ("raritan", Appliance("a PDU (Raritan)")),
    ("servertech", Appliance("a PDU (Server Technology)")),
    ("hewlett-packard jetdirect", Appliance("a printer (HP)")),
    ("mfg=", Appliance("a printer")),
    ("polycom", Appliance("an IP telephone (Polycom)")),
    ("yealink", Appliance("an IP telephone (Yealink)")),
];

/// Default host names (option 12) of BMCs by prefix, in lower case.
const BMC_NAMES: &[(&str, &str)] = &[
    ("idrac", "Dell iDRAC"),
    ("ilo", "HPE iLO"),
    ("xcc-", "Lenovo XCC"),
    ("imm2-", "IBM or Lenovo IMM"),
    ("ami", "AMI MegaRAC"),
    ("megarac", "AMI MegaRAC"),
    ("cimc", "Cisco CIMC"),
    ("ibmc", "Huawei iBMC"),
    ("obmc", "OpenBMC"),
    ("openbmc", "OpenBMC"),
    ("bmc", "its host name says so"),
    ("ipmi", "its host name says so"),
];

/// Identifies a client by vendor class, user class, architecture, host name, client identifier and the
/// options it requests.
pub(crate) fn stranger(options: &RawOptions, architectures: &[u16]) -> Stranger {
    let text = |code| printable(options.get(code).unwrap_or_default()).to_lowercase();
    let (vendor, name) = (text(code::VENDOR_CLASS), text(code::HOST_NAME));
    // Architecture 14 is POWER OPAL; options 209 and 210 (RFC 5071) are PXELINUX's, which petitboot reads
    // too.
    if architectures.contains(&14) {
        return Stranger::Petitboot;
    }
    if text(code::USER_CLASS).contains("onie_dhcp_user_class") {
        return Stranger::Onie;
    }
    let by_vendor = VENDORS.iter().find(|(begin, _)| vendor.starts_with(begin));
    let bmc = BMC_NAMES.iter().find(|(begin, _)| name.starts_with(begin));
    match (by_vendor, bmc) {
        // A BMC runs a small Linux: its name says more than its DHCP client.
        (None | Some((_, Stranger::System(_))), Some((_, make))) => Stranger::Bmc(make),
        (Some((_, stranger)), _) => *stranger,
        (None, None) => by_lists(options),
    }
}

/// By what DHCP clients without a vendor class always send.
fn by_lists(options: &RawOptions) -> Stranger {
    let id = options.get(code::CLIENT_ID).unwrap_or_default();
    let list = options.get(code::PARAMETER_LIST).unwrap_or_default();
    // systemd's DUID-EN (RFC 8415, 11.3): `ff`, four bytes IAID, type 2, enterprise 43793.
    if id.first() == Some(&0xff) && id.get(5..11) == Some(&[0, 2, 0, 0, 0xab, 0x11]) {
        return Stranger::System("Linux, systemd-networkd");
    }
    let system = match list {
        [1, 28, 2, ..] => "Linux, dhclient",
        [1, 2, 6, 12, 15, 26, 28, 121, ..] => "Linux, NetworkManager",
        [1, 3, 6, 12, 15, 17, 23, 28, 29, 31, 33, 40, 41, 42, ..] => "Linux, dhcpcd",
        [1, 121, 3, 6, 15, ..] => "macOS",
        [1, 3, 6, 15, 31, 33, 43, 44, 46, 47, ..] | [1, 15, 3, 6, 44, 46, 47, ..] => "Windows",
        _ => return Stranger::Unknown,
    };
    Stranger::System(system)
}

/// A client's text for display: printable ASCII, bounded.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let shown = bytes.iter().filter(|byte| matches!(byte, 0x20..=0x7e));
    shown.take(LONGEST).map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_identified_by_their_messages() {
        let onie: &[(u8, &[u8])] = &[
            (60, b"onie_vendor:x86_64-accton_as7712-r0"),
            (77, b"onie_dhcp_user_class"),
        ];
        let systemd = [&[0xff, 1, 2, 3, 4, 0, 2, 0, 0, 0xab, 0x11][..], &[9; 8]].concat();
        type Case<'a> = (&'a [(u8, &'a [u8])], &'a [u16], &'a str, &'a str);
        let cases: [Case<'_>; 14] = [
            (onie, &[], "onie", "a switch in ONIE"),
            (&[(77, b"\x14onie_dhcp_user_class")], &[], "onie", "ONIE"),
            (&[(60, b"petitboot")], &[], "petitboot", "OpenPOWER petitboot"),
            (&[(60, b"")], &[14], "petitboot", "OpenPOWER petitboot"),
            (&[(60, b"MSFT 5.0")], &[], "system", "Windows"),
            (
                &[(60, b"udhcp 1.23.1"), (12, b"AMIB42E99000004")],
                &[],
                "bmc",
                "AMI MegaRAC",
            ),
            (&[(60, b"udhcp 1.36.1")], &[], "system", "busybox"),
            (&[(60, b"dhcpcd-9.4.1:Linux-6.1:x86_64")], &[], "system", "dhcpcd"),
            (&[(60, b"iDRAC")], &[], "bmc", "Dell iDRAC"),
            (&[(12, b"idrac-7XK06Q3")], &[], "bmc", "Dell iDRAC"),
            (&[(61, &systemd)], &[], "system", "systemd-networkd"),
            (&[(55, &[1, 28, 2, 3, 15, 6, 12])], &[], "system", "dhclient"),
            (&[(60, b"U-Boot.armv8")], &[], "u-boot", "U-Boot"),
            (&[(60, b"\xff\xfe")], &[], "other", "unknown"),
        ];
        for (options, architectures, code, name) in cases {
            let mut field = Vec::new();
            for (option, value) in options {
                field.extend([*option, value.len() as u8]);
                field.extend(*value);
            }
            let found = stranger(&RawOptions::of(&field), architectures);
            assert!(
                found.code() == code && found.name().contains(name),
                "{options:?}: {found:?}"
            );
        }
    }
}

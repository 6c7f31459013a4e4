//! Made-up machines for tests and for looking at the pages.

use serde::de::DeserializeOwned;

use crate::agent::{Verification, VerifiedItem};
use crate::boot::{BootEvent, BootEventKind, BootTarget, Purpose};
use crate::check::{CheckResult, Finding, Severity, Verdict};
use crate::conflict::{Conflict, ConflictField, Conflicts};
use crate::image::{BootFiles, ImageManifest};
use crate::loader::{LoaderOverview, NicLoaders};
use crate::machine::{
    HistoryEntry, Journey, MachineDetail, MachineState, MachineStatus, MachineSummary, StepStatus,
};
use crate::network::NetworkStatus;
use crate::plan::InstallPlan;
use crate::report::{AssetReport, FirmwareMode};
use crate::{Mac, Sha256Digest, UnixMs};

/// When the sample is looked at.
pub const NOW: UnixMs = UnixMs(1_795_321_911_000);

/// Seconds before [`NOW`].
pub fn ago(seconds: i64) -> UnixMs {
    UnixMs(NOW.0 - seconds * 1000)
}

/// A MAC.
pub fn mac(n: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0x1a, 0x2b, n])
}

/// A line of the list in this state.
pub fn summary(n: u8, state: &str, phase: Option<&str>, sentence: &str) -> MachineSummary {
    let named = matches!(state, "deployed" | "deploying" | "failed" | "releasing");
    MachineSummary {
        id: format!("m-5254001a2b{n:02x}").parse().unwrap(),
        macs: vec![mac(n), Mac([0x52, 0x54, 0, 0x1a, 0x2c, n])],
        model: (state != "new").then(|| "Dell Inc. PowerEdge R650".into()),
        serial: (state != "new").then(|| format!("7XK{n:02}Q3")),
        hostname: named.then(|| format!("web-{n:02}")),
        ip: Some([10, 77, 0, 100 + n].into()),
        status: MachineStatus {
            state: state.into(),
            phase: phase.map(Into::into),
            sentence: sentence.into(),
            reason: matches!(state, "failed").then(|| "check-failed".into()),
            since: ago(80),
            deadline: phase
                .filter(|_| state != "failed")
                .map(|_| UnixMs(NOW.0 + 1_200_000)),
            step: None,
            verbs: Vec::new(),
        },
        last_seen: (state != "new").then(|| ago(i64::from(n) * 7)),
        enrolled_at: ago(300),
        folded_into: None,
        conflicts_with: Vec::new(),
        reported_macs: Vec::new(),
        held: None,
        verdict: None,
    }
}

/// Two that claim one identity; what the newcomer says is hostile.
pub fn conflicts() -> Conflicts {
    let known = summary(2, "deployed", None, "Installed and verified.");
    let newcomer = summary(3, "quarantined", None, "Stopped.");
    let field = |field: &str, name: &str, newcomer: &str, known: &str| ConflictField {
        field: field.into(),
        name: name.into(),
        agrees: Some(newcomer == known),
        newcomer: Some(newcomer.into()),
        known: Some(known.into()),
    };
    Conflicts {
        machine: known.clone(),
        conflicts: vec![Conflict {
            id: 1,
            at: ago(60),
            sentence: "It claims the identity of another.".into(),
            fields: vec![
                field("system", "system serial", "7XK03Q3", "7XK03Q3"),
                field(
                    "board",
                    "board serial",
                    "<script>alert(1)</script>\u{1b}[2J",
                    "CN7475162M0382",
                ),
            ],
            newcomer,
            known,
            resolution: None,
        }],
    }
}

const MACHINES: &str = "\
9|new||Enrolled; nothing is known about its hardware yet. Commission it.
8|commissioning|booting|The boot script was sent; the mini-os is loading, to check its hardware.
3|failed|deploying|Deployment failed (check-failed): DIMM slot B3 is empty, 32 GiB DDR4 was ordered. No disk was touched. Retry when the cause is gone.
4|deploying|installing|Installing: step write-image.
5|deploying|await-local-boot|Everything is written; the machine reboots and boots its disk next.
6|ready||The asset check passed. Waiting for a decision: deploy it.
2|deployed||Installed and verified; the resident agent is running.
1|deployed||Installed and verified; the resident agent is running.";

/// The list.
pub fn machines() -> Vec<MachineSummary> {
    let machine = |line: &str| {
        let mut cells = line.split('|');
        let mut cell = || cells.next().unwrap();
        let n = cell().parse().unwrap();
        let (state, phase) = (cell(), Some(cell()).filter(|phase| !phase.is_empty()));
        summary(n, state, phase, cell())
    };
    let mut all: Vec<_> = MACHINES.lines().map(machine).collect();
    all[3].status.step = Some(step());
    all[4].status.step = Some(StepStatus {
        index: 12,
        count: 13,
        name: "finish".into(),
        done_bytes: 0,
        total_bytes: 0,
        percent: 100,
    });
    all
}

/// The running step: the image at 62 %.
pub fn step() -> StepStatus {
    StepStatus {
        index: 3,
        count: 13,
        name: "write-image".into(),
        done_bytes: 1_330_000_000,
        total_bytes: 2_147_483_648,
        percent: 58,
    }
}

fn parsed<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}

/// A plan with one of each step and a password hash.
pub fn plan() -> InstallPlan {
    parsed(include_str!("plan.json"))
}

/// A report with empty slots, a problem, and a NIC without link.
pub fn report() -> AssetReport {
    parsed(include_str!("report.json"))
}

/// A network, with something of everything that its page shows.
pub fn network() -> NetworkStatus {
    parsed(include_str!("network.json"))
}

/// Loaders that worked and failed, by model of NIC.
pub fn loaders() -> LoaderOverview {
    parsed(
        r#"{"models": [{"model": "8086:1533", "kind": "pci", "loaders": [
            {"loader": "snponly.efi", "worked": 0, "failed": 2},
            {"loader": "ipxe.efi", "worked": 7, "failed": 0}
        ]}], "nics": []}"#,
    )
}

/// The first six rows are those of an installation that runs; seconds before [`NOW`], actor, event, state,
/// sentence.
const HISTORY: &str = "\
118|boot|commission|commissioning/await-boot|Seen for the first time on network lab; rule web says: deploy profile web.
118|boot|script-given|commissioning/booting|The boot script was given: it boots the mini-os to commission.
87|agent|claimed|commissioning/claimed|The agent in the mini-os has claimed its boot ticket.
84|agent|reported|deploying/installing|The hardware is as expected; plan p-0123456789abcdef follows.
80|agent|step-starting|deploying/installing|Step erase-disk begins.
71|agent|step-starting|deploying/installing|Step write-image begins.
40|agent|install-done|deploying/await-local-boot|The plan is executed to its end.
22|boot|script-given|deploying/await-local-boot|The machine was told to boot its disk.
9|agent|resident-reported|deploying/verifying|The resident agent runs on the installed system.
4|agent|verified|deployed|All checks passed.";

/// A first boot that is being installed, as lifecycle names its events.
pub fn history() -> Vec<HistoryEntry> {
    let mut all = deployed_history();
    all.truncate(6);
    all
}

/// The same machine, deployed.
pub fn deployed_history() -> Vec<HistoryEntry> {
    let entry = |(seq, line): (i64, &str)| {
        let mut cells = line.split('|');
        let mut cell = || cells.next().unwrap();
        HistoryEntry {
            seq,
            at: ago(cell().parse().unwrap()),
            actor: cell().into(),
            event: cell().into(),
            state: cell().into(),
            sentence: cell().into(),
        }
    };
    (1..).zip(HISTORY.lines()).map(entry).collect()
}

/// A check that fails.
pub fn failed_check() -> CheckResult {
    CheckResult {
        verdict: Verdict::Fail,
        findings: vec![
            Finding {
                code: "memory-total".into(),
                place: "memory".into(),
                expected: "256 GiB".into(),
                found: "128 GiB".into(),
                severity: Severity::Error,
                sentence: "Memory is 128 GiB, 256 GiB was ordered: slots A3, A4, B3 and B4 are empty; fit four modules of 32 GiB.".into(),
            },
            Finding {
                code: "nic-link".into(),
                place: "eno2".into(),
                expected: "link".into(),
                found: "no link".into(),
                severity: Severity::Warning,
                sentence: "eno2 (52:54:00:1a:2b:05) has no link: check its cable.".into(),
            },
        ],
    }
}

/// What the boot service heard.
pub fn boots() -> Vec<BootEvent> {
    let event = |seconds, what| BootEvent {
        at: ago(seconds),
        mac: mac(4),
        ip: Some([10, 77, 0, 104].into()),
        network: Some("lab".into()),
        what,
    };
    let dhcp = |message: &str, client: &str, answer: &str, file: &str| BootEventKind::Dhcp {
        message: message.into(),
        client: client.into(),
        answer: answer.into(),
        boot_file: Some(file.into()),
        facts: Default::default(),
    };
    let http = |path: &str, bytes| BootEventKind::Http {
        path: path.into(),
        bytes,
        status: 200,
        head: false,
        partial: false,
    };
    let tftp = BootEventKind::Tftp {
        file: "snponly.efi".into(),
        bytes: 233_472,
        complete: true,
        end: Default::default(),
        block: None,
    };
    let (rom, script) = ("snponly.efi", "http://10.77.0.1:8067/boot.ipxe");
    let purpose = Purpose::Commission;
    let target = BootTarget::MiniOs { purpose };
    vec![
        event(128, dhcp("discover", "uefi-x64", "offer", rom)),
        event(127, dhcp("request", "uefi-x64", "ack", rom)),
        event(126, tftp),
        event(122, dhcp("discover", "ipxe", "offer", script)),
        event(121, dhcp("request", "ipxe", "ack", script)),
        event(118, BootEventKind::Script { target }),
        event(118, http("/boot.ipxe", 812)),
        event(116, http("/boot/kernel", 8_152_256)),
        event(108, http("/boot/initramfs", 27_800_000)),
        event(108, http("/boot/site", 1_024)),
    ]
}

/// The machine that is being installed.
pub fn detail() -> MachineDetail {
    let machine = machines()
        .into_iter()
        .find(|m| m.status.state == MachineState::Deploying)
        .unwrap();
    MachineDetail {
        machine,
        report: Some(report()),
        reported_at: Some(ago(84)),
        check: Some(CheckResult {
            verdict: Verdict::Pass,
            findings: vec![],
        }),
        plan: Some(plan()),
        verification: None,
        expected_from: None,
        duplicates: Vec::new(),
        tasks: Vec::new(),
        notes: Vec::new(),
    }
}

/// The same machine, deployed.
pub fn deployed() -> MachineDetail {
    let mut d = detail();
    d.machine.status = summary(
        4,
        "deployed",
        None,
        "Installed and verified; the resident agent is running.",
    )
    .status;
    let item = |what: &str, ok, found: &str| VerifiedItem {
        what: what.into(),
        ok,
        found: found.into(),
    };
    d.verification = Some(Verification {
        plan: plan().id,
        items: vec![
            item("hostname", true, "web-04"),
            item(
                "account alice",
                true,
                "uid 1000, groups adm docker sudo, 1 SSH key",
            ),
            item(
                "cron backup",
                true,
                "/etc/cron.d/backup, owned by root, mode 0644",
            ),
            item("mount /", true, "ext4, UUID=6f1d2c3b-4a59-4e6f-8091-a2b3c4d5e6f7"),
            item("script setup", true, "exit status 0 after 2.1 s"),
        ],
    });
    d
}

/// The journey of the boot NIC.
pub fn journey() -> Journey {
    Journey {
        mac: mac(4),
        machine: None,
        events: boots(),
        diagnosis: "Booted the mini-os over UEFI network boot; kernel and initramfs were read to their end."
            .into(),
        stage: "mini-os".into(),
        running: Vec::new(),
        loaders: Some(NicLoaders {
            mac: mac(4),
            model: Some("8086:1533".into()),
            worked: Some("ipxe.efi".into()),
            failed: Vec::new(),
            sentence: Some("It boots with ipxe.efi.".into()),
        }),
    }
}

/// An image of 1 GiB for both firmware modes.
pub fn image() -> ImageManifest {
    ImageManifest {
        name: "debian-12".into(),
        version: "1".into(),
        os: "Debian GNU/Linux 12 (bookworm)".into(),
        architecture: "x86_64".into(),
        file: "image.zst".into(),
        sha256: Sha256Digest([1; 32]),
        compressed_bytes: 100,
        content_sha256: Sha256Digest([2; 32]),
        content_bytes: 1 << 30,
        boot: BootFiles {
            kernel_release: "6.1.0".into(),
            kernel: "/vmlinuz".into(),
            initrd: "/initrd.img".into(),
            firmware: vec![FirmwareMode::Bios, FirmwareMode::Uefi],
        },
        built_at: UnixMs(0),
        public: true,
        recipe_sha256: None,
    }
}

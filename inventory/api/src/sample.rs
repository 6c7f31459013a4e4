//! Made-up machines for tests and for looking at the pages.

use crate::agent::{Verification, VerifiedItem};
use crate::boot::{BootEvent, BootEventKind, BootTarget, Purpose};
use crate::check::{CheckResult, Finding, Severity, Verdict};
use crate::conflict::{Conflict, ConflictField, Conflicts};
use crate::deploy::{Account, CronJob, NicConfig, Script, ScriptRun};
use crate::image::{BootFiles, ImageManifest};
use crate::machine::{
    HistoryEntry, Journey, MachineDetail, MachineState, MachineStatus, MachineSummary, StepStatus,
};
use crate::plan::{
    DiskTarget, ImageChannel, ImageSource, InstallPlan, Mount, PLAN_SCHEMA, Partition, PartitionRole, Step,
};
use crate::report::*;
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

/// The list.
pub fn machines() -> Vec<MachineSummary> {
    let mut deploying = summary(
        4,
        "deploying",
        Some("installing"),
        "Installing: step write-image.",
    );
    deploying.status.step = Some(step());
    let mut second = summary(
        5,
        "deploying",
        Some("await-local-boot"),
        "Everything is written; the machine reboots and boots its disk next.",
    );
    second.status.step = Some(StepStatus {
        index: 12,
        count: 13,
        name: "finish".into(),
        done_bytes: 0,
        total_bytes: 0,
        percent: 100,
    });
    vec![
        summary(
            9,
            "new",
            None,
            "Enrolled; nothing is known about its hardware yet. Commission it.",
        ),
        summary(
            8,
            "commissioning",
            Some("booting"),
            "The boot script was sent; the mini-os is loading, to check its hardware.",
        ),
        summary(
            3,
            "failed",
            Some("deploying"),
            "Deployment failed (check-failed): DIMM slot B3 is empty, 32 GiB DDR4 was ordered. No disk was touched. Retry when the cause is gone.",
        ),
        deploying,
        second,
        summary(
            6,
            "ready",
            None,
            "The asset check passed. Waiting for a decision: deploy it.",
        ),
        summary(
            2,
            "deployed",
            None,
            "Installed and verified; the resident agent is running.",
        ),
        summary(
            1,
            "deployed",
            None,
            "Installed and verified; the resident agent is running.",
        ),
    ]
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

fn digest(byte: u8) -> Sha256Digest {
    Sha256Digest([byte; 32])
}

/// A plan with one of each step and a password hash.
pub fn plan() -> InstallPlan {
    let part = |number, name: &str, role, first_lba, last_lba| Partition {
        number,
        name: name.into(),
        role,
        guid: "0b7e4c7e-6a1e-4c5e-9d5e-0d4a2f0f9a01".into(),
        first_lba,
        last_lba,
    };
    InstallPlan {
        schema: PLAN_SCHEMA,
        id: "p-0123456789abcdef".parse().unwrap(),
        machine: "m-5254001a2b04".parse().unwrap(),
        made_at: ago(75),
        image: "debian-12".into(),
        image_version: "2026-11-20".into(),
        hostname: "web-04".into(),
        disk: DiskTarget {
            serial: Some("S6CKNT0W500123".into()),
            wwn: Some("eui.002538b531b0c1d2".into()),
            model: Some("SAMSUNG MZQL2960HCJR".into()),
            size_bytes: 960_197_124_096,
            block_bytes: 512,
            removable: false,
        },
        steps: vec![
            Step::EraseDisk {},
            Step::Partition {
                disk_guid: "5f0c2a4e-9d7b-4a2c-8f1e-3b6d7c8e9f00".into(),
                partitions: vec![
                    part(1, "bios-boot", PartitionRole::BiosBoot, 2048, 4095),
                    part(2, "esp", PartitionRole::Esp, 4096, 528_383),
                    part(3, "root", PartitionRole::Root, 528_384, 1_875_382_271),
                ],
            },
            Step::MakeFat {
                partition: 2,
                volume_id: "1A2B-3C4D".into(),
                label: "ESP".into(),
            },
            Step::WriteImage {
                partition: 3,
                source: ImageSource {
                    path: "/images/abab".into(),
                    channel: ImageChannel::Http,
                    sha256: digest(0xab),
                    compressed_bytes: 412_000_000,
                    content_sha256: digest(0xcd),
                    content_bytes: 2_147_483_648,
                },
                uuid: "6f1d2c3b-4a59-4e6f-8091-a2b3c4d5e6f7".into(),
            },
            Step::Bootloader {
                bios_partition: 1,
                esp_partition: 2,
                root_partition: 3,
                root_uuid: "6f1d2c3b-4a59-4e6f-8091-a2b3c4d5e6f7".into(),
                kernel_args: vec!["console=ttyS0,115200".into()],
            },
            Step::Fstab {
                mounts: vec![
                    Mount {
                        device: "UUID=6f1d".into(),
                        path: "/".into(),
                        kind: "ext4".into(),
                        options: "defaults".into(),
                        pass: 1,
                    },
                    Mount {
                        device: "UUID=1A2B-3C4D".into(),
                        path: "/boot/efi".into(),
                        kind: "vfat".into(),
                        options: "umask=0077".into(),
                        pass: 2,
                    },
                ],
            },
            Step::Hostname {
                hostname: "web-04".into(),
            },
            Step::Network {
                nics: vec![NicConfig {
                    mac: Some(mac(4)),
                    addresses: vec!["10.77.0.14/24".into()],
                    gateway: Some("10.77.0.1".into()),
                    dns: vec!["10.77.0.1".into()],
                }],
            },
            Step::Accounts {
                accounts: vec![
                    Account {
                        name: "alice".into(),
                        full_name: Some("Alice Berg".into()),
                        groups: vec!["adm".into(), "docker".into()],
                        sudo: true,
                        ssh_keys: vec![
                            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3qk3JqzT7pQ1u5 alice@laptop".into(),
                        ],
                        password_hash: Some("$y$j9T$NEVERSHOWN$abcdef".into()),
                        ..Account::default()
                    },
                    Account {
                        name: "backup".into(),
                        ..Account::default()
                    },
                ],
            },
            Step::Cron {
                jobs: vec![CronJob {
                    name: "backup".into(),
                    schedule: "17 3 * * *".into(),
                    user: "backup".into(),
                    command: "/usr/local/sbin/backup --all".into(),
                }],
            },
            Step::Scripts {
                scripts: vec![
                    Script {
                        name: "setup".into(),
                        content: "#!/bin/sh\nset -eu\nsystemctl enable --now nginx\n".into(),
                        run: ScriptRun::FirstBoot,
                        path: None,
                        everyone: false,
                    },
                    Script {
                        name: "backup".into(),
                        content: "#!/bin/sh\nexec restic backup /srv\n".into(),
                        run: ScriptRun::Kept,
                        path: None,
                        everyone: false,
                    },
                ],
            },
            Step::Agent {},
            Step::Finish {},
        ],
    }
}

/// A report with empty slots, a problem, and a NIC without link.
pub fn report() -> AssetReport {
    let some = |t: &str| Some(t.to_owned());
    let dimm = |slot: &str, full: bool| MemorySlot {
        slot: some(slot),
        populated: Some(full),
        size_bytes: full.then_some(32 << 30),
        form: some("DIMM"),
        kind: full.then(|| "DDR4".to_owned()),
        speed_mts: full.then_some(3200),
        configured_mts: full.then_some(2933),
        manufacturer: full.then(|| "Samsung".to_owned()),
        part: full.then(|| "M393A4K40DB3-CWE".to_owned()),
        serial: full.then(|| format!("03E1{}F2", slot.len())),
        ..MemorySlot::default()
    };
    AssetReport {
        schema: REPORT_SCHEMA,
        agent_version: "0.1.0".into(),
        collected_at: ago(84),
        collect_ms: 412,
        boot: BootFacts {
            mode: Some(FirmwareMode::Uefi),
            secure_boot: Some(false),
            kernel: some("6.1.0-41-amd64"),
            boot_mac: Some(mac(4)),
            ..Default::default()
        },
        system: Some(SystemFacts {
            manufacturer: some("Dell Inc."),
            product: some("PowerEdge R650"),
            serial: some("7XK04Q3"),
            uuid: some("4c4c4544-0058-4b10-8030-b7c04f513333"),
            sku: some("SKU=0912;ModelName=PowerEdge R650"),
            ..SystemFacts::default()
        }),
        board: Some(BoardFacts {
            manufacturer: some("Dell Inc."),
            product: some("0PJ5NR"),
            version: some("A03"),
            serial: some("..CNFCP0012300AB."),
            ..BoardFacts::default()
        }),
        chassis: Some(ChassisFacts {
            kind: some("Rack Mount Chassis"),
            serial: some("7XK04Q3"),
            ..ChassisFacts::default()
        }),
        firmware: Some(FirmwareFacts {
            vendor: some("Dell Inc."),
            version: some("1.12.1"),
            date: some("09/11/2026"),
            ..Default::default()
        }),
        cpu: Some(CpuFacts {
            sockets: Some(1),
            vendor: some("GenuineIntel"),
            model: some("Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz"),
            cores: Some(16),
            threads: Some(32),
            flags: ["aes", "avx2", "avx512f", "sgx", "vmx"]
                .map(str::to_owned)
                .to_vec(),
            processors: vec![
                ProcessorFacts {
                    socket: some("CPU1"),
                    populated: Some(true),
                    manufacturer: some("Intel"),
                    model: some("Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz"),
                    cores: Some(16),
                    threads: Some(32),
                    ..ProcessorFacts::default()
                },
                ProcessorFacts {
                    socket: some("CPU2"),
                    populated: Some(false),
                    ..ProcessorFacts::default()
                },
            ],
            ..Default::default()
        }),
        memory: MemoryFacts {
            usable_bytes: Some(134_000_000_000),
            slots: vec![
                dimm("A1", true),
                dimm("A2", true),
                dimm("A3", false),
                dimm("A4", false),
                dimm("B1", true),
                dimm("B2", true),
                dimm("B3", false),
                dimm("B4", false),
            ],
            ..Default::default()
        },
        disks: vec![
            DiskFacts {
                name: "nvme0n1".into(),
                model: some("SAMSUNG MZQL2960HCJR"),
                serial: some("S6CKNT0W500123"),
                wwn: some("eui.002538b531b0c1d2"),
                size_bytes: Some(960_197_124_096),
                logical_block_bytes: Some(512),
                physical_block_bytes: Some(4096),
                rotational: Some(false),
                transport: Some(Transport::Nvme),
                firmware: some("GDC5602Q"),
                ..DiskFacts::default()
            },
            DiskFacts {
                name: "sda".into(),
                model: some("ST8000NM000A"),
                serial: some("WSD1ABCD"),
                size_bytes: Some(8_001_563_222_016),
                logical_block_bytes: Some(512),
                physical_block_bytes: Some(4096),
                rotational: Some(true),
                transport: Some(Transport::Sata),
                ..DiskFacts::default()
            },
        ],
        nics: vec![
            NicFacts {
                name: "eno1".into(),
                mac: Some(mac(4)),
                driver: some("i40e"),
                pci: some("0000:17:00.0"),
                pci_id: some("8086:1572"),
                link: Some(true),
                speed_mbps: Some(10_000),
                firmware: some("9.20"),
                ..NicFacts::default()
            },
            NicFacts {
                name: "eno2".into(),
                mac: Some(mac(5)),
                driver: some("i40e"),
                pci: some("0000:17:00.1"),
                link: Some(false),
                ..NicFacts::default()
            },
        ],
        problems: vec![CollectorProblem {
            collector: "smbios".into(),
            detail: "type 17 of handle 0x1103: the part number is not text (ff ff ff ff)".into(),
        }],
        ..Default::default()
    }
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

fn entry(seq: i64, seconds: i64, actor: &str, event: &str, state: &str, sentence: &str) -> HistoryEntry {
    HistoryEntry {
        seq,
        at: ago(seconds),
        actor: actor.into(),
        event: event.into(),
        state: state.into(),
        sentence: sentence.into(),
    }
}

/// A first boot that is being installed, as lifecycle names its events.
pub fn history() -> Vec<HistoryEntry> {
    vec![
        entry(
            1,
            118,
            "boot",
            "commission",
            "commissioning/await-boot",
            "Seen for the first time on network lab; rule web says: deploy profile web.",
        ),
        entry(
            2,
            118,
            "boot",
            "script-given",
            "commissioning/booting",
            "The boot script was given: it boots the mini-os to commission.",
        ),
        entry(
            3,
            87,
            "agent",
            "claimed",
            "commissioning/claimed",
            "The agent in the mini-os has claimed its boot ticket.",
        ),
        entry(
            4,
            84,
            "agent",
            "reported",
            "deploying/installing",
            "The hardware is as expected; plan p-0123456789abcdef follows.",
        ),
        entry(
            5,
            80,
            "agent",
            "step-starting",
            "deploying/installing",
            "Step erase-disk begins.",
        ),
        entry(
            6,
            71,
            "agent",
            "step-starting",
            "deploying/installing",
            "Step write-image begins.",
        ),
    ]
}

/// The same machine, deployed.
pub fn deployed_history() -> Vec<HistoryEntry> {
    let mut all = history();
    all.extend([
        entry(
            7,
            40,
            "agent",
            "install-done",
            "deploying/await-local-boot",
            "The plan is executed to its end.",
        ),
        entry(
            8,
            22,
            "boot",
            "script-given",
            "deploying/await-local-boot",
            "The machine was told to boot its disk.",
        ),
        entry(
            9,
            9,
            "agent",
            "resident-reported",
            "deploying/verifying",
            "The resident agent runs on the installed system.",
        ),
        entry(10, 4, "agent", "verified", "deployed", "Everything is as asked."),
    ]);
    all
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
    let dhcp = |message: &str, client: &str, answer: &str, file: Option<&str>| BootEventKind::Dhcp {
        message: message.into(),
        client: client.into(),
        answer: answer.into(),
        boot_file: file.map(Into::into),
        facts: Default::default(),
    };
    vec![
        event(128, dhcp("discover", "uefi-x64", "offer", Some("snponly.efi"))),
        event(127, dhcp("request", "uefi-x64", "ack", Some("snponly.efi"))),
        event(
            126,
            BootEventKind::Tftp {
                file: "snponly.efi".into(),
                bytes: 233_472,
                complete: true,
                end: Default::default(),
                block: None,
            },
        ),
        event(
            122,
            dhcp(
                "discover",
                "ipxe",
                "offer",
                Some("http://10.77.0.1:8067/boot.ipxe"),
            ),
        ),
        event(
            121,
            dhcp("request", "ipxe", "ack", Some("http://10.77.0.1:8067/boot.ipxe")),
        ),
        event(
            118,
            BootEventKind::Script {
                target: BootTarget::MiniOs {
                    purpose: Purpose::Commission,
                },
            },
        ),
        event(
            118,
            BootEventKind::Http {
                path: "/boot.ipxe".into(),
                bytes: 812,
                status: 200,
                head: false,
                partial: false,
            },
        ),
        event(
            116,
            BootEventKind::Http {
                path: "/boot/kernel".into(),
                bytes: 8_152_256,
                status: 200,
                head: false,
                partial: false,
            },
        ),
        event(
            108,
            BootEventKind::Http {
                path: "/boot/initramfs".into(),
                bytes: 27_800_000,
                status: 200,
                head: false,
                partial: false,
            },
        ),
        event(
            108,
            BootEventKind::Http {
                path: "/boot/site".into(),
                bytes: 1_024,
                status: 200,
                head: false,
                partial: false,
            },
        ),
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
        loaders: Some(crate::loader::NicLoaders {
            mac: mac(4),
            model: Some("8086:1533".into()),
            worked: Some("ipxe.efi".into()),
            failed: Vec::new(),
            sentence: Some("It boots with ipxe.efi.".into()),
        }),
    }
}

/// A network, with something of everything that its page shows.
pub fn network() -> crate::network::NetworkStatus {
    use crate::network::{
        Gives, NetworkEvent, NetworkState, NetworkStatus, NetworkV6Status, OtherServer, QuarantinedAddress,
        Reservation, SilenceCount,
    };
    let address = |n| std::net::Ipv4Addr::new(10, 0, 0, n);
    NetworkStatus {
        name: "rack-a".into(),
        server: address(1),
        subnet: "10.0.0.0/24".into(),
        mode: "server".into(),
        state: NetworkState::Refusing,
        watched: true,
        pool: 100,
        held: 12,
        bound: 11,
        quarantined: 1,
        quarantined_addresses: vec![QuarantinedAddress {
            address: address(17),
            mac: mac(9),
            until: UnixMs(NOW.0 + 1_800_000),
        }],
        strangers: 3,
        strangers_most: Some(80),
        reservations: vec![
            Reservation {
                mac: mac(4),
                address: address(50),
                configured: false,
            },
            Reservation {
                mac: mac(5),
                address: address(51),
                configured: true,
            },
        ],
        servers: vec![OtherServer {
            address: address(2).into(),
            mac: mac(8),
            gives: Gives::Addresses,
            boot_file: Some("pxelinux.0".into()),
            first_seen: ago(3600),
            last_seen: ago(20),
        }],
        silences: vec![SilenceCount {
            reason: "foreign-server".into(),
            count: 42,
            last: ago(5),
            senders: Vec::new(),
        }],
        events: vec![NetworkEvent {
            at: ago(3600),
            kind: "foreign-server".into(),
            detail: "another DHCP server, 10.0.0.2, gives out addresses".into(),
        }],
        heard_at: Some(ago(5)),
        visitors: vec![crate::network::Visitor {
            mac: mac(7),
            who: "a switch in ONIE".into(),
            address: Some(address(18).into()),
            last: ago(60),
        }],
        missing: Vec::new(),
        v6: Some(NetworkV6Status {
            server: "fd00:7::1".parse().unwrap(),
            prefix: "fd00:7::/64".into(),
            mode: "server".into(),
            state: NetworkState::Refusing,
            watched: true,
            pool: 4096,
            held: 7,
            bound: 6,
            quarantined: 2,
            servers: vec![OtherServer {
                address: "fe80::99".parse().unwrap(),
                mac: mac(8),
                gives: Gives::Addresses,
                boot_file: None,
                first_seen: ago(3600),
                last_seen: ago(20),
            }],
        }),
    }
}

/// Loaders that worked and failed, by model of NIC.
pub fn loaders() -> crate::loader::LoaderOverview {
    use crate::loader::{LoaderModel, LoaderOverview, LoaderTally};
    LoaderOverview {
        models: vec![LoaderModel {
            model: "8086:1533".into(),
            kind: "pci".into(),
            loaders: vec![
                LoaderTally {
                    loader: "snponly.efi".into(),
                    worked: 0,
                    failed: 2,
                },
                LoaderTally {
                    loader: "ipxe.efi".into(),
                    worked: 7,
                    failed: 0,
                },
            ],
        }],
        nics: Vec::new(),
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

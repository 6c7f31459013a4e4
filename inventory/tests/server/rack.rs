//! A rack as delivered. Six servers are ordered: 1 is as ordered, 2 lacks a module, 3 has that module, 4
//! differs from its siblings, 5 has a clone that claims its identity, 6 is missing.

use inventory_api::agent::{ReportResponse, RunsOn};
use inventory_api::import::GoldenProfile;
use inventory_api::report::{
    AssetReport, ChassisFacts, CpuFacts, DiskFacts, FirmwareFacts, FirmwareMode, LldpNeighbour, MemorySlot,
    NicFacts, PowerSupply, ProcessorFacts, SystemFacts, Transport,
};
use inventory_api::{Mac, MachineId, routes};

use crate::delivery::{csv, import, send};
use crate::harness::{Agent, Site};

pub const ORDERS: &str = "order,item,count,profile,description\nPO-7,10,6,web-r650,Web servers row 7\n";

fn some(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

pub fn nic(n: u8) -> Mac {
    Mac([2, 0, 0, 7, n, 1])
}

/// The module in a slot of server `n`: "MOD7-3A2".
pub fn module(n: u8, slot: &str) -> String {
    format!("MOD7-{n}{slot}")
}

/// The report of server `n` if it is as ordered.
pub fn server(n: u8) -> AssetReport {
    let slot = |slot: &str, full: bool| MemorySlot {
        slot: some(slot),
        populated: Some(full),
        size_bytes: full.then_some(32 << 30),
        kind: full.then(|| "DDR4".to_owned()),
        speed_mts: full.then_some(3200),
        configured_mts: full.then_some(2933),
        manufacturer: full.then(|| "Micron".to_owned()),
        part: full.then(|| "MTA36ASF4G72PZ".to_owned()),
        serial: full.then(|| module(n, slot)),
        ..MemorySlot::default()
    };
    let processor = |socket: &str| ProcessorFacts {
        socket: some(socket),
        populated: Some(true),
        model: some("Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz"),
        cores: Some(16),
        threads: Some(32),
        ..ProcessorFacts::default()
    };
    let disk = |bay: u8| DiskFacts {
        name: format!("nvme{bay}n1"),
        model: some("SAMSUNG MZQL2960HCJR"),
        serial: some(format!("S6CKNT0W70{n}{bay}")),
        wwn: some(format!("eui.0025385000{n:02x}{bay:02x}")),
        size_bytes: Some(960_197_124_096),
        logical_block_bytes: Some(512),
        rotational: Some(false),
        transport: Some(Transport::Nvme),
        bay: some(bay.to_string()),
        firmware: some("GDC5602Q"),
        ..DiskFacts::default()
    };
    let port = |i: u8| NicFacts {
        name: format!("eno{i}"),
        mac: Some(Mac([2, 0, 0, 7, n, i])),
        permanent_mac: Some(Mac([2, 0, 0, 7, n, i])),
        driver: some("i40e"),
        pci: some(format!("0000:17:00.{}", i - 1)),
        pci_id: some("8086:1572"),
        link: Some(true),
        speed_mbps: Some(10_000),
        lldp: Some(LldpNeighbour {
            system: some(format!("sw-a07-{i}")),
            port: some(format!("Ethernet1/{}", 6 + n)),
            ..LldpNeighbour::default()
        }),
        ..NicFacts::default()
    };
    let psu = |bay: u8| PowerSupply {
        location: some(format!("PSU{bay}")),
        manufacturer: some("DELL"),
        part: some("0F9F1VA01"),
        serial: some(format!("PSU7{n}{bay}")),
        max_watts: Some(800),
        present: Some(true),
        plugged: Some(true),
        ..PowerSupply::default()
    };
    let mut r = AssetReport {
        schema: 1,
        system: Some(SystemFacts {
            manufacturer: some("Dell Inc."),
            product: some("PowerEdge R650"),
            serial: some(format!("SRV-000{n}")),
            uuid: some(format!("4c4c4544-0058-4b10-8030-b7c04f51330{n}")),
            ..SystemFacts::default()
        }),
        chassis: Some(ChassisFacts {
            kind: some("Rack Mount Chassis"),
            serial: some(format!("SRV-000{n}")),
            asset_tag: some(format!("DC-4711{n}")),
            height_u: Some(1),
            ..ChassisFacts::default()
        }),
        firmware: Some(FirmwareFacts {
            vendor: some("Dell Inc."),
            version: some("1.12.1"),
            ..FirmwareFacts::default()
        }),
        cpu: Some(CpuFacts {
            sockets: Some(2),
            cores: Some(32),
            threads: Some(64),
            model: some("Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz"),
            microcode: some("0xd0003b9"),
            processors: vec![processor("CPU1"), processor("CPU2")],
            ..CpuFacts::default()
        }),
        disks: vec![disk(0), disk(1)],
        nics: vec![port(1), port(2)],
        power_supplies: vec![psu(1), psu(2)],
        ..AssetReport::default()
    };
    r.memory.slots = vec![
        slot("A1", true),
        slot("A2", true),
        slot("B1", true),
        slot("B2", false),
    ];
    r.boot.mode = Some(FirmwareMode::Bios);
    r.boot.boot_mac = Some(nic(n));
    r
}

/// The rack plan: units 10 to 15 of R1 A07.
pub fn plan() -> String {
    let mut text = "room,rack,unit,serial,order,item,switch1,port1,switch2,port2\n".to_owned();
    for n in 1..=6 {
        let port = 6 + n;
        text += &format!(
            "R1,A07,{},SRV-000{n},PO-7,10,sw-a07-1,Ethernet1/{port},sw-a07-2,Ethernet1/{port}\n",
            9 + n
        );
    }
    text
}

/// The agents of servers 1 to 5, then that of the clone of server 5.
pub struct Rack {
    pub agents: Vec<Agent>,
}

impl Rack {
    pub async fn fill(site: &Site) -> Rack {
        let mut agents = Vec::new();
        let first = site.boot(nic(1)).await;
        send(site, &first, &server(1), RunsOn::MiniOs).await;
        // The profile is made from the server that a person found good.
        let body = GoldenProfile {
            name: "web-r650".into(),
            accept_unhealthy: false,
        };
        let golden = site
            .send(routes::GOLDEN, [first.id.as_str()], &body)
            .await
            .unwrap();
        assert_eq!((golden.kind.as_str(), golden.added), ("profiles", 1));
        agents.push(first);
        // The buyer removes microcode from the profile: it comes with the firmware.
        let mut profile = site.ask(routes::HARDWARE_PROFILE, ["web-r650"]).await.unwrap();
        assert!(profile.cpu.microcode.take().is_some());
        let text = serde_json::to_string(&profile).unwrap();
        let changed = import(site, "hardware-profiles", "application/json", &text)
            .await
            .unwrap();
        assert_eq!((changed.added, changed.changed), (0, 1));
        csv(site, "orders", ORDERS).await;
        csv(site, "racks", &plan()).await;
        // Server 2 first reports its module; then the module is found in server 3.
        let second = site.boot(nic(2)).await;
        send(site, &second, &server(2), RunsOn::MiniOs).await;
        site.pass(600);
        let mut without = server(2);
        without.memory.slots[1] = MemorySlot {
            slot: some("A2"),
            populated: Some(false),
            ..MemorySlot::default()
        };
        send(site, &second, &without, RunsOn::MiniOs).await;
        agents.push(second);
        site.pass(600);
        let third = site.boot(nic(3)).await;
        let mut with = server(3);
        with.memory.slots[1].serial = Some(module(2, "A2"));
        send(site, &third, &with, RunsOn::MiniOs).await;
        agents.push(third);
        // Different microcode, which no rule checks.
        let fourth = site.boot(nic(4)).await;
        let mut odd = server(4);
        odd.cpu.get_or_insert_default().microcode = some("0xd000331");
        send(site, &fourth, &odd, RunsOn::MiniOs).await;
        agents.push(fourth);
        let fifth = site.boot(nic(5)).await;
        send(site, &fifth, &server(5), RunsOn::MiniOs).await;
        agents.push(fifth);
        let clone = site.boot(nic(9)).await;
        let mut same = server(5);
        same.nics = server(9).nics;
        same.boot.boot_mac = Some(nic(9));
        for part in &mut same.disks {
            part.serial = part.serial.as_ref().map(|s| format!("{s}X"));
        }
        same.memory.slots = server(9).memory.slots;
        same.power_supplies = server(9).power_supplies;
        let mut body = crate::harness::report(&hex::encode(rand::random::<[u8; 16]>()), RunsOn::MiniOs);
        *body.report = same;
        let told: Result<ReportResponse, _> = clone.post(site, "report", &body).await;
        assert_eq!(told.unwrap_err().code, "identity-undecided");
        // The known server is still running, so these are two machines.
        site.pass(30);
        agents[4].assignment(site, "").await.unwrap();
        let told: Result<ReportResponse, _> = clone.post(site, "report", &body).await;
        println!("the clone was told: {told:?}");
        agents.push(clone);
        Rack { agents }
    }

    pub fn id(&self, n: usize) -> &MachineId {
        &self.agents[n - 1].id
    }
}

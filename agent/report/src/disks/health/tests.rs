//! Decoders compared with smartctl: the input bytes are rebuilt from the raw table smartctl prints, and
//! smartctl's interpretation is the expected result.

use std::path::PathBuf;

use inventory_api::report::DiskHealth;
use serde_json::Value;

use super::{ata, ata_logs, nvme, scsi};

fn captures() -> Option<Vec<(PathBuf, Value)>> {
    let mut folders = vec![fixtures::find("disk/smartctl-json/smartctl_exporter")?];
    for machine in ["supermicro/x11dph-t", "dell/r6515", "utils"] {
        folders.push(fixtures::find(format!("disk/ironlib/{machine}/smartctl"))?);
    }
    let mut found = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "json") {
                let json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                found.push((path, json));
            }
        }
    }
    Some(found)
}

fn sealed(mut page: Vec<u8>) -> Vec<u8> {
    page[511] = 0;
    page[511] = page.iter().fold(0_u8, |sum, b| sum.wrapping_sub(*b));
    page
}

/// The pages of READ DATA and READ THRESHOLDS that smartctl read.
fn pages(json: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let table = json["ata_smart_attributes"]["table"].as_array()?;
    let (mut data, mut thresholds) = (vec![0_u8; 512], vec![0_u8; 512]);
    data[0] = json["ata_smart_attributes"]["revision"].as_u64()? as u8;
    data[363] = json["ata_smart_data"]["self_test"]["status"]["value"]
        .as_u64()
        .unwrap_or(0) as u8;
    for (number, attribute) in table.iter().enumerate() {
        let at = 2 + 12 * number;
        let get = |name: &str| attribute[name].as_u64().unwrap();
        data[at] = get("id") as u8;
        data[at + 1..at + 3]
            .copy_from_slice(&(attribute["flags"]["value"].as_u64().unwrap() as u16).to_le_bytes());
        data[at + 3] = get("value") as u8;
        data[at + 4] = get("worst") as u8;
        data[at + 5..at + 12]
            .copy_from_slice(&attribute["raw"]["value"].as_u64().unwrap().to_le_bytes()[..7]);
        thresholds[at] = get("id") as u8;
        thresholds[at + 1] = get("thresh") as u8;
    }
    Some((sealed(data), sealed(thresholds)))
}

#[test]
fn ata_disks_are_as_smartctl_says() {
    let Some(captures) = captures() else { return };
    let (mut disks, mut written, mut worn) = (0, 0, 0);
    for (path, json) in captures {
        let Some((data, thresholds)) = pages(&json) else {
            continue;
        };
        let name = path.display();
        let smart = ata::Smart::parse(&data).unwrap_or_else(|| panic!("{name}"));
        let health = smart.health(json["model_name"].as_str().unwrap());
        assert_eq!(
            smart.passed(&thresholds),
            json["smart_status"]["passed"].as_bool(),
            "{name}"
        );
        assert_eq!(
            health.temperature_c.map(i64::from),
            json["temperature"]["current"].as_i64().filter(|t| *t != 0),
            "{name}"
        );
        assert_eq!(
            health.power_on_hours,
            json["power_on_time"]["hours"].as_u64(),
            "{name}"
        );
        assert_eq!(health.power_cycles, json["power_cycle_count"].as_u64(), "{name}");
        let table = json["ata_smart_attributes"]["table"].as_array().unwrap();
        // By smartctl's attribute name, not by number.
        let named = |names: &[&str]| {
            table
                .iter()
                .find(|a| names.contains(&a["name"].as_str().unwrap()))
                .map(|a| {
                    let first = a["raw"]["string"]
                        .as_str()
                        .unwrap()
                        .split(' ')
                        .next()
                        .unwrap()
                        .to_owned();
                    (
                        first.parse::<u64>().unwrap(),
                        a["value"].as_u64().unwrap(),
                        a["id"].as_u64().unwrap(),
                    )
                })
        };
        assert_eq!(
            health.reallocated_sectors,
            named(&["Reallocated_Sector_Ct", "Reallocate_NAND_Blk_Cnt"])
                .map(|(raw, ..)| raw)
                .or(health
                    .reallocated_sectors
                    .filter(|_| named(&["Reallocated_Sector_Ct"]).is_none())),
            "{name}"
        );
        if let Some((raw, ..)) = named(&[
            "Current_Pending_Sector",
            "Pending_Sector_Count",
            "Current_Pending_ECC_Cnt",
        ]) {
            assert_eq!(health.pending_sectors, Some(raw), "{name}");
        }
        if let Some((raw, ..)) = named(&["UDMA_CRC_Error_Count", "CRC_Error_Count", "SATA_CRC_Error_Count"])
            .filter(|(.., id)| *id == 199)
        {
            assert_eq!(health.link_errors, Some(raw), "{name}");
        }
        let worst = named(&["Offline_Uncorrectable"])
            .map(|(raw, ..)| raw)
            .max(named(&["Reported_Uncorrect"]).map(|(raw, ..)| raw));
        if let Some(worst) = worst {
            assert_eq!(health.uncorrectable_errors, Some(worst), "{name}");
        }
        let units = [
            ("Host_Writes_32MiB", 32 << 20),
            ("Total_LBAs_Written", 512),
            ("Lifetime_Writes_GiB", 1 << 30),
        ];
        // Attributes unknown to smartctl's database have no name with a unit.
        if json["in_smartctl_database"] != true {
            disks += 1;
            continue;
        }
        let expected = units
            .iter()
            .find_map(|(unit, bytes)| Some(named(&[unit])?.0 * bytes));
        // Its name was added to the database later ("Unknown_Attribute").
        if let (Some(bytes), Some(expected)) = (health.written_bytes, expected) {
            assert_eq!(bytes, expected, "{name}");
            written += 1;
        }
        if let Some(used) = health.used_percent {
            let left = named(&["Media_Wearout_Indicator"])
                .map(|(_, value, _)| value)
                .or(named(&["Percent_Lifetime_Remain"]).map(|(used, ..)| 100 - used))
                .or(named(&[
                    "Percent_Life_Remaining",
                    "SSD_Life_Left",
                    "Remaining_Lifetime_Perc",
                ])
                .map(|(raw, ..)| raw))
                .or(named(&["Wear_Leveling_Count"]).map(|(_, value, _)| value));
            assert_eq!(Some(u64::from(used)), left.map(|left| 100 - left), "{name}");
            worn += 1;
        }
        disks += 1;
    }
    println!("{disks} ATA disks, {written} with bytes written, {worn} with wear");
    assert!(
        disks > 100 && written > 40 && worn > 30,
        "{disks} {written} {worn}"
    );
}

#[test]
fn nvme_disks_are_as_smartctl_says() {
    let Some(captures) = captures() else { return };
    let mut disks = 0;
    for (path, json) in captures {
        let log = &json["nvme_smart_health_information_log"];
        if !log.is_object() {
            continue;
        }
        let get = |name: &str| log[name].as_u64().unwrap();
        let mut page = vec![0_u8; 512];
        page[0] = get("critical_warning") as u8;
        page[1..3].copy_from_slice(&((log["temperature"].as_i64().unwrap() + 273) as u16).to_le_bytes());
        page[3] = get("available_spare") as u8;
        page[4] = get("available_spare_threshold") as u8;
        page[5] = get("percentage_used") as u8;
        for (at, name) in [
            (32, "data_units_read"),
            (48, "data_units_written"),
            (64, "host_reads"),
            (80, "host_writes"),
            (96, "controller_busy_time"),
            (112, "power_cycles"),
            (128, "power_on_hours"),
            (144, "unsafe_shutdowns"),
            (160, "media_errors"),
            (176, "num_err_log_entries"),
        ] {
            page[at..at + 8].copy_from_slice(&get(name).to_le_bytes());
        }
        let expected = DiskHealth {
            passed: json["smart_status"]["passed"].as_bool(),
            temperature_c: json["temperature"]["current"].as_i64().map(|t| t as i32),
            power_on_hours: json["power_on_time"]["hours"].as_u64(),
            power_cycles: json["power_cycle_count"].as_u64(),
            used_percent: Some(get("percentage_used") as u32),
            spare_percent: Some(get("available_spare") as u32),
            spare_threshold_percent: Some(get("available_spare_threshold") as u32),
            uncorrectable_errors: Some(get("media_errors")),
            critical_warning: Some(get("critical_warning") as u8),
            unsafe_shutdowns: Some(get("unsafe_shutdowns")),
            written_bytes: Some(get("data_units_written") * 512_000),
            read_bytes: Some(get("data_units_read") * 512_000),
            ..DiskHealth::default()
        };
        assert_eq!(nvme::health(&page), Some(expected), "{}", path.display());
        disks += 1;
    }
    assert!(disks > 50, "{disks} NVMe disks");
}

/// LOG SENSE data: parameters with their codes.
fn log_page(page: u8, parameters: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let body: Vec<u8> = parameters
        .iter()
        .flat_map(|(code, value)| [&code.to_be_bytes()[..], &[3, value.len() as u8], value].concat())
        .collect();
    [&[page, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat()
}

#[test]
fn scsi_disks_are_as_smartctl_says() {
    let Some(captures) = captures() else { return };
    let mut disks = 0;
    for (path, json) in captures {
        if json["device"]["protocol"] != "SCSI" || json["power_on_time"].is_null() {
            continue;
        }
        let name = path.display();
        let mut health = DiskHealth::default();
        let counters = &json["scsi_error_counter_log"];
        let mut uncorrected = 0;
        for (page, kind) in [(0x02, "write"), (0x03, "read")] {
            let errors = counters[kind]["total_uncorrected_errors"].as_u64().unwrap();
            let gigabytes: f64 = counters[kind]["gigabytes_processed"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            let bytes = (gigabytes * 1e9) as u64;
            uncorrected += errors;
            scsi::add(
                page,
                &log_page(
                    page,
                    &[
                        (5, bytes.to_be_bytes().to_vec()),
                        (6, errors.to_be_bytes().to_vec()),
                    ],
                ),
                &mut health,
            );
            let read = if page == 2 {
                health.written_bytes
            } else {
                health.read_bytes
            };
            assert_eq!(read, Some(bytes), "{name}");
        }
        let time = &json["power_on_time"];
        let minutes = time["hours"].as_u64().unwrap() * 60 + time["minutes"].as_u64().unwrap_or(0);
        let scan = [&(minutes as u32).to_be_bytes()[..], &[0; 8]].concat();
        scsi::add(0x15, &log_page(0x15, &[(0, scan)]), &mut health);
        let degrees = json["temperature"]["current"].as_u64().unwrap();
        scsi::add(
            0x0d,
            &log_page(0x0d, &[(0, vec![0, degrees as u8]), (1, vec![0, 85])]),
            &mut health,
        );
        scsi::add(
            0x2f,
            &log_page(0x2f, &[(0, vec![0, 0, degrees as u8])]),
            &mut health,
        );
        assert_eq!(health.power_on_hours, time["hours"].as_u64(), "{name}");
        assert_eq!(health.temperature_c.map(|t| t as u64), Some(degrees), "{name}");
        assert_eq!(health.passed, json["smart_status"]["passed"].as_bool(), "{name}");
        assert_eq!(health.uncorrectable_errors, Some(uncorrected), "{name}");
        disks += 1;
    }
    assert!(disks >= 2, "{disks} SCSI disks");
}

#[test]
fn a_failing_disk_by_return_status_and_by_thresholds() {
    let mut descriptor = vec![
        0x72, 1, 0, 0x1d, 0, 0, 0, 14, 9, 12, 0, 0, 0, 0, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0x50,
    ];
    assert_eq!(ata::return_status(&descriptor), Some(true));
    descriptor[17] = 0xf4;
    descriptor[19] = 0x2c;
    assert_eq!(ata::return_status(&descriptor), Some(false));
    let fixed = [0x70, 0, 1, 0, 0x50, 0, 0, 10, 0, 0, 0x4f, 0xc2];
    assert_eq!(ata::return_status(&fixed), Some(true));
    assert_eq!(ata::return_status(&descriptor[..12]), None);

    let mut data = vec![0_u8; 512];
    data[2..14].copy_from_slice(&[5, 0x33, 0, 3, 3, 0xff, 7, 0, 0, 0, 0, 0]);
    data[363] = 0xf6;
    let mut thresholds = vec![0_u8; 512];
    thresholds[2..4].copy_from_slice(&[5, 36]);
    let smart = ata::Smart::parse(&sealed(data.clone())).unwrap();
    assert_eq!(smart.passed(&sealed(thresholds)), Some(false));
    let health = smart.health("ST3500418AS");
    assert_eq!(
        (health.reallocated_sectors, health.self_test.as_deref()),
        (Some(0x7ff), Some("running 40 %"))
    );
    data[400] = 1;
    assert!(ata::Smart::parse(&data).is_none(), "a wrong checksum");
}

#[test]
fn logs_of_an_ata_disk() {
    let mut log = vec![0_u8; 512];
    assert_eq!(ata_logs::self_test(&log), None);
    log[508] = 2;
    log[2 + 24 + 1] = 0x74;
    assert_eq!(ata_logs::self_test(&log).as_deref(), Some("failed"));
    log[508] = 255;
    assert_eq!(ata_logs::self_test(&log), None);

    let mut page = vec![0_u8; 512];
    page[2] = 1;
    page[8..16].copy_from_slice(&[22, 0, 0, 0, 0, 0, 0, 0xc0]);
    page[16..24].copy_from_slice(&[0xf9, 0x5a, 0, 0, 0, 0, 0, 0xc0]);
    page[24..32].copy_from_slice(&[1, 2, 3, 4, 5, 0, 0, 0x80]);
    page[40..48].copy_from_slice(&[1, 2, 0, 0, 0, 0, 0, 0xe0]);
    assert_eq!(
        ata_logs::general(&page),
        ata_logs::General {
            power_on_resets: Some(22),
            power_on_hours: Some(23289),
            sectors_written: None,
            sectors_read: Some(0x201),
        }
    );
    assert_eq!(ata_logs::used_percent(&page), None);
    page[2] = 7;
    page[8] = 104;
    assert_eq!(ata_logs::used_percent(&page), Some(104));
}

#[test]
fn self_tests_of_nvme() {
    let mut log = vec![0_u8; 564];
    assert_eq!(nvme::self_test(&log), None);
    log[4] = 0x10;
    assert_eq!(nvme::self_test(&log).as_deref(), Some("passed"));
    log[4] = 0x27;
    assert_eq!(nvme::self_test(&log).as_deref(), Some("failed"));
    (log[0], log[1]) = (2, 40);
    assert_eq!(nvme::self_test(&log).as_deref(), Some("running 40 %"));
    (log[0], log[4]) = (0, 0xff);
    assert_eq!(nvme::self_test(&log), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        super::super::fuzz::health(&bytes);
    }
}

#[test]
fn wear_by_the_makers_attributes() {
    // Attribute, normalised value, raw value, and the expected result.
    for (model, id, value, raw, used) in [
        ("SAMSUNG MZ7LH960HAJR-00005", 177, 98, 25, Some(2)),
        ("Samsung SSD 860 EVO 1TB", 177, 91, 160, Some(9)),
        ("Micron_5300_MTFDDAK480TDS", 202, 99, 1, Some(1)),
        ("Micron_1100_MTFDDAK256TBN", 202, 88, 12, Some(12)),
        ("CT1000MX500SSD1", 202, 93, 7, Some(7)),
        ("CT480BX500SSD1", 202, 60, 40, Some(40)),
        ("INTEL SSDSC2KB480G8", 233, 97, 0, Some(3)),
        ("INTEL SSDSA2CW300G3", 233, 90, 0, Some(10)),
        ("SOLIDIGM SSDSC2KB038TZ", 233, 99, 0, Some(1)),
        ("KINGSTON SEDC500M960G", 231, 100, 96, Some(4)),
        ("KINGSTON SA400M8120G", 231, 98, 98, Some(2)),
        ("KINGSTON SV300S37A120G", 231, 95, 1, Some(5)),
        ("ST4000NM0035-1V4107", 202, 100, 0, None),
        ("Unknown SSD", 202, 100, 0, None),
    ] {
        let mut data = vec![0_u8; 512];
        data[2..14].copy_from_slice(&[id, 3, 0, value, value, raw, 0, 0, 0, 0, 0, 0]);
        let smart = ata::Smart::parse(&sealed(data)).unwrap();
        assert_eq!(smart.health(model).used_percent, used, "{model}");
    }
}

#[test]
fn grown_defects_of_a_sas_disk() {
    // Short blocks have four bytes, others eight.
    assert_eq!(scsi::grown_defects(&[0, 0x0c, 0x08, 0x20]), Some(260));
    assert_eq!(scsi::grown_defects(&[0, 0x08, 0, 40]), Some(10));
    assert_eq!(scsi::grown_defects(&[0, 0x0d, 0, 0]), Some(0));
    // Only the factory list, or a vendor-specific format.
    for header in [&[0, 0x14, 0, 8][..], &[0, 0x0e, 0, 8], &[0, 0x0c, 0], &[]] {
        assert_eq!(scsi::grown_defects(header), None);
    }
    let mut health = DiskHealth::default();
    scsi::add(0x05, &log_page(0x05, &[(6, vec![0, 7])]), &mut health);
    scsi::add(0x03, &log_page(0x03, &[(6, vec![0, 3])]), &mut health);
    assert_eq!(health.uncorrectable_errors, Some(10));
}

//! Leftovers of an earlier system at both ends of the disk and of its partitions are gone, whatever they
//! were: libblkid finds only the new file systems (case 19: coreos/fedora-coreos-tracker#500,
//! util-linux#1177).

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use agent_install::{execute, wipe};
use gptman::{GPT, GPTPartitionEntry};

use crate::bench::{Bench, DISK, MIB};

/// One signature: its name, and a function from region size to offset and bytes.
type Signature = (&'static str, fn(u64) -> Vec<(u64, Vec<u8>)>);

/// As in libblkid's probes (libblkid/src/superblocks of util-linux 2.38).
const KIT: [Signature; 20] = [
    ("zfs at the start", |_| zfs(&[0, 256 << 10])),
    ("zfs at the end", |size| {
        zfs(&[size - (512 << 10), size - (256 << 10)])
    }),
    ("ext2", |_| vec![(0x438, vec![0x53, 0xef])]),
    ("swap", |_| {
        vec![
            (1024, [1u32.to_le_bytes(), 1000u32.to_le_bytes()].concat()),
            (4086, b"SWAPSPACE2".to_vec()),
        ]
    }),
    ("luks1", |_| vec![(0, b"LUKS\xba\xbe\x00\x01".to_vec())]),
    ("luks2, secondary header", |_| luks2(0x4000)),
    ("luks2, last secondary header", |_| luks2(0x40_0000)),
    ("iso9660", |_| vec![(0x8000, b"\x01CD001\x01".to_vec())]),
    ("vmfs volume", |_| vec![(MIB, vec![0x0d, 0xd0, 0x01, 0xc0])]),
    ("lvm2", |_| {
        vec![(512, b"LABELONE".to_vec()), (536, b"LVM2 001".to_vec())]
    }),
    ("btrfs", |_| vec![(0x1_0040, b"_BHRfS_M".to_vec())]),
    ("btrfs, mirror", |_| vec![(64 * MIB + 0x40, b"_BHRfS_M".to_vec())]),
    ("bcache", |_| {
        let magic = b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81";
        vec![(0x1018, magic.to_vec())]
    }),
    ("md 0.90", |size| {
        vec![((size & !0xffff) - 0x1_0000, 0xa92b_4efcu32.to_le_bytes().to_vec())]
    }),
    ("md 1.0", |size| md1((size - 8192) & !4095)),
    ("md 1.2", |_| md1(4096)),
    ("ddf", |size| {
        let mut header = vec![0; 64];
        header[..4].copy_from_slice(&[0xde, 0x11, 0xde, 0x11]);
        header[32..40].copy_from_slice(b"01.00.00");
        vec![(size - 512, header)]
    }),
    ("imsm", |size| {
        vec![(size - 1024, b"Intel Raid ISM Cfg Sig. 1.0.00".to_vec())]
    }),
    ("promise", |size| {
        vec![(size - 63 * 512, b"Promise Technology, Inc.".to_vec())]
    }),
    ("promise, far", |size| {
        vec![(
            size.checked_sub(3087 * 512).unwrap_or(size),
            b"Promise Technology, Inc.".to_vec(),
        )]
    }),
];

/// Signatures that libblkid accepts only with a correct checksum: the test searches for their bytes instead.
const CHECKED: [&str; 5] = ["lvm2", "btrfs", "btrfs, mirror", "bcache", "ext2"];

fn zfs(labels: &[u64]) -> Vec<(u64, Vec<u8>)> {
    let blocks = labels
        .iter()
        .flat_map(|label| (0..128).map(move |i| label + (128 << 10) + i * 1024));
    blocks
        .map(|at| (at, 0x00ba_b10cu64.to_le_bytes().to_vec()))
        .collect()
}

fn luks2(at: u64) -> Vec<(u64, Vec<u8>)> {
    let mut header = vec![0; 512];
    header[..8].copy_from_slice(b"SKUL\xba\xbe\x00\x02");
    header[256..264].copy_from_slice(&at.to_be_bytes());
    vec![(at, header)]
}

fn md1(at: u64) -> Vec<(u64, Vec<u8>)> {
    let mut superblock = vec![0; 256];
    superblock[..4].copy_from_slice(&0xa92b_4efcu32.to_le_bytes());
    superblock[4..8].copy_from_slice(&1u32.to_le_bytes());
    superblock[144..152].copy_from_slice(&(at / 512).to_le_bytes());
    vec![(at, superblock)]
}

/// libblkid's result for a region; `None` if it finds nothing. An ambivalent result is returned as such.
fn blkid(disk: &Path, region: &Range<u64>) -> Option<String> {
    let (offset, size) = (region.start.to_string(), (region.end - region.start).to_string());
    let out = Command::new("blkid")
        .args(["-p", "-O", &offset, "-S", &size])
        .arg(disk)
        .output()
        .expect("blkid runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.code() != Some(2)).then_some(said)
}

fn plant(disk: &File, region: &Range<u64>) {
    for (_, signature) in KIT {
        for (at, bytes) in signature(region.end - region.start) {
            if region.start + at + bytes.len() as u64 <= region.end {
                disk.write_all_at(&bytes, region.start + at).expect("written");
            }
        }
    }
}

/// Names of the signatures that are still partly in the region.
fn left(disk: &File, region: &Range<u64>) -> Vec<&'static str> {
    let there = |(at, bytes): &(u64, Vec<u8>)| {
        let mut found = vec![0; bytes.len()];
        region.start + at + bytes.len() as u64 <= region.end
            && disk.read_exact_at(&mut found, region.start + at).is_ok()
            && found == *bytes
    };
    let named = KIT
        .iter()
        .filter(|(_, s)| s(region.end - region.start).iter().any(there));
    named.map(|(name, _)| *name).collect()
}

/// Writes an earlier system's GPT, with partitions at these positions.
fn old_table(disk: &mut File, regions: &[Range<u64>]) {
    let mut gpt = GPT::new_from(disk, 512, [7; 16]).expect("a table");
    for (i, region) in regions.iter().enumerate() {
        gpt[i as u32 + 1] = GPTPartitionEntry {
            partition_type_guid: [9; 16],
            unique_partition_guid: [i as u8 + 1; 16],
            starting_lba: region.start / 512,
            ending_lba: region.end / 512 - 1,
            attribute_bits: 0,
            partition_name: "old".into(),
        };
    }
    GPT::write_protective_mbr_into(disk, 512).expect("written");
    gpt.write_into(disk).expect("written");
}

/// The plan's partitions: see [`crate::bench`].
fn new_regions(bench: &Bench) -> Vec<Range<u64>> {
    let partitions = bench.plan.steps.iter().find_map(|s| match s {
        inventory_api::plan::Step::Partition { partitions, .. } => Some(partitions),
        _ => None,
    });
    let range = |p: &inventory_api::plan::Partition| p.first_lba * 512..(p.last_lba + 1) * 512;
    partitions.expect("a partition step").iter().map(range).collect()
}

fn open(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("opened")
}

fn has_blkid() -> bool {
    let there = Command::new("blkid").arg("--version").output().is_ok();
    if !there {
        println!("skipped: blkid is not here");
    }
    there
}

#[test]
fn libblkid_knows_the_signatures_of_this_test() {
    if !has_blkid() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("one");
    for (name, signature) in KIT.iter().filter(|(name, _)| !CHECKED.contains(name)) {
        let file = File::create(&path).expect("made");
        file.set_len(100 * MIB).expect("sized");
        for (at, bytes) in signature(100 * MIB) {
            file.write_all_at(&bytes, at).expect("written");
        }
        let found = blkid(&path, &(0..100 * MIB));
        assert!(
            found.is_some_and(|f| f.contains("TYPE=")),
            "{name} is not found by blkid"
        );
    }
}

#[tokio::test]
async fn no_old_signature_is_left_in_the_disk_or_a_partition() {
    if !has_blkid() {
        return;
    }
    let bench = Bench::new();
    let path = bench.path("disk");
    let mut disk = open(&path);
    // Old partitions with other starts and ends than the new ones.
    let old = [5 * MIB..90 * MIB, 90 * MIB..333 * MIB, 333 * MIB..DISK - 3 * MIB];
    let new = new_regions(&bench);
    for region in old.iter().chain(&new).chain([&(0..DISK)]) {
        plant(&disk, region);
    }
    old_table(&mut disk, &old);
    assert!(blkid(&path, &new[2]).is_some(), "else this test shows nothing");
    execute(&bench.plan, &bench.credentials(), &bench.site(), &bench.server())
        .await
        .expect("installed");
    for region in old.iter().chain(&new).chain([&(0..DISK)]) {
        assert_eq!(left(&disk, region), [""; 0], "{region:?}");
    }
    // The bench's image is not a file system, so its partition has no signature; the ESP is FAT only.
    assert_eq!(blkid(&path, &new[2]), None);
    let esp = blkid(&path, &new[1]).expect("FAT");
    assert!(
        esp.contains("TYPE=\"vfat\"") && !esp.contains("ambivalent"),
        "{esp}"
    );
    let table = blkid(&path, &(0..DISK)).expect("a table");
    assert!(
        table.contains("PTTYPE=\"gpt\"") && !table.contains(" TYPE="),
        "{table}"
    );
}

#[tokio::test]
async fn libblkid_finds_nothing_on_a_wiped_disk() {
    if !has_blkid() {
        return;
    }
    let bench = Bench::new();
    let site = bench.site();
    execute(&bench.plan, &bench.credentials(), &site, &bench.server())
        .await
        .expect("installed");
    let path = bench.path("disk");
    let disk = open(&path);
    let regions = new_regions(&bench);
    regions.iter().for_each(|region| plant(&disk, region));
    let wiped = wipe(std::slice::from_ref(&bench.plan.disk), &site)
        .await
        .expect("wiped");
    for region in regions.iter().chain([&(0..DISK)]) {
        assert_eq!(left(&disk, region), [""; 0], "{region:?}");
        assert_eq!(blkid(&path, region), None, "{region:?}");
    }
    // The proof matches the disk.
    let [proof] = &wiped[..] else { panic!("{wiped:?}") };
    assert_eq!(
        (proof.serial.as_deref(), proof.size_bytes, proof.partitions),
        (Some("S1"), DISK, 3)
    );
    for range in &proof.zeroed {
        let bytes = bench.disk(range.from, (range.to - range.from) as usize);
        assert!(bytes.iter().all(|b| *b == 0), "{range:?}");
    }
    assert!(proof.zeroed_bytes() > 40 * MIB);
}

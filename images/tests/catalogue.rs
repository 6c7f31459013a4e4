//! Importing, listing, opening and verifying, with real (small) ext4 file systems.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use images::{Error, ImportFields, import, list};
use inventory_api::report::FirmwareMode;

fn fields(version: &str) -> ImportFields {
    ImportFields {
        name: "tiny".to_owned(),
        version: version.to_owned(),
        os: None,
        public: true,
    }
}

/// A tree with everything an image needs, except the path `without`.
fn tree(dir: &Path, without: &str) -> PathBuf {
    let root = dir.join("tree");
    for path in [
        "boot/vmlinuz-6.1.0-1-amd64",
        "boot/initrd.img-6.1.0-1-amd64",
        "usr/lib/modules/6.1.0-1-amd64/modules.dep",
        "usr/lib/slipway/boot/boot.img",
        "usr/lib/slipway/boot/core.img",
        "usr/lib/os-release",
    ] {
        if path != without {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "PRETTY_NAME=\"Tiny Linux 1\"\n").unwrap();
        }
    }
    root
}

/// An ext4 image of the tree; `None` if mke2fs is missing.
fn ext4(dir: &Path, without: &str) -> Option<PathBuf> {
    let root = tree(dir, without);
    let image = dir.join("fs.ext4");
    let made = Command::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-O", "^orphan_file", "-d"])
        .args([&root, &image])
        .arg("16M")
        .status();
    match made {
        Err(e) => {
            println!("skipped: mke2fs cannot be started: {e}");
            None
        }
        Ok(status) => {
            assert!(status.success());
            Some(image)
        }
    }
}

fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, |d| d.count())
}

#[test]
fn an_image_goes_in_raw_or_compressed_and_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let Some(raw) = ext4(dir.path(), "") else { return };
    let out = dir.path().join("images");
    let first = import(&raw, &fields("1"), &out).unwrap();
    assert_eq!(first.manifest.os, "Tiny Linux 1");
    assert_eq!(first.manifest.boot.kernel_release, "6.1.0-1-amd64");
    assert_eq!(first.manifest.boot.kernel, "/boot/vmlinuz-6.1.0-1-amd64");
    assert_eq!(first.manifest.boot.firmware, [FirmwareMode::Bios]);
    assert_eq!(first.manifest.content_bytes, 16 << 20);
    assert!(first.manifest.compressed_bytes < 1 << 20);
    first.verify().unwrap();

    let second = import(&first.path(), &fields("2"), &out).unwrap();
    assert_eq!(second.manifest.content_sha256, first.manifest.content_sha256);
    assert_eq!(second.manifest.sha256, first.manifest.sha256);
    let listing = list(&out).unwrap();
    assert_eq!((listing.images.len(), listing.problems.len()), (2, 0));
    let found = listing.images.iter().find(|image| **image == first).unwrap();
    let file = found.open().unwrap();
    assert_eq!(file.metadata().unwrap().len(), first.manifest.compressed_bytes);

    let again = import(&raw, &fields("1"), &out).unwrap_err();
    assert!(matches!(again, Error::Exists { .. }), "{again}");
    assert_eq!(entries(&out), 2, "nothing half-made stays");
}

#[test]
fn an_image_that_cannot_boot_is_refused_with_the_reason() {
    for (without, words) in [
        ("boot/vmlinuz-6.1.0-1-amd64", "no kernel"),
        ("boot/initrd.img-6.1.0-1-amd64", "no kernel"),
        ("usr/lib/modules/6.1.0-1-amd64/modules.dep", "no modules"),
        ("usr/lib/slipway/boot/core.img", "boot loader"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let Some(raw) = ext4(dir.path(), without) else {
            return;
        };
        let out = dir.path().join("images");
        let text = import(&raw, &fields("1"), &out).unwrap_err().to_string();
        assert!(
            text.contains(words) && text.contains("fs.ext4"),
            "{without}: {text}"
        );
        assert_eq!(entries(&out), 0, "{without}");
    }
}

#[test]
fn a_file_without_a_file_system_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("images");
    let file = dir.path().join("x");
    let refusal = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let text = import(&file, &fields("1"), &out).unwrap_err().to_string();
        assert_eq!(entries(&out), 0, "{text}");
        text
    };
    assert!(refusal(b"").contains("too short"));
    assert!(refusal(&[0; 8192]).contains("not an ext4"));
    let compressed = zstd::bulk::compress(&[0; 8192], 3).unwrap();
    assert!(refusal(&compressed).contains("not an ext4"));
    assert!(refusal(&compressed[..compressed.len() - 2]).contains("zstd"));
    assert!(refusal(b"\x28\xb5\x2f\xfdgarbage garbage garbage").contains("zstd"));

    let missing = import(&dir.path().join("none"), &fields("1"), &out)
        .unwrap_err()
        .to_string();
    assert!(missing.contains("cannot open"), "{missing}");
    for name in ["", "../up", "UP", "a b"] {
        let wrong = ImportFields {
            name: name.to_owned(),
            ..fields("1")
        };
        assert!(
            import(&file, &wrong, &out)
                .unwrap_err()
                .to_string()
                .contains("is not a name"),
            "{name}"
        );
    }
    assert!(
        import(&file, &fields(".."), &out)
            .unwrap_err()
            .to_string()
            .contains("is not a version")
    );
    assert_eq!(entries(&out), 0);
}

#[test]
fn a_file_system_cut_short_or_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let Some(raw) = ext4(dir.path(), "") else { return };
    let out = dir.path().join("images");
    let file = OpenOptions::new().write(true).open(&raw).unwrap();
    file.set_len((16 << 20) - 4096).unwrap();
    assert!(
        import(&raw, &fields("1"), &out)
            .unwrap_err()
            .to_string()
            .contains("truncated")
    );
    file.set_len(16 << 20).unwrap();
    // s_state: 0 is mounted.
    file.write_all_at(&[0, 0], 1024 + 0x3a).unwrap();
    assert!(
        import(&raw, &fields("1"), &out)
            .unwrap_err()
            .to_string()
            .contains("cleanly")
    );
}

#[test]
fn one_flipped_byte_and_a_wrong_manifest_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let Some(raw) = ext4(dir.path(), "") else { return };
    let out = dir.path().join("images");
    let image = import(&raw, &fields("1"), &out).unwrap();
    let bytes = fs::read(image.path()).unwrap();
    for at in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        fs::write(image.path(), &bytes).unwrap();
        let problem = image.verify().unwrap_err();
        assert!(
            problem.to_string().contains(&*image.dir.to_string_lossy()),
            "{at}: {problem}"
        );
    }
    fs::write(image.path(), &bytes[1..]).unwrap();
    let problem = image.verify().unwrap_err().to_string();
    assert!(problem.contains("the manifest says"), "{problem}");
    assert!(image.open().is_err());

    let manifest = image.dir.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("tiny-1.ext4.zst", "../../etc/shadow")).unwrap();
    let listing = list(&out).unwrap();
    assert_eq!((listing.images.len(), listing.problems.len()), (0, 1));
    assert!(
        listing.problems[0].to_string().contains("plain file name"),
        "{:?}",
        listing.problems
    );
}

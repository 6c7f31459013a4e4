//! From packages and the agent to kernel, initramfs and manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::archive::Tree;
use crate::elf::{is_static, number};
use crate::files::{read, read_text, remove_if_there, sha256};
use crate::modules::{Dependencies, lines_about, name_of};
use crate::packages::{Packages, fetch};
use crate::{Arch, Error, Result, Variant, firmware, select};

/// zstd level of each module: compressed once, decompressed at every boot.
const MODULE_LEVEL: i32 = 19;

/// Compresses the whole archive again. Nearly all of it is compressed already; this shrinks the rest (agent,
/// index) and costs the kernel almost no time.
const OUTER_LEVEL: i32 = 19;

/// The kernel holds a window of this size (1 MiB) while it unpacks, when memory is short.
const OUTER_WINDOW_LOG: u32 = 20;

/// What to build, from what, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// For which machines.
    pub arch: Arch,
    /// How much it contains.
    pub variant: Variant,
    /// The agent: a static binary that becomes `/init`.
    pub agent: PathBuf,
    /// Directory for `kernel`, `initramfs` and `manifest.json`; created if missing.
    pub out: PathBuf,
    /// Downloads and unpacked packages; builds may share it.
    pub cache: PathBuf,
}

/// `manifest.json`: what was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// For which machines.
    #[serde(default)]
    pub arch: Arch,
    /// How much it contains.
    pub variant: Variant,
    /// Kernel release, e.g. "6.1.0-56-amd64".
    pub kernel_release: String,
    /// Number of modules.
    pub modules: usize,
    /// Number of firmware files.
    pub firmware_files: usize,
    /// SHA-256 of the file `kernel`, hexadecimal.
    pub kernel_sha256: String,
    /// Its size in bytes.
    pub kernel_bytes: u64,
    /// SHA-256 of the file `initramfs`, hexadecimal.
    pub initramfs_sha256: String,
    /// Its size in bytes.
    pub initramfs_bytes: u64,
    /// Size of the initramfs in the machine's memory, decompressed.
    pub unpacked_bytes: u64,
    /// SHA-256 of each input: packages by file name, "agent", "builder".
    pub inputs: BTreeMap<String, String>,
}

/// Builds a mini-os: `kernel`, `initramfs` and `manifest.json` in `request.out`. Needs the network if a
/// package is not in the cache.
///
/// # Errors
/// See [`Error`].
pub fn build(request: &Request) -> Result<Manifest> {
    let agent = read_agent(&request.agent, request.arch)?;
    let packages = fetch(&request.cache, request.variant, request.arch)?;
    let contents = assemble(&packages, agent, request.variant, request.arch)?;
    write_out(&request.out, &contents)
}

/// A mini-os in memory.
#[derive(Debug)]
struct Contents {
    kernel: Vec<u8>,
    initramfs: Vec<u8>,
    manifest: Manifest,
}

/// Makes all bytes; reads only `packages`.
fn assemble(packages: &Packages, agent: Vec<u8>, variant: Variant, arch: Arch) -> Result<Contents> {
    let mut inputs = packages.inputs.clone();
    inputs.insert("agent".to_owned(), sha256(&agent));
    inputs.insert("builder".to_owned(), builder());

    let mut tree = Tree::default();
    for directory in ["proc", "sys", "dev", "run", "tmp", "mnt", "etc", "var", "root"] {
        tree.directory(directory);
    }
    tree.directory("lib/firmware");
    // The kernel opens /dev/console for PID 1 before anything is mounted.
    tree.character_device("dev/console", 0o600, 5, 1);
    tree.character_device("dev/null", 0o666, 1, 3);
    tree.file("init", 0o755, agent);
    let (modules, requested) = add_modules(&mut tree, packages, variant)?;
    let firmware_files = firmware::add(&mut tree, &packages.firmware, &requested)?;

    let plain = tree.to_bytes();
    let initramfs =
        compress_outer(&plain).map_err(|e| Error::Input(format!("cannot compress the initramfs: {e}")))?;
    let kernel = read(&packages.kernel)?;
    let manifest = Manifest {
        arch,
        variant,
        kernel_release: packages.release.clone(),
        modules,
        firmware_files,
        kernel_sha256: sha256(&kernel),
        kernel_bytes: kernel.len() as u64,
        initramfs_sha256: sha256(&initramfs),
        initramfs_bytes: initramfs.len() as u64,
        unpacked_bytes: plain.len() as u64,
        inputs,
    };
    Ok(Contents {
        kernel,
        initramfs,
        manifest,
    })
}

/// Adds the variant's modules and their index; returns how many there are, and the firmware files they
/// request.
fn add_modules(tree: &mut Tree, packages: &Packages, variant: Variant) -> Result<(usize, BTreeSet<String>)> {
    let index = |name: &str| read_text(&packages.modules.join(name));
    let softdep = index("modules.softdep")?;
    let dependencies = Dependencies::parse(&index("modules.dep")?)?;
    let wanted: Vec<String> = dependencies
        .paths()
        .filter(|p| select::chosen(variant, p))
        .map(str::to_owned)
        .collect();
    let chosen = dependencies.closure(wanted, &softdep)?;
    let names: BTreeSet<String> = chosen.iter().map(|p| name_of(p)).collect();

    let base = format!("lib/modules/{}", packages.release);
    let mut requested = BTreeSet::new();
    for path in &chosen {
        let file = packages.modules.join(path);
        let bytes = read(&file)?;
        let firmware = crate::modinfo::modinfo(&bytes, "firmware")?;
        requested.extend(firmware.into_iter().map(str::to_owned));
        let compressed = zstd::bulk::compress(&bytes, MODULE_LEVEL).map_err(Error::io("compress", &file))?;
        tree.file(&format!("{base}/{path}.zst"), 0o644, compressed);
    }
    let texts = [
        ("modules.dep", dependencies.text_for(&chosen, ".zst")),
        ("modules.alias", lines_about(&index("modules.alias")?, &names)),
        ("modules.softdep", lines_about(&softdep, &names)),
        ("modules.builtin", index("modules.builtin")?),
    ];
    for (name, text) in texts {
        tree.file(&format!("{base}/{name}"), 0o644, text.into_bytes());
    }
    Ok((chosen.len(), requested))
}

/// Compresses and pads with zeros to a multiple of four bytes. The kernel's EFI stub concatenates the
/// archives it loads, and the kernel does not find an uncompressed one (the site archive) at any other
/// offset.
fn compress_outer(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(OUTER_LEVEL)?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::WindowLog(OUTER_WINDOW_LOG))?;
    let mut compressed = compressor.compress(plain)?;
    compressed.resize(compressed.len().next_multiple_of(4), 0);
    Ok(compressed)
}

/// Digest of the code that decides what is built: a change makes earlier builds out of date.
fn builder() -> String {
    sha256(&[&include_bytes!("select.rs")[..], &include_bytes!("build.rs")[..]].concat())
}

/// Writes the manifest last, so that a directory with a manifest is complete.
fn write_out(out: &Path, contents: &Contents) -> Result<Manifest> {
    fs::create_dir_all(out).map_err(Error::io("make directory", out))?;
    let manifest_path = out.join("manifest.json");
    remove_if_there(&manifest_path).map_err(Error::io("remove", &manifest_path))?;
    let mut manifest = serde_json::to_vec_pretty(&contents.manifest)
        .map_err(|e| Error::Input(format!("cannot write the manifest: {e}")))?;
    manifest.push(b'\n');
    // Renamed into place, so that a server in the middle of sending the old file can finish.
    for (name, bytes) in [
        ("kernel", &contents.kernel),
        ("initramfs", &contents.initramfs),
        ("manifest.json", &manifest),
    ] {
        let (path, temporary) = (out.join(name), out.join(format!(".{name}.new")));
        fs::write(&temporary, bytes).map_err(Error::io("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(Error::io("rename to", &path))?;
    }
    Ok(contents.manifest.clone())
}

/// The manifest in `out`, if the files are complete and built by this builder from this variant and this
/// agent.
pub fn is_current(out: &Path, variant: Variant, agent: &Path) -> Option<Manifest> {
    let manifest: Manifest = serde_json::from_slice(&fs::read(out.join("manifest.json")).ok()?).ok()?;
    let agent = sha256(&fs::read(agent).ok()?);
    let input = |name: &str, digest: &str| manifest.inputs.get(name).is_some_and(|d| d == digest);
    let size = |name: &str, bytes: u64| fs::metadata(out.join(name)).is_ok_and(|m| m.len() == bytes);
    let current = manifest.variant == variant
        && input("agent", &agent)
        && input("builder", &builder())
        && size("kernel", manifest.kernel_bytes)
        && size("initramfs", manifest.initramfs_bytes);
    current.then_some(manifest)
}

/// PID 1 has neither a dynamic loader nor libraries: a dynamic agent would end in an unexplained kernel
/// panic.
fn read_agent(path: &Path, arch: Arch) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    let (debian, target) = (arch.debian(), arch.rust_target());
    let wrong = |why: String| Error::Input(format!("agent {}: {why}", path.display()));
    is_static(&bytes).map_err(|why| wrong(format!("{why}; build it for {target}")))?;
    if number(&bytes, 18, 2) != Some(arch.elf_machine()) {
        let why = format!("it is not for {debian}; build it for {target} (rustup target add {target})");
        return Err(wrong(why));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read;

    use super::*;

    /// An unpacked kernel package with three modules, one of them not chosen.
    fn packages(dir: &Path) -> Packages {
        let modules = dir.join("lib/modules/6.1.0-1-amd64");
        let firmware = dir.join("fw");
        for (path, entries) in [
            (
                "kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko",
                &["firmware=intel/x.bin", "license=GPL"][..],
            ),
            ("kernel/drivers/ptp/ptp.ko", &["license=GPL"]),
            ("kernel/sound/snd.ko", &["firmware=snd.bin"]),
        ] {
            let path = modules.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, crate::modinfo::tests::elf(entries)).unwrap();
        }
        for (name, text) in [
            (
                "modules.dep",
                "kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko: kernel/drivers/ptp/ptp.ko\n\
                 kernel/drivers/ptp/ptp.ko:\nkernel/sound/snd.ko:\n",
            ),
            (
                "modules.alias",
                "alias pci:v00008086d000010D3sv* e1000e\nalias pci:v1 snd\n",
            ),
            ("modules.softdep", ""),
            ("modules.builtin", "kernel/fs/x.ko\n"),
        ] {
            fs::write(modules.join(name), text).unwrap();
        }
        fs::create_dir_all(firmware.join("intel")).unwrap();
        fs::write(firmware.join("intel/x.bin"), [9; 3000]).unwrap();
        fs::write(firmware.join("snd.bin"), [9; 3000]).unwrap();
        fs::write(dir.join("vmlinuz"), b"kernel").unwrap();
        Packages {
            release: "6.1.0-1-amd64".to_owned(),
            kernel: dir.join("vmlinuz"),
            modules,
            firmware: vec![firmware],
            inputs: BTreeMap::from([("linux-image_1.deb".to_owned(), "00".to_owned())]),
        }
    }

    fn names(initramfs: &[u8]) -> BTreeSet<String> {
        assert!(
            initramfs.len().is_multiple_of(4),
            "the next archive has to begin at a multiple of four"
        );
        let mut plain = Vec::new();
        let mut frame = zstd::Decoder::with_buffer(initramfs).unwrap().single_frame();
        std::io::Read::read_to_end(&mut frame, &mut plain).unwrap();
        let mut rest = &plain[..];
        let mut names = BTreeSet::new();
        loop {
            let mut reader = cpio::newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                return names;
            }
            let name = reader.entry().name().to_owned();
            if name.ends_with("e1000e.ko.zst") {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).unwrap();
                let module = zstd::decode_all(&bytes[..]).unwrap();
                assert_eq!(crate::modinfo::modinfo(&module, "license").unwrap(), ["GPL"]);
            }
            names.insert(name);
            rest = reader.finish().unwrap();
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes_wherever_they_lie() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let make = |dir: &Path| assemble(&packages(dir), b"agent".to_vec(), Variant::Full, Arch::Amd64);
        let (first, second) = match (make(a.path()), make(b.path())) {
            (Ok(first), Ok(second)) => (first, second),
            (Err(e), _) if e.to_string().contains("cannot start") => return println!("skipped: {e}"),
            (first, second) => panic!("{:?} {:?}", first.err(), second.err()),
        };
        assert_eq!(first.initramfs, second.initramfs);
        assert_eq!(first.manifest, second.manifest);
        let other = assemble(&packages(a.path()), b"agenu".to_vec(), Variant::Full, Arch::Amd64).unwrap();
        assert_ne!(first.initramfs, other.initramfs);

        assert_eq!((first.manifest.modules, first.manifest.firmware_files), (2, 1));
        let names = names(&first.initramfs);
        let base = "lib/modules/6.1.0-1-amd64";
        for name in [
            "init".to_owned(),
            "dev/console".to_owned(),
            format!("{base}/kernel/drivers/ptp/ptp.ko.zst"),
            format!("{base}/modules.alias"),
            "lib/firmware/intel/x.bin.xz".to_owned(),
            "proc".to_owned(),
        ] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        assert!(!names.iter().any(|n| n.contains("snd")), "{names:?}");
    }

    #[test]
    fn a_mini_os_is_current_until_an_input_differs() {
        let dir = tempfile::tempdir().unwrap();
        let agent = dir.path().join("agent");
        fs::write(&agent, b"agent").unwrap();
        let out = dir.path().join("out");
        let contents = assemble(
            &packages(dir.path()),
            b"agent".to_vec(),
            Variant::Small,
            Arch::Amd64,
        )
        .unwrap();
        let manifest = write_out(&out, &contents).unwrap();
        assert_eq!(is_current(&out, Variant::Small, &agent), Some(manifest));
        assert_eq!(is_current(&out, Variant::Full, &agent), None);
        fs::write(&agent, b"newer").unwrap();
        assert_eq!(is_current(&out, Variant::Small, &agent), None);
        fs::write(&agent, b"agent").unwrap();
        fs::write(out.join("initramfs"), b"short").unwrap();
        assert_eq!(is_current(&out, Variant::Small, &agent), None);
    }

    #[test]
    fn an_agent_that_cannot_be_the_first_process_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent");
        let refusal = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            read_agent(&file, Arch::Amd64).unwrap_err().to_string()
        };
        assert!(refusal(b"#!/bin/sh\n").contains("ELF"));
        let mut elf = vec![0; 0x40 + 0x38];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 62;
        elf[0x20] = 0x40;
        elf[0x36] = 0x38;
        elf[0x38] = 1;
        elf[0x40] = 3;
        assert!(refusal(&elf).contains("dynamic loader"));
        elf[0x40] = 1;
        fs::write(&file, &elf).unwrap();
        assert_eq!(read_agent(&file, Arch::Amd64).unwrap(), elf);
        assert!(refusal(&elf[..0x42]).contains("cut off"));
        fs::write(&file, &elf).unwrap();
        let other = read_agent(&file, Arch::Arm64).unwrap_err().to_string();
        assert!(
            other.contains("rustup target add aarch64-unknown-linux-musl"),
            "{other}"
        );
        elf[18] = 183;
        fs::write(&file, &elf).unwrap();
        assert_eq!(read_agent(&file, Arch::Arm64).unwrap(), elf);
    }
}

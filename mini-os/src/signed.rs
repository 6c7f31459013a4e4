//! Secure Boot with the site's own keys: signs the loaders, and kernel, archives and command line as one
//! program (unified kernel image).
//!
//! The command line is part of the signed program, so it is the same for all machines; the agent asks the
//! server for the rest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::elf::number;
use crate::files::{read, sha256};
use crate::process::run;
use crate::{Error, Result};

/// The subdirectory of the mini-os that [`sign`] makes.
pub const SIGNED_DIR: &str = "signed";
/// The unified kernel image in it.
pub const UNIFIED: &str = "mini-os.efi";
/// Records what the signed files were made of.
const MANIFEST: &str = "manifest.json";
/// systemd's EFI stub (Debian's package `systemd-boot-efi`), which starts the kernel in its own file.
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// iPXE for UEFI. BIOS does not check signatures.
const LOADERS: [&str; 2] = ["snponly.efi", "ipxe.efi"];

/// What to sign, and with which key.
#[derive(Clone, Debug)]
pub struct Signing<'a> {
    /// Directory of kernel and initramfs; the signed files go into a subdirectory.
    pub mini_os: &'a Path,
    /// Where to take a loader from that `mini_os` does not have.
    pub host_loaders: &'a Path,
    /// The second archive, with the server's CA certificate: [`crate::site_archive`].
    pub site_archive: &'a [u8],
    /// The kernel command line.
    pub command_line: &'a str,
    /// Private key, PEM, without a passphrase.
    pub key: &'a Path,
    /// Its certificate, PEM, which is enrolled in the machines' `db`.
    pub certificate: &'a Path,
}

/// The inputs of a signed mini-os: SHA-256 of all but the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signed {
    kernel: String,
    initramfs: String,
    site: String,
    command_line: String,
    certificate: String,
}

fn inputs(mini_os: &Path, site_archive: &[u8], command_line: &str) -> Result<Signed> {
    Ok(Signed {
        kernel: sha256(&read(&mini_os.join("kernel"))?),
        initramfs: sha256(&read(&mini_os.join("initramfs"))?),
        site: sha256(site_archive),
        command_line: command_line.to_owned(),
        certificate: String::new(),
    })
}

/// Makes and signs all files, then replaces the old ones in one step.
///
/// # Errors
/// A file is missing; `objcopy` or `sbsign` is missing or refuses (a key with a passphrase, a certificate for
/// another key).
pub fn sign(signing: &Signing<'_>) -> Result<()> {
    if !signing.mini_os.join("kernel").is_file() {
        return Err(Error::Input(format!(
            "{}: there is no mini-os; make one with `slipway mini-os build`",
            signing.mini_os.display()
        )));
    }
    let out = signing.mini_os.join(SIGNED_DIR);
    let work = signing
        .mini_os
        .join(format!(".{SIGNED_DIR}.{}", std::process::id()));
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).map_err(Error::io("make directory", &work))?;
    let made = sign_into(signing, &work).and_then(|()| {
        let old = work.with_extension("old");
        if out.exists() {
            fs::rename(&out, &old).map_err(Error::io("rename", &out))?;
        }
        fs::rename(&work, &out).map_err(Error::io("rename to", &out))?;
        let _ = fs::remove_dir_all(&old);
        Ok(())
    });
    let _ = fs::remove_dir_all(&work);
    made
}

fn sign_into(signing: &Signing<'_>, work: &Path) -> Result<()> {
    let signed = Signed {
        certificate: sha256(&read(signing.certificate)?),
        ..inputs(signing.mini_os, signing.site_archive, signing.command_line)?
    };
    let unsigned = work.join("unsigned.efi");
    unify(signing, work, &unsigned)?;
    let with_key = |from: &Path, to: &str| -> Result<()> {
        run(Command::new("sbsign")
            .arg("--key")
            .arg(signing.key)
            .arg("--cert")
            .arg(signing.certificate)
            .arg("--output")
            .arg(work.join(to))
            .arg(from))?;
        // sbsign accepts a certificate that does not match the key; only the firmware would notice.
        let mut verify = Command::new("sbverify");
        run(verify.arg("--cert").arg(signing.certificate).arg(work.join(to))).map(drop)
    };
    with_key(&unsigned, UNIFIED)?;
    fs::remove_file(&unsigned).map_err(Error::io("remove", &unsigned))?;
    for loader in LOADERS {
        let own = signing.mini_os.join(loader);
        let host = signing.host_loaders.join(loader);
        with_key(if own.is_file() { &own } else { &host }, loader)?;
    }
    let text = serde_json::to_vec_pretty(&signed).map_err(|e| Error::Input(e.to_string()))?;
    let manifest = work.join(MANIFEST);
    fs::write(&manifest, text).map_err(Error::io("write", &manifest))
}

/// One program of stub, command line, archives and kernel. The kernel comes last because it unpacks itself
/// behind its own end.
fn unify(signing: &Signing<'_>, work: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(STUB).map_err(|e| {
        Error::Input(format!(
            "cannot read {STUB}: {e}; is the package systemd-boot-efi installed?"
        ))
    })?;
    let mut place =
        end_of_sections(&bytes).ok_or_else(|| Error::Input(format!("{STUB}: not an x64 EFI program")))?;
    // An uncompressed archive behind a compressed one must start at a multiple of four bytes; the kernel
    // skips the zeros between.
    let mut archives = read(&signing.mini_os.join("initramfs"))?;
    archives.resize(archives.len().next_multiple_of(4), 0);
    archives.extend(signing.site_archive);
    let release = b"ID=slipway\nNAME=\"Slipway mini-os\"\nPRETTY_NAME=\"Slipway mini-os\"\n".to_vec();
    let sections: [(&str, Vec<u8>); 4] = [
        (".osrel", release),
        (".cmdline", [signing.command_line.as_bytes(), b"\0"].concat()),
        (".initrd", archives),
        (".linux", read(&signing.mini_os.join("kernel"))?),
    ];
    let mut command = Command::new("objcopy");
    let mut files = Vec::new();
    for (name, content) in &sections {
        let file = work.join(format!("section{name}"));
        fs::write(&file, content).map_err(Error::io("write", &file))?;
        let (from, at) = (format!("{name}={}", file.display()), format!("{name}={place:#x}"));
        command.args(["--add-section", &from, "--change-section-vma", &at]);
        place = (place + content.len() as u64).next_multiple_of(ALIGN);
        files.push(file);
    }
    run(command.arg(STUB).arg(to))?;
    for file in files {
        fs::remove_file(&file).map_err(Error::io("remove", &file))?;
    }
    Ok(())
}

/// One page: the alignment that firmware gives sections.
const ALIGN: u64 = 4096;

/// The address behind the last section of a PE32+ program, including the image base, as objcopy counts (PE
/// format, "Optional Header" and "Section Table").
fn end_of_sections(pe: &[u8]) -> Option<u64> {
    let number = |at: usize, len: usize| number(pe, at, len);
    let header = number(0x3c, 4)? as usize;
    if pe.get(header..header + 6)? != b"PE\0\0\x64\x86" || number(header + 24, 2)? != 0x20b {
        return None;
    }
    let (count, optional) = (number(header + 6, 2)? as usize, number(header + 20, 2)? as usize);
    let base = number(header + 24 + 24, 8)?;
    let ends = (0..count).map(|index| {
        let section = header + 24 + optional + index * 40;
        Some(number(section + 8, 4)? + number(section + 12, 4)?)
    });
    let end = ends.collect::<Option<Vec<u64>>>()?.into_iter().max()?;
    Some((base + end).next_multiple_of(ALIGN))
}

/// A consistent set of signed files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedFiles {
    /// Loaders by name.
    pub loaders: Vec<(String, PathBuf)>,
    /// The unified kernel image.
    pub unified: PathBuf,
}

/// What [`sign`] made of exactly this mini-os, archive and command line. `Ok(None)`: nothing has been signed.
///
/// # Errors
/// The signed files are incomplete or of another kernel, initramfs, authority or command line; the text says
/// which.
pub fn signed_files(mini_os: &Path, site_archive: &[u8], command_line: &str) -> Result<Option<SignedFiles>> {
    let dir = mini_os.join(SIGNED_DIR);
    let manifest = dir.join(MANIFEST);
    if !manifest.is_file() {
        return Ok(None);
    }
    let signed: Signed = serde_json::from_slice(&read(&manifest)?)
        .map_err(|e| Error::Input(format!("{}: {e}", manifest.display())))?;
    let now = inputs(mini_os, site_archive, command_line)?;
    let differs = [
        ("kernel", signed.kernel != now.kernel),
        ("initramfs", signed.initramfs != now.initramfs),
        ("server's CA certificate", signed.site != now.site),
        ("kernel command line", signed.command_line != now.command_line),
    ];
    if let Some((what, _)) = differs.iter().find(|(_, differs)| *differs) {
        return Err(Error::Input(format!(
            "{}: signed with another {what}; run `slipway mini-os sign` again",
            dir.display()
        )));
    }
    let file = |name: &str| {
        let path = dir.join(name);
        let missing = || {
            format!(
                "{}: no such file; run `slipway mini-os sign` again",
                path.display()
            )
        };
        match path.is_file() {
            true => Ok((name.to_owned(), path)),
            false => Err(Error::Input(missing())),
        }
    };
    let loaders = LOADERS.into_iter().map(file).collect::<Result<_>>()?;
    let (_, unified) = file(UNIFIED)?;
    Ok(Some(SignedFiles { loaders, unified }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key and its certificate, made as an operator would.
    fn key(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (key, certificate) = (dir.join(format!("{name}.key")), dir.join(format!("{name}.pem")));
        run(Command::new("openssl")
            .args([
                "req",
                "-new",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=Site/",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate))
        .unwrap();
        (key, certificate)
    }

    #[test]
    fn signed_files_are_used_until_an_input_changes() {
        let dir = tempfile::tempdir().unwrap();
        let mini_os = dir.path().join("mini-os");
        fs::create_dir(&mini_os).unwrap();
        for (name, bytes) in [("kernel", &b"a kernel"[..]), ("initramfs", b"archive")] {
            fs::write(mini_os.join(name), bytes).unwrap();
        }
        // Any EFI program will do as a loader here.
        for loader in LOADERS {
            fs::copy(STUB, mini_os.join(loader)).unwrap();
        }
        let (key_file, certificate) = key(dir.path(), "site");
        let (_, other) = key(dir.path(), "other");
        let signing = Signing {
            mini_os: &mini_os,
            host_loaders: Path::new("/nowhere"),
            site_archive: b"site",
            command_line: "quiet",
            key: &key_file,
            certificate: &certificate,
        };
        assert!(signed_files(&mini_os, b"site", "quiet").unwrap().is_none());
        let wrong = Signing {
            certificate: &other,
            ..signing.clone()
        };
        assert!(sign(&wrong).is_err(), "a certificate of another key");
        assert!(signed_files(&mini_os, b"site", "quiet").unwrap().is_none());

        for _ in 0..2 {
            sign(&signing).unwrap();
            let SignedFiles { loaders, unified } = signed_files(&mini_os, b"site", "quiet").unwrap().unwrap();
            assert_eq!(loaders.len(), LOADERS.len());
            let verify =
                |file: &Path, with: &Path| run(Command::new("sbverify").arg("--cert").arg(with).arg(file));
            for file in loaders.iter().map(|(_, path)| path).chain([&unified]) {
                verify(file, &certificate).unwrap();
                assert!(verify(file, &other).is_err(), "{}", file.display());
            }
            let sections = run(Command::new("objcopy")
                .args(["-O", "binary", "--only-section=.initrd"])
                .arg(&unified)
                .arg(dir.path().join("initrd")));
            sections.unwrap();
            let initrd = fs::read(dir.path().join("initrd")).unwrap();
            assert_eq!(&initrd[..12], b"archive\0site");
        }
        let left: Vec<_> = fs::read_dir(&mini_os)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 5, "kernel, initramfs, two loaders, signed: {left:?}");

        for (site, line, why) in [
            (&b"site"[..], "quiet init=/bin/sh", "kernel command line"),
            (b"another", "quiet", "CA certificate"),
        ] {
            let refused = signed_files(&mini_os, site, line).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        fs::write(mini_os.join("kernel"), b"newer").unwrap();
        let refused = signed_files(&mini_os, b"site", "quiet").unwrap_err().to_string();
        assert!(
            refused.contains("another kernel") && refused.contains("mini-os sign"),
            "{refused}"
        );
    }

    #[test]
    fn only_efi_programs_have_sections() {
        for bytes in [&b""[..], b"MZ", &[0; 64], b"\x7fELF"] {
            assert_eq!(end_of_sections(bytes), None);
        }
        let stub = fs::read(STUB).unwrap();
        assert!(end_of_sections(&stub).unwrap() > 0x1000);
        for cut in 0..stub.len().min(2000) {
            let _ = end_of_sections(&stub[..cut]);
        }
    }
}

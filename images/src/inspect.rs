//! What matters in a file system image for booting it; read with debugfs, so nothing is mounted.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use inventory_api::image::BootFiles;
use inventory_api::report::FirmwareMode;

use crate::superblock::Superblock;
use crate::{Error, Result};

/// Where an image keeps its boot loader's files, see ARCHITECTURE.md.
pub(crate) const BOOT_DIR: &str = "usr/lib/slipway/boot";

/// The result of [`inspect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub boot: BootFiles,
    /// PRETTY_NAME of os-release.
    pub os: Option<String>,
}

/// Checks that the raw file system `image` is sound and can be installed and booted.
///
/// # Errors
/// [`Error::NotAnImage`] with the reason.
pub(crate) fn inspect(image: &Path) -> Result<Facts> {
    let refuse = |reason: String| Error::NotAnImage {
        path: image.to_owned(),
        reason,
    };
    let mut file = File::open(image).map_err(Error::io("open", image))?;
    let bytes = file.metadata().map_err(Error::io("read", image))?.len();
    let superblock = Superblock::read(&mut file)
        .map_err(|e| refuse(format!("it is too short for a file system: {bytes} bytes ({e})")))?;
    superblock.check(bytes).map_err(refuse)?;

    let look = Look { image };
    let boot_files = look.names(BOOT_DIR)?;
    let has = |name: &str| boot_files.iter().any(|n| n == name);
    let mut firmware = Vec::new();
    if has("boot.img") && has("core.img") {
        firmware.push(FirmwareMode::Bios);
    }
    if has("shimx64.efi") && has("grubx64.efi") {
        firmware.push(FirmwareMode::Uefi);
    }
    if firmware.is_empty() {
        return Err(refuse(format!(
            "no boot loader in /{BOOT_DIR}: expected boot.img and core.img (BIOS) or shimx64.efi and grubx64.efi (UEFI)"
        )));
    }
    let kernels = look.names("boot")?;
    let release = newest_kernel(&kernels).ok_or_else(|| {
        refuse("no kernel: expected /boot/vmlinuz-RELEASE with /boot/initrd.img-RELEASE".to_owned())
    })?;
    if !look.names("usr/lib/modules")?.contains(&release) {
        return Err(refuse(format!(
            "kernel {release} has no modules in /usr/lib/modules"
        )));
    }
    let os = os_name(&look.text("usr/lib/os-release")?);
    let boot = BootFiles {
        kernel: format!("/boot/vmlinuz-{release}"),
        initrd: format!("/boot/initrd.img-{release}"),
        kernel_release: release,
        firmware,
    };
    Ok(Facts { boot, os })
}

struct Look<'a> {
    image: &'a Path,
}

impl Look<'_> {
    fn ask(&self, request: &str) -> Result<Vec<u8>> {
        // -c: does not read bitmaps. A missing file gives an empty answer.
        let mut debugfs = Command::new("debugfs");
        Ok(mini_os::run(debugfs.args(["-c", "-R", request]).arg(self.image))?)
    }

    /// Names in a directory; empty if it is missing.
    fn names(&self, directory: &str) -> Result<Vec<String>> {
        let output = self.ask(&format!("ls -p /{directory}"))?;
        // Lines "/INODE/MODE/UID/GID/NAME/SIZE/".
        let text = String::from_utf8_lossy(&output);
        Ok(text
            .lines()
            .filter_map(|line| line.strip_prefix('/')?.split('/').nth(4))
            .filter(|name| !name.is_empty() && *name != "." && *name != "..")
            .map(str::to_owned)
            .collect())
    }

    /// The start of a text file; empty if it is missing.
    fn text(&self, path: &str) -> Result<String> {
        let output = self.ask(&format!("cat /{path}"))?;
        let mut bytes = Vec::new();
        // Reading from memory cannot fail.
        let _ = output.take(16 << 10).read_to_end(&mut bytes);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The newest release, compared by its numbers, that has a kernel and an initrd.
fn newest_kernel(names: &[String]) -> Option<String> {
    let numbers = |release: &&str| -> Vec<u64> {
        let parts = release.split(|c: char| !c.is_ascii_digit());
        parts.filter_map(|part| part.parse().ok()).collect()
    };
    let ok = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let plain = |release: &&str| release.len() <= 64 && release.chars().all(ok);
    let has_initrd = |release: &&str| names.contains(&format!("initrd.img-{release}"));
    let kernels = names.iter().filter_map(|name| name.strip_prefix("vmlinuz-"));
    let usable = kernels.filter(plain).filter(has_initrd);
    usable.max_by_key(numbers).map(str::to_owned)
}

fn os_name(os_release: &str) -> Option<String> {
    let mut lines = os_release.lines();
    let value = lines.find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let value = value.trim().trim_matches(['"', '\'']);
    let ok = !value.is_empty() && value.len() <= 100 && !value.chars().any(char::is_control);
    ok.then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_with_an_initrd_is_taken() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let boot = names(&[
            "vmlinuz-6.1.0-9-amd64",
            "initrd.img-6.1.0-9-amd64",
            "vmlinuz-6.1.0-56-amd64",
            "initrd.img-6.1.0-56-amd64",
            "vmlinuz-6.12.0-1-amd64",
            "vmlinuz-9;x",
            "initrd.img-9;x",
        ]);
        assert_eq!(newest_kernel(&boot).as_deref(), Some("6.1.0-56-amd64"));
        assert_eq!(newest_kernel(&names(&["vmlinuz-1"])), None);
    }

    #[test]
    fn os_release_is_read() {
        assert_eq!(
            os_name("A=b\nPRETTY_NAME=\"Debian 12\"\n").as_deref(),
            Some("Debian 12")
        );
        assert_eq!(os_name("PRETTY_NAME=\"\"\n"), None);
        assert_eq!(os_name(""), None);
    }
}

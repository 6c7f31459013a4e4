//! The root tree: installed by mmdebstrap, then made into a system that boots on any machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use mini_os::debian::Mirror;

use crate::inspect::BOOT_DIR;
use crate::recipe::Recipe;
use crate::{Error, Result};

/// Modules of GRUB's BIOS core image: find the root file system, show a prompt, boot Linux.
const GRUB_MODULES: &str = "biosdisk part_gpt ext2 search search_fs_uuid search_label normal linux configfile \
                            serial terminal echo test halt reboot sleep minicmd gzio";

/// Where GRUB finds its configuration: partition 3 of the disk it was read from. On a machine with two disks
/// a name or a UUID might find the other disk's system first.
const GRUB_PREFIX: &str = "(,gpt3)/boot/grub";

/// Makes the tree in `root`, which must not exist. Downloaded packages are kept in `cache`.
pub(super) fn bootstrap(recipe: &Recipe, root: &Path, cache: &Path) -> Result<()> {
    let debs = cache.join("debs").join(&recipe.suite);
    fs::create_dir_all(&debs).map_err(Error::io("make directory", &debs))?;
    let debs = debs.canonicalize().map_err(Error::io("find", &debs))?;
    let debs = shell_word(&debs.to_string_lossy());
    let mirror = Mirror::of_host(&recipe.suite);
    let mut packages = recipe.packages.clone();
    packages.push(recipe.kernel.clone());

    let mut command = Command::new("mmdebstrap");
    command.args(["--mode=root", "--format=directory", "--quiet"]);
    command.args(["--skip=download/empty", "--skip=essential/unlink"]);
    command.arg(format!("--variant={}", recipe.variant));
    command.arg(format!("--include={}", packages.join(",")));
    for option in [
        "APT::Install-Recommends \"false\"",
        "Acquire::Retries \"4\"",
        "Acquire::Languages \"none\"",
    ] {
        command.arg(format!("--aptopt={option}"));
    }
    for left_out in ["man", "info", "locale", "doc"] {
        command.arg(format!("--dpkgopt=path-exclude=/usr/share/{left_out}/*"));
    }
    command.arg("--dpkgopt=path-include=/usr/share/doc/*/copyright");
    // apt uses the files in its archive directory that have the right digest.
    command.arg(format!(
        "--setup-hook=mkdir -p \"$1/var/cache/apt/archives/partial\"; cp -a {debs}/. \"$1/var/cache/apt/archives/\""
    ));
    command.arg(format!(
        "--customize-hook=cp -au \"$1\"/var/cache/apt/archives/*.deb {debs}/"
    ));
    command.arg(&recipe.suite).arg(root);
    command.args(mirror.sources(&recipe.components.join(" ")));
    command
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive");
    mini_os::run(&mut command)?;
    Ok(())
}

/// Makes a system for any machine from a tree of packages: no identity, no secrets, boot files in place.
pub(super) fn finish(recipe: &Recipe, root: &Path) -> Result<()> {
    grub(recipe, root)?;
    sources(recipe, root)?;
    ssh_host_keys(root)?;
    // Empty, not absent: systemd then makes an id at boot without treating it as a first boot that asks
    // questions.
    put(root, "etc/machine-id", "", 0o444)?;
    put(root, "etc/fstab", "# Written at installation.\n", 0o644)?;
    put(root, "etc/hostname", "localhost\n", 0o644)?;
    let hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
    put(root, "etc/hosts", hosts, 0o644)?;
    put(root, "etc/default/locale", "LANG=C.UTF-8\n", 0o644)?;
    link(root, "etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")?;
    for unit in recipe.services.iter().chain([&SSH_KEYS_UNIT.to_owned()]) {
        let mut systemctl = Command::new("systemctl");
        mini_os::run(systemctl.arg("--root").arg(root).args(["enable", unit]))?;
    }
    for file in [
        "etc/.pwd.lock",
        "etc/passwd-",
        "etc/group-",
        "etc/shadow-",
        "etc/gshadow-",
    ] {
        remove(root, file)?;
    }
    for file in ["initrd.img.old", "vmlinuz.old"] {
        remove(root, file)?;
    }
    for directory in [
        "lib/apt/lists",
        "cache/apt",
        "log",
        "cache/debconf",
        "cache/ldconfig",
        "tmp",
    ] {
        empty(&root.join("var").join(directory))?;
    }
    for directory in ["tmp", "run"] {
        empty(&root.join(directory))?;
    }
    // debconf and apt need their directories; with a journal directory the journal survives a reboot.
    for directory in [
        "lib/apt/lists/partial",
        "cache/apt/archives/partial",
        "log/journal",
        "log/apt",
    ] {
        let path = root.join("var").join(directory);
        fs::create_dir_all(&path).map_err(Error::io("make directory", &path))?;
    }
    Ok(())
}

/// GRUB for both kinds of firmware: files for the installer below [`BOOT_DIR`], modules and defaults for the
/// system itself.
fn grub(recipe: &Recipe, root: &Path) -> Result<()> {
    let boot = root.join(BOOT_DIR);
    fs::create_dir_all(&boot).map_err(Error::io("make directory", &boot))?;
    for (from, to) in [
        ("usr/lib/grub/i386-pc/boot.img", "boot.img"),
        ("usr/lib/shim/shimx64.efi.signed", "shimx64.efi"),
        ("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grubx64.efi"),
    ] {
        let (from, to) = (root.join(from), boot.join(to));
        fs::copy(&from, &to).map_err(Error::io("copy to the boot files", &from))?;
    }
    // Run inside the tree, so that program and modules have the same version.
    let core = format!("/{BOOT_DIR}/core.img");
    let mut command = Command::new("chroot");
    command
        .arg(root)
        .args(["grub-mkimage", "-O", "i386-pc", "-p", GRUB_PREFIX, "-o", &core]);
    mini_os::run(command.args(GRUB_MODULES.split(' ')))?;

    let (from, to) = (root.join("usr/lib/grub/i386-pc"), root.join("boot/grub/i386-pc"));
    fs::create_dir_all(&to).map_err(Error::io("make directory", &to))?;
    for path in entries(&from)? {
        if path.extension().is_some_and(|e| e == "mod" || e == "lst") {
            let target = to.join(path.file_name().unwrap_or_default());
            fs::copy(&path, &target).map_err(Error::io("copy", &path))?;
        }
    }
    // update-grub reads this at each kernel upgrade.
    let defaults = format!(
        "GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_RECORDFAIL_TIMEOUT=1\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n\
         GRUB_CMDLINE_LINUX=\"{}\"\nGRUB_TERMINAL=\"console serial\"\n\
         GRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\nGRUB_DISABLE_OS_PROBER=true\n",
        recipe.kernel_arguments
    );
    put(root, "etc/default/grub", &defaults, 0o644)
}

/// Where the installed system gets its updates: Debian's own servers, not the builder's mirror.
fn sources(recipe: &Recipe, root: &Path) -> Result<()> {
    let Recipe {
        suite, components, ..
    } = recipe;
    let components = components.join(" ");
    let signed_by = mini_os::debian::KEYRING;
    let text = format!(
        "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: {suite} {suite}-updates\nComponents: {components}\n\
         Signed-By: {signed_by}\n\nTypes: deb\nURIs: http://deb.debian.org/debian-security\nSuites: {suite}-security\n\
         Components: {components}\nSigned-By: {signed_by}\n"
    );
    remove(root, "etc/apt/sources.list")?;
    empty(&root.join("etc/apt/sources.list.d"))?;
    put(root, "etc/apt/sources.list.d/debian.sources", &text, 0o644)
}

const SSH_KEYS_UNIT: &str = "slipway-ssh-host-keys.service";

/// Host keys must not be shared: each machine makes its own at its first start. No RSA key, which takes
/// seconds and which no client needs.
fn ssh_host_keys(root: &Path) -> Result<()> {
    let ssh = root.join("etc/ssh");
    if !ssh.is_dir() {
        return Ok(());
    }
    for path in entries(&ssh)? {
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with("ssh_host_") {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    put(
        root,
        &format!("etc/systemd/system/{SSH_KEYS_UNIT}"),
        "[Unit]\nDescription=Make this machine's SSH host keys\nBefore=ssh.service\n\
         ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/usr/bin/ssh-keygen -q -t ecdsa -N \"\" -f /etc/ssh/ssh_host_ecdsa_key\n\
         ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N \"\" -f /etc/ssh/ssh_host_ed25519_key\n\n\
         [Install]\nWantedBy=multi-user.target\nRequiredBy=ssh.service\n",
        0o644,
    )
}

fn put(root: &Path, path: &str, text: &str, mode: u32) -> Result<()> {
    remove(root, path)?;
    let path = root.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("make directory", parent))?;
    }
    fs::write(&path, text).map_err(Error::io("write", &path))?;
    fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(Error::io("set the mode of", &path))
}

fn link(root: &Path, path: &str, target: &str) -> Result<()> {
    remove(root, path)?;
    let path = root.join(path);
    symlink(target, &path).map_err(Error::io("link", &path))
}

/// Removes a file or a link, never the link's target; a missing one is fine.
fn remove(root: &Path, path: &str) -> Result<()> {
    let path = root.join(path);
    mini_os::remove_if_there(&path).map_err(Error::io("remove", &path))
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
    };
    list().map_err(Error::io("list", directory))
}

/// Empties a directory and keeps it; a missing one is fine.
fn empty(directory: &Path) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    for path in entries(directory)? {
        let is_dir = path
            .symlink_metadata()
            .map_err(Error::io("read", &path))?
            .is_dir();
        let removed = match is_dir {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

/// Quotes a text as one shell word.
fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_word_back() {
        for text in ["/a b/c", "it's", "$(x) \"y\" `z`"] {
            let output = Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", shell_word(text)))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, "host").unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        symlink(&outside, root.join("etc/hostname")).unwrap();
        put(&root, "etc/hostname", "x\n", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "host");
        assert_eq!(fs::read_to_string(root.join("etc/hostname")).unwrap(), "x\n");
        assert_eq!(
            fs::metadata(root.join("etc/hostname"))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }
}

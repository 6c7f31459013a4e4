//! The directory that plays the mounted root of a simulated machine.

use std::path::Path;

use anyhow::Result;

/// Fills the directory with what an image contains and the install steps need.
pub(super) fn image_tree(root: &Path) -> Result<()> {
    if root.exists() {
        std::fs::remove_dir_all(root)?;
    }
    let boot = root.join("usr/lib/slipway/boot");
    for dir in [
        "etc/ssh",
        "etc/systemd/system/multi-user.target.wants",
        "etc/cron.d",
        "etc/sudoers.d",
        "home",
        "bin",
        "root",
        "boot/grub",
    ] {
        std::fs::create_dir_all(root.join(dir))?;
    }
    std::fs::create_dir_all(&boot)?;
    // A boot sector ends with its signature.
    let mut sector = vec![0u8; 512];
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(boot.join("boot.img"), &sector)?;
    std::fs::write(boot.join("core.img"), vec![0x90u8; 30_000])?;
    for name in ["shimx64.efi", "grubx64.efi"] {
        std::fs::write(boot.join(name), vec![0x4d; 4096])?;
    }
    for (name, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/shadow", "root:*:19000:0:99999:7:::\n"),
        ("etc/group", "root:x:0:\nsudo:x:27:\n"),
        ("etc/gshadow", "root:*::\nsudo:*::\n"),
        ("etc/hosts", "127.0.0.1 localhost\n"),
        ("vmlinuz", "kernel"),
        ("bin/bash", "#!/bin/false\n"),
        ("initrd.img", "initrd"),
    ] {
        std::fs::write(root.join(name), text)?;
    }
    Ok(())
}

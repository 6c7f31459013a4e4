//! The written root file system: reads the superblock, sets the UUID, grows it.

use super::area::Area;
use super::error::{StepError, Tried};
use super::ioctl;
use super::root::Root;

/// Fields of an ext4 superblock (fs/ext4/ext4.h, struct ext4_super_block, at byte 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Superblock {
    pub block_bytes: u64,
    pub blocks: u64,
    pub uuid: [u8; 16],
    /// The checksums do not depend on the UUID, so it can be changed while mounted.
    pub csum_seed: bool,
    pub metadata_csum: bool,
}

const AT: u64 = 1024;
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_CSUM_SEED: u32 = 0x2000;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;

/// Reads the superblock; `None` if it is not ext4.
pub(super) fn read(area: &Area) -> Result<Option<Superblock>, StepError> {
    let mut bytes = [0; 1024];
    if area.len < AT + 1024 {
        return Ok(None);
    }
    area.read_at(&mut bytes, AT)
        .tried("disk-read", "read the superblock")?;
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8; 1024]) -> Option<Superblock> {
    let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if bytes[0x38..0x3a] != [0x53, 0xef] {
        return None;
    }
    let (incompat, ro_compat) = (u32_at(0x60), u32_at(0x64));
    let high = if incompat & INCOMPAT_64BIT != 0 {
        u64::from(u32_at(0x150)) << 32
    } else {
        0
    };
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&bytes[0x68..0x78]);
    Some(Superblock {
        block_bytes: 1024u64
            .checked_shl(u32_at(0x18))
            .filter(|b| (1024..=65536).contains(b))?,
        blocks: high | u64::from(u32_at(0x4)),
        uuid,
        csum_seed: incompat & INCOMPAT_CSUM_SEED != 0,
        metadata_csum: ro_compat & RO_COMPAT_METADATA_CSUM != 0,
    })
}

/// Sets the mounted file system's UUID and grows it to `room` bytes. The kernel does both, so the mini-os
/// needs no e2fsprogs (EXT4_IOC_SETFSUUID since 6.0, EXT4_IOC_RESIZE_FS).
pub(super) fn adopt(root: &Root, now: Superblock, uuid: [u8; 16], room: u64) -> Result<(), StepError> {
    let dir = root.dir_file().tried("root-open", "open the new root")?;
    if now.uuid != uuid {
        ioctl::ext4_uuid(&dir, uuid).map_err(|e| {
            let why = if now.metadata_csum && !now.csum_seed {
                "; the image was made without the ext4 feature metadata_csum_seed"
            } else {
                ""
            };
            StepError::new(
                "fs-uuid",
                format!("cannot give the root file system its UUID: {e}{why}"),
            )
        })?;
    }
    let blocks = room / now.block_bytes;
    if blocks > now.blocks {
        ioctl::ext4_grow(&dir, blocks).tried(
            "fs-grow",
            format!("grow the root file system from {} to {blocks} blocks", now.blocks),
        )?;
    }
    nix::unistd::syncfs(&dir).tried("disk-write", "flush the root file system")
}

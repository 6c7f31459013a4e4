//! The ext4 superblock: enough to know whether GRUB, the installer and the kernel can use a file system.

use std::io::{self, Read, Seek, SeekFrom};

/// Where the superblock starts in the file system.
const OFFSET: u64 = 1024;
const MAGIC: u16 = 0xef53;

/// Incompatible features that GRUB 2.06 (Debian 12) and kernel 6.1 read: filetype, meta_bg, extents, 64bit,
/// flex_bg, metadata_csum_seed (Debian's GRUB; see docs). large_dir is not among them. Values:
/// Documentation/filesystems/ext4/super.rst.
const INCOMPAT_READABLE: u32 = 0x2 | 0x10 | 0x40 | 0x80 | 0x200 | 0x2000;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_EXTENTS: u32 = 0x40;
const INCOMPAT_64BIT: u32 = 0x80;
const COMPAT_HAS_JOURNAL: u32 = 0x4;

/// Unmounted cleanly, without errors.
const STATE_CLEAN: u16 = 1;

/// Fields of the superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    magic: u16,
    state: u16,
    log_block_size: u32,
    blocks: u64,
    compat: u32,
    incompat: u32,
}

impl Superblock {
    pub fn read(file: &mut (impl Read + Seek)) -> io::Result<Superblock> {
        file.seek(SeekFrom::Start(OFFSET))?;
        let mut b = [0; 1024];
        file.read_exact(&mut b)?;
        let u16_at = |at: usize| u16::from_le_bytes([b[at], b[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        let incompat = u32_at(0x60);
        let high = match incompat & INCOMPAT_64BIT {
            0 => 0,
            _ => u32_at(0x150),
        };
        Ok(Superblock {
            magic: u16_at(0x38),
            state: u16_at(0x3a),
            log_block_size: u32_at(0x18),
            blocks: u64::from(u32_at(0x4)) | u64::from(high) << 32,
            compat: u32_at(0x5c),
            incompat,
        })
    }

    /// Size of the file system in bytes.
    pub fn bytes(&self) -> u64 {
        self.blocks
            .saturating_mul(1024u64.checked_shl(self.log_block_size).unwrap_or(0))
    }

    /// Whether a file system in a file of `file_bytes` can be installed.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self, file_bytes: u64) -> Result<(), String> {
        if self.magic != MAGIC {
            return Err(format!(
                "not an ext4 file system (magic {:#06x} instead of {MAGIC:#06x}); expected the root file system itself, \
                 not a whole disk with partitions",
                self.magic
            ));
        }
        if self.log_block_size > 2 {
            return Err(format!(
                "block size 2^{} KiB: expected 1, 2 or 4 KiB",
                self.log_block_size
            ));
        }
        if self.incompat & INCOMPAT_EXTENTS == 0 || self.compat & COMPAT_HAS_JOURNAL == 0 {
            return Err("it is ext2 or ext3; expected ext4 with extents and a journal".to_owned());
        }
        if self.incompat & INCOMPAT_RECOVER != 0 || self.state != STATE_CLEAN {
            return Err("it was not unmounted cleanly or has errors: run e2fsck -f on it first".to_owned());
        }
        let strange = self.incompat & !INCOMPAT_READABLE;
        if strange != 0 {
            return Err(format!(
                "it has features that the boot loader cannot read (incompat bits {strange:#x})"
            ));
        }
        if self.blocks == 0 || self.bytes() > file_bytes {
            return Err(format!(
                "it is truncated: {} bytes by its superblock, {file_bytes} in the file",
                self.bytes()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Superblock {
        Superblock {
            magic: MAGIC,
            state: 1,
            log_block_size: 2,
            blocks: 256,
            compat: 0x3c,
            incompat: 0x22c2,
        }
    }

    #[test]
    fn each_reason_has_its_words() {
        assert_eq!(good().check(1 << 20), Ok(()));
        type Spoil = fn(&mut Superblock);
        let cases: [(Spoil, &str); 8] = [
            (|s| s.magic = 0x1234, "not an ext4"),
            (|s| s.log_block_size = 40, "block size"),
            (|s| s.incompat = 0x2, "ext2 or ext3"),
            (|s| s.compat = 0, "ext2 or ext3"),
            (|s| s.incompat |= 4, "cleanly"),
            (|s| s.state = 2, "cleanly"),
            (|s| s.incompat |= 0x10000, "0x10000"),
            (|s| s.blocks = u64::MAX, "truncated"),
        ];
        for (spoil, words) in cases {
            let mut superblock = good();
            spoil(&mut superblock);
            let text = superblock.check(1 << 20).unwrap_err();
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        for fill in [0u8, 0x53, 0xef, 0xff] {
            let bytes = vec![fill; 4096];
            let superblock = Superblock::read(&mut io::Cursor::new(bytes)).unwrap();
            assert!(superblock.check(4096).is_err());
        }
        assert!(Superblock::read(&mut io::Cursor::new(vec![0; 2000])).is_err());
    }
}

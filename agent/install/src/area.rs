//! A range of bytes of an open disk. All reads and writes of the steps go through one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::ioctl;

const MIB: u64 = 1 << 20;

/// A range of bytes of a disk: all of it, or one partition. Reads, writes and seeks stay inside.
pub(super) struct Area {
    pub file: File,
    pub path: PathBuf,
    pub start: u64,
    pub len: u64,
    position: u64,
    /// A block device, not a file that simulates one.
    pub device: bool,
}

impl Area {
    /// The whole of an open file or device.
    pub(super) fn whole(file: File, path: &Path, len: u64, device: bool) -> Area {
        Area {
            file,
            path: path.to_owned(),
            start: 0,
            len,
            position: 0,
            device,
        }
    }

    /// The part of a whole disk at `bytes`.
    pub(super) fn part(self, bytes: Range<u64>) -> Area {
        Area {
            start: bytes.start,
            len: bytes.end - bytes.start,
            ..self
        }
    }

    /// Another descriptor that bypasses the page cache, where possible.
    pub(super) fn direct(&self) -> Option<File> {
        let direct = nix::libc::O_DIRECT;
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(direct)
            .open(&self.path)
            .ok()
            .filter(|_| self.device)
    }

    /// Overwrites `[from, from + len)` with zeros, clipped to the area.
    pub(super) fn zero(&self, from: u64, len: u64) -> io::Result<()> {
        let end = from.saturating_add(len).min(self.len);
        let len = end.saturating_sub(from);
        // A hole in a file reads as zeros and takes no space.
        if !self.device && len > 0 && ioctl::zero_without_writing(&self.file, self.start + from, len)? {
            return Ok(());
        }
        let zeros = vec![0; MIB as usize];
        let mut at = from;
        while at < end {
            let n = (end - at).min(MIB);
            self.file.write_all_at(&zeros[..n as usize], self.start + at)?;
            at += n;
        }
        Ok(())
    }

    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, self.start + offset)
    }

    /// Writes all of `bytes` at `offset`; refuses to leave the area.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if offset
            .checked_add(bytes.len() as u64)
            .is_none_or(|end| end > self.len)
        {
            return Err(io::Error::other("a write would go beyond its partition"));
        }
        self.file.write_all_at(bytes, self.start + offset)
    }

    /// Flushes to the medium, and drops a block device's cache.
    pub(super) fn flush_to_medium(&self) -> io::Result<()> {
        self.file.sync_all()?;
        if self.device {
            ioctl::drop_cache(&self.file)
        } else {
            Ok(())
        }
    }

    fn room(&self, wanted: usize) -> usize {
        (self.len.saturating_sub(self.position)).min(wanted as u64) as usize
    }
}

impl Read for Area {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.room(buffer.len());
        let n = self.file.read_at(&mut buffer[..n], self.start + self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Write for Area {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.room(bytes.len());
        let n = self.file.write_at(&bytes[..n], self.start + self.position)?;
        self.position += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Area {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.len.checked_add_signed(n),
            SeekFrom::Current(n) => self.position.checked_add_signed(n),
        };
        self.position = position.ok_or_else(|| io::Error::other("seek before the start"))?;
        Ok(self.position)
    }
}

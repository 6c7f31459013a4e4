//! Blocks of an image on their way to the disk, and the target that writes them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::area::Area;
use super::ioctl;

/// Large enough for a disk to stream (measured: 4 MiB O_DIRECT is 1.5 to 2 times as fast as buffered).
pub(super) const BLOCK: usize = 4 << 20;
/// Blocks in memory: one being filled, one digested, one written, and one waiting for each of the last two.
const BLOCKS: usize = 6;
/// Alignment of memory, offset and length for O_DIRECT: at least any logical block size.
const ALIGN: usize = 4096;
/// Granularity of the search for runs of zeros.
const PIECE: usize = 64 << 10;

#[repr(C, align(4096))]
#[derive(Clone)]
struct Page([u8; ALIGN]);

/// A run of content bytes at its offset. Its memory returns to the pool when the last user drops it.
pub(super) struct Block {
    pages: Vec<Page>,
    pub offset: u64,
    pub len: usize,
    home: SyncSender<Vec<Page>>,
}

/// Memory for a fixed number of [`Block`]s; taking one waits until one is free.
pub(super) struct Pool {
    free: Receiver<Vec<Page>>,
    home: SyncSender<Vec<Page>>,
}

impl Pool {
    pub(super) fn new() -> Pool {
        let (home, free) = sync_channel(BLOCKS);
        for _ in 0..BLOCKS {
            // Allocated on first use: a small image needs little memory.
            let _ = home.send(Vec::new());
        }
        Pool { free, home }
    }

    pub(super) fn take(&self, offset: u64) -> Block {
        // The pool itself holds a sender, so this cannot fail.
        let mut pages = self.free.recv().unwrap_or_default();
        pages.resize(BLOCK / ALIGN, Page([0; ALIGN]));
        Block {
            pages,
            offset,
            len: 0,
            home: self.home.clone(),
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // Fails only when the pool is gone; then the memory is freed.
        let _ = self.home.try_send(std::mem::take(&mut self.pages));
    }
}

impl Block {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory()[..self.len]
    }

    fn memory(&self) -> &[u8] {
        let len = self.pages.len() * ALIGN;
        // SAFETY: a Page is ALIGN plain bytes without padding, so the vector is `len` initialised bytes.
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr().cast(), len) }
    }

    /// Reads until `wanted` bytes or the end; returns how many.
    pub(super) fn fill(&mut self, from: &mut impl Read, wanted: usize) -> io::Result<usize> {
        let len = self.pages.len() * ALIGN;
        // SAFETY: as in `memory`; any byte value is a valid Page, and `self` is borrowed for writing.
        let memory = unsafe { std::slice::from_raw_parts_mut(self.pages.as_mut_ptr().cast::<u8>(), len) };
        let wanted = wanted.min(memory.len());
        while self.len < wanted {
            match from.read(&mut memory[self.len..wanted]) {
                Ok(0) => break,
                Ok(n) => self.len += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(self.len)
    }
}

pub(super) struct Target<'a> {
    area: &'a Area,
    direct: Option<File>,
    direct_works: AtomicBool,
    punch_works: AtomicBool,
}

impl<'a> Target<'a> {
    pub(super) fn open(area: &'a Area) -> Target<'a> {
        let direct = area.direct();
        Target {
            area,
            direct_works: direct.is_some().into(),
            direct,
            punch_works: true.into(),
        }
    }

    /// Zeroes the first block, on the medium.
    pub(super) fn clear_start(&self) -> io::Result<()> {
        self.area.zero(0, ALIGN as u64)?;
        self.area.flush_to_medium()
    }

    /// Writes a block. Runs of zeros use "write zeroes" where the device can do that without writing; a
    /// discard would not do, because its result is undefined.
    pub(super) fn write(&self, block: &Block) -> io::Result<()> {
        let bytes = block.bytes();
        let end = block
            .offset
            .checked_add(bytes.len() as u64)
            .filter(|end| *end <= self.area.len);
        end.ok_or_else(|| io::Error::other("the image is larger than the partition"))?;
        for (zero, from, to) in runs(bytes) {
            let offset = block.offset + from as u64;
            if !(zero && self.zero(offset, (to - from) as u64)?) {
                self.write_bytes(&bytes[from..to], offset)?;
            }
        }
        Ok(())
    }

    /// Flushes to the medium.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.area.flush_to_medium()
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<bool> {
        if !self.punch_works.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let works = ioctl::zero_without_writing(&self.area.file, self.area.start + offset, len)?;
        self.punch_works.store(works, Ordering::Relaxed);
        Ok(works)
    }

    fn write_bytes(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let whole = if self.direct_works.load(Ordering::Relaxed) {
            bytes.len() / ALIGN * ALIGN
        } else {
            0
        };
        if let (Some(direct), true) = (&self.direct, whole > 0) {
            match direct.write_all_at(&bytes[..whole], self.area.start + offset) {
                Ok(()) => return self.area.write_at(&bytes[whole..], offset + whole as u64),
                // Not supported by this device or file system after all.
                Err(e) if e.raw_os_error() == Some(nix::libc::EINVAL) => {
                    self.direct_works.store(false, Ordering::Relaxed)
                }
                Err(e) => return Err(e),
            }
        }
        self.area.write_at(bytes, offset)
    }
}

/// Splits a block into runs `(all zero, from, to)`. Runs of zeros consist of whole pieces; the last, partial
/// piece counts as data, so that punched ranges stay aligned.
fn runs(bytes: &[u8]) -> Vec<(bool, usize, usize)> {
    let mut runs: Vec<(bool, usize, usize)> = Vec::new();
    for (i, piece) in bytes.chunks(PIECE).enumerate() {
        let zero = piece.len() == PIECE && is_zero(piece);
        let (from, to) = (i * PIECE, i * PIECE + piece.len());
        match runs.last_mut() {
            Some(last) if last.0 == zero => last.2 = to,
            _ => runs.push((zero, from, to)),
        }
    }
    runs
}

fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<64>();
    chunks.iter().all(|c| c.iter().fold(0, |all, b| all | b) == 0) && rest.iter().all(|b| *b == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_found_in_whole_pieces() {
        let mut bytes = vec![0; 4 * PIECE + 100];
        assert_eq!(
            runs(&bytes),
            [(true, 0, 4 * PIECE), (false, 4 * PIECE, 4 * PIECE + 100)]
        );
        bytes[PIECE] = 1;
        bytes[4 * PIECE - 1] = 1;
        let expected = [
            (true, 0, PIECE),
            (false, PIECE, 2 * PIECE),
            (true, 2 * PIECE, 3 * PIECE),
            (false, 3 * PIECE, 4 * PIECE + 100),
        ];
        assert_eq!(runs(&bytes), expected);
        assert_eq!(runs(&[]), []);
    }
}

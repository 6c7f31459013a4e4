//! What is sent: bytes in memory, or a file read from disk as it is sent.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::log;
use crate::tasks::blocking;

/// Bytes read at once: blocks are sent in order, so one read serves many.
const AHEAD: u64 = 64 << 10;

/// A file on disk is never held whole: a mini-os has 40 MB, and there may be hundreds of transfers. Replacing
/// the file by a rename, as `slipway mini-os build` does, changes no running transfer.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    /// `len` bytes of `file` from `first`.
    File {
        file: Arc<File>,
        first: u64,
        len: u64,
    },
}

impl Content {
    /// Opens a file. An error is logged.
    pub(crate) async fn open(path: &Path) -> io::Result<Content> {
        let from: PathBuf = path.to_owned();
        let opened = blocking(move || {
            let file = File::open(from)?;
            let facts = file.metadata()?;
            if !facts.is_file() {
                return Err(io::Error::other("not a regular file"));
            }
            Ok(Content::File {
                file: Arc::new(file),
                first: 0,
                len: facts.len(),
            })
        });
        let path = path.display();
        opened.await.inspect_err(|error| {
            log::paced!(error; "boot-file", &path.to_string(), false; %path, %error, "cannot open a boot file");
        })
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::File { len, .. } => *len,
        }
    }

    /// `len` bytes from `start`, which it must have.
    pub(crate) fn part(self, start: u64, len: u64) -> Content {
        match self {
            Content::Memory(bytes) => Content::Memory(bytes.slice(start as usize..(start + len) as usize)),
            Content::File { file, first, .. } => Content::File {
                file,
                first: first + start,
                len,
            },
        }
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader {
            content: self.clone(),
            start: 0,
            ahead: Vec::new(),
        }
    }
}

/// Reads on from where it was.
pub(crate) struct Reader {
    content: Content,
    /// Where `ahead` begins in the file.
    start: u64,
    ahead: Vec<u8>,
}

impl Reader {
    /// The bytes of a range within the content.
    ///
    /// # Errors
    /// The file cannot be read, or became shorter.
    pub(crate) fn part(&mut self, range: Range<u64>) -> io::Result<&[u8]> {
        let (held, start) = match &self.content {
            Content::Memory(bytes) => (&bytes[..], 0),
            Content::File { file, first, len } => {
                let held = self.start..self.start + self.ahead.len() as u64;
                if range.start < held.start || range.end > held.end {
                    let end = range.end.max(range.start + AHEAD).min(*len);
                    self.start = range.start;
                    self.ahead.resize((end - range.start) as usize, 0);
                    if let Err(error) = file.read_exact_at(&mut self.ahead, first + range.start) {
                        self.ahead.clear();
                        return Err(error);
                    }
                }
                (&self.ahead[..], self.start)
            }
        };
        Ok(&held[(range.start - start) as usize..(range.end - start) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_of_a_file_are_exact_and_a_shorter_file_is_an_error() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n / 7) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let (there, held) = (
            Content::open(file.path()).await.unwrap(),
            Content::Memory(bytes.clone().into()),
        );
        assert_eq!(there.len(), held.len());
        let (mut there, mut held) = (there.reader(), held.reader());
        // In order, again, back, across the end of the read-ahead, the last.
        for range in [
            0..1468,
            1468..2936,
            1468..2936,
            60_000..66_000,
            0..70_000,
            199_000..200_000,
            200_000..200_000,
        ] {
            let wanted = &bytes[range.start as usize..range.end as usize];
            assert_eq!(there.part(range.clone()).unwrap(), wanted, "{range:?}");
            assert_eq!(held.part(range.clone()).unwrap(), wanted, "{range:?}");
        }
        let middle = Content::open(file.path()).await.unwrap().part(60_000, 100);
        assert_eq!(middle.reader().part(10..100).unwrap(), &bytes[60_010..60_100]);
        std::fs::write(file.path(), &bytes[..100]).unwrap();
        assert!(there.part(0..1468).is_err());
    }
}

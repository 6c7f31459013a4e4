//! Sends a response: memory as it is, files by sendfile(2).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::sendfile::sendfile64;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::content::Content;
use crate::running::Meter;
use crate::slots::Slot;
use crate::tasks::blocking;

/// Most bytes of a file sent by one call.
const AT_ONCE: u64 = 2 << 20;
/// Milliseconds: a fast client has room again within this time. Returning to the event loop every time would
/// cost a third of its rate.
const PATIENCE: u8 = 200;
/// After this time a thread returns: others may need it, and the connection is marked as active.
const TURN: Duration = Duration::from_secs(3);
/// Threads that may wait like this at once. The pool has other work too.
static PATIENT: Semaphore = Semaphore::const_new(8);
/// A client whose socket takes nothing for this long is given up: it could acknowledge without reading for
/// ever.
const STALLED: Duration = Duration::from_secs(60);
/// Content of up to this many bytes is sent together with its head.
const WITH_HEAD: usize = 16 << 10;

/// The outcome of sending an answer.
pub(crate) struct Sent {
    /// The connection; `None`: it cannot be used any more.
    pub(crate) stream: Option<TcpStream>,
    /// Bytes of the content that the kernel took.
    pub(crate) bytes: u64,
    /// Why it did not take all of them.
    pub(crate) result: io::Result<()>,
}

/// Sends a head and, if there is one, the content after it.
pub(crate) async fn send(
    stream: TcpStream,
    mut head: Vec<u8>,
    content: Option<Content>,
    slot: &Slot,
    meter: Option<&Arc<Meter>>,
) -> Sent {
    let before = head.len() as u64;
    let content = match content {
        Some(Content::Memory(bytes)) if bytes.len() <= WITH_HEAD => {
            head.extend_from_slice(&bytes);
            None
        }
        content => content,
    };
    let mut sent = 0;
    let result = all(&stream, &head, slot, None, &mut sent).await;
    let mut bytes = sent.saturating_sub(before);
    let (stream, result) = match content.filter(|_| result.is_ok()) {
        None => (Some(stream), result),
        Some(Content::Memory(content)) => {
            let result = all(&stream, &content, slot, meter, &mut bytes).await;
            (Some(stream), result)
        }
        Some(Content::File { file, first, len }) => {
            match part_of(stream, file, (first, len), slot, meter, &mut bytes).await {
                Ok(stream) => (Some(stream), Ok(())),
                Err(error) => (None, Err(error)),
            }
        }
    };
    Sent {
        stream,
        bytes,
        result,
    }
}

/// Waits until the socket takes something, for at most [`STALLED`].
async fn writable(stream: &TcpStream) -> io::Result<()> {
    let stalled = |_| io::Error::new(io::ErrorKind::TimedOut, "the client has stopped reading");
    tokio::time::timeout(STALLED, stream.writable())
        .await
        .map_err(stalled)?
}

/// Adds to `sent` what the kernel took, even if sending fails later.
async fn all(
    stream: &TcpStream,
    bytes: &[u8],
    slot: &Slot,
    meter: Option<&Arc<Meter>>,
    sent: &mut u64,
) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        writable(stream).await?;
        match stream.try_write(left) {
            Ok(count) => {
                left = &left[count..];
                *sent += count as u64;
                slot.touch();
                meter.inspect(|meter| meter.add(count as u64));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// sendfile reads the file from the disk if it must, so it runs on a thread that may block: a slow disk must
/// not stall other answers. Waiting for the socket is limited to [`PATIENCE`] and to few threads. The socket
/// is deregistered from the event loop meanwhile: otherwise the loop would wake up whenever there is room, on
/// the core where the client may run.
async fn part_of(
    mut stream: TcpStream,
    file: Arc<File>,
    (first, count): (u64, u64),
    slot: &Slot,
    meter: Option<&Arc<Meter>>,
    sent: &mut u64,
) -> io::Result<TcpStream> {
    let here = Arc::new(());
    loop {
        writable(&stream).await?;
        let patient = PATIENT.try_acquire().ok();
        let bare = stream.into_std()?;
        let (file, waits, meter) = (file.clone(), Arc::downgrade(&here), meter.cloned());
        let part = first + *sent..first + count;
        let work = move || {
            let patience = patient.as_ref().map(|_| PollTimeout::from(PATIENCE));
            // Nobody waits for the result any more: the connection was given up, or the server is stopping.
            let goes_on = || waits.strong_count() > 0;
            let mut more = 0;
            let result = as_much_as_fits(&bare, &file, part, patience, goes_on, |count| {
                more += count;
                meter.as_ref().inspect(|meter| meter.add(count));
            });
            (bare, more, result)
        };
        let (bare, more, result) = blocking(work).await;
        *sent += more;
        if more > 0 {
            slot.touch();
        }
        result?;
        stream = TcpStream::from_std(bare)?;
        if *sent >= count {
            return Ok(stream);
        }
    }
}

/// `taken` is called with each count the kernel took.
fn as_much_as_fits(
    stream: &std::net::TcpStream,
    file: &File,
    mut part: Range<u64>,
    patience: Option<PollTimeout>,
    goes_on: impl Fn() -> bool,
    mut taken: impl FnMut(u64),
) -> io::Result<()> {
    let begun = Instant::now();
    while !part.is_empty() && goes_on() && begun.elapsed() < TURN {
        let mut at = i64::try_from(part.start).map_err(io::Error::other)?;
        let most = (part.end - part.start).min(AT_ONCE) as usize;
        match sendfile64(stream, file, Some(&mut at), most).map_err(io::Error::from) {
            // The length was promised: all we can do is end the connection.
            Ok(0) => {
                let why = "the file became shorter while it was sent";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
            }
            Ok(count) => {
                part.start += count as u64;
                taken(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !patience.is_some_and(|patience| takes_more_within(stream, patience)) {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until the socket has room. Also true if it has an error: the next attempt reports it.
fn takes_more_within(stream: &std::net::TcpStream, patience: PollTimeout) -> bool {
    let mut wanted = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    nix::poll::poll(&mut wanted, patience).is_ok_and(|ready| ready > 0)
}

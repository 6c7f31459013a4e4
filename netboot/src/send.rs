//! Puts a response on a connection: memory as it is, a file by sendfile(2).

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::sendfile::sendfile64;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::places::Place;
use crate::running::Meter;

/// The most of a file that one call sends, in bytes.
const AT_ONCE: u64 = 2 << 20;
/// In ms: a quick client has room again within this time. Going back to the event loop each time would cost a third of its rate.
const PATIENCE: u8 = 200;
/// Threads that wait so at once. Others have work for such threads too.
static PATIENT: Semaphore = Semaphore::const_new(8);
/// A client whose socket takes nothing for this long is given up: it may acknowledge without reading for ever.
const STALLED: Duration = Duration::from_secs(60);
/// Content up to this size goes into one packet with its head, as far as it fits, in bytes.
const WITH_HEAD: usize = 16 << 10;

/// What a response carries.
#[derive(Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    /// `count` bytes of `file` from `first`.
    File {
        file: File,
        first: u64,
        count: u64,
    },
}

impl Content {
    /// In bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::File { count, .. } => *count,
        }
    }
}

impl From<String> for Content {
    fn from(text: String) -> Content {
        Content::Memory(text.into())
    }
}

/// Sends a head and, if there is one, the content behind it. How many bytes of the content the kernel took, and why not all.
pub(crate) async fn send(
    stream: &Arc<TcpStream>,
    mut head: Vec<u8>,
    content: Option<Content>,
    place: &Place,
    meter: Option<&Arc<Meter>>,
) -> (u64, io::Result<()>) {
    let content = match content {
        Some(Content::Memory(bytes)) if bytes.len() <= WITH_HEAD => {
            let before = head.len();
            head.extend_from_slice(&bytes);
            let (sent, result) = all(stream, &head, place, None).await;
            return (sent.saturating_sub(before) as u64, result);
        }
        content => content,
    };
    if let (_, Err(error)) = all(stream, &head, place, None).await {
        return (0, Err(error));
    }
    match content {
        None => (0, Ok(())),
        Some(Content::Memory(bytes)) => {
            let (sent, result) = all(stream, &bytes, place, meter).await;
            (sent as u64, result)
        }
        Some(Content::File { file, first, count }) => {
            part_of(stream, Arc::new(file), first, count, place, meter).await
        }
    }
}

/// Waits until the socket takes something, but not for ever.
async fn writable(stream: &TcpStream) -> io::Result<()> {
    let stalled = |_| io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing any more");
    tokio::time::timeout(STALLED, stream.writable())
        .await
        .map_err(stalled)?
}

async fn all(
    stream: &TcpStream,
    bytes: &[u8],
    place: &Place,
    meter: Option<&Arc<Meter>>,
) -> (usize, io::Result<()>) {
    let mut sent = 0;
    while sent < bytes.len() {
        let tried = match writable(stream).await {
            Ok(()) => stream.try_write(&bytes[sent..]),
            Err(error) => Err(error),
        };
        match tried {
            Ok(count) => {
                sent += count;
                place.touch();
                meter.inspect(|meter| meter.add(count as u64));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return (sent, Err(error)),
        }
    }
    (sent, Ok(()))
}

/// The file is read within sendfile, from the disk when it must be: on a thread that may wait, so that no slow disk stops the
/// answers to others. The socket itself makes it wait for [`PATIENCE`] at most, and only when few others do.
async fn part_of(
    stream: &Arc<TcpStream>,
    file: Arc<File>,
    first: u64,
    count: u64,
    place: &Place,
    meter: Option<&Arc<Meter>>,
) -> (u64, io::Result<()>) {
    let mut sent = 0;
    while sent < count {
        if let Err(error) = writable(stream).await {
            return (sent, Err(error));
        }
        let patient = PATIENT.try_acquire().ok();
        let (stream, file, meter) = (stream.clone(), file.clone(), meter.cloned());
        let work = move || {
            let patience = patient.as_ref().map(|_| PollTimeout::from(PATIENCE));
            as_much_as_fits(
                &stream,
                &file,
                first + sent,
                count - sent,
                patience,
                meter.as_deref(),
            )
        };
        let (more, result) = match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => (0, Err(io::Error::other(error))),
        };
        sent += more;
        if more > 0 {
            place.touch();
        }
        if result.is_err() {
            return (sent, result);
        }
    }
    (sent, Ok(()))
}

fn as_much_as_fits(
    stream: &Arc<TcpStream>,
    file: &File,
    first: u64,
    count: u64,
    patience: Option<PollTimeout>,
    meter: Option<&Meter>,
) -> (u64, io::Result<()>) {
    let mut sent = 0;
    // Ours alone: the connection was given up, the server stops.
    while sent < count && Arc::strong_count(stream) > 1 {
        let once = || {
            let mut at = i64::try_from(first + sent).map_err(io::Error::other)?;
            Ok::<usize, io::Error>(sendfile64(
                &**stream,
                file,
                Some(&mut at),
                (count - sent).min(AT_ONCE) as usize,
            )?)
        };
        let tried = match once() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if patience.is_some_and(|patience| takes_more_within(stream, patience)) {
                    continue;
                }
                // So that the next wait is for the socket: this is how tokio learns that it is full.
                stream.try_io(Interest::WRITABLE, once)
            }
            tried => tried,
        };
        match tried {
            // The length is promised: all that is left is to end the connection.
            Ok(0) => {
                let why = "the file became shorter while it was sent";
                return (sent, Err(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
            }
            Ok(count) => {
                sent += count as u64;
                meter.inspect(|meter| meter.add(count as u64));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (sent, Err(error)),
        }
    }
    (sent, Ok(()))
}

/// Waits until the socket has room. Also true when it has an error: the next attempt says which.
fn takes_more_within(stream: &TcpStream, patience: PollTimeout) -> bool {
    let mut wanted = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    nix::poll::poll(&mut wanted, patience).is_ok_and(|ready| ready > 0)
}

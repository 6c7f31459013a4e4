//! Puts a response on a connection: memory as it is, a file by sendfile(2).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::sendfile::sendfile64;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::places::Place;
use crate::running::Meter;

/// The most of a file that one call sends, in bytes.
const AT_ONCE: u64 = 2 << 20;
/// In ms: a quick client has room again within this time. Going back to the event loop each time would cost a third of its rate.
const PATIENCE: u8 = 200;
/// After this time a thread looks up: others may want its turn, and the connection shows that it is alive.
const TURN: Duration = Duration::from_secs(3);
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

/// What became of an answer.
pub(crate) struct Sent {
    /// The connection; `None`: it is of no more use.
    pub(crate) stream: Option<TcpStream>,
    /// How many bytes of the content the kernel took.
    pub(crate) bytes: u64,
    /// Why not all.
    pub(crate) result: io::Result<()>,
}

/// Sends a head and, if there is one, the content behind it.
pub(crate) async fn send(
    stream: TcpStream,
    mut head: Vec<u8>,
    content: Option<Content>,
    place: &Place,
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
    let mut result = all(&stream, &head, place, None, &mut sent).await;
    let mut bytes = sent.saturating_sub(before);
    match content.filter(|_| result.is_ok()) {
        None => {}
        Some(Content::Memory(content)) => {
            result = all(&stream, &content, place, meter, &mut bytes).await;
        }
        Some(Content::File { file, first, count }) => {
            let sent = part_of(stream, file, (first, count), place, meter, &mut bytes).await;
            let (stream, result) = match sent {
                Ok(stream) => (Some(stream), Ok(())),
                Err(error) => (None, Err(error)),
            };
            return Sent {
                stream,
                bytes,
                result,
            };
        }
    }
    Sent {
        stream: Some(stream),
        bytes,
        result,
    }
}

/// Waits until the socket takes something, but not for ever.
async fn writable(stream: &TcpStream) -> io::Result<()> {
    let stalled = |_| io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing any more");
    tokio::time::timeout(STALLED, stream.writable())
        .await
        .map_err(stalled)?
}

/// Counts in `sent` what the kernel took, whatever comes of the rest.
async fn all(
    stream: &TcpStream,
    bytes: &[u8],
    place: &Place,
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
                place.touch();
                meter.inspect(|meter| meter.add(count as u64));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The file is read within sendfile, from the disk when it must be: on a thread that may wait, so that no slow disk stops the
/// answers to others. The socket itself makes it wait for [`PATIENCE`] at most, and only when few others do. Meanwhile the event
/// loop does not know the socket: else it would wake up each time that there is room, on the core where the client may run.
async fn part_of(
    mut stream: TcpStream,
    file: File,
    (first, count): (u64, u64),
    place: &Place,
    meter: Option<&Arc<Meter>>,
    sent: &mut u64,
) -> io::Result<TcpStream> {
    let (file, here) = (Arc::new(file), Arc::new(()));
    loop {
        writable(&stream).await?;
        let patient = PATIENT.try_acquire().ok();
        let bare = stream.into_std()?;
        let (file, waits, meter) = (file.clone(), Arc::downgrade(&here), meter.cloned());
        let part = first + *sent..first + count;
        let work = move || {
            let patience = patient.as_ref().map(|_| PollTimeout::from(PATIENCE));
            // When nobody waits for the end, the connection was given up, or the server stops.
            let goes_on = || waits.strong_count() > 0;
            let mut more = 0;
            let result = as_much_as_fits(&bare, &file, part, patience, goes_on, |count| {
                more += count;
                meter.as_ref().inspect(|meter| meter.add(count));
            });
            (bare, more, result)
        };
        let (bare, more, result) = tokio::task::spawn_blocking(work)
            .await
            .map_err(io::Error::other)?;
        *sent += more;
        if more > 0 {
            place.touch();
        }
        result?;
        stream = TcpStream::from_std(bare)?;
        if *sent >= count {
            return Ok(stream);
        }
    }
}

/// `taken`: is told what the kernel took each time.
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
            // The length is promised: all that is left is to end the connection.
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

/// Waits until the socket has room. Also true when it has an error: the next attempt says which.
fn takes_more_within(stream: &std::net::TcpStream, patience: PollTimeout) -> bool {
    let mut wanted = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    nix::poll::poll(&mut wanted, patience).is_ok_and(|ready| ready > 0)
}

//! Puts a response on a connection: memory as it is, a file by sendfile(2).

use std::fs::File;
use std::io;
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

impl From<String> for Content {
    fn from(text: String) -> Content {
        Content::Memory(text.into())
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
    let before = head.len();
    let content = match content {
        Some(Content::Memory(bytes)) if bytes.len() <= WITH_HEAD => {
            head.extend_from_slice(&bytes);
            None
        }
        content => content,
    };
    let (sent, result) = all(&stream, &head, place, None).await;
    let (bytes, result) = match content {
        _ if result.is_err() => (sent.saturating_sub(before), result),
        None => (sent.saturating_sub(before), result),
        Some(Content::Memory(bytes)) => all(&stream, &bytes, place, meter).await,
        Some(Content::File { file, first, count }) => {
            return part_of(stream, file, (first, count), place, meter).await;
        }
    };
    Sent {
        stream: Some(stream),
        bytes: bytes as u64,
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
/// answers to others. The socket itself makes it wait for [`PATIENCE`] at most, and only when few others do. Meanwhile the event
/// loop does not know the socket: else it would wake up each time that there is room, on the core where the client may run.
async fn part_of(
    mut stream: TcpStream,
    file: File,
    (first, count): (u64, u64),
    place: &Place,
    meter: Option<&Arc<Meter>>,
) -> Sent {
    let (mut sent, file, here) = (0, Arc::new(file), Arc::new(()));
    let ended = |bytes, result| Sent {
        stream: None,
        bytes,
        result,
    };
    loop {
        if let Err(error) = writable(&stream).await {
            return ended(sent, Err(error));
        }
        let patient = PATIENT.try_acquire().ok();
        let bare = match stream.into_std() {
            Ok(bare) => bare,
            Err(error) => return ended(sent, Err(error)),
        };
        let (file, waits, meter) = (file.clone(), Arc::downgrade(&here), meter.cloned());
        let work = move || {
            let patience = patient.as_ref().map(|_| PollTimeout::from(PATIENCE));
            let part = Part {
                file: &file,
                first: first + sent,
                count: count - sent,
                meter: meter.as_deref(),
            };
            // When nobody waits for the end, the connection was given up, or the server stops.
            let (more, result) = part.as_much_as_fits(&bare, patience, || waits.strong_count() > 0);
            (bare, more, result)
        };
        let (bare, more, result) = match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => return ended(sent, Err(io::Error::other(error))),
        };
        sent += more;
        if more > 0 {
            place.touch();
        }
        stream = match result.and_then(|()| TcpStream::from_std(bare)) {
            Ok(stream) => stream,
            Err(error) => return ended(sent, Err(error)),
        };
        if sent >= count {
            return Sent {
                stream: Some(stream),
                bytes: sent,
                result: Ok(()),
            };
        }
    }
}

/// What is left of a file.
struct Part<'a> {
    file: &'a File,
    first: u64,
    count: u64,
    meter: Option<&'a Meter>,
}

impl Part<'_> {
    fn as_much_as_fits(
        &self,
        stream: &std::net::TcpStream,
        patience: Option<PollTimeout>,
        goes_on: impl Fn() -> bool,
    ) -> (u64, io::Result<()>) {
        let (mut sent, begun) = (0, Instant::now());
        while sent < self.count && goes_on() && begun.elapsed() < TURN {
            let mut at = match i64::try_from(self.first + sent) {
                Ok(at) => at,
                Err(error) => return (sent, Err(io::Error::other(error))),
            };
            let most = (self.count - sent).min(AT_ONCE) as usize;
            match sendfile64(stream, self.file, Some(&mut at), most).map_err(io::Error::from) {
                // The length is promised: all that is left is to end the connection.
                Ok(0) => {
                    let why = "the file became shorter while it was sent";
                    return (sent, Err(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
                }
                Ok(count) => {
                    sent += count as u64;
                    self.meter.inspect(|meter| meter.add(count as u64));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !patience.is_some_and(|patience| takes_more_within(stream, patience)) {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (sent, Err(error)),
            }
        }
        (sent, Ok(()))
    }
}

/// Waits until the socket has room. Also true when it has an error: the next attempt says which.
fn takes_more_within(stream: &std::net::TcpStream, patience: PollTimeout) -> bool {
    let mut wanted = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    nix::poll::poll(&mut wanted, patience).is_ok_and(|ready| ready > 0)
}

//! The transfers under way, by the client's address and port.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netboot_protocol::tftp::{Repeat, repeated};
use tokio::sync::mpsc;

use crate::places::Place;

/// ACKs have 4 bytes; an ERROR's text may be cut.
pub(super) const REPLY: usize = 512;
/// Datagrams that wait for a transfer without a port of its own: a window's ACKs are fewer.
const WAITING: usize = 64;

/// What the one that hears requests tells a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nudge {
    /// The client has sent its request again.
    AskedAgain,
    /// The client ignores OACKs.
    WithoutOptions,
    /// The client has asked for something else.
    Superseded,
}

/// What is known of a transfer from outside.
pub(super) struct Heard {
    begun: Instant,
    answered: AtomicBool,
    oack: AtomicBool,
    /// Milliseconds since `begun`.
    last: AtomicU64,
}

impl Heard {
    /// The client has sent something.
    pub(super) fn now(&self, answered: bool) {
        self.last.store(self.ms(), Ordering::Relaxed);
        if answered {
            self.answered.store(true, Ordering::Relaxed);
        }
    }

    /// The transfer began with an OACK.
    pub(super) fn offers_options(&self) {
        self.oack.store(true, Ordering::Relaxed);
    }

    fn ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.ms().saturating_sub(self.last.load(Ordering::Relaxed)))
    }
}

struct Known {
    request: Box<[u8]>,
    asked: u32,
    serial: u64,
    heard: Arc<Heard>,
    nudge: mpsc::Sender<Nudge>,
    /// For a transfer without a port of its own.
    inbox: Option<SyncSender<Box<[u8]>>>,
}

#[derive(Default)]
struct Table {
    known: HashMap<SocketAddr, Known>,
    serial: u64,
}

/// The table of transfers.
#[derive(Clone, Default)]
pub(super) struct Live(Arc<Mutex<Table>>);

/// A transfer's line in the table; taken out when dropped.
pub(super) struct Entry {
    live: Live,
    client: SocketAddr,
    serial: u64,
    pub(super) heard: Arc<Heard>,
    pub(super) nudges: mpsc::Receiver<Nudge>,
    /// What the client sends to the port that was asked, for a transfer that stays there.
    pub(super) inbox: Option<Receiver<Box<[u8]>>>,
}

/// What a transfer holds as long as it runs.
pub(super) struct Admitted {
    pub(super) entry: Entry,
    pub(super) place: Place,
}

/// Whether a request begins a transfer.
pub(super) enum Admission {
    /// It does.
    New(Entry),
    /// It belongs to one that runs, which has been told.
    Known,
}

impl Live {
    /// Looks whether `client` has a transfer already, and decides what a request of it means. `one_port`: a new one stays on
    /// the port that was asked.
    pub(super) fn admit(&self, client: SocketAddr, request: &[u8], one_port: bool) -> Admission {
        let mut table = self.lock();
        if let Some(known) = table.known.get_mut(&client) {
            let same = *known.request == *request;
            known.asked += u32::from(same);
            let heard = &known.heard;
            let (answered, oack) = (
                heard.answered.load(Ordering::Relaxed),
                heard.oack.load(Ordering::Relaxed),
            );
            let decided = repeated(same, answered, oack, known.asked, heard.idle());
            let nudge = match decided {
                Repeat::Ignore => return Admission::Known,
                Repeat::Resend => Nudge::AskedAgain,
                Repeat::WithoutOptions => Nudge::WithoutOptions,
                Repeat::Replace => Nudge::Superseded,
            };
            // Full: it has been told more than it has read.
            let _ = known.nudge.try_send(nudge);
            if decided != Repeat::Replace {
                heard.now(false);
                return Admission::Known;
            }
        }
        table.serial += 1;
        let (serial, (nudge, nudges)) = (table.serial, mpsc::channel(4));
        let (inbox, arrives) = one_port.then(|| sync_channel(WAITING)).unzip();
        let heard = Arc::new(Heard {
            begun: Instant::now(),
            answered: AtomicBool::new(false),
            oack: AtomicBool::new(false),
            last: AtomicU64::new(0),
        });
        table.known.insert(
            client,
            Known {
                request: request.into(),
                asked: 1,
                serial,
                heard: heard.clone(),
                nudge,
                inbox,
            },
        );
        Admission::New(Entry {
            live: self.clone(),
            client,
            serial,
            heard,
            nudges,
            inbox: arrives,
        })
    }

    /// Hands a datagram to the transfer of this client that stays on the port that was asked, if there is one.
    pub(super) fn deliver(&self, client: SocketAddr, datagram: &[u8]) {
        let table = self.lock();
        if let Some(inbox) = table.known.get(&client).and_then(|known| known.inbox.as_ref()) {
            // Full: lost, as in a socket's buffer.
            let _ = inbox.try_send(datagram[..datagram.len().min(REPLY)].into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = self.live.lock();
        // Another transfer may have taken the place.
        if table
            .known
            .get(&self.client)
            .is_some_and(|known| known.serial == self.serial)
        {
            table.known.remove(&self.client);
        }
    }
}

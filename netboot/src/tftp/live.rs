//! The transfers under way, by the client's address and port.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netboot_protocol::tftp::{Repeat, repeated};
use tokio::sync::mpsc;

use crate::leases::lock;

/// ACKs have 4 bytes; an ERROR's text may be cut.
pub(super) const REPLY: usize = 512;
/// Datagrams that wait for a transfer without a port of its own: a window's ACKs are fewer.
const WAITING: usize = 64;

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
    heard: Arc<Heard>,
    /// To the transfer: what a request that came again means.
    repeats: mpsc::Sender<Repeat>,
    /// For a transfer without a port of its own.
    inbox: Option<SyncSender<Box<[u8]>>>,
}

/// The table of transfers.
#[derive(Clone, Default)]
pub(super) struct Live(Arc<Mutex<HashMap<SocketAddr, Known>>>);

/// A transfer's line in the table; taken out when dropped.
pub(super) struct Entry {
    live: Live,
    client: SocketAddr,
    pub(super) heard: Arc<Heard>,
    pub(super) repeats: mpsc::Receiver<Repeat>,
    /// What the client sends to the port that was asked, for a transfer that stays there.
    pub(super) inbox: Option<Receiver<Box<[u8]>>>,
}

impl Live {
    /// Looks whether `client` has a transfer already, and decides what a request of it means. `one_port`: a new one stays on
    /// the port that was asked. `None`: it belongs to one that runs, which has been told.
    pub(super) fn admit(&self, client: SocketAddr, request: &[u8], one_port: bool) -> Option<Entry> {
        let mut table = lock(&self.0);
        if let Some(known) = table.get_mut(&client) {
            let same = *known.request == *request;
            known.asked += u32::from(same);
            let heard = &known.heard;
            let (answered, oack) = (
                heard.answered.load(Ordering::Relaxed),
                heard.oack.load(Ordering::Relaxed),
            );
            let decided = repeated(same, answered, oack, known.asked, heard.idle());
            if decided == Repeat::Ignore {
                return None;
            }
            // Full: it has been told more than it has read.
            let _ = known.repeats.try_send(decided);
            if decided != Repeat::Replace {
                heard.now(false);
                return None;
            }
        }
        let (repeats, told) = mpsc::channel(4);
        let (inbox, arrives) = one_port.then(|| sync_channel(WAITING)).unzip();
        let heard = Arc::new(Heard {
            begun: Instant::now(),
            answered: AtomicBool::new(false),
            oack: AtomicBool::new(false),
            last: AtomicU64::new(0),
        });
        table.insert(
            client,
            Known {
                request: request.into(),
                asked: 1,
                heard: heard.clone(),
                repeats,
                inbox,
            },
        );
        Some(Entry {
            live: self.clone(),
            client,
            heard,
            repeats: told,
            inbox: arrives,
        })
    }

    /// Hands a datagram to the transfer of this client that stays on the port that was asked, if there is one.
    pub(super) fn deliver(&self, client: SocketAddr, datagram: &[u8]) {
        let table = lock(&self.0);
        if let Some(inbox) = table.get(&client).and_then(|known| known.inbox.as_ref()) {
            // Full: lost, as in a socket's buffer.
            let _ = inbox.try_send(datagram[..datagram.len().min(REPLY)].into());
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = lock(&self.live.0);
        // Another transfer may have taken the place.
        let known = table.get(&self.client);
        if known.is_some_and(|known| Arc::ptr_eq(&known.heard, &self.heard)) {
            table.remove(&self.client);
        }
    }
}
